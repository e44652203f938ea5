"""A stand-in for the API server of Kubeflow Pipelines: it keeps state, and refuses what that does.

It knows what `submit` uses: pipelines, versions, experiments, runs, recurring runs. It is no
cluster: nothing runs, a run goes through the states that a test gives it.
"""

import email
import json
import sys
import threading
import urllib.parse
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kfp_server_api as api  # type: ignore[import-untyped]
    from google.protobuf import json_format
    from kfp.kubernetes import (  # type: ignore[import-untyped]
        kubernetes_executor_config_pb2 as kubernetes,
    )
    from kfp.pipeline_spec import pipeline_spec_pb2 as protos  # type: ignore[import-untyped]

PREFIX = "/apis/v2beta1"
START = datetime(2026, 1, 1, tzinfo=UTC)
CRON_FIELDS = 6


class RefusedError(Exception):
    """What the server answers instead: a status, a code of gRPC and a message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class Seen:
    """One request: method, path, query, headers, and the body as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Stub:
    """The state of the server, and what tests set.

    *states* are those that a run goes through, one at each look; the last stays. *answers* are
    given instead of real ones: by method and path, each a status, a media type and a body.
    """

    token: str = ""
    multi_user: bool = False
    states: list[dict[str, Any]] = field(default_factory=lambda: [{"state": "SUCCEEDED"}])
    answers: dict[tuple[str, str], tuple[int, str, bytes]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, bytes] = field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurring: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    url: str = ""
    cookie: str = ""  # is set with the next answer

    def answer(self, request: Seen) -> tuple[int, str, bytes]:
        """Status, media type and body for one request."""
        self.seen.append(request)
        path = request.path.removeprefix(PREFIX)
        if ready := self.answers.get((request.method, path)):
            return ready
        try:
            self._check_token(request)
            value = self._route(request, path)
        except RefusedError as exc:
            said = {"error": str(exc), "code": exc.code, "message": str(exc), "details": []}
            return exc.status, "application/json", json.dumps(said).encode()
        return 200, "application/json", json.dumps(value).encode()

    def _check_token(self, request: Seen) -> None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            raise RefusedError(401, 16, "Request header error: there is no valid authorization")

    def _route(self, request: Seen, path: str) -> dict[str, Any]:  # noqa: C901, PLR0911  a table
        match request.method, path.strip("/").split("/"):
            case "GET", ["healthz"]:
                return {"multi_user": self.multi_user, "pipeline_store": "database"}
            case "GET", ["pipelines"]:
                return self._listed("pipelines", self.pipelines, request)
            case "POST", ["pipelines"]:
                return self._add_pipeline(_body(request, api.V2beta1Pipeline))
            case "POST", ["pipelines", "upload_version"]:
                return self._add_version(request)
            case "GET", ["pipelines", parent, "versions"]:
                own = {k: v for k, v in self.versions.items() if v["pipeline_id"] == parent}
                return self._listed("pipeline_versions", own, request)
            case "GET", ["experiments"]:
                return self._listed("experiments", self.experiments, request)
            case "POST", ["experiments"]:
                return self._add_experiment(_body(request, api.V2beta1Experiment))
            case "POST", ["runs"]:
                return self._add_run(_body(request, api.V2beta1Run))
            case "GET", ["runs", run]:
                return self._look(run)
            case "GET", ["recurringruns"]:
                return self._listed("recurringRuns", self.recurring, request)
            case "POST", ["recurringruns"]:
                return self._add_recurring(_body(request, api.V2beta1RecurringRun))
            case method, _:
                raise RefusedError(404, 5, f"no such route: {method} {path}")

    def _listed(self, name: str, found: dict[str, Any], request: Seen) -> dict[str, Any]:
        query = request.query
        if self.multi_user and name in {"pipelines", "experiments"} and "namespace" not in query:
            raise RefusedError(400, 3, "Invalid input error: namespace cannot be empty")
        values = list(found.values())
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", ()):
            assert predicate["operation"] == "EQUALS"
            values = [v for v in values if v[predicate["key"]] == predicate["stringValue"]]
        if "namespace" in query and name in {"pipelines", "experiments"}:
            values = [v for v in values if v.get("namespace", "") == query["namespace"]]
        if "experiment_id" in query:
            values = [v for v in values if v["experiment_id"] == query["experiment_id"]]
        return {name: values, "total_size": len(values)}

    def _add_pipeline(self, body: dict[str, Any]) -> dict[str, Any]:
        name = _named(body)
        where = body.get("namespace", "")
        if any(
            (one["display_name"], one.get("namespace", "")) == (name, where)
            for one in self.pipelines.values()
        ):
            raise RefusedError(409, 6, f"The name {name} already exist. Please specify a new name")
        made = {**body, "name": name, "pipeline_id": str(uuid.uuid4()), "created_at": _time(0)}
        self.pipelines[made["pipeline_id"]] = made
        return made

    def _add_version(self, request: Seen) -> dict[str, Any]:
        parent, name = request.query.get("pipelineid", ""), request.query.get("name", "")
        if parent not in self.pipelines:
            raise RefusedError(400, 3, "Failed to create a pipeline version")
        if not name:
            raise RefusedError(400, 3, "the version has no name")
        if any((v["pipeline_id"], v["name"]) == (parent, name) for v in self.versions.values()):
            raise RefusedError(409, 6, "Failed to create a pipeline version")
        data = _uploaded(request)
        made: dict[str, Any] = {
            "pipeline_id": parent,
            "pipeline_version_id": str(uuid.uuid4()),
            "name": name,
            "display_name": name,
            "description": request.query.get("description", ""),
            "created_at": _time(0),
            "pipeline_spec": strictly(data),
        }
        self.versions[made["pipeline_version_id"]] = made
        self.packages[made["pipeline_version_id"]] = data
        return made

    def _add_experiment(self, body: dict[str, Any]) -> dict[str, Any]:
        name = _named(body)
        if self.multi_user and not body.get("namespace"):
            raise RefusedError(400, 3, "Invalid input error: namespace cannot be empty")
        where = body.get("namespace", "")
        if any(
            (one["display_name"], one.get("namespace", "")) == (name, where)
            for one in self.experiments.values()
        ):
            raise RefusedError(409, 6, f"Experiment {name} already exist")
        made = {**body, "experiment_id": str(uuid.uuid4()), "created_at": _time(0)}
        made["storage_state"] = "AVAILABLE"
        self.experiments[made["experiment_id"]] = made
        return made

    def _add_run(self, body: dict[str, Any]) -> dict[str, Any]:
        self._check_runnable(body)
        run = {**body, "run_id": str(uuid.uuid4()), "state": "PENDING", "created_at": _time(0)}
        self.runs[run["run_id"]] = run
        return run

    def _add_recurring(self, body: dict[str, Any]) -> dict[str, Any]:
        self._check_runnable(body)
        if not 1 <= int(body.get("max_concurrency", 0)) <= 10:
            raise RefusedError(400, 3, "The max concurrency of the recurring run is out of range")
        cron = body["trigger"]["cron_schedule"]["cron"]
        if not cron.startswith("@") and len(cron.split()) != CRON_FIELDS:
            raise RefusedError(400, 3, "Schedule cron is not a supported format")
        made = {**body, "recurring_run_id": str(uuid.uuid4()), "created_at": _time(0)}
        self.recurring[made["recurring_run_id"]] = made
        return made

    def _check_runnable(self, body: dict[str, Any]) -> None:
        _named(body)
        if body.get("experiment_id") not in self.experiments:
            raise RefusedError(404, 5, f"Experiment {body.get('experiment_id')} not found")
        reference = body["pipeline_version_reference"]
        version = self.versions.get(reference["pipeline_version_id"])
        if version is None or version["pipeline_id"] != reference["pipeline_id"]:
            raise RefusedError(404, 5, f"PipelineVersion {reference} not found")
        spec = version["pipeline_spec"]
        spec = spec.get("pipeline_spec", spec)
        declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        given = body.get("runtime_config", {}).get("parameters", {})
        for name, value in given.items():
            if name not in declared:
                raise RefusedError(400, 3, f"parameter(s) provided are not required: {name}")
            _check_type(name, value, declared[name]["parameterType"])
        for name, one in declared.items():
            if name not in given and not one.get("isOptional") and "defaultValue" not in one:
                message = f"parameter {name} is not optional, yet has neither default value nor "
                raise RefusedError(400, 3, f"{message}user provided value")

    def _look(self, run_id: str) -> dict[str, Any]:
        if run_id not in self.runs:
            raise RefusedError(404, 5, f"Run {run_id} not found")
        turn = self.looks.get(run_id, 0)
        self.looks[run_id] = turn + 1
        return {**self.runs[run_id], **self.states[min(turn, len(self.states) - 1)]}


