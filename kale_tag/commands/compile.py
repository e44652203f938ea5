"""`kale-tag compile`: packages for Kubeflow Pipelines from tagged notebooks."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kale_tag import files
from kale_tag.commands.shared.options import (
    Builders,
    Check,
    Color,
    Dsl,
    Output,
    PackageFormat,
    Paths,
    Quiet,
    Verbose,
)
from kale_tag.commands.shared.pipelines import STDIN_NOTEBOOK, BuiltNotebook, build
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.commands.shared.targets import STDIN
from kale_tag.compiler.dsl import cannot_compile, to_dsl
from kale_tag.compiler.limits import size_warnings
from kale_tag.compiler.package import package
from kale_tag.compiler.package_text import Origin, as_text, changed_sources
from kale_tag.compiler.step_command import Runtime, load_runtime
from kale_tag.diagnostics import Label, Source, UserError, count, error, warning
from kale_tag.render.text import Style

ENDINGS = {
    "yaml": ".pipeline.yaml",
    "json": ".pipeline.json",
    "manifest": ".pipeline.k8s.yaml",
    "dsl": "_pipeline.py",
}
"""The ending after the notebook's name if the user gives no file name."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file to write: its path (`STDIN` for standard output) and its content."""

    path: str
    text: str


def compile(  # noqa: A001, PLR0913  the command's name; one parameter an option
    paths: Paths,
    *,
    output: Output = "",
    format: PackageFormat = "yaml",  # noqa: A002  the option's name
    dsl: Dsl = "",
    check: Check = False,
    jobs: Builders = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
) -> int:
    """Write pipelines as packages for Kubeflow Pipelines.

    kale-tag compile notebook.ipynb

    kale-tag compile spec.yaml notebook.ipynb -o churn.yaml

    kale-tag compile --check

    With a spec the notebook is tagged in memory; the file does not change.
    """
    report = Report(style_for(color, sys.stdout.isatty()))
    runtime = load_runtime()
    built = build(paths, finish(runtime, output, format, dsl), jobs=jobs, quiet=quiet)
    _refuse_one_file(built)
    _warn_of_one_name(built)
    if check:
        given = (("-o", output), ("--format", format if format != "yaml" else ""), ("--dsl", dsl))
        words = [word for option, value in given if value for word in (option, value)]
        command = shlex.join(["kale-tag", "compile", *paths, *words])
        return _check(built, report, command, verbose=verbose, quiet=quiet)
    out = sys.stderr if any(_to_stdout(one) for one in built) else sys.stdout
    changed = same = 0
    for one in built:
        try:
            wrote = [(file, _write(file)) for file in output_files(one)]
        except UserError as exc:
            one.diagnostics += exc.diagnostics
            one.pipeline, wrote = None, []
        report.keep(one.diagnostics)
        for file, new in wrote:
            changed, same = changed + new, same + (not new)
            if file.path != STDIN and (verbose or (new and not quiet)):
                print(_line(one, file, report.style, new=new), file=out)
    report.close(verbose=verbose, quiet=quiet)
    if not quiet:
        failed = sum(one.failed for one in built)
        print(f"{changed} written, {same} unchanged, {failed} failed", file=out)
    return _exit_code(built)


def finish(
    runtime: Runtime, output: str = "", form: str = "yaml", dsl: str = ""
) -> Callable[[BuiltNotebook], tuple[OutputFile, ...]]:
    """What makes the files of a pipeline that is built, the package first."""

    def made_of(built: BuiltNotebook) -> tuple[OutputFile, ...]:
        made = package(built.of, runtime)
        built.diagnostics += made.warnings
        path = _path(output, built.name, form)
        text = as_text(made, built.of, _origin(built, path, form), form)
        built.diagnostics += tuple(size_warnings(made.size, built.name))
        wanted = [OutputFile(path, text)]
        if dsl:
            built.diagnostics += tuple(cannot_compile(built.of))
            wanted.append(OutputFile(_path(dsl, built.name, "dsl"), to_dsl(built.of, runtime)))
        return tuple(wanted)

    return made_of


def _path(output: str, name: str, form: str) -> str:
    """Where the file of the notebook *name* goes."""
    folder, base = os.path.split(STDIN_NOTEBOOK if name == STDIN else name)
    if output == STDIN or (name == STDIN and not output):
        return STDIN
    own = base.removesuffix(".ipynb") + ENDINGS[form]
    if not output:
        return os.path.join(folder, own)
    if output.endswith(("/", os.sep)) or os.path.isdir(output):
        return os.path.join(output, own)
    return output


