"""What `kale-tag check` says of the pipeline that a notebook makes, as `compile` would make it."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from kale_tag import files
from kale_tag.commands.shared.targets import STDIN
from kale_tag.diagnostics import Diagnostic, Label, UserError, error
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.settings import CompileOptions
from kale_tag.lint.places import in_files
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places
from kale_tag.notebook.read import read_notebook

if TYPE_CHECKING:
    from kale_tag.commands.shared.pipelines import Reader
    from kale_tag.compiler.runtime import Runtime
    from kale_tag.lint.names import Named

POINTLESS = frozenset(
    [
        *("unknown-tag", "legacy-tag", "bad-tags", "two-steps", "prev-without-step"),
        *("setting-without-step", "no-step", "dropped-code", "unknown-prev", "later-prev"),
        *("cycle", "step-after-metrics", "reference-without-path", "code-in-reference"),
        *("duplicate-name", "code-after-reference"),
    ]
)
"""Lints of tags after which a notebook makes no pipeline, or another than was meant."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What was found in a pipeline, what it is called, and the files of notebooks inside of it."""

    diagnostics: tuple[Diagnostic, ...] = ()
    named: "Named | None" = None
    inner: frozenset[str] = frozenset()


def check_pipeline(
    on_disk: Notebook,
    tagged: Notebook,
    options: CompileOptions,
    reader: "Reader",
    said: Collection[str],
) -> Sound:
    """Looks at the pipeline of a notebook, which specs have *tagged* in memory.

    Places are those of the file *on_disk*. *said* are the codes of what lints of tags have found.
    """
    # With all that compiles, a third of the time that check takes to start, and not always needed.
    from kale_tag.commands.shared.pipelines import STDIN_NOTEBOOK  # noqa: PLC0415
    from kale_tag.lint.context import study  # noqa: PLC0415
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
            text = f"the notebook that is referred to cannot be used: {first.message}"
            raise UserError(error("unreadable-reference", text, at, help=first.help)) from None

    local = files.modules_in(os.path.dirname(tagged.name))
    found = study(tagged, options, loaded, local, _runtime())
    places = {tagged.name: Places(on_disk)}
    diagnostics = [*lint(found, said)]
    places |= _places_of({name for name in _names(diagnostics) if name in inner}, reader)
    named = None
    if found.parts:
        at = places[tagged.name].metadata(None, (SETTINGS_KEY, "pipeline_name"))
        named = Named(on_disk.name, found.parts[0].pipeline.name, at)
    return Sound(
        tuple(
            dict.fromkeys(in_files(diagnostic, places, tagged.name) for diagnostic in diagnostics)
        ),
        named,
        frozenset(map(files.identity, inner)),
    )


def pointless(codes: Mapping[str, str]) -> bool:
    """Whether lints of tags have found what makes a pipeline pointless.

    *codes* gives for each code that they found why a spec silences it, "" where it does not.
    """
    return any(code in POINTLESS and not reason for code, reason in codes.items())


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
    from kale_tag.compiler.runtime_text import load_runtime  # noqa: PLC0415  see above

    return load_runtime()
