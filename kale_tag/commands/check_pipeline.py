"""The findings of `kale-tag check` in the pipeline of a notebook, built as `compile` builds it."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from kale_tag import files
from kale_tag.commands.shared.targets import STDIN
from kale_tag.diagnostics import Diagnostic, Label, UserError, error
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places, in_files
from kale_tag.notebook.read import read_notebook

if TYPE_CHECKING:
    from kale_tag.commands.shared.pipelines import Reader
    from kale_tag.compiler.runtime import Runtime
    from kale_tag.lint.names import Named


@dataclass(frozen=True, slots=True)
class CheckedPipeline:
    """The findings in a pipeline."""

    diagnostics: tuple[Diagnostic, ...] = ()
    named: "Named | None" = None  # its name
    inner: frozenset[str] = frozenset()  # the files of the notebooks that it refers to


def check_pipeline(
    on_disk: Notebook,
    tagged: Notebook,
    options: CompileOptions,
    reader: "Reader",
) -> CheckedPipeline:
    """Check the pipeline of a notebook, which specs have *tagged* in memory.

    Places are those of the file *on_disk*.
    """
    # With all that compiles, a third of the time that check takes to start, and not always needed.
    from kale_tag.commands.shared.pipelines import STDIN_NOTEBOOK  # noqa: PLC0415
    from kale_tag.lint.context import compile_notebook  # noqa: PLC0415
    from kale_tag.lint.names import Named  # noqa: PLC0415
    from kale_tag.lint.pipelines import lint  # noqa: PLC0415

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
    places |= _places_of({name for name in _names(diagnostics) if name in inner}, reader)
    named = None
    if found.parts:
        at = places[tagged.name].metadata(None, (SETTINGS_KEY, "pipeline_name"))
        named = Named(on_disk.name, found.parts[0].pipeline.name, at)
    settings = places[tagged.name].metadata(None, (SETTINGS_KEY,))
    located = (one if one.labels else replace(one, labels=(settings,)) for one in diagnostics)
    return CheckedPipeline(
        tuple(dict.fromkeys(in_files(diagnostic, places) for diagnostic in located)),
        named,
        frozenset(map(files.identity, inner)),
    )


def _names(diagnostics: Collection[Diagnostic]) -> Iterator[str]:
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
    from kale_tag.compiler.runtime import load_runtime  # noqa: PLC0415  see above

    return load_runtime()
