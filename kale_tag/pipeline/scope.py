"""What code does with names: Python's scoping, for expressions, functions and classes.

`flow.py` adds the statements and their order. Names of the notebook are Python's globals; every
step has its own, which it shares by variables only.
"""

import ast
import re
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kale_tag.pipeline import calls
from kale_tag.pipeline.calls import Change
from kale_tag.pipeline.code import Parsed
from kale_tag.pipeline.facts import (
    Block,
    Body,
    Call,
    Effects,
    Import,
    Read,
    Spot,
    Value,
    names_in,
)
from kale_tag.pipeline.magics import CODE_MAGICS

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

_SHELL = re.compile(r"\$\{?([^\W\d]\w*)")
_OPTIONS = re.compile(r"(?:-[A-Za-z]+\s*\d*\s+)*")
_DYNAMIC = frozenset(["eval", "exec", "globals", "locals", "vars"])
_TEXTS = frozenset(["bool", "float", "hash", "id", "int", "len", "ord", "repr", "round", "str"])
"""Functions whose result nothing can change."""



@dataclass(slots=True)
class Frame:
    """One scope: `function`, `class` or `comprehension`, and the names that are local to it."""

    kind: str
    number: int
    names: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)


@dataclass(slots=True)
class State:
    """What is bound where the code stands: for certain, perhaps; *dead*: it never gets there."""

    bound: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    dead: bool = False

    def copy(self) -> "State":
        """The same, to go another way."""
        return State(set(self.bound), set(self.maybe), self.dead)


