"""The specs, patches and notebooks that the paths of a command line stand for."""

import glob
import os
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import kale_tag
from kale_tag import files
from kale_tag.diagnostics import (
    Diagnostic,
    Label,
    Source,
    Span,
    UserError,
    count,
    error,
    nearest,
    pasted,
)
from kale_tag.plan.patch import ENDING
from kale_tag.spec.model import NotebookEntry, Spec, Target
from kale_tag.spec.read import read_spec, target_for

if TYPE_CHECKING:
    from kale_tag.plan.read_patch import Patch

STDIN = "-"
DEFAULT_SPEC = "kale-tag.yaml"
DEFAULT_FOLDER = "specs"
READY = "kale:"
"""Begins the names of ready specs, which come with kale-tag: `kale:upgrade`."""


@dataclass(slots=True)
class Task:
    """One notebook and the specs or patches for it, in order; *name* is how the user reached it."""

    name: str
    steps: list[tuple[Spec, Target]] = field(default_factory=list)
    patches: "list[Patch]" = field(default_factory=list)


@dataclass(slots=True)
class Targets:
    """What there is to do, and what could not be understood; *unusable* are specs and patches."""

    tasks: list[Task] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    stdin: bytes = b""
    unusable: list[str] = field(default_factory=list)
    note: str = ""  # on notebooks that are left out


@dataclass(slots=True)
class NamedPaths:
    """The paths of a command line by kind."""

    specs: list[str] = field(default_factory=list)
    patches: dict[str, str] = field(default_factory=dict)  # and their paths in the folder given
    notebooks: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    # Notebooks were given, found or not. Then a spec must not go to those that it names itself, or
    # a typing mistake would change them all.
    only_these: bool = False


def find_targets(
    paths: Sequence[str], *, patches_only: bool = False, alone: bool = False
) -> Targets:
    """The notebooks that *paths* stand for, each with its specs or patches.

    With *alone*, notebooks that are named without a spec have none. Raises `UserError` only when
    there is nothing to work on; other diagnostics are in the result.
    """
    targets = Targets()
    named = classify_paths(paths, targets)
    if named.patches or patches_only:
        _read_patches(named, targets)
        return targets
    if named.specs:
        add_folders(named, targets)
        _read_specs(named, targets, found=False)
        return targets
    named.specs = [spec for folder in named.folders for spec in files.specs_in(folder)]
    if not named.specs:
        add_folders(named, targets, "notebook" if alone else "patch, spec or notebook")
        if targets.diagnostics:
            return targets
        if alone and named.only_these:
            targets.tasks = [Task(name) for name in by_identity(named.notebooks).values()]
            return targets
        named.specs = default_specs()
        if not named.specs:
            place = f"{DEFAULT_SPEC} and none in {DEFAULT_FOLDER}/"
            hint = "name both: SPEC NOTEBOOK; `kale-tag extract NOTEBOOK -o SPEC` writes a spec"
            raise UserError.of("no-spec", f"no spec is given, and there is no {place}", help=hint)
    _read_specs(named, targets, found=True)
    if not named.only_these:
        targets.tasks, targets.note = _below(targets.tasks, named.specs)
    if not targets.tasks and not targets.diagnostics:
        targets.diagnostics.append(_without_notebooks(named.specs, elsewhere=bool(targets.note)))
    return targets


def _without_notebooks(specs: Sequence[str], *, elsewhere: bool) -> Diagnostic:
    """The error for default *specs* that name no notebooks, or only such as are *elsewhere*."""
    message = f"{specs[0]} names no notebooks"
    if len(specs) > 1:
        message = f"none of {', '.join(specs)} names notebooks"
    hint = _which_notebook(specs[0])
    if elsewhere:
        message = f"no notebook below this folder is in {', '.join(specs)}"
        hint = "run kale-tag in a folder above, or name the notebooks"
    return error("no-notebooks", message, help=hint)


