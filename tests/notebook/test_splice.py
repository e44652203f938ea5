"""What `splice` writes, and what `prove` lets pass."""

import json
import os
import random
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from layouts import (
    ENGINES,
    FUZZ,
    LIGHT,
    NEW_VALUES,
    Node,
    changed,
    exact,
    files,
    holder_node,
    nodes,
    read,
    text_of,
)
from nbformat import v4

from kale_tag.diagnostics import UserError
from kale_tag.notebook.json_value import HugeInt, same
from kale_tag.notebook.model import MISSING
from kale_tag.notebook.splice import NewMetadata, ProofError, prove, splice

each_engine = pytest.mark.parametrize("engine", ENGINES)

CORPUS = os.environ.get("KALE_TAG_CORPUS")

INDENTED = """{
 "cells": [
  {
   "cell_type": "code",
   "metadata": !,
   "source": []
  }
 ],
 "metadata": {},
 "nbformat": 4
}
"""


def lines(*texts: str) -> str:
    return "\n".join(texts)


TAGS_ON_LINES = lines("{", '    "tags": [', '     "a",', '     "b"', "    ]", "   }")

CASES: list[tuple[str, object, str]] = [
    # the metadata before, the wanted value, the metadata after
    ("{}", {"tags": ["a"]}, lines("{", '    "tags": [', '     "a"', "    ]", "   }")),
    ("{ }", {"a": {}}, lines("{", '    "a": {}', "   }")),
    ("{}", {"b": [], "a": {"c": None}}, lines(
        "{", '    "a": {', '     "c": null', "    },", '    "b": []', "   }")),
    ('{"a": 1e5}', {"a": 1e5, "t": ["x", "y"]}, '{"a": 1e5, "t": ["x", "y"]}'),
    ('{"a":true,"x":1}', {"a": True, "t": ["a"], "x": 1}, '{"a":true,"t":["a"],"x":1}'),
    ('{"z": 1,"a": 2}', {"z": 1, "a": 2, "c": 0, "b": 0}, '{"z": 1,"a": 2,"b": 0,"c": 0}'),
    (lines("{", '    "z": 1', "   }"), {"a": 0, "z": 1}, lines(
        "{", '    "a": 0,', '    "z": 1', "   }")),
    (TAGS_ON_LINES, {"tags": ["b", "c"]}, lines(
        "{", '    "tags": [', '     "b",', '     "c"', "    ]", "   }")),
    (TAGS_ON_LINES, {}, "{}"),
    (TAGS_ON_LINES, {"tags": []}, lines("{", '    "tags": []', "   }")),
    (TAGS_ON_LINES, {"tags": "a"}, lines("{", '    "tags": "a"', "   }")),
    (TAGS_ON_LINES, {"k": {"x": 1}}, lines(
        "{", '    "k": {', '     "x": 1', "    }", "   }")),
    (lines("{", '    "tags": []', "   }"), {"tags": ["t"]}, lines(
        "{", '    "tags": [', '     "t"', "    ]", "   }")),
    ('{"tags": ["a" ,"b" , "c"]}', {"tags": ["a", "c", "t"]}, '{"tags": ["a" , "c" , "t"]}'),
    ('{"tags": ["b", "a"]}', {"tags": ["a", "b"]}, '{"tags": ["a", "b"]}'),
    ('{"tags": ["caf\\u00e9"]}', {"tags": ["café", "t"]}, '{"tags": ["caf\\u00e9", "t"]}'),
    ('{"tags": ["caf\\u00e9"]}', {"tags": ["x", "café"]}, '{"tags": ["x", "caf\\u00e9"]}'),
    ('{"a": "\\u00e9"}', {"a": "é", "b": "ü"}, '{"a": "\\u00e9", "b": "\\u00fc"}'),
    ('{"a": "\\u003c"}', {"a": "<", "b": "ü"}, '{"a": "\\u003c", "b": "ü"}'),
    ('{"a": "\\\\u00e9"}', {"a": "\\u00e9", "b": "ü"}, '{"a": "\\\\u00e9", "b": "ü"}'),
    ('{"a": "é\\u00e9"}', {"a": "éé", "b": "ü"}, '{"a": "é\\u00e9", "b": "ü"}'),
    ("{}", {"a": "\ud83d"}, lines("{", '    "a": "\\ud83d"', "   }")),
    ('{"t": ["a"], "t": ["b"]}', {"t": ["c"]}, '{"t": ["a"], "t": ["c"]}'),
    ('{"t": ["a"], "t": ["b"]}', {}, "{}"),
    ('{"t": 1, "a": 0, "t": 2}', {"a": 0}, '{"a": 0}'),
    ('{"a": 0, "t": 1, "t": 2, "z": 1}', {"a": 0, "z": 1}, '{"a": 0, "z": 1}'),
    ('{"t\\u0061gs": ["a"]}', {"tags": ["a", "b"]}, '{"t\\u0061gs": ["a", "b"]}'),
    ('{"a": 1.50, "b": 1}', {"a": 1.5, "b": 1.0}, '{"a": 1.50, "b": 1.0}'),
    ('{"a": 1, "b": 0, "c": -0.0}', {"a": True, "b": False, "c": 0.0},
     '{"a": true, "b": false, "c": 0.0}'),
    ('{"a": 1E2, "b": {"c": 1E2, "d": 2}}', {"a": 100.0, "b": {"c": 100.0, "d": 3}},
     '{"a": 1E2, "b": {"c": 1E2, "d": 3}}'),
    ('[{"a": 1E2, "b": 1}, 5]', [{"a": 100.0, "b": 2}, 5], '[{"a": 1E2, "b": 2}, 5]'),
    ("[1E2, 2, 3e0]", [3.0, 100.0], "[3e0, 1E2]"),
    ('{\n"a":\n1}', {"a": 1, "b": 2}, '{\n"a":\n1,\n"b": 2}'),
    ("[1E2, 100.0, 7]", [7, 100.0, 100.0], "[7, 1E2, 100.0]"),
    ('["a" , "a"]', ["a"], '["a"]'),
    ('["a"]', ["a", "a"], '["a", "a"]'),
    ('{"a": 1\n    , "b": {}}', {"a": 1, "b": {"x": 1}}, '{"a": 1\n    , "b": {"x": 1}}'),
    ('{"a": 1,\n    "b": {}}', {"a": 1, "b": {"x": 1}},
     '{"a": 1,\n    "b": {\n     "x": 1\n    }}'),
    ("null", {"tags": ["a"]}, lines("{", '    "tags": [', '     "a"', "    ]", "   }")),
    ("[]", {}, "{}"),
    ('{"n": NaN, "i": 12345678901234567890123}', {"n": float("nan"), "i": 1},
     '{"n": NaN, "i": 1}'),
]  # fmt: skip


