"""The merge driver with Git itself: what Git does alone stays so, byte for byte."""

import json
import os
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from notebooks import cell, from_percent, notebook, to_bytes
from repositories import Repository, isolate

from kale_tag.commands.git import merged
from kale_tag.git import merge_bytes
from kale_tag.git.merge_bytes import LABELS, Labels, MergedFile, merge_as_git
from kale_tag.git.revisions import GitError
from kale_tag.git.textconv import textconv
from kale_tag.notebook.model import MISSING
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import splice

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: Patch) -> Repository:
    """A repository without drivers."""
    isolate(tmp_path / "home", monkeypatch)
    return Repository(tmp_path / "alone")


@pytest.fixture
def driven(alone: Repository, tmp_path: Path, monkeypatch: Patch) -> Repository:
    """One with the drivers installed."""
    del alone  # for what it does to the environment
    made = Repository(tmp_path / "driven")
    assert made.kale_tag(monkeypatch, "install") == 0
    return made


def tagged(*tags: str, source: str = "fit(x)") -> bytes:
    """Three cells; the second has these tags."""
    cells = [
        cell("x = 1\ny = 2\n", id="load", metadata={"tags": ["step:load"]}),
        cell(source, id="fit", metadata={"tags": list(tags)} if tags else {}),
        cell("print(x)", id="show"),
    ]
    return to_bytes(notebook(cells, kubeflow_notebook={"pipeline_name": "p"}))


def value(data: bytes) -> Any:
    """The parsed notebook."""
    return json.loads(data.decode("utf-8-sig"))


def tags(data: bytes) -> list[list[str]]:
    """The tags of every cell."""
    return [one["metadata"].get("tags", []) for one in value(data)["cells"]]


# What Git does alone.


def lines_of(numbers: list[int]) -> bytes:
    """Lines as repetitive as those of a notebook, some without a letter or digit in them."""
    return b"".join([b"   {\n", b"a\n", b"   },\n", b"  ]\n", b"b\n", b"\n"][n] for n in numbers)


def varied(numbers: list[int], chance: random.Random) -> list[int]:
    """*numbers* with a few runs replaced, doubled or taken out."""
    made = list(numbers)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(made) + 1)
        made[at : at + chance.randint(0, 3)] = [
            chance.randrange(6) for _ in range(chance.randint(0, 3))
        ]
    return made


@pytest.mark.parametrize(
    "style", ["", *(pytest.param(style, marks=pytest.mark.slow) for style in ("diff3", "zdiff3"))]
)
def test_it_is_what_git_merge_does(alone: Repository, style: str, monkeypatch: Patch) -> None:
    """Of a file without a driver `git merge` makes the same bytes and the same verdict."""
    monkeypatch.chdir(alone.folder)
    if style:
        alone.git("config", "merge.conflictStyle", style)
    chance = random.Random(style)
    verdicts = set()
    for _ in range(15):
        base = [chance.randrange(6) for _ in range(25)]
        versions = [lines_of(one) for one in (base, varied(base, chance), varied(base, chance))]
        alone.three(*({"a": data} for data in versions))
        hash_of_base = alone.git("rev-parse", "--short", "HEAD~").strip()
        clean = alone.code("merge", "-q", "-m", "m", "topic") == 0
        found = merge_as_git(versions, 7, Labels(hash_of_base, "HEAD", "topic"))
        assert found == MergedFile(alone.read("a"), clean)
        verdicts.add(clean)
        alone.git("reset", "-q", "--hard")
    assert verdicts == {True, False}


def test_marker_size_and_labels(alone: Repository, monkeypatch: Patch) -> None:
    """Git says how long the markers are; labels may hold anything, line ends stay."""
    monkeypatch.chdir(alone.folder)
    found = merge_as_git([b"a\r\n", b"b\r\n", b"c\r\n"], 9, Labels("x", r"HEAD \1", "é"))
    expected = "<<<<<<<<< HEAD \\1\r\nb\r\n=========\r\nc\r\n>>>>>>>>> é\r\n"
    assert found == MergedFile(expected.encode(), clean=False)