def _which_notebook(spec: str) -> str:
    """How to name the notebooks of *spec*, with one beside it as the example."""
    folder = os.path.dirname(spec)
    beside = (name for name in files.notebooks_in(folder or ".") if os.path.dirname(name) == folder)
    name = next(beside, "")
    shown = os.path.basename(name) or "NAME.ipynb"
    return (
        f"write `notebooks: [{shown}]` into it, or name them after it: {spec} {name or 'NOTEBOOK'}"
    )


def _read_specs(named: NamedPaths, targets: Targets, *, found: bool) -> None:
    """Make the tasks; specs that were *found*, not named, go only to notebooks that they name."""
    tasks: dict[str, Task] = {}
    specs: dict[str, Spec] = {}
    for path in named.specs:
        try:
            specs[path] = spec_of(spec_source(path, targets.stdin))
        except UserError as exc:
            targets.diagnostics += exc.diagnostics
            targets.unusable.append(path)
    bases = _bases(specs.values())
    for path, spec in specs.items():
        through_others = files.identity(path) in bases or (found and not named.only_these)
        if through_others and not spec.notebooks:
            continue
        try:
            _add_tasks(tasks, spec, named, found=found)
        except UserError as exc:
            targets.diagnostics += exc.diagnostics
            targets.unusable.append(path)
    targets.tasks = list(tasks.values())
    if targets.diagnostics:
        return
    for name in named.notebooks:
        if name != STDIN and identity(name) not in tasks:
            message = f"no spec here names {name} under `notebooks`"
            targets.diagnostics.append(error("no-spec", message, help="name the spec too"))


def _bases(specs: Iterable[Spec]) -> set[str]:
    """The files that *specs* extend. Those that name no notebooks apply through others only."""
    return {files.identity(base) for spec in specs for base in spec.bases if not is_ready(base)}


def _read_patches(named: NamedPaths, targets: Targets) -> None:
    """Make the tasks of patches: each for the notebook that it names, or the one that is named."""
    if wrong := _no_patches(named):
        targets.diagnostics += () if targets.diagnostics else (wrong,)  # what is named is not there
        return
    from kale_tag.plan.read_patch import read_patch  # noqa: PLC0415  for patches only

    only = by_identity(named.notebooks)
    alone = len(named.patches) == len(only) == 1
    tasks: dict[str, Task] = {}
    for path, below in named.patches.items():
        try:
            data = targets.stdin if path == STDIN else files.read(path).data
            patch = read_patch(files.as_text("stdin" if path == STDIN else path, data))
            name = named.notebooks[0] if alone else notebook_of(patch, below)
        except UserError as exc:
            targets.diagnostics += exc.diagnostics
            targets.unusable.append(path)
            continue
        if patch.operations and (not only or identity(name) in only):
            tasks.setdefault(identity(name), Task(name)).patches.append(patch)
    targets.tasks = list(tasks.values())
    lost = () if targets.diagnostics or alone else (only[key] for key in only.keys() - tasks.keys())
    targets.diagnostics += (
        error("no-patch", f"no patch here is for {name}") for name in sorted(lost)
    )


def notebook_of(patch: "Patch", below: str) -> str:
    """The path of the notebook that *patch* is for.

    The patch names it, from the root of the repository on, or its path in a folder does: *below* is
    that path, "" for a patch that was given alone. Raises `UserError` if neither does.
    """
    name = patch.notebook or below.removesuffix(ENDING) * below.endswith(ENDING)
    if name or not patch.operations:
        root = files.repository(os.getcwd())
        path = os.path.relpath(os.path.join(root, name)) if root else os.path.normpath(name)
        path = path if os.path.exists(path) or not os.path.exists(name) else name
        top = os.path.join(files.identity(root or "."), "")
        if name and not files.identity(path).startswith(top):
            message = f"{path} is a link to a notebook outside the folder of the patch"
            hint = "name both, the patch and the notebook"
            raise UserError.of("outside-folder", message, Label(patch.source), help=hint)
        return path if path != STDIN else os.path.join(".", path)
    raise UserError.of(
        "no-notebook",
        f"{patch.source.name} does not name its notebook",
        Label(patch.source),
        help=f"name both: {pasted('kale-tag apply', [patch.source.name])} NOTEBOOK",
    )


