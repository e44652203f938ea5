"""How a pipeline and its steps run: tags over the notebook's settings over the spec's `compile`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.diagnostics import Diagnostic, DiagnosticCollector, Label, Source, error
from kale_tag.kale import names, quantity, tags
from kale_tag.kale.checks import setting_problems
from kale_tag.kale.metadata import SETTINGS_KEY, member
from kale_tag.kale.pipeline import NewClaim, Secret, SecurityContext, StepSettings, Volume
from kale_tag.kale.quantity import BadQuantityError
from kale_tag.kale.settings import StepOptions
from kale_tag.kale.tags import Tag
from kale_tag.kale.view import StepTag
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places
from kale_tag.rules.registry import stops_compile

NOT_KEPT = {
    "timeout": "`compile: {steps: {NAME: {timeout: SECONDS}}}` in a spec sets it for a step",
    "storage_class_name": "it is for volumes of the type `new_pvc`",
    "snapshot_volumes": "Kubeflow Pipelines takes no snapshots of volumes",
    "katib_run": "Kale 2 does not run Katib, either",
    "output_path": "`-o` names the package",
}
"""Settings that Kale takes and that have no effect, with what to do instead."""

_ACCESS_MODES = {"rom": "ReadOnlyMany", "rwo": "ReadWriteOnce", "rwm": "ReadWriteMany"}
_RUN_AS = {"run_as_user": 65534, "run_as_group": 0, "run_as_non_root": True}


@dataclass(slots=True)
class Sorted:
    """Tags by what they set: the value of each key, `""` where the kind has one value."""

    values: dict[str, dict[str, Tag]] = field(default_factory=dict)
    labels: dict[tuple[str, str], Label] = field(default_factory=dict)

    def put(self, tag: Tag, label: Label) -> None:
        """Takes the tag in; the last one of a key wins."""
        self.values.setdefault(tag.kind, {})[tag.key] = tag
        self.labels[tag.kind, tag.key] = label

    def over(self, outer: "Sorted") -> "Sorted":
        """These tags, and those of *outer* that they do not replace."""
        kinds = (*outer.values, *self.values)
        merged = {kind: outer.values.get(kind, {}) | self.values.get(kind, {}) for kind in kinds}
        return Sorted(merged, outer.labels | self.labels)

    def pairs(self, kind: str) -> dict[str, str]:
        """Keys and values of the tags of a kind that has both."""
        return {key: tag.parts[1] for key, tag in self.values.get(kind, {}).items()}

    def one(self, kind: str) -> str:
        """The value of a kind that has one, "" where nothing is said."""
        tag = self.values.get(kind, {}).get("")
        return "" if tag is None else tag.parts[0]


@dataclass(slots=True)
class PipelineSettings(DiagnosticCollector):
    """The settings of the pipeline as a whole."""

    name: str = ""
    description: str = ""
    experiment: str = ""
    base_image: str = ""
    caching: bool = True
    volumes: tuple[Volume, ...] = ()
    security: SecurityContext | None = None
    defaults: Sorted = field(default_factory=Sorted)


def read_settings(notebook: Notebook, name: str = "") -> PipelineSettings:
    """The settings of *notebook*; *name* replaces the name that it gives the pipeline."""
    made = PipelineSettings()
    places = Places(notebook)
    value = member(notebook.metadata, SETTINGS_KEY)
    if not isinstance(value, dict | None):
        made.errors += (diagnostic for _, diagnostic in setting_problems(value, places))
        return made
    found = {key: entry for key, entry in (value or {}).items() if entry is not None}
    if name:
        found["pipeline_name"] = name
    elif "pipeline_name" not in found:
        file = names.file_name(notebook.name)
        stem = file.rpartition(".")[0] or file
        found["pipeline_name"] = names.pipeline_name(stem) or "pipeline"
    made.defaults, diagnostics = read_defaults(found.get("steps_defaults"), places)
    made.errors += diagnostics
    for _, diagnostic in setting_problems(found, places):
        if diagnostic.code == "unknown-setting":
            at, hint = diagnostic.labels[0], diagnostic.help
            made.warning("setting-not-kept", diagnostic.message, at, help=hint)
        elif stops_compile(diagnostic.code):
            made.errors.append(diagnostic)
    if not made.errors:
        _fill(found, places, made)
    used = {"storage_class_name"} if any(volume.new for volume in made.volumes) else set()
    for key, hint in NOT_KEPT.items():
        if found.get(key) and key not in used:
            at = places.metadata(None, (SETTINGS_KEY, key))
            message = f"`{key}` has no effect on a package"
            made.warning("setting-not-kept", message, at, help=hint)
    return made


def _fill(found: Mapping[str, object], places: Places, made: PipelineSettings) -> None:
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
        given = {key: one for key, one in security.items() if key in _RUN_AS and one is not None}
        made.security = SecurityContext(**{**_RUN_AS, **given})
    made.volumes = tuple(_volumes(found, places, made))
    # What a step wrote in an earlier run is not on a new volume.
    made.caching = made.caching and not any(volume.new for volume in made.volumes)


def _volumes(found: Mapping[str, object], places: Places, made: PipelineSettings) -> list[Volume]:
    kept: list[Volume] = []
    value = found.get("volumes")
    for position, entry in enumerate(value if isinstance(value, list) else ()):
        at = places.metadata(None, (SETTINGS_KEY, "volumes", position, "name"))
        name, mount = str(entry["name"]), str(entry["mount_point"])
        kind = entry.get("type", "pvc")
        if kind not in {"pvc", "new_pvc"}:
            made.warning(
                "volume-type",
                f"the pipeline leaves out the volume `{name}`, of type `{kind}`: "
                f"steps find no `{mount}`",
                at,
                help="create a claim in the cluster, and write `type: pvc`",
            )
            continue
        given = {**found, **{key: one for key, one in entry.items() if one is not None}}
        new = _new_claim(name, given, at, made) if kind == "new_pvc" else None
        env = env_name(name) if entry.get("expose_as_env_var") is True else ""
        if other := next((one for one in kept if env and env == one.env), None):
            made.error(
                "two-volumes",
                f"the volumes `{other.name}` and `{name}` map to the environment variable `{env}`",
                at,
                also=[other.label],
                help="set `expose_as_env_var` for one of them only",
            )
        kept.append(Volume(name, mount, env, new, at))
    return kept


def _new_claim(
    name: str, given: Mapping[str, object], at: Label, made: PipelineSettings
) -> NewClaim:
    """The claim of the new volume *name*, whose settings are *given* over those of the notebook."""
    size = f"{given.get('size', '')}{given.get('size_type') or 'Gi'}"  # as Kale's panel has it
    try:
        quantity.amount(size)
    except BadQuantityError:
        message = f"the new volume `{name}` has no size that Kubernetes takes: `{size}`"
        hint = "for example `size: 5` and `size_type: Gi`"
        made.error("invalid-quantity", message, at, help=hint)
    storage = str(given.get("storage_class_name") or "")
    if not storage:
        made.warning(
            "not-expressible",
            f"the new volume `{name}` gets the storage class `standard`: Kubeflow Pipelines "
            "cannot ask for the default of the cluster",
            at,
            help="name the class: `storage_class_name: NAME`",
        )
    annotations = given.get("annotations")
    return NewClaim(
        size,
        _ACCESS_MODES[str(given.get("volume_access_mode") or "rwm")],
        storage,
        {one["key"]: one["value"] for one in annotations} if isinstance(annotations, list) else {},
    )


def env_name(volume: str) -> str:
    """The environment variable in which Kale puts the mount point of a volume."""
    return "KALE_VOLUME_" + re.sub(r"[^A-Z0-9]", "_", volume.upper())


def step_settings(
    given: Sequence[StepTag], defaults: Sorted, base_image: str, options: StepOptions
) -> StepSettings:
    """How one step runs."""
    own = Sorted()
    for one in given:
        if one.tag.kind in tags.SETTING_KINDS:
            own.put(one.tag, one.label)
    own = own.over(defaults)
    return StepSettings(
        image=own.one("image") or base_image,
        limits=own.pairs("limit"),
        requests=dict(options.requests),
        pod={kind.name: own.pairs(kind.name) for kind in tags.SETTINGS.values() if kind.pod},
        secrets=tuple(
            Secret(env, tag.parts[0], tag.parts[1])
            for env, tag in own.values.get("secret", {}).items()
        ),
        env=dict(options.env),
        cache=own.one("cache") == "enabled" if own.one("cache") else None,
        report=own.one("report") != "disabled",
        retries=options.retries,
        timeout=options.timeout,
        display_name=options.display_name,
        packages=options.packages,
        pod_options=options.pod,
        labels={**own.labels, **options.labels},
    )


def setting_diagnostics(name: str, given: Sequence[StepTag]) -> Iterator[Diagnostic]:
    """Two cells of one step that contradict each other, and wrong quantities."""
    known: dict[tuple[str, str], StepTag] = {}
    for one in given:
        if one.tag.kind not in tags.SETTING_KINDS:
            continue
        yield from _quantity(one.tag, one.label)
        key = (one.tag.kind, one.tag.key)
        other = known.setdefault(key, one)
        if other.tag != one.tag and other.cell != one.cell:
            yield error(
                "two-settings",
                f"step `{name}` has both `{other.tag}` and `{one.tag}`",
                one.label,
                also=[other.label],
                help="remove one of the two tags",
            )


def read_defaults(value: object, places: Places) -> tuple[Sorted, list[Diagnostic]]:
    """The `steps_defaults` of a notebook, of all kinds, and wrong quantities in them."""
    found = Sorted()
    diagnostics: list[Diagnostic] = []
    texts: list[tuple[int | str, str]] = []
    if isinstance(value, dict):
        texts = [*_as_tags(value)]
    elif isinstance(value, list):
        texts = [(position, str(text)) for position, text in enumerate(value)]
    for route, text in texts:
        at = places.metadata(None, (SETTINGS_KEY, "steps_defaults", route))
        tag = tags.parse(text)
        if tag is None or tag.kind not in tags.SETTING_KINDS:
            continue  # one of `setting_problems`
        found.put(tag, at)
        diagnostics += _quantity(tag, at)
    return found, diagnostics


def _quantity(tag: Tag, at: Label) -> Iterator[Diagnostic]:
    """A limit that is not a quantity."""
    if tag.kind == "limit":
        try:
            quantity.amount(tag.parts[1])
        except BadQuantityError as exc:
            yield error("invalid-quantity", f"`{tag}`: {exc.message}", at, help=exc.remedy)


def _as_tags(value: Mapping[object, object]) -> Iterator[tuple[str, str]]:
    for name, entry in value.items():
        kind = tags.DEFAULTS.get(str(name), "")
        for key, one in entry.items() if isinstance(entry, dict) else ():
            if kind == "secret" and isinstance(one, dict):
                text = f"secret:{one.get('secret_name')}:{one.get('secret_key')}:{key}"
                yield str(name), text
            elif one is not None:
                yield str(name), f"{kind}:{key}:{one}"


def kernel_diagnostic(notebook: Notebook) -> Diagnostic | None:
    """A notebook that is not Python."""
    if not (language := notebook.foreign_language):
        return None
    return error(
        "not-python",
        f"{notebook.name} is written in {language}; a pipeline is made of Python",
        Label(Source(notebook.name)),
    )
