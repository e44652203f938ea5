"""Checks a package without the compiler that made it: the protos, KFP's loader, the references."""

import ast
import importlib.util
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import yaml

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from google.protobuf import json_format
    from kfp import components  # type: ignore[import-untyped]
    from kfp.kubernetes import (  # type: ignore[import-untyped]
        kubernetes_executor_config_pb2 as kubernetes,
    )
    from kfp.pipeline_spec import pipeline_spec_pb2 as protos  # type: ignore[import-untyped]

from kale_tag.compiler.container import CREATE_CLAIM

ARGUMENT = 131_071
NEWER = {"secretNameParameter", "pvcNameParameter", "configMapNameParameter", "optional"}
"""Fields that kfp writes beside the older ones that mean the same; we write the older ones."""

CONSTANTS = {
    "NUMBER_INTEGER": "number_value",
    "NUMBER_DOUBLE": "number_value",
    "STRING": "string_value",
    "BOOLEAN": "bool_value",
    "LIST": "list_value",
    "STRUCT": "struct_value",
}
"""The kind of JSON value that a constant of each type of parameter is."""


def documents(text: str) -> list[dict[str, Any]]:
    """The documents of a package."""
    return list(yaml.load_all(io.StringIO(text), yaml.CSafeLoader))


def check(text: str) -> dict[str, Any]:
    """The pipeline spec in *text*, after everything that a KFP API server looks at, and more.

    Unknown fields are faults everywhere; whatever a task refers to must be there, of the type that
    is asked for; the one `{{` is the executor input.
    """
    spec, *platform = documents(text)
    pipeline = json_format.ParseDict(spec, protos.PipelineSpec())
    assert pipeline.schema_version == "2.1.0"
    assert f"comp-{pipeline.pipeline_info.name}" not in pipeline.components
    deployment = json_format.ParseDict(spec["deploymentSpec"], protos.PipelineDeploymentConfig())
    steps = {
        name: executor
        for name, executor in deployment.executors.items()
        if executor.container.image != CREATE_CLAIM
    }
    for name, executor in steps.items():
        assert executor.container.image, name
        for part in (*executor.container.command, *executor.container.args):
            assert len(part.encode()) <= ARGUMENT
            assert "{{" not in part or part == "{{$}}"
            assert "$(" not in part, "Kubernetes puts in the value of a variable"
            assert "$$" not in part, "Kubernetes makes one of two"
    assert text.count("{{") == text.count("{{$}}") == len(steps)
    assert len({str(one) for one in steps.values()}) == len(steps)
    for document in platform:
        json_format.ParseDict(document, protos.PlatformSpec())
        executors = document["platforms"]["kubernetes"].get("deploymentSpec", {"executors": {}})
        for name, config in executors["executors"].items():
            assert name in steps
            json_format.ParseDict(config, kubernetes.KubernetesExecutorConfig())
    _check_dag(pipeline.root, pipeline)
    for component in pipeline.components.values():
        if component.HasField("dag"):
            _check_dag(component, pipeline)
        else:
            assert component.executor_label in deployment.executors
    loaded = components.load_component_from_text(text)
    assert set(loaded.component_spec.inputs or {}) == set(
        spec["root"].get("inputDefinitions", {}).get("parameters", {})
    )
    assert isinstance(spec, dict)
    return spec


def _check_dag(component: Any, pipeline: Any) -> None:
    tasks = component.dag.tasks
    for name, task in tasks.items():
        inner = pipeline.components[task.component_ref.name]
        assert all(other in tasks for other in task.dependent_tasks), name
        for side in ("parameters", "artifacts"):
            declared = getattr(inner.input_definitions, side)
            outer = getattr(component.input_definitions, side)
            given = getattr(task.inputs, side)
            assert all(key in declared for key in given), name
            for key, definition in declared.items():
                assert key in given or definition.is_optional, f"{name} is not given {key}"
            for key, value in given.items():
                _check_source(value, declared[key], outer, (task, tasks, pipeline))
    for output, selectors in component.dag.outputs.artifacts.items():
        assert output in component.output_definitions.artifacts
        for selector in selectors.artifact_selectors:
            producer = pipeline.components[tasks[selector.producer_subtask].component_ref.name]
            assert selector.output_artifact_key in producer.output_definitions.artifacts


