"""What a spec is: selectors, what they give their cells, rules, and the rest of the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kale_tag.diagnostics import Label, Source
from kale_tag.kale import tags
from kale_tag.kale.settings import CompileOptions
from kale_tag.spec import template


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression and where it stands."""

    regex: re.Pattern[str]
    label: Label


@dataclass(frozen=True, slots=True)
class Index:
    """A range of cell numbers, both ends included; negative numbers count from the end."""

    first: int
    last: int
    label: Label


@dataclass(frozen=True, slots=True)
class Selector:
    """Which cells: every condition that is given must hold; None or () is not given."""

    label: Label
    cell_type: str = "code"
    index: tuple[Index, ...] = ()
    ids: tuple[str, ...] = ()
    source: tuple[Pattern, ...] = ()
    heading: Pattern | None = None
    tagged: Pattern | None = None
    negated: "Selector | None" = None

    @property
    def looks_at_tags(self) -> bool:
        """Whether its answer can change when tags change."""
        inner = self.negated is not None and self.negated.looks_at_tags
        return self.tagged is not None or inner

    @property
    def catching(self) -> tuple[str, tuple[Pattern, ...]]:
        r"""What `\1` refers to: of `source`, `heading` and `tagged` the first that has groups."""
        heading = (self.heading,) if self.heading else ()
        tagged = (self.tagged,) if self.tagged else ()
        kinds = {"source": self.source, "heading": heading, "tagged": tagged}
        return next(
            ((kind, found) for kind, found in kinds.items() if found and found[0].regex.groups),
            ("", ()),
        )


@dataclass(frozen=True, slots=True)
class Expect:
    """How many cells a rule must select in each notebook; *most* None is no limit."""

    least: int
    most: int | None
    label: Label | None = None


ABOVE = "step-above"
"""The `prev` that stands for whichever step starts above; no step can have such a name."""


@dataclass(frozen=True, slots=True)
class Given:
    """One thing that a rule gives its cells.

    *kind* is a kind of tag, `untag`, or `add`; *key* is the key inside a mapping such as `limits`.
    *value* may have holes (see `template`). For `notebook` the key is the path, which may have too.
    """

    kind: str
    key: str
    value: str
    label: Label
    is_literal: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Look for holes once, not at every cell."""
        literal = template.is_literal(self.value)
        if self.kind == "notebook":
            literal = literal and template.is_literal(self.key)
        object.__setattr__(self, "is_literal", literal)

    def tag(self) -> tags.Tag:
        """The Kale tag that this gives."""
        return tags.tag_of(self.kind, self.value if self.kind == "prev" else self.key, self.value)


@dataclass(frozen=True, slots=True, eq=False)  # a rule is itself, not its likeness: quick to hash
class Rule:
    """One entry of `cells`. *role* is None for a rule that only adds or removes foreign tags.

    *layer* counts the files of an `extends` chain from the base up: a higher one wins.
    *prev* is None where the rule does not speak of it; `prev: []` says that there is none.
    """

    label: Label
    selector: Selector
    expect: Expect
    role: Given | None
    prev: tuple[Given, ...] | None
    settings: tuple[Given, ...]
    add: tuple[Given, ...]
    remove: tuple[Pattern, ...]
    layer: int = 0

    @property
    def place(self) -> str:
        """`spec.yaml:12`, for comments and explanations."""
        span = self.label.span
        line, _ = self.label.source.position(span.start if span else 0)
        return f"{self.label.source.name}:{line}"


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of one key of `pipeline`, and where it stands; None removes the key."""

    value: object
    label: Label


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `notebooks`: a path or a pattern, relative to *folder*."""

    pattern: str
    folder: str
    label: Label
    exclude: bool = False
    pipeline: Mapping[str, Setting] | None = None
    vars: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec whose form is right, with the files that it extends merged in.

    *pipeline* is None where the spec does not speak of settings. *rules* stand in the order of the
    files, bases first; `Rule.layer` says from which file of the chain each is. *ignore* gives the
    reason for each lint that is silenced.
    """

    source: Source
    notebooks: tuple[Entry, ...] = ()
    variables: Mapping[str, str] | None = None
    pipeline: Mapping[str, Setting] | None = None
    rules: tuple[Rule, ...] = ()
    rename: Mapping[str, Given] | None = None
    unmatched: str = "keep"
    legacy: str = "error"
    compile: CompileOptions | None = None
    ignore: Mapping[str, str] | None = None
