"""`-p NAME=VALUE` and `--params FILE`: the values that a run gives the pipeline's parameters."""

from collections.abc import Sequence
from dataclasses import replace

from kale_tag import files
from kale_tag.commands.shared.packages import Given, at
from kale_tag.compiler.arguments import file_arguments, given_arguments
from kale_tag.diagnostics import Label, UserError, error
from kale_tag.fields.yaml_tree import Mapping, plain, read_yaml


def values_of(given: Given, texts: Sequence[str], file: str) -> dict[str, object]:
    """The values that are given, by the names in the package; *texts* win over the *file*.

    Raises `UserError` with everything that is wrong: unknown names, wrong types, missing ones.
    """
    declared = given.package.parameters
    parameters = [replace(one, name=given.names.get(one.name, one.name)) for one in declared]
    values, diagnostics = file_arguments(in_file(file), parameters) if file else ({}, [])
    typed, more = given_arguments(texts, parameters)
    values |= typed
    diagnostics += more
    if diagnostics:
        raise UserError(*diagnostics)
    found = {
        theirs.name: values[ours.name]
        for theirs, ours in zip(declared, parameters, strict=True)
        if ours.name in values
    }
    missing = [
        given.names.get(name, name) for name in sorted(given.package.required - found.keys())
    ]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        hint = " ".join(f"-p {name}=VALUE" for name in missing)
        message = f"the pipeline has no default for {names}"
        raise UserError(error("missing-parameter", message, at(given), help=hint))
    return found


def in_file(path: str) -> dict[str, tuple[Label, Label, object]]:
    """The values in the file *path* by their names, each with the places of name and value."""
    source = files.read_text(path)
    tree = read_yaml(source)
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        message = f"{path} has to be a mapping of parameters to values"
        raise UserError(error("wrong-type", message, tree.label, help="write `rows: 10`"))
    return {key.text: (key.label, value.label, plain(value)) for key, value in tree.entries}
