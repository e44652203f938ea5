"""Colours of a terminal, or none."""

from dataclasses import dataclass
from typing import Literal

Color = Literal["auto", "always", "never"]
"""When there are colours: `auto` is on a terminal."""


@dataclass(frozen=True, slots=True)
class Style:
    """Wraps text in the escape sequences of ECMA-48 when *color* is set."""

    color: bool = False

    def red(self, text: str) -> str:
        """Removed parts and errors."""
        return self._in("31", text)

    def green(self, text: str) -> str:
        """Added parts."""
        return self._in("32", text)

    def yellow(self, text: str) -> str:
        """Warnings."""
        return self._in("33", text)

    def blue(self, text: str) -> str:
        """Frames and line numbers."""
        return self._in("34", text)

    def bold(self, text: str) -> str:
        """Names and headlines."""
        return self._in("1", text)

    def dim(self, text: str) -> str:
        """Context."""
        return self._in("2", text)

    def _in(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.color and text else text
