"""The container of a step, but for its command, and the Kubernetes platform spec of a package.

The fields are those of `PipelineContainerSpec` in KFP's pipeline_spec.proto and of
`KubernetesExecutorConfig` in kubernetes_executor_config.proto, spelled as every backend since 2.1
reads them; newer spellings (`secretNameParameter`, `pvcNameParameter`) stop older drivers.
"""

import re
from collections.abc import Callable

from kale_tag.compiler.interface import NameTable
from kale_tag.compiler.limits import check_pod_setting, check_text
from kale_tag.diagnostics import DiagnosticCollector
from kale_tag.kale import quantity, tags
from kale_tag.kale.names import ENVIRONMENT_VARIABLE
from kale_tag.kale.pipeline import NewClaim, Pipeline, SecurityContext, Step, Volume
from kale_tag.kale.quantity import BadQuantityError

DEFAULT_IMAGE = "python:3.12"
"""The image of a step that has none: Kale 2.3's."""

CREATE_CLAIM = "argostub/createpvc"
"""The image for which the backend creates a claim, instead of starting a container."""

_MEASURED: dict[str, tuple[str, Callable[[str], float]]] = {
    "cpu": ("Cpu", quantity.cpus),
    "memory": ("Memory", quantity.memory),
}


def image_of(step: Step, found: DiagnosticCollector) -> str:
    """The image of *step*."""
    image = step.settings.image or DEFAULT_IMAGE
    if re.search(r"\s", image):
        message = f"the image `{image}` of step `{step.name}` contains a space"
        found.error("invalid-image", message, step.place("image"), help=f"write `{image.strip()}`")
    return image


def environment(step: Step, root: Pipeline, found: DiagnosticCollector) -> list[dict[str, object]]:
    """The environment variables of *step* with their values, but for those of secrets.

    Steps that run as a user without a home get one, since pip and many libraries write there.
    """
    wanted = dict(step.settings.env)
    if root.security is not None and root.security.run_as_user:
        wanted.setdefault("HOME", "/tmp")  # noqa: S108  the folder of a container
    sources = [(name, "`env`") for name in step.settings.env]
    for volume in root.volumes:
        if volume.env:
            sources.append((volume.env, f"the volume `{volume.name}`"))
            wanted[volume.env] = volume.mount_point
    sources += [(secret.env, f"the secret `{secret.name}`") for secret in step.settings.secrets]
    for name, text in step.settings.pod_options.config_maps.items():
        if not name.startswith("/"):
            sources.append((name, f"the config map `{text.partition('/')[0]}`"))
    known: dict[str, str] = {}
    for name, who in sources:
        if name in known:
            message = f"step `{step.name}` gets the environment variable `{name}` from "
            message += f"{known[name]} and from {who}"
            found.error("two-values", message, step.place("secret", name))
        known[name] = who
    for name, value in wanted.items():
        at = step.place("env")
        if ENVIRONMENT_VARIABLE.fullmatch(name) is None:
            message = f"`{name}` cannot be the name of an environment variable"
            found.error("invalid-environment-variable", message, at)
        found.errors += check_text(value, f"the environment variable `{name}`", at)
    return [{"name": name, "value": value} for name, value in sorted(wanted.items())]


def resources(step: Step, found: DiagnosticCollector) -> dict[str, object]:
    """Limits and requests of *step*, as ResourceSpec of pipeline_spec.proto.

    Every backend reads `cpuLimit` (cores) and `memoryLimit` (10^9 bytes); since 2.4 quantities,
    `resourceCpuLimit` and the like, win over them.
    """
    made: dict[str, object] = {}
    amounts: dict[tuple[str, str], float] = {}
    for side, wanted in (("Limit", step.settings.limits), ("Request", step.settings.requests)):
        for resource, text in wanted.items():
            known = _MEASURED.get(resource)
            if known is None:
                continue
            number = _measured(known[1], text, resource, side.lower(), step, found)
            if number is not None:
                made[f"{resource}{side}"] = amounts[resource, side] = number
                made[f"resource{known[0]}{side}"] = text
    for resource in _MEASURED:
        limit = amounts.get((resource, "Limit"))
        if limit is not None and amounts.get((resource, "Request"), limit) > limit:
            found.error(
                "request-over-limit",
                f"step `{step.name}` requests more {resource} "
                f"({step.settings.requests[resource]}) than its limit "
                f"({step.settings.limits[resource]})",
                step.place("limit", resource),
            )
    _check_other(step, found)
    return made | _accelerator(step, found)


