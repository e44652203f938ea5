"""The `Plan` for one notebook: desired tags and settings compared with those present."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kale_tag.diagnostics import (
    Diagnostic,
    DiagnosticCollector,
    Label,
    Source,
    UserError,
    count,
    error,
    pasted,
    warning,
)
from kale_tag.kale import tags
from kale_tag.kale.checks import DONE, OF_A_PLAN
from kale_tag.kale.metadata import PATH_KEY, tags_in
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.plan.desired import DesiredCell, DesiredCells, settings_changes
from kale_tag.plan.select import Selection, View, check_counts, select
from kale_tag.spec.model import Change, Given, Spec, Target

if TYPE_CHECKING:
    from kale_tag.upgrade import Upgraded


SHOWN = 5
"""Cells whose code a warning about several shows."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that a spec or a patch makes in one notebook."""

    name: str  # of the notebook
    changes: tuple[Change, ...] = ()
    selections: tuple[Selection, ...] = ()  # of the rules of a spec
    desired: Mapping[int, DesiredCell] = field(default_factory=dict)  # by cell, from the rules
    warnings: tuple[Diagnostic, ...] = ()
    # the step of each cell that no rule selects, and that continues the step above
    continuing: Mapping[int, str] = field(default_factory=dict)
    moved: Mapping[int, int] = field(default_factory=dict)  # of a patch: cells by their old number


class PlanError(UserError):
    """A spec cannot be applied to a notebook; *plan* has what its rules select nevertheless."""

    def __init__(self, plan: Plan, notebook: Notebook, *diagnostics: Diagnostic) -> None:
        """Keep the *plan*; it has the changes of cells if only a rule without a cell is wrong."""
        super().__init__(*diagnostics)
        self.plan = plan
        self.notebook = notebook


def plan(spec: Spec, notebook: Notebook, target: Target, earlier: Plan | None = None) -> Plan:
    """The changes that *spec* makes in *notebook*.

    *earlier* is a plan for the same cells with other metadata: its cells are taken where no rule
    looks at tags, and what it has checked is not checked again. Raises `PlanError` with every
    error. A TimeoutError, which a caller's timer raises in here, becomes the error of the pattern
    in use.
    """
    upgraded = None
    names = {old: given.value for old, given in (spec.rename or {}).items()}
    if spec.legacy == "upgrade":
        from kale_tag.upgrade import upgrade  # noqa: PLC0415  needed for old notebooks only

        upgraded = upgrade(notebook, target.variables["stem"], names)
    view = View(notebook, names, upgraded.tags if upgraded else None)
    try:
        return _plan(spec, view, target, earlier, upgraded)
    except TimeoutError:
        raise UserError(view.endless()) from None


def unsettled(spec: Spec, again: Plan) -> UserError | None:
    """Why planning a second time finds changes; None when that is a bug of ours."""
    rules = [rule for change in again.changes for rule in change.rules] or spec.rules
    for rule in (*rules, *spec.rules):
        if rule.selector.looks_at_tags:
            tagged = rule.selector.tagged
            return UserError(
                error(
                    "unsettled",
                    "applying this spec twice would not be the same as once, because this rule "
                    "selects by tags that the spec changes",
                    tagged.label if tagged else rule.label,
                    notes=[f"seen in {again.name}"],
                    help="let the pattern match the new tag too, as in `(?:block|step):(.+)`",
                )
            )
    return None


