"""The parameters that a command line gives a run: `-p NAME=VALUE` and `--params FILE`."""

from collections.abc import Sequence

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, Label, UserError, error
from kale_tag.pipeline.arguments import file_arguments, given_arguments, with_defaults
from kale_tag.pipeline.compiled import Compiled
from kale_tag.tagging.yaml_tree import Mapping, plain, read_yaml


def read_arguments(package: Compiled, texts: Sequence[str], path: str) -> dict[str, object]:
    """The value of every parameter of *package*, under its name in the notebook.

    Raises `UserError` with everything that is wrong with *texts* and the file *path* ("": none).
    """
    from_file: dict[str, object] = {}
    faults: list[Diagnostic] = []
    if path:
        from_file, faults = file_arguments(_in_file(path), package.parameters)
    found, more = given_arguments(texts, package.parameters)
    faults += more
    if faults:
        raise UserError(*faults)
    return with_defaults({**from_file, **found}, package.parameters)


def _in_file(path: str) -> dict[str, tuple[Label, Label, object]]:
    source = files.read_text(path)
    tree = read_yaml(source)
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        hint = "a file of parameters has a line `name: value` for each"
        raise UserError(
            error("not-parameters", "this is no mapping of names", tree.label, help=hint)
        )
    return {
        key.text: (key.label, value.label, plain(value))
        for key, value in tree.entries
    }
