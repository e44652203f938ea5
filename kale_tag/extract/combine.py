"""Drafts of similar notebooks as one spec, with `${...}` for what differs between them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from kale_tag.extract.choose import ChosenSelector, NoSelectorError, choose
from kale_tag.extract.read import CellBlock, SpecDraft
from kale_tag.kale import names, tags
from kale_tag.kale.settings import settings_in
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING
from kale_tag.plan.select import View
from kale_tag.spec import template

_HOLE = re.compile(r"\$\{[^{}]*\}")

SLUGGED = ("pipeline_name", "experiment_name")
"""The settings in which `${stem}` and the like stand for names that Kale takes."""


@dataclass(frozen=True, slots=True)
class SpecMember:
    """One notebook of a spec."""

    draft: SpecDraft
    path: str  # relative to the spec; "" for standard input
    variables: Mapping[str, str]  # the values of `${stem}` and the like
    view: View


@dataclass(frozen=True, slots=True)
class MemberEntry:
    """An entry of `notebooks` in a spec: what is different in one notebook."""

    path: str
    vars: Mapping[str, str]
    pipeline: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BlockFields:
    """What a rule gives the cells of a block; texts may contain `${...}`."""

    name: str  # of the step or reference
    path: str  # of the referenced notebook
    prev: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]  # kind, key and value of each


@dataclass(frozen=True, slots=True)
class Combined:
    """One spec for several notebooks."""

    members: tuple[SpecMember, ...]
    # The blocks of the first notebook, each with what its rules give, and their selectors.
    blocks: tuple[tuple[CellBlock, BlockFields, tuple[ChosenSelector, ...]], ...]
    pipeline: Mapping[str, object] | None
    entries: tuple[MemberEntry, ...]


class NoFitError(Exception):
    """Notebooks cannot share a spec; the message is what differs in the last of them."""


def combine(members: Sequence[SpecMember], order: Sequence[str]) -> Combined:
    """One spec for all *members*, cells selected by the first key of *order* that fits.

    Raises `NoFitError`, but never for a single notebook.
    """
    drafts = [member.draft for member in members]
    if any(_shape(draft) != _shape(drafts[0]) for draft in drafts):
        raise NoFitError(_other_shape(drafts))
    if len(drafts) > 1 and not drafts[0].blocks:
        raise NoFitError("no tags to share")
    if len(drafts) > 1 and not all(member.path for member in members):
        raise NoFitError("standard input is no file that a spec can name")
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
        MemberEntry(member.path, variables, differing)
        for member, variables, differing in zip(members, holes.vars, own, strict=True)
    )
    return Combined(tuple(members), tuple(made), pipeline, entries)


def partition(
    members: Sequence[SpecMember], order: Sequence[str]
) -> Iterator[tuple[Combined, str]]:
    """Few specs for *members*; each but the first comes with the reason for another spec."""
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
    """Puts `${...}` where the texts of notebooks differ."""

    members: Sequence[SpecMember]
    vars: list[dict[str, str]] = field(default_factory=list)  # for each notebook its `vars`
    known: dict[tuple[str, ...], str] = field(default_factory=dict)  # variable by its values

    def __post_init__(self) -> None:
        self.vars = [{} for _ in self.members]

    def text(self, values: Sequence[str], called: str) -> str:
        """A text that is filled to each of *values*, with a new variable *called* so if needed."""
        found = self.from_path(values)
        if found is not None:
            return found
        key = tuple(values)
        if key not in self.known:
            if any(any(template.variables(value)) for value in values):
                raise NoFitError(f"`{called}` differs and contains `${{`, which a variable cannot")
            taken = {*template.VARIABLES, *self.known.values()}
            self.known[key] = name = names.free(called, taken)
            for own, value in zip(self.vars, values, strict=True):
                own[name] = value
        return f"${{{self.known[key]}}}"

    def from_path(self, values: Sequence[str], *, slugged: bool = False) -> str | None:
        """A text that variables of the paths fill to each of *values*; None if there is none."""
        if all(value == values[0] for value in values):
            return template.escaped(values[0])
        paths = [member.variables for member in self.members]
        if slugged:
            paths = [
                {key: names.pipeline_name(value) for key, value in path.items()} for path in paths
            ]
        given = [(name, word) for name in template.VARIABLES if (word := paths[0].get(name))]
        for some in (*permutations(given, 1), *permutations(given, 2)):
            text = _with_holes(values[0], some)
            filled = (template.fill(text, path) for path in paths)
            if all(map(str.__eq__, filled, values)):
                return text
        return None

    def value(self, values: Sequence[object], *, slugged: bool = False) -> object:
        """A setting that is filled to each of *values*. Raises `NoFitError`."""
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


def _with_holes(text: str, variables: Sequence[tuple[str, str]]) -> str:
    """*text* with `${name}` for each value of *variables*, those of the first one first."""
    if not variables:
        return template.escaped(text)
    (name, value), *others = variables
    return f"${{{name}}}".join(_with_holes(part, others) for part in text.split(value))


def _given(holes: _Holes, alike: Sequence[CellBlock]) -> BlockFields:
    """What the rules for the blocks *alike*, one of each notebook, give."""
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
    return BlockFields(name, path, prev, tuple(given))


def _settings(
    holes: _Holes, drafts: Sequence[SpecDraft]
) -> tuple[Mapping[str, object] | None, list[dict[str, object]]]:
    """The settings that all notebooks share, and the rest for each notebook."""
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


def _usual(key: str, drafts: Sequence[SpecDraft]) -> object:
    """The value of the setting *key* in most of *drafts*, if more than one has it, else `MISSING`.

    It is `MISSING` also where another notebook could not override it: a mapping is merged over the
    shared one, and null removes a setting.
    """
    values = [(draft.pipeline or {}).get(key, MISSING) for draft in drafts]
    times = [sum(same(value, other) for other in values) for value in values]
    usual = values[times.index(max(times))]
    overridable = all(
        _replaces(value, usual)
        if value is not MISSING
        else key not in settings_in(draft.notebook.metadata)
        for value, draft in zip(values, drafts, strict=True)
    )
    return usual if max(times) > 1 and overridable else MISSING


def _replaces(value: object, below: object) -> bool:
    """Whether *value*, merged over *below*, gives *value*, in its order."""
    if not isinstance(value, dict) or not isinstance(below, dict):
        return True
    first = [*value][: len(below)]  # what is merged over a mapping comes behind its keys
    return first == [*below] and all(_replaces(value[key], below[key]) for key in below)


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


def _shape(draft: SpecDraft) -> tuple[object, ...]:
    """What drafts that share a spec have in common: blocks, without names, cells and values."""
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


def _other_shape(drafts: Sequence[SpecDraft]) -> str:
    """How the first draft of another shape differs from the first of all, in a few words."""
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
