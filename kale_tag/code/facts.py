"""What is in the code of cells, whether or not it runs: imports, and names that go together."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.code.source import Parsed, Spot, run_line
from kale_tag.code.syntax import bound_by, catches, literal_code, names_in

_CATCHES_IMPORTS = frozenset(
    ["ImportError", "ModuleNotFoundError", "NameError", "Exception", "BaseException"]
)
_IMPORTING = (ast.Import, ast.ImportFrom, ast.Try, ast.ExceptHandler, ast.Pass, ast.alias)
_DYNAMIC = frozenset(["eval", "exec", "globals", "locals", "vars"])
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Import:
    """An import statement, or one name of it."""

    module: str
    level: int  # the dots before the module, 0 for an absolute import
    attribute: str  # the name taken out of the module, `*` for all
    spot: Spot
    name: str = ""  # the name that it binds
    statement: ast.stmt | None = None  # at the top of its cell, if that does nothing but import
    optional: bool = False  # where it fails, another import takes its place

    @property
    def target(self) -> tuple[str, int, str]:
        """What it names, by which two imports are the same."""
        return self.module, self.level, self.attribute

    @property
    def loads(self) -> list[str]:
        """The submodules that it loads; what it takes out of a module may be one."""
        path = f"{self.module}.{self.attribute}" if self.attribute else self.module
        found = []
        while "." in path:
            found.append(path)
            path = path.rpartition(".")[0]
        return found


@dataclass(slots=True)
class Facts:
    """What stands in the cells of a step, or in the shared ones."""

    modules: list[Import] = field(default_factory=list)  # all imports, at any depth
    bound: set[str] = field(default_factory=set)  # names of the notebook bound by other code
    imports: dict[str, list[Import]] = field(default_factory=dict)  # of names bound by nothing else
    stars: list[Import] = field(default_factory=list)  # `import *`
    # The names in the code that makes or changes a variable
    mentions: dict[str, set[str]] = field(default_factory=dict)
    dynamic: bool = False  # names may be used in ways that cannot be seen
    trailing: str | None = None  # the variable in the last line


def read_facts(cells: Sequence[Parsed]) -> Facts:
    """The facts of *cells*, one after another."""
    facts = Facts()
    for cell in cells:
        for statement in cell.tree.body:
            top = statement if _only_imports(statement) else None
            _walk(facts, cell, statement, top)
    for name in facts.imports.keys() & facts.bound:
        del facts.imports[name]
    last = next((cell.tree.body[-1] for cell in reversed(cells) if cell.tree.body), None)
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Name):
        facts.trailing = last.value.id
    return facts


def imported_names(cells: Iterable[Parsed]) -> dict[str, str]:
    """What each name that is imported anywhere in *cells* stands for, with dots."""
    found: dict[str, str] = {}
    for node in (node for cell in cells for node in ast.walk(cell.tree)):
        for one in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            name = bound_by(one)
            found[name] = one.name if one.asname else name
            if isinstance(node, ast.ImportFrom):
                found[name] = f"{node.module or ''}.{one.name}"
    return found


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


def _walk(facts: Facts, cell: Parsed, statement: ast.stmt, top: ast.stmt | None) -> None:
    # A stack of our own: code may be nested deeper than Python's.
    todo: list[tuple[ast.AST, bool, bool]] = [(statement, False, False)]
    while todo:
        node, inner, optional = todo.pop()
        match node:
            case ast.Import() | ast.ImportFrom():
                _imports(facts, Spot(cell, node), top, inner=inner, optional=optional)
                continue
            case ast.Call(func=ast.Name(id=name)) if name in _DYNAMIC:
                facts.dynamic = facts.dynamic or literal_code(node) is None
            case ast.Call() if (run_line(node) or ("", ""))[1] is None:  # it may bind anything
                facts.stars.append(Import("", 0, "*", Spot(cell, node)))
            case ast.Name(id=name, ctx=ast.Store()) if not inner and top is None:
                facts.bound.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if not inner:
                facts.bound.add(node.name)
            case ast.Try(handlers=handlers) if any(map(_guards_imports, handlers)):
                todo += [(one, inner, True) for one in node.body]
                todo += [
                    (one, inner, optional) for one in (*handlers, *node.orelse, *node.finalbody)
                ]
                continue
            case _:
                pass
        if isinstance(node, ast.stmt) and not inner:
            _mention(facts, node)
        deeper = inner or isinstance(node, _SCOPES)
        todo += [(one, deeper, optional) for one in ast.iter_child_nodes(node)]


def _imports(
    facts: Facts, spot: Spot, top: ast.stmt | None, *, inner: bool, optional: bool
) -> None:
    node = spot.node
    assert isinstance(node, ast.Import | ast.ImportFrom)
    level = node.level if isinstance(node, ast.ImportFrom) else 0
    for one in node.names:
        name, module, attribute = bound_by(one), one.name, ""
        if isinstance(node, ast.ImportFrom):
            module, attribute = node.module or "", one.name
        made = Import(module, level, attribute, spot, name, top, optional)
        facts.modules.append(made)
        if attribute == "*":
            facts.stars.append(made)
        elif not inner:
            facts.imports.setdefault(name, []).append(made)


def _guards_imports(handler: ast.ExceptHandler) -> bool:
    imports = any(isinstance(one, ast.Import | ast.ImportFrom) for one in ast.walk(handler))
    return imports and catches(handler, _CATCHES_IMPORTS)


def _only_imports(node: ast.stmt) -> bool:
    """Whether a statement does nothing but import, with what to do where that fails."""
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Try) and all(
        isinstance(part, (*_IMPORTING, ast.Name, ast.expr_context, ast.Tuple, ast.Constant))
        or (isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant))
        for part in ast.walk(node)
    )


def _mention(facts: Facts, node: ast.stmt) -> None:
    """Notes the names that stand in the code which makes or changes a variable."""
    match node:
        case ast.Assign(targets=targets, value=value):
            _note(facts, targets, value)
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.AugAssign(target=target, value=value)
            | ast.For(target=target, iter=value)
            | ast.AsyncFor(target=target, iter=value)
        ):
            _note(facts, [target], value)
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for item in items:
                if item.optional_vars is not None:
                    _note(facts, [item.optional_vars], item.context_expr)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=holder)) as call):
            _note(facts, [holder], call)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            facts.mentions.setdefault(name, set()).update(names_in(node))
        case _:
            pass


def _note(facts: Facts, targets: Iterable[ast.expr], value: ast.expr) -> None:
    names = set(names_in(value))
    for target in targets:
        for root in roots(target):
            facts.mentions.setdefault(root, set()).update(names)


def roots(node: ast.expr) -> Iterator[str]:
    """The variables that `x`, `x[0]`, `x.y[0]` or `x, y` begin with."""
    todo = [node]
    while todo:
        match todo.pop():
            case ast.Name(id=name):
                yield name
            case ast.Subscript(value=inner) | ast.Attribute(value=inner) | ast.Starred(value=inner):
                todo.append(inner)
            case ast.Call(func=ast.Attribute(value=inner)):
                todo.append(inner)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                todo += parts
            case _:
                pass
