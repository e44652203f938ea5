"""The text of a JSON Patch (RFC 6902) to `Patch`; every error is reported with its place."""

import re
from dataclasses import dataclass
from json import JSONDecodeError

from kale_tag.diagnostics import (
    Diagnostic,
    DiagnosticCollector,
    Label,
    Source,
    Span,
    UserError,
    error,
    suggest,
    too_deep,
)
from kale_tag.notebook.errors import WORDS
from kale_tag.notebook.json_scan import Item, Member, items_at, members_at
from kale_tag.notebook.json_value import skip_space, value_at
from kale_tag.notebook.model import MISSING
from kale_tag.plan.patch import NOTEBOOK

Path = tuple[str, ...]
"""A JSON Pointer (RFC 6901), unescaped."""

MEMBERS = {
    "test": ("value",),
    "add": ("value",),
    "replace": ("value",),
    "remove": (),
    "move": ("from",),
    "copy": ("from",),
}
"""The operations of RFC 6902, and what each needs besides `path`."""

DIGITS = 9
"""Most digits in the number of a cell."""

IDENTITY = ("id", "source")
"""Keys by which a `test` identifies a cell."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    op: str  # a key of `MEMBERS`
    path: Path
    label: Label
    value_label: Label  # of its value, or of its path
    value: object = MISSING
    origin: Path = ()  # `from`

    @property
    def cell(self) -> int | None:
        """The number of its cell; None for the metadata of the notebook."""
        return cell_of(self.path)

    @property
    def written(self) -> tuple[Path, ...]:
        """The paths at which it changes something."""
        if self.op == "test":
            return ()
        return (self.path, self.origin) if self.op == "move" else (self.path,)

    @property
    def identifies(self) -> bool:
        """Whether it tests the id or the source of a cell."""
        return self.op == "test" and self.path[:1] == ("cells",) and self.path[2:] in _IDENTITIES


@dataclass(frozen=True, slots=True)
class Patch:
    """A valid patch that writes to metadata only."""

    source: Source
    operations: tuple[Operation, ...]
    notebook: str = ""  # the path that its first operation names


def read_patch(source: Source) -> Patch:
    """The patch in *source*. Raises `UserError` with every error, in the order of the lines."""
    text = source.text
    try:
        start, value = _whole(text)
        items, _ = items_at(text, start, _value_or_members) if isinstance(value, list) else ([], 0)
    except JSONDecodeError as exc:
        raise UserError(_not_json(source, exc)) from None
    except RecursionError:
        raise UserError(too_deep(source.name)) from None
    if not isinstance(value, list):
        raise UserError.of(
            "not-a-patch",
            f"{source.name} is not a JSON Patch: it is not an array of operations",
            _at(source, start, start + 1),
            help="`kale-tag plan SPEC -o FOLDER` writes patches",
        )
    reader = _PatchReader(source)
    operations = [reader.operation(item) for item in items]
    reader.check_guards([one for one in operations if one is not None])
    notebook = reader.notebook(items)
    if reader.errors:
        raise UserError(*reader.errors)
    return Patch(source, tuple(one for one in operations if one is not None), notebook)


def cell_of(path: Path) -> int | None:
    """The number of the cell that *path* leads into, None where it leads elsewhere."""
    return int(path[1]) if path[:1] == ("cells",) and len(path) > 1 else None


def in_metadata(path: Path) -> bool:
    """Whether *path* leads to the metadata of the notebook or of a cell, or into it."""
    return path[0] == "metadata" or (path[0] == "cells" and path[2:3] == ("metadata",))


def pointer(path: Path) -> str:
    """*path* as it is written."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


