"""`kale-tag compile`: packages for Kubeflow Pipelines from tagged notebooks."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kale_tag import files
from kale_tag.commands.shared.options import BuildOptions, option
from kale_tag.commands.shared.pipelines import (
    BuiltNotebook,
    OutputFile,
    build,
    output_path,
    refuse_one_file,
)
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.commands.shared.targets import STDIN
from kale_tag.compiler.dsl import cannot_compile, to_dsl
from kale_tag.compiler.limits import size_warnings
from kale_tag.compiler.package import package
from kale_tag.compiler.package_text import Origin, as_text, changed_sources
from kale_tag.compiler.step_command import load_runtime
from kale_tag.compiler.versions import check_feature
from kale_tag.diagnostics import (
    DiagnosticCollector,
    Label,
    Source,
    UserError,
    count,
    pasted,
)
from kale_tag.kale.names import KFP_VERSIONS, kfp_version
from kale_tag.render.text import Style, one_line

ENDINGS = {
    "yaml": ".pipeline.yaml",
    "json": ".pipeline.json",
    "manifest": ".pipeline.k8s.yaml",
    "dsl": "_pipeline.py",
}
"""The ending after the notebook's name if the user gives no file name."""


@dataclass(kw_only=True)
class CompileCommandOptions(BuildOptions):
    """The options of `kale-tag compile`."""

    output: str = option(
        "",
        "The file to write, or a folder in which each notebook gets NAME.pipeline.yaml (or .json, "
        "...); `-` is standard output. Default: beside each notebook.",
        "PATH",
        short="-o",
    )
    format: Literal["yaml", "json", "manifest"] = option(
        "yaml",
        "yaml: a package for Kubeflow Pipelines; json: the same as JSON; manifest: the Kubernetes "
        "resources Pipeline and PipelineVersion.",
    )
    dsl: str = option(
        "",
        "Also write the pipeline as Python code of the KFP SDK (DSL) to this file or folder.",
        "PATH",
    )
    kfp_version: str = option(
        "",
        "The oldest version of Kubeflow Pipelines' backend that must take the package, such as "
        "2.14: what it cannot do is an error. Replaces `kfp_version` of a spec.",
        "VERSION",
    )
    check: bool = option(
        False, "Write nothing; exit 1 if a package on disk differs from what would be written now."
    )
    verbose: bool = option(
        False, "List unchanged notebooks too, and show repeated warnings one by one.", short="-v"
    )


def compile(options: CompileCommandOptions) -> int:  # noqa: A001  the command's name
    """Write pipelines as packages for Kubeflow Pipelines.

    kale-tag compile notebook.ipynb

    kale-tag compile spec.yaml notebook.ipynb -o churn.yaml

    kale-tag compile --check

    With a spec the notebook is tagged in memory; the file does not change.
    """
    report = Report(style_for(options.color, sys.stdout.isatty()))
    made_of = finish(options.output, options.format, options.dsl, options.kfp_version)
    built = build(options.paths, made_of, jobs=options.jobs, quiet=options.quiet)
    refuse_one_file(built)
    _warn_of_one_name(built)
    if options.check:
        given = (
            ("-o", options.output),
            ("--format", options.format if options.format != "yaml" else ""),
            ("--dsl", options.dsl),
            ("--kfp-version", options.kfp_version),
        )
        words = [word for option, value in given if value for word in (option, value)]
        command = pasted("kale-tag compile", options.paths, shlex.join(words))
        return _check(built, report, command, verbose=options.verbose, quiet=options.quiet)
    paths = {file.path for one in built for file in one.outputs}
    out = sys.stderr if STDIN in paths else sys.stdout
    changed = same = 0
    for one in built:
        try:
            wrote = [(file, file.write()) for file in one.outputs]
        except UserError as exc:
            one.fail(*exc.diagnostics)
            wrote = []
        report.keep(one.diagnostics)
        for file, new in wrote:
            changed, same = changed + new, same + (not new)
            if file.path != STDIN and (options.verbose or (new and not options.quiet)):
                print(_line(one, file, report.style, new=new), file=out)
    report.close(verbose=options.verbose, quiet=options.quiet)
    if not options.quiet:
        failed = sum(one.failed for one in built)
        print(f"{changed} written, {same} unchanged, {failed} failed", file=out)
    return report.exit_code


