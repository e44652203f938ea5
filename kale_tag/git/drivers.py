"""The drivers of kale-tag in Git's configuration: install, uninstall, status.

Git looks in two places: an attributes file maps files to a driver, the configuration maps a driver
to a command. Only the entries of kale-tag are changed there.
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, count, error, warning
from kale_tag.git import config
from kale_tag.git.revisions import GitError, run

NAME = "kale-tag"
PATTERN = "*.ipynb"
ANY = "notebook.ipynb"
"""Stands for a notebook if there is none yet."""

Kind = Literal["diff", "merge"]
KINDS: tuple[Kind, ...] = ("diff", "merge")

MAIN = {"diff": "diff.kale-tag.textconv", "merge": "merge.kale-tag.driver"}
"""The setting that is the command of each driver."""

CACHE = "diff.kale-tag.cachetextconv"
"""The setting with which users let Git keep what the diff driver prints; never ours."""

PURPOSE = {
    "diff": "`git diff`, `git log -p` and `git show` print notebooks as readable lines",
    "merge": "tags and settings of notebooks merge by their meaning",
}


@dataclass(slots=True)
class DriverReport:
    """The result of an action on the drivers."""

    ok: bool = True  # installed and active, as far as the action is about that
    lines: list[str] = field(default_factory=list)  # to print
    diagnostics: list[Diagnostic] = field(default_factory=list)  # to print behind the lines


@dataclass(frozen=True, slots=True)
class DriverPlace:
    """Where to install."""

    scope: config.Scope  # of the settings
    attributes: str  # the attributes file
    repository: config.RepositoryFiles | None  # the current one; None outside of any

    @property
    def top(self) -> str:
        """The folder in which to ask Git."""
        return self.repository.top if self.repository else ""

    @property
    def wins(self) -> bool:
        """Whether the attributes file goes before all others, so that it could overrule them."""
        return self.repository is not None and self.attributes == self.repository.attributes


def find_place(attributes_file: str, *, everywhere: bool) -> DriverPlace:
    """Where to install. Raises `UserError` outside of a repository, unless *everywhere*."""
    try:
        repository = config.find_repository()
    except GitError as exc:
        if not everywhere:
            raise UserError(_no_repository(exc)) from None
        repository = None
    if everywhere:
        file = attributes_file or config.global_attributes()
        return DriverPlace("--global", os.path.abspath(file), repository)
    assert repository is not None
    return DriverPlace(
        "--local",
        os.path.abspath(attributes_file) if attributes_file else repository.attributes,
        repository,
    )


def settings(kind: Kind) -> dict[str, str]:
    """The settings of a driver, its command first.

    If kale-tag was removed, or fails, the commands leave the work to Git.
    """
    # By its path, because a program with windows has another PATH; -P, because the folder that Git
    # calls it in is the user's, and may hold a `json.py`.
    program = f"{shlex.quote(sys.executable.replace(os.sep, '/'))} -P -m kale_tag git"
    if kind == "diff":
        return {
            MAIN["diff"]: f'f() {{ {program} textconv -- "$1" || cat -- "$1"; }}; f',
            "diff.kale-tag.xfuncname": "^(# %% .*)$",
        }
    program = program.replace("%", "%%")
    return {
        MAIN["merge"]: f"case $({program} merge -- %O %A %B %P %L %S %X %Y) in "
        "clean) ;; conflict) exit 1 ;; *) "
        "git merge-file --marker-size=%L -L ours -L base -L theirs %A %O %B || exit 1 ;; esac",
        "merge.kale-tag.name": "kale-tag: tags of notebooks by meaning, the rest as Git does",
    }


def install(place: DriverPlace) -> DriverReport:
    """Install both drivers, except where another driver is in their place."""
    report = DriverReport()
    foreign = {kind: found for kind in KINDS if (found := _foreign(place, kind))}
    kinds = [kind for kind in KINDS if kind not in foreign]
    missing = [kind for kind in kinds if _driver_named(place, kind)[1] != NAME]
    if missing:
        words = " ".join(f"{kind}={NAME}" for kind in missing)
        config.add_line(place.attributes, f"{PATTERN} {words}")
    for kind in kinds:
        new = [_put(place, kind, key, value) for key, value in settings(kind).items()]
        state = "installed" if any(new) or kind in missing else "already installed"
        report.lines.append(f"{state}: the {kind} driver, so that {PURPOSE[kind]}")
    if kinds:
        main = config.get(MAIN[kinds[0]], place.scope, place.top)
        report.lines.append(f"  settings:   {_shown(main.file if main else '')}")
        report.lines.append(f"  attributes: {_shown(place.attributes)}")
    overruled = (_overruled(place.repository, kind) for kind in kinds if place.repository)
    report.diagnostics += [*(one for one in overruled if one), *foreign.values()]
    report.ok = not foreign
    return report


def uninstall(place: DriverPlace) -> DriverReport:
    """Remove what `install` has written."""
    ours: dict[str, str] = dict.fromkeys(KINDS, NAME)
    dropped = config.drop_attributes(place.attributes, PATTERN, ours)
    removed = [_shown(place.attributes)] if dropped else []
    for kind in KINDS:
        for key, value in settings(kind).items():
            present = config.get(key, place.scope, place.top)
            if present and (present.value == value or _is_ours(key, present.value)):
                config.put(key, None, place.scope, place.top)
                removed.append(_shown(present.file))
    report = DriverReport()
    if removed:
        report.lines.append(f"removed the drivers from {' and '.join(dict.fromkeys(removed))}")
    else:
        report.lines.append("nothing to remove: the drivers are not installed here")
    left = {
        found
        for kind in KINDS
        if place.repository and (found := _state(place.repository, kind).place)
    }
    if cache := config.get(CACHE, place.scope, place.top):
        left.add((cache.file, CACHE))
    report.lines += (f"left unchanged: `{line}` in {_shown(file)}" for file, line in sorted(left))
    return report


@dataclass(frozen=True, slots=True)
class DriverState:
    """How Git uses one driver in a repository."""

    kind: Kind  # which driver
    total: int  # notebooks in the repository
    place: tuple[str, str] | None  # the file and line that names the driver for notebooks
    others: tuple[tuple[str, str], ...]  # notebooks with another driver or none, and which
    command: config.ConfigValue | None  # the setting with its command; None where it is not set

    @property
    def program(self) -> str:
        """The program in the command, "" where it is not one that `install` wrote."""
        command = self.command.value if self.command else ""
        if self.kind == "merge":
            command = command.replace("%%", "%")
        found = re.match(r"(?:f\(\) \{ |case \$\()(.+) -P -m kale_tag git", command)
        try:
            return shlex.split(found[1])[0] if found else ""
        except ValueError:  # edited by hand, with a quote too many
            return ""

    @property
    def gone(self) -> bool:
        """Whether the program is no longer where it was when it was installed."""
        return bool(self.program) and not os.path.exists(self.program)

    @property
    def active(self) -> bool:
        """Whether Git calls the driver for every notebook."""
        return self.command is not None and not self.gone and not self.others


def status(place: DriverPlace, *, as_json: bool) -> DriverReport:
    """Whether both drivers are active, and where that is configured."""
    everywhere = place.scope == "--global"
    states = [
        _global_state(place, kind)
        if everywhere or place.repository is None
        else _state(place.repository, kind)
        for kind in KINDS
    ]
    active = all(state.active for state in states)
    if not as_json:
        lines = [line for state in states for line in _lines(state)]
        if any(state.command is None or state.gone for state in states):
            lines.append(f"To activate them: kale-tag git install{' --global' * everywhere}")
        return DriverReport(active, lines)
    document: dict[str, object] = {"installed": active}
    document |= {state.kind: _value(state) for state in states}
    return DriverReport(active, [json.dumps(document, indent=1, ensure_ascii=False)])


def _state(repository: config.RepositoryFiles, kind: Kind) -> DriverState:
    values = _values(repository, kind)
    others = tuple((path, value) for path, value in values.items() if value != NAME)
    ours = next((path for path, value in values.items() if value == NAME), None)
    file, line = config.origin(repository, ours, PATTERN, kind, NAME) if ours else ("", "")
    place = (file, line) if file else None
    command = config.get(MAIN[kind], None, repository.top)
    return DriverState(kind, 0 if list(values) == [ANY] else len(values), place, others, command)


def _global_state(place: DriverPlace, kind: Kind) -> DriverState:
    line, value = _driver_named(place, kind)
    others = () if value == NAME else ((ANY, value),)
    found = None if others else (place.attributes, line)
    return DriverState(kind, 0, found, others, config.get(MAIN[kind], "--global"))


def _lines(state: DriverState) -> Iterator[str]:
    left = state.total - len(state.others)
    if state.active:
        which = f"all {state.total} notebooks" if state.total > 1 else "notebooks"
        yield f"{state.kind} driver: active for {which}"
    elif state.command and not state.gone and left > 0:
        yield f"{state.kind} driver: active for {left} of {count(state.total, 'notebook')}"
    else:
        yield f"{state.kind} driver: not active"
    if state.place:
        yield f"  attribute: `{state.place[1]}` in {_shown(state.place[0])}"
    for path, value in state.others[:5]:
        what = "none" if value == "unspecified" else f"`{state.kind}={value}`"
        yield f"  attribute: {what}{f' for {path}' if state.total else ''}"
    if len(state.others) > 5:
        yield f"  and {len(state.others) - 5} more notebooks"
    if state.command is None:
        yield f"  command:   none, `{MAIN[state.kind]}` is not set"
    else:
        gone = f"; {state.program} is gone, so Git does it alone" if state.gone else ""
        yield f"  command:   `{MAIN[state.kind]}` in {_shown(state.command.file)}{gone}"


def _value(state: DriverState) -> dict[str, object]:
    return {
        "active": state.active,
        "attributes": state.place and {"file": state.place[0], "line": state.place[1]},
        "other": [{"notebook": path, "value": value} for path, value in state.others],
        "command": state.command and {"file": state.command.file, "value": state.command.value},
        "program_gone": state.gone,
    }


def _put(place: DriverPlace, kind: Kind, key: str, value: str) -> bool:
    present = config.get(key, place.scope, place.top)
    if present and (present.value == value or key != MAIN[kind]):
        return False  # as wanted, or changed by the user
    config.put(key, value, place.scope, place.top)
    return True


def _is_ours(key: str, value: str) -> bool:
    """Whether the command *value* is kale-tag, wherever it was installed."""
    verb = {MAIN["diff"]: "textconv", MAIN["merge"]: "merge"}.get(key)
    return verb is not None and re.search(rf"kale.tag['\"]? git {verb}\b", value) is not None


def _driver_named(place: DriverPlace, kind: Kind) -> tuple[str, str]:
    """The line of the attributes file that counts for notebooks, and the driver that it names."""
    return config.last_line(place.attributes, PATTERN, kind)


def _foreign(place: DriverPlace, kind: Kind) -> Diagnostic | None:
    """A warning if another driver is in the place of ours."""
    present = config.get(MAIN[kind], place.scope, place.top)
    if present and not _is_ours(MAIN[kind], present.value):
        return _taken(kind, f"{MAIN[kind]} = {present.value}", present.file)
    line, value = _driver_named(place, kind)
    if value not in {NAME, "unspecified"}:
        return _taken(kind, line, place.attributes)
    if place.wins and place.repository is not None:
        # A line there would overrule those of all other files.
        for path, value in _values(place.repository, kind, ANY).items():
            if value not in {NAME, "unspecified"}:
                file, line = config.origin(place.repository, path, PATTERN, kind, value)
                return _taken(kind, line, file)
    return None


def _taken(kind: Kind, line: str, file: str) -> Diagnostic:
    return warning(
        "other-driver",
        f"the {kind} driver was not installed: there is another one, `{line}`",
        Label(Source(_shown(file))) if file else None,
        help="to replace it, remove it and run this command again",
    )


def _overruled(repository: config.RepositoryFiles, kind: Kind) -> Diagnostic | None:
    """A warning if another line takes precedence over ours."""
    for path, value in _values(repository, kind).items():
        if value != NAME:
            file, line = config.origin(repository, path, PATTERN, kind, value)
            return warning(
                "overruled",
                f"the {kind} driver is not used for {path}: `{line}` takes precedence",
                Label(Source(_shown(file))) if file else None,
                help="`kale-tag git status` lists all such notebooks",
            )
    return None


def _values(repository: config.RepositoryFiles, kind: Kind, *more: str) -> dict[str, str]:
    """The driver that Git uses for each notebook; for `ANY` where there is none."""
    tracked = b"" if repository.bare else run(["ls-files", "-z", "--", PATTERN], repository.top)
    paths = os.fsdecode(tracked).split("\0")[:-1] or [ANY]
    return config.effective(kind, [*paths, *more], repository.top)


def _shown(path: str) -> str:
    """*path* from here if it is below, else the whole of it."""
    near = os.path.relpath(path) if path else path
    return path if near.startswith(os.pardir) else near


def _no_repository(diagnostic: GitError) -> Diagnostic:
    if "not a git repository" in diagnostic.message:
        return error(
            "no-repository",
            "not inside a Git repository",
            help="change to a repository, or use `--global` for all of yours",
        )
    return error("no-repository", f"Git cannot use the repository here: {diagnostic.message}")
