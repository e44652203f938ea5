"""What functions of the user's own modules do with variables of modules.

These have their first values again in each step. A module runs like a shared cell; then each
function of it that the notebook calls runs once, for arguments of which nothing is known.
"""

import ast
import posixpath
from collections.abc import Iterable, Sequence

from kale_tag.analysis.heap import Certainty, Heap, Obj, Points, Sight, Slot, is_fixed
from kale_tag.analysis.interpreter import Interpreter
from kale_tag.analysis.machine import BUILTINS, Arguments
from kale_tag.analysis.names import Names
from kale_tag.analysis.process_state import (
    Effect,
    ModuleAccess,
    Modules,
    State,
    assigned,
    is_attribute,
)
from kale_tag.analysis.python_calls import MUTATORS
from kale_tag.code.local_modules import LocalCode
from kale_tag.code.source import Parsed
from kale_tag.diagnostics import Source, UserError
from kale_tag.kale.pipeline import Code

_GIVEN, _MADE = "__given__", "__made__"
_AGAIN = frozenset(["update", "add", "discard", "clear", "setdefault", "sort"])
"""Methods that come to the same if they are called again."""

_CHANGES = MUTATORS | {"set", "register"}
"""Methods that change their object, also one of a library, such as a context variable."""

_COST = 4
"""What a call costs here, where nothing is known of the arguments; in a cell it is 1."""

_MISSING = frozenset(["KeyError", "AttributeError", "NameError", "LookupError"])


class OwnModules(Modules):
    """The user's own modules, and what is known of their code."""

    def __init__(self, local: LocalCode) -> None:
        """Read nothing yet."""
        files = local.files
        self.sources = {_module(path): one for path, one in files.items() if path.endswith(".py")}
        self.packages = {_module(path) for path in files if path.endswith("__init__.py")}
        self.unread = frozenset(local.modules.keys() - self.tops)
        self.runs: dict[str, _ModuleRun] = {}
        self.known: dict[tuple[str, str], Sequence[ModuleAccess]] = {}

    def accesses(self, path: str, then: str = "") -> Sequence[ModuleAccess]:
        """What a call of the function *path* does, and what it returned."""
        key = path, then
        if key not in self.known:
            self.known[key] = ()  # it may call itself
            module, rest = self._split(path)
            if rest:
                self.known[key] = self.run(module).accesses(rest, then)
        return self.known[key]

    def names(self, module: str) -> Iterable[str]:
        """The names of a module that do not begin with `_`."""
        given = self.run(module).globals if module in self.sources else {}
        return {name for name in given if not name.startswith("_")}

    def resolved(self, path: str) -> str:
        """Where the object *path* is, through all imports."""
        for _ in range(len(self.sources)):
            module, rest = self._split(path)
            first, dot, last = rest.partition(".")
            points = self.run(module).globals.get(first, ()) if first else ()
            other = next((one for one in points if one.kind in {"path", "module"}), None)
            if other is None or other.info.partition(".")[0] not in self.tops:
                break
            path = f"{other.info}{dot}{last}"
        return path

    def has(self, path: str) -> bool:
        """Whether *path* is something in one of these modules."""
        return self._split(path)[1] != ""

    @property
    def tops(self) -> set[str]:
        """The modules, and packages, whose code is known."""
        return {name.partition(".")[0] for name in self.sources}

    def _split(self, path: str) -> tuple[str, str]:
        """The module in *path*, and what is left; ("", "") if it is in another."""
        module = path
        while module and module not in self.sources:
            module = module.rpartition(".")[0]
        return module, path[len(module) + 1 :] if module else ""

    def run(self, module: str) -> "_ModuleRun":
        """The run of a module."""
        if module not in self.runs:
            package = module if module in self.packages else module.rpartition(".")[0]
            self.runs[module] = made = _ModuleRun(self, module, package)
            made.run_module(self.sources[module])
        return self.runs[module]


