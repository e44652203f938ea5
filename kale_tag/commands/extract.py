"""`kale-tag extract`: the spec that would make a notebook's tags, or a proposal for one."""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kale_tag import files
from kale_tag.commands.shared.batch import is_worth_msgspec
from kale_tag.commands.shared.options import NotebookPaths, option
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.commands.shared.targets import (
    STDIN,
    Targets,
    Task,
    add_folders,
    by_identity,
    classify_paths,
    path_variables,
    relative,
)
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, count, error, guarded
from kale_tag.extract.combine import Combined, SpecMember
from kale_tag.extract.extract import draft, remarks, share, tagged
from kale_tag.extract.extract import extract as as_text
from kale_tag.extract.propose import propose
from kale_tag.extract.read import CellBlock, SpecDraft
from kale_tag.kale import tags
from kale_tag.kale.checks import has_kale_tags
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_whole
from kale_tag.plan.select import View
from kale_tag.render.text import one_line

SHOWN = 5
"""How many specs a message speaks of."""


Show = Callable[[Iterable[Diagnostic]], None]
"""Prints diagnostics, warnings only where they are wanted."""


ReasonedSpec = tuple[Combined, str, bytes]
"""A spec, why it is not one with that before it, and its text."""


@dataclass(kw_only=True)
class ExtractOptions(NotebookPaths):
    """The options of `kale-tag extract`."""

    output: str = option(
        "-",
        "Write the spec to this file, or the specs into this folder (which exists or ends with "
        "`/`); `-`, the default, is standard output.",
        "PATH",
        short="-o",
    )
    propose: bool = option(
        False,
        "Propose specs for the untagged notebooks of a folder too. Without this option, a folder "
        "that has tagged notebooks stands for these only.",
    )
    by: Literal["auto", "id", "source", "index"] = option(
        "auto",
        "How rules select cells. auto: by id if the cell has one, else by a pattern for its "
        "source; in a proposal, by source first. By index if nothing else selects just that cell.",
    )
    quiet: bool = option(False, "Print errors only.", short="-q")


def extract(options: ExtractOptions) -> int:
    """Write the spec that makes a notebook's tags, or propose one.

    kale-tag extract notebook.ipynb -o spec.yaml

    kale-tag extract notebooks/ -o specs/

    kale-tag extract untagged.ipynb --by source
    """
    targets = Targets()
    names = _notebooks(options.paths, targets)
    report = Report(style_for("auto", sys.stdout.isatty()))

    def show(found: Iterable[Diagnostic]) -> None:
        report.show(one for one in found if one.severity == "error" or not options.quiet)

    show(targets.diagnostics)
    notebooks = [*_read(names, targets.stdin, show)]
    wanted, notes = _wanted(notebooks, set(options.paths), propose=options.propose)
    folder = options.output if _is_folder(options.output) else os.path.dirname(options.output)
    members, idle = [], []
    for notebook in wanted:
        with guarded(notebook.name) as wrong:
            found, diagnostics = member(notebook, folder)
            if found.draft.is_empty:
                idle.append(notebook.name)
            else:
                show(diagnostics)
                members.append(found)
        report.show(wrong)
    if idle:
        which, has, them = f"{len(idle)} notebooks", "have", "them"
        if not idle[1:]:
            which, has, them = one_line(idle[0]), "has", "it"
        notes.append(f"{which} {has} no code that a step could run; there is no spec for {them}")
    specs = [*_specs(members, "" if options.by == "auto" else options.by, report.show)]
    try:
        _write(specs, options.output, quiet=options.quiet)
    except UserError as exc:
        report.show(exc.diagnostics)
    sys.stdout.flush()
    for note in () if options.quiet else notes:
        print(note, file=sys.stderr)
    return report.exit_code or int(not specs)


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
    path = "" if notebook.name == STDIN else relative(notebook.name, folder)
    variables = dict(path_variables(notebook.name, folder))
    return SpecMember(found, path, variables, View(notebook)), diagnostics


def _specs(members: Sequence[SpecMember], by: str, show: Show) -> Iterator[ReasonedSpec]:
    """The specs of *members*; where some of them have none, the others get theirs."""
    for made, reason in share(members, by):
        with guarded(made.members[0].draft.notebook.name) as wrong:
            yield made, reason, as_text(made, "spec.yaml").encode()
        if wrong and made.members[1:]:
            alone = [one for one in made.members if [*_specs([one], by, show)]]
            if len(alone) < len(made.members):
                yield from _specs(alone, by, show)
                continue
        show(wrong)


