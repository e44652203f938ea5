"""YAML text to `Spec`: every error of form is reported, all at once, each with its place."""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from kale_tag.diagnostics import Label, Source, Span, UserError, did_you_mean, nearest, suggest
from kale_tag.fields.fields import Form, narrowed
from kale_tag.fields.yaml_tree import Mapping as MappingNode
from kale_tag.fields.yaml_tree import Node, Scalar, is_null, plain, read_yaml
from kale_tag.fields.yaml_tree import Sequence as SequenceNode
from kale_tag.kale import settings, tags
from kale_tag.kale.checks import cycle_message, does_not_exist
from kale_tag.kale.outline import find_cycle
from kale_tag.kale.settings import CompileOptions
from kale_tag.rules.registry import groups
from kale_tag.spec import template
from kale_tag.spec.compile_section import merged, read_compile
from kale_tag.spec.model import ABOVE, KEEP, Given, NotebookEntry, SettingValue, Spec, Target
from kale_tag.spec.rule import check_tag, read_entries, read_rule

KEYS = (
    "version",
    "extends",
    "notebooks",
    "vars",
    "pipeline",
    "cells",
    "rename",
    "unmatched",
    "legacy",
    "compile",
    "kale",
    "ignore",
)
UNMATCHED = ("keep", "untag", "skip", "error")
LEGACY = ("error", "keep", "upgrade")

Load = Callable[[str, Label], Source]
"""Gives the file that `extends` names at a place; raises `UserError` when it cannot."""


def read_spec(source: Source, load: Load) -> Spec:
    """The spec in *source*; *load* fetches the files that it extends.

    Raises `UserError` with every error of *source* and its bases, in the order of the lines.
    """
    form = Form()
    spec = Spec(source)
    stated = False
    for layer, (file, values) in enumerate(_files(form, source, load, (), set())):
        spec = _add_layer(form, spec, file, values, layer)
        stated |= "unmatched" in values
        if "kale" in values:
            spec = replace(spec, kale=bool(form.flag(values["kale"], "`kale`")))
        if file is not source:
            spec = replace(spec, bases=(*spec.bases, file.name))
    spec = replace(spec, keeps_unmatched=stated and spec.unmatched == "keep")
    _check_variables(form, spec)
    _check_rename(form, spec)
    _check_steps(form, spec)
    if form.errors:
        unique = dict.fromkeys(form.errors)  # a merge key or an alias repeats an error
        raise UserError(*sorted(unique, key=lambda one: _order(source, one.labels[0])))
    return spec


def target_for(spec: Spec, path: Mapping[str, str], entries: Iterable[NotebookEntry]) -> Target:
    """What *spec* asks of one notebook, which *entries* of its list name.

    *path* gives the variables that every notebook has.
    """
    filled = {**(spec.variables or {})}
    pipeline = spec.pipeline
    for entry in entries:
        filled.update(entry.vars or {})
        if entry.pipeline is not None:
            pipeline = merge_settings(pipeline or {}, entry.pipeline)
    return Target({**filled, **path}, pipeline)


def merge_settings(
    base: Mapping[str, SettingValue], over: Mapping[str, SettingValue]
) -> dict[str, SettingValue]:
    """*base* with *over* on top: mappings merge key by key, anything else is replaced."""
    merged = dict(base)
    for key, setting in over.items():
        old = merged.get(key)
        value = setting.value if old is None else _merged(old.value, setting.value)
        merged[key] = SettingValue(value, setting.label)
    return merged


def _merged(base: object, over: object) -> object:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}


