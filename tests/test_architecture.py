"""The house keeps its shape: imports go downwards only, the halves do not know each other."""

import ast
import sys
from pathlib import Path

import pytest

import kale_tag

ROOT = Path(kale_tag.__file__).parent

LAYERS = (
    ("__main__",),
    ("cli",),
    ("commands",),
    ("git_attributes",),
    ("git_config", "git_merge"),
    ("files", "git", "render", "runners"),
    ("cleaners",),
    ("tagging", "pipeline"),
    ("cell_places",),
    ("splice", "steps", "places"),
    ("read_notebook", "settings"),
    ("notebook_msgspec",),
    ("notebook_json", "json_style"),
    ("notebook",),
    ("json_scan", "notebook_faults", "tags", "lints", "mermaid"),
    ("lines", "json_value", "metadata"),
    ("diagnostics",),
)
"""From the top down; a module imports from lower layers and from its own package only."""

NOT_PURE = {"__main__", "cli", "commands", "files", "git", "render", "runners"}
NOT_PURE |= {"git_attributes", "git_config", "git_merge"}
WORLD = {"os", "sys", "subprocess", "pathlib", "time", "shutil", "tempfile", "socket", "io"}
CARGO = ROOT / "pipeline" / "step_runtime"
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")


def layer_of(name: str) -> int:
    """The layer in which a module or package stands."""
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    pytest.fail(f"kale_tag.{name} stands in no layer; put it in its place in LAYERS")


def imports(path: Path) -> list[str]:
    """Every module that a file imports, wherever the import stands in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def own_name(path: Path) -> str:
    """The first part of a module's name inside kale_tag."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downwards(path: Path) -> None:
    """A module imports lower layers, its own package, and never the other half."""
    me = own_name(path)
    for name in imports(path):
        if name.startswith("kale_tag.") and name != "kale_tag.__version__":
            other = name.split(".")[1]
            assert other == me or layer_of(other) > layer_of(me), f"{me} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_does_not_touch_the_world(path: Path) -> None:
    """Up to and including the two halves there is no file, process, clock or printing."""
    if own_name(path) in NOT_PURE or path.parent == CARGO:
        return
    assert not WORLD & {name.partition(".")[0] for name in imports(path)}
    tree = ast.parse(path.read_text("utf-8"))
    calls = {node.func.id for node in ast.walk(tree) if _is_named_call(node)}  # type: ignore[attr-defined]
    assert not calls & {"open", "print", "input"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path: Path) -> None:
    """A file has one subject, and about 400 lines at most."""
    assert len(path.read_text("utf-8").splitlines()) <= 420


def test_the_slow_packages_stay_where_they_are() -> None:
    """kfp is imported by the runners only, typer by the command line only."""
    homes = {
        "kfp": {"runners"},
        "kfp_server_api": {"runners"},
        "yaml": {"runners"},
        "nbclient": {"runners"},
        "typer": {"cli"},
        "ruamel": {"tagging"},
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
        "nbformat": "nbclient",
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
