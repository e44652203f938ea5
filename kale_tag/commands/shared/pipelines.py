"""The pipelines of the notebooks on a command line: tagged in memory, read, built."""

import os
import posixpath
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace

from kale_tag import files
from kale_tag.code.facts import read_facts
from kale_tag.code.local_modules import (
    LocalCode,
    Travelling,
    added_folders,
    code_of,
    run_paths,
    written_modules,
)
from kale_tag.code.source import Runs, read_code
from kale_tag.commands.shared import batch
from kale_tag.commands.shared.targets import STDIN, Task, find_targets
from kale_tag.compiler.build import Load
from kale_tag.compiler.build import build as build_notebook
from kale_tag.compiler.package_text import notebook_digest, text_digest
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, count, error, guarded
from kale_tag.kale.pipeline import Pipeline
from kale_tag.kale.settings import CompileOptions
from kale_tag.lint.pipelines import differences
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.apply import apply_spec
from kale_tag.spec.compile_section import merged

STDIN_NOTEBOOK = "stdin.ipynb"


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file to write: its path (`STDIN` for standard output) and its content."""

    path: str
    text: str

    def write(self) -> bool:
        """Write or print it; whether anything is new."""
        data = self.text.encode()
        if self.path == STDIN:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            return True
        return files.write(self.path, data)


def output_path(output: str, name: str, ending: str) -> str:
    """Where a file of the notebook *name* goes: *output*, that folder, or beside the notebook."""
    folder, base = os.path.split(STDIN_NOTEBOOK if name == STDIN else name)
    if output == STDIN or (name == STDIN and not output):
        return STDIN
    own = base.removesuffix(".ipynb") + ending
    if not output:
        return os.path.join(folder, own)
    if output.endswith(("/", os.sep)) or os.path.isdir(output):
        return os.path.join(output, own)
    return output


@dataclass(slots=True)
class BuiltNotebook:
    """The result for one notebook."""

    name: str
    pipeline: Pipeline | None = None
    # What it is made of, with a digest of each: the notebook, its specs, files that these refer to
    sources: tuple[tuple[str, str], ...] = ()
    specs: int = 0  # how many
    inner: frozenset[str] = frozenset()  # the identities of the notebooks that it refers to
    outputs: tuple[OutputFile, ...] = ()  # what a command makes of the pipeline
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def of(self) -> Pipeline:
        """The pipeline, where there is one."""
        assert self.pipeline is not None
        return self.pipeline

    @property
    def failed(self) -> bool:
        """Whether there is nothing to go on with."""
        return self.pipeline is None

    def fail(self, *diagnostics: Diagnostic) -> None:
        """Leave nothing to go on with, for the reasons given."""
        self.diagnostics += diagnostics
        self.pipeline, self.outputs = None, ()


def local_modules(folder: str, sources: Collection[str]) -> dict[str, str]:
    """The user's own modules that cells in *folder* with these *sources* can import.

    With each is the pattern of its files, from *folder*; "" for those that cells write.
    """
    found = dict.fromkeys(written_modules(sources), "")
    for one in reversed(["", *added_folders(sources)]):
        for name, pattern in files.modules_in(os.path.join(folder, one)).items():
            found[name] = posixpath.join(one, pattern)
    return found


def local_code(notebook: Notebook, options: CompileOptions) -> LocalCode:
    """The user's own modules that *notebook* can import, and the files that `compile: files` names.

    Raises `UserError` with every file that cannot travel.
    """
    folder, sources = os.path.dirname(notebook.name), code_of(notebook)
    modules = local_modules(folder, sources)
    found: dict[str, Source] = {}
    wrong: list[Diagnostic] = []
    at = options.labels.get("files")
    folders = ["", *added_folders(sources)] if options.files else []
    for pattern in options.files:
        paths = files.named_by(pattern, folder)
        if not paths:
            hint = "patterns begin at the folder of the notebook; `lib/**` is all below `lib`"
            wrong.append(error("bad-file", f"no file matches `{pattern}`", at, help=hint))
        for path in paths:
            try:
                text = files.read_text(path)
                problem = _cannot_travel(path, text.text, folder)
            except UserError as exc:
                wrong += exc.diagnostics
                continue
            if problem:
                message = f"`{path}` cannot travel with the steps: {problem}"
                wrong.append(error("bad-file", message, at))
            found[_imported_as(path, folder, folders)] = text
    if wrong:
        raise UserError(*wrong)
    return LocalCode(modules, found)


def imported_files(notebook: Notebook) -> tuple[str, ...]:
    """What `compile: files` has to name for *notebook*: its imports, and what these import."""
    found: set[str] = set()
    with suppress(UserError):  # what cannot travel
        cells = [read_code(notebook.name, 0, source) for source in code_of(notebook)]
        while True:
            local = local_code(notebook, CompileOptions(files=tuple(found)))
            travelling = Travelling(local.files)
            imports = [*read_facts(cells).modules, *travelling.imports(travelling.units)]
            names = {one.module.partition(".")[0] for one in imports if not one.level}
            new = {local.modules.get(name, "") for name in names} - found - {""}
            if not new:
                break
            found |= new
    return tuple(sorted(found))


def _cannot_travel(path: str, text: str, folder: str) -> str:
    """Why the file *path*, which a notebook in *folder* names, does not go into a package."""
    near = os.path.relpath(path, folder or ".").replace(os.sep, "/")
    if any(part.startswith(".") and part != ".." for part in near.split("/")):
        return "it is hidden"
    top = files.repository(os.path.abspath(folder)) or os.path.abspath(os.path.dirname(path))
    top, real = files.identity(top), files.identity(path)
    if os.path.commonpath([top, real]) != top:
        return "it is outside of the repository, or of its folder where there is none"
    return "it is not text" if "\0" in text else ""


def _imported_as(path: str, folder: str, folders: Sequence[str]) -> str:
    """Where steps have the file: below the folder on `sys.path` that is nearest to it."""
    near = [os.path.relpath(path, os.path.join(folder, one) or ".") for one in folders]
    below = (one.replace(os.sep, "/") for one in near if not one.startswith(os.pardir))
    return min(below, key=len, default=near[0].replace(os.sep, "/").replace("../", ""))


def run_files(notebook: Notebook) -> dict[str, list[str]]:
    """The code of the files that `%run` in *notebook* names, and of those that they name.

    What is not there, or is no notebook or text, is left out.
    """
    folder = os.path.dirname(notebook.name)
    found: dict[str, list[str]] = {}
    todo = run_paths(code_of(notebook))
    while todo:
        path = todo.pop()
        name = os.path.join(folder, os.path.expanduser(path))
        with suppress(UserError):
            if path not in found:
                file = files.read(name if os.path.exists(name) else f"{name}.py")
                is_notebook = path.endswith(".ipynb")
                found[path] = (
                    code_of(read_notebook(file.data, name))
                    if is_notebook
                    else [files.as_text(name, file.data).text]
                )
                todo += run_paths(found[path])
    return found


Finish = Callable[[BuiltNotebook], tuple[OutputFile, ...]]
"""Makes files of what is built, in the process that has built it; may raise `UserError`."""


def build(  # noqa: PLR0913  what the commands that build have different
    paths: Sequence[str],
    finish: Finish,
    *,
    jobs: int,
    quiet: bool,
    but: Collection[str] = (),
    lints: bool = True,
) -> list[BuiltNotebook]:
    """Every notebook that *paths* stand for, in order, with its pipeline or diagnostics.

    With *lints* these have what the pipeline may compute differently, unless a spec silences it.
    Diagnostics whose codes are in *but* are left out. A notebook that another one refers to is in
    the result only if it is named. Raises `UserError` if *paths* cannot be understood.
    """
    targets = find_targets(paths, alone=True)
    if targets.diagnostics:
        raise UserError(*targets.diagnostics)
    if targets.note and not quiet:
        print(targets.note, file=sys.stderr)
    work = _NotebookBuilder(reader(targets.tasks, targets.stdin, batch.watch()), finish, but, lints)
    built = list(batch.each(work.on, targets.tasks, jobs=jobs, quiet=quiet))
    named = {files.identity(path) for path in paths if path != STDIN}
    inner = frozenset[str]().union(*(one.inner for one in built)) - named
    built = [one for one in built if one.name == STDIN or files.identity(one.name) not in inner]
    bare = {one.name for one in built if _is_bare(one) and files.identity(one.name) not in named}
    if not bare or len(bare) == len(built):
        return built
    if not quiet:
        some = f"{count(len(bare), 'notebook')} without a step left out"
        print(f"{some}: `kale-tag extract` proposes specs", file=sys.stderr)
    return [one for one in built if one.name not in bare]


def refuse_one_file(built: Sequence[BuiltNotebook]) -> None:
    """Fail those whose files would be one file."""
    first: dict[str, BuiltNotebook] = {}
    for one in built:
        for file in one.outputs:
            path = files.identity(file.path)
            if other := first.get(path):
                both = f"{other.name} and {one.name}"
                hint = "`-o FOLDER/` gives each a file; or leave `-o` out"
                if other is one:
                    both = f"the package and the DSL of {one.name}"
                elif os.path.basename(other.name) == os.path.basename(one.name):
                    hint = "use two calls, with two folders"
                where = "standard output" if file.path == STDIN else file.path
                message = f"{both} would both be written to {where}"
                one.fail(error("one-file", message, Label(Source(one.name)), help=hint))
                other.fail()
            first[path] = one


def _is_bare(one: BuiltNotebook) -> bool:
    """Whether a notebook has no step, and nothing else is wrong with it."""
    return one.failed and all(diagnostic.code == "no-step" for diagnostic in one.diagnostics)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads notebooks as the specs of a command line tag them; nothing is written.

    *tasks* say which specs go to which notebook, by its identity.
    """

    tasks: Mapping[str, Task]
    stdin: bytes
    fast: bool
    watch: Callable[[], AbstractContextManager[object]]

    def tagged(
        self, task: Task
    ) -> tuple[Notebook, CompileOptions, tuple[tuple[str, str], ...], tuple[Diagnostic, ...]]:
        """The notebook of *task*, what specs say to the compiler, its sources, and warnings."""
        stdin = task.name == STDIN
        name = STDIN_NOTEBOOK if stdin else task.name
        data = self.stdin if stdin else files.read(task.name).data
        options = CompileOptions()
        notebook = read_notebook(data, name, fast=self.fast)
        sources = [(name, notebook_digest(notebook))]
        warnings: tuple[Diagnostic, ...] = ()
        for spec, target in task.steps:
            done = apply_spec(spec, data, name, target, fast=self.fast, watch=self.watch)
            warnings += done.plan.warnings
            if done.data is not None:
                data = done.data
                notebook = read_notebook(data, name, fast=self.fast)
            options = merged(options, spec.compile or CompileOptions())
            sources.append((spec.source.name, text_digest(spec.source.text)))
        return notebook, options, tuple(sources), warnings

    def loader(self, sources: dict[str, str]) -> Load:
        """Loads a notebook that another refers to, tagged too where there is a spec for it.

        The digests of what is loaded are put into *sources*.
        """

        def load(path: str, at: Label) -> Notebook:
            task = self.tasks.get(files.identity(path), Task(path))
            try:
                notebook, _, found, _ = self.tagged(task)
            except UserError as exc:
                first = exc.diagnostics[0]
                text = f"the notebook that the cell refers to cannot be used: {first.message}"
                raise UserError.of("unreadable-reference", text, at, help=first.help) from None
            sources.update(found)
            return notebook

        return load


