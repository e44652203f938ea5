"""Findings as workflow commands, of which GitHub makes annotations of files in a pull request.

The form and its escapes are those of GitHub's own `@actions/core` package.
"""

from kale_tag.diagnostics import Diagnostic


def as_command(diagnostic: Diagnostic) -> str:
    """One line: `::error file=a.ipynb,line=7,col=6,title=foreign-tag::message`."""
    properties: dict[str, str] = {}
    if diagnostic.labels:
        label = diagnostic.labels[0]
        properties["file"] = label.source.name.replace("\\", "/")
        if label.span is not None:
            line, column = label.source.position(label.span.start)
            if label.source.cell is None:
                properties |= {"line": str(line), "col": str(column)}
    properties["title"] = diagnostic.code
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    lines = [
        diagnostic.message,
        *diagnostic.notes,
        *([f"help: {diagnostic.help}"] if diagnostic.help else []),
    ]
    return f"::{diagnostic.severity} {given}::{_message(chr(10).join(lines))}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