def _no_patches(named: NamedPaths) -> Diagnostic | None:
    """What is wrong where patches are wanted, and others are named or none."""
    if not named.specs and not named.folders:
        hint = "kale-tag plan SPEC -o FOLDER writes them"
        return None if named.patches else error("no-patch", "no patch is given", help=hint)
    other = (*named.specs, *named.folders)[0]
    if named.patches:
        message = f"patches and specs cannot be applied together: {other} is not a patch"
        return error("mixed-paths", message, help="use two commands")
    note = (
        "only patches can be reverted: `kale-tag plan SPEC -o patches/` writes them, and `kale-tag "
        "apply patches/` applies them"
    )
    hint = (
        "`git checkout NOTEBOOK` discards changes that are not committed; `kale-tag plan "
        "kale:untag NOTEBOOK` removes Kale's tags"
    )
    if named.specs:
        return error("mixed-paths", f"{other} is not a patch", notes=[note], help=hint)
    if files.below(other, ENDING):
        message = f"{other} has notebooks besides its patches"
        return error("mixed-paths", message, help=f"name the patches: {other}/*{ENDING}")
    return error("no-patch", f"{other} has no patches in it", notes=[note], help=hint)


def classify_paths(paths: Iterable[str], targets: Targets) -> NamedPaths:
    """The kind of each of *paths*; diagnostics and standard input go into *targets*."""
    named = NamedPaths()
    for path in paths:
        known = len(named.notebooks) + len(targets.diagnostics)
        if path == STDIN:
            if targets.stdin:
                targets.diagnostics.append(error("two-stdin", "`-` can be given only once"))
                continue
            targets.stdin = sys.stdin.buffer.read()
            _by_content(path, targets.stdin, named, targets)
        elif os.path.isdir(path):
            _by_folder(path, named)
        elif path.endswith(ENDING):
            named.patches[path] = ""
        elif is_ready(path) or path.endswith((".yaml", ".yml")):
            named.specs.append(path)
        elif path.endswith(".ipynb") and (os.path.exists(path) or not glob.has_magic(path)):
            named.notebooks.append(path)
        elif os.path.exists(path):
            _by_file(path, named, targets)
        elif glob.has_magic(path) and (found := files.matching(path, "")):
            named.notebooks += found
        else:
            message = (
                f"there is no {'match for' if glob.has_magic(path) else 'file or folder'} {path}"
            )
            near = files.similar(path)
            hint = "check the path; a pattern is quoted, as in 'nb/*.ipynb'"
            hint = f"did you mean {near}?" if near else hint
            targets.diagnostics.append(error("not-found", message, help=hint))
        named.only_these |= len(named.notebooks) + len(targets.diagnostics) > known
    return named


def _by_folder(path: str, named: NamedPaths) -> None:
    """A folder of patches stands for them; any other for the notebooks, or the specs, in it."""
    inside = files.below(path, ENDING)
    if inside and not files.notebooks_in(path):
        named.patches.update((name, os.path.relpath(name, path)) for name in inside)
    else:
        named.folders.append(path)


def _by_file(path: str, named: NamedPaths, targets: Targets) -> None:
    try:
        _by_content(path, files.read(path).data, named, targets)
    except UserError as exc:
        targets.diagnostics += exc.diagnostics


