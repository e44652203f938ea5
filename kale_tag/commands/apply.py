"""`kale-tag apply`, `revert` and `upgrade`: change notebooks, and print what was done."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from kale_tag import files
from kale_tag.commands.shared import batch
from kale_tag.commands.shared.journal import commit_all, refuse_unfinished, settle
from kale_tag.commands.shared.options import (
    BatchOptions,
    FormatOptions,
    NotebookPaths,
    ReanchorOptions,
    SpecPaths,
    argument,
    option,
)
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.commands.shared.targets import STDIN, find_targets
from kale_tag.diagnostics import UserError, count
from kale_tag.notebook.model import Notebook
from kale_tag.plan.apply import Applied
from kale_tag.plan.plan import Plan
from kale_tag.render import plan as render
from kale_tag.render.text import Style, one_line
from kale_tag.spec.model import Change


@dataclass(kw_only=True)
class WriteOptions(FormatOptions, BatchOptions):
    """Of the commands that change notebooks."""

    interactive: bool = option(
        False, "Ask for each changed cell, as `git add -p` does.", short="-i"
    )
    all_or_nothing: bool = option(False, "Write no notebook unless all can be written.")

    verb: ClassVar = "changed"  # what is done to a notebook
    shows: ClassVar = False  # show each change as `plan` does


@dataclass(kw_only=True)
class ApplyOptions(SpecPaths, ReanchorOptions, WriteOptions):
    """The options of `kale-tag apply`."""

    finish: bool = option(
        False, "After --all-or-nothing or `rename` was killed: replace the remaining files."
    )
    undo: bool = option(False, "After the same: restore the replaced files.")


@dataclass(kw_only=True)
class RevertOptions(ReanchorOptions, WriteOptions):
    """The options of `kale-tag revert`."""

    paths: list[str] = argument(
        "PATCH|FOLDER|NOTEBOOK",
        "Patches, or folders of patches. If notebooks are given too, only their patches are used. "
        "`-` is standard input.",
    )

    verb: ClassVar = "reverted"


@dataclass(kw_only=True)
class UpgradeOptions(NotebookPaths, WriteOptions):
    """The options of `kale-tag upgrade`."""

    verb: ClassVar = "upgraded"
    shows: ClassVar = True


def apply(options: ApplyOptions) -> int:
    """Write what a spec or a reviewed patch changes, and nothing else.

    kale-tag apply spec.yaml notebook.ipynb

    kale-tag apply spec.yaml notebooks/ --all-or-nothing

    kale-tag apply spec.yaml - < in.ipynb > out.ipynb

    kale-tag apply patches/
    """
    if options.finish or options.undo:
        if options.finish == options.undo or options.paths:
            raise UserError.of("bad-options", "`--finish` and `--undo` go with nothing else")
        number = settle("new" if options.finish else "old")
        print(f"{count(number, 'file')} {'replaced' if options.finish else 'as before'}")
        return 0
    return _write(options.paths, options, reanchor=options.reanchor)


def revert(options: RevertOptions) -> int:
    """Undo patches that were applied.

    kale-tag revert patches/
    """
    return _write(options.paths, options, undo=True, reanchor=options.reanchor)


def upgrade(options: UpgradeOptions) -> int:
    """Bring tags and settings of Kale 0.x to Kale 2.

    Problems that only you can fix are listed with their lines.

    kale-tag upgrade old.ipynb

    kale-tag upgrade notebooks/ --all-or-nothing

    It does what `kale-tag apply kale:upgrade` does, and shows it; `kale-tag plan kale:upgrade` only
    shows it, and with `-o patches/` writes patches for a review.
    """
    paths = options.paths
    if not paths:
        raise UserError.of("no-notebooks", "no notebook is given", help="kale-tag upgrade NOTEBOOK")
    if others := [path for path in paths if path.endswith((".yaml", ".yml", ".json"))]:
        message = f"upgrade takes notebooks, and {others[0]} is not a notebook"
        hint = "`legacy: upgrade` in a spec upgrades first, and then applies its rules"
        raise UserError.of("bad-options", message, help=hint)
    return _write(["kale:upgrade", *paths], options)


def _write(
    paths: Sequence[str], options: WriteOptions, *, undo: bool = False, reanchor: bool = False
) -> int:
    """Change the notebooks that *paths* stand for; the exit code."""
    if options.interactive:
        _check_interactive(paths, options)
    refuse_unfinished()
    report = Report(style_for(options.color, sys.stdout.isatty()))
    targets = find_targets(paths, patches_only=undo)
    files.tidy({os.path.dirname(one.name) for one in targets.tasks if one.name != STDIN})
    report.keep(targets.diagnostics)
    report.unusable = targets.unusable
    report.note = targets.note
    how = batch.Work(
        _show(options, report.style),
        undo=undo,
        reanchor=reanchor,
        choose=_Asker(report.style) if options.interactive else None,
        write=True,
        stage_only=options.all_or_nothing,
        jobs=options.jobs,
        quiet=options.quiet or options.interactive,
    )
    written = not options.all_or_nothing
    try:
        for outcome in batch.run(targets, how):
            report.add(outcome)
        if options.all_or_nothing:
            written = _commit(report)
    finally:
        if written:  # also before an interruption
            _print_changes(report, options)
        for outcome in report.outcomes:
            if outcome.staged is not None:
                outcome.staged.discard()
        report.close(verbose=options.verbose, quiet=options.quiet)
    _print_end(report, options, written=written)
    return report.exit_code


def _check_interactive(paths: Sequence[str], options: WriteOptions) -> None:
    clash = "--format json" if options.format == "json" else "--jobs" if options.jobs > 1 else ""
    if STDIN in paths:
        clash = "`-`, because the answers come from standard input"
    if clash:
        raise UserError.of("bad-options", f"--interactive cannot go with {clash}")


def _show(options: WriteOptions, style: Style) -> batch.Show:
    def show(outcome: batch.Outcome, done: Applied) -> None:
        if options.format == "json":
            value = render.as_value(done.plan, done.notebook)
            outcome.value.append({"spec": done.spec, **value})
            return
        if options.verbose or (options.shows and not options.quiet):
            lines = render.as_text(done.plan, done.notebook, style)
            outcome.text += "".join(f"{line}\n" for line in lines)
        outcome.text += "".join(f"{line}\n" for line in render.moved(done.plan, style))

    return show


def _print_end(report: Report, options: WriteOptions, *, written: bool) -> None:
    # If a notebook goes to standard output, nothing else may.
    out = sys.stderr if any(one.name == STDIN for one in report.outcomes) else sys.stdout
    if options.format == "json":
        print(report.as_json(written=written), file=out)
    elif report.outcomes and not options.quiet:
        left = "" if written else "; nothing was written"
        verb = options.verb if written else "to change"
        print(f"{report.summary(verb)}{left}", file=out)


def _print_changes(report: Report, options: WriteOptions) -> None:
    """Print what was done to each notebook, or to many of them, equal changes once."""
    together = [] if options.verbose else [*report.shared_changes()]
    if together and not options.quiet and options.format == "text":
        print(*together, sep="\n")
    for outcome in report.outcomes:
        if outcome.output is not None or not together:
            _print(outcome, report, options)


def _print(outcome: batch.Outcome, report: Report, options: WriteOptions) -> None:
    """Print the notebook itself where it came from standard input, else a line about it."""
    text = options.format == "text" and not options.quiet
    if outcome.output is not None:
        sys.stdout.buffer.write(outcome.output)
        sys.stdout.flush()
    elif text and outcome.changed and not outcome.failed:
        parts = [count(len(outcome.cells), "cell")] if outcome.cells else []
        if outcome.settings:
            parts.append("settings")
        name = report.style.bold(one_line(outcome.name))
        print(f"{options.verb} {name}: {' and '.join(parts)}")
        print(outcome.text, end="")
    elif text and options.verbose and not outcome.failed:
        print(report.style.dim(f"unchanged {one_line(outcome.name)}"))


def _commit(report: Report) -> bool:
    """Put all new files in place, or none where any notebook failed; whether it was done."""
    if not report.exit_code:
        staged = [one.staged for one in report.outcomes if one.staged is not None]
        report.keep(commit_all(staged))
    return not report.exit_code


QUESTION = "change this? [y,n,a,d,q,?] "
HELP = """\
y  yes, change this
n  no, leave it unchanged
a  yes, and all the rest of this notebook
d  no, and nothing more of this notebook
q  no, and nothing more at all; the changes you accepted are written
?  this help
"""


@dataclass(slots=True)
class _Asker:
    """Asks on standard output, and reads answers from standard input; its end means `q`."""

    style: Style
    quitted: bool = False

    def __call__(self, notebook: Notebook, plan: Plan) -> tuple[Change, ...]:
        """The changes of *plan* that the user wants."""
        chosen: list[Change] = []
        if plan.changes and not self.quitted:
            print(self.style.bold(one_line(notebook.name)))
        for number, change in enumerate(plan.changes):
            if self.quitted:
                break
            for line in render.as_text(replace(plan, changes=(change,)), notebook, self.style):
                print(line)
            answer = self._answer()
            if answer == "a":
                return (*chosen, *plan.changes[number:])
            if answer == "d":
                break
            if answer == "q":
                self.quitted = True
            elif answer == "y":
                chosen.append(change)
        return tuple(chosen)

    def _answer(self) -> str:
        while True:
            print(self.style.blue(QUESTION), end="", flush=True)
            line = sys.stdin.readline()
            if not line:
                print()
                return "q"
            answer = line.strip().lower()[:1]
            if answer and answer in "ynadq":
                return answer
            print(HELP, end="")
