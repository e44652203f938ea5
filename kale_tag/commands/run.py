"""`kale-tag run`: a pipeline on this machine; what it prints meanwhile and at its end."""

import datetime as dt
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from kale_tag import __version__, files
from kale_tag.code.local_modules import top_of
from kale_tag.commands.shared.options import PipelineOptions, option
from kale_tag.commands.shared.packages import (
    Loaded,
    broken_kfp,
    check_kfp,
    load_package,
    read_arguments,
)
from kale_tag.commands.shared.pipelines import local_modules
from kale_tag.commands.shared.report import Report, can_print, style_for
from kale_tag.commands.shared.targets import STDIN
from kale_tag.compiler.read_package import Compiled, PackageTask, read_compiled
from kale_tag.diagnostics import UserError, error, for_shell, pasted, suggest
from kale_tag.render import run_text
from kale_tag.render.run_page import StepParts, as_page
from kale_tag.render.run_text import (
    TAIL,
    beyond,
    clean,
    failure,
    last_words,
    unforeseen_sharing,
)
from kale_tag.render.text import Style
from kale_tag.run import local
from kale_tag.run.comparison import (
    check_comparable,
    compare_runs,
    environment,
    watched,
)
from kale_tag.run.reuse import Reuse, RunPlace, place_for, reusable, reused_from
from kale_tag.run.run_record import (
    RunComparison,
    RunOutcome,
    StepOutcome,
    keep_artifacts,
    write_run,
)
from kale_tag.run.this_machine import cluster_only, missing_packages

KEPT = 100_000
"""Bytes of a long log that the page shows from either end."""


@dataclass(kw_only=True)
class RunOptions(PipelineOptions):
    """The options of `kale-tag run`."""

    until: str = option("", "Run only this step and the steps that it depends on.", "STEP")
    start: str = option(
        "",
        "Run this step and those that depend on it; take the results of the others from the last "
        "run.",
        "STEP",
        long="--from",
    )
    cache: bool = option(
        False,
        "Reuse the results of steps that an earlier run did with the same code, parameters and "
        "inputs.",
    )
    install: bool = option(
        False, "Let the steps install their packages into this Python environment."
    )
    keep: str = option(
        "",
        "The folder for all files of this run; it replaces an earlier run there. Default: a new "
        "folder in .kale-tag/runs/PIPELINE/.",
        "FOLDER",
    )
    timeout: int = option(
        0,
        "The most seconds that a step may take. Default: its `timeout` in the spec, else no limit.",
        "SECONDS",
    )
    report: str = option("", "Also write the HTML page of the run to this file.", "FILE.html")
    compare: bool = option(
        False,
        "Also run the plain notebook, and compare metrics and variables; exit 1 if they differ.",
    )
    verbose: bool = option(
        False, "Also print the output of the steps, and with --compare each variable.", short="-v"
    )


@dataclass(slots=True)
class Screen:
    """Shows a run: on a terminal a live table, else a line for each step that ends."""

    style: Style
    folder: str  # of the run
    quiet: bool = False  # nothing is shown
    live: bool = False  # a table
    logs: bool = False  # what the steps print is shown too
    printed: dict[str, int] = field(default_factory=dict)  # task to bytes of its log shown
    table: "_Table | None" = None

    @property
    def plain(self) -> bool:
        """Whether the terminal cannot show the marks of steps."""
        return not can_print("✓▸")

    def draw(self, run: RunOutcome, now: float) -> None:
        """Show the present state of *run*, *now* seconds after its start."""
        if self.quiet:
            return
        if self.logs:
            self._print_logs(run)
        if self.live:
            self.table = self.table or _Table()
            lines = run_text.table(run, self.style, plain=self.plain, now=now)
            active = [n for n, step in enumerate(run.steps) if step.state != "waiting"]
            self.table.show(lines, active[-1] if active else 0)

    def ended(self, run: RunOutcome, step: StepOutcome, now: float) -> None:
        """Show that *step* has ended."""
        if self.quiet or self.live:
            return
        if self.logs:
            self._print_logs(run)
        width = max(len(one.title) for one in run.steps)
        line = run_text.step_line(step, width, self.style, plain=self.plain, now=now)
        print(line, flush=True)

    def close(self, run: RunOutcome, now: float) -> None:
        """Show the final state of *run*, and the cursor again."""
        try:
            self.draw(run, now)
        finally:
            if self.table:
                self.table.close(run_text.table(run, self.style, plain=self.plain, now=now))

    def _print_logs(self, run: RunOutcome) -> None:
        """Print what the steps have written to their logs since the last time."""
        for step in run.steps:
            path = os.path.join(self.folder, "logs", f"{step.task}.log")
            if step.state in {"waiting", "reused"} or not os.path.exists(path):
                continue
            at = self.printed.get(step.task, 0)
            with open(path, "rb") as file:
                file.seek(at)
                while data := file.read(1 << 20):
                    sys.stdout.flush()
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                    at += len(data)
            self.printed[step.task] = at