def _files(
    form: Form, source: Source, load: Load, trail: tuple[str, ...], seen: set[str]
) -> Iterator[tuple[Source, dict[str, Node]]]:
    """The file and its bases, bases first; one that is reached in two ways counts once."""
    try:
        root = read_yaml(source)
    except UserError as exc:
        form.errors.extend(exc.diagnostics)
        return
    if root is None:
        form.error(
            "empty-spec",
            "the spec is empty",
            Label(source),
            help="start with `version: 1` and `cells:`",
        )
        return
    if isinstance(root, MappingNode):  # keys that start with `x-` are the user's, for anchors
        own = tuple(entry for entry in root.entries if not entry[0].text.startswith("x-"))
        root = replace(root, entries=own)
    values = form.record(root, KEYS, "a spec")
    if not isinstance(root, MappingNode):
        return
    _check_version(form, root, values.get("version"))
    for node in form.one_or_more(values["extends"]) if "extends" in values else ():
        name = form.text(node, "`extends`")
        if name is None:
            continue
        path = _path_beside(source, name)
        if path in (*trail, posixpath.normpath(source.name)):
            chain = " -> ".join((*trail, posixpath.normpath(source.name), path))
            form.error(
                "cycle",
                f"specs extend each other: {chain}" if trail else f"{path} extends itself",
                node.label,
                help="remove one of these `extends` entries" if trail else "remove it",
            )
            continue
        if path in seen:
            continue
        seen.add(path)
        try:
            base = load(path, node.label)
        except UserError as exc:
            hint = "paths are relative to the file that `extends`"
            form.errors.extend(replace(one, help=one.help or hint) for one in exc.diagnostics)
            continue
        yield from _files(form, base, load, (*trail, posixpath.normpath(source.name)), seen)
    yield source, values


def _path_beside(source: Source, name: str) -> str:
    """The path of the spec *name* that *source* extends; a ready one (`kale:headings`) has none."""
    if name.startswith("kale:"):
        return name
    return posixpath.normpath(posixpath.join(posixpath.dirname(source.name), name))


def _check_version(form: Form, root: MappingNode, node: Node | None) -> None:
    if node is None:
        first = root.entries[0][0].label if root.entries else root.label
        form.error("missing-key", "a spec needs `version: 1`", first, help="put it first")
    elif not isinstance(node, Scalar) or type(node.value) is not int or node.value != 1:
        form.error(
            "wrong-version",
            "this kale-tag reads version 1 of the spec language",
            node.label,
            help="write `version: 1`",
        )


def _add_layer(form: Form, spec: Spec, file: Source, values: dict[str, Node], layer: int) -> Spec:
    """*spec* with what *file* adds to it: lists grow, mappings merge, single values replace."""
    changes: dict[str, object] = {}
    for key, node in values.items():
        match key:
            case "vars":
                changes["variables"] = {**(spec.variables or {}), **_vars(form, node)}
            case "pipeline":
                changes["pipeline"] = merge_settings(spec.pipeline or {}, _pipeline(form, node))
            case "cells":
                found = (read_rule(form, item, layer) for item in form.items(node, "`cells`"))
                changes["rules"] = (*spec.rules, *filter(None, found))
            case "notebooks":
                folder = posixpath.dirname(file.name)
                entries = (_entry(form, item, folder) for item in form.items(node, "`notebooks`"))
                changes["notebooks"] = tuple(filter(None, entries))
            case "rename":
                changes["rename"] = {**(spec.rename or {}), **_rename(form, node)}
            case "compile":
                base = spec.compile or CompileOptions()
                changes["compile"] = merged(base, read_compile(form, node))
            case "ignore":
                changes["ignore"] = {**(spec.ignore or {}), **_ignore(form, node)}
            case "unmatched" | "legacy":
                words = UNMATCHED if key == "unmatched" else LEGACY
                changes[key] = form.choice(node, words, f"`{key}`") or words[0]
            case _:  # `version`, `extends` and `kale` are read elsewhere
                pass
    return replace(spec, **changes)  # type: ignore[arg-type]  # the keys are fields, each of its type


def _vars(form: Form, node: Node) -> dict[str, str]:
    found = {}
    for key, value in form.mapping(node, "`vars`"):
        text = form.written(value, f"`{key.text}`")
        if key.text in template.VARIABLES:
            form.error(
                "reserved-name",
                f"`{key.text}` stands for a part of the notebook's path already",
                key.label,
                help="choose another name",
            )
        elif text is not None:
            found[key.text] = text
        for hole in template.variables(text or ""):
            form.error(
                "nested-variable",
                f"`{hole[0]}` is not filled in inside `vars`",
                narrowed(value.label, hole[0]),
                help=f"write `{hole[0]}` where `${{{key.text}}}` is used",
            )
    return found