def test_an_old_git(alone: Repository, monkeypatch: Patch) -> None:
    """Before 2.38 there is no `merge-tree --write-tree`; then it is `merge-file`."""
    monkeypatch.chdir(alone.folder)
    versions = [[b"a\nb\nc\n", b"x\nb\nc\n", b"a\nb\nz\n"], [b"a\n", b"b\n", b"c\n"]]
    versions += [[b"\0a", b"\0b", b"\0c"], [b"", b"b\n", b"c\n"], [b"a\n", b"a\n", b"b\n"]]
    new = [merge_as_git(three, 8) for three in versions]

    def refuse(*_words: object) -> MergedFile:
        raise GitError(129, "usage: git merge-tree")

    monkeypatch.setattr("kale_tag.git.merge_bytes._by_merge_tree", refuse)
    assert [merge_as_git(three, 8) for three in versions] == new
    assert [one.clean for one in new] == [True, False, False, False, True]


def both_ways(
    alone: Repository, driven: Repository, versions: tuple[bytes, bytes, bytes]
) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """Exit code and file of `git merge`, without the driver and with it."""
    results = []
    for repository in (alone, driven):
        base, *sides = ({"a.ipynb": data} for data in versions)
        repository.three(base, *sides)
        code = repository.code("merge", "-q", "-m", "m", "topic")
        data = repository.read("a.ipynb")
        # Git tells drivers its own labels since 2.44.
        data = re.sub(rb"^(<{7}|\|{7}|>{7}) .*$", rb"\1", data, flags=re.MULTILINE)
        results.append((code, data))
        repository.git("reset", "-q", "--hard")
    return results[0], results[1]


WITHOUT_TAGS = {
    "different cells": (tagged(), tagged(source="fit(x, y)"), tagged().replace(b"print", b"show")),
    "the same line": (tagged(), tagged(source="fit(x, y)"), tagged(source="fit(z)")),
    "tags on one side": (
        tagged("step:a"),
        tagged("step:b", "prev:load"),
        tagged("step:a", source="z"),
    ),
    "tags and a neighbour": (
        tagged(),
        tagged("step:b"),
        tagged().replace(b'{},\n   "out', b'{"a": 1},\n   "out'),
    ),
    "the same tags": (tagged(), tagged("step:b", source="1"), tagged("step:b")),
    "no base": (b"", tagged("step:a"), tagged("step:b")),
    "broken base": (b'{"cells": [', tagged("step:a"), tagged("step:b")),
    "broken side": (tagged(), tagged("step:a"), b"<<<<<<< x\n" + tagged("step:b")),
    "binary": (b"\0" + tagged(), tagged("step:a") + b"\0", tagged("step:b") + b"\0"),
    "not text": (tagged(), tagged("step:a"), tagged("step:b").replace(b"fit", b"\xff")),
    "nbformat 3": (
        b'{"nbformat": 3,\n"worksheets": [\n1]}',
        b'{"nbformat": 3,\n"worksheets": [\n2]}',
        b'{"nbformat": 3,\n"worksheets": [\n3]}',
    ),
}


@pytest.mark.parametrize("name", WITHOUT_TAGS)
@pytest.mark.parametrize("style", ["merge", pytest.param("diff3", marks=pytest.mark.slow)])
def test_what_is_left_to_git(alone: Repository, driven: Repository, name: str, style: str) -> None:
    """Where no tags meet, or a version is no notebook, file and exit code are Git's own."""
    for repository in (alone, driven):
        repository.git("config", "merge.conflictStyle", style)
    without, with_driver = both_ways(alone, driven, WITHOUT_TAGS[name])
    assert with_driver == without


