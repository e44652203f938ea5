"""`kale-tag apply`: write what a spec asks for."""

import sys

from kale_tag.commands import batch
from kale_tag.commands.options import AllOrNothing, Color, Format, Jobs, Paths, Quiet, Verbose
from kale_tag.commands.report import Report, count, style_for
from kale_tag.commands.targets import STDIN, find_targets
from kale_tag.diagnostics import UserError
from kale_tag.render import plan as render
from kale_tag.render.style import Style
from kale_tag.tagging.retag import Retagged


def apply(  # noqa: PLR0913  one parameter an option
    paths: Paths,
    *,
    all_or_nothing: AllOrNothing = False,
    format: Format = "text",  # noqa: A002  the option's name
    jobs: Jobs = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
) -> int:
    """Write what a spec asks for, and nothing else.

    kale-tag apply spec.yaml notebook.ipynb

    kale-tag apply spec.yaml notebooks/ --all-or-nothing

    kale-tag apply spec.yaml - < in.ipynb > out.ipynb
    """
    report = Report(style_for(color, sys.stdout.isatty()))
    targets = find_targets(paths)
    report.tell(targets.faults)
    how = batch.Run(
        _show(format, verbose, report.style),
        write=True,
        stage_only=all_or_nothing,
        jobs=jobs,
        quiet=quiet,
    )
    text = format == "text" and not quiet
    try:
        for outcome in batch.run(targets, how):
            report.add(outcome)
            if not all_or_nothing:
                _print(outcome, report, text=text, verbose=verbose)
        written = not all_or_nothing or _commit(report)
    finally:
        for outcome in report.outcomes:
            if outcome.staged is not None:
                outcome.staged.discard()
    for outcome in report.outcomes if all_or_nothing and written else ():
        _print(outcome, report, text=text, verbose=verbose)
    _print_end(report, as_json=format == "json", quiet=quiet, written=written)
    return report.exit_code


def _show(format: Format, verbose: bool, style: Style) -> batch.Show:  # noqa: A002, FBT001  options
    def show(outcome: batch.Outcome, done: Retagged) -> None:
        if format == "json":
            value = render.as_value(done.plan, done.notebook)
            outcome.value.append({"spec": done.spec, **value})
        elif verbose:
            lines = render.as_text(done.plan, done.notebook, style)
            outcome.text += "".join(f"{line}\n" for line in lines)

    return show


def _print_end(report: Report, *, as_json: bool, quiet: bool, written: bool) -> None:
    # Where a notebook goes to standard output, nothing else may.
    out = sys.stderr if any(one.name == STDIN for one in report.outcomes) else sys.stdout
    if as_json:
        print(report.as_json(written=written), file=out)
    elif report.outcomes and not quiet:
        left = "" if written else "; nothing was written"
        verb = "changed" if written else "to change"
        print(f"{report.summary(verb)}{left}", file=out)


def _print(outcome: batch.Outcome, report: Report, *, text: bool, verbose: bool) -> None:
    """Print the notebook itself where it came from standard input, else a line about it."""
    if outcome.output is not None:
        sys.stdout.buffer.write(outcome.output)
        sys.stdout.flush()
    elif text and outcome.changed and not outcome.failed:
        parts = [count(len(outcome.cells), "cell")] if outcome.cells else []
        if outcome.settings:
            parts.append("settings")
        name = report.style.bold(outcome.name)
        print(f"changed {name}: {' and '.join(parts)}")
        print(outcome.text, end="")
    elif text and verbose and not outcome.failed:
        print(report.style.dim(f"unchanged {outcome.name}"))


def _commit(report: Report) -> bool:
    """Put all new files in place, or none where any notebook failed; whether it was done.

    Every file is looked at before the first is replaced, so that one that was saved meanwhile
    stops them all.
    """
    staged = [one.staged for one in report.outcomes if one.staged is not None]
    try:
        for one in staged:
            one.check()
    except UserError as fault:
        report.tell(fault.diagnostics)
    if report.exit_code:
        return False
    for outcome in report.outcomes:
        if outcome.staged is not None:
            try:
                outcome.staged.commit()
            except UserError as fault:
                outcome.failed = True
                report.tell(fault.diagnostics)
    return True
