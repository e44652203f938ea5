"""Patches: any change as a patch, applied and undone; any patch of others; questions; files."""

import io
import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebook_strategies import FUZZ, notebooks
from notebooks import from_percent, to_bytes

from kale_tag.cli import main
from kale_tag.commands.shared.batch import name_below
from kale_tag.diagnostics import Source, UserError
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING, Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.apply import with_changes
from kale_tag.plan.apply_patch import apply_patch, apply_patch_to, inverted, spoils
from kale_tag.plan.patch import Operation, as_text, operations, prove_patch
from kale_tag.plan.read_patch import Patch, read_patch
from kale_tag.render.diagnostics import as_text as fault_text
from kale_tag.render.text import Style
from kale_tag.spec.model import Change

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from([1.0, 1e300, "", "a/b~c", "é\n"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["tags", "a", "a/b", "m~n", ""]), inner, max_size=3)
    ),
    max_leaves=4,
)
metadata = st.none() | st.dictionaries(
    st.sampled_from(["tags", "kubeflow_notebook", "a/b", "m~n", "é"]), values, max_size=3
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[int | None, Any]]]:
    """A notebook, and other metadata for some of its holders; `MISSING` is none."""
    notebook = draw(notebooks())
    for cell in notebook["cells"]:
        cell["metadata"] = draw(metadata)
        if draw(st.integers(0, 9)) == 0:
            del cell["metadata"]
    notebook["metadata"] = draw(metadata)
    holders = st.sampled_from([None, *range(len(notebook["cells"]))])
    wanted = draw(st.dictionaries(holders, metadata | st.just(MISSING), max_size=4))
    return notebook, list(wanted.items())


def changes_of(notebook: Notebook, wanted: list[tuple[int | None, Any]]) -> list[Change]:
    """The changes that give each holder what is wanted for it."""
    both = (Change(holder, notebook.metadata_of(holder), after) for holder, after in wanted)
    changes = [change for change in both if not same(change.before, change.after)]
    return sorted(changes, key=lambda change: (change.holder is None, change.holder or 0))


def read(patch: list[Operation]) -> Patch:
    """A patch that was written to a file, read back."""
    return read_patch(Source("a.patch.json", as_text(patch)))


@FUZZ
@given(cases(), st.booleans())
def test_there_and_back(
    case: tuple[dict[str, Any], list[tuple[int | None, Any]]],
    fast: bool,  # noqa: FBT001
) -> None:
    """Whatever changes in metadata: the patch makes it, in our hands and in jsonpatch's.

    Undoing it gives the old bytes back; done twice it is done once.
    """
    before, wanted = case
    data = to_bytes(before)
    notebook = read_notebook(data, "a.ipynb", fast=fast)
    changes = changes_of(notebook, wanted)
    changed = with_changes(notebook, changes)
    new = changed.data
    found = operations(changes, notebook, "a.ipynb")
    prove_patch(found, notebook, changed)
    patch = read(found)
    assert patch.notebook == ("a.ipynb" if changes else "")
    assert same(
        jsonpatch.apply_patch(json.loads(data), json.loads(as_text(found))), json.loads(new)
    )

    if any(spoils(one.after) and not spoils(one.before) for one in changes):
        with pytest.raises(UserError, match="no valid notebook has"):
            apply_patch_to(patch, data, "a.ipynb", fast=fast)
        return
    made = apply_patch_to(patch, data, "a.ipynb", fast=fast)

    assert (made.data or data) == new
    assert apply_patch_to(patch, new, "a.ipynb", fast=fast).data is None
    back = apply_patch_to(patch, new, "a.ipynb", fast=fast, undo=True)
    assert (back.data or new) == data
    assert apply_patch_to(patch, data, "a.ipynb", fast=fast, undo=True).data is None


def check_texts(refused: UserError) -> None:
    """Every fault can be printed."""
    assert all(fault_text(diagnostic, Style()) for diagnostic in refused.diagnostics)


paths = st.sampled_from(
    [
        "/metadata",
        "/metadata/a",
        "/metadata/a/0",
        "/metadata/a/-",
        "/metadata/a~1b",
        "/cells/0/metadata",
        "/cells/0/metadata/tags",
        "/cells/0/metadata/tags/0",
        "/cells/0/metadata/tags/-",
        "/cells/1/metadata/tags/1",
        "/cells/7/metadata/tags",
    ]
)
plain_operations = (
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "replace"]), "path": paths, "value": values}
    )
    | st.fixed_dictionaries({"op": st.just("remove"), "path": paths})
    | st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "path": paths, "from": paths})
    | st.fixed_dictionaries(
        {"op": st.just("test"), "path": paths | st.just("/nbformat"), "value": values | st.just(4)}
    )
)


