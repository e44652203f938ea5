"""Tags and settings of three versions merged by meaning, without Git."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notebooks import cell, notebook, to_bytes

from kale_tag.compare.merge_tags import Merge, Versions, merge, merge_tags
from kale_tag.notebook.model import MISSING, Notebook
from kale_tag.notebook.read import read_notebook

NONE = "-"
"""Stands for a cell without `tags` in the tables."""


def tags_in(text: str) -> object:
    """`step:a prev:b` as a list of tags."""
    return MISSING if text == NONE else text.split()


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        # Only one side changed it, or both did the same: order and spelling are theirs.
        ("step:a", "prev:x step:a", "step:a", "prev:x step:a"),
        ("step:a", "step:b", "step:b", "step:b"),
        ("step:a", NONE, "step:a", NONE),
        (NONE, NONE, "step:a", "step:a"),
        # Sets.
        ("step:a", "step:a prev:x", "step:a prev:y", "step:a prev:x prev:y"),
        ("step:a prev:x prev:y", "step:a prev:y", "step:a prev:x", "step:a"),
        ("step:a prev:x", "step:a prev:y", "step:a prev:x prev:z", "step:a prev:y prev:z"),
        ("t", "t u", "v t", "t u v"),
        # What one side removed and the other left stays away.
        ("step:a prev:x", "step:a", "step:b prev:x", "step:b"),
        ("a b", "b", "a", ""),
        ("a b", "b", NONE, NONE),
        # Roles and settings by key; Kale's order, other tools' tags behind.
        ("step:a", "step:b", "step:a prev:x t", "step:b prev:x t"),
        ("step:a", "t step:a limit:cpu:1", "step:a prev:x", "step:a prev:x limit:cpu:1 t"),
        ("step:a", "step:a limit:cpu:1", "step:a limit:gpu:1", "step:a limit:cpu:1 limit:gpu:1"),
        (
            "step:a limit:cpu:1 limit:gpu:1",
            "step:a limit:cpu:2 limit:gpu:1",
            "step:a limit:cpu:1 limit:gpu:2",
            "step:a limit:cpu:2 limit:gpu:2",
        ),
        ("step:a", "imports", "step:a t", "imports t"),
        ("step:a image:x", "step:a image:y", "step:b image:x", "step:b image:y"),
        ("step:a label:k:1", "step:a label:k:2", "step:a label:k:1 t", "step:a label:k:2 t"),
    ],
)
def test_tags(base: str, ours: str, theirs: str, merged: str) -> None:
    """Tags on which the two sides do not contradict each other merge, in one version of all."""
    found = merge_tags(Versions(*map(tags_in, (base, ours, theirs))))
    assert not found.conflicts
    assert found.versions == Versions(*[tags_in(merged)] * 3)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "versions", "what"),
    [
        ("step:a", "step:b", "step:c", ("step:a", "step:b", "step:c"), "the role"),
        (NONE, "step:b", "step:c", (NONE, "step:b", "step:c"), "the role"),
        ("step:a", "skip", "step:c", ("step:a", "skip", "step:c"), "the role"),
        ("step:a", "skip", "imports", ("step:a", "skip", "imports"), "the role"),
        ("step:a", NONE, "step:c", ("step:a", NONE, "step:c"), "the role"),
        (
            "step:a prev:x",
            "step:b prev:x prev:y",
            "step:c prev:x t",
            ("step:a prev:x prev:y t", "step:b prev:x prev:y t", "step:c prev:x prev:y t"),
            "the role",
        ),
        (
            "step:a limit:cpu:1 t",
            "step:a limit:cpu:2 t",
            "step:a limit:cpu:3 t",
            ("step:a limit:cpu:1 t", "step:a limit:cpu:2 t", "step:a limit:cpu:3 t"),
            "`limit:cpu`",
        ),
        ("a image:x", "a image:y", "a", ("image:x a", "image:y a", "a"), "the image"),
        (
            "step:a secret:s:k:ENV",
            "step:a secret:s:l:ENV",
            "step:a secret:r:k:ENV",
            ("step:a secret:s:k:ENV", "step:a secret:s:l:ENV", "step:a secret:r:k:ENV"),
            "`secret:ENV`",
        ),
        (
            "cache:enabled",
            "cache:disabled",
            "a",
            ("cache:enabled a", "cache:disabled a", "a"),
            "the cache",
        ),
    ],
)
def test_conflicts(
    base: str, ours: str, theirs: str, versions: tuple[str, str, str], what: str
) -> None:
    """Where they contradict each other each version keeps its own tag, in the same place."""
    found = merge_tags(Versions(*map(tags_in, (base, ours, theirs))))
    assert [conflict.what for conflict in found.conflicts] == [what]
    assert found.versions == Versions(*map(tags_in, versions))


def read(cells: Mapping[str, str], **settings: Any) -> Notebook:
    """A notebook of cells, each given by its id and its tags."""
    made = [
        cell(f"# {name}", id=name, metadata={} if tags == NONE else {"tags": tags.split()})
        for name, tags in cells.items()
    ]
    metadata = {"kubeflow_notebook": settings} if settings else {}
    return read_notebook(to_bytes(notebook(made, **metadata)), "a.ipynb")


def merge_of(base: Notebook, ours: Notebook, theirs: Notebook) -> Merge:
    """The merge, where there must be one."""
    made = merge(base, ours, theirs)
    assert made is not None
    return made


def tags_of(made: Merge, version: int, of: Notebook) -> dict[str, str]:
    """The tags of the cells of one version after the merge."""
    found = {}
    for index in range(len(of.types)):
        metadata = made.wanted[version].get(index, of.metadata_of(index))
        assert isinstance(metadata, dict)
        found[str(of.id_of(index))] = " ".join(metadata["tags"]) if "tags" in metadata else NONE
    return found


STEPS = {
    "i": "imports",
    "l": "step:load",
    "t": "step:train prev:load",
    "u": "step:train",
    "e": NONE,
}


def test_each_side_tags_other_cells() -> None:
    """All three versions get the tags of both sides."""
    base = read(STEPS)
    ours, theirs = read({**STEPS, "i": "skip"}), read({**STEPS, "e": "step:eval prev:train"})
    made = merge_of(base, ours, theirs)
    expected = {**STEPS, "i": "skip", "e": "step:eval prev:train"}
    assert [tags_of(made, n, v) for n, v in enumerate((base, ours, theirs))] == [expected] * 3
    assert not made.conflicts


@pytest.mark.parametrize("swap", [False, True])
def test_a_rename_takes_the_other_side_along(swap: bool) -> None:  # noqa: FBT001  two cases
    """A renamed step is followed by new `prev`, new cells of it and cells that joined it."""
    base = read(STEPS)
    renamed = read({**STEPS, "t": "step:fit prev:load", "u": "step:fit"})
    added = {"e": "step:eval prev:train", "n": "step:report prev:train", "m": "step:train"}
    other = read({**STEPS, "u": "step:train t", **added})
    made = merge_of(base, *((other, renamed) if swap else (renamed, other)))

    assert not made.conflicts
    assert tags_of(made, 1 if swap else 2, other) == {
        **STEPS,
        "t": "step:fit prev:load",
        "u": "step:fit t",
        "e": "step:eval prev:fit",
        "n": "step:report prev:fit",
        "m": "step:fit",
    }


def test_a_rename_mends_nothing_of_its_own_side() -> None:
    """A `prev` that the renaming side itself left as it was stays: nobody asked for it."""
    base = read({**STEPS, "e": "step:eval prev:train"})
    renamed = read({**STEPS, "t": "step:fit", "u": "step:fit", "e": "step:eval prev:train"})
    other = read({**STEPS, "e": "step:eval prev:train", "i": "skip"})
    made = merge_of(base, renamed, other)
    assert tags_of(made, 1, renamed)["e"] == "step:eval prev:train"
    assert tags_of(made, 2, other)["e"] == "step:eval prev:train"


def test_what_is_no_rename() -> None:
    """A step of which a cell remains, or whose new name was a step before, takes nothing along."""
    base = read(STEPS)
    other = read({**STEPS, "e": "step:eval prev:train"})
    for new in ({"t": "step:fit prev:load"}, {"t": "step:load", "u": "step:load"}):
        made = merge_of(base, read({**STEPS, **new}), other)
        assert tags_of(made, 2, other)["e"] == "step:eval prev:train"


def test_two_renames_of_one_step() -> None:
    """The step's cell, and each `prev` that both sides adapted, is a conflict of its own."""
    base = read({"l": "step:load", "t": "step:train prev:load t"})
    ours = read({"l": "step:read", "t": "step:train prev:read t"})
    theirs = read({"l": "step:get", "t": "step:train prev:get t"})
    made = merge_of(base, ours, theirs)
    assert [(one.cell, one.what) for one in made.conflicts] == [
        (0, "the role"),
        (1, "`prev:load`"),
    ]
    assert tags_of(made, 1, ours)["t"] == "step:train prev:read t"
    assert tags_of(made, 2, theirs)["t"] == "step:train prev:get t"