def test_a_notebook_that_both_sides_add(alone: Repository, driven: Repository) -> None:
    """There is no base; Git gives an empty file for it."""
    found = []
    for repository in (alone, driven):
        repository.three({"x": b""}, {"a.ipynb": tagged("step:a")}, {"a.ipynb": tagged("step:b")})
        assert repository.code("merge", "-q", "topic") == 1
        found.append(re.sub(rb"([<>]{7}) .*", rb"\1", repository.read("a.ipynb")))
    assert found[0] == found[1]


# What the driver adds.


def json_of(data: bytes) -> bytes:
    return json.dumps(value(data)).encode()


LAYOUTS: dict[str, Callable[[bytes], bytes]] = {
    "as Jupyter writes": lambda data: data,
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "no final line end": lambda data: data.rstrip(),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "four spaces": lambda data: json.dumps(value(data), indent=4).encode() + b"\n",
    "one line": json_of,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (
            (("step:fit", "prev:load", "prev:x"), ("step:fit", "prev:load", "prev:y")),
            ["step:fit", "prev:load", "prev:x", "prev:y"],
        ),
        ((("step:train", "prev:load"), ("step:fit", "limit:cpu:1")), ["step:train", "limit:cpu:1"]),
        (((), ("step:fit", "prev:load", "t")), ["t"]),
    ],
)
def test_both_sides_tag_one_cell(
    driven: Repository, layout: str, sides: tuple[tuple[str, ...], ...], expected: list[str]
) -> None:
    """It is clean, in any layout of the file, which stays as it is."""
    laid = LAYOUTS[layout]
    base = tagged("step:fit", "prev:load")
    driven.three(*({"a.ipynb": laid(data)} for data in (base, *(tagged(*side) for side in sides))))
    driven.git("merge", "-q", "-m", "m", "topic")
    data = driven.read("a.ipynb")
    assert data == laid(tagged(*expected))
    assert driven.git("status", "--porcelain") == ""


def test_one_readable_hunk(driven: Repository) -> None:
    """Two renames of one step: one hunk of one line a side, named on standard error."""
    driven.three(
        {"a.ipynb": tagged("step:fit", "prev:load")},
        {"a.ipynb": tagged("step:train", "prev:load", "prev:x", source="fit(x, 1)")},
        {"a.ipynb": tagged("step:learn", "prev:load", "limit:cpu:1")},
    )
    said = driven.git("merge", "-q", "topic", ok=False)
    data = driven.read("a.ipynb").decode()
    hunk = '<<<<<<< ours\n     "step:train",\n=======\n     "step:learn",\n>>>>>>> theirs\n'
    assert re.sub("(<<<<<<<|>>>>>>>) .*", r"\1", hunk) in re.sub("([<>]{7}) .*", r"\1", data)
    assert data.count("<<<<<<<") == 1
    assert "both sides changed the role of cell 1 (`fit(x, 1)`): `step:train` (" in said
    line = data[: data.index("<<<<<<<")].count("\n") + 1
    assert f"\n --> a.ipynb:{line}\n" in said

    # What is shown meanwhile, and either side is a notebook with all the rest merged.
    shown = driven.git("diff")
    assert "++=======\n" in shown
    assert "# %% [code] step:learn prev:load prev:x limit:cpu:1 #fit\n" in shown
    assert len(shown.splitlines()) < 22
    pattern = r"<{7}.*\n((?:.*\n)*?)={7}\n((?:.*\n)*?)>{7}.*\n"
    for side, role in ((r"\1", "step:train"), (r"\2", "step:learn")):
        resolved = re.sub(pattern, side, data).encode()
        assert tags(resolved)[1] == [role, "prev:load", "prev:x", "limit:cpu:1"]
        assert value(resolved)["cells"][1]["source"] == ["fit(x, 1)"]


def test_each_conflict_has_its_line(driven: Repository) -> None:
    """The role of a step, and the `prev` that follows it, are two hunks."""

    def named(name: str) -> dict[str, bytes]:
        text = f"# %% tags=step:{name}\nx = 1\n# %%\ny\n# %% tags=step:end,prev:{name}\nx\n"
        return {"a.ipynb": from_percent(text)}

    driven.three(named("load"), named("read"), named("fetch"))
    said = driven.git("merge", "-q", "topic", ok=False)
    data = driven.read("a.ipynb").decode()
    lines = [n for n, line in enumerate(data.splitlines(), 1) if line.startswith("<<<<<<<")]
    assert len(lines) == 2
    assert re.findall(r" --> a\.ipynb:(\d+)", said) == [str(line) for line in lines]


