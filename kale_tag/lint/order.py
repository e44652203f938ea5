"""Rules of the order of steps and cells: dependencies, files, and what runs in another order."""

import ast
import posixpath
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kale_tag.analysis import library
from kale_tag.analysis.dataflow import Dataflow, Unit, first_place
from kale_tag.analysis.heap import Certainty, Obj, Sight
from kale_tag.analysis.machine import Events
from kale_tag.analysis.names import Names
from kale_tag.analysis.texts import guarded_names
from kale_tag.code.facts import dotted, read_facts
from kale_tag.code.source import Parsed, Spot, read_code
from kale_tag.code.syntax import operations
from kale_tag.diagnostics import Diagnostic, Label, UserError, listed
from kale_tag.lint.context import Compilation, CompiledNotebook
from kale_tag.rules.registry import found


def redundant_prev(compilation: Compilation) -> Iterator[Diagnostic]:
    """A `prev:` that says what others say already."""
    for part in compilation.parts:
        if any(unit.inner is not None for unit in part.flow.units):
            continue  # there the order of the cells counts, whatever the tags say
        units = {unit.name: unit for unit in part.flow.units}
        number = {name: position for position, name in enumerate(units)}
        for step in part.pipeline.steps:
            producers = set(step.ins.values())
            for given in part.draft.tagged.step_tags[step.name]:
                if given.tag.kind != "prev":
                    continue
                name = given.tag.key
                bit = 1 << number[name]
                ways = [
                    other
                    for other in step.prev
                    if other not in {name, step.name} and units[other].before & bit
                ]
                if ways and name not in producers:
                    yield found(
                        "redundant-prev",
                        f"`prev:{name}` of step `{step.name}` is redundant: the step runs after "
                        f"`{ways[0]}`, which runs after `{name}`",
                        given.label,
                        help="remove the tag",
                    )


def missing_prev(compilation: Compilation) -> Iterator[Diagnostic]:
    """A step that uses a file of a volume which another writes, and does not wait for it."""
    for part in compilation.parts:
        units = part.flow.units
        number = {unit.name: position for position, unit in enumerate(units)}
        for read in _read_of_others(part):
            waits = units[number[read.step]].before
            others = [one for one in read.writers if not waits >> number[one.step] & 1]
            if read.is_kept and len(others) == len(read.writers):
                writer = others[-1]
                yield found(
                    "missing-prev",
                    f"step `{read.step}` uses `{read.path}`, which step `{writer.step}` writes, "
                    "but does not depend on it",
                    read.label,
                    also=[writer.label.with_text("written here")],
                    help=f"add `prev: {writer.step}` to `{read.step}`",
                )


def unshared_file(compilation: Compilation) -> Iterator[Diagnostic]:
    """A step that uses a file which another step writes into its own container."""
    for part in compilation.parts:
        for read in _read_of_others(part):
            if not read.is_kept:
                writer = read.writers[-1]
                yield found(
                    "unshared-file",
                    f"step `{read.step}` uses `{read.path}`, which step `{writer.step}` writes "
                    "into a container of its own",
                    read.label,
                    also=[writer.label.with_text("written here")],
                    help="pass a variable, or use a path on a volume or in a bucket",
                )


@dataclass(frozen=True, slots=True)
class _Use:
    """A step that reads or writes a file."""

    step: str
    path: str
    label: Label
    is_kept: bool = False
    writers: tuple["_Use", ...] = ()


@dataclass(slots=True)
class _Files:
    reads: dict[str, Label] = field(default_factory=dict)
    writes: dict[str, Label] = field(default_factory=dict)


