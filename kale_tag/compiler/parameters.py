"""The parameters of a pipeline: as cells define them, and with the values of one run.

Also the metrics that a `pipeline-metrics` cell names.
"""

import ast
import json
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from kale_tag.code.source import Parsed, Spot
from kale_tag.code.syntax import operations
from kale_tag.compiler.limits import KEY_LENGTH, check_text
from kale_tag.diagnostics import (
    Diagnostic,
    DiagnosticCollector,
    Label,
    error,
    suggest,
)
from kale_tag.kale.pipeline import Parameter, ParameterType

EXACT = 2**53
"""Kubeflow Pipelines keeps numbers as doubles, which hold whole numbers exactly up to here."""

LONGEST = 10_000
"""Of a text or list that is written as a product, so that none is too large for memory."""

KINDS: Mapping[ParameterType, str] = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "list": "a list, written as JSON: '[1, 2]'",
    "dict": "a mapping, written as JSON: '{\"key\": 1}'",
}
"""The types, as messages name them."""

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
    type_ = (written or "str") if default is None else _TYPES.get(type(default))
    if type_ is None:
        raise NotLiteralError(value, _no_type(default))
    if written == "float" and type_ == "int":
        assert isinstance(default, int)
        default, type_ = float(default), "float"
    if written is not None and written != type_:
        raise NotLiteralError(value, f"`{name}` is declared {written}, and its value is {type_}")
    return Parameter(name, type_, default, cell.place(node))


def _no_type(value: object) -> str:
    if isinstance(value, tuple):
        return "a parameter of a pipeline cannot be a tuple: write a list"
    return f"a parameter of a pipeline cannot be of type {type(value).__name__}"


def _annotated(node: ast.expr) -> ParameterType | None:
    match node:
        case ast.Subscript(
            value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=one
        ):
            return _annotated(one)
        case ast.Subscript(value=value):
            return _annotated(value)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _annotated(left) or _annotated(right)
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
            first, chain = operations(node)
            left = literal(first)
            for one in chain:
                left = _computed(one, left, literal(one.right))
            return left
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


def _computed(node: ast.BinOp, left: object, right: object) -> object:
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
    if isinstance(value, int):
        return abs(value)
    return len(value) if isinstance(value, (str, list)) else 0


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


# Values: of defaults, and of a run


def check_default(parameter: Parameter, found: DiagnosticCollector) -> None:
    """Report why the default of *parameter* would not reach a step unchanged."""
    value = parameter.default
    what = f"the default of the parameter `{parameter.name}`"
    for problem, remedy in _problems(value):
        message = f"{what} cannot be used: {problem}"
        found.error("parameter-value", message, parameter.label, help=remedy)
    if isinstance(value, list | dict) and holds_none(value):
        message = f"{what} contains None, which KFP's local runner and compiler do not take"
        found.warning("none-in-parameter", message, parameter.label, help="a cluster takes it")
    for text in (one for one in _parts(value) if isinstance(one, str)):
        found.errors += check_text(text, what, parameter.label)
    for keys in (one for one in _parts(value) if isinstance(one, dict)):
        for key in keys:
            if isinstance(key, str) and len(key) > KEY_LENGTH // 6:  # an escape has up to 6 letters
                message = f"{what} has a key of {len(key)} characters"
                found.error("parameter-value", message, parameter.label, help="use shorter keys")


def arrives_unchanged(value: object, *, inside: bool = False) -> bool:
    """Whether *value* reaches a step as it is: inside others, 1.0 becomes 1 and keys are sorted."""
    match value:
        case float():
            return not (inside and value.is_integer())
        case list():
            return all(arrives_unchanged(entry, inside=True) for entry in value)
        case dict():
            entries = all(arrives_unchanged(entry, inside=True) for entry in value.values())
            return entries and [*value] == sorted(value)
        case _:
            return True


def holds_none(value: object) -> bool:
    """Whether *value* is or contains None."""
    return any(part is None for part in _parts(value))


def given_arguments(
    texts: Iterable[str], parameters: Sequence[Parameter]
) -> tuple[dict[str, object], list[Diagnostic]]:
    """The values of *parameters* in *texts*, each `NAME=VALUE`; and what is wrong with them.

    Text is taken as it is, lists and mappings are JSON. Of two values for a name the last counts.
    """
    known = {one.name: one for one in parameters}
    found: dict[str, object] = {}
    diagnostics: list[Diagnostic] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            message = f"`{text}` has no value: write a parameter as NAME=VALUE"
            hint = f"write -p {text}=VALUE" if text in known else _help_for(text, known)
            diagnostics.append(error("no-value", message, help=hint))
        elif (parameter := known.get(name)) is None:
            diagnostics.append(_unknown(name, known, None))
        else:
            try:
                found[name] = check_argument(parameter, _from_text(parameter.type, value))
            except ValueError as exc:
                diagnostics.append(_wrong(parameter, value, str(exc), None))
    return found, diagnostics


