"""`kale-tag git`: Git shows and merges notebooks by the meaning of their tags."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from kale_tag.commands.shared.options import FormatOptions, argument, option
from kale_tag.diagnostics import Diagnostic, UserError, error, guarded

if TYPE_CHECKING:
    from kale_tag.git.merge_bytes import Labels, MergedFile

MARKER_SIZE = 7


@dataclass(kw_only=True)
class GitOptions(FormatOptions):
    """The options of `kale-tag git`."""

    action: Literal["install", "uninstall", "status", "textconv", "merge"] = argument(
        "ACTION", "install, uninstall or status; Git itself runs textconv and merge."
    )
    files: list[str] = argument("FILE", "The files of `textconv` and `merge`.")
    everywhere: bool = option(
        False, "For all your repositories, not only the current one.", long="--global"
    )
    attributes: str = option(
        "", "The attributes file to write: .gitattributes, for example, can be committed.", "FILE"
    )


def git(options: GitOptions) -> int:
    """Let Git show and merge notebooks by the meaning of their tags.

    kale-tag git install

    kale-tag git install --global

    kale-tag git install --attributes .gitattributes

    kale-tag git status

    kale-tag git uninstall

    Git itself runs two more actions: `textconv FILE` prints a notebook as lines to compare, and
    `merge BASE OURS THEIRS PATH MARKER_SIZE` writes the merge of three versions into OURS.
    """
    if options.action == "textconv":
        return _textconv(*_wanted(options.action, options.files, 1, 1))
    if options.action == "merge":
        return _merge(_wanted(options.action, options.files, 5, 8))
    from kale_tag.git import drivers  # noqa: PLC0415  textconv has to be quick

    _wanted(options.action, options.files, 0, 0)
    if options.action == "status" and options.attributes:
        raise UserError(_wrong_arguments("`kale-tag git status` reads all attributes files"))
    place = drivers.find_place(options.attributes, everywhere=options.everywhere)
    if options.action == "install":
        report = drivers.install(place)
    elif options.action == "uninstall":
        report = drivers.uninstall(place)
    else:
        report = drivers.status(place, as_json=options.format == "json")

    from kale_tag.commands.shared.report import print_diagnostic  # noqa: PLC0415  see above

    for line in report.lines:
        print(line)
    for diagnostic in report.diagnostics:
        print_diagnostic(diagnostic)
    return 0 if report.ok else 1


def _textconv(name: str) -> int:
    from kale_tag.files import read  # noqa: PLC0415  see above
    from kale_tag.git.textconv import textconv  # noqa: PLC0415  see above

    data = textconv(read(name).data)
    sys.stdout.buffer.write(data)
    return 0


def _merge(words: Sequence[str]) -> int:
    """Write the merge of BASE, OURS and THEIRS into OURS; 0 if it is clean, 1 if not.

    *words* are these, PATH, MARKER_SIZE, and the labels that newer versions of Git give. The driver
    in Git's configuration reads `clean` or `conflict` as the sign that the work was done.
    """
    from kale_tag.commands.shared.report import print_diagnostic  # noqa: PLC0415  see above
    from kale_tag.files import read, stage  # noqa: PLC0415  see above
    from kale_tag.git.merge_bytes import Labels  # noqa: PLC0415  see above

    base, ours, theirs = (read(name) for name in words[:3])
    path, size = words[3], words[4]
    marker_size = int(size) if size.isascii() and size.isdigit() else MARKER_SIZE
    named = words[5:8]
    # An older Git leaves `%S %X %Y` as they are.
    labels = Labels(*named) if len(named) == 3 and named[0] != "%S" else Labels()
    made = merged((base.data, ours.data, theirs.data), path, marker_size, labels)
    if made.data != ours.data:
        stage(ours, made.data).commit()
    for diagnostic in made.diagnostics:
        print_diagnostic(diagnostic)
    print("clean" if made.clean else "conflict")
    return 0 if made.clean else 1


def merged(
    versions: tuple[bytes, bytes, bytes], path: str, marker_size: int, labels: "Labels"
) -> "MergedFile":
    """The merge of base, ours and theirs of the notebook *path*, by Git alone if need be."""
    from kale_tag.git import merge_bytes  # noqa: PLC0415  see above

    made = None
    with guarded(path) as wrong:  # nothing may be lost by a bug of kale-tag during a merge
        made = merge_bytes.merge_by_meaning(versions, path, marker_size, labels)
    made = made or merge_bytes.merge_as_git(versions, marker_size, labels)
    notes = (f"{path} was merged by Git alone",)
    more = (replace(one, severity="warning", notes=(*one.notes, *notes)) for one in wrong)
    return replace(made, diagnostics=(*made.diagnostics, *more))


def _wanted(action: str, files: list[str], least: int, most: int) -> list[str]:
    if least <= len(files) <= most:
        return files
    takes = {
        "textconv": "one file",
        "merge": "BASE OURS THEIRS PATH MARKER_SIZE",
    }.get(action, "no files")
    raise UserError(_wrong_arguments(f"`kale-tag git {action}` takes {takes}"))


def _wrong_arguments(message: str) -> Diagnostic:
    return error("wrong-arguments", message, help="`kale-tag git --help` shows how it is used")
