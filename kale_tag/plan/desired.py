"""Resolve the rules for each cell of one notebook: its role, its tags, and conflicts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from kale_tag.diagnostics import Diagnostic, DiagnosticCollector, Label, Source, UserError, error
from kale_tag.fields.fields import Form
from kale_tag.kale import names, settings, tags
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.outline import Outline, first_code_line, outline, role_of
from kale_tag.kale.settings import settings_in
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.plan.select import Selection, View
from kale_tag.spec import template
from kale_tag.spec.model import ABOVE, KEEP, Change, Given, Pattern, Rule, SettingValue, Target
from kale_tag.spec.rule import check_tag


@dataclass(slots=True)
class DesiredCell:
    """What the rules give one cell."""

    rules: tuple[Rule, ...]  # those that select the cell
    role: Given | None = None  # None: the spec leaves its Kale tags alone, but for settings
    settings: tuple[Given, ...] = ()  # of its step, on the first cell of the step only
    add: tuple[str, ...] = ()  # tags of other tools
    remove: tuple[Pattern, ...] = ()
    kale_tags: list[str] = field(init=False)  # in the order of Kale's panel
    all_tags: list[str] = field(init=False)  # for a cell that has no tags yet

    @property
    def is_set_up(self) -> bool:
        """Whether rules change settings of its step, and keep the rest."""
        return self.role is None and any(rule.sets_up_steps for rule in self.rules)

    def __post_init__(self) -> None:
        """Spell the tags."""
        given = (
            () if self.role is None or self.role.kind == "untag" else (self.role, *self.settings)
        )
        spelt = [str(tag) for tag in tags.in_order(one.tag() for one in given)]
        self.kale_tags = spelt
        self.all_tags = [*dict.fromkeys((*spelt, *self.add))]


@dataclass(slots=True)
class _Step:
    """What the rules give one step, at any of its cells."""

    first: int  # its first cell
    settings: dict[tuple[str, str], tuple[Given, int]] = field(default_factory=dict)
    prev: dict[str, Given] = field(default_factory=dict)
    prev_layer: int = -1
    rules: dict[Rule, None] = field(default_factory=dict)  # those without a role


class DesiredCells(DiagnosticCollector):
    """The result for one notebook: `cells` by number, or `errors`."""

    def __init__(
        self,
        selections: Sequence[Selection],
        view: View,
        variables: Mapping[str, str],
        *,
        unmatched: str = "keep",
    ) -> None:
        """Resolve *selections*, with `${...}` from *variables* and groups from matches.

        *unmatched* is what becomes of cells without a rule.
        """
        super().__init__()
        self.view = view
        self.name = view.notebook.name
        self.unmatched = unmatched
        self.variables = variables
        self.cells: dict[int, DesiredCell] = {}
        rules: dict[int, list[Rule]] = {}
        for found in selections:
            for index in found.cells:
                rules.setdefault(index, []).append(found.rule)
        steps: dict[str, _Step] = {}
        for index in sorted(rules):
            selecting = tuple(rules[index])
            desired = _desired_anywhere(selecting) or self._cell(index, selecting)
            self.cells[index] = desired
            if desired.role is not None and desired.role.kind == "step":
                step = steps.setdefault(desired.role.value, _Step(index))
                self._add_to_step(step, index, desired)
        for index in [*self.cells]:
            for rule in self.cells[index].rules:
                if rule.role is None and rule.sets_up_steps:
                    self._set_up(steps, index, rule)
        for name, step in steps.items():
            if ABOVE in step.prev:
                self._resolve_above(name, step)
            self._finish(step)

    def _set_up(self, steps: dict[str, _Step], index: int, rule: Rule) -> None:
        """Let *rule*, which has no role, set up the step that the cell will be in."""
        name = self._steps.get(index)
        if name is None:
            self.errors.append(self._without_step(index, rule))
            return
        step = steps.setdefault(name, _Step(self._starts[name]))
        step.rules[rule] = None
        self._take(step, name, rule, index)

    def _finish(self, step: _Step) -> None:
        """Give the first cell of *step* all that the rules set."""
        desired = self.cells.get(step.first) or DesiredCell(())
        given = [*step.prev.values(), *(one for one, _ in step.settings.values())]
        if desired.role is not None:
            given = [one for one in given if not one.removes]
        elif step.prev_layer >= 0 and not step.prev:
            given.append(Given("prev", "", "", next(iter(step.rules)).label, removes=True))
        if given:
            rules = tuple(dict.fromkeys((*desired.rules, *step.rules)))
            self.cells[step.first] = replace(desired, rules=rules, settings=tuple(given))
            self.cells = dict(sorted(self.cells.items()))

    def _resolve_above(self, name: str, step: _Step) -> None:
        """Replace `step-above` by the step that starts above; the first step has none."""
        given = step.prev.pop(ABOVE)
        starts = [*self._starts]
        at = starts.index(name)
        if at:
            step.prev.setdefault(starts[at - 1], replace(given, value=starts[at - 1]))

    @cached_property
    def _starts(self) -> dict[str, int]:
        """The first cell of each step that the notebook will have, in their order."""
        found: dict[str, int] = {}
        for index, listed in self._planned.items():
            if name := role_of(listed).name:
                found.setdefault(name, index)
        return found

    @cached_property
    def _planned(self) -> dict[int, Sequence[str]]:
        """The Kale tags that each code cell will have, without settings that rules give."""
        found: dict[int, Sequence[str]] = {}
        for index in self.view.code:
            desired = self.cells.get(index)
            if desired is not None and desired.role is not None:
                found[index] = desired.kale_tags
            elif self.unmatched in {"keep", "error"} or (desired and desired.is_set_up):
                found[index] = self.view.tags(index)
            else:
                found[index] = ["skip"] if self.unmatched == "skip" else []
        return found

    @cached_property
    def _outline(self) -> Outline:
        """The steps and shared cells that the notebook will have."""
        return outline(self.view.notebook, self._planned)

    @cached_property
    def _steps(self) -> dict[int, str]:
        """The step that each code cell will be in."""
        steps = (one for one in self._outline.steps if one.notebook is None)
        return {cell: step.name for step in steps for cell in step.cells}

    def unselected(self) -> Iterator[tuple[int, str, str]]:
        """The untagged cells with code that no rule selects, with what they will be a part of.

        That is one of `tags.SPECIAL`, or a step. A spec that gives no cell a role has none.
        """
        if not any(one.role for one in self.cells.values()):
            return
        shared = {cell: kind for kind, cells in self._outline.shared.items() for cell in cells}
        for index in sorted(shared.keys() | self._steps.keys()):
            untagged = not role_of(self._planned[index]).kind
            has_code = first_code_line(self.view.source(index)) is not None
            if index not in self.cells and untagged and has_code:
                yield index, shared.get(index, ""), self._steps.get(index, "")

    def _cell(self, index: int, rules: tuple[Rule, ...]) -> DesiredCell:
        """What *rules* want of the cell *index*, but for the settings of its step."""
        remove = [pattern for rule in rules for pattern in rule.remove]
        role: Given | None = None
        for rule in _with_role(rules):
            given = rule.role and self._filled(rule.role, rule, index)
            if role is not None and given is not None and not _same(given, role):
                self.errors.append(self._two_roles(index, role, given))
            role = role or given
        return DesiredCell(rules, role, (), tuple(self._added(index, rules)), tuple(remove))

    def _added(self, index: int, rules: tuple[Rule, ...]) -> Iterator[str]:
        """The tags to add, but for those that a file higher up an `extends` chain removes."""
        for rule in rules:
            for given in rule.add:
                text = self._filled(given, rule, index).value
                removers = [
                    (other.layer, pattern.label)
                    for other in rules
                    for pattern in other.remove
                    if self.view.whole(pattern, text)
                ]
                for layer, label in removers:
                    if layer == rule.layer:
                        self.errors.append(self._added_and_removed(index, text, given.label, label))
                if all(layer <= rule.layer for layer, _ in removers):
                    yield text

    def _add_to_step(self, step: _Step, index: int, desired: DesiredCell) -> None:
        role = desired.role
        for rule in desired.rules:
            if rule.role is None or role is None:
                continue
            if not _same(self._filled(rule.role, rule, index), role):
                continue  # a base's rule, overruled
            self._take(step, role.value, rule, index)

    def _take(self, step: _Step, name: str, rule: Rule, index: int) -> None:
        """Take what *rule*, which selects the cell *index*, sets for the step *name*."""
        if rule.prev is not None and rule.layer >= step.prev_layer:
            if rule.layer > step.prev_layer:
                step.prev.clear()
                step.prev_layer = rule.layer
            for given in rule.prev:
                if given.value == KEEP:
                    present = role_of(self.view.tags(step.first)).prev
                    step.prev |= {one: replace(given, value=one) for one in present}
                    continue
                prev = self._filled(given, rule, index)
                step.prev.setdefault(prev.value, prev)
        for given in rule.settings:
            self._add_setting(step, name, self._filled(given, rule, index), rule.layer)

    def _add_setting(self, step: _Step, name: str, given: Given, layer: int) -> None:
        key = (given.kind, given.key)
        old, old_layer = step.settings.get(key, (given, -1))
        values = ["`null`" if one.removes else f"`{one.value}`" for one in (given, old)]
        if old_layer < layer:
            step.settings[key] = (given, layer)
        elif old_layer == layer and values[0] != values[1]:
            what = f"`{given.kind}`" if not given.key else f"the {given.kind} `{given.key}`"
            self.error(
                "conflicting-rules",
                f"step `{name}` gets two values for {what}",
                given.label.with_text(values[0]),
                also=[old.label.with_text(values[1])],
                help="keep it in one of the rules",
            )

    def _without_step(self, index: int, rule: Rule) -> Diagnostic:
        given = (*rule.settings, *(rule.prev or ()))
        return error(
            "setting-without-step",
            f"cell {index} of {self.name} is in no step, so it takes no settings",
            given[0].label if given else rule.label,
            also=[rule.label.with_text(f"this rule selects cell {index}")],
            notes=[f"cell {index}: `{first_line(self.view.source(index))}`"],
            help="name the step in the rule, `step: NAME`; or select steps only, as "
            "`tagged: 'step:.+'` does",
        )

    def _filled(self, given: Given, rule: Rule, index: int) -> Given:
        """*given* without holes, checked."""
        if given.is_literal:
            return given
        key = given.key
        try:
            value = template.fill(given.value, self.variables)
            if given.kind == "notebook":
                key = template.fill(key, self.variables)
        except KeyError as missing:
            self.errors.append(_no_value(missing, self.name, given.label))
            return given
        if any(template.groups(value)):
            caught = self.view.caught(rule.selector, index)
            value = template.expand(value, caught) if caught else ""
            if given.kind in {"step", "prev", "notebook"}:
                value = tags.valid_name(value)  # a heading is seldom a valid name as it stands
        filled = replace(given, value=value, key=key)
        if given.kind != "add":
            form = Form()
            check_tag(form, filled)
            note = f"from cell {index}: `{first_line(self.view.source(index))}`"
            if given.kind in {"step", "notebook", "prev"} and not value:
                message = f"`{given.value}` gives no step name on cell {index} of {self.name}"
                hint = "match letters or digits with the group, or write the name"
                form.errors[:] = [error("invalid-step-name", message, given.label, help=hint)]
            self.errors += (replace(diagnostic, notes=(note,)) for diagnostic in form.errors)
        return filled

    def _two_roles(self, index: int, old: Given, new: Given) -> Diagnostic:
        both_steps = old.kind == new.kind == "step"
        what = "two steps" if both_steps else "two roles"
        return error(
            "conflicting-steps" if both_steps else "conflicting-rules",
            f"cell {index} of {self.name} gets {what}",
            new.label.with_text(f"{_role(new)}, because this rule selects cell {index}"),
            also=[old.label.with_text(f"{_role(old)}, because this rule selects cell {index}")],
            notes=[f"cell {index}: `{first_line(self.view.source(index))}`"],
            help=f"{'a cell belongs to one step; ' if both_steps else ''}make one of the two "
            "selectors narrower, as `not: {source: PATTERN}` does",
        )

    def _added_and_removed(self, index: int, text: str, added: Label, removed: Label) -> Diagnostic:
        return error(
            "conflicting-rules",
            f"the tag `{text}` is both added to and removed from cell {index} of {self.name}",
            added.with_text("added here"),
            also=[removed.with_text("removed here")],
            help="make one of the two selectors narrower",
        )


def _with_role(rules: Iterable[Rule]) -> list[Rule]:
    """The rules that give a cell its role: those of the highest file of an `extends` chain."""
    giving = [rule for rule in rules if rule.role is not None]
    top = max((rule.layer for rule in giving), default=0)
    return [rule for rule in giving if rule.layer == top]


@lru_cache(maxsize=1024)
def _desired_anywhere(rules: tuple[Rule, ...]) -> DesiredCell | None:
    """What *rules* give any cell that they select; None where that depends on the cell."""
    roles = [rule.role for rule in _with_role(rules) if rule.role is not None]
    add = [given for rule in rules for given in rule.add]
    if any(rule.remove for rule in rules) or not all(one.is_literal for one in (*roles, *add)):
        return None
    if any(not _same(one, roles[0]) for one in roles):
        return None
    return DesiredCell(rules, roles[0] if roles else None, (), tuple(given.value for given in add))


def _same(one: Given, other: Given) -> bool:
    return (one.kind, one.key, one.value) == (other.kind, other.key, other.value)


def _role(given: Given) -> str:
    match given.kind:
        case "step" | "notebook":
            return f"{given.kind} `{given.value}`"
        case "untag":
            return "no Kale tag"
        case kind:
            return f"`{kind}`"


def settings_changes(
    notebook: Notebook, target: Target, upgraded: dict[str, object] | None = None
) -> list[Change]:
    """The change of the notebook's own metadata, if its settings are not as *target* wants them.

    *upgraded* are its settings as Kale 2 takes them, if they have to change for that.
    """
    if target.pipeline is None and upgraded is None:
        return []
    before = notebook.metadata
    if before is not MISSING and before is not None and not isinstance(before, dict):
        raise UserError(_not_an_object(notebook, "`metadata`"))
    old = before if isinstance(before, dict) else {}
    present = old.get(SETTINGS_KEY)
    if present is not None and not isinstance(present, dict):
        raise UserError(_not_an_object(notebook, f"`metadata.{SETTINGS_KEY}`"))
    start = (present or {}) if upgraded is None else upgraded
    wanted = _filled_settings(notebook, target)
    wanted = settings.with_experiment(wanted, start)
    if target.pipeline is not None:
        completed = settings.missing(_merged(start, wanted), target.variables["stem"])
        wanted = {**completed, **wanted}  # what the spec removes stays removed
    if diagnostics := [*_diagnostics(notebook, target.pipeline or {}, wanted)]:
        raise UserError(*diagnostics)
    new = _merged(start, wanted)
    if same(new, present or {}):
        return []
    return [Change(None, before, {**old, SETTINGS_KEY: new})]


def settings_changed(change: Change) -> Iterator[tuple[str, object, object]]:
    """Key, old and new value of each setting that changes, `MISSING` if there is none."""
    before, after = settings_in(change.before), settings_in(change.after)
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, MISSING), after.get(key, MISSING)
        if not same(old, new):
            yield key, old, new


def _filled_settings(notebook: Notebook, target: Target) -> dict[str, object]:
    """The settings of *target* with every hole filled."""
    pipeline = target.pipeline or {}
    slugs = {
        key: names.pipeline_name(value) if key in template.VARIABLES else value
        for key, value in target.variables.items()
    }
    wanted: dict[str, object] = {}
    for key, setting in pipeline.items():
        # Names take no other characters than those of Kale's own names for files.
        variables = slugs if key in {"pipeline_name", "experiment_name"} else target.variables
        try:
            wanted[key] = _filled(setting.value, variables)
        except KeyError as missing:
            raise UserError(_no_value(missing, notebook.name, setting.label)) from None
    if isinstance(defaults := wanted.get("steps_defaults"), dict):
        wanted["steps_defaults"] = [
            str(Given(kind, name, text, pipeline["steps_defaults"].label).tag())
            for kind, entries in defaults.items()
            for name, text in (entries or {}).items()
            if text is not None
        ]
    return wanted


def _no_value(missing: KeyError, notebook: str, at: Label) -> Diagnostic:
    return error(
        "unknown-variable",
        f"`${{{missing.args[0]}}}` has no value for {notebook}",
        at,
        help="give it under `vars`, for all notebooks or for this one",
    )


def _diagnostics(
    notebook: Notebook, pipeline: Mapping[str, SettingValue], wanted: Mapping[str, object]
) -> Iterator[Diagnostic]:
    """What Kale would not take in *wanted*: what *pipeline* asks for, and what is added to it."""
    for key, diagnostic in settings.problems(wanted):
        if (setting := pipeline.get(key)) is not None:
            yield replace(diagnostic, labels=(setting.label,), notes=(f"for {notebook.name}",))
        else:  # of what is added only the name of the pipeline can be wrong
            spec = next((one.label.source for one in pipeline.values()), Source(notebook.name))
            yield error(
                diagnostic.code,
                f"the file name of {notebook.name} gives no pipeline name",
                Label(spec),
                help="give `pipeline_name` under `pipeline`, or for this notebook under "
                "`notebooks`",
            )


def _filled(value: object, variables: Mapping[str, str]) -> object:
    match value:
        case str():
            return template.fill(value, variables)
        case list():
            return [_filled(item, variables) for item in value]
        case dict():
            return {key: _filled(item, variables) for key, item in value.items()}
        case _:
            return value


def _merged(old: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """*over* merged into *old* as in RFC 7386: None removes, mappings merge, the rest replaces."""
    merged = dict(old)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            inner = merged.get(key)
            merged[key] = _merged(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _not_an_object(notebook: Notebook, what: str) -> Diagnostic:
    return error(
        "bad-metadata",
        f"{what} of {notebook.name} is not an object",
        Label(Source(notebook.name)),
        help="no notebook editor writes this; repair it by hand",
    )
