"""Where a notebook is not as a spec says, rule by rule."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from shlex import quote

from kale_tag.diagnostics import Diagnostic, Label, count
from kale_tag.kale.checks import PANEL
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, member, tags_in
from kale_tag.kale.settings import settings_in
from kale_tag.kale.tags import is_kales, names_in
from kale_tag.notebook.json_value import shown
from kale_tag.notebook.model import MISSING
from kale_tag.notebook.places import Places, in_files
from kale_tag.plan.desired import settings_changed
from kale_tag.plan.plan import Plan
from kale_tag.rules.registry import found
from kale_tag.spec.model import Change, Spec, Target


@dataclass(frozen=True, slots=True)
class Drift:
    """The changes that a spec would make in a notebook, with the places in its file."""

    spec: Spec
    target: Target
    plan: Plan
    places: Places

    @property
    def fix(self) -> str:
        """How to fix it."""
        return f"`{self.command}` makes it so; if the notebook is right, correct the spec"

    @property
    def command(self) -> str:
        """The command that fixes it."""
        return f"kale-tag apply {quote(self.spec.source.name)} {quote(self.plan.name)}"


def drift(spec: Spec, target: Target, plan: Plan, places: Places) -> Iterator[Diagnostic]:
    """A finding for each cell that *plan* changes, and one for the settings."""
    subject = Drift(spec, target, plan, places)
    for one in (tag_drift, setting_drift, panel_drift, unselected_cell):
        yield from one(subject)


def tag_drift(drift: Drift) -> Iterator[Diagnostic]:
    """A cell whose tags are not those that the rules of a spec give it."""
    changes = [one for one in drift.plan.changes if one.holder is not None]
    notebook = drift.places.notebook
    cells = range(len(notebook.types))
    every = {tag for cell in cells for tag in tags_in(notebook.metadata_of(cell))}
    if len(changes) > 1 and not any(map(is_kales, every)):
        yield found(
            "tag-drift",
            f"no cell is tagged yet: {drift.spec.source.name} tags {len(changes)} cells",
            drift.places.metadata(changes[0].holder, ("tags",)),
            help=drift.fix,
        )
        return
    for change in changes:
        if not _is_dropped_in_panel(change):
            yield _cell(drift, "tag-drift", change, _renamed(drift, change, every) or drift.fix)


def _renamed(drift: Drift, change: Change, every: Collection[str]) -> str:
    """The fix where the step of a cell may have been renamed in JupyterLab, else ""."""
    before, after = tags_in(change.before), tags_in(change.after)
    steps = [tag for tag in after + before if tag.startswith("step:")]
    if not change.rules or len(steps) != 2 or steps[0] in every or steps[1] in after:
        return ""
    names = " ".join(step.removeprefix("step:") for step in steps)
    command = f"kale-tag rename {names} {quote(drift.spec.source.name)} --write"
    return f"`{drift.command}` makes it so; if the step was renamed, `{command}` corrects the spec"


def setting_drift(drift: Drift) -> Iterator[Diagnostic]:
    """Settings of a notebook that are not those that `pipeline` in a spec gives it."""
    for change in drift.plan.changes:
        if change.holder is None and not _is_dropped_in_panel(change):
            yield _settings(drift, "setting-drift", change, drift.fix)


def panel_drift(drift: Drift) -> Iterator[Diagnostic]:
    """What JupyterLab's panel has dropped of what a spec gives a notebook."""
    fix = f"close the notebook in JupyterLab; `{drift.command}` puts back what is gone"
    for change in drift.plan.changes:
        if _is_dropped_in_panel(change):
            write = _settings if change.holder is None else _cell
            yield write(drift, "panel-drift", change, fix)


def _is_dropped_in_panel(change: Change) -> bool:
    """Whether the notebook lacks just what JupyterLab's panel drops when it saves a cell."""
    if change.holder is None:
        return all(
            key in PANEL and old in (MISSING, [], {}, "")
            for key, old, _ in settings_changed(change)
        ) and bool(settings_in(change.before))
    before, after = tags_in(change.before), tags_in(change.after)
    come = [tag for tag in after if tag not in before]
    dropped = (tag.startswith(("label:", "annotation:")) or not is_kales(tag) for tag in come)
    same_path = member(change.before, PATH_KEY, MISSING) == member(change.after, PATH_KEY, MISSING)
    return bool(before) and same_path and set(before) <= set(after) and bool(come) and all(dropped)


