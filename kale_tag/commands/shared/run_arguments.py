"""The parameters that a command line gives a run: `-p NAME=VALUE` and `--params FILE`."""

from collections.abc import Sequence

from kale_tag.commands.shared.parameters import in_file
from kale_tag.compiler.arguments import file_arguments, given_arguments, with_defaults
from kale_tag.compiler.read_package import Compiled
from kale_tag.diagnostics import Diagnostic, UserError


def read_arguments(package: Compiled, texts: Sequence[str], path: str) -> dict[str, object]:
    """The value of every parameter of *package*, under its name in the notebook.

    Raises `UserError` with everything that is wrong with *texts* and the file *path* ("": none).
    """
    from_file: dict[str, object] = {}
    diagnostics: list[Diagnostic] = []
    if path:
        from_file, diagnostics = file_arguments(in_file(path), package.parameters)
    found, more = given_arguments(texts, package.parameters)
    diagnostics += more
    if diagnostics:
        raise UserError(*diagnostics)
    return with_defaults({**from_file, **found}, package.parameters)
