"""Three versions of a notebook merged: tags and settings by their meaning, the rest by Git itself.

The bytes are those that `git merge` makes. `git merge-file` makes others: it compares lines by
another algorithm and joins conflicts that lie close together. So `git merge-tree` runs on three
commits in a repository of its own, where no driver and no attribute of the user's is in force.
"""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kale_tag.compare.merge_tags import Conflict, Merge, is_list_of_tags, merge, unexpected
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error, pasted, warning
from kale_tag.git.config import get
from kale_tag.git.revisions import GitError
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import prove, splice

NAMES = ("kale-tag-base", "kale-tag-ours", "kale-tag-theirs")
"""Branches of the temporary repository; in conflicts the user's labels replace them."""

# Variables that lead to the user's repository; Git sets them for the programs that it calls.
_PLACE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_ATTR_SOURCE",
)


class Labels(NamedTuple):
    """The labels behind the conflict markers."""

    base: str = "base"  # of the common ancestor
    ours: str = "ours"  # of the current branch
    theirs: str = "theirs"  # of the other branch


LABELS = Labels()


class Hunk(NamedTuple):
    """A conflict: the texts between its markers."""

    line: int  # of the first marker, 1-based
    ours: bytes  # the lines of our side
    theirs: bytes  # the lines of their side


@dataclass(frozen=True, slots=True)
class MergedFile:
    """The merged file."""

    data: bytes  # with conflict markers where it is not clean
    clean: bool  # no conflict is left
    diagnostics: tuple[Diagnostic, ...] = ()  # for each conflict, and what to look at


def merge_as_git(
    versions: Sequence[bytes], marker_size: int = 7, labels: Labels = LABELS
) -> MergedFile:
    """The merge of base, ours and theirs, with conflict markers of *marker_size*.

    Runs in the current folder, whose repository's `merge.conflictStyle` counts. Binary files are a
    conflict in which ours stays, as in Git. Raises `GitError` when Git cannot do it.
    """
    base, ours, theirs = versions
    if ours in (base, theirs) or theirs == base:  # as Git does before it looks at any line
        return MergedFile(theirs if ours == base else ours, clean=True)
    found = get("merge.conflictStyle", None)
    style = found.value if found else "merge"
    with TemporaryDirectory(prefix="kale-tag-") as folder:
        try:
            merged = _by_merge_tree(folder, versions, marker_size, style)
        except GitError:  # Git before 2.38
            return _by_merge_file(folder, versions, marker_size, style, labels)
    return MergedFile(_relabelled(merged.data, marker_size, labels), merged.clean)


def hunks(data: bytes, marker_size: int) -> list[Hunk]:
    """The conflicts in a merged file."""
    pattern = rb"^<{%d} (.*?)^={%d}\r?$(.*?)^>{%d} " % ((marker_size,) * 3)
    return [
        Hunk(data.count(b"\n", 0, found.start()) + 1, found[1], found[2])
        for found in re.finditer(pattern, data, re.MULTILINE | re.DOTALL)
    ]


def _by_merge_tree(
    folder: str, versions: Sequence[bytes], marker_size: int, style: str
) -> MergedFile:
    # The minimum of a Git repository.
    for name in ("objects", "refs", "info"):
        os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, "HEAD"), "w", encoding="ascii") as head:
        head.write("ref: refs/heads/none\n")
    with open(os.path.join(folder, "info", "attributes"), "w", encoding="ascii") as attributes:
        attributes.write(f"* !text !eol !filter !diff !merge conflict-marker-size={marker_size}\n")
    _git(folder, ["fast-import", "--quiet", "--done"], b"".join(_commits(versions)))
    words = ["-c", f"merge.conflictStyle={style}", "-c", "merge.renormalize=false"]
    words += ["merge-tree", "--write-tree", "-z", "--no-messages", *NAMES[1:]]
    printed = _git(folder, words, conflict=1)
    tree = printed.data.partition(b"\0")[0].decode("ascii")
    return MergedFile(_git(folder, ["cat-file", "blob", f"{tree}:file"]).data, printed.clean)