def test_settings(driven: Repository) -> None:
    """Different settings are merged, the same one is one readable hunk."""
    base = tagged()

    def with_settings(**more: str) -> dict[str, bytes]:
        made = value(base)
        made["metadata"]["kubeflow_notebook"] |= more
        return {"a.ipynb": to_bytes(made)}

    driven.three(
        {"a.ipynb": base}, with_settings(base_image="x"), with_settings(experiment_name="e")
    )
    driven.git("merge", "-q", "-m", "m", "topic")
    assert driven.read("a.ipynb") == with_settings(base_image="x", experiment_name="e")["a.ipynb"]

    driven.three(
        {"a.ipynb": base}, with_settings(pipeline_name="q"), with_settings(pipeline_name="r")
    )
    said = driven.git("merge", "topic", ok=False)
    assert "both sides changed the setting `pipeline_name`: `q` (" in said
    data = driven.read("a.ipynb")
    assert data.count(b"<<<<<<<") == 1
    line = data[: data.index(b"<<<<<<<")].count(b"\n") + 1
    assert f"\n --> a.ipynb:{line}\n" in said


def test_a_step_that_both_sides_add(driven: Repository) -> None:
    """The merge is clean, and says that two steps became one."""
    base = value(tagged("step:a"))

    def with_cell(source: str) -> dict[str, bytes]:
        made = json.loads(json.dumps(base))
        new = json.loads(json.dumps(made["cells"][1]))
        new |= {"source": [source], "metadata": {"tags": ["step:report"]}}
        made["cells"].insert(0 if "ours" in source else 9, new)
        return {"a.ipynb": to_bytes(made)}

    driven.three({"a.ipynb": to_bytes(base)}, with_cell("print('ours')"), with_cell("tell()"))
    said = driven.git("merge", "-q", "-m", "m", "topic")
    assert "warning[step-given-twice]: both sides have a new step `report`" in said
    assert driven.git("status", "--porcelain") == ""


def test_an_id_that_both_sides_add(driven: Repository) -> None:
    """Each side has a cell of its own under one id: clean for Git, and a conflict."""
    base = value(tagged("step:a"))

    def with_cell(at: int, step: str) -> dict[str, bytes]:
        made = json.loads(json.dumps(base))
        new = cell(f"{step}()", id="new", metadata={"tags": [f"step:{step}"]})
        made["cells"].insert(at, new)
        return {"a.ipynb": to_bytes(made)}

    driven.three({"a.ipynb": to_bytes(base)}, with_cell(0, "ours"), with_cell(3, "theirs"))
    said = driven.git("merge", "topic", ok=False)
    assert "error[double-id]: both sides have a new cell with the id `new`" in said
    assert driven.git("status", "--porcelain") == "UU a.ipynb\n"
    assert b"<<<<<<<" not in driven.read("a.ipynb")


MOVES: dict[str, Callable[[Repository], object]] = {
    "rebase": lambda repository: repository.git("rebase", "-q", "topic"),
    "cherry-pick": lambda repository: repository.git("cherry-pick", "topic"),
    "stash": lambda repository: (
        repository.git("reset", "-q", "--soft", "HEAD~"),
        repository.git("stash", "-q"),
        repository.git("reset", "-q", "--hard", "topic"),
        repository.git("stash", "pop", "-q"),
    ),
    "merge --squash": lambda repository: repository.git("merge", "-q", "--squash", "topic"),
    "recursive": lambda repository: repository.git(
        "merge", "-q", "-s", "recursive", "-m", "m", "topic"
    ),
    "in a linked work tree": lambda repository: (
        repository.git("worktree", "add", "-q", "-b", "other", "../linked", "main"),
        repository.git("-C", "../linked", "merge", "-q", "-m", "m", "topic"),
        repository.git("merge", "-q", "--ff-only", "other"),
    ),
    "from a subfolder": lambda repository: repository.git(
        "-C", "sub", "merge", "-q", "-m", "m", "topic"
    ),
}


