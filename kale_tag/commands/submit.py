"""`kale-tag submit`: the package, run on a cluster."""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from kale_tag import files
from kale_tag.commands.shared.options import (
    CaCert,
    Color,
    Experiment,
    Format,
    Host,
    Namespace,
    Parameters,
    ParamsFile,
    Quiet,
    Recurring,
    Runnable,
    RunName,
    Token,
    UploadOnly,
    VersionName,
    Wait,
)
from kale_tag.commands.shared.packages import Given, one_package
from kale_tag.commands.shared.parameters import values_of
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.diagnostics import Diagnostic, UserError, error
from kale_tag.render import diagnostics

if TYPE_CHECKING:
    from kale_tag.cluster.client import Cluster, Run, Task, Version

DIGITS = 12
"""Of the digest in the name of a version: enough that two packages never meet."""

LONGEST = 127
"""Characters of a version's name that KFP's database takes."""

POLL = (2.0, 10.0)
"""Seconds between two looks at a run, at first and later."""

PATIENCE = 120.0
"""Seconds for which a server may be away while we wait for a run."""

PASSING = frozenset({"no-answer", "not-reachable", "server-error", "no-such-host"})
"""Faults that may be over in a minute."""

_FIELD = re.compile(r"[0-9A-Za-z*/,?#-]+")


