"""`kale-tag run`: a pipeline on this machine."""

import contextlib
import datetime as dt
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from kale_tag import files
from kale_tag.commands.run_report import Screen, finish
from kale_tag.commands.shared.options import (
    Cache,
    Color,
    Compare,
    From,
    Install,
    Keep,
    Logs,
    Parameters,
    ParamsFile,
    Quiet,
    Runnable,
    RunReport,
    Timeout,
    Until,
)
from kale_tag.commands.shared.packages import Loaded, exit_code, load_package, read_arguments
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.compiler.read_package import Compiled, PackageTask, read_compiled
from kale_tag.diagnostics import UserError, error, suggest
from kale_tag.run import local
from kale_tag.run.comparison import (
    check_comparable,
    compare_runs,
    environment,
    watched,
)
from kale_tag.run.reuse import Reuse, RunPlace, place_for, reusable, reused_from
from kale_tag.run.run_record import RunOutcome, keep_artifacts, write_run
from kale_tag.run.this_machine import cluster_only, missing_packages


def run(  # noqa: PLR0913  one parameter an option
    paths: Runnable,
    *,
    param: Parameters = None,
    params: ParamsFile = "",
    until: Until = "",
    start: From = "",
    cache: Cache = False,
    install: Install = False,
    keep: Keep = "",
    timeout: Timeout = 0,
    report: RunReport = "",
    compare: Compare = False,
    quiet: Quiet = False,
    verbose: Logs = False,
    color: Color = "auto",
) -> int:
    """Run a pipeline on this machine, on KFP's own local runner.

    kale-tag run notebook.ipynb -p epochs=3

    kale-tag run spec.yaml notebook.ipynb --from train

    kale-tag run pipeline.yaml --keep out --report run.html

    Steps run one after another in this Python, in the folder of the notebook.
    """
    style = style_for(color, sys.stdout.isatty())
    diagnostics = Report(style)
    local.check_machine()
    if timeout < 0:
        message = f"`--timeout {timeout}` is negative; it takes seconds, 0 for no limit"
        raise UserError(error("no-time", message))
    try:
        loaded = load_package(paths)
        compiled = read_compiled(loaded.header)
    except UserError as exc:
        diagnostics.show(exc.diagnostics)
        return exit_code(exc)
    diagnostics.show(loaded.warnings)
    if compare:
        _check_whole(start, cache=cache)
        check_comparable(loaded.name, loaded.pipeline)
    package = _until(compiled, until)
    found = read_arguments(loaded.header, param or (), params)
    values = {one.name: found.get(one.name, one.default) for one in loaded.header.parameters}
    arguments = {loaded.header.names[name]: value for name, value in values.items()}
    place = place_for(keep, loaded.header.pipeline)
    reused = _reused(package, arguments, place, start, cache=cache)
    to_run = [task for task in package.tasks if task.id not in reused]
    _check_packages(loaded, to_run, install=install)
    diagnostics.show(cluster_only(to_run))
    place.open(reused)
    files.write(os.path.join(place.folder, "package.yaml"), loaded.header.source.text.encode())
    live = sys.stdout.isatty() and not verbose and os.environ.get("TERM") != "dumb"
    screen = Screen(style, place.folder, quiet, live, verbose)
    if not quiet:
        print(f"{style.bold(loaded.header.pipeline)}  {os.path.relpath(place.folder)}", flush=True)
    now = dt.datetime.now().astimezone().isoformat(timespec="milliseconds")
    outcome = RunOutcome(loaded.header.pipeline, place.folder, now, parameters=values)
    watch = local.Watch(package, outcome, arguments, reused)
    limits = {
        task.id: float(timeout or int(task.platform.get("activeDeadlineSeconds", 0)))
        for task in to_run
    }
    work = os.path.abspath(loaded.folder)
    plan = local.LocalRun(
        package, place.folder, work, arguments, limits, reused.keys(), install=install
    )
    if compare:
        environ = environment(os.path.join(place.folder, "compare", "pipeline"))
        plan = replace(plan, package=watched(package), environ=environ)
    interrupted = _execute(plan, watch, screen)
    place.close()
    beside = None
    if compare and not interrupted:
        assert loaded.pipeline is not None
        notebook = loaded.name, loaded.pipeline
        beside = partial(compare_runs, *notebook, package, watch.run, timeout)
    code = finish(watch, diagnostics, beside, report=report, quiet=quiet, verbose=verbose)
    if interrupted:
        raise KeyboardInterrupt
    return code


