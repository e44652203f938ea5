"""Lints of what steps pass on: secrets, and values that cannot be written to a file."""

import ast
from collections.abc import Collection, Iterator, Mapping

from kale_tag.analysis.library import unpicklable
from kale_tag.code.facts import dotted
from kale_tag.code.source import Parsed, Spot
from kale_tag.code.syntax import operations
from kale_tag.diagnostics import Diagnostic
from kale_tag.lint.context import Compilation, CompiledNotebook
from kale_tag.rules.registry import found

_READS = frozenset(["os.environ.get", "os.getenv", "os.environ.pop", "os.environ.setdefault"])


def unpicklable_output(compilation: Compilation) -> Iterator[Diagnostic]:
    """A variable that goes from one step to another, and cannot be written to a file."""
    for part in compilation.parts:
        generators = set(_generators(part))
        for unit, step in part.steps:
            pickles = "cloudpickle" in {name.partition("[")[0] for name in step.packages}
            for name in step.outs:
                spot = unit.events.binds.get(name)
                value = None if spot is None else _value(spot)
                what = _unpicklable(value, part.flow.modules, generators, with_lambdas=not pickles)
                if what and spot is not None:
                    yield found(
                        "unpicklable-output",
                        f"step `{unit.name}` passes `{name}` to other steps: {what}, which cannot "
                        "be written to a file",
                        spot.label(),
                        help=_REMEDIES.get(what, "create it in the step that uses it"),
                    )


_GENERATOR, _LAMBDA = "a generator", "a lambda"
_REMEDIES = {
    _GENERATOR: "`list(...)` keeps what it gives",
    _LAMBDA: "write it as a function, in a cell tagged `functions`, or add `cloudpickle` to "
    "`packages` of the step",
}


def _unpicklable(
    value: ast.expr | None,
    modules: Mapping[str, str],
    generators: Collection[str],
    *,
    with_lambdas: bool,
) -> str:
    """What *value* is, in words, where it cannot be pickled."""
    match value:
        case ast.GeneratorExp():
            return _GENERATOR
        case ast.Lambda() if with_lambdas:
            return _LAMBDA
        case ast.Call(func=ast.Name(id=name)) if name in generators:
            return _GENERATOR
        case ast.Call(func=func):
            return unpicklable().get(dotted(func, modules), "")
        case _:
            return ""


def _generators(part: CompiledNotebook) -> Iterator[str]:
    """Functions of the notebook that return a generator."""
    for cells in (part.draft.shared, *part.draft.cells.values()):
        for cell in cells:
            for node in cell.tree.body:
                if isinstance(node, ast.FunctionDef) and not node.decorator_list and _yields(node):
                    yield node.name


def _yields(function: ast.FunctionDef) -> bool:
    todo: list[ast.AST] = [*function.body]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo += ast.iter_child_nodes(node)
    return False


def _value(spot: Spot) -> ast.expr | None:
    """What is assigned to the name at *spot*, where that is one name and one value."""
    for node in ast.walk(spot.cell.tree):
        if isinstance(node, ast.Assign) and spot.node in node.targets:
            return node.value
        if isinstance(node, ast.AnnAssign) and node.target is spot.node:
            return node.value
    return None


def leaked_secret(compilation: Compilation) -> Iterator[Diagnostic]:
    """A secret that a step prints, or passes to another step."""
    for part in compilation.parts:
        modules = part.flow.modules
        for unit, step in part.steps:
            secrets = {secret.env for secret in step.settings.secrets}
            if not secrets:
                continue
            cells = [*part.draft.shared, *part.draft.cells[unit.name]]
            holders = _holders(cells, secrets, modules)
            for name in (*step.outs, *(one for one in step.metrics if one not in step.outs)):
                if name in holders:
                    yield found(
                        "leaked-secret",
                        f"step `{unit.name}` gives `{name}` away, which holds a secret",
                        holders[name].label(),
                        help="give the secret to each step that needs it: "
                        "`secrets: {ENV: secret/key}`",
                    )
            for spot in _printed(cells, secrets, holders, modules):
                yield found(
                    "leaked-secret",
                    f"step `{unit.name}` prints a secret",
                    spot.label(),
                    help="take it out; the log of a step is kept",
                )


def _holders(
    cells: list[Parsed], secrets: Collection[str], modules: Mapping[str, str]
) -> dict[str, Spot]:
    """The variables that hold a secret as it is, or a text that it is a part of."""
    held: dict[str, Spot] = {}
    for cell in cells:
        for node in ast.walk(cell.tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                    if _is_secret(value, secrets, held, modules):
                        held[name] = Spot(cell, target)
                case _:
                    pass
    return held


def _printed(
    cells: list[Parsed],
    secrets: Collection[str],
    held: Mapping[str, Spot],
    modules: Mapping[str, str],
) -> Iterator[Spot]:
    for cell in cells:
        last = cell.tree.body[-1] if cell.tree.body else None
        for node in ast.walk(cell.tree):
            shown: list[ast.expr] = []
            if isinstance(node, ast.Call) and dotted(node.func, modules) in {"print", "display"}:
                shown = node.args
            elif node is last and isinstance(node, ast.Expr):
                shown = [node.value]
            for value in shown:
                if _is_secret(value, secrets, held, modules):
                    yield Spot(cell, value)


def _is_secret(  # noqa: PLR0911  one case a kind of node
    node: ast.expr | None,
    secrets: Collection[str],
    held: Collection[str],
    modules: Mapping[str, str],
) -> bool:
    def is_secret(*parts: ast.expr | None) -> bool:
        return any(_is_secret(part, secrets, held, modules) for part in parts)

    match node:
        case ast.Name(id=name):
            return name in held
        case ast.Subscript(value=value, slice=ast.Constant(value=key)):
            return key in secrets if dotted(value, modules) == "os.environ" else is_secret(value)
        case ast.Call(func=func, args=[ast.Constant(value=key), *_]) if key in secrets:
            return dotted(func, modules) in _READS
        case ast.Call(func=ast.Name(id="str"), args=[value]) | ast.FormattedValue(value=value):
            return is_secret(value)
        case ast.Call(func=ast.Attribute(value=value, attr=method), args=parts):
            texts = {"strip", "encode", "decode", "format", "join", "rstrip", "lstrip"}
            return method in texts and is_secret(value, *parts)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return is_secret(*parts)
        case ast.JoinedStr(values=parts) | ast.Dict(values=parts) | ast.BoolOp(values=parts):
            return is_secret(*parts)
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            first, chain = operations(node, ast.Add, ast.Mod)
            return is_secret(first, *(one.right for one in chain))
        case _:
            return False


LINTS = (unpicklable_output, leaked_secret)
