"""A cluster with Kubeflow Pipelines, through kfp's own client: upload, run, schedule, watch."""

import contextlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kale_tag.cluster.health import (
    Answer,
    Endpoint,
    connection_diagnostic,
    not_the_api,
    status_diagnostic,
)
from kale_tag.compiler.read_package import PackageHeader, not_a_package
from kale_tag.diagnostics import Diagnostic, UserError, error

TIMEOUT = (5.0, 20.0)
"""Seconds for connecting, and for each wait on an answer."""

ENDED_SESSION = frozenset({"token-needed", "token-refused", "not-the-api"})
"""Codes of errors that a login page, or a proxy before it, causes."""

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
"""The final states of a run (`RuntimeState` in run.proto)."""


@dataclass(frozen=True, slots=True)
class PipelineVersion:
    """A version of a pipeline on the server."""

    pipeline_id: str  # given by the server
    version_id: str  # given by the server
    new: bool  # whether it was uploaded now


@dataclass(frozen=True, slots=True)
class ClusterTask:
    """A task of a run on the server."""

    name: str  # the key of the task, or its display name
    state: str  # a `RuntimeState`
    seconds: float | None  # how long it took, if that is known
    error: str  # "" if there is none


@dataclass(frozen=True, slots=True)
class ClusterRun:
    """The present state of a run on the server."""

    state: str  # a `RuntimeState`
    error: str  # "" if there is none
    tasks: Mapping[str, ClusterTask]  # by id, in the order in which they started


@contextlib.contextmanager
def quietly() -> Iterator[io.StringIO]:
    """Hide what kfp prints and warns of; yields what it printed."""
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore")
        yield printed


def import_error() -> str:
    """Why kfp cannot be imported, "" if it can."""
    try:
        with quietly():
            import kfp  # type: ignore[import-untyped]  # noqa: F401, PLC0415  slow to import
    except Exception as exc:  # noqa: BLE001  protobuf raises TypeError, other packages others
        return " ".join(f"{type(exc).__name__}: {exc}".split())
    return ""


def check_package(package: PackageHeader) -> None:
    """Raise `UserError` for a package that a KFP API server refuses, which reads as kfp does."""
    name, text = package.source.name, package.source.text
    if "pipeline_spec" in text and text.lstrip().startswith("{"):
        value = json.loads(text)
        if "pipeline_spec" in value:
            why = "it is JSON with a platform spec, which no API server reads; use YAML"
            raise UserError(not_a_package(name, why))
    with quietly():
        from kfp import components  # noqa: PLC0415  slow to import

        try:
            components.load_component_from_text(text)
        except Exception as exc:  # noqa: BLE001  kfp does not document what it raises
            why = " ".join(str(exc).split())[:300] or type(exc).__name__
            why = f"no key {why}" if isinstance(exc, KeyError) else why
            raise UserError(not_a_package(name, why)) from None


