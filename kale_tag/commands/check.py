"""`kale-tag check`: errors and warnings in specs, notebooks and pipelines."""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from kale_tag import files
from kale_tag.commands.check_cleaners import find_cleaners
from kale_tag.commands.shared import batch
from kale_tag.commands.shared.options import (
    CheckFormat,
    CheckPaths,
    Color,
    ExplainCode,
    Jobs,
    Quiet,
    Silenced,
    Strict,
)
from kale_tag.commands.shared.report import print_diagnostic, style_for
from kale_tag.commands.shared.targets import STDIN, Checks, Task, find_checks
from kale_tag.diagnostics import Diagnostic, Label, UserError, count, error, nearest
from kale_tag.kale.checks import has_kale_tags, lint
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.settings import CompileOptions
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places, in_files
from kale_tag.notebook.read import read_notebook, scan
from kale_tag.notebook.splice import splice
from kale_tag.plan.drift import drift
from kale_tag.plan.plan import plan
from kale_tag.render import diagnostics
from kale_tag.render.diagnostics import as_command
from kale_tag.render.text import Style
from kale_tag.rules import registry
from kale_tag.rules.registry import Finding

if TYPE_CHECKING:
    from kale_tag.commands.shared.pipelines import Reader
    from kale_tag.compiler.step_command import Runtime
    from kale_tag.lint.pipelines import Named


def check(  # noqa: PLR0913  one parameter an option
    paths: CheckPaths,
    *,
    strict: Strict = False,
    explain: ExplainCode = "",
    format: CheckFormat = "text",  # noqa: A002  the option's name
    jobs: Jobs = 1,
    quiet: Quiet = False,
    verbose: Silenced = False,
    color: Color = "auto",
) -> int:
    """Find errors in specs, notebooks and pipelines.

    kale-tag check

    kale-tag check specs/churn.yaml notebooks/ --format github

    kale-tag check --explain foreign-tag
    """
    if explain:
        return _explain(explain)
    checks = find_checks(paths)
    report = _FindingsReport(
        style_for(color, sys.stdout.isatty()),
        format,
        quiet=quiet,
        verbose=verbose,
        strict=strict,
        specs=checks.specs,
    )
    report.show(checks.unusable)
    report.add(Finding(diagnostic) for diagnostic in checks.diagnostics)
    failed = 0
    for unusable, found in findings(checks, jobs=jobs, quiet=quiet):
        report.show(unusable)
        report.add(found)
        failed += bool(unusable)
    report.notebooks = len(checks.tasks) - failed
    report.close()
    if report.unusable:
        return 2
    return 1 if report.errors or (strict and report.warnings) else 0


def findings(
    checks: Checks, *, jobs: int, quiet: bool
) -> Iterator[tuple[tuple[Diagnostic, ...], list[Finding]]]:
    """For each notebook why it cannot be used, and its findings; those on cleaners come last."""
    work = _Checker(checks.stdin, batch.is_worth_msgspec(checks.tasks), batch.watch(), checks.tasks)
    checked = [*batch.each(work.on, checks.tasks, jobs=jobs, quiet=quiet)]
    for one, found in zip(checked, _together(checked), strict=True):
        yield one.unusable, found
    kales = [one for one in checked if one.is_kales and one.name != STDIN]
    reasons = {code: reason for one in kales for code, reason in one.reasons.items()}
    cleaners = find_cleaners(one.name for one in kales)
    yield (), [Finding(one, reasons.get(one.code, "")) for one in cleaners]


@dataclass(frozen=True, slots=True)
class _CheckedPipeline:
    """The findings in a pipeline."""

    diagnostics: tuple[Diagnostic, ...] = ()
    named: "Named | None" = None  # its name
    inner: frozenset[str] = frozenset()  # the files of the notebooks that it refers to


@dataclass(slots=True)
class _Checked:
    """The findings in one notebook, or why it could not be read."""

    name: str
    is_kales: bool = False  # it has tags or settings of Kale's, or a spec
    own: list[Diagnostic] = field(default_factory=list)  # findings in its tags and settings
    pipeline: _CheckedPipeline = _CheckedPipeline()
    drift: list[Finding] = field(default_factory=list)  # differences from its specs
    reasons: dict[str, str] = field(default_factory=dict)  # of the codes that its specs silence
    unusable: tuple[Diagnostic, ...] = ()

    def finding(self, diagnostic: Diagnostic) -> Finding:
        """The finding, silenced if a spec silences its code."""
        return Finding(diagnostic, self.reasons.get(diagnostic.code, ""))