@FUZZ
@given(notebooks(), st.lists(plain_operations, max_size=4))
def test_any_patch(before: dict[str, Any], patch: list[dict[str, Any]]) -> None:
    """A patch of anybody is refused with a message, or gives what jsonpatch gives."""
    data = to_bytes(before)
    try:
        read_one = read_patch(Source("a.patch.json", json.dumps(patch)))
        made = apply_patch(read_one, read_notebook(data, "a.ipynb"))
    except UserError as refused:
        check_texts(refused)
        return
    after = with_changes(read_notebook(data, "a.ipynb"), made.changes).data
    assert same(jsonpatch.apply_patch(json.loads(data), patch), json.loads(after))
    try:
        back = inverted(read_one)
    except UserError:
        return
    undone = apply_patch(back, read_notebook(after, "a.ipynb"), by_id=True)
    assert with_changes(read_notebook(after, "a.ipynb"), undone.changes).data == data


@FUZZ
@given(st.text(max_size=80) | st.lists(plain_operations).map(json.dumps).map(lambda t: t[:-3]))
def test_any_text_is_a_patch_or_a_message(text: str) -> None:
    """Whatever stands in a patch file gives a patch, or faults whose places lie in the text."""
    try:
        read_patch(Source("a.patch.json", text))
    except UserError as refused:
        for diagnostic in refused.diagnostics:
            spans = [label.span for label in diagnostic.labels if label.span is not None]
            assert all(0 <= span.start <= span.end <= len(text) for span in spans)
            assert fault_text(diagnostic, Style())