@dataclass(slots=True)
class _PatchReader(DiagnosticCollector):
    source: Source

    def operation(self, item: Item) -> Operation | None:
        """One operation, None where it is wrong."""
        label = _at(self.source, item.start, item.end)
        members = self._members(item, label)
        if members is None:
            return None
        if (op := self._op(members, label)) is None:
            return None
        before = len(self.errors)
        for key in ("path", *MEMBERS[op]):
            if key not in members:
                self.error("missing-key", f"`{op}` needs `{key}`", self._of(members["op"]))
        path = self._path(members["path"], op) if "path" in members else ()
        origin: Path = ()
        if "from" in MEMBERS[op] and "from" in members:
            origin = self._path(members["from"], op)
            if origin and origin == path[: len(origin)] and (op == "move" or origin == path):
                message = f"a value cannot be {'moved' if op == 'move' else 'copied'} to itself"
                self.error("bad-operation", message, self._of(members["from"]))
        if len(self.errors) > before:
            return None
        if "value" not in MEMBERS[op]:
            return Operation(op, path, label, self._of(members["path"]), origin=origin)
        return Operation(op, path, label, self._of(members["value"]), members["value"].value)

    def check_guards(self, operations: list[Operation]) -> None:
        """Report cells whose id or source is tested twice."""
        first: dict[Path, Operation] = {}
        for one in operations:
            if not one.identifies:
                continue
            if (old := first.setdefault(one.path, one)) is not one:
                self.error(
                    "duplicate-guard",
                    f"the {one.path[2]} of cell {one.path[1]} is tested twice",
                    one.label,
                    also=[old.label.with_text("first here")],
                    help="if these are two patches, write them to two files",
                )

    def notebook(self, items: list[Item]) -> str:
        """The path of the notebook that the first operation names."""
        for item in items[:1]:
            for member in item.value if isinstance(item.value, _Members) else ():
                if member.key == NOTEBOOK:
                    return self._notebook(member)
        return ""

    def _notebook(self, member: Member) -> str:
        name = member.value
        if not isinstance(name, str) or not _can_be_a_path(name):
            message = f"`{NOTEBOOK}` must be the path of a notebook"
            self.error("bad-notebook", message, self._of(member))
            return ""
        parts = re.split(r"[/\\]", name)
        depth = 0
        for part in parts:
            depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
            if depth < 0:
                break
        if depth < 0 or name.startswith(("/", "\\")) or re.match(r"[a-zA-Z]:", name):
            self.error(
                "outside-folder",
                f"`{name}` is outside the folder in which the patch is applied",
                self._of(member),
                help="a patch names its notebook by a path below the current folder",
            )
            return ""
        return name

    def _members(self, item: Item, label: Label) -> dict[str, Member] | None:
        if not isinstance(item.value, _Members):
            hint = '{"op": "add", "path": "/cells/0/metadata/tags", "value": ["skip"]}'
            message = "an operation is an object"
            self.error("bad-operation", message, label, help=f"such as `{hint}`")
            return None
        members: dict[str, Member] = {}
        for member in item.value:
            if member.key in members:
                message = f"`{member.key}` is given twice in one operation"
                self.error("duplicate-key", message, self._key(member))
                return None
            members[member.key] = member
        return members

    def _op(self, members: dict[str, Member], label: Label) -> str | None:
        if "op" not in members:
            self.error("missing-key", "an operation needs `op`", label)
            return None
        op = members["op"].value
        if isinstance(op, str) and op in MEMBERS:
            return op
        message = f"JSON Patch has no operation `{op}`" if isinstance(op, str) else "`op` is a text"
        hint = suggest(op if isinstance(op, str) else "", MEMBERS, "there are")
        self.error("unknown-operation", message, self._of(members["op"]), help=hint)
        return None

    def _path(self, member: Member, op: str) -> Path:
        """The path in *member*; () where it is wrong."""
        text = member.value
        message, hint, code = "", "", "bad-pointer"
        path: Path = ()
        if not isinstance(text, str):
            message = f"`{member.key}` must be text"
        elif not text.startswith("/"):
            message = f"`{text}` is not a JSON Pointer" if text else "this is the whole notebook"
            hint = "write a path such as `/cells/3/metadata/tags`"
        elif found := re.search(r"~(?![01])", text):
            message = f"`{text[found.start() : found.start() + 2]}` is not valid in a JSON Pointer"
            hint = "`~` is written `~0`, and `/` in a key `~1`"
        else:
            parts = text[1:].split("/")
            path = tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)
            number = path[1] if path[0] == "cells" and len(path) > 1 else "0"
            if re.fullmatch(r"0|[1-9][0-9]*", number) is None:
                message, hint = (
                    f"`{number}` is not the number of a cell",
                    "cells are counted from 0",
                )
            elif len(number) > DIGITS:
                code, message = "no-such-cell", f"no notebook has a cell {number[: DIGITS + 1]}…"
            elif op != "test" and not in_metadata(path):
                code, message = "not-metadata", f"a patch may change metadata only, not `{text}`"
                hint = (
                    "paths start with `/metadata` or `/cells/N/metadata`, so that no reviewed "
                    "patch can change code or outputs"
                )
        if not message:
            return path
        self.error(code, message, self._of(member), help=hint)
        return ()

    def _of(self, member: Member) -> Label:
        return _at(self.source, member.start, member.end)

    def _key(self, member: Member) -> Label:
        return _at(self.source, member.key_start, member.key_end)


def _can_be_a_path(name: str) -> bool:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character
        return False
    return bool(name) and "\0" not in name


_IDENTITIES = tuple((key,) for key in IDENTITY)


def _whole(text: str) -> tuple[int, object]:
    """Where the one value of *text* starts, and the value."""
    start = skip_space(text, 0)
    value, end = value_at(text, start)
    if (rest := skip_space(text, end)) != len(text):
        raise JSONDecodeError("Extra data", text, rest)
    return start, value


class _Members(list[Member]):
    """The members of an object, which an array is not."""


def _value_or_members(text: str, start: int) -> tuple[object, int]:
    if text[start : start + 1] != "{":
        return value_at(text, start)
    members, end = members_at(text, start)
    return _Members(members), end


def _at(source: Source, start: int, end: int) -> Label:
    return Label(source, Span(start, end))


def _not_json(source: Source, diagnostic: JSONDecodeError) -> Diagnostic:
    at = min(diagnostic.pos, max(len(source.text.rstrip()) - 1, 0))
    words = WORDS.get(
        diagnostic.msg.removesuffix(" at"), diagnostic.msg[:1].lower() + diagnostic.msg[1:]
    )
    return error(
        "not-json",
        f"{source.name} is not valid JSON: {words}",
        _at(source, at, at + 1) if source.text else Label(source),
        help="correct it in a text editor, or make a new plan",
    )