def _notebooks(paths: Sequence[str], targets: Targets) -> list[str]:
    """The notebooks that *paths* stand for, each once; diagnostics go into *targets*.

    Raises `UserError` if no path is given.
    """
    if not paths:
        raise UserError.of("no-notebooks", "no notebook is given", help="kale-tag extract NOTEBOOK")
    named = classify_paths(paths, targets)
    for other in (*named.specs, *named.patches):
        message = f"{'stdin' if other == STDIN else other} is not a notebook"
        targets.diagnostics.append(
            error("not-usable", message, help="extract writes specs, and takes notebooks only")
        )
    add_folders(named, targets)
    return [*reversed(by_identity(reversed(named.notebooks)).values())]


def _read(names: Sequence[str], stdin: bytes, show: Show) -> Iterator[Notebook]:
    fast = is_worth_msgspec([Task(name) for name in names])
    for name in names:
        notebook = None
        with guarded(name) as wrong:
            data = stdin if name == STDIN else files.read(name).data
            notebook = read_whole(data, name, fast=fast)
        show(wrong)
        if notebook is not None:
            yield notebook


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
            "or use `kale-tag extract --propose`"
        )
    if foreign:
        are, were = ("is", "was") if foreign == 1 else ("are", "were")
        notes.append(f"{count(foreign, 'notebook')} {are} not in Python and {were} left out")
    return wanted, notes


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _write(specs: Sequence[ReasonedSpec], output: str, *, quiet: bool) -> None:
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
        raise UserError.of(
            "exists",
            f"{path} exists with different content; it was not overwritten",
            Label(Source(path)),
            help="remove it first, or name another file",
        )
    verb = "wrote" if files.write(path, data) else "unchanged"
    if not quiet:
        number = len(made.members)
        what = "a proposal" if made.members[0].draft.proposed else "a spec"
        whose = count(number, "notebook")
        whose = one_line(made.members[0].draft.notebook.name) if number == 1 else whose
        because = f" (own spec: {reason})" if reason else ""
        print(f"{verb} {one_line(path)}: {what} for {whose}{because}")


def _read_first(proposals: int, specs: int) -> str:
    if specs == 1:
        return "Read it before you apply it."
    are, them = ("is a proposal", "it") if proposals == 1 else ("are proposals", "them")
    return f"{proposals} of {specs} specs {are}: read {them} before you apply {them}."


def _file_name(made: Combined, taken: set[str]) -> str:
    stem = made.members[0].variables["stem"]
    name, number = f"{stem}.yaml", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}.yaml"
    taken.add(name.lower())
    return name


def _more_than_one(specs: Sequence[ReasonedSpec]) -> Diagnostic:
    shown = []
    for made, reason, _ in specs[1 : SHOWN + 1]:
        more = len(made.members) - 1
        name = made.members[0].draft.notebook.name
        others = f" and {count(more, 'more notebook')}" if more else ""
        shown.append(f"{name}{others}: {reason}")
    if len(specs) > SHOWN + 1:
        shown.append(f"and {count(len(specs) - SHOWN - 1, 'more spec')}")
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
    # The compiler takes most of the start-up time, and is for proposals only.
    from kale_tag.commands.shared.pipelines import imported_files  # noqa: PLC0415

    steps: set[int] = set()
    while True:
        diagnostics = _diagnostics(draft)
        special = [block for block in draft.blocks if block.role.kind in tags.SPECIAL]
        shared = {cell for block in special for cell in block.cells}
        wrong = {cell for cell in map(_cell, diagnostics) if cell in shared} - steps
        if not wrong:
            blocks = tuple(_remarked(block, diagnostics) for block in draft.blocks)
            return replace(draft, blocks=blocks, files=imported_files(draft.notebook)), diagnostics
        steps |= wrong
        draft = propose(draft.notebook, steps)


def _diagnostics(draft: SpecDraft) -> Sequence[Diagnostic]:
    """The errors of compiling *draft* that are about cells."""
    from kale_tag.commands.shared.pipelines import local_code, run_files  # noqa: PLC0415  see above
    from kale_tag.compiler.build import build  # noqa: PLC0415  see above

    local = local_code(draft.notebook, CompileOptions())
    try:
        build(tagged(draft), CompileOptions(), _no_reference, local, runs=run_files)
    except UserError as exc:
        return [one for one in exc.diagnostics if _cell(one) is not None]
    return []


def _no_reference(path: str, at: Label) -> Notebook:
    raise AssertionError(f"a proposal refers to no other notebook, so not to {path} ({at})")


def _cell(diagnostic: Diagnostic) -> int | None:
    return diagnostic.labels[0].source.cell if diagnostic.labels else None


def _remarked(block: CellBlock, diagnostics: Collection[Diagnostic]) -> CellBlock:
    more = []
    for one in diagnostics:
        if (cell := _cell(one)) in block.cells:
            rest = one.message.removeprefix("the cell ")
            more.append(f"cell {cell}{':' if rest == one.message else ''} {rest}")
    return replace(block, remarks=(*block.remarks, *more))