def file_arguments(
    values: Mapping[str, tuple[Label, Label, object]], parameters: Sequence[Parameter]
) -> tuple[dict[str, object], list[Diagnostic]]:
    """The same for values from a file, each with the places of its name and of itself."""
    known = {one.name: one for one in parameters}
    found: dict[str, object] = {}
    diagnostics: list[Diagnostic] = []
    for name, (name_label, label, value) in values.items():
        parameter = known.get(name)
        if parameter is None:
            diagnostics.append(_unknown(name, known, name_label))
            continue
        try:
            found[name] = check_argument(parameter, value)
        except ValueError as exc:
            diagnostics.append(_wrong(parameter, value, str(exc), label))
    return found, diagnostics


def check_argument(parameter: Parameter, value: object) -> object:
    """*value* if *parameter* can have it.

    A whole number is a number too. Raises `ValueError`, with no reason if the type is wrong, and
    with one if Kubeflow Pipelines would change the value on the way.
    """
    if parameter.type == "float" and type(value) is int:
        value = float(value)
    if type(value).__name__ != parameter.type:
        raise ValueError
    for problem, _ in _problems(value):
        raise ValueError(problem)
    for text in (one for one in _parts(value) if isinstance(one, str)):
        for diagnostic in check_text(text, "it", None):
            raise ValueError(diagnostic.message)
    if isinstance(value, list | dict) and holds_none(value):
        # The type is right; it is the value that kfp.local cannot take.
        raise ValueError("it contains null, which KFP's local runner does not take")
    return value


def _parts(value: object) -> Iterator[object]:
    """*value*, and all values and keys in it."""
    yield value
    match value:
        case list():
            for entry in value:
                yield from _parts(entry)
        case dict():
            for entry in (*value, *value.values()):
                yield from _parts(entry)
        case _:
            pass


def _problems(value: object) -> Iterator[tuple[str, str]]:
    """Why *value* would not reach a step unchanged, each with the fix."""
    for part in _parts(value):
        match part:
            case bool() | str() | list() | None:
                pass
            case int():
                if abs(part) > EXACT:
                    remedy = "write it as text, and `int(...)` where it is used"
                    yield f"Kubeflow Pipelines would lose digits of {part}", remedy
            case float():
                if not math.isfinite(part):
                    yield f"JSON has no number {part}", f"write it as text, `'{part}'`"
            case dict():
                for key in part:
                    if not isinstance(key, str):
                        yield f"its key {key!r} is not text", "write the key as text"
            case _:
                yield _no_type(part), ""


def _from_text(kind: ParameterType, text: str) -> object:
    """*text* as a value. Raises `ValueError`, with a reason where it adds anything."""
    if kind == "str":
        return text
    if kind in {"list", "dict"}:
        try:
            value: object = json.loads(text)
        except ValueError as exc:
            raise ValueError(f"it is not JSON: {exc}") from None
        return value
    readers: dict[str, Callable[[str], object]] = {"int": int, "float": float}
    try:
        return readers.get(kind, {"true": True, "false": False}.__getitem__)(text.lower())
    except (ValueError, KeyError):
        raise ValueError from None


def _unknown(name: str, known: Mapping[str, Parameter], at: Label | None) -> Diagnostic:
    message = f"the pipeline has no parameter `{name}`"
    return error("unknown-parameter", message, at, help=_help_for(name, known))


def _help_for(name: str, known: Mapping[str, Parameter]) -> str:
    return suggest(name, known, "its parameters are") or "it has none"


def _wrong(parameter: Parameter, value: object, why: str, at: Label | None) -> Diagnostic:
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    message = f"`{parameter.name}` takes {KINDS[parameter.type]}, not `{shown}`"
    if why:
        message = f"`{parameter.name}` cannot be `{shown}`: {why}"
    default = json.dumps(parameter.default, ensure_ascii=False, default=str)
    notes = [f"its default is {default}"] if len(default) < 100 else []
    return error("invalid-argument", message, at, notes=notes)