def _origin(built: BuiltNotebook, path: str, form: str) -> Origin:
    """Sources as they are called in the folder of the package *path*."""
    folder = "" if path == STDIN else os.path.dirname(path)
    named = [(_from(folder, name), digest) for name, digest in built.sources]
    notebook, specs = named[0][0], [name for name, _ in named[1 : 1 + built.specs]]
    words = ["kale-tag", "compile", *specs, notebook]
    if form != "yaml":
        words += ["--format", form]
    if path != STDIN:
        here = os.path.basename(path)
        if _path("", notebook, form) != here:
            words += ["-o", here]
    return Origin(tuple(named), shlex.join(words))


def _from(folder: str, name: str) -> str:
    """The path of *name* from *folder*, or its last part if the rest is about this machine."""
    try:
        path = os.path.relpath(name, folder or ".")
    except ValueError:  # another drive of Windows
        return os.path.basename(name)
    up = path.split(os.sep).count(os.pardir)
    if up and up >= len(os.path.abspath(folder or ".").strip(os.sep).split(os.sep)):
        return os.path.basename(name)
    return path.replace(os.sep, "/")


def _refuse_one_file(built: Sequence[BuiltNotebook]) -> None:
    """Two packages in one file would be one."""
    first: dict[str, BuiltNotebook] = {}
    for one in built:
        for file in output_files(one):
            path = files.identity(file.path)
            if path in first:
                both = f"{first[path].name} and {one.name}"
                if first[path] is one:
                    both = f"the package and the DSL of {one.name}"
                where = "standard output" if file.path == STDIN else file.path
                one.diagnostics += (
                    error(
                        "one-file",
                        f"{both} would both be written to {where}",
                        Label(Source(one.name)),
                        help="`-o FOLDER/` gives each a file; or leave `-o` out",
                    ),
                )
                one.pipeline = first[path].pipeline = None
            first[path] = one


def _warn_of_one_name(built: Sequence[BuiltNotebook]) -> None:
    """Warn once for each pipeline name that notebooks share: the last of them has the warning."""
    sharing: dict[str, list[BuiltNotebook]] = {}
    for one in built:
        if not one.failed:
            sharing.setdefault(one.of.name, []).append(one)
    for name, some in sharing.items():
        if len(some) > 1:
            first, *others = (Label(Source(one.name)) for one in some)
            some[-1].diagnostics += (
                warning(
                    "one-pipeline-name",
                    f"{len(some)} notebooks are the pipeline `{name}`; once uploaded, "
                    "their packages are versions of one pipeline",
                    first,
                    also=others,
                    help="`pipeline_name: x-${stem}` in a spec gives each a name of its own",
                ),
            )


def output_files(one: BuiltNotebook) -> tuple[OutputFile, ...]:
    """The files of a pipeline that `finish` has made, none if it failed."""
    if one.pipeline is None:
        return ()
    assert isinstance(one.made, tuple)
    return one.made


def _to_stdout(one: BuiltNotebook) -> bool:
    return any(file.path == STDIN for file in output_files(one))


def _write(file: OutputFile) -> bool:
    data = file.text.encode()
    if file.path == STDIN:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return True
    return files.write(file.path, data)


def _line(one: BuiltNotebook, file: OutputFile, style: Style, *, new: bool) -> str:
    what = count(len(one.of.steps), "step")
    if one.of.parameters:
        what += f", {count(len(one.of.parameters), 'parameter')}"
    if not new:
        return style.dim(f"unchanged {file.path}")
    return f"wrote {style.bold(file.path)}: {what}"


def _check(
    built: Sequence[BuiltNotebook], report: Report, command: str, *, verbose: bool, quiet: bool
) -> int:
    """Print which packages differ from what would be written now."""
    stale = 0
    for one in built:
        report.keep(one.diagnostics)
        for file in output_files(one):
            why = _staleness(file)
            stale += bool(why)
            if why and not quiet:
                print(f"stale {report.style.bold(file.path)}: {why}")
    report.close(verbose=verbose, quiet=quiet)
    if not quiet:
        total = sum(len(output_files(one)) for one in built)
        failed = sum(one.failed for one in built)
        print(f"{stale} stale, {total - stale} up to date, {failed} failed")
        if stale and not failed:
            print(f"To write them: {command}")
    return _exit_code(built) or min(stale, 1)


def _staleness(file: OutputFile) -> str:
    if file.path == STDIN:
        raise UserError(error("no-package", "`--check` needs a package on disk to compare with"))
    if not os.path.lexists(file.path):
        return "it was never written"
    old = files.read(file.path).data.decode(errors="replace")
    if old == file.text:
        return ""
    changed = changed_sources(old, file.text)
    return f"{' and '.join(changed)} changed" if changed else "its content would be different now"


def _exit_code(built: Sequence[BuiltNotebook]) -> int:
    if any(one.bug for one in built):
        return 3
    return 2 if any(one.failed for one in built) else 0
