"""The interpreter: how the abstract machine runs statements and evaluates expressions.

A call of a function of the notebook runs its body for the arguments given, apart for each two call
sites.
"""

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kale_tag.analysis import library, library_calls, process_state, python_calls, texts
from kale_tag.analysis.heap import (
    CONTAINERS,
    EMPTY,
    MEMORY,
    OPAQUE,
    Certainty,
    Heap,
    Obj,
    Points,
    Sight,
    Slot,
)
from kale_tag.analysis.machine import (
    ROUNDS,
    Arguments,
    Events,
    Frame,
    Loop,
    Machine,
    maker,
)
from kale_tag.analysis.names import End, Entry, Flow, Names
from kale_tag.analysis.process_state import Effect, Modules
from kale_tag.code.scopes import NOTHING, Comprehension, Function, Scope, scopes_of
from kale_tag.code.source import Parsed, run_line, too_deep
from kale_tag.code.syntax import bound_by, catches, last_name, operations
from kale_tag.diagnostics import UserError

_MADE_OF = {
    "partial": {"args", "keywords", "func"},
    "bound": {"__self__", "__func__"},
    "exception": {"args"},
    "instance": {"args"},
}
"""Attributes that hold what an object was made of, by its kind."""

_CATCHES_NAMES = frozenset(["NameError", "Exception", "BaseException"])
_EXITS = frozenset(["exit", "quit", "sys.exit", "os._exit"])
_KINDS = frozenset(["property", "staticmethod", "classmethod", "cached_property", "setter"])

_WORK = 200
"""What calls of functions in one cell may cost; after that one summary of each must do."""

_OPERATORS: Mapping[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.BitOr: "or",
    ast.BitAnd: "and",
    ast.Mod: "mod",
    ast.BitXor: "xor",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.Gt: "gt",
    ast.LtE: "le",
    ast.GtE: "ge",
}


@dataclass(slots=True, eq=False)
class FunctionCode:
    """A function of the notebook: its node, and the cell in which it stands."""

    node: Function
    cell: Parsed
    scope: Scope
    name: str
    kinds: frozenset[str]
    yields: bool


@dataclass(slots=True)
class Summary:
    """What a call of one function does, in place of all others."""

    returns: Points
    events: Events
    end: dict[str, Entry]


@dataclass(slots=True)
class Active:
    """A call that runs, of a function that may call itself."""

    given: dict[str, Points]
    returns: Points = EMPTY
    entered: bool = False  # it has called itself
    again: bool = False  # with more than was known


