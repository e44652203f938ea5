"""Git's configuration: the paths of a repository, settings, and the lines of attributes files."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, UserError, error
from kale_tag.git.revisions import GitError, run

Scope = Literal["--local", "--global"]


class ConfigValue(NamedTuple):
    """A value in the configuration."""

    value: str  # the last one that is set
    file: str  # the configuration file that sets it


@dataclass(frozen=True, slots=True)
class RepositoryFiles:
    """The paths of a repository."""

    top: str  # the top folder, or the repository itself if it is bare
    attributes: str  # its `info/attributes`
    bare: bool  # whether it has no work tree


def find_repository() -> RepositoryFiles:
    """The repository that the current folder is in. Raises `GitError` with Git's words."""
    words = ["rev-parse", "--is-inside-work-tree", "--git-path", "info/attributes"]
    inside, _, attributes = os.fsdecode(run(words)).removesuffix("\n").partition("\n")
    bare = inside != "true"
    top = run(["rev-parse", "--absolute-git-dir" if bare else "--show-toplevel"])
    return RepositoryFiles(os.fsdecode(top).removesuffix("\n"), os.path.abspath(attributes), bare)


def get(key: str, scope: Scope | None, at: str = "", *, path: bool = False) -> ConfigValue | None:
    """The value of *key* in *scope*; with None the effective one."""
    words = ["config", "-z", "--show-origin", *([scope] if scope else [])]
    words += [*(["--type=path"] if path else []), "--get", key]
    try:
        origin, value, _ = os.fsdecode(run(words, at)).split("\0")
    except GitError as exc:
        # The file of `--global` may not exist yet.
        if exc.code == 1 or (scope == "--global" and "unable to read" in exc.message):
            return None
        raise UserError(_refused(exc)) from None
    return ConfigValue(value, os.path.join(at, origin.removeprefix("file:")))


def put(key: str, value: str | None, scope: Scope, at: str = "") -> None:
    """Set *key*; None removes it, and Git removes a section with its last key.

    Raises `UserError` when Git cannot write it.
    """
    words = ["--unset-all", key] if value is None else ["--replace-all", key, value]
    try:
        run(["config", scope, *words], at)
    except GitError as exc:
        raise UserError(_refused(exc)) from None


def _refused(diagnostic: GitError) -> Diagnostic:
    return error("git-refused", f"Git could not use its configuration: {diagnostic.message}")


class AttributesLine(NamedTuple):
    """A line of an attributes file."""

    pattern: str  # which files it is for, without quotes
    attributes: dict[str, str]  # in the order of the line


def global_attributes() -> str:
    """The path of the user's attributes file, which may not exist yet."""
    found = get("core.attributesFile", "--global", path=True)
    if found is not None:
        return os.path.abspath(found.value)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "git", "attributes")


def effective(name: str, paths: Sequence[str], at: str) -> dict[str, str]:
    """The attribute *name* of each of *paths* below *at*, as Git resolves it.

    Values are `unspecified`, `set`, `unset`, or the value.
    """
    data = b"".join(os.fsencode(path) + b"\0" for path in paths)
    printed = run(["check-attr", "-z", "--stdin", name], at, data)
    words = os.fsdecode(printed).split("\0")
    return dict(zip(words[0::3], words[2::3], strict=False))


def read_lines(path: str) -> list[str]:
    """The lines of an attributes file with their line ends; none if it does not exist."""
    if not os.path.lexists(path):
        return []
    return re.findall(r"[^\n]*\n|[^\n]+", files.read(path).data.decode("utf-8", "surrogateescape"))


def parse_line(line: str) -> AttributesLine | None:
    """The parsed *line*, None for a comment or a blank line."""
    text = line.strip(" \t\r\n").removeprefix("\ufeff")
    if not text or text.startswith("#"):
        return None
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"', text)
    pattern, rest = (quoted[1], text[quoted.end() :]) if quoted else (*text.split(None, 1), "")[:2]
    return AttributesLine(pattern, dict(map(_attribute, rest.split())))


def _attribute(word: str) -> tuple[str, str]:
    if word.startswith("-"):
        return word[1:], "unset"
    if word.startswith("!"):
        return word[1:], "unspecified"
    name, equals, value = word.partition("=")
    return name, value if equals else "set"


def last_line(path: str, pattern: str, name: str) -> tuple[str, str]:
    """The last line for exactly *pattern* in an attributes file that sets *name*, and its value."""
    for line in reversed(read_lines(path)):
        parsed = parse_line(line)
        if parsed and parsed.pattern == pattern and name in parsed.attributes:
            return line.strip(), parsed.attributes[name]
    return "", "unspecified"


def origin(
    repository: RepositoryFiles, notebook: str, pattern: str, name: str, value: str
) -> tuple[str, str]:
    """The file and line that set *name* to this *value* for *notebook*, which *pattern* matches.

    The file is "" if it is not known.
    """
    paths = [repository.attributes]
    folder = os.path.dirname(notebook)
    while not repository.bare:
        paths.append(os.path.join(repository.top, folder, ".gitattributes"))
        if not folder:
            break
        folder = os.path.dirname(folder)
    for path in (*paths, global_attributes(), "/etc/gitattributes"):
        line, found = last_line(path, pattern, name)
        if line and found == value:
            return path, line
    return "", f"{name}={value}"


def add_line(path: str, line: str) -> None:
    """Append *line* to an attributes file, created if needed; `drop_attributes` undoes it."""
    old = "".join(read_lines(path))
    end = "\r\n" if "\r\n" in old else "\n"
    # Where the last line has no line end, or the file is there and empty, ours has none either:
    # so removal restores the bytes.
    if old.endswith("\n") or not os.path.lexists(path):
        new = old + line + end
    else:
        new = old + (end if old else "") + line
    files.write(path, new.encode("utf-8", "surrogateescape"))


def drop_attributes(path: str, pattern: str, attributes: dict[str, str]) -> bool:
    """Remove *attributes* from the lines for exactly *pattern*; whether there were any.

    A line without other attributes is removed, and a file that `add_line` created.
    """
    lines = read_lines(path)
    kept: list[str] = []
    for line in lines:
        parsed = parse_line(line)
        if parsed is None or parsed.pattern != pattern:
            kept.append(line)
            continue
        ours = {name for name, value in attributes.items() if parsed.attributes.get(name) == value}
        if not ours:
            kept.append(line)
        elif len(ours) < len(parsed.attributes):
            words = "|".join(re.escape(f"{name}={attributes[name]}") for name in sorted(ours))
            kept.append(re.sub(rf"[ \t]+(?:{words})(?=[ \t\r\n]|$)", "", line))
        elif not line.endswith("\n") and kept:
            kept[-1] = kept[-1].removesuffix("\n").removesuffix("\r")
    if kept == lines:
        return False
    if kept or not lines[-1].endswith("\n"):
        files.write(path, "".join(kept).encode("utf-8", "surrogateescape"))
    else:
        files.remove(path)
    return True
