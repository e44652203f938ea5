"""`kale-tag rename`: a step renamed in notebooks, specs and saved patches at once."""

import json
import shlex
import sys
from collections.abc import Sequence

from kale_tag import files
from kale_tag.commands.rename_files import Changed, Everywhere, rename_everywhere
from kale_tag.commands.shared.options import (
    Color,
    Format,
    NewName,
    OldName,
    Quiet,
    RenamePaths,
    Write,
)
from kale_tag.commands.shared.report import say, style_for
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, UserError, count, error, nearest
from kale_tag.fields.fields import Form
from kale_tag.rename.edits import Edit
from kale_tag.render import diagnostics
from kale_tag.render.style import Style
from kale_tag.spec.model import Given
from kale_tag.spec.rule import check_tag


def rename(  # noqa: PLR0913  one parameter an option
    old: OldName,
    new: NewName,
    paths: RenamePaths,
    *,
    write: Write = False,
    format: Format = "text",  # noqa: A002  the option's name
    quiet: Quiet = False,
    color: Color = "auto",
) -> int:
    """Rename a step in notebooks, specs and patches at once.

    Shows every place, and writes with --write.

    kale-tag rename load load_data specs/churn.yaml

    kale-tag rename load load_data . --write

    Nothing is written where the new name is taken. Only the name changes, each at the place that is
    shown; names that patterns make, and patterns that mention it, are shown for you to look at.
    """
    _check_names(old, new)
    found = rename_everywhere(paths, old, new)
    changed = [one for one in found.files if one.edits]
    if not changed and not found.diagnostics:
        found.diagnostics.append(_nowhere(old, found))
    looked = [diagnostic for one in found.files for diagnostic in one.look]
    style = style_for(color, sys.stdout.isatty())
    if not quiet and format == "text":
        for one in changed:
            for edit in one.edits:
                print(_line(edit, style))
    sys.stdout.flush()
    for diagnostic in dict.fromkeys((*found.diagnostics, *looked)):
        say(diagnostic)
    written = write and not found.diagnostics and _write(changed)
    failed = bool(found.diagnostics) or (write and not written)
    if format == "json":
        print(_as_json(found, changed, written=written))
    elif changed and not quiet:
        places = sum(len(one.edits) for one in changed)
        ends = "written" if written else "nothing was written"
        print(f"{count(places, 'place')} in {count(len(changed), 'file')}; {ends}")
        if not write and not failed:
            words = ["kale-tag", "rename", old, new, *paths, "--write"]
            print(f"To write it: {shlex.join(words)}")
    return 2 if failed else 0


def _check_names(old: str, new: str) -> None:
    """Raise `UserError` where *new* is no name for a step, or the same."""
    form = Form()
    line = Source("the command line", f"{old} {new}")
    check_tag(form, Given("step", "", new, Label(line, Span(len(old) + 1, len(line.text)))))
    if not new:
        form.diagnostics[:] = [error("invalid-step-name", "the new name is empty")]
    if old == new:
        form.diagnostics.append(error("bad-options", f"`{old}` is called so already"))
    if form.diagnostics:
        raise UserError(*form.diagnostics)


def _nowhere(old: str, found: Everywhere) -> Diagnostic:
    near = nearest(old, found.steps)
    return error(
        "unknown-step",
        f"no step is named `{old}` here",
        help=f"did you mean `{near}`?" if near else "",
    )


def _line(edit: Edit, style: Style) -> str:
    """`specs/churn.yaml:5:12: step: load -> load_data`, as editors and `grep` know it."""
    what = f"{edit.what}: " if edit.what else ""
    change = f"{style.red(edit.before)} -> {style.green(edit.after)}"
    file, line, column = _place(edit.label)
    return f"{style.bold(f'{file}:{line}:{column}')}: {what}{change}"


def _place(label: Label) -> tuple[str, int, int]:
    line, column = label.source.position(label.span.start if label.span else 0)
    return label.source.name, line, column


def _write(changed: Sequence[Changed]) -> bool:
    """Put all new files in place, or none where one cannot be written; whether it was done.

    Every file is looked at before the first is replaced.
    """
    staged: list[files.Staged] = []
    try:
        staged.extend(files.stage(one.file, one.data) for one in changed)
        for new in staged:
            new.check()
        for new in staged:
            new.commit()
    except UserError as exc:
        for diagnostic in exc.diagnostics:
            say(diagnostic)
        return False
    finally:
        for new in staged:
            new.discard()
    return True


def _as_json(found: Everywhere, changed: Sequence[Changed], *, written: bool) -> str:
    places = []
    for one in changed:
        for edit in one.edits:
            file, line, column = _place(edit.label)
            places.append(
                {
                    "file": file,
                    "line": line,
                    "column": column,
                    "what": edit.what,
                    "before": edit.before,
                    "after": edit.after,
                }
            )
    looked = [diagnostic for one in found.files for diagnostic in one.look]
    document = {
        "places": places,
        "diagnostics": [
            diagnostics.as_value(diagnostic) for diagnostic in (*found.diagnostics, *looked)
        ],
        "summary": {"files": len(changed), "places": len(places), "written": written},
    }
    return json.dumps(document, indent=1, ensure_ascii=False)