@each_engine
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("before", "value", "after"), CASES)
def test_case(before: str, value: object, after: str, newline: str, engine: str) -> None:
    """What changes is laid out as what stands around it; all else keeps its spelling."""
    data, expected = (
        INDENTED.replace("!", text).replace("\n", newline).encode() for text in (before, after)
    )
    notebook = read(data, engine)
    result = splice(notebook, {0: value})
    assert result.decode() == expected.decode()
    proven = prove(notebook, result, {0: value})
    assert splice(proven, {0: value}) is result


@each_engine
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '{"cells":[{"source":""}],"nbformat":4}',
            '{"cells":[{"metadata":{"t":["a"]},"source":""}],"metadata":{"k":{"x":1}},"nbformat":4}',
        ),
        (
            '{"nbformat": 4, "cells": [{}]}',
            '{"nbformat": 4, "cells": [{"metadata": {"t": ["a"]}}], "metadata": {"k": {"x": 1}}}',
        ),
        (
            '\ufeff{"cells":[{"a":"é","é":1}]}\n',
            '\ufeff{"cells":[{"a":"é","metadata":{"t":["a"]},"é":1}],"metadata":{"k":{"x":1}}}\n',
        ),
        (
            lines(
                "{", ' "cells": [', "  {", '   "source": "é"', "  }", " ],", ' "nbformat": 4', "}"
            ),
            lines(
                *("{", ' "cells": [', "  {", '   "metadata": {', '    "t": [', '     "a"'),
                *("    ]", "   },", '   "source": "é"', "  }", " ],", ' "metadata": {'),
                *('  "k": {', '   "x": 1', "  }", " },", ' "nbformat": 4', "}"),
            ),
        ),
        (
            lines("{", '  "cells": [', "    {}", "  ]", "}"),
            lines(
                *("{", '  "cells": [', "    {", '      "metadata": {', '        "t": ['),
                *('          "a"', "        ]", "      }", "    }", "  ],", '  "metadata": {'),
                *('    "k": {', '      "x": 1', "    }", "  }", "}"),
            ),
        ),
    ],
)
def test_missing_metadata(before: str, after: str, engine: str) -> None:
    """Metadata that is missing comes to its sorted place, and goes without a trace."""
    notebook = read(before.encode(), engine)
    wanted: NewMetadata = {0: {"t": ["a"]}, None: {"k": {"x": 1}}}
    result = splice(notebook, wanted)
    assert result.decode() == after
    proven = prove(notebook, result, wanted)
    assert splice(proven, wanted) is result
    none: NewMetadata = {0: MISSING, None: MISSING}
    back = splice(proven, none)
    assert back.decode() == before
    assert splice(prove(proven, back, none), none) is back


