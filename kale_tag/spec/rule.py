"""One entry of `cells` to a `Rule`: which cells, and what they become."""

import re
from collections.abc import Iterator

from kale_tag.diagnostics import Label
from kale_tag.fields.fields import Form, kind, narrowed
from kale_tag.fields.yaml_tree import Mapping, Node, Scalar, Sequence, is_null
from kale_tag.kale import tags
from kale_tag.kale.checks import why_reserved
from kale_tag.kale.tags import corrected
from kale_tag.spec import template
from kale_tag.spec.compile_section import STEP_KEYS
from kale_tag.spec.model import ABOVE, KEEP, Expect, Given, Index, Pattern, Rule, Selector

SELECTORS = ("index", "source", "heading", "id", "tagged", "cell_type", "not")
ROLES = ("tag", "step", "notebook", "untag")
SETTINGS = ("prev", *tags.SETTINGS)
KEYS = (*SELECTORS, "expect", *ROLES, *SETTINGS, "add", "remove")
CELL_TYPES = ("code", "markdown", "raw", "any")

_RANGE = re.compile(r"(-?[0-9]+)\s*-\s*(-?[0-9]+)")
_DIGITS = 9
"""Of a cell number in a range; Python refuses to read very long ones."""


def read_rule(form: Form, node: Node, layer: int) -> Rule | None:
    """The rule at *node*; None if it is not even a mapping."""
    values = form.record(node, KEYS, "a rule", elsewhere=_in_compile)
    if not isinstance(node, Mapping):
        return None
    rule = _read_fields(form, node, values, layer)
    if len(values) == len(node.entries):  # a misspelt key is reported once, without what follows
        _check_effect(form, node, rule)
    _check_role(form, node, rule)
    _check_groups(form, rule)
    return rule


def _in_compile(key: str) -> str:
    """The help for a key of a step that is in the section `compile`, as Kale has no tag for it."""
    place = f"`compile: {{steps: {{NAME: {{{key}: ...}}}}}}`, at the top of the spec"
    return f"write {place}" if key in STEP_KEYS else ""


def _read_fields(form: Form, node: Mapping, values: dict[str, Node], layer: int) -> Rule:
    role = next((key for key in ROLES if key in values), None)
    selector = _selector(form, node, values)
    return Rule(
        label=_start(node),
        selector=selector,
        expect=_expect(form, values.get("expect"), selector),
        role=_role(form, role, values[role]) if role else None,
        prev=_prev(form, values["prev"]) if "prev" in values else None,
        settings=tuple(_settings(form, values)),
        add=tuple(_added(form, values["add"])) if "add" in values else (),
        remove=_patterns(form, values["remove"], "`remove`") if "remove" in values else (),
        layer=layer,
    )


def _check_effect(form: Form, node: Mapping, rule: Rule) -> None:
    """Note a rule that changes nothing, and settings of cells that get another role."""
    keys = {name.text: name.label for name, _ in node.entries}
    if keys and not {"add", "remove", *ROLES, *SETTINGS} & keys.keys():
        form.error(
            "no-effect",
            "this rule does not set what its cells become",
            rule.label,
            help="give it `tag`, `step`, `notebook` or `untag`, a setting such as `limits`, or "
            "`add` or `remove`",
        )
    role = next((key for key in ROLES if key in keys), "step")
    if role != "step" and (stray := [key for key in SETTINGS if key in keys]):
        names = " and ".join(f"`{key}`" for key in stray)
        form.error(
            "setting-without-step",
            f"{names} in a rule with `{role}`: only a step has {'them' if stray[1:] else 'it'}",
            keys[stray[0]],
            also=[keys[key] for key in stray[1:]],
            help=f"write `step: NAME` instead of `{role}`, or remove {names}",
        )


