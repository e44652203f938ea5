"""Checks of the tags of one cell, against the language of Kale 2.3 (`kale/processors`)."""

from collections.abc import Iterator
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic, listed
from kale_tag.kale import tags
from kale_tag.kale.tags import Tag, corrected
from kale_tag.kale.view import TaggedNotebook, meant
from kale_tag.notebook.model import MISSING
from kale_tag.notebook.places import cell_label, tag_label
from kale_tag.rules.registry import found


def unknown_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A tag that looks like Kale's and is not in its language."""
    for cell in nb.cells:
        for position, text in enumerate(cell.read):
            why = ""
            if tags.is_kales(text):
                if tags.parse(text) is not None and text != "notebook:":
                    continue
                why, better = _refused(text)
            elif tags.is_legacy(text) or not (better := meant(text)):
                continue
            yield found(
                "unknown-tag",
                f"`{text}` is not a valid Kale tag{why and f': {why}'}",
                nb.tag(cell, position),
                help=f"write `{better}`" if better else "",
            )


def _refused(text: str) -> tuple[str, str]:
    """Why Kale does not take *text*, a tag of one of its kinds, and what it would take instead."""
    kind, _, rest = text.partition(":")
    parts = tags.KINDS[kind].parts
    given = rest.split(":", len(parts) - 1)
    if len(given) < len(parts):
        form = ":".join(part.name.upper().replace(" ", "_") for part in parts)
        return f"its form is `{kind}:{form}`", ""
    tag = Tag(kind, tuple(given))
    for position, part in tags.invalid_parts(tag):
        better = corrected(given[position], part)
        fixed = Tag(kind, (*given[:position], better, *given[position + 1 :]))
        ok = better and tags.parse(str(fixed)) is not None
        return str(part), str(fixed) if ok else ""
    return "a reference needs a name", ""


def legacy_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    r"""A tag of Kale 0.x, such as `block:load` or `prev:load;clean`."""
    for cell in nb.cells:
        for position, text in enumerate(cell.read):
            if tags.is_legacy(text):
                yield found(
                    "legacy-tag",
                    f"`{text}` is a tag of Kale 0.x, at which Kale 2 stops",
                    nb.tag(cell, position),
                    help=f"convert the notebook to Kale 2: `kale-tag upgrade {nb.notebook.name}`",
                )


def foreign_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A tag that is not Kale's on a cell of a Kale notebook, where Kale reads it."""
    for cell in nb.cells:
        for position, text in enumerate(cell.read):
            tag = tags.parse(text)
            if tag is not None and tags.stops_kale(tag):
                yield found(
                    "foreign-tag",
                    f"Kale stops at `{text}`, which only `kale-tag compile` takes",
                    nb.tag(cell, position),
                    help="Kale takes limits without digits, and quantities without `+` and `-`",
                )
                continue
            if tags.is_kales(text) or tags.is_legacy(text) or meant(text):
                continue
            yield found(
                "foreign-tag",
                f"Kale stops at `{text}`, which is not a Kale tag",
                nb.tag(cell, position),
                help=f"move it behind `{cell.special}`, where Kale does not read on"
                if cell.special
                else "remove it; in a spec: `remove`",
            )


