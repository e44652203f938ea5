"""Where values come from, and what functions give back."""

import ast

from kale_tag.analysis.model import RESULT, VOLATILE, Body, Value, names_in
from kale_tag.analysis.scope import Names

_TEXTS = frozenset(["bool", "float", "hash", "id", "int", "len", "ord", "repr", "round", "str"])
"""Functions whose result nothing can change."""


class Values(Names):
    """The values of expressions, of variables and of calls."""

    top: ast.stmt | None = None  # the statement of the cell, if that does nothing but import

    def value(self, node: ast.expr | None) -> Value:
        """Where the value of an expression comes from."""
        made = Value(inert=self._inert(node))
        if node is not None:
            made.mentions |= set(names_in(node))
            self._collect(node, made)
        return made

    def _collect(  # noqa: C901, PLR0912  one case for each kind of node
        self, node: ast.AST, made: Value
    ) -> None:
        match node:
            case ast.Name(id=name):
                key = self.key(name)
                if key == name:
                    made.aliases.add(name)
                elif key in self.local_values:
                    made.add(self.local_values[key])
            case ast.Lambda():
                if node in self.body_of:
                    made.bodies.append(self.body_of[node])
            case ast.Call(func=func):
                if isinstance(func, ast.Name) and self.key(func.id) == func.id:
                    made.called.add(func.id)
                elif isinstance(func, ast.Attribute) and not self.path(func):
                    self._collect(func.value, made)
                for argument in (*node.args, *(one.value for one in node.keywords)):
                    self._collect(argument, made)
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Await(value=inner):
                self._collect(inner, made)
            case ast.Compare() | ast.JoinedStr() | ast.Constant():
                pass
            case _:
                for child in ast.iter_child_nodes(node):
                    self._collect(child, made)

    def _inert(self, node: ast.expr | None) -> bool:  # noqa: PLR0911  see `_collect`
        match node:
            case ast.Constant() | ast.JoinedStr() | ast.Lambda() | ast.Compare():
                return True
            case ast.UnaryOp(operand=operand):
                return self._inert(operand)
            case ast.BinOp(left=left, right=right):
                return self._inert(left) and self._inert(right)
            case ast.Name(id=name):
                known = self.block.values.get(name)
                return known is not None and known.inert and name in self.block.binds
            case ast.Tuple(elts=parts):
                return all(map(self._inert, parts))
            case ast.Call(func=func):
                path = self.path(func)
                return path in _TEXTS or path.startswith("os.path.")
            case _:
                return False

    def keep(self, key: str, made: Value, *, inert: bool | None = None) -> None:
        """Notes where the value of a key comes from."""
        if inert is not None:
            made = Value(made.bodies, made.aliases, made.called, made.mentions, inert)
        if "@" in key:
            self.local_values.setdefault(key, Value()).add(made)
        elif not self.bodies and self.top is None:  # `x = None` where an import failed is no value
            self.block.value(key).add(made)

    def gives_back(self, value: ast.expr | None, *, part: bool = False) -> None:
        """The function that is walked over returns *value*, or as a *part* of an iterator."""
        if self.bodies:
            roots = self.roots(value)
            roots = dict.fromkeys(roots, False) | {VOLATILE: True} if part else roots
            self.bodies[-1].effects.aliases.setdefault(RESULT, {}).update(roots)

    def results(self, name: str, body: Body) -> None:
        """Calls of the function *name* give back what *body* returns, as far as that is shared."""
        self.alias(f"{name}{RESULT}", body.effects.behind(RESULT))