def volume(mount_point: str, **more: object) -> dict[str, object]:
    """A volume as Kale's panel writes it."""
    return {"mount_point": mount_point, "name": "v", "type": "pvc", **more}


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}),
        ({"a": 1}, {"a": 1, "b": 1}, {"a": 1, "c": 1}, {"a": 1, "b": 1, "c": 1}),
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 1, "b": 1, "c": 1}, {"b": 1, "c": 1}),
        ({}, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}),
        (
            {"experiment": {"id": "x", "name": "e"}},
            {"experiment": {"id": "y", "name": "e"}},
            {"experiment": {"id": "x", "name": "f"}},
            {"experiment": {"id": "y", "name": "f"}},
        ),
        (
            {"steps_defaults": ["limit:cpu:1"]},
            {"steps_defaults": ["limit:cpu:1", "label:k:v"]},
            {"steps_defaults": ["limit:cpu:2"]},
            {"steps_defaults": ["limit:cpu:2", "label:k:v"]},
        ),
        (
            {"steps_defaults": {"limits": {"cpu": "1"}}},
            {"steps_defaults": {"limits": {"cpu": "1", "memory": "1G"}}},
            {"steps_defaults": {"limits": {"cpu": "2"}}},
            {"steps_defaults": {"limits": {"cpu": "2", "memory": "1G"}}},
        ),
        (
            {"volumes": [volume("/a"), volume("/b")]},
            {"volumes": [volume("/a"), volume("/b", size=2), volume("/c")]},
            {"volumes": [volume("/d"), volume("/b")]},
            {"volumes": [volume("/b", size=2), volume("/c"), volume("/d")]},
        ),
        (
            {"pipeline_name": "p"},
            {"pipeline_name": "p", "volumes": [volume("/a")]},
            {"pipeline_name": "p", "volumes": [volume("/b")]},
            {"pipeline_name": "p", "volumes": [volume("/a"), volume("/b")]},
        ),
    ],
)
def test_settings(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], merged: dict[str, Any]
) -> None:
    """Settings merge key by key, mappings in mappings too, defaults of steps like tags."""
    made = merge_of(*(read({"a": NONE}, **one) for one in (base, ours, theirs)))
    assert not made.conflicts
    assert [wanted[None] for wanted in made.wanted] == [{"kubeflow_notebook": merged}] * 3