class _ModuleRun(Interpreter):
    """The run of one module, and of its functions."""

    def __init__(self, own: OwnModules, name: str, package: str) -> None:
        super().__init__(Heap(), own)
        self.name, self.package = name, package
        self.modules = own
        self.names = Names()
        self.globals: dict[str, Points] = {}
        self.owners: dict[Obj, list[str]] = {}  # the names that reach each object
        self.found: dict[ModuleAccess, None] | None = None  # None while nothing counts
        self.making: frozenset[str] = frozenset()  # what the functions that run make if missing
        self.makers: dict[ast.AST, frozenset[str]] = {}
        self.how = "grow"

    def run_module(self, source: Source) -> None:
        """Run the module; the step that imports it reports a syntax error."""
        try:
            self._run_code(source.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError, UserError):
            return
        self.globals = dict(self.names.values)

    def _run_code(self, text: str) -> None:
        self.owners = {}
        for name, points in self.names.values.items() if self.found is not None else ():
            for one in self.heap.reach(points or (), Sight.CONTENTS):
                if not is_fixed(one) and name != _MADE:
                    self.owners.setdefault(one, []).append(name)
        code = Code(-1, text, text, "file", self.name)
        self.run([Parsed(self.name, code, ast.parse(text))], self.names)

    def accesses(self, path: str, then: str) -> Sequence[ModuleAccess]:
        """See `Modules.accesses`."""
        self.names.values = dict(self.globals)
        self.names.bound, self.names.own = set(), set()
        call = f"(*{_GIVEN}, **{_GIVEN})"
        steps = [f"{path}{call}"]
        if then == "loaded":
            self._run_code(f"{_MADE} = {path}")
            functions = self.kinds(self.names.values[_MADE] or (), "function", "bound")
            steps = [f"if {_GIVEN}: {_MADE}{call}"] if functions else [_MADE]
        elif then:
            method = "" if then == "()" else f".{then}"
            steps = [f"{_MADE} = {path}{call}", f"{_MADE}{method}{call}"]
            if then == "__setitem__":
                steps[1] = f"{_MADE}[{_GIVEN}] = {_GIVEN}"
        try:
            for step in steps:
                self.found = {}
                self.summaries.clear()
                self._run_code(step)
            return tuple(self.found or ())
        except (SyntaxError, ValueError, RecursionError, MemoryError, UserError):
            return ()
        finally:
            self.found = None

    def note(self, variable: str, how: str) -> None:
        """The code does something with the variable of a module."""
        if self.found is not None:
            certainty = Certainty.MAY if self.unsure and how != "make" else Certainty.SURE
            effect = Effect(State(variable), how not in {"use", "reuse"}, certainty)
            self.found.setdefault(ModuleAccess(how, effect))

    # What the code does

    def load_global(self, name: str, node: ast.AST) -> Points:
        points = super().load_global(name, node)
        if name not in BUILTINS and name not in {_GIVEN, _MADE} and not self.updating:
            self.note(f"{self.name}.{name}", "reuse" if name in self.making else "use")
            for one in points:
                if one.kind == "path":
                    self.touch_use(one.info, node)
        return points

    def assign_global(self, name: str, points: Points, node: ast.AST) -> None:
        if self.frame is not None:
            how = "make" if name in self.making else "grow" if self.updating else "bind"
            self.note(f"{self.name}.{name}", how)
        super().assign_global(name, points, node)

    def bind(self, target: ast.expr, values: Points, node: ast.AST) -> None:
        before = self.how
        if isinstance(target, ast.Subscript | ast.Attribute) and not self.updating:
            self.how = "store"
        if isinstance(target, ast.Attribute) and f".{target.attr}" in self.making:
            self.how = ""
        super().bind(target, values, node)
        self.how = before

    def mutate(self, objects: Iterable[Obj], certainty: Certainty = Certainty.SURE) -> None:
        objects = list(objects)
        super().mutate(objects, certainty)
        owners = [self.owners.get(one, ()) for one in objects]
        # If it may as well be something else, most often it is.
        if self.how and certainty is Certainty.SURE and all(owners):
            for name in (name for names in owners for name in names):
                made = self.how == "store" and name in self.making
                self.note(f"{self.name}.{name}", "make" if made else self.how)

    def touch_use(
        self, path: str, node: ast.AST, *, again: bool = False, bound: bool = False
    ) -> None:
        del node, bound
        path = self.modules.resolved(path)
        if not self.updating and self.modules.has(path):
            self.note(path, "reuse" if again else "use")

    def touch_at(self, owner: Points, node: ast.AST, attr: str = "", key: object = None) -> None:
        for one in self.kinds(owner, "module", "path"):
            path = self.modules.resolved(one.info)
            path = f"{path}.{attr}" if attr else path
            if self.modules.has(path):
                self.note(path, "grow" if self.updating else "bind" if attr else "store")
            else:
                self.touch([assigned(path, key)], node)

    def touch(self, effects: Iterable[Effect], node: ast.AST) -> None:
        effects = list(effects)
        super().touch(effects, node)
        for one in effects if self.found is not None else ():
            if one.certainty is not Certainty.GUESS and not is_attribute(one.state):
                assert self.found is not None
                certainty = min(one.certainty, Certainty.MAY) if self.unsure else one.certainty
                self.found.setdefault(ModuleAccess("", one._replace(certainty=certainty)))

    def access(self, access: ModuleAccess, call: str, node: ast.AST) -> None:
        del call, node
        if self.found is not None:
            certainty = min(
                access.effect.certainty, Certainty.MAY if self.unsure else Certainty.SURE
            )
            effect = access.effect._replace(certainty=certainty)
            self.found.setdefault(access._replace(effect=effect))

    def _call_one(self, callee: Obj, args: Arguments, node: ast.AST) -> Points:
        before = self.how
        if callee.kind == "method" and callee.info in _AGAIN:
            self.how = "store"
        if callee.kind == "method" and callee.info in _CHANGES:
            self.mutate(callee.fields[Slot.OWNER])
        found = super()._call_one(callee, args, node)
        self.how = before
        return found

    def invoke(
        self, function: Obj, args: Arguments, node: ast.AST, *, lazily: bool = False
    ) -> Points:
        self.work += _COST - 1
        return super().invoke(function, args, node, lazily=lazily)

    def _body(self, function: Obj, given: dict[str, Points]) -> Points:
        before, how = self.making, self.how
        node = function.info.node
        if node not in self.makers:
            self.makers[node] = frozenset(_made_if_missing(node))
        self.making, self.how = before | self.makers[node], "grow"
        found = super()._body(function, given)
        if any("cache" in ast.unparse(one) for one in getattr(node, "decorator_list", ())):
            self.heap.link(function, Slot.VALUE, found)
        self.making, self.how = before, how
        return found

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level:
            package = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            module = ".".join([*package, *([node.module] if node.module else [])])
            node = ast.copy_location(ast.ImportFrom(module, node.names, 0), node)
        super().visit_ImportFrom(node)


def _module(path: str) -> str:
    """The name of the module in the file *path*."""
    return posixpath.splitext(path)[0].removesuffix("/__init__").replace("/", ".")


def _made_if_missing(function: ast.AST) -> Iterable[str]:
    """The variables, and the attributes after a dot, that *function* makes where they are missing.

    That is a cache, or an object that is made when it is needed first.
    """
    for node in ast.walk(function):
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(name)]):
                yield name
            case ast.Compare(left, [ast.Is() | ast.IsNot() | ast.Eq()], [ast.Constant(None)]) | (
                ast.UnaryOp(ast.Not(), left)
            ):
                yield from _named(left)
            case ast.Call(ast.Attribute(ast.Name(name), "get" | "setdefault")):
                yield name
            case ast.Try(handlers=[ast.ExceptHandler(type=ast.Name(error)), *_], body=body) if (
                error in _MISSING
            ):
                for one in (part for line in body for part in ast.walk(line)):
                    if isinstance(one, ast.Subscript):
                        yield from _named(one.value)
            case _:
                pass


def _named(node: ast.expr) -> Iterable[str]:
    match node:
        case ast.Name(name):
            yield name
        case ast.Attribute(attr=attr):
            yield f".{attr}"
        case _:
            pass