def _read_of_others(part: CompiledNotebook) -> Iterator[_Use]:
    """Files that steps read and do not write, with the steps that do; *is_kept*: on a volume."""
    if len(part.draft.cells) < 2:
        return
    mounts = [volume.mount_point.rstrip("/") + "/" for volume in part.pipeline.volumes]
    modules = part.flow.modules
    known = {one.name: one.default for one in part.draft.parameters if isinstance(one.default, str)}
    for cells in (part.draft.shared, *part.draft.cells.values()):
        known |= _texts(cells, modules)  # a step before may give the name of a folder
    steps = {name: _files(part, cells, known) for name, cells in part.draft.cells.items()}
    for name, own in steps.items():
        for path, label in own.reads.items():
            writers = tuple(
                _Use(other, path, files.writes[path])
                for other, files in steps.items()
                if other != name and path in files.writes
            )
            if writers and path not in own.writes:
                kept = any(path.startswith(mount) for mount in mounts)
                yield _Use(name, path, label, kept, writers)


def _files(part: CompiledNotebook, cells: list[Parsed], every: dict[str, str]) -> _Files:
    found_ = _Files()
    modules = part.flow.modules
    known = ChainMap(_texts(cells, modules), every)
    for cell in cells:
        for node in part.nodes(cell):
            if isinstance(node, ast.Call):
                _note(node, cell, found_, known, modules)
    return found_


def _note(
    node: ast.Call,
    cell: Parsed,
    files: _Files,
    known: Mapping[str, str],
    modules: Mapping[str, str],
) -> None:
    path = dotted(node.func, modules)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else path.rpartition(".")[2]
    holder = node.func.value if isinstance(node.func, ast.Attribute) else None
    if path in library.known("file_consumers"):
        for number, one in enumerate(node.args[: 2 if name in library.known("file_movers") else 1]):
            if taken := _as_file(_text_of(one, known, modules)):
                (files.writes if number else files.reads).setdefault(taken, cell.place(node))
        return
    if not any(
        name in library.known(kind) for kind in ("file_writers", "file_readers", "of_paths")
    ):
        return
    if holder is not None and name in library.known("of_paths"):
        where = [holder]
    elif name in {"open", "dump"} and holder is not None and dotted(holder, modules) not in modules:
        where = [*node.args[:2], holder]
    else:
        where = [*node.args[:2], *(one.value for one in node.keywords if one.arg in _PATHS)]
    path = next((path for one in where if (path := _as_file(_text_of(one, known, modules)))), "")
    if path:
        writes = name in library.known("file_writers") or (name == "open" and _writes(node))
        (files.writes if writes else files.reads).setdefault(path, cell.place(node))


_PATHS = frozenset(["path", "filename", "file", "filepath", "fname", "path_or_buf", "io"])


def _writes(node: ast.Call) -> bool:
    """Whether `open` is told to write."""
    given = [*node.args, *(one.value for one in node.keywords if one.arg == "mode")]
    modes = [one.value for one in given if isinstance(one, ast.Constant)]
    return any(
        isinstance(mode, str) and len(mode) <= 4 and set(mode) & set("wax") and set(mode) <= _MODE
        for mode in modes
    )


_MODE = frozenset("rwaxbt+")


def _texts(cells: list[Parsed], modules: Mapping[str, str]) -> dict[str, str]:
    """Variables that are a text, for all that can be seen."""
    found_: dict[str, str] = {}
    for cell in cells:
        for node in cell.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found_[name] = _text_of(value, found_, modules)
                case _:
                    pass
    return found_


def _text_of(  # noqa: PLR0911  one case a kind of node
    node: ast.expr, known: Mapping[str, str], modules: Mapping[str, str]
) -> str:
    """The text that an expression is, "" where that is not known; *known* are names that are one.

    `"a/b"`, `f"{folder}/b"`, `folder + "/b"`, `Path(folder) / "b"`, `os.path.join(folder, "b")`.
    """
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return known.get(name, "")
        case ast.FormattedValue(value=value, format_spec=None, conversion=-1):
            return _text_of(value, known, modules)
        case ast.JoinedStr(values=parts):
            return _joined([_text_of(part, known, modules) for part in parts], "")
        case ast.BinOp(op=ast.Add() | ast.Div()):
            first, chain = operations(node, ast.Add, ast.Div)
            text = _text_of(first, known, modules)
            for one in chain:
                between = "/" if isinstance(one.op, ast.Div) else ""
                text = _joined([text, _text_of(one.right, known, modules)], between)
            return text
        case ast.Call(func=func, args=parts) if dotted(func, modules) in _JOINS and parts:
            return _joined([_text_of(part, known, modules) for part in parts], "/")
        case _:
            return ""


