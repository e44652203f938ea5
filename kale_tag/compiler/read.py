"""What the cells of a notebook define by themselves: steps, code, parameters, settings, `prev`."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from kale_tag.code.ipython import run_path
from kale_tag.code.local_modules import code_of, written_files
from kale_tag.code.source import Parsed, Runs, Spot, read_code, run_line
from kale_tag.compiler.parameters import read_metrics, read_parameters
from kale_tag.compiler.settings import (
    PipelineSettings,
    kernel_diagnostic,
    read_settings,
    setting_diagnostics,
)
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error, suggest
from kale_tag.kale.checks import dropped_code, tag_errors
from kale_tag.kale.outline import Outline
from kale_tag.kale.pipeline import CodeKind, Parameter
from kale_tag.kale.settings import CompileOptions
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.model import Notebook
from kale_tag.rules.registry import found


@dataclass(slots=True)
class Draft:
    """What the cells of one notebook define; it can be built if it has no *diagnostics*."""

    notebook: Notebook
    tagged: TaggedNotebook
    settings: PipelineSettings
    is_root: bool  # no other notebook refers to it
    shared: list[Parsed] = field(default_factory=list)  # imports, then functions
    cells: dict[str, list[Parsed]] = field(default_factory=dict)  # of each step of its own
    parameters: list[Parameter] = field(default_factory=list)
    metrics: dict[str, Spot] = field(default_factory=dict)  # names, and where they are printed
    edges: dict[tuple[str, str], Label] = field(default_factory=dict)  # (a, b): b depends on a
    diagnostics: list[Diagnostic] = field(default_factory=list)
    unread: bool = False  # some code is missing here, so that nothing can be said of variables

    @property
    def outline(self) -> Outline:
        """The blocks of the notebook."""
        return self.tagged.outline

    def order_as_written(self) -> None:
        """Where tags are wrong, and `prev` may be, each step depends on those above it."""
        if self.diagnostics:
            steps = self.outline.steps
            self.edges = {
                (before.name, step.name): self.tagged.step(self.tagged.starts[step.name])
                for before, step in pairwise(steps)
            }


def read_draft(notebook: Notebook, options: CompileOptions, runs: Runs, name: str = "") -> Draft:
    """Reads *notebook*, and of the files that it runs those that are known.

    *name* is that of the pipeline where another notebook refers to it.
    """
    if (diagnostic := kernel_diagnostic(notebook)) is not None:
        raise UserError(diagnostic)
    tagged = TaggedNotebook(notebook)
    settings = read_settings(notebook, name)
    draft = Draft(notebook, tagged, settings, not name)
    draft.diagnostics += [*settings.errors, *tag_errors(tagged)]
    settings.warnings += dropped_code(tagged)
    outline = tagged.outline
    draft.shared = _read(draft, outline.shared.get("imports", ()), "imports", runs)
    draft.shared += _read(draft, outline.shared.get("functions", ()), "functions", runs)
    for step in outline.steps:
        draft.diagnostics += setting_diagnostics(step.name, tagged.step_tags[step.name])
        if step.notebook is None:
            draft.cells[step.name] = _read(draft, step.cells, "step", runs)
        for one in tagged.step_tags[step.name]:
            if one.tag.kind == "prev":
                draft.edges.setdefault((one.tag.key, step.name), one.label)
    settings.warnings += _unread_scripts(draft)
    parameters = _read(draft, outline.shared.get("pipeline-parameters", ()), "step")
    draft.parameters, diagnostics = read_parameters(parameters)
    metrics = _read(draft, outline.shared.get("pipeline-metrics", ()), "step")
    draft.metrics, more = read_metrics(metrics)
    draft.diagnostics += [*diagnostics, *more]
    draft.unread = draft.unread or bool(diagnostics)
    if draft.is_root:
        draft.diagnostics += _unknown_steps(draft, options)
    return draft


def _read(
    draft: Draft, cells: Iterable[int], kind: CodeKind, runs: Runs | None = None
) -> list[Parsed]:
    notebook, found = draft.notebook, []
    for cell in cells:
        try:
            found.append(read_code(notebook.name, cell, notebook.source(cell), kind, runs))
        except UserError as exc:
            draft.diagnostics += exc.diagnostics
            draft.unread = True
    return found


def _unread_scripts(draft: Draft) -> Iterable[Diagnostic]:
    """The files that `%run` names and that are not known, but for those that cells write."""
    written = written_files(code_of(draft.notebook))
    for cell in (*draft.shared, *(cell for cells in draft.cells.values() for cell in cells)):
        for node in ast.walk(cell.tree) if "run_line_magic('run'" in cell.code.python else ():
            arguments, code = run_line(node) or ("", "")
            if code is None and run_path(arguments) not in written:
                yield found(
                    "unread-script",
                    f"what `%run {arguments}` runs cannot be read, so the step has to find it, and "
                    "may bind any variable",
                    cell.place(node),
                    help="put the file where the notebook finds it, or its code into a cell",
                )


def _unknown_steps(draft: Draft, options: CompileOptions) -> Iterable[Diagnostic]:
    names = [step.name for step in draft.outline.steps]
    for name, step in options.steps.items():
        if names and name not in names:
            yield error(
                "unknown-step",
                f"`compile` in the spec names `{name}`, which is no step of {draft.notebook.name}",
                step.label or Label(Source(draft.notebook.name)),
                help=suggest(name, names, "steps:"),
            )
