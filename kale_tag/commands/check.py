"""`kale-tag check`: errors and warnings in specs, notebooks and pipelines."""

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from kale_tag import files
from kale_tag.commands.shared import batch
from kale_tag.commands.shared.options import PrintOptions, argument, option
from kale_tag.commands.shared.report import print_diagnostic, style_for
from kale_tag.commands.shared.targets import STDIN, Checks, Task, find_checks
from kale_tag.diagnostics import (
    Diagnostic,
    Label,
    Source,
    Span,
    UserError,
    count,
    did_you_mean,
    error,
    exit_code,
    guarded,
)
from kale_tag.kale.checks import has_kale_tags, lint
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.settings import CompileOptions
from kale_tag.kale.view import TaggedNotebook
from kale_tag.lint.validity import invalid_notebook
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places, in_files
from kale_tag.notebook.read import read_notebook, read_whole, scan
from kale_tag.notebook.splice import splice
from kale_tag.plan.drift import added_tags, drift, unruled_tag
from kale_tag.plan.plan import PlanError, plan
from kale_tag.render import diagnostics
from kale_tag.render.diagnostics import as_command
from kale_tag.render.text import Style
from kale_tag.rules import registry
from kale_tag.rules.registry import Finding

if TYPE_CHECKING:
    from kale_tag.commands.shared.pipelines import Reader
    from kale_tag.lint.cleaners import Use
    from kale_tag.lint.pipelines import Named

PRE_COMMIT = ".pre-commit-config.yaml"
CONFIGS = ("pyproject.toml", "settings.ini", ".nbwipers.toml", "nbwipers.toml", "jupytext.toml")
"""The files of the table, which is not read here."""

NAMES = re.compile(
    rb"nb[-_]?clean|nbdev|databooks|nbstripout|nbwipers|nbmetaclean|nbconvert|jupytext"
)
_SHARED = {PRE_COMMIT, "pyproject.toml"}


@dataclass(kw_only=True)
class CheckOptions(PrintOptions):
    """The options of `kale-tag check`."""

    paths: list[str] = argument(
        "SPEC|NOTEBOOK|FOLDER",
        "Specs, checked with the notebooks that they name; notebooks; folders, which stand for the "
        "specs in them and the notebooks below them. `-` is standard input. Default: kale-tag.yaml "
        "and the specs in specs/, of this folder or of the nearest one above it in the repository.",
    )
    strict: bool = option(False, "Exit 1 for warnings too.")
    explain: str = option(
        "",
        "Print what a finding means, why it matters and how to fix it; `list` lists the codes of "
        "all findings.",
        "CODE",
    )
    format: Literal["text", "json", "sarif", "github"] = option(
        "text", "How to print the findings; sarif is version 2.1.0, github prints annotations."
    )
    jobs: int = option(
        1, "Processes to use: several are faster for hundreds of notebooks.", "N", short="-j"
    )
    select: str = option("", "Report findings with these codes only.", "CODE,CODE")
    ignore: str = option("", "Report no findings with these codes.", "CODE,CODE")
    statistics: bool = option(False, "Count the findings by code instead of showing them.")
    output_file: str = option("", "Write the report to this file.", "FILE", short="-o")
    verbose: bool = option(
        False,
        "Show findings that a spec silences too, and repeated findings one by one.",
        short="-v",
    )
    quiet: bool = option(False, "Print errors only; with --strict, warnings too.", short="-q")


