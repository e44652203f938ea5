"""A cluster with Kubeflow Pipelines, through kfp's own client: upload, run, schedule, watch."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kale_tag.cluster.health import Answer, Endpoint, connection_diagnostic, status_diagnostic
from kale_tag.cluster.package import RunnablePackage, quietly
from kale_tag.diagnostics import Diagnostic, UserError, error

Found = TypeVar("Found")

TIMEOUT = (5.0, 20.0)
"""Seconds for connecting, and for each wait on an answer."""

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
"""States in which a run stays (`RuntimeState` in run.proto)."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a pipeline on the server; *new* when it was not there before."""

    pipeline_id: str
    version_id: str
    name: str
    new: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A step of a run, as the server tells of it: its name, state, seconds it took, error."""

    name: str
    state: str
    seconds: float | None
    error: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is now; *tasks* by their ids, in the order in which they started."""

    run_id: str
    state: str
    error: str
    tasks: Mapping[str, Task]


class Cluster:
    """A server that has answered. Every method raises `UserError` with what it says."""

    def __init__(self, client: Any, endpoint: Endpoint, ui: str, namespace: str) -> None:  # noqa: ANN401
        """Keep kfp's *client*; *ui* is where people look at runs, "" where that is not known."""
        self.client = client
        self.endpoint = endpoint
        self.ui = ui
        self.namespace = namespace

    def url(self, *parts: str) -> str:
        """The page of the UI, `runs/details/ID`; "" where the UI is not known."""
        return f"{self.ui}/#/{'/'.join(parts)}" if self.ui else ""

    def upload(self, package: RunnablePackage, name: str, digest: str) -> Version:
        """The version *name* of the pipeline that *package* is; uploaded if it is not there.

        *digest* is that of the package; it stands in the description of the version.
        """
        pipeline_id = self._pipeline(package)
        doing = f"take the version {name}"

        def make() -> Version:
            with tempfile.TemporaryDirectory(prefix="kale-tag-") as folder:
                path = os.path.join(folder, "pipeline.yaml")
                with open(path, "wb") as file:
                    file.write(package.data)
                made = self._ask(
                    doing,
                    self.client.pipeline_uploads.upload_pipeline_version,
                    path,
                    name=name,
                    pipelineid=pipeline_id,
                    description=f"sha256:{digest}",
                )
            return Version(pipeline_id, self._id(made.pipeline_version_id, doing), name, new=True)

        return _found_or_made(lambda: self._version(pipeline_id, name, digest), make)

    def experiment(self, name: str) -> str:
        """The id of the experiment *name*; made if it is not there."""
        api = self.client.experiments
        body = self.client.api_models.V2beta1Experiment(
            display_name=name, namespace=self.namespace or None
        )
        made = self._named_or_made(
            "experiments",
            api.experiment_service_list_experiments,
            api.experiment_service_create_experiment,
            body,
        )
        return self._id(made.experiment_id, f"make the experiment {name}")

    def start(
        self, version: Version, experiment_id: str, name: str, parameters: Mapping[str, object]
    ) -> str:
        """The id of a new run of *version*."""
        models, doing = self.client.api_models, "start the run"
        body = models.V2beta1Run(
            display_name=name,
            experiment_id=experiment_id,
            pipeline_version_reference=self._reference(version),
            runtime_config=models.V2beta1RuntimeConfig(parameters=dict(parameters)),
        )
        made = self._ask(doing, self.client.runs.run_service_create_run, body)
        return self._id(made.run_id, doing)

    def schedule(
        self,
        version: Version,
        experiment_id: str,
        name: str,
        cron: str,
        parameters: Mapping[str, object],
    ) -> tuple[str, bool]:
        """The id of a recurring run of *version* by the schedule *cron*, and whether it is new.

        One that is the same in everything is left alone. Raises `UserError` where one of this name
        does something else: it would go on beside the new one.
        """
        models, doing = self.client.api_models, "schedule the pipeline"
        config = models.V2beta1RuntimeConfig(parameters=dict(parameters))
        reference = self._reference(version)
        trigger = models.V2beta1Trigger(cron_schedule=models.V2beta1CronSchedule(cron=cron))
        list_all = self.client.recurring_runs.recurring_run_service_list_recurring_runs
        for one in self._named("recurring_runs", list_all, name, experiment_id=experiment_id):
            wanted = (cron, version.version_id, dict(parameters))
            if _schedule_of(one) == wanted:
                return self._id(one.recurring_run_id, doing), False
            raise UserError(
                error(
                    "scheduled-otherwise",
                    f"the recurring run {name} is there already, with another schedule, version or "
                    "parameters; both would go on",
                    help="delete the old one in the UI, or choose another name: `--run-name`",
                )
            )
        body = models.V2beta1RecurringRun(
            display_name=name,
            experiment_id=experiment_id,
            pipeline_version_reference=reference,
            runtime_config=config,
            trigger=trigger,
            mode="ENABLE",
            max_concurrency="1",
        )
        create = self.client.recurring_runs.recurring_run_service_create_recurring_run
        return self._id(self._ask(doing, create, body).recurring_run_id, doing), True

    def look(self, run_id: str) -> Run:
        """The run *run_id* as it is now."""
        doing = "tell of the run"
        run = self._ask(doing, self.client.runs.run_service_get_run, run_id)
        self._id(run.run_id, doing)
        details = run.run_details.task_details if run.run_details else None
        tasks = sorted(details or (), key=lambda one: str(one.start_time or "9"))
        return Run(
            run_id,
            run.state or "PENDING",
            _message(run.error),
            {one.task_id or str(place): _task(one) for place, one in enumerate(tasks)},
        )

    def _pipeline(self, package: RunnablePackage) -> str:
        """The id of the pipeline of *package*; made if it is not there."""
        api = self.client.pipelines
        # `display_name` alone: servers before 2.15 know no `name`, and newer ones take it for both.
        body = self.client.api_models.V2beta1Pipeline(
            display_name=package.pipeline,
            description=package.description or None,
            namespace=self.namespace or None,
        )
        made = self._named_or_made(
            "pipelines",
            api.pipeline_service_list_pipelines,
            api.pipeline_service_create_pipeline,
            body,
        )
        return self._id(made.pipeline_id, f"make the pipeline {package.pipeline}")

    def _version(self, pipeline_id: str, name: str, digest: str) -> Version | None:
        list_versions = self.client.pipelines.pipeline_service_list_pipeline_versions
        found = self._named("pipeline_versions", list_versions, name, pipeline_id)
        if not found:
            return None
        if digest not in (found[0].description or ""):
            raise UserError(
                error(
                    "version-taken",
                    f"the version {name} is there already, and is another package",
                    help="choose another `--version-name`, or leave it out",
                )
            )
        return Version(pipeline_id, found[0].pipeline_version_id, name, new=False)

    def _named_or_made(
        self,
        kind: str,
        list_all: Callable[..., Any],
        create: Callable[..., Any],
        body: Any,  # noqa: ANN401  one of kfp's models
    ) -> Any:  # noqa: ANN401  the same
        """The one of *kind* in the namespace that has the name of *body*, or *body* made."""
        name = body.display_name
        where = {"namespace": self.namespace} if self.namespace else {}
        return _found_or_made(
            lambda: next(iter(self._named(kind, list_all, name, **where)), None),
            lambda: self._ask(f"make the {kind.removesuffix('s')} {name}", create, body),
        )

    def _named(
        self, kind: str, list_all: Callable[..., Any], name: str, *args: object, **kwargs: object
    ) -> list[Any]:
        """Those of *kind*, a field of what *list_all* answers, that are called *name*."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        only = json.dumps({"predicates": [predicate]})  # filter.proto
        doing = f"list {kind.replace('_', ' ')}"
        listed = self._ask(doing, list_all, *args, filter=only, **kwargs)
        return [one for one in getattr(listed, kind) or () if one.display_name == name]

    def _reference(self, version: Version) -> Any:  # noqa: ANN401  one of kfp's models
        return self.client.api_models.V2beta1PipelineVersionReference(
            pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id
        )

    def _id(self, value: str | None, doing: str) -> str:
        """*value*, which every answer of the API has."""
        if value:
            return value
        raise UserError(_no_sense(self.endpoint, doing))

    def _ask(self, doing: str, call: Callable[..., Any], *args: object, **kwargs: object) -> Any:  # noqa: ANN401
        """What the server answers to one request."""
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
            known = connection_diagnostic(self.endpoint, exc)
            if known is None and isinstance(exc, AttributeError):
                raise
            raise UserError(known or _no_sense(self.endpoint, doing)) from None
        # It takes any text for a record in which all is None.
        if not _is_record(self.client.runs.run_service_get_run.__self__.api_client.last_response):
            raise UserError(_no_sense(self.endpoint, doing))
        return answer


def _found_or_made(find: Callable[[], Found | None], make: Callable[[], Found]) -> Found:
    """What is there already, or is made; somebody else may make it in between."""
    if found := find():
        return found
    try:
        return make()
    except UserError as exc:
        if exc.diagnostics[0].code == "taken" and (found := find()):
            return found
        raise


def _schedule_of(run: Any) -> tuple[str, str, dict[str, object]]:  # noqa: ANN401  kfp's model
    cron = run.trigger.cron_schedule if run.trigger else None
    reference, config = run.pipeline_version_reference, run.runtime_config
    return (
        cron.cron if cron else "",
        reference.pipeline_version_id if reference else "",
        dict((config.parameters if config else None) or {}),
    )


def _task(task: Any) -> Task:  # noqa: ANN401  kfp's model
    seconds = None
    # A time that is not known is 1970.
    if task.start_time and task.end_time and task.end_time >= task.start_time:
        seconds = (task.end_time - task.start_time).total_seconds()
    return Task(task.display_name or "", task.state or "PENDING", seconds, _message(task.error))


def _message(status: Any) -> str:  # noqa: ANN401  kfp's model
    return " ".join((status.message or "").split()) if status else ""


def _refusal(endpoint: Endpoint, diagnostic: Any, doing: str) -> Diagnostic:  # noqa: ANN401  ApiException
    if not diagnostic.status:
        return connection_diagnostic(endpoint, diagnostic) or _no_sense(endpoint, doing)
    body = diagnostic.body or ""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    kind = (diagnostic.headers or {}).get("Content-Type", "")
    return status_diagnostic(endpoint, Answer(diagnostic.status, kind, text=text), doing)


def _is_record(response: Any) -> bool:  # noqa: ANN401  kfp's own
    try:
        return isinstance(json.loads(response.data), dict)
    except ValueError:
        return False


def _no_sense(endpoint: Endpoint, doing: str) -> Diagnostic:
    return error(
        "not-the-api",
        f"{endpoint.url} was asked to {doing}, and its answer makes no sense",
        help="a proxy may be in between; else the server may be too new for this version of kfp",
    )
