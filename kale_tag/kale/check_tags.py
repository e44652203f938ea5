"""Lints of the tags of one cell: against the language of Kale 2.3, `facts/kale.md` section 1."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic, listed
from kale_tag.kale import tags
from kale_tag.kale.tags import Tag, corrected
from kale_tag.kale.view import Tagged, meant
from kale_tag.notebook.model import MISSING
from kale_tag.rules.registry import found


def unknown_tag(nb: Tagged) -> Iterator[Diagnostic]:
    """A tag that looks like Kale's and is not in its language."""
    for cell in nb.cells:
        for position, text in enumerate(cell.read):
            better = ""
            if tags.is_kales(text):
                if tags.parse(text) is not None and text != "notebook:":
                    continue
                why, better = _refused(text)
            elif tags.is_legacy(text) or not (better := meant(text)):
                continue
            else:
                why = ""
            yield found(
                "unknown-tag",
                f"cell {cell.index}: `{text}` is no tag of Kale's{why and f': {why}'}",
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
        return f"as the {part.name} it takes {part.rule}", str(fixed) if ok else ""
    return "a reference needs a name", ""


def legacy_tag(nb: Tagged) -> Iterator[Diagnostic]:
    r"""A tag of Kale 0.x, such as `block:load` or `prev:load;clean`."""
    for cell in nb.cells:
        for position, text in enumerate(cell.read):
            if tags.is_legacy(text):
                kind, _, rest = text.partition(":")
                new = "step" if kind == "block" else kind
                better = " and ".join(f"`{new}:{name}`" for name in rest.split(";") if name)
                yield found(
                    "legacy-tag",
                    f"cell {cell.index}: `{text}` is a tag of Kale 0.x, on which Kale 2 stops",
                    nb.tag(cell, position),
                    help="a cell is one step now" if kind == "step" else f"write {better}",
                )


def foreign_tag(nb: Tagged) -> Iterator[Diagnostic]:
    """A tag of another tool on a cell of a Kale notebook, where Kale reads it."""
    for cell in nb.cells:
        for position, text in enumerate(cell.read):
            if tags.is_kales(text) or tags.is_legacy(text) or meant(text):
                continue
            yield found(
                "foreign-tag",
                f"cell {cell.index}: Kale stops at `{text}`, which is no tag of its own",
                nb.tag(cell, position),
                help=f"put it behind `{cell.special}`, where Kale does not read on"
                if cell.special
                else "remove it; in a spec: `remove`",
            )


def bad_tags(nb: Tagged) -> Iterator[Diagnostic]:
    """Finds `tags` that are not a list of text, and metadata that is no object."""
    for index in nb.code:
        metadata = nb.notebook.metadata_of(index)
        where: tuple[str | int, ...] = ()
        if metadata is MISSING:
            continue
        if not isinstance(metadata, dict):
            what = "`metadata` is not an object"
        elif "tags" not in metadata:
            continue
        elif not isinstance(metadata["tags"], list):
            what, where = "`tags` is not a list", ("tags",)
        else:
            odd = (at for at, tag in enumerate(metadata["tags"]) if not isinstance(tag, str))
            if (position := next(odd, None)) is None:
                continue
            what, where = "a tag is not text", ("tags", position)
        yield found("bad-tags", f"cell {index}: {what}", nb.places.metadata(index, where))


def unread_tag(nb: Tagged) -> Iterator[Diagnostic]:
    """Kale tags that do nothing, since another tag of the cell is the last that Kale reads."""
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
                f"cell {cell.index}: {names} {_do(unread)} nothing on a cell that is "
                f"`{cell.special}`",
                nb.tag(cell, unread[0]),
                also=[nb.tag(cell, stop).with_text("Kale reads no further")],
                help=f"if it shall be `{cell.special}`, remove {names}; if not, remove "
                f"`{cell.special}`",
            )


