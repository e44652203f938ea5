"""The Kale tag language: its table, parsing, printing, and the order in which Kale's panel writes.

The grammar is that of Kale 2.3.0 (`kale/processors/nbprocessor.py`), but for two things. Kale lets a
line break at the end of a tag pass and fails later; here it is not a tag. Kale refuses limits that
Kubernetes knows, such as `nvidia.com/mig-1g.5gb`; here they are tags, and `check` reports them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kale_tag.kale import quantity

NAME = r"[_a-z][_a-z0-9]*"
"""What Kale takes as the name of a step or of a referenced notebook."""

NAMING = ("step", "notebook", "prev", "block")
"""The kinds of tag that name a step, or a notebook that is one; `block` is Kale 0.x's `step`."""

SWITCH = ("enabled", "disabled")
"""The values of `cache:` and `report:`."""


def valid_name(text: str) -> str:
    """The nearest name that Kale takes for a step: `load_data` for `Load data`; "" if none is."""
    name = re.sub(r"[^a-z0-9_]+", "_", text.strip().lower()).strip("_")
    return f"step_{name}" if name[:1].isdigit() else name


def _pod_key(text: str) -> str:
    return re.sub(r"[^\w./]+", "-", text).strip("-_.")


def _secret_name(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def _variable(text: str) -> str:
    return re.sub(r"^(?=\d)", "_", re.sub(r"\W", "_", text))


@dataclass(frozen=True, slots=True)
class TagPart:
    """One part of a tag, of those between the colons."""

    name: str  # what it is called
    pattern: str  # all of it matches this
    rule: str  # the pattern in words, behind the name: "has letters and digits"
    fix: Callable[[str], str] = lambda _: ""  # a wrong text made right, as far as that can be
    words: tuple[str, ...] = ()  # the only texts that it can be
    kale: str = ""  # the pattern of Kale itself, where it takes less

    def __str__(self) -> str:
        """What a valid one is: `a step name has lower-case letters, ...`."""
        return f"a{'n' * (self.name[0] in 'aeiou')} {self.name} {self.rule}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of tag: what is before the first colon, and what follows from it."""

    name: str
    use: Literal["special", "role", "dependency", "setting"]  # what its cell is by it
    parts: tuple[TagPart, ...] = ()
    key: int | None = None  # the part that tells it from others of its kind; None: a step has one
    spec_key: str = ""  # the key of a rule that sets it; with a key part it is a mapping
    pod: tuple[str, str, str] | None = None  # where keys and values go in a package: a message of
    # KFP's Kubernetes executor, a field, and the function of kfp-kubernetes that writes it. None:
    # `compiler/settings.py` knows the setting by name.
    about: str = ""  # what the setting does, for the JSON Schema of specs


def _switch(name: str, about: str) -> Kind:
    part = TagPart(
        f"{name} value", "|".join(SWITCH), "is `enabled` or `disabled`", str.lower, SWITCH
    )
    return Kind(name, "setting", (part,), spec_key=name, about=about)


_SEGMENT = r"[a-zA-Z0-9]+(?:[a-zA-Z0-9\-_.]*[a-zA-Z0-9])?"
_POD_KEY = rf"{_SEGMENT}(?:/{_SEGMENT})?"
_KEY_RULE = "has letters, digits, `-`, `_`, `.` and one `/`, with a letter or digit at both ends"
_NAME_RULE = "has lower-case letters, digits and `_`, not starting with a digit"
_DNS = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_LINE = "is one line of text"
_SECRET = (
    TagPart(
        "secret name",
        rf"{_DNS}(?:\.{_DNS})*",
        "has lower-case letters, digits, `-` and `.`",
        _secret_name,
    ),
    TagPart("secret key", r"[-._a-zA-Z0-9]+", "has letters, digits, `-`, `_` and `.`", _pod_key),
    TagPart(
        "environment variable",
        r"[a-zA-Z_][a-zA-Z0-9_]*",
        "has letters, digits and `_`, not starting with a digit",
        _variable,
    ),
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        # What a cell can be instead of a step; at the first of these Kale stops reading the list.
        Kind("imports", "special"),
        Kind("functions", "special"),
        Kind("pipeline-parameters", "special"),
        Kind("pipeline-metrics", "special"),
        Kind("skip", "special"),
        # With an empty name, the cell belongs to the step above.
        Kind("step", "role", (TagPart("step name", rf"(?:{NAME})?", _NAME_RULE, valid_name),)),
        Kind(
            "notebook",
            "role",
            (TagPart("notebook name", rf"(?:{NAME})?", _NAME_RULE, valid_name),),
        ),
        Kind("prev", "dependency", (TagPart("step name", NAME, _NAME_RULE, valid_name),), key=0),
        Kind(
            "limit",
            "setting",
            (
                TagPart(
                    "limit",
                    r"[_a-z0-9\-./]+",
                    "has lower-case letters, digits, `_`, `-`, `.` and `/`",
                    str.lower,
                    kale=r"[_a-z\-./]+",
                ),
                TagPart(
                    "quantity",
                    r"\+?[_a-zA-Z0-9.]+(?:[+\-][0-9]+)?",
                    "has letters, digits, `_` and `.`",
                    quantity.meant,
                    kale=r"[_a-zA-Z0-9.]+",
                ),
            ),
            key=0,
            spec_key="limits",
            about="What the step may use at most, by Kubernetes resource.",
        ),
        # Kale's panel knows no labels and annotations; they are where a spec has them.
        Kind(
            "label",
            "setting",
            (TagPart("label", _POD_KEY, _KEY_RULE, _pod_key), TagPart("label value", ".*", _LINE)),
            key=0,
            spec_key="labels",
            pod=("podMetadata", "labels", "add_pod_label"),
            about="Labels of the step's pod.",
        ),
        Kind(
            "annotation",
            "setting",
            (
                TagPart("annotation", _POD_KEY, _KEY_RULE, _pod_key),
                TagPart("annotation value", ".*", _LINE),
            ),
            key=0,
            spec_key="annotations",
            pod=("podMetadata", "annotations", "add_pod_annotation"),
            about="Annotations of the step's pod.",
        ),
        Kind(
            "secret",
            "setting",
            _SECRET,
            key=2,
            spec_key="secrets",
            about="Environment variables that the step gets from Kubernetes secrets, each as "
            "secret/key.",
        ),
        Kind(
            "image",
            "setting",
            (TagPart("image", ".+", _LINE),),
            spec_key="image",
            about="The container image of the step.",
        ),
        _switch("cache", "Whether KFP may take the result of an earlier run of the step."),
        _switch("report", "Whether the step saves its cells and their output as an HTML report."),
    )
}
"""The 15 kinds of tag, in the order in which Kale's panel writes them, whatever the order of the
clicks. A new kind is one entry here: the language, specs, their JSON Schema, `extract`, merging
and `compile` follow."""