def check(options: CheckOptions) -> int:
    """Find errors in specs, notebooks and pipelines.

    kale-tag check

    kale-tag check specs/churn.yaml notebooks/ --format github

    kale-tag check --explain foreign-tag
    """
    if options.explain:
        return _explain(options.explain)
    select, ignore = _codes(options.select), _codes(options.ignore)
    checks = find_checks(options.paths)
    style = style_for(options.color, sys.stdout.isatty() and not options.output_file)
    report = _FindingsReport(options, style, checks.specs)
    report.show(checks.diagnostics)
    if checks.note and not options.quiet:
        print(checks.note, file=sys.stderr)
    report.findings += map(Finding, checks.wrong)
    unread = 0
    for unusable, found in findings(checks, jobs=options.jobs, quiet=options.quiet):
        report.show(unusable)
        report.findings += (
            one
            for one in found
            if one.diagnostic.code not in ignore and (not select or one.diagnostic.code in select)
        )
        unread += bool(unusable)
    report.notebooks = len(checks.tasks) - unread
    report.close()
    counts = report.counts
    has_findings = bool(counts["errors"] or (options.strict and counts["warnings"]))
    return exit_code(report.unusable) or int(has_findings)


def _codes(text: str) -> set[str]:
    """The codes of `--select` and `--ignore`. Raises `UserError` for one that there is not."""
    given = {code.strip() for code in text.split(",") if code.strip()}
    if unknown := sorted(given.difference(registry.codes())):
        raise UserError(*map(_unknown_code, unknown))
    return given


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
    cleaners = _find_cleaners(one.name for one in kales)
    yield (), [Finding(one, reasons.get(one.code, "")) for one in cleaners]


