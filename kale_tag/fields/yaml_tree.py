"""Trees of values that know their places, read from YAML text or made of the values of JSON.

ruamel.yaml reads YAML and resolves its scalars (YAML 1.2: `on` is text); the tree built here
adds what a good message needs: the place of every key and value, keys given twice, merge keys.
"""

import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from kale_tag.diagnostics import (
    Diagnostic,
    DiagnosticCollector,
    Label,
    Source,
    Span,
    UserError,
    error,
)

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import Node as YamlNode
    from ruamel.yaml.nodes import ScalarNode

DEEPEST = 100
"""Brackets and indented blocks inside each other; a spec needs a tenth of them."""

LIMIT = 1_000_000
"""Characters; a longer file is a mistake (ruamel.yaml reads about 150 kB a second)."""

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")  # an anchor or a tag before the value
_TAG = re.compile(r"(?:&\S*\s+)?(!\S*)")
_CORE = "tag:yaml.org,2002:"
_TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "null": "null"}
_KNOWN = {
    "scalar": {*_TYPES, "str", "merge", "value", "timestamp"},
    "sequence": {"seq"},
    "mapping": {"map"},
}
"""The tags that each kind of value may have."""


Path = tuple[str | int, ...]
"""Keys and positions that lead from a value to one inside it."""

PlaceOf = Callable[[Path], Label]
"""The place of the value at a path."""


@dataclass(frozen=True, slots=True)
class _Placed:
    place: Label | Callable[[], Label]  # looked for when a message needs it, if it is a function

    @property
    def label(self) -> Label:
        """The place of the value."""
        return self.place if isinstance(self.place, Label) else self.place()