def _by_content(path: str, data: bytes, named: NamedPaths, targets: Targets) -> None:
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{"):
        named.notebooks.append(path)
    elif start.startswith(b"["):
        named.patches[path] = ""
    elif b"version:" in data[:4096] or path == STDIN:
        named.specs.append(path)
    else:
        message = f"{path} is neither a spec nor a notebook nor a patch"
        hint = "a spec has `version: 1`, a notebook and a patch are JSON"
        targets.diagnostics.append(error("not-usable", message, Label(Source(path)), help=hint))


def add_folders(named: NamedPaths, targets: Targets, what: str = "notebook") -> None:
    """Let each folder stand for the notebooks below it."""
    for folder in named.folders:
        inside = files.notebooks_in(folder)
        if not inside:
            message = f"there is no {what} in {folder}"
            targets.diagnostics.append(error("no-notebooks", message, Label(Source(folder))))
        named.notebooks += inside
        named.only_these = True


def default_specs() -> list[str]:
    """The specs to use if none is given: those here, or of the nearest folder above that has some.

    The search ends at the root of the repository. As Git does, it leaves a repository of another
    user alone.
    """
    found = [DEFAULT_SPEC] if os.path.exists(DEFAULT_SPEC) else []
    found += files.specs_in(DEFAULT_FOLDER)
    folder = os.getcwd()
    root = "" if found else files.own_repository(folder)
    while root and not found and folder != root:
        folder = os.path.dirname(folder)
        above = os.path.relpath(folder)
        path = os.path.join(above, DEFAULT_SPEC)
        inside = files.specs_in(os.path.join(above, DEFAULT_FOLDER))
        found = [path] * os.path.exists(path) + [*filter(looks_like_a_spec, inside)]
    return found


def _below(tasks: Sequence[Task], specs: Sequence[str]) -> tuple[list[Task], str]:
    """The *tasks* below this folder if *specs* were found above it, and a note on the others."""
    kept = [one for one in tasks if not _is_above(one.name)]
    if not (specs and _is_above(specs[0])) or len(kept) == len(tasks):
        return [*tasks], ""
    others = count(len(tasks) - len(kept), "notebook")
    return kept, f"left out, since outside this folder: {others} of {', '.join(specs)}"


def _is_above(path: str) -> bool:
    return path.split(os.sep, maxsplit=1)[0] == os.pardir


def spec_source(path: str, stdin: bytes) -> Source:
    """The text of the spec *path*. Raises `UserError` when it cannot be read."""
    if is_ready(path):
        return ready_spec(path)
    return files.as_text("stdin", stdin) if path == STDIN else files.read_text(path)


def spec_of(source: Source) -> Spec:
    """The spec in *source*. Raises `UserError` with all that is wrong with it."""

    def load(base: str, at: Label) -> Source:
        try:
            return ready_spec(base) if is_ready(base) else files.read_text(base)
        except UserError as exc:
            why = exc.diagnostics[0]
            hint = why.help if is_ready(base) else ""
            raise UserError.of("not-read", why.message, at, help=hint) from None

    return read_spec(source, load)


def _add_tasks(tasks: dict[str, Task], spec: Spec, named: NamedPaths, *, found: bool) -> None:
    """Add *spec* to the tasks of its notebooks: those named, else those that it names itself."""
    listed = listed_by(spec, required=not named.only_these)
    if not named.only_these:
        if not spec.notebooks:
            raise UserError.of(
                "no-notebooks",
                "this spec names no notebooks",
                Label(spec.source),
                help=_which_notebook(spec.source.name),
            )
        if not listed:
            message = "`notebooks` excludes every notebook that it names"
            raise UserError.of("no-notebooks", message, _whole(spec.notebooks))
        names = {key: name for key, (name, _) in listed.items()}
    else:
        names = by_identity(named.notebooks)
        if found and spec.notebooks:
            names = {key: name for key, name in names.items() if key in listed}
    _assign(tasks, spec, listed, names)


def _assign(
    tasks: dict[str, Task],
    spec: Spec,
    listed: Mapping[str, tuple[str, list[NotebookEntry]]],
    names: Mapping[str, str],
) -> None:
    """Add *spec* to the tasks of the notebooks *names*, by identity; it has some of them *listed*.

    `${dir}` and the like come from the path by which the user reached the notebook.
    """
    folder = posixpath.dirname(spec.source.name)
    for key, name in names.items():
        task = tasks.setdefault(key, Task(name))
        _, entries = listed.get(key, (name, []))
        target = target_for(spec, dict(path_variables(task.name, folder)), entries)
        task.steps.append((spec, target))


def identity(name: str) -> str:
    """What the notebook *name* has in common with its other names."""
    return name if name == STDIN else files.identity(name)


def by_identity(names: Iterable[str]) -> dict[str, str]:
    """Each notebook of *names* once, by its identity."""
    return {identity(name): name for name in names}


def listed_by(spec: Spec, *, required: bool) -> dict[str, tuple[str, list[NotebookEntry]]]:
    """The notebooks that *spec* names, by identity, each with the entries that name it."""
    found: dict[str, tuple[str, list[NotebookEntry]]] = {}
    diagnostics = []
    for entry in spec.notebooks:
        names = files.matching(entry.pattern, entry.folder)
        if _is_above(entry.folder):  # a spec of a folder above, and perhaps a notebook below
            names = [os.path.relpath(name) for name in names]
        if not names and required and not entry.exclude:
            diagnostics.append(
                error(
                    "no-notebooks",
                    f"`{entry.pattern}` matches no notebook in {entry.folder or 'this folder'}",
                    entry.label,
                    help="paths are relative to the spec; hidden folders are left out",
                )
            )
        for name in names:
            key = files.identity(name)
            if entry.exclude:
                found.pop(key, None)
            else:
                found.setdefault(key, (name, []))[1].append(entry)
    if diagnostics:
        raise UserError(*diagnostics)
    return found


def _whole(entries: Sequence[NotebookEntry]) -> Label:
    """The place of the list that holds *entries*, from the first to the last of them."""
    first, last = entries[0].label, entries[-1].label
    if first.span is None or last.span is None:
        return first
    return Label(first.source, Span(first.span.start, last.span.end))


def path_variables(name: str, folder: str) -> Iterator[tuple[str, str]]:
    """What `${stem}` and the like stand for in the notebook *name*, for a spec in *folder*."""
    path = "stdin.ipynb" if name == STDIN else name
    base = os.path.basename(path)
    yield "name", base
    yield "stem", os.path.splitext(base)[0]
    place = os.path.dirname(os.path.abspath(path))
    yield "parent", os.path.basename(place)
    yield "dir", relative(place, folder)


def relative(path: str, folder: str) -> str:
    """*path* as seen from *folder*, with `/` between."""
    try:
        seen = os.path.relpath(path, folder or ".")
    except ValueError:  # another drive of Windows
        seen = os.path.abspath(path)
    return seen.replace(os.sep, "/")


def is_ready(path: str) -> bool:
    """Whether *path* is meant as the name of a ready spec."""
    return path.startswith(READY)


def ready_spec(path: str) -> Source:
    """The text of the ready spec that *path* names. Raises `UserError` if there is none."""
    names = ready_names()
    if path not in names:
        known = f"there are {', '.join(f'`{name}`' for name in names)}"
        raise UserError.of(
            "no-such-spec",
            f"no ready spec is named `{path}`",
            help=f"did you mean `{near}`? {known}" if (near := nearest(path, names)) else known,
        )
    name = path.removeprefix(READY)
    return Source(path, files.read_text(os.path.join(_ready_folder(), f"{name}.yaml")).text)


def ready_names() -> list[str]:
    """The names of all ready specs, sorted."""
    names = (os.path.basename(path) for path in files.specs_in(_ready_folder()))
    return [f"{READY}{name.removesuffix('.yaml')}" for name in names if name.endswith(".yaml")]


def _ready_folder() -> str:
    """The folder in the installed package, or `specs/` of the checkout that this runs from."""
    package = os.path.dirname(os.path.abspath(kale_tag.__file__))
    inside = os.path.join(package, "specs")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "specs")


