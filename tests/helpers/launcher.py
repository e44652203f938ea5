"""Runs a package as a cluster would, from what stands in it alone, and says what came of it.

The order is that of `dependentTasks`; each container's command and args are started as they are,
with the executor input in place of `{{$}}`, as KFP's launcher does.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from packages import documents

INSTALL = re.compile(r"-m pip install (?:--\S+ )*(.*)$", re.MULTILINE)
TIME = re.compile(r"(?<=: )[\d.]+ [µumn]?s\b")
"""What `%%time` says."""

Account = Generator[str, None, dict[str, Any]]
"""Lines, and at the end the artifacts that were made."""

IMAGE = "python:3.12"
"""What our packages ask for where nothing is said."""


LOGS = {"executor-logs": {"artifactType": {"schemaTitle": "system.Artifact"}}}
"""The output that the driver of KFP 2.5 and newer adds to every step."""


class Launcher:
    """The package in the file *path*; everything that its steps write is below *folder*."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.spec, *platform = documents(path.read_text("utf-8"))
        self.folder = folder
        self.config: dict[str, Any] = (
            platform[0]["platforms"]["kubernetes"] if platform else {"deploymentSpec": {}}
        )
        self.failed = False

    def account(self) -> Iterator[str]:
        """A line for each fact of the pipeline, then for each step what it is and what it says."""
        info = self.spec["pipelineInfo"]
        description = f": {info['description']!r}" if "description" in info else ""
        yield f"pipeline {info['name']}{description}"
        parameters = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        for name, one in parameters.items():
            yield f"parameter {name}: {one['parameterType']} = {one['defaultValue']!r}"
        for key, value in self.config.get("pipelineConfig", {}).items():
            yield f"{key}: {value}"
        values = {name: one["defaultValue"] for name, one in parameters.items()}
        yield from self._dag(self.spec["root"], {"parameterValues": values, "artifacts": {}})

    def _dag(self, component: Any, given: Any, inside: str = "") -> Account:
        """The tasks of a component, run in their order; returns the artifacts that it gives."""
        waiting = dict(component["dag"]["tasks"])
        made: dict[tuple[str, str], Any] = {}
        while waiting:
            name, task = next(
                (name, task)
                for name, task in waiting.items()
                if not set(task.get("dependentTasks", ())) & set(waiting)
            )
            of = self.spec["components"][task["componentRef"]["name"]]
            yield from self._header(inside + name, task)
            if self.failed:
                yield "    never starts"
            elif "dag" in of:
                outs = yield from self._dag(of, _inputs(task, given, made), f"{inside}{name}/")
                made |= {(name, key): one for key, one in outs.items()}
            else:
                outs = yield from self._step(inside + name, task, _inputs(task, given, made))
                made |= {(name, key): one for key, one in outs.items()}
            del waiting[name]
        outputs = component["dag"].get("outputs", {}).get("artifacts", {})
        chosen = {key: one["artifactSelectors"][0] for key, one in outputs.items()}
        return {
            key: made.get((one["producerSubtask"], one["outputArtifactKey"]))
            for key, one in chosen.items()
        }

    def _step(self, name: str, task: Any, given: Any) -> Account:
        code, log, made = self._run(name, task, given)
        yield from (f"    {line}".rstrip() for line in TIME.sub("... s", log).splitlines())
        if code:
            self.failed = True
            yield f"    [exit {code}]"
        for key, artifact in made.items():
            kind = artifact["type"]["schemaTitle"].removeprefix("system.")
            kept = artifact["metadata"]
            if key == "kale_tag_metrics":
                yield f"  reports {kept}"
            elif key != "kale_tag_report":
                yield f"  gives {kept.get('name', key)}: {kind}, {kept['type']} as {kept['format']}"
        return made

    def _container(self, component: Any) -> tuple[Any, Any]:
        label = component["executorLabel"]
        executors = self.config["deploymentSpec"].get("executors", {})
        return self.spec["deploymentSpec"]["executors"][label]["container"], executors.get(
            label, {}
        )

    def _header(self, name: str, task: Any) -> Iterator[str]:
        component = self.spec["components"][task["componentRef"]["name"]]
        facts = []
        if task.get("dependentTasks"):
            facts.append(f"after {' '.join(task['dependentTasks'])}")
        inputs = component.get("inputDefinitions", {})
        if inputs.get("artifacts"):
            facts.append(f"takes {' '.join(inputs['artifacts'])}")
        if inputs.get("parameters"):
            facts.append(f"uses {' '.join(inputs['parameters'])}")
        if "dag" in component:
            yield f"{name}/: {'; '.join(facts)}".rstrip(": ")
            return
        container, platform = self._container(component)
        packages = INSTALL.search(container["command"][2])
        if packages is not None:
            facts.append(f"installs {packages[1]}")
        if "enableCache" not in task["cachingOptions"]:
            facts.append("no cache")
        if "kale_tag_report" not in component.get("outputDefinitions", {}).get("artifacts", {}):
            facts.append("no report")
        yield f"{name}: {'; '.join(facts)}".rstrip(": ")
        if container["image"] != IMAGE:
            yield f"  image: {container['image']}"
        for key, value in {**container.get("resources", {}), **platform}.items():
            yield f"  {key}: {json.dumps(value, ensure_ascii=False)}"

    def _run(self, name: str, task: Any, inputs: Any) -> tuple[int, str, dict[str, Any]]:
        component = self.spec["components"][task["componentRef"]["name"]]
        container, _ = self._container(component)
        folder = self.folder / name
        folder.mkdir(parents=True)
        outs = component.get("outputDefinitions", {}).get("artifacts", {})
        given = {
            "inputs": inputs,
            "outputs": {
                "artifacts": {
                    key: {
                        "artifacts": [
                            {
                                "name": key,
                                "type": one["artifactType"],
                                "uri": f"{folder}/{key}",
                                "metadata": {},
                            }
                        ]
                    }
                    for key, one in (outs | LOGS).items()
                },
                "outputFile": f"{folder}/output_metadata.json",
            },
        }
        words = [
            json.dumps(given) if word == "{{$}}" else word
            for word in (*container["command"], *container["args"])
        ]
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        env |= {one["name"]: one["value"] for one in container.get("env", ())}
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        work = folder / "work"
        work.mkdir()
        ended = subprocess.run(
            words,
            cwd=work,
            env=env | {"KALE_TAG_NO_PIP": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        shutil.rmtree(work)
        left = folder / "output_metadata.json"
        made = json.loads(left.read_text("utf-8"))["artifacts"] if left.exists() else {}
        return (
            ended.returncode,
            ended.stdout.decode("utf-8"),
            {
                key: {"type": outs[key]["artifactType"], "metadata": {}} | one["artifacts"][0]
                for key, one in made.items()
                if key in outs
            },
        )


def _inputs(task: Any, given: Any, made: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """What a task is given: *given* is what its component has, *made* what tasks beside it made."""
    values, artifacts = {}, {}
    for key, source in task.get("inputs", {}).get("parameters", {}).items():
        if "componentInputParameter" in source:
            values[key] = given["parameterValues"][source["componentInputParameter"]]
        else:
            values[key] = source["runtimeValue"]["constant"]
    for key, source in task.get("inputs", {}).get("artifacts", {}).items():
        if "componentInputArtifact" in source:
            artifacts[key] = given["artifacts"][source["componentInputArtifact"]]
        else:
            origin = source["taskOutputArtifact"]
            found = made[origin["producerTask"], origin["outputArtifactKey"]]
            artifacts[key] = {"artifacts": [found]}
    return {"parameterValues": values, "artifacts": artifacts}
