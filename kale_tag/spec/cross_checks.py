"""What holds across the rules of a spec: variables, renames, steps that wait for each other."""

import graphlib
from collections.abc import Iterator, Mapping
from itertools import pairwise

from kale_tag.diagnostics import Label, nearest, suggest
from kale_tag.fields.fields import Form, narrowed
from kale_tag.spec import template
from kale_tag.spec.model import ABOVE, Spec


def check_spec(form: Form, spec: Spec) -> None:
    """Note unknown variables, chains of renames, unknown `prev` and cycles."""
    _check_variables(form, spec)
    _check_rename(form, spec)
    _check_steps(form, spec)


def _check_variables(form: Form, spec: Spec) -> None:
    named = {**(spec.variables or {})}
    for entry in spec.notebooks:
        named.update(entry.vars or {})
    known = (*template.VARIABLES, *named)
    pipelines = [spec.pipeline or {}, *(entry.pipeline or {} for entry in spec.notebooks)]
    texts = [
        (text, item.label)
        for part in pipelines
        for item in part.values()
        for text in _texts(item.value)
    ]
    for rule in spec.rules:
        for given in rule.given:
            texts.append((given.value, given.label))
            if given.kind == "notebook":
                texts.append((given.key, given.label))
    for text, label in texts:
        for hole in template.variables(text):
            if hole[2] not in known:
                form.diagnostic(
                    "unknown-variable",
                    f"nothing is named `{hole[0]}`",
                    narrowed(label, hole[0]),
                    help=suggest(hole[2], known, "there are"),
                )


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)
        case _:
            return


def _check_rename(form: Form, spec: Spec) -> None:
    rename = spec.rename or {}
    swapped: set[str] = set()
    for old, new in rename.items():
        if new.value == old:
            message = f"`{old}` is renamed to itself"
            form.diagnostic("rename-chain", message, new.label, help="remove this entry")
        elif (after := rename.get(new.value)) is not None and new.value not in swapped:
            swapped |= {old} if after.value == old else set()
            form.diagnostic(
                "rename-chain",
                f"`{old}` becomes `{new.value}`, which is renamed too: applying the spec twice "
                "would not be the same as once",
                new.label,
                help=f"rename `{old}` to `{after.value}`"
                if after.value != old
                else "one spec cannot swap two names; give one of the steps a new one",
            )


def _check_steps(form: Form, spec: Spec) -> None:
    """Unknown `prev` and cycles, as far as the spec alone can tell.

    A `prev` that no rule defines may name a step that the notebooks have already: that is looked
    at notebook by notebook (`plan`). Where the spec owns every cell, or is refused anyway and
    the name looks like a slip, it is said here.
    """
    roles = [rule.role for rule in spec.rules if rule.role is not None]
    names = {role.value for role in roles if role.kind in {"step", "notebook"}}
    if not any(template.has_holes(name) for name in names):
        known = names | {new.value for new in (spec.rename or {}).values()}
        for rule in spec.rules:
            for prev in rule.prev or ():
                slip = form.diagnostics and nearest(prev.value, known)
                certain = spec.unmatched != "keep" or slip
                known_later = prev.value == ABOVE or template.has_holes(prev.value)
                if prev.value not in known and certain and not known_later:
                    form.diagnostic(
                        "unknown-step",
                        f"no step is named `{prev.value}`",
                        prev.label,
                        help=suggest(prev.value, sorted(known), "steps:"),
                    )
    edges: dict[str, dict[str, tuple[int, Label]]] = {}
    for rule in spec.rules:
        if rule.role is None or rule.role.kind != "step" or rule.prev is None:
            continue
        step = edges.setdefault(rule.role.value, {})
        if any(layer < rule.layer for layer, _ in step.values()):
            step.clear()  # a file's own `prev` replaces that of its base
        # Who waits for the step above alone is in no cycle: no way round leads up all the time.
        step |= {one.value: (rule.layer, one.label) for one in rule.prev if one.value != ABOVE}
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as exc:
        cycle = [str(name) for name in reversed(exc.args[1])]
        waits = [
            edges[later][earlier][1].with_text(f"`{later}` waits for `{earlier}`")
            for later, earlier in _waits(cycle, edges)
        ]
        form.diagnostic(
            "cycle",
            f"steps wait for each other: {' -> '.join(cycle)}"
            if waits[1:]
            else f"step `{cycle[0]}` waits for itself",
            waits[0],
            also=waits[1:],
            help="remove one of these `prev` entries" if waits[1:] else "remove it from `prev`",
        )


def _waits(cycle: list[str], edges: Mapping[str, Mapping[str, object]]) -> list[tuple[str, str]]:
    """The edges of *cycle* as pairs of a step and one that it waits for, whichever way it runs."""
    forward = list(pairwise(cycle))
    return [(a, b) if b in edges.get(a, {}) else (b, a) for a, b in forward]
