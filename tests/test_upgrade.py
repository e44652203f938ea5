"""Kale 0.x to Kale 2: what any notebook keeps, what the corpus becomes, what Kale 2.3.0 takes."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kale_oracle import seen
from notebooks import canonical, cell, notebook, to_bytes
from pipelines_of import build_pipeline

from kale_tag.cli import main
from kale_tag.diagnostics import Label, UserError
from kale_tag.kale import tags
from kale_tag.kale.metadata import tags_in
from kale_tag.kale.outline import Outline, outline
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.apply import Applied, apply_spec
from kale_tag.spec.model import Target
from specs import spec_of

UPGRADE = spec_of("legacy: upgrade")

OLD_TAGS = [
    *("block:load", "block:train-it", "block:train_it", "block:2nd", "block:Load", "step:load"),
    *("block:", "step:", "skip", "imports", "functions", "pipeline-parameters", "limit:cpu:1"),
    *("prev:load", "prev:load;2nd", "prev:train-it", "prev:gone", "block:---", "block:a;b"),
]
ODD_TAGS = [
    *("block:imports", "prev:a:b", "in", "out:x", "parameters", "injected-parameters", "prev:"),
    *("prev:;", "block:;", "remove-cell", "block:load ", "notebook:load", "step:step_2nd"),
]
OLD_SETTINGS: dict[str, list[Any]] = {
    "pipeline_name": ["p", "", "My Pipeline", None, 3],
    "experiment_name": ["e", "", None],
    "experiment": [{"id": "1", "name": "e"}, {"id": "", "name": ""}, {"id": "new", "name": "x"}, 1],
    "docker_image": ["", "img", None, 3],
    "base_image": ["", "python:3.12"],
    "autosnapshot": [True, False],
    "marshal_volume": [True],
    "marshal_path": ["/marshal", "/x", "/tmp/marshal"],
    "katib_run": [True, False],
    "katib_metadata": [{"parameters": []}, {"parameters": {}}, 3, None],
    "volumes": [[], [{"name": "v", "mount_point": "/v", "type": "clone", "snapshot": True}],
                [{"name": "v", "mount_point": "/v", "annotations": {"a": "b"}}], [3], {}],
    "snapshot_volumes": [True],
    "odd": [1],
}  # fmt: skip

settings = st.none() | st.fixed_dictionaries(
    {}, optional={key: st.sampled_from(values) for key, values in OLD_SETTINGS.items()}
)


def notebooks(words: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Notebooks of a few cells with tags from *words*, and settings that may be anything."""
    cells = st.lists(
        st.builds(
            lambda listed, kind: cell("x = 1", kind, metadata={"tags": listed} if listed else {}),
            st.lists(st.sampled_from(words), max_size=3),
            st.sampled_from(["code", "code", "code", "markdown"]),
        ),
        max_size=5,
    )
    return st.builds(
        lambda cells, old: notebook(cells, **({} if old is None else {"kubeflow_notebook": old})),
        cells,
        settings,
    )


def upgraded(data: bytes, name: str = "my_nb.ipynb") -> Applied:
    """The notebook after the upgrade."""
    return apply_spec(
        UPGRADE, data, name, Target({"stem": name.removesuffix(".ipynb")}), fast=False
    )


def code_tags(data: bytes) -> Iterator[str]:
    """Every tag on a code cell."""
    for one in json.loads(data)["cells"]:
        if one["cell_type"] == "code":
            yield from one["metadata"].get("tags", [])


