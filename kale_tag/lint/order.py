"""Rules of the order of steps and cells: dependencies, files, and what runs in another order."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from kale_tag.analysis.calls import Change, words
from kale_tag.analysis.effects import Callables
from kale_tag.analysis.flow import read_block
from kale_tag.analysis.model import Block, Spot
from kale_tag.analysis.paths import as_file, dotted, text_of
from kale_tag.analysis.source import Parsed
from kale_tag.analysis.units import Unit
from kale_tag.diagnostics import Diagnostic, Label, listed
from kale_tag.lint.context import Compilation, CompiledNotebook
from kale_tag.rules.registry import found

WRITERS = words(
    "dump export imsave savefig save savetxt savez savez_compressed save_model save_pretrained"
    " save_weights to_csv to_excel to_feather to_hdf to_json to_parquet to_pickle urlretrieve"
    " write_bytes write_text"
)
READERS = words(
    "fromfile genfromtxt imread load load_model load_weights loadtxt open read_bytes read_csv"
    " read_excel read_feather read_hdf read_json read_parquet read_pickle read_table read_text"
)
"""The last part of the names of functions and methods that write or read a file they are told."""

OF_PATHS = words("read_bytes read_text rename stat unlink write_bytes write_text")
"""Methods of a path, which is the file."""

CONSUMERS = words(
    "os.path.getsize os.remove os.rename os.replace os.stat os.unlink"
    " shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move shutil.rmtree"
    " shutil.unpack_archive"
)
"""Functions that need the file that they are given first."""

MOVERS = words("copy copy2 copyfile copytree move rename replace")
"""The last part of the names of those that write the one that they are given second."""


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
    steps = {name: _files(part, cells) for name, cells in part.draft.cells.items()}
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


def _files(part: CompiledNotebook, cells: list[Parsed]) -> _Files:
    found_ = _Files()
    modules = part.flow.modules
    known = {one.name: one.default for one in part.draft.parameters if isinstance(one.default, str)}
    known |= _texts(part.draft.shared, modules)
    for others in part.draft.cells.values():  # a step before may give the name of a folder
        known |= _texts(others, modules)
    known |= _texts(cells, modules)
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
    if path in CONSUMERS:
        for number, one in enumerate(node.args[: 2 if name in MOVERS else 1]):
            if taken := as_file(text_of(one, known, modules)):
                (files.writes if number else files.reads).setdefault(taken, cell.place(node))
        return
    if name not in WRITERS | READERS | OF_PATHS:
        return
    if holder is not None and name in OF_PATHS:
        where = [holder]
    elif name in {"open", "dump"} and holder is not None and dotted(holder, modules) not in modules:
        where = [*node.args[:2], holder]
    else:
        where = [*node.args[:2], *(one.value for one in node.keywords if one.arg in _PATHS)]
    path = next((path for one in where if (path := as_file(text_of(one, known, modules)))), "")
    if path:
        writes = name in WRITERS or (name == "open" and _writes(node))
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
                    found_[name] = text_of(value, found_, modules)
                case _:
                    pass
    return found_


def late_shared_cell(compilation: Compilation) -> Iterator[Diagnostic]:
    """An `imports` or `functions` cell below a step, which changes what that step sees."""
    for part in compilation.parts:
        if not _any_below(part):
            continue
        above: list[Block] = []
        for cell in sorted(part.draft.shared, key=_number):
            block = read_block([cell], part.flow.modules)
            for name, spot in _changed(block):
                why = _seen(part, cell, name, above, block)
                if why:
                    yield found(
                        "late-shared-cell",
                        f"this cell runs at the start of every step, so {why}",
                        spot.label(),
                        help="move the cell up, tag it as a part of a step, or take another name",
                    )
            above.append(block)


def _any_below(part: CompiledNotebook) -> bool:
    """Whether a shared cell stands below the first cell of a step."""
    last = max(map(_number, part.draft.shared), default=-1)
    return any(_number(cells[0]) < last for cells in part.draft.cells.values() if cells)


def _changed(block: Block) -> Iterator[tuple[str, Spot]]:
    """What a cell binds or, by a method that is known to, changes."""
    yield from block.binds.items()
    for name, change in Callables([block]).changes(block.effects).items():
        if name not in block.binds and change > Change.MAYBE and name in block.touches:
            yield name, block.touches[name]


def _seen(
    part: CompiledNotebook, cell: Parsed, name: str, above: Iterable[Block], own: Block
) -> str:
    """Which steps see another value of *name* than in the notebook, in words; "" for none."""
    at, units = _number(cell), part.flow.units
    if any(name in one.binds and not _same(name, one, own) for one in above):
        users = [unit.name for unit in part.units if _uses_above(part, unit, name, at)]
        if len(users) == 1:
            return f"step `{users[0]}` above it sees its `{name}`"
        return f"steps {listed(users)} above it see its `{name}`" if users else ""
    for unit in part.units:
        producer = unit.ins.get(name, -1)
        spot = units[producer].binds.get(name) if producer >= 0 else None
        if spot is not None and _number(spot.cell) < at < _first_use(part, unit, name):
            return (
                f"step `{unit.name}` has `{name}` from step `{units[producer].name}`, not from here"
            )
    return ""


def _same(name: str, one: Block, other: Block) -> bool:
    """Whether two blocks bind *name* by the same import or definition."""
    imports = [{made.target for made in block.imports.get(name, ())} for block in (one, other)]
    if any(imports):
        return imports[0] == imports[1]
    nodes = [block.binds[name].node if name in block.binds else None for block in (one, other)]
    if not all(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in nodes):
        return False
    return len({ast.unparse(node) for node in nodes if node is not None}) == 1


def _uses_above(part: CompiledNotebook, unit: Unit, name: str, at: int) -> bool:
    return name in unit.used and name not in unit.ins and _first_use(part, unit, name) < at


def split_step(compilation: Compilation) -> Iterator[Diagnostic]:
    """A step with cells above and below another one, which do not run in that order."""
    for part in compilation.parts:
        for unit in part.units:
            cells = part.draft.cells[unit.name]
            for above, cell in pairwise(cells):
                if between := _between(part, unit, _number(cells[0]), _number(cell)):
                    block = read_block([cell], part.flow.modules)
                    for other in between:
                        yield from _out_of_order(part, unit, other, block, above)


def _between(part: CompiledNotebook, unit: Unit, first: int, last: int) -> list[Unit]:
    """The other steps that have a cell between two numbers."""
    return [
        other
        for other in part.units
        if other is not unit
        and any(first < _number(one) < last for one in part.draft.cells[other.name])
    ]


def _out_of_order(
    part: CompiledNotebook, unit: Unit, between: Unit, block: Block, above: Parsed
) -> Iterator[Diagnostic]:
    """What the later cell of *unit* does out of order, by its *block*."""
    number = part.flow.units.index(unit)
    help_ = f"let the cell be a step of its own, with `prev:{between.name}`, or move it up"
    for name, spot in _changed(block):
        if between.ins.get(name) == number and _number(spot.cell) > _first_use(part, between, name):
            yield found(
                "split-step",
                f"step `{between.name}` gets `{name}` from this cell of step `{unit.name}`, which is "
                "below it",
                spot.label(),
                help=help_,
            )
            return
    changes = between.changes
    for name, read in block.reads.items():
        changed = _where(between, name)
        if changes.get(name, Change.NONE) > Change.MAYBE and changed is not None:
            waits = unit.before >> part.flow.units.index(between) & 1
            if not waits and _number(above) < _number(changed.cell) < _number(read.spot.cell):
                yield found(
                    "split-step",
                    f"this cell of step `{unit.name}` runs before step `{between.name}`, which "
                    f"is above it and changes `{name}`",
                    read.spot.label(),
                    also=[changed.label("changed here")],
                    help=help_,
                )
                return


def missed_change(compilation: Compilation) -> Iterator[Diagnostic]:
    """A variable that a step above has changed, and that a step uses without waiting for it."""
    for part in compilation.parts:
        units = part.flow.units
        if any(unit.inner is not None for unit in units):
            continue
        for unit in units:
            shared = unit.block.reads.keys() & part.flow.shared.values.keys()
            for name in sorted(unit.ins.keys() | unit.parameters | shared):
                is_definition = name in shared and part.flow.shared.values[name].bodies
                at = _first_use(part, unit, name)
                above = {
                    number: spot
                    for number, other in enumerate(units)
                    if other is not unit
                    and other.changes.get(name, Change.NONE) > Change.MAYBE
                    and (name in other.binds or not is_definition)
                    and (spot := _where(other, name)) is not None
                    and _number(spot.cell) < at
                }
                last = max(above, key=lambda one: _number(above[one].cell), default=None)
                if last is not None and last != unit.ins.get(name) and not unit.before >> last & 1:
                    yield _missed(part, unit, name, units[last].name, above[last])


def _missed(part: CompiledNotebook, unit: Unit, name: str, changer: str, spot: Spot) -> Diagnostic:
    producer = unit.ins.get(name, -1)
    origin = "as the parameter" if name in unit.parameters else "from a shared cell"
    origin = f"from step `{part.flow.units[producer].name}`" if producer >= 0 else origin
    read = unit.block.reads.get(name)
    place = spot.label("changed here")
    return found(
        "missed-change",
        f"step `{unit.name}` gets `{name}` {origin}, but does not depend on step `{changer}` "
        "above it, which changes it",
        place if read is None else read.spot.label(),
        also=[] if read is None else [place],
        help=f"add `prev: {changer}` to `{unit.name}`, or give one of the two another name",
    )


def _number(cell: Parsed) -> int:
    return cell.code.cell


def _where(unit: Unit, name: str) -> Spot | None:
    return unit.block.binds.get(name) or unit.block.touches.get(name)


def _first_use(part: CompiledNotebook, unit: Unit, name: str) -> int:
    """The cell of the step in which it first uses *name*, its first one where that is not seen."""
    cells = part.draft.cells[unit.name]
    for cell in cells:
        if any(isinstance(one, ast.Name) and one.id == name for one in part.nodes(cell)):
            return _number(cell)
    return _number(cells[0]) if cells else 0


LINTS = (redundant_prev, missing_prev, unshared_file, late_shared_cell, split_step, missed_change)