class Cluster:
    """A server that has answered. Every method raises `UserError` if the server refuses."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401  kfp's
        endpoint: Endpoint,
        ui: str,
        namespace: str,
        renew: Callable[[], None] | None = None,
    ) -> None:
        """Keep kfp's *client*; *ui* is the URL of the UI, or "" if it is not known.

        *renew* begins a new session when the old one has ended.
        """
        self.renew = renew
        self.client = client
        self.endpoint = endpoint
        self.ui = ui
        self.namespace = namespace

    def url(self, *parts: str) -> str:
        """The page of the UI, `runs/details/ID`; "" if the UI is not known."""
        return f"{self.ui}/#/{'/'.join(parts)}" if self.ui else ""

    def upload(self, package: PackageHeader, name: str, digest: str) -> PipelineVersion:
        """The version *name* of the pipeline of *package*, uploaded if it is not there.

        *digest* is that of the package; the description of the version contains it.
        """
        description = package.description or None
        pipeline = self._named("pipeline", package.pipeline, description=description)
        pipeline_id = self._id(pipeline.pipeline_id)

        def upload() -> Any:  # noqa: ANN401  one of kfp's models
            with tempfile.TemporaryDirectory(prefix="kale-tag-") as folder:
                path = os.path.join(folder, "pipeline.yaml")
                with open(path, "wb") as file:
                    file.write(package.source.text.encode())
                return self._ask(
                    f"upload the version {name}",
                    self.client.pipeline_uploads.upload_pipeline_version,
                    path,
                    name=name,
                    pipelineid=pipeline_id,
                    description=f"sha256:{digest}",
                )

        try:
            version, new = self._find_or_create("pipeline_versions", name, upload, pipeline_id)
        except UserError as exc:
            note = f"the server has the pipeline {package.pipeline}, but not the version {name}"
            raise _with_note(exc, f"{note}; run the command again to finish") from None
        if not new and digest not in (version.description or ""):
            message = f"the version {name} exists, with another package"
            hint = "choose another `--version-name`, or leave it out"
            raise UserError(error("version-taken", message, help=hint))
        version_id = self._id(version.pipeline_version_id)
        return PipelineVersion(pipeline_id, version_id, new)

    def experiment(self, name: str) -> str:
        """The id of the experiment *name*, created if it is not there."""
        return self._id(self._named("experiment", name).experiment_id)

    def start(
        self,
        version: PipelineVersion,
        experiment_id: str,
        name: str,
        parameters: Mapping[str, object],
    ) -> str:
        """The id of a new run of *version*."""
        what = self._what(version, experiment_id, name, parameters)
        body = self.client.api_models.V2beta1Run(**what)
        made = self._ask("start the run", self.client.runs.run_service_create_run, body)
        return self._id(made.run_id)

    def schedule(
        self,
        version: PipelineVersion,
        experiment_id: str,
        name: str,
        cron: str,
        parameters: Mapping[str, object],
    ) -> tuple[str, bool]:
        """The id of a recurring run of *version* on the schedule *cron*, and whether it is new.

        An equal one is left alone. Raises `UserError` if one of this name is different: both would
        go on.
        """
        models = self.client.api_models
        if found := self._find("recurring_runs", name, experiment_id=experiment_id):
            if _schedule_of(found) == (cron, version.version_id, dict(parameters)):
                return self._id(found.recurring_run_id), False
            message = f"the recurring run {name} exists, with another schedule, version or "
            message += "parameters; both would go on"
            hint = "delete the old one in the UI, or choose another name: `--run-name`"
            raise UserError(error("scheduled-otherwise", message, help=hint))
        body = models.V2beta1RecurringRun(
            **self._what(version, experiment_id, name, parameters),
            trigger=models.V2beta1Trigger(cron_schedule=models.V2beta1CronSchedule(cron=cron)),
            mode="ENABLE",
            max_concurrency="1",
        )
        create = self.client.recurring_runs.recurring_run_service_create_recurring_run
        return self._id(self._ask("schedule the pipeline", create, body).recurring_run_id), True

    def look(self, run_id: str) -> ClusterRun:
        """The present state of the run *run_id*."""
        run = self._ask("get the run", self.client.runs.run_service_get_run, run_id)
        self._id(run.run_id)
        details = run.run_details.task_details if run.run_details else None
        tasks = sorted(details or (), key=lambda one: str(one.start_time or "9"))
        return ClusterRun(
            run.state or "PENDING",
            _message(run.error),
            {one.task_id or str(place): _task(one) for place, one in enumerate(tasks)},
        )

    def _named(self, kind: str, name: str, **more: object) -> Any:  # noqa: ANN401  kfp's model
        """The `pipeline` or `experiment` called *name*, created with *more* if it is not there."""
        make = getattr(self.client.api_models, f"V2beta1{kind.title()}")
        create = getattr(getattr(self.client, f"{kind}s"), f"{kind}_service_create_{kind}")
        # `display_name` alone: servers before 2.15 know no `name`, and newer ones take it for both.
        body = make(display_name=name, namespace=self.namespace or None, **more)
        where = {"namespace": self.namespace} if self.namespace else {}
        doing = f"create the {kind} {name}"
        return self._find_or_create(
            f"{kind}s", name, lambda: self._ask(doing, create, body), **where
        )[0]

    def _find_or_create(
        self, kind: str, name: str, create: Callable[[], Any], *parent: str, **where: str
    ) -> tuple[Any, bool]:
        """The record of *kind* that is called *name*, and whether it was created now.

        Another client may create it at the same time.
        """
        if found := self._find(kind, name, *parent, **where):
            return found, False
        try:
            return create(), True
        except UserError as exc:
            taken = exc.diagnostics[0].code == "taken"
            if taken and (found := self._find(kind, name, *parent, **where)):
                return found, False
            raise

    def _find(self, kind: str, name: str, *parent: str, **where: str) -> Any:  # noqa: ANN401
        """The record of *kind* that is called *name*, or None."""
        service = "pipelines" if kind == "pipeline_versions" else kind
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        only = json.dumps({"predicates": [predicate]})  # filter.proto
        list_all = getattr(getattr(self.client, service), f"{service[:-1]}_service_list_{kind}")
        listed = self._ask(
            f"list {kind.replace('_', ' ')}", list_all, *parent, filter=only, **where
        )
        named = (one for one in getattr(listed, kind) or () if one.display_name == name)
        return next(named, None)

    def _what(
        self,
        version: PipelineVersion,
        experiment_id: str,
        name: str,
        parameters: Mapping[str, object],
    ) -> dict[str, Any]:
        """What a run and a recurring run have in common."""
        models = self.client.api_models
        return {
            "display_name": name,
            "experiment_id": experiment_id,
            "pipeline_version_reference": models.V2beta1PipelineVersionReference(
                pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id
            ),
            "runtime_config": models.V2beta1RuntimeConfig(parameters=dict(parameters)),
        }

    def _id(self, value: str | None) -> str:
        """*value*, which every answer of the API has."""
        if value:
            return value
        raise UserError(not_the_api(self.endpoint))

    def _ask(self, doing: str, call: Callable[..., Any], *args: object, **kwargs: object) -> Any:  # noqa: ANN401
        """The answer of the server to one request, in a new session if the old one has ended."""
        try:
            return self._ask_once(doing, call, *args, **kwargs)
        except UserError as exc:
            if self.renew is None or exc.diagnostics[0].code not in ENDED_SESSION:
                raise
        self.renew()
        return self._ask_once(doing, call, *args, **kwargs)

    def _ask_once(
        self, doing: str, call: Callable[..., Any], *args: object, **kwargs: object
    ) -> Any:  # noqa: ANN401
        import kfp_server_api as api  # type: ignore[import-untyped]  # noqa: PLC0415  slow to import

        try:
            with quietly():
                answer = call(*args, _request_timeout=TIMEOUT, **kwargs)
        except api.ApiException as exc:
            raise UserError(_refusal(self.endpoint, exc, doing)) from None
        except (api.rest.urllib3.exceptions.HTTPError, ValueError, AttributeError) as exc:
            # kfp's client fails in its own handling of errors whose text is not UTF-8, or none.
            if isinstance(exc.__context__, api.ApiException):
                raise UserError(_refusal(self.endpoint, exc.__context__, doing)) from None
            raise UserError(connection_diagnostic(self.endpoint, exc)) from None
        # kfp makes a record of None values of any text.
        response = self.client.runs.run_service_get_run.__self__.api_client.last_response
        raw = Answer(200, text=str(response.data))
        if raw.value is None:
            raise UserError(not_the_api(self.endpoint, raw))
        return answer


def _with_note(exc: UserError, note: str) -> UserError:
    first, *more = exc.diagnostics
    return UserError(replace(first, notes=(*first.notes, note)), *more)


def _schedule_of(run: Any) -> tuple[str, str, dict[str, object]]:  # noqa: ANN401  kfp's model
    cron = run.trigger.cron_schedule if run.trigger else None
    reference, config = run.pipeline_version_reference, run.runtime_config
    return (
        cron.cron if cron else "",
        reference.pipeline_version_id if reference else "",
        dict((config.parameters if config else None) or {}),
    )


def _task(task: Any) -> ClusterTask:  # noqa: ANN401  kfp's model
    seconds = None
    # An unknown time is 1970.
    if task.start_time and task.end_time and task.end_time >= task.start_time:
        seconds = (task.end_time - task.start_time).total_seconds()
    state = task.state or "PENDING"
    return ClusterTask(task.display_name or "", state, seconds, _message(task.error))


def _message(status: Any) -> str:  # noqa: ANN401  kfp's model
    return " ".join((status.message or "").split()) if status else ""


def _refusal(endpoint: Endpoint, exc: Any, doing: str) -> Diagnostic:  # noqa: ANN401  ApiException
    if not exc.status:
        return connection_diagnostic(endpoint, exc)
    body = exc.body or ""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    kind = (exc.headers or {}).get("Content-Type", "")
    return status_diagnostic(endpoint, Answer(exc.status, kind, text=text), doing)