@pytest.mark.parametrize("how", MOVES)
def test_whatever_merges(driven: Repository, how: str) -> None:
    """All of Git's commands that merge use the driver, for notebooks with any name."""
    name = "sub/a 'b' $x %A.ipynb"
    driven.three(
        {name: tagged("step:fit")},
        {name: tagged("step:fit", "prev:x")},
        {name: tagged("step:fit", "prev:y")},
    )
    MOVES[how](driven)
    assert set(tags(driven.read(name))[1]) == {"step:fit", "prev:x", "prev:y"}
    assert "U" not in driven.git("status", "--porcelain")


def test_a_name_that_looks_like_an_option(driven: Repository) -> None:
    """`-v.ipynb` in the top folder."""
    versions = [tagged("step:fit"), tagged("step:fit", "prev:x"), tagged("step:fit", "prev:y")]
    driven.three(*({"-v.ipynb": data} for data in versions))
    driven.git("merge", "-q", "-m", "m", "topic")
    assert tags(driven.read("-v.ipynb"))[1] == ["step:fit", "prev:x", "prev:y"]
    (driven.folder / "-v.ipynb").write_bytes(tagged("step:z"))
    assert "+# %% [code] step:z #fit" in driven.git("diff")


def test_criss_cross(driven: Repository) -> None:
    """Two merge bases that conflict: the base that Git makes of them is no notebook; no harm."""
    driven.three(*({"a.ipynb": tagged(f"step:{name}")} for name in ("a", "b", "c")))
    driven.git("branch", "b")
    for branch, other, side in (("main", "topic", "--ours"), ("topic", "b", "--ours")):
        driven.git("checkout", "-q", branch)
        driven.git("merge", "-q", other, ok=False)
        driven.git("checkout", side, "a.ipynb")
        driven.git("commit", "-q", "-am", "resolved")
    driven.git("checkout", "-q", "main")
    assert driven.code("merge", "-q", "topic") == 1
    data = driven.read("a.ipynb")
    assert b'"step:b"' in data
    assert b'"step:c"' in data


def test_a_bug_of_ours(alone: Repository, driven: Repository, monkeypatch: Patch) -> None:
    """It is told, and the merge is Git's own."""
    versions = (tagged("step:a"), tagged("step:a", "prev:x"), tagged("step:a", "prev:y"))
    without, _ = both_ways(alone, driven, versions)
    monkeypatch.chdir(alone.folder)

    def fail(*_notebooks: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(merge_bytes, "merge", fail)
    found = merged(versions, "a.ipynb", 7, LABELS)
    assert not found.clean
    assert re.sub(rb"([<>]{7}) .*", rb"\1", found.data) == without[1]
    (warning,) = found.diagnostics
    assert warning.code == "internal-error"
    assert warning.notes[-1] == "a.ipynb was merged by Git alone"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [(b"{", "not-json"), (tagged("step:a", "prev:x"), "not-merged")],
)
def test_a_result_that_is_not_right(
    alone: Repository, wrong: bytes, code: str, monkeypatch: Patch
) -> None:
    """What Git calls clean and is no notebook, or has other tags, is left to the user."""
    monkeypatch.chdir(alone.folder)
    monkeypatch.setattr(merge_bytes, "merge_as_git", lambda *_words: MergedFile(wrong, clean=True))
    versions = (tagged("step:a"), tagged("step:a", "prev:x"), tagged("step:a", "prev:y"))
    found = merged(versions, "a.ipynb", 7, LABELS)
    assert (found.data, found.clean) == (wrong, False)
    assert [diagnostic.code for diagnostic in found.diagnostics] == [code]