def _commits(versions: Sequence[bytes]) -> Iterator[bytes]:
    for number, (name, data) in enumerate(zip(NAMES, versions, strict=True), 1):
        yield b"commit refs/heads/%s\nmark :%d\n" % (name.encode(), number)
        yield b"committer kale-tag <> 0 +0000\ndata 0\n"
        if number > 1:
            yield b"from :1\n"
        yield b"M 100644 inline file\ndata %d\n%s\n" % (len(data), data)
    yield b"done\n"


def _relabelled(data: bytes, marker_size: int, labels: Labels) -> bytes:
    """*data* with the user's labels in place of the names of our branches."""
    # The name of the base is its abbreviated hash.
    called = {b"<": NAMES[1], b">": NAMES[2], b"|": "[0-9a-f]{4,64}"}
    for sign, label in zip(b"|<>", labels, strict=True):
        mark = bytes([sign])
        pattern = b"^(%s{%d}) %s(?=\r?$)" % (re.escape(mark), marker_size, called[mark].encode())
        new = label.encode("utf-8", "surrogateescape").replace(b"\\", rb"\\")
        data = re.sub(pattern, rb"\1 " + new, data, flags=re.MULTILINE)
    return data


def _by_merge_file(
    folder: str, versions: Sequence[bytes], marker_size: int, style: str, labels: Labels
) -> MergedFile:
    paths = [os.path.join(folder, name) for name in NAMES]
    for path, data in zip(paths, versions, strict=True):
        with open(path, "wb") as file:
            file.write(data)
    base, ours, theirs = paths
    words = ["-c", f"merge.conflictStyle={style}", "merge-file", "-p"]
    words.append(f"--marker-size={marker_size}")
    for label in (labels.ours, labels.base, labels.theirs):
        words += ["-L", label]
    try:
        return _git("", [*words, ours, base, theirs], conflict=127)
    except GitError as exc:
        if "binary" in exc.message.lower():
            return MergedFile(versions[1], clean=False)
        raise


def _git(folder: str, words: Sequence[str], data: bytes = b"", conflict: int = 0) -> MergedFile:
    """The output of Git; an exit code from 1 to *conflict* is a conflict."""
    place: Mapping[str, str] = {}
    if folder:
        place = {"GIT_DIR": folder, "GIT_ATTR_NOSYSTEM": "1"}
        words = ["-c", f"core.hooksPath={os.devnull}", *words]  # the user's own are not for this
    inherited = {name: value for name, value in os.environ.items() if name not in _PLACE}
    done = subprocess.run(  # noqa: S603  the words are ours
        ["git", *words],  # noqa: S607  the user's own Git, as PATH has it
        input=data,
        capture_output=True,
        check=False,
        env={**inherited, **place, "LC_ALL": "C"},
    )
    if not 0 <= done.returncode <= conflict:
        message = done.stderr.decode(errors="replace").strip().replace("\n", "; ")
        raise GitError(done.returncode, message)
    return MergedFile(done.stdout, clean=done.returncode == 0)


def merge_by_meaning(
    versions: tuple[bytes, bytes, bytes], path: str, marker_size: int, labels: Labels
) -> MergedFile | None:
    """The merge of base, ours and theirs of the notebook *path*.

    None where one of them is not a notebook. Git alone merges what has no tags or settings to merge
    by meaning.
    """
    try:
        notebooks = [read_notebook(data, path) for data in versions]
        made = merge(*notebooks)
    except UserError:  # not a notebook: a version with conflict markers, for example
        return None
    if made is None:
        by_git = merge_as_git(versions, marker_size, labels)
        twice = [*_double_ids(by_git, notebooks)] if by_git.clean else []
        return replace(by_git, clean=by_git.clean and not twice, diagnostics=(*twice,))
    agreed = [
        _spliced(notebook, wanted) for notebook, wanted in zip(notebooks, made.wanted, strict=True)
    ]
    by_git = merge_as_git(agreed, marker_size, labels)
    left = hunks(by_git.data, marker_size)
    diagnostics = [_conflict(found, notebooks[1], labels, left) for found in made.conflicts]
    if by_git.clean and not diagnostics:
        diagnostics += (*_proof(made, notebooks, by_git), *_double_ids(by_git, notebooks))
    remarks = (_step_on_both_sides(name, path) for name in made.twice)
    return MergedFile(by_git.data, by_git.clean and not diagnostics, (*diagnostics, *remarks))