@dataclass(slots=True)
class _Checked:
    """The findings in one notebook, or why it could not be read."""

    name: str
    is_kales: bool = False  # it has tags or settings of Kale's, or a spec
    own: list[Diagnostic] = field(default_factory=list)  # findings in its tags and settings
    pipeline: tuple[Diagnostic, ...] = ()  # findings in its pipeline
    named: "Named | None" = None  # the name of its pipeline
    inner: frozenset[str] = frozenset()  # the files of the notebooks that it refers to
    drift: list[Finding] = field(default_factory=list)  # differences from its specs
    is_planned: bool = False  # the pipeline is the one that its specs would make
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
    inside = frozenset[str]().union(*(one.inner for one in checked))
    names: dict[str, list[Diagnostic]] = {}
    roots = [one for one in checked if one.name == STDIN or files.identity(one.name) not in inside]
    if len(roots) > 1:
        from kale_tag.lint.pipelines import one_pipeline_name  # noqa: PLC0415  starts slowly

        for diagnostic in one_pipeline_name(one.named for one in roots if one.named):
            names.setdefault(diagnostic.labels[0].source.name, []).append(diagnostic)
    for one in checked:
        diagnostics = [*one.own]
        if one in roots:
            known = {(own.message, own.labels) for own in one.own}  # the compiler has them too
            more = (*one.pipeline, *names.get(one.name, ()))
            diagnostics += [
                replace(new, message=f"after `apply`, {new.message}") if one.is_planned else new
                for new in more
                if (new.message, new.labels) not in known
            ]
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
        with guarded(task.name) as wrong:
            self._check(task, checked)
        checked.unusable = (*wrong,)
        return checked

    def _check(self, task: Task, checked: _Checked) -> None:
        data = self.stdin if task.name == STDIN else files.read(task.name).data
        notebook = read_whole(data, task.name, fast=self.fast)
        places = {notebook.name: Places(notebook)}
        checked.own = [in_files(diagnostic, places) for diagnostic in lint(notebook)]
        checked.is_kales = bool(task.steps) or TaggedNotebook(notebook).is_kales
        if checked.is_kales:
            checked.own += invalid_notebook(notebook)
        for spec, _ in task.steps:
            checked.reasons.update(spec.ignore or {})
            checked.own = [*map(spec.judged, checked.own)]
        tagged = self._drift(task, notebook, checked)
        if tagged is not None:
            checked.is_planned = tagged is not notebook
            self._pipeline(task, notebook, tagged, checked)

    def _drift(self, task: Task, notebook: Notebook, checked: _Checked) -> Notebook | None:
        """Note where *notebook* differs from its specs; the notebook as they make it, if they can.

        A spec is compared with the notebook that those before it make.
        """
        places = Places(notebook)
        plans = []
        for spec, target in task.steps:
            try:
                with self.watch():
                    made = plan(spec, notebook, target)
            except UserError as exc:
                checked.drift += map(Finding, exc.diagnostics)
                if isinstance(exc, PlanError):
                    checked.drift += map(checked.finding, drift(spec, target, exc.plan, places))
                return None
            plans.append(made)
            checked.drift += map(checked.finding, drift(spec, target, made, places))
            if made.changes:
                wanted = {change.holder: change.after for change in made.changes}
                data = splice(notebook, wanted)
                notebook = scan(data, notebook.name, fast=notebook.fast)
        checked.drift += map(checked.finding, unruled_tag(task.steps, plans, places))
        if added := [*added_tags(plans, places)]:
            # What a spec adds is removed there, not in the notebook.
            checked.own = [one for one in checked.own if one.code != added[0].code]
            checked.drift += map(checked.finding, added)
        return notebook

    def _pipeline(
        self, task: Task, notebook: Notebook, tagged: Notebook, checked: _Checked
    ) -> None:
        """Check the pipeline of *notebook*, which specs have *tagged* in memory, if it has one.

        Places are those of the file on disk.
        """
        if not has_kale_tags(tagged):
            return
        # The compiler takes as long to import as all that check does else.
        from kale_tag.commands.shared.pipelines import (  # noqa: PLC0415
            STDIN_NOTEBOOK,
            local_code,
            reader,
            run_files,
        )
        from kale_tag.compiler.step_command import load_runtime  # noqa: PLC0415
        from kale_tag.lint import pipelines  # noqa: PLC0415
        from kale_tag.lint.context import compile_notebook  # noqa: PLC0415
        from kale_tag.spec.compile_section import merged  # noqa: PLC0415

        options = CompileOptions()
        for spec, _ in task.steps:
            options = merged(options, spec.compile or CompileOptions())
        if tagged.name == STDIN:
            tagged = read_notebook(tagged.data, STDIN_NOTEBOOK, fast=tagged.fast)
        if self.reader is None:
            self.reader = reader(self.tasks, self.stdin, self.watch)
        inner: dict[str, str] = {}
        load, local = self.reader.loader(inner), local_code(tagged, options)
        found = compile_notebook(tagged, options, load, local, load_runtime(), runs=run_files)
        diagnostics = [*pipelines.lint(found)]
        places = {tagged.name: Places(notebook)}
        labels = (label for one in diagnostics for label in one.labels)
        for name in {label.source.name for label in labels} & inner.keys():
            places[name] = Places(read_notebook(files.read(name).data, name, fast=self.fast))
        if found.parts:
            at = places[tagged.name].metadata(None, (SETTINGS_KEY, "pipeline_name"))
            checked.named = pipelines.Named(notebook.name, found.parts[0].pipeline.name, at)
        settings = places[tagged.name].metadata(None, (SETTINGS_KEY,))
        located = (one if one.labels else replace(one, labels=(settings,)) for one in diagnostics)
        checked.pipeline = tuple(dict.fromkeys(in_files(one, places) for one in located))
        checked.inner = frozenset(map(files.identity, inner))


def _place(diagnostic: Diagnostic, name: str) -> tuple[bool, str, int, int]:
    label = diagnostic.labels[0]
    line, column = label.source.position(label.span.start) if label.span else (0, 0)
    return label.source.name != name, label.source.name, line, column


