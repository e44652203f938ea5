"""Python's scopes, as `symtable` finds them."""

import ast
import symtable
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
ScopeNode = Function | Comprehension | ast.ClassDef
_NAMES = {
    ast.Lambda: "lambda",
    ast.ListComp: "listcomp",
    ast.SetComp: "setcomp",
    ast.DictComp: "dictcomp",
    ast.GeneratorExp: "genexpr",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The names of one scope."""

    local: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()  # `global`
    captured: frozenset[str] = frozenset()  # local ones that inner scopes use
    rebound: frozenset[str] = frozenset()  # local ones that inner scopes bind


NOTHING = Scope()


def scopes_of(text: str, tree: ast.Module) -> dict[ast.AST, Scope]:
    """The scope of each function, class and comprehension of *tree*, whose code is *text*."""
    found: dict[ast.AST, Scope] = {}
    try:
        with warnings.catch_warnings():  # of what the user wrote, which is not ours to remark on
            warnings.simplefilter("ignore")
            top = symtable.symtable(text, "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError):  # a text that `exec` will refuse
        return found
    todo: list[tuple[symtable.SymbolTable, list[ast.AST]]] = [(top, [tree])]
    while todo:
        table, nodes = todo.pop()
        inner = [one for node in nodes for one in _scopes_in(node)]
        children: dict[tuple[str, int], list[symtable.SymbolTable]] = {}
        for child in _children(table):
            children.setdefault((child.get_name(), child.get_lineno()), []).append(child)
        for node in inner:
            name = str(_NAMES.get(type(node)) or getattr(node, "name", ""))
            same = children.get((name, getattr(node, "lineno", 0)))
            if same:
                child = same.pop(0)
                found[node] = _scope(child)
                todo.append((child, _inside(node)))
    return found


def _children(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """The scopes in a scope; those of type parameters are none of their own."""
    for child in table.get_children():
        if str(child.get_type()) in {"function", "class"}:
            yield child
        else:
            yield from _children(child)


def _scope(table: symtable.SymbolTable) -> Scope:
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
    return Scope(local - declared, declared, local & free, local & rebound)


def _inside(scope: ScopeNode) -> list[ast.AST]:
    """The parts of a scope that are evaluated in it, in the order of `symtable`."""
    if isinstance(scope, Comprehension):
        first, *others = scope.generators
        values = [one for one in ast.iter_child_nodes(scope) if one not in scope.generators]
        return [first.target, *first.ifs, *others, *values]
    if isinstance(scope, ast.Lambda):
        return [scope.body]
    return [*scope.body]


def _scopes_in(node: ast.AST) -> Iterator[ScopeNode]:
    """The scopes directly in *node*, in the order of `symtable`."""
    todo: list[tuple[ast.AST, bool]] = [(node, False)]
    while todo:
        one, seen = todo.pop()
        around = [*ast.iter_child_nodes(one)]
        if isinstance(one, ScopeNode):
            if seen:
                yield one
                continue
            inside = _inside(one)
            todo.append((one, True))
            if isinstance(one, Comprehension):
                around = [one.generators[0].iter]
            around = [part for part in around if part not in inside]
        todo += [(part, False) for part in reversed(around)]
