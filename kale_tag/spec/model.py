"""The model of a spec: selectors, rules, notebooks and settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from kale_tag.diagnostics import Diagnostic, Label, Source
from kale_tag.kale import tags
from kale_tag.kale.checks import DONE
from kale_tag.kale.settings import CompileOptions
from kale_tag.spec import template


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression and its place."""

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
    """How many cells a rule must select in each notebook."""

    least: int
    most: int | None  # None: no limit
    label: Label | None = None


ABOVE = "step-above"
"""The `prev` that means the step that starts above; no step can have this name."""

KEEP = "prev-kept"
"""The `prev` that means those that the step has, `prev: keep`; no step can have this name."""


@dataclass(frozen=True, slots=True)
class Given:
    """A tag or a setting that a rule gives its cells."""

    kind: str  # a kind of tag, `untag` or `add`
    key: str  # in a mapping such as `limits`; the path of a `notebook`, which may have holes
    value: str  # may have holes, see `template`
    label: Label
    removes: bool = False  # null: the step loses the setting; it has no value
    is_literal: bool = field(init=False, compare=False)  # without holes

    def __post_init__(self) -> None:
        """Look for holes once, not at every cell."""
        literal = template.is_literal(self.value)
        if self.kind == "notebook":
            literal = literal and template.is_literal(self.key)
        object.__setattr__(self, "is_literal", literal)

    def tag(self) -> tags.Tag:
        """The Kale tag that this gives."""
        return tags.tag_of(self.kind, self.value if self.kind == "prev" else self.key, self.value)


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: hashing all fields is slow
class Rule:
    """One entry of `cells`."""

    label: Label
    selector: Selector
    expect: Expect
    role: Given | None  # None: the rule keeps it, and all that it does not set
    prev: tuple[Given, ...] | None  # None: not given; (): the step depends on none
    settings: tuple[Given, ...]
    add: tuple[Given, ...]  # tags of other tools
    remove: tuple[Pattern, ...]  # of such tags
    layer: int = 0  # of the files of an `extends` chain, from the base up; a higher one wins

    @property
    def given(self) -> tuple[Given, ...]:
        """Everything that the rule gives its cells."""
        role = () if self.role is None else (self.role,)
        return (*role, *(self.prev or ()), *self.settings, *self.add)

    @property
    def sets_up_steps(self) -> bool:
        """Whether it sets how the steps of its cells run, whatever the role of the cells."""
        return self.prev is not None or bool(self.settings)

    @property
    def place(self) -> str:
        """`spec.yaml:12`, for comments and explanations."""
        span = self.label.span
        line, _ = self.label.source.position(span.start if span else 0)
        return f"{self.label.source.name}:{line}"


@dataclass(frozen=True, slots=True)
class SettingValue:
    """The value of one key of `pipeline`."""

    value: object  # None removes the key
    label: Label


@dataclass(frozen=True, slots=True)
class NotebookEntry:
    """One entry of `notebooks`."""

    pattern: str  # a path or a pattern, relative to *folder*
    folder: str
    label: Label
    exclude: bool = False
    pipeline: Mapping[str, SettingValue] | None = None
    vars: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec in the right form, with the files that it extends merged in."""

    source: Source
    bases: tuple[str, ...] = ()  # the specs that it extends, itself or through others
    notebooks: tuple[NotebookEntry, ...] = ()
    variables: Mapping[str, str] | None = None
    pipeline: Mapping[str, SettingValue] | None = None  # None: the spec has no settings
    rules: tuple[Rule, ...] = ()  # in the order of the files, bases first
    rename: Mapping[str, Given] | None = None
    unmatched: str = "keep"
    keeps_unmatched: bool = False  # it says so itself
    legacy: str = "error"
    compile: CompileOptions | None = None
    kale: bool = False  # Kale itself compiles the notebooks
    ignore: Mapping[str, str] | None = None  # the reason, for each silenced rule of `check`

    def judged(self, one: Diagnostic) -> Diagnostic:
        """A note on what Kale refuses, as a warning if Kale itself compiles the notebooks."""
        if not self.kale or one.severity != "note":
            return one
        return replace(one, severity="warning", help=one.help.removesuffix(f"; {DONE}"))


@dataclass(frozen=True, slots=True)
class Target:
    """What a spec asks of one notebook."""

    variables: Mapping[str, str]  # the values of `${...}`
    pipeline: Mapping[str, SettingValue] | None = None


class Change(NamedTuple):
    """The metadata of one cell or of the notebook, before and after."""

    holder: int | None  # the cell; None is the notebook
    before: object  # `MISSING` if there was none
    after: object  # `MISSING` if there will be none
    rules: tuple[Rule, ...] = ()  # those that ask for the change