@given(notebooks([*OLD_TAGS, *ODD_TAGS]))
def test_what_always_holds(value: dict[str, Any]) -> None:
    """Nothing of Kale 0.x is left on code cells, names are valid, and a second time does nothing.

    What is no metadata, no tag and no setting stays.
    """
    data = to_bytes(value)
    made = upgraded(data)
    new = made.data or data

    after = json.loads(new)
    assert new == to_bytes(after)
    has_steps = any(tag.startswith(("block:", "step:")) for tag in code_tags(data))
    if has_steps or "kubeflow_notebook" in value["metadata"]:
        left = {*code_tags(new)}
        assert not [tag for tag in left if tags.is_legacy(tag)]
        named = [tag for tag in left if tag.startswith(("step:", "prev:"))]
        assert all(tags.parse(tag) for tag in named if tag != "prev:")
    else:
        assert new == data
    for before, then in zip(value["cells"], after["cells"], strict=True):
        assert {**before, "metadata": 0} == {**then, "metadata": 0}
        if before["cell_type"] != "code":
            assert before == then
        foreign = {"remove-cell", "skip", "limit:cpu:1", "functions", "pipeline-parameters"}
        kept = [tag for tag in dict.fromkeys(before["metadata"].get("tags", [])) if tag in foreign]
        assert kept == [
            tag for tag in dict.fromkeys(then["metadata"].get("tags", [])) if tag in foreign
        ]
    assert upgraded(new).data is None


@given(notebooks(OLD_TAGS))
def test_steps_stay_what_they_were(value: dict[str, Any]) -> None:
    """Each cell runs in the step in which it ran, and no two steps become one."""
    data = to_bytes(value)
    before, after = grouped(data), grouped(upgraded(data).data or data)
    cells = value["cells"]

    assert [one.cells for one in before.steps] == [one.cells for one in after.steps]
    assert before.shared == after.shared
    assert before.dropped == after.dropped
    names = dict(zip([s.name for s in before.steps], [s.name for s in after.steps], strict=True))
    for old, new in zip(before.steps, after.steps, strict=True):
        assert [*dict.fromkeys(old.settings)] == [*new.settings] or old.settings == new.settings
        known = [(one, names[one]) for one in old.prev if one in names]
        assert all(name in new.prev for _, name in known)
        later = [cells[index]["metadata"].get("tags", []) for index in old.cells]
        asked = [tag for tags_of in later for tag in tags_of if tag.startswith("prev:")]
        assert len(new.prev) <= sum(len(tag.split(";")) for tag in asked)


def grouped(data: bytes) -> Outline:
    """The steps as Kale 0.x, and in its place our lenient reader, groups them.

    A cell of several steps counts for the first; Kale has no words for what it is otherwise.
    """
    return outline(read_notebook(data, "a.ipynb"))


def warnings_of(made: Applied) -> set[str]:
    """The codes of what an upgrade warns of."""
    return {one.code for one in made.plan.warnings}


LOSSES = {
    ("docker_image", "img"): "old-image",
    ("autosnapshot", True): "no-snapshots",
    ("katib_run", True): "no-katib",
    ("marshal_path", "/x"): "dropped-setting",
}


@pytest.mark.parametrize(("setting", "code"), LOSSES.items(), ids=map(str, LOSSES))
def test_a_loss_is_warned_of_where_it_stands(setting: tuple[str, object], code: str) -> None:
    """What has no equivalent is named with the line of the old file on which it stands."""
    key, value = setting
    old = {"pipeline_name": "p", "experiment_name": "e", key: value}
    tagged = [cell("x", metadata={"tags": ["block:a"]})]
    made = upgraded(to_bytes(notebook(tagged, kubeflow_notebook=old)))

    (warned,) = [one for one in made.plan.warnings if one.code == code]
    label = warned.labels[0]
    assert label.span is not None
    assert label.source.text[label.span.start : label.span.end].startswith(f'"{key}"')


# The corpus.


def kale_notebooks(corpus: Path) -> list[tuple[str, bytes]]:
    """The notebooks that have a tag of Kale's on a code cell, or its settings."""
    found = []
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        try:
            book = read_notebook(data, path.name)
            listed = [tag for index in book.code for tag in tags_in(book.metadata_of(index))]
        except UserError:
            continue
        if any(tags.is_kales(tag) or tags.is_legacy(tag) for tag in listed) or (
            isinstance(book.metadata, dict) and "kubeflow_notebook" in book.metadata
        ):
            found.append((path.name, data))
    return found


