"""Names: Python's scoping, and which objects are behind an expression.

Names of the notebook are Python's globals; every step has its own, which it shares by variables
only. `expressions.py`, `statements.py` and `flow.py` add one thing after another to the walker.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kale_tag.analysis import calls
from kale_tag.analysis.calls import Change
from kale_tag.analysis.model import (
    CONTAINER,
    METHOD,
    RESULT,
    VOLATILE,
    Block,
    Body,
    Effects,
    Read,
    Spot,
    Value,
)

if TYPE_CHECKING:
    from kale_tag.analysis.source import Parsed

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(slots=True)
class Frame:
    """One scope: `function`, `class` or `comprehension`, and the names that are local to it."""

    kind: str
    number: int
    names: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)


@dataclass(slots=True)
class State:
    """What is bound where the code stands: for certain, perhaps; *dead*: it never gets there."""

    bound: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    dead: bool = False

    def copy(self) -> "State":
        """The same, to go another way."""
        return State(set(self.bound), set(self.maybe), self.dead)


class Names:
    """What names mean in the code walked over; *modules* says what imported ones stand for."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        """Start with no code."""
        self.modules = modules
        self.block = Block()
        self.cell: Parsed | None = None
        self.frames: list[Frame] = []
        self.bodies: list[Body] = []  # of the functions around; empty where code runs at once
        self.state = State()
        self.depth = 0  # of branches around
        self.guards = 0  # of `try` around that catches a NameError
        self.in_call = 0
        self.time = 0
        self.scopes = 0
        self.body_of: dict[ast.AST, Body] = {}
        self.local_values: dict[str, Value] = {}

    def spot(self, node: ast.AST) -> Spot:
        """The place of a node of the cell that is walked over."""
        assert self.cell is not None
        return Spot(self.cell, node)

    # Names

    def key(self, name: str) -> str:
        """The key of what *name* means here."""
        for position, frame in enumerate(reversed(self.frames)):
            if name in frame.globals:
                return name
            if name in frame.names and (frame.kind != "class" or position == 0):
                return f"{name}@{frame.number}"
        return name

    def load(self, name: str, node: ast.AST) -> None:
        """*name* is read here."""
        if self.key(name) == name:
            self.read(name, Read(self.spot(node), not self.guards))

    def read(self, name: str, read: Read) -> None:
        """A name of the notebook is read, now or in a function."""
        if self.bodies:
            for body in self.bodies:
                known = body.reads.get(name)
                if known is None or (read.sure and not known.sure):
                    body.reads[name] = read
            return
        block, state = self.block, self.state
        block.uses.setdefault(name, self.time)
        if state.dead or name in state.bound:
            return
        sure = read.sure and not self.guards and name not in state.maybe
        known = block.reads.get(name)
        if known is None or (sure and not known.sure):
            block.reads[name] = Read(read.spot, sure, read.late or self.depth > 0)

    def store(self, name: str, node: ast.AST) -> str:
        """*name* is bound here; its key."""
        frame = next((one for one in reversed(self.frames) if one.kind != "comprehension"), None)
        if frame is not None and name not in frame.globals:
            if frame.kind == "class":
                frame.names.add(name)
            key = self.key(name)
            if frame.kind == "function" and name not in frame.names:  # `nonlocal`
                self.change_key(key, Change.SURE)
            return key
        if self.bodies:
            for body in self.bodies:
                body.binds[name] = self.spot(node)
            return name
        self.time += 1
        block, state = self.block, self.state
        block.binds[name] = self.spot(node)
        block.first.setdefault(name, self.time)
        block.deleted.pop(name, None)
        if self.frames:  # in a class; or a walrus in a comprehension that goes over nothing
            state.maybe |= {name} - state.bound
        else:
            state.bound.add(name)
            state.maybe.discard(name)
            if not self.depth:
                block.since.setdefault(name, self.time)
        return name

    def effects(self) -> Iterator[Effects]:
        """Where to put what the code does to objects."""
        if self.bodies:
            for body in self.bodies:
                yield body.effects
        else:
            yield self.block.effects

    def change(self, node: ast.expr, change: Change) -> None:
        """The object behind *node*, or a part of it, is changed."""
        for key in self.roots(node):
            self.change_key(key, change)
            if not self.bodies:
                self.block.touches.setdefault(key, self.spot(node))

    def change_key(self, key: str, change: Change) -> None:
        """The object behind *key* is changed."""
        for effects in self.effects():
            effects.changes[key] = max(change, effects.changes.get(key, Change.NONE))

    def alias(self, key: str, roots: Mapping[str, bool]) -> None:
        """*key* may be, or share a part of, *roots*."""
        for effects in self.effects():
            known = effects.aliases.setdefault(key, {})
            for root, direct in roots.items():
                if root != key:
                    known[root] = direct or known.get(root, False)

    def roots(  # noqa: C901, PLR0911  one case for each kind of node
        self, node: ast.expr | None
    ) -> dict[str, bool]:
        """The keys whose objects *node* may be (True) or share a part of (False)."""
        match node:
            case ast.Name():
                return {self.key(node.id): True}
            case ast.Attribute(value=value) | ast.Subscript(value=value):
                return dict.fromkeys(self.roots(value), False)
            case ast.Starred(value=value) | ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.roots(value)
            case ast.IfExp(body=first, orelse=second):
                return self.roots(first) | self.roots(second)
            case ast.BoolOp(values=parts):
                return self._parts(parts, keep=True)
            case ast.Tuple(elts=parts):
                return self.held(parts)
            case ast.List(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
                return {**self.held(parts), CONTAINER: True}
            case ast.Call():
                return self._given_back(node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp():
                return {**self._parts(one.iter for one in node.generators), CONTAINER: True}
            case ast.GeneratorExp():
                return {**self._parts(one.iter for one in node.generators), VOLATILE: True}
            case _:
                return {}

    def _given_back(self, node: ast.Call) -> dict[str, bool]:
        """The keys whose objects the result of a call may be, or share a part of."""
        func, path = node.func, self.path(node.func)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(func, ast.Attribute) and not path:
            return self._given_by_method(node, func, given)
        found: dict[str, bool] = {}
        if calls.of_function(path) is not Change.NONE or calls.shares(path):
            found = self._parts(given)
        if calls.is_volatile(path):
            found[VOLATILE] = True
        if calls.is_container(path):
            found[CONTAINER] = True
        if path and "." not in path:
            found[f"{path}{RESULT}"] = True
        elif not path:
            found |= self._parts([func])
        return found

    def _given_by_method(
        self, node: ast.Call, func: ast.Attribute, given: Iterable[ast.expr]
    ) -> dict[str, bool]:
        if func.attr in calls.known("plots"):
            axes = [one.value for one in node.keywords if one.arg == "ax"]
            return {**self._parts(axes, keep=True), VOLATILE: True}
        if calls.is_fresh(func.attr) or func.attr == "copy":
            return {f"{key}{METHOD}{func.attr}": False for key in self.roots(func.value)}
        found = self._parts([func.value, *given])
        return {**found, VOLATILE: True} if func.attr in calls.known("axes") else found

    def _parts(self, nodes: Iterable[ast.expr], *, keep: bool = False) -> dict[str, bool]:
        return self._shared(nodes, lambda _: keep)

    def held(self, nodes: Iterable[ast.expr]) -> dict[str, bool]:
        """What a container of *nodes* shares with them; one with an iterator in it is volatile."""
        return self._shared(nodes, lambda key: key == VOLATILE)

    def _shared(self, nodes: Iterable[ast.expr], same: Callable[[str], bool]) -> dict[str, bool]:
        """The keys behind *nodes*: True for an object itself, if *same* says that it stays so."""
        found: dict[str, bool] = {}
        for node in nodes:
            for key, direct in self.roots(node).items():
                found[key] = found.get(key, False) or (direct and same(key))
        return found

    def path(self, node: ast.expr) -> str:
        """The dotted name of a function of a module or of a bare name; "" for a method."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id, node.id) if self.key(node.id) == node.id else ""
        if isinstance(node, ast.Attribute):
            root = node.value
            if isinstance(root, ast.Name) and (
                root.id not in self.modules or self.key(root.id) != root.id
            ):
                return ""
            path = self.path(root)
            return f"{path}.{node.attr}" if path else ""
        return ""

    def frame(self, kind: str) -> Frame:
        """A new scope."""
        self.scopes += 1
        return Frame(kind, self.scopes)


