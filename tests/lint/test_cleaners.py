"""The guard against cleaners: its facts against the programs themselves, and real Git filters."""

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
from kale_tag.commands.check_cleaners import _NAMES, CONFIGS
from kale_tag.diagnostics import Label, Source
from kale_tag.lint.cleaner_config import config_of
from kale_tag.lint.cleaner_programs import CLEANERS, Cleaner
from kale_tag.lint.cleaner_words import Use, find, losses, of_hook, split
from kale_tag.lint.cleaners import Cleaning, tag_eating_cleaner

ROOT = Path(__file__).parents[2]
SETTINGS = {"pipeline_name": "p", "experiment_name": "e"}
NOTEBOOK = from_percent(
    f'# %metadata {{"kubeflow_notebook": {json.dumps(SETTINGS)}, "kernelspec": '
    '{"name": "python3", "display_name": "Python 3", "language": "python"}}\n'
    "# %% id=a tags=step:load\nx = 1\n# %% id=b tags=imports\nimport os\n"
)
NAMES = {(cleaner.name, cleaner.seen): cleaner for cleaner in CLEANERS}

# nbdev 2 does not run with what it asks for today.
NEEDS = {"nbdev-2.4.7": ("fastcore<1.9", "execnb<0.2", "ghapi<1.1")}

# A cleaner and its version, a command, and the files beside it.
USES: list[tuple[str, str, dict[str, str]]] = [
    (named, use["run"], use.get("files", {}))
    for named, uses in YAML(typ="safe", pure=True)
    .load(Path(__file__).parent.parent / "cleaners.yaml")
    .items()
    for use in uses
]


def use_of(named: str, command: str, files: dict[str, str]) -> tuple[Use, Any]:
    """What we make of a command, and of the files beside it."""
    cleaner = NAMES[tuple(named.split())]  # type: ignore[index]
    *before, last = command.split(" && ")
    used = find(split(last), cleaner.before - 1 if cleaner.before else None)
    assert used is not None
    assert used.cleaner is cleaner
    sources = {name: Source(name, text) for name, text in files.items()}
    config = config_of(cleaner, sources)
    git = {cleaner.git_key: before[0].split()[-1]} if before and "git config" in before[0] else {}
    return Use(cleaner, used.words, config.values if config else {}, git), config


def kept(use: Use) -> tuple[bool, bool]:
    """Whether we say that tags and settings are kept."""
    lost = [loss.part for loss in losses(use)]
    return use.cleaner.tags not in lost, use.cleaner.settings not in lost


# The facts, against the programs.


@pytest.fixture(scope="session")
def programs() -> Any:
    """A function that gives the folder with the programs of a cleaner, installed when needed."""
    home = Path(os.environ.get("KALE_TAG_CLEANERS", ROOT / ".venv-cleaners"))

    def installed(cleaner: Cleaner) -> str:
        if cleaner.name == "jq":
            done = subprocess.run(["sh", "-c", "jq --version"], capture_output=True, check=False)
            if done.stdout.strip() != f"jq-{cleaner.seen}".encode():
                pytest.skip(f"there is no jq {cleaner.seen} on this machine")
            return ""
        place = home / f"{cleaner.name}-{cleaner.seen}"
        if not (place / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            wanted = [f"{cleaner.name}=={cleaner.seen}", *NEEDS.get(place.name, ())]
            python = place / "bin" / "python"
            subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
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
def test_the_facts_are_true(
    named: str, command: str, files: dict[str, str], programs: Any, tmp_path: Path
) -> None:
    """What we say of a command is what the program itself does; with our help it keeps all."""
    use, _ = use_of(named, command, files)
    path = programs(use.cleaner)

    value, _ = ran(command, files, tmp_path / "a", path)

    assert kept(use) == really_kept(value)
    if "rm " not in command:
        ids = {"kept": ["a", "b"], "renumbered": ["0", "1"], "deleted": [None, None]}
        assert [cell.get("id") for cell in value["cells"]] == ids[use.cleaner.ids]
    lost = [loss for loss in losses(use) if loss.cause is None and loss.part.args]
    words = " ".join(word for loss in lost for word in loss.part.args)
    if not lost or use.words[-1:] == ("--fname",) or "<" in command or "nb." in command:
        return
    corrected = f"{command.removesuffix(' --')} {words}"
    again, _ = ran(corrected, files, tmp_path / "b", path)
    still = {loss.part for loss in losses(use)} - {loss.part for loss in lost}
    assert really_kept(again) == (use.cleaner.tags not in still, use.cleaner.settings not in still)


# What we make of them.


def test_every_use_is_told() -> None:
    """Each cleaner is seen to delete and to keep; the help of each finding makes it none."""
    seen = {name: set() for name in NAMES}  # type: ignore[var-annotated]
    for named, command, files in USES:
        use, config = use_of(named, command, files)
        seen[use.cleaner.name, use.cleaner.seen] |= set(kept(use))
        cleaning = Cleaning("filter", "f", Label(Source("x")), use, config, command=command)
        found = [*tag_eating_cleaner(cleaning)]
        assert bool(found) == (kept(use) != (True, True))
        assert all(one.help for one in found)
    assert all(values == {True, False} for values in seen.values())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/usr/bin/nb-clean clean -m", ("clean", "-m")),
        (r"C:\\bin\\nb-clean.exe clean", ("clean",)),
        ("python -m nb_clean clean", ("clean",)),
        ("uvx nb-clean@5.0.0 clean -e", ("clean", "-e")),
        ("uv run --frozen nb-clean check", ("check",)),
        ("cat %f | nb-clean clean -m | tee x", ("clean", "-m")),
        ("bash -c 'nb-clean clean && git add -u'", ("clean",)),
        ("f() { nb-clean clean; }; f", ("clean",)),
        ("nb-clean add-filter", None),
        ("echo 'unclosed", None),
        ("bash -c", None),
        ("jupyter lab", None),
    ],
)
def test_commands(command: str, words: tuple[str, ...] | None) -> None:
    """A cleaner is found wherever it stands in a command."""
    use = find(split(command))
    assert (use and use.words) == words