def _as_file(text: str) -> str:
    """The path *text* in its shortest form; "" for what is no file of the container."""
    return "" if not text or "://" in text or "\n" in text else posixpath.normpath(text)


def _joined(parts: list[str], between: str) -> str:
    return between.join(parts) if all(parts) else ""


_JOINS = {"os.path.join", "pathlib.Path", "posixpath.join", "str"}


def late_shared_cell(compilation: Compilation) -> Iterator[Diagnostic]:
    """A shared cell below a step, which changes what an earlier shared cell made for that step."""
    for part in compilation.parts:
        above: set[str] = set()
        made: dict[str, ast.AST] = {}
        cells = sorted(
            zip(part.draft.shared, part.flow.by_cell, strict=True), key=lambda one: _number(one[0])
        )
        for cell, events in cells:
            for name, spot in _changed(part.flow, events):
                users = [one.name for one in part.units if _uses_above(part, one, name, cell)]
                if users and name in above and not _same(made.get(name), spot.node, name):
                    see = "see" if users[1:] else "sees"
                    yield found(
                        "late-shared-cell",
                        "this cell runs at the start of every step, so "
                        f"step{'s' if users[1:] else ''} {listed(users)} above it {see} its "
                        f"`{name}`",
                        spot.label(),
                        help="move the cell up, tag it as a part of a step, or take another name",
                    )
            above |= events.binds.keys()
            made |= {name: spot.node for name, spot in events.binds.items()}


def _changed(flow: Dataflow, events: Events) -> Iterator[tuple[str, Spot]]:
    """What a cell binds or mutates."""
    yield from events.binds.items()
    objects = {one for one, how in events.mutated.items() if how >= Certainty.MAY}
    for name in sorted(events.used - events.binds.keys()):
        places = [events.places[one] for one in _objects(flow, name) & objects]
        if places:
            yield name, places[0]


def _objects(flow: Dataflow, name: str) -> set[Obj]:
    """All objects that a variable ever stands for."""
    found_ = set(flow.given.get(name, ()))
    for binding in flow.bindings.get(name, ()):
        found_ |= binding.points
    return found_


def _same(one: ast.AST | None, other: ast.AST, name: str) -> bool:
    """Whether two statements bind *name* by the same import or definition."""
    imports = (ast.Import, ast.ImportFrom)
    definitions = (ast.FunctionDef, ast.ClassDef)
    if isinstance(one, imports) and isinstance(other, imports):
        return _target(one, name) == _target(other, name)
    if isinstance(one, definitions) and isinstance(other, definitions):
        return ast.unparse(one) == ast.unparse(other)
    return False


def _target(node: ast.Import | ast.ImportFrom, name: str) -> str:
    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    return " ".join(
        [
            module,
            *(one.name for one in node.names if name == (one.asname or one.name).split(".")[0]),
        ]
    )


def _uses_above(part: CompiledNotebook, unit: Unit, name: str, cell: Parsed) -> bool:
    used = name in unit.events.uses and name not in unit.ins
    return used and _first_use(part, unit, name) < _number(cell)


def split_step(compilation: Compilation) -> Iterator[Diagnostic]:
    """A step with cells above and below another one, which do not run in that order."""
    for part in compilation.parts:
        for unit in part.units:
            cells = part.draft.cells[unit.name]
            for above, cell, events in zip(cells, cells[1:], unit.by_cell[1:], strict=False):
                for other in _between(part, unit, _number(cells[0]), _number(cell)):
                    yield from _out_of_order(part, unit, other, events, above)


def _between(part: CompiledNotebook, unit: Unit, first: int, last: int) -> list[Unit]:
    """The other steps that have a cell between two numbers."""
    return [
        other
        for other in part.units
        if other is not unit
        and any(first < _number(one) < last for one in part.draft.cells[other.name])
    ]


