"""Small questions about code."""

import ast
from collections.abc import Collection, Iterator


def words(text: str) -> frozenset[str]:
    """The words of a text, of which a table is easier to read than of a list."""
    return frozenset(text.split())


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


def literal_code(node: ast.Call) -> str | None:
    """The text of `eval("...")` and `exec("...")` without namespaces of their own."""
    match node:
        case ast.Call(
            func=ast.Name(id="eval" | "exec"), args=[ast.Constant(value=str(text))], keywords=[]
        ):
            return text
        case _:
            return None