def _spliced(notebook: Notebook, wanted: dict[int | None, object]) -> bytes:
    data = splice(notebook, wanted)
    prove(notebook, data, wanted)
    return data


def _proof(made: Merge, notebooks: Sequence[Notebook], by_git: MergedFile) -> Iterator[Diagnostic]:
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


def _double_ids(by_git: MergedFile, notebooks: Sequence[Notebook]) -> Iterator[Diagnostic]:
    """The ids that two cells have in the result, and in none of the three versions."""
    name = notebooks[0].name
    try:
        result = read_notebook(by_git.data, name)
    except UserError:  # reported elsewhere, where it is not left to Git
        return
    double = [
        {
            one
            for one, number in Counter(map(each.id_of, range(len(each.types)))).items()
            if number > 1
        }
        for each in (result, *notebooks)
    ]
    for one in double[0].difference(*double[1:], {None}):
        yield error(
            "double-id",
            f"both sides have a new cell with the id `{one}`, and {name} has both now",
            Label(Source(name)),
            help="remove one of the two cells, or give it another id; then `git add` the notebook",
        )


def _conflict(found: Conflict, ours: Notebook, labels: Labels, left: list[Hunk]) -> Diagnostic:
    _, one, other = (_shown(value) for value in found.versions)
    if found.cell is None:
        where = f"the setting `{found.what}`"
    else:
        line = first_line(ours.source(found.cell))
        where = f"{found.what} of cell {found.cell} (`{line}`)"
    return error(
        "tags-conflict" if found.cell is not None else "settings-conflict",
        f"both sides changed {where}: {one} ({labels.ours}), {other} ({labels.theirs})",
        Label(_place(found, ours.name, left)),
        help="keep one of the two lines between the conflict markers, then `git add` it",
    )


def _place(found: Conflict, name: str, left: list[Hunk]) -> Source:
    """The line of the merged file at which the markers of a conflict begin, else its cell.

    It is the first of the hunks *left* that holds what both sides made; it goes to their end, so
    that the same conflict in another cell has another hunk.
    """
    _, ours, theirs = (_words(found, value) for value in found.versions)
    for hunk in left:
        if ours <= _strings(hunk.ours) and theirs <= _strings(hunk.theirs):
            left.remove(hunk)
            left.append(hunk)
            return Source(name, first_line=hunk.line)
    return Source(name, cell=found.cell)


def _words(found: Conflict, value: object) -> set[bytes]:
    """What the lines of a conflict hold: its tags, or the key of its setting."""
    words = value if isinstance(value, list) and found.cell is not None else [found.what]
    return set() if value is MISSING else {json.dumps(word).encode() for word in words}


def _strings(lines: bytes) -> set[bytes]:
    return set(re.findall(rb'"(?:[^"\\]|\\.)*"', lines))


def _step_on_both_sides(name: str, path: str) -> Diagnostic:
    return warning(
        "step-given-twice",
        f"both sides have a new step `{name}`, each in cells of its own; they are one step now",
        Label(Source(path)),
        help=f"if they are two, give one another name: {pasted('kale-tag graph', [path])}",
    )


def _shown(value: object) -> str:
    if value is MISSING:
        return "none"
    if is_list_of_tags(value):
        return " ".join(f"`{tag}`" for tag in value) or "none"
    return f"`{value}`"
