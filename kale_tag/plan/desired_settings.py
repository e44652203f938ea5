"""The settings that `pipeline` of a spec gives a notebook, merged into those that it has."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.kale import names, settings
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.settings import settings_in
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING, Notebook
from kale_tag.spec import template
from kale_tag.spec.change import Change, Target
from kale_tag.spec.model import Given, SettingValue


def settings_changes(
    notebook: Notebook, target: Target, upgraded: dict[str, object] | None = None
) -> list[Change]:
    """The change of the notebook's own metadata, if its settings are not as *target* wants them.

    *upgraded* are its settings as Kale 2 takes them, if they have to change for that.
    """
    if target.pipeline is None and upgraded is None:
        return []
    before = notebook.metadata
    if before is not MISSING and before is not None and not isinstance(before, dict):
        raise UserError(_not_an_object(notebook, "`metadata`"))
    old = before if isinstance(before, dict) else {}
    present = old.get(SETTINGS_KEY)
    if present is not None and not isinstance(present, dict):
        raise UserError(_not_an_object(notebook, f"`metadata.{SETTINGS_KEY}`"))
    start = (present or {}) if upgraded is None else upgraded
    wanted = _filled_settings(notebook, target)
    wanted = settings.with_experiment(wanted, start)
    # If a spec has removed the last key, the keys of the panel do not come back.
    asks = present is None or any(value is not None for value in wanted.values())
    if not start and target.pipeline is not None and asks:
        wanted = settings.initial(wanted, target.variables["stem"])
    if diagnostics := [*_diagnostics(notebook, target.pipeline or {}, wanted)]:
        raise UserError(*diagnostics)
    new = _merged(start, wanted)
    if same(new, present or {}):
        return []
    return [Change(None, before, {**old, SETTINGS_KEY: new})]


def settings_changed(change: Change) -> Iterator[tuple[str, object, object]]:
    """Key, old and new value of each setting that changes, `MISSING` if there is none."""
    before, after = settings_in(change.before), settings_in(change.after)
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, MISSING), after.get(key, MISSING)
        if not same(old, new):
            yield key, old, new


def _filled_settings(notebook: Notebook, target: Target) -> dict[str, object]:
    """The settings of *target* with every hole filled."""
    pipeline = target.pipeline or {}
    slugs = {
        key: names.pipeline_name(value) if key in template.VARIABLES else value
        for key, value in target.variables.items()
    }
    wanted: dict[str, object] = {}
    for key, setting in pipeline.items():
        # Names take no other characters than those of Kale's own names for files.
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
            for name, text in (entries or {}).items()
        ]
    return wanted


def _diagnostics(
    notebook: Notebook, pipeline: Mapping[str, SettingValue], wanted: Mapping[str, object]
) -> Iterator[Diagnostic]:
    """What Kale would not take in *wanted*: what *pipeline* asks for, and what is added to it."""
    for key, diagnostic in settings.problems(wanted):
        if (setting := pipeline.get(key)) is not None:
            yield replace(diagnostic, labels=(setting.label,), notes=(f"for {notebook.name}",))
        else:  # of what is added only the name of the pipeline can be wrong
            spec = next((one.label.source for one in pipeline.values()), Source(notebook.name))
            yield error(
                diagnostic.code,
                f"the file name of {notebook.name} gives no pipeline name",
                Label(spec),
                help="give `pipeline_name` under `pipeline`, or for this notebook under "
                "`notebooks`",
            )


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
