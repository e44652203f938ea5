"""`kale-tag submit`: a pipeline on a cluster."""

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from kale_tag import files
from kale_tag.commands.shared.options import FormatOptions, PipelineOptions, option
from kale_tag.commands.shared.packages import broken_kfp, check_kfp, load_package, read_arguments
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.compiler.read_package import PackageHeader
from kale_tag.diagnostics import Diagnostic, UserError, error, listed, warning
from kale_tag.kale.names import VERSION_NAME_LENGTH
from kale_tag.render import diagnostics
from kale_tag.render.text import json_text

if TYPE_CHECKING:
    from kale_tag.cluster.client import Cluster, ClusterRun, ClusterTask, PipelineVersion

DIGITS = 12
"""Digits of the digest in the name of a version: two packages never share them."""

POLL = (2.0, 10.0)
"""Seconds between two requests for the state of a run, at first and later."""

PATIENCE = 120.0
"""Seconds without an answer after which waiting for a run ends."""

PASSING = frozenset({"no-answer", "not-reachable", "server-error", "no-such-host"})
"""Codes of errors that may be over in a minute."""

ZONE = "in the time zone of the server, UTC by default"
"""KFP's API has no field for another."""

_FIELD = re.compile(r"[0-9A-Za-z*/,?#-]+")


