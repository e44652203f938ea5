"""`kale-tag graph`: the pipeline of a tagged notebook, drawn."""

import os
import sys

from kale_tag import files
from kale_tag.commands.options import Builders, Color, Drawing, GraphFormat, Paths, Quiet
from kale_tag.commands.pipelines import STDIN_NOTEBOOK, Finish, build
from kale_tag.commands.report import Report, style_for
from kale_tag.commands.targets import STDIN
from kale_tag.diagnostics import Label, Source, UserError, error
from kale_tag.pipeline import graph as graphs
from kale_tag.pipeline.graph_svg import as_svg
from kale_tag.pipeline.graph_text import as_text

ENDINGS = {"text": ".txt", "mermaid": ".mmd", "dot": ".dot", "svg": ".svg", "json": ".json"}


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
    built = build(paths, drawings[format], jobs=jobs, quiet=quiet)
    folder = output.endswith(("/", os.sep)) or os.path.isdir(output)
    good = [one for one in built if not one.failed]
    if to_file and not folder and len(good) > 1:
        names = " and ".join(one.name for one in good[:2])
        raise UserError(
            error(
                "one-file",
                f"the drawings of {names} would both be {output}",
                Label(Source(good[1].name)),
                help="`-o FOLDER/` gives each a file",
            )
        )
    printed = 0
    for one in built:
        report.tell(one.diagnostics)
        if one.failed:
            continue
        text = str(one.made)
        if to_file:
            base = os.path.basename(STDIN_NOTEBOOK if one.name == STDIN else one.name)
            own = base.removesuffix(".ipynb") + ENDINGS[format]
            path = os.path.join(output, own) if folder else output
            if files.write(path, text.encode()) and not quiet:
                print(f"wrote {style.bold(path)}")
        else:
            print("\n" * (bool(printed) and format == "text") + text, end="")
            printed += 1
    if any(one.bug for one in built):
        return 3
    return 2 if len(good) < len(built) else 0


def _draws(encoding: str | None) -> bool:
    try:
        "│●".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