def _check_whole(start: str, *, cache: bool) -> None:
    """Raise `UserError` if some steps do not run, and cannot be compared."""
    if start or cache:
        word = "--from" if start else "--cache"
        message = f"`--compare` needs every step to run; with `{word}` some do not"
        raise UserError(error("not-whole", message, help=f"leave out `{word}`"))


def _execute(plan: local.LocalRun, watch: local.Watch, screen: Screen) -> bool:
    """Run the pipeline and keep its artifacts; whether the user stopped it."""
    write_run(watch.run)
    interrupted = False
    try:
        with contextlib.closing(local.execute(plan)) as events:
            for event in events:
                if step := watch.on(event):
                    screen.ended(watch.run, step, watch.now)
                screen.draw(watch.run, watch.now)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        try:
            watch.close(interrupted=interrupted)
        finally:
            screen.close(watch.run, watch.now)
    keep_artifacts(plan.folder)
    with contextlib.suppress(OSError):  # the disk is full, which is reported later
        write_run(watch.run)
    return interrupted


def _until(package: Compiled, step: str) -> Compiled:
    if not step:
        return package
    return package.until(_unit(package, step))


def _unit(package: Compiled, name: str) -> str:
    """The step *name*. Raises `UserError` if a run cannot start or stop at it."""
    if name in package.dependencies:
        return name
    inside = next((task for task in package.tasks if name in {task.title, task.name}), None)
    if inside is not None:
        message = f"`{name}` is a step of the referenced notebook `{inside.unit}`"
        raise UserError(error("inner-step", message, help=f"name the reference: `{inside.unit}`"))
    hint = suggest(name, package.dependencies, "its steps are")
    raise UserError(error("unknown-step", f"the pipeline has no step `{name}`", help=hint))


def _reused(
    package: Compiled, arguments: Mapping[str, object], place: RunPlace, start: str, *, cache: bool
) -> dict[str, Reuse]:
    """The steps that need not run, since an earlier run has done them."""
    if not start:
        return reusable(package, arguments, place.earlier) if cache else {}
    unit = _unit(package, start)
    again = {unit, *package.after(unit)}
    wanted = [task.id for task in package.tasks if task.unit not in again]
    if not place.earlier:
        message = f"`--from {start}` needs an earlier run of `{package.graph.name}`, but there is "
        message += "none"
        where = os.path.relpath(os.path.dirname(place.folder) if place.home else place.folder)
        hint = f"run it once without `--from`; runs are searched in {where}"
        raise UserError(error("no-earlier-run", message, help=hint))
    refused: UserError | None = None
    for run in place.earlier:
        try:
            return reused_from(package, arguments, run, wanted)
        except UserError as exc:
            refused = refused or exc
    assert refused is not None
    raise refused


def _check_packages(loaded: Loaded, tasks: list[PackageTask], *, install: bool) -> None:
    """Raise `UserError` if a step would fail because a package is not installed."""
    beside = files.modules_in(loaded.folder)
    missing = missing_packages(tasks, beside, install=install)
    if not missing:
        return
    notes = [f"{package}: for {', '.join(steps)}" for package, steps in missing.items()]
    words = " ".join(f"'{one}'" if set(one) & set("<>=!~ [];@") else one for one in missing)
    count = len(missing)
    raise UserError(
        error(
            "missing-packages",
            f"this Python lacks {'a package' if count == 1 else f'{count} packages'} that the "
            "steps import",
            notes=notes,
            help=f"{sys.executable} -m pip install {words}; or let the steps do it: --install",
        )
    )
