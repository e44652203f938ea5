"""`kale-tag git install`, `uninstall`, `status`: what they write, leave and say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from notebooks import from_percent
from repositories import Repository, isolate

from kale_tag.cli import main
from kale_tag.git import config, drivers

LINE = "*.ipynb diff=kale-tag merge=kale-tag\n"
NOTEBOOK = from_percent("# %% tags=step:load\nx = 1\n")
INSTALLS = [(), ("--attributes", ".gitattributes"), ("--global",)]

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: Patch) -> Repository:
    """A repository with one notebook, in a folder whose name has a space."""
    isolate(tmp_path / "home", monkeypatch)
    made = Repository(tmp_path / "my work")
    made.commit({"a.ipynb": NOTEBOOK})
    return made


def state(repository: Repository, home: Path) -> dict[str, bytes]:
    """Every file that installing may change."""
    paths = [repository.folder / ".gitattributes"]
    paths += [repository.folder / ".git" / name for name in ("config", "info/attributes")]
    paths += [home / ".gitconfig", home / ".config" / "git" / "attributes"]
    return {str(path): path.read_bytes() for path in paths if path.exists()}


@pytest.mark.parametrize("words", INSTALLS)
def test_install_and_uninstall(
    repository: Repository, words: tuple[str, ...], monkeypatch: Patch, tmp_path: Path
) -> None:
    """Installed it is in force, twice is as once, and uninstalled every byte is as before."""
    (tmp_path / "home" / ".gitconfig").write_text("[core]\n\tabbrev = 9\n")
    before = state(repository, tmp_path / "home")
    assert repository.kale_tag(monkeypatch, "status") == 1

    assert repository.kale_tag(monkeypatch, "install", *words) == 0
    installed = state(repository, tmp_path / "home")
    assert repository.kale_tag(monkeypatch, "install", *words) == 0
    assert state(repository, tmp_path / "home") == installed
    assert repository.kale_tag(monkeypatch, "status") == 0
    if "--attributes" not in words:
        assert repository.kale_tag(monkeypatch, "status", *words) == 0
    (repository.folder / "a.ipynb").write_bytes(NOTEBOOK.replace(b"step:load", b"step:read"))
    shown = repository.git("diff")
    assert "\n-# %% [code] step:load\n+# %% [code] step:read\n x = 1\n" in shown

    assert repository.kale_tag(monkeypatch, "uninstall", *words) == 0
    assert state(repository, tmp_path / "home") == before
    assert repository.kale_tag(monkeypatch, "status") == 1
    assert repository.kale_tag(monkeypatch, "uninstall", *words) == 0
    assert state(repository, tmp_path / "home") == before


OTHER_LINES = [
    "",
    "\n",
    "# mine\n*.py text\n",
    "*.ipynb filter=nbstripout\n",
    "*.ipynb text eol=lf",
    "*.csv -diff\r\n*.ipynb text\r\n",
    "*.md text\r\n*.ipynb text",
    "docs/*.ipynb merge=kale-tag\n\n\n",
    '"a b.ipynb" diff=x\n',
    "caf\xe9.txt text\n",
]


@pytest.mark.parametrize("text", OTHER_LINES)
def test_other_lines_stay(repository: Repository, text: str, monkeypatch: Patch) -> None:
    """Whatever else stands in the attributes file stays, to the byte, and its line ends count."""
    path = repository.folder / ".gitattributes"
    path.write_bytes(text.encode("latin-1"))
    for _ in range(2):
        assert repository.kale_tag(monkeypatch, "install", "--attributes", ".gitattributes") == 0
    data = path.read_bytes()
    assert data.startswith(text.encode("latin-1"))
    assert data.count(LINE.strip().encode()) == 1
    assert data.count(b"\r\n") in {0, data.count(b"\n")}
    assert repository.git("check-attr", "merge", "a.ipynb").strip().endswith("merge: kale-tag")
    assert repository.kale_tag(monkeypatch, "uninstall", "--attributes", ".gitattributes") == 0
    assert path.read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize("text", ['[merge "kale-tag"]\n', "[core]\n\tabbrev = 9"])
def test_what_git_itself_rewrites(
    repository: Repository, text: str, monkeypatch: Patch, tmp_path: Path
) -> None:
    """Git removes an empty section and ends the last line; no setting of the user changes."""
    (tmp_path / "home" / ".gitconfig").write_text(text)
    before = repository.git("config", "--list")
    assert repository.kale_tag(monkeypatch, "install", "--global") == 0
    assert repository.git("config", "--list") != before
    assert repository.kale_tag(monkeypatch, "uninstall", "--global") == 0
    assert repository.git("config", "--list") == before


def test_our_words_in_a_line_of_the_user(repository: Repository, monkeypatch: Patch) -> None:
    """Only they go; what else the line says stays."""
    path = repository.folder / ".git" / "info" / "attributes"
    path.parent.mkdir(exist_ok=True)
    path.write_text("*.ipynb text diff=kale-tag eol=lf merge=kale-tag\nx.ipynb merge=kale-tag\n")
    assert repository.kale_tag(monkeypatch, "install") == 0
    assert path.read_text().count("\n") == 2
    assert repository.kale_tag(monkeypatch, "uninstall") == 0
    assert path.read_text() == "*.ipynb text eol=lf\nx.ipynb merge=kale-tag\n"


@pytest.mark.parametrize("where", [".gitattributes", ".git/info/attributes", "sub/.gitattributes"])
@pytest.mark.parametrize("value", ["diff=jupyternotebook", "-diff"])
def test_another_driver_stays(
    repository: Repository, where: str, value: str, monkeypatch: Patch, capsys: Capture
) -> None:
    """Where there is another diff driver it is named and kept; the merge driver is installed."""
    repository.commit({"sub/b.ipynb": NOTEBOOK})
    path = repository.folder / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"*.ipynb {value}\n")
    assert repository.kale_tag(monkeypatch, "install") == 1
    assert f"there is another one, `*.ipynb {value}`" in (said := capsys.readouterr()).err
    assert where in said.err
    assert "installed: the merge driver" in said.out
    assert f"*.ipynb {value}\n" in path.read_text()
    told = repository.git("check-attr", "diff", "merge", "--", "sub/b.ipynb")
    assert "merge: kale-tag" in told
    assert "diff: kale-tag" not in told

    assert repository.kale_tag(monkeypatch, "status") == 1
    out = capsys.readouterr().out
    assert "diff driver: not active" in out or "diff driver: active for 1 of 2" in out
    assert repository.kale_tag(monkeypatch, "uninstall") == 0
    assert path.read_text() == f"*.ipynb {value}\n"


def test_a_command_of_the_user(repository: Repository, monkeypatch: Patch, capsys: Capture) -> None:
    """A driver of our name that is not our command is not ours."""
    repository.git("config", "diff.kale-tag.textconv", "my-own")
    repository.git("config", "diff.kale-tag.cachetextconv", "true")
    assert repository.kale_tag(monkeypatch, "install") == 1
    assert "`diff.kale-tag.textconv = my-own`" in capsys.readouterr().err
    assert repository.kale_tag(monkeypatch, "uninstall") == 0
    assert repository.git("config", "diff.kale-tag.textconv") == "my-own\n"
    assert repository.git("config", "diff.kale-tag.cachetextconv") == "true\n"


def test_the_cache_is_the_users(
    repository: Repository, monkeypatch: Patch, capsys: Capture
) -> None:
    """Git keeps what the driver prints where the user says so, and uninstall leaves that alone."""
    assert repository.kale_tag(monkeypatch, "install") == 0
    repository.git("config", drivers.CACHE, "true")
    repository.commit({"a.ipynb": NOTEBOOK.replace(b"step:load", b"step:read")})
    assert "+# %% [code] step:read\n" in repository.git("show", "HEAD")
    assert "refs/notes/textconv/kale-tag" in repository.git("for-each-ref")
    capsys.readouterr()
    assert repository.kale_tag(monkeypatch, "uninstall") == 0
    assert f"left unchanged: `{drivers.CACHE}` in" in capsys.readouterr().out
    left = repository.git("config", "--get-regexp", r"\.kale-tag\.")
    assert left == "diff.kale-tag.cachetextconv true\n"


def test_an_older_install_is_renewed(
    repository: Repository, monkeypatch: Patch, capsys: Capture
) -> None:
    """A command of another kale-tag, one that is gone perhaps, gives way to this one's."""
    assert repository.kale_tag(monkeypatch, "install") == 0
    new = repository.git("config", "merge.kale-tag.driver")
    for key in drivers.MAIN.values():
        old = repository.git("config", key).strip().replace(sys.executable, "'/old place/python'")
        repository.git("config", key, old)
    assert repository.kale_tag(monkeypatch, "status") == 1
    assert "/old place/python is gone" in capsys.readouterr().out
    assert repository.kale_tag(monkeypatch, "install") == 0
    assert repository.git("config", "merge.kale-tag.driver") == new
    assert repository.kale_tag(monkeypatch, "status") == 0


