"""The fields of `metadata.kubeflow_notebook`: names, types, checks.

Source: Kale 2.3.0's `NotebookConfig` and the records inside it (`facts/kale.md` section 2), and
what its JupyterLab panel writes (`facts/lab.md` section 3). Kale stops at the first key it does
not know, so there is no room for keys of our own.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.diagnostics import Label, nearest, suggest
from kale_tag.kale import tags
from kale_tag.kale.metadata import SETTINGS_KEY

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the value at *path*, a route of keys and positions into the settings."""

    path: Path
    code: str
    message: str
    help: str = ""


Check = Callable[[object, Path], Iterator[Problem]]


def check(settings: Mapping[str, object], called: str = "`pipeline`") -> Iterator[Problem]:
    """Everything in *settings* on which Kale 2.3 stops; a value of None is a missing key.

    *called* is what they are called where they stand.
    """
    yield from _record(FIELDS, called)(settings, ())
    experiment, name = settings.get("experiment"), settings.get("experiment_name")
    if isinstance(experiment, dict) and isinstance(name, str):
        other = experiment.get("name")
        if isinstance(other, str) and other != name:
            yield Problem(
                ("experiment", "name"),
                "two-experiments",
                f"the experiment is named `{name}` by `experiment_name` and `{other}` here",
                "give `experiment_name` alone; `experiment` follows it",
            )


def default_name(stem: str) -> str:
    """The pipeline name that Kale's UI makes of a file name without its ending."""
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")


def with_experiment(settings: dict[str, object], old: Mapping[str, object]) -> dict[str, object]:
    """*settings* to write, where `experiment` and `experiment_name` say the same.

    Kale's UI takes `experiment` for the truth, Kale itself `experiment_name`, so whichever of them
    *settings* names brings the other along; an *old* `experiment` of that name keeps its id.
    """
    if "experiment_name" in settings and "experiment" not in settings:
        name, present = settings["experiment_name"], old.get("experiment")
        if name is None:
            return {**settings, "experiment": None}
        if not (isinstance(present, dict) and present.get("name") == name):
            return {**settings, "experiment": {"id": "new", "name": name}}
    elif "experiment" in settings and "experiment_name" not in settings:
        experiment = settings["experiment"]
        name = experiment.get("name") if isinstance(experiment, dict) else None
        return {**settings, "experiment_name": name}
    return settings


def initial(settings: Mapping[str, object], stem: str) -> dict[str, object]:
    """The settings of a notebook that has none yet: *settings* and the five keys the UI needs.

    With these the UI changes nothing when the notebook is opened and saved.
    """
    name = settings.get("experiment_name", "")
    return {
        "experiment": {"id": "new", "name": name},
        "experiment_name": name,
        "pipeline_description": "",
        "pipeline_name": default_name(stem),
        "steps_defaults": [],
        **settings,
    }


# The checks. Each is given a value and its path and yields what is wrong.


def _text(value: object, path: Path) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield _wrong_type(value, path, "text")


def _flag(value: object, path: Path) -> Iterator[Problem]:
    if not isinstance(value, bool):
        yield _wrong_type(value, path, "true or false")


def _number(value: object, path: Path) -> Iterator[Problem]:
    if not isinstance(value, int) or isinstance(value, bool):
        yield _wrong_type(value, path, "a whole number")


def _positive(value: object, path: Path) -> Iterator[Problem]:
    yield from _number(value, path)
    if isinstance(value, int) and not isinstance(value, bool) and value <= 0:
        yield Problem(path, "invalid-setting", f"`{path[-1]}` must be above 0")


def _mapping(value: object, path: Path) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield _wrong_type(value, path, "a mapping")


def _experiment(value: object, path: Path) -> Iterator[Problem]:
    yield from _mapping(value, path)
    if isinstance(value, dict):
        for key in ("id", "name"):
            if value.get(key) is not None:
                yield from _text(value[key], (*path, key))


def _any_list(value: object, path: Path) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _wrong_type(value, path, "a list")


