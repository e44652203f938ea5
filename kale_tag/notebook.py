"""What a notebook is: cells, and metadata with a known place in the bytes it was read from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from kale_tag import notebook_faults as faults
from kale_tag.diagnostics import UserError
from kale_tag.json_scan import (
    decode,
)

if TYPE_CHECKING:
    import msgspec

    RawJson = bytes | memoryview | msgspec.Raw  # one value in UTF-8; empty where there is none

SpanOf = Callable[[int | None], tuple[int, int] | None]


class _Mark(Enum):
    MISSING = "missing"
    UNREAD = "unread"


MISSING: Final = _Mark.MISSING
"""The metadata of a cell or a notebook that has no such key."""

BOM: Final = b"\xef\xbb\xbf"


@dataclass(slots=True, eq=False, repr=False)
class Cell:
    """One cell; its source and metadata are decoded when they are asked for, and then kept.

    *cell_type* is empty where the file has no text for it, *id* None. What is *known* is what has
    been decoded so far.
    """

    cell_type: str
    id: str | None
    _index: int
    _name: str
    _raw_source: "RawJson"
    _raw_metadata: "RawJson"
    _read_source: "Callable[[RawJson], object]"
    known_source: str | None = None
    known_metadata: object = _Mark.UNREAD

    @property
    def source(self) -> str:
        """The source as one text, empty where there is none.

        Raises `UserError` where it is neither text nor a list of text.
        """
        if self.known_source is None:
            self.known_source = self._decoded_source()
        return self.known_source

    @property
    def metadata(self) -> object:
        """The decoded metadata, whatever its type, or `MISSING`; not to be changed in place."""
        if self.known_metadata is _Mark.UNREAD:
            self.known_metadata = _decoded(self._raw_metadata, self._name)
        return self.known_metadata

    def _decoded_source(self) -> str:
        if not len(self._raw_source):
            return ""
        try:
            source = self._read_source(self._raw_source)
            if isinstance(source, str):
                return source
            if isinstance(source, list):
                return "".join(source)
        except (TypeError, ValueError):
            pass  # a list of other things; msgspec says ValueError whatever is wrong
        except RecursionError:
            raise UserError(faults.too_deep(self._name)) from None
        raise UserError(faults.bad_source(self._name, self._index))


@dataclass(slots=True, eq=False, repr=False)
class Notebook:
    """A notebook and the bytes it was read from; *fast* says which engine read them.

    A *holder* of metadata is a cell, given by its 0-based number, or the notebook, given as None.
    """

    name: str
    data: bytes
    cells: Sequence[Cell]
    fast: bool
    _raw_metadata: "RawJson"
    _span_of: SpanOf
    known_metadata: object = _Mark.UNREAD

    @property
    def metadata(self) -> object:
        """The decoded metadata of the notebook, or `MISSING`; not to be changed in place."""
        if self.known_metadata is _Mark.UNREAD:
            self.known_metadata = _decoded(self._raw_metadata, self.name)
        return self.known_metadata

    def metadata_of(self, holder: int | None) -> object:
        """The decoded metadata of *holder*, or `MISSING`."""
        return self.metadata if holder is None else self.cells[holder].metadata

    def metadata_span(self, holder: int | None) -> tuple[int, int] | None:
        """Where in the bytes the metadata value of *holder* stands, or None if it has none."""
        return self._span_of(holder)


def _decoded(raw: "RawJson", name: str) -> object:
    size = len(raw)
    if size == 2 and bytes(raw) == b"{}":  # so it is in six cells of ten
        return {}
    if not size:
        return MISSING
    try:
        return decode(raw)
    except RecursionError:
        raise UserError(faults.too_deep(name)) from None