@dataclass(slots=True)
class _Results:
    """The results so far, as text or as JSON."""

    quiet: bool
    as_json: bool
    value: dict[str, object] = field(default_factory=dict)  # for JSON

    def line(self, text: str, *, result: bool = False) -> None:
        """Print *text*, unless the output is JSON; with `--quiet`, a *result* only."""
        if not self.as_json and (result or not self.quiet):
            print(text, flush=True)

    def progress(self, text: str) -> None:
        """Print *text* to standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


@dataclass(kw_only=True)
class SubmitOptions(FormatOptions, PipelineOptions):
    """The options of `kale-tag submit`."""

    host: str = option(
        "", "The address of Kubeflow Pipelines, such as http://localhost:8080.", "URL"
    )
    token: str = option(
        "",
        "The token to authenticate with. Other users of this machine can see it here: the "
        "environment variable KALE_TAG_TOKEN is safer.",
        "TOKEN",
    )
    token_command: str = option(
        "", "A command that prints the token. Default: KALE_TAG_TOKEN_COMMAND.", "COMMAND"
    )
    user: str = option(
        "",
        "Sign in as this user on the server's login page (Dex, OAuth2 proxies). The password comes "
        "from KALE_TAG_PASSWORD or is asked for.",
        "NAME",
    )
    ca_cert: str = option(
        "", "The certificate of the authority that signed the server's, as PEM.", "FILE"
    )
    namespace: str = option(
        "", "Your namespace (profile), on a server with several users.", "NAME", short="-n"
    )
    experiment: str = option("", "The experiment of the run. Default: the notebook's.", "NAME")
    run_name: str = option("", "Default: the name of the pipeline and the time.", "NAME")
    version_name: str = option(
        "", "Default: the name of the pipeline and the digest of the package.", "NAME"
    )
    upload_only: bool = option(False, "Upload the package, and run nothing.")
    recurring: str = option("", "Run it on a schedule: '0 3 * * *' is every day at three.", "CRON")
    wait: bool = option(False, "Wait until the run ends; exit 1 if it does not succeed.")


def submit(options: SubmitOptions) -> int:
    """Run a pipeline on a cluster with Kubeflow Pipelines.

    kale-tag submit notebook.ipynb --host http://localhost:8080

    kale-tag submit spec.yaml notebook.ipynb -p rows=1000 --wait

    kale-tag submit churn.pipeline.yaml --recurring '0 3 * * *'

    The package is what `kale-tag compile` writes. It is uploaded once: its digest is in the name of
    the version. Without --host: KF_PIPELINES_ENDPOINT, the cluster around this pod, or kubectl's
    current context. Put a token into KALE_TAG_TOKEN.
    """
    check_kfp("submit")
    from kale_tag.cluster import client  # noqa: PLC0415  slow to import
    from kale_tag.cluster.connect import Access, connect  # noqa: PLC0415  the same

    report = Report(style_for(options.color, sys.stdout.isatty()))
    results = _Results(options.quiet, options.format == "json")
    try:
        _refuse_contradictions(options.upload_only, options.recurring, options.wait)
        cron = _cron(options.recurring)
        loaded = load_package(options.paths, options.env, quiet=options.quiet)
        package = loaded.header
        report.show(loaded.warnings)
        if why := client.import_error():
            raise broken_kfp("submit", why)
        client.check_package(package)
        found = read_arguments(package, options.param or (), options.params)
        values = {package.names[name]: value for name, value in found.items()}
        if options.ca_cert:
            files.read(options.ca_cert)
        report.show(_cached(package, cron))
        cluster = connect(
            Access(
                options.host,
                options.token,
                options.ca_cert,
                options.namespace,
                options.user,
                options.token_command,
            )
        )
        version = _upload(cluster, package, options.version_name, results)
        if options.upload_only:
            code = 0
        else:
            name = _experiment_name(package, options.experiment)
            place = (version, cluster.experiment(name))
            results.value["experiment"] = {"id": place[1], "name": name}
            title = options.run_name or package.pipeline
            if not (options.run_name or cron):
                title += f" {datetime.now():%Y-%m-%d %H-%M-%S}"  # noqa: DTZ005  for people, as KFP's SDK has it
            run_id = _start(cluster, place, title, cron, values, results)
            code = _wait(cluster, run_id, package, report, results) if options.wait else 0
    except UserError as exc:
        report.show(exc.diagnostics)
        code = report.exit_code
    if results.as_json:
        shown = [diagnostics.as_value(diagnostic) for diagnostic in report.diagnostics]
        print(json_text({**results.value, "diagnostics": shown}))
    return code


def _refuse_contradictions(upload_only: bool, recurring: str, wait: bool) -> None:  # noqa: FBT001  options
    if upload_only and (recurring or wait):
        message = "`--upload-only` starts no run: leave out `--recurring` and `--wait`"
        raise UserError.of("contradiction", message)
    if recurring and wait:
        message = "`--recurring` starts runs without end, so that `--wait` would never end"
        raise UserError.of("contradiction", message, help="leave out `--wait`")


def _cron(text: str) -> str:
    """The schedule *text* as KFP reads it: cron's five fields behind one for seconds.

    KFP would read five fields as seconds, minutes, ... and run at other times than meant
    (`cron.Parse` of robfig/cron 1, which its API server and controller use).
    """
    if not text:
        return ""
    fields = text.split()
    if fields and fields[0].startswith("@") and len(fields) <= 2:
        return " ".join(fields)
    if len(fields) not in {5, 6} or not all(map(_FIELD.fullmatch, fields)):
        raise UserError.of(
            "invalid-schedule",
            f"not a schedule: `{text}`",
            help="write it as in cron: '0 3 * * *' for every day at three, or '@daily'",
        )
    return " ".join(fields if len(fields) == 6 else ["0", *fields])


def _cached(package: PackageHeader, cron: str) -> Iterator[Diagnostic]:
    """The warning if steps of each run on the schedule get the results of the first."""
    tasks = package.spec["root"].get("dag", {}).get("tasks", {})
    same = [
        package.titles.get(key, key)
        for key, task in tasks.items()
        if task.get("cachingOptions", {}).get("enableCache")
        and not task.get("inputs", {}).get("artifacts")
    ]
    if cron and same:
        yield warning(
            "cached-schedule",
            "every run has the same parameters, so that KFP's cache serves "
            f"{listed(same)} from the first run",
            help="tag steps that read data from elsewhere `cache:disabled`, or set "
            "`enable_caching: false`",
        )


def _upload(
    cluster: "Cluster", package: PackageHeader, name: str, results: _Results
) -> "PipelineVersion":
    digest = hashlib.sha256(package.source.text.encode()).hexdigest()
    if not name:
        name = f"{package.pipeline[: VERSION_NAME_LENGTH - DIGITS - 1]}-{digest[:DIGITS]}"
    version = cluster.upload(package, name, digest)
    url = cluster.url("pipelines", "details", version.pipeline_id, "version", version.version_id)
    results.value["pipeline"] = {"id": version.pipeline_id, "name": package.pipeline}
    results.value["version"] = {
        "id": version.version_id,
        "name": name,
        "new": version.new,
        "sha256": digest,
        "url": url,
    }
    if version.new:
        results.line(f"uploaded version {name} of pipeline {package.pipeline}")
    else:
        results.line(f"version {name} of pipeline {package.pipeline} exists, with the same package")
    return version


def _experiment_name(package: PackageHeader, asked: str) -> str:
    """As KFP's SDK chooses it, but the experiment of the notebook goes before the default."""
    return (
        os.environ.get("KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME")
        or asked
        or package.experiment
        or os.environ.get("KF_PIPELINES_DEFAULT_EXPERIMENT_NAME")
        or "Default"
    )