def _out_of_order(
    part: CompiledNotebook, unit: Unit, between: Unit, events: Events, above: Parsed
) -> Iterator[Diagnostic]:
    """What a later cell of *unit* does out of order, by its *events*."""
    number = part.flow.units.index(unit)
    help_ = f"let the cell be a step of its own, with `prev:{between.name}`, or move it up"
    for name, spot in _changed(part.flow, events):
        if between.ins.get(name) == number and _number(spot.cell) > _first_use(part, between, name):
            yield found(
                "split-step",
                f"step `{between.name}` gets `{name}` from this cell of step `{unit.name}`, which is "
                "below it",
                spot.label(),
                help=help_,
            )
            return
    changes = dict(_changed(part.flow, between.events))
    for name, read in sorted(events.reads.items()):
        changed = changes.get(name)
        if changed is not None:
            waits = unit.before >> part.flow.units.index(between) & 1
            if not waits and _number(above) < _number(changed.cell) < _number(read.cell):
                yield found(
                    "split-step",
                    f"this cell of step `{unit.name}` runs before step `{between.name}`, which "
                    f"is above it and changes `{name}`",
                    read.label(),
                    also=[changed.label("changed here")],
                    help=help_,
                )
                return


def _number(cell: Parsed) -> int:
    return cell.code.cell


def _first_use(part: CompiledNotebook, unit: Unit, name: str) -> int:
    """The cell of the step in which it first uses *name*, its first one where that is not seen."""
    cells = part.draft.cells[unit.name]
    for cell in cells:
        if any(isinstance(one, ast.Name) and one.id == name for one in part.nodes(cell)):
            return _number(cell)
    return _number(cells[0]) if cells else 0


def skipped_change(compilation: Compilation) -> Iterator[Diagnostic]:
    """A cell tagged `skip` that changes what a step below it uses."""
    for part in compilation.parts:
        for number in part.draft.outline.shared.get("skip", ()):
            try:
                source = part.draft.notebook.source(number)
                cell = read_code(part.draft.notebook.name, number, source)
            except UserError:
                continue
            first = part.flow.first_below(number)
            if first < len(part.flow.units):
                yield from _skipped(part.flow, cell, first)


def _skipped(flow: Dataflow, cell: Parsed, first: int) -> Iterator[Diagnostic]:
    """What *cell* changes for the unit *first* and those after it."""
    entries = {name: flow.entry(name, first) for name in {*flow.bindings, *flow.given}}
    values = {name: entry.points for name, entry in entries.items() if entry is not None}
    (events,) = flow.run.run([cell], Names(values))
    kept = read_facts([cell]).imports.keys() | {  # equal modules, and what is only a default
        name
        for node in ast.walk(cell.tree)
        if isinstance(node, ast.If)
        for name in guarded_names(node.test, holds=False)
    }
    changed = {one for one, level in events.mutated.items() if level >= Certainty.MAY}
    for name in sorted(values):
        mutated = changed & flow.reach(values[name], first, Sight.ALL)
        bound = name in events.binds and name not in kept
        for number in range(first, len(flow.units)) if bound or mutated else ():
            unit = flow.units[number]
            entry, read = flow.entry(name, number), unit.events.uses.get(name)
            if entry is None or entry.binders >> first:
                break  # another step binds it in between
            spot = events.binds[name] if bound else first_place(events, mutated)
            if read is not None and spot is not None:
                yield found(
                    "skipped-change",
                    f"the cell is tagged `skip`, but it {'assigns' if bound else 'changes'} `{name}`, "
                    f"which step `{unit.name}` uses",
                    spot.label(),
                    also=[read.spot.label("used here")],
                    help="make the cell a part of a step, or let it use another variable",
                )
                break


LINTS = (
    redundant_prev,
    missing_prev,
    unshared_file,
    late_shared_cell,
    split_step,
    skipped_change,
)
