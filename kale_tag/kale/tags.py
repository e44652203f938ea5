"""The Kale tag language: parse a tag, print a tag, the order in which Kale's own UI writes them.

The grammar is that of Kale 2.3.0 (`facts/kale.md` section 1.2, read in its sources), but for one
thing: Kale lets a line break at the end of a tag pass and fails later, here it is no tag.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

SPECIAL = ("imports", "functions", "pipeline-parameters", "pipeline-metrics", "skip")
"""What a cell can be instead of a step; at the first of these Kale stops reading the list."""

NAME = r"[_a-z][_a-z0-9]*"
"""What Kale takes as the name of a step or of a referenced notebook."""

NAMING = ("step", "notebook", "prev", "block")
"""The kinds of tag that name a step, or a notebook that is one; `block` is Kale 0.x's `step`."""

SWITCH = ("enabled", "disabled")
"""The values of `cache:` and `report:`."""

# Kale's UI writes a cell's tags in this order, whatever the order of the clicks. It knows no labels
# and annotations; they stand where the spec has them, behind the limits.
ORDER = (
    *SPECIAL,
    "step",
    "notebook",
    "prev",
    "limit",
    "label",
    "annotation",
    "secret",
    "image",
    "cache",
    "report",
)

_SEGMENT = r"[a-zA-Z0-9]+(?:[a-zA-Z0-9\-_.]*[a-zA-Z0-9])?"
_POD_KEY = rf"{_SEGMENT}(?:/{_SEGMENT})?"
_DNS = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a tag behind its kind: what it is called, its pattern, that pattern in words."""

    name: str
    pattern: str
    rule: str


_NAME_RULE = "lower-case letters, digits and `_`, not starting with a digit"
_KEY_RULE = "letters, digits, `-`, `_`, `.` and one `/`, with a letter or digit at both ends"

# An empty name of a step says: belongs to the step above.
PARTS: dict[str, tuple[Part, ...]] = {
    **dict.fromkeys(SPECIAL, ()),
    "step": (Part("step name", rf"(?:{NAME})?", _NAME_RULE),),
    "notebook": (Part("notebook name", rf"(?:{NAME})?", _NAME_RULE),),
    "prev": (Part("step name", NAME, _NAME_RULE),),
    "limit": (
        Part("limit", r"[_a-z\-./]+", "lower-case letters, `_`, `-`, `.` and `/`"),
        Part("quantity", r"[_a-zA-Z0-9.]+", "letters, digits, `_` and `.`"),
    ),
    "label": (Part("label", _POD_KEY, _KEY_RULE), Part("label value", r".*", "one line of text")),
    "annotation": (
        Part("annotation", _POD_KEY, _KEY_RULE),
        Part("annotation value", r".*", "one line of text"),
    ),
    "secret": (
        Part("secret name", rf"{_DNS}(?:\.{_DNS})*", "lower-case letters, digits, `-` and `.`"),
        Part("secret key", r"[-._a-zA-Z0-9]+", "letters, digits, `-`, `_` and `.`"),
        Part(
            "environment variable",
            r"[a-zA-Z_][a-zA-Z0-9_]*",
            "letters, digits and `_`, not starting with a digit",
        ),
    ),
    "image": (Part("image", r".+", "one line of text"),),
    "cache": (Part("cache", "|".join(SWITCH), "`enabled` or `disabled`"),),
    "report": (Part("report", "|".join(SWITCH), "`enabled` or `disabled`"),),
}
"""The parts of each of the 15 kinds of tag, in the order in which they stand."""

_GRAMMAR = {
    kind: re.compile(":".join((kind, *(f"({part.pattern})" for part in parts))))
    for kind, parts in PARTS.items()
}
_LEGACY = re.compile(r"block:.*|(?:prev|step):[^:]*;.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of Kale's language: its kind and what stands behind it, such as `("cpu", "2")`."""

    kind: str
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ":".join((self.kind, *self.parts))


def parse(text: str) -> Tag | None:
    """The tag that *text* spells, or None when it is not in the language of Kale 2.3."""
    kind = text.partition(":")[0]
    grammar = _GRAMMAR.get(kind)
    found = grammar.fullmatch(text) if grammar is not None else None
    return None if found is None else Tag(kind, found.groups())


def invalid_parts(tag: Tag) -> Iterator[tuple[int, Part]]:
    """The parts of *tag* that Kale does not take, each with its position."""
    for position, (text, part) in enumerate(zip(tag.parts, PARTS[tag.kind], strict=True)):
        if re.fullmatch(part.pattern, text) is None:
            yield position, part


def is_kales(text: str) -> bool:
    """Whether *text* stands in Kale's name space: its tags, and misspelt ones of the same kinds.

    `step:Load-Data` is refused by Kale and still Kale's: no other tool means anything by it. Tags
    of the 0.x language are not meant.
    """
    kind, colon, _ = text.partition(":")
    return kind in PARTS and bool(colon) == bool(PARTS[kind]) and not is_legacy(text)


def is_legacy(text: str) -> bool:
    """Whether *text* is of the Kale 0.x language, on which Kale 2 stops: `block:a`, `prev:a;b`."""
    return _LEGACY.fullmatch(text) is not None


def names_in(text: str) -> list[str]:
    """The steps that a tag names: one, and in Kale 0.x several, as in `prev:a;b`."""
    kind, _, rest = text.partition(":")
    return [name for name in rest.split(";") if name] if kind in NAMING else []


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The tag *text* with each step that it names called as *names* has it."""
    kind, _, rest = text.partition(":")
    if kind not in NAMING:
        return text
    return f"{kind}:{';'.join(names.get(name, name) for name in rest.split(';'))}"


def in_order(tags: Iterable[Tag]) -> list[Tag]:
    """*tags* in the order in which Kale's UI writes them; those of one kind keep theirs."""
    return sorted(tags, key=lambda tag: ORDER.index(tag.kind))


def valid_name(text: str) -> str:
    """The nearest name that Kale takes for a step: `Load data` gives `load_data`; "" if none is."""
    name = re.sub(r"[^a-z0-9_]+", "_", text.strip().lower()).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def corrected(text: str, part: Part) -> str:
    """What Kale would take instead of *text*, "" where there is no telling."""
    match part.name:
        case "step name" | "notebook name":
            better = valid_name(text)
        case "limit" | "cache" | "report":
            better = text.lower()
        case "quantity":
            better = "".join(text.split())
        case "environment variable":
            better = re.sub(r"^(?=\d)", "_", re.sub(r"\W", "_", text))
        case "secret name":
            better = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
        case "label" | "annotation" | "secret key":
            better = re.sub(r"[^\w./]+", "-", text).strip("-_.")
        case _:
            return ""
    return better if better and re.fullmatch(part.pattern, better) else ""
