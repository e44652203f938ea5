"""Which variables of a step may share an object in its end: these have to travel together.

In the notebook `best = model` gives one object two names for good, `Adam(model.parameters())`
changes the model, and `both = [train, test]` holds the two. So whatever a later step changes under
one name must show under the others. What may share is read from the code here; what does share, the
step itself finds out (`step_runtime/together.py`).
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kale_tag.analysis import calls
from kale_tag.analysis.calls import Change
from kale_tag.analysis.model import Block, Read
from kale_tag.analysis.paths import root_of
from kale_tag.analysis.scope import SCOPES, targets_in
from kale_tag.analysis.source import Parsed

if TYPE_CHECKING:
    from kale_tag.analysis.dataflow import Dataflow

Pairs = dict[str, set[str]]
"""For each variable, those that may share an object with it."""

_KEEPERS = calls.words("append add appendleft insert setdefault update put")
"""Methods that keep what they are given in their object."""

_HOLDERS = calls.words(
    "partial iter enumerate zip reversed map filter chain cycle list tuple set dict sorted copy"
)
"""Functions whose result holds what they are given; so do classes, whose names are in capitals."""

_COPIERS = calls.words("DataFrame Series Index Path Counter Decimal Fraction")
"""Classes that copy what they are given."""

_TOGETHER = calls.words("subplots")
"""Functions that return several things that belong together."""


def shared_names(
    cells: Iterable[Parsed], returns: Mapping[str, Sequence[tuple[int, int]]]
) -> tuple[Pairs, set[str]]:
    """Which variables may share an object after *cells*, and which stand for others than before.

    *returns* is that of `returned_pairs`.
    """
    walker = _Walker(returns)
    for cell in cells:
        for statement in cell.tree.body:
            walker.statement(statement)
    return walker.pairs, walker.bound


def returned_pairs(cells: Iterable[Parsed]) -> dict[str, list[tuple[int, int]]]:
    """For each function that returns several variables, the places of those that may share."""
    found: dict[str, list[tuple[int, int]]] = {}
    for cell in cells:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.FunctionDef):
                found[node.name] = [*_returned(node)]
    return {name: places for name, places in found.items() if places}


def groups(pairs: Pairs, names: Iterable[str]) -> list[list[str]]:
    """Those of *names* that hang together by *pairs*, in groups of two and more, sorted."""
    left, found = set(names), []
    while left:
        group, todo = set(), [left.pop()]
        while todo:
            name = todo.pop()
            group.add(name)
            todo += pairs.get(name, set()) & left
            left -= pairs.get(name, set())
        if len(group) > 1:
            found.append(sorted(group))
    return sorted(found)


def link(pairs: Pairs, one: str, other: str) -> None:
    """Note that *one* and *other* may share an object."""
    if one != other:
        pairs.setdefault(one, set()).add(other)
        pairs.setdefault(other, set()).add(one)


def _returned(function: ast.FunctionDef) -> Iterator[tuple[int, int]]:
    walker = _Walker({}, inside=True)
    for statement in function.body:
        walker.statement(statement)
    last = function.body[-1]
    value = last.value if isinstance(last, ast.Return) else None
    parts = value.elts if isinstance(value, ast.Tuple) else []
    own = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    own |= {name for statement in function.body for name in targets_in(statement)}
    held = [{*_held(part)} for part in parts]
    near = [names.union(*(walker.pairs.get(name, ()) for name in names)) & own for names in held]
    for place, names in enumerate(near):
        yield from ((place, after) for after in range(place + 1, len(near)) if names & near[after])


class _Walker:
    """Goes over statements in their order."""

    def __init__(
        self, returns: Mapping[str, Sequence[tuple[int, int]]], *, inside: bool = False
    ) -> None:
        """Start with no variables; *inside* of a function others close over its variables."""
        self.returns = returns
        self.inside = inside
        self.pairs: Pairs = {}
        self.bound: set[str] = set()

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912  one case a statement
        """What one statement binds, and what it lets share."""
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, value)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=holder, attr=attr)) as call):
                if attr in _KEEPERS and (root := root_of(holder)):
                    for one in _given(call):
                        self.keep(root, one)
            case ast.For(target=target, iter=over) | ast.AsyncFor(target=target, iter=over):
                self.bind(targets_in(target))
                for name in targets_in(target):
                    self.keep(name, over)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for item in items:
                    if item.optional_vars is not None:
                        self.assign(item.optional_vars, item.context_expr)
            case ast.FunctionDef(name=name) if self.inside:
                for named in _names(node):
                    link(self.pairs, name, named)
            case ast.Delete(targets=targets):
                self.bind(one.id for one in targets if isinstance(one, ast.Name))
            case _:
                pass
        if not isinstance(node, SCOPES):
            branches = (*getattr(node, "handlers", ()), *getattr(node, "cases", ()))
            for owner in (node, *branches):
                for inner in ast.iter_child_nodes(owner):
                    if isinstance(inner, ast.stmt):
                        self.statement(inner)

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        """*target* gets *value*."""
        if isinstance(target, ast.Name):
            held = [*_held(value)]
            if target.id not in held:
                self.bind([target.id])
            self.keep(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            self.unpack(target.elts, value)
        elif root := root_of(target):
            self.keep(root, value)

    def unpack(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        """Several *targets* get the parts of *value*."""
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(targets):
            for target, part in zip(targets, value.elts, strict=True):
                self.assign(target, part)
            return
        names = [one.id if isinstance(one, ast.Name) else "" for one in targets]
        self.bind(name for target in targets for name in targets_in(target))
        called = _called(value)
        if called in _TOGETHER:
            for name in names[1:]:
                link(self.pairs, names[0], name)
        for one, other in self.returns.get(called, ()):
            if other < len(names) and names[one] and names[other]:
                link(self.pairs, names[one], names[other])

    def keep(self, holder: str, value: ast.expr) -> None:
        """The object of *holder* is now one of those in *value*, or holds them."""
        for name in _held(value):
            for other in {name, *self.pairs.get(name, ())}:
                link(self.pairs, holder, other)

    def bind(self, names: Iterable[str]) -> None:
        """*names* stand for other objects from here on."""
        for name in names:
            self.bound.add(name)
            for other in self.pairs.pop(name, ()):
                self.pairs[other].discard(name)


def _names(node: ast.AST) -> set[str]:
    """All names in *node*, read or bound."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _called(node: ast.expr) -> str:
    """The name of the function that is called, without its module."""
    func = node.func if isinstance(node, ast.Call) else None
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _given(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args
    yield from (keyword.value for keyword in call.keywords)


def _held(node: ast.expr) -> Iterator[str]:  # noqa: C901, PLR0912  one case for each kind of node
    """The variables whose objects the value of *node* is, holds, or is a part of."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute():
            yield from filter(None, [root_of(node)])
        case ast.Subscript(value=value, slice=ast.Constant(value=int())):
            yield from filter(None, [root_of(value)])
        case ast.Starred(value=value) | ast.NamedExpr(value=value) | ast.Await(value=value):
            yield from _held(value)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                yield from _held(part)
        case ast.Dict(values=parts) | ast.BoolOp(values=parts):
            for part in parts:
                yield from _held(part)
        case ast.IfExp(body=first, orelse=second):
            yield from _held(first)
            yield from _held(second)
        case ast.Lambda(body=body):  # which shares what it closes over, in a function
            yield from _names(body)
        case ast.Call(func=func):
            name = _called(node)
            if name in _HOLDERS or (name[:1].isupper() and name not in _COPIERS):
                for part in _given(node):
                    yield from _held(part)
            elif name in {"parameters", "values", "items"} and isinstance(func, ast.Attribute):
                yield from filter(None, [root_of(func.value)])
        case _:
            pass


def alter_together(flow: "Dataflow", number: int) -> None:
    """Let the unit that changes an object change all the variables that share it where it starts.

    The step that lets them share it, and each that changes it, gives all of them.
    """
    unit = flow.units[number]
    todo, done = sorted(unit.altered & unit.ins.keys() & flow.sharers.keys()), set()
    producers, links = {number}, []
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        for earlier, other in _shared_with(flow, number, name):
            todo.append(other)
            producers.add(earlier)
            links.append((name, other))
    # Whichever of them is the last to give one of these gives all, or they would be apart.
    for who in sorted(producers) if links else ():
        for name in sorted(done):
            _may_change(flow, who, name)
        for name, other in links:
            link(flow.units[who].pairs, name, other)
    for name in sorted(done & unit.ins.keys()):
        spot = flow.where(number, name)
        if spot is not None:
            del unit.ins[name], unit.sought[name]
            flow.need(number, name, Read(spot, False), "")


def _shared_with(flow: "Dataflow", number: int, name: str) -> Iterator[tuple[int, str]]:
    """The variables that share an object with *name* where the unit starts, and since when."""
    before = flow.units[number].before
    for earlier in flow.sharers.get(name, ()):
        if before >> earlier & 1 and _lasts(flow, earlier, number, name):
            for other in sorted(flow.units[earlier].block.pairs.get(name, ())):
                if other in flow.wanted and _lasts(flow, earlier, number, other):
                    yield earlier, other


def wanted_names(blocks: Iterable[Block]) -> set[str]:
    """Every name that *blocks* take from others, and their functions."""
    found: set[str] = set()
    for block in blocks:
        found |= block.reads.keys()
        for bodies in (*block.functions.values(), *block.methods.values()):
            for body in bodies:
                found |= body.reads.keys()
    return found


def note_sharer(flow: "Dataflow", number: int) -> None:
    """The unit lets variables share objects, of which two at least are used elsewhere."""
    unit = flow.units[number]
    for name in unit.block.rebound:
        flow.rebinders[name] = flow.rebinders.get(name, 0) | 1 << number
    for name, others in unit.block.pairs.items():
        if name in flow.wanted and others & flow.wanted:
            flow.sharers.setdefault(name, []).append(number)
            for other in others & flow.wanted:
                link(unit.pairs, name, other)


def _lasts(flow: "Dataflow", earlier: int, number: int, name: str) -> bool:
    """Whether no unit between the two binds *name* again."""
    return (
        not flow.rebinders.get(name, 0)
        & flow.units[number].before
        & ~(flow.units[earlier].before | 1 << earlier)
    )


def _may_change(flow: "Dataflow", number: int, name: str) -> None:
    unit = flow.units[number]
    if not unit.changes.get(name):
        unit.changes[name] = Change.MAYBE
        flow.note_change(number, unit, name, Change.MAYBE)
    if flow.where(number, name) is None:
        reads = unit.block.reads
        read = reads.get(name) or next(iter(reads.values()), None)
        if read is not None:
            unit.block.touches[name] = read.spot
