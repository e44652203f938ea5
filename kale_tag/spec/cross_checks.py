"""Checks across the rules of a spec: variables, renames, dependencies between steps."""

from collections.abc import Iterator
from itertools import pairwise

from kale_tag.diagnostics import Label, nearest, suggest
from kale_tag.fields.fields import Form, narrowed
from kale_tag.kale.check_steps import cycle_message, does_not_exist
from kale_tag.kale.order import find_cycle
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
    """Unknown `prev` and cycles, as far as the spec alone shows them.

    A `prev` that no rule defines may name a step that the notebooks have already: `plan` checks
    each notebook. Here it is reported where the spec owns every cell, or where the spec is refused
    anyway and the name looks like a slip.
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
                if rule.role and prev.value not in known and certain and not known_later:
                    form.diagnostic(
                        "unknown-prev",
                        does_not_exist(rule.role.value, prev.value),
                        prev.label,
                        help=suggest(prev.value, sorted(known), "steps:"),
                    )
    _check_cycles(form, spec)


def _check_cycles(form: Form, spec: Spec) -> None:
    edges: dict[str, dict[str, tuple[int, Label]]] = {}
    for rule in spec.rules:
        if rule.role is None or rule.role.kind != "step" or rule.prev is None:
            continue
        step = edges.setdefault(rule.role.value, {})
        if any(layer < rule.layer for layer, _ in step.values()):
            step.clear()  # a file's own `prev` replaces that of its base
        # Who depends on the step above alone is in no cycle: no way round leads up all the time.
        step |= {one.value: (rule.layer, one.label) for one in rule.prev if one.value != ABOVE}
    if cycle := find_cycle(edges):
        labels = [
            edges[step][prev][1].with_text(f"`{step}` depends on `{prev}`")
            for step, prev in pairwise(cycle)
        ]
        form.diagnostic(
            "cycle",
            cycle_message(cycle[:-1]),
            labels[0],
            also=labels[1:],
            help="remove one of these `prev` entries" if labels[1:] else "remove it from `prev`",
        )