@each_engine
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"metadata": 1, "metadata": 2, "a": 1}', '{"a": 1}'),
        ('{"metadata": 1, "a": 1, "metadata": 2}', '{"a": 1}'),
        ('{"a": 1,"metadata": 1 , "metadata": 2 , "b": 1 }', '{"a": 1 , "b": 1 }'),
        ('{ "metadata": 1 }', "{}"),
    ],
)
def test_removal(before: str, after: str, engine: str) -> None:
    """Where the metadata shall be missing every such key goes."""
    notebook = read(('{"cells": [' + before + "]}").encode(), engine)
    result = splice(notebook, {0: MISSING})
    assert result.decode() == '{"cells": [' + after + "]}"
    assert prove(notebook, result, {0: MISSING}).metadata_of(0) is MISSING


@each_engine
def test_huge_integers_stay(engine: str) -> None:
    """An integer that Python cannot convert keeps its digits, also where it moves."""
    digits = "7" * 5_000
    notebook = read(b'{"cells": [{"metadata": {"a": [%d]}}]}' % 0, engine)
    assert notebook.metadata_of(0) == {"a": [0]}
    wanted: NewMetadata = {0: {"a": [0], "b": HugeInt(digits)}}
    result = splice(notebook, wanted)
    assert digits.encode() in result
    proven = prove(notebook, result, wanted)
    assert splice(proven, {0: {"b": HugeInt(digits)}}).count(digits.encode()) == 1


def test_values_of_the_same_object_are_equal() -> None:
    """`same` distinguishes types, and finds NaN equal to NaN."""
    nan = float("nan")
    equal: list[tuple[object, object]] = [
        (nan, -nan),
        ([nan], [float("nan")]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ("a", "a"),
    ]
    different: list[tuple[object, object]] = [(1, True), (0, False), (1, 1.0), (0.0, -0.0)]
    different += [(None, False), (None, MISSING)]
    different += [([], {}), ("1", 1), ({"a": 1}, {"a": 1, "b": 1}), ([1], [1, 1]), ([1], [True])]
    assert all(same(one, other) and same(other, one) for one, other in equal)
    assert not any(same(one, other) or same(other, one) for one, other in different)


@each_engine
def test_deep_values(engine: str) -> None:
    """Metadata that is nested too deeply to be compared is an error."""
    data = b'{"cells": [{"metadata": ' + b"[" * 900 + b"]" * 900 + b"}]}"
    notebook = read(data, engine)
    with pytest.raises(UserError, match="nested too deeply"):
        splice(notebook, {0: json.loads("[" * 899 + "1" + "]" * 899)})


# Any layout, any edit.


def wanted_of(data: st.DataObject, plain: dict[str, Any]) -> dict[int | None, Any]:
    holders = [None, *range(len(plain["cells"]))]
    wanted: dict[int | None, Any] = {}
    for holder in data.draw(st.lists(st.sampled_from(holders), unique=True)):
        owner = plain if holder is None else plain["cells"][holder]
        if "metadata" not in owner:
            wanted[holder] = data.draw(NEW_VALUES)
        elif data.draw(st.integers(0, 19)) == 0:
            wanted[holder] = MISSING
        else:
            wanted[holder] = changed(data.draw, owner["metadata"])
    return wanted


def expected_of(plain: dict[str, Any], wanted: NewMetadata) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(plain))
    for holder, value in wanted.items():
        owner = result if holder is None else result["cells"][holder]
        if value is MISSING:
            owner.pop("metadata", None)
        else:
            owner["metadata"] = value
    return result


