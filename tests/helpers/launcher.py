"""Runs a package as a cluster would, from what is in it alone, and shows what came of it.

See `backend.py`, which runs it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend import Backend, Visit

INSTALL = re.compile(r"-m pip install (?:--\S+ )*(.*)$", re.MULTILINE)
TIME = re.compile(r"(?<=: )[\d.]+ [µumn]?s\b")
"""What `%%time` says."""

IMAGE = "python:3.12"
"""What our packages ask for where nothing is said."""


class Launcher:
    """The package in the file *path*; everything that its steps write is below *folder*."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.backend = Backend(path.read_text("utf-8"), folder)
        self.spec = self.backend.spec

    def account(self) -> Iterator[str]:
        """A line for each fact of the pipeline, then for each step what it is and what it says."""
        info = self.spec["pipelineInfo"]
        description = f": {info['description']!r}" if "description" in info else ""
        yield f"pipeline {info['name']}{description}"
        parameters = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        for name, one in parameters.items():
            yield f"parameter {name}: {one['parameterType']} = {one['defaultValue']!r}"
        for key, value in self.backend.config.get("pipelineConfig", {}).items():
            yield f"{key}: {value}"
        for visit in self.backend.run():
            yield from self._header(visit)
            if not visit.started:
                yield "    never starts"
                continue
            yield from (
                f"    {line}".rstrip() for line in TIME.sub("... s", visit.log).splitlines()
            )
            if visit.code:
                yield f"    [exit {visit.code}]"
            yield from self._made(visit)

    def _made(self, visit: Visit) -> Iterator[str]:
        for key, artifact in visit.made.items():
            kind = artifact["type"]["schemaTitle"].removeprefix("system.")
            kept = artifact["metadata"]
            if key == "kale_tag_metrics":
                yield f"  reports {kept}"
            elif key != "kale_tag_report":
                yield f"  gives {kept.get('name', key)}: {kind}, {kept['type']} as {kept['format']}"

    def _header(self, visit: Visit) -> Iterator[str]:
        task, component = visit.task, visit.component
        facts = []
        if task.get("dependentTasks"):
            facts.append(f"after {' '.join(task['dependentTasks'])}")
        inputs = component.get("inputDefinitions", {})
        if inputs.get("artifacts"):
            facts.append(f"takes {' '.join(inputs['artifacts'])}")
        if inputs.get("parameters"):
            facts.append(f"uses {' '.join(inputs['parameters'])}")
        if "dag" in component:
            yield f"{visit.name}/: {'; '.join(facts)}".rstrip(": ")
            return
        label = component["executorLabel"]
        container: Any = self.spec["deploymentSpec"]["executors"][label]["container"]
        platform = self.backend.config.get("deploymentSpec", {}).get("executors", {})
        packages = INSTALL.search(container["command"][2])
        if packages is not None:
            facts.append(f"installs {packages[1]}")
        if "enableCache" not in task["cachingOptions"]:
            facts.append("no cache")
        if "kale_tag_report" not in component.get("outputDefinitions", {}).get("artifacts", {}):
            facts.append("no report")
        yield f"{visit.name}: {'; '.join(facts)}".rstrip(": ")
        if container["image"] != IMAGE:
            yield f"  image: {container['image']}"
        for key, value in {**container.get("resources", {}), **platform.get(label, {})}.items():
            yield f"  {key}: {json.dumps(value, ensure_ascii=False)}"