def finish(
    output: str = "", form: str = "yaml", dsl: str = "", oldest: str = ""
) -> Callable[[BuiltNotebook], tuple[OutputFile, ...]]:
    """What makes the files of a pipeline that is built, the package first.

    *oldest* is the version of the oldest backend, "" for that of the spec.
    """
    runtime = load_runtime()
    version = kfp_version(oldest)
    if oldest and version is None:
        message = f"`--kfp-version` cannot be `{oldest}`"
        raise UserError.of("wrong-value", message, help=KFP_VERSIONS)

    def made_of(built: BuiltNotebook) -> tuple[OutputFile, ...]:
        if version is not None:
            built.pipeline = replace(built.of, kfp_version=version)
        found = DiagnosticCollector()
        if form == "manifest":
            check_feature("manifest", Label(Source(built.name)), built.of, found)
        if found.errors:
            raise UserError(*found.errors)
        made = package(built.of, runtime)
        built.diagnostics += made.warnings
        path = output_path(output, built.name, ENDINGS[form])
        text = as_text(made, built.of, _origin(built, path, form), form)
        built.diagnostics += tuple(size_warnings(made.size, built.name))
        wanted = [OutputFile(path, text)]
        if dsl:
            built.diagnostics += tuple(cannot_compile(built.of))
            path = output_path(dsl, built.name, ENDINGS["dsl"])
            wanted.append(OutputFile(path, to_dsl(built.of, runtime)))
        return tuple(wanted)

    return made_of


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
        if output_path("", notebook, ENDINGS[form]) != here:
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


def _warn_of_one_name(built: Sequence[BuiltNotebook]) -> None:
    """Warn once for each pipeline name that notebooks share: the last of them has the warning."""
    if len(built) == 1:
        return
    from kale_tag.lint.pipelines import Named, one_pipeline_name  # noqa: PLC0415  starts slowly

    made = {one.name: one for one in built if not one.failed}
    named = (Named(one.name, one.of.name, Label(Source(one.name))) for one in made.values())
    for shared in one_pipeline_name(named):
        last = made[shared.labels[0].source.name]
        last.diagnostics += (replace(shared, severity="warning"),)


def _line(one: BuiltNotebook, file: OutputFile, style: Style, *, new: bool) -> str:
    what = count(len(one.of.steps), "step")
    if one.of.parameters:
        what += f", {count(len(one.of.parameters), 'parameter')}"
    if not new:
        return style.dim(f"unchanged {one_line(file.path)}")
    return f"wrote {style.bold(one_line(file.path))}: {what}"


def _check(
    built: Sequence[BuiltNotebook], report: Report, command: str, *, verbose: bool, quiet: bool
) -> int:
    """Print which packages differ from what would be written now."""
    stale = 0
    for one in built:
        report.keep(one.diagnostics)
        for file in one.outputs:
            why = _staleness(file)
            stale += bool(why)
            if why and not quiet:
                print(f"stale {report.style.bold(one_line(file.path))}: {why}")
    report.close(verbose=verbose, quiet=quiet)
    if not quiet:
        total = sum(len(one.outputs) for one in built)
        failed = sum(one.failed for one in built)
        print(f"{stale} stale, {total - stale} up to date, {failed} failed")
        if stale and not failed:
            print(f"To write them: {command}")
    return report.exit_code or min(stale, 1)


def _staleness(file: OutputFile) -> str:
    if file.path == STDIN:
        raise UserError.of("no-package", "`--check` needs a package on disk to compare with")
    if not os.path.lexists(file.path):
        return "it was never written"
    old = files.read(file.path).data.decode(errors="replace")
    if old == file.text:
        return ""
    changed = changed_sources(old, file.text)
    return f"{' and '.join(changed)} changed" if changed else "its content would be different now"
