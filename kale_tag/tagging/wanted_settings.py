"""What `pipeline` gives a notebook: its settings, merged into those that it has."""

from collections.abc import Mapping

from kale_tag import settings
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.notebook import MISSING, Notebook
from kale_tag.splice import same
from kale_tag.tagging import template
from kale_tag.tagging.change import Change, Target
from kale_tag.tagging.model import Given

SETTINGS_KEY = "kubeflow_notebook"


def settings_changes(notebook: Notebook, target: Target) -> list[Change]:
    """The change of the notebook's own metadata, if its settings are not as wanted."""
    if target.pipeline is None:
        return []
    before = notebook.metadata
    if before is not MISSING and before is not None and not isinstance(before, dict):
        raise UserError(_not_an_object(notebook, "`metadata`"))
    old = before if isinstance(before, dict) else {}
    present = old.get(SETTINGS_KEY)
    if present is not None and not isinstance(present, dict):
        raise UserError(_not_an_object(notebook, f"`metadata.{SETTINGS_KEY}`"))
    wanted = _filled_settings(notebook, target)
    if present:
        new = _merged(present, settings.with_experiment(wanted, present))
    else:
        full = settings.initial(settings.with_experiment(wanted, {}), target.variables["stem"])
        new = _merged({}, full)
    if same(new, present or {}):
        return []
    return [Change(None, before, {**old, SETTINGS_KEY: new})]


def _filled_settings(notebook: Notebook, target: Target) -> dict[str, object]:
    """The settings of *target* with every hole filled, checked as Kale would."""
    pipeline = target.pipeline or {}
    slugs = {
        key: settings.default_name(value) if key in template.VARIABLES else value
        for key, value in target.variables.items()
    }
    wanted: dict[str, object] = {}
    for key, setting in pipeline.items():
        # Kale makes names of file names in this way, and no other characters would do.
        variables = slugs if key in {"pipeline_name", "experiment_name"} else target.variables
        try:
            wanted[key] = _filled(setting.value, variables)
        except KeyError as missing:
            raise UserError(
                error(
                    "unknown-variable",
                    f"`${{{missing.args[0]}}}` has no value for {notebook.name}",
                    setting.label,
                    help="give it under `vars`, for all notebooks or for this one",
                )
            ) from None
    if isinstance(defaults := wanted.get("steps_defaults"), dict):
        wanted["steps_defaults"] = [
            str(Given(kind, name, text, pipeline["steps_defaults"].label).tag())
            for kind, entries in defaults.items()
            for name, text in entries.items()
        ]
    faults = [
        error(
            fault.code,
            fault.message,
            pipeline[str(fault.path[0])].label,
            notes=[f"for {notebook.name}"],
            help=fault.help,
        )
        for fault in settings.check(wanted)
    ]
    if faults:
        raise UserError(*faults)
    return wanted


def _filled(value: object, variables: Mapping[str, str]) -> object:
    match value:
        case str():
            return template.fill(value, variables)
        case list():
            return [_filled(item, variables) for item in value]
        case dict():
            return {key: _filled(item, variables) for key, item in value.items()}
        case _:
            return value


def _merged(old: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """*over* merged into *old* as in RFC 7386: None removes, mappings merge, the rest replaces."""
    merged = dict(old)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            inner = merged.get(key)
            merged[key] = _merged(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _not_an_object(notebook: Notebook, what: str) -> Diagnostic:
    return error(
        "bad-metadata",
        f"{what} of {notebook.name} is not an object",
        Label(Source(notebook.name)),
        help="no notebook editor writes this; repair it by hand",
    )