def _check_role(form: Form, node: Mapping, rule: Rule) -> None:
    """Note two roles, and a role for cells that have no code."""
    entries = {name.text: (name, value) for name, value in node.entries}
    roles = [key for key in ROLES if key in entries]
    if len(roles) > 1:
        *most, last = (f"`{key}`" for key in roles)
        form.error(
            "two-roles",
            f"a rule gives its cells one role; this one has {', '.join(most)} and {last}",
            entries[roles[-1]][0].label,
            also=[entries[key][0].label for key in roles[:-1]],
            help="keep one of them, or make a rule of each for different cells",
        )
    if roles and roles[0] != "untag" and rule.selector.cell_type != "code":
        form.error(
            "not-code",
            f"`{roles[0]}` is for code cells, the only ones that Kale reads, and "
            f"`cell_type: {rule.selector.cell_type}` selects others",
            entries["cell_type"][1].label,
            help="remove `cell_type`; `code` is the default",
        )


def _selector(
    form: Form, node: Mapping, values: dict[str, Node], *, negated: bool = False
) -> Selector:
    """The selector in the known entries *values* of *node*, a rule or what is *negated*."""
    if len(values) == len(node.entries) and not values.keys() & set(SELECTORS):
        names = ", ".join(f"`{key}`" for key in SELECTORS[:-2])
        form.error(
            "no-selector",
            f"{'`not`' if negated else 'this rule'} has no condition for cells",
            _start(node),
            help=f"give {names} or `{SELECTORS[-2]}`",
        )
    cell_type = "any" if negated else "code"
    if "cell_type" in values:
        word = form.choice(values["cell_type"], CELL_TYPES, "`cell_type`")
        cell_type = word or cell_type
    for key in ("index", "source", "id"):
        if isinstance(given := values.get(key), Sequence) and not given.items:
            form.error(
                "wrong-value",
                f"`{key}` is an empty list, which would select every cell",
                given.label,
                help="put something in it, or remove the key",
            )
    ids = form.one_or_more(values["id"]) if "id" in values else ()
    excluded = None
    if "not" in values:
        inner = form.record(values["not"], SELECTORS, "`not`")
        if isinstance(values["not"], Mapping):
            excluded = _selector(form, values["not"], inner, negated=True)
    heading = _patterns(form, values["heading"], "`heading`") if "heading" in values else ()
    tagged = _patterns(form, values["tagged"], "`tagged`") if "tagged" in values else ()
    return Selector(
        label=_start(node),
        cell_type=cell_type,
        index=tuple(_indices(form, values["index"])) if "index" in values else (),
        ids=tuple(text for item in ids if (text := form.text(item, "`id`"))),
        source=_patterns(form, values["source"], "`source`") if "source" in values else (),
        heading=heading[0] if heading else None,
        tagged=tagged[0] if tagged else None,
        negated=excluded,
    )


def _start(node: Mapping) -> Label:
    """The place of *node*: its first key, if it has one."""
    return node.entries[0][0].label if node.entries else node.label


def check_tag(form: Form, given: Given, key: Label | None = None) -> None:
    """Note what Kale would not take in the tag that *given* makes; holes are filled first.

    *key* is the place of its key, where that is part of the tag.
    """
    if given.kind == "secret" and "/" not in given.value:
        form.error(
            "invalid-secret",
            f"`{given.value}` does not name a key of a secret",
            given.label,
            help=f"write `{given.key}: {given.value}/KEY`, with the name of the key for KEY",
        )
        return
    if given.kind in {"step", "notebook", "prev"} and (why := why_reserved(given.value)):
        form.error("reserved-name", why, given.label, help="choose another name")
        return
    _check_parts(form, given, key)


def _check_given(form: Form, given: Given, key: Label | None = None) -> None:
    """Check the tag of *given*; if the value has holes, only its key."""
    if given.kind == "prev" and given.value == ABOVE:
        return
    if not given.removes and not template.has_holes(given.value):
        check_tag(form, given, key)
    elif key is not None:
        _check_parts(form, given, key, only_key=True)


