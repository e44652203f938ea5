"""What is said of many notebooks at once: nothing of one notebook alone, and nothing lost."""

import re

from hypothesis import given
from hypothesis import strategies as st

from kale_tag.diagnostics import Diagnostic, Label, Source
from kale_tag.render.diagnostics import as_text, digest, errors_last, tally
from kale_tag.render.text import Style

diagnostics = st.builds(
    lambda severity, code, message, name, way: Diagnostic(
        severity, code, message, (Label(Source(name)),) if name else (), (), way and f"{way} {name}"
    ),
    st.sampled_from(["error", "warning", "warning"]),
    st.sampled_from(["old-image", "no-katib"]),
    st.text("ab", max_size=3),
    st.sampled_from(["", "a.ipynb", "b.ipynb", "c.ipynb"]),
    st.sampled_from(["", "kale-tag graph", "rename"]),
)


@given(st.lists(diagnostics, unique=True))
def test_nothing_is_lost(known: list[Diagnostic]) -> None:
    """What is not shown is counted where its like is shown; errors are all shown, and last."""
    shown = digest(known)
    more = [re.match(r"\d+", note) for diagnostic in shown for note in diagnostic.notes]
    assert len(shown) + sum(int(found[0]) for found in more if found) == len(known)
    assert [diagnostic for diagnostic in shown if diagnostic.severity == "error"] == [
        diagnostic for diagnostic in known if diagnostic.severity == "error"
    ]
    assert shown == errors_last(shown)
    counted = sum(int(number) for number in re.findall(r"(\d+) (?:error|warning)", tally(known)))
    assert counted == (len(known) if tally(known) else 0)
    assert tally(known) or not more


@given(st.lists(diagnostics, unique=True))
def test_one_notebook_is_as_it_was(known: list[Diagnostic]) -> None:
    """Of one notebook everything is shown by itself."""
    of_one = [
        diagnostic
        for diagnostic in known
        if not diagnostic.labels or diagnostic.labels[0].source.name < "b"
    ]
    assert digest(of_one) == errors_last(of_one)
    assert tally(of_one) == ""


@given(diagnostics)
def test_colours_end_once(known: Diagnostic) -> None:
    """No reset follows another, and without its escapes the text is the plain one."""
    shown = as_text(known, Style(color=True))
    assert "\x1b[0m\x1b[0m" not in shown
    assert re.sub(r"\x1b\[\d+m", "", shown) == as_text(known, Style())
