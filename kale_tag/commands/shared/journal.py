"""Many files replaced as one: all, or none, even if the work is killed between two of them.

A journal names each file and its spare: the new content, which becomes the old content when both
are exchanged. After a kill, the spares lead to either end. Once all files have their content, the
journal gets another name before the first spare goes: from then on there is only litter to remove.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error

JOURNAL = os.path.join(".kale-tag", "journal.json")
_SETTLED = os.path.join(".kale-tag", "settled.json")
_KEPT = ".new"
"""What the names of spares end in, behind those of temporary files."""
Entry = dict[Literal["path", "spare", "old", "new"], str]
"""A file, its spare, and the digests of its old and its new content."""


def refuse_unfinished() -> None:
    """Raise `UserError` where an earlier call has left a journal."""
    _clear()
    if os.path.lexists(JOURNAL):
        raise UserError.of(
            "unfinished",
            "an earlier call was stopped while it replaced files, or is at work now",
            Label(Source(JOURNAL)),
            help="`kale-tag apply --finish` replaces the rest, `--undo` brings all back",
        )


def commit_all(staged: Sequence[files.Staged]) -> Sequence[Diagnostic]:
    """Put all new files in place, or none; why it was not done.

    Every file is checked before the first is replaced.
    """
    try:
        for one in staged:
            one.check()
        if staged:
            _commit(staged)
    except UserError as exc:
        return exc.diagnostics
    except OSError as exc:
        return [error("not-written", f"nothing was written: {exc}")]
    return ()


def _commit(staged: Sequence[files.Staged]) -> None:
    # No later call takes these for leftovers.
    spares = [replace(one, temporary=f"{one.temporary}{_KEPT}") for one in staged]
    entries: list[Entry] = [
        {
            "path": os.path.abspath(one.file.path),
            "spare": os.path.abspath(spare.temporary),
            "old": hashlib.sha256(one.file.data).hexdigest(),
            "new": _digest(one.temporary),
        }
        for one, spare in zip(staged, spares, strict=True)
    ]
    files.write(JOURNAL, json.dumps(entries, indent=1).encode())
    try:
        for one, spare in zip(staged, spares, strict=True):
            os.replace(one.temporary, spare.temporary)
        for spare in spares:
            spare.exchange()
    except BaseException:  # interrupted too
        _settle(entries, "old")
        raise
    _forget()


def settle(wanted: Literal["old", "new"]) -> int:
    """Bring all files of the journal to their old or new content; how many there are.

    Raises `UserError` where there is no journal, or that is not possible for all of them.
    """
    _clear()
    if not os.path.lexists(JOURNAL):
        raise UserError.of("nothing-unfinished", f"there is no {JOURNAL} in this folder")
    entries: list[Entry] = json.loads(files.read(JOURNAL).data)
    for entry in entries:  # a kill may have come before all spares had their names
        if not os.path.lexists(entry["spare"]):
            with suppress(OSError):
                os.replace(entry["spare"].removesuffix(_KEPT), entry["spare"])
    other: Literal["old", "new"] = "new" if wanted == "old" else "old"
    wrong = [
        error(
            "changed-meanwhile",
            f"{entry['path']} has neither its old nor its new content, or its spare is gone",
            Label(Source(entry["path"])),
            help=f"look at it; try `--{'finish' if wanted == 'old' else 'undo'}`, or remove "
            f"{JOURNAL} to leave all notebooks as they are",
        )
        for entry in entries
        if (now := _digest(entry["path"])) != entry[wanted]
        and (now != entry[other] or _digest(entry["spare"]) != entry[wanted])
    ]
    if wrong:
        raise UserError(*wrong)
    _settle(entries, wanted)
    return len(entries)


def _settle(entries: Sequence[Entry], wanted: Literal["old", "new"]) -> None:
    """Give each file its wanted content, but none that was saved meanwhile."""
    other: Literal["old", "new"] = "new" if wanted == "old" else "old"
    for entry in entries:
        if _digest(entry["path"]) == entry[other] and _digest(entry["spare"]) == entry[wanted]:
            files.exchange(entry["spare"], entry["path"])
    _forget()


def _forget() -> None:
    os.replace(JOURNAL, _SETTLED)
    _clear()


def _clear() -> None:
    """Remove the spares of files that are settled, and what else a kill there has left."""
    spares: list[str] = []
    # In the usual case there is no such file. It may also have come with a repository.
    with suppress(OSError, ValueError, TypeError, KeyError), open(_SETTLED, "rb") as file:
        spares = [entry["spare"] for entry in json.load(file)]
    ours = (one for one in spares if files.is_temporary(one.removesuffix(_KEPT)))
    for path in (*ours, _SETTLED):
        with suppress(OSError):
            os.unlink(path)
    files.tidy([os.path.dirname(JOURNAL)])
    with suppress(OSError):  # it holds something else
        os.rmdir(os.path.dirname(JOURNAL))


def _digest(path: str) -> str:
    """The SHA-256 of a file, "" where there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
