"""What expressions, functions and classes do with names, and where values come from."""

import ast

from kale_tag.analysis import calls
from kale_tag.analysis.calls import Change
from kale_tag.analysis.model import (
    Body,
    Call,
    Effects,
    Read,
    Value,
    is_local,
    names_in,
)
from kale_tag.analysis.scope import State, local_names, nonlocals, targets_in
from kale_tag.analysis.texts import Texts, literal_code

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

_DYNAMIC = frozenset(["eval", "exec", "globals", "locals", "vars"])


class Expressions(Texts):
    """Expressions, wherever they stand."""

    def expr(self, node: ast.AST | None) -> None:
        """Walks over an expression."""
        self.in_texts(node)
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
            case ast.Yield(value=value) | ast.YieldFrom(value=value):
                self.expr(value)
                self.gives_back(value, part=True)
            case _:
                for child in ast.iter_child_nodes(node):
                    self.expr(child)

    def lambda_(self, node: ast.Lambda) -> None:
        """A lambda: what is given to a call may run at once, any other runs when it is called."""
        self.defaults(node.args)
        body = self.function(node, "lambda")
        if self.in_call and not self.bodies:
            for name, read in body.reads.items():
                self.read(name, Read(read.spot, read.sure, late=True))
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
        frame = self.frame("comprehension")
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
        if self.ipython(node):
            return
        self.in_call += 1
        func = node.func
        given: list[tuple[int | str, ast.expr]] = [*enumerate(node.args)]
        given += [(one.arg or "**", one.value) for one in node.keywords]
        self.expr(func.value if isinstance(func, ast.Attribute) else func)
        for _, value in given:
            self.expr(value)
        self.in_call -= 1
        self.note_called(func)
        if isinstance(func, ast.Name) and func.id in _DYNAMIC and self.key(func.id) == func.id:
            self.block.dynamic = self.block.dynamic or literal_code(node) is None
        self._note_call(node, given)
        if isinstance(func, ast.Name) and self.key(func.id) == func.id and not self.bodies:
            for _, value in given:
                self.block.given.setdefault(func.id, Value()).add(self.value(value))

    def note_called(self, func: ast.expr) -> None:
        """A function of that name runs now, so what it reads must be there."""
        if isinstance(func, ast.Name) and self.key(func.id) == func.id:
            for body in self.bodies:
                body.called.add(func.id)
            if not self.bodies:
                self.block.called.setdefault(func.id, self.time)

    def _note_call(self, node: ast.Call, given: list[tuple[int | str, ast.expr]]) -> None:
        func, path = node.func, self.path(node.func)
        arguments = tuple((place, frozenset(self.roots(value))) for place, value in given)
        flags = {one.arg: one.value for one in node.keywords if one.arg}
        if path or not isinstance(func, ast.Attribute):
            copies = not _is(flags.get("copy"), value=False)
            call = Call(path, calls.of_function(path) if copies else None, None, arguments)
            if "." not in path and not (isinstance(func, ast.Name) and func.id in self.modules):
                self.change(func, Change.MAYBE)  # an object that is called may change itself
        else:
            flag = flags.get("inplace")
            known = calls.of_method(
                func.attr, inplace=None if flag is None else not _is(flag, value=False)
            )
            owner = func.value
            if isinstance(owner, ast.Name) and owner.id in calls.known("types") and given[:1]:
                owner = given[0][1]  # `list.append(rows, 1)`
            call = Call(func.attr, known, frozenset(self.roots(owner)), arguments)
            if known is not Change.NONE:
                self._holds(node, owner, [value for _, value in given], known)
        self._note(call, node)
        for at, (_, value) in enumerate(given):
            others = [keys for other, (_, keys) in enumerate(arguments) if other != at]
            applied = bool(path) or call.known is None  # what `df.apply` gives it is a copy
            self._hand(value, frozenset().union(*others) if applied else frozenset(), node)

    def _note(self, call: Call, node: ast.AST) -> None:
        for effects in self.effects():
            effects.calls.append(call)
        if not self.bodies:
            for keys in (call.receiver or (), *(keys for _, keys in call.arguments)):
                for key in keys:
                    self.block.touches.setdefault(key, self.spot(node))

    def _hand(self, value: ast.expr, others: frozenset[str], node: ast.AST) -> None:
        """What a call is given may be a function, which is then called with what else is given."""
        match value:
            case ast.Lambda():
                for key in self.body_of[value].parameters:
                    self.alias(key, dict.fromkeys(others, False))
            case ast.Name(id=name) if self.key(name) == name and others:
                self._note(Call(name, Change.NONE, None, ((0, others),), handed=True), node)
            case ast.Attribute(value=owner, attr=attr) if not self.path(value):
                known = calls.of_method(attr, inplace=None)
                known = known if known is Change.LIKELY else Change.NONE
                receiver = frozenset(self.roots(owner))
                self._note(Call(attr, known, receiver, ((0, others),), handed=True), node)
            case _:
                pass

    def _holds(
        self, node: ast.Call, holder: ast.expr, given: list[ast.expr], known: Change | None
    ) -> None:
        """An object may keep what its method is given, and be made of it from then on."""
        for key in self.roots(holder):
            for value in given if known is None else ():
                self.alias(key, dict.fromkeys(self.roots(value), False))
            if is_local(key):
                for value in given:
                    self.keep(key, self.value(value))
            elif not self.bodies and "@" not in key:
                own = self.block.value(key)
                own.mentions |= set(names_in(node))
                for value in given:  # `stages.append(lambda x: x * k)` needs `k` later
                    self.keep(key, self.value(value), inert=own.inert)

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
        frame = self.frame("function")
        body = self.body_of[node] = Body(name, scope=frame.number)
        if self.bodies:
            self.bodies[-1].nested.append(body)
        code: list[ast.stmt] = [] if isinstance(node, ast.Lambda) else node.body
        arguments = node.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        others = [one.arg for one in arguments.kwonlyargs]
        stars = [one.arg for one in (arguments.vararg, arguments.kwarg) if one is not None]
        for statement in code:
            declared, bound = local_names(statement)
            frame.globals |= declared
            frame.names |= bound
        frame.names -= frame.globals
        if isinstance(node, ast.Lambda):
            frame.names |= local_names(node.body)[1]
        outer = {one for frame_ in self.frames for one in frame_.names}
        frame.names -= {one for part in code for one in nonlocals(part) if one in outer}
        frame.names |= {*names, *others, *stars}
        frame.names |= {one.name for one in getattr(node, "type_params", ())}
        defaults = [
            *zip(reversed(names), reversed(arguments.defaults), strict=False),
            *zip(others, arguments.kw_defaults, strict=True),
        ]
        given = {one: self.roots(default) for one, default in defaults}
        self.frames.append(frame)
        body.parameters = [self.key(one) for one in names]
        body.keywords = {one: self.key(one) for one in (*names, *others)}
        self.bodies.append(body)
        for one, roots in given.items():
            self.alias(self.key(one), roots)
        state, self.state, depth = self.state, State(), self.depth
        in_call, self.in_call = self.in_call, 0
        if isinstance(node, ast.Lambda):
            self.expr(node.body)
            body.returns.add(self.value(node.body))
            self.gives_back(node.body)
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


def _is(node: ast.expr | None, *, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
