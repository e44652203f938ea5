"""`kale-tag runs`: lists the runs in `.kale-tag/runs`, and deletes old ones."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from kale_tag.commands.shared.options import FormatOptions, argument, option
from kale_tag.diagnostics import UserError, count, suggest
from kale_tag.render import run_text
from kale_tag.render.text import json_text, one_line
from kale_tag.run.reuse import HOME
from kale_tag.run.run_record import RunOutcome, earlier_runs

_HOME = os.path.join(HOME, "runs")


@dataclass(kw_only=True)
class RunsOptions(FormatOptions):
    """The options of `kale-tag runs`."""

    runs: list[str] = argument(
        "PIPELINE|RUN", "Pipelines, or runs as they are listed: PIPELINE/TIME. Default: all."
    )
    keep: int = option(0, "List or delete all but the N newest runs of each pipeline.", "N")
    delete: bool = option(
        False,
        "Delete the runs instead of listing them. A run that has not ended is deleted only if you "
        "name it.",
    )


def runs(options: RunsOptions) -> int:
    """List the runs kept by `kale-tag run`, or delete old ones.

    kale-tag runs

    kale-tag runs churn --keep 3 --delete

    kale-tag runs churn/2026-11-29-051233 --delete

    Only folders in .kale-tag/runs that you alone can write are runs.
    """
    if options.keep < 0:
        raise UserError.of("bad-option", f"`--keep` takes 0 or more, not {options.keep}")
    if options.delete and not options.runs and not options.keep:
        hint = "name runs or pipelines, or spare some with `--keep N`"
        raise UserError.of("bad-options", "`--delete` alone would delete every run", help=hint)
    wanted = _wanted(options)
    sizes = {name: _size(run.folder) for name, run in wanted.items()}
    if options.delete:
        _delete(wanted)
    if options.format == "json":
        print(json_text([_value(name, run, sizes[name]) for name, run in wanted.items()]))
        return 0
    width = max(map(len, wanted), default=0)
    for name, run in wanted.items():
        state = "deleted" if options.delete else _state(run)
        size = run_text.size(sizes[name])
        time = run_text.seconds(run.seconds)
        print(f"{one_line(name).ljust(width)}  {state.ljust(10)}  {time.rjust(7)}  {size.rjust(8)}")
    total = run_text.size(sum(sizes.values()))
    number = f"{count(len(wanted), 'run')}{' deleted' if options.delete else ''}"
    print(f"{number}, {total}" if wanted else f"{number} in {_HOME}")
    return 0


def _wanted(options: RunsOptions) -> dict[str, RunOutcome]:
    """The runs that *options* choose, by name; the newest of each pipeline first."""
    found: dict[str, list[str]] = {}
    every: dict[str, RunOutcome] = {}
    for pipeline in sorted(_folders(_HOME)):
        own = earlier_runs(os.path.join(_HOME, pipeline))
        home = os.path.join(os.path.realpath(os.curdir), _HOME, pipeline)
        named = {
            f"{pipeline}/{name}": run
            for run in own
            for name in (os.path.basename(run.folder),)
            if os.path.realpath(run.folder) == os.path.join(home, name)  # no link leads out of it
        }
        found[pipeline] = [*named]
        every |= named
    for name in options.runs:
        if name not in every and name not in found:
            hint = suggest(name, [*found, *every], "there are")
            raise UserError.of("not-found", f"no run here is `{name}`", help=hint)
    chosen = {*options.runs, *(one for name in options.runs for one in found.get(name, ()))}
    spared = {name for names in found.values() for name in names[: options.keep]}
    return {
        name: run
        for name, run in every.items()
        if name not in spared
        and (name in chosen or not options.runs)
        and (not options.delete or _has_ended(run) or name in options.runs)
    }


def _folders(path: str) -> Iterator[str]:
    """The names of the folders in *path*, without links; none if it does not exist."""
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            yield from (one.name for one in entries if one.is_dir(follow_symlinks=False))


def _has_ended(run: RunOutcome) -> bool:
    """Whether the run is not at work, and was not killed."""
    return not os.path.isdir(os.path.join(run.folder, "work"))


def _state(run: RunOutcome) -> str:
    return run.state if _has_ended(run) else "unfinished"


def _size(folder: str) -> int:
    """Bytes of all files of a run."""
    paths = (os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)
    return sum(os.lstat(path).st_size for path in paths)


def _delete(wanted: dict[str, RunOutcome]) -> None:
    for name, run in wanted.items():
        try:
            shutil.rmtree(run.folder)
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            raise UserError.of("not-written", f"cannot delete {name}: {reason}") from None


def _value(name: str, run: RunOutcome, size: int) -> dict[str, object]:
    return {
        "run": name,
        "folder": run.folder,
        "state": _state(run),
        "started": run.started,
        "seconds": run.seconds,
        "bytes": size,
    }