class _Table:
    """Lines that are drawn in place."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  on a terminal only
        from rich.live import Live  # noqa: PLC0415  the same

        self.console = Console(highlight=False)
        self.live = Live(console=self.console, auto_refresh=False, redirect_stdout=False)
        self.live.start()

    def show(self, lines: list[str], last: int) -> None:
        """Draw *lines*; if they are too many, those around the line *last*."""
        room = self.console.height - 2
        first = max(0, min(last - room + 2, len(lines) - room))
        self._draw(lines[first : first + room])

    def close(self, lines: list[str]) -> None:
        """Draw all *lines*, which remain, and show the cursor."""
        self.live.vertical_overflow = "visible"
        try:
            self._draw(lines)
        finally:
            self.live.stop()

    def _draw(self, lines: list[str]) -> None:
        from rich.text import Text  # noqa: PLC0415  on a terminal only

        text = Text("\n").join(map(Text.from_ansi, lines))
        text.no_wrap, text.overflow = True, "crop"
        self.live.update(text, refresh=True)


def run(options: RunOptions) -> int:
    """Run a pipeline on this machine, on KFP's own local runner.

    kale-tag run notebook.ipynb -p epochs=3

    kale-tag run spec.yaml notebook.ipynb --from train

    kale-tag run pipeline.yaml --keep out --report run.html

    Steps run one after another in this Python, in the folder of the notebook.
    """
    style = style_for(options.color, sys.stdout.isatty())
    diagnostics = Report(style)
    local.check_machine()
    check_kfp("run")
    _check_options(options)
    try:
        loaded = load_package(options.paths, options.env)
        compiled = read_compiled(loaded.header)
    except UserError as exc:
        diagnostics.show(exc.diagnostics)
        return diagnostics.exit_code
    diagnostics.show(loaded.warnings)
    if options.compare:
        check_comparable(loaded.name, loaded.pipeline)
    package = compiled.until(_unit(compiled, options.until)) if options.until else compiled
    found = read_arguments(loaded.header, options.param or (), options.params)
    values = {one.name: found.get(one.name, one.default) for one in loaded.header.parameters}
    arguments = {loaded.header.names[name]: value for name, value in values.items()}
    place = place_for(options.keep, loaded.header.pipeline)
    reused = _reused(package, arguments, place, options.start, cache=options.cache)
    to_run = [task for task in package.tasks if task.id not in reused]
    _check_packages(loaded, to_run, install=options.install)
    diagnostics.show(cluster_only(to_run))
    place.open(reused)
    files.write(os.path.join(place.folder, "package.yaml"), loaded.header.source.text.encode())
    live = sys.stdout.isatty() and not options.verbose and os.environ.get("TERM") != "dumb"
    screen = Screen(style, place.folder, options.quiet, live, options.verbose)
    if not options.quiet:
        print(f"{style.bold(loaded.header.pipeline)}  {os.path.relpath(place.folder)}", flush=True)
    now = dt.datetime.now().astimezone().isoformat(timespec="milliseconds")
    outcome = RunOutcome(loaded.header.pipeline, place.folder, now, parameters=values)
    watch = local.Watch(package, outcome, arguments, reused)
    limits = {
        task.id: float(options.timeout or int(task.platform.get("activeDeadlineSeconds", 0)))
        for task in to_run
    }
    work = os.path.abspath(os.path.dirname(loaded.name))
    plan = local.LocalRun(
        package, place.folder, work, arguments, limits, reused.keys(), install=options.install
    )
    if options.compare:
        environ = environment(os.path.join(place.folder, "compare", "pipeline"))
        plan = replace(plan, package=watched(package), environ=environ)
    interrupted = _execute(plan, watch, screen)
    place.close()
    beside = None
    if options.compare and not interrupted:
        assert loaded.pipeline is not None
        notebook = loaded.name, loaded.pipeline
        beside = partial(compare_runs, *notebook, package, watch.run, options.timeout)
    code = _finish(watch, diagnostics, beside, options)
    if interrupted:
        raise KeyboardInterrupt
    return code


def _check_options(options: RunOptions) -> None:
    if options.timeout < 0:
        message = f"`--timeout {options.timeout}` is negative; it takes seconds, 0 for no limit"
        raise UserError.of("no-time", message)
    word = "--from" if options.start else "--cache" if options.cache else ""
    if options.compare and word:
        message = f"`--compare` needs every step to run; with `{word}` some do not"
        raise UserError.of("not-whole", message, help=f"leave out `{word}`")


def _execute(plan: local.LocalRun, watch: local.Watch, screen: Screen) -> bool:
    """Run the pipeline and keep its artifacts; whether the user stopped it."""
    write_run(watch.run)
    interrupted = False
    try:
        with closing(local.execute(plan)) as events:
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
    with suppress(OSError):  # the disk is full, which is reported later
        write_run(watch.run)
    return interrupted


def _unit(package: Compiled, name: str) -> str:
    """The step *name*. Raises `UserError` if a run cannot start or stop at it."""
    if name in package.dependencies:
        return name
    inside = next((task for task in package.tasks if name in {task.title, task.name}), None)
    if inside is not None:
        message = f"`{name}` is a step of the referenced notebook `{inside.unit}`"
        raise UserError.of("inner-step", message, help=f"name the reference: `{inside.unit}`")
    hint = suggest(name, package.dependencies, "its steps are")
    raise UserError.of("unknown-step", f"the pipeline has no step `{name}`", help=hint)


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
        hint = f"run it once without `--from`; runs that only you can write are searched in {where}"
        raise UserError.of("no-earlier-run", message, help=hint)
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
    sources = [code.python for task in tasks for code in task.cells]
    local = {*local_modules(os.path.dirname(loaded.name), sources)}
    local |= {top_of(code.path) for task in tasks for code in task.cells if code.path}
    missing, unknown = missing_packages(tasks, local, install=install)
    if not missing and not unknown:
        return
    notes = [f"{package}: for {', '.join(steps)}" for package, steps in missing.items()]
    notes += [f"the module `{name}`: for {', '.join(steps)}" for name, steps in unknown.items()]
    pip = f"{sys.executable} -m pip install {shlex.join(missing)}"
    hint = "name the packages of these modules in the spec: `compile: {distributions: {...}}`"
    count = len(notes)
    raise UserError.of(
        "missing-packages",
        f"this Python lacks {'a package' if count == 1 else f'{count} packages'} that the "
        "steps import",
        notes=notes,
        help=f"{pip}; or let the steps do it: --install" if missing else hint,
    )


def _finish(
    watch: local.Watch,
    diagnostics: Report,
    compare: Callable[[], RunComparison] | None,
    options: RunOptions,
) -> int:
    """Print the outcome of a run, write its page and as the file `--report` too; the exit code."""
    if watch.code == local.NO_KFP:
        log = os.path.relpath(os.path.join(watch.run.folder, "kfp.log"))
        raise broken_kfp("run", watch.problem, log)
    quiet, verbose, report = options.quiet, options.verbose, options.report
    _write_pages(watch, diagnostics, report, None)
    if not quiet:
        _print_summary(watch.run, diagnostics.style)
    diagnostics.show(unforeseen_sharing(watch.run))
    compared = compare() if compare else None
    if compared:
        _write_pages(watch, diagnostics, report, compared)
        if not quiet:
            _print_comparison(compared, len(watch.run.steps), diagnostics.style, verbose=verbose)
    failed = [step for step in watch.run.steps if step.state == "failed"]
    for step in failed:
        _report_step(watch, step, diagnostics, words=not quiet and not verbose)
    if watch.code and not failed:
        _report_runner(watch, diagnostics)
    if failed and not quiet and STDIN not in options.paths:
        sys.stderr.flush()
        print(f"To go on after the fix: {_again(watch, failed[0], options)}")
    done = watch.run.state == "done"
    if compared and compared.diagnostics:
        diagnostics.show(compared.diagnostics)
        return 2 if done else 1
    return 0 if done and not (compared and compared.different) else 1


def _again(watch: local.Watch, failed: StepOutcome, options: RunOptions) -> str:
    """The command that runs the *failed* step and what is left, and nothing that is done."""
    states = {step.task: step.state for step in watch.run.steps}
    unit = next(task.unit for task in watch.package.tasks if task.id == failed.task)
    again = {unit, *watch.package.after(unit)}
    others = {states[task.id] for task in watch.package.tasks if task.unit not in again}
    words = [word for one in options.param or () for word in ("-p", one)]
    words += [word for one in options.env or () for word in ("-e", one)]
    given = {"--params": options.params, "--keep": options.keep, "--report": options.report}
    given["--timeout"] = str(options.timeout or "")
    words += [word for flag, value in given.items() if value for word in (flag, value)]
    words += ["--install"] * options.install
    # A step beside it that did not run either has no result yet.
    words += ["--from", unit] if others <= {"done", "reused"} else ["--cache"]
    return pasted("kale-tag run", options.paths, " ".join(map(for_shell, words)))


def _page_of(watch: local.Watch, compared: RunComparison | None) -> str:
    """The page of a run that has ended."""
    run, parts = watch.run, {}
    for task in watch.package.tasks:
        step = next(one for one in run.steps if one.task == task.id)
        page = b""
        if report := task.spec.get("report"):
            with suppress(UserError):
                page = files.read(os.path.join(run.folder, "artifacts", task.id, report)).data
        path = os.path.join(run.folder, "logs", f"{task.id}.log")
        log = _read(path, head=KEPT, tail=KEPT)
        failed = step.state == "failed"
        parts[task.id] = StepParts(
            page.decode(errors="replace"),
            clean(log),
            last_words(log) if failed else "",
            failure(step, task, log, os.path.relpath(path), full=watch.full) if failed else None,
        )
    return as_page(run, watch.package.graph, parts, compared, f"kale-tag {__version__}")


def _write_pages(
    watch: local.Watch, diagnostics: Report, report: str, compared: RunComparison | None
) -> None:
    page = _page_of(watch, compared).encode(errors="replace")
    for path in dict.fromkeys((os.path.join(watch.run.folder, "report.html"), report)):
        try:
            if path:
                files.write(path, page)
        except UserError as exc:  # a run does not fail because its page cannot be written
            diagnostics.show(exc.diagnostics)


def _print_summary(run: RunOutcome, style: Style) -> None:
    print(run_text.summary(run))
    for line in run_text.metrics(run, style):
        print(f"  {line}")
    here = os.path.relpath(run.folder)
    for what, name in (("artifacts", "artifacts"), ("logs", "logs"), ("report", "report.html")):
        if os.path.exists(os.path.join(run.folder, name)):
            print(f"{what.ljust(9)}  {os.path.join(here, name)}")


def _print_comparison(
    comparison: RunComparison, steps: int, style: Style, *, verbose: bool
) -> None:
    """Print what differs in a pipeline of so many *steps*; with *verbose*, every variable."""
    print(f"\n{style.bold(comparison.notebook)}, {run_text.what_was_compared(comparison, steps)}")
    print(run_text.compared(comparison))
    shown = comparison.found if verbose else comparison.different
    for line in run_text.differences(shown, style):
        print(f"  {line}")
    if not verbose and (remarks := ", ".join(run_text.remarks(comparison))):
        print(style.dim(f"  {remarks} (--verbose names them)"))


def _report_step(
    watch: local.Watch, step: StepOutcome, diagnostics: Report, *, words: bool
) -> None:
    """Report why a step failed, and where in the notebook; its last *words* too."""
    path = os.path.join(watch.run.folder, "logs", f"{step.task}.log")
    task = next(one for one in watch.package.tasks if one.id == step.task)
    tail = _read(path, tail=TAIL)
    diagnostic = failure(step, task, tail, os.path.relpath(path), full=watch.full)
    if words and not step.late and (more := beyond(tail, diagnostic)):
        sys.stdout.flush()
        print(f"{more}\n", file=sys.stderr)
    diagnostics.show([diagnostic])


def _report_runner(watch: local.Watch, diagnostics: Report) -> None:
    """Report that KFP's runner stopped, though no step failed."""
    log = os.path.relpath(os.path.join(watch.run.folder, "kfp.log"))
    why = watch.problem or f"exit code {watch.code}"
    message = f"KFP's local runner stopped before the pipeline was done: {why}"
    diagnostics.show([error("runner-failed", message, notes=[f"its log: {log}"])])


def _read(path: str, *, head: int = 0, tail: int) -> bytes:
    """So many bytes of the beginning and the end of the file *path*; b"" if there is none."""
    try:
        with open(path, "rb") as file:
            left_out = os.path.getsize(path) - head - tail
            if left_out <= 0:
                return file.read()
            start = file.read(head) + f"\n[... {left_out:,} bytes ...]\n".encode() if head else b""
            file.seek(-tail, os.SEEK_END)
            return start + file.read()
    except OSError:
        return b""