def targets_in(node: ast.AST) -> Iterator[str]:
    """The names that an assignment to *node* binds."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id


def local_names(  # noqa: C901  one case for each kind of node
    node: ast.AST,
) -> tuple[set[str], set[str]]:
    """The names that a part of a function declares global, and those that it binds."""
    declared: set[str] = set()
    bound: set[str] = set()
    todo = [node]
    while todo:
        part = todo.pop()
        match part:
            case ast.Global(names=names):
                declared |= set(names)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                bound |= {one.asname or one.name.partition(".")[0] for one in names}
            case ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                bound.add(name)
            case _:
                pass
        if isinstance(part, SCOPES):
            if not isinstance(part, ast.Lambda):
                bound.add(part.name)
        elif isinstance(part, COMPREHENSIONS):
            walruses = [one for one in ast.walk(part) if isinstance(one, ast.NamedExpr)]
            bound |= {one.target.id for one in walruses}
        else:
            todo += ast.iter_child_nodes(part)
    return declared, bound


def nonlocals(node: ast.AST) -> set[str]:
    """The names that a function declares nonlocal; in functions inside of it they stay its own."""
    todo, found = [node], set()
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Nonlocal):
            found |= set(part.names)
        if not isinstance(part, SCOPES):
            todo += ast.iter_child_nodes(part)
    return found