def _one_of(*words: str) -> Check:
    def check_word(value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield _wrong_type(value, path, "text")
        elif value not in words:
            known = [word for word in words if word]
            message = f"`{path[-1]}` cannot be `{value}`"
            yield Problem(path, "invalid-setting", message, suggest(value, known, "write one of"))

    return check_word


def _matching(pattern: str, rule: str, fix: Callable[[str], str] | None = None) -> Check:
    grammar = re.compile(pattern)

    def check_text(value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield _wrong_type(value, path, "text")
        elif grammar.fullmatch(value) is None:
            better = fix(value) if fix else ""
            hint = f"write `{better}`" if better and grammar.fullmatch(better) else ""
            field = path[-1] if isinstance(path[-1], str) else "value"
            words = field.replace("_", " ")
            diagnostic = f"`{value}` is not a valid {words}" if value else f"the {words} is empty"
            code = f"invalid-{field.replace('_', '-')}"
            yield Problem(path, code, f"{diagnostic}: Kale takes {rule}", hint)

    return check_text


def _pipeline_name(value: object, path: Path) -> Iterator[Problem]:
    yield from _matching(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "lower-case letters, digits and `-`, with a letter or digit at both ends",
        default_name,
    )(value, path)
    if isinstance(value, str) and len(value) > 128:
        yield Problem(
            path,
            "invalid-pipeline-name",
            f"the pipeline name has {len(value)} characters; Kubeflow Pipelines takes 128",
        )


def _record(fields: Mapping[str, Check], what: str, required: Sequence[str] = ()) -> Check:
    def check_record(value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield _wrong_type(value, path, "a mapping")
            return
        meant = set()
        for key, entry in value.items():
            if entry is None:
                continue  # Kale reads null as absent; in a spec it removes the key
            if key in fields:
                yield from fields[key](entry, (*path, key))
            else:
                meant.add(nearest(str(key), fields))
                yield Problem(
                    (*path, key),
                    "unknown-setting",
                    f"{what} has no key `{key}`",
                    suggest(str(key), fields, "it has"),
                )
        for key in required:
            if value.get(key) is None and key not in meant:
                yield Problem(path, "missing-key", f"{what} needs `{key}`")

    return check_record


def _list_of(check_item: Check) -> Check:
    def check_list(value: object, path: Path) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield _wrong_type(value, path, "a list")
            return
        for position, item in enumerate(value):
            yield from check_item(item, (*path, position))

    return check_list


def _default_tag(value: object, path: Path) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield _wrong_type(value, path, "text")
        return
    tag = tags.parse(value)
    if tag is None or tag.kind not in tags.DEFAULTS.values():
        yield Problem(
            path,
            "invalid-default",
            f"`{value}` is not a default that Kale takes",
            "it takes `limit:…`, `label:…`, `annotation:…` and `secret:…` tags",
        )


def _steps_defaults(value: object, path: Path) -> Iterator[Problem]:
    if isinstance(value, dict):
        fields = dict.fromkeys(tags.DEFAULTS, _mapping)
        yield from _record(fields, "`steps_defaults`")(value, path)
    else:
        yield from _list_of(_default_tag)(value, path)


def _wrong_type(value: object, path: Path, wanted: str) -> Problem:
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "the settings")
    which = "each of " if path and isinstance(path[-1], int) else ""
    return Problem(path, "wrong-type", f"{which}`{name}` must be {wanted}, not {_kind(value)}")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


_LOWER_NAME = r"[a-z]([a-z0-9-]*[a-z0-9])?"
_LOWER_RULE = "lower-case letters, digits and `-`, starting with a letter"
_storage_class = _matching(_LOWER_NAME, _LOWER_RULE)
_access_mode = _one_of("", "rom", "rwo", "rwm")

VOLUME_FIELDS: dict[str, Check] = {
    "name": _matching(_LOWER_NAME, _LOWER_RULE),
    "mount_point": _text,
    "type": _one_of("pv", "pvc", "new_pvc", "clone"),
    "expose_as_env_var": _flag,
    "size": _number,
    "size_type": _text,
    "snapshot": _flag,
    "snapshot_name": _text,
    "storage_class_name": _storage_class,
    "volume_access_mode": _access_mode,
    "annotations": _list_of(
        _record({"key": _text, "value": _text}, "an annotation of a volume", ("key", "value"))
    ),
}

SECURITY_FIELDS: dict[str, Check] = {
    "enabled": _flag,
    "run_as_user": _number,
    "run_as_group": _number,
    "run_as_non_root": _flag,
}

KATIB_FIELDS: dict[str, Check] = {
    "parameters": _any_list,
    "objective": _mapping,
    "algorithm": _mapping,
    "maxTrialCount": _number,
    "maxFailedTrialCount": _number,
    "parallelTrialCount": _number,
}

FIELDS: dict[str, Check] = {
    "pipeline_name": _pipeline_name,
    "pipeline_description": _text,
    "experiment_name": _text,
    "experiment": _experiment,
    "base_image": _text,
    "enable_caching": _flag,
    "steps_defaults": _steps_defaults,
    "volumes": _list_of(_record(VOLUME_FIELDS, "a volume", ("name", "mount_point", "type"))),
    "security_context": _record(SECURITY_FIELDS, "`security_context`"),
    "kfp_host": _text,
    "output_path": _text,
    "abs_working_dir": _text,
    "marshal_path": _text,
    "notebook_path": _text,
    "timeout": _positive,
    "storage_class_name": _storage_class,
    "volume_access_mode": _access_mode,
    "snapshot_volumes": _flag,
    "katib_run": _flag,
    "katib_metadata": _record(KATIB_FIELDS, "`katib_metadata`"),
}
"""Every field that Kale 2.3 knows, with the check that it makes, or means to make."""


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What `compile` says of one step; None: nothing. *timeout* is in seconds.

    *label* is the place of the step's name in the spec.
    """

    retries: int | None = None
    timeout: int | None = None
    requests: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] | None = None
    display_name: str = ""
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """What `compile` in a spec says, for which Kale has no tag and no setting.

    *packages* None: those that the imports name. *distributions* maps a module to the package that
    has it. *artifacts* maps a variable to an artifact type. *ttl* is in seconds.
    """

    packages: tuple[str, ...] | None = None
    distributions: Mapping[str, str] = field(default_factory=dict)
    pip_index_urls: tuple[str, ...] = ()
    ttl: int | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    steps: Mapping[str, StepOptions] = field(default_factory=dict)


def settings_in(metadata: object) -> Mapping[str, object]:
    """The settings in the metadata of a notebook, empty where there are none that can be read."""
    found = metadata.get(SETTINGS_KEY) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}
