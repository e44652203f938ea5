"""What `read_notebook` reads, and what it says of files that it cannot read."""

import json
import re
import subprocess
import sys
import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import ENGINES, FUZZ, exact, files, nodes, read, text_of

from kale_tag.diagnostics import Diagnostic, UserError
from kale_tag.notebook import read_msgspec
from kale_tag.notebook.json_value import HugeInt
from kale_tag.notebook.model import MISSING, Notebook

each_engine = pytest.mark.parametrize("engine", ENGINES)


def error_of(data: bytes, engine: str) -> Diagnostic:
    with pytest.raises(UserError) as caught:
        read(data, engine)
    assert caught.value.__context__ is None, "the text of the whole file would be kept"
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def place_of(diagnostic: Diagnostic) -> tuple[int, int, str]:
    """The line, the column and the text that the caret of *diagnostic* points at."""
    (label,) = diagnostic.labels
    assert label.span is not None
    line, column = label.source.position(label.span.start)
    return line, column, label.source.text[label.span.start : label.span.end]


CELL = '{"cells": [{"cell_type": "code", "metadata": {}, "source": %s}], "nbformat": 4}'
LINES = """{
 "cells": [],
 "metadata": {%s
 },
 "nbformat": 4
}
"""
CONFLICT = LINES % '\n<<<<<<< HEAD\n  "a": 1\n=======\n  "a": 2\n>>>>>>> feature'

FAULTS: list[tuple[bytes, str, str]] = [
    (b"", "empty-notebook", "is empty"),
    (b" \r\n\t", "empty-notebook", "is empty"),
    ((CELL % '"é"').encode("latin-1"), "not-utf8", "byte 0xe9 at offset 60, line 1"),
    ((CELL % '"é"').encode("utf-16"), "not-utf8", "byte 0xff at offset 0, line 1"),
    (b"\xed\xa0\x80", "not-utf8", "byte 0xed"),
    (b"{", "not-json", "ends in the middle"),
    (b'{"cells": [{"source": "a', "not-json", "ends in the middle of its JSON text, line 1"),
    (b'{"cells": [\n 1, tru\n', "not-json", "ends in the middle of its JSON text, line 2, column"),
    (b'{"cells": ["\\u00', "not-json", "ends in the middle"),
    (b'{"cells": [-', "not-json", "ends in the middle"),
    (b'{"cells": [1,]}', "not-json", "line 1, column 14"),
    (b'{"cells": [1 2]}', "not-json", "`,` or the closing bracket is expected here, line 1"),
    (b'{"cells" []}', "not-json", "`:` is expected after the key, line 1, column 10"),
    (b'{"cells": []} x', "not-json", "ends before this, line 1, column 15"),
    (b'{"cells": []}\0', "not-json", "ends before this, line 1, column 14"),
    (b'{"cells": [], cells: 1}', "not-json", "double quotes is expected here, line 1, column 15"),
    (b'{"cells": ["a\nb"]}', "not-json", "such as a line break"),
    (b'{"cells": ["\\x"]}', "not-json", "an invalid escape"),
    (b'{"cells": [], "a": 01}', "not-json", "line 1, column 21"),
    ((LINES % ",").encode(), "not-json", "line 3, column 15"),
    (CONFLICT.encode(), "merge-conflict", "in line 4"),
    (CONFLICT.replace("\n", "\r\n").encode(), "merge-conflict", "in line 4"),
    (b"<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n", "merge-conflict", "in line 1"),
    (b"[]", "not-a-notebook", "not an object"),
    (b" null ", "not-a-notebook", "not an object"),
    (b"{}", "not-a-notebook", "has no `cells`"),
    (b'{"cells": {}}', "not-a-notebook", "not a list"),
    (b'{"cells": [], "cells": null}', "not-a-notebook", "not a list"),
    (b'{"cells": [{},\n 7]}', "not-a-notebook", "cell 1 of x.ipynb is not an object"),
    (b'{"worksheets": [{"cells": []}]}', "old-nbformat", "nbformat 3 or older"),
    (b'{"worksheets": [], "nbformat": 3}', "old-nbformat", "nbformat 3"),
    (b'{"cells": [], "nbformat": 2}', "old-nbformat", "nbformat 2"),
    (b'{"cells": [], "nbformat": 5}', "new-nbformat", "nbformat 5"),
    (b"[" * 100_000, "too-deep", "nested too deeply"),
    (b'{"cells": [' + b'{"a":' * 100_000 + b"}" * 100_000, "too-deep", "nested too deeply"),
]


