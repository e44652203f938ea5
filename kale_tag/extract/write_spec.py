"""The YAML of an extracted spec, with a comment on the cells of each rule."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.compat import StringIO
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.resolver import VersionedResolver

from kale_tag.extract.choose import FILLED, ChosenSelector
from kale_tag.extract.combine import BlockFields, Combined, MemberEntry, SpecMember
from kale_tag.extract.read import BlockRole, CellBlock, Lost, SpecDraft
from kale_tag.kale import tags
from kale_tag.kale.metadata import PATH_KEY
from kale_tag.notebook.model import first_line

SHOWN = 5
"""How many cells or notebooks a comment names."""


WIDTH = 100
"""Columns of a line in flow style; longer values are written in block style."""

YamlNode = Any
"""A value of ruamel.yaml, whose methods add comments to it."""

_BARE = re.compile(r"(?:\.{1,2}/)*[A-Za-z_][\w./-]*(?:[ :][\w./-]+)*", re.ASCII)
"""What needs no quotes for a reader's eye; ruamel.yaml adds some to `true` and the like."""


def write_spec(spec: Combined) -> str:
    """The text of *spec*, which `kale_tag.spec.read` reads."""
    root = block({"version": 1})
    root.yaml_set_start_comment("\n".join(_head(spec)))
    if any(entry.path for entry in spec.entries):
        root["notebooks"] = _notebooks(spec.entries)
    if spec.pipeline:
        root["pipeline"] = _pipeline(spec.pipeline)
    rules = [
        (of, given, part, not at)
        for of, given, parts in spec.blocks
        for at, part in enumerate(parts)
    ]
    rules.sort(key=lambda rule: rule[2].cells[0])
    if rules and all(_covers_all(member.draft) for member in spec.members):
        root["unmatched"] = "untag"
        why = "a cell that no rule selects has no Kale tags"
        root.yaml_add_eol_comment(why, "unmatched", column=0)
    files, *others = {member.draft.files for member in spec.members}
    if files and not others:
        root["compile"] = block({"files": lay_out([*files], 2, len("  files: "))}, 2)
    root["cells"] = _cells(spec.members[0].draft, rules)
    for key in [*root][1:]:
        root.yaml_set_comment_before_after_key(key, before="\n")  # a blank line
    return dump(root)


def _head(spec: Combined) -> Iterator[str]:
    draft = spec.members[0].draft
    names = [member.path or "standard input" for member in spec.members]
    called = names[0] if len(names) == 1 else f"{len(names)} notebooks"
    if draft.proposed:
        tagless = "has no Kale tags" if len(names) == 1 else "have no Kale tags"
        yield comment(f"A proposal for {called}, which {tagless}, from headings and code.")
        yield "Review each rule and change it; `kale-tag plan` shows what it would do."
    else:
        yield comment(f"From {called}, by `kale-tag extract`.")
    for remark in draft.remarks:
        yield comment(remark)
    yield from _lost(spec.members)


def _lost(members: Sequence[SpecMember]) -> Iterator[str]:
    """What the spec cannot give, once for several notebooks."""
    found: dict[Lost, list[str]] = {}
    for member in members:
        for one in member.draft.lost:
            found.setdefault(one, []).append(member.draft.notebook.name)
    if found:
        yield "Not in this spec:"
    for one, names in found.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        some = f"{', '.join(names[:SHOWN])}{more}, " if len(names) < len(members) else ""
        what = "setting" if one.cell is None else f"cell {one.cell}:"
        yield comment(f"- {some}{what} {one.what} ({one.why})")


def _covers_all(draft: SpecDraft) -> bool:
    """Whether each code cell with Kale tags has a rule, so that all others have none."""
    covered = {cell for block in draft.blocks for cell in block.cells}
    for cell, kind in enumerate(draft.notebook.types):
        metadata = draft.notebook.metadata_of(cell)
        kales = cell in draft.tags or (isinstance(metadata, dict) and PATH_KEY in metadata)
        if kind == "code" and kales and cell not in covered:
            return False
    return True


def _notebooks(found: Sequence[MemberEntry]) -> YamlNode:
    entries: list[object] = []
    for entry in found:
        path = f"./{entry.path}" if entry.path.startswith("!") else entry.path  # `!` excludes
        more: dict[str, object] = {}
        if entry.vars:
            more["vars"] = {name: Measure(value) for name, value in entry.vars.items()}
        if entry.pipeline:
            more["pipeline"] = _with_measures(entry.pipeline)
        entries.append({"path": path, **more} if more else path)
    plain = all(isinstance(entry, str) for entry in entries)
    return lay_out(entries, 0, len("notebooks: ")) if plain else block(entries, 2)


def _pipeline(pipeline: Mapping[str, object]) -> YamlNode:
    there = {key: value for key, value in pipeline.items() if value is not None}
    absent = [key for key, value in pipeline.items() if value is None]
    made = block(_with_measures(there) | dict.fromkeys(absent), 2)
    if absent:
        why = "not in the notebook; without null they get their defaults"
        made.yaml_set_comment_before_after_key(absent[0], before=why, indent=2)
    return made


def _with_measures(pipeline: Mapping[str, object]) -> dict[str, object]:
    """*pipeline*, with values of `steps_defaults` that need no quotes around a number."""
    made = dict(pipeline)
    if isinstance(defaults := made.get("steps_defaults"), Mapping):
        made["steps_defaults"] = {
            kind: {key: Measure(value) for key, value in one.items()}
            for kind, one in defaults.items()
        }
    return made