def test_called_by_hand(alone: Repository, monkeypatch: Patch, capsys: Capture) -> None:
    """`kale-tag git merge` writes into OURS, prints one word, and its exit code is the verdict."""
    for theirs, word, code in (("prev:y", "clean\n", 0), ("limit:a:1", "conflict\n", 1)):
        sides = ("prev:x", theirs) if code == 0 else ("limit:a:2", theirs)
        alone.commit(
            {"b": tagged("step:a")}
            | {n: tagged("step:a", s) for n, s in zip("ot", sides, strict=True)}
        )
        words = ("merge", "b", "o", "t", "a.ipynb", "7", "B", "mine", "yours")
        assert alone.kale_tag(monkeypatch, *words) == code
        assert capsys.readouterr().out == word
    assert b'<<<<<<< mine\n     "limit:a:2"\n=======\n' in alone.read("o")


# Properties.

sources = st.sampled_from(["x = 1", "fit(x)\nfit(y)\n", "print(1)\n\n", ""])
foreign = st.lists(st.sampled_from("tuvw"), max_size=3, unique=True)
some_cells = st.dictionaries(st.sampled_from("abcdef"), st.tuples(sources, foreign), max_size=5)


def of_cells(cells: dict[str, tuple[str, list[str]]]) -> bytes:
    """A notebook of cells by id, sorted."""
    made = [
        cell(source, id=name, metadata={"tags": tags} if tags else {})
        for name, (source, tags) in sorted(cells.items())
    ]
    return to_bytes(notebook(made))


def bare(data: bytes) -> bytes:
    """A notebook without tags."""
    read = read_notebook(data, "a.ipynb")
    wanted: dict[int | None, object] = {
        at: {key: one for key, one in metadata.items() if key != "tags"}
        for at in range(len(read.types))
        if isinstance(metadata := read.metadata_of(at), dict)
    }
    return splice(read, wanted)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(sources, foreign, foreign, foreign), max_size=5), st.data())
def test_a_clean_merge_is_right(cells: list[Any], data: st.DataObject) -> None:
    """It has the tags of both sides, and for the rest what Git makes of it.

    No two cells look alike: there Git takes a line for another one, and which of them, lines of
    tags between them change.
    """
    edits = [data.draw(st.lists(sources, min_size=len(cells), max_size=len(cells))) for _ in "ot"]
    names = "abcdef"[: len(cells)]
    texts = [[one[0] for one in cells], *edits]
    versions = [
        {
            name: ("".join(f"{name} {line}" for line in text.splitlines(keepends=True)), one[side])
            for name, text, one in zip(names, of, cells, strict=True)
        }
        for side, of in enumerate(texts, 1)
    ]
    found = merged(tuple(map(of_cells, versions)), "a.ipynb", 7, LABELS)  # type: ignore[arg-type]
    plain = merge_as_git([bare(of_cells(one)) for one in versions])
    whole = merge_as_git([of_cells(one) for one in versions])
    assume(found.clean and plain.clean)

    gits = [value(plain.data), *([value(bare(whole.data))] if whole.clean else [])]
    assert value(bare(found.data)) in gits
    result = {one["id"]: one for one in value(found.data)["cells"]}
    for name in names:
        b, o, t = (set(side[name][1]) for side in versions)
        expected = (o & t) | (o - b) | (t - b)
        assert set(result[name]["metadata"].get("tags", [])) == expected


@settings(max_examples=8, deadline=None)
@given(some_cells, some_cells)
def test_one_sided(base: Any, side: Any) -> None:
    """What one side did alone, or both did, is the result."""
    one, other = of_cells(base), of_cells(side)
    for versions in ((one, other, one), (one, one, other), (one, other, other)):
        assert merged(versions, "a.ipynb", 7, LABELS) == MergedFile(other, clean=True)


# A repository as it might be.


