"""`kale-tag graph`: the pipeline of a tagged notebook, drawn."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from kale_tag.commands.shared.options import BuildOptions, option
from kale_tag.commands.shared.pipelines import (
    BuiltNotebook,
    OutputFile,
    build,
    output_path,
    refuse_one_file,
)
from kale_tag.commands.shared.report import Report, can_print, style_for
from kale_tag.commands.shared.targets import STDIN
from kale_tag.graph import graph as graphs
from kale_tag.graph.svg import as_svg
from kale_tag.graph.text import as_text
from kale_tag.render.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from kale_tag.kale.pipeline import Pipeline

ENDINGS = {"text": ".txt", "mermaid": ".mmd", "dot": ".dot", "svg": ".svg", "json": ".json"}


NOT_DRAWN = ("two-volumes", "invalid-mount-point")
"""Codes of diagnostics that no drawing shows."""


@dataclass(kw_only=True)
class GraphOptions(BuildOptions):
    """The options of `kale-tag graph`."""

    format: Literal["text", "mermaid", "dot", "svg", "json"] = option(
        "text", "How to draw; json is an array for several notebooks."
    )
    output: str = option("", "The file to write, or a folder. Default: print.", "PATH", short="-o")


def graph(options: GraphOptions) -> int:
    """Draw pipelines: their steps, and the variables between them.

    kale-tag graph notebook.ipynb

    kale-tag graph spec.yaml notebook.ipynb --format svg -o pipeline.svg
    """
    to_file = options.output not in {"", STDIN}
    style = style_for(options.color, sys.stdout.isatty() and not to_file)
    plain = options.format == "text" and not to_file and not can_print("│●")
    report = Report(style)
    drawings: dict[str, Callable[[Pipeline], str]] = {
        "text": partial(as_text, plain=plain, bold=style.bold),
        "mermaid": graphs.as_mermaid,
        "dot": graphs.as_dot,
        "svg": as_svg,
        "json": graphs.as_json,
    }
    draw, ending = drawings[options.format], ENDINGS[options.format]

    def drawn(one: BuiltNotebook) -> tuple[OutputFile, ...]:
        path = output_path(options.output or STDIN, one.name, ending)
        return (OutputFile(path, draw(one.of)),)

    jobs, quiet = options.jobs, options.quiet
    built = build(options.paths, drawn, jobs=jobs, quiet=quiet, but=NOT_DRAWN, lints=False)
    if to_file:
        refuse_one_file(built)
    printed = []
    for one in built:
        report.show(one.diagnostics)
        for file in one.outputs:
            if not to_file:
                printed.append(file.text)
            elif file.write() and not quiet:
                print(f"wrote {style.bold(one_line(file.path))}")
    if options.format == "json" and len(built) > 1 and not to_file:
        print("[" + ",\n".join(map(str.rstrip, printed)) + "]")
    else:
        print(("\n" if options.format == "text" else "").join(printed), end="")
    return report.exit_code
