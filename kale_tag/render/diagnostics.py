"""Diagnostics as text with the user's own line and a caret, as JSON, and as GitHub's commands."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from kale_tag.diagnostics import Diagnostic, Label, count
from kale_tag.render.shared_changes import FEW
from kale_tag.render.text import JOINERS, TAB, Style, expanded, json_text, one_line

if TYPE_CHECKING:
    from kale_tag.rules.registry import Finding

Paint = Callable[[str], str]

WIDTH = 160
"""Columns of a quoted line; of a longer line the part around the place is shown."""


SHOWN = 3
"""Places that a digest names besides the first, which is shown in full."""


def as_text(diagnostic: Diagnostic, style: Style) -> str:
    """One diagnostic as rustc prints it: message, quoted lines, notes; no line break at the end."""
    return "\n".join(_lines(diagnostic, style))


def as_silenced(diagnostic: Diagnostic, reason: str) -> str:
    """One line for a finding that is silenced, with the *reason*."""
    place = f" ({where(diagnostic.labels[0])})" if diagnostic.labels else ""
    return one_line(f"silenced[{diagnostic.code}]: {diagnostic.message}{place}: {reason}")


def as_value(diagnostic: Diagnostic) -> dict[str, object]:
    """One diagnostic for JSON: severity, code, message, places, notes, help."""
    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "places": [_place_value(label) for label in diagnostic.labels],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
    }


def where(label: Label) -> str:
    """`spec.yaml:4:14`, or `titanic.ipynb, cell 7, line 2`; without a span the file alone."""
    source = label.source
    name = one_line(source.name)
    name = name if source.cell is None else f"{name}, cell {source.cell}"
    if label.span is None:
        return name if source.first_line == 1 else f"{name}:{source.first_line}"
    line, column = source.position(label.span.start)
    return f"{name}:{line}:{column}" if source.cell is None else f"{name}, line {line}"


def _place_value(label: Label) -> dict[str, object]:
    value: dict[str, object] = {"file": label.source.name}
    if label.source.cell is not None:
        value["cell"] = label.source.cell
    if label.span is not None:
        value["line"], value["column"] = label.source.position(label.span.start)
        value["end_line"], value["end_column"] = label.source.position(label.span.end)
    if label.text:
        value["text"] = label.text
    return value


def _lines(diagnostic: Diagnostic, style: Style) -> Iterator[str]:
    paint = {"error": style.red, "warning": style.yellow, "note": style.blue}[diagnostic.severity]
    yield style.bold(paint(f"{diagnostic.severity}[{diagnostic.code}]")) + style.bold(
        f": {one_line(diagnostic.message)}"
    )
    gutter = " " * max(
        (len(str(_position(label)[0])) for label in diagnostic.labels if label.span), default=1
    )
    primary = diagnostic.labels[0] if diagnostic.labels else None
    sources = dict.fromkeys((label.source.name, label.source.cell) for label in diagnostic.labels)
    for name, cell in sources:
        group = [x for x in diagnostic.labels if (x.source.name, x.source.cell) == (name, cell)]
        arrow = "-->" if primary in group else ":::"
        yield f"{gutter}{style.blue(arrow)} {where(group[0])}"
        yield from _quoted([x for x in group if x.span], primary, gutter, style, paint)
    for title, texts in (
        ("note", diagnostic.notes),
        ("help", (diagnostic.help,) if diagnostic.help else ()),
    ):
        for text in texts:
            yield f"{gutter} {style.blue('=')} {style.bold(title)}: {one_line(text)}"


def _quoted(
    labels: Sequence[Label], primary: Label | None, gutter: str, style: Style, paint: Paint
) -> Iterator[str]:
    if not labels:
        return
    bar = style.blue("|")
    yield f"{gutter} {bar}"
    last = 0

    def piece(label: Label) -> tuple[int, int]:
        """What identifies a quoted line: its number, and where the piece of it starts."""
        return _position(label)[0], label.source.first_column

    for (number, _), on_line in groupby(sorted(labels, key=_position), key=piece):
        if last and number > last + 1:
            yield style.blue("...")
        last = number
        group = list(on_line)
        line, at = _line(group[0])
        lead = max(0, min(at - WIDTH // 2, len(line) - WIDTH))  # cut before what is shown
        text = line[lead : lead + WIDTH]
        yield f"{style.blue(str(number).rjust(len(gutter)))} {bar} {expanded(text)}".rstrip()
        for label in group:
            start = min(max(_line(label)[1] - lead, 0), len(text))
            length = label.span.end - label.span.start if label.span else 0
            marked = text[start : start + length].rstrip()  # it ends with its first line
            mark = ("^" if label is primary else "-") * max(_columns_wide(marked), 1)
            remark = f" {one_line(label.text)}" if label.text else ""
            color = paint if label is primary else style.blue
            yield f"{gutter} {bar} {' ' * _columns_wide(text[:start])}{color(mark + remark)}"
    yield f"{gutter} {bar}"


def _position(label: Label) -> tuple[int, int]:
    return label.source.position(label.span.start if label.span else 0)


def _line(label: Label) -> tuple[str, int]:
    """The line of *label*, as far as its source has it, and the characters before the label."""
    text, start = label.source.text, label.span.start if label.span else 0
    begin, end = text.rfind("\n", 0, start) + 1, text.find("\n", start)
    return text[begin : end if end >= 0 else len(text)].rstrip("\r"), start - begin


def _columns_wide(text: str) -> int:
    """The width of *text* in columns of a terminal."""
    return sum(map(_column_width, text))


def _column_width(character: str) -> int:
    if character == "\t":
        return len(TAB)
    if unicodedata.combining(character) or character in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def as_json(
    findings: "Sequence[Finding]", unusable: Sequence[Diagnostic], summary: Mapping[str, int]
) -> str:
    """The report of `check`; `silenced` is the reason of a silenced finding, else null."""
    document = {
        "findings": [
            {**as_value(one.diagnostic), "silenced": one.silenced or None} for one in findings
        ],
        "unusable": [as_value(diagnostic) for diagnostic in unusable],
        "summary": summary,
    }
    return json_text(document)


def as_command(diagnostic: Diagnostic) -> str:
    """A workflow command, of which GitHub makes an annotation.

    For example `::error file=a.ipynb,line=7,col=6,title=foreign-tag::message`.

    The form and its escapes are those of GitHub's own `@actions/core` package.
    """
    properties: dict[str, str] = {}
    if diagnostic.labels:
        label = diagnostic.labels[0]
        properties["file"] = label.source.name.replace("\\", "/")
        if label.span is not None:
            line, column = label.source.position(label.span.start)
            if label.source.cell is None:
                properties |= {"line": str(line), "col": str(column)}
    properties["title"] = diagnostic.code
    values = (
        f"{key}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in properties.items()
    )
    lines = [
        diagnostic.message,
        *diagnostic.notes,
        *([f"help: {diagnostic.help}"] if diagnostic.help else []),
    ]
    kind = "notice" if diagnostic.severity == "note" else diagnostic.severity
    return f"::{kind} {','.join(values)}::{_escaped(chr(10).join(lines))}"


def _escaped(text: str) -> str:
    return "%0A".join(map(expanded, text.replace("%", "%25").split("\n")))


def digest(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """*diagnostics* with each kind of warning that several notebooks share once, errors last."""
    known = [*diagnostics]
    return errors_last(_once(known, [one for one in _shared(known) if one[0].severity != "error"]))


def folded(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """*diagnostics* with each kind that many notebooks share once; of errors with one message."""
    known = [*diagnostics]
    kinds = []
    for kind in _shared(known):
        by_message: dict[str, list[Diagnostic]] = {}
        for one in kind:
            message = re.sub(r"\bcell \d+", "cell", one.message.replace(_name(one), ""))
            by_message.setdefault(message * (one.severity == "error"), []).append(one)
        kinds += [same for same in by_message.values() if len({*map(_name, same)}) > FEW]
    return _once(known, kinds)


def _once(known: Sequence[Diagnostic], kinds: Iterable[Sequence[Diagnostic]]) -> list[Diagnostic]:
    """*known* with the first of each of *kinds*, which counts the others."""
    shown = dict(zip(known, known, strict=True))
    for first, *others in kinds:
        shown[first] = _together(first, others)
        for one in others:
            del shown[one]
    return [*shown.values()]


def errors_last(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """*diagnostics* in their order, but errors last."""
    return sorted(diagnostics, key=lambda diagnostic: diagnostic.severity == "error")


def tally(diagnostics: Iterable[Diagnostic]) -> str:
    """How many of each code there are, where several notebooks share a kind; else ""."""
    known = [*diagnostics]
    if not _shared(known):
        return ""
    parts = []
    for severity in ("error", "warning", "note"):
        codes = Counter(diagnostic.code for diagnostic in known if diagnostic.severity == severity)
        if codes:
            each = ", ".join(f"{number} {code}" for code, number in codes.most_common())
            parts.append(f"{count(codes.total(), severity)} ({each})")
    return ", ".join(parts)


def _shared(diagnostics: Iterable[Diagnostic]) -> list[list[Diagnostic]]:
    """The kinds of *diagnostics* that several notebooks share: of one code, with one fix."""
    kinds: dict[tuple[str, str, str], list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        if diagnostic.labels:
            way = diagnostic.help.replace(_name(diagnostic), "")
            kinds.setdefault((diagnostic.severity, diagnostic.code, way), []).append(diagnostic)
    return [kind for kind in kinds.values() if len(set(map(_name, kind))) > 1]


def _together(first: Diagnostic, others: list[Diagnostic]) -> Diagnostic:
    places = [where(diagnostic.labels[0]) for diagnostic in others]
    notebooks = count(len(set(map(_name, others))), "notebook")
    more = ", ..." if places[SHOWN:] else ""
    note = f"{len(others)} more of this kind, in {notebooks}: {', '.join(places[:SHOWN])}{more}; "
    return replace(first, notes=(*first.notes, f"{note}`--verbose` shows each"))


def _name(diagnostic: Diagnostic) -> str:
    """The file that a diagnostic is in."""
    return diagnostic.labels[0].source.name