@each_engine
@pytest.mark.parametrize(("data", "code", "words"), FAULTS)
def test_error(data: bytes, code: str, words: str, engine: str) -> None:
    """Each error has its code, what is wrong in the words of the user, and how to fix it."""
    diagnostic = error_of(data, engine)
    assert (diagnostic.code, diagnostic.severity) == (code, "error")
    assert words in diagnostic.message
    assert diagnostic.help
    assert diagnostic.labels
    assert not diagnostic.message.endswith(".")
    assert not diagnostic.help.endswith(".")
    for label in diagnostic.labels:
        assert len(label.source.text) <= 2 * 100 + 1
        assert "\n" not in label.source.text


@each_engine
@pytest.mark.parametrize(
    ("text", "place"),
    [
        (LINES % ",", (3, 15, ",")),
        ((LINES % ",").replace("\n", "\r\n"), (3, 15, ",")),
        ('\ufeff{"é": x}', (1, 7, "x")),
        (CONFLICT, (4, 1, "<")),
        ('{\n "é": [1,\n 2', (3, 2, "2")),
        ('{\n "é": "a😀 \n', (2, 9, "😀")),
        ('{"cells": [{},\n 7]}', (2, 2, "7")),
        ('{"a": 1,\n"x\ny"}', (2, 3, "")),
    ],
)
def test_place_of_error(text: str, place: tuple[int, int, str], engine: str) -> None:
    """The caret stands under the character that is wrong, in the line that is wrong."""
    assert place_of(error_of(text.encode(), engine)) == place


@each_engine
@pytest.mark.parametrize("before", ["x", "é", "😀"])
def test_place_in_a_long_line(before: str, engine: str) -> None:
    """Of a huge line a piece is shown, the caret true within it, the message true in the file."""
    text = '{"a":\n"' + before * 5_000 + '" !' + " " * 5_000 + "}"
    diagnostic = error_of(text.encode(), engine)
    line, _, character = place_of(diagnostic)
    assert (line, character) == (2, "!")
    assert "line 2, column 5004" in diagnostic.message
    assert "\ufffd" not in diagnostic.labels[0].source.text


@each_engine
@pytest.mark.parametrize("source", ["7", "null", "{}", '{"a": 1}', '["a", 1]', "[[]]", "true"])
def test_bad_source(source: str, engine: str) -> None:
    """A source that is no text is reported when it is asked for, with the number of its cell."""
    notebook = read((CELL % source).encode(), engine)
    with pytest.raises(UserError) as caught:
        _ = notebook.source(0)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "bad-source"
    assert "cell 0" in diagnostic.message
    assert diagnostic.labels[0].source.cell == 0


@each_engine
@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('"a\\nb"', "a\nb"),
        ('["a\\n", "b"]', "a\nb"),
        ("[]", ""),
        ('["\\u00e9", "é"]', "éé"),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\ud83d"', "\ud83d"),
        ('["é", "\\ud83d"]', "é\ud83d"),
    ],
)
def test_source(source: str, text: str, engine: str) -> None:
    """A source is one text, however it is cut and escaped."""
    assert read((CELL % source).encode(), engine).source(0) == text