def two_steps(nb: Tagged) -> Iterator[Diagnostic]:
    """A cell that is given two steps, or a reference to a notebook and something else."""
    for cell in nb.cells:
        named = cell.positions("step", "notebook")
        if cell.special:  # steps before it count for nothing, but a reference does
            named = [*cell.positions("notebook"), len(cell.read)]
        if named[1:]:
            first, *others = named
            yield found(
                "two-steps",
                f"cell {cell.index} is given {_named([cell.tags[at] for at in named])}; "
                "a cell is one step",
                nb.tag(cell, others[0]),
                also=[nb.tag(cell, at) for at in (first, *others[1:])],
                help="keep one of them; what both need goes into a copy of the cell for each, or "
                "into a cell tagged `functions`",
            )


def prev_without_step(nb: Tagged) -> Iterator[Diagnostic]:
    """A `prev:` on a cell that is no step."""
    yield from _without_step(nb, "prev-without-step", "prev")


def setting_without_step(nb: Tagged) -> Iterator[Diagnostic]:
    """A tag that sets up a step (`limit:`, `image:` and so on) on a cell that is no step."""
    yield from _without_step(nb, "setting-without-step", *tags.SETTING_KINDS)


def _without_step(nb: Tagged, code: str, *kinds: str) -> Iterator[Diagnostic]:
    for cell in nb.cells:
        if cell.special or cell.means_a_step or not (stray := cell.positions(*kinds)):
            continue
        what = "a reference to a notebook" if cell.positions("notebook") else "no step"
        names = _named([cell.read[at] for at in stray])
        yield found(
            code,
            f"cell {cell.index}: {names} on a cell that is {what}",
            nb.tag(cell, stray[0]),
            also=[nb.tag(cell, at) for at in stray[1:]],
            help="only a step can have this; name it on this cell: `step:NAME`"
            if what == "no step"
            else "take it away; a reference runs in the order of reading",
        )


def reserved_name(nb: Tagged) -> Iterator[Diagnostic]:
    """A step whose name means something else, to Kale or to Kubeflow Pipelines."""
    for cell in nb.cells:
        for position in cell.positions("step"):
            name = cell.read[position].partition(":")[2]
            if name in tags.SPECIAL:
                why = f"Kale takes it for the tag `{name}`"
            elif name and not name.strip("_"):
                why = "Kubeflow Pipelines wants a letter in it"
            else:
                continue
            yield found(
                "reserved-name",
                f"cell {cell.index}: a step cannot be named `{name}`: {why}",
                nb.tag(cell, position),
                help="choose another name",
            )


def repeated_setting(nb: Tagged) -> Iterator[Diagnostic]:
    """A setting that a step is given twice, with two values."""
    for cell in nb.cells:
        known: dict[tuple[str, ...], int] = {}
        for position in cell.positions(*tags.SETTING_KINDS):
            tag = tags.parse(cell.read[position])
            if tag is None or cell.special:
                continue
            key = (tag.kind, tag.key)
            first = known.setdefault(key, position)
            if cell.read[first] != cell.read[position]:
                yield found(
                    "repeated-setting",
                    f"cell {cell.index}: {' '.join(filter(None, key))} is given twice; Kale takes "
                    f"`{cell.read[position]}`",
                    nb.tag(cell, position),
                    also=[nb.tag(cell, first).with_text("first given here")],
                    help="keep one of them",
                )


def colon_lost(nb: Tagged) -> Iterator[Diagnostic]:
    """A label or an annotation whose value has a colon."""
    for cell in nb.cells:
        for position in cell.positions("label", "annotation"):
            tag = tags.parse(cell.read[position])
            if tag is None or cell.special or ":" not in tag.parts[1]:
                continue
            kept = tag.parts[1].replace(":", "")
            yield found(
                "colon-lost",
                f"cell {cell.index}: Kale drops the colons of the {tag.kind} `{tag.parts[0]}`: "
                f"the pod gets `{kept}`",
                nb.tag(cell, position),
                help="find a value without a colon; kale-tag compile keeps it as it is",
            )


def _named(texts: list[str]) -> str:
    """`a`, `b` and `c`, each once."""
    return listed(dict.fromkeys(texts))


def _do(many: list[int]) -> str:
    return "do" if many[1:] else "does"


LINTS = (
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