@dataclass(slots=True)
class _Done:
    """What was done so far, for people (`line`) and for programs (`value`)."""

    quiet: bool
    as_json: bool
    value: dict[str, object] = field(default_factory=dict)

    def line(self, text: str, *, result: bool = False) -> None:
        """Print *text*, unless a program reads; where only errors are wanted, *result* alone."""
        if not self.as_json and (result or not self.quiet):
            print(text, flush=True)

    def progress(self, text: str) -> None:
        """Print *text* to standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


def submit(  # noqa: PLR0913  one parameter an option
    paths: Runnable,
    *,
    host: Host = "",
    token: Token = "",
    ca_cert: CaCert = "",
    namespace: Namespace = "",
    experiment: Experiment = "",
    run_name: RunName = "",
    param: Parameters = None,
    params: ParamsFile = "",
    version_name: VersionName = "",
    upload_only: UploadOnly = False,
    recurring: Recurring = "",
    wait: Wait = False,
    format: Format = "text",  # noqa: A002  the option's name
    quiet: Quiet = False,
    color: Color = "auto",
) -> int:
    """Run a pipeline on a cluster with Kubeflow Pipelines.

    kale-tag submit notebook.ipynb --host http://localhost:8080

    kale-tag submit spec.yaml notebook.ipynb -p rows=1000 --wait

    kale-tag submit churn.pipeline.yaml --recurring '0 3 * * *'

    The package is what `kale-tag compile` writes. The same package is uploaded once: its digest is
    in the name of the version. Without --host: KF_PIPELINES_ENDPOINT, the cluster around this pod,
    or kubectl's current context. The token is best put into KALE_TAG_TOKEN.
    """
    report = Report(style_for(color, sys.stdout.isatty()))
    done = _Done(quiet, format == "json")
    try:
        _refuse_contradictions(upload_only, recurring, wait)
        cron = _cron(recurring)
        given = one_package(paths, quiet=quiet)
        report.tell(given.warnings)
        values = values_of(given, param or (), params)
        cluster = _connect(host, token, ca_cert, namespace)
        version = _upload(cluster, given, version_name, done)
        if upload_only:
            code = 0
        else:
            name = _experiment_name(given, experiment)
            place = (version, cluster.experiment(name))
            done.value["experiment"] = {"id": place[1], "name": name}
            if cron:
                _schedule(cluster, place, run_name or given.package.pipeline, cron, values, done)
                code = 0
            else:
                title = run_name or f"{given.package.pipeline} {datetime.now():%Y-%m-%d %H-%M-%S}"  # noqa: DTZ005  for people, as KFP's SDK has it
                run_id = _start(cluster, place, title, values, done)
                code = _wait(cluster, run_id, given, report, done) if wait else 0
    except UserError as exc:
        report.tell(exc.diagnostics)
        code = 3 if any(one.code == "bug" for one in exc.diagnostics) else 2
    if done.as_json:
        shown = [diagnostics.as_value(diagnostic) for diagnostic in report.diagnostics]
        print(json.dumps({**done.value, "diagnostics": shown}, indent=1, ensure_ascii=False))
    return code


def _refuse_contradictions(upload_only: bool, recurring: str, wait: bool) -> None:  # noqa: FBT001  options
    pairs = [
        (upload_only and recurring, "`--upload-only` starts nothing, and `--recurring` does"),
        (upload_only and wait, "`--upload-only` starts nothing to wait for"),
        (recurring and wait, "a recurring run has no end to wait for"),
    ]
    wrong = [error("contradiction", message) for both, message in pairs if both]
    if wrong:
        raise UserError(*wrong)


def _cron(text: str) -> str:
    """*text* as KFP reads schedules: with seconds in front, which cron does not have.

    Five fields would be taken for seconds, minutes, ... and run at other times than meant (source:
    `cron.Parse` of robfig/cron 1, which KFP's API server and controller use).
    """
    if not text:
        return ""
    fields = text.split()
    if fields and fields[0].startswith("@") and len(fields) <= 2:
        return " ".join(fields)
    if len(fields) not in {5, 6} or not all(map(_FIELD.fullmatch, fields)):
        raise UserError(
            error(
                "invalid-schedule",
                f"`{text}` is no schedule",
                help="write it as cron has it, '0 3 * * *' for every day at three, or '@daily'",
            )
        )
    return " ".join(fields if len(fields) == 6 else ["0", *fields])


def _connect(host: str, token: str, ca_cert: str, namespace: str) -> "Cluster":
    from kale_tag.cluster.connect import Access, connect  # noqa: PLC0415  slow to import

    if ca_cert:
        files.read(ca_cert)
    return connect(Access(host, token, ca_cert, namespace))


def _upload(cluster: "Cluster", given: Given, name: str, done: _Done) -> "Version":
    package = given.package
    digest = hashlib.sha256(package.data).hexdigest()
    if not name:
        name = f"{package.pipeline[: LONGEST - DIGITS - 1]}-{digest[:DIGITS]}"
    version = cluster.upload(package, name, digest)
    url = cluster.url("pipelines", "details", version.pipeline_id, "version", version.version_id)
    done.value["pipeline"] = {"id": version.pipeline_id, "name": package.pipeline}
    done.value["version"] = {
        "id": version.version_id,
        "name": name,
        "new": version.new,
        "sha256": digest,
        "url": url,
    }
    if version.new:
        done.line(f"uploaded version {name} of pipeline {package.pipeline}")
    else:
        done.line(
            f"version {name} of pipeline {package.pipeline} is there already: the same package"
        )
    return version


def _experiment_name(given: Given, asked: str) -> str:
    """As KFP's SDK chooses it, with the experiment of the notebook before the default."""
    return (
        os.environ.get("KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME")
        or asked
        or given.package.experiment
        or os.environ.get("KF_PIPELINES_DEFAULT_EXPERIMENT_NAME")
        or "Default"
    )


def _start(
    cluster: "Cluster",
    place: "tuple[Version, str]",
    name: str,
    values: Mapping[str, object],
    done: _Done,
) -> str:
    run_id = cluster.start(*place, name, values)
    url = cluster.url("runs", "details", run_id)
    done.value["run"] = {"id": run_id, "name": name, "url": url, "parameters": dict(values)}
    done.line(f"started run {name}")
    done.line(url or run_id, result=True)
    return run_id


def _schedule(  # noqa: PLR0913, PLR0917  a recurring run has this many parts
    cluster: "Cluster",
    place: "tuple[Version, str]",
    name: str,
    cron: str,
    values: Mapping[str, object],
    done: _Done,
) -> None:
    run_id, new = cluster.schedule(*place, name, cron, values)
    url = cluster.url("recurringrun", "details", run_id)
    done.value["recurring_run"] = {
        "id": run_id,
        "name": name,
        "url": url,
        "new": new,
        "cron": cron,
        "parameters": dict(values),
    }
    done.line(
        f"scheduled {name}: {cron}" if new else f"recurring run {name} is there already: {cron}"
    )
    done.line(url or run_id, result=True)


def _wait(cluster: "Cluster", run_id: str, given: Given, report: Report, done: _Done) -> int:
    """Tell of the run until it ends; the exit code."""
    url = cluster.url("runs", "details", run_id) or run_id
    shown: dict[str, str] = {}
    run = None
    start = time.monotonic()
    try:
        for run in _looks(cluster, run_id):
            for line in _news(run, given.package.steps, shown):
                done.progress(f"{_clock(time.monotonic() - start)}  {line}")
    except KeyboardInterrupt:
        print(f"interrupted; the run goes on: {url}", file=sys.stderr)
        _keep(done, run, given)
        return 130
    except UserError as exc:
        first, *more = exc.diagnostics
        note = f"the run goes on: {url}"
        raise UserError(_with_note(first, note), *more) from None
    assert run is not None
    _keep(done, run, given)
    if run.state in {"SUCCEEDED", "SKIPPED"}:
        done.line(f"the run has {run.state.lower()} after {_clock(time.monotonic() - start)}")
        return 0
    report.tell([_failed(run, given.package.steps, url)])
    return 1


def _looks(cluster: "Cluster", run_id: str) -> "Iterator[Run]":
    """The run again and again until it has ended; a server that is away for a while is no end."""
    from kale_tag.cluster.client import ENDED  # noqa: PLC0415  with its kind

    pause, longest = POLL
    away = 0.0
    while True:
        try:
            run = cluster.look(run_id)
        except UserError as exc:
            away = away or time.monotonic()
            code = exc.diagnostics[0].code
            if code not in PASSING or time.monotonic() - away > PATIENCE:
                raise
        else:
            away = 0.0
            yield run
            if run.state in ENDED:
                return
        time.sleep(pause)
        pause = min(pause * 1.2, longest)


def _news(run: "Run", steps: Mapping[str, str], shown: dict[str, str]) -> Iterator[str]:
    """A line for each step whose state is another than *shown*, which is brought up to date."""
    for key, task in _tasks(run, steps):
        if shown.get(key) != task.state:
            shown[key] = task.state
            took = f" ({task.seconds:.0f} s)" if task.seconds and task.state != "RUNNING" else ""
            yield f"{_title(task, steps)}: {task.state.lower()}{took}"
    if shown.get("") != run.state:
        shown[""] = run.state
        yield f"run: {run.state.lower()}"


def _tasks(run: "Run", steps: Mapping[str, str]) -> "list[tuple[str, Task]]":
    """The tasks that are steps of the package; KFP tells of its drivers and pods too."""
    known = {*steps, *steps.values()}
    return [(key, task) for key, task in run.tasks.items() if task.name in known]


def _title(task: "Task", steps: Mapping[str, str]) -> str:
    return steps.get(task.name, task.name)


def _keep(done: _Done, run: "Run | None", given: Given) -> None:
    kept = done.value["run"]
    assert isinstance(kept, dict)
    if run is not None:
        steps = given.package.steps
        kept["state"] = run.state
        kept["steps"] = [
            {"name": _title(task, steps), "state": task.state, "seconds": task.seconds}
            for _, task in _tasks(run, steps)
        ]


def _failed(run: "Run", steps: Mapping[str, str], url: str) -> Diagnostic:
    bad = [task for _, task in _tasks(run, steps) if task.state == "FAILED"]
    names = _and([f"`{_title(task, steps)}`" for task in bad])
    why = f": {names} failed" if bad else ""
    notes = [f"`{_title(task, steps)}`: {task.error}" for task in bad if task.error]
    if run.error and not notes:
        notes = [run.error]
    verb = {"FAILED": "has failed", "CANCELED": "was cancelled"}[run.state]
    return error("run-failed", f"the run {verb}{why}", notes=notes, help=f"its logs: {url}")


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _with_note(diagnostic: Diagnostic, note: str) -> Diagnostic:
    return error(
        diagnostic.code, diagnostic.message, notes=(*diagnostic.notes, note), help=diagnostic.help
    )


def _clock(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes}:{left:02}"
