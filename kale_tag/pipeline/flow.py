"""What the cells of a block do with names: statements, in the order in which they run.

A name is bound for certain where every way to that place binds it.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kale_tag.pipeline.calls import Change
from kale_tag.pipeline.code import Parsed
from kale_tag.pipeline.facts import Block, Body, Import, Value
from kale_tag.pipeline.scope import State, Walker

_EXITS = frozenset(["exit", "quit", "sys.exit", "os._exit"])
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
        for statement in cell.tree.body:
            walker.top = statement if _only_imports(statement) else None
            walker.statements([statement])
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


class _Flow(Walker):
    """Statements and their order."""

    top: ast.stmt | None = None
    optional = False

    def statements(self, code: list[ast.stmt]) -> None:
        for node in code:
            self.time += 1
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912  one case a statement
        match node:
            case ast.Assign(targets=targets, value=value):
                self.expr(value)
                for target in targets:
                    self.assign(target, value)
            case ast.AnnAssign():
                self._annotated(node)
            case ast.AugAssign(target=target, value=value):
                self.expr(value)
                self._augmented(target, value)
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._define(node)
            case ast.ClassDef():
                self._class(node)
            case ast.Delete(targets=targets):
                for target in targets:
                    self._delete(target)
            case ast.Return(value=value):
                self.expr(value)
                if self.bodies:
                    self.bodies[-1].returns.add(self.value(value))
                self.state.dead = True
            case ast.Expr(value=value):
                self._expression(value)
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
            case _ if isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
                self._try(node)
            case _ if type(node).__name__ == "TypeAlias":
                name = getattr(node, "name", None)
                if isinstance(name, ast.Name):
                    self.store(name.id, name)
            case _:
                for child in ast.iter_child_nodes(node):
                    self.expr(child)

    # Assignments

    def assign(self, target: ast.expr, value: ast.expr | None) -> None:
        match target:
            case ast.Name(id=name):
                key = self.store(name, target)
                self.alias(key, self.roots(value))
                self._keep(key, self.value(value))
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                paired = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(parts)
                starred = any(isinstance(part, ast.Starred) for part in parts)
                for position, part in enumerate(parts):
                    if paired and not starred:
                        assert isinstance(value, (ast.Tuple, ast.List))
                        self.assign(part, value.elts[position])
                    else:
                        self._assign_part(part, value)
            case ast.Starred(value=inner):
                self._assign_part(inner, value)
            case ast.Attribute(value=inner) | ast.Subscript(value=inner):
                self.expr(inner)
                if isinstance(target, ast.Subscript):
                    self.expr(target.slice)
                self._touch(inner, value)

    def _assign_part(self, target: ast.expr, value: ast.expr | None) -> None:
        if not isinstance(target, ast.Name):
            self.assign(target, value)
            return
        key = self.store(target.id, target)
        self.alias(key, dict.fromkeys(self.roots(value), False))
        made = self.value(value)
        made.inert = False
        self._keep(key, made)

    def _touch(self, holder: ast.expr, value: ast.expr | None) -> None:
        """A part of the object of *holder* becomes *value*."""
        self.change(holder, Change.SURE)
        made = self.value(value)
        for key in self.roots(holder):
            self.alias(key, dict.fromkeys(self.roots(value), False))
            kept = made.inert
            self._keep(key, made, inert=key in self.block.values and self.block.values[key].inert)
            made.inert = kept

    def _keep(self, key: str, made: Value, *, inert: bool | None = None) -> None:
        if inert is not None:
            made = Value(made.bodies, made.aliases, made.called, made.mentions, inert)
        if "@" in key:
            self.local_values.setdefault(key, Value()).add(made)
        elif not self.bodies:
            self.block.value(key).add(made)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if not self.bodies:
            self.guards += 1
            self.expr(node.annotation)
            self.guards -= 1
        self.expr(node.value)
        if node.value is not None:  # `x: int` alone binds nothing
            self.assign(node.target, node.value)

    def _augmented(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.load(target.id, target)
            for key in self.roots(target):
                for effects in self.effects():  # a list is changed, a number is not
                    known = effects.changes.get(key, Change.NONE)
                    effects.changes[key] = max(Change.LIKELY, known)
            key = self.store(target.id, target)
            self._keep(key, self.value(value))
            if not self.bodies and "@" not in key:
                self.block.value(key).mentions.add(key)
        else:
            self.assign(target, value)

    def _delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                self.load(name, target)
                if self.key(name) != name or self.bodies:
                    return
                state = self.state
                state.bound.discard(name)
                state.maybe.discard(name)
                self.block.since.pop(name, None)
                if self.depth:
                    state.maybe.add(name)
                else:
                    self.block.deleted[name] = self.spot(target)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self._delete(part)
            case ast.Attribute(value=inner) | ast.Subscript(value=inner):
                self.expr(inner)
                if isinstance(target, ast.Subscript):
                    self.expr(target.slice)
                self.change(inner, Change.SURE)

    def _expression(self, value: ast.expr) -> None:
        self.expr(value)
        if isinstance(value, (ast.Yield, ast.YieldFrom)) and self.bodies:
            self.bodies[-1].returns.add(self.value(value.value))
        if isinstance(value, ast.Call) and self.path(value.func) in _EXITS:
            self.state.dead = True

    # Imports, functions, classes

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        spot = self.spot(node)
        level = node.level if isinstance(node, ast.ImportFrom) else 0
        for one in node.names:
            if isinstance(node, ast.Import):
                name, module, attribute = one.asname or one.name.partition(".")[0], one.name, ""
            else:
                name, module, attribute = one.asname or one.name, node.module or "", one.name
            made = Import(module, level, attribute, spot, self.top, self.optional)
            self.block.modules.append(made)
            for body in self.bodies:
                body.modules.append(made)
            if attribute == "*":
                self.block.stars.append(made)
                continue
            key = self.store(name, node)
            if key == name and not self.bodies:
                self.block.imports.setdefault(name, []).append(made)

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.in_call += 1
            self.expr(decorator)
            self.in_call -= 1
            if not self.bodies:
                self.block.called |= {key for key in self.roots(decorator) if "@" not in key}
        self.defaults(node.args)
        self.guards += 1
        self.expr(node.returns)
        self.guards -= 1
        name = self.store(node.name, node)
        body = self.function(node, node.name)
        made = Value([body])
        for decorator in node.decorator_list:
            made.add(self.value(decorator))
        made.inert = True
        made.mentions |= set(body.reads)
        self._keep(name, made)
        if "@" not in name:
            self.block.functions.setdefault(node.name, []).append(body)

    def _class(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *(one.value for one in node.keywords)):
            self.expr(part)
        whole = Body(node.name)
        frame = self._frame("class")
        frame.names |= {one.name for one in getattr(node, "type_params", ())}
        self.frames.append(frame)
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for part in (*statement.decorator_list, statement.returns):
                    self.guards += part is statement.returns
                    self.expr(part)
                    self.guards -= part is statement.returns
                self.defaults(statement.args)
                frame.names.add(statement.name)
                self._method(statement, whole)
            else:
                self.statement(statement)
        self.frames.pop()
        name = self.store(node.name, node)
        whole.returns.bodies.append(whole)
        made = Value([whole])
        for part in (*node.decorator_list, *node.bases):
            made.add(self.value(part))
        made.inert = True
        made.mentions |= set(whole.reads)
        self._keep(name, made)

    def _method(self, node: ast.FunctionDef | ast.AsyncFunctionDef, whole: Body) -> None:
        self.bodies.append(whole)
        body = self.function(node, node.name)
        self.bodies.pop()
        kinds = {one.id for one in node.decorator_list if isinstance(one, ast.Name)}
        if "staticmethod" in kinds:
            body.parameters.insert(0, "")
        self.block.methods.setdefault(node.name, []).append(body)
        if node.name == "__init__":
            maker = Body(whole.name, effects=body.effects, keywords=body.keywords)
            maker.parameters = body.parameters[1:]
            self.block.functions.setdefault(whole.name, []).append(maker)

    # Branches

    def _if(self, node: ast.If) -> None:
        self.expr(node.test)
        if _always(node.test):
            self.statements(node.body)
            return
        before = self.state.copy()
        self.depth += 1
        self.statements(node.body)
        first, self.state = self.state, before
        self.statements(node.orelse)
        self.depth -= 1
        self._join([first, self.state])

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
                self._assign_part(target, value)
            else:
                self.assign(target, value)
        self.statements(code)
        self.state.dead = before.dead  # a `break` or `continue` ends a turn, not the cell
        self._join([before, self.state])
        self.statements(orelse)
        self.depth -= 1

    def _try(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.Try) or type(node).__name__ == "TryStar"
        handlers: list[ast.ExceptHandler] = node.handlers  # type: ignore[attr-defined, union-attr]  of both
        before = self.state.copy()
        guarded = any(_catches(one, _CATCHES_NAMES) for one in handlers)
        optional = self.optional
        self.optional = optional or any(
            _catches(one, _CATCHES_IMPORTS) and _imports(one) for one in handlers
        )
        self.depth += 1
        self.guards += guarded
        self.statements(node.body)  # type: ignore[attr-defined]  of both
        self.guards -= guarded
        self.optional = optional
        tried = self.state
        start = State(before.bound & (tried.bound | tried.maybe), before.maybe, before.dead)
        start.maybe = (start.maybe | tried.maybe | tried.bound | before.bound) - start.bound
        self.statements(node.orelse)  # type: ignore[attr-defined]  of both
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
        self.statements(node.finalbody)  # type: ignore[attr-defined]  of both

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
                self._keep(made, value)
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

    def inline(self, code: str, node: ast.AST) -> None:
        try:
            tree = ast.parse(code.strip())
        except (SyntaxError, ValueError, RecursionError):
            return
        for part in ast.walk(tree):
            ast.copy_location(part, node)
        self.statements(tree.body)


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