def test_settings_that_contradict() -> None:
    """Only the key in question is left for the user; base gets the rest as well."""
    made = merge_of(
        read({"a": NONE}),
        read({"a": NONE}, pipeline_name="p", experiment={"id": "n", "name": "e"}, base_image="x"),
        read({"a": NONE}, pipeline_name="q", experiment={"id": "n", "name": "f"}),
    )
    names = [(one.cell, one.what) for one in made.conflicts]
    assert sorted(names, key=str) == [(None, "experiment.name"), (None, "pipeline_name")]
    rest = {"base_image": "x", "experiment": {"id": "n"}}
    assert made.wanted[0][None] == {"kubeflow_notebook": rest}
    assert made.wanted[1][None] == {
        "kubeflow_notebook": {
            "base_image": "x",
            "experiment": {"id": "n", "name": "e"},
            "pipeline_name": "p",
        }
    }


def with_path(tags: str, path: str) -> Notebook:
    """One cell with tags and the path of a notebook."""
    made = cell(
        "", id="a", metadata={"tags": tags.split(), **({"notebook_path": path} if path else {})}
    )
    return read_notebook(to_bytes(notebook([made])), "a.ipynb")


@pytest.mark.parametrize(
    ("ours", "theirs", "what"),
    [
        ([volume("/a", size=2)], [volume("/a", size=3)], "volumes, mounted at /a"),
        ([volume("/a"), volume("/a")], [volume("/b")], "volumes"),
        ([{"name": "v"}], [volume("/b")], "volumes"),
        ("none", [volume("/b")], "volumes"),
    ],
)
def test_volumes_that_contradict(ours: object, theirs: object, what: str) -> None:
    """One volume that both changed is a conflict; so are lists that name no places."""
    made = merge_of(
        read({"a": NONE}, volumes=[volume("/a"), volume("/z")]),
        read({"a": NONE}, volumes=ours),
        read({"a": NONE}, volumes=theirs),
    )
    assert [(one.cell, one.what) for one in made.conflicts] == [(None, what)]
    assert made.wanted[1][None] == {"kubeflow_notebook": {"volumes": ours}}


def test_a_name_given_twice() -> None:
    """A step that both sides add in cells of their own is said; one that is the same is not."""
    base = read(STEPS)
    ours = read({**STEPS, "e": "step:eval", "n": "step:report", "m": "step:plot"})
    theirs = read({**STEPS, "e": "step:eval", "o": "step:report", "m": "step:plot"})
    assert merge_of(base, ours, theirs).twice == ("report",)
    assert merge_of(base, theirs, ours).twice == ("report",)