@dataclass(slots=True)
class _FindingsReport:
    """Prints findings to standard output, what could not be used to standard error; and counts."""

    options: CheckOptions
    style: Style
    specs: int
    notebooks: int = 0
    findings: list[Finding] = field(default_factory=list)
    unusable: dict[Diagnostic, None] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def show(self, unusable: Iterable[Diagnostic]) -> None:
        """Print why files cannot be used, each diagnostic once."""
        for diagnostic in unusable:
            if diagnostic in self.unusable:
                continue
            self.unusable[diagnostic] = None
            if self.options.format == "github":
                self.lines.append(as_command(diagnostic))
            else:
                sys.stdout.flush()
                print_diagnostic(diagnostic)

    def close(self) -> None:
        """Print the report, or write it to the file of `--output-file`."""
        if self.options.format == "json":
            from kale_tag.render.diagnostics import as_json  # noqa: PLC0415  seldom asked for

            self.lines.append(as_json(self.findings, [*self.unusable], self.counts))
        elif self.options.format == "sarif":
            from kale_tag.render.sarif import as_sarif  # noqa: PLC0415  seldom asked for

            self.lines.append(as_sarif(self.findings, [*self.unusable], registry.pages()))
        else:
            self.lines += self._statistics() if self.options.statistics else self._shown()
            if not self.options.quiet:
                self.lines.append(self._summary())
        text = "".join(f"{line}\n" for line in self.lines)
        if self.options.output_file:
            files.write(self.options.output_file, text.encode(errors="surrogateescape"))
        else:
            print(text, end="")

    def _shown(self) -> Iterator[str]:
        """The findings; equal ones in many notebooks once, unless each is wanted."""
        severities = ("error", "warning") if self.options.strict else ("error",)
        reasons = {one.diagnostic: one.silenced for one in self.findings if one.silenced}
        found = [one.diagnostic for one in self.findings if not one.silenced]
        if self.options.verbose:
            found = [one.diagnostic for one in self.findings]
        for one in found if self.options.verbose else diagnostics.folded(found):
            if self.options.quiet and one.severity not in severities:
                continue
            if self.options.format == "github":
                if one not in reasons:
                    yield as_command(one)
            elif one in reasons:
                yield self.style.dim(diagnostics.as_silenced(one, reasons[one])) + "\n"
            else:
                yield diagnostics.as_text(one, self.style) + "\n"

    def _statistics(self) -> Iterator[str]:
        """How many findings there are of each code, most first."""
        kept = [one.diagnostic for one in self.findings if not one.silenced]
        counted = Counter((one.severity, one.code) for one in kept).most_common()
        for (severity, code), number in counted:
            names = {one.labels[0].source.name for one in kept if one.code == code and one.labels}
            yield f"{number:5}  {severity:7}  {code}  (in {count(len(names), 'file')})"

    @property
    def counts(self) -> dict[str, int]:
        """Of everything, for JSON."""
        kept = Counter(one.diagnostic.severity for one in self.findings if not one.silenced)
        return {
            "specs": self.specs,
            "notebooks": self.notebooks,
            "errors": kept["error"],
            "warnings": kept["warning"],
            "notes": kept["note"],
            "silenced": len(self.findings) - kept.total(),
            "unusable": len(self.unusable),
        }

    def _summary(self) -> str:
        counts = self.counts
        parts = [count(counts["errors"], "error"), count(counts["warnings"], "warning")]
        parts += [count(counts["notes"], "note")] if counts["notes"] else []
        parts += [f"{counts['silenced']} silenced"] if counts["silenced"] else []
        where = [count(self.notebooks, "notebook")] if self.notebooks or not self.specs else []
        where += [count(self.specs, "spec")] if self.specs else []
        names = {
            diagnostic.labels[0].source.name for diagnostic in self.unusable if diagnostic.labels
        }
        unusable = f"; {count(len(names), 'file')} unusable" if names else ""
        return f"{', '.join(parts)} in {' and '.join(where)}{unusable}"


def _explain(code: str) -> int:
    if code == "list":
        print(*registry.summaries(), sep="\n")
        return 0
    if code not in registry.codes():
        raise UserError(_unknown_code(code))
    print(registry.explanation(code), end="")
    return 0


def _unknown_code(code: str) -> Diagnostic:
    otherwise = "`kale-tag check --explain list` lists them"
    hint = did_you_mean(code, registry.codes(), otherwise)
    return error("unknown-code", f"no message has the code `{code}`", help=hint)


# Programs that delete tags, in the set-up of a repository. Git is asked, and files are parsed,
# only where they name such a program: all others pay for a few looks at the disk.


