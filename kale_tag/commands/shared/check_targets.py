"""What `kale-tag check` is given: specs, and the notebooks that are held against them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from kale_tag import files
from kale_tag.commands.shared.targets import (
    DEFAULT_FOLDER,
    DEFAULT_SPEC,
    STDIN,
    Targets,
    Task,
    default_specs,
    listed_by,
    spec_of,
    spec_source,
    target_of,
    told_apart,
)
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error


@dataclass(slots=True)
class Checks:
    """What there is to check; *faults* are what is wrong with specs, *unusable* is no input."""

    tasks: list[Task] = field(default_factory=list)
    specs: int = 0
    diagnostics: list[Diagnostic] = field(default_factory=list)
    unusable: list[Diagnostic] = field(default_factory=list)
    stdin: bytes = b""


def find_checks(paths: Sequence[str]) -> Checks:
    """What *paths* stand for.

    A spec is held against the notebooks that it names; one that names none, and was named itself,
    against all that are given: in a folder it is a base that others extend. Where notebooks are
    given and no spec, those of the default specs that name them count. Raises `UserError` when
    there is nothing to check.
    """
    targets = Targets()
    named = told_apart(paths, targets)
    checks = Checks(unusable=targets.diagnostics, stdin=targets.stdin)
    checks.unusable += (_is_a_patch(path) for path in named.patches)
    given = [*named.notebooks]
    by_name = {*named.specs}
    for folder in named.folders:
        inside = files.notebooks_in(folder)
        specs = [path for path in files.specs_in(folder) if looks_like_a_spec(path)]
        if not inside and not specs:
            message = f"there is neither a notebook below {folder} nor a spec in it"
            checks.unusable.append(error("nothing-to-check", message, Label(Source(folder))))
        given += inside
        named.specs += specs
    tasks = {STDIN if name == STDIN else files.identity(name): Task(name) for name in given}
    others = [] if named.specs and not named.folders else default_specs()
    if not paths:
        named.specs, others = others, []
        if not named.specs:
            raise UserError(_nothing())
    known = {files.identity(path) for path in named.specs}
    for path in named.specs:
        _add(checks, tasks, path, given if path in by_name else [], whole=True)
    for path in others:
        if files.identity(path) not in known:
            _add(checks, tasks, path, [], whole=False)
    checks.tasks = list(tasks.values())
    return checks


def _add(
    checks: Checks, tasks: dict[str, Task], path: str, others: Sequence[str], *, whole: bool
) -> None:
    """Add the spec *path* to the tasks of its notebooks: all of them, or those that there are.

    Where it names none, it goes to *others*.
    """
    try:
        source = spec_source(path, checks.stdin)
    except UserError as exc:
        checks.unusable += exc.diagnostics
        return
    checks.specs += 1
    try:
        spec = spec_of(source)
        listed = listed_by(spec, required=whole)
    except UserError as exc:
        checks.diagnostics += exc.diagnostics
        return
    for key, (name, entries) in listed.items():
        if whole or key in tasks:
            task = tasks.setdefault(key, Task(name))
            task.steps.append((spec, target_of(spec, task.name, entries)))
    for name in () if spec.notebooks else others:
        task = tasks[STDIN if name == STDIN else files.identity(name)]
        task.steps.append((spec, target_of(spec, task.name, ())))


def looks_like_a_spec(path: str) -> bool:
    """Whether a YAML file in a folder is meant for us: two of our keys stand in it."""
    try:
        start = files.read(path).data[:65536]
    except UserError:
        return False
    keys = set(re.findall(rb"(?m)^(?:\{ *)?['\"]?(%s)['\"]?\s*:" % _KEYS, start))
    return len(keys) > 1


def _is_a_patch(path: str) -> Diagnostic:
    hint = "`kale-tag plan PATCH` says whether it still fits, and what it would change"
    return error("not-usable", f"{path} is a patch, or holds some", Label(Source(path)), help=hint)


def _nothing() -> Diagnostic:
    return error(
        "nothing-to-check",
        f"nothing is named, and there is no {DEFAULT_SPEC} and no spec in {DEFAULT_FOLDER}/",
        help="kale-tag check SPEC, kale-tag check NOTEBOOK, or kale-tag check FOLDER",
    )


_KEYS = b"version|cells|notebooks|pipeline|extends|rename|unmatched|legacy|compile|ignore"
