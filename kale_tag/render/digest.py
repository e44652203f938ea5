"""What is said of many notebooks, said once, so that errors are not lost among the warnings."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic, count
from kale_tag.render.diagnostics import where

SHOWN = 3
"""Places that are named behind the first one, which is shown whole."""


def digest(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """*faults* with a kind of warning that several notebooks share said once, and errors last."""
    known = [*diagnostics]
    shared = [one for one in _shared(known) if one[0].severity == "warning"]
    said = dict(zip(known, known, strict=True))
    for first, *others in shared:
        said[first] = _together(first, others)
        for one in others:
            del said[one]
    return errors_last(said.values())


def errors_last(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """*faults* in their order, but warnings before errors."""
    return sorted(diagnostics, key=lambda diagnostic: diagnostic.severity == "error")


def tally(diagnostics: Iterable[Diagnostic]) -> str:
    """How many of each code there are, where several notebooks share a kind; else ""."""
    known = [*diagnostics]
    if not _shared(known):
        return ""
    parts = []
    for severity in ("error", "warning"):
        codes = Counter(diagnostic.code for diagnostic in known if diagnostic.severity == severity)
        if codes:
            each = ", ".join(f"{number} {code}" for code, number in codes.most_common())
            parts.append(f"{count(codes.total(), severity)} ({each})")
    return ", ".join(parts)


def _shared(diagnostics: Iterable[Diagnostic]) -> list[list[Diagnostic]]:
    """The kinds of *faults* that several notebooks share: of one code, and mended in one way."""
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
    """The file that a fault is in."""
    return diagnostic.labels[0].source.name