def _check_source(value: Any, declared: Any, outer: Any, where: Any) -> None:
    task, tasks, pipeline = where
    if hasattr(value, "component_input_artifact") and value.component_input_artifact:
        assert outer[value.component_input_artifact].artifact_type == declared.artifact_type
    elif hasattr(value, "runtime_value") and value.HasField("runtime_value"):
        kind = protos.ParameterType.ParameterTypeEnum.Name(declared.parameter_type)
        assert value.runtime_value.constant.WhichOneof("kind") == CONSTANTS[kind]
    elif hasattr(value, "component_input_parameter") and value.component_input_parameter:
        assert outer[value.component_input_parameter].parameter_type == declared.parameter_type
    elif hasattr(value, "task_output_parameter") and value.HasField("task_output_parameter"):
        source = value.task_output_parameter
        assert source.producer_task in task.dependent_tasks
        producer = pipeline.components[tasks[source.producer_task].component_ref.name]
        given = producer.output_definitions.parameters[source.output_parameter_key]
        assert given.parameter_type == declared.parameter_type
    else:
        source = value.task_output_artifact
        assert source.producer_task in task.dependent_tasks
        producer = pipeline.components[tasks[source.producer_task].component_ref.name]
        given = producer.output_definitions.artifacts[source.output_artifact_key]
        assert given.artifact_type == declared.artifact_type


def inlined(spec: dict[str, Any], platform: dict[str, Any] | None = None) -> dict[str, Any]:
    """*spec* with every component and executor in the place where it is referred to.

    So two packages can be compared that name them differently. Command and args are left out, and
    so is what makes the keys of tasks in sub-pipelines unique in ours: `features--`.
    """
    configs = (platform or {}).get("platforms", {}).get("kubernetes", {})
    executors = configs.get("deploymentSpec", {}).get("executors", {})

    def component(body: dict[str, Any]) -> dict[str, Any]:
        body = json.loads(json.dumps(body))
        label = body.pop("executorLabel", None)
        if label is not None:
            container = json.loads(
                json.dumps(spec["deploymentSpec"]["executors"][label]["container"])
            )
            container.pop("command", None)
            container.pop("args", None)
            body["container"] = container
            body["kubernetes"] = executors.get(label, {})
        for task in body.get("dag", {}).get("tasks", {}).values():
            task["component"] = component(spec["components"][task.pop("componentRef")["name"]])
        return body

    made: dict[str, Any] = {
        "info": spec["pipelineInfo"],
        "root": component(spec["root"]),
        "config": configs.get("pipelineConfig", {}),
    }
    inlined: dict[str, Any] = json.loads(
        re.sub(r'"[a-z0-9-]+--(?=[a-z0-9-]+")', '"', json.dumps(made))
    )
    return inlined


def compiled(text: str, folder: Path) -> list[dict[str, Any]]:
    """The documents of the package that kfp makes of the module *text*."""
    path = folder / "made.py"
    path.write_text(text, "utf-8")
    specification = importlib.util.spec_from_file_location("made", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        specification.loader.exec_module(module)
        main = ast.parse(text).body[-1]
        assert isinstance(main, ast.If)
        call = main.body[0].value  # type: ignore[attr-defined]
        module.compiler.Compiler().compile(
            getattr(module, call.args[0].id), str(folder / "made.yaml")
        )
    return documents((folder / "made.yaml").read_text("utf-8"))


def older(value: Any) -> Any:
    """*value* without the fields that are `NEWER`, and the inputs that a `CreatePVC` has unused."""
    if isinstance(value, dict):
        if value.get("component", {}).get("container", {}).get("image") == CREATE_CLAIM:
            inputs = value["component"]["inputDefinitions"]["parameters"]
            for name in {*inputs} - {*value["inputs"]["parameters"]}:
                assert inputs.pop(name)["isOptional"]
            for one in inputs.values():
                one.pop("isOptional", None)
                one.pop("defaultValue", None)
                del one["description"]
        return {key: older(entry) for key, entry in value.items() if key not in NEWER}
    return [older(one) for one in value] if isinstance(value, list) else value
