"""Lints of variables and parameters: who defines them, and who uses them."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping

from kale_tag.analysis import library
from kale_tag.code import distributions
from kale_tag.code.facts import Import, dotted
from kale_tag.code.source import Parsed, Spot
from kale_tag.compiler.requirements import distribution
from kale_tag.diagnostics import Diagnostic, Label, listed
from kale_tag.kale.pipeline import Parameter, SubPipeline
from kale_tag.lint.context import Compilation, CompiledNotebook
from kale_tag.rules.registry import found

SHOWN = 5
"""Variables that one finding names."""


def unused_variable(compilation: Compilation) -> Iterator[Diagnostic]:
    """A variable that a step computes and that nothing in the notebook ever uses."""
    if not compilation.parts or any(_is_open(part) for part in compilation.parts):
        return
    used = {name for part in compilation.parts for name in _used(part)}
    for part in compilation.parts:
        unread = _not_run(part)
        for name, cells in part.draft.cells.items():
            lost = {
                variable: label
                for variable, label in _assigned(cells, part.flow.modules)
                if variable not in used and not re.search(rf"\b{variable}\b", unread)
            }
            if lost:
                yield _lost(name, lost)
        yield from _unused_imports(part, used)


def _lost(step: str, lost: dict[str, Label]) -> Diagnostic:
    names = [f"`{name}`" for name in lost]
    listed = ", ".join(names[:SHOWN])
    listed += f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    labels = list(lost.values())
    return found(
        "unused-variable",
        f"step `{step}` computes {listed}, and nothing uses {'them' if names[1:] else 'it'}",
        labels[0],
        also=labels[1:SHOWN],
        help="use it, save it, or take it out",
    )


def _unused_imports(part: CompiledNotebook, used: Collection[str]) -> Iterator[Diagnostic]:
    """Imports of shared cells that nothing uses, and whose packages the steps install."""
    installed = {package for _, step in part.steps for package in step.packages}
    hidden = (*distributions.companions(), *distributions.needed())  # uses without an import
    needed = {other for one, other in hidden if one.partition(".")[0] in installed}
    cells = [*part.draft.shared, *(one for own in part.draft.cells.values() for one in own)]
    nodes = [node for cell in cells for node in part.nodes(cell)]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}  # `df.hvplot`
    known = {"*", *used, *attributes, *re.findall(r"\w+", _not_run(part))}
    facts = part.flow.facts
    bound = {id(one): name for name, found in facts.imports.items() for one in found}
    modules: dict[str, list[Import]] = {}
    for one in facts.modules:
        modules.setdefault(one.module.partition(".")[0], []).append(one)
    for top, imports in modules.items():
        names = {top, *(bound.get(id(one), "*") for one in imports)}
        if (package := distribution(top, {})) in installed - needed and not names & known:
            yield found(
                "unused-variable",
                f"no step uses `{top}`, and each installs {package}",
                imports[0].spot.label(),
                help="take the import out",
            )


def _is_open(part: CompiledNotebook) -> bool:
    """Whether names may be used in ways that cannot be seen."""
    facts = [part.flow.facts, *(unit.facts for unit in part.flow.units)]
    return any(one.dynamic for one in facts)


def _used(part: CompiledNotebook) -> Iterator[str]:
    """Every name that any code reads, or that stands in a text: `query("age > @least")`."""
    draft = part.draft
    yield from draft.metrics
    for cells in (draft.shared, *draft.cells.values()):
        for cell in cells:
            for node in part.nodes(cell):
                yield from _read(node)


def _read(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Load() | ast.Del()):
            yield name
        case ast.Constant(value=str(text)):
            yield from re.findall(r"[^\W\d]\w*", text)
        case ast.Global(names=names):
            yield from names
        case ast.AugAssign(target=ast.Name(id=name)):
            yield name
        case _:
            pass


def _not_run(part: CompiledNotebook) -> str:
    """The code of all cells that no step runs: they use variables in the notebook."""
    notebook, outline = part.draft.notebook, part.draft.outline
    cells = (*outline.shared.get("skip", ()), *outline.dropped)
    return "\n".join(notebook.source(cell) for cell in cells)


def _assigned(cells: list[Parsed], modules: Mapping[str, str]) -> Iterator[tuple[str, Label]]:
    """The variables that cells assign by themselves: not as one of several, nor in a loop."""
    for cell in cells:
        for node in cell.tree.body:
            if node in cell.inlined:  # a file for many notebooks may define more than this one uses
                continue
            match node:
                case ast.Assign(targets=[ast.Name(id=name) as target]):
                    value: ast.expr | None = node.value
                case ast.AnnAssign(target=ast.Name(id=name) as target):
                    value = node.value
                case _:
                    continue
            if value is not None and not name.startswith("_") and not _is_handle(value, modules):
                yield name, cell.place(target)


def _is_handle(value: ast.expr, modules: Mapping[str, str]) -> bool:
    """Whether it is another variable, or a picture that is drawn: nothing is lost with the name."""
    if not isinstance(value, ast.Call):
        return isinstance(value, ast.Name)
    func = value.func
    if dotted(func, modules).partition(".")[0] in {"matplotlib", "seaborn", "plotly"}:
        return True
    parts = [one.attr for one in ast.walk(func) if isinstance(one, ast.Attribute)]
    return any(library.method("plots", one) or library.method("axes", one) for one in parts)


def unused_parameter(compilation: Compilation) -> Iterator[Diagnostic]:
    """A parameter of the pipeline that no step uses."""
    for part in compilation.parts[:1]:
        used = {name for step in part.pipeline.steps for name in step.parameters}
        for sub in part.pipeline.steps:
            if isinstance(sub, SubPipeline):
                used |= {one.name for one in sub.pipeline.parameters}
        used |= {one.name for _, one, _ in _reassigned(part)}  # another lint says that
        for one in part.pipeline.parameters:
            if one.name not in used and one.label is not None:
                yield found(
                    "unused-parameter",
                    f"no step uses the parameter `{one.name}`",
                    one.label,
                    help="take it out, or use it",
                )


def reassigned_parameter(compilation: Compilation) -> Iterator[Diagnostic]:
    """A step that gives a parameter another value without a look at its own."""
    for part in compilation.parts:
        for unit, one, spot in _reassigned(part):
            yield found(
                "reassigned-parameter",
                f"step `{unit}` assigns `{one.name}`, so that the parameter of that name has no "
                "effect here",
                spot.label(),
                also=[one.label and one.label.with_text("the parameter")],
                help="take the assignment out, or give the variable another name",
            )


def _reassigned(part: CompiledNotebook) -> Iterator[tuple[str, Parameter, Spot]]:
    """The steps that assign a parameter without reading it first."""
    for unit in part.flow.units:
        for one in part.draft.parameters:
            spot = unit.events.binds.get(one.name)
            if spot is not None and one.name not in unit.events.uses:
                yield unit.name, one, spot


def shared_state(compilation: Compilation) -> Iterator[Diagnostic]:
    """A variable of a shared cell that has another value in each step."""
    for part in compilation.parts:
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
                fresh = path in library.known("fresh") or path.startswith(
                    ("secrets.", "numpy.random.", "random.")
                )
                made = path in {
                    "numpy.random.default_rng",
                    "numpy.random.RandomState",
                    "random.Random",
                }
                if len(users) > 1 and fresh and not made:
                    yield found(
                        "shared-state",
                        f"`{name}` has another value in each of the steps {listed(users)}: a shared "
                        "cell runs at the start of every step",
                        cell.place(node),
                        help="make it in a step, which passes it on",
                    )


LINTS = (unused_variable, unused_parameter, reassigned_parameter)
