"""What the steps import and this Python does not have."""

import ast
import importlib.metadata
import importlib.util
import re
from collections.abc import Collection, Iterable, Iterator

from kale_tag.compiler.read_package import PackageTask
from kale_tag.compiler.requirements import distribution

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def missing_packages(
    tasks: Iterable[PackageTask], local: Collection[str], *, install: bool
) -> dict[str, list[str]]:
    """What pip has to install before *tasks* can run, each with the steps that need it.

    *local* are modules beside the notebook. With *install* the steps install their requirements.
    """
    found: dict[str, list[str]] = {}
    for task in tasks:
        wanted = {_NAME.match(one)[0]: one for one in task.requirements if _NAME.match(one)}  # type: ignore[index]
        needed: dict[str, None] = {}
        there = set()
        for module, optional in dict.fromkeys(_modules(task)):
            name = distribution(module, {}, local)
            if not name:
                continue
            if optional or _has(module, name):
                there.add(_plain(name))
            elif not (install and _plain(name) in map(_plain, wanted)):
                needed[next((w for n, w in wanted.items() if _plain(n) == _plain(name)), name)] = (
                    None
                )
        for name, requirement in wanted.items():
            url = "://" in requirement
            if not install and not url and _plain(name) not in there and not _installed(name):
                needed.setdefault(requirement, None)
        for requirement in needed:
            found.setdefault(requirement, []).append(task.title)
    return found


def _modules(task: PackageTask) -> Iterator[tuple[str, bool]]:
    """The modules that *task* imports at any depth, and whether it can do without."""
    for code in task.cells:
        try:
            tree = ast.parse(code.python)
        except SyntaxError:  # top-level await in odd places; the step itself will tell
            continue
        todo: list[tuple[ast.AST, bool]] = [(tree, False)]
        while todo:
            node, optional = todo.pop()
            if isinstance(node, ast.Import):
                yield from ((alias.name, optional) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module, optional
            optional = optional or (isinstance(node, ast.Try) and _catches_import(node))
            todo += [(child, optional) for child in ast.iter_child_nodes(node)]


def _catches_import(node: ast.Try) -> bool:
    caught = (handler.type for handler in node.handlers)
    words = {
        name.id for kind in caught if kind for name in ast.walk(kind) if isinstance(name, ast.Name)
    }
    bare = any(handler.type is None for handler in node.handlers)
    return bare or bool(words & {"ImportError", "ModuleNotFoundError", "Exception"})


def _has(module: str, name: str) -> bool:
    """Whether *module*, which the distribution *name* has, can be imported."""
    top = module.partition(".")[0]
    try:
        if importlib.util.find_spec(top) is None:
            return False
    except (ImportError, ValueError):
        return False
    # Where distributions share a package, such as `google`, finding that says nothing.
    return name == distribution(top, {}) or _installed(name)


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _plain(name: str) -> str:
    """A name as packages are told apart by: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
