"""`kale-tag check`: whether specs are valid, notebooks as they say, and tags right."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from kale_tag import files
from kale_tag.commands import batch
from kale_tag.commands.check_cleaners import find_cleaners
from kale_tag.commands.check_targets import find_checks
from kale_tag.commands.options import (
    CheckFormat,
    CheckPaths,
    Color,
    ExplainCode,
    Jobs,
    Quiet,
    Silenced,
    Strict,
)
from kale_tag.commands.report import count, say, style_for
from kale_tag.commands.targets import STDIN, Task
from kale_tag.diagnostics import Diagnostic, UserError, error, suggest
from kale_tag.lints import Finding
from kale_tag.notebook import Notebook
from kale_tag.places import Places
from kale_tag.read_notebook import read_notebook, scan_again
from kale_tag.render import faults
from kale_tag.render.github import as_command
from kale_tag.render.style import Style
from kale_tag.splice import splice
from kale_tag.tagging.drift import drift
from kale_tag.tagging.lint import lint
from kale_tag.tagging.plan import plan
from kale_tag.tagging.tagged import Tagged


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
    """Say whether specs are valid, notebooks as their specs say, and tags and settings right.

    kale-tag check

    kale-tag check specs/churn.yaml notebooks/ --format github

    kale-tag check --explain foreign-tag
    """
    if explain:
        return _explain(explain)
    checks = find_checks(paths)
    report = _Report(
        style_for(color, sys.stdout.isatty()),
        format,
        quiet=quiet,
        verbose=verbose,
        strict=strict,
        specs=checks.specs,
    )
    report.tell(checks.unusable)
    report.add(Finding(fault) for fault in checks.faults)
    work = _Work(checks.stdin, batch.is_worth_msgspec(checks.tasks), batch.watch())
    kales: list[Task] = []
    checked = batch.each(work.on, checks.tasks, jobs=jobs, quiet=quiet)
    for task, done in zip(checks.tasks, checked, strict=True):
        report.tell(done.unusable)
        report.add(done.findings)
        report.notebooks += not done.unusable
        kales += [task] if done.is_kales and task.name != STDIN else []
    reasons = _reasons(kales)
    cleaners = find_cleaners(task.name for task in kales)
    report.add(Finding(fault, reasons.get(fault.code, "")) for fault in cleaners)
    report.close()
    if report.unusable:
        return 2
    return 1 if report.errors or (strict and report.warnings) else 0


@dataclass(slots=True)
class _Checked:
    """What was found in one notebook, or why it could not be looked at.

    *is_kales* says whether it has to do with Kale: by its tags or settings, or by a spec.
    """

    findings: list[Finding] = field(default_factory=list)
    is_kales: bool = False
    unusable: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Work:
    stdin: bytes
    fast: bool
    watch: Callable[[], AbstractContextManager[object]]

    def on(self, task: Task) -> _Checked:
        try:
            data = self.stdin if task.name == STDIN else files.read(task.name).data
            notebook = read_notebook(data, task.name, fast=self.fast)
            found = [*lint(notebook)]
        except UserError as fault:
            return _Checked(unusable=fault.diagnostics)
        reasons = _reasons([task])
        found.sort(key=_place)
        findings = [Finding(fault, reasons.get(fault.code, "")) for fault in found]
        for one, is_lint in self._drift(task, notebook):
            findings.append(Finding(one, reasons.get(one.code, "") if is_lint else ""))
        return _Checked(findings, bool(task.steps) or Tagged(notebook).is_kales)

    def _drift(self, task: Task, notebook: Notebook) -> Iterator[tuple[Diagnostic, bool]]:
        """Where *notebook* is not as its specs say; whether a lint says so, or planning failed.

        A spec is held against the notebook that those before it make.
        """
        places = Places(notebook)
        for spec, target in task.steps:
            try:
                with self.watch():
                    made = plan(spec, notebook, target)
            except UserError as fault:
                yield from ((one, False) for one in fault.diagnostics)
                return
            yield from ((one, True) for one in drift(spec, target, made, places))
            if made.changes and spec is not task.steps[-1][0]:
                wanted = {change.holder: change.after for change in made.changes}
                notebook = scan_again(splice(notebook, wanted), notebook)


def _reasons(tasks: Iterable[Task]) -> dict[str, str]:
    """Why lints are silenced, by the specs of *tasks*."""
    specs = (spec for task in tasks for spec, _ in task.steps)
    return {code: reason for spec in specs for code, reason in (spec.ignore or {}).items()}


def _place(fault: Diagnostic) -> tuple[int, int]:
    label = fault.labels[0]
    return label.source.position(label.span.start) if label.span else (0, 0)


@dataclass(slots=True)
class _Report:
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
        kept = (one.fault for one in self.findings if not one.silenced)
        return sum(1 for fault in kept if fault.severity == severity)

    def tell(self, unusable: Iterable[Diagnostic]) -> None:
        """Print what could not be used, each fault once."""
        for fault in unusable:
            if fault in self.unusable:
                continue
            self.unusable[fault] = None
            if self.format == "github":
                print(as_command(fault))
            else:
                sys.stdout.flush()
                say(fault)

    def add(self, findings: Iterable[Finding]) -> None:
        """Keep *findings*, and print them where they are printed one by one."""
        for one in findings:
            self.findings.append(one)
            if self.quiet and one.fault.severity != "error" and not self.strict:
                continue
            if self.format == "text":
                self._print(one)
            elif self.format == "github" and not one.silenced:
                print(as_command(one.fault))

    def _print(self, one: Finding) -> None:
        if not one.silenced:
            print(faults.as_text(one.fault, self.style), end="\n\n")
        elif self.verbose:
            print(self.style.dim(faults.as_silenced(one.fault, one.silenced)), end="\n\n")

    def close(self) -> None:
        """Print the document of the formats that are one, else the summary."""
        if self.format == "json":
            from kale_tag.render.findings import as_json  # noqa: PLC0415  seldom asked for

            print(as_json(self.findings, [*self.unusable], self.counts))
        elif self.format == "sarif":
            from kale_tag.commands.lint_pages import pages  # noqa: PLC0415  seldom asked for
            from kale_tag.render.sarif import as_sarif  # noqa: PLC0415

            print(as_sarif(self.findings, [*self.unusable], pages()))
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
        print(f"{', '.join(parts)} in {' and '.join(where)}")


def _explain(code: str) -> int:
    from kale_tag.commands.lint_pages import pages  # noqa: PLC0415  seldom asked for

    known = pages()
    if code == "list":
        width = max(map(len, known))
        for one in known.values():
            print(f"{one.code.ljust(width)}  {one.severity.ljust(7)}  {one.summary}")
        return 0
    if code not in known:
        say(
            error(
                "unknown-code",
                f"there is no lint `{code}`",
                help=suggest(code, known, "the lints are"),
            )
        )
        return 2
    print(known[code], end="")
    return 0