def keys_stay(wanted: NewMetadata, root: Node) -> bool:
    """Whether no metadata key comes or goes."""
    return MISSING not in wanted.values() and all(
        holder_node(root, holder).get("metadata") for holder in wanted
    )


def metadata_of(root: Node, holder: int | None) -> Node:
    node = holder_node(root, holder).get("metadata")
    assert node is not None
    return node


def outside(text: str, wanted: NewMetadata) -> list[str]:
    """The pieces of *text* around the metadata values that may change."""
    root, at, pieces = nodes(text), 0, []
    for node in sorted((metadata_of(root, h) for h in wanted), key=lambda node: node.start):
        pieces.append(text[at : node.start])
        at = node.end
    return [*pieces, text[at:]]


def assert_spelling_kept(old: str, one: Node, new: str, other: Node) -> None:
    """What is equal in the value *one* of *old* and *other* of *new* is spelled the same."""
    before, after = old[one.start : one.end], new[other.start : other.end]
    if exact(json.loads(before)) == exact(json.loads(after)):
        assert before == after
        return
    for key in {name for name, _, _ in one.members}:
        mine, theirs = one.get(key), other.get(key)
        assert mine is not None
        if theirs is not None:
            assert_spelling_kept(old, mine, new, theirs)
    spellings: dict[str, list[str]] = {}
    for item in one.items:
        text = old[item.start : item.end]
        spellings.setdefault(exact(json.loads(text)), []).append(text)
    for item in other.items:
        text = new[item.start : item.end]
        known = spellings.get(exact(json.loads(text)))
        if known:  # more of the kind than before are new ones
            known.remove(text)


@FUZZ
@given(data=st.data(), before=files())
def test_any_edit_of_any_layout(data: st.DataObject, before: bytes) -> None:
    """The values are as wanted, all else is as before, both engines agree, once is enough."""
    plain = json.loads(text_of(before))
    wanted = wanted_of(data, plain)
    notebooks = [read(before, engine) for engine in ENGINES]
    results = [splice(notebook, wanted) for notebook in notebooks]
    assert results[0] == results[1]
    after = text_of(results[0])
    assert exact(json.loads(after)) == exact(expected_of(plain, wanted))
    assert (results[0] is before) == (exact(plain) == exact(expected_of(plain, wanted)))
    if keys_stay(wanted, nodes(text_of(before))):
        assert outside(text_of(before), wanted) == outside(after, wanted)
        old, new = nodes(text_of(before)), nodes(after)
        for holder in wanted:
            one, other = metadata_of(old, holder), metadata_of(new, holder)
            assert_spelling_kept(text_of(before), one, after, other)
    for notebook, result in zip(notebooks, results, strict=True):
        proven = prove(notebook, result, wanted)
        assert splice(proven, wanted) is result
        for index in range(len(notebook.types)):
            assert proven.source(index) == notebook.source(index)


@each_engine
@FUZZ
@given(data=st.data(), before=files())
def test_no_tampering_passes(data: st.DataObject, before: bytes, engine: str) -> None:
    """A result that differs in one byte outside, or in a wanted value, is not proven."""
    plain = json.loads(text_of(before))
    wanted = wanted_of(data, plain)
    assume(keys_stay(wanted, nodes(text_of(before))))
    notebook = read(before, engine)
    result = splice(notebook, wanted)
    inside: set[int] = set()
    for holder in wanted:
        inside.update(range(*read(result).metadata_span(holder) or ()))
    at = data.draw(st.sampled_from([i for i in range(len(result)) if i not in inside]))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != result[at]) | st.just(0x20))
    assume(byte != result[at])
    starts = [(read(result).metadata_span(holder) or (0, 0))[0] for holder in wanted]
    for tampered in (
        *(result[:start] + b" " + result[start:] for start in starts),
        result[:at] + bytes([byte]) + result[at + 1 :],
        result[:at] + bytes([byte]) + result[at:],
        result[:at] + result[at + 1 :],
        result + b" ",
        b" " + result,
    ):
        with pytest.raises(ProofError):
            prove(notebook, tampered, wanted)
    for holder in wanted:
        with pytest.raises(ProofError):
            prove(notebook, result, {**wanted, holder: ["something else"]})


