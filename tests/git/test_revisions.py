"""`kale-tag diff` on real Git repositories: what is compared, and what if it cannot be."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from notebooks import from_percent

from kale_tag.cli import main
from kale_tag.diagnostics import UserError
from kale_tag.git import revisions

Capture = pytest.CaptureFixture[str]

A = from_percent("# %% tags=step:a\nx\n")
B = from_percent("# %% tags=step:b\nx\n")
PLAIN = from_percent("# %%\nx\n")
RETAGGED = "  cell 0  x  - step:a  + step:b\n  step  a -> b\n"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, made the current folder; nobody's settings count in it."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "n")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "n@example.org")
    folder = tmp_path / "repo"
    folder.mkdir()
    monkeypatch.chdir(folder)
    run("init", "-q", "-b", "main")
    return folder


def run(*words: str, at: Path | None = None) -> str:
    """What `git` prints."""
    command = ["git", "-c", "protocol.file.allow=always", *words]
    return subprocess.run(command, cwd=at, check=True, capture_output=True, text=True).stdout


def commit(files: dict[str, bytes | None], message: str = "m") -> None:
    """Write and delete files, and commit everything."""
    for name, data in files.items():
        path = Path(name)
        if data is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    run("add", "-A")
    run("commit", "-qm", message)


def printed(capsys: Capture, *words: str, code: int = 0) -> str:
    """What `kale-tag diff` prints on both streams."""
    found = main(["diff", *words])
    out, err = capsys.readouterr()
    assert found == code, out + err
    return out + err


def as_value(capsys: Capture, *words: str) -> Any:
    """The JSON that `kale-tag diff` prints."""
    return json.loads(printed(capsys, "--format", "json", *words))


@pytest.fixture
def two(repo: Path) -> Path:
    """Two commits and a branch: `main` retags what `old` has; `nb/plain.ipynb` has other code."""
    commit({"nb/a.ipynb": A, "nb/plain.ipynb": PLAIN, "b.ipynb": A})
    run("tag", "old")
    commit({"nb/a.ipynb": B, "nb/plain.ipynb": from_percent("# %%\ny\n"), "b.ipynb": B})
    return repo


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("words", "names", "sides"),
    [
        (["old", "main"], ["b.ipynb", "nb/a.ipynb"], "old, main"),
        (["old..main"], ["b.ipynb", "nb/a.ipynb"], "old, main"),
        (["old.."], ["b.ipynb", "nb/a.ipynb"], "old, HEAD"),
        (["old...main"], ["b.ipynb", "nb/a.ipynb"], "the merge base of old and main, main"),
        (["main...old"], [], "the merge base of main and old, old"),
        (["old"], ["b.ipynb", "nb/a.ipynb"], "old, the work tree"),
        (["HEAD~1"], ["b.ipynb", "nb/a.ipynb"], "HEAD~1, the work tree"),
        (["old", "main", "--", "nb"], ["nb/a.ipynb"], "old, main"),
        (["old", "main", "nb/"], ["nb/a.ipynb"], "old, main"),
        (["old", "--", ":(glob)*.ipynb"], ["b.ipynb"], "old, the work tree"),
        (["old", "main", "--", ":!nb"], ["b.ipynb"], "old, main"),
        (["old:nb", "main:nb"], ["a.ipynb"], "old:nb, main:nb"),
        (["old:b.ipynb", "main:b.ipynb"], ["main:b.ipynb"], "old:b.ipynb, main:b.ipynb"),
        (["old:b.ipynb", "nb/a.ipynb"], ["nb/a.ipynb"], "old:b.ipynb, nb/a.ipynb"),
        ([":/first", "main"], [], ":/first, main"),
        ([], [], "HEAD, the work tree"),
        (["--"], [], "HEAD, the work tree"),
        (["main", "--", "nb"], [], "main, the work tree"),
    ],
)
def test_what_is_compared(capsys: Capture, words: list[str], names: list[str], sides: str) -> None:
    """Revisions, ranges, paths and single files are understood as Git understands them."""
    if words and words[0] == ":/first":
        run("commit", "-q", "--allow-empty", "-m", "first..words")
    found = as_value(capsys, *words)

    assert [one["after"] for one in found["notebooks"] if one["differs"]] == names
    assert ", ".join((found["before"], found["after"])) == sides
    assert found["diagnostics"] == []


@pytest.mark.usefixtures("two")
def test_work_tree(capsys: Capture) -> None:
    """What is edited, staged or not, deleted, or added to the index counts, and no more."""
    Path("b.ipynb").write_bytes(A)
    run("add", "b.ipynb")
    Path("nb/a.ipynb").write_bytes(A)
    Path("nb/plain.ipynb").unlink()
    Path("new.ipynb").write_bytes(from_percent(f"# %% tags=step:a\nx\n# %%\n{'long ' * 500}"))
    run("add", "-N", "new.ipynb")
    Path("untracked.ipynb").write_bytes(A)

    assert printed(capsys) == (
        "b.ipynb\n  cell 0  x  - step:b  + step:a\n  step  b -> a\n"
        "nb/a.ipynb\n  cell 0  x  - step:b  + step:a\n  step  b -> a\n"
        "new.ipynb (new)\n  cell 0  x  + step:a\n  step  + a\n"
        "3 differ, 1 unchanged, 0 failed (HEAD, the work tree)\n"
    )
    assert printed(capsys, "HEAD", "--exit-code", "-q", code=1) == ""
    assert "git add -N untracked.ipynb" in printed(capsys, "--", "untracked.ipynb")


def test_subfolder(two: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names count from the top, as in Git; paths that are given count from here."""
    monkeypatch.chdir(two / "nb")
    Path("a.ipynb").write_bytes(b"{")

    assert f"nb/a.ipynb\n{RETAGGED}" in printed(capsys, "old", "main")
    assert "b.ipynb" not in printed(capsys, "old", "main", ".").replace("../b", "")
    told = printed(capsys, code=2)
    assert "\n --> a.ipynb:1:1\n" in told