@dataclass(slots=True)
class Checks(Targets):
    """What to check: notebooks with their specs."""

    specs: int = 0
    wrong: list[Diagnostic] = field(default_factory=list)  # what is wrong in specs


def find_checks(paths: Sequence[str]) -> Checks:
    """The notebooks and specs that *paths* stand for.

    A spec is checked with the notebooks that it names. One that names none is checked with all that
    are given, if it was given by name; not if it was found in a folder, or if another spec, given
    or a default one, extends it. If notebooks are given and no spec, or the base of default specs,
    the default specs that name them are used. Raises `UserError` if there is nothing to check.
    """
    checks = Checks()
    named = classify_paths(paths, checks)
    for path in named.patches:
        message = f"{path} is a patch or a folder of patches"
        hint = "`kale-tag plan PATCH` shows whether it still applies, and what it would change"
        checks.diagnostics.append(error("not-usable", message, Label(Source(path)), help=hint))
    given = [*named.notebooks]
    by_name = {*named.specs}
    for folder in named.folders:
        inside = files.notebooks_in(folder)
        specs = [path for path in files.specs_in(folder) if looks_like_a_spec(path)]
        if not inside and not specs:
            message = f"no notebook below {folder} and no spec in it"
            checks.diagnostics.append(error("nothing-to-check", message, Label(Source(folder))))
        given += inside
        named.specs += specs
    tasks = {key: Task(name) for key, name in by_identity(given).items()}
    others = [] if named.specs and not named.folders else default_specs()
    if not paths:
        named.specs, others = others, []
        if not named.specs:
            place = f"{DEFAULT_SPEC} and no spec in {DEFAULT_FOLDER}/"
            message = f"no path is given, and there is no {place}"
            hint = "kale-tag check SPEC, kale-tag check NOTEBOOK, or kale-tag check FOLDER"
            raise UserError.of("nothing-to-check", message, help=hint)
    known = {files.identity(path) for path in named.specs}
    read = {path: spec for path in named.specs if (spec := _spec(checks, path)) is not None}
    bases = _bases(read.values())
    if loose := {files.identity(one) for one, spec in read.items() if not spec.notebooks} - bases:
        # pre-commit names the files that changed: a base perhaps, and not what extends it
        near = {path: _spec(Checks(), path) for path in default_specs()} if given else {}
        over = {path: spec.bases for path, spec in near.items() if spec is not None}
        others += [one for one in over if loose & {files.identity(base) for base in over[one]}]
        bases |= _bases(spec for spec in near.values() if spec is not None)
    for path, spec in read.items():
        alone = path in by_name and files.identity(path) not in bases
        _add(checks, tasks, spec, given if alone else [], whole=True)
    for path in dict.fromkeys(others):
        if files.identity(path) not in known and (spec := _spec(checks, path)) is not None:
            _add(checks, tasks, spec, [], whole=False)
    checks.tasks, checks.note = _below([*tasks.values()], [] if paths else named.specs)
    return checks


