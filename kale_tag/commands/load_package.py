"""The one package that a command line names: a file, or what a notebook compiles to."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from kale_tag import files
from kale_tag.commands.pipelines import STDIN_NOTEBOOK, Built, build
from kale_tag.commands.targets import STDIN
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.pipeline.compiled import Compiled, read_compiled
from kale_tag.pipeline.model import Pipeline
from kale_tag.pipeline.package import package
from kale_tag.pipeline.package_text import Origin, as_text
from kale_tag.pipeline.runtime_text import runtime_text
from kale_tag.pipeline.step_command import Runtime
from kale_tag.runners import package_file


@dataclass(frozen=True, slots=True)
class Loaded:
    """A package and where it is from.

    *name* is the file that the user named, *folder* the one in which it stands, *text* what is or
    would be on disk. *pipeline* is what it was made of, where it was made here.
    """

    name: str
    folder: str
    text: str
    package: Compiled
    pipeline: Pipeline | None = None
    warnings: tuple[Diagnostic, ...] = ()


class NotBuiltError(Exception):
    """The notebook could not be compiled; *code* is the exit code, *diagnostics* say why."""

    def __init__(self, code: int, diagnostics: tuple[Diagnostic, ...]) -> None:
        """Keep both."""
        super().__init__(code)
        self.code = code
        self.diagnostics = diagnostics


def load_package(paths: Sequence[str]) -> Loaded:
    """The package that *paths* name: a package, or a notebook with or without its spec.

    Raises `UserError` if it is none or more than one, `NotBuiltError` if it does not compile.
    """
    if len(paths) == 1 and (source := _package_file(paths[0])) is not None:
        read = read_compiled(package_file.documents(source), source.name)
        return Loaded(paths[0], os.path.dirname(paths[0]), source.text, read)
    runtime = Runtime(runtime_text(magics=False), runtime_text(magics=True))

    def finish(built: Built) -> object:
        made = package(built.of, runtime)
        built.diagnostics += made.warnings
        origin = Origin(built.sources, shlex.join(["kale-tag", "compile", *paths]))
        text = as_text(made, built.of, origin, "yaml")
        return text, read_compiled(made.documents, built.name)

    found = build(paths, finish, jobs=1, quiet=True)
    if len(found) != 1:
        names = ", ".join(one.name for one in found[:4]) + (", ..." if len(found) > 4 else "")
        message = f"{len(found)} notebooks are named, and one can run at a time: {names}"
        hint = f"name one: {found[0].name}" if found else ""
        raise UserError(error("one-notebook", message, help=hint))
    (one,) = found
    if one.failed:
        raise NotBuiltError(3 if one.bug else 2, one.diagnostics)
    made: tuple[str, Compiled] = one.made  # type: ignore[assignment]
    name = STDIN_NOTEBOOK if one.name == STDIN else one.name
    return Loaded(name, os.path.dirname(name), *made, one.pipeline, one.diagnostics)


def _package_file(path: str) -> Source | None:
    """The text of *path* if it is a package, or cannot be anything else."""
    if path == STDIN or path.endswith(".ipynb") or not os.path.isfile(path):
        return None
    source = files.read_text(path)
    if package_file.is_package(source.text):
        return source
    if path.endswith(".json") or files.PACKAGE in os.path.basename(path):
        message = f"{path} is not a package for Kubeflow Pipelines"
        hint = "`kale-tag compile` writes one"
        raise UserError(error("not-a-package", message, Label(Source(path)), help=hint))
    return None
