"""The requirements of a step: the distributions of the modules that it imports.

The table is ours (`code/distributions.txt`), not the environment's, so that a package is the
same wherever it is compiled. Versions come from the spec, under `compile`, or from the notebook,
where it installs a package itself. A module that nobody knows is not installed: whoever owns its
name at an index would run code in the cluster.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache

from kale_tag.code import distributions
from kale_tag.code.distributions import standard_modules
from kale_tag.code.facts import Import
from kale_tag.diagnostics import Diagnostic, error, warning


def requirements(
    imports: Iterable[Import], own: Mapping[str, str], local: Collection[str] = ()
) -> tuple[str, ...]:
    """What pip has to install for *imports*, sorted.

    *own* maps a module, or a part of one, to its distribution, "" for none; it wins over the table.
    *local* are modules of the user.
    """
    wanted = (one for one in imports if one.module and not one.level and not one.optional)
    found = {distribution(_path(one), own, local) or "" for one in wanted}
    return tuple(sorted(found - {""}, key=str.lower))


def completed(
    found: Collection[str], methods: Collection[str], notebook: Collection[str]
) -> set[str]:
    """*found*, what a step imports, with distributions that these use without requiring them.

    scikit-learn may make data frames of pandas, if the *notebook* uses pandas; `df.plot()` needs
    matplotlib, if `plot` is in *methods*, the attributes and options in the step.
    """
    known = {*found}
    for one, other in distributions.companions():
        if one in known and other in notebook:
            known.add(other)
    for one, other in distributions.needed():
        name, _, method = one.partition(".")
        if name in known and (not method or method in methods):
            known.add(other)
    return known


def distribution(path: str, own: Mapping[str, str], local: Collection[str] = ()) -> str | None:
    """The distribution of the module at the dotted *path*: "" if pip has none, None if unknown."""
    for part in _prefixes(path):
        if part in own:
            return own[part]
    top = path.partition(".")[0]
    if top in local or top in standard_modules() or top.startswith("_"):
        return ""
    known = distributions.modules()
    return next((known[part] for part in _prefixes(path) if part in known), None)


def import_diagnostics(
    imports: Iterable[Import],
    own: Mapping[str, str],
    local: Mapping[str, str],
    seen: set[str],
    *,
    installs: bool,
) -> Iterator[Diagnostic]:
    """Imports that cannot work in a step, but for modules in *seen*, to which it adds.

    *own* as above; *local* has the files of each module of the user, as `compile: files` names
    them, "" for none. With *installs*, the step installs what its imports name.
    """
    for one in imports:
        path = _path(one)
        top = path.partition(".")[0]
        name = top
        while name in _namespaces() and len(name) < len(path):
            name = path[: (path + ".").index(".", len(name) + 1)]
        if one.level:
            dots = "." * one.level
            yield error(
                "relative-import",
                f"`from {dots}{one.module} import …` has no package to be relative to",
                one.spot.label(),
                help="import the module by its full name, from a distribution that pip can install",
            )
        elif name in seen or top in own:
            continue
        elif top in local:
            seen.add(name)
            image = f'`compile: {{distributions: {{{top}: ""}}}}` if the image has it'
            pattern = local[top]
            plain = re.fullmatch(r"[\w./*-]+", pattern)
            files = f"`compile: {{files: [{pattern if plain else json.dumps(pattern)}]}}`"
            yield warning(
                "local-module",
                f"`{top}` is a module of yours, which a container does not have",
                one.spot.label(),
                help=f"to take it along, write in the spec {files}; or {image}"
                if pattern
                else f"move its code into a cell tagged `functions`; or write in the spec {image}",
            )
        elif installs and not one.optional and distribution(path, own, local) is None:
            seen.add(name)
            yield warning(
                "unknown-package",
                f"the package that has the module `{name}` is not known, so no step installs it",
                one.spot.label(),
                help=f"name it in the spec: `compile: {{distributions: {{{name}: PACKAGE}}}}`; "
                f'`{name}: ""` if the image has it',
            )


def _path(one: Import) -> str:
    """The module that an import means: `from google.cloud import storage` is one, too."""
    shared = one.module in _namespaces()
    return f"{one.module}.{one.attribute}" if shared and one.attribute else one.module


def _prefixes(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


@cache
def _namespaces() -> frozenset[str]:
    return frozenset(
        part for name in distributions.modules() for part in _prefixes(name.rpartition(".")[0])
    )