def _together(checked: list[_Checked]) -> Iterator[list[Finding]]:
    """The findings of each notebook, with those that come from the others.

    A notebook that another one here refers to need not make a pipeline by itself, even if it is
    named: pre-commit names whatever has changed.
    """
    inside = frozenset[str]().union(*(one.pipeline.inner for one in checked))
    names: dict[str, list[Diagnostic]] = {}
    roots = [one for one in checked if one.name == STDIN or files.identity(one.name) not in inside]
    if len(roots) > 1:
        from kale_tag.lint.pipelines import one_pipeline_name  # noqa: PLC0415  starts slowly

        for diagnostic in one_pipeline_name(
            one.pipeline.named for one in roots if one.pipeline.named
        ):
            names.setdefault(diagnostic.labels[0].source.name, []).append(diagnostic)
    for one in checked:
        diagnostics = [*one.own]
        if one in roots:
            known = {(own.message, own.labels) for own in one.own}  # the compiler has them too
            more = (*one.pipeline.diagnostics, *names.get(one.name, ()))
            diagnostics += [new for new in more if (new.message, new.labels) not in known]
        by_place = {diagnostic: _place(diagnostic, one.name) for diagnostic in diagnostics}
        yield [*map(one.finding, sorted(by_place, key=by_place.__getitem__)), *one.drift]


@dataclass(slots=True)
class _Checker:
    stdin: bytes
    fast: bool
    watch: Callable[[], AbstractContextManager[object]]
    tasks: Sequence[Task]
    reader: "Reader | None" = None

    def on(self, task: Task) -> _Checked:
        checked = _Checked(task.name)
        try:
            data = self.stdin if task.name == STDIN else files.read(task.name).data
            notebook = read_notebook(data, task.name, fast=self.fast)
            places = {notebook.name: Places(notebook)}
            checked.own = [in_files(diagnostic, places) for diagnostic in lint(notebook)]
        except UserError as exc:
            checked.unusable = exc.diagnostics
            return checked
        checked.is_kales = bool(task.steps) or TaggedNotebook(notebook).is_kales
        for spec, _ in task.steps:
            checked.reasons.update(spec.ignore or {})
        tagged = self._drift(task, notebook, checked)
        if tagged is not None:
            self._pipeline(task, notebook, tagged, checked)
        return checked

    def _drift(self, task: Task, notebook: Notebook, checked: _Checked) -> Notebook | None:
        """Note where *notebook* differs from its specs; the notebook as they make it, if they can.

        A spec is compared with the notebook that those before it make.
        """
        places = Places(notebook)
        for spec, target in task.steps:
            try:
                with self.watch():
                    made = plan(spec, notebook, target)
            except UserError as exc:
                checked.drift += map(Finding, exc.diagnostics)
                return None
            checked.drift += map(checked.finding, drift(spec, target, made, places))
            if made.changes:
                wanted = {change.holder: change.after for change in made.changes}
                data = splice(notebook, wanted)
                notebook = scan(data, notebook.name, fast=notebook.fast)
        return notebook

    def _pipeline(
        self, task: Task, notebook: Notebook, tagged: Notebook, checked: _Checked
    ) -> None:
        """Check the pipeline, if the notebook has one."""
        if not has_kale_tags(tagged):
            return
        # The compiler takes as long to import as all that check does else.
        from kale_tag.commands.shared.pipelines import reader  # noqa: PLC0415
        from kale_tag.spec.compile_section import merged  # noqa: PLC0415

        options = CompileOptions()
        for spec, _ in task.steps:
            options = merged(options, spec.compile or CompileOptions())
        if self.reader is None:
            self.reader = reader(self.tasks, self.stdin, self.watch)
        checked.pipeline = _check_pipeline(notebook, tagged, options, self.reader)


def _check_pipeline(
    on_disk: Notebook,
    tagged: Notebook,
    options: CompileOptions,
    reader: "Reader",
) -> _CheckedPipeline:
    """Check the pipeline of a notebook, which specs have *tagged* in memory.

    Places are those of the file *on_disk*.
    """
    # With all that compiles, a third of the time that check takes to start, and not always needed.
    from kale_tag.commands.shared.pipelines import STDIN_NOTEBOOK  # noqa: PLC0415
    from kale_tag.lint.context import compile_notebook  # noqa: PLC0415
    from kale_tag.lint.pipelines import Named, lint  # noqa: PLC0415

    if tagged.name == STDIN:
        tagged = read_notebook(tagged.data, STDIN_NOTEBOOK, fast=tagged.fast)
    inner: dict[str, str] = {}
    load = reader.loader(inner)

    def loaded(path: str, at: Label) -> Notebook:
        try:
            return load(path, at)
        except UserError as exc:
            first = exc.diagnostics[0]
            text = f"the notebook that the cell refers to cannot be used: {first.message}"
            raise UserError(error("unreadable-reference", text, at, help=first.help)) from None

    local = files.modules_in(os.path.dirname(tagged.name))
    found = compile_notebook(tagged, options, loaded, local, _runtime())
    places = {tagged.name: Places(on_disk)}
    diagnostics = [*lint(found)]
    places |= _places_of({name for name in _sources(diagnostics) if name in inner}, reader)
    named = None
    if found.parts:
        at = places[tagged.name].metadata(None, (SETTINGS_KEY, "pipeline_name"))
        named = Named(on_disk.name, found.parts[0].pipeline.name, at)
    settings = places[tagged.name].metadata(None, (SETTINGS_KEY,))
    located = (one if one.labels else replace(one, labels=(settings,)) for one in diagnostics)
    return _CheckedPipeline(
        tuple(dict.fromkeys(in_files(diagnostic, places) for diagnostic in located)),
        named,
        frozenset(map(files.identity, inner)),
    )