def bad_tags(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Finds `tags` that are not a list of text, and metadata that is not an object."""
    for index in nb.code:
        metadata = nb.notebook.metadata_of(index)
        if metadata is MISSING:
            continue
        at = replace(cell_label(nb.notebook, index), path=())
        if not isinstance(metadata, dict):
            what = "`metadata` is not an object"
        elif "tags" not in metadata:
            continue
        elif not isinstance(metadata["tags"], list):
            what, at = "`tags` is not a list", tag_label(nb.notebook, index, 0)
        else:
            odd = (at for at, tag in enumerate(metadata["tags"]) if not isinstance(tag, str))
            if (position := next(odd, None)) is None:
                continue
            what, at = "a tag is not text", tag_label(nb.notebook, index, position)
        yield found("bad-tags", what, at, help='`tags` is a list of text: `["step:NAME"]`')


def unread_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Kale tags without effect, since another tag of the cell is the last that Kale reads."""
    for cell in nb.cells:
        if not cell.special:
            continue
        stop = len(cell.read)
        unread = [
            position
            for position, text in enumerate(cell.tags)
            if position != stop
            and (tags.is_kales(text) or tags.is_legacy(text))
            and not (position < stop and text.startswith("notebook:"))
        ]
        if unread:
            names = _named([cell.tags[at] for at in unread])
            yield found(
                "unread-tag",
                f"{names} {'have' if unread[1:] else 'has'} no effect on a cell tagged "
                f"`{cell.special}`",
                nb.tag(cell, unread[0]),
                also=[nb.tag(cell, stop, "Kale reads no further")],
                help=f"remove {names}, or, if the cell is not to be `{cell.special}`, remove "
                f"`{cell.special}`",
            )


def two_steps(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A cell with two steps, or with a reference to a notebook and something else."""
    for cell in nb.cells:
        named = cell.positions("step", "notebook")
        if cell.special:  # steps before it count for nothing, but a reference does
            named = [*cell.positions("notebook"), len(cell.read)]
        if named[1:]:
            first, *others = named
            yield found(
                "two-steps",
                f"the cell has the tags {_named([cell.tags[at] for at in named])}, and can be one "
                "step only",
                nb.tag(cell, others[0]),
                also=[nb.tag(cell, at) for at in (first, *others[1:])],
                help="keep one of them; code that both need goes into a copy of the cell for "
                "each, or into a cell tagged `functions`",
            )


def prev_without_step(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A `prev:` on a cell that is not a step."""
    yield from _without_step(nb, "prev-without-step", "prev")


def setting_without_step(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A tag that sets up a step (`limit:`, `image:` and so on) on a cell that is not a step."""
    yield from _without_step(nb, "setting-without-step", *tags.SETTING_KINDS)


def _without_step(nb: TaggedNotebook, code: str, *kinds: str) -> Iterator[Diagnostic]:
    for cell in nb.cells:
        if cell.special or cell.is_meant_as_a_step or not (stray := cell.positions(*kinds)):
            continue
        is_reference = bool(cell.positions("notebook"))
        what = "a reference to a notebook" if is_reference else "not a step"
        names = _named([cell.read[at] for at in stray])
        yield found(
            code,
            f"{names} on a cell that is {what}",
            nb.tag(cell, stray[0]),
            also=[nb.tag(cell, at) for at in stray[1:]],
            help="remove it; references run in the order of the cells"
            if is_reference
            else "name the step on this cell: `step:NAME`",
        )


def reserved_name(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A step whose name has another meaning, to Kale or to Kubeflow Pipelines."""
    for cell in nb.cells:
        for position in cell.positions("step"):
            if why := why_reserved(cell.read[position].partition(":")[2]):
                yield found(
                    "reserved-name", why, nb.tag(cell, position), help="choose another name"
                )


def why_reserved(name: str) -> str:
    """Why a step cannot have *name*, which Kale's grammar takes; "" if it can."""
    if name in tags.SPECIAL:
        return f"a step cannot be named `{name}`: Kale reads it as the tag `{name}`"
    if name and not name.strip("_"):
        return f"a step cannot be named `{name}`: Kubeflow Pipelines needs a letter in it"
    return ""


def repeated_setting(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A setting that a cell gives its step twice, with two values."""
    for cell in nb.cells:
        known: dict[tuple[str, str], int] = {}
        for position in cell.positions(*tags.SETTING_KINDS):
            tag = tags.parse(cell.read[position])
            if tag is None or cell.special:
                continue
            first = known.setdefault((tag.kind, tag.key), position)
            if cell.read[first] != cell.read[position]:
                yield found(
                    "repeated-setting",
                    f"`{cell.read[first]}` and `{cell.read[position]}` contradict each other; Kale "
                    "takes the last one",
                    nb.tag(cell, position),
                    also=[nb.tag(cell, first, "the other value")],
                    help="keep one of them",
                )


def colon_lost(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A label or an annotation whose value has a colon."""
    for cell in nb.cells:
        for position in cell.positions("label", "annotation"):
            tag = tags.parse(cell.read[position])
            if tag is None or cell.special or ":" not in tag.parts[1]:
                continue
            kept = tag.parts[1].replace(":", "")
            yield found(
                "colon-lost",
                f"Kale drops the colons of the {tag.kind} `{tag.parts[0]}`: the pod gets `{kept}`",
                nb.tag(cell, position),
                help="write a value without a colon; `kale-tag compile` keeps colons",
            )


def _named(texts: list[str]) -> str:
    """`a`, `b` and `c`, each once."""
    return listed(dict.fromkeys(texts))


CHECKS = (
    unknown_tag,
    legacy_tag,
    foreign_tag,
    bad_tags,
    unread_tag,
    two_steps,
    prev_without_step,
    setting_without_step,
    reserved_name,
    repeated_setting,
    colon_lost,
)
