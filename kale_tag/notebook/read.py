"""Notebook bytes to a `Notebook`, by one of two readers with the same result."""

from codecs import utf_8_decode

from kale_tag.diagnostics import UserError
from kale_tag.notebook import errors
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read_json import scan_with_json


def read_notebook(data: bytes, name: str, *, fast: bool = False) -> Notebook:
    """The notebook that *data*, the content of the file *name*, holds.

    *fast* reads with msgspec, whose import pays for many or large files only. Raises `UserError`
    where *data* is not a notebook that can be edited safely.
    """
    if not data or data.isspace():
        raise UserError(errors.empty(name))
    if (bad := _not_utf8(data)) is not None:
        raise UserError(errors.not_utf8(name, data, bad))
    return scan(data, name, fast=fast)


def read_whole(data: bytes, name: str, *, fast: bool = False) -> Notebook:
    """Like `read_notebook`, and every source is text."""
    notebook = read_notebook(data, name, fast=fast)
    for index in range(len(notebook.types)):
        notebook.source(index)
    return notebook


def scan(data: bytes, name: str, *, fast: bool) -> Notebook:
    """Like `read_notebook`, for *data* that is UTF-8, which the caller checks."""
    if fast:
        # Imported here: msgspec takes longer than all other work for a small notebook.
        from kale_tag.notebook.read_msgspec import scan_with_msgspec  # noqa: PLC0415

        if notebook := scan_with_msgspec(data, name):
            return notebook
    return scan_with_json(data, name)


def _not_utf8(data: bytes) -> int | None:
    # The offset of the first byte that is not UTF-8. The file is decoded in blocks, because a text
    # of the whole of it would be up to four times as large; blocks of ASCII need no decoding.
    if data.isascii():
        return None
    at, size = 0, 1 << 16
    try:
        while piece := data[at : at + size]:
            at += (
                len(piece)
                if piece.isascii()
                else utf_8_decode(piece, "strict", len(piece) < size)[1]
            )
    except UnicodeDecodeError as exc:
        return at + exc.start
    return None
