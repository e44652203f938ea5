"""Programs that delete tags: the table against the programs themselves, and real Git filters."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from notebooks import from_percent
from repositories import Repository, isolate
from ruamel.yaml import YAML

from kale_tag.cli import main
from kale_tag.commands.check import CONFIGS, NAMES
from kale_tag.diagnostics import Label, Source
from kale_tag.lint.cleaners import (
    Cleaner,
    Use,
    cleaners,
    configured,
    find,
    options_of,
    tag_eating_cleaner,
)

ROOT = Path(__file__).parents[2]
SETTINGS = {"pipeline_name": "p", "experiment_name": "e"}
NOTEBOOK = from_percent(
    f'# %metadata {{"kubeflow_notebook": {json.dumps(SETTINGS)}, "kernelspec": '
    '{"name": "python3", "display_name": "Python 3", "language": "python"}}\n'
    "# %% id=a tags=step:load\nx = 1\n# %% id=b tags=imports\nimport os\n"
)
# A cleaner and its version, a command, and the files beside it.
USES: list[tuple[str, str, dict[str, str]]] = [
    (named, use["run"], use.get("files", {}))
    for named, uses in YAML(typ="safe", pure=True)
    .load(Path(__file__).with_name("cleaners.yaml"))
    .items()
    for use in uses
]


def lost(named: str, command: str, files: dict[str, str]) -> tuple[bool, bool, str]:
    """Whether we say that a command keeps tags and settings, and the help."""
    name, version = named.split()
    *before, last = command.split(" && ")
    started = find(last)
    assert started is not None
    cleaner, options = started
    assert (cleaner.name, cleaner.version) == (name, version)
    if before and "git config" in before[0]:
        options = {**options_of([cleaner.git[1], before[0].split()[-1]]), **options}
    sources = {name: Source(name, text) for name, text in files.items()}
    config = configured(cleaner, sources, used=True)
    found = [*tag_eating_cleaner(Use(cleaner, "it", Label(Source("x")), options), config)]
    if not found:
        return True, True, ""
    (one,) = found
    return "the tags" not in one.message, "kubeflow_notebook" not in one.message, one.help


# The facts, against the programs.


@pytest.fixture(scope="session")
def programs() -> Any:
    """A function that gives the folder with the programs of a cleaner, installed when needed."""
    home = Path(os.environ.get("KALE_TAG_CLEANERS", ROOT / ".venv-cleaners"))

    def installed(cleaner: Cleaner) -> str:
        place = home / f"{cleaner.name}-{cleaner.version}"
        if not (place / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            wanted = f"{cleaner.name}=={cleaner.version}"
            python = place / "bin" / "python"
            subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True)
            (place / "ready").touch()
        return str(place / "bin")

    return installed


def ran(command: str, files: dict[str, str], at: Path, path: str) -> tuple[dict[str, Any], str]:
    """The notebook after a command, and what was printed."""
    at.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=at, check=True)
    (at / "nb.ipynb").write_bytes(NOTEBOOK)
    for name, text in files.items():
        (at / name).write_text(text)
    whole = command if "nb." in command else f"{command} nb.ipynb"
    done = subprocess.run(
        ["sh", "-c", whole],
        cwd=at,
        env={**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "HOME": str(at)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (whole, done.stdout + done.stderr)
    text = done.stdout if "<" in command else (at / "nb.ipynb").read_text()
    value: dict[str, Any] = json.loads(text)
    return value, done.stdout + done.stderr


def really_kept(value: dict[str, Any]) -> tuple[bool, bool]:
    """Whether a notebook has all its tags and settings."""
    tags = [cell["metadata"].get("tags") for cell in value["cells"]]
    return (
        tags == [["step:load"], ["imports"]],
        value["metadata"].get("kubeflow_notebook") == SETTINGS,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("named", "command", "files"), USES)
def test_the_table_is_true(
    named: str, command: str, files: dict[str, str], programs: Any, tmp_path: Path
) -> None:
    """What we say of a command is what the program itself does; with our help it keeps all."""
    (cleaner,) = (one for one in cleaners() if one.name == named.split(maxsplit=1)[0])
    path = programs(cleaner)

    value, _ = ran(command, files, tmp_path / "a", path)

    *kept, help_ = lost(named, command, files)
    assert tuple(kept) == really_kept(value)
    words = [word.removeprefix("add `").removesuffix("`") for word in help_.split("; ")]
    if help_ and all(word.startswith("-") for word in words) and "nb." not in command:
        corrected = " ".join([command.removesuffix(" --"), *words])
        again, _ = ran(corrected, files, tmp_path / "b", path)
        assert really_kept(again) == (True, True)


# What we make of them.


def test_every_program_is_seen_to_delete_and_to_keep() -> None:
    """Each program of the table has commands that lose something, with a help, and others."""
    seen: dict[str, set[bool]] = {f"{one.name} {one.version}": set() for one in cleaners()}
    for named, command, files in USES:
        tags, settings, help_ = lost(named, command, files)
        seen[named] |= {tags and settings}
        assert bool(help_) != (tags and settings)
    assert all(values == {True, False} for values in seen.values())


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("/usr/bin/nb-clean clean -m", {"m": set()}),
        (r"C:\\bin\\nb-clean.exe clean", {}),
        ("python -m nb_clean clean", {}),
        ("uvx nb-clean@5.0.0 clean -eo", {"e": set(), "o": set()}),
        ("uv run --frozen nb-clean clean", {}),
        ("cat %f | nb-clean clean -m | tee x", {"m": set()}),
        ("bash -c 'nb-clean clean && git add -u'", {}),
        ("f() { nb-clean clean; }; f", {}),
        ('nbstripout --extra-keys="a b" --x-y=z', {"extra_keys": {"a", "b"}, "x_y": {"z"}}),
        ("nb-clean add-filter", None),
        ("echo 'unclosed", None),
        ("bash -c", None),
        ("jupyter lab", None),
    ],
)
def test_commands(command: str, options: dict[str, set[str]] | None) -> None:
    """A cleaner is found wherever it is in a command, with its options."""
    started = find(command)
    assert (started and started[1]) == options


def test_the_files_are_looked_at() -> None:
    """Each file of the table is read, and each name in it is searched for."""
    assert {home["file"] for one in cleaners() for home in one.config} == set(CONFIGS)
    for one in cleaners():
        assert all(NAMES.search(word.encode()) for word in (*one.commands, *one.hooks, one.name))


# Git's filters.


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository with a tagged notebook."""
    isolate(tmp_path / "home", monkeypatch)
    made = Repository(tmp_path / "repo")
    (made.folder / "nb").mkdir()
    (made.folder / "nb" / "a.ipynb").write_bytes(NOTEBOOK)
    monkeypatch.chdir(made.folder)
    return made