@each_engine
@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        ('{"cells": [{"metadata": {}}, {"id": "b"}]}', {0: {"a": 1}}),
        ('{"cells": [{"metadata": {"a": 1}}, {"id": "c"}]}', {0: {"a": 1}}),
        ('{"cells": [{"metadata": {"a": 1}}, {"id": "b"}, {}]}', {0: {"a": 1}}),
        ('{"cells": [{"metadata": {"a": true}}, {"id": "b"}]}', {0: {"a": 1}}),
        ('{"cells": [{"metadata": {"a": 1}}, {"id": "b"}', {0: {"a": 1}}),
        ('{"cells": [{}, {"id": "b"}]}', {0: {"a": 1}}),
        ('{"cells": [{"metadata": 1}, {"id": "b", "metadata": 1, "x": 0}]}', {0: 1, 1: 1}),
        ('{"cells": [{"metadata": 1}, {"id": "b"}]}', {0: 1, 1: 1}),
        ('\ufeff{"cells": [{"metadata": 1}, {"id": "b", "metadata": 1}]}', {0: 1, 1: 1}),
        ('{"cells": [{"metadata": {}}, {"id": "b"}]}', {0: MISSING}),
        ('{"cells": [{"x": "\ud83d"}, {"id": "b"}]}', {0: MISSING}),
    ],
)
def test_what_is_not_proven(after: str, wanted: NewMetadata, engine: str) -> None:
    """Results that lack something, or have something else, are refused."""
    notebook = read(b'{"cells": [{"metadata": {}}, {"id": "b"}]}', engine)
    with pytest.raises(ProofError):
        prove(notebook, after.encode(errors="surrogatepass"), wanted)


@each_engine
def test_proof_shares_what_is_decoded(engine: str) -> None:
    """The notebook that is proven has the decoded sources of the one before."""
    notebook = read(b'{"cells": [{"metadata": {}, "source": ["a", "\xc3\xa9"]}]}', engine)
    source = notebook.source(0)
    proven = prove(notebook, splice(notebook, {0: {"a": 1}}), {0: {"a": 1}})
    assert proven.source(0) is source
    assert proven.metadata_of(0) == {"a": 1}


# What the writers of notebooks would have written.

PLAIN_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.sampled_from(["x", "é", 'q"', "a\nb"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcxyzé"), inner, max_size=3)
    ),
    max_leaves=6,
)
PLAIN_METADATA = st.dictionaries(
    st.sampled_from(["collapsed", "tags", "z", "é"]), PLAIN_VALUES, max_size=3
)


@st.composite
def canonical(draw: st.DrawFn) -> dict[str, Any]:
    """A notebook as nbformat has it in memory."""
    notebook = v4.new_notebook(metadata=draw(PLAIN_METADATA))  # type: ignore[no-untyped-call]
    for number in range(draw(st.integers(0, 4))):
        cell = v4.new_code_cell(draw(st.sampled_from(["", "a = 1\nb", "é"])))  # type: ignore[no-untyped-call]
        cell.id = f"cell-{number}"
        cell.metadata = draw(PLAIN_METADATA)
        notebook.cells.append(cell)
    return dict(notebook)