@each_engine
@pytest.mark.parametrize("number", [4, 4.5, None, "4", True])
def test_nbformat_that_is_accepted(number: object, engine: str) -> None:
    """Only a number below 4, or of 5 and above, is another format."""
    assert read(json.dumps({"cells": [], "nbformat": number}).encode(), engine).types == []


@each_engine
def test_what_is_missing(engine: str) -> None:
    """Keys that are not there read as empty, None and MISSING."""
    notebook = read(b'{"cells": [{}, {"cell_type": 1, "id": 2, "metadata": null}]}', engine)
    assert (notebook.types, [notebook.id_of(cell) for cell in (0, 1)]) == (["", ""], [None, None])
    assert (notebook.source(0), notebook.metadata_of(0)) == ("", MISSING)
    assert notebook.metadata_of(1) is None
    assert notebook.metadata is MISSING
    assert [notebook.metadata_span(holder) for holder in (None, 0)] == [None, None]
    assert notebook.metadata_span(1) is not None


@each_engine
def test_huge_integer(engine: str) -> None:
    """An integer of more digits than Python converts is kept as its digits, and is no text."""
    digits = "7" * 5_000
    text = '{"cells": [{"metadata": {"a": !, "b": 1}, "outputs": [-!]}]}'
    assert read(text.replace("!", digits).encode(), engine).metadata_of(0) == {
        "a": HugeInt(digits),
        "b": 1,
    }