class Walker:
    """Walks over the code of a block; *modules* says what each imported name stands for."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        """Start with no code."""
        self.modules = modules
        self.block = Block()
        self.cell: Parsed | None = None
        self.frames: list[Frame] = []
        self.bodies: list[Body] = []  # of the functions around; empty where code runs at once
        self.state = State()
        self.depth = 0  # of branches around
        self.guards = 0  # of `try` around that catches a NameError
        self.in_call = 0
        self.time = 0
        self.scopes = 0
        self.body_of: dict[ast.AST, Body] = {}
        self.local_values: dict[str, Value] = {}

    def spot(self, node: ast.AST) -> Spot:
        """The place of a node of the cell that is walked over."""
        assert self.cell is not None
        return Spot(self.cell, node)

    # Names

    def key(self, name: str) -> str:
        """The key of what *name* means here."""
        for position, frame in enumerate(reversed(self.frames)):
            if name in frame.globals:
                return name
            if name in frame.names and (frame.kind != "class" or position == 0):
                return f"{name}@{frame.number}"
        return name

    def load(self, name: str, node: ast.AST) -> None:
        """*name* is read here."""
        if self.key(name) == name:
            self.read(name, Read(self.spot(node), not self.guards))

    def read(self, name: str, read: Read) -> None:
        """A name of the notebook is read, now or in a function."""
        if self.bodies:
            for body in self.bodies:
                known = body.reads.get(name)
                if known is None or (read.sure and not known.sure):
                    body.reads[name] = read
            return
        block, state = self.block, self.state
        block.uses.setdefault(name, self.time)
        if state.dead or name in state.bound:
            return
        sure = read.sure and not self.guards and name not in state.maybe
        known = block.reads.get(name)
        if known is None or (sure and not known.sure):
            block.reads[name] = Read(read.spot, sure)

    def store(self, name: str, node: ast.AST) -> str:
        """*name* is bound here; its key."""
        frame = next((one for one in reversed(self.frames) if one.kind != "comprehension"), None)
        if frame is not None and name not in frame.globals:
            if frame.kind == "class":
                frame.names.add(name)
            return self.key(name)
        if self.bodies:
            for body in self.bodies:
                body.binds[name] = self.spot(node)
            return name
        self.time += 1
        block, state = self.block, self.state
        block.binds[name] = self.spot(node)
        block.deleted.pop(name, None)
        if self.frames:  # a walrus in a comprehension, which may have nothing to go over
            state.maybe |= {name} - state.bound
        else:
            state.bound.add(name)
            state.maybe.discard(name)
            if not self.depth:
                block.since.setdefault(name, self.time)
        return name

    def effects(self) -> Iterator[Effects]:
        """Where to put what the code does to objects."""
        if self.bodies:
            for body in self.bodies:
                yield body.effects
        else:
            yield self.block.effects

    def change(self, node: ast.expr, change: Change) -> None:
        """The object behind *node*, or a part of it, is changed."""
        for key in self.roots(node):
            for effects in self.effects():
                effects.changes[key] = max(change, effects.changes.get(key, Change.NONE))
            if not self.bodies:
                self.block.touches.setdefault(key, self.spot(node))

    def alias(self, key: str, roots: Mapping[str, bool]) -> None:
        """*key* may be, or share a part of, *roots*."""
        for effects in self.effects():
            known = effects.aliases.setdefault(key, {})
            for root, direct in roots.items():
                if root != key:
                    known[root] = direct or known.get(root, False)

    def roots(self, node: ast.expr | None) -> dict[str, bool]:
        """The keys whose objects *node* may be (True) or share a part of (False)."""
        match node:
            case ast.Name():
                return {self.key(node.id): True}
            case ast.Attribute(value=value) | ast.Subscript(value=value):
                return dict.fromkeys(self.roots(value), False)
            case ast.Starred(value=value) | ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.roots(value)
            case ast.IfExp(body=first, orelse=second):
                return self.roots(first) | self.roots(second)
            case ast.BoolOp(values=parts):
                return self._parts(parts, keep=True)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                return self._parts(parts)
            case ast.Dict(values=parts):
                return self._parts(parts)
            case ast.Call(func=func):
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                path = self.path(func)
                if path and calls.of_function(path) is Change.NONE and path not in {"iter", "zip"}:
                    return self._parts(given) if path in {"enumerate", "reversed"} else {}
                if isinstance(func, ast.Attribute) and not path:
                    return {} if func.attr in calls.FRESH else self._parts([func.value, *given])
                return self._parts(given)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self._parts([one.iter for one in node.generators])
            case _:
                return {}

    def _parts(self, nodes: Iterable[ast.expr], *, keep: bool = False) -> dict[str, bool]:
        found: dict[str, bool] = {}
        for node in nodes:
            for key, direct in self.roots(node).items():
                found[key] = found.get(key, False) or (direct and keep)
        return found

    def path(self, node: ast.expr) -> str:
        """The dotted name of a function of a module or of a bare name; "" for a method."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id, node.id) if self.key(node.id) == node.id else ""
        if isinstance(node, ast.Attribute):
            root = node.value
            if isinstance(root, ast.Name) and (
                root.id not in self.modules or self.key(root.id) != root.id
            ):
                return ""
            path = self.path(root)
            return f"{path}.{node.attr}" if path else ""
        return ""

    # Expressions

    def expr(self, node: ast.AST | None) -> None:
        """Walks over an expression."""
        match node:
            case None | ast.Constant():
                pass
            case ast.Name():
                self.load(node.id, node)
            case ast.Call():
                self.call(node)
            case ast.Lambda():
                self.lambda_(node)
            case ast.NamedExpr():
                self.expr(node.value)
                self.assign(node.target, node.value)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self.comprehension(node)
            case _:
                for child in ast.iter_child_nodes(node):
                    self.expr(child)

    def lambda_(self, node: ast.Lambda) -> None:
        """A lambda: what is given to a call may run at once, any other runs when it is called."""
        self.defaults(node.args)
        body = self.function(node, "lambda")
        if self.in_call and not self.bodies:
            for name, read in body.reads.items():
                self.read(name, read)
            self._merge(body.effects)

    def _merge(self, effects: Effects) -> None:
        own = self.block.effects
        own.calls += effects.calls
        for key, change in effects.changes.items():
            own.changes[key] = max(change, own.changes.get(key, Change.NONE))
        for key, roots in effects.aliases.items():
            own.aliases.setdefault(key, {}).update(roots)

    def comprehension(self, node: Comprehension) -> None:
        """A comprehension has a scope of its own, but for the first thing that it goes over."""
        first, *_ = node.generators
        self.expr(first.iter)
        frame = self._frame("comprehension")
        for generator in node.generators:
            frame.names |= set(targets_in(generator.target))
        self.frames.append(frame)
        for generator in node.generators:
            if generator is not first:
                self.expr(generator.iter)
            for name in targets_in(generator.target):
                parts = self.roots(generator.iter)
                self.alias(self.key(name), dict.fromkeys(parts, False))
            for test in generator.ifs:
                self.expr(test)
        if isinstance(node, ast.DictComp):
            self.expr(node.key)
            self.expr(node.value)
        else:
            self.expr(node.elt)
        self.frames.pop()

    def call(self, node: ast.Call) -> None:
        """A call: what it is given may be changed by it, and functions may be called by it."""
        if self._ipython(node):
            return
        self.in_call += 1
        func = node.func
        given: list[tuple[int | str, ast.expr]] = [*enumerate(node.args)]
        given += [(one.arg or "**", one.value) for one in node.keywords]
        self.expr(func.value if isinstance(func, ast.Attribute) else func)
        for _, value in given:
            self.expr(value)
        self.in_call -= 1
        if not self.bodies:
            holders = [value for _, value in given] + [func]
            self.block.called |= {key for one in holders for key in self._holder(one)}
        if isinstance(func, ast.Name) and func.id in _DYNAMIC and self.key(func.id) == func.id:
            self.block.dynamic = True
        self._note_call(node, given)

    def _holder(self, node: ast.expr) -> list[str]:
        roots = self.roots(node) if not isinstance(node, ast.Lambda) else {}
        return [key for key in roots if "@" not in key]

    def _note_call(self, node: ast.Call, given: list[tuple[int | str, ast.expr]]) -> None:
        func = node.func
        arguments = tuple((place, frozenset(self.roots(value))) for place, value in given)
        path = self.path(func)
        if path or not isinstance(func, ast.Attribute):
            call = Call(path, calls.of_function(path), None, arguments)
        else:
            flag = next((one.value for one in node.keywords if one.arg == "inplace"), None)
            inplace = None if flag is None else not _is(flag, value=False)
            known = calls.of_method(func.attr, inplace=inplace)
            receiver = self.roots(func.value)
            call = Call(func.attr, known, frozenset(receiver), arguments)
            if known is None:
                for key in receiver:  # it may keep what it is given, and be made of it
                    for _, value in given:
                        self.alias(key, dict.fromkeys(self.roots(value), False))
            if known is not Change.NONE and not self.bodies:
                for key in receiver:
                    if "@" not in key:
                        self.block.value(key).mentions |= set(names_in(node))
        for effects in self.effects():
            effects.calls.append(call)
        if not self.bodies:
            for keys in (call.receiver or (), *(keys for _, keys in arguments)):
                for key in keys:
                    self.block.touches.setdefault(key, self.spot(node))

    def _ipython(self, node: ast.Call) -> bool:
        """What IPython's syntax was turned into; whether *node* is of that kind."""
        func = node.func
        if not (
            isinstance(func, ast.Attribute)
            and isinstance(func.value, ast.Call)
            and isinstance(func.value.func, ast.Name)
            and func.value.func.id == "get_ipython"
        ):
            return False
        texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
        words = [text for text in texts if isinstance(text, str)]
        if func.attr in {"run_line_magic", "begin_cell_magic"} and words[:1]:
            name, code = words[0], "".join(words[1:2])
            if name == "run":  # it may bind anything
                self.block.stars.append(Import("", 0, "*", self.spot(node)))
            if name in CODE_MAGICS:
                self.inline(code[len(_OPTIONS.match(code)[0]) :], node)  # type: ignore[index]  matches ""
                return True
            words = [code]
        elif func.attr == "run_cell_magic":
            words = words[1:2]
        for text in words:
            self._expanded(text, node)
        return True

    def inline(self, code: str, node: ast.AST) -> None:
        """Code in a text, which runs where *node* stands."""
        raise NotImplementedError

    def _expanded(self, text: str, node: ast.AST) -> None:
        """Names in the text of a shell command; what cannot be expanded stays as it is."""
        self.guards += 1
        for name in _SHELL.findall(text):
            self.load(name, node)
        for expression in _braces(text):
            try:
                tree = ast.parse(expression.strip(), mode="eval")
            except (SyntaxError, ValueError, RecursionError):
                continue
            for part in ast.walk(tree):
                ast.copy_location(part, node)
            self.expr(tree.body)
        self.guards -= 1

    # Functions and classes

    def defaults(self, arguments: ast.arguments) -> None:
        """Default values and annotations, which are evaluated where the function is made."""
        for value in (*arguments.defaults, *arguments.kw_defaults):
            self.expr(value)
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        self.guards += 1  # annotations: not evaluated in every version of Python
        for argument in (*every, arguments.vararg, arguments.kwarg):
            if argument is not None:
                self.expr(argument.annotation)
        self.guards -= 1

    def function(self, node: Function, name: str) -> Body:
        """The body of a function: what it does when it is called."""
        body = self.body_of[node] = Body(name)
        frame = self._frame("function")
        code: list[ast.stmt] = [] if isinstance(node, ast.Lambda) else node.body
        arguments = node.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        others = [one.arg for one in arguments.kwonlyargs]
        stars = [one.arg for one in (arguments.vararg, arguments.kwarg) if one is not None]
        for statement in code:
            declared, bound = _local_names(statement)
            frame.globals |= declared
            frame.names |= bound
        frame.names -= frame.globals
        if isinstance(node, ast.Lambda):
            frame.names |= _local_names(node.body)[1]
        outer = {one for frame_ in self.frames for one in frame_.names}
        frame.names -= {one for part in code for one in _nonlocals(part) if one in outer}
        frame.names |= {*names, *others, *stars}
        frame.names |= {one.name for one in getattr(node, "type_params", ())}
        self.frames.append(frame)
        body.parameters = [self.key(one) for one in names]
        body.keywords = {one: self.key(one) for one in (*names, *others)}
        self.bodies.append(body)
        state, self.state, depth = self.state, State(), self.depth
        in_call, self.in_call = self.in_call, 0
        if isinstance(node, ast.Lambda):
            self.expr(node.body)
            body.returns.add(self.value(node.body))
        else:
            self.statements(code)
        self.state, self.depth, self.in_call = state, depth, in_call
        self.bodies.pop()
        self.frames.pop()
        return body

    def statements(self, code: list[ast.stmt]) -> None:
        """Walks over statements, in their order."""
        raise NotImplementedError

    def assign(self, target: ast.expr, value: ast.expr | None) -> None:
        """*target* is bound to *value*, or to a part of it."""
        raise NotImplementedError

    def _frame(self, kind: str) -> Frame:
        self.scopes += 1
        return Frame(kind, self.scopes)

    # Values

    def value(self, node: ast.expr | None) -> Value:
        """Where the value of an expression comes from."""
        made = Value(inert=self._inert(node))
        if node is not None:
            made.mentions |= set(names_in(node))
            self._collect(node, made)
        return made

    def _collect(self, node: ast.AST, made: Value) -> None:
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

    def _inert(self, node: ast.expr | None) -> bool:
        match node:
            case ast.Constant() | ast.JoinedStr() | ast.Lambda() | ast.Compare():
                return True
            case ast.UnaryOp(operand=operand):
                return self._inert(operand)
            case ast.BinOp(left=left, right=right):
                return self._inert(left) and self._inert(right)
            case ast.Name(id=name):
                return name in self.block.values and self.block.values[name].inert
            case ast.Tuple(elts=parts):
                return all(map(self._inert, parts))
            case ast.Call(func=func):
                path = self.path(func)
                return path in _TEXTS or path.startswith("os.path.")
            case _:
                return False