def _plan(
    spec: Spec, view: View, target: Target, earlier: Plan | None, upgraded: "Upgraded | None"
) -> Plan:
    diagnostics: list[Diagnostic] = []
    desired: Mapping[int, DesiredCell]
    unselected: list[tuple[int, str, str]] = []
    if earlier is not None and not any(rule.selector.looks_at_tags for rule in spec.rules):
        selections, desired = earlier.selections, earlier.desired
    else:
        selections = select(spec.rules, view)
        wants = DesiredCells(selections, view, target.variables, unmatched=spec.unmatched)
        diagnostics, desired = wants.errors, wants.cells
        unselected = [] if diagnostics or earlier else [*wants.unselected()]
    counts = [*check_counts(selections, view)] if earlier is None else []
    diagnostics = [*counts, *diagnostics]
    if earlier is None:
        diagnostics += _rename_diagnostics(spec, view)
    made = Plan(view.notebook.name, selections=selections)
    if counts and diagnostics == counts and spec.unmatched == "keep":
        # Nothing that another rule wants depends on a cell that is missing.
        made = replace(made, changes=tuple(_Planner(spec, view, desired).changes(check=False)))
    if not diagnostics:
        planner = _Planner(spec, view, desired)
        changes = planner.changes(check=earlier is None)
        diagnostics = planner.errors
        try:
            settings = upgraded.settings if upgraded else None
            changes += settings_changes(view.notebook, target, settings)
        except UserError as exc:
            diagnostics.extend(exc.diagnostics)
        if not diagnostics:
            of_upgrade = _upgrade_warnings(upgraded, desired, target) if upgraded else ()
            joining: dict[str, list[int]] = {}
            for index, kind, _ in unselected:
                if kind:
                    joining.setdefault(kind, []).append(index)
            joins = (_joins(view, cells, kind) for kind, cells in joining.items())
            warnings = (*of_upgrade, *planner.warnings, *joins)
            on = {index: step for index, _, step in unselected if step}
            return Plan(view.notebook.name, tuple(changes), selections, desired, warnings, on)
    raise PlanError(made, view.notebook, *dict.fromkeys(diagnostics))


def _joins(view: View, cells: Sequence[int], kind: str) -> Diagnostic:
    name, each = view.notebook.name, "it"
    message = f"cell {cells[0]} of {name} joins the `{kind}` above: no rule selects it"
    if len(cells) > 1:
        message = f"cell {cells[0]} and {len(cells) - 1} more of {name} join the `{kind}` above: "
        message += "no rule selects them"
        each = "each"
    notes = [f"cell {index}: `{first_line(view.source(index))}`" for index in cells[:SHOWN]]
    if len(cells) > SHOWN:
        notes.append(
            f"{count(len(cells) - SHOWN, 'more cell')}: {', '.join(map(str, cells[SHOWN:]))}"
        )
    return warning(
        "unselected-cell",
        message,
        Label(Source(name, cell=cells[0])),
        notes=notes,
        help=f"write a rule for {each}: with `tag: {kind}` it stays there",
    )


def _upgrade_warnings(
    upgraded: "Upgraded", desired: Mapping[int, DesiredCell], target: Target
) -> Iterator[Diagnostic]:
    """The warnings of the upgrade, without cells and settings that the spec sets anyway."""
    for index, one in upgraded.cell_warnings:
        if index not in desired or desired[index].role is None:
            yield one
    named = {*(target.pipeline or {})}
    if "base_image" in named:
        named.add("docker_image")
    yield from (one for key, one in upgraded.setting_warnings if key not in named)


def _rename_diagnostics(spec: Spec, view: View) -> Iterator[Diagnostic]:
    """Renames that would make one step of two."""
    if not spec.rename:
        return
    name = view.notebook.name
    taken = {
        step: step
        for index in range(len(view.types))
        for tag in view.before_renames(index)
        if not tag.startswith("prev:")
        for step in tags.names_in(tag)
    }
    for old, given in spec.rename.items():
        if old not in taken:
            continue
        if (other := taken.get(given.value)) is not None:
            both = f"{name} has `{old}` and `{other}`"
            yield error(
                "rename-collision",
                f"`{old}` cannot become `{given.value}`: {both}",
                given.label,
                help="renaming would make one step of two",
            )
        taken[given.value] = old


