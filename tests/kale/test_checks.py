"""Code that Kale parses."""

import pytest

from kale_tag.kale.checks import error_line


@pytest.mark.parametrize(
    ("source", "line"),
    [("x = 1", None), ("x = 1\ny = (", 1), ("a\0b", 0), ("-" * 200_000 + "1", 0)],
    ids=["right", "wrong", "NUL", "deep"],
)
def test_the_line_of_an_error(source: str, line: int | None) -> None:
    """What Python cannot read at all is wrong from its first line on."""
    assert error_line(source) == line
