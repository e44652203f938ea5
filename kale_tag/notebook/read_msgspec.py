"""The fast reader: msgspec reads many or large notebooks several times as fast as `json`.

It checks outputs without building values, and returns views into the bytes that it was given: the
address of a view is the place of its value.
"""

import ctypes
from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec import Raw

from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read_json import scan_with_json

NOTHING: Final = Raw()


class RawCell(msgspec.Struct, gc=False):
    """The parts of a cell that count; of repeated keys the last wins, as in `json`."""

    cell_type: Literal["code", "markdown", "raw"] | None = None
    id: str | None = None
    source: Raw = NOTHING
    metadata: Raw = NOTHING


class RawNotebook(msgspec.Struct, gc=False):
    """The parts of a notebook that count."""

    cells: list[RawCell]
    metadata: Raw = NOTHING
    nbformat: object = None


def scan_with_msgspec(data: bytes, name: str) -> Notebook | None:
    """The notebook that *data* holds, or None if `scan_with_json` has to read it.

    That one accepts more (NaN, lone surrogates, a BOM, a type that is no text) and reports errors.
    """
    try:
        found = _read(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if found.nbformat not in (4, None):
        return None
    cells = found.cells
    metadata_span, raw_metadata = _places(data, name, found)
    return Notebook(
        name=name,
        data=data,
        fast=True,
        types=[cell.cell_type or "" for cell in cells],
        id_of=lambda index: cells[index].id,
        metadata_span=metadata_span,
        raw_source=lambda index: cells[index].source,
        raw_metadata=raw_metadata,
        read_source=_read_source,
    )


def _places(
    data: bytes, name: str, found: RawNotebook
) -> tuple[Callable[[int | None], tuple[int, int] | None], Callable[[int | None], Raw]]:
    # The functions that give the place and the text of the metadata of a holder.
    cells = found.cells

    def raw_metadata(holder: int | None) -> Raw:
        return found.metadata if holder is None else cells[holder].metadata

    known: dict[int | None, tuple[int, int] | None] = {}
    base = 0

    def metadata_span(holder: int | None) -> tuple[int, int] | None:
        nonlocal base
        if holder in known:
            return known[holder]
        raw = raw_metadata(holder)
        span = None
        if len(raw):
            base = base or address(data)
            start = address(raw) - base
            span = start, start + len(raw)
            # An address counts only if the bytes there are equal.
            if not (0 < start < span[1] < len(data) and data.startswith(raw, start)):
                span = scan_with_json(data, name).metadata_span(holder)
        known[holder] = span
        return span

    return metadata_span, raw_metadata


def address(buffer: object) -> int:
    """The address of the bytes of *buffer* in memory."""
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
