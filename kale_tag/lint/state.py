"""Lints of what shared cells make, which each step has for itself."""

import ast
from collections.abc import Iterator

from kale_tag.analysis.facts import dotted
from kale_tag.analysis.library import words
from kale_tag.diagnostics import Diagnostic, listed
from kale_tag.lint.context import Compilation, CompiledNotebook
from kale_tag.rules.registry import found

FRESH = words(
    "datetime.date.today datetime.datetime.now datetime.datetime.today datetime.datetime.utcnow"
    " os.getpid os.urandom tempfile.mkdtemp tempfile.mkstemp time.perf_counter time.time"
    " time.time_ns uuid.uuid1 uuid.uuid4"
)
"""What gives another value each time, as do all of `random` and `secrets`."""


def shared_state(compilation: Compilation) -> Iterator[Diagnostic]:
    """What a shared cell makes for the whole notebook, and each step makes again."""
    for part in compilation.parts:
        yield from _made_again(part)


def _made_again(part: CompiledNotebook) -> Iterator[Diagnostic]:
    """Variables of shared cells that have another value in every step."""
    for cell in part.draft.shared:
        for node in cell.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                    path = dotted(call.func, part.flow.modules)
                case _:
                    continue
            users = [
                unit.name
                for unit in part.units
                if name in unit.events.uses and name not in unit.ins
            ]
            fresh = path in FRESH or path.startswith(("secrets.", "numpy.random.", "random."))
            made = path in {"numpy.random.default_rng", "numpy.random.RandomState", "random.Random"}
            if len(users) > 1 and fresh and not made:
                yield found(
                    "shared-state",
                    f"`{name}` has another value in each of the steps {listed(users)}: a shared "
                    "cell runs at the start of every step",
                    cell.place(node),
                    help="make it in a step, which passes it on",
                )


LINTS = (shared_state,)
