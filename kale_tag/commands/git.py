"""`kale-tag git`: the drivers that let Git show and merge notebooks by what their tags mean."""

import sys

from kale_tag.commands.shared.options import Attributes, Everywhere, Format, GitAction, GitFiles
from kale_tag.diagnostics import Diagnostic, UserError, error


def git(
    action: GitAction,
    files: GitFiles,
    *,
    everywhere: Everywhere = False,
    attributes: Attributes = "",
    format: Format = "text",  # noqa: A002  the option's name
) -> int:
    """Let Git show and merge notebooks by what their tags mean.

    kale-tag git install

    kale-tag git install --global

    kale-tag git install --attributes .gitattributes

    kale-tag git status

    kale-tag git uninstall

    Two more actions are what Git calls: `textconv FILE` prints a notebook as lines to compare, and
    `merge BASE OURS THEIRS PATH MARKER_SIZE` writes the merge of three versions into OURS.
    """
    if action == "textconv":
        return _textconv(*_wanted(action, files, 1, 1))
    if action == "merge":
        from kale_tag.commands.git_merge import merge  # noqa: PLC0415  textconv is to be quick

        return merge(_wanted(action, files, 5, 8))
    from kale_tag.commands import git_drivers  # noqa: PLC0415  see above

    _wanted(action, files, 0, 0)
    if action == "status" and attributes:
        raise UserError(_wrong_arguments("`kale-tag git status` looks at all attributes files"))
    target = git_drivers.find_target(attributes, everywhere=everywhere)
    if action == "install":
        return git_drivers.install(target)
    if action == "uninstall":
        return git_drivers.uninstall(target)
    return git_drivers.status(target, as_json=format == "json")


def _textconv(name: str) -> int:
    from kale_tag.files import read  # noqa: PLC0415  see above
    from kale_tag.git.textconv import textconv  # noqa: PLC0415  see above

    data = textconv(read(name).data)
    sys.stdout.buffer.write(data)
    return 0


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
