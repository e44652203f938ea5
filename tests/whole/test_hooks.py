"""The pre-commit hooks and the GitHub Action, run as their users run them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from notebooks import from_percent
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SPEC = "version: 1\nnotebooks: ['../nb/*.ipynb']\ncells: [{source: load, step: load}]\n"
SPEC_OF_ALL = "version: 1\ncells: [{source: load, step: load, limits: {memory: 1Gi}}]\n"
SETTINGS = '# %metadata {"kubeflow_notebook": {"pipeline_name": "p", "experiment_name": "e"}}\n'
TAGGED = from_percent(f"{SETTINGS}# %% tags=step:load\nprint('load')\n")
UNTAGGED = from_percent(f"{SETTINGS}# %%\nprint('load')\n")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a spec and a notebook that is as it says."""
    folder = tmp_path / "repo"
    for name in ("specs", "nb"):
        (folder / name).mkdir(parents=True)
    (folder / "specs" / "spec.yaml").write_text(SPEC)
    (folder / "nb" / "a.ipynb").write_bytes(TAGGED)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def git(at: Path, *words: str) -> str:
    """What Git prints; nobody's own configuration plays a part."""
    plain = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(
        ["git", *words],
        cwd=at,
        env={**os.environ, **plain},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def commit(at: Path) -> str:
    """Commit everything; the name of the commit."""
    git(at, "add", "--all")
    git(at, "commit", "--quiet", "--message", "x")
    return git(at, "rev-parse", "HEAD")


def action() -> dict[str, Any]:
    """The GitHub Action."""
    path = ROOT / "action.yml"
    if not path.exists():
        pytest.skip("runs against an installed wheel")
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return found


def step(name: str, at: Path, **env: str) -> tuple[int, str, str]:
    """Runs a step of the action as a runner does; exit code, output and job summary."""
    (found,) = [one for one in action()["runs"]["steps"] if one["name"] == name]
    assert set(found["env"]) <= env.keys()
    summary = at.parent / "summary.md"
    summary.write_text("")
    (bin_folder := at.parent / "bin").mkdir(exist_ok=True)
    program = bin_folder / "kale-tag"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kale_tag "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]],
        cwd=at,
        env={
            **os.environ,
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(summary),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, summary.read_text()


def test_the_action_checks(repo: Path) -> None:
    """Drift is an annotation at its line, and fails the job; without any it passes."""
    code, out, _ = step("Check", repo, PATHS="", STRICT="false")
    assert code == 0, out
    (repo / "nb" / "a.ipynb").write_bytes(UNTAGGED)

    code, out, _ = step("Check", repo, PATHS="", STRICT="false")
    assert code == 1
    assert "::error file=nb/a.ipynb,line=" in out
    code, named, _ = step("Check", repo, PATHS="specs/spec.yaml\n\nnb/a.ipynb\n", STRICT="true")
    assert code == 1
    assert "::error file=nb/a.ipynb,line=" in named


def test_the_action_shows_the_difference(repo: Path) -> None:
    """The job summary gets the difference as Markdown, from a shallow clone too."""
    base = git(repo, "rev-parse", "HEAD")
    (repo / "nb" / "a.ipynb").write_bytes(UNTAGGED)
    commit(repo)
    clone = repo.parent / "clone"
    git(repo, "clone", "--quiet", "--depth=1", f"file://{repo}", str(clone))
    git(repo, "config", "uploadpack.allowAnySHA1InWant", "true")

    name = "Difference of tags and pipelines"
    for at in (repo, clone):
        code, out, summary = step(name, at, BASE=base)
        assert (code, out) == (0, "")
        assert "- step `load` **removed**" in summary
    assert step(name, repo, BASE="0" * 40) == (0, "", "")
    code, out, summary = step(name, repo, BASE="1" * 40)
    assert code == 0
    assert "::warning::kale-tag cannot fetch" in out


def test_the_action_is_whole() -> None:
    """Every input is used, and no text of an event is pasted into a script."""
    found = action()
    text = (ROOT / "action.yml").read_text("utf-8")
    assert all(f"inputs.{name}" in text for name in found["inputs"])
    assert all("${{" not in one["run"] for one in found["runs"]["steps"])
    assert all(one["shell"] == "bash" for one in found["runs"]["steps"])


def pre_commit(at: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs pre-commit with a cache of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", *words],
        cwd=at,
        env={**os.environ, "PRE_COMMIT_HOME": str(home), "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )


def team_specs(repo: Path) -> None:
    """A base spec that names no notebooks, and three specs of teams that extend it."""
    (repo / "specs" / "spec.yaml").write_text(SPEC.replace("*", "a"))
    (repo / "specs" / "base.yaml").write_text(SPEC_OF_ALL)
    for team in "bcd":
        (repo / "specs" / f"{team}.yaml").write_text(
            f"version: 1\nextends: base.yaml\nnotebooks: ['../nb/{team}*.ipynb']\n"
            "cells: [{source: load, step: load, limits: {memory: 2Gi}}]\n"
        )
        for number in range(3):
            named = UNTAGGED.replace(b'"p"', f'"{team}{number}"'.encode())
            (repo / "nb" / f"{team}{number}.ipynb").write_bytes(named)


@pytest.mark.slow
def test_pre_commit(repo: Path) -> None:
    """The hooks of this repository, installed by pre-commit, pass and fail as they should."""
    if not (ROOT / ".pre-commit-hooks.yaml").exists():
        pytest.skip("runs against an installed wheel")
    hooks = repo.parent / "hooks"  # what pre-commit would clone, with what is not committed yet
    names = ("kale_tag", "pyproject.toml", "README.md", "specs", ".pre-commit-hooks.yaml")
    hooks.mkdir()
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, hooks / name)
    git(hooks, "init", "--quiet")
    revision = commit(hooks)
    config: dict[str, Any] = {"repos": [{"repo": str(hooks), "rev": revision}]}

    def run(hook: str) -> subprocess.CompletedProcess[str]:
        config["repos"][0]["hooks"] = [{"id": hook}]
        (repo / ".pre-commit-config.yaml").write_text(json.dumps(config))
        git(repo, "add", "--all")
        return pre_commit(repo, repo.parent / "home", "run", "--all-files")

    passed = run("kale-tag-check")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "kale-tag check" in passed.stdout
    assert run("kale-tag-apply").returncode == 0

    (repo / "nb" / "a.ipynb").write_bytes(UNTAGGED)
    failed = run("kale-tag-check")
    assert failed.returncode == 1
    assert "nb/a.ipynb:" in failed.stdout
    applied = run("kale-tag-apply")
    assert applied.returncode == 1
    assert "files were modified by this hook" in applied.stdout
    assert (repo / "nb" / "a.ipynb").read_bytes() == TAGGED
    git(repo, "add", "--all")
    assert run("kale-tag-apply").returncode == 0
    assert run("kale-tag-check").returncode == 0

    team_specs(repo)
    git(repo, "add", "--all")
    run("kale-tag-apply")
    git(repo, "add", "--all")
    assert run("kale-tag-apply").returncode == 0
    assert (passed := run("kale-tag-check")).returncode == 0, passed.stdout + passed.stderr
    some = ("run", "--files", "specs/base.yaml", "nb/b1.ipynb")
    passed = pre_commit(repo, repo.parent / "home", *some)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    notebook = (repo / "nb" / "b1.ipynb").read_text()
    (repo / "nb" / "b1.ipynb").write_text(notebook.replace("2Gi", "1Gi"))
    failed = pre_commit(repo, repo.parent / "home", *some)
    assert failed.returncode == 1
    assert "it lacks `limit:memory:2Gi`" in failed.stdout

    (repo / "specs" / "spec.yaml").write_text(SPEC.replace("cells", "cels"))
    slip = run("kale-tag-check")
    assert slip.returncode == 1
    assert "did you mean `cells`?" in slip.stdout
