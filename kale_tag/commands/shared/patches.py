"""Patch files: where they are, and which notebook each is for."""

import os
from typing import TYPE_CHECKING

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error, warning
from kale_tag.plan.patch import ENDING, as_text

if TYPE_CHECKING:
    from kale_tag.plan.read_patch import Patch

SHOWN = 5
"""How many files a message names."""


def name_below(notebook: str) -> str:
    """The path of *notebook* below the current folder, as a patch names it, with `/` between.

    Raises `UserError` if it is elsewhere: such a path is of no use to others.
    """
    path = os.path.relpath(os.path.abspath(notebook))
    if path.split(os.sep)[0] == os.pardir or os.path.isabs(path):
        raise UserError(
            error(
                "outside-folder",
                f"{notebook} is outside the current folder, so a patch cannot name it",
                Label(Source(notebook)),
                help="run kale-tag in a folder above it",
            )
        )
    return path.replace(os.sep, "/")


def read(path: str, data: bytes) -> "Patch":
    """The patch in the file *path*. Raises `UserError` with all its errors."""
    from kale_tag.plan.read_patch import read_patch  # noqa: PLC0415  for patches only

    return read_patch(files.as_text(path, data))


def notebook_of(patch: "Patch", below: str) -> str:
    """The path of the notebook that *patch* is for.

    The patch names it, or its path in a folder does: *below* is that path, "" for a patch that was
    given alone. Raises `UserError` if neither does.
    """
    if patch.notebook or not patch.operations:
        return os.path.normpath(patch.notebook)
    if below.endswith(ENDING):
        return below.removesuffix(ENDING)
    raise UserError(
        error(
            "no-notebook",
            f"{patch.source.name} does not name its notebook",
            Label(patch.source),
            help=f"name both: kale-tag apply {patch.source.name} NOTEBOOK",
        )
    )


class Folder:
    """Where a plan's patches go: a folder, or for one notebook a file (`.json`) or `-`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_file = path.endswith(".json") or path == "-"
        self.written: list[str] = []
        self._planned: set[str] = set()

    def add(self, notebook: str, text: str) -> None:
        """Write the patch of *notebook*, or remove an earlier one if nothing changes.

        Raises `UserError` where it cannot be written.
        """
        path = self.path
        if not self.is_file:
            path = os.path.join(self.path, *(name_below(notebook) + ENDING).split("/"))
        elif text and self.written:
            raise UserError(
                error(
                    "two-notebooks",
                    f"more than one notebook changes, and {self.path} is one file",
                    help="name a folder",
                )
            )
        self._planned.add(os.path.normpath(path))
        if text:
            self._write(path, text)
            self.written.append(path)
        elif not self.is_file and os.path.lexists(path):
            files.remove(path)

    def finish(self) -> list[Diagnostic]:
        """Warnings of patches in the folder that are not of this plan."""
        if self.is_file:
            if not self.written:  # so that `apply` finds a patch, though an empty one
                self._write(self.path, as_text(()))
            return []
        left = [path for path in files.below(self.path, ENDING) if path not in self._planned]
        if not left:
            return []
        what = "a patch that is" if len(left) == 1 else f"{len(left)} patches that are"
        return [
            warning(
                "leftover-patch",
                f"{self.path} has {what} not of this plan",
                Label(Source(left[0])),
                notes=left[1:SHOWN] + ([f"and {len(left) - SHOWN} more"] if left[SHOWN:] else []),
                help=f"remove old patches; otherwise `kale-tag apply {self.path}` applies them too",
            )
        ]

    def _write(self, path: str, text: str) -> None:
        if path == "-":
            print(text, end="")
        else:
            files.write(path, text.encode())
