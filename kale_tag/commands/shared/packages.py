"""The package that a command line of `run` or `submit` names, and the values of its parameters."""

import copy
import itertools
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kale_tag import files
from kale_tag.commands.compile import finish
from kale_tag.commands.shared.pipelines import STDIN_NOTEBOOK, build
from kale_tag.commands.shared.targets import STDIN
from kale_tag.compiler.limits import PARAMETERS, argument_size, check_text
from kale_tag.compiler.package_text import to_yaml
from kale_tag.compiler.parameters import file_arguments, given_arguments
from kale_tag.compiler.read_package import (
    PackageHeader,
    looks_like_package,
    not_a_package,
    read_header,
)
from kale_tag.diagnostics import Diagnostic, DiagnosticCollector, Label, Source, UserError, listed
from kale_tag.fields import yaml_tree
from kale_tag.kale.names import ENVIRONMENT_VARIABLE
from kale_tag.kale.pipeline import Pipeline
from kale_tag.run.this_machine import check_installed

_SECRET = re.compile(r"(?i)passw|secret|token|credential|(?:api|private)_?key|(?:^|_)pwd?(?:$|_)")
"""In the names of variables that probably hold a secret."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A package, and what it comes from."""

    name: str  # the notebook or package that the user named
    header: PackageHeader
    pipeline: Pipeline | None = None  # what the package was compiled from, if it was now
    warnings: tuple[Diagnostic, ...] = ()  # of compiling it


def check_kfp(command: str) -> None:
    """Raise `UserError` where a package that *command* needs is not installed."""
    check_installed(f"`{command}`", ("kfp", "jinja2", "psutil"), "kfp", "no-kfp")


def broken_kfp(command: str, why: str, log: str = "") -> UserError:
    """The error where kfp is installed but cannot be imported: *why*, and a *log* with more."""
    message = f"`{command}` needs kfp, which is installed here but cannot be imported: {why}"
    hint = f"{sys.executable} -m pip install --force-reinstall kfp"
    return UserError.of("no-kfp", message, notes=[f"its log: {log}"] if log else [], help=hint)


def load_package(
    paths: Sequence[str], environ: Sequence[str] | None = None, *, quiet: bool = True
) -> Loaded:
    """The package that *paths* name: a package, or a notebook with or without its spec.

    Its steps get the variables *environ* (`NAME=VALUE`) too. Raises `UserError` if *paths* name
    none or more than one, or the notebook does not compile.
    """
    loaded = _load(paths, quiet=quiet)
    if not environ:
        return loaded
    header, warnings = _with_environment(loaded.header, environ)
    return replace(loaded, header=header, warnings=(*loaded.warnings, *warnings))


def _load(paths: Sequence[str], *, quiet: bool) -> Loaded:
    for path in paths:
        if (source := _package_file(path)) is not None:
            if len(paths) > 1:
                other = next((one for one in paths if one != path), path)
                message = f"{path} is a package, and {other} is named too"
                raise UserError.of("one-pipeline", message, help="name the package alone")
            return Loaded(path, read_header(source))
    built = build(paths, finish(), jobs=1, quiet=quiet)
    if failed := [one for one in built if one.failed]:
        raise UserError(*(diagnostic for one in failed for diagnostic in one.diagnostics))
    if len(built) > 1:
        names = ", ".join(one.name for one in built[:5]) + (", ..." if len(built) > 5 else "")
        message = f"{len(built)} notebooks are named, but only one pipeline can run at a time"
        raise UserError.of("one-pipeline", message, notes=[names], help="name one of them")
    (one,) = built
    package = one.outputs[0]
    name = STDIN_NOTEBOOK if one.name == STDIN else one.name
    header = read_header(Source(package.path, package.text))
    return Loaded(name, header, one.pipeline, one.diagnostics)


