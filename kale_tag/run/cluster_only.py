"""What a cluster gives the steps and this machine does not."""

import os
import sys
from collections.abc import Iterable, Iterator

from kale_tag.compiler.container import DEFAULT_IMAGE
from kale_tag.compiler.read_package import PackageTask
from kale_tag.diagnostics import Diagnostic, warning


def not_here(tasks: Iterable[PackageTask]) -> list[Diagnostic]:
    """One warning that names everything of the kind, or none."""
    tasks = list(tasks)
    secrets = dict(_secrets(tasks))
    volumes = dict(_volumes(tasks))
    devices = dict(_devices(tasks))
    images = sorted({task.executor["image"] for task in tasks} - {DEFAULT_IMAGE})
    notes = []
    notes += [
        f"the secret `{name}` is not in the environment: {env}" for env, name in secrets.items()
    ]
    notes += [f"there is no folder {path}: the volume `{name}`" for path, name in volumes.items()]
    notes += [f"step `{title}` gets no {device} of its own" for title, device in devices.items()]
    if images:
        version = sys.version.split()[0]
        notes.append(f"images are not used ({', '.join(images)}): steps run in Python {version}")
    if not notes:
        return []
    hints = [f"export {env}=..." for env in secrets]
    hints += [f"mkdir -p {path}" for path in volumes]
    message = "the steps run on this machine, without some of what a cluster gives them"
    return [warning("not-on-this-machine", message, notes=notes, help="; ".join(hints))]


def _secrets(tasks: Iterable[PackageTask]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        for secret in task.platform.get("secretAsEnv", ()):
            for entry in secret["keyToEnv"]:
                if entry["envVar"] not in os.environ:
                    yield entry["envVar"], f"{secret['secretName']}/{entry['secretKey']}"


def _volumes(tasks: Iterable[PackageTask]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        for volume in task.platform.get("pvcMount", ()):
            if not os.path.isdir(volume["mountPath"]):
                yield volume["mountPath"], volume["constant"]


def _devices(tasks: Iterable[PackageTask]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        accelerator = task.executor.get("resources", {}).get("accelerator")
        if accelerator:
            yield task.title, f"{accelerator['type']} ({accelerator['count']})"
