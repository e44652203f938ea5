"""Errors in notebook files."""

import re
from collections.abc import Mapping
from typing import Final

from kale_tag.diagnostics import Diagnostic, Label, Source, error, for_shell
from kale_tag.notebook.places import Lines

RESTORE: Final = "restore it, for example with `git checkout -- {name}`"
CONVERT: Final = "`jupyter nbconvert --to notebook --nbformat 4 --inplace {name}` converts it"


def empty(name: str) -> Diagnostic:
    """No content."""
    return error(
        "empty-notebook",
        f"{name} is empty",
        Label(Source(name)),
        help=RESTORE.format(name=for_shell(name)),
    )


def not_utf8(name: str, data: bytes, offset: int) -> Diagnostic:
    """Bytes that are not UTF-8; the first is at *offset*."""
    at, line, _ = _place(name, data, offset)
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "UTF-16" if utf16 else "LATIN1"
    return error(
        "not-utf8",
        f"{name} is not UTF-8: byte 0x{data[offset]:02x} at offset {offset}, line {line}",
        at,
        notes=("it starts as UTF-16 does",) if utf16 else (),
        help=f"if it is {encoding}, `iconv -f {encoding} -t UTF-8 {for_shell(name)} > FILE` writes "
        "it as UTF-8 to another file",
    )


def not_json(name: str, data: bytes, diagnostic: str, offset: int) -> Diagnostic:
    """What `json` calls *diagnostic*, or its probable cause."""
    if (marker := _conflict(data)) is not None:
        at, line, _ = _place(name, data, marker)
        return error(
            "merge-conflict",
            f"{name} has an unresolved merge conflict in line {line}",
            at,
            help=f"resolve it: `git checkout --ours -- {for_shell(name)}` (or `--theirs`) takes "
            "one side, `nbdime mergetool` merges cell by cell",
        )
    if _is_cut(data, diagnostic, offset):
        end = len(data.rstrip()) - 1
        while data[end] & 0xC0 == 0x80:  # not in the middle of a character
            end -= 1
        at, line, column = _place(name, data, end)
        return error(
            "not-json",
            f"{name} ends in the middle of its JSON text, line {line}, column {column}",
            at.with_text("the file ends here"),
            help="it was cut off while it was saved or copied; "
            + RESTORE.format(name=for_shell(name)),
        )
    at, line, column = _place(name, data, offset)
    words = WORDS.get(diagnostic.removesuffix(" at"), diagnostic[:1].lower() + diagnostic[1:])
    return error(
        "not-json",
        f"{name} is not valid JSON: {words}, line {line}, column {column}",
        at,
        help=f"correct it in a text editor, or {RESTORE.format(name=for_shell(name))}",
    )


def not_a_notebook(name: str, why: str) -> Diagnostic:
    """JSON of another kind; *why* is a verb phrase such as "has no `cells`"."""
    return error(
        "not-a-notebook",
        f"{name} is JSON, but not a notebook: it {why}",
        Label(Source(name)),
        help="give a notebook, as Jupyter saves it: an object with a list of `cells`",
    )


def bad_cell(name: str, data: bytes, index: int, offset: int) -> Diagnostic:
    """The cell *index*, at *offset*, is not an object."""
    return error(
        "not-a-notebook",
        f"cell {index} of {name} is not an object",
        _place(name, data, offset)[0],
        help="remove it in a text editor; cells are counted from 0",
    )


def old_format(name: str, version: str) -> Diagnostic:
    """A notebook from before 2015."""
    return error(
        "old-nbformat",
        f"{name} is in an old format ({version}); Kale and kale-tag read nbformat 4",
        Label(Source(name)),
        help=CONVERT.format(name=for_shell(name)),
    )


def new_format(name: str, version: float) -> Diagnostic:
    """A notebook of a later format."""
    return error(
        "new-nbformat",
        f"{name} is in a new format (nbformat {version}); Kale and kale-tag read nbformat 4",
        Label(Source(name)),
        help=f"upgrade kale-tag, or {CONVERT.format(name=for_shell(name))}",
    )


def _place(name: str, data: bytes, offset: int) -> tuple[Label, int, int]:
    # The place of the byte at *offset*, its line and its column.
    label = Lines(data).label(name, offset, offset + 1)
    assert label.span is not None
    return (label, *label.source.position(label.span.start))


def _conflict(data: bytes) -> int | None:
    # No line of JSON starts with a marker, but lines of other texts may.
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    found = _marker(data) if start.startswith((b"{", b"<<<<<<< ")) else None
    return found and found.start()


def _is_cut(data: bytes, diagnostic: str, offset: int) -> bool:
    rest = data[offset : offset + 16].rstrip()
    if diagnostic.startswith("Unterminated string") or not rest:
        return True
    return len(data.rstrip()) == offset + len(rest) and _beginning(rest) is not None


WORDS: Final[Mapping[str, str]] = {
    "Expecting value": "a value is expected here",
    "Expecting property name enclosed in double quotes": "a key in double quotes is expected here",
    "Expecting ',' delimiter": "`,` or the closing bracket is expected here",
    "Expecting ':' delimiter": "`:` is expected after the key",
    "Extra data": "the JSON text ends before this",
    "Invalid control character": "a control character, such as a line break, within a string",
    "Invalid \\escape": "an invalid escape",
    "Invalid \\uXXXX escape": "`\\u` is followed by four hexadecimal digits",
}

_marker = re.compile(rb"^(?:<{7} |>{7} |\|{7} |={7}\r?$)", re.MULTILINE).search
_beginning = re.compile(rb"-|t|tr|tru|f|fa|fal|fals|n|nu|nul|\\|\\?u[0-9a-fA-F]{0,3}").fullmatch
