"""`kale-tag plan`: what would change; writes nothing."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from kale_tag import files
from kale_tag.commands.shared import batch
from kale_tag.commands.shared.options import (
    BatchOptions,
    ReanchorOptions,
    ReviewOptions,
    SpecPaths,
    option,
)
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.commands.shared.targets import STDIN, find_targets
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, count, pasted, warning
from kale_tag.plan.apply import Applied
from kale_tag.plan.patch import ENDING, as_text
from kale_tag.render import plan as render
from kale_tag.render.text import Style, one_line

SHOWN = 5
"""How many files a message names."""


@dataclass(kw_only=True)
class PlanOptions(SpecPaths, ReanchorOptions, ReviewOptions, BatchOptions):
    """The options of `kale-tag plan`."""

    output: str = option(
        "",
        "Write a JSON Patch for each notebook that changes into this folder, or, for one notebook, "
        "to this file (.json); `-` is standard output.",
        "PATH",
        short="-o",
    )
    diff: bool = option(False, "Print the change as a unified diff, which `git apply` takes.")
    explain: bool = option(
        False, "For each rule, show the cells it selects, and why it does not select the others."
    )


def plan(options: PlanOptions) -> int:
    """Show what a spec would change, or write it as patches.

    kale-tag plan spec.yaml notebook.ipynb

    kale-tag plan specs/churn.yaml --explain

    kale-tag plan specs/ -o patches/
    """
    form = options.format
    if options.output:
        also = f"--format {form}" if options.output == STDIN and form != "text" else ""
        _check_output(options.paths, "--diff" if options.diff else also)
    options.check_limit()
    report = Report(style_for(options.color, sys.stdout.isatty()))
    targets = find_targets(options.paths)
    report.keep(targets.diagnostics)
    report.unusable = targets.unusable
    report.note = targets.note
    how = batch.Work(
        _show(options, report.style),
        diff=options.diff and form == "text",
        compare=form == "markdown",
        patch=bool(options.output),
        reanchor=options.reanchor,
        explain=options.explain,
        jobs=options.jobs,
        quiet=options.quiet,
    )
    folder = _Folder(options.output) if options.output else None
    printed = form == "text" and not options.quiet and options.output != STDIN
    try:
        for outcome in batch.run(targets, how):
            report.add(outcome)
            if folder is not None and not outcome.failed:
                _write(outcome, folder, report)
        if printed:
            _print_plans(report, options)
        if folder is not None:
            report.keep(folder.finish())
    finally:
        report.close(verbose=options.verbose, quiet=options.quiet)
    if form == "json":
        print(report.as_json(written=False))
    elif form == "markdown":
        _print_markdown(report, options.limit)
    elif printed and report.outcomes and not options.diff:
        _print_end(report, options.paths, folder)
    return report.exit_code or int(options.exit_code and bool(report.changed))


class _Folder:
    """Where a plan's patches go: a folder, or for one notebook a file (`.json`) or `-`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_file = path.endswith(".json") or path == "-"
        self.written: list[str] = []

    def add(self, notebook: str, text: str) -> None:
        """Write the patch of *notebook*, if anything changes.

        Raises `UserError` where it cannot be written.
        """
        path = self.path
        if not self.is_file:
            path = os.path.join(self.path, *(batch.name_below(notebook) + ENDING).split("/"))
        elif text and self.written:
            raise UserError.of(
                "two-notebooks",
                f"more than one notebook changes, and {self.path} is one file",
                help="name a folder",
            )
        if text:
            self._write(path, text)
            self.written.append(os.path.normpath(path))

    def finish(self) -> list[Diagnostic]:
        """Warnings of patches in the folder that are not of this plan."""
        if self.is_file:
            if not self.written:  # so that `apply` finds a patch, though an empty one
                self._write(self.path, as_text(()))
            return []
        left = [path for path in files.below(self.path, ENDING) if path not in self.written]
        if not left:
            return []
        what = "a patch that is" if len(left) == 1 else f"{len(left)} patches that are"
        return [
            warning(
                "leftover-patch",
                f"{self.path} has {what} not of this plan",
                Label(Source(left[0])),
                notes=left[1:SHOWN] + ([f"and {len(left) - SHOWN} more"] if left[SHOWN:] else []),
                help="remove old patches; otherwise "
                f"`{pasted('kale-tag apply', [self.path])}` applies them too",
            )
        ]

    def _write(self, path: str, text: str) -> None:
        if path == "-":
            print(text, end="")
        else:
            files.write(path, text.encode())


def _write(outcome: batch.Outcome, folder: _Folder, report: Report) -> None:
    try:
        folder.add(outcome.name, outcome.patch)
    except UserError as exc:
        report.fail(outcome, exc)


def _check_output(paths: Sequence[str], other: str) -> None:
    if STDIN in paths:
        other = "`-`: a patch names its notebook by its path"
    if other:
        raise UserError.of("bad-options", f"--output cannot go with {other}")


def _print_end(report: Report, paths: Sequence[str], folder: _Folder | None) -> None:
    cells = sum(len(one.cells) for one in report.changed)
    found = f" ({count(cells, 'cell')})" if cells else ""
    wrote = "nothing was written"
    if folder is not None and (folder.written or folder.is_file):
        number = len(folder.written)
        some = {0: "an empty patch", 1: "1 patch"}.get(number, f"{number} patches")
        wrote = f"wrote {some} to {one_line(folder.path)}"
    print(f"{report.summary('to change')}{found}; {wrote}")
    if more := sum(one.continuing for one in report.outcomes):
        print(f"No rule selects {count(more, 'cell')} with code; -v shows which step they continue")
    if report.changed and not report.exit_code:
        what = paths if folder is None else [folder.path]
        print(f"To write it: {pasted('kale-tag apply', what)}")


def _show(options: PlanOptions, style: Style) -> batch.Show:
    def show(outcome: batch.Outcome, done: Applied) -> None:
        if options.format == "json":
            value = render.as_value(done.plan, done.notebook)
            if options.explain:
                value["explain"] = render.explained_value(done.plan, done.notebook)
            outcome.value.append({"spec": done.spec, **value})
            return
        lines = [*render.as_text(done.plan, done.notebook, style)]
        if options.explain:
            lines += render.explained(done.plan, done.notebook, style)
        lines += render.moved(done.plan, style)
        lines += render.continuing(done.plan, done.notebook, style) if options.verbose else ()
        outcome.text += "".join(f"{line}\n" for line in lines)

    return show


def _print_plans(report: Report, options: PlanOptions) -> None:
    """Print the changes of each notebook, or of many notebooks the equal ones once."""
    each = options.diff or options.explain or options.verbose
    together = [] if each else [*report.shared_changes()]
    for outcome in report.outcomes:
        if (outcome.failed and not options.explain) or (outcome.changed and together):
            continue
        if options.diff:
            sys.stdout.flush()
            sys.stdout.buffer.write(outcome.diff)
        elif outcome.text:
            print(report.style.bold(one_line(outcome.name)), outcome.text, sep="\n", end="")
        elif options.verbose and not outcome.failed:
            print(report.style.dim(f"{one_line(outcome.name)}: no changes"))
    for line in together:
        print(line)


def _print_markdown(report: Report, limit: int) -> None:
    from kale_tag.render.diff import ComparedNotebook  # noqa: PLC0415  seldom asked for
    from kale_tag.render.diff_markdown import as_markdown  # noqa: PLC0415  see above

    done = [
        ComparedNotebook(one.name, one.name, True, one.compared, one.diagnostics * one.failed)
        for one in report.outcomes
    ]
    print(as_markdown("What the plan changes", done, limit), end="")
