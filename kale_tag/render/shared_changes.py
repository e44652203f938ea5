"""Equal changes in many notebooks, each shown once with the number of notebooks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from kale_tag.diagnostics import count
from kale_tag.kale.metadata import PATH_KEY, member, tags_in
from kale_tag.kale.tags import KINDS, Tag, parse
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING
from kale_tag.render.text import Style, as_written, differences, one_line

FEW = 3
"""More changed notebooks than these are shown together; as many places are named."""

LINES = 20
"""Most lines of changes: with the summary they fit on one screen."""

TAGS = "tags"
"""The subject of tags that are added and removed together."""


@dataclass(frozen=True, slots=True)
class SharedChange:
    """A change in one cell or setting, without what differs between notebooks anyway."""

    subject: str  # what changes: `limit:memory`, `setting volumes[0].size`, or `TAGS`
    gone: tuple[str, ...] = ()  # the old value, or the removed tags
    come: tuple[str, ...] = ()  # the new value, or the added tags

    def text(self, paint: "Paint") -> str:
        """`limit:memory: 4Gi -> 6Gi`, each part painted."""
        old, new = map(paint.gone, self.gone), map(paint.come, self.come)
        if self.subject == TAGS:
            return "  ".join([*(f"- {tag}" for tag in old), *(f"+ {tag}" for tag in new)])
        if self.gone and self.come:
            return f"{paint.name(self.subject)}: {', '.join(old)} -> {', '.join(new)}"
        values = ", ".join((*old, *new))
        return f"{'-' if self.gone else '+'} {paint.name(self.subject)}: {values}"


@dataclass(frozen=True, slots=True)
class Paint:
    """How the parts of changes are printed."""

    name: Callable[[str], str]  # of a notebook, or of what changes
    gone: Callable[[str], str]  # an old value
    come: Callable[[str], str]  # a new value


@dataclass(slots=True)
class _Group:
    """Changes that are one line."""

    subject: str
    change: SharedChange | None = None  # None: several of the same subject
    names: dict[str, None] = field(default_factory=dict)  # of the notebooks
    cells: int = 0
    different: int = 1

    def add(self, other: "_Group") -> None:
        self.names |= other.names
        self.cells += other.cells
        self.different += other.different


def in_cell(before: object, after: object) -> Iterator[SharedChange]:
    """The changes in the metadata of a cell."""
    old, new = tags_in(before), tags_in(after)
    gone = [tag for tag in old if tag not in new]
    come = [tag for tag in new if tag not in old]
    was, now = _by_kind(gone), _by_kind(come)
    for key in [key for key in was if key in now]:  # a setting or a name with another value
        yield SharedChange(key, (was[key].value,), (now[key].value,))
        gone.remove(str(was[key]))
        come.remove(str(now[key]))
    if gone or come:
        yield SharedChange(TAGS, tuple(gone), tuple(come))
    elif {*old} == {*new} and old != new:  # in another order, or one of them twice
        yield SharedChange("tags in order", (", ".join(old),), (", ".join(new),))
    yield from _value(PATH_KEY, *(member(one, PATH_KEY, MISSING) for one in (before, after)))


def _by_kind(texts: Iterable[str]) -> dict[str, Tag]:
    """The tags that have a value by what the value is of: `step`, `image`, `limit:memory`."""
    found = (tag for tag in map(parse, texts) if tag and KINDS[tag.kind].use in {"role", "setting"})
    return {f"{tag.kind}:{tag.key}" if tag.key else tag.kind: tag for tag in found}


def in_setting(key: str, before: object, after: object) -> Iterator[SharedChange]:
    """The changes in a setting of the notebook, as deep as both values have the same type."""
    for path, old, new in differences(key, before, after):
        yield from _value(f"setting {path}", old, new)


def _value(subject: str, before: object, after: object) -> Iterator[SharedChange]:
    if not same(before, after):
        gone, come = (() if one is MISSING else (as_written(one),) for one in (before, after))
        yield SharedChange(subject, gone, come)


def lines(changes: Iterable[tuple[str, SharedChange]], paint: Paint) -> Iterator[tuple[str, str]]:
    """Each change of the notebooks, by name, once: its text, and where it is made."""
    groups: dict[SharedChange, _Group] = {}
    for name, change in changes:
        group = groups.setdefault(change, _Group(change.subject, change))
        group.names[name] = None
        group.cells += 1
    for group in _fitting(groups.values()):
        if group.change is not None:
            yield group.change.text(paint), _where(group, paint)
        else:
            different = count(group.different, "different change")
            yield f"{paint.name(group.subject)}: {different}", _where(group, paint)


def _fitting(groups: Iterable[_Group]) -> list[_Group]:
    """At most `LINES` groups, the largest first: values of single notebooks are counted."""
    alone: dict[str, list[_Group]] = {}
    found: list[_Group] = []
    for group in groups:
        (alone.setdefault(group.subject, []) if len(group.names) == 1 else found).append(group)
    for some in alone.values():
        found += [_together(some, some[0].subject)] if len(some) > FEW else some
    found.sort(key=lambda group: -len(group.names))
    rest = found[LINES - 1 :]
    return [*found[: LINES - 1], _together(rest, "others")] if len(found) > LINES else found


def _together(groups: Iterable[_Group], subject: str) -> _Group:
    whole = _Group(subject, different=0)
    for group in groups:
        whole.add(group)
    return whole


def _where(group: _Group, paint: Paint) -> str:
    notebooks = count(len(group.names), "notebook")
    if len(group.names) < FEW:
        notebooks = " and ".join(map(paint.name, group.names))
    more = f"{count(group.cells, 'place')} of " if group.cells > len(group.names) else ""
    return f"in {more}{notebooks}"


def as_text(changes: Iterable[tuple[str, SharedChange]], style: Style) -> Iterator[str]:
    """A line for each change, and how to see more."""
    paint = Paint(
        one_line, lambda text: style.red(one_line(text)), lambda text: style.green(one_line(text))
    )
    for text, where in lines(changes, paint):
        yield f"  {text}  {style.dim(where)}"
    yield style.dim("  (`-v` shows each notebook)")
