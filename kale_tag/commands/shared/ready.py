"""The ready specs that come with kale-tag, by name: `kale:upgrade` can be given as a spec."""

import os

import kale_tag
from kale_tag import files
from kale_tag.diagnostics import Source, UserError, error, nearest

PREFIX = "kale:"


def is_ready(path: str) -> bool:
    """Whether *path* is meant as the name of a ready spec."""
    return path.startswith(PREFIX)


def ready_spec(path: str) -> Source:
    """The text of the ready spec that *path* names. Raises `UserError` if there is none."""
    names = ready_names()
    if path not in names:
        known = f"there are {', '.join(f'`{name}`' for name in names)}"
        raise UserError(
            error(
                "no-such-spec",
                f"no ready spec is named `{path}`",
                help=f"did you mean `{near}`? {known}" if (near := nearest(path, names)) else known,
            )
        )
    name = path.removeprefix(PREFIX)
    return Source(path, files.read_text(os.path.join(_folder(), f"{name}.yaml")).text)


def ready_names() -> list[str]:
    """The names of all ready specs, sorted."""
    names = (os.path.basename(path) for path in files.specs_in(_folder()))
    return [f"{PREFIX}{name.removesuffix('.yaml')}" for name in names if name.endswith(".yaml")]


def _folder() -> str:
    """The folder in the installed package, or `specs/` of the checkout that this runs from."""
    package = os.path.dirname(os.path.abspath(kale_tag.__file__))
    inside = os.path.join(package, "specs")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "specs")
