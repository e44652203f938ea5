"""The shared cells as each step runs them: without the imports and definitions of other steps.

A step that ran the imports of all others would need all their packages. So an import, a function or
a class of a shared cell is left out of a step that has no use for it, if another has. What nobody
names stays everywhere: it may be imported for what it does.
"""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from kale_tag.analysis.dataflow import Dataflow
from kale_tag.analysis.heap import Obj, Sight, Slot
from kale_tag.code.facts import Facts, Import
from kale_tag.code.ipython import literal
from kale_tag.code.source import Parsed
from kale_tag.code.syntax import bound_by, last_name, names_in, words
from kale_tag.kale.pipeline import STATE, Code


@dataclass(frozen=True, slots=True)
class Part:
    """An import or definition at the top of a shared cell, on lines of its own."""

    cell: Parsed
    names: frozenset[str]  # that it binds
    reads: frozenset[str]  # all that stand in it
    at_once: frozenset[str]  # those that it needs when it is run, not only when it is called
    first: int  # line, counted from 1
    last: int
    node: ast.stmt

    def holds(self, one: Import) -> bool:
        """Whether an import stands in this part."""
        line = getattr(one.spot.node, "lineno", 0)
        return one.spot.cell is self.cell and self.first <= line <= self.last


def parts_of(cells: Sequence[Parsed]) -> list[Part]:
    """What of *cells* can be left out without a trace, each with lines of its own."""
    found = []
    for cell in cells:
        lines: dict[int, int] = {}
        for node in cell.tree.body:
            for line in range(_first(node), (node.end_lineno or 0) + 1):
                lines[line] = lines.get(line, 0) + 1
        for node in cell.tree.body:
            names = _names(node)
            first, last = _first(node), node.end_lineno or 0
            if names and all(lines[line] == 1 for line in range(first, last + 1)):
                reads = frozenset(names_in(node))
                found.append(Part(cell, names, reads, _at_once(node) & reads, first, last, node))
    return found


def fixed_names(cells: Sequence[Parsed], parts: Sequence[Part]) -> set[str]:
    """The names in what no step can leave out."""
    parted = {(part.cell, part.first) for part in parts}
    return {
        name
        for cell in cells
        for node in cell.tree.body
        if (cell, _first(node)) not in parted
        for name in names_in(node)
    }


def attributes(cells: Sequence[Parsed]) -> dict[tuple[Parsed, int], frozenset[str]]:
    """The attributes and options in each statement of *cells*: by cell and first line.

    Attributes are methods above all; an option is an argument by name, `as_frame=`, but for False.
    """
    found: dict[tuple[Parsed, int], frozenset[str]] = {}
    for cell in cells:
        for node in cell.tree.body:
            names = set()
            for one in ast.walk(node):
                if isinstance(one, ast.Attribute):
                    names.add(one.attr)
                elif isinstance(one, ast.keyword) and getattr(one.value, "value", 0) is not False:
                    names.add(f"{one.arg}=")
            place = cell, _first(node)
            found[place] = found.get(place, frozenset()) | names
    return found


