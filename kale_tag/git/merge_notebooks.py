"""A notebook that both sides changed: tags and settings merge by meaning, the rest by Git."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kale_tag.compare.merge import CellConflict, Merge, unexpected
from kale_tag.compare.merge import merge as merge_meaning
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error, warning
from kale_tag.git.merge import GitMerge, Hunk, Labels, hunks, merge_as_git
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import prove, splice


@dataclass(frozen=True, slots=True)
class MergedFile:
    """The merged file."""

    data: bytes
    clean: bool  # no conflict is left
    diagnostics: tuple[Diagnostic, ...] = ()


def merge_by_meaning(
    versions: tuple[bytes, bytes, bytes], path: str, marker_size: int, labels: Labels
) -> MergedFile | None:
    """The merge of base, ours and theirs of the notebook *path*.

    None where one of them is not a notebook, or has no tags or settings to merge by meaning.
    """
    try:
        notebooks = [read_notebook(data, path) for data in versions]
        made = merge_meaning(*notebooks)
    except UserError:  # not a notebook: a version with conflict markers, for example
        return None
    if made is None:
        return None
    agreed = [
        _spliced(notebook, wanted) for notebook, wanted in zip(notebooks, made.wanted, strict=True)
    ]
    by_git = merge_as_git(agreed, marker_size, labels)
    left = hunks(by_git.data, marker_size)
    diagnostics = [_conflict(found, notebooks[1], labels, left) for found in made.conflicts]
    if by_git.clean and not diagnostics:
        diagnostics += _proof(made, notebooks, by_git)
    remarks = (_step_on_both_sides(name, path) for name in made.twice)
    return MergedFile(by_git.data, by_git.clean and not diagnostics, (*diagnostics, *remarks))


def _spliced(notebook: Notebook, wanted: dict[int | None, object]) -> bytes:
    data = splice(notebook, wanted)
    prove(notebook, data, wanted)
    return data


def _proof(made: Merge, notebooks: Sequence[Notebook], by_git: GitMerge) -> Iterator[Diagnostic]:
    """What is wrong with a merge in which Git sees no conflict."""
    _, ours, theirs = notebooks
    try:
        result = read_notebook(by_git.data, ours.name)
        wrong = list(unexpected(made, ours, theirs, result))
    except UserError as exc:
        yield from exc.diagnostics
        return
    for cell in wrong:
        what = "the settings are" if cell is None else f"the tags of cell {cell} are"
        yield error(
            "not-merged",
            f"Git sees no conflict in {ours.name}, but {what} not what the two sides make of them",
            Label(Source(ours.name, cell=cell)),
            help="check it, correct it, then `git add` it",
        )


def _conflict(found: CellConflict, ours: Notebook, labels: Labels, left: list[Hunk]) -> Diagnostic:
    _, one, other = (_shown(value) for value in found.conflict.versions)
    if found.cell is None:
        where = f"the setting `{found.conflict.what}`"
    else:
        line = first_line(ours.source(found.cell))
        where = f"{found.conflict.what} of cell {found.cell} (`{line}`)"
    return error(
        "tags-conflict" if found.cell is not None else "settings-conflict",
        f"both sides changed {where}: {one} ({labels.ours}), {other} ({labels.theirs})",
        Label(_place(found, ours.name, left)),
        help="keep one of the two lines between the conflict markers, then `git add` it",
    )


def _place(found: CellConflict, name: str, left: list[Hunk]) -> Source:
    """The line of the merged file at which the markers of a conflict begin, else its cell.

    It is the first of the hunks *left* that holds what both sides made; it goes to their end, so
    that the same conflict in another cell has another hunk.
    """
    _, ours, theirs = (_words(found, value) for value in found.conflict.versions)
    for hunk in left:
        if ours <= _strings(hunk.ours) and theirs <= _strings(hunk.theirs):
            left.remove(hunk)
            left.append(hunk)
            return Source(name, first_line=hunk.line)
    return Source(name, cell=found.cell)


def _words(found: CellConflict, value: object) -> set[bytes]:
    """What the lines of a conflict hold: its tags, or the key of its setting."""
    words = value if isinstance(value, list) and found.cell is not None else [found.conflict.what]
    return set() if value is MISSING else {json.dumps(word).encode() for word in words}


def _strings(lines: bytes) -> set[bytes]:
    return set(re.findall(rb'"(?:[^"\\]|\\.)*"', lines))


def _step_on_both_sides(name: str, path: str) -> Diagnostic:
    return warning(
        "step-given-twice",
        f"both sides have a new step `{name}`, each in cells of its own; they are one step now",
        Label(Source(path)),
        help=f"if they are two, give one another name: kale-tag graph {path}",
    )


def _shown(value: object) -> str:
    if value is MISSING:
        return "none"
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return " ".join(f"`{tag}`" for tag in value) or "none"
    return f"`{value}`"