def read_arguments(header: PackageHeader, texts: Sequence[str], path: str) -> dict[str, object]:
    """The values of parameters in *texts* (`NAME=VALUE`) and the file *path* ("": none).

    Of two values the one in *texts* counts. Raises `UserError` with all that is wrong: unknown
    names, wrong types, parameters without a value.
    """
    parameters = header.parameters
    values, diagnostics = file_arguments(_in_file(path), parameters) if path else ({}, [])
    typed, more = given_arguments(texts, parameters)
    if diagnostics or more:
        raise UserError(*diagnostics, *more)
    values |= typed
    if missing := sorted(header.required - values.keys()):
        hint = " ".join(f"-p {name}=VALUE" for name in missing)
        noun = "parameter" if len(missing) == 1 else "parameters"
        message = f"no value for the {noun} {listed(missing)}"
        at = Label(Source(header.source.name))
        raise UserError.of("missing-parameter", message, at, help=hint)
    every = {one.name: one.default for one in parameters} | values
    if (size := argument_size(every)) > PARAMETERS:
        message = f"the parameters are {size:,} bytes as JSON; Kubeflow Pipelines can start steps "
        message += f"with {PARAMETERS:,}"
        raise UserError.of("invalid-argument", message, help="read long values from a file")
    return values


def _with_environment(
    header: PackageHeader, texts: Sequence[str]
) -> tuple[PackageHeader, list[Diagnostic]]:
    """The package of *header*, all steps of which have the variables in *texts* too; warnings.

    Raises `UserError` for a variable that no step can have.
    """
    found = DiagnosticCollector()
    configurations = json.dumps(header.platform or {})
    given: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        given[name] = {"name": name, "value": value}
        found.errors += check_text(value, f"the value of `{name}`", None)
        if ENVIRONMENT_VARIABLE.fullmatch(name) is None:
            message = f"`{name}` cannot be the name of an environment variable"
            found.error("invalid-environment-variable", message, None)
        elif not equals:
            message = f"the variable `{name}` has no value"
            found.error("no-value", message, None, help=f"write -e {name}=VALUE")
        elif f'"envVar": {json.dumps(name)}' in configurations:
            message = f"steps get the environment variable `{name}` from the cluster already"
            found.error("two-values", message, None, help=f"leave out -e {name}")
        elif _SECRET.search(name):
            message = f"the package that runs will contain the value of `{name}`, readable"
            hint = "put it into a secret of Kubernetes, and tag steps `secret:NAME:KEY:VARIABLE`"
            found.warning("secret-in-package", message, None, help=hint)
    if found.errors:
        raise UserError(*found.errors)
    spec = copy.deepcopy(header.spec)
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor.get("container", {})
        if "command" in container:  # not what the backend does itself
            own = {one["name"]: one for one in container.get("env", ())}
            container["env"] = [*{**own, **given}.values()]
    comments = itertools.takewhile(
        lambda line: line.startswith("#"), header.source.text.splitlines(keepends=True)
    )
    text = to_yaml([spec, header.platform] if header.platform else [spec])
    return read_header(Source(header.source.name, f"{''.join(comments)}{text}")), found.warnings


def _package_file(path: str) -> Source | None:
    """The file *path* if it is a package, or cannot be anything else."""
    if path == STDIN or path.endswith(".ipynb") or not os.path.isfile(path):
        return None
    source = files.read_text(path)
    if looks_like_package(source.text):
        return source
    if path.endswith(".json") or files.PACKAGE in os.path.basename(path):
        raise UserError(not_a_package(path))
    return None


def _in_file(path: str) -> Mapping[str, tuple[Label, Label, object]]:
    """The values in the file *path* by name, each with the places of the name and the value."""
    tree = yaml_tree.read_yaml(files.read_text(path))
    if tree is None:
        return {}
    if not isinstance(tree, yaml_tree.Mapping):
        message = f"{path} must be a mapping of parameters to values"
        raise UserError.of("wrong-type", message, tree.label, help="write `rows: 10`")
    plain = yaml_tree.plain
    return {key.text: (key.label, value.label, plain(value)) for key, value in tree.entries}
