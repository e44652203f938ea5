"""The tag language, held against Kale's own verdicts."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kale_tag.kale import tags

NAMES = st.from_regex(tags.NAME, fullmatch=True)


@st.composite
def any_tag(draw: st.DrawFn) -> tags.Tag:
    """A tag of any kind with parts that its grammar allows."""
    kind = draw(st.sampled_from(sorted(tags.KINDS)))
    parts = [draw(st.from_regex(part.pattern, fullmatch=True)) for part in tags.KINDS[kind].parts]
    return tags.Tag(kind, tuple(parts))


@given(any_tag())
def test_round_trip(tag: tags.Tag) -> None:
    """A tag printed and parsed is the same tag."""
    assert tags.parse(str(tag)) == tag
    assert not [*tags.invalid_parts(tag)]
    assert tags.is_kales(str(tag))


@given(st.text(max_size=30))
def test_any_text_is_a_tag_or_none(text: str) -> None:
    """What is parsed prints as it was; what is no tag of Kale's is None, never an error."""
    tag = tags.parse(text)
    assert tag is None or str(tag) == text
    assert tag is None or tags.is_kales(text)
    tags.is_legacy(text)


@given(st.lists(any_tag(), max_size=8))
def test_order(found: list[tags.Tag]) -> None:
    """Ordering keeps every tag, keeps the order within a kind, and is done after one time."""
    ordered = tags.in_order(found)
    assert sorted(map(str, ordered)) == sorted(map(str, found))
    assert tags.in_order(ordered) == ordered
    for kind in tags.KINDS:
        same = [t for t in found if t.kind == kind]
        if kind == "limit":
            same = [t for device in (True, False) for t in same if tags.is_device(t.key) is device]
        assert [t for t in ordered if t.kind == kind] == same


@given(st.text(max_size=30))
def test_valid_name(text: str) -> None:
    """What is made of any text is a name that Kale takes, or nothing."""
    name = tags.valid_name(text)
    assert name == "" or tags.parse(f"prev:{name}")
    assert tags.valid_name(name) == name


def test_the_order_of_the_panel() -> None:
    """The tags of a step stand as in Kale's panel, whatever the order in which they are given."""
    panel = [
        "step:train",
        "prev:prep",
        "prev:load_data",
        "limit:nvidia.com/gpu:2",
        "secret:db-credentials:password:DB_PASSWORD",
        "secret:aws:access.key:AWS_KEY",
        "image:pytorch/pytorch:2.0",
        "cache:disabled",
        "report:disabled",
    ]
    parsed = [tag for text in reversed(panel) if (tag := tags.parse(text))]
    texts = [str(tag) for tag in tags.in_order(parsed)]
    assert [t for t in texts if not t.startswith(("prev", "secret"))] == [
        t for t in panel if not t.startswith(("prev", "secret"))
    ]
    assert [t.partition(":")[0] for t in texts] == [t.partition(":")[0] for t in panel]


@pytest.mark.parametrize(
    ("text", "kales", "legacy"),
    [
        ("imports", True, False),
        ("imports:x", False, False),
        ("step", False, False),
        ("step:Load-Data", True, False),
        ("limit:nvidia.com/gpu:", True, False),
        ("block:train", False, True),
        ("block:", False, True),
        ("prev:a;b", False, True),
        ("parameters", False, False),
        ("remove-cell", False, False),
    ],
)
def test_whose_tag(text: str, kales: bool, legacy: bool) -> None:  # noqa: FBT001
    """Kale's name space holds its misspelt tags too; 0.x tags and other tools' are told apart."""
    assert (tags.is_kales(text), tags.is_legacy(text)) == (kales, legacy)


def _oracle() -> list[dict[str, Any]]:
    path = Path(__file__).parents[3] / "shared" / "oracle" / "cases.json"
    return json.loads(path.read_text("utf-8"))["tags"] if path.exists() else []


@pytest.mark.parametrize("case", _oracle(), ids=lambda case: json.dumps(case["tags"])[:60])
def test_as_kale_parses(case: dict[str, Any]) -> None:
    """A tag is Kale's exactly when Kale 2.3 recognises it (a frozen answer of Kale's)."""
    refused = case["expect"].get("message", "").partition("Unrecognized tag: ")[2]
    for tag in case["tags"]:
        if not isinstance(tag, str):
            return  # Kale stops at it before it looks at its text
        parsed = tags.parse(tag)
        if tag == refused:
            assert parsed is None or tags.stops_kale(parsed)
            return
        if tag.endswith("\n"):
            assert tags.parse(tag) is None  # Kale takes it and fails later
            continue
        assert parsed is not None
        assert not tags.stops_kale(parsed)
        if tag in tags.SPECIAL:
            return  # Kale reads no further