@dataclass(slots=True)
class _Planner(DiagnosticCollector):
    """Compares the desired tags of each cell with those present."""

    spec: Spec
    view: View
    desired: Mapping[int, DesiredCell]

    def changes(self, *, check: bool) -> list[Change]:
        """The cells that change; with *check*, the resulting steps are checked too."""
        found: list[Change] = []
        final: dict[int, Sequence[str]] = {}
        # Most specs concern few cells, and only these are compared.
        everywhere = self.spec.unmatched != "keep" or self.view.has_overrides
        for index in range(len(self.view.types)) if everywhere else self.desired:
            present = self.view.tags(index)
            desired = self.desired.get(index)
            new: Sequence[str] = present
            path: object = MISSING
            if desired is not None:
                new = self._tags(index, desired, present)
            if desired is not None and desired.role is not None:
                path = desired.role.key if desired.role.kind == "notebook" else None
            elif (
                self.spec.unmatched != "keep"
                and self.view.types[index] == "code"
                and not (desired and desired.is_set_up)
            ):
                new = self._unmatched(index, new)
                path = None
            final[index] = new
            metadata = self.view.notebook.metadata_of(index)
            if new is present and not self.view.has_overrides:
                has_path = isinstance(metadata, dict) and PATH_KEY in metadata
                if path is MISSING or (path is None and not has_path):
                    continue
            change = self._change(index, metadata, new, path, desired)
            if change is not None:
                found.append(change)
        if (
            check
            and not self.errors
            and any(one.settings or one.add for one in self.desired.values())
        ):
            self._check_result(final)
        return found

    def _tags(self, index: int, desired: DesiredCell, present: Sequence[str]) -> Sequence[str]:
        """The new tags of a selected cell; *present* itself where they stay."""
        if not desired.remove:
            if not present:
                return desired.all_tags
            if present == desired.all_tags:
                return present
        left = [
            tag
            for tag in present
            if not any(self.view.whole(pattern, tag) for pattern in desired.remove)
        ]
        if desired.role is not None:
            kale = [tag for tag in left if tags.is_kales(tag)]
            foreign = [
                tag
                for tag in left
                if not tags.is_kales(tag) and not self._is_dropped(index, desired, tag)
            ]
            want = desired.kale_tags
            if sorted(kale) != sorted(want):
                kale = want  # else they keep their order: only special tags make it matter
            left = [*kale, *foreign]
        elif desired.settings:
            left = _set_up(left, desired.settings)
        left += (tag for tag in dict.fromkeys(desired.add) if tag not in left)
        return present if left == list(present) else left

    def _is_dropped(self, index: int, desired: DesiredCell, tag: str) -> bool:
        """Whether *tag* is of Kale's 0.x language and a rule takes its place."""
        if not tags.is_legacy(tag) or self.spec.legacy == "keep":
            return False
        if self.spec.legacy == "upgrade":
            return True  # what the upgrade leaves: of a cell that is no step, or not code
        untagged = desired.role is not None and desired.role.kind == "untag"
        named = (rule.selector.tagged for rule in desired.rules)
        if not untagged and not any(found and found.regex.fullmatch(tag) for found in named):
            rule = desired.rules[-1]
            command = pasted("kale-tag upgrade", [self.view.notebook.name])
            self.error(
                "legacy-tag",
                f"cell {index} of {self.view.notebook.name} has the tag `{tag}` of Kale 0.x, "
                "on which Kale 2 stops",
                rule.label.with_text(f"this rule selects cell {index}"),
                help=f"`{command}` brings it to Kale 2, as "
                "`legacy: upgrade` in a spec does; or select the cell by it, as in "
                "`{tagged: 'block:(.+)', step: '\\1'}`, `remove` it, or write "
                "`legacy: keep`",
            )
        return True

    def _unmatched(self, index: int, present: Sequence[str]) -> Sequence[str]:
        """The tags of a code cell that no rule selects, by the spec's `unmatched`."""
        mode = self.spec.unmatched
        source = self.view.source(index)
        if mode == "error":
            if source.strip():
                self.error(
                    "unmatched-cell",
                    f"no rule selects cell {index} of {self.view.notebook.name}",
                    Label(Source(self.view.notebook.name, cell=index)),
                    notes=[f"cell {index}: `{first_line(source)}`"],
                    help="the spec has `unmatched: error`; write a rule for the cell",
                )
            return present
        foreign = [tag for tag in present if not tags.is_kales(tag) and not tags.is_legacy(tag)]
        new = ["skip", *foreign] if mode == "skip" else foreign
        return present if new == list(present) else new

    def _change(
        self,
        index: int,
        before: object,
        new: Sequence[str],
        path: object,
        desired: DesiredCell | None,
    ) -> Change | None:
        """The change of one cell's metadata: its tags, and the path of a referenced notebook."""
        rules = () if desired is None else desired.rules
        if before == {} and new and not isinstance(path, str):  # so it is more often than not
            return Change(index, before, {"tags": list(new)}, rules)
        if before is not MISSING and before is not None and not isinstance(before, dict):
            self._bad_metadata(index, "`metadata` is not an object", desired)
            return None
        old = before if isinstance(before, dict) else {}
        listed = old.get("tags")
        if listed is not None and tags_in(old) is not listed:
            self._bad_metadata(index, "`tags` is not a list of texts", desired)
            return None
        after = dict(old)
        if not new and listed:
            del after["tags"]
        elif new:
            after["tags"] = list(new)
        if isinstance(path, str):
            after[PATH_KEY] = path
        elif path is None:
            after.pop(PATH_KEY, None)
        return None if after == old else Change(index, before, after, rules)

    def _bad_metadata(self, index: int, message: str, desired: DesiredCell | None) -> None:
        also = [desired.rules[-1].label.with_text("this rule selects the cell")] if desired else []
        self.error(
            "bad-metadata",
            f"{message} in cell {index} of {self.view.notebook.name}",
            Label(Source(self.view.notebook.name, cell=index)),
            also=also,
            help="no notebook editor writes this; repair the cell by hand",
        )

    def _check_result(self, planned: Mapping[int, Sequence[str]]) -> None:
        """Check the notebook with its *planned* tags; report what the spec breaks."""
        if self.view.has_overrides:
            planned = {**{index: self.view.tags(index) for index in self.view.code}, **planned}
        tagged = TaggedNotebook(self.view.notebook, planned)
        for check in OF_A_PLAN if tagged.has_kale_tags else ():
            for diagnostic in check(tagged):
                found = [(self._in_spec(label, planned), label) for label in diagnostic.labels]
                ours = [label for label, _ in found if label is not None]
                of_all = diagnostic.code in {"cycle", "foreign-tag"}
                if not ours or (found[0][0] is None and not of_all):
                    continue  # the notebook is like this without the spec
                rest = [label for _, label in found if label.source.cell is not None]
                labels = tuple(dict.fromkeys((*ours, *rest)))
                kind = self.errors if diagnostic.severity == "error" else self.warnings
                message = f"after this plan, {diagnostic.message}"
                made = replace(diagnostic, message=message, labels=labels)
                if diagnostic.code == "foreign-tag":
                    made = replace(made, help=f"take it out of `add`; {DONE}")
                kind.append(self.spec.judged(made))

    def _in_spec(self, label: Label, planned: Mapping[int, Sequence[str]]) -> Label | None:
        """The place in the spec of a tag; None if the notebook has it without the spec."""
        cell = label.source.cell
        if cell is None or label.path is None or (desired := self.desired.get(cell)) is None:
            return None
        text = planned[cell][int(label.path[1])]
        given = [one.label for one in desired.settings if str(one.tag()) == text]
        if text in desired.add:
            given += [one.label for rule in desired.rules for one in rule.add if one.value == text]
            given += [rule.label for rule in desired.rules if rule.add]  # the tag has holes there
        return next((one.with_text(label.text) for one in given), None)


def _set_up(listed: Sequence[str], given: Sequence[Given]) -> list[str]:
    """The tags *listed* with other settings; a value takes the place of the old one."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for one in given:
        tag = one.tag()
        wanted.setdefault(_setting(tag), []).extend(() if one.removes else [str(tag)])
    new: list[str] = []
    for text in listed:
        old = tags.parse(text)
        key = _setting(old) if old else ("", "")
        new += wanted.get(key, [text])
        if key in wanted:
            wanted[key] = []
    if missing := [text for texts in wanted.values() for text in texts]:
        kale = [*filter(tags.is_kales, new), *missing]
        parsed = [tag for tag in map(tags.parse, kale) if tag is not None]
        ordered = [str(tag) for tag in tags.in_order(parsed)] if len(parsed) == len(kale) else kale
        new = [*ordered, *(text for text in new if not tags.is_kales(text))]
    return new


def _setting(tag: tags.Tag) -> tuple[str, str]:
    """What *tag* sets: all `prev` together are one setting."""
    return tag.kind, "" if tag.kind == "prev" else tag.key
