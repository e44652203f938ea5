"""A notebook: cells, and metadata with a known place in its bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from kale_tag.diagnostics import Label, Source, UserError, too_deep
from kale_tag.notebook.json_value import decode

if TYPE_CHECKING:
    import msgspec

    RawJson = bytes | memoryview | msgspec.Raw  # one value in UTF-8; empty where there is none


class _Mark(Enum):
    MISSING = "missing"


MISSING: Final = _Mark.MISSING
"""The metadata of a cell or a notebook that has no such key."""

BOM: Final = b"\xef\xbb\xbf"


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class Notebook:
    """A notebook and the bytes it was read from.

    A *holder* of metadata is a cell, by its 0-based number, or the notebook, as None. Sources and
    metadata are decoded on demand and then kept; nobody may change them.
    """

    name: str  # of the file
    data: bytes  # of the file
    fast: bool  # read by msgspec
    types: list[str]  # of the cells: `code`, `markdown`, `raw`; "" where the file has no text
    id_of: Callable[[int], str | None]  # the id of a cell, which it has since nbformat 4.5
    metadata_span: Callable[[int | None], tuple[int, int] | None]  # of a holder, in `data`
    raw_source: "Callable[[int], RawJson]"  # of a cell
    raw_metadata: "Callable[[int | None], RawJson]"  # of a holder
    read_source: "Callable[[RawJson], object]"  # decodes what `raw_source` returns
    known_sources: dict[int, str] = field(default_factory=dict)  # decoded
    known_metadata: dict[int | None, object] = field(default_factory=dict)  # decoded

    @property
    def code(self) -> list[int]:
        """The numbers of the code cells."""
        return [index for index, kind in enumerate(self.types) if kind == "code"]

    @property
    def metadata(self) -> object:
        """The decoded metadata of the notebook, or `MISSING`."""
        return self.metadata_of(None)

    @property
    def foreign_language(self) -> str:
        """The language in the notebook's metadata; "" for Python, or if there is none."""
        metadata = self.metadata
        for key, word in (("language_info", "name"), ("kernelspec", "language")):
            about = metadata.get(key) if isinstance(metadata, dict) else None
            language = about.get(word) if isinstance(about, dict) else None
            if isinstance(language, str) and language and "python" not in language.lower():
                return language
        return ""

    def metadata_of(self, holder: int | None) -> object:
        """The decoded metadata of *holder*, whatever its type, or `MISSING`."""
        if holder not in self.known_metadata:
            self.known_metadata[holder] = self._decoded(self.raw_metadata(holder))
        return self.known_metadata[holder]

    def source(self, index: int) -> str:
        """The source of a cell as one text, empty where there is none.

        Raises `UserError` where it is neither text nor a list of text.
        """
        known = self.known_sources.get(index)
        if known is None:
            try:
                lines = self.read_source(self.raw_source(index))
                known = lines if isinstance(lines, str) else _joined(lines)
            except (TypeError, ValueError):
                known = self._odd_source(index)
            except RecursionError:
                raise UserError(too_deep(self.name)) from None
            self.known_sources[index] = known
        return known

    def _decoded(self, raw: "RawJson") -> object:
        size = len(raw)
        if size == 2 and bytes(raw) == b"{}":  # as in six cells of ten
            return {}
        if not size:
            return MISSING
        try:
            return decode(raw)
        except RecursionError:
            raise UserError(too_deep(self.name)) from None

    def _odd_source(self, index: int) -> str:
        if not len(self.raw_source(index)):
            return ""
        raise UserError.of(
            "bad-source",
            f"the source of cell {index} of {self.name} is neither text nor a list of text",
            Label(Source(self.name, cell=index)),
            help="make it a string or a list of strings in a text editor; cells are counted from 0",
        ) from None


def _joined(lines: object) -> str:
    if not isinstance(lines, list):
        raise TypeError
    return "".join(lines)


def first_line(source: str, width: int = 40) -> str:
    """The first line of a cell that is not blank, cut to *width* characters."""
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return line if len(line) <= width else f"{line[: width - 1]}…"