def test_without_kale_tag_git_does_it_alone(repository: Repository, monkeypatch: Patch) -> None:
    """Where the program has gone, diffs and merges are those of Git; nothing is lost."""
    assert repository.kale_tag(monkeypatch, "install") == 0
    for key in drivers.MAIN.values():
        command = repository.git("config", key).strip().replace(sys.executable, "/gone/python")
        repository.git("config", key, command)
    (repository.folder / "a.ipynb").write_bytes(NOTEBOOK.replace(b"load", b"read"))
    assert '-     "step:load"\n+     "step:read"\n' in repository.git("diff")
    repository.git("checkout", "-q", "a.ipynb")

    notebook = {"a.ipynb": NOTEBOOK}
    changed = [{"a.ipynb": NOTEBOOK.replace(b"load", word)} for word in (b"ours", b"theirs")]
    repository.three(notebook, *changed)
    assert repository.code("merge", "topic") == 1
    data = repository.read("a.ipynb")
    assert b'<<<<<<< ours\n     "step:ours"\n=======\n     "step:theirs"\n>>>>>>> theirs\n' in data


def test_outside_of_a_repository(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    """Exit code 2, and `--global` works there."""
    isolate(tmp_path / "home", monkeypatch)
    monkeypatch.chdir(tmp_path)
    for action in ("install", "uninstall", "status"):
        assert main(["git", action]) == 2
        assert "not inside a Git repository" in capsys.readouterr().err
    assert main(["git", "status", "--global"]) == 1
    hint = "To activate them: kale-tag git install --global"
    assert capsys.readouterr().out.splitlines()[-1] == hint
    assert main(["git", "install", "--global"]) == 0
    assert main(["git", "status", "--global"]) == 0
    attributes = tmp_path / "home" / ".config" / "git" / "attributes"
    assert attributes.read_text() == LINE
    assert main(["git", "uninstall", "--global"]) == 0
    assert not attributes.exists()


def test_other_drivers_for_some(
    repository: Repository, monkeypatch: Patch, capsys: Capture
) -> None:
    """A line for a folder takes precedence; the status counts its notebooks, and lists some."""
    repository.commit({f"docs/{number}.ipynb": NOTEBOOK for number in range(7)})
    attributes = repository.folder / ".gitattributes"
    attributes.write_text("docs/*.ipynb diff=other\n")
    assert repository.kale_tag(monkeypatch, "install", "--attributes", ".gitattributes") == 0
    attributes.write_text(f"{attributes.read_text()}docs/*.ipynb diff=other\n")
    capsys.readouterr()
    assert repository.kale_tag(monkeypatch, "status") == 1
    out = capsys.readouterr().out
    assert "diff driver: active for 1 of 8 notebooks\n" in out
    assert out.count("`diff=other` for docs/") == 5
    assert "  and 2 more notebooks\n" in out
    assert repository.kale_tag(monkeypatch, "install") == 1
    assert "there is another one, `diff=other`\n" in capsys.readouterr().err


def test_a_command_edited_by_hand(
    repository: Repository, monkeypatch: Patch, capsys: Capture
) -> None:
    """Nobody knows the program in it."""
    assert repository.kale_tag(monkeypatch, "install") == 0
    repository.git("config", "diff.kale-tag.textconv", "f() { 'py -P -m kale_tag git textconv; }")
    assert repository.kale_tag(monkeypatch, "status") == 0
    assert "is gone" not in capsys.readouterr().out


def test_a_repository_that_git_refuses(
    repository: Repository, monkeypatch: Patch, capsys: Capture
) -> None:
    """Its words are those of the error."""
    (repository.folder / ".git" / "config").write_text("[broken")
    assert repository.kale_tag(monkeypatch, "status") == 2
    assert "Git cannot use the repository here: bad config" in capsys.readouterr().err


def test_the_users_attributes_file(tmp_path: Path, monkeypatch: Patch) -> None:
    """`core.attributesFile` says where it is, `~` and all; a symlink stays one."""
    isolate(tmp_path / "home", monkeypatch)
    monkeypatch.chdir(tmp_path)
    real = tmp_path / "dotfiles"
    real.write_text("*.py text\n")
    (tmp_path / "home" / "attributes").symlink_to(real)
    (tmp_path / "home" / ".gitconfig").write_text("[core]\n\tattributesFile = ~/attributes\n")
    assert main(["git", "install", "--global"]) == 0
    assert real.read_text() == f"*.py text\n{LINE}"
    assert (tmp_path / "home" / "attributes").is_symlink()


def test_kinds_of_repositories(
    repository: Repository, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """From a subfolder, a linked work tree, a submodule, a bare repository, one without commits."""
    (repository.folder / "sub" / "deep").mkdir(parents=True)
    monkeypatch.chdir(repository.folder / "sub" / "deep")
    assert main(["git", "install"]) == 0
    assert (repository.folder / ".git" / "info" / "attributes").read_text() == LINE

    repository.git("worktree", "add", "-q", str(tmp_path / "linked"))
    monkeypatch.chdir(tmp_path / "linked")
    assert main(["git", "status"]) == 0
    assert main(["git", "uninstall"]) == 0
    assert not (repository.folder / ".git" / "info" / "attributes").exists()
    assert main(["git", "install"]) == 0
    assert (repository.folder / ".git" / "info" / "attributes").read_text() == LINE

    outer = Repository(tmp_path / "outer")
    outer.git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(repository.folder),
        "m",
    )
    monkeypatch.chdir(tmp_path / "outer" / "m")
    assert main(["git", "status"]) == 1
    assert main(["git", "install"]) == 0
    assert main(["git", "status"]) == 0
    assert (tmp_path / "outer/.git/modules/m/info/attributes").read_text() == LINE
    monkeypatch.chdir(tmp_path / "outer")
    assert main(["git", "status"]) == 1

    bare = Repository(tmp_path / "bare.git", "--bare")
    monkeypatch.chdir(bare.folder)
    assert main(["git", "install"]) == 0
    assert main(["git", "status"]) == 0
    assert (bare.folder / "info" / "attributes").read_text() == LINE
    assert main(["git", "uninstall"]) == 0

    empty = Repository(tmp_path / "empty")
    monkeypatch.chdir(empty.folder)
    assert main(["git", "install"]) == 0
    capsys.readouterr()
    assert main(["git", "status"]) == 0
    assert "diff driver: active for notebooks\n" in capsys.readouterr().out


def test_status_as_json(repository: Repository, monkeypatch: Patch, capsys: Capture) -> None:
    """Whether each driver is active, from which file, and which notebooks have another one."""
    repository.commit({"sub/b.ipynb": NOTEBOOK, "sub/.gitattributes": b"*.ipynb merge=binary\n"})
    repository.kale_tag(monkeypatch, "install", "--attributes", ".gitattributes")
    assert "the merge driver is not used for sub/b.ipynb" in capsys.readouterr().err
    assert repository.kale_tag(monkeypatch, "status", "--format", "json") == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["installed"]
    assert found["diff"]["active"]
    assert found["diff"]["attributes"]["file"] == str(repository.folder / ".gitattributes")
    assert found["diff"]["command"]["file"] == str(repository.folder / ".git" / "config")
    assert not found["merge"]["active"]
    assert found["merge"]["other"] == [{"notebook": "sub/b.ipynb", "value": "binary"}]


def test_what_cannot_be_written(
    repository: Repository, monkeypatch: Patch, capsys: Capture
) -> None:
    """A locked configuration, a folder in place of the file: exit code 2 and a clear message."""
    lock = repository.folder / ".git" / "config.lock"
    lock.touch()
    assert repository.kale_tag(monkeypatch, "install") == 2
    assert "could not lock config file" in capsys.readouterr().err
    lock.unlink()
    (repository.folder / "folder").mkdir()
    assert repository.kale_tag(monkeypatch, "install", "--attributes", "folder") == 2
    assert "is a folder" in capsys.readouterr().err
    assert repository.kale_tag(monkeypatch, "install", "--attributes", "a.ipynb/x") == 2
    assert "cannot write" in capsys.readouterr().err


def test_textconv_starts_quickly(repository: Repository) -> None:
    """Git starts it for every version of every notebook, so it imports nothing that is slow."""
    program = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print('|', *sys.modules))\n"
        "runpy.run_module('kale_tag', run_name='__main__')\n"
    )
    words = [sys.executable, "-S", "-c", program, "git", "textconv", "--", "a.ipynb"]
    env = {"PYTHONPATH": str(Path(drivers.__file__).parents[2])}
    done = subprocess.run(
        words, cwd=repository.folder, env=env, capture_output=True, text=True, check=True
    )
    lines, _, modules = done.stdout.rpartition("|")
    assert "# %% [code] step:load\nx = 1\n" in lines
    assert not {"dataclasses", "typing", "inspect", "kale_tag.cli"} & set(modules.split())