def _check_parts(
    form: Form, given: Given, key: Label | None = None, *, only_key: bool = False
) -> None:
    tag = given.tag()
    for position, part in tags.invalid_parts(tag):
        is_key = key is not None and position == tags.KINDS[given.kind].key
        if is_key or not only_key:
            text = tag.parts[position]
            better = corrected(text, part)
            hint = f"write `{better}`" if better else ""
            if is_key and template.has_holes(text):
                hint = "holes are for values; a key is written out"
            form.error(
                f"invalid-{part.name.replace(' ', '-')}",
                f"`{text}` is not a valid {part.name}: {part}",
                key if key is not None and is_key else given.label,
                help=hint,
            )


def _role(form: Form, key: str, node: Node) -> Given | None:
    match key:
        case "tag":
            word = form.choice(node, tags.SPECIAL, "`tag`")
            return Given(word, "", "", node.label) if word else None
        case "step":
            return next(_texts(form, "step", node), None)
        case "untag":
            if not isinstance(node, Scalar) or node.value is not True:
                form.error(
                    "wrong-value",
                    "`untag` takes `true` and nothing else",
                    node.label,
                    help="write `untag: true`, or leave it out",
                )
            return Given("untag", "", "", node.label)
        case _:
            values = form.record(node, ("name", "path"), "`notebook`", ("name", "path"))
            name = form.text(values["name"], "`name`") if "name" in values else None
            path = form.text(values["path"], "`path`") if "path" in values else None
            if name is None or path is None:
                return None
            given = Given("notebook", path, name, values["name"].label)
            _check_given(form, given)
            return given


def _settings(form: Form, values: dict[str, Node]) -> Iterator[Given]:
    for key, setting in tags.SETTINGS.items():
        if key not in values:
            continue
        node = values[key]
        if setting.key is not None:
            yield from read_entries(form, key, node)
        elif is_null(node):
            yield Given(setting.name, "", "", node.label, removes=True)
        elif words := setting.parts[0].words:
            if word := form.choice(node, words, f"`{key}`"):
                yield Given(setting.name, "", word, node.label)
        else:
            yield from _texts(form, setting.name, node)


def read_entries(form: Form, key: str, node: Node) -> Iterator[Given]:
    """The entries of `limits` or of another setting that is a mapping, each checked."""
    setting = tags.SETTINGS[key]
    read = form.quantity if setting.parts[-1].name == "quantity" else form.written
    for name, value in form.mapping(node, f"`{key}`"):
        text = "" if is_null(value) else read(value, f"`{name.text}`")
        if text is not None:
            given = Given(setting.name, name.text, text, value.label, removes=is_null(value))
            _check_given(form, given, name.label)
            yield given


def _prev(form: Form, node: Node) -> tuple[Given, ...]:
    if isinstance(node, Scalar) and node.value == "keep":
        return (Given("prev", "", KEEP, node.label),)
    return tuple(_texts(form, "prev", node))


def _texts(form: Form, kind: str, node: Node) -> Iterator[Given]:
    for item in form.one_or_more(node) if kind == "prev" else (node,):
        text = form.text(item, f"`{kind}`")
        if text is not None:
            given = Given(kind, "", text, item.label)
            _check_given(form, given)
            yield given


def _added(form: Form, node: Node) -> Iterator[Given]:
    for item in form.one_or_more(node):
        text = form.text(item, "`add`")
        if text is None:
            continue
        if tags.is_kales(text) or tags.is_legacy(text):
            form.error(
                "kale-tag-added",
                f"`{text}` is a Kale tag; `add` is for the tags of other tools",
                item.label,
                help=f"write `{_as_key(text)}` in the rule instead of `add`",
            )
        elif "," in text:
            message = f"`{text}` is no tag: nbformat allows no comma in one"
            form.error("invalid-tag", message, item.label, help="make a list of several tags")
        else:
            yield Given("add", "", text, item.label)


