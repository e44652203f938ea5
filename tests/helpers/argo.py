"""A model of the workflow that Argo keeps of a run: its specification, and its status at the end.

The specification is that of KFP's compiler for Argo (`backend/src/v2/compiler/argocompiler`: the
container of each step and each component once, as arguments), the status that of Argo 3.4 to 4.0
(`workflow_types.go`, `packer.go`): all nodes as JSON, by gzip and base64. It is a model: no server
has run here.
"""

import base64
import gzip
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from kale_tag.compiler.limits import json_of_go

_DRIVER = 2_900
_EXECUTOR = 5_200
"""Bytes of the templates that each workflow has: drivers of DAGs and steps; executors."""

_LAUNCHER = (
    "--pipeline_name {pipeline} --run_id 6f1ab9c0-55f1-4b52-9d0f-8c7f0d2f3a11 --execution_id {id} "
    "--executor_input {{}} --component_spec {{}} --pod_name $(KFP_POD_NAME) --pod_uid "
    "$(KFP_POD_UID) --mlmd_server_address metadata-grpc-service.kubeflow.svc.cluster.local "
    "--mlmd_server_port 8080 --publish_logs true --cache_disabled false --log_level 1"
)


def workflow_size(spec: Mapping[str, Any]) -> int:
    """Bytes of the workflow of a package with the `PipelineSpec` *spec*, when all steps are done.

    Sub-pipelines count as steps.
    """
    return len(json.dumps(_specification(spec), separators=(",", ":")).encode()) + _status(spec)


def _specification(spec: Mapping[str, Any]) -> dict[str, object]:
    arguments = [_parameter("components-root", json_of_go(spec["root"]))]
    templates: list[dict[str, object]] = []
    for name, component in [("root", spec["root"]), *spec["components"].items()]:
        key = f"{name:x<64}"[:64]  # SHA-256 of the container
        if name != "root":
            arguments.append(_parameter(f"components-{key}", json_of_go(component)))
        if "executorLabel" in component:
            executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
            arguments.append(
                _parameter(f"implementations-{key}", json_of_go(executor["container"]))
            )
        if "dag" in component:
            tasks = [
                one
                for task, found in component["dag"]["tasks"].items()
                for one in _tasks(task, found)
            ]
            inputs = {"parameters": [{"name": "parent-dag-id"}]}
            templates.append(
                {"name": name, "inputs": inputs, "outputs": {}, "metadata": {}}
                | {"dag": {"tasks": tasks}}
            )
    templates.append({"name": "system", "text": "x" * (2 * _DRIVER + _EXECUTOR)})
    return {
        "metadata": {"name": "chain-abcde", "labels": "x" * 600, "managedFields": ""},
        "spec": {
            "templates": templates,
            "entrypoint": "entrypoint",
            "arguments": {"parameters": arguments},
        },
    }