def _at_once(node: ast.stmt) -> frozenset[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        returns = names_in(node.returns) if node.returns else ()
        wrapped = (name for one in node.decorator_list for name in names_in(one))
        return frozenset((*names_in(node.args), *returns, *wrapped))
    return frozenset(names_in(node))


def _first(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _names(node: ast.stmt) -> frozenset[str]:
    match node:
        case ast.ImportFrom(module="__future__") | ast.ImportFrom(names=[ast.alias("*")]):
            return frozenset()
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return frozenset(map(bound_by, names))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            pure = all(map(_only_wraps, node.decorator_list)) and not getattr(node, "keywords", ())
            return frozenset([name] if pure else ())
        case _:
            return frozenset()


def _only_wraps(decorator: ast.expr) -> bool:
    """Whether a decorator does nothing but change what it is given."""
    func = decorator.func if isinstance(decorator, ast.Call) else decorator
    return last_name(func) in _WRAPPERS


_WRAPPERS = words("cache dataclass jit lru_cache njit total_ordering")


def closure(shared: Facts, parts: Sequence[Part], names: Collection[str]) -> set[str]:
    """*names*, and all names that the shared definitions of them use."""
    by_name = {name: part for part in parts for name in part.names}
    found, todo = set(names), list(names)
    while todo:
        name = todo.pop()
        more = set(by_name[name].reads) if name in by_name else set()
        more |= shared.mentions.get(name, set())
        more -= found
        todo += more
        found |= more
    return found


def without(code: Code, left_out: Sequence[Part]) -> Code:
    """The code of a cell with the lines of the parts blank."""
    lines = code.python.split("\n")
    for part in left_out:
        for number in range(part.first - 1, part.last):
            lines[number] = ""
    return replace(code, python="\n".join(lines))


def only(cell: Parsed, statements: Sequence[ast.stmt]) -> Code:
    """The code of a cell with nothing but these statements of it, for a step to repeat."""
    lines = cell.code.python.split("\n")
    kept = {
        number
        for node in statements
        for number in range(_first(node) - 1, node.end_lineno or node.lineno)
    }
    for number in range(len(lines)):
        if number not in kept:
            lines[number] = ""
    parts: dict[int, list[str]] = {}  # of a line with more than one statement, those
    for node in statements:
        if node in cell.inlined:
            text = ast.unparse(node)
            text = f"exec({literal(text)})" if "\n" in text else text
        elif _first(node) == node.end_lineno:
            whole = cell.code.python.split("\n")[node.lineno - 1].encode()
            text = whole[node.col_offset : node.end_col_offset].decode()
        else:
            continue
        parts.setdefault(node.lineno - 1, []).append(text)
    for number, texts in parts.items():
        lines[number] = "; ".join(texts)
    return replace(cell.code, python="\n".join(lines[: max(kept) + 1]), kind="step")


class Provenance:
    """The modules and shared definitions that stand in the code that made each variable."""

    def __init__(self, flow: Dataflow) -> None:
        """Start with nothing looked up."""
        self.flow = flow
        self.wanted = flow.modules.keys() | flow.given.keys()
        self.known: dict[tuple[int, str], frozenset[str]] = {}

    def of_inputs(self, number: int) -> set[str]:
        """What the unit of that number needs to read what it takes."""
        found: set[str] = set()
        for name, producer in self.flow.units[number].ins.items():
            if producer >= 0:
                files = self.flow.units[producer].together
                for one in next((names for names in files if name in names), {name}):
                    found |= self._of(producer, one) | self._definitions(producer, one)
        return found

    def _definitions(self, number: int, name: str) -> set[str]:
        """The classes and functions of shared cells that a value refers to by their names."""
        flow = self.flow
        entry = flow.entry(name, number + 1)
        if entry is None:
            return set()
        reached = flow.reach(entry.points, number + 1, Sight.ALL)
        return {flow.run.definitions[one] for one in reached if one in flow.run.definitions}

    def _of(self, number: int, name: str) -> frozenset[str]:
        key = (number, name)
        if key not in self.known:
            self._settle(key)
        return self.known[key]

    def _settle(self, first: tuple[int, str]) -> None:
        # A stack of our own: a chain of steps may be longer than Python's.
        todo = [first]
        while todo:
            number, name = todo[-1]
            own, before = self._in_unit(number, name)
            if waiting := [key for key in before if key not in self.known]:
                todo += waiting
                continue
            self.known[todo.pop()] = frozenset(own.union(*(self.known[key] for key in before)))

    def _in_unit(self, number: int, name: str) -> tuple[set[str], list[tuple[int, str]]]:
        """What one unit makes a variable with: names, and variables that it takes."""
        unit = self.flow.units[number]
        seen, todo = {name}, [name]
        while todo:
            one = todo.pop()
            mentioned = unit.facts.mentions.get(one)
            if mentioned is None:
                mentioned = unit.events.used if one in unit.events.binds else set()
            more = mentioned - seen
            seen |= more
            todo += more
        before = [(unit.ins[one], one) for one in sorted(seen) if unit.ins.get(one, -1) >= 0]
        return {one for one in seen if one in self.wanted}, before


def gives_code(flow: Dataflow, number: int) -> bool:
    """Whether the unit gives or takes functions or classes that a step defines."""
    shared = flow.run.definitions
    return any(one not in shared for one in _definitions_passed(flow, number))


def passes_definitions(flow: Dataflow, number: int) -> bool:
    """Whether the unit gives or takes what may hold functions or classes of any cell.

    That an instance is of a class of the shared cells does not count.
    """
    unit = flow.units[number]
    names = unit.outs | unit.ins.keys()
    if flow.is_dynamic:
        return bool(names)
    # An option can be a function.
    return f"{STATE}options" in names or any(True for _ in _definitions_passed(flow, number))


def _definitions_passed(flow: Dataflow, number: int) -> Iterator[Obj]:
    """Functions and classes in the files that a unit reads and writes; of shared ones no more."""
    unit = flow.units[number]
    shared = flow.run.definitions
    seen: set[Obj] = set()
    todo: list[Obj] = []
    names = dict.fromkeys(sorted(unit.outs), number + 1)
    for name, producer in sorted(unit.ins.items()):
        files = flow.units[producer].together if producer >= 0 else []
        for other in sorted(next((file for file in files if name in file), {name})):
            names.setdefault(other, number)
    for name, at in names.items():
        entry = flow.entry(name, at)
        todo += entry.points if entry is not None else ()
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        held = one.contents
        if one.kind in {"function", "class"}:
            yield one
            held = held if one not in shared else set()
        elif one.kind == "instance":
            held = held - {kind for kind in one.fields.get(Slot.CLASS, ()) if kind in shared}
        todo += held