def test_the_files_are_looked_at() -> None:
    """Each file that can set up a cleaner is read, and each name leads to its cleaner."""
    named = {config.name for cleaner in CLEANERS for config in cleaner.configs}
    assert named == set(CONFIGS)
    for cleaner in CLEANERS:
        words = [" ".join(program) for program in cleaner.programs]
        words += [hook for hook, _ in cleaner.hooks]
        assert all(_NAMES.search(word.encode()) for word in (*words, cleaner.name))
        for hook, run in cleaner.hooks:
            assert of_hook(hook, cleaner.before - 1 if cleaner.before else None) == run


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
    """A filter is found at the line that names it, with the command that mends it."""
    (repo.folder / ".gitattributes").write_text("*.py text\n*.ipynb  filter=nb-clean diff=x\n")
    assert said(capsys, "nb/a.ipynb") == []
    repo.git("config", "filter.nb-clean.clean", "nb-clean clean -o")

    (one,) = said(capsys, "nb/a.ipynb")

    assert one["message"] == "Git's filter `nb-clean` deletes the tags of cells"
    first, second = one["places"]
    assert (first["file"], first["line"], first["column"]) == (".gitattributes", 2, 10)
    assert (second["file"], second["text"]) == (".git/config", "what it runs")
    assert (
        "clean = nb-clean clean -o"
        in (repo.folder / ".git/config").read_text().splitlines()[second["line"] - 1]
    )
    subprocess.run(["sh", "-c", one["help"]], cwd=repo.folder, check=True)
    assert said(capsys, "nb/a.ipynb") == []


@pytest.mark.parametrize("at", ["info", "folder", "global", "file", "linked"])
def test_where_a_filter_is_named(
    at: str, repo: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever Git looks for attributes, we do."""
    line = "*.ipynb filter=jq\n"
    home = Path(os.environ["HOME"])
    repo.git("config", "filter.jq.clean", "jq '.cells[].metadata = {}'")
    if at == "info":
        (repo.folder / ".git/info/attributes").write_text(line)
    elif at == "folder":
        (repo.folder / "nb/.gitattributes").write_text(line)
    elif at == "global":
        (home / ".config/git").mkdir(parents=True)
        (home / ".config/git/attributes").write_text(line)
    elif at == "file":
        (home / "mine").write_text(line)
        repo.git("config", "--global", "core.attributesFile", "~/mine")
    else:
        repo.commit({"nb/b.ipynb": NOTEBOOK})
        (repo.folder / ".git/info/attributes").write_text(line)
        repo.git("worktree", "add", "-q", "../linked")
        monkeypatch.chdir(repo.folder.parent / "linked")

    (one,) = said(capsys, "nb/a.ipynb")

    assert one["message"] == "Git's filter `jq` deletes the tags of cells"
    assert one["help"] == "take that out of the program"
    assert one["places"][0].get("column") == 9


def test_what_a_filter_is_told(repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """nbstripout is told by Git's configuration too."""
    (repo.folder / ".gitattributes").write_text("*.ipynb filter=nbstripout\n")
    command = shlex.join([sys.executable, "-m", "nbstripout"])
    repo.git("config", "filter.nbstripout.clean", command)
    assert said(capsys, "nb") == []
    repo.git("config", "filter.nbstripout.extrakeys", "cell.metadata.tags metadata.celltoolbar")

    (one,) = said(capsys, "nb")

    assert one["help"] == "take `cell.metadata.tags` out of `filter.nbstripout.extrakeys`"


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
    (repo.folder / ".gitattributes").write_text("*.ipynb filter=jq\n")
    (repo.folder / ".git" / "config").write_text("[broken")
    (repo.folder / ".pre-commit-config.yaml").write_text(
        "repos: [{repo: x, rev: v5, hooks: [{id: nb-clean}]}]\n"
    )
    (one,) = said(capsys, "nb")
    assert one["message"] == "the hook `nb-clean` deletes the tags of cells"


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
    assert "kale_tag.commands.check_cleaners" in modules
    assert not {name for name in modules if name.startswith(("kale_tag.cleaners", "tomllib"))}