@dataclass(frozen=True, slots=True)
class Scalar(_Placed):
    """Text, a number, a boolean or null."""

    value: str | int | float | bool | None
    text: str  # as it was written, without quotes
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Sequence(_Placed):
    """A list."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Mapping(_Placed):
    """Keys and values in the order of the file, merge keys resolved, each key once.

    A key is the text that was written, so `1` and `'1'` are the same key.
    """

    entries: "tuple[tuple[Scalar, Node], ...]"


Node = Scalar | Sequence | Mapping


def json_tree(value: object, place: PlaceOf, path: Path = ()) -> Node:
    """The tree of *value*, a value of JSON that is found at *path*."""
    here = partial(place, path)
    match value:
        case dict():
            entries = []
            for key, inner in value.items():
                below = (*path, str(key))
                name = Scalar(partial(place, below), str(key), str(key), quoted=True)
                entries.append((name, json_tree(inner, place, below)))
            return Mapping(here, tuple(entries))
        case list():
            items = (json_tree(one, place, (*path, at)) for at, one in enumerate(value))
            return Sequence(here, tuple(items))
        case str():
            return Scalar(here, value, value, quoted=True)
        case _:
            scalar = cast("int | float | bool | None", value)
            return Scalar(here, scalar, json.dumps(scalar))


def is_null(node: Node) -> bool:
    """Whether *node* is null."""
    return isinstance(node, Scalar) and node.value is None


def entries_of(node: Node | None) -> tuple[tuple[Scalar, Node], ...]:
    """The entries of a mapping; empty for anything else."""
    return node.entries if isinstance(node, Mapping) else ()


def items_of(node: Node | None) -> tuple[Node, ...]:
    """The items of a list; empty for anything else."""
    return node.items if isinstance(node, Sequence) else ()


def value_of(node: Node | None, key: str) -> Node | None:
    """The value of *key* in a mapping; None if there is none."""
    return next((value for name, value in entries_of(node) if name.text == key), None)


def read_yaml(source: Source) -> Node | None:
    """The tree of the one YAML document in *source*, None when it holds nothing.

    Raises `UserError`: not YAML, more than one document, a key given twice, an alias that contains
    itself, a `!tag`, too long or nested too deeply.
    """
    if len(source.text) > LIMIT:
        raise UserError.of(
            "too-long",
            f"the file has {len(source.text):,} characters; a spec may have {LIMIT:,}",
            Label(source),
            help="is it a spec? `notebooks` takes patterns, one rule serves many cells",
        )
    from ruamel.yaml import YAML  # noqa: PLC0415  slow to import, needed only here
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415
    from ruamel.yaml.scanner import Scanner  # noqa: PLC0415

    class Shallow(Scanner):
        """Stops at deep nesting: the time that ruamel.yaml takes grows with its square."""

        def fetch_more_tokens(self) -> None:
            super().fetch_more_tokens()
            if len(self.flow_context) + len(self.indents) > DEEPEST:
                at = self.tokens[-1].start_mark.index
                raise _too_deep(Label(source, Span(at, at + 1)))

    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = Shallow
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an anchor used twice: YAML allows it
            root = yaml.compose(source.text)
        return None if root is None else _Builder(source, yaml).build(root)
    except YAMLError as exc:
        from kale_tag.fields.yaml_errors import syntax_diagnostic  # noqa: PLC0415  needed here only

        raise UserError(syntax_diagnostic(source, exc)) from None
    except (ValueError, OverflowError):  # ruamel.yaml takes the number of any character
        message = "an escape such as `\\U00110000` names no character"
        raise UserError.of("bad-character", message, Label(source)) from None


def _too_deep(label: Label) -> UserError:
    message = f"the file is nested more than {DEEPEST} levels deep here"
    hint = "look for a bracket that is repeated by mistake"
    return UserError.of("too-deep", message, label, help=hint)


def plain(node: Node) -> object:
    """The bare value of *node*: dict, list, text, number, boolean or None."""
    match node:
        case Scalar(value=value):
            return value
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(entries=entries):
            return {key.text: plain(value) for key, value in entries}


@dataclass(slots=True)
class _Builder(DiagnosticCollector):
    """Builds each node of ruamel.yaml once, so that nested aliases cost no more than their text."""

    source: Source
    yaml: "YAML"
    done: dict[int, Node] = field(default_factory=dict)
    size: dict[int, int] = field(default_factory=dict)
    depth: dict[int, int] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def build(self, root: "YamlNode") -> Node:
        """The tree below *root*; all errors of this kind are raised at once."""
        node = self.node(root)
        if self.errors:
            raise UserError(*self.errors)
        return node

    def node(self, raw: "YamlNode") -> Node:
        key = id(raw)
        if key in self.open:
            raise UserError.of(
                "endless-alias",
                "this value contains itself",
                self.label(raw),
                help="an alias `*name` cannot be inside the value that `&name` marks",
            )
        if key not in self.done:
            self.open.add(key)
            self.done[key] = node = self.fresh(raw)
            self.open.remove(key)
            # The value of an alias counts wherever it is used: ten lines can mean 10^9 values.
            below = raw.value if isinstance(raw.value, list) else ()
            parts = [
                part
                for entry in below
                for part in (entry if isinstance(entry, tuple) else (entry,))
            ]
            self.size[key] = 1 + sum(self.size.get(id(part), 1) for part in parts)
            self.depth[key] = 1 + max((self.depth.get(id(part), 0) for part in parts), default=0)
            if self.depth[key] > DEEPEST:
                raise _too_deep(node.label)
            if self.size[key] > LIMIT:
                raise UserError.of(
                    "too-many-values",
                    "the aliases in this value stand for more than a million values",
                    node.label,
                    help="use fewer aliases inside values that are used by aliases themselves",
                )
        return self.done[key]

    def fresh(self, raw: "YamlNode") -> Node:
        label = self.label(raw)
        tag, kind = str(raw.tag), str(raw.id)  # type: ignore[attr-defined]
        if not tag.startswith(_CORE) or tag.removeprefix(_CORE) not in _KNOWN[kind]:
            self.errors.append(self.unknown_tag(raw))
        if kind == "scalar":
            return self.scalar(cast("ScalarNode", raw), tag, label)
        if kind == "sequence":
            return Sequence(label, tuple(self.node(item) for item in raw.value))
        return Mapping(label, tuple(self.entries(raw)))

    def scalar(self, raw: "ScalarNode", tag: str, label: Label) -> Scalar:
        quoted = raw.style is not None
        value: str | int | float | bool | None = raw.value
        wanted = _TYPES.get(tag.removeprefix(_CORE))
        if not quoted and wanted is not None:
            try:
                value = self.yaml.constructor.construct_object(raw)
            except (ValueError, KeyError):  # `!!int x`, or more digits than Python reads
                text = raw.value if len(raw.value) <= 40 else f"{raw.value[:39]}…"
                message = f"`{text}` cannot be read as {wanted}"
                self.error("bad-value", message, label, help="put a text in quotes")
        return Scalar(label, value, raw.value, quoted)

    def unknown_tag(self, raw: "YamlNode") -> Diagnostic:
        start = raw.start_mark.index
        found = _TAG.match(self.source.text, start)
        text, span = (found[1], Span(*found.span(1))) if found else (str(raw.tag), None)
        return error(
            "unknown-yaml-tag",
            f"`{text}` is read as a tag of YAML, and means nothing in a spec",
            Label(self.source, span or Span(start, start + 1)),
            help="put a text that starts with `!` in quotes",
        )

    def entries(self, raw: "YamlNode") -> Iterator[tuple[Scalar, Node]]:
        own: dict[str, Scalar] = {}
        merged: dict[str, tuple[Scalar, Node]] = {}
        found: list[tuple[Scalar, Node]] = []
        for raw_key, raw_value in raw.value:
            if raw_key.tag == f"{_CORE}merge":
                for key, value in self.merged(raw_value):
                    merged.setdefault(key.text, (key, value))
                continue
            name, value = self.node(raw_key), self.node(raw_value)
            if not isinstance(name, Scalar):
                message = "a key must be text, not a list or a mapping"
                self.error("bad-key", message, name.label)
            elif (first := own.get(name.text)) is not None:
                self.error(
                    "duplicate-key",
                    f"`{name.text}` is given twice; one of them would silently be lost",
                    name.label,
                    also=[first.label.with_text("first given here")],
                    help="merge them, or take one away",
                )
            else:
                own[name.text] = name
                if isinstance(value, Scalar) and value.value is None and not value.text:
                    value = replace(value, place=self.empty(raw_value, name.label))
                found.append((name, value))
        yield from (entry for name, entry in merged.items() if name not in own)
        yield from found

    def merged(self, raw: "YamlNode") -> Iterator[tuple[Scalar, Node]]:
        node = self.node(raw)
        for part in node.items if isinstance(node, Sequence) else (node,):
            if isinstance(part, Mapping):
                yield from part.entries
            else:
                self.error("bad-merge", "`<<` takes a mapping or a list of mappings", part.label)

    def empty(self, raw: "YamlNode", key: Label) -> Label:
        """The place of a value that is not there: its anchor, if it has one, else its key."""
        label = self.label(raw)
        span = label.span
        return label if span and self.source.text.startswith("&", span.start) else key

    def label(self, raw: "YamlNode") -> Label:
        start, end = raw.start_mark.index, raw.end_mark.index
        if found := _PROPERTIES.match(self.source.text, start, end):
            start = found.end()
        # A block ends where the next token starts; the user sees it end with its last word.
        return Label(self.source, Span(start, start + len(self.source.text[start:end].rstrip())))
