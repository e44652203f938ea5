"""What nbformat finds wrong with the file of a notebook, at its place."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places
from kale_tag.rules.registry import found

LONGEST = 200
"""Characters of a message of nbformat, which may quote a whole cell."""

REPAIR = "repair it by hand; JupyterLab opens and saves what it can repair itself"
NO_ID = "save it once in JupyterLab, which adds ids; or write `nbformat_minor: 4`, which has none"


def invalid_notebook(nb: Notebook) -> Iterator[Diagnostic]:
    """What the schema of nbformat refuses, and ids that two cells share."""
    try:
        value = json.loads(nb.data)
        problems = [*_problems(value)]
    except (ValueError, RecursionError):
        return  # an integer or a nesting that Python cannot read; others have been reported
    places = Places(nb)
    by_message: dict[str, list[Label]] = {}
    for message, path in problems:
        cell = path[1] if path[:1] == ("cells",) and isinstance(path[1], int) else None
        inside = path if cell is None else path[2:]
        if inside[:2] == ("metadata", "tags"):
            continue  # `bad-tags` and others report those
        at = places.cell(cell)
        if inside[:1] == ("metadata",):
            at = places.metadata(cell, inside[1:])
            message = f"{'.'.join(map(str, inside))}: {message}"  # noqa: PLW2901
        by_message.setdefault(message, []).append(at)
    for message, (at, *also) in by_message.items():
        shown = message if len(message) <= LONGEST else f"{message[:LONGEST]}..."
        hint = NO_ID if message.startswith("'id' is a required") else REPAIR
        yield found("invalid-notebook", f"not a valid notebook: {shown}", at, also=also, help=hint)
    ids = [nb.id_of(index) for index in range(len(nb.types))]
    for one, number in Counter(ids).items():
        if one is not None and number > 1:
            at, *also = (places.cell(index) for index, other in enumerate(ids) if other == one)
            yield found(
                "invalid-notebook",
                f"{number} cells have the id `{one}`",
                at,
                also=also,
                help="give each an id of its own",
            )


def _problems(value: dict[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """What is wrong with a notebook, and the path to it."""
    import fastjsonschema  # noqa: PLC0415  slow to import, and for `check` only

    minor = value.get("nbformat_minor")
    minor = minor if type(minor) is int and minor >= 0 else 5  # True is none
    short = "it is of a version that nbformat does not know"
    try:
        if judge := _schema(minor):
            judge(value)
            return
    except fastjsonschema.JsonSchemaException as exc:
        short = str(exc)
    from nbformat.validator import iter_validate  # noqa: PLC0415  see `_schema`

    try:
        found = [*iter_validate(value, None, 4, minor)]  # type: ignore[no-untyped-call]
    except TypeError:  # it cannot put some things into words
        yield short, ()
    else:
        yield from ((one.message, tuple(one.relative_path)) for one in found)


@cache
def _schema(minor: int) -> Callable[[object], object] | None:
    """The schema that nbformat has for 4 and a minor version, None where it has none.

    It is read without nbformat, whose import takes longer than all else that `check` does with a
    valid notebook: nbformat is asked what is wrong.
    """
    import fastjsonschema  # noqa: PLC0415  slow to import, and for `check` only

    spec = find_spec("nbformat")
    assert spec is not None, "a dependency"
    assert spec.submodule_search_locations, "a package"
    loader: Any = spec.loader
    name = f"{spec.submodule_search_locations[0]}/v4/nbformat.v4.{minor}.schema.json"
    try:
        text = loader.get_data(name)
    except FileNotFoundError:
        return None
    schema: Callable[[object], object] = fastjsonschema.compile(json.loads(text))
    return schema
