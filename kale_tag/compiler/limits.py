"""What a cluster refuses or loses: every limit of Linux, Argo, Kubernetes and KFP's backend.

Those of names are in `kale_tag.kale.names`, those of quantities in `kale_tag.kale.quantity`.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kale_tag.diagnostics import (
    Diagnostic,
    DiagnosticCollector,
    Label,
    Source,
    error,
    warning,
)
from kale_tag.kale.names import (
    COMPONENT_NAME_LENGTH,
    LABEL,
    LABEL_DOMAIN,
    LABEL_LENGTH,
)
from kale_tag.kale.pipeline import Parameter, Pipeline, Step, SubPipeline, Volume

ARGUMENT = 131_071
"""Bytes that one argument of a Linux program may have (MAX_ARG_STRLEN, less the closing NUL).

KFP passes to each driver, as JSON and in one argument each: the container of the step, the
component (that of a pipeline contains its tasks and defaults), the parameters of the run.
"""

PARAMETERS = 120_000
"""Bytes that we let the values of all parameters have: a step gets those that it uses in one
argument with its artifacts, each of some 500 bytes.
"""

OLD_ARGUMENT, OLD_ARGO = 60_000, (2, 14)
"""The same for a container before KFP 2.14, whose Argo has it twice in one variable of the pod."""

WORKFLOW: Final = 1_048_576
"""Bytes of specification and status of a workflow, above which Argo ends it."""

_TEMPLATES, _PARTS, _COPIES, _AGAIN, _WINDOW = 14_500, 1.5, 3.4, 0.16, 31_500
"""Bytes of a workflow that are there anyway; its bytes for each of a component or a task; bytes of
status for each byte of compressed cells, and for each of a program that it has already; and bytes
of a container above which the whole program counts as the cells do.

A status has the container of a step four times, in three nodes: of its driver, its executor and
its pod. It is one text of gzip, whose window of 32 KiB has the program, which is the same
everywhere, unless that is longer, but rarely the cells of that step. The test of this compares it
with a model of both.
"""

KEY_LENGTH = 1000
"""Characters of a key as it is written; YAML 1.1 has simple keys of 1,024 at most."""

_NO_ARGUMENT = re.compile("[\0\ud800-\udfff]")
_LOST = re.compile("\x85|\u2028(?= )")  # servers up to 2.17 store a blank, and lose one
_EXPANDED = re.compile(r"\$\$|\$\([^)]*\)")
_ESCAPED_BY_GO = re.compile("[<>&\u2028\u2029]")


def check_text(
    text: str, what: str, at: Label | None, *, expanded: bool = True
) -> Iterator[Diagnostic]:
    """Errors if *text*, not part of CELLS or SPEC, would not reach a container unchanged.

    *expanded* is whether Kubernetes looks for variables in it: in all arguments of drivers and
    steps, and in values of variables. How often depends on the version, so no escape helps.
    """
    if expanded and (variable := _EXPANDED.search(text)):
        yield error(
            "placeholder",
            f"{what} contains `{variable[0]}`, which Kubernetes replaces on the way to the step",
            at,
            help="write it in another way; in the code of cells it is allowed",
        )
    if expanded and (lost := _LOST.search(text)):
        sign = "U+0085" if lost[0] == "\x85" else "U+2028 before a space"
        yield error(
            "bad-character",
            f"{what} contains {sign}, which Kubeflow Pipelines changes when it stores the package",
            at,
            help="write it in another way; in the code of cells it is allowed",
        )
    if "{{" in text:
        yield error(
            "placeholder",
            f"{what} contains `{{{{`, which Kubeflow Pipelines and Argo replace",
            at,
            help="write it in another way; in the code of cells it is allowed",
        )
    if _NO_ARGUMENT.search(text):
        message = f"{what} contains a character that cannot be passed to a process"
        yield error("bad-character", message, at)


def size_warnings(size: int, name: str) -> Iterator[Diagnostic]:
    """The warning if clusters may end runs of *size* bytes; *name* is the notebook."""
    if size > WORKFLOW:
        yield warning(
            "large-package",
            f"the workflow has about {size:,} bytes with its status; Argo ends a run above "
            f"{WORKFLOW:,}",
            Label(Source(name)),
            help="join steps, put code into a package, or make two pipelines of it",
        )


def workflow_size(spec: Mapping[str, Any]) -> int:
    """Bytes of the workflow of the pipeline spec *spec* with its status: an estimate.

    The specification has the components, the containers and the tasks once each, and the tasks
    once more in the component of their pipeline.
    """
    components = [spec["root"], *spec["components"].values()]
    tasks = [task for one in components for task in one.get("dag", {}).get("tasks", {}).values()]
    containers = [one["container"] for one in spec["deploymentSpec"]["executors"].values()]
    programs = Counter(one["args"][0] for one in containers if "args" in one)
    found = _TEMPLATES + _PARTS * sum(map(expanded_size, [*components, *tasks]))
    for program, count in programs.items():
        found += 4 / 3 * _compressed(program) + count * _AGAIN * expanded_size(program)  # base64
    for one in containers:
        size = expanded_size(one)
        own = [*one.get("command", ())[3:], *one.get("args", ())[1:]]
        found += size + _COPIES * _compressed(one if size > _WINDOW else own)
    return int(found)


def _compressed(value: object) -> int:
    return len(zlib.compress(json_of_go(value).encode()))


def expanded_size(value: object) -> int:
    """Bytes of a container, or of a text in it, in the workflow that KFP's server makes of it.

    A workflow holds it as JSON inside JSON.
    """
    text = json.dumps(json_of_go(value), ensure_ascii=False)
    return len(text.encode(errors="replace"))


def json_of_go(value: object) -> str:
    """*value* as JSON of KFP's server, where `<`, `>` and `&` are escapes of six characters."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _ESCAPED_BY_GO.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def argument_size(value: object) -> int:
    """Bytes of *value* as an argument of a driver."""
    return len(json_of_go(value).encode(errors="replace"))


