"""`kale-tag graph`: the pipeline of a tagged notebook, drawn."""

import os
import sys
from collections.abc import Mapping

from kale_tag import files
from kale_tag.commands.shared.options import Builders, Color, Drawing, GraphFormat, Paths, Quiet
from kale_tag.commands.shared.pipelines import STDIN_NOTEBOOK, Finish, build
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.commands.shared.targets import STDIN
from kale_tag.diagnostics import Label, Source, UserError, error
from kale_tag.graph import graph as graphs
from kale_tag.graph.svg import as_svg
from kale_tag.graph.text import as_text

ENDINGS = {"text": ".txt", "mermaid": ".mmd", "dot": ".dot", "svg": ".svg", "json": ".json"}


NOT_DRAWN = ("volume-type", "two-volumes", "invalid-mount-point")
"""Codes of diagnostics that no drawing shows."""


def graph(  # noqa: PLR0913  one parameter an option
    paths: Paths,
    *,
    format: GraphFormat = "text",  # noqa: A002  the option's name
    output: Drawing = "",
    jobs: Builders = 1,
    quiet: Quiet = False,
    color: Color = "auto",
) -> int:
    """Draw pipelines: their steps, and the variables between them.

    kale-tag graph notebook.ipynb

    kale-tag graph spec.yaml notebook.ipynb --format svg -o pipeline.svg
    """
    to_file = output not in {"", STDIN}
    style = style_for(color, sys.stdout.isatty() and not to_file)
    plain = format == "text" and not to_file and not _draws(sys.stdout.encoding)
    report = Report(style)
    drawings: dict[str, Finish] = {
        "text": lambda one: as_text(one.of, plain=plain, bold=style.bold),
        "mermaid": lambda one: graphs.as_mermaid(one.of),
        "dot": lambda one: graphs.as_dot(one.of),
        "svg": lambda one: as_svg(one.of),
        "json": lambda one: graphs.as_json(one.of),
    }
    built = build(paths, drawings[format], jobs=jobs, quiet=quiet, but=NOT_DRAWN)
    good = [one for one in built if not one.failed]
    paths_of = {one.name: _path(output, one.name, format) for one in good if to_file}
    _refuse_one_file(paths_of, output)
    printed = 0
    for one in built:
        report.show(one.diagnostics)
        if one.failed:
            continue
        text = str(one.made)
        if to_file:
            path = paths_of[one.name]
            if files.write(path, text.encode()) and not quiet:
                print(f"wrote {style.bold(path)}")
        else:
            print("\n" * (bool(printed) and format == "text") + text, end="")
            printed += 1
    if any(one.bug for one in built):
        return 3
    return 2 if len(good) < len(built) else 0


def _path(output: str, name: str, form: str) -> str:
    """Where the drawing of the notebook *name* goes: *output*, or a file in that folder."""
    if not output.endswith(("/", os.sep)) and not os.path.isdir(output):
        return output
    base = os.path.basename(STDIN_NOTEBOOK if name == STDIN else name)
    return os.path.join(output, base.removesuffix(".ipynb") + ENDINGS[form])


def _refuse_one_file(paths: Mapping[str, str], output: str) -> None:
    """Two drawings in one file would be one; *paths* has the file of each notebook."""
    first: dict[str, str] = {}
    for name, path in paths.items():
        other = first.setdefault(path, name)
        if other != name:
            raise UserError(
                error(
                    "one-file",
                    f"the drawings of {other} and {name} would both be {path}",
                    Label(Source(name)),
                    help="`-o FOLDER/` gives each a file"
                    if path == output
                    else "draw them in two calls, into two folders",
                )
            )


def _draws(encoding: str | None) -> bool:
    try:
        "│●".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