def _spec(checks: Checks, path: str) -> Spec | None:
    """The spec *path*; None, with diagnostics, if it cannot be read."""
    try:
        source = spec_source(path, checks.stdin)
    except UserError as exc:
        checks.diagnostics += exc.diagnostics
        return None
    checks.specs += 1
    try:
        return spec_of(source)
    except UserError as exc:
        checks.wrong += exc.diagnostics
        return None


def _add(
    checks: Checks, tasks: dict[str, Task], spec: Spec, others: Sequence[str], *, whole: bool
) -> None:
    """Add *spec* to the tasks of its notebooks: all of them, or those that there are.

    If it names none, it goes to *others*.
    """
    try:
        listed = listed_by(spec, required=whole)
    except UserError as exc:
        checks.wrong += exc.diagnostics
        return
    names = {key: name for key, (name, _) in listed.items() if whole or key in tasks}
    _assign(tasks, spec, listed, names if spec.notebooks else by_identity(others))


def looks_like_a_spec(path: str) -> bool:
    """Whether a YAML file in a folder is a spec: it has two keys of specs."""
    try:
        start = files.read(path).data[:65536]
    except UserError:
        return False
    keys = set(re.findall(rb"(?m)^(?:\{ *)?['\"]?(%s)['\"]?\s*:" % _KEYS, start))
    return len(keys) > 1


_KEYS = b"version|cells|notebooks|pipeline|extends|rename|unmatched|legacy|compile|kale|ignore"
