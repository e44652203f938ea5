"""What the steps need and this machine lacks: packages, and what only a cluster provides."""

import ast
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator

from kale_tag.code.distributions import normalized
from kale_tag.compiler.container import DEFAULT_IMAGE
from kale_tag.compiler.read_package import PackageTask
from kale_tag.compiler.requirements import distribution
from kale_tag.diagnostics import Diagnostic, UserError, warning

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_installed(who: str, packages: Iterable[str], extra: str, code: str) -> None:
    """Raise `UserError` with *code* if one of *packages*, which *who* needs, is missing."""
    if missing := [name for name in packages if not _is_there(name)]:
        message = f"{who} needs {' and '.join(missing)}, not installed here"
        hint = f"{sys.executable} -m pip install 'kale-tag[{extra}]'"
        raise UserError.of(code, message, help=hint)


def missing_packages(
    tasks: Iterable[PackageTask], local: Collection[str], *, install: bool
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The requirements that are not installed, and modules that no known package has.

    Each is with the titles of the steps that need it. *local* are modules of the user. With
    *install*, steps install their own requirements.
    """
    found: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    for task in tasks:
        names = ((_NAME.match(one), one) for one in task.requirements)
        wanted = {normalized(found[0]): requirement for found, requirement in names if found}
        needed: dict[str, None] = {}
        there = set()
        modules = [
            (module, optional, distribution(module, {}, local))
            for module, optional in dict.fromkeys(_modules(task))
        ]
        # A requirement of which the step imports nothing known may have any module.
        named = wanted.keys() - {normalized(name) for *_, name in modules if name}
        for module, optional, name in modules:
            top = module.partition(".")[0]
            if name is None and not (optional or named or _is_there(top)):
                unknown.setdefault(top, []).append(task.title)
            if not name:
                continue
            if optional or _has(module, name):
                there.add(normalized(name))
            elif not (install and normalized(name) in wanted):
                needed[wanted.get(normalized(name), name)] = None
        for name, requirement in wanted.items():
            url = "://" in requirement
            if not install and not url and name not in there and not _installed(name):
                needed[requirement] = None
        for requirement in needed:
            found.setdefault(requirement, []).append(task.title)
    return found, {module: list(dict.fromkeys(steps)) for module, steps in unknown.items()}


def _modules(task: PackageTask) -> Iterator[tuple[str, bool]]:
    """The modules that *task* imports at any depth, and whether it handles their absence."""
    for code in task.cells:
        try:
            tree = ast.parse(code.python)
        except SyntaxError:  # top-level await in odd places; the step itself reports it
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
    """Whether *module* of the distribution *name* can be imported."""
    top = module.partition(".")[0]
    # Distributions may share a package, such as `google`.
    return _is_there(top) and (name == distribution(top, {}) or _installed(name))


def _is_there(top: str) -> bool:
    """Whether the module *top* can be imported."""
    return sys.modules.get(top) is not None or importlib.util.find_spec(top) is not None


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def cluster_only(tasks: Iterable[PackageTask]) -> list[Diagnostic]:
    """One warning that names all that only a cluster provides to *tasks*, or none."""
    values: dict[str, str] = {}
    volumes: dict[str, str] = {}
    devices: dict[str, str] = {}
    placed: list[str] = []
    used = set()
    for task in tasks:
        used.add(task.executor["image"])
        values |= _of_environment(task)
        for kind, name, what in _MOUNTED:
            for mount in task.platform.get(kind, ()):
                held = f"`{mount[name]}`" if name in mount else "that each run creates"
                volumes[mount["mountPath"]] = f"{what} {held}"
        if device := task.executor.get("resources", {}).get("accelerator"):
            devices[task.title] = f"{device['type']} ({device['count']})"
        if task.platform.keys() & {"nodeSelector", "tolerations"}:
            placed.append(task.title)
    values = {env: what for env, what in values.items() if env not in os.environ}
    volumes = {path: what for path, what in volumes.items() if not os.path.isdir(path)}
    images = sorted(used - {DEFAULT_IMAGE})
    notes = []
    notes += [f"the environment lacks {env}: the {what}" for env, what in values.items()]
    notes += [f"there is no folder {path}: the {what}" for path, what in volumes.items()]
    notes += [f"step `{title}` runs without {device}" for title, device in devices.items()]
    if placed:
        notes.append(f"node selectors and tolerations have no effect here: {', '.join(placed)}")
    if images:
        version = sys.version.split()[0]
        notes.append(f"images are not used ({', '.join(images)}): steps run in Python {version}")
    if not notes:
        return []
    hints = [f"export {env}=..." for env in values]
    hints += [f"mkdir -p {path}" for path in volumes]
    message = "the steps run on this machine, without some resources of a cluster"
    return [warning("not-on-this-machine", message, notes=notes, help="; ".join(hints))]


_MOUNTED = (
    ("pvcMount", "constant", "volume"),
    ("configMapAsVolume", "configMapName", "config map"),
)
_NAMED = (("secretAsEnv", "secret", "secret"), ("configMapAsEnv", "configMap", "config map"))
"""Fields of `KubernetesExecutorConfig`, how they name what they take, and that in words."""


def _of_environment(task: PackageTask) -> Iterator[tuple[str, str]]:
    """The variables that *task* gets from the cluster, each with where from."""
    for kind, spelled, what in _NAMED:
        for source in task.platform.get(kind, ()):
            name = source[f"{spelled}Name"]
            for one in source["keyToEnv"]:
                yield one["envVar"], f"{what} `{name}/{one[f'{spelled}Key']}`"
