"""Find the cells that a patch identifies, wherever they are now."""

from collections.abc import Mapping
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, warning
from kale_tag.notebook.model import Notebook, first_line
from kale_tag.plan.read_patch import Operation, Patch, cell_of


@dataclass(frozen=True, slots=True)
class Stale(Exception):  # noqa: N818  not an error of the program; becomes a `UserError`
    """An operation that does not fit the notebook any more."""

    operation: Operation
    message: str
    remark: str  # the present value or cell
    note: str = ""  # where the cell is now
    movable: bool = False  # whether `--reanchor` would find it


class Anchors:
    """The cells of a patch, each with the `test` operations that identify it."""

    def __init__(self, patch: Patch, notebook: Notebook) -> None:
        """Collect the guards of *patch*, and the ids and sources of *notebook*."""
        self.notebook = notebook
        self.guards: dict[int, list[Operation]] = {}
        changed: dict[int, Operation] = {}
        for one in patch.operations:
            if one.identifies and one.cell is not None:
                self.guards.setdefault(one.cell, []).append(one)
            for cell in map(cell_of, one.written):
                if cell is not None:
                    changed.setdefault(cell, one)
        self.unguarded = {cell: one for cell, one in changed.items() if cell not in self.guards}
        self.by_key: dict[tuple[str, object], list[int]] = {}
        for index in range(len(notebook.types)):
            for key in (("id", notebook.id_of(index)), ("source", notebook.source(index))):
                self.by_key.setdefault(key, []).append(index)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """A warning for cells that the patch changes without identifying them."""
        if not self.unguarded:
            return ()
        cells = ", ".join(map(str, sorted(self.unguarded)))
        return (
            warning(
                "unguarded",
                f"the patch does not test which cell it changes (cell {cells})",
                next(iter(self.unguarded.values())).label,
                help="a patch of `kale-tag plan` tests the id or the source of each cell",
            ),
        )

    def find(self, *, reanchor: bool) -> tuple[dict[int, int], list[Stale]]:
        """For each cell of the patch its present number; the cells that cannot be found."""
        where: dict[int, int] = {}
        stale: list[Stale] = []
        for cell, guards in sorted(self.guards.items()):
            found = self._find(cell, guards, reanchor=reanchor)
            if isinstance(found, Stale):
                stale.append(found)
            else:
                where[cell] = found
        stale += self._confused(where)
        if any(old != new for old, new in where.items()):
            stale += (
                Stale(one, f"cell {cell} may be another one", "other cells have moved")
                for cell, one in self.unguarded.items()
            )
        return where, stale

    def _find(self, cell: int, guards: list[Operation], *, reanchor: bool) -> "int | Stale":
        """The number of one cell now, by its id if that is tested, else by its source."""
        first, *others = sorted(guards, key=lambda one: one.path[-1] != "id")
        candidates = self.by_key.get(_key(first), [])
        alone = len(candidates) == 1 and str(_key(first)[1]).strip() != ""
        if cell in candidates:
            now = cell
        elif reanchor and alone:
            (now,) = candidates
        else:
            return self._elsewhere(cell, first, candidates, movable=alone)
        for other in others:
            if now not in self.by_key.get(_key(other), []):
                line = f"it is now `{first_line(self.notebook.source(now))}`"
                return Stale(other, f"cell {cell} has another source", line)
        return now

    def _elsewhere(
        self, cell: int, guard: Operation, candidates: list[int], *, movable: bool
    ) -> Stale:
        note = f"no cell has its {guard.path[-1]}"
        if movable:
            note = f"it is cell {candidates[0]} now"
        elif candidates:
            note = f"it may be any of the cells {', '.join(map(str, candidates[:9]))} now"
        return Stale(guard, *self._there(cell, guard), note, movable)

    def _there(self, cell: int, guard: Operation) -> tuple[str, str]:
        count = len(self.notebook.types)
        if cell >= count:
            has = "one cell, 0" if count == 1 else f"{count} cells, counted from 0"
            return f"there is no cell {cell}", f"it has {has}"
        line = f"cell {cell} is now `{first_line(self.notebook.source(cell))}`"
        if guard.path[-1] == "id":
            name = self.notebook.id_of(cell)
            line += f", id `{name}`" if name else ", without an id"
        return f"cell {cell} is another one", line

    def _confused(self, where: Mapping[int, int]) -> list[Stale]:
        """Cells whose id or source another cell shares that the patch does not know."""
        stale = []
        taken: dict[int, int] = {}
        known = {*where.values()}
        for cell, now in where.items():
            guard = min(self.guards[cell], key=lambda one: one.path[-1] != "id")
            if now in taken:
                message = f"cells {taken[now]} and {cell} cannot be distinguished"
                stale.append(Stale(guard, message, f"both would be cell {now}"))
            taken[now] = cell
            if others := [x for x in self.by_key[_key(guard)] if x not in known]:
                message = f"cell {cell} is no longer the only one with its {guard.path[-1]}"
                stale.append(Stale(guard, message, f"cell {others[0]} has it too"))
        return stale


def _key(guard: Operation) -> tuple[str, object]:
    """The id or source that a guard tests; a source as one text."""
    value = guard.value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    return guard.path[-1], value if isinstance(value, str) else repr(value)
