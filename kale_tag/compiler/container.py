"""What the container of a step is beside its command: image, environment, resources."""

import re
from collections.abc import Callable, Mapping

from kale_tag.compiler.notes import Notes
from kale_tag.kale import quantity
from kale_tag.kale.names import ENVIRONMENT_VARIABLE, LABEL, LABEL_DOMAIN, LABEL_LENGTH
from kale_tag.kale.pipeline import Pipeline, Step
from kale_tag.kale.quantity import BadQuantityError

DEFAULT_IMAGE = "python:3.12"
"""The image of a step for which nothing is said: Kale 2.3's."""

_MEASURED: dict[str, tuple[str, Callable[[str], float]]] = {
    "cpu": ("Cpu", quantity.cpus),
    "memory": ("Memory", quantity.memory),
}


def image_of(step: Step, notes: Notes) -> str:
    """The image of *step*."""
    image = step.settings.image or DEFAULT_IMAGE
    if re.search(r"\s", image):
        message = f"the image `{image}` of step `{step.name}` has a blank in it"
        notes.refuse("invalid-image", message, step.place("image"), help=f"write `{image.strip()}`")
    return image


def environment(step: Step, root: Pipeline, notes: Notes) -> list[dict[str, object]]:
    """The environment variables of *step* with their values; those of secrets are not here.

    Steps that run as a user without a home get one: pip and many libraries write there.
    """
    wanted = dict(step.settings.env)
    if root.security is not None and root.security.run_as_user:
        wanted.setdefault("HOME", "/tmp")  # noqa: S108  the folder of a container
    sources = dict.fromkeys(step.settings.env, "`env`")
    for volume in root.volumes:
        if volume.env:
            _claim(sources, volume.env, f"the volume `{volume.name}`", step, notes)
            wanted[volume.env] = volume.mount_point
    for secret in step.settings.secrets:
        _claim(sources, secret.env, f"the secret `{secret.name}`", step, notes)
    for name, value in wanted.items():
        if ENVIRONMENT_VARIABLE.fullmatch(name) is None:
            message = f"`{name}` cannot be the name of an environment variable"
            notes.refuse("invalid-environment-variable", message, step.label)
        notes.check_text(value, f"the environment variable `{name}`", step.label)
    return [{"name": name, "value": value} for name, value in sorted(wanted.items())]


def _claim(sources: dict[str, str], name: str, who: str, step: Step, notes: Notes) -> None:
    if name in sources:
        notes.refuse(
            "two-values",
            f"step `{step.name}` gets the environment variable `{name}` from {sources[name]} "
            f"and from {who}",
            step.place("secret", name),
        )
    sources[name] = who


def resources(step: Step, notes: Notes) -> dict[str, object]:
    """What *step* may use and needs, in the spelling of all backends and in that of 2.3 and later.

    Every backend reads `cpuLimit` (cores) and `memoryLimit` (10^9 bytes); since 2.3 the
    quantities themselves, `resourceCpuLimit` and the like, go before them.
    """
    made: dict[str, object] = {}
    amounts: dict[tuple[str, str], float] = {}
    for side, wanted in (("Limit", step.settings.limits), ("Request", step.settings.requests)):
        for resource, text in wanted.items():
            known = _MEASURED.get(resource)
            if known is None:
                continue
            number = _measured(known[1], text, resource, side.lower(), step, notes)
            if number is not None:
                made[f"{resource}{side}"] = amounts[resource, side] = number
                made[f"resource{known[0]}{side}"] = text
    for resource in _MEASURED:
        limit = amounts.get((resource, "Limit"))
        if limit is not None and amounts.get((resource, "Request"), limit) > limit:
            notes.refuse(
                "request-over-limit",
                f"step `{step.name}` requests more {resource} "
                f"({step.settings.requests[resource]}) than its limit "
                f"({step.settings.limits[resource]})",
                step.place("limit", resource),
            )
    _check_other(step, notes)
    return made | _accelerator(step, notes)