def check_pod_setting(
    values: Mapping[str, str], what: str, step: Step, found: DiagnosticCollector
) -> None:
    """Report labels or annotations (*what*) of the pod of *step* that Kubernetes refuses."""
    article = "an" if what[0] in "aeiou" else "a"
    for key, value in values.items():
        at = step.place(what, key)
        prefix, slash, rest = key.rpartition("/")
        if not LABEL.fullmatch(rest) or (slash and not LABEL_DOMAIN.fullmatch(prefix)):
            found.error(
                f"invalid-{what}",
                f"`{key}` cannot be the name of {article} {what}: Kubernetes takes up to "
                f"{LABEL_LENGTH} letters, digits, `-`, `_` and `.`, behind an optional `domain/`",
                at,
            )
        found.errors += check_text(value, f"the {what} `{key}` of step `{step.name}`", at)
        if what == "label" and value and not LABEL.fullmatch(value):
            found.error(
                "invalid-label",
                f"the label `{key}` of step `{step.name}` cannot be `{value}`: Kubernetes takes up "
                f"to {LABEL_LENGTH} letters, digits, `-`, `_` and `.`, with a letter or digit at "
                "both ends",
                at,
                help="an annotation can be any text",
            )


def check_volumes(root: Pipeline, found: DiagnosticCollector) -> None:
    """Report volumes that no pod can mount."""
    at: dict[str, Volume] = {}
    for volume in root.volumes:
        what = f"the mount point of the volume `{volume.name}`"
        found.errors += check_text(volume.mount_point, what, volume.label)
        if not volume.mount_point.startswith("/") or ":" in volume.mount_point:
            found.error(
                "invalid-mount-point",
                f"{what} is `{volume.mount_point}`; it must start with `/` and have no `:`",
                volume.label,
            )
        if new := volume.new:
            texts = [new.storage_class, *new.annotations, *new.annotations.values()]
            for text in texts:
                what = f"a setting of the new volume `{volume.name}`"
                found.errors += check_text(text, what, volume.label)
        other = at.setdefault(volume.mount_point.rstrip("/"), volume)
        if other.name != volume.name:
            message = f"the volumes `{other.name}` and `{volume.name}` have the same mount point"
            message += f", `{volume.mount_point}`"
            found.error("two-volumes", message, volume.label, also=[other.label])


def check_component(component: str, unit: Step | SubPipeline, found: DiagnosticCollector) -> bool:
    """Report a name of a component, of which Argo makes a template, unless it is short enough."""
    short = len(component) <= COMPONENT_NAME_LENGTH
    if not short:
        message = f"the name `{unit.name}` is too long: {len(component)} characters as "
        message += f"`{component[:30]}...`, and Kubernetes takes {COMPONENT_NAME_LENGTH}"
        found.error("name-too-long", message, unit.label)
    return short


def check_container(
    container: Mapping[str, object], step: Step, root: Pipeline, found: DiagnosticCollector
) -> None:
    """Report a container that is too large for a driver."""
    size = argument_size(container)
    old = root.kfp_version is not None and root.kfp_version < OLD_ARGO
    limit = OLD_ARGUMENT if old else ARGUMENT
    if size > limit:
        message = f"the container of step `{step.name}` is {size:,} bytes as JSON, in which `<`, "
        message += f"`>` and `&` have six each; Kubeflow Pipelines can start {limit:,}"
        if old:
            message += " before 2.14"
        hint = "read data from a file"
        if step.files:
            hint = "name fewer files in `compile: files`, or put the modules into the image"
        found.error("step-too-large", message, step.label, help=hint)


def check_parameters(parameters: Sequence[Parameter], found: DiagnosticCollector) -> None:
    """Report default values of the parameters of one pipeline that are too large for a step."""
    size = argument_size({one.name: one.default for one in parameters})
    if size > PARAMETERS:
        largest = max(parameters, key=lambda one: argument_size(one.default))
        message = f"the defaults of the parameters are {size:,} bytes as JSON; Kubeflow Pipelines "
        message += f"can start steps with {PARAMETERS:,}"
        hint = "read long values from a file"
        found.error("pipeline-too-large", message, largest.label, help=hint)


def check_dag(component: Mapping[str, object], root: Pipeline, found: DiagnosticCollector) -> None:
    """Report a pipeline whose tasks and defaults are too large for a driver."""
    size = argument_size(component)
    if size > ARGUMENT:
        message = f"the tasks and the defaults of the parameters are {size:,} bytes as JSON; "
        message += f"Kubeflow Pipelines can start {ARGUMENT:,}"
        hint = "make two pipelines of it"
        found.error("pipeline-too-large", message, Label(Source(root.notebook)), help=hint)
