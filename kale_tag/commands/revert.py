"""`kale-tag revert`: undo patches."""

from kale_tag.commands.shared.options import (
    AllOrNothing,
    Color,
    Format,
    Interactive,
    Jobs,
    PatchPaths,
    Quiet,
    Reanchor,
    Verbose,
)
from kale_tag.commands.shared.write import Options, write


def revert(  # noqa: PLR0913  one parameter an option
    paths: PatchPaths,
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
    """Undo patches that were applied.

    kale-tag revert patches/
    """
    return write(
        paths,
        Options(
            verb="reverted",
            undo=True,
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