def _start(  # noqa: PLR0913, PLR0917  a run has this many parts
    cluster: "Cluster",
    place: "tuple[PipelineVersion, str]",
    name: str,
    cron: str,
    values: Mapping[str, object],
    results: _Results,
) -> str:
    """Start a run, or with *cron* a recurring one; its id."""
    more: dict[str, object] = {}
    if cron:
        run_id, new = cluster.schedule(*place, name, cron, values)
        key, page, more = "recurring_run", "recurringrun", {"new": new, "cron": cron}
        line = f"scheduled {name}: {cron}" if new else f"recurring run {name} exists: {cron}"
        line += f" ({ZONE})"
    else:
        run_id = cluster.start(*place, name, values)
        key, page, line = "run", "runs", f"started run {name}"
    url = cluster.url(page, "details", run_id)
    ids = {"id": run_id, "name": name, "url": url}
    results.value[key] = {**ids, **more, "parameters": dict(values)}
    results.line(line)
    results.line(url or run_id, result=True)
    return run_id


def _wait(
    cluster: "Cluster", run_id: str, package: PackageHeader, report: Report, results: _Results
) -> int:
    """Print the progress of the run until it ends; the exit code."""
    url = cluster.url("runs", "details", run_id) or run_id
    shown: dict[str, str] = {}
    run = None
    start = time.monotonic()
    try:
        for run in _looks(cluster, run_id):
            for line in _news(run, package.titles, shown):
                results.progress(f"{_clock(time.monotonic() - start)}  {line}")
    except KeyboardInterrupt:
        print(f"interrupted; the run goes on: {url}", file=sys.stderr)
        _keep(results, run, package)
        return 130
    except UserError as exc:
        first, *more = exc.diagnostics
        notes = (*first.notes, f"the run goes on: {url}")
        raise UserError(replace(first, notes=notes), *more) from None
    assert run is not None
    _keep(results, run, package)
    if run.state in {"SUCCEEDED", "SKIPPED"}:
        results.line(f"the run has {run.state.lower()} after {_clock(time.monotonic() - start)}")
        return 0
    report.show([_failed(run, package.titles, url)])
    return 1


def _looks(cluster: "Cluster", run_id: str) -> "Iterator[ClusterRun]":
    """The state of the run again and again until it has ended, also past errors of the server."""
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


def _news(run: "ClusterRun", steps: Mapping[str, str], shown: dict[str, str]) -> Iterator[str]:
    """A line for each step whose state differs from *shown*, which is updated."""
    for key, title, task in _tasks(run, steps):
        if shown.get(key) != task.state:
            shown[key] = task.state
            took = f" ({task.seconds:.0f} s)" if task.seconds and task.state != "RUNNING" else ""
            yield f"{title}: {task.state.lower()}{took}"
    if shown.get("") != run.state:
        shown[""] = run.state
        yield f"run: {run.state.lower()}"


def _tasks(run: "ClusterRun", steps: Mapping[str, str]) -> "list[tuple[str, str, ClusterTask]]":
    """The id, title and task of each step of the package; KFP lists its drivers and pods too."""
    known = {**{title: title for title in steps.values()}, **steps}
    tasks = run.tasks.items()
    return [(key, known[task.name], task) for key, task in tasks if task.name in known]


def _keep(results: _Results, run: "ClusterRun | None", package: PackageHeader) -> None:
    kept = results.value["run"]
    assert isinstance(kept, dict)
    if run is not None:
        kept["state"] = run.state
        kept["steps"] = [
            {"name": title, "state": task.state, "seconds": task.seconds}
            for _, title, task in _tasks(run, package.titles)
        ]


def _failed(run: "ClusterRun", steps: Mapping[str, str], url: str) -> Diagnostic:
    bad = [(title, task) for _, title, task in _tasks(run, steps) if task.state == "FAILED"]
    why = f": {listed(title for title, _ in bad)} failed" if bad else ""
    notes = [f"`{title}`: {task.error}" for title, task in bad if task.error]
    if run.error and not notes:
        notes = [run.error]
    verb = {"FAILED": "has failed", "CANCELED": "was cancelled"}[run.state]
    return error("run-failed", f"the run {verb}{why}", notes=notes, help=f"its logs: {url}")


def _clock(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes}:{left:02}"
