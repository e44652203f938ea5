"""The one package that a command line stands for: compiled from a notebook, or a file."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag import files
from kale_tag.cluster.package import RunnablePackage, looks_like_package, read_package
from kale_tag.commands.compile import Wanted, finish
from kale_tag.commands.shared.pipelines import Built, build
from kale_tag.commands.shared.targets import STDIN
from kale_tag.compiler.interface import root_scope
from kale_tag.compiler.runtime_text import load_runtime
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error


@dataclass(frozen=True, slots=True)
class Given:
    """A package, and what its notebook calls the parameters where that is not what KFP does."""

    package: RunnablePackage
    names: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()


def one_package(paths: Sequence[str], *, quiet: bool) -> Given:
    """The package that *paths* name or, as `kale-tag compile` writes it, that their notebook makes.

    Raises `UserError` where there is none, or more than one.
    """
    named = [(path, data) for path in paths if (data := _package_data(path)) is not None]
    if not named:
        return _compiled(paths, quiet=quiet)
    if len(paths) > 1:
        others = [path for path in paths if path != named[0][0]]
        message = f"{named[0][0]} is a package, and {others[0]} is named too"
        raise UserError(error("one-pipeline", message, help="name a package alone"))
    return Given(read_package(*named[0]))


def _package_data(path: str) -> bytes | None:
    """What is in the file *path*, if it is meant to be a package."""
    if path == STDIN or path.endswith(".ipynb") or not os.path.isfile(path):
        return None
    data = files.read(path).data
    return data if looks_like_package(data) else None


def _compiled(paths: Sequence[str], *, quiet: bool) -> Given:
    runtime = load_runtime()
    built = build(paths, finish(runtime), jobs=1, quiet=quiet)
    if failed := [one for one in built if one.failed]:
        raise UserError(*(diagnostic for one in failed for diagnostic in one.diagnostics))
    if len(built) > 1:
        names = ", ".join(one.name for one in built[:5]) + (", ..." if len(built) > 5 else "")
        message = f"{len(built)} notebooks are named, one pipeline is run at a time"
        raise UserError(error("one-pipeline", message, notes=[names], help="name one of them"))
    (one,) = built
    package = read_package(_file(one).path, _file(one).text.encode())
    scope = root_scope(one.of)
    renamed = {theirs: ours for ours, theirs in scope.names.items() if theirs != ours}
    return Given(package, renamed, one.diagnostics)


def _file(one: Built) -> Wanted:
    assert isinstance(one.made, tuple)
    first: Wanted = one.made[0]
    return first


def at(given: Given) -> Label:
    """The place of the package, for what is said of it."""
    return Label(Source(given.package.name))