def test_corpus(corpus: Path) -> None:
    """Real notebooks: nothing of 0.x is left, the layout is theirs, once is as good as twice."""
    changed = like_nbformat = 0
    for name, data in kale_notebooks(corpus):
        made = upgraded(data, name)
        if made.data is None:
            continue
        changed += 1
        after = json.loads(made.data)
        assert not [tag for tag in code_tags(made.data) if tags.is_legacy(tag)]
        assert (
            not {"docker_image", "autosnapshot"}
            & after["metadata"].get("kubeflow_notebook", {}).keys()
        )
        if canonical(json.loads(data)) == data:
            like_nbformat += 1
            assert made.data == canonical(after)
        assert upgraded(made.data, name).data is None
    assert changed > 90
    assert like_nbformat > 60


@pytest.mark.slow
def test_corpus_reverts(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The plan as patches: applied it is what `upgrade` writes, reverted the old notebooks."""
    monkeypatch.chdir(tmp_path)
    before = dict(kale_notebooks(corpus))
    for name, data in before.items():
        Path(name).write_bytes(data)

    assert main(["plan", "kale:upgrade", ".", "-o", "patches", "-q"]) == 0
    assert main(["apply", "patches", "-q"]) == 0
    for name, data in before.items():
        assert Path(name).read_bytes() == (upgraded(data, name).data or data)
    assert main(["upgrade", "."]) == 0
    assert capsys.readouterr().out.startswith("0 upgraded")
    assert main(["revert", "patches", "-q"]) == 0
    for name, data in before.items():
        assert json.loads(Path(name).read_bytes()) == json.loads(data)
        if canonical(json.loads(data)) == data:
            assert Path(name).read_bytes() == data


NOT_COMPILED = {
    # Kale 2.3 stops at the name of a step that does not exist, and does not look for names that no
    # step defines: its steps stop at them. `_input_data_folder` was defined by Kale 0.1 and 0.2.
    "Oblynx__kale__examples__base_example_numpy__at-54030b6a": "`kale`",
    "Oblynx__kale__examples__base_example_pytorch__at-9652ec84": "`_input_data_folder`",
    "Oblynx__kale__examples__base_example_tesi__at-54030b6a": "`_input_data_folder`",
    "StefanoFioravanzo__kale__examples__dog-breed-classification__dog-breed-v2__at-beb3b7f6":
        "`predict_dog`",
    "ada333__kale__examples__taxi-cab-classification__read_data__at-2df7a7f0":
        "`datapreprocessing`",
}  # fmt: skip
"""Notebooks of the corpus that an upgrade cannot bring to compile, and why."""


def no_other(path: str, _: Label) -> Notebook:
    """Kale 0.x had no references to other notebooks."""
    raise AssertionError(path)


@pytest.mark.slow
def test_the_corpus_compiles(corpus: Path) -> None:
    """After the upgrade notebooks compile, but for reasons that Kale has, too."""
    compiled, refused = 0, {}
    for name, data in kale_notebooks(corpus):
        if not any(map(tags.is_legacy, code_tags(data))):
            continue
        book = read_notebook(upgraded(data, name).data or data, name)
        try:
            build_pipeline(book, CompileOptions(), no_other)
            compiled += 1
        except UserError as exc:
            refused[name.removesuffix(".ipynb")] = str(exc)
    assert refused.keys() == NOT_COMPILED.keys()
    assert [name for name, reason in NOT_COMPILED.items() if reason not in refused[name]] == []
    assert compiled >= 53


REASONS = {
    r"Task is missing from pipeline": {"no-step"},
    r"Unrecognized tag: \w+:": {"unknown-tag"},
    r"Unrecognized tag": {"foreign-tag"},
    r"multiple step names": {"two-steps"},
    r"just print statements": {"not-a-metric", "no-step"},
    r"does not exist\. It was defined as previous step": {"unknown-prev", "later-prev"},
    r"Graph contains a cycle": {"cycle"},
    r"can not provide `prev`": {"prev-without-step"},
    r"can not provide": {"setting-without-step"},
    r"missing a 'notebook_path'": {"reference-without-path"},
    r"cell contains code": {"code-in-reference", "two-steps"},
    r"already exists|Cannot merge code into": {"duplicate-name"},
    r"must be placed on a cell at the end": {"step-after-metrics"},
    r"Untagged code after a `notebook:`": {"code-after-reference"},
    r"primitive|single variable|None value": {"not-a-parameter", "kale-parameter"},
    r"Flakes reported|SyntaxError|IndentationError": {"ipython-syntax", "syntax-error"},
    r"expected of type|does not contain any field|must be a mapping|Field":
        {"invalid-setting", "unknown-setting", "missing-setting"},
}  # fmt: skip
"""What Kale 2.3.0 says where it refuses a notebook, and the warnings that name that."""


def unnamed(kale: Path, folder: Path, given: dict[str, bytes]) -> tuple[int, list[str]]:
    """How many notebooks Kale takes after the upgrade, and which it refuses without a warning."""
    codes = {}
    for name, data in given.items():
        made = upgraded(data, name)
        if not [tag for tag in code_tags(made.data or data) if tags.is_kales(tag)]:
            continue  # there were bare `block:` only, and nobody means it to be a pipeline
        (folder / name).write_bytes(made.data or data)
        codes[name] = warnings_of(made)
    taken, found = 0, []
    for said in seen(kale, *(folder / name for name in codes)):
        name = said["notebook"]
        if said["ok"]:
            taken += 1
            continue
        diagnostic = said["error"]
        why = f"{diagnostic['type']}: {diagnostic['message']}"
        named = next((codes for reason, codes in REASONS.items() if re.search(reason, why)), set())
        if not named & codes[name]:
            found.append(f"{name}: {why}, and the upgrade warned of {sorted(codes[name])}")
    return taken, found


@pytest.mark.slow
def test_kale_takes_the_corpus(kale: Path, corpus: Path, tmp_path: Path) -> None:
    """Every Kale-tagged notebook is accepted by Kale 2.3.0, or the upgrade said why it is not."""
    tagged = {
        name: data
        for name, data in kale_notebooks(corpus)
        if any(tags.is_kales(tag) or tags.is_legacy(tag) for tag in code_tags(data))
    }
    taken, found = unnamed(kale, tmp_path, tagged)
    assert "\n".join(found) == ""
    assert len(tagged) > 80
    assert taken > 65


@pytest.mark.slow
def test_kale_takes_anything_old(kale: Path, tmp_path: Path) -> None:
    """The same for notebooks of Kale 0.x made at random, odd ones among them."""
    chance = random.Random(6)
    sources = [
        "x = 1",
        "x = 1",
        "y = x",
        "!ls",
        "print(x)",
        "print(x)",
        "%time x\ny = 2",
        "a: int = 2",
    ]
    given = {}
    for number in range(300):
        words = OLD_TAGS[:8] if number % 3 else [*OLD_TAGS, *ODD_TAGS]
        cells = []
        for _ in range(chance.randint(1, 5)):
            listed = chance.choices([*words, "pipeline-metrics"], k=chance.choice([0, 1, 1, 1, 2]))
            source = chance.choice(sources[:3] if number % 2 else sources)
            cells.append(cell(source, metadata={"tags": listed} if listed else {}))
        old: dict[str, Any] = {"pipeline_name": "p", "experiment_name": "e"}
        for key in chance.sample(sorted(OLD_SETTINGS), k=chance.randint(0, 4)):
            old[key] = chance.choice(OLD_SETTINGS[key])
        data = to_bytes(notebook(cells, kubeflow_notebook=old))
        if any(tags.is_kales(tag) or tags.is_legacy(tag) for tag in code_tags(data)):
            given[f"random-{number}.ipynb"] = data
    taken, found = unnamed(kale, tmp_path, given)
    assert "\n".join(found) == ""
    assert taken > 50