def _cells(
    draft: SpecDraft, rules: Sequence[tuple[CellBlock, BlockFields, ChosenSelector, bool]]
) -> YamlNode:
    """The rules, each below comments on its cells."""
    made = block([])
    for at, (of, given, part, whole) in enumerate(rules):
        made.append(_rule(draft, part, _keys(of.role, given, whole=whole)))
        remarks = [*_title(draft, part), *(of.remarks if whole else ())]
        if remarks:
            before = "\n".join(map(comment, remarks))
            made.yaml_set_comment_before_after_key(at, before=before, indent=2)
    return made


def _title(draft: SpecDraft, part: ChosenSelector) -> Iterator[str]:
    """The comment above a rule; the cells of several values have comments of their own."""
    mark = "proposal" if draft.proposed else ""
    named = _named(draft, part.cells) if len(part.values) == 1 else ""
    if mark or named:
        yield ": ".join(filter(None, (mark, named)))


def _rule(draft: SpecDraft, part: ChosenSelector, keys: Mapping[str, object]) -> YamlNode:
    values = [Regex(value) if part.key in _REGEXES else value for value in part.values]
    number = len(part.cells)
    if part.key == "source":
        keys = {"expect": "one" if number == 1 else number, **keys}
    if len(values) == 1:
        filled = {"source": Regex(FILLED)} if part.filled else {}
        return lay_out({part.key: values[0], **filled, **keys}, 4)
    made = block({part.key: [], **keys}, 4)
    made[part.key] = listed = block(values, 6)
    for at, cell in enumerate(part.cells):
        listed.yaml_add_eol_comment(comment(_named(draft, (cell,), 40)), at, column=0)
    return made


_REGEXES = {"source", "heading"}


def _named(draft: SpecDraft, cells: Sequence[int], width: int = 60) -> str:
    source = draft.notebook.source(cells[0])
    line = first_line(source, width) or "(empty)"
    if len(cells) == 1:
        return f"cell {cells[0]}: {line}"
    shown = ", ".join(map(str, cells[:SHOWN]))
    more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
    return f"cells {shown}{more}: {line}"


def _keys(role: BlockRole, given: BlockFields, *, whole: bool) -> dict[str, object]:
    """The keys of a rule besides its selector, in the order of the documentation."""
    if role.kind in tags.SPECIAL:
        return {"tag": role.kind}
    if role.kind == "notebook":
        return {"notebook": {"name": given.name, "path": given.path}}
    made: dict[str, object] = {"step": given.name}
    if not whole:
        return made
    if given.prev:
        made["prev"] = given.prev[0] if len(given.prev) == 1 else list(given.prev)
    for key, kind in tags.SETTINGS.items():
        own = [(name, value) for what, name, value in given.settings if what == kind.name]
        if own and kind.key is None:
            made[key] = own[0][1]
        elif own:
            made[key] = {name: Measure(value) for name, value in own}
    return made


class Measure(str):
    """A text that the reader takes as it is written, so that a number needs no quotes."""

    __slots__ = ()


class Regex(str):
    """A regular expression, always in quotes."""

    __slots__ = ()


def lay_out(value: object, indent: int = 0, key_width: int = 0) -> YamlNode:
    """*value* for `dump`: each mapping and list in one line if that fits `WIDTH`, else a block.

    *indent* is the column of its line, *key_width* the length of the key before it. Comments are
    added to the result with ruamel.yaml's own methods.
    """
    if not isinstance(value, Mapping | Sequence) or isinstance(value, str):
        return value
    line = CommentedMap(value) if isinstance(value, Mapping) else CommentedSeq(value)
    line.fa.set_flow_style()
    if not value or indent + key_width + len(dump(line)) - 1 <= WIDTH:
        return line
    return block(value, indent + 2 if key_width else indent)


def block(value: Mapping[str, Any] | Sequence[Any], indent: int = 0) -> YamlNode:
    """*value* for `dump` in block style, with each of its entries as `lay_out` has it."""
    if isinstance(value, Mapping):
        entries = {key: lay_out(one, indent, len(key) + 2) for key, one in value.items()}
        return CommentedMap(entries)
    return CommentedSeq([lay_out(one, indent + 2) for one in value])


def dump(value: object) -> str:
    """The YAML text of *value*, which ends with a line break."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 1_000_000_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue()


def comment(value: str) -> str:
    """*value* as the text of a comment: one line, without what moves a cursor."""
    return "".join(one if one.isprintable() else " " for one in value).strip()


class _Representer(RoundTripRepresenter):
    """Writes `null` in full, and escapes what is not printable."""


def _null(representer: _Representer, _value: None) -> ScalarNode:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _text(representer: _Representer, value: str) -> ScalarNode:
    bare = not isinstance(value, Regex) and _BARE.fullmatch(value)
    style = None if bare else "'" if value.isprintable() else '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", str(value), style)


def _measure(representer: _Representer, value: str) -> ScalarNode:
    tag = VersionedResolver().resolve(ScalarNode, str(value), (True, False))
    bare = value.isascii() and value.isalnum() and value[0].isdigit()
    return representer.represent_scalar(tag, str(value)) if bare else _text(representer, value)


_Representer.add_representer(type(None), _null)
_Representer.add_representer(str, _text)
_Representer.add_representer(Regex, _text)
_Representer.add_representer(Measure, _measure)