def test_odd_places_of_python(repository: Repository, tmp_path: Path, monkeypatch: Patch) -> None:
    """A program whose path has spaces, quotes, `%` and `$` is called all the same."""
    place = tmp_path / "my 'venv' 100% $HOME"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    paths = ":".join(path for path in sys.path if path)
    monkeypatch.setenv("PYTHONPATH", paths)
    monkeypatch.setattr(sys, "executable", str(place / "bin" / "python"))
    assert repository.kale_tag(monkeypatch, "install") == 0
    assert repository.kale_tag(monkeypatch, "status") == 0
    notebook = from_percent("# %% id=a tags=step:a\nx\n# %% id=b tags=step:b\ny\n")
    for data in (b"step:a", b"step:b"):
        assert data in notebook
    repository.three(
        {"a.ipynb": notebook},
        {"a.ipynb": notebook.replace(b'"step:a"', b'"step:a",\n     "prev:x"')},
        {"a.ipynb": notebook.replace(b'"step:a"', b'"step:a",\n     "prev:y"')},
    )
    said = repository.git("merge", "-q", "-m", "m", "topic")
    assert "not found" not in said
    assert b'"step:a",\n     "prev:x",\n     "prev:y"\n' in repository.read("a.ipynb")
    assert "# %% [code] step:a prev:x prev:y #a" in repository.git("show", "HEAD")


