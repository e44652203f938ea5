"""`kale-tag plan`: what would change; writes nothing."""

import shlex
import sys
from collections.abc import Sequence

from kale_tag.commands.shared import batch
from kale_tag.commands.shared.options import (
    Color,
    Diff,
    Explain,
    Format,
    Jobs,
    PatchOutput,
    Paths,
    Quiet,
    Reanchor,
    Verbose,
)
from kale_tag.commands.shared.patches import Folder
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.commands.shared.targets import STDIN, find_targets
from kale_tag.diagnostics import UserError, count, error
from kale_tag.plan.apply import Applied
from kale_tag.render import plan as render
from kale_tag.render.text import Style


def plan(  # noqa: PLR0913  one parameter an option
    paths: Paths,
    *,
    output: PatchOutput = "",
    diff: Diff = False,
    explain: Explain = False,
    reanchor: Reanchor = False,
    format: Format = "text",  # noqa: A002  the option's name
    jobs: Jobs = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
) -> int:
    """Show what a spec would change, or write it as patches for a review.

    kale-tag plan spec.yaml notebook.ipynb

    kale-tag plan specs/churn.yaml --explain

    kale-tag plan specs/ -o patches/
    """
    if output:
        also = "--format json" if output == STDIN and format == "json" else ""
        _check_output(paths, "--diff" if diff else also)
    style = style_for(color, sys.stdout.isatty())
    show = _as_value(explain) if format == "json" else _as_text(explain, style)
    report = Report(style)
    targets = find_targets(paths)
    report.keep(targets.diagnostics)
    report.unusable = targets.unusable
    how = batch.Work(
        show,
        diff=diff and format == "text",
        patch=bool(output),
        reanchor=reanchor,
        jobs=jobs,
        quiet=quiet,
    )
    folder = Folder(output) if output else None
    try:
        for outcome in batch.run(targets, how):
            report.add(outcome)
            if folder is not None and not outcome.failed:
                try:
                    folder.add(outcome.name, outcome.patch)
                except UserError as exc:
                    report.fail(outcome, exc)
            if quiet or outcome.failed or format == "json" or output == STDIN:
                continue
            if diff:
                sys.stdout.flush()
                sys.stdout.buffer.write(outcome.diff)
            else:
                _print(outcome, style, verbose=verbose)
        if folder is not None:
            report.keep(folder.finish())
    finally:
        report.close(verbose=verbose, quiet=quiet)
    if format == "json":
        print(report.as_json(written=False))
    elif report.outcomes and not diff and not quiet and output != STDIN:
        _print_end(report, paths, folder)
    return report.exit_code


def _check_output(paths: Sequence[str], other: str) -> None:
    if STDIN in paths:
        other = "`-`: a patch names its notebook by its path"
    if other:
        raise UserError(error("bad-options", f"--output cannot go with {other}"))


def _print_end(report: Report, paths: Sequence[str], folder: Folder | None) -> None:
    cells = sum(len(one.cells) for one in report.changed)
    found = f" ({count(cells, 'cell')})" if cells else ""
    wrote = "nothing was written"
    if folder is not None and (folder.written or folder.is_file):
        number = len(folder.written)
        some = {0: "an empty patch", 1: "1 patch"}.get(number, f"{number} patches")
        wrote = f"wrote {some} to {folder.path}"
    print(f"{report.summary('to change')}{found}; {wrote}")
    if report.changed and not report.exit_code:
        what = paths if folder is None else [folder.path]
        print(f"To write it: {shlex.join(['kale-tag', 'apply', *what])}")


def _as_value(explain: bool) -> batch.Show:  # noqa: FBT001  an option, passed on
    def show(outcome: batch.Outcome, done: Applied) -> None:
        value = render.as_value(done.plan, done.notebook)
        if explain:
            value["explain"] = render.explained_value(done.plan, done.notebook)
        outcome.value.append({"spec": done.spec, **value})

    return show


def _as_text(explain: bool, style: Style) -> batch.Show:  # noqa: FBT001  an option, passed on
    def show(outcome: batch.Outcome, done: Applied) -> None:
        lines = [*render.as_text(done.plan, done.notebook, style)]
        if explain:
            lines += render.explained(done.plan, done.notebook, style)
        lines += render.moved(done.plan, style)
        outcome.text += "".join(f"{line}\n" for line in lines)

    return show


def _print(outcome: batch.Outcome, style: Style, *, verbose: bool) -> None:
    if outcome.text:
        print(style.bold(outcome.name), outcome.text, sep="\n", end="")
    elif verbose:
        print(style.dim(f"{outcome.name}: no changes"))