def _cell(drift: Drift, code: str, change: Change, fix: str) -> Diagnostic:
    holder = change.holder or 0
    before, after = tags_in(change.before), tags_in(change.after)
    come = _named([tag for tag in after if tag not in before])
    gone = _named([tag for tag in before if tag not in after])
    parts = [f"lacks {come}"] if come else []
    parts += [f"has {gone}"] if gone else []
    old, new = (member(one, PATH_KEY, MISSING) for one in (change.before, change.after))
    if old != new:
        parts.append(f"has the path {_shown(old)} and not {_shown(new)}")
    if not parts:
        parts.append(f"has the tags {_named(before)} instead of {_named(after)}")
    if change.rules:
        by = ", ".join(dict.fromkeys(rule.place for rule in change.rules))
        also = [rule.label.with_text("this rule selects the cell") for rule in change.rules]
    else:
        by, also = drift.spec.source.name, [*_reasons(drift.spec, before)]
    return found(
        code,
        f"cell {holder} does not match {by}: it {' and '.join(parts)}",
        drift.places.metadata(holder, ("tags",)),
        also=also,
        help=fix,
    )


def _settings(drift: Drift, code: str, change: Change, fix: str) -> Diagnostic:
    wanted = drift.target.pipeline or {}
    keys = [*settings_changed(change)]
    parts = [_setting(key, old, new) for key, old, new in keys]
    labels = [wanted[key].label.with_text("asked for here") for key, _, _ in keys if key in wanted]
    first, old, _ = keys[0]
    path = (SETTINGS_KEY,) if old is MISSING else (SETTINGS_KEY, first)
    return found(
        code,
        f"the settings do not match {drift.spec.source.name}: {'; '.join(parts)}",
        drift.places.metadata(None, path),
        also=labels,
        help=fix,
    )


def _setting(key: str, old: object, new: object) -> str:
    if old is MISSING:
        return f"`{key}` is missing, it should be {_shown(new)}"
    if new is MISSING:
        return f"`{key}` is {_shown(old)}, it should not be there"
    return f"`{key}` is {_shown(old)}, it should be {_shown(new)}"


def _reasons(spec: Spec, before: list[str]) -> Iterator[Label]:
    """The places of a spec that change a cell which no rule selects: its renames."""
    for old, given in (spec.rename or {}).items():
        if any(old in names_in(tag) for tag in before):
            yield given.label.with_text(f"`{old}` is renamed here")


def _named(texts: list[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _shown(value: object) -> str:
    if value is MISSING:
        return "nothing"
    return f"`{shown(value)}`"


def unselected_cell(drift: Drift) -> Iterator[Diagnostic]:
    """A cell that no rule selects, and that joins imports, functions or parameters."""
    places = {drift.plan.name: drift.places}
    warnings = drift.plan.warnings
    yield from (in_files(one, places) for one in warnings if one.code == "unselected-cell")


def added_tags(plans: Sequence[Plan], places: Places) -> Iterator[Diagnostic]:
    """A finding for each spec that adds tags at which Kale stops."""
    for made in plans:
        for one in made.warnings:
            if one.code == "foreign-tag":
                message = one.message.removeprefix("after this plan, ")
                yield in_files(replace(one, message=message), {made.name: places})


def unruled_tag(
    specs: Sequence[tuple[Spec, Target]], plans: Sequence[Plan], places: Places
) -> Iterator[Diagnostic]:
    """Kale tags and settings that none of the *specs* of a notebook names; one finding for all.

    Specs that give no cell a role, or that say `unmatched`, leave nothing open.
    """
    notebook = places.notebook
    desired = [one for made in plans for one in made.desired.values()]
    stated = any(spec.keeps_unmatched or spec.unmatched != "keep" for spec, _ in specs)
    if stated or not any(one.role for one in desired):
        return
    ruled = {cell for made in plans for cell in made.desired}
    unruled = {
        cell: kale
        for cell in notebook.code
        if cell not in ruled
        if (kale := [tag for tag in tags_in(notebook.metadata_of(cell)) if is_kales(tag)])
    }
    named = {*PANEL, "experiment", "experiment_name", "pipeline_name", "pipeline_description"}
    wanted = [target.pipeline for _, target in specs if target.pipeline is not None]
    named |= {key for pipeline in wanted for key in pipeline}
    settings = sorted(settings_in(notebook.metadata).keys() - named) if wanted else []
    parts = [f"{_named(kale)} of cell {cell}" for cell, kale in [*unruled.items()][:1]]
    parts += [f"the tags of {count(len(unruled) - 1, 'more cell')}"] if len(unruled) > 1 else []
    parts += [f"the settings {_named(settings)}"] if settings else []
    if parts:
        first = next(iter(unruled), None)
        path = ("tags",) if unruled else (SETTINGS_KEY, settings[0])
        where = ", ".join(dict.fromkeys(spec.source.name for spec, _ in specs))
        yield found(
            "unruled-tag",
            f"{where} does not name {', and '.join(parts)}",
            places.metadata(first, path),
            help="write rules for them, as `kale-tag extract` does; `unmatched: keep` in the spec "
            "silences this, and `unmatched: untag` removes the tags",
        )
