"""What calls and texts in the code of a notebook name: functions of modules, and files."""

import ast
import posixpath
from collections.abc import Mapping


def dotted(node: ast.expr, modules: Mapping[str, str]) -> str:
    """The dotted name of a function, its module in full; "" for what is none.

    *modules* says what each name that is imported stands for.
    """
    if isinstance(node, ast.Name):
        return modules.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, modules)
        return f"{before}.{node.attr}" if before else ""
    return ""


def root_of(node: ast.expr) -> str:
    """The variable of `x`, `x[0]` or `x.y[0]`; "" for other expressions."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def text_of(  # noqa: PLR0911  one case a kind of node
    node: ast.expr, known: Mapping[str, str], modules: Mapping[str, str]
) -> str:
    """The text that an expression is, "" where that is not known; *known* are names that are one.

    `"a/b"`, `f"{folder}/b"`, `folder + "/b"`, `Path(folder) / "b"`, `os.path.join(folder, "b")`.
    """
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return known.get(name, "")
        case ast.FormattedValue(value=value, format_spec=None, conversion=-1):
            return text_of(value, known, modules)
        case ast.JoinedStr(values=parts):
            return _joined([text_of(part, known, modules) for part in parts], "")
        case ast.BinOp(left=left, op=ast.Add() | ast.Div() as op, right=right):
            between = "/" if isinstance(op, ast.Div) else ""
            return _joined([text_of(one, known, modules) for one in (left, right)], between)
        case ast.Call(func=func, args=parts) if dotted(func, modules) in _JOINS and parts:
            return _joined([text_of(part, known, modules) for part in parts], "/")
        case _:
            return ""


def as_file(text: str) -> str:
    """The path *text* in its shortest form; "" for what is no file of the container."""
    return "" if not text or "://" in text or "\n" in text else posixpath.normpath(text)


def _joined(parts: list[str], between: str) -> str:
    return between.join(parts) if all(parts) else ""


_JOINS = {"os.path.join", "pathlib.Path", "posixpath.join", "str"}