def _accelerator(step: Step, notes: Notes) -> dict[str, object]:
    """KFP has room for one type; a count of 0 takes away what `steps_defaults` gives."""
    counts: dict[str, int] = {}
    for resource, text in step.settings.limits.items():
        if quantity.is_device(resource):
            count = _measured(quantity.devices, text, resource, "limit", step, notes)
            if count:
                counts[resource] = int(count)
    for resource, text in step.settings.requests.items():
        if quantity.is_device(resource):
            wanted = _measured(quantity.devices, text, resource, "request", step, notes)
            if wanted is not None and wanted != counts.get(resource, 0):
                notes.refuse(
                    "request-of-device",
                    f"step `{step.name}` requests `{resource}`; Kubernetes gives devices by limit "
                    "alone",
                    step.label,
                    help=f"`limits: {{{resource}: {text}}}`",
                )
    if len(counts) > 1:
        named = " and ".join(f"`{resource}`" for resource in counts)
        notes.refuse(
            "two-accelerators",
            f"step `{step.name}` has limits for {named}; Kubeflow Pipelines has one type a step",
            step.place("limit", next(iter(counts))),
            help="a count of 0 takes back what `steps_defaults` gives",
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


def _check_other(step: Step, notes: Notes) -> None:
    settings = step.settings
    named = [*settings.limits, *(one for one in settings.requests if one not in settings.limits)]
    for resource in named:
        if resource in _MEASURED or quantity.is_device(resource):
            continue
        if resource in {"ephemeral-storage", "storage"} or resource.startswith("hugepages-"):
            notes.warn(
                "not-expressible",
                f"`{resource}` of step `{step.name}` is left out: Kubeflow Pipelines knows cpu, "
                "memory and devices",
                step.place("limit", resource),
                help="set it for the namespace, with a LimitRange",
            )
        else:
            near = quantity.known_resource(resource)
            notes.refuse(
                "unknown-resource",
                f"step `{step.name}` has a limit for `{resource}`, which no cluster knows",
                step.place("limit", resource),
                help=f"did you mean `{near}`?" if near else "a device is named `vendor/device`",
            )


def _measured(  # noqa: PLR0913, PLR0917  what is measured, and what a message needs
    measure: Callable[[str], float], text: str, resource: str, side: str, step: Step, notes: Notes
) -> float | None:
    try:
        return measure(text)
    except BadQuantityError as exc:
        what = f"{side} of `{resource}`" if quantity.is_device(resource) else f"{resource} {side}"
        message = f"the {what} of step `{step.name}` cannot be used: {exc.message}"
        notes.refuse("invalid-quantity", message, step.place("limit", resource), help=exc.remedy)
        return None


def check_mapping(values: Mapping[str, str], what: str, step: Step, notes: Notes) -> None:
    """Note what Kubernetes refuses as labels or annotations (*what*) of the pod of *step*."""
    for key, value in values.items():
        at = step.place(what, key)
        prefix, slash, rest = key.rpartition("/")
        if not LABEL.fullmatch(rest) or (slash and not LABEL_DOMAIN.fullmatch(prefix)):
            notes.refuse(
                f"invalid-{what}",
                f"`{key}` cannot be the name of {_a(what)}: Kubernetes takes up to "
                f"{LABEL_LENGTH} letters, digits, `-`, `_` and `.`, behind an optional `domain/`",
                at,
            )
        notes.check_text(value, f"the {what} `{key}` of step `{step.name}`", at)
        if what == "label" and value and not LABEL.fullmatch(value):
            notes.refuse(
                "invalid-label",
                f"the label `{key}` of step `{step.name}` cannot be `{value}`: Kubernetes takes up "
                f"to {LABEL_LENGTH} letters, digits, `-`, `_` and `.`, with a letter or digit at "
                "both ends",
                at,
                help="an annotation can be any text",
            )


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