def _accelerator(step: Step, found: DiagnosticCollector) -> dict[str, object]:
    """The devices of *step*: KFP takes one type; a count of 0 removes one of `steps_defaults`."""
    counts: dict[str, int] = {}
    for resource, text in step.settings.limits.items():
        if tags.is_device(resource):
            count = _measured(quantity.devices, text, resource, "limit", step, found)
            if count:
                counts[resource] = int(count)
    for resource, text in step.settings.requests.items():
        if tags.is_device(resource):
            wanted = _measured(quantity.devices, text, resource, "request", step, found)
            if wanted is not None and wanted != counts.get(resource, 0):
                found.error(
                    "request-of-device",
                    f"step `{step.name}` requests `{resource}`; Kubernetes gives devices by limit "
                    "alone",
                    step.label,
                    help=f"`limits: {{{resource}: {text}}}`",
                )
    if len(counts) > 1:
        named = " and ".join(f"`{resource}`" for resource in counts)
        found.error(
            "two-accelerators",
            f"step `{step.name}` has limits for {named}; Kubeflow Pipelines has one type a step",
            step.place("limit", next(iter(counts))),
            help="a count of 0 removes a limit of `steps_defaults`",
        )
    for resource, count in counts.items():
        # Counts are 64-bit integers of protobuf, which are text in JSON.
        return {
            "accelerator": {
                "type": resource,
                "count": str(count),
                "resourceType": resource,
                "resourceCount": str(count),
            }
        }
    return {}


def _check_other(step: Step, found: DiagnosticCollector) -> None:
    settings = step.settings
    named = [*settings.limits, *(one for one in settings.requests if one not in settings.limits)]
    for resource in named:
        if resource in _MEASURED or tags.is_device(resource):
            continue
        if resource in {"ephemeral-storage", "storage"} or resource.startswith("hugepages-"):
            found.warning(
                "not-expressible",
                f"`{resource}` of step `{step.name}` is left out: Kubeflow Pipelines knows cpu, "
                "memory and devices",
                step.place("limit", resource),
                help="set it for the namespace, with a LimitRange",
            )
        else:
            near = quantity.known_resource(resource)
            found.error(
                "unknown-resource",
                f"step `{step.name}` has a limit for `{resource}`, which no cluster knows",
                step.place("limit", resource),
                help=f"did you mean `{near}`?" if near else "a device is named `vendor/device`",
            )


def _measured(  # noqa: PLR0913, PLR0917  what is measured, and what a message needs
    measure: Callable[[str], float],
    text: str,
    resource: str,
    side: str,
    step: Step,
    found: DiagnosticCollector,
) -> float | None:
    try:
        return measure(text)
    except BadQuantityError as exc:
        what = f"{side} of `{resource}`" if tags.is_device(resource) else f"{resource} {side}"
        message = f"the {what} of step `{step.name}` cannot be used: {exc.message}"
        found.error("invalid-quantity", message, step.place("limit", resource), help=exc.remedy)
        return None


def new_claim(volume: Volume, claim: NewClaim) -> dict[str, tuple[str, object]]:
    """The inputs of the task that creates *claim* for *volume*: their types and values.

    They are those of `CreatePVC` in kfp-kubernetes. A backend puts a UUID before the suffix, of
    which the name of the volume in a pod leaves the length.
    """
    made: dict[str, tuple[str, object]] = {
        "access_modes": ("LIST", [claim.access_mode]),
        "size": ("STRING", claim.size),
        "pvc_name_suffix": ("STRING", f"-{volume.name[:26]}".rstrip("-")),
    }
    if claim.storage_class:
        made["storage_class_name"] = ("STRING", claim.storage_class)
    if claim.annotations:
        made["annotations"] = ("STRUCT", dict(claim.annotations))
    return made