class Interpreter(Machine, ast.NodeVisitor):
    """Runs code over abstract objects."""

    def __init__(self, heap: Heap, own: Modules) -> None:
        """Start with no code. *own* are the user's own modules."""
        super().__init__(heap, own)
        self.loops: list[Loop] = []
        self.active: dict[Obj, Active] = {}
        self.summaries: dict[Obj, Summary] = {}
        self.scopes: dict[Parsed, dict[ast.AST, Scope]] = {}
        self.in_texts: dict[ast.AST, tuple[ast.Module, dict[ast.AST, Scope]]] = {}
        self.definitions: dict[Obj, str] = {}  # functions and classes of shared cells
        self.raised: Points = EMPTY  # exceptions

    # Cells

    def run(self, cells: Iterable[Parsed], names: Names) -> "list[Events]":
        """Run *cells* in the notebook of *names*; what each of them does."""
        found: list[Events] = []
        self.flow = Flow([names])
        for cell in cells:
            self.cell, self.work = cell, 0
            self.heap.begin()
            found.append(Events())
            self.notebooks.append((names, found[-1]))
            try:
                self.block(cell.tree.body)
            except RecursionError:
                raise UserError(too_deep(cell.source)) from None
            self.notebooks.pop()
        return found

    def scope(self, node: ast.AST) -> Scope:
        """The scope of a function, class or comprehension."""
        assert self.cell is not None
        known = self.scopes.get(self.cell)
        if known is None:
            own = scopes_of(self.cell.code.python, self.cell.tree)
            known = {**own, **self.cell.scopes}
            self.scopes[self.cell] = known
        return known.get(node, NOTHING)

    # Objects

    def iterate(self, objects: Iterable[Obj], node: ast.AST) -> Points:
        """What iteration yields. It moves iterators on."""
        found: set[Obj] = set()
        for one in objects:
            fields = one.fields
            if one.kind == "dict":
                found |= fields.get(Slot.KEYS, EMPTY)
            elif one.kind == "iter":
                self.mutate([one])
                found |= python_calls.advance(self, one, node)
            elif one.kind == "instance":
                found |= self._iterate_instance(one, node)
            elif one.kind == "frame":
                found.add(self.new(node, "any", "row"))
            elif one.kind == "volatile":
                self.mutate([one])
                found |= self.part(one, Slot.ANY)
            else:
                found |= self.read([one])
                if one.kind in {"any", "set", "vars"}:
                    found |= fields.get(Slot.KEYS, EMPTY)
        return frozenset(found)

    def _iterate_instance(self, one: Obj, node: ast.AST) -> Points:
        me = frozenset([one])
        if method := self.find([one], "__iter__"):
            made = self.call_method(method, me, Arguments(), node)
            found = self.method(made, "__next__", Arguments(), node)
            return found | self.iterate(made - self.kinds(made, "instance"), node)
        if method := self.find([one], "__getitem__"):
            return self.call_method(method, me, Arguments([EMPTY]), node)
        if self.is_foreign(one):
            return frozenset(self.part(one, Slot.ANY))
        return self.read([one])

    # Names

    def bind(self, target: ast.expr, values: Points, node: ast.AST) -> None:
        """*target* gets a value."""
        match target:
            case ast.Name(id=name):
                self.assign(name, values, target)
            case ast.Starred(value=inner):
                self.bind(inner, self.fresh(target, "list", values), node)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                self._unpack(parts, values, node)
            case ast.Subscript():
                self._store_item(target, values, node)
            case ast.Attribute(value=inner, attr=attr):
                owner = self.target(inner)
                self.touch_at(owner, node, attr)
                self.write(owner, attr, values)
                if method := self.find(owner, "__setattr__"):
                    self.call_method(method, owner, Arguments([EMPTY, values]), node)
                self._set_through_class(owner, attr, values, node)
            case _:
                pass

    def _unpack(self, parts: Sequence[ast.expr], values: Points, node: ast.AST) -> None:
        plain = all(one.kind in {"tuple", "list", "any"} for one in values)
        star = next((n for n, one in enumerate(parts) if isinstance(one, ast.Starred)), len(parts))
        every = None
        for number, part in enumerate(parts):
            if plain and number < star:
                self.bind(part, self.read(values, number), node)
                continue
            if every is None:
                every = self.iterate(values, node)
            self.bind(part, every, node)

    def _store_item(self, target: ast.Subscript, values: Points, node: ast.AST) -> None:
        if (name := texts.namespace_key(target)) is not None:
            self.assign_global(name, values, target)
            return
        owner = self.target(target.value)
        if isinstance(target.slice, ast.Slice):
            self.value(target.slice)
            self.shift(owner)
            self.write(owner, Slot.ANY, self.iterate(self.kinds(values, *CONTAINERS, "iter"), node))
            return
        key, keys = self.key(target.slice)
        self.touch_at(owner, node, key=key)
        self.method(owner, "__setitem__", Arguments([keys, values]), node)
        self.write(owner, key, values, keys)

    def target(self, node: ast.expr) -> Points:
        """What an assignment or a method changes: its old value does not matter."""
        inner = node
        while isinstance(inner, ast.Attribute | ast.Subscript):
            inner = inner.value
        plain = isinstance(inner, ast.Name)
        self.updating += plain
        owner = self.value(node)
        self.updating -= plain
        return owner

    def key(self, node: ast.expr) -> tuple[object, Points]:
        """A constant key, or `Slot.ANY`; and the objects that it may be."""
        points = self.value(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bytes):
            value = node.value
            if not (isinstance(value, int) and value < 0):
                return value, EMPTY
        return Slot.ANY, points

    # Expressions

    def value(self, node: ast.AST | None) -> Points:
        """The objects that an expression may be."""
        if node is None:
            return EMPTY
        points: Points = self.visit(node)
        return points

    def generic_visit(self, node: ast.AST) -> Points:
        return self.every(ast.iter_child_nodes(node))

    def every(self, nodes: Iterable[ast.AST]) -> Points:
        """All objects that some expressions may be."""
        found: set[Obj] = set()
        for node in nodes:
            found |= self.value(node)
        return frozenset(found)

    def visit_Constant(self, _: ast.Constant) -> Points:
        return EMPTY

    def visit_Name(self, node: ast.Name) -> Points:
        return self.load(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> Points:
        return self.attribute(self.value(node.value), node.attr, node)

    def visit_Starred(self, node: ast.Starred) -> Points:
        return self.iterate(self.value(node.value), node)

    def visit_Lambda(self, node: ast.Lambda) -> Points:
        return frozenset([self.function(node, "lambda")])

    def visit_List(self, node: ast.List | ast.Tuple) -> Points:
        made = self.new(node, "list" if isinstance(node, ast.List) else "tuple")
        exact = len(node.elts) <= python_calls.EXACT
        for number, one in enumerate(node.elts):
            exact = exact and not isinstance(one, ast.Starred)
            if points := self.value(one):
                self.heap.link(made, number if exact else Slot.ANY, points)
        return frozenset([made])

    visit_Tuple = visit_List

    def visit_Set(self, node: ast.Set) -> Points:
        return self.fresh(node, "set", self.every(node.elts))

    def visit_Dict(self, node: ast.Dict) -> Points:
        made = self.new(node, "dict")
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            if key_node is None:
                python_calls.merge(self, made, self.value(value_node), node)
                continue
            key, keys = self.key(key_node)
            if values := self.value(value_node):
                self.heap.link(made, key, values)
            if keys:
                self.heap.link(made, Slot.KEYS, keys)
                self.identity(keys)
        return frozenset([made])

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Points:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.show(self.value(part.value), node)
                self.value(part.format_spec)
        return EMPTY

    def visit_Subscript(self, node: ast.Subscript) -> Points:
        if (named := texts.namespace_item(self, node)) is not None:
            return named
        owner = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            self.value(node.slice)
            return self._slice(node, owner)
        if isinstance(node.slice, ast.Tuple) and any(
            isinstance(one, ast.Slice) for one in node.slice.elts
        ):
            self.value(node.slice)
            views = [self.heap.view(one) for one in owner if one.kind in OPAQUE]
            return frozenset(views) | self.method(owner, "__getitem__", Arguments([EMPTY]), node)
        key, keys = self.key(node.slice)
        self.identity(keys)
        for one in owner:
            if one.kind == "path":
                self.touch(process_state.item(one.info, key), node)
        found: set[Obj] = set()
        fresh = _is_mask(node.slice)
        for one in owner:
            if fresh and one.kind in OPAQUE:
                tag, held = ("mask", one.kind), one.fields.get(Slot.ANY, EMPTY)
                found |= self.fresh(node, one.kind, held, tag=tag)
            else:
                found |= self.read([one], key)
        found |= self.method(owner, "__getitem__", Arguments([keys]), node)
        for one in owner:
            if one.kind == "dict" and (factory := one.fields.get(Slot.FACTORY)):
                made = self.call(frozenset(factory), Arguments(), node, maybe=True)
                self.write([one], key, made, keys)
                found |= made
        return frozenset(found)

    def _slice(self, node: ast.Subscript, owner: Points) -> Points:
        found: set[Obj] = set(self.method(owner, "__getitem__", Arguments([EMPTY]), node))
        for one in owner:
            if one.kind in OPAQUE:
                found.add(self.heap.view(one))
            elif one.kind != "instance":
                kind = one.kind if one.kind in CONTAINERS else "list"
                found |= self.fresh(node, kind, self.read([one]), tag=kind)
        return frozenset(found)

    def visit_IfExp(self, node: ast.IfExp) -> Points:
        self.truth(self.value(node.test), node)
        found, ends, guarded = EMPTY, [], len(self.guarded)
        for part, holds in ((node.body, True), (node.orelse, False)):
            self.guarded += texts.guarded_names(node.test, holds=holds)
            self.begin()
            found |= self.value(part)
            ends.append(self.end())
            del self.guarded[guarded:]
        self.flow.join(ends)
        return found

    def visit_BoolOp(self, node: ast.BoolOp) -> Points:
        first, *others = node.values
        found = self.value(first)
        self.truth(found, node)
        guarded, before = len(self.guarded), first
        for part in others:
            holds = isinstance(node.op, ast.And)
            self.guarded += texts.guarded_names(before, holds=holds)
            found |= self.optional(lambda part=part: self.value(part))  # type: ignore[misc]
            before = part
        del self.guarded[guarded:]
        return found

    def visit_Compare(self, node: ast.Compare) -> Points:
        texts.namespace_item(self, node)
        left = self.value(node.left)
        found: set[Obj] = set()
        for operator, part in zip(node.ops, node.comparators, strict=True):
            right = self.value(part)
            found |= self.compare(operator, left, right, node)
            left = right
        return frozenset(found)

    def compare(self, operator: ast.cmpop, left: Points, right: Points, node: ast.AST) -> Points:
        """Two values are compared."""
        if isinstance(operator, ast.Is | ast.IsNot):
            if left and right:
                self.observe(left | right)
            return EMPTY
        if isinstance(operator, ast.In | ast.NotIn):
            self.iterate(self.kinds(right, "iter", "instance", "volatile"), node)
            self.identity(left)
            self.method(right, "__contains__", Arguments([left]), node)
            name = "__eq__"
        else:
            name = f"__{_OPERATORS[type(operator)]}__"
            if left and right and name in {"__eq__", "__ne__"}:
                self.identity(left | right)
        both = left | right
        for one in self.heap.reach(both, Sight.CONTENTS):
            if one.kind == "instance":
                self.method([one], name, Arguments([both]), node)
        arrays = self.kinds(both, *MEMORY)
        return frozenset(self.new(node, one.kind, ("compared", one.kind)) for one in arrays)

    def visit_BinOp(self, node: ast.BinOp) -> Points:
        texts.percent_names(self, node)
        first, chain = operations(node)
        found = self.value(first)
        for one in chain:
            found = self.operate(one, type(one.op), found, self.value(one.right))
        return found

    def operate(self, node: ast.AST, operator: type[ast.AST], a: Points, b: Points) -> Points:
        """`a + b` and the like."""
        if not a and not b:
            return EMPTY
        name = _OPERATORS[operator]
        found = self.method(a, f"__{name}__", Arguments([b]), node)
        found |= self.method(b, f"__r{name}__", Arguments([a]), node)
        return found | self.combine(node, a, b)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Points:
        points = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            self.truth(points, node)
            return EMPTY
        found = self.method(points, "__neg__", Arguments(), node)
        return found | self.combine(node, self.kinds(points, *OPAQUE), EMPTY)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Points:
        points = self.value(node.value)
        self.assign(node.target.id, points, node.target, walrus=True)
        return points

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp) -> Points:
        elements, _ = self.comprehension(node, self.frame)
        return self.fresh(node, "list" if isinstance(node, ast.ListComp) else "set", elements)

    visit_SetComp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> Points:
        values, keys = self.comprehension(node, self.frame)
        return self.fresh(node, "dict", values, keys)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> Points:
        self.optional(lambda: self.comprehension(node, self.frame)[0])  # it runs as it is used
        made = self.new(node, "iter", "generator")
        made.info = ("generator", node, self.frame, self.cell)
        return frozenset([made])

    def visit_Yield(self, node: ast.Yield | ast.YieldFrom) -> Points:
        points = self.value(node.value)
        if isinstance(node, ast.YieldFrom):
            points = self.iterate(points, node)
        if self.frame is not None and (function := self.frame.function) is not None:
            function.returns |= points
        return EMPTY

    visit_YieldFrom = visit_Yield

    def visit_Await(self, node: ast.Await) -> Points:
        points = self.value(node.value)
        return points | self.iterate(self.kinds(points, "iter"), node)

    def comprehension(self, node: Comprehension, around: Frame | None) -> tuple[Points, Points]:
        """The elements (or values) of a comprehension, and the keys."""
        saved = self.frame, self.flow
        self.frame = around
        outermost = self.value(node.generators[0].iter)
        scope = self.scope(node)
        frame = self.frame = Frame("comprehension", scope, parent=around)
        for name in scope.captured:
            frame.cells[name] = self.new(node, "cell", ("cell", name))
        self.flow = Flow([*frame.spaces(), self.notebooks[-1][0]])
        elements: set[Obj] = set()
        keys: set[Obj] = set()

        def loop(number: int) -> None:
            if number == len(node.generators):
                if isinstance(node, ast.DictComp):
                    keys.update(self.value(node.key))
                    elements.update(self.value(node.value))
                    self.identity(keys)
                else:
                    elements.update(self.value(node.elt))
                return
            generator = node.generators[number]
            source = self.value(generator.iter) if number else outermost

            def turn() -> None:
                self.bind(generator.target, self.iterate(source, node), node)
                for test in generator.ifs:
                    self.truth(self.value(test), node)
                loop(number + 1)

            self.repeat(turn)

        loop(0)
        self.frame, self.flow = saved
        return frozenset(elements), frozenset(keys)

    # Attributes and classes

    def attribute(self, owner: Points, attr: str, node: ast.AST, *, called: bool = False) -> Points:
        """What `owner.attr` may be, which is *called* at once or not."""
        found: set[Obj] = set()
        if attr in self.patched:
            self._touch_class(owner, attr, node)
        if called and len(owner) > 1:
            for kind in sorted({one.kind for one in owner} & OPAQUE):
                found.add(library_calls.method_of(self, self.kinds(owner, kind), attr))
            owner = frozenset(one for one in owner if one.kind not in OPAQUE)
        for one in owner:
            if one.kind in {"module", "path"}:
                path = f"{one.info}.{attr}"
                self.events.owners.add(one.info)
                self.touch_use(path, node)
                if not called:
                    self.touch(process_state.loaded(path), node)
                    self.call_own(path, "loaded", Arguments(star=owner), node)
                crowded = self.heap.crowded
                found.add(one if crowded else self.heap.at(("path", path), "path", path))
            elif attr == "__dict__":
                found |= self.vars_of([one], node)
            elif attr == "__class__":
                found |= one.fields.get(Slot.CLASS, EMPTY)
            elif one.kind in OPAQUE:
                found |= library_calls.opaque_attribute(self, one, attr, called=called)
            else:
                found |= self._attribute_of(one, attr, node)
        return frozenset(found)

    def _set_through_class(self, owner: Points, attr: str, values: Points, node: ast.AST) -> None:
        """The setter of a property, or a descriptor, that the class of *owner* has is called."""
        for made in self.find(owner, attr):
            if isinstance(made.info, FunctionCode) and "setter" in made.info.kinds:
                self.call(frozenset([made]), Arguments([owner, values]), node, maybe=True)
            self.method([made], "__set__", Arguments([owner, values]), node)

    def _touch_class(self, owner: Points, attr: str, node: ast.AST) -> None:
        """An attribute that was set in a class of a library is used."""
        for state in self.patched[attr]:
            of_class = state.name.rpartition(".")[0].rpartition(".")[2][:1].isupper()
            if of_class and any(one.kind not in {"module", "path"} for one in owner):
                self.touch([Effect(state, False, Certainty.MAY)], node)

    def _attribute_of(self, one: Obj, attr: str, node: ast.AST) -> Points:  # noqa: C901, PLR0912
        fields = one.fields
        if attr in _MADE_OF.get(one.kind, ()):
            return frozenset([one]) | self.heap.held(one)
        found: set[Obj] = set()
        own: set[Obj] = set()
        if Slot.CLASS in fields or one.kind in {"class", "function", "cell", "exception"}:
            own |= fields.get(attr, EMPTY) | fields.get(Slot.ANY, EMPTY)
        if one.kind == "class":
            for base in self.heap.reach(fields.get(Slot.BASES, ()), Sight.CONTENTS):
                if base.kind == "class":
                    own |= base.fields.get(attr, EMPTY)
        found |= own if one.kind != "class" else EMPTY
        for made in self.find([one], attr) if one.kind != "class" else own:
            kinds = made.info.kinds if isinstance(made.info, FunctionCode) else None
            me = frozenset([one])
            if kinds is None or "staticmethod" in kinds:
                found.add(made)
                found |= self.method([made], "__get__", Arguments([me]), node)
            elif kinds & {"property", "cached_property"}:
                got = self.call(frozenset([made]), Arguments([me]), node)
                if "cached_property" in kinds:
                    self.heap.link(one, attr, got)
                    self.mutate(me, Certainty.GUESS)  # parallel steps compute the same
                found |= got
            elif "classmethod" in kinds:
                classes = me if one.kind == "class" else frozenset(fields.get(Slot.CLASS, EMPTY))
                found.add(self.bound(made, classes, node))
            elif one.kind == "class":
                found.add(made)
            else:
                found.add(self.bound(made, me, node))
        if one.kind in {"iter", "vars", "exception", *CONTAINERS}:
            if one.kind != "tuple" or attr not in fields:
                found.add(library_calls.method_of(self, frozenset([one]), attr))
        elif one.kind == "instance" and not found:
            if getter := self.find([one], "__getattr__"):
                found |= self.call_method(getter, frozenset([one]), Arguments([EMPTY]), node)
            elif self.is_foreign(one):
                found.add(library_calls.method_of(self, frozenset([one]), attr))
        elif one.kind == "class" and not found and self.is_foreign(one):
            found.add(library_calls.method_of(self, frozenset([one]), attr))
        return frozenset(found)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = self.every(node.bases)
        for keyword in node.keywords:
            self.value(keyword.value)
        made = self.new(node, "class", "class", node.name)
        self.heap.link(made, Slot.BASES, bases)
        if self.frame is None:
            self.definitions.setdefault(made, node.name)
        saved = self.frame, self.flow
        frame = Frame("class", self.scope(node), parent=self.frame, class_=made)
        self.frame = frame
        self.flow = Flow([*frame.spaces(), self.notebooks[-1][0]])
        self.block(node.body)
        self.frame, self.flow = saved
        for name, held in frame.names.values.items():
            self.heap.link(made, name, held)
            self.method(held, "__set_name__", Arguments([frozenset([made])]), node)
        self._parameters_of_data(made, node)
        points: Points = frozenset([made])
        for decorator in reversed(node.decorator_list):
            points = self.decorate(decorator, points, node)
        for base in bases:
            if base.kind == "path":
                hooked = f"{base.info}.__init_subclass__"
                self.call_own(hooked, "", Arguments(star=points), node)
            if hook := base.fields.get("__init_subclass__"):
                self.call_method(frozenset(hook), points, Arguments(), node)
        self.assign(node.name, points, node)

    def _parameters_of_data(self, made: Obj, node: ast.ClassDef) -> None:
        """The fields of a dataclass: its attributes with annotations, in their order."""
        fields: list[tuple[str, ast.expr | None]] = [
            (one.target.id, one.value)
            for one in node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        ]
        made.info = (node.name, fields)
        for name, value in fields:
            if isinstance(value, ast.Call):  # `field(default_factory=list)`
                for keyword in value.keywords:
                    if keyword.arg == "default_factory":
                        made.fields.pop(name, None)
                        self.heap.link(made, (Slot.FACTORY, name), self.value(keyword.value))

    def decorate(self, decorator: ast.expr, points: Points, node: ast.AST) -> Points:
        """What a decorator makes; those of libraries keep what they are given."""
        callees = self._callee(decorator)
        own = self.kinds(callees, "function", "bound", "class", "instance", "partial")
        own |= frozenset(one for one in callees if one.info == python_calls.DISPATCH)
        for one in self.kinds(callees, "path", "any") - own:
            then = "" if one.kind == "path" else "()"
            self.call_own(maker(one), then, Arguments(star=points), node)
        if own:
            return self.call(own, Arguments([points]), node)
        if isinstance(decorator, ast.Call):  # `@app.route("/")`
            for made in self.kinds(callees, "any"):
                for owner in made.fields.get(Slot.ORIGIN, ()):
                    self.heap.link(owner, Slot.ANY, points)
        elif self.kinds(callees, "any", "method"):
            self.call(callees, Arguments([points]), node)
        return points

    def instantiate(self, class_: Obj, args: Arguments, node: ast.AST) -> Points:
        """A class is called."""
        named = any(
            one.info == python_calls.NAMED for one in self.heap.reach([class_], Sight.CONTENTS)
        )
        made = self.new(node, "tuple" if named else "instance", ("new", class_))
        self.heap.link(made, Slot.CLASS, [class_])
        me = frozenset([made])
        if maker := self.find(me, "__new__"):
            me = self.kinds(self.call_method(maker, frozenset([class_]), args, node), "instance")
            me = me or frozenset([made])
        if method := self.find(me, "__init__"):
            self.call_method(method, me, args, node)
        else:
            self._fill(made, class_, args, node)
        if method := self.find(me, "__post_init__"):
            self.call_method(method, me, Arguments(), node)
        return me

    def _fill(self, made: Obj, class_: Obj, args: Arguments, node: ast.AST) -> None:
        """An instance without `__init__` of its own: a dataclass, or of a base of a library."""
        every = args.every()
        fields: list[tuple[str, ast.expr | None]] = []
        for one in [class_, *self.heap.reach(class_.fields.get(Slot.BASES, ()), Sight.CONTENTS)]:
            if one.kind == "class" and isinstance(one.info, tuple):
                fields = [*one.info[1], *fields]
            for name, factory in one.under(Slot.FACTORY).items():
                self.heap.link(made, name, self.call(factory, Arguments(), node))
        names = [name for name, _ in fields]
        if names and len(args.positions) <= len(names) and not args.star | args.rest:
            given = dict(zip(names, args.positions, strict=False)) | args.keywords
            for number, name in enumerate(names):
                if made.kind == "tuple":
                    points = given.setdefault(name, frozenset(class_.fields.get(name, EMPTY)))
                    self.heap.link(made, number, points)
            for name, points in given.items():
                self.heap.link(made, name, points)
        elif every:
            self.heap.link(made, Slot.ANY, every | self.iterate(every, node))

    # Functions

    def function(self, node: Function, name: str, kinds: Iterable[str] = ()) -> Obj:
        """A function is made: its default values are evaluated now."""
        scope = self.scope(node)
        assert self.cell is not None
        made = self.new(node, "function", "function")
        if made.info is None:
            yields = not isinstance(node, ast.Lambda) and _yields(node)
            made.info = FunctionCode(node, self.cell, scope, name, frozenset(kinds), yields)
        arguments = node.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        defaults = [
            *zip(reversed(names), reversed(arguments.defaults), strict=False),
            *zip((one.arg for one in arguments.kwonlyargs), arguments.kw_defaults, strict=True),
        ]
        for parameter, default in defaults:
            self.heap.link(made, (Slot.DEFAULT, parameter), self.value(default))
        if not isinstance(node, ast.Lambda):
            self.guards += 1  # annotations are not evaluated in every version of Python
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            for one in (*every, arguments.vararg, arguments.kwarg):
                self.value(one and one.annotation)
            self.value(node.returns)
            self.guards -= 1
        frame = self.frame
        while frame is not None:
            for cells in (frame.cells, frame.outer):
                for captured, cell in cells.items():
                    slot = (Slot.CELL, captured)
                    if captured not in scope.local and slot not in made.fields:
                        self.heap.link(made, slot, [cell])
            frame = frame.around
        return made

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        named = [(one, last_name(one)) for one in node.decorator_list]
        kinds = [name for _, name in named if name in _KINDS]
        made = self.function(node, node.name, kinds)
        if self.frame is None:
            self.definitions.setdefault(made, node.name)
        points: Points = frozenset([made])
        for decorator, name in reversed(named):
            if name in {"setter", "getter", "deleter"} and isinstance(decorator, ast.Attribute):
                points = self.value(decorator.value) | points
            elif name not in _KINDS:
                points = self.decorate(decorator, points, node)
        self.assign(node.name, points, node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def given(self, function: Obj, args: Arguments) -> dict[str, Points]:
        """What each parameter of a function gets."""
        code: FunctionCode = function.info
        arguments = code.node.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        found: dict[str, Points] = {}
        for number, name in enumerate((*names, *(one.arg for one in arguments.kwonlyargs))):
            at = number < len(names) and number < len(args.positions)
            points = args.positions[number] if at else args.keywords.get(name)
            if points is None:
                points = frozenset(function.fields.get((Slot.DEFAULT, name), EMPTY)) | args.rest
            if number < len(names) and not at:
                points |= args.star
            found[name] = points
        if arguments.vararg:
            rest = EMPTY.union(args.star, *args.positions[len(names) :])
            found[arguments.vararg.arg] = self.fresh(code.node, "tuple", rest, tag="star")
        if arguments.kwarg:
            others = (points for name, points in args.keywords.items() if name not in found)
            rest = EMPTY.union(args.rest, *others)
            found[arguments.kwarg.arg] = self.fresh(code.node, "dict", rest, tag="keywords")
        return found

    def invoke(
        self, function: Obj, args: Arguments, node: ast.AST, *, lazily: bool = False
    ) -> Points:
        """A function of the notebook is called; a generator only as it is used."""
        code: FunctionCode = function.info
        if code.yields and not lazily:
            return frozenset([python_calls.generator(self, function, args, node)])
        self.work += 1
        if self.work > 4 * _WORK:  # whatever it does
            self.guess(args.every())
            return args.every() | {self.new(node, "any", "unknown")}
        if self.work > _WORK:
            return self._summarized(function, args)
        saved = self.context
        self.context = (*saved, node)[-2:]
        try:
            return self._recursively(function, self.given(function, args))
        finally:
            self.context = saved

    def _recursively(self, function: Obj, given: dict[str, Points]) -> Points:
        active = self.active.get(function)
        if active is not None:  # it calls itself
            active.entered = True
            for name, points in given.items():
                known = active.given.get(name, EMPTY)
                if not points <= known:
                    active.given[name] = known | points
                    active.again = True
            return active.returns
        active = self.active[function] = Active(given)
        for _ in range(ROUNDS):
            active.again = False
            version, known = self.heap.version, active.returns
            active.returns |= self._body(function, dict(active.given))
            settled = active.returns == known and self.heap.version == version
            if not active.entered or (settled and not active.again) or self.heap.crowded:
                break
        del self.active[function]
        return active.returns

    def _body(self, function: Obj, given: dict[str, Points]) -> Points:
        code: FunctionCode = function.info
        scope = code.scope
        frame = Frame("function", scope)
        parameters = code.node.args
        frame.first = next((one.arg for one in (*parameters.posonlyargs, *parameters.args)), "")
        for name, cells in function.under(Slot.CELL).items():
            frame.outer[name] = next(iter(cells))
        for name in sorted(scope.captured):
            cell = self.new(code.node, "cell", ("cell", name))
            frame.cells[name] = cell
            self.heap.link(cell, Slot.VALUE, given.get(name, EMPTY))
        frame.names.values = given
        saved = self.frame, self.flow, self.loops, self.cell, self.through
        self.frame, self.loops, self.cell = frame, [], code.cell
        if not isinstance(code.node, ast.Lambda):
            self.through = code.name
        self.flow = Flow([frame.names, self.notebooks[-1][0]])
        self.flow.begin()
        if isinstance(code.node, ast.Lambda):
            frame.returns |= self.value(code.node.body)
        else:
            self.block(code.node.body)
        end = self.flow.end()
        self.flow.join([end, *frame.exits])
        self.frame, self.flow, self.loops, self.cell, self.through = saved
        return frame.returns

    def _summarized(self, function: Obj, args: Arguments) -> Points:
        """A call by the one summary of the function."""
        if function in self.active:
            return self.active[function].returns
        known = self.summaries.get(function)
        if known is None:
            known = self.summaries[function] = self._summary(function, args)
        else:
            self.guess(args.every())
            known.returns |= args.every()
        for _, events in self.notebooks:
            events.add(known.events, Certainty.MAY)
        names, events = self.notebooks[-1]
        for name, read in known.events.uses.items():
            if name not in names.bound:
                events.note_use(name, read)
        events.used |= known.events.used
        events.binds.update(known.events.binds)
        for name, (held, _) in known.end.items():
            names.put(name, (names.values.get(name) or EMPTY) | (held or EMPTY), bound=False)
            names.own.add(name)
        return known.returns

    def _summary(self, function: Obj, args: Arguments) -> Summary:
        context, self.context = self.context, ()
        given = self.given(function, args)
        self.active[function] = Active(given)
        names, events = self.notebooks[-1]
        found = Events()
        self.notebooks[-1] = names, found
        before = self.escaped, self.compared
        self.escaped, self.compared = set(), set()
        self.flow.begin()
        returns = self._body(function, dict(given))
        self.end_statement()
        end = self.flow.end() or self.unchanged()
        self.escaped, self.compared = before
        self.context = context
        self.notebooks[-1] = names, events
        del self.active[function]
        return Summary(returns, found, end[-1])

    # Calls

    def visit_Call(self, node: ast.Call) -> Points:
        if self.frame is not None:
            return self._call(node)
        before, self.top = self.top, self.spot(node)
        made = self._call(node)
        self.top = before
        return made

    def _call(self, node: ast.Call) -> Points:
        if (special := texts.special_call(self, node)) is not None:
            return special
        func = node.func
        if (methods := self._super(node)) is not None:
            callees, first = methods
        else:
            callees, first = self._callee(func), None
        args = Arguments()
        if first is not None:
            args.positions.append(first)
        star: set[Obj] = set()
        starred = False
        for one in node.args:
            if isinstance(one, ast.Starred):
                star |= self.iterate(self.value(one.value), node)
                starred = True
            elif starred:
                star |= self.value(one)
            else:
                args.positions.append(self.value(one))
                args.constants.append(one.value if isinstance(one, ast.Constant) else Slot.ANY)
        args.star = frozenset(star)
        for keyword in node.keywords:
            points = self.value(keyword.value)
            if keyword.arg is None:
                args.rest |= self.read(points)
            else:
                args.keywords[keyword.arg] = points
                constant = isinstance(keyword.value, ast.Constant)
                args.flags[keyword.arg] = keyword.value.value if constant else Slot.ANY  # type: ignore[attr-defined]
        texts.names_in_arguments(self, node, callees)
        return self.call(callees, args, node)

    def _callee(self, func: ast.expr) -> Points:
        if isinstance(func, ast.Attribute):
            look = self.target if func.attr in python_calls.MUTATORS else self.value
            return self.attribute(look(func.value), func.attr, func, called=True)
        return self.value(func)

    def _super(self, node: ast.Call) -> tuple[Points, Points] | None:
        """The methods of `super().name(...)`, and their object."""
        func = node.func
        if not (
            isinstance(func, ast.Attribute)
            and isinstance(func.value, ast.Call)
            and isinstance(func.value.func, ast.Name)
            and func.value.func.id == "super"
        ):
            return None
        function = self.frame.function if self.frame is not None else None
        me = self.load(function.first, node) if function is not None and function.first else EMPTY
        found: set[Obj] = set()
        for one in me:
            classes = one.fields.get(Slot.CLASS, EMPTY) if one.kind == "instance" else {one}
            for class_ in self.heap.reach(classes, Sight.CONTENTS):
                for base in class_.fields.get(Slot.BASES, ()):
                    found |= base.fields.get(func.attr, EMPTY)
        if not found:
            found.add(self.heap.at(("path", "super", func.attr), "path", f"super.{func.attr}"))
        return frozenset(found), me

    def call(
        self, callees: Points, args: Arguments, node: ast.AST, *, maybe: bool = False
    ) -> Points:
        """What is called may be any of *callees*; *maybe* it is not called at all."""
        if not callees:  # a method of a text or a number
            self.iterate(self.kinds(args.every(), "iter"), node)
            self.show(args.every(), node)
            splits = isinstance(node, ast.Call) and "split" in last_name(node.func)
            return self.fresh(node, "list", tag="text") if splits else EMPTY
        if len(callees) == 1 and not maybe:
            return self._call_one(next(iter(callees)), args, node)
        found: set[Obj] = set()
        ends: list[End | None] = [self.unchanged()] if maybe else []
        for one in sorted(callees):
            self.begin()
            found |= self._call_one(one, args, node)
            ends.append(self.end())
        self.flow.join(ends)
        return frozenset(found)

    def _call_one(self, callee: Obj, args: Arguments, node: ast.AST) -> Points:  # noqa: PLR0911
        fields = callee.fields
        match callee.kind:
            case "function":
                return self.invoke(callee, args, node)
            case "bound":
                owner = frozenset(fields[Slot.OWNER])
                return self.call(frozenset(fields[Slot.FUNC]), args.after(owner), node)
            case "class":
                return self.instantiate(callee, args, node)
            case "path" | "module":
                if callee.info in _EXITS and self.frame is None:
                    self.flow.dead = True
                effects = process_state.called(callee.info, args.constants, args.flags)
                self.touch(effects, node)
                self.call_own(callee.info, "", args, node)
                return library_calls.call_path(self, callee.info, args, node)
            case "method":
                makers = {maker(one) for one in fields[Slot.OWNER]}
                bases = self.heap.reach(self.kinds(fields[Slot.OWNER], "instance"), Sight.CONTENTS)
                makers |= {one.info for one in bases if one.kind == "path"}
                for path in sorted(makers):
                    effects = process_state.method_called(path, callee.info, args.flags)
                    self.touch(effects, node)
                    self.call_own(path, callee.info, args, node)
                return library_calls.call_method(self, callee, args, node)
            case "partial":
                return self.call(frozenset(fields[Slot.FUNC]), args.with_kept(callee), node)
            case "instance" if method := self.find([callee], "__call__"):
                return self.call_method(method, frozenset([callee]), args, node)
            case _:
                effects = process_state.called(maker(callee), (), args.flags)
                self.touch(effects, node)
                self.call_own(maker(callee), "()", args, node)
                return library_calls.call_object(self, callee, args, node)

    # Statements

    def block(self, code: Iterable[ast.stmt]) -> None:
        """Statements, in their order."""
        for node in code:
            if self.flow.dead:
                # `exit()` in a file that `%run` names ends that file only.
                file_ends = isinstance(node, ast.Expr) and (run_line(node.value) or ("", ""))[1]
                self.flow.dead = not file_ends
            if self.flow.dead:
                continue
            if self.frame is None:
                self.top = self.spot(node)
            self.visit(node)
            if self.frame is None:
                self.end_statement()

    def visit_Assign(self, node: ast.Assign) -> None:
        points = self.value(node.value)
        for one in node.targets:
            self.bind(one, points, node)
            if isinstance(one, ast.Name) and isinstance(node.value, ast.Constant | ast.JoinedStr):
                self.literals.setdefault(one.id, []).extend(texts.literals(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if self.frame is None or self.frame.kind == "class":
            self.guards += 1
            self.value(node.annotation)
            self.guards -= 1
        if node.value is not None:  # `x: int` alone binds nothing
            self.bind(node.target, self.value(node.value), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:  # noqa: C901  one case a kind of object
        target = node.target
        self.updating += 1
        if isinstance(target, ast.Name):
            old = self.load(target.id, target)
        elif isinstance(target, ast.Attribute):
            old = self.attribute(self.value(target.value), target.attr, target)
        else:
            old = self.visit_Subscript(target)
        self.updating -= 1
        operand, name = self.value(node.value), _OPERATORS[type(node.op)]
        made: set[Obj] = set()
        for one in old:
            me = [one]
            if one.kind == "instance":
                found = self.method(me, f"__i{name}__", Arguments([operand]), node)
                made |= found or self.method(me, f"__{name}__", Arguments([operand]), node)
                if not found and not made:
                    self.mutate(me, Certainty.MAY)
                    made.add(one)
            elif one.kind in {"list", "dict", "set", "iter", "vars"}:
                mappings = self.kinds(operand, "dict", "vars")
                self.write(
                    me,
                    Slot.ANY,
                    self.iterate(operand, node) | self.read(mappings),
                    self.iterate(mappings, node),
                )
                made.add(one)
            elif one.kind in OPAQUE:  # a list or an array is changed, a number or a table is not
                self.mutate(me, Certainty.SURE if one.kind == "array" else Certainty.MAY)
                if one.kind == "any":
                    self.heap.link(one, Slot.ANY, self.iterate(self.kinds(operand, "list"), node))
                made.add(one)
                if one.kind != "array":
                    made |= self.combine(node, frozenset(me), operand)
            else:
                made |= self.operate(node, type(node.op), frozenset(me), operand)
        if not old:
            made |= self.operate(node, type(node.op), EMPTY, operand)
        self.updating += 1
        self.bind(target, frozenset(made), node)
        self.updating -= 1

    def visit_Delete(self, node: ast.Delete) -> None:
        todo = list(node.targets)
        while todo:
            match target := todo.pop(0):
                case ast.Tuple(elts=parts) | ast.List(elts=parts):
                    todo = [*parts, *todo]
                case ast.Name(id=name):
                    self.load(name, target)  # a use, too
                    self.forget(name, target)
                case ast.Subscript(value=inner, slice=key):
                    owner = self.target(inner)
                    constant, keys = self.key(key)
                    self.touch_at(owner, node, key=constant)
                    self.identity(keys)
                    self.shift(owner)
                    self.mutate(owner)
                    self.method(owner, "__delitem__", Arguments([EMPTY]), node)
                case ast.Attribute(value=inner):
                    self.mutate(self.value(inner))
                case _:
                    pass

    def visit_Import(self, node: ast.Import) -> None:
        for one in node.names:
            name = bound_by(one)
            self.assign(name, self.module(one.name if one.asname else name, node), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if not node.level:
            self.touch(process_state.imported(node.module or ""), node)
        for one in node.names:
            if one.name == "*":
                self.stars.append(node.module or "")
            else:
                path = f"{node.module or ''}.{one.name}"
                self.touch_use(path, node)
                made = self.heap.at(("path", path), "path", path)
                self.assign(bound_by(one), frozenset([made]), node)

    def visit_Return(self, node: ast.Return) -> None:
        points = self.value(node.value)
        if self.frame is not None:
            self.frame.returns |= points
            self.frame.exits.append(self.flow.here(0))
        self.flow.dead = True

    def visit_Raise(self, node: ast.Raise) -> None:
        self.raised |= self.kinds(self.value(node.exc), "exception", "instance")
        self.value(node.cause)
        self.flow.dead = True

    def visit_If(self, node: ast.If) -> None:
        if _always(node.test):
            self.value(node.test)
            self.block(node.body)
            return
        ends: list[End | None] = []
        guarded = len(self.guarded)
        rest: list[ast.stmt] = [node]
        while len(rest) == 1 and isinstance(branch := rest[0], ast.If):  # `elif`, any number
            test = branch.test
            points = self.optional(lambda test=test: self.value(test)) if ends else self.value(test)  # type: ignore[misc]
            self.truth(points, branch)
            before = len(self.guarded)
            self.guarded += texts.guarded_names(test, holds=True)
            self.begin()
            self.block(branch.body)
            ends.append(self.end())
            del self.guarded[before:]
            self.guarded += texts.guarded_names(test, holds=False)
            rest = branch.orelse
        self.begin()
        self.block(rest)
        ends.append(self.end())
        del self.guarded[guarded:]
        self.flow.join(ends)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        source = self.value(node.iter)
        self._loop(
            lambda: self.bind(node.target, self.iterate(source, node), node), node.body, node.orelse
        )

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        forever = isinstance(node.test, ast.Constant) and bool(node.test.value)
        self.truth(self.value(node.test), node)
        self._loop(
            lambda: self.truth(self.value(node.test), node),
            node.body,
            node.orelse,
            forever=forever,
        )

    def _loop(
        self,
        head: Callable[[], None],
        body: Sequence[ast.stmt],
        orelse: Sequence[ast.stmt],
        *,
        forever: bool = False,
    ) -> None:
        loop = Loop(self.flow.depth())
        self.loops.append(loop)

        def turn() -> None:
            head()
            self.block(body)

        self.repeat(turn, loop)
        self.loops.pop()
        ends: list[End | None] = [*loop.breaks]
        if not forever:
            self.begin()
            self.block(orelse)
            ends.append(self.end())
        self.flow.join(ends)

    def visit_Break(self, node: ast.Break | ast.Continue) -> None:
        loop = self.loops[-1]
        ends = loop.breaks if isinstance(node, ast.Break) else loop.continues
        ends.append(self.flow.here(loop.depth))
        self.flow.dead = True

    visit_Continue = visit_Break

    def visit_Assert(self, node: ast.Assert) -> None:
        self.truth(self.value(node.test), node)
        self.value(node.msg)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        guarded = any(catches(one, _CATCHES_NAMES) for one in node.handlers)
        self.guards += guarded
        self.flow.watch()
        self.flow.begin()
        states = self.events.states
        before = {state for state, use in states.items() if use.sets is Certainty.SURE}
        self.block(node.body)
        for state in states.keys() - before if node.handlers else ():  # it may end before that
            states[state].sets = min(states[state].sets, Certainty.MAY)
        watched = self.flow.unwatch()
        self.guards -= guarded
        self.block(node.orelse)
        ends = [self.flow.end()]
        for handler in node.handlers:
            self.begin()
            self.flow.may_have(watched)
            self.value(handler.type)
            if handler.name is not None:
                error = self.fresh(handler, "exception")
                self.assign(handler.name, error | self.raised, handler)
            self.block(handler.body)
            if handler.name is not None and not self.flow.dead:
                self.forget(handler.name, handler)
            ends.append(self.end())
        self.flow.join(ends)
        if self.flow.dead and node.finalbody:
            self.flow.dead = False
            self.begin()
            self.flow.may_have(watched)
            self.block(node.finalbody)
            self.end()
            self.flow.dead = True
        else:
            self.block(node.finalbody)

    visit_TryStar = visit_Try

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        managers: list[Points] = []
        for item in node.items:
            manager = self.value(item.context_expr)
            managers.append(manager)
            for one in self.kinds(manager, "any"):
                for hook in ("__enter__", "__exit__"):
                    self.call_own(maker(one), hook, Arguments(), node)
            entered = self.method(manager, "__enter__", Arguments(), node)
            entered |= self.iterate(self.kinds(manager, "iter"), node)
            entered |= frozenset(
                one for one in manager if one.kind != "iter" and not self.find([one], "__enter__")
            )
            if item.optional_vars is not None:
                self.bind(item.optional_vars, entered, node)
        if any(self.kinds(one, "exception") or self.find(one, "__exit__") for one in managers):
            self.flow.watch()
            self.begin()
            self.block(node.body)
            end = self.end()
            watched = self.flow.unwatch()
            self.begin()
            self.flow.may_have(watched)
            self.flow.join([end, self.end()])
        else:
            self.block(node.body)
        for points in managers:
            dead, self.flow.dead = self.flow.dead, False
            self.method(points, "__exit__", Arguments([EMPTY] * 3), node)
            self.iterate(self.kinds(points, "iter"), node)
            self.flow.dead = dead

    visit_AsyncWith = visit_With

    def visit_Match(self, node: ast.Match) -> None:
        subject, ends = self.value(node.subject), []
        for case in node.cases:
            self.begin()
            self._pattern(case.pattern, subject)
            if case.guard is not None:
                self.truth(self.value(case.guard), node)
            self.block(case.body)
            ends.append(self.end())
        last = node.cases[-1]
        whole = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        if not whole or last.guard is not None:
            ends.append(self.unchanged())
        self.flow.join(ends)

    def _pattern(self, pattern: ast.pattern, subject: Points) -> None:
        """The names in a pattern may be all that is in the subject, at any depth."""
        parts = [*ast.walk(pattern)]
        same = any(isinstance(part, ast.MatchClass | ast.MatchOr) for part in parts)
        inner = more = self.read(subject) | (subject if same else EMPTY)
        while more := self.read(more) - inner:
            inner |= more
        for part in parts:
            match part:
                case ast.MatchAs(name=str(name)):
                    self.assign(name, subject if part is pattern else inner, part)
                case ast.MatchStar(name=str(name)):
                    self.assign(name, self.fresh(part, "list", inner), part)
                case ast.MatchMapping(rest=str(name)):
                    self.assign(name, self.fresh(part, "dict", inner), part)
                case ast.expr():
                    self.value(part)
                case _:
                    pass

    def code_in_text(self, text: str, node: ast.AST) -> Points:
        """Code in a text, which runs where *node* stands; the value of an expression."""
        known = self.in_texts.get(node)
        if known is None:
            try:
                tree = ast.parse(text.strip())
                scopes = scopes_of(text.strip(), tree)
            except (SyntaxError, ValueError, RecursionError):
                return EMPTY
            for part in ast.walk(tree):
                ast.copy_location(part, node)
            known = self.in_texts[node] = tree, scopes
        tree, scopes = known
        assert self.cell is not None
        self.scope(node)
        self.scopes[self.cell].update(scopes)
        self.guards += 1
        found = EMPTY
        if len(tree.body) == 1 and isinstance(expression := tree.body[0], ast.Expr):
            found = self.value(expression.value)
        else:
            self.block(tree.body)
        self.guards -= 1
        return found


def _is_mask(node: ast.expr) -> bool:
    """Whether a subscript selects many: the result is a copy."""
    match node:
        case ast.Compare() | ast.BoolOp() | ast.List() | ast.ListComp():
            return True
        case ast.UnaryOp(op=ast.Invert()):
            return True
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            return True
        case ast.Call(func=ast.Attribute(attr=attr)):
            return library.method("masks", attr)
        case _:
            return False


def _yields(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    todo: list[ast.AST] = [*function.body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            todo += ast.iter_child_nodes(node)
    return False


def _always(test: ast.expr) -> bool:
    """Whether a test holds in every step: a constant, or `__name__ == "__main__"`."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if not isinstance(test, ast.Compare):
        return False
    return ast.unparse(test) in {"__name__ == '__main__'", "'__main__' == __name__"}