SPECIAL = tuple(kind.name for kind in KINDS.values() if kind.use == "special")
"""What a cell can be instead of a step."""

SETTINGS: Mapping[str, Kind] = {
    kind.spec_key: kind for kind in KINDS.values() if kind.use == "setting"
}
"""The kinds of tag that set how a step runs, by the keys of a rule."""

SETTING_KINDS = tuple(kind.name for kind in SETTINGS.values())
"""Their names."""

DEFAULTS: Mapping[str, str] = {
    key: kind.name for key, kind in SETTINGS.items() if kind.key is not None
}
"""The settings that a rule, and `steps_defaults`, give as a mapping; and the kind of tag of each."""

_GRAMMAR = {
    kind.name: re.compile(":".join((kind.name, *(f"({part.pattern})" for part in kind.parts))))
    for kind in KINDS.values()
}
_LEGACY = re.compile(r"block:.*|(?:prev|step):[^:]*;.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of Kale's language."""

    kind: str
    parts: tuple[str, ...] = ()  # what is behind the kind, such as `("cpu", "2")`

    def __str__(self) -> str:
        return ":".join((self.kind, *self.parts))

    @property
    def key(self) -> str:
        """What tells it from others of its kind: the variable of a secret; "" where a step has one.

        Two settings of one kind and key contradict each other.
        """
        at = KINDS[self.kind].key
        return "" if at is None else self.parts[at]

    @property
    def value(self) -> str:
        """The rest, as a spec writes it: `name/key` of a secret."""
        at = KINDS[self.kind].key
        return "/".join(part for position, part in enumerate(self.parts) if position != at)


def tag_of(kind: str, key: str, value: str) -> Tag:
    """The tag of the kind *kind* with that key and value; see `Tag`."""
    about = KINDS[kind]
    if about.key is None:
        return Tag(kind, (value,) if about.parts else ())
    others = len(about.parts) - 1
    parts = value.rsplit("/", others - 1) if others > 1 else [value] * others
    parts = [""] * (others - len(parts)) + parts
    return Tag(kind, (*parts[: about.key], key, *parts[about.key :]))


def parse(text: str) -> Tag | None:
    """The tag that *text* spells, or None when it is not in the language."""
    kind = text.partition(":")[0]
    grammar = _GRAMMAR.get(kind)
    found = grammar.fullmatch(text) if grammar is not None else None
    return None if found is None else Tag(kind, found.groups())


def invalid_parts(tag: Tag) -> Iterator[tuple[int, TagPart]]:
    """The parts of *tag* that Kale does not take, each with its position."""
    for position, (text, part) in enumerate(zip(tag.parts, KINDS[tag.kind].parts, strict=True)):
        if re.fullmatch(part.pattern, text) is None:
            yield position, part


def stops_kale(tag: Tag) -> bool:
    """Whether *tag* is in the language here, and not in that of Kale 2.3."""
    parts = zip(tag.parts, KINDS[tag.kind].parts, strict=True)
    return any(part.kale and re.fullmatch(part.kale, text) is None for text, part in parts)


def is_kales(text: str) -> bool:
    """Whether *text* is in Kale's name space: its tags, and misspelt ones of the same kinds.

    `step:Load-Data` is refused by Kale and still Kale's: no other tool means anything by it. Tags
    of the 0.x language are not meant.
    """
    kind, colon, _ = text.partition(":")
    return kind in KINDS and bool(colon) == bool(KINDS[kind].parts) and not is_legacy(text)


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


def is_device(resource: str) -> bool:
    """Whether *resource* is an extended resource, such as `nvidia.com/gpu`."""
    return "/" in resource


def in_order(tags: Iterable[Tag]) -> list[Tag]:
    """*tags* in the order in which Kale's panel writes them; those of one kind keep theirs.

    Limits of devices come before other limits, since the panel shows the first limit as the GPU.
    """
    order = [*KINDS]

    def place(tag: Tag) -> tuple[int, bool]:
        return order.index(tag.kind), tag.kind == "limit" and not is_device(tag.key)

    return sorted(tags, key=place)


def corrected(text: str, part: TagPart) -> str:
    """What Kale would take instead of *text*, "" where that cannot be known."""
    better = part.fix(text)
    return better if better and re.fullmatch(part.pattern, better) else ""
