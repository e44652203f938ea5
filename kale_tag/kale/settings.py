"""The settings of a notebook, `metadata.kubeflow_notebook`, and the checks that Kale makes of them.

Source: Kale 2.3.0's `NotebookConfig` and the records inside it, and what its JupyterLab panel
writes. Kale stops at the first key it does not know, so there is no room for keys of our own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kale_tag.diagnostics import Diagnostic, Label, Source
from kale_tag.fields.fields import Form
from kale_tag.fields.yaml_tree import Mapping as MappingNode
from kale_tag.fields.yaml_tree import Node, PlaceOf, Scalar, is_null, json_tree, value_of
from kale_tag.kale import names, tags
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.names import NameForm
from kale_tag.kale.pipeline import PodOptions

Reader = Callable[[Form, Node, str], object]
"""Notes what is wrong with the value of a setting; the text is what messages call it."""


def read(form: Form, node: Node, called: str = "`pipeline`") -> None:
    """Note in *form* everything in the settings at *node* at which Kale 2.3 stops.

    *called* is what messages call the settings as a whole. A value of null is a missing key.
    """
    _record(FIELDS)(form, node, called)
    _check_experiments(form, node)


def problems(
    settings: Mapping[str, object], place: PlaceOf | None = None, called: str = "`pipeline`"
) -> Iterator[tuple[str, Diagnostic]]:
    """What `read` notes of *settings* that are values of JSON, each with the key that is wrong.

    *place* returns the place of the value at a path; without it the places are empty.
    """
    nowhere = Label(Source(""))
    root = json_tree(dict(settings), place or (lambda _: nowhere))
    assert isinstance(root, MappingNode)
    for entry in root.entries:
        form = Form(is_yaml=False)
        _record(FIELDS)(form, replace(root, entries=(entry,)), called)
        yield from ((entry[0].text, diagnostic) for diagnostic in form.errors)
    form = Form(is_yaml=False)
    _check_experiments(form, root)
    yield from (("experiment", diagnostic) for diagnostic in form.errors)


def _check_experiments(form: Form, node: Node) -> None:
    """Note two names of the experiment that differ."""
    name, other = (
        value_of(node, "experiment_name"),
        value_of(value_of(node, "experiment"), "name"),
    )
    if not isinstance(name, Scalar) or not isinstance(other, Scalar):
        return
    texts = [one.value for one in (name, other) if isinstance(one.value, str)]
    if len({*texts}) > 1 and not any(map(form.is_open, texts)):
        form.error(
            "two-experiments",
            f"the experiment is named `{texts[0]}` by `experiment_name` and `{texts[1]}` here",
            other.label,
            help="give `experiment_name` alone; `experiment` follows it",
        )


def with_experiment(settings: dict[str, object], old: Mapping[str, object]) -> dict[str, object]:
    """*settings* with `experiment` and `experiment_name` naming the same experiment.

    Kale's panel reads `experiment`, Kale itself `experiment_name`: whichever of them *settings*
    has, the other follows. An *old* `experiment` of that name keeps its id.
    """
    if "experiment_name" in settings and "experiment" not in settings:
        name, present = settings["experiment_name"], old.get("experiment")
        if name is None:
            return {**settings, "experiment": None}
        same = isinstance(present, dict) and present.get("name") == name
        return {**settings, "experiment": present if same else {"id": "new", "name": name}}
    if "experiment" in settings and "experiment_name" not in settings:
        experiment = settings["experiment"]
        name = experiment.get("name") if isinstance(experiment, dict) else None
        return {**settings, "experiment_name": name}
    return settings


def missing(settings: Mapping[str, object], stem: str) -> dict[str, object]:
    """What *settings* lack of the five that Kale's panel needs, in the order of the panel.

    With them it changes nothing when the notebook is opened and saved. An empty name is missing,
    since it turns the panel's Compile button off. The pipeline is named after *stem*, the file
    name without its ending, and the experiment like the pipeline.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    experiment = given.get("experiment")
    listed = experiment.get("name") if isinstance(experiment, Mapping) else None
    pipeline = given.get("pipeline_name") or names.pipeline_name(stem)
    name = given.get("experiment_name") or listed or pipeline
    is_odd = not isinstance(experiment, Mapping | None)
    needed = {
        "experiment": experiment if listed or is_odd else {"id": "new", "name": name},
        "experiment_name": name,
        "pipeline_description": given.get("pipeline_description", ""),
        "pipeline_name": pipeline,
        "steps_defaults": given.get("steps_defaults", []),
    }
    return {key: value for key, value in needed.items() if given.get(key) != value}


# The readers of values.


def _record(fields: Mapping[str, Reader], called: str = "", required: Iterable[str] = ()) -> Reader:
    """A mapping with known keys; *called* is what messages call it, if not by its own key."""
    needed = tuple(required)

    def read_record(form: Form, node: Node, what: str) -> None:
        name = what
        if isinstance(node, MappingNode):
            # Kale reads null as absent; in a spec it removes the key.
            node = replace(node, entries=tuple(one for one in node.entries if not is_null(one[1])))
            name = called or what
        found = form.record(node, fields, name, needed, unknown="unknown-setting")
        for key, value in found.items():
            fields[key](form, value, f"`{key}`")

    return read_record


def _list_of(reader: Reader) -> Reader:
    def read_list(form: Form, node: Node, what: str) -> None:
        for item in form.items(node, what):
            reader(form, item, f"each of {what}")

    return read_list


