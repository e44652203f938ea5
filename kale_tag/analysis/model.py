"""What a piece of code does with names: records, filled by `scope.py`.

A *key* is a name of the notebook, such as `df`, or that of a local variable, such as `df@3`,
where 3 is the number of the function's scope. `f@()` stands for what calls of `f` give back,
`df@.copy` for what `df.copy()` gives, `@...` for a kind of object.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from kale_tag.analysis.calls import Change
from kale_tag.analysis.source import Parsed
from kale_tag.diagnostics import Label

RESULT = "@()"
METHOD = "@."
VOLATILE = "@volatile"
"""An object that any use may change: see `calls.is_volatile`."""
CONTAINER = "@container"
"""An object whose `copy` is shallow."""


def is_local(key: str) -> bool:
    """Whether *key* is that of a local variable."""
    return "@" in key and key[-1].isdigit()


@dataclass(frozen=True, slots=True)
class Spot:
    """A node of the syntax tree of a cell."""

    cell: Parsed
    node: ast.AST

    def label(self, text: str = "") -> Label:
        """The place in the notebook."""
        return self.cell.place(self.node).with_text(text)


@dataclass(frozen=True, slots=True)
class Read:
    """A name is read that may not be bound; *sure*: it is not bound, and must be.

    *late*: more may be bound by then, as it is in a loop or in a function.
    """

    spot: Spot
    sure: bool
    late: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """An import statement, or one name of it.

    *module* is absolute unless *level* counts dots. *attribute* is the name taken out of it, `*`
    for all. *statement* is the statement at the top of the cell in which it stands, if that does
    nothing but import. *optional*: where it fails, another import takes its place.
    """

    module: str
    level: int
    attribute: str
    spot: Spot
    statement: ast.stmt | None = None
    optional: bool = False

    @property
    def target(self) -> tuple[str, int, str]:
        """What it names, by which two imports are the same."""
        return self.module, self.level, self.attribute


@dataclass(slots=True, eq=False)
class Call:
    """A call of what the notebook may define: of the function *name* or, of *receiver*, a method.

    *arguments* are positions or keywords and the keys of what is given. *known* is what `calls`
    says of it. *handed*: it is given to another function, which may call it with any of these.
    """

    name: str
    known: Change | None
    receiver: frozenset[str] | None
    arguments: tuple[tuple[int | str, frozenset[str]], ...]
    handed: bool = False


@dataclass(slots=True, eq=False)
class Effects:
    """What is done to the objects behind keys.

    *aliases* maps a key to those whose objects it may be (True) or share a part of (False).
    """

    changes: dict[str, Change] = field(default_factory=dict)
    aliases: dict[str, dict[str, bool]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def behind(self, key: str) -> dict[str, bool]:
        """The names, results and kinds that *key* stands for, through local variables."""
        found: dict[str, bool] = {}
        todo = [(key, True)]
        while todo:
            one, direct = todo.pop()
            for root, same in self.aliases.get(one, {}).items():
                if root not in found or (same and direct and not found[root]):
                    found[root] = same and direct
                    if is_local(root):
                        todo.append((root, same and direct))
        return {root: same for root, same in found.items() if not is_local(root)}


@dataclass(slots=True, eq=False)
class Value:
    """Where a value comes from.

    *bodies* are those of functions and classes that it is, or is an instance of; *aliases* the
    names whose values it may hold, *called* those of functions whose result it may be, *mentions*
    all names that stand in the code that makes it. *inert*: calls cannot change it.
    """

    bodies: list["Body"] = field(default_factory=list)
    aliases: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    mentions: set[str] = field(default_factory=set)
    inert: bool = True

    def add(self, other: "Value") -> None:
        """Takes in where *other* comes from."""
        self.bodies += other.bodies
        self.aliases |= other.aliases
        self.called |= other.called
        self.mentions |= other.mentions
        self.inert = self.inert and other.inert


@dataclass(slots=True, eq=False)
class Body:
    """The code of a function, or of all methods of a class: it runs when it is called.

    *reads* and *binds* are names of the notebook, *called* those that it calls by themselves.
    *parameters* are keys, *keywords* maps a parameter's name to its key. *scope* is the number of
    its own, *nested* are the functions in it. *whole*: of a class, of which a call runs some
    methods only.
    """

    name: str
    whole: bool = False
    reads: dict[str, Read] = field(default_factory=dict)
    binds: dict[str, Spot] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    effects: Effects = field(default_factory=Effects)
    parameters: list[str] = field(default_factory=list)
    keywords: dict[str, str] = field(default_factory=dict)
    returns: Value = field(default_factory=Value)
    modules: list[Import] = field(default_factory=list)
    scope: int = 0
    nested: list["Body"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Block:
    """What the cells of a step, or the shared ones, do with the names of the notebook.

    *reads* are names that they need from outside, *uses* all names they mention, with the time of
    the first, *called* those that they call, with the time of the first call. *bound* are names
    that they bind for certain, *maybe* those that they may bind, *deleted* those that they delete
    at last. *since* says when a name was bound for certain, *first* when first of all, *binds*
    where last, *touches* where its object was first changed. *imports* gives what a name was
    imported as, *stars* are `import *`, *modules* all imports at any depth. *special* are methods
    of classes that Python calls by itself, such as `__len__`, *given* is what functions are called
    with, all together. *dynamic*: names may be used in ways that cannot be seen. *pairs* are
    variables that may share an object in the end, *rebound* those that stand for another one.
    """

    reads: dict[str, Read] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)
    called: dict[str, int] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    deleted: dict[str, Spot] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    binds: dict[str, Spot] = field(default_factory=dict)
    touches: dict[str, Spot] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    stars: list[Import] = field(default_factory=list)
    modules: list[Import] = field(default_factory=list)
    functions: dict[str, list[Body]] = field(default_factory=dict)
    methods: dict[str, list[Body]] = field(default_factory=dict)
    special: dict[str, list[Body]] = field(default_factory=dict)
    given: dict[str, Value] = field(default_factory=dict)
    dynamic: bool = False
    trailing: str | None = None
    pairs: dict[str, set[str]] = field(default_factory=dict)
    rebound: set[str] = field(default_factory=set)

    def value(self, name: str) -> Value:
        """Where the value of *name* comes from, to be added to."""
        return self.values.setdefault(name, Value())


def names_in(node: ast.AST) -> Iterator[str]:
    """Every name that is read in *node*, those of its own local variables included."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            yield part.id
