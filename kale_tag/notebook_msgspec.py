"""The engine for many or large notebooks: msgspec reads them several times as fast as `json`.

It checks what it skips (outputs) without building anything of it, and gives what is asked for as
views into the bytes it was given, so that the address of a view tells where it stands.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Final

import msgspec
from msgspec import Raw

from kale_tag.notebook import Cell, Notebook
from kale_tag.notebook_json import scan_with_json

NOTHING: Final = Raw()


class RawCell(msgspec.Struct, gc=False):
    """The parts of a cell that count; of repeated keys the last wins, as in `json`."""

    cell_type: object = None
    id: object = None
    source: Raw = NOTHING
    metadata: Raw = NOTHING


class RawNotebook(msgspec.Struct, gc=False):
    """The parts of a notebook that count."""

    cells: list[RawCell]
    metadata: Raw = NOTHING
    nbformat: object = None


def scan_with_msgspec(data: bytes, name: str, known: Sequence[Cell | None] = ()) -> Notebook | None:
    """The notebook that *data* holds, or None if the other engine has to look at it.

    That one accepts more (NaN, lone surrogates, a BOM) and finds the words for what is wrong.
    """
    try:
        found = _read(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if found.nbformat not in (4, None):
        return None
    if len(known) != len(found.cells):
        known = [None] * len(found.cells)
    cells = [
        old
        or Cell(
            cell.cell_type if isinstance(cell.cell_type, str) else "",
            cell.id if isinstance(cell.id, str) else None,
            index,
            name,
            cell.source,
            cell.metadata,
            _read_source,
        )
        for index, (cell, old) in enumerate(zip(found.cells, known, strict=True))
    ]
    base = address(data)

    @cache
    def span_of(holder: int | None) -> tuple[int, int] | None:
        raw = found.metadata if holder is None else found.cells[holder].metadata
        if not len(raw):
            return None
        start = address(raw) - base
        end = start + len(raw)
        # An address is worth nothing until what stands there has been looked at.
        if 0 < start < end < len(data) and data.startswith(raw, start):
            return start, end
        return scan_with_json(data, name).metadata_span(holder)

    return Notebook(name, data, cells, fast=True, _raw_metadata=found.metadata, _span_of=span_of)


def address(buffer: object) -> int:
    """Where in memory the bytes of *buffer* stand."""
    view = _py_buffer()  # not kept: threads that share one read each other's address
    _get_buffer(buffer, view, 0)
    start = int(view[0])
    _release_buffer(view)
    return start


_read = msgspec.json.Decoder(RawNotebook).decode
_read_source = msgspec.json.Decoder(str | list[str]).decode

_py_buffer = ctypes.c_ssize_t * 16  # the address is the first field; there are ten words or so
_get_buffer = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_int)(
    ("PyObject_GetBuffer", ctypes.pythonapi)
)
_release_buffer = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyBuffer_Release", ctypes.pythonapi))
