"""`kale-tag rename`: a step renamed in notebooks, specs and saved patches at once."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kale_tag import files
from kale_tag.commands.shared.journal import commit_all, refuse_unfinished
from kale_tag.commands.shared.options import FormatOptions, PrintOptions, argument, option
from kale_tag.commands.shared.report import print_diagnostic, style_for
from kale_tag.commands.shared.targets import (
    STDIN,
    NamedPaths,
    Targets,
    classify_paths,
    default_specs,
    is_ready,
    listed_by,
    looks_like_a_spec,
    notebook_of,
    ready_spec,
)
from kale_tag.diagnostics import (
    Diagnostic,
    Label,
    Source,
    Span,
    UserError,
    count,
    did_you_mean,
    error,
    exit_code,
    guarded,
    pasted,
)
from kale_tag.fields.fields import Form
from kale_tag.kale import tags
from kale_tag.kale.metadata import tags_in
from kale_tag.notebook.places import Places
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.apply import apply_spec
from kale_tag.plan.patch import ENDING
from kale_tag.plan.read_patch import read_patch
from kale_tag.rename import (
    Edit,
    Renamed,
    collisions,
    rename_in_patch,
    rename_in_spec,
)
from kale_tag.render import diagnostics
from kale_tag.render.text import Style, json_text, one_line
from kale_tag.spec.model import Given, Spec, Target
from kale_tag.spec.read import read_spec
from kale_tag.spec.rule import check_tag

BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class FileChange:
    """What changes in one file."""

    file: files.File
    edits: Sequence[Edit]  # the places that change
    data: bytes  # the new content


@dataclass(kw_only=True)
class RenameOptions(FormatOptions, PrintOptions):
    """The options of `kale-tag rename`."""

    old: str = argument("OLD", "The present name of the step.")
    new: str = argument("NEW", "The new name.")
    paths: list[str] = argument(
        "SPEC|PATCH|NOTEBOOK|FOLDER",
        "Where to rename it. A spec includes the specs that it extends and the notebooks "
        "that it names, a patch its notebook, a folder all of them below it. Default: "
        "kale-tag.yaml and the specs in specs/.",
    )
    write: bool = option(False, "Write the files. Without this option, show what would change.")


def rename(options: RenameOptions) -> int:
    """Rename a step in notebooks, specs and patches at once.

    Shows every place, and writes with --write.

    kale-tag rename load load_data specs/churn.yaml

    kale-tag rename load load_data . --write

    Nothing is written if the new name is in use. Only the name changes, at the places that are
    shown. Patterns that make or mention the name are shown for you to check.
    """
    _check_names(options.old, options.new)
    found = rename_everywhere(options.paths, options.old, options.new)
    changed = found.files
    if not changed and not found.diagnostics:
        message = f"no step is named `{options.old}` here"
        hint = did_you_mean(options.old, found.steps)
        found.diagnostics.append(error("unknown-step", message, help=hint))
    style = style_for(options.color, sys.stdout.isatty())
    if not options.quiet and options.format == "text":
        for one in changed:
            for edit in one.edits:
                print(_line(edit, style))
    sys.stdout.flush()
    for diagnostic in dict.fromkeys((*found.diagnostics, *found.look)):
        print_diagnostic(diagnostic)
    written = options.write and not found.diagnostics and _write(changed)
    failed = bool(found.diagnostics) or (options.write and not written)
    if options.format == "json":
        print(_as_json(found, written=written))
    elif changed and not options.quiet:
        places = sum(len(one.edits) for one in changed)
        ends = "written" if written else "nothing was written"
        print(f"{count(places, 'place')} in {count(len(changed), 'file')}; {ends}")
        if not options.write and not failed:
            words = (options.old, options.new, *options.paths)
            print(f"To write it: {pasted('kale-tag rename', words, '--write')}")
    return exit_code(found.diagnostics) or (2 if failed else 0)


def _check_names(old: str, new: str) -> None:
    """Raise `UserError` where *new* is no name for a step, or the same."""
    form = Form()
    line = Source("the command line", f"{old} {new}")
    check_tag(form, Given("step", "", new, Label(line, Span(len(old) + 1, len(line.text)))))
    if not new:
        form.errors[:] = [error("invalid-step-name", "the new name is empty")]
    if old == new:
        form.errors.append(error("bad-options", f"`{old}` is already its name"))
    if form.errors:
        raise UserError(*form.errors)


def _line(edit: Edit, style: Style) -> str:
    """`specs/churn.yaml:5:12: step: load -> load_data`, as editors and `grep` know it."""
    what = f"{one_line(edit.what)}: " if edit.what else ""
    change = f"{style.red(one_line(edit.before))} -> {style.green(one_line(edit.after))}"
    file, line, column = _place(edit.label)
    return f"{style.bold(f'{one_line(file)}:{line}:{column}')}: {what}{change}"


def _place(label: Label) -> tuple[str, int, int]:
    line, column = label.source.position(label.span.start if label.span else 0)
    return label.source.name, line, column


def _write(changed: Sequence[FileChange]) -> bool:
    """Put all new files in place, or none where one cannot be written; whether it was done."""
    refuse_unfinished()
    files.tidy({os.path.dirname(one.file.path) for one in changed})
    wrong: Sequence[Diagnostic] = ()
    staged: list[files.Staged] = []
    try:
        staged.extend(files.stage(one.file, one.data) for one in changed)
        wrong = commit_all(staged)
    except UserError as exc:
        wrong = exc.diagnostics
    finally:
        for new in staged:
            new.discard()
    for diagnostic in wrong:
        print_diagnostic(diagnostic)
    return not wrong


def _as_json(found: "Renaming", *, written: bool) -> str:
    places = []
    for one in found.files:
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
    document = {
        "places": places,
        "diagnostics": [
            diagnostics.as_value(diagnostic) for diagnostic in (*found.diagnostics, *found.look)
        ],
        "summary": {"files": len(found.files), "places": len(places), "written": written},
    }
    return json_text(document)


def rename_everywhere(paths: Sequence[str], old: str, new: str) -> "Renaming":
    """The step *old* called *new* in the files that *paths* stand for; nothing is written."""
    made = Renaming(old, new)
    named = _named(paths, made.diagnostics)
    for path in named.specs:
        made.rename_in_spec(path, named)
    for path, below in named.patches.items():
        made.rename_in_patch(path, below, named)
    for path in (*named.notebooks, *made.notebooks):
        made.rename_in_notebook(path)
    made.check_specs()
    return made


def _named(paths: Sequence[str], diagnostics: list[Diagnostic]) -> NamedPaths:
    """The files that *paths* stand for, those in folders included."""
    targets = Targets()
    if STDIN in paths:
        diagnostics.append(error("bad-options", "`rename` works on files, not on `-`"))
    named = classify_paths([path for path in paths or default_specs() if path != STDIN], targets)
    diagnostics += targets.diagnostics
    for folder in named.folders:
        named.notebooks += files.notebooks_in(folder)
        specs = sorted([*files.below(folder, ".yaml"), *files.below(folder, ".yml")])
        named.specs += filter(looks_like_a_spec, specs)
        inside = ((path, os.path.relpath(path, folder)) for path in files.below(folder, ENDING))
        named.patches.update(inside)
    if not (named.specs or named.patches or named.notebooks or diagnostics):
        message = "no file is given, and there is no kale-tag.yaml and no spec in specs/"
        diagnostics.append(error("no-files", message, help="kale-tag rename OLD NEW FOLDER"))
    return named


class Renaming:
    """The changes of all files, at each of which it looks once.

    Nothing may be written if there are *diagnostics*.
    """

    def __init__(self, old: str, new: str) -> None:
        """Nothing has been looked at yet."""
        self.files: list[FileChange] = []  # in the order of the work
        self.diagnostics: list[Diagnostic] = []
        self.look: list[Diagnostic] = []  # what the user has to check
        self.steps: dict[str, None] = {}  # the names of all steps
        self.old = old
        self.new = new
        nowhere = Source("the command line")
        given = Given("step", "", new, Label(nowhere))
        self.rename = Spec(nowhere, rename={old: given})  # what notebooks are to undergo
        self.seen: set[str] = set()
        self.notebooks: list[str] = []
        self.texts: dict[str, Renamed] = {}  # specs, by the path by which they were reached
        self.specs: list[str] = []

    def rename_in_spec(self, path: str, named: NamedPaths) -> None:
        """Rename in a spec and in those that it extends."""
        if is_ready(path):
            message = f"`{path}` is a part of kale-tag"
            self.diagnostics.append(error("not-yours", message, help="name your own spec"))
            return
        with guarded(path) as wrong:
            spec = read_spec(self._text(path), self._load)
            listed = listed_by(spec, required=False)
        if wrong:
            self.diagnostics += wrong
            return
        if not named.only_these:
            self.notebooks += (name for name, _ in listed.values())
        self.specs.append(path)

    def rename_in_patch(self, path: str, below: str, named: NamedPaths) -> None:
        """Rename in a saved patch."""
        if not self._is_first(path):
            return
        with guarded(path) as wrong:
            file = files.read(path)
            made = rename_in_patch(files.as_text(path, file.data), self.old, self.new)
            patch = read_patch(files.as_text(path, file.data))
            known = patch.notebook or below.endswith(ENDING)
            notebook = notebook_of(patch, below) if known else ""
        if wrong:
            self.diagnostics += wrong
            return
        stops = collisions(made.steps, self.old, self.new, "the patch", is_patch=True)
        self._take(file, made, stops)
        if not named.only_these and os.path.exists(notebook):
            self.notebooks.append(notebook)

    def rename_in_notebook(self, path: str) -> None:
        """Rename in a notebook."""
        if not self._is_first(path):
            return
        with guarded(path) as wrong:
            file = files.read(path)
            notebook = read_notebook(file.data, path)
            places = Places(notebook)
            steps: dict[str, Label] = {}
            for index in range(len(notebook.types)):
                for at, tag in enumerate(tags_in(notebook.metadata_of(index))):
                    for name in () if tag.startswith("prev:") else tags.names_in(tag):
                        if name in {self.old, self.new}:
                            steps.setdefault(name, places.tag(index, at))
                        self.steps[name] = None
            if stops := [*collisions(steps, self.old, self.new, path)]:
                self.diagnostics += stops
                return
            done = apply_spec(self.rename, file.data, path, Target({"stem": ""}), fast=False)
        if wrong:
            self._unusable(path, wrong)
            return
        edits = [
            Edit(places.tag(change.holder, at), f"cell {change.holder}", tag, renamed)
            for change in done.plan.changes
            if change.holder is not None
            for at, tag in enumerate(tags_in(change.before))
            if (renamed := tags.renamed(tag, {self.old: self.new})) != tag
        ]
        if done.data is not None and edits:
            self.files.append(FileChange(file, edits, done.data))

    def _unusable(self, path: str, wrong: Sequence[Diagnostic]) -> None:
        """A notebook that cannot be used stops the renaming if it mentions the name."""
        try:
            file = files.read(path)
        except UserError:
            file = None
        if file is None or self.old.encode() in file.data:
            self.diagnostics += wrong
            return
        note = f"it does not mention `{self.old}`, and is left alone"
        self.look += (replace(one, severity="warning", notes=(note,)) for one in wrong)

    def check_specs(self) -> None:
        """Check that the renamed specs are valid."""
        for path in self.specs:
            read_spec(self.texts[path].renamed, self._after)

    def _is_first(self, path: str) -> bool:
        identity = files.identity(path)
        first = identity not in self.seen
        self.seen.add(identity)
        return first

    def _load(self, path: str, at: Label) -> Source:
        try:
            return ready_spec(path) if is_ready(path) else self._text(path)
        except UserError as exc:
            raise UserError.of("not-read", exc.diagnostics[0].message, at) from None

    def _text(self, path: str) -> Source:
        """The text of a spec, which is renamed in when it is first asked for."""
        if path not in self.texts:
            file = files.read(path)
            source = files.as_text(path, file.data)
            made = rename_in_spec(source, self.old, self.new)
            self.texts[path] = made
            if self._is_first(path):
                self._take(file, made, collisions(made.steps, self.old, self.new, "the spec"))
        return self.texts[path].source

    def _after(self, path: str, _at: Label) -> Source:
        return ready_spec(path) if is_ready(path) else self.texts[path].renamed

    def _take(self, file: files.File, made: Renamed, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics += diagnostics
        self.steps.update(dict.fromkeys(made.steps))
        mark = BOM if file.data.startswith(BOM) else b""
        self.look += made.look
        if made.edits:
            self.files.append(FileChange(file, made.edits, mark + made.text.encode()))
