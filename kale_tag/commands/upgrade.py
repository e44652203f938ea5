"""`kale-tag upgrade`: notebooks of Kale 0.x to the language of Kale 2, without a spec."""

from kale_tag.commands.shared.options import (
    AllOrNothing,
    Color,
    Format,
    Interactive,
    Jobs,
    NotebookPaths,
    Quiet,
    Verbose,
)
from kale_tag.commands.shared.write import Options, write
from kale_tag.diagnostics import UserError, error

SPEC = "kale:upgrade"


def upgrade(  # noqa: PLR0913  one parameter an option
    paths: NotebookPaths,
    *,
    interactive: Interactive = False,
    all_or_nothing: AllOrNothing = False,
    format: Format = "text",  # noqa: A002  the option's name
    jobs: Jobs = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
) -> int:
    """Bring tags and settings of Kale 0.x to Kale 2.

    Problems that only you can fix are listed with their places.

    kale-tag upgrade old.ipynb

    kale-tag upgrade notebooks/ --all-or-nothing

    It is `kale-tag apply kale:upgrade`, and shows what it changes; `kale-tag plan kale:upgrade`
    shows it without writing, and with `-o patches/` writes it down for a review.
    """
    if not paths:
        raise UserError(
            error("no-notebooks", "no notebook is given", help="kale-tag upgrade NOTEBOOK")
        )
    if others := [path for path in paths if path.endswith((".yaml", ".yml", ".json"))]:
        message = f"upgrade takes notebooks, and {others[0]} is not a notebook"
        hint = "`legacy: upgrade` in a spec upgrades first, and then applies its rules"
        raise UserError(error("bad-options", message, help=hint))
    return write(
        [SPEC, *paths],
        Options(
            verb="upgraded",
            interactive=interactive,
            all_or_nothing=all_or_nothing,
            as_json=format == "json",
            jobs=jobs,
            quiet=quiet,
            shows=not quiet,
            verbose=verbose,
            color=color,
        ),
    )
