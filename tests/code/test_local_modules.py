"""Which local code travels with which step."""

import pytest
from pipelines_of import pipeline_of

from kale_tag.code.local_modules import written_modules
from kale_tag.compiler.package import package
from kale_tag.compiler.step_command import load_runtime
from kale_tag.diagnostics import UserError
from kale_tag.kale.pipeline import Step

FILES = {
    "one.py": "import two\nimport numpy",
    "two.py": "x = 1",
    "three.py": "import importlib\nimportlib.import_module('two')",
    "lib/__init__.py": "",
    "lib/part.py": "from . import other\nfrom two import x",
    "lib/words.txt": "a",
    "broken.py": "def",
    "settings.json": "{}",
}


def carried(*cells: str) -> list[set[str]]:
    """The files of each step; *cells* are the sources of steps, each after the one before."""
    tags = ["step:s0", *(f"step:s{n},prev:s{n - 1}" for n in range(1, len(cells)))]
    text = "".join(f"# %% tags={tag}\n{cell}\n" for tag, cell in zip(tags, cells, strict=True))
    steps = pipeline_of(text, files=FILES).steps
    return [{code.path for code in step.files} for step in steps if isinstance(step, Step)]


LIB = {"lib/__init__.py", "lib/part.py", "lib/words.txt"}
ALWAYS = {"settings.json"}


@pytest.mark.parametrize(
    ("cell", "files"),
    [
        ("x = 1", set()),
        ("import one", {"one.py", "two.py"}),
        ("def f():\n    from two import x", {"two.py"}),
        ("import lib.part", LIB | {"two.py"}),
        ("import broken", {"broken.py"}),
        ("import three", {*FILES}),  # it may import anything
        ("__import__(name) if 0 else None", {*FILES}),
    ],
)
def test_a_step(cell: str, files: set[str]) -> None:
    """It gets what it imports, and what that imports; all where that cannot be seen."""
    name = "name = 'one'\n" if "name" in cell else ""
    assert carried(name + cell) == [files | ALWAYS]


def test_values_of_other_steps() -> None:
    """The class of a value travels with the steps that take the value."""
    assert carried("import two\nmodel = two.x", "print(model)", "y = 1") == [
        {"two.py", *ALWAYS},
        {"two.py", *ALWAYS},
        ALWAYS,
    ]


def test_packages() -> None:
    """A step installs what its files import; no index is asked for a file."""
    step = pipeline_of("# %% tags=step:a\nimport one\n", files=FILES).steps[0]
    assert isinstance(step, Step)
    assert step.packages == ("numpy",)
    assert pipeline_of("# %% tags=step:a\nimport one\n", files=FILES).warnings == ()


def test_too_large() -> None:
    """The container has a limit, and the error has the size and what to do."""
    large = {"one.py": "# <\n" * 20_000}
    pipeline = pipeline_of("# %% tags=step:a\nimport one\n", files=large)
    with pytest.raises(UserError) as refused:
        package(pipeline, load_runtime())
    (found,) = refused.value.diagnostics
    assert found.code == "step-too-large"
    assert "131,071" in found.message
    assert "fewer files" in found.help


@pytest.mark.parametrize(
    ("cell", "modules"),
    [
        ("%%writefile m.py\nx = 1", {"m"}),
        ("%%file -a ./m.py\nx = 1", {"m"}),
        ("get_ipython().run_cell_magic('writefile', 'm.py', 'x = 1')", {"m"}),
        ("from pathlib import Path\nPath('m.py').write_text('x = 1')", {"m"}),
        ("import pathlib\nhere = pathlib.Path('.')\n(here / 'm.py').write_text('x = 1')", {"m"}),
        ("with open('m.py', 'w') as f: f.write('x = 1')", {"m"}),
        ("with Path('m.py').open('w') as f: f.write('x = 1')", {"m"}),
        ("%%writefile lib/__init__.py\nx = 1", {"lib"}),
        ("!pwd\nopen('m.py', 'w').write('x = 1')", {"m"}),
        ("open('m.py').read()", set()),
        ("open('m.py', 'r').read()", set()),
        ("Path('m.txt').write_text('x = 1')", set()),
        ("Path('../m.py').write_text('x = 1')", set()),
        ("open(f'{name}.py', 'w').write('x = 1')", set()),
    ],
)
def test_modules_that_cells_write(cell: str, modules: set[str]) -> None:
    """They are the user's own, however a cell writes them."""
    assert written_modules([cell]) == modules
