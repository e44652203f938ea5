"""`kale-tag extract`: the spec that would make a notebook's tags, or a proposal for one."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kale_tag import files
from kale_tag.commands.batch import is_worth_msgspec
from kale_tag.commands.options import By, NotebookPaths, Quiet, SpecOutput
from kale_tag.commands.report import say
from kale_tag.commands.targets import STDIN, Targets, Task, path_variables, told_apart
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, count, error
from kale_tag.read_notebook import read_notebook
from kale_tag.splice import ProofError
from kale_tag.tagging.combine import Combined, Member
from kale_tag.tagging.extract import draft, remarks, share
from kale_tag.tagging.extract import extract as as_text
from kale_tag.tagging.select import View

SHOWN = 5
"""How many specs a message speaks of."""


def extract(
    paths: NotebookPaths,
    *,
    output: SpecOutput = "-",
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
    report = _Report(quiet=quiet)
    report.tell(targets.faults)
    folder = output if _is_folder(output) else os.path.dirname(output)
    members = []
    fast = is_worth_msgspec([Task(name) for name in names])
    for name in names:
        try:
            data = targets.stdin if name == STDIN else files.read(name).data
            found = draft(read_notebook(data, name, fast=fast))
            report.tell(remarks(found))
            path = "" if name == STDIN else _relative(name, folder)
            variables = dict(path_variables(name, folder))
            members.append(Member(found, path, variables, View(found.notebook)))
        except UserError as fault:
            report.tell(fault.diagnostics)
    specs = []
    for made, reason in share(members, "" if by == "auto" else by):
        try:
            text = as_text(made, "spec.yaml")
            specs.append((made, reason, text.encode()))
        except ProofError as fault:
            report.bug(made.members[0].draft.notebook.name, str(fault))
    try:
        _write(specs, output, quiet=quiet)
    except UserError as fault:
        report.tell(fault.diagnostics)
    return report.exit_code


@dataclass(slots=True)
class _Report:
    """Prints to standard error what is to be said, and keeps the exit code."""

    quiet: bool
    exit_code: int = 0

    def tell(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Print *diagnostics*; warnings only where they are wanted."""
        for one in diagnostics:
            if one.severity == "error":
                self.exit_code = max(self.exit_code, 2)
            if one.severity == "error" or not self.quiet:
                say(one)

    def bug(self, name: str, message: str) -> None:
        """Say that we are wrong."""
        self.exit_code = 3
        say(
            error(
                "bug",
                f"this is a bug in kale-tag; no spec was written for {name}: {message}",
                Label(Source(name)),
                help="please report it, with the notebook if you can",
            )
        )


def _notebooks(paths: Sequence[str], targets: Targets) -> list[str]:
    """The notebooks that *paths* stand for, each once; what is wrong goes into *targets*.

    Raises `UserError` where nothing is named.
    """
    if not paths:
        hint = "kale-tag extract NOTEBOOK"
        raise UserError(error("no-notebooks", "no notebook is named", help=hint))
    named = told_apart(paths, targets)
    for other in (*named.specs, *named.patches):
        message = f"{'stdin' if other == STDIN else other} is no notebook"
        targets.faults.append(
            error("not-usable", message, help="extract makes specs, and takes notebooks alone")
        )
    found = list(named.notebooks)
    for folder in named.folders:
        inside = files.notebooks_in(folder)
        if not inside:
            message = f"there is no notebook below {folder}"
            targets.faults.append(error("no-notebooks", message, Label(Source(folder))))
        found += inside
    once = {STDIN if name == STDIN else files.identity(name): name for name in reversed(found)}
    return [*reversed(once.values())]


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
    if output == STDIN or not _is_folder(output):
        if len(specs) > 1:
            raise UserError(_more_than_one(specs))
        for _, _, data in specs:
            if output == STDIN:
                sys.stdout.flush()
                sys.stdout.buffer.write(data)
            else:
                _put(output, data, specs[0][0], "", quiet=quiet)
        return
    faults: list[Diagnostic] = []
    taken: set[str] = set()
    for made, reason, data in specs:
        path = os.path.join(output, _file_name(made, taken))
        try:
            _put(path, data, made, reason, quiet=quiet)
        except UserError as fault:
            faults += fault.diagnostics
    if faults:
        raise UserError(*faults)


def _put(path: str, data: bytes, made: Combined, reason: str, *, quiet: bool) -> None:
    """Write one spec, but never over a file that says something else."""
    if os.path.lexists(path) and files.read(path).data != data:
        raise UserError(
            error(
                "exists",
                f"{path} is there already, with another content; it was not overwritten",
                Label(Source(path)),
                help="take it away first, or name another file",
            )
        )
    verb = "wrote" if files.write(path, data) else "unchanged"
    if not quiet:
        number = len(made.members)
        what = "a proposal" if made.members[0].draft.proposed else "a spec"
        whose = made.members[0].draft.notebook.name if number == 1 else count(number, "notebook")
        because = f" (for itself: {reason})" if reason else ""
        print(f"{verb} {path}: {what} for {whose}{because}")


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
        shown.append(f"{reason}; {count(more, 'more notebook')} with it" if more else reason)
    if len(specs) > SHOWN + 1:
        shown.append(f"and {len(specs) - SHOWN - 1} more specs")
    return error(
        "several-specs",
        f"these notebooks need {len(specs)} specs, and one file holds one; nothing was written",
        notes=shown,
        help="name a folder for them: `-o specs/`",
    )
