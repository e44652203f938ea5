"""What the analysis finds out about code: places, reads and imports."""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum

from kale_tag.analysis.source import Parsed
from kale_tag.diagnostics import Label


class Certainty(IntEnum):
    """How sure it is that code binds a name or mutates an object."""

    NONE = 0
    GUESS = 1  # a library might, for all that is known
    MAY = 2  # in a branch or a callback, or one of several objects
    SURE = 3


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
    """A name is read that may not be bound."""

    spot: Spot
    sure: bool  # it is an error if nothing binds it
    certain: bool = False  # the code there runs for certain
    through: str = ""  # the function in which it is read


@dataclass(frozen=True, slots=True)
class Import:
    """An import statement, or one name of it."""

    module: str
    level: int  # the dots before the module, 0 for an absolute import
    attribute: str  # the name taken out of the module, `*` for all
    spot: Spot
    name: str = ""  # the name that it binds
    statement: ast.stmt | None = None  # at the top of its cell, if that does nothing but import
    optional: bool = False  # where it fails, another import takes its place

    @property
    def target(self) -> tuple[str, int, str]:
        """What it names, by which two imports are the same."""
        return self.module, self.level, self.attribute

    @property
    def loads(self) -> list[str]:
        """The submodules that it loads; what it takes out of a module may be one."""
        path = f"{self.module}.{self.attribute}" if self.attribute else self.module
        found = []
        while "." in path:
            found.append(path)
            path = path.rpartition(".")[0]
        return found


def operations(node: ast.expr, *operators: type[ast.operator]) -> tuple[ast.expr, list[ast.BinOp]]:
    """The first operand of `a + b + c + ...`, of any length, and the operations in their order.

    The chain ends at another operator than *operators*, where any are given.
    """
    chain: list[ast.BinOp] = []
    inner = node
    while isinstance(inner, ast.BinOp) and isinstance(inner.op, operators or ast.operator):
        chain.append(inner)
        inner = inner.left
    return inner, chain[::-1]


def bound_by(one: ast.alias) -> str:
    """The name that an import binds."""
    return one.asname or one.name.partition(".")[0]


def last_name(node: ast.expr) -> str:
    """`f` of `f` and of `a.b.f`; "" for what has no name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def catches(handler: ast.ExceptHandler, names: Collection[str]) -> bool:
    """Whether a handler catches one of these exceptions."""
    if handler.type is None:
        return True
    return any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(handler.type))


def names_in(node: ast.AST) -> Iterator[str]:
    """Every name that is read in *node*, those of its own local variables included."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            yield part.id