def said(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """The findings of this lint."""
    main(["check", *words, "--format", "json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return [one for one in findings if one["code"] == "tag-eating-cleaner"]


def test_a_filter(repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A filter is found where Git's configuration sets it up, if a notebook has it."""
    (repo.folder / ".gitattributes").write_text("*.ipynb  filter=nb-clean diff=x\n")
    assert said(capsys, "nb/a.ipynb") == []
    repo.git("config", "filter.nb-clean.clean", "nb-clean clean -o")

    (one,) = said(capsys, "nb/a.ipynb")

    assert one["message"] == "Git's filter `nb-clean` deletes the tags of cells"
    (place,) = one["places"]
    lines = (repo.folder / ".git/config").read_text().splitlines()
    assert place["file"] == ".git/config"
    assert lines[place["line"] - 1] == '[filter "nb-clean"]'
    assert one["help"] == "add `--preserve-cell-metadata-field tags`"
    repo.git(
        "config", "filter.nb-clean.clean", "nb-clean clean --preserve-cell-metadata-field tags"
    )
    assert said(capsys, "nb/a.ipynb") == []


@pytest.mark.parametrize("at", ["info", "folder", "global", "included", "linked"])
def test_where_a_filter_is_set_up(
    at: str, repo: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever Git looks for attributes and its configuration, we do."""
    line = "*.ipynb filter=f\n"
    home = Path(os.environ["HOME"])
    setting = ["filter.f.clean", "nb-clean clean"]
    if at == "info":
        repo.git("config", *setting)
        (repo.folder / ".git/info/attributes").write_text(line)
    elif at == "folder":
        repo.git("config", *setting)
        (repo.folder / "nb/.gitattributes").write_text(line)
    elif at == "global":
        repo.git("config", "--global", *setting)
        (home / ".config/git").mkdir(parents=True)
        (home / ".config/git/attributes").write_text(line)
    elif at == "included":
        (repo.folder / ".gitattributes").write_text(line)
        repo.git("config", "include.path", str(home / "mine"))
        repo.git("config", "--file", str(home / "mine"), *setting)
    else:
        repo.git("config", *setting)
        repo.commit({"nb/b.ipynb": NOTEBOOK})
        (repo.folder / ".git/info/attributes").write_text(line)
        repo.git("worktree", "add", "-q", "../linked")
        monkeypatch.chdir(repo.folder.parent / "linked")

    (one,) = said(capsys, "nb")

    assert one["message"] == "Git's filter `f` deletes the tags of cells"
    assert one["places"][0].get("line")


def test_what_a_filter_is_told(repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """nbstripout is told by Git's configuration too."""
    (repo.folder / ".gitattributes").write_text("*.ipynb filter=nbstripout\n")
    command = shlex.join([sys.executable, "-m", "nbstripout"])
    repo.git("config", "filter.nbstripout.clean", command)
    assert said(capsys, "nb") == []
    repo.git("config", "filter.nbstripout.extrakeys", "cell.metadata.tags metadata.celltoolbar")

    (one,) = said(capsys, "nb")

    assert one["help"] == "remove `--extra-keys cell.metadata.tags`"


@pytest.mark.parametrize(
    ("hook", "finds"),
    [("{id: nb-clean, files: '('}", True), ("{id: nb-clean, files: a, exclude: nb}", False)],
)
def test_patterns_of_hooks(
    hook: str,
    finds: bool,  # noqa: FBT001
    repo: Repository,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A pattern that is none stops pre-commit itself; the hook may be for our notebooks."""
    (repo.folder / ".pre-commit-config.yaml").write_text(
        f"repos: [{{repo: x, rev: v5, hooks: [{hook}]}}]\n"
    )
    assert bool(said(capsys, "nb")) == finds


def test_a_cleaner_that_only_looks(repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """It deletes nothing."""
    hooks = "[{id: nbstripout, args: [--dry-run, --extra-keys=cell.metadata.tags]}]"
    (repo.folder / ".pre-commit-config.yaml").write_text(
        f"repos: [{{repo: x, rev: v5, hooks: {hooks}}}]\n"
    )
    assert said(capsys, "nb") == []


def test_a_filter_of_others(repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Filters that are no cleaners, and notebooks that have none, are nobody's business."""
    (repo.folder / ".gitattributes").write_text("*.ipynb filter=lfs\nnb/a.ipynb -filter\n")
    (repo.folder / "b.ipynb").write_bytes(NOTEBOOK)
    repo.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
    assert said(capsys, "b.ipynb", "nb/a.ipynb") == []


def test_a_repository_that_git_refuses(
    repo: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where Git gives no answer, the rest of the check goes on."""
    (repo.folder / ".gitattributes").write_text("*.ipynb filter=nb-clean\n")
    (repo.folder / ".git" / "config").write_text("[broken nb-clean")
    (repo.folder / ".pre-commit-config.yaml").write_text(
        "repos: [{repo: x, rev: v5, hooks: [{id: nb-clean}]}]\n"
    )
    (one,) = said(capsys, "nb")
    assert one["message"] == "the hook `nb-clean` deletes the tags of cells"


def test_configurations_that_are_not_utf8(
    repo: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Git reads its own all the same; what a cleaner cannot read is reported by the cleaner."""
    (repo.folder / ".gitattributes").write_text("*.ipynb filter=f\n")
    repo.git("config", "filter.f.clean", "nb-clean clean")
    config = repo.folder / ".git/config"
    config.write_bytes(config.read_bytes() + b"# gr\xfcn\n")
    (repo.folder / "pyproject.toml").write_bytes(b"# nb-clean, gr\xfcn\n")

    (one,) = said(capsys, "nb")

    assert one["message"] == "Git's filter `f` deletes the tags of cells"
    assert one["places"][0].get("line")


@pytest.mark.parametrize("text", ["repos: [", "repos: {a: 1}", "- nb-clean", "nb-clean: &a *a", ""])
def test_broken_files(text: str, repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is not ours to complain about."""
    (repo.folder / ".pre-commit-config.yaml").write_text(text)
    for name in CONFIGS:
        (repo.folder / name).write_text(f"nbdev {text}")
    assert said(capsys, "nb") == []


def test_nothing_is_loaded_without_cleaners(repo: Repository) -> None:
    """Where nothing names a cleaner, none of this is imported, and Git is not asked."""
    (repo.folder / ".pre-commit-config.yaml").write_text("repos: []\n")
    (repo.folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    program = (
        "import sys, subprocess\nfrom kale_tag.cli import main\nsubprocess.run = None\n"
        "main(['check', 'nb'])\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = done.stdout.split()
    assert "kale_tag.commands.check" in modules
    assert not {name for name in modules if name in {"kale_tag.lint.cleaners", "tomllib"}}
