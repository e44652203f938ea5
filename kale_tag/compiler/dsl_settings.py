"""The settings of a step as calls of Kubeflow Pipelines' DSL."""

import re
from collections.abc import Iterator

from kale_tag.compiler.container import environment
from kale_tag.compiler.notes import Notes
from kale_tag.compiler.parameter_value import holds_none
from kale_tag.diagnostics import Diagnostic, warning
from kale_tag.kale import quantity
from kale_tag.kale.pipeline import Pipeline, Step


def calls(step: Step, root: Pipeline) -> Iterator[str]:
    """Statements on the task of *step*, which they call TASK."""
    settings = step.settings
    title = settings.display_name or step.name
    if title != re.sub("[^0-9a-z]+", "-", step.name).strip("-"):
        yield f"TASK.set_display_name({title!r})"
    if not (root.caching if settings.cache is None else settings.cache):
        yield "TASK.set_caching_options(False)"
    if settings.retries:
        yield f"TASK.set_retry({settings.retries})"
    yield from _resources(step)
    for entry in environment(step, root, Notes()):
        yield f"TASK.set_env_variable({entry['name']!r}, {entry['value']!r})"
    yield from _kubernetes(step, root)


def cannot_compile(root: Pipeline) -> Iterator[Diagnostic]:
    """Warn of defaults on which KFP's own compiler stops (seen with kfp 2.9 to 2.17)."""
    for parameter in root.parameters:
        default = parameter.default
        diagnostic = ""
        if isinstance(default, str) and "\n" in default:
            diagnostic = "a line break, with which kfp writes a package that is not YAML"
        elif isinstance(default, list | dict) and holds_none(default):
            diagnostic = "None, on which kfp stops"
        if diagnostic:
            message = f"the default of the parameter `{parameter.name}` has {diagnostic}"
            yield warning(
                "not-in-dsl",
                message,
                parameter.label,
                help="the package is not affected, the DSL file is",
            )


def _resources(step: Step) -> Iterator[str]:
    for side, wanted in (
        ("limit", step.settings.limits),
        ("request", step.settings.requests),
    ):
        for resource, text in wanted.items():
            if resource == "cpu":
                # The SDK knows fewer forms of quantities than Kubernetes.
                fits = re.fullmatch(r"([0-9]*\.)?[0-9]+m?", text)
                yield f"TASK.set_cpu_{side}({text if fits else f'{quantity.cpus(text)}'!r})"
            elif resource == "memory":
                fits = re.fullmatch(r"[0-9]+(?:[EPTGM]i?|Ki)?", text)
                size = text if fits else f"{int(quantity.amount(text))}"
                yield f"TASK.set_memory_{side}({size!r})"
            elif side == "limit" and quantity.is_device(resource) and quantity.devices(text):
                yield f"TASK.set_accelerator_type({resource!r})"
                yield f"TASK.set_accelerator_limit({quantity.devices(text)})"


def _kubernetes(step: Step, root: Pipeline) -> Iterator[str]:
    settings = step.settings
    for secret in settings.secrets:
        keys = {secret.key: secret.env}
        yield f"kubernetes.use_secret_as_env(TASK, {secret.name!r}, {keys!r})"
    for volume in root.volumes:
        yield f"kubernetes.mount_pvc(TASK, {volume.name!r}, {volume.mount_point!r})"
    for kind in ("label", "annotation"):
        for key, value in settings.pod.get(kind, {}).items():
            yield f"kubernetes.add_pod_{kind}(TASK, {key!r}, {value!r})"
    if settings.timeout is not None:
        yield f"kubernetes.set_timeout(TASK, {settings.timeout})"
    if (context := root.security) is not None:
        given = {
            "run_as_user": context.run_as_user,
            "run_as_group": context.run_as_group,
            "run_as_non_root": context.run_as_non_root,
        }
        words = [f"{key}={value!r}" for key, value in given.items() if value is not None]
        if words:
            yield f"kubernetes.set_security_context(TASK, {', '.join(words)})"
