"""The layout of the package: imports go downwards only, the two halves do not know each other."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import kale_tag

ROOT = Path(kale_tag.__file__).parent

LAYERS = (
    ("__main__",),
    ("cli", "api"),
    ("commands",),
    ("render",),
    ("lint", "extract", "rename", "git"),
    ("run", "cluster"),
    ("plan",),
    ("spec", "upgrade", "compare"),
    ("compiler", "graph"),
    ("analysis",),
    ("code",),
    ("kale",),
    ("fields", "notebook"),
    ("files",),
    ("rules",),
    ("diagnostics",),
)
"""From the top down; a module imports from lower layers and from its own folder only."""

EDIT = {"spec", "plan", "upgrade", "compare", "extract", "rename"}
BUILD = {"analysis", "compiler", "graph", "lint", "run", "cluster"}
"""The two halves: the tagged notebook is their only contract."""

NOT_PURE = {"__main__", "api", "cli", "commands", "files", "git", "render", "run", "cluster"}
WORLD = {"os", "sys", "subprocess", "pathlib", "time", "shutil", "tempfile", "socket", "io"}
CARGO = ROOT / "step_runtime"
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")
FOLDERS = sorted({path.parent for path in MODULES} - {ROOT})

OWN_NAMES = {"kale_tag.__version__", "kale_tag.HOME", "kale_tag.data_file"}
"""What every module may import from the package itself."""

MOST_FILES = 15


def layer_of(name: str) -> int:
    """The layer of a module or folder."""
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    pytest.fail(f"kale_tag.{name} is in no layer; add it to LAYERS")


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path) -> list[str]:
    """Every name that a file imports, with its module, wherever in the file it is imported."""
    found = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def dotted(path: Path) -> str:
    """The name of the module at *path*."""
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)


NAMES = {dotted(path) for path in MODULES}


def modules_imported(path: Path) -> Iterator[str]:
    """The modules of kale_tag that a file imports, under `TYPE_CHECKING` too."""
    for name in imports(path):
        yield from {name, name.rpartition(".")[0]} & NAMES


def own_name(path: Path) -> str:
    """The first part of a module's name inside kale_tag."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downwards(path: Path) -> None:
    """A module imports lower layers, its own folder, and never the other half."""
    me = own_name(path)
    for name in imports(path):
        if name.startswith("kale_tag.") and name not in OWN_NAMES:
            other = name.split(".")[1]
            assert other == me or layer_of(other) > layer_of(me), f"{me} imports {name}"
            for half, rest in ((EDIT, BUILD), (BUILD, EDIT)):
                assert not (me in half and other in rest), f"{me} imports {name}"


def test_imports_have_no_circle() -> None:
    """Modules can be read in one order, each after all that it imports."""
    graph = {dotted(path): set(modules_imported(path)) for path in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(" imports ".join(reversed(exc.args[1])))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_folder_can_be_read_at_a_glance(folder: Path) -> None:
    """A folder is one subject, in some 15 files at most."""
    assert len([path for path in MODULES if path.parent == folder]) <= MOST_FILES


def test_a_class_name_says_one_thing() -> None:
    """No two classes of the package share a name, but for the `Step` of tags and of pipelines."""
    homes = defaultdict(list)
    for path in MODULES:
        if path.parent != CARGO:
            for node in ast.walk(parsed(path)):
                if isinstance(node, ast.ClassDef):
                    homes[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in homes.items() if len(found) > 1}.keys() <= {"Step"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_does_not_touch_the_world(path: Path) -> None:
    """Up to and including the two halves there is no file, process, clock or printing."""
    if own_name(path) in NOT_PURE or path.parent == CARGO:
        return
    used = imports(path)
    assert not WORLD & {name.partition(".")[0] for name in used}
    assert not [name for name in used if name.startswith(("kale_tag.files", "kale_tag.run."))]
    tree = parsed(path)
    calls = {node.func.id for node in ast.walk(tree) if _is_named_call(node)}  # type: ignore[attr-defined]
    assert not calls & {"open", "print", "input"}


def test_the_slow_packages_stay_where_they_are() -> None:
    """kfp is imported where packages run only, typer by the command line only."""
    homes = {
        "kfp": {"run", "cluster"},
        "jinja2": {"render"},
        "psutil": {"run"},
        "rich": {"commands"},
        "kfp_server_api": {"run", "cluster"},
        "yaml": {"run", "cluster", "compiler"},
        "nbclient": {"run"},
        "nbformat": {"run", "lint"},
        "typer": {"cli"},
        "ruamel": {"extract", "fields"},
        "networkx": {"compiler", "graph", "lint"},
    }
    for path in MODULES:
        for name in imports(path):
            home = homes.get(name.partition(".")[0])
            assert home is None or own_name(path) in home, f"{path} imports {name}"


def test_everything_imported_is_declared() -> None:
    """Each package that the code imports is a dependency in pyproject.toml."""
    pyproject = ROOT.parent / "pyproject.toml"
    if not pyproject.exists():
        pytest.skip("runs against an installed wheel")
    text = pyproject.read_text("utf-8").partition("dependencies = [")[2]
    # An extra brings what one option of one command needs, and what that brings itself.
    declared = text.partition("[project.scripts]")[0]
    ours = [path for path in MODULES if path.parent != CARGO]
    outside = {name.partition(".")[0] for path in ours for name in imports(path)}
    outside -= {"kale_tag", *sys.stdlib_module_names}
    distributions = {
        "jupyter_client": "jupyter-client",
        "kfp_server_api": "kfp-server-api",
        "ruamel": "ruamel.yaml",
        "yaml": "pyyaml",
    }
    assert outside
    assert {n for n in outside if f'"{distributions.get(n, n)}' not in declared} == set()


def _is_named_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def test_the_cargo_is_not_imported() -> None:
    """What runs in a step is text to us, and knows nothing of us."""
    for path in MODULES:
        used = [name for name in imports(path) if "step_runtime" in name]
        assert used == []
        if path.parent == CARGO:
            assert not [name for name in imports(path) if name.startswith("kale_tag")]
