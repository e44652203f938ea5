"""A notebook as lines that `git diff` can compare: settings, cells with their tags, sources.

Whatever changes in a notebook changes these lines, but for execution counts (a run again with the
same result is no difference) and how the JSON is spelt (`_layout` has the coarse things).
"""

import hashlib
import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence

from kale_tag.kale.metadata import SETTINGS_KEY, tags_in
from kale_tag.notebook.json_value import HugeInt, JsonStyle, skip_space, value_at

HEAD = "# %%"
"""Starts the head line of a cell, as in percent notebooks; `#%` starts every other line of ours."""

WIDTH = 1000
"""Values whose JSON is longer are cut, with a digest of the whole."""

OURS, BASE, MIDDLE, THEIRS = (b"<" * 7, b"|" * 7, b"=" * 7, b">" * 7)
"""What the lines around the parts of a conflict start with."""


def textconv(data: bytes) -> bytes:
    """The lines of the notebook *data*; what is no notebook comes back as it is.

    While a conflict is open, so that `git diff` is readable just then, the lines are those of both
    sides, between conflict markers where they differ.

        #% kubeflow_notebook.pipeline_name: "titanic"

        # %% [code] step:train prev:load limit:memory:2Gi #3f2a9c1b
        model.fit(x, y)
        #% output execute_result text/plain 5b1d0c2e9a

    Behind the type of a cell are its tags, then its id. A source line that looks like one of ours
    gets a backslash.
    """
    if (lines := _lines(data)) is not None:
        return "".join(lines).encode("utf-8", "backslashreplace")
    return _conflicted(data) or data


def _lines(data: bytes) -> list[str] | None:
    try:
        text = data.decode("utf-8-sig")
        value, end = value_at(text, skip_space(text, 0))
        if skip_space(text, end) != len(text) or not isinstance(value, dict):
            return None
        cells = value.get("cells")
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            return None
        pieces = "".join(_notebook(value, cells, data)).split("\n")
        return [f"{line}\n" for line in pieces[:-1]]
    except (ValueError, RecursionError):  # not UTF-8, not JSON, nested too deeply
        return None


def _conflicted(data: bytes) -> bytes | None:
    """Both sides of a notebook with conflict markers in it, if both are notebooks."""
    marks: dict[bytes, str] = {}
    ours: list[bytes] = []
    theirs: list[bytes] = []
    into = {OURS: (ours,), BASE: (), MIDDLE: (theirs,), THEIRS: (ours, theirs)}
    now: tuple[list[bytes], ...] = (ours, theirs)
    for line in data.splitlines(keepends=True):
        if line[:7] in into and not line[7:8].strip():
            marks.setdefault(line[:7], line.decode(errors="replace").strip() + "\n")
            now = into[line[:7]]
        else:
            for side in now:
                side.append(line)
    if not {OURS, MIDDLE, THEIRS} <= marks.keys():
        return None
    one, other = _lines(b"".join(ours)), _lines(b"".join(theirs))
    if one is None or other is None:
        return None
    import difflib  # noqa: PLC0415  slow to import, and conflicts are rare

    lines: list[str] = []
    compared = difflib.SequenceMatcher(None, one, other, autojunk=False)
    for what, start, end, other_start, other_end in compared.get_opcodes():
        if what == "equal":
            lines += one[start:end]
        else:
            lines += [marks[OURS], *one[start:end], marks[MIDDLE]]
            lines += [*other[other_start:other_end], marks[THEIRS]]
    return "".join(lines).encode("utf-8", "backslashreplace")


def _notebook(
    notebook: Mapping[str, object], cells: Sequence[Mapping[str, object]], data: bytes
) -> Iterator[str]:
    metadata = notebook.get("metadata", {})
    if isinstance(metadata, dict) and SETTINGS_KEY in metadata:
        yield from _members(SETTINGS_KEY, metadata[SETTINGS_KEY], deep=True)
    for cell in cells:
        yield from _cell(cell)
    yield "\n"
    if isinstance(metadata, dict):
        rest = {key: metadata[key] for key in metadata if key != SETTINGS_KEY}
        if rest:
            yield from _members("metadata", rest)
    else:
        yield _line("metadata:", _json(metadata))
    for key in sorted(notebook.keys() - {"cells", "metadata"}):
        yield _line(f"{_word(key)}:", _json(notebook[key]))
    if words := _layout(data):
        yield _line("layout:", ", ".join(words))


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    """*head* and *value*; what a value holds is below its head, as in YAML."""
    if isinstance(value, dict | list) and value:
        yield head
        yield from _below(value, indent)
    else:
        yield f"{head} {_json(value)}"