def _as_key(text: str) -> str:
    """How a rule gives the Kale tag *text*."""
    kind, _, rest = text.partition(":")
    if kind in tags.SPECIAL:
        return f"tag: {kind}"
    tag = tags.parse(text)
    setting = tags.KINDS[kind].spec_key if tag else ""
    if tag is None or not setting:
        return f"{'step' if kind == 'block' else kind}: {rest or 'NAME'}"
    return f"{setting}: {{{tag.key}: {tag.value}}}" if tag.key else f"{setting}: {tag.value}"


def _patterns(form: Form, node: Node, what: str) -> tuple[Pattern, ...]:
    many = what in {"`source`", "`remove`"}
    nodes = form.one_or_more(node) if many else (node,)
    found = ((form.pattern(item, what), item.label) for item in nodes)
    return tuple(Pattern(regex, label) for regex, label in found if regex is not None)


def _indices(form: Form, node: Node) -> Iterator[Index]:
    for item in form.one_or_more(node):
        value = item.value if isinstance(item, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool):
            yield Index(value, value, item.label)
        elif isinstance(value, str) and (ends := _RANGE.fullmatch(value)):
            if any(len(end.lstrip("-")) > _DIGITS for end in ends.groups()):
                message = f"a number in `index` has at most {_DIGITS} digits"
                form.error("wrong-value", message, item.label)
                continue
            first, last = int(ends[1]), int(ends[2])
            if first > last and (first < 0) == (last < 0):
                form.error(
                    "wrong-value",
                    f"the range `{value}` is empty",
                    item.label,
                    help=f"write `{last}-{first}`",
                )
            yield Index(first, last, item.label)
        else:
            form.error(
                "wrong-type",
                "`index` must be a cell number, a range or a list of these",
                item.label,
                help="for example `7`, `-1` (the last cell), `'4-6'` or `'-3--1'`",
            )


def _expect(form: Form, node: Node | None, selector: Selector) -> Expect:
    if node is None:
        # The tag that the selector looks for may be gone, or there, once the rule has been applied.
        return Expect(0 if selector.looks_at_tags else 1, None)
    counts: dict[object, tuple[int, int | None]] = {
        "one": (1, 1),
        "some": (1, None),
        "any": (0, None),
    }
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str) and value in counts:
        return Expect(*counts[value], node.label)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Expect(value, value, node.label)
    text = node.text if isinstance(node, Scalar) else ""
    form.error(
        "wrong-value",
        f"`expect` cannot be {f'`{text}`' if text else kind(node)}: it is how many cells the "
        "rule must select",
        node.label,
        help=f"write `{text}`, without quotes"
        if isinstance(value, str) and value.isdecimal() and value.isascii()
        else "write `one`, `some`, `any` or a number",
    )
    return Expect(0, None)


def _check_groups(form: Form, rule: Rule) -> None:
    """Note references to groups that no pattern of the rule has."""
    _, patterns = rule.selector.catching
    for one in rule.given:
        for found in template.groups(one.value):
            key = template.group(found)
            for pattern in patterns:
                if (
                    key not in range(pattern.regex.groups + 1)
                    and key not in pattern.regex.groupindex
                ):
                    form.error(
                        "unknown-group",
                        f"the pattern has no group `{found[0]}`",
                        narrowed(one.label, found[0]),
                        also=[pattern.label.with_text(_groups(pattern))],
                    )
            if not patterns:
                form.error(
                    "unknown-group",
                    f"`{found[0]}` stands for a group, and no pattern of this rule has one",
                    narrowed(one.label, found[0]),
                    help="put parentheses around the part of the pattern that is meant",
                )


def _groups(pattern: Pattern) -> str:
    """The groups of *pattern* in words."""
    names = [f"`\\g<{name}>`" for name in pattern.regex.groupindex]
    count = pattern.regex.groups
    numbers = "`\\1`" if count == 1 else f"`\\1` to `\\{count}`"
    return f"this pattern has {', '.join([numbers, *names])}"