def test_a_module_of_the_user_does_no_harm(repository: Repository, monkeypatch: Patch) -> None:
    """Git calls the drivers in the user's folder, which may hold a `json.py`."""
    (repository.folder / "json.py").write_text("raise SystemExit('mine')\n")
    (repository.folder / "kale_tag").mkdir()
    (repository.folder / "kale_tag" / "__init__.py").write_text("raise SystemExit('mine')\n")
    assert repository.kale_tag(monkeypatch, "install") == 0
    (repository.folder / "a.ipynb").write_bytes(NOTEBOOK.replace(b"load", b"read"))
    assert "+# %% [code] step:read" in repository.git("diff")


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        (
            "*.ipynb diff=x -text !eol merge\n",
            ("*.ipynb", {"diff": "x", "text": "unset", "eol": "unspecified", "merge": "set"}),
        ),
        ('"a \\" b" x\r\n', ('a \\" b', {"x": "set"})),
        ("*.py\n", ("*.py", {})),
        ("\ufeff*.py x\n", ("*.py", {"x": "set"})),
        ("# *.py x\n", None),
        (" \t\n", None),
    ],
)
def test_lines_of_attributes(line: str, parsed: tuple[str, dict[str, str]] | None) -> None:
    """Lines are read as gitattributes(5) says."""
    assert config.parse_line(line) == parsed