def _below(value: dict[str, object] | list[object], indent: str) -> Iterator[str]:
    deeper = f"{indent}  "
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _entry(f"{indent}{_word(key)}:", value[key], deeper)
        return
    for item in value:
        if isinstance(item, dict | list) and item:
            first, *rest = _below(item, deeper)
            yield f"{indent}- {first.removeprefix(deeper)}"
            yield from rest
        else:
            yield f"{indent}- {_json(item)}"


def _members(name: str, value: object, *, deep: bool = False) -> Iterator[str]:
    """Lines for each key of *value*; *deep*: one for each thing that it holds."""
    if not isinstance(value, dict) or not value:
        yield _line(f"{name}:", _json(value))
        return
    for key in sorted(value):
        head = f"{name}.{_word(key)}:"
        if deep:
            yield from map(_line, _entry(head, value[key], "  "))
        else:
            yield _line(head, _json(value[key]))


def _cell(cell: Mapping[str, object]) -> Iterator[str]:
    rest = dict(cell)
    rest.pop("execution_count", None)
    metadata = rest.pop("metadata", {})
    tags = tags_in(metadata)
    words = [f"\n{HEAD}"]
    if isinstance(cell.get("cell_type"), str):
        words.append(f"[{_word(rest.pop('cell_type'))}]")
    words += map(_word, tags)
    if isinstance(cell.get("id"), str):
        words.append(f"#{_word(rest.pop('id'))}")
    yield " ".join(words) + "\n"
    source = rest.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if isinstance(source, str):
        rest.pop("source", None)
        yield _like_ours(r"\\\g<0>", source) + "\n" if source else ""
    if isinstance(metadata, dict) and tags:
        metadata = {key: metadata[key] for key in metadata if key != "tags"}
    if metadata != {}:
        yield _line("metadata", _json(metadata))
    outputs = rest.get("outputs", [])
    if isinstance(outputs, list):
        rest.pop("outputs", None)
        for output in outputs:
            yield _line("output", *_output(output))
    if rest:
        yield _line("cell", _json(rest))


def _output(output: object) -> Iterator[str]:
    """The kind of an output, and a digest of all of it but its execution count."""
    if isinstance(output, dict):
        yield from (_word(output[key]) for key in ("output_type", "name", "ename") if key in output)
        kinds = output.get("data")
        yield from map(_word, sorted(kinds) if isinstance(kinds, dict) else ())
        output = {key: output[key] for key in output if key != "execution_count"}
    yield _digest(_dumps(output))


def _layout(data: bytes) -> list[str]:
    """How the file differs from one that Jupyter wrote: byte order mark, indent, line ends, ..."""
    words = []
    if data.startswith(BOM_UTF8):
        words.append("byte order mark")
    indent = re.match(rb"\s*\{\s*?\n([ \t]*)", data.removeprefix(BOM_UTF8))
    if indent is None:
        words.append("starts in one line")
    elif indent[1] != b" ":
        words.append(f"indent {_dumps(indent[1].decode())}")
    if b"\r\n" in data:
        words.append("CRLF")
    if JsonStyle(data).writes_escapes:
        words.append("escapes")
    end = data[len(data.rstrip()) :].replace(b"\r\n", b"\n")
    if end != b"\n":
        words.append("no line break at the end" if not end else f"ends in {_dumps(end.decode())}")
    return words


def _line(*words: str) -> str:
    return " ".join(("#%", *words)) + "\n"


def _word(value: object) -> str:
    """*value* as it is where it is one plain word, else as JSON."""
    if isinstance(value, str) and _plain(value):
        return value
    return _json(value)


def _json(value: object) -> str:
    text = _dumps(value)
    if len(text) <= WIDTH:
        return text
    return f"{text[:60]}… ({len(text)} characters, {_digest(text)})"


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_huge)


def _huge(value: object) -> str:
    assert isinstance(value, HugeInt)
    return f"{value.digits} as an integer"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]


_plain = re.compile(r'[^\s"#\[\]\x00-\x20\x7f][^\s\x00-\x20\x7f]*').fullmatch
_like_ours = re.compile(r"^\\*(?=# %%|#%)", re.MULTILINE).sub
