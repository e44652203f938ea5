"""Tags and settings wanted against those present: a `Plan` for one notebook."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.kale import tags
from kale_tag.kale.checks import OF_A_PLAN
from kale_tag.kale.metadata import PATH_KEY, tags_in
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.plan.desired import Wanted, Wants
from kale_tag.plan.desired_settings import settings_changes
from kale_tag.plan.select import Selection, View, check_counts, endless, select
from kale_tag.spec.change import Change, Target
from kale_tag.spec.model import Spec
from kale_tag.upgrade.upgrade import Upgraded


@dataclass(frozen=True, slots=True)
class Plan:
    """What would change in one notebook; nothing where it is as the spec or the patch says.

    *selections* and *wanted* are those of a spec's rules, *moved* gives the new number of each cell
    that stands elsewhere than a patch says.
    """

    name: str
    changes: tuple[Change, ...] = ()
    selections: tuple[Selection, ...] = ()
    wanted: Mapping[int, Wanted] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()
    moved: Mapping[int, int] = field(default_factory=dict)


def plan(spec: Spec, notebook: Notebook, target: Target, earlier: Plan | None = None) -> Plan:
    """The changes that make *notebook* as *spec* says.

    *earlier* is a plan for the same cells with other metadata: nothing that cannot have changed is
    done or checked again. Raises `UserError` with every fault. Where a caller watches the clock, a
    TimeoutError raised in here is one: the pattern that was stopped.
    """
    upgraded = Upgraded()
    names = {old: given.value for old, given in (spec.rename or {}).items()}
    if spec.legacy == "upgrade":
        from kale_tag.upgrade.upgrade import upgrade  # noqa: PLC0415  needed for old notebooks only

        upgraded = upgrade(notebook, target.variables["stem"], names)
    view = View(notebook, names, upgraded.tags)
    try:
        return _plan(spec, view, target, earlier, upgraded)
    except TimeoutError:
        raise UserError(endless(view)) from None


def unsettled(spec: Spec, again: Plan) -> UserError | None:
    """Why planning a second time wants to change something again; None when that is our bug."""
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


def _plan(spec: Spec, view: View, target: Target, earlier: Plan | None, upgraded: Upgraded) -> Plan:
    diagnostics: list[Diagnostic] = []
    wanted: Mapping[int, Wanted]
    if earlier is not None and not any(rule.selector.looks_at_tags for rule in spec.rules):
        selections, wanted = earlier.selections, earlier.wanted
    else:
        selections = select(spec.rules, view, earlier.selections if earlier else ())
        keeps = spec.unmatched in {"keep", "error"}
        wants = Wants(selections, view, target.variables, keeps_others=keeps)
        diagnostics, wanted = wants.diagnostics, wants.cells
    if earlier is None:
        diagnostics += (*check_counts(selections, view), *_rename_diagnostics(spec, view))
    if not diagnostics:
        planner = _Planner(spec, view, wanted)
        changes = planner.changes(check=earlier is None)
        diagnostics = planner.diagnostics
        try:
            changes += settings_changes(view.notebook, target, upgraded.settings)
        except UserError as exc:
            diagnostics.extend(exc.diagnostics)
        if not diagnostics:
            warnings = (*_still_true(upgraded, wanted, target), *planner.warnings)
            return Plan(view.notebook.name, tuple(changes), selections, wanted, warnings)
    raise UserError(*dict.fromkeys(diagnostics))


def _still_true(
    upgraded: Upgraded, wanted: Mapping[int, Wanted], target: Target
) -> Iterator[Diagnostic]:
    """The warnings of the upgrade, but for cells and settings of which the spec disposes anyway."""
    for index, one in upgraded.cell_warnings:
        if index not in wanted or wanted[index].role is None:
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


class _Planner:
    """Compares, cell by cell, what is wanted with what is present."""

    def __init__(self, spec: Spec, view: View, wanted: Mapping[int, Wanted]) -> None:
        self.spec = spec
        self.view = view
        self.wanted = wanted
        self.diagnostics: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []

    def changes(self, *, check: bool) -> list[Change]:
        """The cells that change; *check* holds the steps that result against each other too."""
        found: list[Change] = []
        final: dict[int, Sequence[str]] = {}
        # Most specs have a say in a few cells only, and the others need not be looked at.
        everywhere = self.spec.unmatched != "keep" or self.view.looks_through
        for index in range(len(self.view.types)) if everywhere else self.wanted:
            present = self.view.tags(index)
            wanted = self.wanted.get(index)
            new: Sequence[str] = present
            path: object = MISSING
            if wanted is not None:
                new = self._tags(index, wanted, present)
            if wanted is not None and wanted.role is not None:
                path = wanted.role.key if wanted.role.kind == "notebook" else None
            elif self.spec.unmatched != "keep" and self.view.types[index] == "code":
                new = self._unmatched(index, present)
                path = None
            final[index] = new
            metadata = self.view.notebook.metadata_of(index)
            if new is present and not self.view.looks_through:
                has_path = isinstance(metadata, dict) and PATH_KEY in metadata
                if path is MISSING or (path is None and not has_path):
                    continue
            change = self._change(index, metadata, new, path, wanted)
            if change is not None:
                found.append(change)
        if check and not self.diagnostics and any(one.settings for one in self.wanted.values()):
            self._check_result(final)
        return found

    def _tags(self, index: int, wanted: Wanted, present: Sequence[str]) -> Sequence[str]:
        """The tags that a selected cell shall have; *present* itself where they are right."""
        if not wanted.remove:
            if not present:
                return wanted.all_tags
            if present == wanted.all_tags:
                return present
        left = [
            tag
            for tag in present
            if not any(self.view.whole(pattern, tag) for pattern in wanted.remove)
        ]
        if wanted.role is not None:
            kale = [tag for tag in left if tags.is_kales(tag)]
            foreign = [
                tag
                for tag in left
                if not tags.is_kales(tag) and not self._is_dropped(index, wanted, tag)
            ]
            want = wanted.kale_tags
            if sorted(kale) != sorted(want):
                kale = want  # else they keep their order: only special tags make it matter
            left = [*kale, *foreign]
        left += (tag for tag in dict.fromkeys(wanted.add) if tag not in left)
        return present if left == list(present) else left

    def _is_dropped(self, index: int, wanted: Wanted, tag: str) -> bool:
        """Whether *tag* is of Kale's 0.x language and a rule takes its place."""
        if not tags.is_legacy(tag) or self.spec.legacy == "keep":
            return False
        if self.spec.legacy == "upgrade":
            return True  # on a cell that is not code, where Kale does not read it
        untagged = wanted.role is not None and wanted.role.kind == "untag"
        named = (rule.selector.tagged for rule in wanted.rules)
        if not untagged and not any(found and found.regex.fullmatch(tag) for found in named):
            rule = wanted.rules[-1]
            self.diagnostics.append(
                error(
                    "legacy-tag",
                    f"cell {index} of {self.view.notebook.name} has the tag `{tag}` of Kale 0.x, "
                    "on which Kale 2 stops",
                    rule.label.with_text(f"this rule selects cell {index}"),
                    help=f"`kale-tag upgrade {self.view.notebook.name}` brings it to Kale 2, as "
                    "`legacy: upgrade` in a spec does; or select the cell by it, as in "
                    "`{tagged: 'block:(.+)', step: '\\1'}`, take it away by `remove`, or say "
                    "`legacy: keep`",
                )
            )
        return True

    def _unmatched(self, index: int, present: Sequence[str]) -> Sequence[str]:
        """The tags of a code cell that no rule selects, where the spec speaks of such cells."""
        mode = self.spec.unmatched
        source = self.view.source(index)
        if mode == "error":
            if source.strip():
                self.diagnostics.append(
                    error(
                        "unmatched-cell",
                        f"no rule selects cell {index} of {self.view.notebook.name}",
                        Label(Source(self.view.notebook.name, cell=index)),
                        notes=[f"cell {index}: `{first_line(source)}`"],
                        help="the spec says `unmatched: error`; write a rule for the cell",
                    )
                )
            return present
        foreign = [tag for tag in present if not tags.is_kales(tag) and not tags.is_legacy(tag)]
        new = ["skip", *foreign] if mode == "skip" else foreign
        return present if new == list(present) else new

    def _change(
        self, index: int, before: object, new: Sequence[str], path: object, wanted: Wanted | None
    ) -> Change | None:
        """The change of one cell's metadata: its tags, and the path of a referenced notebook."""
        rules = () if wanted is None else wanted.rules
        if before == {} and new and not isinstance(path, str):  # so it is more often than not
            return Change(index, before, {"tags": list(new)}, rules)
        if before is not MISSING and before is not None and not isinstance(before, dict):
            self._bad_metadata(index, "`metadata` is not an object", wanted)
            return None
        old = before if isinstance(before, dict) else {}
        listed = old.get("tags")
        if listed is not None and tags_in(old) is not listed:
            self._bad_metadata(index, "`tags` is not a list of texts", wanted)
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

    def _bad_metadata(self, index: int, message: str, wanted: Wanted | None) -> None:
        also = [wanted.rules[-1].label.with_text("this rule selects the cell")] if wanted else []
        self.diagnostics.append(
            error(
                "bad-metadata",
                f"{message} in cell {index} of {self.view.notebook.name}",
                Label(Source(self.view.notebook.name, cell=index)),
                also=also,
                help="no notebook editor writes this; repair the cell by hand",
            )
        )

    def _check_result(self, planned: Mapping[int, Sequence[str]]) -> None:
        """Check the notebook with its *planned* tags; report what the spec breaks."""
        if self.view.looks_through:
            planned = {**{index: self.view.tags(index) for index in self.view.code}, **planned}
        tagged = TaggedNotebook(self.view.notebook, planned)
        for check in OF_A_PLAN:
            for diagnostic in check(tagged):
                found = [(self._in_spec(label, planned), label) for label in diagnostic.labels]
                ours = [label for label, _ in found if label is not None]
                if not ours or (found[0][0] is None and diagnostic.code != "cycle"):
                    continue  # the notebook is like this without the spec
                rest = [label for _, label in found if label.source.cell is not None]
                labels = tuple(dict.fromkeys((*ours, *rest)))
                kind = self.diagnostics if diagnostic.severity == "error" else self.warnings
                kind.append(replace(diagnostic, labels=labels))

    def _in_spec(self, label: Label, planned: Mapping[int, Sequence[str]]) -> Label | None:
        """The place in the spec of a tag; None if the notebook has it without the spec."""
        cell = label.source.cell
        if cell is None or label.path is None or (wanted := self.wanted.get(cell)) is None:
            return None
        text = planned[cell][int(label.path[1])]
        given = (one for one in wanted.settings if str(one.tag()) == text)
        return next((one.label.with_text(label.text) for one in given), None)
