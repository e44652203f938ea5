"""What `metadata.kubeflow_notebook` says of the pipeline, and what of it cannot be kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kale_tag.compiler.step_settings import Sorted, read_defaults
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, UserError, error, warning
from kale_tag.kale import settings
from kale_tag.kale.pipeline import SecurityContext, Volume
from kale_tag.notebook.model import Notebook

KEY = "kubeflow_notebook"

NOT_KEPT = {
    "timeout": "`compile: {steps: {NAME: {timeout: SECONDS}}}` in a spec sets it for a step",
    "storage_class_name": "it is for new volumes, which a pipeline does not make",
    "snapshot_volumes": "Kubeflow Pipelines takes no snapshots of volumes",
    "katib_run": "Kale 2 does not run Katib, either",
    "output_path": "`-o` says where the package goes",
}
"""Settings that Kale takes and that have no effect, with what to do instead."""

LONGEST_NAME = 128
"""Of a pipeline, for Kubeflow Pipelines."""

_RUN_AS = {"run_as_user": 65534, "run_as_group": 0, "run_as_non_root": True}


@dataclass(slots=True)
class PipelineSettings:
    """The settings of the pipeline as a whole."""

    name: str = ""
    description: str = ""
    experiment: str = ""
    base_image: str = ""
    caching: bool = True
    volumes: tuple[Volume, ...] = ()
    security: SecurityContext | None = None
    defaults: Sorted = field(default_factory=Sorted)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def read_settings(notebook: Notebook, name: str = "") -> PipelineSettings:
    """The settings of *notebook*; *name* goes before the name that it gives the pipeline."""
    made = PipelineSettings()
    metadata = notebook.metadata
    value = metadata.get(KEY) if isinstance(metadata, dict) else None
    if value is not None and not isinstance(value, dict):
        at = setting_label(notebook, KEY)
        made.diagnostics.append(error("invalid-setting", f"`{KEY}` must be a mapping", at))
        return made
    found = {key: entry for key, entry in (value or {}).items() if entry is not None}
    if name:
        found["pipeline_name"] = name
    elif not found.get("pipeline_name"):
        default = settings.default_name(_stem(notebook.name))[:LONGEST_NAME].rstrip("-")
        found["pipeline_name"] = default or "pipeline"
    _check(notebook, found, made)
    at = setting_label(notebook, "steps_defaults")
    made.defaults, diagnostics = read_defaults(found.get("steps_defaults"), at)
    made.diagnostics += diagnostics
    if not made.diagnostics:
        _fill(notebook, found, made)
    return made


def setting_label(notebook: Notebook, key: str) -> Label:
    """Where *key* stands in the metadata of the notebook."""
    span = notebook.metadata_span(None)
    if span is None:
        return Label(Source(notebook.name))
    begin, end = span
    # A few lines stand for the file: those of the metadata, up to the last line it touches.
    start = notebook.data.rfind(b"\n", 0, begin) + 1
    stop = notebook.data.find(b"\n", end)
    data = notebook.data[start : stop if stop >= 0 else len(notebook.data)]
    text = data.decode("utf-8", "replace")
    offset = len(notebook.data[start:begin].decode("utf-8", "replace"))
    source = Source(notebook.name, text, first_line=notebook.data.count(b"\n", 0, start) + 1)
    inside = text.find(f'"{KEY}"', offset)
    if inside < 0:
        return Label(Source(notebook.name))
    at = re.compile(rf'"{re.escape(key)}"\s*:').search(text, inside)
    here = inside if at is None else at.start()
    return Label(source, Span(here, here + len(key if at else KEY) + 2))


def _check(notebook: Notebook, found: Mapping[str, object], made: PipelineSettings) -> None:
    for diagnostic in settings.check(found):
        top = str(diagnostic.path[0]) if diagnostic.path else KEY
        if diagnostic.code == "invalid-default" or top == "steps_defaults":
            continue  # looked at by `read_defaults`, which takes more
        at = setting_label(notebook, top)
        if diagnostic.code == "unknown-setting":
            hint = diagnostic.help
            if top == "docker_image":
                hint = "Kale 2 calls it `base_image`"
            message = f"`{top}` is not a setting of Kale 2: it has no effect"
            made.warnings.append(warning("unknown-setting", message, at, help=hint))
        elif top == "katib_metadata" or diagnostic.code == "two-experiments":
            continue  # neither has a meaning for the package
        else:
            made.diagnostics.append(
                error("invalid-setting", diagnostic.message, at, help=diagnostic.help)
            )
    for key, hint in NOT_KEPT.items():
        if found.get(key):
            made.warnings.append(
                warning(
                    "setting-not-kept",
                    f"`{key}` has no effect on a package",
                    setting_label(notebook, key),
                    help=hint,
                )
            )


def _fill(notebook: Notebook, found: Mapping[str, object], made: PipelineSettings) -> None:
    made.name = str(found.get("pipeline_name") or "")
    made.description = str(found.get("pipeline_description") or "")
    experiment = found.get("experiment")
    made.experiment = str(
        found.get("experiment_name")
        or (experiment.get("name") if isinstance(experiment, dict) else "")
        or ""
    )
    made.base_image = str(found.get("base_image") or "")
    made.caching = found.get("enable_caching") is not False
    security = found.get("security_context")
    if isinstance(security, dict) and security.get("enabled") is not False:
        chosen = {**_RUN_AS, **{key: one for key, one in security.items() if one is not None}}
        chosen.pop("enabled", None)
        made.security = SecurityContext(**chosen)
    made.volumes = tuple(_volumes(notebook, found.get("volumes"), made))


def _volumes(notebook: Notebook, value: object, made: PipelineSettings) -> list[Volume]:
    kept: list[Volume] = []
    for entry in value if isinstance(value, list) else ():
        name, mount = str(entry["name"]), str(entry["mount_point"])
        if entry.get("type", "pvc") != "pvc":
            made.diagnostics.append(
                error(
                    "volume-type",
                    f"a package cannot make the volume `{name}`, of type `{entry['type']}`; it can "
                    "mount a claim that exists",
                    setting_label(notebook, "volumes"),
                    help="make the claim in the cluster, and say `type: pvc`",
                )
            )
            continue
        env = env_name(name) if entry.get("expose_as_env_var") is True else ""
        if env and any(env == other.env for other in kept):
            made.diagnostics.append(
                error(
                    "two-volumes",
                    f"two volumes would both be told in `{env}`",
                    setting_label(notebook, "volumes"),
                    help="say `expose_as_env_var` for one of them only",
                )
            )
        kept.append(Volume(name, mount, env))
    return kept


def env_name(volume: str) -> str:
    """The environment variable in which Kale tells where a volume is mounted."""
    return "KALE_VOLUME_" + re.sub(r"[^A-Z0-9]", "_", volume.upper())


def kernel_diagnostic(notebook: Notebook) -> Diagnostic | None:
    """A notebook that is not Python."""
    if not (language := notebook.foreign_language):
        return None
    return error(
        "not-python",
        f"{notebook.name} is written in {language}; a pipeline is made of Python",
        Label(Source(notebook.name)),
    )


def raise_diagnostics(diagnostics: list[Diagnostic]) -> None:
    """Raises `UserError` if there are any."""
    if diagnostics:
        raise UserError(*diagnostics)


def _stem(path: str) -> str:
    name = re.split(r"[/\\]", path)[-1]
    return name.rpartition(".")[0] or name