def reader(
    tasks: Sequence[Task], stdin: bytes, watch: Callable[[], AbstractContextManager[object]]
) -> Reader:
    """A reader of the notebooks of *tasks*."""
    by_identity = {files.identity(task.name): task for task in tasks}
    return Reader(by_identity, stdin, batch.is_worth_msgspec(tasks), watch)


@dataclass(frozen=True, slots=True)
class _NotebookBuilder:
    reader: Reader
    finish: Finish
    but: Collection[str]
    lints: bool

    def on(self, task: Task) -> BuiltNotebook:
        built = BuiltNotebook(task.name)
        inner: dict[str, str] = {}
        with guarded(task.name) as wrong:
            notebook, options, sources, warnings = self.reader.tagged(task)
            built.diagnostics += warnings
            local = local_code(notebook, options)
            load = self.reader.loader(inner)
            run: dict[str, str] = {}

            def runs(of: Notebook) -> Runs:
                found = run_files(of)
                folder = os.path.dirname(of.name)
                for path, cells in found.items():
                    run[os.path.join(folder, path)] = text_digest("\n".join(cells))
                return found

            result = build_notebook(notebook, options, load, local, runs=runs, but=self.but)
            found = [*result.pipeline.warnings, *(differences(result) if self.lints else ())]
            silenced = {code for spec, _ in task.steps for code in spec.ignore or {}}
            # It compiles, though `check` may call it an error.
            found = [replace(one, severity="warning") for one in found if one.code not in silenced]
            built.diagnostics += tuple(dict.fromkeys(found))
            built.pipeline = replace(result.pipeline, warnings=tuple(found))
            run |= {one.name: text_digest(one.text) for one in local.files.values()}
            built.specs = len(task.steps)
            built.sources = (*sources, *inner.items(), *run.items())
            built.outputs = self.finish(built)
        if wrong:
            built.fail(*wrong)
        built.inner = frozenset(map(files.identity, inner))
        return built