@pytest.mark.usefixtures("repo")
def test_renamed_and_deleted(capsys: Capture) -> None:
    """A renamed notebook is compared with what it was; one that only moved is unchanged."""
    source = "".join(f"# %% tags=step:s{n}\nx{n}\n" for n in range(9))
    moved = from_percent(source.replace("x", "y"))
    commit({"old.ipynb": from_percent(source), "gone.ipynb": A, "a/moved.ipynb": moved})
    new = from_percent(source.replace("step:s0", "step:first"))
    commit(
        {"old.ipynb": None, "new.ipynb": new, "gone.ipynb": None, "a/moved.ipynb": None}
        | {"b/moved.ipynb": moved}
    )

    assert printed(capsys, "HEAD~1", "HEAD", "-v") == (
        "a/moved.ipynb -> b/moved.ipynb: nothing differs\n"
        "gone.ipynb (deleted)\n  cell 0  x  - step:a\n  step  - a\n"
        "old.ipynb -> new.ipynb\n  cell 0  x0  - step:s0  + step:first\n  step  s0 -> first\n"
        "2 differ, 1 unchanged, 0 failed (HEAD~1, HEAD)\n"
    )


@pytest.mark.usefixtures("repo")
def test_odd_names(capsys: Capture) -> None:
    """Spaces, quotes, line breaks, options, patterns, and bytes that are no text."""
    names = ["a b.ipynb", "q\"'.ipynb", "new\nline.ipynb", "-x.ipynb", "*.ipynb", "tab\t.ipynb"]
    names += ["é.ipynb", os.fsdecode(b"\xff.ipynb")]
    commit(dict.fromkeys(names, A))
    commit(dict.fromkeys(names, B))

    found = as_value(capsys, "HEAD~1", "HEAD")
    assert sorted(one["after"] for one in found["notebooks"]) == sorted(names)
    text = printed(capsys, "HEAD~1", "HEAD", "-v")
    assert text.count(RETAGGED) == len(names)
    assert "new\\nline.ipynb\n" in text
    assert "`new\\nline.ipynb`" in printed(capsys, "HEAD~1", "--format", "markdown")
    one = printed(capsys, "HEAD~1", "HEAD", "--", "-x.ipynb")
    assert one.startswith(f"-x.ipynb\n{RETAGGED}1 differs")