def _sources(diagnostics: Collection[Diagnostic]) -> Iterator[str]:
    for diagnostic in diagnostics:
        for label in diagnostic.labels:
            yield label.source.name


def _places_of(names: Collection[str], reader: "Reader") -> dict[str, Places]:
    """The places in the files of notebooks inside, which have been read before."""
    return {
        name: Places(read_notebook(files.read(name).data, name, fast=reader.fast)) for name in names
    }


@cache
def _runtime() -> "Runtime":
    from kale_tag.compiler.step_command import load_runtime  # noqa: PLC0415  see above

    return load_runtime()


def _place(diagnostic: Diagnostic, name: str) -> tuple[bool, str, int, int]:
    label = diagnostic.labels[0]
    line, column = label.source.position(label.span.start) if label.span else (0, 0)
    return label.source.name != name, label.source.name, line, column


@dataclass(slots=True)
class _FindingsReport:
    """Prints findings to standard output, what could not be used to standard error; and counts."""

    style: Style
    format: str
    quiet: bool
    verbose: bool
    strict: bool
    specs: int = 0
    notebooks: int = 0
    findings: list[Finding] = field(default_factory=list)
    unusable: dict[Diagnostic, None] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """How many errors were found."""
        return self._count("error")

    @property
    def warnings(self) -> int:
        """How many warnings were found."""
        return self._count("warning")

    @property
    def silenced(self) -> int:
        """How many findings a spec silences."""
        return sum(1 for one in self.findings if one.silenced)

    def _count(self, severity: str) -> int:
        kept = (one.diagnostic for one in self.findings if not one.silenced)
        return sum(1 for diagnostic in kept if diagnostic.severity == severity)

    def show(self, unusable: Iterable[Diagnostic]) -> None:
        """Print why files cannot be used, each diagnostic once."""
        for diagnostic in unusable:
            if diagnostic in self.unusable:
                continue
            self.unusable[diagnostic] = None
            if self.format == "github":
                print(as_command(diagnostic))
            else:
                sys.stdout.flush()
                print_diagnostic(diagnostic)

    def add(self, findings: Iterable[Finding]) -> None:
        """Keep *findings*, and print them where they are printed one by one."""
        for one in findings:
            self.findings.append(one)
            if self.quiet and one.diagnostic.severity != "error" and not self.strict:
                continue
            if self.format == "text":
                self._print(one)
            elif self.format == "github" and not one.silenced:
                print(as_command(one.diagnostic))

    def _print(self, one: Finding) -> None:
        if not one.silenced:
            print(diagnostics.as_text(one.diagnostic, self.style), end="\n\n")
        elif self.verbose:
            print(self.style.dim(diagnostics.as_silenced(one.diagnostic, one.silenced)), end="\n\n")

    def close(self) -> None:
        """Print the document of the formats that are one, else the summary."""
        if self.format == "json":
            from kale_tag.render.diagnostics import as_json  # noqa: PLC0415  seldom asked for

            print(as_json(self.findings, [*self.unusable], self.counts))
        elif self.format == "sarif":
            from kale_tag.render.sarif import as_sarif  # noqa: PLC0415  seldom asked for

            print(as_sarif(self.findings, [*self.unusable], registry.pages()))
        elif not self.quiet:
            self._print_summary()

    @property
    def counts(self) -> dict[str, int]:
        """Of everything, for JSON."""
        return {
            "specs": self.specs,
            "notebooks": self.notebooks,
            "errors": self.errors,
            "warnings": self.warnings,
            "silenced": self.silenced,
            "unusable": len(self.unusable),
        }

    def _print_summary(self) -> None:
        parts = [count(self.errors, "error"), count(self.warnings, "warning")]
        parts += [f"{self.silenced} silenced"] if self.silenced else []
        where = [count(self.notebooks, "notebook")] if self.notebooks or not self.specs else []
        where += [count(self.specs, "spec")] if self.specs else []
        names = {
            diagnostic.labels[0].source.name for diagnostic in self.unusable if diagnostic.labels
        }
        unusable = f"; {count(len(names), 'file')} unusable" if names else ""
        print(f"{', '.join(parts)} in {' and '.join(where)}{unusable}")


def _explain(code: str) -> int:
    if code == "list":
        print(*registry.summaries(), sep="\n")
        return 0
    known = registry.codes()
    if code not in known:
        near = nearest(code, known)
        hint = f"did you mean `{near}`?" if near else "`kale-tag check --explain list` lists them"
        print_diagnostic(error("unknown-code", f"no message has the code `{code}`", help=hint))
        return 2
    print(registry.explanation(code), end="")
    return 0
