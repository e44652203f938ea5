"""`kale-tag apply`: write what a spec or a reviewed patch asks for."""

from kale_tag.commands.shared.options import (
    AllOrNothing,
    Color,
    Format,
    Interactive,
    Jobs,
    Paths,
    Quiet,
    Reanchor,
    Verbose,
)
from kale_tag.commands.shared.write import Options, write


def apply(  # noqa: PLR0913  one parameter an option
    paths: Paths,
    *,
    interactive: Interactive = False,
    reanchor: Reanchor = False,
    all_or_nothing: AllOrNothing = False,
    format: Format = "text",  # noqa: A002  the option's name
    jobs: Jobs = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
) -> int:
    """Apply a spec or a reviewed patch to notebooks, and change nothing else.

    kale-tag apply spec.yaml notebook.ipynb

    kale-tag apply spec.yaml notebooks/ --all-or-nothing

    kale-tag apply spec.yaml - < in.ipynb > out.ipynb

    kale-tag apply patches/
    """
    return write(
        paths,
        Options(
            verb="changed",
            reanchor=reanchor,
            interactive=interactive,
            all_or_nothing=all_or_nothing,
            as_json=format == "json",
            jobs=jobs,
            quiet=quiet,
            verbose=verbose,
            color=color,
        ),
    )
