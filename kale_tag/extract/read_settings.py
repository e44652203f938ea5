"""The settings of a notebook as `pipeline` of a spec says them, and those that it cannot say."""

import math
from collections.abc import Iterator, Mapping, Sequence

from kale_tag.extract.draft import Lost
from kale_tag.kale import settings, tags
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.settings import settings_in
from kale_tag.notebook.model import Notebook
from kale_tag.spec import template

ESSENTIAL = tuple(settings.initial({}, ""))
"""What a notebook without settings is given even where the spec does not name it."""


def read_settings(notebook: Notebook) -> tuple[Mapping[str, object] | None, tuple[Lost, ...]]:
    """`pipeline` for the settings of *notebook*, and what it leaves out; None where it has none."""
    present = settings_in(notebook.metadata)
    if not present:
        metadata = notebook.metadata
        if isinstance(metadata, dict) and metadata.get(SETTINGS_KEY, {}) != {}:
            return None, (Lost(None, f"`{SETTINGS_KEY}`", "it is not an object"),)
        return None, ()
    lost = dict(_lost(present))
    found = {key: present[key] for key in _in_order(present) if key not in lost}
    experiment = {"id": "new", "name": found.get("experiment_name")}
    if "experiment_name" in found and found.get("experiment") == experiment:
        del found["experiment"]  # it follows
    elif "experiment" not in present and "experiment_name" in found:
        found["experiment"] = None
    for key in ESSENTIAL:
        if key not in present and key != "experiment":
            found[key] = None
    if isinstance(defaults := found.get("steps_defaults"), list) and defaults:
        found["steps_defaults"] = _structured(defaults) or defaults
    return found, tuple(Lost(None, f"`{key}`", why) for key, why in lost.items())


def _lost(present: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The keys that a spec would be refused for, or cannot give as they are."""
    for key, value in present.items():
        if value is None:
            yield key, "it is null, which to Kale is the same as if it were not there"
        elif not _can_be_written(value):
            yield key, "it holds null, or a number that YAML has no words for"
    for key, diagnostic in settings.problems(present, called="Kale 2.3"):
        yield key, f"Kale stops at it: {diagnostic.message}"
    if isinstance(present.get("steps_defaults"), dict):
        yield "steps_defaults", "Kale wants a list here"


def _can_be_written(value: object, *, in_list: bool = False) -> bool:
    """Whether *value* comes back from YAML, and from merging, where null takes a key away."""
    match value:
        case dict():
            return all(_can_be_written(one, in_list=in_list) for one in value.values())
        case list():
            return all(_can_be_written(one, in_list=True) for one in value)
        case None:
            return in_list
        case float():
            return math.isfinite(value)
        case str() | bool() | int():
            return True
        case _:
            return False


def _in_order(present: Mapping[str, object]) -> list[str]:
    """The keys as a reader looks for them: those that Kale knows in our order, then others."""
    known = [key for key in settings.FIELDS if key in present]
    return [*known, *(key for key in present if key not in known)]


def _structured(defaults: Sequence[object]) -> dict[str, dict[str, str]] | None:
    """`steps_defaults` by kinds; None where the list of tags would come back another one."""
    plural = {kind: key for key, kind in tags.DEFAULTS.items()}
    made: dict[str, dict[str, str]] = {}
    for text in defaults:
        tag = tags.parse(str(text))
        if tag is None or tag.kind not in plural or any(template.groups(str(text))):
            return None
        made.setdefault(plural[tag.kind], {})[tag.key] = tag.value
    again = [
        str(tags.tag_of(tags.DEFAULTS[key], name, value))
        for key, entries in made.items()
        for name, value in entries.items()
    ]
    return made if again == list(defaults) else None
