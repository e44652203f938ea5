"""The files that `compile: files` names: which travel, and under which names."""

import os
from pathlib import Path

import pytest
from notebooks import from_percent

from kale_tag.commands.shared.pipelines import local_code
from kale_tag.diagnostics import UserError
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.read import read_notebook

CODE = from_percent('# %%\nimport sys\nsys.path.append("../src")\n')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with modules of each kind."""
    files = {
        "nbs/helpers.py": "x = 1\r\n",
        "nbs/.hidden.py": "",
        "src/lib/__init__.py": "",
        "src/lib/deep/part.py": "",
        "src/lib/__pycache__/part.pyc": "\0",
        "src/lib/.hidden.py": "",
        "other/tool.py": "",
        "binary.py": "\0",
    }
    for name, text in files.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "repository" / "latin.py").write_bytes(b"x = '\xe4'")
    (tmp_path / "repository" / ".git").mkdir()
    (tmp_path / "outside.py").write_text("")
    (tmp_path / "repository/nbs/link.py").symlink_to("../other/tool.py")
    (tmp_path / "repository/nbs/away.py").symlink_to(tmp_path / "outside.py")
    (tmp_path / "repository/src/lib/up").symlink_to("..", target_is_directory=True)
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path


def named(*patterns: str) -> list[str]:
    """The paths at which steps have what *patterns* match."""
    notebook = read_notebook(CODE, "nbs/a.ipynb")
    return sorted(local_code(notebook, CompileOptions(files=patterns)).files)


@pytest.mark.usefixtures("folder")
def test_names() -> None:
    """A file is below the folder of `sys.path` that is nearest; hidden ones are left out."""
    assert named("helpers.py", "../src/lib/**", "../other/*.py", "link.py") == [
        "helpers.py",
        "lib/__init__.py",
        "lib/deep/part.py",
        "link.py",
        "other/tool.py",
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (".hidden.py", "is hidden"),
        ("away.py", "outside of the repository"),
        ("../../outside.py", "outside of the repository"),
        ("../binary.py", "is not text"),
        ("../latin.py", "is not UTF-8"),
        ("missing/**", "no file matches"),
        ("../src/lib", "no file matches"),
    ],
)
def test_refused(pattern: str, why: str) -> None:
    """What cannot travel is named."""
    with pytest.raises(UserError, match=why):
        named(pattern)


def test_from_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names do not depend on the folder in which the command runs."""
    before = named("helpers.py", "../src/lib/**")
    monkeypatch.chdir(folder)
    notebook = read_notebook(CODE, os.path.join("repository", "nbs", "a.ipynb"))
    options = CompileOptions(files=("helpers.py", "../src/lib/**"))
    assert sorted(local_code(notebook, options).files) == before