def executor_config(
    step: Step, names: NameTable, root: Pipeline, found: DiagnosticCollector
) -> dict[str, object]:
    """The `KubernetesExecutorConfig` of *step*, {} if it needs none.

    Integers of 64 bits are text, as in all JSON that protobuf writes.
    """
    settings = step.settings
    made: dict[str, object] = {}
    if settings.secrets:
        made["secretAsEnv"] = [
            {
                "secretName": secret.name,
                "keyToEnv": [{"secretKey": secret.key, "envVar": secret.env}],
            }
            for secret in settings.secrets
        ]
    mounts: list[dict[str, object]] = [
        {
            **(names.claim(volume.name) if volume.new else {"constant": volume.name}),
            "mountPath": volume.mount_point,
        }
        for volume in root.volumes
    ]
    mounts += [
        {"constant": claim, "mountPath": folder}
        for folder, claim in settings.pod_options.volumes.items()
    ]
    if mounts:
        made["pvcMount"] = mounts
    made |= _pod_options(step, found)
    own = [*settings.pod_options.volumes, *settings.pod_options.config_maps]
    folders = [path.rstrip("/") for path in own if path.startswith("/")]
    every = [*folders, *(volume.mount_point.rstrip("/") for volume in root.volumes)]
    if twice := next((path for path in folders if every.count(path) > 1), None):
        message = f"step `{step.name}` mounts two volumes or config maps at `{twice}`"
        found.error("two-volumes", message, step.place("volumes"))
    pod: dict[str, dict[str, object]] = {}
    for what, values in settings.pod.items():
        check_pod_setting(values, what, step, found)
        if values and (place := tags.KINDS[what].pod):
            outer, inner, _ = place
            pod.setdefault(outer, {})[inner] = dict(values)
    made |= pod
    if settings.timeout is not None:
        made["activeDeadlineSeconds"] = str(settings.timeout)
    if root.security is not None and (security := _security_context(root.security)):
        made["securityContext"] = security
    return made


def _pod_options(step: Step, found: DiagnosticCollector) -> dict[str, object]:
    """What `compile` sets for the pod of *step*, but for its volumes."""
    given = step.settings.pod_options
    made: dict[str, object] = {}
    check_pod_setting(given.node_selector, "label", step, found)
    if given.node_selector:
        made["nodeSelector"] = {"labels": dict(given.node_selector)}
    if given.tolerations:
        made["tolerations"] = [dict(one) for one in given.tolerations]
    if given.image_pull_secrets:
        made["imagePullSecret"] = [{"secretName": name} for name in given.image_pull_secrets]
    if given.image_pull_policy:
        made["imagePullPolicy"] = given.image_pull_policy
    for place, text in given.config_maps.items():
        name, _, key = text.partition("/")
        entry: dict[str, object] = {"configMapName": name}
        if place.startswith("/"):
            entry["mountPath"] = place
        else:
            entry["keyToEnv"] = [{"configMapKey": key, "envVar": place}]
        field = "configMapAsVolume" if place.startswith("/") else "configMapAsEnv"
        entries = made.setdefault(field, [])
        assert isinstance(entries, list)
        entries.append(entry)
    return made


def platform_document(
    executors: dict[str, dict[str, object]], root: Pipeline
) -> dict[str, object] | None:
    """The `PlatformSpec` with the configurations of *executors*; None if it is empty."""
    kubernetes: dict[str, object] = {}
    if executors:
        kubernetes["deploymentSpec"] = {"executors": executors}
    if root.ttl:
        kubernetes["pipelineConfig"] = {"resourceTtlOnCompletion": root.ttl}
    return {"platforms": {"kubernetes": kubernetes}} if kubernetes else None


def _security_context(context: SecurityContext) -> dict[str, object]:
    ids = {"runAsUser": context.run_as_user, "runAsGroup": context.run_as_group}
    made: dict[str, object] = {key: str(one) for key, one in ids.items() if one is not None}
    if context.run_as_non_root is not None:
        made["runAsNonRoot"] = context.run_as_non_root
    return made