def _tasks(name: str, task: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """The two tasks of Argo that are one of KFP: driver and executor."""
    key = "x" * 64
    after = [f"{one}.Succeeded" for one in task.get("dependentTasks", ())]
    driver = [
        _parameter("component", f"{{{{workflow.parameters.components-{key}}}}}"),
        _parameter("task", json_of_go(task)),
        _parameter("container", f"{{{{workflow.parameters.implementations-{key}}}}}"),
        _parameter("task-name", name),
        _parameter("parent-dag-id", "{{inputs.parameters.parent-dag-id}}"),
    ]
    yield {
        "name": f"{name}-driver",
        "template": "system-container-driver",
        "arguments": {"parameters": driver},
        "depends": " && ".join(after),
    }
    outputs = f"{{{{tasks.{name}-driver.outputs.parameters."
    executor = [
        _parameter("pod-spec-patch", f"{outputs}pod-spec-patch}}}}"),
        {**_parameter("cached-decision", f"{outputs}cached-decision}}}}"), "default": "false"},
    ]
    yield {
        "name": name,
        "template": "system-container-executor",
        "arguments": {"parameters": executor},
        "depends": f"{name}-driver.Succeeded",
    }


def _status(spec: Mapping[str, Any]) -> int:
    """Bytes of the status."""
    chance = random.Random(0)
    nodes: dict[str, object] = {}
    synced: dict[str, bool] = {}
    for component in (spec["root"], *spec["components"].values()):
        for name, task in component.get("dag", {}).get("tasks", {}).items():
            made = spec["components"][task["componentRef"]["name"]]
            label = made.get("executorLabel")
            container = spec["deploymentSpec"]["executors"].get(label, {}).get("container", {})
            ids = [f"chain-abcde-{chance.randrange(10**9, 2**32)}" for _ in range(3)]
            for node in _nodes(ids, name, task, made, container):
                nodes[str(node["id"])] = node
            synced |= dict.fromkeys(ids[::2], True)
    text = json.dumps(dict(sorted(nodes.items())), separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(text.encode(), 6))
    rest = {"taskResultsCompletionStatus": synced, "phase": "Succeeded", "conditions": "x" * 300}
    return len(packed) + len(json.dumps(rest))


def _nodes(
    ids: list[str],
    name: str,
    task: Mapping[str, Any],
    component: Mapping[str, Any],
    container: Mapping[str, Any],
) -> Iterator[dict[str, object]]:
    """Driver, executor, and the pod in the executor."""
    words = _LAUNCHER.format(pipeline="chain", id=ids[0][-3:]).split()
    inputs = {
        "inputs": {
            one: {"artifacts": [{"name": one, "uri": _uri(task, one), "metadata": _METADATA}]}
            for one in component.get("inputDefinitions", {}).get("artifacts", {})
        },
        "outputs": {
            "artifacts": {
                one: {"artifacts": [{"name": one, "type": {}, "uri": _uri(task, one)}]}
                for one in component.get("outputDefinitions", {}).get("artifacts", {})
            },
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",
        },
    }
    words[words.index("{}")] = json_of_go(inputs)
    words[words.index("{}")] = json_of_go(component)
    main = {
        "name": "main",
        "image": container.get("image", ""),
        "command": ["/kfp-launcher/launch", *words, "--", *container.get("command", ())],
        "args": container.get("args", []),
        "resources": {},
    }
    patch = json_of_go({"containers": [main]})
    given = [
        _parameter("component", json_of_go(component)),
        _parameter("task", json_of_go(task)),
        _parameter("container", json_of_go(container)),
        _parameter("task-name", name),
        _parameter("parent-dag-id", "1"),
        _parameter("iteration-index", "-1"),
        _parameter("kubernetes-config", ""),
    ]
    made = [
        {**_parameter("pod-spec-patch", patch), "valueFrom": {"path": "/tmp/outputs/pod-spec"}},
        {**_parameter("cached-decision", "false"), "valueFrom": {"path": "/tmp/outputs/cached"}},
        {**_parameter("condition", "nil"), "valueFrom": {"path": "/tmp/outputs/condition"}},
    ]
    taken = [_parameter("pod-spec-patch", patch), _parameter("cached-decision", "false")]
    yield _node(ids[0], f"{name}-driver", "Pod", given, made, ids[1:2])
    yield _node(ids[1], name, "DAG", taken, [], ids[2:])
    yield _node(ids[2], f"{name}.executor", "Pod", taken[:1], [], [])


_METADATA = {"format": "json", "sha256": "0123456789abcdef" * 4, "type": "builtins.list"}


def _uri(task: Mapping[str, Any], name: str) -> str:
    run = "minio://mlpipeline/v2/artifacts/chain/6f1ab9c0-55f1-4b52-9d0f-8c7f0d2f3a11"
    return f"{run}/{task['taskInfo']['name']}/{name}"


def _node(  # noqa: PLR0917  the fields of a node
    key: str, name: str, kind: str, inputs: object, outputs: object, children: object
) -> dict[str, object]:
    log = {"s3": {"key": f"artifacts/chain/2026/11/29/{key}/main.log"}, "name": "main-logs"}
    return {
        "id": key,
        "name": f"chain-abcde.root.{name}",
        "displayName": name,
        "type": kind,
        "templateName": "system-container-driver",
        "templateScope": "local/chain-abcde",
        "phase": "Succeeded",
        "boundaryID": "chain-abcde-1234567890",
        "startedAt": "2026-11-29T08:00:00Z",
        "finishedAt": f"2026-11-29T08:{int(key[-2:]) % 60:02}:{int(key[-4:-2]) % 60:02}Z",
        "progress": "1/1",
        "resourcesDuration": {"cpu": int(key[-1]), "memory": int(key[-2:])},
        "inputs": {"parameters": inputs},
        "outputs": {"parameters": outputs, "artifacts": [log], "exitCode": "0"},
        "children": children,
        "hostNodeName": f"node-{int(key[-1]) % 4}",
    }


def _parameter(name: str, value: str) -> dict[str, object]:
    return {"name": name, "value": value}