def test_the_path_of_a_referenced_notebook() -> None:
    """It merges as a value of its own, and stays each side's where the role is in conflict."""
    base = with_path("notebook:n", "p")
    made = merge_of(base, with_path("notebook:n", "q"), with_path("notebook:m", "p"))
    assert [wanted[0] for wanted in made.wanted] == [
        {"tags": ["notebook:m"], "notebook_path": "q"}
    ] * 3

    made = merge_of(with_path("step:a", ""), with_path("notebook:n", "p"), with_path("step:b", ""))
    assert [one.what for one in made.conflicts] == ["the role"]
    assert [wanted[0].get("notebook_path") for wanted in made.wanted] == [None, "p", None]  # type: ignore[attr-defined]


@pytest.mark.parametrize("metadata", [None, [], {"tags": "step:a"}, {"tags": [1]}])
def test_what_is_no_list_of_tags(metadata: Any) -> None:
    """It is left to Git; other cells are merged all the same."""

    def odd(first: Any, second: str) -> Notebook:
        cells = [cell("a", id="a", metadata=first), cell("b", id="b", metadata={"tags": [second]})]
        return read_notebook(to_bytes(notebook(cells)), "a.ipynb")

    base, ours = odd(metadata, "step:x"), odd({"tags": ["step:b"]}, "step:x")
    made = merge_of(base, ours, odd({"tags": ["step:c"]}, "step:y"))
    assert not made.conflicts
    assert [sorted(map(str, wanted)) for wanted in made.wanted] == [["1", "None"]] * 3


names = st.sampled_from(["a", "b", "c"])
tag = (
    st.builds("step:{}".format, names)
    | st.builds("prev:{}".format, names)
    | st.builds("limit:{}:{}".format, names, st.integers(0, 1))
    | st.sampled_from(["imports", "skip", "t", "u", "cache:enabled", "cache:disabled", "image:x"])
)
lists = st.just(MISSING) | st.lists(tag, max_size=4, unique=True)


@given(lists, lists, lists)
def test_laws(base: object, ours: object, theirs: object) -> None:
    """One-sided changes win, equal ones agree, and it does not matter which side is ours."""

    def sets(of: Versions) -> list[object]:
        return [frozenset(one) if isinstance(one, list) else one for one in of]

    assert merge_tags(Versions(base, ours, base)).versions == Versions(ours, ours, ours)
    assert merge_tags(Versions(base, base, ours)).versions == Versions(ours, ours, ours)
    assert merge_tags(Versions(base, ours, ours)).versions == Versions(ours, ours, ours)
    one = merge_tags(Versions(base, ours, theirs))
    other = merge_tags(Versions(base, theirs, ours))
    versions = sets(one.versions)
    assert sets(other.versions) == [versions[0], versions[2], versions[1]]
    assert len(one.conflicts) == len(other.conflicts)
    if not one.conflicts:
        assert one.versions.base == one.versions.ours == one.versions.theirs
        # Merging again changes nothing.
        assert merge_tags(one.versions) == one


@given(
    st.sets(st.sampled_from("tuvw")),
    st.sets(st.sampled_from("tuvw")),
    st.sets(st.sampled_from("tuvw")),
)
def test_other_tags_merge_as_sets(base: set[str], ours: set[str], theirs: set[str]) -> None:
    """What either side added is there, what either side removed is not."""
    found = merge_tags(Versions(sorted(base), sorted(ours), sorted(theirs)))
    assert isinstance(found.versions.ours, list)
    assert set(found.versions.ours) == (ours & theirs) | (ours - base) | (theirs - base)


tagged = st.dictionaries(st.sampled_from("vwxyz"), lists.map(lambda one: one), max_size=5)


def of_tags(cells: Mapping[str, object]) -> Notebook:
    """A notebook of cells by id."""
    made = [
        cell(f"# {name}", id=name, metadata={} if tags is MISSING else {"tags": tags})
        for name, tags in sorted(cells.items())
    ]
    return read_notebook(to_bytes(notebook(made)), "a.ipynb")


@example({"v": ["step:b"]}, {"v": ["step:a", "step:b"]})
@given(tagged, tagged)
def test_nothing_to_merge(base: dict[str, object], side: dict[str, object]) -> None:
    """Where one side did nothing, or both the same, it is all left to Git."""
    one, other = of_tags(base), of_tags(side)
    assert merge(one, other, one) is None
    assert merge(one, one, other) is None
    assert merge(one, other, other) is None


@given(tagged, tagged, tagged)
def test_versions_agree(
    base: dict[str, object], ours: dict[str, object], theirs: dict[str, object]
) -> None:
    """Cells without a conflict are the same in all three versions afterwards."""
    made = merge(of_tags(base), of_tags(ours), of_tags(theirs))
    for cells in made.cells if made else ():
        assert made is not None
        one, two, three = (wanted[at] for wanted, at in zip(made.wanted, cells, strict=True))
        assert one == two == three
