"""Names: Python's scopes, as `symtable` finds them, and what names stand for along branches."""

import ast
import symtable
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kale_tag.analysis.heap import EMPTY, Points

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Scope = Function | Comprehension | ast.ClassDef
_NAMES = {
    ast.Lambda: "lambda",
    ast.ListComp: "listcomp",
    ast.SetComp: "setcomp",
    ast.DictComp: "dictcomp",
    ast.GeneratorExp: "genexpr",
}


@dataclass(frozen=True, slots=True)
class Table:
    """The names of one scope."""

    local: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()  # `global`
    captured: frozenset[str] = frozenset()  # local ones that inner scopes use
    rebound: frozenset[str] = frozenset()  # local ones that inner scopes bind


NOTHING = Table()


def tables_of(text: str, tree: ast.Module) -> dict[ast.AST, Table]:
    """The table of each function, class and comprehension of *tree*, whose code is *text*."""
    found: dict[ast.AST, Table] = {}
    try:
        with warnings.catch_warnings():  # of what the user wrote, which is not ours to remark on
            warnings.simplefilter("ignore")
            top = symtable.symtable(text, "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError):  # a text that `exec` will refuse
        return found
    todo: list[tuple[symtable.SymbolTable, list[ast.AST]]] = [(top, [tree])]
    while todo:
        table, nodes = todo.pop()
        scopes = [scope for node in nodes for scope in _scopes_in(node)]
        children: dict[tuple[str, int], list[symtable.SymbolTable]] = {}
        for child in _children(table):
            children.setdefault((child.get_name(), child.get_lineno()), []).append(child)
        for scope in scopes:
            name = str(_NAMES.get(type(scope)) or getattr(scope, "name", ""))
            same = children.get((name, getattr(scope, "lineno", 0)))
            if same:
                child = same.pop(0)
                found[scope] = _table(child)
                todo.append((child, _inside(scope)))
    return found


def _children(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """The scopes in a scope; those of type parameters are none of their own."""
    for child in table.get_children():
        if str(child.get_type()) in {"function", "class"}:
            yield child
        else:
            yield from _children(child)


def _table(table: symtable.SymbolTable) -> Table:
    free: set[str] = set()
    rebound: set[str] = set()
    for child in table.get_children():
        for symbol in child.get_symbols():
            if symbol.is_free():
                free.add(symbol.get_name())
            if symbol.is_nonlocal():
                rebound.add(symbol.get_name())
    symbols = table.get_symbols()
    local = frozenset(one.get_name() for one in symbols if one.is_local() and not one.is_free())
    declared = frozenset(one.get_name() for one in symbols if one.is_declared_global())
    return Table(local - declared, declared, local & free, local & rebound)


def _inside(scope: Scope) -> list[ast.AST]:
    """The parts of a scope that are evaluated in it, in the order of `symtable`."""
    if isinstance(scope, Comprehension):
        first, *others = scope.generators
        values = [one for one in ast.iter_child_nodes(scope) if one not in scope.generators]
        return [first.target, *first.ifs, *others, *values]
    if isinstance(scope, ast.Lambda):
        return [scope.body]
    return [*scope.body]


def _scopes_in(node: ast.AST) -> Iterator[Scope]:
    """The scopes directly in *node*, in the order of `symtable`."""
    todo: list[tuple[ast.AST, bool]] = [(node, False)]
    while todo:
        one, seen = todo.pop()
        around = [*ast.iter_child_nodes(one)]
        if isinstance(one, Scope):
            if seen:
                yield one
                continue
            inside = _inside(one)
            todo.append((one, True))
            if isinstance(one, Comprehension):
                around = [one.generators[0].iter]
            around = [part for part in around if part not in inside]
        todo += [(part, False) for part in reversed(around)]


Entry = tuple[Points | None, bool]
"""What a name stands for, None if it is not bound; and whether this code binds it for certain."""


@dataclass(slots=True, eq=False)
class Names:
    """One namespace."""

    values: dict[str, Points] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)  # by the code of this step, for certain
    own: set[str] = field(default_factory=set)  # all that the code of this step binds
    # For each branch around, what was there at its start
    logs: list[dict[str, Entry]] = field(default_factory=list)
    # For each `try` around, what is bound in it
    watched: list[dict[str, Points]] = field(default_factory=list)

    def entry(self, name: str) -> Entry:
        """What is known of *name* now."""
        return self.values.get(name), name in self.bound

    def put(self, name: str, points: Points | None, *, bound: bool = True) -> None:
        """*name* stands for *points* from here on."""
        if self.logs:
            self.logs[-1].setdefault(name, self.entry(name))
        for watch in self.watched:
            watch[name] = watch.get(name, EMPTY) | (points or EMPTY)
        self.restore(name, (points, bound))

    def restore(self, name: str, entry: Entry) -> None:
        """Sets a name without a note."""
        points, bound = entry
        if points is None:
            self.values.pop(name, None)
        else:
            self.values[name] = points
        (self.bound.add if bound else self.bound.discard)(name)


End = list[dict[str, Entry]]
"""What names stand for where a branch ends: those that it bound, by namespace."""


class Flow:
    """The namespaces at hand, inner ones first, and whether the code is reached."""

    def __init__(self, spaces: Sequence[Names]) -> None:
        self.spaces = spaces
        self.dead = False

    def begin(self) -> None:
        """A branch begins."""
        for space in self.spaces:
            space.logs.append({})

    def end(self) -> End | None:
        """The branch ends: all is as it was; what it came to, None if its end is not reached."""
        found: End = []
        for space in self.spaces:
            log = space.logs.pop()
            found.append({name: space.entry(name) for name in log})
            for name, entry in log.items():
                space.restore(name, entry)
        dead, self.dead = self.dead, False
        return None if dead else found

    def depth(self) -> int:
        """The number of branches around."""
        return len(self.spaces[0].logs)

    def here(self, depth: int) -> End:
        """What was bound since there were *depth* branches around: the end of a jump."""
        found: End = []
        inner = self.depth() - depth
        for space in self.spaces:
            names = {name for log in space.logs[len(space.logs) - inner :] for name in log}
            found.append({name: space.entry(name) for name in sorted(names)})
        return found

    def join(self, ends: Iterable[End | None]) -> bool:
        """Goes on from any of *ends*, which began here; whether that says more than was known."""
        alive = [end for end in ends if end is not None]
        self.dead = not alive
        changed = False
        for number, space in enumerate(self.spaces):
            for name in sorted({name for end in alive for name in end[number]}):
                before = space.entry(name)
                entries = [end[number].get(name, before) for end in alive]
                known = [points for points, _ in entries if points is not None]
                points = EMPTY.union(*known) if known else None
                if EMPTY in known and all(one.kind == "absent" for one in points or ()):
                    points = EMPTY  # deleted in some branches, a number or text in others
                bound = all(bound for _, bound in entries)
                if (points, bound) != before:
                    changed = True
                    space.put(name, points, bound=bound)
        return changed

    def watch(self) -> None:
        """A `try` begins."""
        for space in self.spaces:
            space.watched.append({})

    def unwatch(self) -> list[dict[str, Points]]:
        """It ends; all that was bound in it."""
        return [space.watched.pop() for space in self.spaces]

    def may_have(self, watched: list[dict[str, Points]]) -> None:
        """Any of what was bound in a `try`, at any of its statements, may be there or not."""
        for space, names in zip(self.spaces, watched, strict=True):
            for name, points in names.items():
                known, bound = space.entry(name)
                space.put(name, (known or EMPTY) | points, bound=bound)
