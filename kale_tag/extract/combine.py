"""Drafts of notebooks of the same shape as one spec: `${...}` for what differs between them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.extract.choose import NoSelectorError, Part, choose
from kale_tag.extract.draft import Block, Draft
from kale_tag.kale import names, tags
from kale_tag.kale.settings import settings_in
from kale_tag.notebook.model import MISSING
from kale_tag.notebook.splice import same
from kale_tag.plan.select import View
from kale_tag.spec import template

_HOLE = re.compile(r"\$\{[^{}]*\}")

SLUGGED = ("pipeline_name", "experiment_name")
"""The settings in which `${stem}` and the like stand for names that Kale takes."""


@dataclass(frozen=True, slots=True)
class Member:
    """One notebook of a spec: its draft, its path from the spec ("" for standard input).

    *variables* are what `${stem}` and the like stand for.
    """

    draft: Draft
    path: str
    variables: Mapping[str, str]
    view: View


@dataclass(frozen=True, slots=True)
class Entry:
    """What is different in one notebook."""

    path: str
    vars: Mapping[str, str]
    pipeline: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Given:
    """What a block gives its cells, with holes: name, path, `prev`, and (kind, key, value) each."""

    name: str
    path: str
    prev: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Combined:
    """One spec for *members*; for each block of the first of them what it gives, and selectors."""

    members: tuple[Member, ...]
    blocks: tuple[tuple[Block, Given, tuple[Part, ...]], ...]
    pipeline: Mapping[str, object] | None
    entries: tuple[Entry, ...]


class NoFitError(Exception):
    """Notebooks have no spec in common; the message says what the last of them has."""


def combine(members: Sequence[Member], order: Sequence[str]) -> Combined:
    """One spec for all *members*, cells selected by what *order* prefers.

    Raises `NoFitError`; for one notebook alone never.
    """
    drafts = [member.draft for member in members]
    if any(_shape(draft) != _shape(drafts[0]) for draft in drafts):
        raise NoFitError(_other_shape(drafts))
    if len(drafts) > 1 and not drafts[0].blocks:
        raise NoFitError("no tags that could be alike")
    holes = _Holes(members)
    views = [member.view for member in members]
    made = []
    for alike in zip(*(draft.blocks for draft in drafts), strict=True):
        given = _given(holes, alike)
        try:
            parts = choose(views, [block.cells for block in alike], order)
        except NoSelectorError:
            raise NoFitError(f"other code in `{alike[0].role.tag}`") from None
        made.append((alike[0], given, parts))
    pipeline, own = _settings(holes, drafts)
    entries = tuple(
        Entry(member.path, variables, differing)
        for member, variables, differing in zip(members, holes.vars, own, strict=True)
    )
    return Combined(tuple(members), tuple(made), pipeline, entries)


def partition(members: Sequence[Member], order: Sequence[str]) -> Iterator[tuple[Combined, str]]:
    """As few specs as we find for *members*; with each but the first what sets it apart."""
    left = list(members)
    reason = ""
    while left:
        first, *others = left
        fitting = []
        reasons = {}
        for other in others:
            try:
                combine((first, other), order)
                fitting.append(other)
            except NoFitError as exc:
                reasons[id(other)] = str(exc)
        try:
            made = combine((first, *fitting), order)
        except NoFitError:  # each fits the first, but they do not fit each other
            made = combine((first,), order)
            for other in fitting:
                try:
                    made = combine((*made.members, other), order)
                except NoFitError as exc:
                    reasons[id(other)] = str(exc)
        yield made, reason
        left = [other for other in others if id(other) in reasons]
        reason = reasons[id(left[0])] if left else ""


@dataclass(slots=True)
class _Holes:
    """Puts `${...}` where texts differ; *vars* are those that each notebook has to give itself."""

    members: Sequence[Member]
    vars: list[dict[str, str]] = field(default_factory=list)
    known: dict[tuple[str, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vars = [{} for _ in self.members]

    def text(self, values: Sequence[str], called: str) -> str:
        """The text that is filled to each of *values*; *called* names a variable for it."""
        found = self.from_path(values)
        if found is not None:
            return found
        key = tuple(values)
        if key not in self.known:
            if any(any(template.variables(value)) for value in values):
                raise NoFitError(f"`{called}` differs, and holds `${{`, which no variable can")
            taken = {*template.VARIABLES, *self.known.values()}
            name, number = called, 1
            while name in taken:
                number += 1
                name = f"{called}_{number}"
            self.known[key] = name
            for own, value in zip(self.vars, values, strict=True):
                own[name] = value
        return f"${{{self.known[key]}}}"

    def from_path(self, values: Sequence[str], *, slugged: bool = False) -> str | None:
        """The text that is filled to each of *values* from the paths; None where there is none."""
        if all(value == values[0] for value in values):
            return template.escaped(values[0])
        paths = [member.variables for member in self.members]
        if slugged:
            paths = [
                {key: names.pipeline_name(value) for key, value in path.items()} for path in paths
            ]
        for name in template.VARIABLES:
            if word := paths[0].get(name):
                parts = map(template.escaped, values[0].split(word))
                text = f"${{{name}}}".join(parts)
                if all(
                    template.fill(text, path) == value
                    for path, value in zip(paths, values, strict=True)
                ):
                    return text
        return None

    def value(self, values: Sequence[object], *, slugged: bool = False) -> object:
        """The setting that is filled to each of *values*. Raises `NoFitError`."""
        first = values[0]
        if isinstance(first, str) and all(isinstance(one, str) for one in values):
            text = self.from_path([str(one) for one in values], slugged=slugged)
            if text is not None:
                return text
        elif isinstance(first, dict) and all(
            isinstance(one, dict) and one.keys() == first.keys() for one in values
        ):
            return {
                key: self.value([one[key] for one in values if isinstance(one, dict)])
                for key in first
            }
        elif isinstance(first, list) and all(
            isinstance(one, list) and len(one) == len(first) for one in values
        ):
            columns = zip(*(one for one in values if isinstance(one, list)), strict=True)
            return [self.value(column) for column in columns]
        elif all(type(one) is type(first) and one == first for one in values):
            return first
        raise NoFitError


def _given(holes: _Holes, alike: Sequence[Block]) -> Given:
    """What the blocks *alike*, one of each notebook, give their cells."""
    block = alike[0]
    name = holes.text([one.role.name for one in alike], block.role.name)
    word = tags.valid_name(_HOLE.sub("", name))  # what the names have in common
    path = holes.text([one.role.path for one in alike], tags.valid_name(f"{word}_path"))
    prev = tuple(
        holes.text(names, names[0]) for names in zip(*(b.prev for b in alike), strict=True)
    )
    given = []
    for column in zip(*(one.settings for one in alike), strict=True):
        kind = column[0].kind
        key = column[0].key
        called = tags.valid_name(f"{word}_{key or kind}")
        given.append((kind, key, holes.text([tag.value for tag in column], called)))
    return Given(name, path, prev, tuple(given))


def _settings(
    holes: _Holes, drafts: Sequence[Draft]
) -> tuple[Mapping[str, object] | None, list[dict[str, object]]]:
    """The settings that all have, and those that each notebook has to give itself."""
    own: list[dict[str, object]] = [{} for _ in drafts]
    if drafts[0].pipeline is None:
        return None, own
    found = [draft.pipeline or {} for draft in drafts]
    shared: dict[str, object] = {}
    for key in dict.fromkeys(key for one in found for key in one):
        if all(key in one for one in found):
            try:
                values = [one[key] for one in found]
                shared[key] = holes.value(values, slugged=key in SLUGGED)
            except NoFitError:
                pass
            else:
                continue
        usual = _usual(key, drafts)
        if usual is not MISSING:
            shared[key] = _escaped(usual)
        for mine, one in zip(own, found, strict=True):
            value = one.get(key, MISSING)
            if not same(value, usual):
                mine[key] = None if value is MISSING else _escaped(value)
    return shared, own


def _usual(key: str, drafts: Sequence[Draft]) -> object:
    """The value of the setting *key* in most of *drafts*, if more than one has it, else `MISSING`.

    The others have to be able to say something else: a mapping is merged over another one, and
    null takes a setting away.
    """
    values = [(draft.pipeline or {}).get(key, MISSING) for draft in drafts]
    times = [sum(same(value, other) for other in values) for value in values]
    usual = values[times.index(max(times))]
    sayable = all(
        _replaces(value, usual)
        if value is not MISSING
        else key not in settings_in(draft.notebook.metadata)
        for value, draft in zip(values, drafts, strict=True)
    )
    return usual if max(times) > 1 and sayable else MISSING


def _replaces(value: object, below: object) -> bool:
    """Whether *value*, merged over *below*, gives *value*."""
    if not isinstance(value, dict) or not isinstance(below, dict):
        return True
    return all(key in value and _replaces(value[key], below[key]) for key in below)


def _escaped(value: object) -> object:
    match value:
        case str():
            return template.escaped(value)
        case list():
            return [_escaped(one) for one in value]
        case dict():
            return {key: _escaped(one) for key, one in value.items()}
        case _:
            return value


def _shape(draft: Draft) -> tuple[object, ...]:
    """What drafts of one spec have in common: their blocks, but for names, cells and values."""
    number = {block.role.name: at for at, block in enumerate(draft.blocks) if block.role.name}
    blocks = tuple(
        (
            block.role.kind,
            number.get(block.role.name),
            len(block.cells),
            tuple(number[name] for name in block.prev),
            tuple((tag.kind, tag.key) for tag in block.settings),
        )
        for block in draft.blocks
    )
    return (*blocks, draft.pipeline is None)


def _other_shape(drafts: Sequence[Draft]) -> str:
    """In what the first draft that is unlike the first of all differs from it, in a few words."""
    first = drafts[0]
    other = next(draft for draft in drafts if _shape(draft) != _shape(first))
    if (first.pipeline is None) != (other.pipeline is None):
        return "without settings" if other.pipeline is None else "with settings"
    mine, its = ([block.role.tag for block in draft.blocks] for draft in (first, other))
    if [tag for tag in mine if tag.parts] != [tag for tag in its if tag.parts]:
        return "other steps"
    if mine != its:
        return "other tags"
    return "other `prev`, settings or numbers of cells in steps"