def _find_cleaners(notebooks: Iterable[str]) -> Iterator[Diagnostic]:
    """What deletes tags or settings of *notebooks*, as far as they are in a work tree of Git."""
    top_of = cache(files.repository)
    tops: dict[str, list[str]] = {}
    for name in notebooks:
        path = os.path.realpath(name)
        if top := top_of(os.path.dirname(path)):
            tops.setdefault(top, []).append(os.path.relpath(path, top).replace(os.sep, "/"))
    for top, paths in tops.items():
        sources = {}
        for name in (PRE_COMMIT, *CONFIGS):
            data = _data(os.path.join(top, name))
            if data and (name not in _SHARED or NAMES.search(data)):
                sources[name] = data
        filtered = _may_have_filters(top)
        if sources or filtered:
            yield from _cleaners_of(top, paths, sources, filtered=filtered)


def _cleaners_of(
    top: str, paths: Sequence[str], found: Mapping[str, bytes], *, filtered: bool
) -> Iterator[Diagnostic]:
    from kale_tag.lint import cleaners  # noqa: PLC0415  few repositories name a cleaner

    sources = {}
    for name, data in found.items():
        shown = os.path.normpath(os.path.join(os.path.relpath(top), name))
        try:
            sources[name] = files.as_text(shown, data)
        except UserError:
            continue  # the cleaner reports that itself
    uses = [*cleaners.hooks(sources[PRE_COMMIT], paths)] if PRE_COMMIT in sources else []
    uses += _filters(top, paths) if filtered else []
    names = {use.cleaner.name for use in uses}
    for use in uses:
        config = cleaners.configured(use.cleaner, sources, used=True)
        yield from cleaners.tag_eating_cleaner(use, config)
    for cleaner in cleaners.cleaners():
        config = cleaners.configured(cleaner, sources, used=False)
        if config and cleaner.name not in names:
            yield from cleaners.tag_eating_cleaner(config)


def _filters(top: str, paths: Sequence[str]) -> "list[Use]":
    """The cleaners that Git has as filters of notebooks.

    None where there is no Git, or where it refuses the repository or its own configuration.
    """
    from kale_tag.git import config  # noqa: PLC0415  as above
    from kale_tag.git.revisions import GitError  # noqa: PLC0415
    from kale_tag.lint import cleaners  # noqa: PLC0415

    uses = []
    try:
        given = config.effective("filter", paths, top).values()
        for name in dict.fromkeys(given):
            command = config.get(f"filter.{name}.clean", None, top)
            if command and (started := cleaners.find(command.value)):
                cleaner, options = started
                if cleaner.git and (extra := config.get(cleaner.git[0], None, top)):
                    options = {**cleaners.options_of([cleaner.git[1], extra.value]), **options}
                at = _section(command.file, name, top)
                uses.append(cleaners.Use(cleaner, f"Git's filter `{name}`", at, options))
    except (GitError, UserError):
        return []
    return uses


def _section(file: str, name: str, top: str) -> Label:
    """The head of the section of Git's configuration that sets up the filter *name*."""
    inside = not os.path.relpath(file, top).startswith("..")
    shown = os.path.relpath(file) if inside else file
    source = Source(shown, files.read(file).data.decode(errors="replace"))
    head = re.search(rf'\[filter "{re.escape(name)}"\]', source.text)
    return Label(source, Span(*head.span()) if head else None)


def _may_have_filters(top: str) -> bool:
    """Whether Git's configuration can name a cleaner: it does, or it includes other files."""
    git = os.path.join(top, ".git")
    if os.path.isfile(git):  # a linked work tree, or a submodule: its configuration is elsewhere
        return True
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    configs = (
        os.path.join(git, "config"),
        os.path.expanduser("~/.gitconfig"),
        os.path.join(home, "git", "config"),
        "/etc/gitconfig",
    )
    contents = [_data(path) for path in configs]
    return any(NAMES.search(data) or b"[include" in data for data in contents)


def _data(path: str) -> bytes:
    """The content of a file; nothing where there is none that the user may read."""
    if os.path.isfile(path):
        with suppress(OSError), open(path, "rb") as file:
            return file.read()
    return b""
