"""The requirements of a step: the distributions of the modules that it imports.

The table is ours (`analysis/distributions.txt`), not the environment's, so that a package is the
same wherever it is compiled. Versions come from the spec, under `compile`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache

from kale_tag.analysis import distributions
from kale_tag.analysis.distributions import standard_modules
from kale_tag.analysis.model import Import
from kale_tag.diagnostics import Diagnostic, error, warning


def requirements(
    imports: Iterable[Import], own: Mapping[str, str], local: Collection[str] = ()
) -> tuple[str, ...]:
    """What pip has to install for *imports*, sorted.

    *own* maps a module, or a part of one, to its distribution, "" for none; it wins over the table.
    *local* are modules beside the notebook.
    """
    wanted = (one for one in imports if one.module and not one.level and not one.optional)
    found = {distribution(_path(one), own, local) for one in wanted}
    return tuple(sorted(found - {""}, key=str.lower))


def completed(
    found: Collection[str], methods: Collection[str], notebook: Collection[str]
) -> set[str]:
    """*found*, what a step imports, with distributions that these use without requiring them.

    `load_iris(as_frame=True)` of scikit-learn makes a data frame of pandas, if the *notebook* uses
    pandas; `df.plot()` needs matplotlib, if `plot` is in *methods*, the attributes in the step.
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


def distribution(path: str, own: Mapping[str, str], local: Collection[str] = ()) -> str:
    """The distribution of the module at the dotted *path*, "" if pip has none."""
    for part in _prefixes(path):
        if part in own:
            return own[part]
    top = path.partition(".")[0]
    if top in local or top in standard_modules() or top.startswith("_"):
        return ""
    parts = path.split(".")
    if parts[:2] == ["google", "cloud"] and len(parts) > 2:
        return f"google-cloud-{parts[2]}".replace("_", "-")
    known = distributions.modules()
    for part in _prefixes(path):
        if part in known:
            return known[part]
    return re.sub(r"[-_.]+", "-", top).lower()


def import_diagnostics(imports: Iterable[Import], local: Collection[str]) -> Iterator[Diagnostic]:
    """Imports that cannot work in a step, each module once."""
    seen = set()
    for one in imports:
        top = one.module.partition(".")[0]
        if one.level:
            dots = "." * one.level
            yield error(
                "relative-import",
                f"`from {dots}{one.module} import …` has no package to be relative to",
                one.spot.label(),
                help="import the module by its full name, from a distribution that pip can install",
            )
        elif top in local and top not in seen:
            seen.add(top)
            yield warning(
                "local-module",
                f"`{top}` is a module beside the notebook, which a container does not have",
                one.spot.label(),
                help="move its code into a cell tagged `functions`, or put it into the image "
                f'and name it in the spec: `compile: {{distributions: {{{top}: ""}}}}`',
            )


def _path(one: Import) -> str:
    """The module that an import means: `from google.cloud import storage` is one, too."""
    shared = one.module in _namespaces() or one.module == "google.cloud"
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
