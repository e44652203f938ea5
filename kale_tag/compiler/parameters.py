"""The cells `pipeline-parameters` and `pipeline-metrics`: names and values, names to report."""

import ast
import math
import operator
from collections.abc import Callable, Sequence

from kale_tag.analysis.model import Spot
from kale_tag.analysis.source import Parsed
from kale_tag.diagnostics import Diagnostic, Label, error
from kale_tag.kale.pipeline import Parameter, ParameterType

EXACT = 2**53
"""Kubeflow Pipelines keeps numbers as doubles, which hold whole numbers exactly up to here."""

LONGEST = 10_000
"""Of a text or list that is written as a product, so that none is too large for memory."""

_TYPES: dict[type, ParameterType] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "list",
    dict: "dict",
}
_ANNOTATIONS: dict[str, ParameterType] = {
    **{type_.__name__: name for type_, name in _TYPES.items()},
    "List": "list",
    "Sequence": "list",
    "Dict": "dict",
    "Mapping": "dict",
}
_BINARY: dict[type[ast.operator], Callable[[object, object], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[int | float], object]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}


class NotLiteralError(Exception):
    """The value of this node is not known before the pipeline runs."""

    def __init__(self, node: ast.AST, reason: str = "") -> None:
        """Keep the place, and what else is wrong with it."""
        super().__init__(reason)
        self.node = node
        self.reason = reason


def read_parameters(cells: Sequence[Parsed]) -> tuple[list[Parameter], list[Diagnostic]]:
    """The parameters that *cells* assign, in the order of their names' first assignment."""
    found: dict[str, Parameter] = {}
    diagnostics: list[Diagnostic] = []
    for cell in cells:
        for node in cell.tree.body:
            try:
                parameter = _parameter(cell, node)
            except NotLiteralError as exc:
                diagnostics.append(_diagnostic(cell, exc))
                continue
            if parameter is not None:
                found[parameter.name] = parameter
    return list(found.values()), diagnostics


def read_metrics(cells: Sequence[Parsed]) -> tuple[dict[str, Spot], list[Diagnostic]]:
    """The variables that *cells* print, each with its place."""
    found: dict[str, Spot] = {}
    diagnostics: list[Diagnostic] = []
    for cell in cells:
        others: list[Label] = []
        for node in cell.tree.body:
            match node:
                case ast.Pass() | ast.Expr(value=ast.Constant()):
                    pass
                case ast.Expr(
                    value=ast.Call(
                        func=ast.Name(id="print"), args=[ast.Name(id=name) as variable], keywords=[]
                    )
                ):
                    found.setdefault(name, Spot(cell, variable))
                case _:
                    others.append(cell.place(node))
        if others:
            diagnostics.append(
                error(
                    "not-a-metric",
                    "a `pipeline-metrics` cell holds lines such as `print(accuracy)`",
                    others[0],
                    also=others[1:],
                    help="compute the value in a step, and print the variable here",
                )
            )
    return found, diagnostics


def _parameter(cell: Parsed, node: ast.stmt) -> Parameter | None:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return None
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            written = None
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value, annotation=note):
            written = _annotated(note)
        case ast.Assign() | ast.AnnAssign():
            raise NotLiteralError(node, "a parameter is one name and its value: `rate = 0.1`")
        case _:
            raise NotLiteralError(
                node, "a `pipeline-parameters` cell holds assignments such as `rate = 0.1`"
            )
    default = literal(value)
    type_ = _TYPES.get(type(default))
    if type_ is None:
        raise NotLiteralError(value, _no_type(default))
    if written == "float" and type_ == "int":
        assert isinstance(default, int)
        default, type_ = float(default), "float"
    if written is not None and written != type_:
        raise NotLiteralError(value, f"`{name}` is declared {written}, and its value is {type_}")
    return Parameter(name, type_, default, cell.place(node))


def _no_type(value: object) -> str:
    if value is None:
        return "a parameter of a pipeline cannot be None: give it a value"
    if isinstance(value, tuple):
        return "a parameter of a pipeline cannot be a tuple: write a list"
    return f"a parameter of a pipeline cannot be of type {type(value).__name__}"


def _annotated(node: ast.expr) -> ParameterType | None:
    match node:
        case ast.Subscript(value=value):
            return _annotated(value)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return _ANNOTATIONS.get(name)
        case ast.Constant(value=str(name)):
            return _ANNOTATIONS.get(name.partition("[")[0])
        case _:
            return None


def literal(node: ast.expr) -> object:
    """The value of an expression of literals; raises `NotLiteralError` for any other."""
    match node:
        case ast.Constant(value=value):
            return _checked(node, value)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            inner = literal(operand)
            if not isinstance(inner, (int, float)):
                raise NotLiteralError(node)
            return _UNARY[type(op)](inner)
        case ast.BinOp():
            return _computed(node)
        case ast.List(elts=parts):
            return [literal(part) for part in parts]
        case ast.Tuple(elts=parts):
            return tuple(literal(part) for part in parts)
        case ast.Dict(keys=keys, values=values):
            return {_key(node, key): literal(one) for key, one in zip(keys, values, strict=True)}
        case _:
            raise NotLiteralError(node)


def _key(node: ast.expr, key: ast.expr | None) -> str:
    value = None if key is None else literal(key)
    if not isinstance(value, str):
        raise NotLiteralError(key or node, "the keys of a parameter must be text")
    return value


def _computed(node: ast.BinOp) -> object:
    left, right = literal(node.left), literal(node.right)
    numbers = all(isinstance(one, (int, float)) for one in (left, right))
    compute = _BINARY.get(type(node.op))
    texts = isinstance(node.op, (ast.Add, ast.Mult)) and all(
        isinstance(one, (str, list, int)) for one in (left, right)
    )
    if compute is None or not (numbers or texts):
        raise NotLiteralError(node)
    if isinstance(node.op, ast.Pow) and isinstance(right, (int, float)) and abs(right) > 1024:
        raise NotLiteralError(node, "the value is too large")
    if isinstance(node.op, ast.Mult) and not numbers and _length(left) * _length(right) > LONGEST:
        raise NotLiteralError(node, "the value is too large")
    try:
        return _checked(node, compute(left, right))
    except (ArithmeticError, TypeError, ValueError) as exc:
        raise NotLiteralError(node, f"the value cannot be computed: {exc}") from None


def _length(value: object) -> int:
    return (
        len(value)
        if isinstance(value, (str, list))
        else abs(value)
        if isinstance(value, int)
        else 0
    )


def _checked(node: ast.expr, value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise NotLiteralError(node, "a parameter of a pipeline must be a finite number")
    if isinstance(value, int) and abs(value) > EXACT:
        raise NotLiteralError(
            node, "Kubeflow Pipelines keeps whole numbers exactly up to 2**53; write it as text"
        )
    if isinstance(value, str) and any("\ud800" <= one <= "\udfff" or one == "\0" for one in value):
        raise NotLiteralError(node, "a parameter cannot hold NUL or half a character")
    return value


def _diagnostic(cell: Parsed, diagnostic: NotLiteralError) -> Diagnostic:
    reason = str(diagnostic)
    message = reason or "the value of a parameter must be a literal, known before the pipeline runs"
    help_ = "" if reason else "compute it in a step, from parameters that are literals"
    return error("not-a-parameter", message, cell.place(diagnostic.node), help=help_)
