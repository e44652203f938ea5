"""The YAML of an extracted spec: short rules in one line, and comments that say what cells are."""

from collections.abc import Iterator, Mapping, Sequence

from kale_tag.extract.choose import FILLED, Part
from kale_tag.extract.combine import Combined, Entry, Given, Member
from kale_tag.extract.draft import Block, Draft, Lost, Role
from kale_tag.kale import tags
from kale_tag.kale.metadata import PATH_KEY
from kale_tag.notebook.model import first_line
from kale_tag.spec.yaml_write import WIDTH, Measure, Regex, comment, entries, flow, text

SHOWN = 5
"""Cells, or notebooks, that a comment names."""


def write_spec(spec: Combined) -> str:
    """The text of *spec*, which `tagging.spec` reads."""
    draft = spec.members[0].draft
    sections = [[*_head(spec), "version: 1"]]
    if any(entry.path for entry in spec.entries):
        sections.append([*_notebooks(spec.entries)])
    if spec.pipeline:
        sections.append([*_pipeline(spec.pipeline)])
    rules = [
        (part.cells[0], [*_rule(draft, block, given, part, whole=not at)])
        for block, given, parts in spec.blocks
        for at, part in enumerate(parts)
    ]
    rules.sort(key=lambda rule: rule[0])
    lines = [line for _, rule in rules for line in rule]
    if lines and all(_says_all(member.draft) for member in spec.members):
        sections.append(["unmatched: untag  # a cell that no rule selects has no Kale tags"])
    sections.append(["cells:", *lines] if lines else ["cells: []"])
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _head(spec: Combined) -> Iterator[str]:
    draft = spec.members[0].draft
    names = [member.path or "standard input" for member in spec.members]
    called = names[0] if len(names) == 1 else f"{len(names)} notebooks"
    if draft.proposed:
        yield comment(
            f"# From {called}, without Kale tags so far: a proposal, made of headings and code."
        )
        yield "# Read each rule and change it; `kale-tag plan` shows what it would do."
    else:
        yield comment(f"# From {called}, by `kale-tag extract`.")
    for remark in draft.remarks:
        yield comment(f"# {remark}")
    yield from _lost(spec.members)


def _lost(members: Sequence[Member]) -> Iterator[str]:
    """What the spec cannot give; of what several notebooks have in common, once."""
    found: dict[Lost, list[str]] = {}
    for member in members:
        for one in member.draft.lost:
            found.setdefault(one, []).append(member.draft.notebook.name)
    if found:
        yield "# Not in this spec:"
    for one, names in found.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        some = f"{', '.join(names[:SHOWN])}{more}, " if len(names) < len(members) else ""
        what = "setting" if one.cell is None else f"cell {one.cell}:"
        yield comment(f"# - {some}{what} {one.what} ({one.why})")


def _says_all(draft: Draft) -> bool:
    """Whether each code cell with something of Kale's has a rule: then no other shall have any."""
    said = {cell for block in draft.blocks for cell in block.cells}
    for cell, kind in enumerate(draft.notebook.types):
        metadata = draft.notebook.metadata_of(cell)
        kales = cell in draft.tags or (isinstance(metadata, dict) and PATH_KEY in metadata)
        if kind == "code" and kales and cell not in said:
            return False
    return True


def _notebooks(found: Sequence[Entry]) -> Iterator[str]:
    plain = [_path(entry.path) for entry in found]
    line = f"notebooks: {flow(plain)}"
    if len(line) <= WIDTH and not any(entry.vars or entry.pipeline for entry in found):
        yield line
        return
    yield "notebooks:"
    for path, entry in zip(plain, found, strict=True):
        more: dict[str, object] = {"path": path}
        if entry.vars:
            more["vars"] = {name: Measure(value) for name, value in entry.vars.items()}
        if entry.pipeline:
            more["pipeline"] = _structured(entry.pipeline)
        if len(more) == 1:
            yield f"  - {text(path)}"
        else:
            yield from _item(more)


def _pipeline(pipeline: Mapping[str, object]) -> Iterator[str]:
    there = {key: value for key, value in pipeline.items() if value is not None}
    absent = {key: value for key, value in pipeline.items() if value is None}
    yield "pipeline:"
    yield from entries(_structured(there), "  ")
    if absent:
        yield comment_line("not in the notebook; null, or they would be given their defaults")
        yield from entries(absent, "  ")


def _path(path: str) -> str:
    """A path that is not read as one to exclude."""
    return f"./{path}" if path.startswith("!") else path


def _structured(pipeline: Mapping[str, object]) -> dict[str, object]:
    """*pipeline*, with values of `steps_defaults` that need no quotes around a number."""
    made = dict(pipeline)
    if isinstance(defaults := made.get("steps_defaults"), Mapping):
        made["steps_defaults"] = {
            kind: {key: Measure(value) for key, value in one.items()}
            for kind, one in defaults.items()
        }
    return made


def _rule(draft: Draft, block: Block, given: Given, part: Part, *, whole: bool) -> Iterator[str]:
    """The lines of one rule: *whole* if it gives the settings of its step too."""
    mark = "proposal: " if draft.proposed else ""
    gives = _gives(block.role, given, whole=whole)
    each = len(part.values) > 1
    if not each:
        yield comment_line(f"{mark}{_named(draft, part.cells)}")
    elif mark:
        yield comment_line("proposal")
    for remark in block.remarks if whole else ():
        yield comment_line(remark)
    number = len(part.cells)
    expect: dict[str, object] = {"expect": "one" if number == 1 else number}
    gives = {**(expect if part.key == "source" else {}), **gives}
    if not each:
        filled = {"source": Regex(FILLED)} if part.filled else {}
        yield from _item({part.key: _value(part.key, part.values[0]), **filled, **gives})
        return
    yield f"  - {part.key}:"
    for value, cell in zip(part.values, part.cells, strict=True):
        shown = flow(_value(part.key, value))
        yield f"      - {shown}  # {comment(_named(draft, (cell,), 40))}"
    yield from entries(gives, "    ")


def comment_line(words: str) -> str:
    """A comment above a rule."""
    return f"  # {comment(words)}"


def _item(values: Mapping[str, object]) -> Iterator[str]:
    """An item of a list: in one line where it fits."""
    line = f"  - {flow(values)}"
    if len(line) <= WIDTH:
        yield line
        return
    first, *rest = entries(values, "    ")
    yield f"  - {first.lstrip()}"
    yield from rest


def _value(key: str, value: str | int) -> object:
    if isinstance(value, int):
        return value
    return Regex(value) if key in {"source", "heading"} else value


def _named(draft: Draft, cells: Sequence[int], width: int = 60) -> str:
    source = draft.notebook.source(cells[0])
    line = first_line(source, width) or "(empty)"
    if len(cells) == 1:
        return f"cell {cells[0]}: {line}"
    shown = ", ".join(map(str, cells[:SHOWN]))
    more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
    return f"cells {shown}{more}: {line}"


def _gives(role: Role, given: Given, *, whole: bool) -> dict[str, object]:
    """What a rule gives, in the order of the documentation."""
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
