"""Three-way merge of lists of tags, by their meaning.

A cell has one role, one limit of each kind, and so on; whatever else there is (`prev`, tags of
other tools) is a set.
"""

from collections.abc import Mapping, Sequence

from kale_tag.compare.three_way import (
    Conflict,
    Merged,
    Versions,
    merge_value,
    or_missing,
    settled,
)
from kale_tag.kale import tags
from kale_tag.notebook.model import MISSING

Slot = tuple[str, ...]
"""What a tag decides: of tags with one slot a cell has one only."""

Names = Mapping[str, str]
"""Steps by the name that they have now, and the name that stands for them in a merge."""

NO_NAMES: tuple[Names, Names, Names] = ({}, {}, {})

ROLE = "the role"
"""What a conflict about `step:`, `imports` and the like is about."""


def merge_tags(of: Versions, names: tuple[Names, Names, Names] = NO_NAMES) -> Merged:
    """The merge of three lists of tags, each list `MISSING` where there is none.

    Where both sides changed a list, the tags stand in the order of Kale's UI, other tools' tags
    behind them. In *names* are, for each version, steps that both sides renamed differently.
    """
    if found := settled(of):
        return found
    slots = [
        _by_slot(listed if isinstance(listed, list) else [], called)
        for listed, called in zip(of, names, strict=True)
    ]
    made: tuple[list[str], ...] = ([], [], [])
    conflicts: list[Conflict] = []
    for slot in sorted({**slots[1], **slots[2]}, key=_place):
        parts = Versions(*(version.get(slot, MISSING) for version in slots))
        merged = merge_value(_called(slot), parts)
        conflicts += merged.conflicts
        for version, texts in zip(made, merged.versions, strict=True):
            version.extend(texts if isinstance(texts, list) else [])
    versions = or_missing(of, Versions(*made), agreed=not conflicts)
    return Merged(versions, tuple(conflicts))


def is_list_of_tags(value: object) -> bool:
    """Whether *value* is a list of text, as the tags of a cell are."""
    return isinstance(value, list) and all(isinstance(tag, str) for tag in value)


def renamed(listed: object, renames: Mapping[str, str]) -> object:
    """The tags *listed* after *renames* of steps, none twice for it."""
    if not (renames and isinstance(listed, list)):
        return listed
    new = [tags.renamed(text, renames) if isinstance(text, str) else text for text in listed]
    return listed if new == listed else list(dict.fromkeys(new))


def _by_slot(listed: Sequence[str], names: Names) -> dict[Slot, list[str]]:
    slots: dict[Slot, list[str]] = {}
    for text in listed:
        texts = slots.setdefault(_slot(text, names), [])
        if text not in texts:
            texts.append(text)
    return slots


def _slot(text: str, names: Names) -> Slot:
    if text in tags.SPECIAL or text.startswith(("step:", "notebook:", "block:")):
        return ("role",)
    tag = tags.parse(text)
    if tag is None:
        return ("tag", text)
    key = names.get(tag.key, tag.key) if tag.kind == "prev" else tag.key
    return (tag.kind, key) if key else (tag.kind,)


def _place(slot: Slot) -> int:
    """Where the tags of a slot stand in a list."""
    kind = slot[0]
    if kind == "role":
        return 0
    if kind == "tag":
        kind = slot[1].partition(":")[0]
        if not tags.is_kales(slot[1]) and not tags.is_legacy(slot[1]):
            kind = ""
    order = [*tags.KINDS]
    return order.index(kind) if kind in order else len(order)


def _called(slot: Slot) -> str:
    match slot:
        case ("role",):
            return ROLE
        case (kind,):
            return f"the {kind}"
        case _:
            return f"`{':'.join(slot)}`"
