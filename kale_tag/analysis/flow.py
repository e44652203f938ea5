"""What the cells of a block do with names: statements, in the order in which they run.

A name is bound for certain where every way to that place binds it.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kale_tag.analysis.model import Block
from kale_tag.analysis.scope import State
from kale_tag.analysis.source import Parsed, too_deep
from kale_tag.analysis.statements import Statements
from kale_tag.diagnostics import UserError

_CATCHES_NAMES = frozenset(["NameError", "Exception", "BaseException"])
_CATCHES_IMPORTS = frozenset(["ImportError", "ModuleNotFoundError", *_CATCHES_NAMES])
_IMPORTING = (ast.Import, ast.ImportFrom, ast.Try, ast.ExceptHandler, ast.Pass, ast.alias)


def read_block(cells: Sequence[Parsed], modules: Mapping[str, str]) -> Block:
    """What *cells*, run one after another, do with the names of the notebook.

    *modules* says what each name that the notebook imports stands for; see `imported_names`.
    """
    walker = _Flow(modules)
    for cell in cells:
        walker.cell = cell
        try:
            for statement in cell.tree.body:
                walker.top = statement if _only_imports(statement) else None
                walker.statements([statement])
        except RecursionError:
            raise UserError(too_deep(cell.source)) from None
    block = walker.block
    block.bound, block.maybe = walker.state.bound, walker.state.maybe
    last = next((cell.tree.body[-1] for cell in reversed(cells) if cell.tree.body), None)
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Name):
        block.trailing = last.value.id
    return block


def imported_names(cells: Iterable[Parsed]) -> dict[str, str]:
    """What each name that is imported anywhere in *cells* stands for, with dots."""
    found: dict[str, str] = {}
    for cell in cells:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.Import):
                for one in node.names:
                    name = one.asname or one.name.partition(".")[0]
                    found[name] = one.name if one.asname else name
            elif isinstance(node, ast.ImportFrom):
                for one in node.names:
                    found[one.asname or one.name] = f"{node.module or ''}.{one.name}"
    return found


def _only_imports(node: ast.stmt) -> bool:
    """Whether a statement does nothing but import, with what to do where that fails."""
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.Try)) and all(
        isinstance(part, (*_IMPORTING, ast.Name, ast.expr_context, ast.Tuple, ast.Constant))
        or (isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant))
        for part in ast.walk(node)
    )


class _Flow(Statements):
    """Statements and their order."""

    def statements(self, code: list[ast.stmt]) -> None:
        """Walks over statements, in their order."""
        for node in code:
            self.time += 1
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912, PLR0915  one case a statement
        match node:
            case ast.Assign(targets=targets, value=value):
                self.expr(value)
                for target in targets:
                    self.assign(target, value)
            case ast.AnnAssign():
                self.annotated_(node)
            case ast.AugAssign(target=target, value=value):
                self.expr(value)
                self.augmented_(target, value)
            case ast.Import() | ast.ImportFrom():
                self.import_(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.define_(node)
            case ast.ClassDef():
                self.class_(node)
            case ast.Delete(targets=targets):
                for target in targets:
                    self.delete_(target)
            case ast.Return(value=value):
                self.expr(value)
                if self.bodies:
                    self.bodies[-1].returns.add(self.value(value))
                self.gives_back(value)
                self.state.dead = True
            case ast.Expr(value=value):
                self.expression_(value)
            case ast.If():
                self._if(node)
            case ast.For() | ast.AsyncFor():
                self.expr(node.iter)
                self._loop(node.body, node.orelse, (node.target, node.iter))
            case ast.While(test=test):
                self.expr(test)
                self._loop(node.body, node.orelse, None)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self.expr(item.context_expr)
                    if item.optional_vars is not None:
                        self.assign(item.optional_vars, item.context_expr)
                self.statements(node.body)
            case ast.Match():
                self._match(node)
            case ast.Global() | ast.Nonlocal() | ast.Pass():
                pass
            case ast.Raise() | ast.Break() | ast.Continue():
                for child in ast.iter_child_nodes(node):
                    self.expr(child)
                self.state.dead = True
            case ast.Try() | ast.TryStar():
                self._try(node)
            case _ if type(node).__name__ == "TypeAlias":
                name = getattr(node, "name", None)
                if isinstance(name, ast.Name):
                    self.store(name.id, name)
            case _:
                for child in ast.iter_child_nodes(node):
                    self.expr(child)

    # Branches

    def _if(self, node: ast.If) -> None:
        if _always(node.test):
            self.expr(node.test)
            self.statements(node.body)
            return
        ends: list[State] = []
        rest: list[ast.stmt] = [node]
        self.depth += 1
        while len(rest) == 1 and isinstance(branch := rest[0], ast.If):  # `elif`, any number
            self.expr(branch.test)
            before = self.state.copy()
            self.statements(branch.body)
            ends.append(self.state)
            self.state, rest = before, branch.orelse
        self.statements(rest)
        self.depth -= 1
        self._join([*ends, self.state])

    def _loop(
        self,
        code: list[ast.stmt],
        orelse: list[ast.stmt],
        over: tuple[ast.expr, ast.expr] | None,
    ) -> None:
        before = self.state.copy()
        self.depth += 1
        if over is not None:
            target, value = over
            if isinstance(target, ast.Name):
                self.assign_part(target, value)
            else:
                self.assign(target, value)
        self.statements(code)
        self.state.dead = before.dead  # a `break` or `continue` ends a turn, not the cell
        self._join([before, self.state])
        self.statements(orelse)
        self.depth -= 1

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        handlers = node.handlers
        before = self.state.copy()
        guarded = any(_catches(one, _CATCHES_NAMES) for one in handlers)
        optional = self.optional
        self.optional = optional or any(
            _catches(one, _CATCHES_IMPORTS) and _imports(one) for one in handlers
        )
        self.depth += 1
        self.guards += guarded
        self.statements(node.body)
        self.guards -= guarded
        self.optional = optional
        tried = self.state
        start = State(before.bound & (tried.bound | tried.maybe), before.maybe, before.dead)
        start.maybe = (start.maybe | tried.maybe | tried.bound | before.bound) - start.bound
        self.statements(node.orelse)
        ends = [self.state]
        for handler in handlers:
            self.state = start.copy()
            self.expr(handler.type)
            if handler.name is not None:
                self.store(handler.name, handler)
            self.statements(handler.body)
            if handler.name is not None and not self.frames:
                self.state.bound.discard(handler.name)
                self.block.binds.pop(handler.name, None)
            ends.append(self.state)
        self.depth -= 1
        self._join(ends)
        self.statements(node.finalbody)

    def _match(self, node: ast.Match) -> None:
        self.expr(node.subject)
        before, ends = self.state.copy(), []
        self.depth += 1
        for case in node.cases:
            self.state = before.copy()
            for part in ast.walk(case.pattern):
                if isinstance(part, (ast.MatchValue, ast.MatchClass)):
                    self.expr(part.value if isinstance(part, ast.MatchValue) else part.cls)
                elif isinstance(part, ast.MatchMapping):
                    for key in part.keys:
                        self.expr(key)
            for name in _captures(case.pattern):
                made = self.store(name, case.pattern)
                self.alias(made, dict.fromkeys(self.roots(node.subject), False))
                value = self.value(node.subject)
                value.inert = False
                self.keep(made, value)
            self.expr(case.guard)
            self.statements(case.body)
            ends.append(self.state)
        self.depth -= 1
        last = node.cases[-1]
        if not (isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None):
            ends.append(before)
        self._join(ends)

    def _join(self, ends: list[State]) -> None:
        alive = [one for one in ends if not one.dead] or ends
        bound = set.intersection(*(one.bound for one in alive))
        either = set().union(*(one.bound | one.maybe for one in alive))
        self.state = State(bound, either - bound, all(one.dead for one in ends))
        if not self.depth and not self.bodies and not self.frames:
            for name in bound:
                self.block.since.setdefault(name, self.time)


def _always(test: ast.expr) -> bool:
    """Whether a test holds in every step: a constant, or `__name__ == "__main__"`."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    return ast.unparse(test) in {"__name__ == '__main__'", "'__main__' == __name__"}


def _catches(handler: ast.ExceptHandler, names: frozenset[str]) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(handler.type))


def _imports(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(one, (ast.Import, ast.ImportFrom)) for one in ast.walk(handler))


def _captures(pattern: ast.pattern) -> Iterator[str]:
    for part in ast.walk(pattern):
        if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name is not None:
            yield part.name
        elif isinstance(part, ast.MatchMapping) and part.rest is not None:
            yield part.rest
