"""`kale-tag extract`: the spec that would make a notebook's tags, or a proposal for one."""

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kale_tag import files
from kale_tag.commands.shared.batch import is_worth_msgspec
from kale_tag.commands.shared.options import By, NotebookPaths, Propose, Quiet, SpecOutput
from kale_tag.commands.shared.report import print_diagnostic
from kale_tag.commands.shared.targets import STDIN, Targets, Task, classify_paths, path_variables
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, bug, count, error
from kale_tag.extract.combine import Combined, SpecMember
from kale_tag.extract.extract import draft, remarks, share, tagged
from kale_tag.extract.extract import extract as as_text
from kale_tag.extract.propose import propose
from kale_tag.extract.read import CellBlock, SpecDraft
from kale_tag.kale import tags
from kale_tag.kale.checks import has_kale_tags
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import ProofError
from kale_tag.plan.select import View

SHOWN = 5
"""How many specs a message speaks of."""


def extract(
    paths: NotebookPaths,
    *,
    output: SpecOutput = "-",
    propose: Propose = False,
    by: By = "auto",
    quiet: Quiet = False,
) -> int:
    """Write the spec that makes a notebook's tags, or propose one.

    kale-tag extract notebook.ipynb -o spec.yaml

    kale-tag extract notebooks/ -o specs/

    kale-tag extract untagged.ipynb --by source
    """
    targets = Targets()
    names = _notebooks(paths, targets)
    report = _ExtractReport(quiet=quiet)
    report.show(targets.diagnostics)
    notebooks = [*_read(names, targets.stdin, report)]
    wanted, notes = _wanted(notebooks, set(paths), propose=propose)
    folder = output if _is_folder(output) else os.path.dirname(output)
    members = []
    for notebook in wanted:
        try:
            found, diagnostics = member(notebook, folder)
            report.show(diagnostics)
            members.append(found)
        except UserError as exc:
            report.show(exc.diagnostics)
    specs = []
    for made, reason in share(members, "" if by == "auto" else by):
        try:
            text = as_text(made, "spec.yaml")
            specs.append((made, reason, text.encode()))
        except ProofError as exc:
            name = made.members[0].draft.notebook.name
            report.exit_code = 3
            print_diagnostic(bug(name, f"no spec was written for {name}: {exc}"))
    try:
        _write(specs, output, quiet=quiet)
    except UserError as exc:
        report.show(exc.diagnostics)
    report.notes(notes)
    return report.exit_code


def member(notebook: Notebook, folder: str) -> tuple[SpecMember, Sequence[Diagnostic]]:
    """The draft of the spec of *notebook*, for a spec in *folder*, and warnings.

    Raises `UserError` if none can be made.
    """
    found = draft(notebook)
    diagnostics: list[Diagnostic] = []
    if found.proposed:
        found, wrong = adjust_proposal(found)
        diagnostics += (replace(one, severity="warning") for one in wrong)
    diagnostics += remarks(found)
    path = "" if notebook.name == STDIN else _relative(notebook.name, folder)
    variables = dict(path_variables(notebook.name, folder))
    return SpecMember(found, path, variables, View(notebook)), diagnostics