def test_a_name_that_is_no_text(repo: Path) -> None:
    """Reaches the terminal somehow."""
    name = os.fsdecode(b"\xff.ipynb")
    commit({name: A})
    commit({name: B})
    for format_name in ("text", "json", "markdown"):
        done = subprocess.run(
            [sys.executable, "-m", "kale_tag", "diff", "HEAD~1", "--format", format_name],
            cwd=repo,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii() or "\N{REPLACEMENT CHARACTER}".encode() in done.stdout


@pytest.mark.usefixtures("two")
def test_not_a_notebook_at_one_revision(capsys: Capture) -> None:
    """The revision and the path are named, the others go on, the exit code is 2."""
    commit({"b.ipynb": b"{\n <<<<"}, "broken")
    run("tag", "broken")
    commit({"b.ipynb": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"})

    told = printed(capsys, "old", "broken", code=2)
    assert f"nb/a.ipynb\n{RETAGGED}1 differs, 1 unchanged, 1 failed (old, broken)" in told
    assert "\n --> broken:b.ipynb:2:2\n" in told
    assert "= help: this is the committed version: `git show broken:b.ipynb` prints it\n" in told
    assert "error[lfs-pointer]: main:b.ipynb is a pointer of Git LFS" in printed(
        capsys, "broken", "main", code=2
    )
    both = printed(capsys, "broken", "main", "--format", "markdown", code=2)
    assert "**1 notebook could not be read:**" in both


def test_links_and_submodules(repo: Path, tmp_path: Path, capsys: Capture) -> None:
    """Are passed over; one that becomes a notebook is new."""
    other = tmp_path / "other.ipynb"
    other.mkdir()
    run("init", "-q", at=other)
    run("commit", "-q", "--allow-empty", "-m", "x", at=other)
    commit({"a.ipynb": A, ".ipynb_checkpoints/a.ipynb": A, "note.txt": A})
    Path("link.ipynb").symlink_to("a.ipynb")
    run("submodule", "add", "-q", str(other), "sub.ipynb")
    commit({".ipynb_checkpoints/a.ipynb": B, "note.txt": B})
    run("commit", "-q", "--allow-empty", "-m", "y", at=repo / "sub.ipynb")

    assert as_value(capsys, "HEAD~1", "HEAD")["notebooks"] == []
    assert as_value(capsys, "HEAD~1")["notebooks"] == []
    Path("link.ipynb").unlink()
    Path("link.ipynb").write_bytes(A)
    assert [one["change"] for one in as_value(capsys)["notebooks"]] == ["added"]


def test_filters_do_not_count(two: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither textconv, external diff programs, colours, prefixes nor line ends of the user."""
    (two / ".gitattributes").write_text("*.ipynb diff=nb text eol=crlf\n")
    for key, value in {
        "diff.nb.textconv": "false",
        "diff.nb.command": "false",
        "diff.external": "false",
        "diff.renames": "false",
        "diff.relative": "true",
        "color.ui": "always",
        "core.autocrlf": "true",
        "core.quotePath": "true",
        "diff.orderFile": "/nowhere",
    }.items():
        run("config", key, value)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    Path("b.ipynb").unlink()
    run("checkout", "-q", "--", "b.ipynb")
    assert b"\r\n" in Path("b.ipynb").read_bytes()

    assert as_value(capsys)["summary"]["differ"] == 0
    assert as_value(capsys, "old")["summary"]["differ"] == 2
    monkeypatch.chdir(two / "nb")
    assert as_value(capsys, "old", "main")["summary"]["differ"] == 2


@pytest.mark.usefixtures("two")
def test_sparse_checkout(capsys: Capture) -> None:
    """What is not checked out is as the index says."""
    run("sparse-checkout", "set", "--no-cone", "/b.ipynb")
    assert not Path("nb/a.ipynb").exists()

    assert as_value(capsys)["notebooks"] == []
    assert as_value(capsys, "old")["summary"] == {"differ": 2, "unchanged": 1, "failed": 0}


@pytest.mark.usefixtures("two")
def test_merge_in_progress(capsys: Capture) -> None:
    """A notebook with conflict markers is named, once."""
    run("checkout", "-qb", "side", "old")
    commit({"b.ipynb": from_percent("# %% tags=step:c\nx\n")})
    subprocess.run(["git", "merge", "-q", "main"], check=False, capture_output=True)

    told = printed(capsys, code=2)
    assert told.count("error[") == 1
    assert "\n --> b.ipynb:" in told


def test_bare(two: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two revisions can be compared; there is no work tree, nor is there one inside of `.git`."""
    run("clone", "-q", "--bare", str(two), str(tmp_path / "bare"))
    for folder in (tmp_path / "bare", two / ".git"):
        monkeypatch.chdir(folder)
        assert as_value(capsys, "old", "main")["summary"]["differ"] == 2
        assert "error[no-work-tree]" in printed(capsys, "old", code=2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(two / ".git"))
    assert as_value(capsys, "old", "main")["summary"]["differ"] == 2
    monkeypatch.setenv("GIT_WORK_TREE", str(two))
    assert as_value(capsys, "old")["summary"]["differ"] == 2


def test_shallow(
    two: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a shallow clone lacks is said to be lacking for that reason."""
    run("clone", "-q", "--depth", "1", f"file://{two}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")

    assert as_value(capsys)["summary"]["differ"] == 0
    told = printed(capsys, "HEAD~1", code=2)
    assert "error[unknown-revision]: Git knows no revision `HEAD~1`" in told
    assert "git fetch --unshallow" in told
    run("fetch", "-q", "--depth", "1", "origin", "tag", "old")
    told = printed(capsys, "old...HEAD", code=2)
    assert "error[no-merge-base]" in told
    assert "git fetch --unshallow" in told
    assert as_value(capsys, "old", "HEAD")["summary"]["differ"] == 2


@pytest.mark.usefixtures("two")
def test_worktree(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A linked work tree has its own HEAD and files."""
    run("worktree", "add", "-q", str(tmp_path / "linked"), "old")
    monkeypatch.chdir(tmp_path / "linked")

    assert as_value(capsys)["summary"]["differ"] == 0
    assert as_value(capsys, "main")["summary"]["differ"] == 2


def test_partial_clone_without_its_source(
    two: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content that Git cannot get is one error a notebook."""
    run("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "partial"
    run("clone", "-q", "--bare", "--filter=blob:none", f"file://{two}", str(clone))
    two.rename(tmp_path / "away")
    monkeypatch.chdir(clone)

    told = printed(capsys, "old", "main", code=2)
    assert "0 differ, 0 unchanged, 3 failed" in told
    assert "error[not-read]: Git does not have the content of old:b.ipynb" in told
    assert "error[not-read]: Git does not have the content of main:nb/a.ipynb" in told


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["mian"], "unknown-revision", "did you mean `main`?"),
        (["main", "odl"], "unknown-revision", "did you mean `old`?"),
        (["main", "feature/c"], "unknown-revision", "did you mean `feature/x`?"),
        (["mian..old"], "unknown-revision", "did you mean `main`?"),
        (["odl", "--", "b.ipynb"], "unknown-revision", "did you mean `old`?"),
        (["zzzzzz"], "unknown-revision", "and there is no such path"),
        (["0" * 40], "unknown-revision", "0000"),
        (["^main"], "unknown-revision", "^main"),
        (["main", "old", "HEAD"], "too-many-revisions", "main, old, HEAD"),
        (["main", "nb/a.ipybn"], "unknown-revision", "no such path"),
        (["main", "nb/c.ipynb"], "not-found", "nb/c.ipynb"),
        (["nb/a.ipynb", "main"], "not-found", "revisions come first"),
        (["main:b.ipynb", "old"], "not-comparable", "names one file"),
        (["main:b.ipynb"], "not-comparable", "names one file"),
        (["main", "-"], "not-comparable", "standard input is one notebook"),
        (["main", "--", ":(nonsense)x"], "git-refused", "nonsense"),
        (["nb", "b.ipynb"], "not-comparable", "nb is a folder"),
    ],
)
def test_slips(capsys: Capture, words: list[str], code: str, text: str) -> None:
    """One error that says what to write."""
    run("branch", "feature/x")
    told = printed(capsys, *words, code=2)

    assert told.startswith(f"error[{code}]: ")
    assert told.count("error[") == 1
    assert text in told


@pytest.mark.usefixtures("two")
def test_ambiguous(capsys: Capture) -> None:
    """A name of both a revision and a path is refused; `--` and `./` tell them apart."""
    run("branch", "nb", "old")

    assert printed(capsys, "nb", code=2) == (
        "error[ambiguous-argument]: `nb` is both a revision and a path\n"
        "  = help: write `nb --` for the revision, `-- nb` or `./nb` for the path\n\n"
    )
    assert as_value(capsys, "nb", "--")["summary"]["differ"] == 2
    assert as_value(capsys, "--", "nb")["before"] == "HEAD"
    assert as_value(capsys, "./nb")["before"] == "HEAD"
    assert as_value(capsys, "./nb", "./nb")["before"] == "./nb"


@pytest.mark.usefixtures("two")
def test_options_and_separator(capsys: Capture) -> None:
    """Options may stand before and between; behind `--` everything is a path."""
    expected = printed(capsys, "old", "--", "b.ipynb", code=0)

    assert printed(capsys, "--color", "never", "old", "--", "b.ipynb") == expected
    assert printed(capsys, "old", "--color=never", "--", "b.ipynb") == expected
    told = printed(capsys, "old", "--", "b.ipynb", "--exit-code")
    assert told.startswith(f"b.ipynb\n{RETAGGED}")
    with_unknown = main(["diff", "--nonsense", "old", "--", "b.ipynb"])
    assert with_unknown == 2


@pytest.mark.usefixtures("repo")
def test_no_commits(capsys: Capture) -> None:
    """There is nothing to compare with."""
    Path("a.ipynb").write_bytes(A)

    assert printed(capsys, code=2).startswith(
        "error[no-commits]: this repository has no commits yet\n"
    )
    assert "error[no-commits]" in printed(capsys, "a.ipynb", code=2)


def test_no_git(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files and two folders need no Git; a revision does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, data in {"x/a.ipynb": A, "y/a.ipynb": B}.items():
        Path(name).parent.mkdir()
        Path(name).write_bytes(data)

    assert as_value(capsys, "x/a.ipynb", "y/a.ipynb")["summary"]["differ"] == 1
    assert as_value(capsys, "x", "y")["summary"]["differ"] == 1
    assert "error[no-repository]" in printed(capsys, "x", code=2)


def test_stdin(two: Path) -> None:
    """`-` is one of two notebooks."""
    for words in (["-", "b.ipynb"], ["old:b.ipynb", "-"]):
        done = subprocess.run(
            [sys.executable, "-m", "kale_tag", "diff", *words, "--exit-code"],
            cwd=two,
            input=A if words[0] == "-" else B,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert RETAGGED in done.stdout.decode()


@pytest.mark.usefixtures("repo")
def test_reads_only_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many notebooks, those with other content are read, each side once, by one process."""
    commit({f"{number}.ipynb": A for number in range(50)})
    commit({"7.ipynb": B, "8.ipynb": None})
    read: list[str] = []
    original = revisions.Blobs.read

    def noted(self: revisions.Blobs, blob: str, name: str) -> bytes:
        read.append(name)
        return original(self, blob, name)

    monkeypatch.setattr(revisions.Blobs, "read", noted)

    assert main(["diff", "HEAD~1", "HEAD"]) == 0
    assert read == ["HEAD~1:7.ipynb", "HEAD:7.ipynb", "HEAD~1:8.ipynb"]


def test_functions(two: Path, tmp_path: Path) -> None:
    """What the functions give beyond the command."""
    found = revisions.repository()

    assert found == revisions.Repository("", str(two), shallow=False)
    assert revisions.repository(str(two / "nb")) == revisions.Repository(
        str(two / "nb"), str(two), shallow=False
    )
    assert revisions.repository(str(tmp_path)) is None
    assert found is not None
    tree = revisions.resolve(found, "main")
    assert revisions.resolve(found, "main:b.ipynb").kind == "blob"
    assert [one.path for one in revisions.notebooks_at(found, tree.id)] == [
        "b.ipynb", "nb/a.ipynb", "nb/plain.ipynb",
    ]  # fmt: skip
    assert [one.path for one in revisions.notebooks_at(found, tree.id, ["nb/*n*"])] == [
        "nb/a.ipynb", "nb/plain.ipynb",
    ]  # fmt: skip
    with closing(revisions.Blobs(found)) as blobs:
        for one in revisions.notebooks_at(found, tree.id):
            assert blobs.read(one.id or "", "x") == Path(one.path).read_bytes()
        with pytest.raises(UserError, match="the content of x"):
            blobs.read("1" * 40, "x")
        assert blobs.read(revisions.resolve(found, "main:b.ipynb").id, "x") == B


def test_a_rule_without_a_cell_shows_the_cell_in_head(repo: Path, capsys: Capture) -> None:
    """`no-match` names the cell that the rule selected before the notebook was edited."""
    committed = from_percent("# %% id=a\nread()\n# %% id=b\nmodel.fit(x)\n# %% id=c\nend()\n")
    edited = from_percent("# %% id=n\nnew()\n# %% id=a\nload_all()\n# %% id=c\nend()\n")
    commit({"nb/a.ipynb": committed})
    (repo / "nb" / "a.ipynb").write_bytes(edited)
    (repo / "nb" / "new.ipynb").write_bytes(edited)
    rules = "[{source: read, step: load}, {source: fit, step: fit}, {source: never, tag: skip}]"
    (repo / "spec.yaml").write_text(f"version: 1\ncells: {rules}\n")

    assert main(["plan", "spec.yaml", "nb/a.ipynb"]) == 2
    notes = [line for line in capsys.readouterr().err.splitlines() if "= note:" in line]
    assert notes == [
        "  = note: Git's HEAD has the cell: cell 0, `read()`; it is cell 1 now, `load_all()`",
        "  = note: Git's HEAD has the cell: cell 1, `model.fit(x)`; it is gone",
    ]
    assert main(["plan", "spec.yaml", "nb/new.ipynb"]) == 2
    assert "HEAD" not in capsys.readouterr().err


@pytest.mark.usefixtures("repo")
def test_a_repository_that_git_refuses(capsys: Capture) -> None:
    """It is an error, not a folder without a repository."""
    commit({"a.ipynb": A})
    Path(".git/config").write_text("[broken")
    assert main(["diff", "HEAD"]) == 2
    assert "error[git-refused]: Git refused: bad config" in capsys.readouterr().err
