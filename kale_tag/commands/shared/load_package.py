"""The one package that a command line names: a file, or what a notebook compiles to."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from kale_tag import files
from kale_tag.cluster.package import looks_like_package
from kale_tag.commands.compile import Wanted, finish
from kale_tag.commands.shared.pipelines import STDIN_NOTEBOOK, build
from kale_tag.commands.shared.targets import STDIN
from kale_tag.compiler import package_file
from kale_tag.compiler.read_package import Compiled, read_compiled
from kale_tag.compiler.runtime_text import load_runtime
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.kale.pipeline import Pipeline


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
    for path in paths:
        if (source := _package_file(path)) is not None:
            if len(paths) > 1:
                other = next(one for one in paths if one != path)
                message = f"{path} is a package, and {other} is named too"
                raise UserError(error("one-pipeline", message, help="name a package alone"))
            read = read_compiled(package_file.documents(source), path)
            return Loaded(path, os.path.dirname(path), source.text, read)
    found = build(paths, finish(load_runtime()), jobs=1, quiet=True)
    if failed := [one for one in found if one.failed]:
        diagnostics = tuple(diagnostic for one in failed for diagnostic in one.diagnostics)
        raise NotBuiltError(3 if any(one.bug for one in failed) else 2, diagnostics)
    if len(found) > 1:
        names = ", ".join(one.name for one in found[:5]) + (", ..." if len(found) > 5 else "")
        message = f"{len(found)} notebooks are named, one pipeline is run at a time"
        raise UserError(error("one-pipeline", message, notes=[names], help="name one of them"))
    (one,) = found
    made: tuple[Wanted, ...] = one.made  # type: ignore[assignment]
    name = STDIN_NOTEBOOK if one.name == STDIN else one.name
    read = read_compiled(package_file.documents(Source(name, made[0].text)), name)
    return Loaded(name, os.path.dirname(name), made[0].text, read, one.pipeline, one.diagnostics)


def _package_file(path: str) -> Source | None:
    """The text of *path* if it is a package, or cannot be anything else."""
    if path == STDIN or path.endswith(".ipynb") or not os.path.isfile(path):
        return None
    source = files.read_text(path)
    if looks_like_package(source.text.encode(errors="replace")):
        return source
    if path.endswith(".json") or files.PACKAGE in os.path.basename(path):
        message = f"{path} is not a package for Kubeflow Pipelines"
        hint = "`kale-tag compile` writes one"
        raise UserError(error("not-a-package", message, Label(Source(path)), help=hint))
    return None