def _entry(form: Form, node: Node, folder: str) -> NotebookEntry | None:
    if isinstance(node, MappingNode):
        values = form.record(node, ("path", "pipeline", "vars"), "a notebook", ("path",))
        path = form.text(values["path"], "`path`") if "path" in values else None
        if path is None:
            return None
        if path.startswith("!"):
            form.error(
                "wrong-value",
                f"`path` selects notebooks; `{path}` excludes some",
                values["path"].label,
                help=f"exclude by a plain entry: `'{path}'`",
            )
        return NotebookEntry(
            path,
            folder,
            values["path"].label,
            pipeline=_pipeline(form, values["pipeline"]) if "pipeline" in values else None,
            vars=_vars(form, values["vars"]) if "vars" in values else None,
        )
    text = form.text(node, "a notebook")
    if text is None:
        return None
    if text == "!":
        message = "`!` excludes the notebooks of a pattern, and none follows"
        form.error("wrong-value", message, node.label, help="write one, as in `!scratch/**`")
    return NotebookEntry(text.removeprefix("!"), folder, node.label, exclude=text.startswith("!"))


def _rename(form: Form, node: Node) -> dict[str, Given]:
    found = {}
    for key, value in form.mapping(node, "`rename`"):
        new = form.text(value, f"`{key.text}`")
        if new is None:
            continue
        found[key.text] = Given("step", "", new, value.label)
        check_tag(form, found[key.text])
    return found


def _ignore(form: Form, node: Node) -> dict[str, str]:
    """The reason for each lint that the spec silences."""
    found = {}
    for key, value in form.mapping(node, "`ignore`"):
        reason = form.text(value, f"the reason for `{key.text}`")
        if key.text not in groups()["check"]:
            lints = groups()["check"]
            form.error(
                "unknown-key",
                f"`kale-tag check` has no lint `{key.text}` that could be silenced",
                key.label,
                help=did_you_mean(key.text, lints, "`kale-tag check --explain list`"),
            )
        elif reason is not None and not reason.strip():
            form.error("wrong-value", f"the reason for `{key.text}` is blank", value.label)
        elif reason is not None:
            found[key.text] = reason
    return found


def _pipeline(form: Form, node: Node) -> dict[str, SettingValue]:
    found = {}
    checked = []
    for key, value in form.mapping(node, "`pipeline`"):
        as_list = isinstance(value, SequenceNode) or is_null(value)
        if key.text == "steps_defaults" and not as_list:
            found[key.text] = SettingValue(_steps_defaults(form, value), value.label)
        else:
            found[key.text] = SettingValue(plain(value), value.label)
            checked.append((key, value))
    # A text with holes becomes another one for each notebook, and is checked there.
    filled_later = replace(form, is_open=template.has_variables)
    settings.read(filled_later, MappingNode(node.place, tuple(checked)))
    form.errors += filled_later.errors
    return found


def _steps_defaults(form: Form, node: Node) -> dict[str, dict[str, str | None] | None]:
    """Kale's list of tags as a mapping of kinds, which merges when it is extended."""
    merged: dict[str, dict[str, str | None] | None] = {}
    for key, value in form.record(node, tuple(tags.DEFAULTS), "`steps_defaults`").items():
        if is_null(value):
            merged[tags.DEFAULTS[key]] = None
            continue
        entries = tuple(read_entries(form, key, value))
        merged[tags.DEFAULTS[key]] = {
            given.key: None if given.removes else given.value for given in entries
        }
        for given in entries:
            for found in template.groups(given.value):
                form.error(
                    "unknown-group",
                    f"`{found[0]}` stands for a group of a rule's pattern, and no rule is here",
                    narrowed(given.label, found[0]),
                )
    return merged


def _order(source: Source, label: Label) -> tuple[bool, str, int]:
    span = label.span or Span(0, 0)
    return label.source.name == source.name, label.source.name, span.start


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
                form.error(
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
            form.error("rename-chain", message, new.label, help="remove this entry")
        elif (after := rename.get(new.value)) is not None and new.value not in swapped:
            swapped |= {old} if after.value == old else set()
            form.error(
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
                slip = form.errors and nearest(prev.value, known)
                certain = spec.unmatched != "keep" or slip
                known_later = prev.value in {ABOVE, KEEP} or template.has_holes(prev.value)
                if rule.role and prev.value not in known and certain and not known_later:
                    form.error(
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
        step |= {
            one.value: (rule.layer, one.label)
            for one in rule.prev
            if one.value not in {ABOVE, KEEP}
        }
    if cycle := find_cycle(edges):
        labels = [
            edges[step][prev][1].with_text(f"`{step}` depends on `{prev}`")
            for step, prev in pairwise(cycle)
        ]
        form.error(
            "cycle",
            cycle_message(cycle[:-1]),
            labels[0],
            also=labels[1:],
            help="remove one of these `prev` entries" if labels[1:] else "remove it from `prev`",
        )