@dataclass(slots=True)
class _ExtractReport:
    """Prints diagnostics and notes to standard error, and keeps the exit code."""

    quiet: bool
    exit_code: int = 0

    def show(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Print *diagnostics*; warnings only where they are wanted."""
        for one in diagnostics:
            if one.severity == "error":
                self.exit_code = max(self.exit_code, 2)
            if one.severity == "error" or not self.quiet:
                print_diagnostic(one)

    def notes(self, notes: Iterable[str]) -> None:
        """Print what was left out, which is not an error."""
        sys.stdout.flush()
        for one in () if self.quiet else notes:
            print(one, file=sys.stderr)


def _notebooks(paths: Sequence[str], targets: Targets) -> list[str]:
    """The notebooks that *paths* stand for, each once; diagnostics go into *targets*.

    Raises `UserError` if no path is given.
    """
    if not paths:
        hint = "kale-tag extract NOTEBOOK"
        raise UserError(error("no-notebooks", "no notebook is given", help=hint))
    named = classify_paths(paths, targets)
    for other in (*named.specs, *named.patches):
        message = f"{'stdin' if other == STDIN else other} is not a notebook"
        targets.diagnostics.append(
            error("not-usable", message, help="extract writes specs, and takes notebooks only")
        )
    found = list(named.notebooks)
    for folder in named.folders:
        inside = files.notebooks_in(folder)
        if not inside:
            message = f"there is no notebook below {folder}"
            targets.diagnostics.append(error("no-notebooks", message, Label(Source(folder))))
        found += inside
    once = {STDIN if name == STDIN else files.identity(name): name for name in reversed(found)}
    return [*reversed(once.values())]


def _read(names: Sequence[str], stdin: bytes, report: _ExtractReport) -> Iterator[Notebook]:
    fast = is_worth_msgspec([Task(name) for name in names])
    for name in names:
        try:
            data = stdin if name == STDIN else files.read(name).data
            yield read_notebook(data, name, fast=fast)
        except UserError as exc:
            report.show(exc.diagnostics)


def _wanted(
    notebooks: Sequence[Notebook], named: Collection[str], *, propose: bool
) -> tuple[list[Notebook], list[str]]:
    """Those of *notebooks* that get a spec, and notes on the others.

    A folder that has tagged notebooks stands for these only, unless *propose* is set: otherwise a
    plain `apply` would tag all its notebooks, most of which are not for Kale. Notebooks that are
    *named* one by one always get a spec.
    """
    tagged = {id(one) for one in notebooks if has_kale_tags(one)}
    wanted, untagged, foreign = [], 0, 0
    for one in notebooks:
        if id(one) in tagged or one.name in named:
            wanted.append(one)
        elif tagged and not propose:
            untagged += 1
        elif one.foreign_language:
            foreign += 1
        else:
            wanted.append(one)
    if not wanted:
        return [*notebooks], []  # each gets its own diagnostics
    notes = []
    if untagged:
        have, them = ("has", "it") if untagged == 1 else ("have", "them")
        were = "was" if untagged == 1 else "were"
        notes.append(
            f"{count(untagged, 'notebook')} {have} no Kale tags and {were} left out; name {them}, "
            "or use --propose"
        )
    if foreign:
        are, were = ("is", "was") if foreign == 1 else ("are", "were")
        notes.append(f"{count(foreign, 'notebook')} {are} not in Python and {were} left out")
    return wanted, notes


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _relative(name: str, folder: str) -> str:
    """The path of a notebook as a spec in *folder* names it."""
    try:
        path = os.path.relpath(name, folder or ".")
    except ValueError:  # another drive of Windows
        path = os.path.abspath(name)
    return path.replace(os.sep, "/")


def _write(specs: Sequence[tuple[Combined, str, bytes]], output: str, *, quiet: bool) -> None:
    """Write or print *specs*. Raises `UserError` where they cannot be written, or not there."""
    folder = _is_folder(output)
    if len(specs) > 1 and not folder:
        raise UserError(_more_than_one(specs))
    if output == STDIN:
        for _, _, data in specs:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
        return
    diagnostics: list[Diagnostic] = []
    taken: set[str] = set()
    proposals = 0
    for made, reason, data in specs:
        path = os.path.join(output, _file_name(made, taken)) if folder else output
        try:
            _put(path, data, made, reason, quiet=quiet)
            proposals += made.members[0].draft.proposed
        except UserError as exc:
            diagnostics += exc.diagnostics
    if proposals and not quiet:
        print(_read_first(proposals, len(specs)))
    if diagnostics:
        raise UserError(*diagnostics)


def _put(path: str, data: bytes, made: Combined, reason: str, *, quiet: bool) -> None:
    """Write one spec, but never over a file with another content."""
    if os.path.lexists(path) and files.read(path).data != data:
        raise UserError(
            error(
                "exists",
                f"{path} exists with another content; it was not overwritten",
                Label(Source(path)),
                help="remove it first, or name another file",
            )
        )
    verb = "wrote" if files.write(path, data) else "unchanged"
    if not quiet:
        number = len(made.members)
        what = "a proposal" if made.members[0].draft.proposed else "a spec"
        whose = made.members[0].draft.notebook.name if number == 1 else count(number, "notebook")
        because = f" (own spec: {reason})" if reason else ""
        print(f"{verb} {path}: {what} for {whose}{because}")


def _read_first(proposals: int, specs: int) -> str:
    if specs == 1:
        return "It is a proposal: read it before you apply it."
    which = f"{proposals} of {specs} specs" if proposals < specs else f"All {specs} specs"
    are, them = ("is a proposal", "it") if proposals == 1 else ("are proposals", "them")
    return f"{which} {are}: read {them} before you apply {them}."


def _file_name(made: Combined, taken: set[str]) -> str:
    stem = made.members[0].variables["stem"]
    name, number = f"{stem}.yaml", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}.yaml"
    taken.add(name.lower())
    return name


def _more_than_one(specs: Sequence[tuple[Combined, str, bytes]]) -> Diagnostic:
    shown = []
    for made, reason, _ in specs[1 : SHOWN + 1]:
        more = len(made.members) - 1
        name = made.members[0].draft.notebook.name
        others = f" and {count(more, 'more notebook')}" if more else ""
        shown.append(f"{name}{others}: {reason}")
    if len(specs) > SHOWN + 1:
        shown.append(f"and {len(specs) - SHOWN - 1} more specs")
    return error(
        "several-specs",
        f"these notebooks need {len(specs)} specs, and one file holds one; nothing was written",
        notes=shown,
        help="name a folder for them: `-o specs/`",
    )


def adjust_proposal(draft: SpecDraft) -> tuple[SpecDraft, Sequence[Diagnostic]]:
    """The proposed *draft* adjusted until it compiles, and diagnostics of what still does not.

    A shared cell (imports, functions, parameters) that needs a variable of a step becomes a part of
    a step; so does a cell that looked like parameters and has none. An error in a cell of a step
    is for its author: it becomes a remark on the rule. Raises `UserError` if a source cannot be
    read.
    """
    steps: set[int] = set()
    while True:
        diagnostics = _diagnostics(draft)
        shared = {cell for block in draft.blocks for cell in block.cells if _is_shared(block)}
        wrong = {cell for cell in map(_cell, diagnostics) if cell in shared} - steps
        if not wrong:
            blocks = tuple(_remarked(block, diagnostics) for block in draft.blocks)
            return replace(draft, blocks=blocks), diagnostics
        steps |= wrong
        draft = propose(draft.notebook, steps)


def _diagnostics(draft: SpecDraft) -> Sequence[Diagnostic]:
    """The errors of compiling *draft* that are about cells."""
    # The compiler takes most of the start-up time, and is for proposals only.
    from kale_tag.compiler.build import build_pipeline  # noqa: PLC0415

    local = files.modules_in(os.path.dirname(draft.notebook.name))
    try:
        build_pipeline(tagged(draft), CompileOptions(), _no_reference, local)
    except UserError as exc:
        return [one for one in exc.diagnostics if _cell(one) is not None]
    return []


def _no_reference(path: str, at: Label) -> Notebook:
    raise UserError(error("bug", f"a proposal refers to no other notebook, so not to {path}", at))


def _cell(diagnostic: Diagnostic) -> int | None:
    return diagnostic.labels[0].source.cell if diagnostic.labels else None


def _is_shared(block: CellBlock) -> bool:
    return block.role.kind in tags.SPECIAL


def _remarked(block: CellBlock, diagnostics: Collection[Diagnostic]) -> CellBlock:
    said = [_said(one) for one in diagnostics if _cell(one) in block.cells]
    return replace(block, remarks=(*block.remarks, *said))


def _said(diagnostic: Diagnostic) -> str:
    rest = diagnostic.message.removeprefix("the cell ")
    return f"cell {_cell(diagnostic)}{':' if rest == diagnostic.message else ''} {rest}"
