"""Faults that are told of the cells of notebooks, told of the notebooks' files."""

from collections.abc import Mapping
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic, Label, Source
from kale_tag.kale import tags
from kale_tag.kale.metadata import SETTINGS_KEY, tags_in
from kale_tag.notebook.places import Places

_SPOKEN_OF = {"description": "pipeline_description", "volume": "volumes"}
"""Words of faults that have no place, and the settings that they are about."""


def in_files(diagnostic: Diagnostic, places: Mapping[str, Places], notebook: str) -> Diagnostic:
    """The same fault; its labels stand in the files of the notebooks that *places* names.

    A label in the source of a cell becomes the place of the same characters in the file; a cell as
    a whole becomes the tag that the message speaks of, else that of the step, else its first line;
    a place in the settings becomes their key. What has no place is about the settings of
    *notebook*. The message says which cell it is about.
    """
    if not diagnostic.labels:
        spoken = [key for word, key in _SPOKEN_OF.items() if word in diagnostic.message]
        at = places[notebook].metadata(None, (SETTINGS_KEY, *spoken[:1]))
        return replace(diagnostic, labels=(at,))
    source = diagnostic.labels[0].source
    message = diagnostic.message
    if source.cell is not None and source.name in places and not message.startswith("cell "):
        what = f"cell {source.cell}"
        rest = message.removeprefix("the cell ")
        message = f"{what}: {message}" if rest == message else f"{what} {rest}"
    labels = tuple(_in_file(label, diagnostic.message, places) for label in diagnostic.labels)
    return replace(diagnostic, message=message, labels=labels)


def _in_file(label: Label, message: str, places: Mapping[str, Places]) -> Label:
    source, span = label.source, label.span
    known = places.get(source.name)
    if known is None:
        return label
    if label.path is not None:
        made = known.metadata(source.cell, label.path)
    elif source.cell is not None and span is not None:
        made = known.source(source.cell, span.start, span.end)
    elif source.cell is not None:
        made = _cell(known, source.cell, message)
    elif span is not None:
        key = source.text[span.start : span.end].strip('"')
        made = known.metadata(None, (SETTINGS_KEY, key) if key != SETTINGS_KEY else (key,))
    else:
        made = Label(Source(known.notebook.name))
    return made.with_text(label.text)


def _cell(places: Places, cell: int, message: str) -> Label:
    listed = tags_in(places.notebook.metadata_of(cell))
    found = [at for at, tag in enumerate(listed) if f"`{tag}`" in message]
    found += [at for at, tag in enumerate(listed) if _sets(tag, message)]
    found += [at for at, tag in enumerate(listed) if tag.startswith(("step:", "notebook:"))]
    return places.tag(cell, found[0]) if found else places.cell(cell)


def _sets(tag: str, message: str) -> bool:
    """Whether *message* speaks of what *tag* sets: by its key, or its kind and its key."""
    kind, _, rest = tag.partition(":")
    key = rest if kind == "image" else rest.partition(":")[0]
    if kind not in tags.SETTING_KINDS or not key:
        return False
    return f"`{key}`" in message or (kind in message and f" {key} " in message)