@each_engine
def test_deep_metadata(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could be read is an error when it cannot be decoded, far down the stack."""
    notebook = read('{"cells": [{"source": "é", "metadata": [[]]}]}'.encode(), engine)

    def too_deep(raw: object) -> object:  # what is too deep depends on the version of Python
        raise RecursionError(raw)

    monkeypatch.setattr("kale_tag.notebook.model.decode", too_deep)
    monkeypatch.setattr(notebook, "read_source", too_deep)
    with pytest.raises(UserError, match="nested too deeply"):
        notebook.metadata_of(0)
    with pytest.raises(UserError, match="nested too deeply"):
        notebook.source(0)


def view(cell: dict[str, object]) -> tuple[object, ...]:
    kind, name, source = cell.get("cell_type"), cell.get("id"), cell.get("source", "")
    return (
        kind if isinstance(kind, str) else "",
        name if isinstance(name, str) else None,
        "".join(source) if isinstance(source, list) else source,
        exact(cell["metadata"]) if "metadata" in cell else MISSING,
    )


def seen(notebook: Notebook) -> list[tuple[object, ...]]:
    return [
        (
            kind,
            notebook.id_of(index),
            notebook.source(index),
            MISSING if (metadata := notebook.metadata_of(index)) is MISSING else exact(metadata),
        )
        for index, kind in enumerate(notebook.types)
    ]


@each_engine
@FUZZ
@given(data=files())
def test_reads_what_json_reads(data: bytes, engine: str) -> None:
    """In any layout the values are those of `json.loads`, and the spans those of the tokens."""
    notebook = read(data, engine)
    plain = json.loads(text_of(data))
    assert seen(notebook) == [view(cell) for cell in plain["cells"]]
    assert (notebook.metadata is MISSING) == ("metadata" not in plain)
    if notebook.metadata is not MISSING:
        assert exact(notebook.metadata) == exact(plain["metadata"])
    # Latin-1, so that its offsets are offsets in the bytes.
    root = nodes(re.sub(rb"\A\xef\xbb\xbf", b"   ", data).decode("latin-1"))
    cells = root.get("cells")
    assert cells is not None
    for holder, node in [(None, root), *enumerate(cells.items)]:
        value = node.get("metadata")
        assert notebook.metadata_span(holder) == (value and (value.start, value.end))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(files()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["cut", "drop", "flip", "insert"])):
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + 1]
            case "flip":
                data[at : at + 1] = draw(
                    st.sampled_from(list(b'"\\{}[],: \n0aZ\x00\xff\x80N'))
                ).to_bytes()
            case _:
                data[at:at] = draw(st.sampled_from([b'"', b"{", b"]", b",", b"\xff", b"NaN", b"0"]))
    return bytes(data)


def verdicts(data: bytes) -> set[str]:
    """The errors that may be reported of *data*, by what `json.loads` makes of it."""
    try:
        value = json.loads(text_of(data))
    except UnicodeDecodeError:
        return {"not-utf8"}
    except ValueError:
        return {"not-json", "empty-notebook"}
    if not isinstance(value, dict):
        return {"not-a-notebook"}
    version, cells = value.get("nbformat"), value.get("cells")
    number = version if isinstance(version, int | float) and not isinstance(version, bool) else 4
    if number < 4 or number >= 5:
        return {"old-nbformat" if number < 4 else "new-nbformat"}
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return {"not-a-notebook"}
    return set()


@FUZZ
@given(data=damaged())
def test_refuses_what_json_refuses(data: bytes) -> None:
    """Cut and mutated files are refused just if they are no JSON or no notebook, in one voice."""
    allowed = verdicts(data)
    found: list[object] = []
    for engine in ENGINES:
        try:
            notebook = read(data, engine)
        except UserError as exc:
            (diagnostic,) = exc.diagnostics
            assert diagnostic.code in allowed
            found.append(diagnostic)
        else:
            assert not allowed
            cells = range(len(notebook.types))
            spans = [notebook.metadata_span(cell) for cell in cells]
            found.append((spans, notebook.types, [notebook.id_of(cell) for cell in cells]))
    assert found[0] == found[1]


def test_addresses_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where addresses lie, the spans are found in another way."""
    data = (CELL % '""').encode()
    monkeypatch.setattr(
        read_msgspec, "address", lambda buffer: 5 if isinstance(buffer, bytes) else 8
    )
    notebook = read(data, "msgspec")
    assert notebook.fast
    assert notebook.metadata_span(0) == read(data).metadata_span(0)


@each_engine
def test_threads(engine: str) -> None:
    """Notebooks read in several threads at once have the right spans."""
    cells = [{"metadata": {"n": n}, "source": ""} for n in range(40)]
    data = json.dumps({"cells": cells}, indent=1).encode()
    expected = [read(data).metadata_span(holder) for holder in range(40)]
    wrong: list[object] = []

    def work() -> None:
        for _ in range(30):
            notebook = read(data, engine)
            got = [notebook.metadata_span(holder) for holder in range(40)]
            if got != expected:
                wrong.append(got)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


@each_engine
def test_memory(engine: str) -> None:
    """Reading takes no more than twice the size of a file besides the file."""
    output = {"data": {"image/png": "x" * 3_000_000}, "output_type": "display_data"}
    cells = [{"metadata": {}, "source": "é", "outputs": [output]} for _ in range(4)]
    data = json.dumps({"cells": cells}).encode()
    read(data[:0] + b'{"cells": []}', engine)  # the import is not counted
    tracemalloc.start()
    notebook = read(data, engine)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(notebook.types) == 4
    assert peak < 2 * len(data)
    assert now < 50_000, "the outputs are not kept"


def test_import_is_cheap() -> None:
    """Importing what every command needs loads none of the slow packages."""
    program = "import sys, kale_tag.notebook.read, kale_tag.notebook.splice; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    ).stdout.split()
    assert "kale_tag.notebook.splice" in loaded
    slow = {"msgspec", "ctypes", "nbformat", "jsonschema", "jsonpatch", "rich", "typer", "difflib"}
    assert not slow & set(loaded)


def test_another_encoding() -> None:
    """The command in the help writes a file; `iconv` alone only prints."""
    help_text = error_of((CELL % '"é"').encode("latin-1"), next(iter(ENGINES))).help
    assert "iconv -f LATIN1 -t UTF-8 x.ipynb > FILE`" in help_text
