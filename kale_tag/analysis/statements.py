"""What statements do with names: assignments, imports, definitions."""

import ast

from kale_tag.analysis import calls
from kale_tag.analysis.calls import Change
from kale_tag.analysis.expressions import Expressions
from kale_tag.analysis.model import RESULT, VOLATILE, Body, Import, Value, is_local
from kale_tag.analysis.scope import local_names
from kale_tag.analysis.texts import is_namespace

_EXITS = frozenset(["exit", "quit", "sys.exit", "os._exit"])


class Statements(Expressions):
    """Statements without branches."""

    optional = False  # another import takes the place of one that fails

    def statement(self, node: ast.stmt) -> None:
        """Walks over one statement."""
        raise NotImplementedError

    def assign(self, target: ast.expr, value: ast.expr | None) -> None:
        """*target* is bound to *value*, or to a part of it."""
        match target:
            case ast.Name(id=name):
                key = self.store(name, target)
                self.alias(key, self.roots(value))
                self.keep(key, self.value(value))
                if isinstance(value, ast.Lambda) and not is_local(key):
                    self.results(name, self.body_of[value])
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                paired = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(parts)
                starred = any(isinstance(part, ast.Starred) for part in parts)
                for position, part in enumerate(parts):
                    if paired and not starred:
                        assert isinstance(value, (ast.Tuple, ast.List))
                        self.assign(part, value.elts[position])
                    else:
                        self.assign_part(part, value)
            case ast.Starred(value=inner):
                self.assign_part(inner, value)
            case ast.Subscript(value=space, slice=ast.Constant(value=str(name))) if (
                is_namespace(space) and not self.frames
            ):
                self.assign(ast.copy_location(ast.Name(name, ast.Store()), target), value)
            case ast.Attribute(value=inner) | ast.Subscript(value=inner):
                self.expr(inner)
                if isinstance(target, ast.Subscript):
                    self.expr(target.slice)
                self._touch(inner, value)
            case _:
                pass

    def assign_part(self, target: ast.expr, value: ast.expr | None) -> None:
        """*target* is bound to a part of *value*."""
        if not isinstance(target, ast.Name):
            self.assign(target, value)
            return
        key = self.store(target.id, target)
        self.alias(key, dict.fromkeys(self.roots(value), False))
        if isinstance(value, ast.Call) and self.path(value.func) == calls.PAIR:
            self.alias(key, {VOLATILE: True})
        made = self.value(value)
        made.inert = False
        self.keep(key, made)

    def _touch(self, holder: ast.expr, value: ast.expr | None) -> None:
        """A part of the object of *holder* becomes *value*."""
        self.change(holder, Change.SURE)
        made = self.value(value)
        for key in self.roots(holder):
            self.alias(key, self.held([value] if value else ()))
            kept = made.inert
            self.keep(key, made, inert=key in self.block.values and self.block.values[key].inert)
            made.inert = kept

    def annotated_(self, node: ast.AnnAssign) -> None:
        """`x: int = 1`; without a value it binds nothing."""
        if not self.bodies:
            self.guards += 1
            self.expr(node.annotation)
            self.guards -= 1
        self.expr(node.value)
        if node.value is not None:  # `x: int` alone binds nothing
            self.assign(node.target, node.value)

    def augmented_(self, target: ast.expr, value: ast.expr) -> None:
        """`x += 1` reads, changes and binds."""
        if isinstance(target, ast.Name):
            self.load(target.id, target)
            for key in self.roots(target):
                for effects in self.effects():  # a list is changed, a number is not
                    known = effects.changes.get(key, Change.NONE)
                    effects.changes[key] = max(Change.LIKELY, known)
            key = self.store(target.id, target)
            self.keep(key, self.value(value))
            if not self.bodies and "@" not in key:
                self.block.value(key).mentions.add(key)
        else:
            self.assign(target, value)

    def delete_(self, target: ast.expr) -> None:
        """`del x` ends a name, `del x[0]` changes an object."""
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
                    self.delete_(part)
            case ast.Attribute(value=inner) | ast.Subscript(value=inner):
                self.expr(inner)
                if isinstance(target, ast.Subscript):
                    self.expr(target.slice)
                self.change(inner, Change.SURE)
            case _:
                pass

    def expression_(self, value: ast.expr) -> None:
        """An expression as a statement."""
        self.expr(value)
        if isinstance(value, (ast.Yield, ast.YieldFrom)) and self.bodies:
            self.bodies[-1].returns.add(self.value(value.value))
        if isinstance(value, ast.Call) and self.path(value.func) in _EXITS:
            self.state.dead = True

    # Imports, functions, classes

    def import_(self, node: ast.Import | ast.ImportFrom) -> None:
        """Imports, each name of them."""
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

    def define_(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """A function: what stands around its body runs now."""
        for decorator in node.decorator_list:
            self.in_call += 1
            self.expr(decorator)
            self.in_call -= 1
            self.note_called(decorator.func if isinstance(decorator, ast.Call) else decorator)
        self.defaults(node.args)
        self.guards += 1
        self.expr(node.returns)
        self.guards -= 1
        name = self.store(node.name, node)
        body = self.function(node, node.name)
        made = Value([body])
        for decorator in node.decorator_list:
            made.add(self.value(decorator))
        # A call may change what a default value or a decorator holds.
        defaults = (*node.args.defaults, *(one for one in node.args.kw_defaults if one))
        made.inert = not node.decorator_list and all(
            self._inert(one) or (isinstance(one, ast.Attribute) and self.path(one))
            for one in defaults
        )
        made.mentions |= set(body.reads)
        self.keep(name, made)
        if "@" not in name:
            self.block.functions.setdefault(node.name, []).append(body)
            self.results(node.name, body)
            for one in node.decorator_list:
                if isinstance(one, ast.Name) and not self.bodies:
                    self.block.given.setdefault(one.id, Value()).add(Value([body]))

    def class_(self, node: ast.ClassDef) -> None:
        """A class: its own code runs now, that of its methods when they are called."""
        for part in (*node.decorator_list, *node.bases, *(one.value for one in node.keywords)):
            self.expr(part)
        whole = Body(node.name, whole=True)
        special: list[Body] = []
        held = Value()  # by its attributes
        frame = self.frame("class")
        frame.globals = {name for one in node.body for name in local_names(one)[0]}
        frame.names |= {one.name for one in getattr(node, "type_params", ())}
        self.frames.append(frame)
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for decorator in statement.decorator_list:
                    self.expr(decorator)
                self.guards += 1
                self.expr(statement.returns)
                self.guards -= 1
                self.defaults(statement.args)
                frame.names.add(statement.name)
                method = self._method(statement, whole)
                if _is_special(statement):
                    special.append(method)
            else:
                self.statement(statement)
                if isinstance(statement, (ast.Assign, ast.AnnAssign)):
                    held.add(self.value(statement.value))
        self.frames.pop()
        name = self.store(node.name, node)
        whole.returns.bodies.append(whole)
        made = Value([whole])
        made.add(held)
        for part in (*node.decorator_list, *node.bases):
            made.add(self.value(part))
        made.inert = True
        made.mentions |= set(whole.reads)
        self.keep(name, made)
        if "@" not in name:
            bases = {f"{one.id}{RESULT}": True for one in node.bases if isinstance(one, ast.Name)}
            volatile = any(calls.is_volatile(self.path(one)) for one in node.bases)
            self.alias(f"{name}{RESULT}", bases | ({VOLATILE: True} if volatile else {}))
            self.block.special.setdefault(name, []).extend(special)

    def _method(self, node: ast.FunctionDef | ast.AsyncFunctionDef, whole: Body) -> Body:
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
        return body

    def inline(self, code: str, node: ast.AST) -> None:
        """Code in a text, which runs where *node* stands."""
        try:
            tree = ast.parse(code.strip())
        except (SyntaxError, ValueError, RecursionError):
            return
        for part in ast.walk(tree):
            ast.copy_location(part, node)
        self.statements(tree.body)


_MAKING = calls.words("__init__ __new__ __init_subclass__ __post_init__ __reduce__ __getstate__")
_COMPUTED = calls.words("property cached_property functools.cached_property")


def _is_special(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether Python runs a method where no call of it stands: `len(x)`, `x[0]`, `x.name`."""
    if any(ast.unparse(one) in _COMPUTED for one in node.decorator_list):
        return True
    return node.name.startswith("__") and node.name.endswith("__") and node.name not in _MAKING
