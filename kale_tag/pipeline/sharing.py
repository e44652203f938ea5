"""Objects that two variables share in one step, and no more in the steps after it.

In the notebook `best = model` gives one object two names for good. Each variable travels by itself,
so in the next step there are two objects, and a change of one is none of the other. That is warned
of where it is plain to see: in the code of steps, not in functions; by assignments, and by methods
that are known to change their object (see `calls`).
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kale_tag.diagnostics import Diagnostic, warning
from kale_tag.pipeline import calls
from kale_tag.pipeline.calls import Change
from kale_tag.pipeline.code import Parsed
from kale_tag.pipeline.dataflow import Dataflow
from kale_tag.pipeline.facts import Spot
from kale_tag.pipeline.scope import SCOPES, targets_in
from kale_tag.pipeline.units import Unit

_KEEPERS = calls.words("append add appendleft insert setdefault update put")
"""Methods that keep what they are given in their object."""

_GOES_OVER = calls.words("values items enumerate reversed zip sorted list")
"""What a loop may go over instead of a container itself, with the same objects in it."""


class Part(NamedTuple):
    """The object of a variable, or with *inner* one that it holds."""

    name: str
    inner: bool


@dataclass(slots=True)
class Sharing:
    """What the cells of a step do with objects.

    *pairs* are variables that share an object at the end: a name, and another one that is the same
    object or, with *inner*, holds it. *changed* says where the object of a variable that the step
    takes, or a part of it, is first changed, and *later* which variables are used after that.
    """

    pairs: dict[tuple[str, Part], Spot] = field(default_factory=dict)
    changed: dict[Part, Spot] = field(default_factory=dict)
    later: dict[Part, set[str]] = field(default_factory=dict)


def shared_objects(flow: Dataflow, cells: Mapping[str, Sequence[Parsed]]) -> Iterator[Diagnostic]:
    """A warning for each change that a later step does not see; *cells* are those of the steps."""
    known = {unit.name: _Walker(cells.get(unit.name, ())).found for unit in flow.units}
    for unit in flow.units:
        for pair, spot in known[unit.name].pairs.items():
            for changed, other in _ways(*pair):
                for changer, user in _changes(flow, unit, known, changed, other):
                    yield warning(
                        "shared-object",
                        f"`{changed.name}` and `{other}` share an object in step `{unit.name}` "
                        f"only: the change in step `{changer.name}` does not show in "
                        f"`{other}`, which step `{user.name}` uses",
                        known[changer.name].changed[changed].label(),
                        also=[spot.label("shared here")],
                        help=f"change it in step `{unit.name}`, or use one of the two names",
                    )


def _changes(
    flow: Dataflow, unit: Unit, known: Mapping[str, Sharing], changed: Part, other: str
) -> Iterator[tuple[Unit, Unit]]:
    """The steps that change what *unit* lets share an object, and who uses *other* after that."""
    number = flow.units.index(unit)
    givers = {number, unit.ins.get(changed.name, number)}
    givers_of_other = {number, unit.ins.get(other, number)}
    for changer in flow.units:
        own = known[changer.name]
        if (
            changer is not unit
            and changed in own.changed
            and changer.ins.get(changed.name) in givers
        ):
            user = _user(flow, changer, other, givers_of_other, own.later[changed])
            if user is not None:
                yield changer, user


def _ways(name: str, part: Part) -> Iterator[tuple[Part, str]]:
    """What may be changed of two variables that share an object, and the other variable."""
    yield Part(name, inner=False), part.name
    yield Part(name, inner=True), part.name
    yield Part(part.name, inner=True), name
    if not part.inner:
        yield Part(part.name, inner=False), name


def _user(
    flow: Dataflow, changer: Unit, other: str, givers: set[int], later: set[str]
) -> Unit | None:
    """The first step that uses *other* after *changer* has changed what shared its object."""
    number = flow.units.index(changer)
    after = [one for one in flow.units if one.before >> number & 1]
    using = ([changer] if other in later else []) + after
    return next((one for one in using if one.ins.get(other) in givers), None)


class _Walker:
    """Goes over the cells of one step, in their order."""

    def __init__(self, cells: Iterable[Parsed]) -> None:
        """Go over *cells*."""
        self.found = Sharing()
        self.parts: dict[str, set[Part]] = {}  # what a name of this step stands for
        self.bound: set[str] = set()
        for cell in cells:
            self.cell = cell
            for statement in cell.tree.body:
                self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """What one statement uses, changes and binds, in this order."""
        own = [*_own_nodes(node)]
        names = [one for one in own if isinstance(one, ast.Name)]
        for known in self.found.later.values():
            known.update(one.id for one in names if isinstance(one.ctx, ast.Load))
        for one in own:
            self.change(one)
        self.bindings(node, own)
        branches = (*getattr(node, "handlers", ()), *getattr(node, "cases", ()))
        for owner in (node, *branches):
            for inner in ast.iter_child_nodes(owner):
                if isinstance(inner, ast.stmt) and not isinstance(node, SCOPES):
                    self.statement(inner)

    def bindings(self, node: ast.stmt, own: Iterable[ast.AST]) -> None:
        """What the names that a statement binds stand for, and the objects that it lets share."""
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, value)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=holder, attr=attr), args=args)):
                if attr in _KEEPERS and (root := _root(holder)) is not None:
                    for one in args:
                        self.keep(root[0], one, node)
            case ast.For(target=target, iter=over) | ast.AsyncFor(target=target, iter=over):
                parts = {Part(one.name, inner=True) for one in self.gone_over(over)}
                self.bind(targets_in(target))
                self.parts |= dict.fromkeys(targets_in(target), parts)
            case _:
                self.bind(name for one in own for name in _stored(one))

    # What is changed

    def change(self, node: ast.AST) -> None:
        match node:
            case (
                ast.Attribute(ctx=ast.Store() | ast.Del())
                | ast.Subscript(ctx=ast.Store() | ast.Del())
            ):
                self.changes(node.value, node)
            case ast.Call(func=ast.Attribute(value=owner, attr=attr)):
                inplace = next((one.value for one in node.keywords if one.arg == "inplace"), None)
                told = bool(inplace.value) if isinstance(inplace, ast.Constant) else None
                if calls.of_method(attr, inplace=told) is Change.LIKELY:
                    self.changes(owner, node)
            case _:
                pass

    def changes(self, owner: ast.expr, node: ast.AST) -> None:
        """The object of the expression *owner* is changed."""
        for part in self.stands_for(owner):
            if part.name not in self.bound:
                self.found.changed.setdefault(part, Spot(self.cell, node))
                self.found.later.setdefault(part, set())

    def stands_for(self, node: ast.expr) -> set[Part]:
        """The variables from outside whose objects, or parts of them, *node* may be."""
        root = _root(node)
        if root is None:
            return set()
        name, inner = root
        known = self.parts.get(name, {Part(name, inner=False)})
        return {Part(one.name, inner=one.inner or inner) for one in known}

    def gone_over(self, node: ast.expr) -> set[Part]:
        """What a loop over *node* takes its objects from."""
        if isinstance(node, ast.Call):
            func = node.func
            if isinstance(func, ast.Attribute) and func.attr in _GOES_OVER:
                return self.stands_for(func.value)
            if isinstance(func, ast.Name) and func.id in _GOES_OVER:
                return {part for one in node.args for part in self.gone_over(one)}
            return set()
        return self.stands_for(node)

    # What is bound

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                for one, other in zip(target.elts, value.elts, strict=True):
                    self.assign(one, other)
            else:
                self.bind(targets_in(target))
        elif isinstance(target, ast.Name):
            parts = self.stands_for(value)
            self.bind([target.id])
            self.parts[target.id] = parts
            self.keep(target.id, value, target, itself=True)
        elif (root := _root(target)) is not None:
            self.keep(root[0], value, target)

    def keep(self, holder: str, value: ast.expr, node: ast.AST, *, itself: bool = False) -> None:
        """The object of *holder* holds those of the names in *value* now, or is one *itself*."""
        for name, inner in _held(value, inner=not itself):
            if name != holder:
                self.found.pairs[name, Part(holder, inner)] = Spot(self.cell, node)

    def bind(self, names: Iterable[str]) -> None:
        """*names* stand for other objects from here on."""
        for name in names:
            self.bound.add(name)
            self.parts.pop(name, None)
            gone = [pair for pair in self.found.pairs if name in (pair[0], pair[1].name)]
            for pair in gone:
                del self.found.pairs[pair]


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a statement, without those of statements, functions and classes in it."""
    yield node
    for one in ast.iter_child_nodes(node):
        if not isinstance(one, (ast.stmt, ast.ExceptHandler, ast.match_case, *SCOPES)):
            yield from _own_nodes(one)


def _stored(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield asname or name.partition(".")[0]
        case _:
            pass


def _root(node: ast.expr) -> tuple[str, bool] | None:
    """The variable of `x`, `x[0]` or `x.y[0]`, and whether a part of it is meant."""
    inner = False
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node, inner = node.value, True
    return (node.id, inner) if isinstance(node, ast.Name) else None


def _held(node: ast.expr, *, inner: bool) -> Iterator[tuple[str, bool]]:
    """The names whose objects the value of *node* is, or with True holds."""
    match node:
        case ast.Name(id=name):
            yield name, inner
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                yield from _held(part, inner=True)
        case ast.Dict(values=parts):
            for part in parts:
                yield from _held(part, inner=True)
        case ast.IfExp(body=first, orelse=second):
            yield from _held(first, inner=inner)
            yield from _held(second, inner=inner)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from _held(part, inner=inner)
        case _:
            pass