DUMPS: dict[str, dict[str, Any]] = {
    "nbformat": {"indent": 1},
    "two": {"indent": 2},
    "four": {"indent": 4, "ensure_ascii": True},
    "tab": {"indent": "\t"},
    "minified": {"separators": (",", ":")},
    "one line": {},
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("layout", DUMPS)
@LIGHT
@given(data=st.data(), notebook=canonical())
def test_as_the_writer_of_the_file(
    data: st.DataObject, notebook: dict[str, Any], layout: str, newline: str
) -> None:
    """A file that one call of `json.dumps` lays out is edited as that call lays it out."""

    def written(value: dict[str, Any]) -> bytes:
        options = {"sort_keys": True, "ensure_ascii": False, **DUMPS[layout]}
        return (json.dumps(value, **options) + "\n").replace("\n", newline).encode()

    if layout == "four":
        notebook["zz"] = "é"  # the escape that shows how this file writes such characters
    before = written(notebook)
    plain = json.loads(before)
    holders = [None, *range(len(plain["cells"]))]
    wanted: dict[int | None, Any] = {}
    for holder in data.draw(st.lists(st.sampled_from(holders), unique=True)):
        value = (plain if holder is None else plain["cells"][holder])["metadata"]
        if data.draw(st.booleans()):
            wanted[holder] = data.draw(PLAIN_METADATA)
        else:
            tags = value.get("tags")
            wanted[holder] = {**value, "tags": [*(tags if isinstance(tags, list) else []), "new"]}
    result = splice(read(before), wanted)
    assert result.decode() == written(expected_of(plain, wanted)).decode()


@FUZZ
@given(data=st.data(), notebook=canonical())
def test_as_nbformat(data: st.DataObject, notebook: dict[str, Any]) -> None:
    """In a file that nbformat wrote the result is what nbformat would write."""
    node = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    before = nbformat_text(node)
    wanted: dict[int | None, Any] = {None: data.draw(PLAIN_METADATA)}
    node.metadata = nbformat.from_dict(wanted[None])  # type: ignore[no-untyped-call]
    for index, cell in enumerate(node.cells):
        wanted[index] = data.draw(PLAIN_METADATA)
        cell.metadata = nbformat.from_dict(wanted[index])  # type: ignore[no-untyped-call]
    assert splice(read(before.encode()), wanted).decode() == nbformat_text(node)


def nbformat_text(notebook: Any) -> str:
    return str(v4.writes(notebook)) + "\n"  # type: ignore[no-untyped-call]


@pytest.mark.skipif(CORPUS is None, reason="KALE_TAG_CORPUS is not set")
@pytest.mark.slow
def test_corpus() -> None:
    """In real notebooks one tag changes one value, as nbformat writes it where nbformat wrote."""
    chosen = random.Random(7)
    done = canonical_files = 0
    refused: set[str] = set()
    for path in sorted(Path(CORPUS or "").rglob("*.ipynb")):
        before = path.read_bytes()
        try:
            notebook = read(before)
        except UserError as exc:
            refused |= {diagnostic.code for diagnostic in exc.diagnostics}
            continue
        plain = json.loads(text_of(before))
        if not notebook.code:
            continue
        index = chosen.choice(notebook.code)
        old = notebook.metadata_of(index)
        if not isinstance(old, dict):  # the one file of black's tests
            assert old is MISSING
            old = {}
        wanted: NewMetadata = {index: {**old, "tags": [*old.get("tags", []), "step:é"]}}
        result = splice(notebook, wanted)
        assert splice(read(before, "msgspec"), wanted) == result, path
        assert exact(json.loads(text_of(result))) == exact(expected_of(plain, wanted)), path
        if span := notebook.metadata_span(index):
            assert result.startswith(before[: span[0]]), path
            assert result.endswith(before[span[1] :]), path
        prove(notebook, result, wanted)
        done += 1
        if not all("metadata" in cell for cell in plain["cells"]):
            continue  # nbformat cannot read it
        final = "\n" if before.endswith(b"\n") else ""
        node = v4.reads(text_of(before))  # type: ignore[no-untyped-call]
        if v4.writes(node) + final == text_of(before):  # type: ignore[no-untyped-call]
            node.cells[index].metadata.setdefault("tags", []).append("step:é")
            assert v4.writes(node) + final == text_of(result), path  # type: ignore[no-untyped-call]
            canonical_files += 1
    assert done > 0
    assert refused <= {"not-json", "old-nbformat"}
    assert canonical_files > done / 3