TWO = from_percent("# %% id=load\nload()\n# %% id=fit\nfit()\n# %% id=show\nshow()\n")
SPEC = (
    "version: 1\npipeline: {experiment_name: e}\n"
    "cells: [{source: load, step: load}, {source: fit, step: fit, prev: load}, "
    "{source: show, tag: skip}]\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two notebooks and a spec, in the current folder."""
    (tmp_path / "a.ipynb").write_bytes(TWO)
    (tmp_path / "b.ipynb").write_bytes(TWO)
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tags(path: Path) -> list[list[str]]:
    """The tags of each cell, and the names of the settings."""
    value = json.loads(path.read_bytes())
    found = [cell["metadata"].get("tags", []) for cell in value["cells"]]
    return [*found, sorted(value["metadata"].get("kubeflow_notebook", {}))[1:2]]


LOAD, FIT, SHOW, SETTINGS = ["step:load"], ["step:fit", "prev:load"], ["skip"], ["experiment_name"]


@pytest.mark.parametrize(
    ("answers", "a", "b"),
    [
        ("y\nn\ny\nn\nn\nn\nn\ny\n", [LOAD, [], SHOW, []], [[], [], [], SETTINGS]),
        ("a\na\n", [LOAD, FIT, SHOW, SETTINGS], [LOAD, FIT, SHOW, SETTINGS]),
        ("n\na\nd\n", [[], FIT, SHOW, SETTINGS], [[], [], [], []]),
        ("y\nd\nn\nn\ny\nn\n", [LOAD, [], [], []], [[], [], SHOW, []]),
        ("y\nq\n", [LOAD, [], [], []], [[], [], [], []]),
        ("y\n", [LOAD, [], [], []], [[], [], [], []]),
        ("?\nwhat\n\nYES\nq\n", [LOAD, [], [], []], [[], [], [], []]),
    ],
)
@pytest.mark.parametrize("from_patches", [False, True])
def test_interactive(  # noqa: PLR0917
    answers: str,
    a: list[list[str]],
    b: list[list[str]],
    from_patches: bool,  # noqa: FBT001
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each answer decides on a cell, a notebook, or the rest; the end of the input means `q`."""
    paths = ["spec.yaml", "a.ipynb", "b.ipynb"]
    if from_patches:
        assert main(["plan", *paths, "-o", "patches", "-q"]) == 0
        paths = ["patches"]
    monkeypatch.setattr("sys.stdin", io.StringIO(answers))

    assert main(["apply", *paths, "-i"]) == 0

    assert [tags(folder / "a.ipynb"), tags(folder / "b.ipynb")] == [a, b]
    out, err = capsys.readouterr()
    assert err == ""
    assert "a.ipynb\n  cell 0  load()  + step:load\nchange this? [y,n,a,d,q,?] " in out
    assert ("d  no, and nothing more of this notebook" in out) == ("?" in answers)
    assert f"{any(a) + any(b)} changed, " in out


def test_a_patch_from_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`plan -o -` and `apply -` fit together."""
    assert main(["plan", "spec.yaml", "a.ipynb", "-o", "-"]) == 0
    patch = capsys.readouterr().out
    for words in (["apply", "-"], ["revert", "-"], ["apply", "-", "b.ipynb"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(patch.encode())))
        assert main(words) == 0

    assert (folder / "a.ipynb").read_bytes() == TWO
    assert tags(folder / "b.ipynb") == [LOAD, FIT, SHOW, SETTINGS]


def test_the_output_is_deterministic(folder: Path) -> None:
    """The same plan gives the same bytes, and a file that is right already is not written again."""
    words = ["plan", "spec.yaml", "a.ipynb", "b.ipynb", "-o", "p", "-q"]
    assert main(words) == 0
    files = sorted((folder / "p").iterdir())
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    assert main([*words, "--jobs", "2"]) == 0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files} == before
    assert [path.name for path in files] == ["a.ipynb.patch.json", "b.ipynb.patch.json"]


def test_names_below_the_folder(folder: Path) -> None:
    """A notebook is named from the current folder on, however it was reached."""
    (folder / "nb").mkdir()
    assert name_below("nb/../a.ipynb") == "a.ipynb"
    assert name_below(str(folder / "nb" / "a.ipynb")) == "nb/a.ipynb"
    with pytest.raises(UserError, match=r"outside the current folder"):
        name_below("../a.ipynb")


def test_a_patch_is_for_one_notebook_in_the_whole_repository(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A patch names its notebook from the root on, so it applies in any folder."""
    (folder / ".git").mkdir()
    for name in ("nb", "other"):
        (folder / name).mkdir()
        (folder / name / "a.ipynb").write_bytes(TWO)
    monkeypatch.chdir(folder / "nb")
    assert main(["plan", "../spec.yaml", "a.ipynb", "../b.ipynb", "-o", "../p", "-q"]) == 0
    assert [*map(str, sorted(Path("../p").rglob("*.json")))] == [
        "../p/b.ipynb.patch.json",
        "../p/nb/a.ipynb.patch.json",
    ]

    for at, written in (("other", "../nb/a.ipynb"), (".", "nb/a.ipynb"), ("nb", "a.ipynb")):
        monkeypatch.chdir(folder / at)
        assert main(["apply", str(folder / "p")]) == 0
        assert f"changed {written}: 3 cells and settings" in capsys.readouterr().out
        assert tags(folder / "nb" / "a.ipynb") == tags(folder / "b.ipynb")
        assert main(["revert", str(folder / "p"), "-q"]) == 0
    assert {path.read_bytes() for path in folder.rglob("*.ipynb")} == {TWO}


def test_a_folder_that_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder shall be is a message, and the exit code says it."""
    (folder / "patches").write_text("")

    assert main(["plan", "spec.yaml", "a.ipynb", "-o", "patches"]) == 2

    out, err = capsys.readouterr()
    assert out == "0 to change, 0 unchanged, 1 failed; nothing was written\n"
    assert "error[not-written]: cannot write patches/a.ipynb.patch.json" in err


def test_json_output_says_where_cells_went(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`apply --format json` of a patch shows what it did, as that of a spec."""
    assert main(["plan", "spec.yaml", "a.ipynb", "-o", "p", "-q"]) == 0
    cells = "# %% id=new\nx\n# %% id=load\nload()\n# %% id=fit\nfit()\n# %% id=show\nshow()\n"
    (folder / "a.ipynb").write_bytes(from_percent(cells))
    assert main(["apply", "p", "--reanchor", "--format", "json"]) == 0

    document = json.loads(capsys.readouterr().out)
    (plan,) = document["notebooks"][0]["plans"]
    assert plan["spec"] == "p/a.ipynb.patch.json"
    assert plan["moved"] == {"0": 1, "1": 2, "2": 3}
    assert [cell["cell"] for cell in plan["cells"]] == [1, 2, 3]
    assert plan["patch"][0] == {
        "op": "test",
        "path": "/cells/1/id",
        "comment": "load()",
        "value": "load",
    }
    assert document["summary"]["written"] is True


def race_notebook(rng: random.Random) -> dict[str, Any]:
    """A notebook with equal cells, with and without ids; `who` is the identity of each cell."""
    lines = [f"x = {number % 4}" if rng.random() < 0.4 else f"y{number} = 1" for number in range(8)]
    notebook: dict[str, Any] = json.loads(from_percent("".join(f"# %%\n{one}\n" for one in lines)))
    with_ids = rng.random()
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] = {"who": number} | ({"tags": ["skip"]} if rng.random() < 0.2 else {})
        if rng.random() < with_ids:
            cell["id"] = f"c{number}"
    return notebook


EDITS: dict[str, Callable[[list[dict[str, Any]], int, int], object]] = {
    "move": lambda cells, at, to: cells.insert(to, cells.pop(at)),
    "delete": lambda cells, at, _: cells.pop(at),
    "copy": lambda cells, at, to: cells.insert(to, new_cell(cells[at], cells[at]["source"])),
    "insert": lambda cells, at, to: cells.insert(to, new_cell(cells[at], ["new()"])),
    "code": lambda cells, at, to: cells[at].update(source=[f"edited({to})"]),
    "same code": lambda cells, at, to: cells[at].update(source=cells[to]["source"]),
    "retag": lambda cells, at, _: cells[at]["metadata"].update(tags=["mine"]),
    "new ids": lambda cells, _, __: [
        cell.update(id=f"c{number}") for number, cell in enumerate(cells) if "id" in cell
    ],
}
"""What somebody does between plan and apply, with two places in the list of cells."""


def new_cell(beside: dict[str, Any], source: list[str]) -> dict[str, Any]:
    """A cell that was not there before, with an id if that *beside* it has one."""
    cell = {**beside, "source": source, "metadata": {"who": -1}}
    return {**cell, "id": f"n{len(source[0])}"} if "id" in cell else cell


RACES = [pytest.param(range(100)), pytest.param(range(100, 720), marks=pytest.mark.slow)]


@pytest.mark.parametrize("seeds", RACES)
def test_races_of_plan_edit_and_apply(seeds: range) -> None:
    """Whatever is edited after the plan: never a wrong cell, and never changed code unasked."""
    outcomes: Counter[str] = Counter()
    for seed, reanchor in product(seeds, (False, True)):
        rng = random.Random(seed)
        before = race_notebook(rng)
        old = read_notebook(to_bytes(before), "a.ipynb")
        wanted = sorted(rng.sample(range(len(before["cells"])), 3))
        changes = [
            Change(at, old.metadata_of(at), {**before["cells"][at]["metadata"], "tags": [f"t{at}"]})
            for at in wanted
        ]
        patch = read(operations(changes, old, "a.ipynb"))
        after = json.loads(json.dumps(before))
        edits = rng.choices([*EDITS], k=rng.randrange(4))
        for one in edits:
            at, to = (rng.randrange(len(after["cells"])) for _ in range(2))
            EDITS[one](after["cells"], at, to)
        try:
            made = apply_patch_to(patch, to_bytes(after), "a.ipynb", fast=False, reanchor=reanchor)
        except UserError as exc:
            outcomes.update(diagnostic.code for diagnostic in exc.diagnostics)
            continue
        result = json.loads(made.data or to_bytes(after))["cells"]
        tagged = {tag: cell for cell in result for tag in cell["metadata"].get("tags", [])}
        for at in wanted:
            planned, found = before["cells"][at], tagged[f"t{at}"]
            same_code = planned["source"] == found["source"]
            if "id" in planned and "new ids" not in edits:
                assert found["metadata"]["who"] == at, seed
            if not same_code:
                assert reanchor, seed
                assert found["id"] == planned["id"], seed
                assert not any(cell["source"] == planned["source"] for cell in result), seed
                assert "changed-code" in {one.code for one in made.plan.warnings}, seed
            outcomes["changed code"] += not same_code
        outcomes["moved"] += bool(made.plan.moved)
        outcomes["applied"] += 1
    assert outcomes.keys() == {"stale-patch", "applied", "moved", "changed code"}
    assert all(number > 1 for number in outcomes.values()), outcomes
