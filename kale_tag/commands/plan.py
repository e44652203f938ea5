"""`kale-tag plan`: what would change; writes nothing."""

import shlex
import sys

from kale_tag.commands import batch
from kale_tag.commands.options import Color, Diff, Explain, Format, Jobs, Paths, Quiet, Verbose
from kale_tag.commands.report import Report, count, style_for
from kale_tag.commands.targets import find_targets
from kale_tag.render import plan as render
from kale_tag.render.style import Style
from kale_tag.tagging.retag import Retagged


def plan(  # noqa: PLR0913  one parameter an option
    paths: Paths,
    *,
    diff: Diff = False,
    explain: Explain = False,
    format: Format = "text",  # noqa: A002  the option's name
    jobs: Jobs = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
) -> int:
    """Show what a spec would change, cell by cell.

    kale-tag plan spec.yaml notebook.ipynb

    kale-tag plan specs/churn.yaml --explain
    """
    style = style_for(color, sys.stdout.isatty())
    show = _as_value(explain) if format == "json" else _as_text(explain, style)
    report = Report(style)
    targets = find_targets(paths)
    report.tell(targets.faults)
    how = batch.Run(show, diff=diff and format == "text", jobs=jobs, quiet=quiet)
    for outcome in batch.run(targets, how):
        report.add(outcome)
        if quiet or outcome.failed or format == "json":
            continue
        if diff:
            sys.stdout.flush()
            sys.stdout.buffer.write(outcome.diff)
        else:
            _print(outcome, style, verbose=verbose)
    if format == "json":
        print(report.as_json(written=False))
    elif report.outcomes and not diff and not quiet:
        cells = sum(len(one.cells) for one in report.changed)
        found = f" ({count(cells, 'cell')})" if cells else ""
        print(f"{report.summary('to change')}{found}; nothing was written")
        if report.changed and not report.exit_code:
            print(f"To write it: {shlex.join(['kale-tag', 'apply', *paths])}")
    return report.exit_code


def _as_value(explain: bool) -> batch.Show:  # noqa: FBT001  an option, passed on
    def show(outcome: batch.Outcome, done: Retagged) -> None:
        value = render.as_value(done.plan, done.notebook)
        if explain:
            value["explain"] = render.explained_value(done.plan, done.notebook)
        outcome.value.append({"spec": done.spec, **value})

    return show


def _as_text(explain: bool, style: Style) -> batch.Show:  # noqa: FBT001  an option, passed on
    def show(outcome: batch.Outcome, done: Retagged) -> None:
        lines = [*render.as_text(done.plan, done.notebook, style)]
        if explain:
            lines += render.explained(done.plan, done.notebook, style)
        outcome.text += "".join(f"{line}\n" for line in lines)

    return show


def _print(outcome: batch.Outcome, style: Style, *, verbose: bool) -> None:
    if outcome.text:
        print(style.bold(outcome.name), outcome.text, sep="\n", end="")
    elif verbose:
        print(style.dim(f"{outcome.name}: as the spec says"))