def state(word: str, error: str = "", **tasks: str) -> dict[str, Any]:
    """The state of a run and of its tasks, as the server tells them; `load="FAILED: why"`."""
    details = []
    for place, (name, text) in enumerate(tasks.items()):
        of_task, _, why = text.partition(": ")
        detail: dict[str, Any] = {
            "run_id": "r",
            "task_id": name,
            "display_name": name.replace("_", "-"),
            "state": of_task,
            "start_time": _time(place),
            "end_time": _time(place + 14) if of_task in {"SUCCEEDED", "FAILED"} else _epoch(),
        }
        if why:
            detail["error"] = {"code": 13, "message": why, "details": []}
        details.append(detail)
    made: dict[str, Any] = {"state": word, "run_details": {"task_details": details}}
    if error:
        made["error"] = {"code": 13, "message": error, "details": []}
    return made


def strictly(data: bytes) -> dict[str, Any]:
    """The pipeline spec in *data*, read as the API server reads it: no unknown field anywhere."""
    documents = [one for one in yaml.load_all(data, yaml.CSafeLoader) if one]
    specs = [one for one in documents if "pipelineInfo" in one]
    if len(specs) != 1:
        raise RefusedError(400, 3, "no pipeline spec is provided")
    platforms = [one for one in documents if "platforms" in one]
    try:
        spec = json_format.ParseDict(specs[0], protos.PipelineSpec())
        for one in platforms:
            json_format.ParseDict(one, protos.PlatformSpec())
            executors = one["platforms"]["kubernetes"].get("deploymentSpec", {})
            for config in executors.get("executors", {}).values():
                json_format.ParseDict(config, kubernetes.KubernetesExecutorConfig())
    except json_format.ParseError as exc:
        raise RefusedError(400, 3, f"invalid v2 pipeline spec: {exc}") from None
    if spec.schema_version != "2.1.0":
        message = f"KFP only supports schema version 2.1.0, but it has {spec.schema_version}"
        raise RefusedError(400, 3, message)
    if not spec.pipeline_info.name:
        raise RefusedError(400, 3, "invalid v2 pipeline spec: name is empty")
    if platforms:
        return {"pipeline_spec": specs[0], "platform_spec": platforms[0]}
    found: dict[str, Any] = specs[0]
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about a client that did not wait for its answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(stub: Stub, tls: Any = None) -> Iterator[Stub]:
    """*stub* at a free port of this machine; *tls* is a context for TLS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            pass

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            parts = urllib.parse.urlsplit(self.path)
            query = {k: v[0] for k, v in urllib.parse.parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, parts.path, query, headers, self.rfile.read(length))
            status, kind, body = stub.answer(seen)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
            if stub.cookie:
                self.send_header("Set-Cookie", stub.cookie)
                stub.cookie = ""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815  http.server's names

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    stub.url = f"{'https' if tls else 'http'}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _body(request: Seen, model: Any) -> dict[str, Any]:
    """The JSON that came; a field that the API does not know is refused, as grpc-gateway does."""
    value: dict[str, Any] = json.loads(request.body)
    if unknown := value.keys() - set(model.attribute_map.values()):
        raise RefusedError(400, 3, f"proto: unknown field {sorted(unknown)}")
    return value


def _named(body: dict[str, Any]) -> str:
    name: str = body.get("display_name", "")
    if not name:
        raise RefusedError(400, 3, "Invalid input error: the name is empty")
    return name


def _uploaded(request: Seen) -> bytes:
    head = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
    parts: Any = email.message_from_bytes(head + request.body).get_payload()
    for part in parts:
        if part.get_param("name", header="content-disposition") == "uploadfile":
            assert part.get_filename().endswith(".yaml")
            data: bytes = part.get_payload(decode=True)
            return data
    raise RefusedError(400, 3, "Failed to read pipeline from file")


def _check_type(name: str, value: object, kind: str) -> None:
    types: dict[str, tuple[type, ...]] = {
        "NUMBER_INTEGER": (int,),
        "NUMBER_DOUBLE": (int, float),
        "STRING": (str,),
        "BOOLEAN": (bool,),
        "LIST": (list,),
        "STRUCT": (dict,),
    }
    right = isinstance(value, types[kind]) and (kind == "BOOLEAN" or not isinstance(value, bool))
    if not right:
        raise RefusedError(400, 3, f"input parameter {name} requires type {kind}")


def _time(seconds: int) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _epoch() -> str:
    return "1970-01-01T00:00:00Z"