def _one_of(*words: str) -> Reader:
    def read_word(form: Form, node: Node, what: str) -> None:
        text = form.string(node, what)
        if text is not None and not form.is_open(text):
            form.choice(node, words, what, "invalid-setting")

    return read_word


def _name(name: NameForm, corrected: Callable[[str], str] = str) -> Reader:
    """A name; *corrected* makes a better one of a text that is not valid."""

    def read_name(form: Form, node: Node, what: str) -> None:
        text = form.string(node, what)
        if text is None or form.is_open(text) or name.takes(text):
            return
        better = corrected(text)
        form.error(
            f"invalid-{name.called.replace(' ', '-')}",
            name.problem(text),
            node.label,
            # The start of a name that is too long is no help.
            help=f"write `{better}`" if name.takes(better) and better not in text else "",
        )

    return read_name


def _count(form: Form, node: Node, what: str) -> None:
    form.number(node, what, None)


def _positive(form: Form, node: Node, what: str) -> None:
    form.number(node, what, 1, "invalid-setting")


def _default_tag(form: Form, node: Node, what: str) -> None:
    text = form.string(node, what)
    if text is None or form.is_open(text):
        return
    tag = tags.parse(text)
    if tag is None or tag.kind not in tags.DEFAULTS.values():
        form.error(
            "invalid-default",
            f"`{text}` is not a default that Kale takes",
            node.label,
            help="Kale takes `limit:…`, `label:…`, `annotation:…` and `secret:…` tags",
        )


def _steps_defaults(form: Form, node: Node, what: str) -> None:
    if isinstance(node, MappingNode):
        _record(dict.fromkeys(tags.DEFAULTS, _mapping))(form, node, what)
    else:
        _list_of(_default_tag)(form, node, what)


def _mapping(form: Form, node: Node, what: str) -> None:
    list(form.mapping(node, what))


def _experiment(form: Form, node: Node, what: str) -> None:
    for key, value in form.mapping(node, what):
        if key.text in {"id", "name"} and not is_null(value):
            form.string(value, f"`{key.text}`")


_any_list: Reader = Form.items
_text: Reader = Form.string
_flag: Reader = Form.flag
_access_mode = _one_of("", "rom", "rwo", "rwm")
_storage_class = _name(names.STORAGE_CLASS_NAME)

VOLUME_FIELDS: dict[str, Reader] = {
    "name": _name(names.VOLUME_NAME),
    "mount_point": _text,
    "type": _one_of("pv", "pvc", "new_pvc", "clone"),
    "expose_as_env_var": _flag,
    "size": _count,
    "size_type": _text,
    "snapshot": _flag,
    "snapshot_name": _text,
    "storage_class_name": _storage_class,
    "volume_access_mode": _access_mode,
    "annotations": _list_of(
        _record({"key": _text, "value": _text}, "an annotation of a volume", ("key", "value"))
    ),
}

SECURITY_FIELDS: dict[str, Reader] = {
    "enabled": _flag,
    "run_as_user": _count,
    "run_as_group": _count,
    "run_as_non_root": _flag,
}

KATIB_FIELDS: dict[str, Reader] = {
    "parameters": _any_list,
    "objective": _mapping,
    "algorithm": _mapping,
    "maxTrialCount": _count,
    "maxFailedTrialCount": _count,
    "parallelTrialCount": _count,
}

FIELDS: dict[str, Reader] = {
    "pipeline_name": _name(names.PIPELINE_NAME, names.pipeline_name),
    "pipeline_description": _text,
    "experiment_name": _text,
    "experiment": _experiment,
    "base_image": _text,
    "enable_caching": _flag,
    "steps_defaults": _steps_defaults,
    "volumes": _list_of(_record(VOLUME_FIELDS, "a volume", ("name", "mount_point", "type"))),
    "security_context": _record(SECURITY_FIELDS),
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
    "katib_metadata": _record(KATIB_FIELDS),
}
"""Every field that Kale 2.3 knows, with the check that it makes, or means to make."""


@dataclass(frozen=True, slots=True)
class StepOptions:
    """The entry of one step in `compile`."""

    retries: int | None = None
    timeout: int | None = None  # seconds
    requests: Mapping[str, str] = field(default_factory=dict)  # quantities, by resource
    env: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] | None = None  # None: those of the pipeline
    display_name: str = ""
    pod: PodOptions = field(default_factory=PodOptions)
    label: Label | None = None  # the step's name in the spec
    # of these options, by key and ""
    labels: Mapping[tuple[str, str], Label] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """The section `compile` of a spec: options for which Kale has no tag and no setting."""

    packages: tuple[str, ...] | None = None  # None: those that the imports name
    distributions: Mapping[str, str] = field(default_factory=dict)  # module to package
    pip_index_urls: tuple[str, ...] = ()
    ttl: int | None = None  # seconds
    artifacts: Mapping[str, str] = field(default_factory=dict)  # variable to artifact type
    files: tuple[str, ...] = ()  # patterns of files that travel, from the folder of the notebook
    steps: Mapping[str, StepOptions] = field(default_factory=dict)
    kfp_version: tuple[int, int] | None = None  # the oldest backend that must take the package
    # of these options
    labels: Mapping[str, Label] = field(default_factory=dict, compare=False, repr=False)


def settings_in(metadata: object) -> Mapping[str, object]:
    """The settings in the metadata of a notebook, empty where there are none that can be read."""
    found = metadata.get(SETTINGS_KEY) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}
