"""Faults that are told of the cells of notebooks, told of the notebooks' files."""

from collections.abc import Mapping
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic, Label, Source
from kale_tag.places import Places
from kale_tag.steps import SETTINGS_KEY
from kale_tag.tags import listed


def in_files(fault: Diagnostic, places: Mapping[str, Places]) -> Diagnostic:
    """The same fault; its labels stand in the files of the notebooks that *places* names.

    A label in the source of a cell becomes the place of the same characters in the file; a cell as
    a whole becomes the tag that the message names, else that of the step, else its first line; a
    place in the settings becomes their key. The message says which cell it is about.
    """
    if not fault.labels:
        return fault
    source = fault.labels[0].source
    message = fault.message
    if source.cell is not None and source.name in places and not message.startswith("cell "):
        what = f"cell {source.cell}"
        rest = message.removeprefix("the cell ")
        message = f"{what}: {message}" if rest == message else f"{what} {rest}"
    labels = tuple(_in_file(label, fault.message, places) for label in fault.labels)
    return replace(fault, message=message, labels=labels)


def _in_file(label: Label, message: str, places: Mapping[str, Places]) -> Label:
    source, span = label.source, label.span
    known = places.get(source.name)
    if known is None:
        return label
    if source.cell is not None and span is not None:
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
    tags = listed(places.notebook.metadata_of(cell))
    named = [at for at, tag in enumerate(tags) if f"`{tag}`" in message]
    named += [at for at, tag in enumerate(tags) if tag.startswith(("step:", "notebook:"))]
    return places.tag(cell, named[0]) if named else places.cell(cell)
