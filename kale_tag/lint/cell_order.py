"""Lints of where cells stand: what a pipeline runs in another order than the notebook."""

import ast
from collections.abc import Iterable, Iterator
from itertools import pairwise

from kale_tag.analysis.calls import Change
from kale_tag.analysis.effects import Callables
from kale_tag.analysis.flow import read_block
from kale_tag.analysis.model import Block, Spot
from kale_tag.analysis.source import Parsed
from kale_tag.analysis.units import Unit
from kale_tag.diagnostics import Diagnostic, listed
from kale_tag.lint.context import Compilation, CompiledNotebook
from kale_tag.rules.registry import found


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
                        f"this cell runs in front of every step, so that {why}",
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
            return f"step `{users[0]}`, which stands above, sees its `{name}`"
        return f"steps {listed(users)}, above, see its `{name}`" if users else ""
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
                f"step `{between.name}` takes `{name}` as this cell of step `{unit.name}` leaves "
                "it, which stands below",
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
                    f"stands above and changes `{name}`",
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
        f"step `{unit.name}` takes `{name}` {origin}, and does not wait for step `{changer}`, "
        "which stands above and changes it",
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


LINTS = (late_shared_cell, split_step, missed_change)