def targets_in(node: ast.AST) -> Iterator[str]:
    """The names that an assignment to *node* binds."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id


def _is(node: ast.expr, *, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _braces(text: str) -> Iterator[str]:
    try:
        for _, expression, _, _ in string.Formatter().parse(text):
            if expression:
                yield expression
    except ValueError:
        return


def _local_names(node: ast.AST) -> tuple[set[str], set[str]]:
    """The names that a part of a function declares global, and those that it binds."""
    declared: set[str] = set()
    bound: set[str] = set()
    todo = [node]
    while todo:
        part = todo.pop()
        match part:
            case ast.Global(names=names):
                declared |= set(names)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                bound |= {one.asname or one.name.partition(".")[0] for one in names}
            case ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                bound.add(name)
        if isinstance(part, SCOPES):
            if not isinstance(part, ast.Lambda):
                bound.add(part.name)
        elif isinstance(part, COMPREHENSIONS):
            walruses = [one for one in ast.walk(part) if isinstance(one, ast.NamedExpr)]
            bound |= {one.target.id for one in walruses if isinstance(one.target, ast.Name)}
        else:
            todo += ast.iter_child_nodes(part)
    return declared, bound


def _nonlocals(node: ast.AST) -> set[str]:
    """The names that a function declares nonlocal; in functions inside of it they stay its own."""
    todo, found = [node], set()
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Nonlocal):
            found |= set(part.names)
        if not isinstance(part, SCOPES):
            todo += ast.iter_child_nodes(part)
    return found
