"""Real Git repositories for tests."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from kale_tag.cli import main

IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


class Repository:
    """A repository in a folder."""

    def __init__(self, folder: Path, *words: str) -> None:
        """Make the folder and initialise it with `git init *words*`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.git("init", "-q", "-b", "main", *words)

    def git(self, *words: str, ok: bool = True, data: bytes = b"") -> str:
        """What `git *words*` prints, on both streams."""
        done = subprocess.run(
            ["git", *words], cwd=self.folder, input=data, capture_output=True, check=False
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert not ok or done.returncode == 0, said
        return said

    def code(self, *words: str) -> int:
        """The exit code of `git *words*`."""
        return subprocess.run(
            ["git", *words], cwd=self.folder, capture_output=True, check=False
        ).returncode

    def commit(self, files: Mapping[str, bytes], message: str = "change") -> None:
        """Write files and commit all there is."""
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def three(
        self, base: Mapping[str, bytes], ours: Mapping[str, bytes], theirs: Mapping[str, bytes]
    ) -> None:
        """Commit base, then ours on `main` (checked out) and theirs on `topic`."""
        self.commit(base, "base")
        self.git("checkout", "-q", "-B", "topic")
        self.commit(theirs, "theirs")
        self.git("checkout", "-q", "main")
        self.commit(ours, "ours")

    def read(self, name: str) -> bytes:
        """The content of a file in the work tree."""
        return (self.folder / name).read_bytes()

    def kale_tag(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
        """The exit code of `kale-tag git *words*` in the repository."""
        with monkeypatch.context() as context:
            context.chdir(self.folder)
            return main(["git", *words])


def isolate(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own Git takes part; the drivers find this kale-tag."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(home.parent))
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