def synthetic(count: int) -> dict[str, bytes]:
    """Notebooks of some ten cells each, with outputs."""
    chance = random.Random(0)
    made = {}
    for number in range(count):
        cells = []
        for _ in range(chance.randint(6, 12)):
            text = "".join(
                f"v{chance.randrange(9)} = {chance.randrange(99)}\n"
                for _ in range(chance.randint(1, 5))
            )
            output = {"output_type": "stream", "name": "stdout", "text": [text]}
            cells.append(cell(text, outputs=[output], execution_count=chance.randrange(9)))
        made[f"n{number:03}.ipynb"] = to_bytes(notebook(cells, kernelspec={"name": "python3"}))
    return made


def real(count: int) -> dict[str, bytes]:
    """Notebooks of the corpus that have enough code, or synthetic ones where there is no corpus."""
    folder = os.environ.get("KALE_TAG_CORPUS")
    if not folder:
        return synthetic(count)
    made = {}
    for path in sorted(Path(folder).glob("*.ipynb")):
        data = path.read_bytes()
        if len(data) < 300_000 and textconv(data) != data:
            read = read_notebook(data, path.name)
            if read.types.count("code") >= 4:
                made[path.name] = data
    return dict(list(made.items())[:count])


def retagged(data: bytes, tags: dict[int, list[str]]) -> bytes:
    """A notebook of which the code cells, counted from 0, have these tags."""
    read = read_notebook(data, "a.ipynb")
    code = [index for index, kind in enumerate(read.types) if kind == "code"]
    wanted: dict[int | None, object] = {}
    for number, listed in tags.items():
        old = read.metadata_of(code[number])
        wanted[code[number]] = {**(old if isinstance(old, dict) else {}), "tags": listed}
    assert MISSING not in wanted.values()
    return splice(read, wanted)


@pytest.mark.parametrize("count", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_a_repository_of_notebooks(driven: Repository, count: int) -> None:
    """The diff of a retagging is a line a cell, and merges of branches that tag are clean."""
    plain = real(count)
    assert len(plain) == count
    # Names that none of the notebooks has already.
    start = {0: ["imports"], 1: ["step:new_load"], 2: ["step:new_train", "prev:new_load"]}
    base = {name: retagged(data, start) for name, data in plain.items()}
    driven.commit(plain, "plain")
    driven.commit(base, "tags")

    shown = driven.git("diff", "HEAD~", "HEAD")
    changed = [line for line in shown.splitlines() if re.match(r"[-+](?![-+]{2} )", line)]
    assert len(changed) <= 2 * 3 * count
    assert all(re.match(r"[-+](# %% \[code\]|#% metadata)", line) for line in changed)
    assert shown == "".join(driven.git("show", "--format=", "HEAD"))

    ours = {**start, 2: ["step:new_fit", "prev:new_load", "limit:cpu:1"], 0: ["skip"]}
    theirs = {
        **start,
        2: ["step:new_train", "prev:new_load", "prev:other"],
        3: ["step:new_eval", "prev:new_train"],
    }
    driven.three(
        base,
        {name: retagged(data, ours) for name, data in base.items()},
        {name: retagged(data, theirs) for name, data in base.items()},
    )
    driven.git("merge", "-q", "-m", "m", "topic")
    both = {0: ["skip"], 2: ["step:new_fit", "prev:new_load", "prev:other", "limit:cpu:1"]}
    both[3] = ["step:new_eval", "prev:new_fit"]
    for name, data in base.items():
        assert driven.read(name) == retagged(data, both), name


def test_diff_is_quick(driven: Repository) -> None:
    """`kale-tag git textconv` imports none of what is slow to import."""
    driven.commit({"a.ipynb": from_percent("# %%\nx\n")})
    program = "import sys\nfrom kale_tag.cli import main\nmain(sys.argv[1:])\nprint(*sys.modules)"
    done = subprocess.run(
        [os.sys.executable, "-c", program, "git", "textconv", "--", "a.ipynb"],  # type: ignore[attr-defined]
        cwd=driven.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"typer", "subprocess", "msgspec", "ruamel.yaml", "difflib", "kale_tag.plan.plan"}
    assert not heavy & set(done.stdout.split())
