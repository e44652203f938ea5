"""Lints of state that no variable holds: of the process, and of what shared cells make."""

import ast
from collections.abc import Iterator, Sequence

from kale_tag.analysis import calls
from kale_tag.analysis.calls import Change
from kale_tag.analysis.paths import dotted
from kale_tag.analysis.process_state import depends, in_words, settings
from kale_tag.analysis.units import Unit
from kale_tag.diagnostics import Diagnostic, Label, listed
from kale_tag.lint.context import Compilation, CompiledNotebook
from kale_tag.rules.registry import found

FRESH = calls.words(
    "datetime.date.today datetime.datetime.now datetime.datetime.today datetime.datetime.utcnow"
    " object os.getpid os.urandom tempfile.mkdtemp tempfile.mkstemp time.perf_counter time.time"
    " time.time_ns uuid.uuid1 uuid.uuid4"
)
"""What gives another value each time, as do all of `random` and `secrets`."""


def lost_state(compilation: Compilation) -> Iterator[Diagnostic]:
    """A step that sets what is not a variable, and that another step depends on."""
    for part in compilation.parts:
        modules = part.flow.modules
        shared = {
            state
            for cell in part.draft.shared
            for node in part.nodes(cell)
            for state in settings(node, modules)
        }
        every = {unit.name: _Set(part, unit) for unit in part.units}
        for name, own in every.items():
            for state, labels in own.places.items():
                users = [
                    other
                    for other, one in every.items()
                    if other != name and state not in one.places and own.is_above(one, state)
                ]
                if users and state not in shared:
                    yield found(
                        "lost-state",
                        f"step `{name}` sets {in_words(state)}, and {_lost(users)}",
                        labels[0],
                        also=labels[1:5],
                        help="put it into an `imports` cell, which runs at the start of every step",
                    )


def _lost(users: Sequence[str]) -> str:
    if len(users) > 1:
        return f"steps {listed(users)}, which depend on it, run in processes of their own"
    return f"step `{users[0]}`, which depends on it, runs in a process of its own"


class _Set:
    """What a step sets of the state of its process, where, and what it does itself."""

    def __init__(self, part: CompiledNotebook, unit: Unit) -> None:
        """Look at the cells of the step, and at the shared functions that it may run."""
        self.part = part
        self.cells = part.draft.cells[unit.name]
        self.places: dict[str, list[Label]] = {}
        self.first: dict[str, int] = {}
        for cell in self.cells:
            for node in part.nodes(cell):
                for state in settings(node, part.flow.modules):
                    self.places.setdefault(state, []).append(cell.place(node))
                    self.first.setdefault(state, cell.code.cell)
        self.functions = [
            node
            for cell in part.draft.shared
            for node in cell.tree.body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in unit.used
        ]

    def is_above(self, other: "_Set", state: str) -> bool:
        """Whether *other* depends, in a cell below, on what this step sets."""
        modules = self.part.flow.modules
        below = [cell for cell in other.cells if cell.code.cell > self.first[state]]
        nodes = [node for cell in below for node in self.part.nodes(cell)]
        if below:
            nodes += [node for one in other.functions for node in ast.walk(one)]
        return depends(state, nodes, modules) is not None


def shared_state(compilation: Compilation) -> Iterator[Diagnostic]:
    """What a shared cell makes for the whole notebook, and each step makes again."""
    for part in compilation.parts:
        yield from _made_again(part)
        yield from _kept_defaults(part)
        yield from _changed_definitions(part)


def _made_again(part: CompiledNotebook) -> Iterator[Diagnostic]:
    """Variables of shared cells that have another value, or start again, in every step."""
    for cell in part.draft.shared:
        for node in cell.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                    path = dotted(call.func, part.flow.modules)
                case _:
                    continue
            users = _users(part, name)
            fresh = path in FRESH or path.startswith(("secrets.", "numpy.random.", "random."))
            moves = calls.is_volatile(path) and path != "collections.defaultdict"
            if path in part.flow.shared.functions and path not in part.flow.shared.special:
                moves = part.flow.callables.is_volatile(name)  # a closure, or a generator
            if len(users) > 1 and (fresh or moves):
                why = "starts again" if moves else "has another value"
                yield found(
                    "shared-state",
                    f"`{name}` {why} in each of the steps {listed(users)}: a shared cell runs "
                    "at the start of every step",
                    cell.place(node),
                    help="make it in a step, which hands it on",
                )


def _kept_defaults(part: CompiledNotebook) -> Iterator[Diagnostic]:
    """Shared functions that keep things in a default value: `def add(x, rows=[])`."""
    for cell in part.draft.shared:
        for node in cell.tree.body:
            if not isinstance(node, ast.FunctionDef) or not node.args.defaults:
                continue
            defaults = [*zip(reversed(node.args.args), reversed(node.args.defaults), strict=False)]
            users = _users(part, node.name)
            for body in part.flow.shared.functions.get(node.name, ()):
                changes = part.flow.callables.of_body(body)
                kept = [
                    one.arg
                    for one, value in defaults
                    if isinstance(value, (ast.Dict, ast.List, ast.Set))
                    and changes.get(body.keywords.get(one.arg, ""), Change.NONE) > Change.MAYBE
                ]
                if kept and len(users) > 1:
                    yield found(
                        "shared-state",
                        f"the default of `{kept[0]}` starts again in each of the steps "
                        f"{listed(users)}, and `{node.name}` changes it",
                        cell.place(node),
                        help="give it as an argument, which a step makes and hands on",
                    )


def _users(part: CompiledNotebook, name: str) -> Sequence[str]:
    """The steps that use a variable of the shared cells."""
    return [unit.name for unit in part.units if name in unit.used and name not in unit.ins]


def _changed_definitions(part: CompiledNotebook) -> Iterator[Diagnostic]:
    """Steps that change a shared class or function, which later ones have as it was."""
    shared = part.flow.shared
    for number, unit in enumerate(part.flow.units):
        for name in sorted(shared.functions.keys() | shared.special.keys()):
            changed = unit.changes.get(name, Change.NONE) > Change.MAYBE and name not in unit.binds
            read = unit.block.reads.get(name)
            bodies = shared.values[name].bodies if name in shared.values else []
            users = [
                other.name
                for other in part.flow.units
                if other.before >> number & 1
                and other.inner is None
                and (name in other.used or any(body in other.ran for body in bodies))
            ]
            if changed and users and read is not None:
                spot = unit.block.touches.get(name, read.spot)
                yield found(
                    "shared-state",
                    f"step `{unit.name}` changes `{name}` of a shared cell, and step"
                    f"{'s' if users[1:] else ''} {listed(users)} {'have' if users[1:] else 'has'} "
                    "it as it was",
                    spot.label(),
                    help="let a variable hold what changes, which a step hands on",
                )


LINTS = (lost_state, shared_state)
