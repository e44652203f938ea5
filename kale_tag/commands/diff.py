"""`kale-tag diff`: tags, settings and steps that differ between notebooks, folders or revisions."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from kale_tag.commands.shared.options import PrintOptions, ReviewOptions, argument, option
from kale_tag.commands.shared.report import print_diagnostic, style_for
from kale_tag.commands.shared.revisions import Comparison, Version, VersionPair, find_versions
from kale_tag.compare.diff import diff_notebooks
from kale_tag.diagnostics import UserError, exit_code, for_shell, guarded
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.render import diff as render
from kale_tag.render.diff import ComparedNotebook

T = TypeVar("T")

FAST_COUNT = 40
FAST_BYTES = 4_000_000
"""From here on msgspec saves more than its import takes: two are read, and all of their cells."""


@dataclass(kw_only=True)
class DiffOptions(ReviewOptions, PrintOptions):
    """The options of `kale-tag diff`."""

    paths: list[str] = argument(
        "NOTEBOOK|FOLDER|REVISION",
        "Two notebooks or two folders (`-` is standard input), or Git revisions as for `git diff`: "
        "A B or A..B; A...B, which compares B with the merge base; A alone, which compares A with "
        "the work tree; nothing, which stands for HEAD. After `--`: the paths to compare.",
        separator=True,
    )
    verbose: bool = option(False, "Show each notebook, unchanged ones too.", short="-v")


def diff(options: DiffOptions) -> int:
    """Show which tags, settings and steps differ.

    Compares two notebooks, two folders, or Git revisions.

    kale-tag diff old.ipynb new.ipynb

    kale-tag diff main HEAD -- notebooks/

    kale-tag diff main...HEAD --format markdown
    """
    options.check_limit()
    style = style_for(options.color, sys.stdout.isatty())
    done: list[ComparedNotebook] = []
    with ExitStack() as stack:
        comparison = find_versions(options.paths, stack)
        for diagnostic in comparison.warnings:
            print_diagnostic(diagnostic)
        for one in compared(comparison):
            for diagnostic in one.diagnostics:
                sys.stdout.flush()
                print_diagnostic(diagnostic)
            done.append(one)
    if options.format == "text" and not options.quiet:
        for line in render.all_as_text(done, style, verbose=options.verbose):
            print(line)
    _print_end((comparison.before, comparison.after), done, options)
    failed = exit_code(diagnostic for one in done for diagnostic in one.diagnostics)
    return failed or int(options.exit_code and any(one.diff for one in done))


def compared(comparison: Comparison) -> Iterator[ComparedNotebook]:
    """The differences of each pair of notebooks, or why they cannot be compared."""
    many = len(comparison.versions) >= FAST_COUNT
    for versions in comparison.versions:
        before, after = versions.before, versions.after
        paths = (before.path if before else None, after.path if after else None)
        one = ComparedNotebook(*paths, paired=versions.paired)
        if not versions.same:
            _compare(versions, one, fast=many)
        yield one


def _compare(versions: VersionPair, one: ComparedNotebook, *, fast: bool) -> None:
    """Put the differences into *one*, or why it cannot be compared."""
    sides = versions.before, versions.after
    data = [_tried(one, version.read) if version is not None else None for version in sides]
    if one.diagnostics or data[0] == data[1]:
        return
    read = [
        None
        if version is None or found is None
        else _tried(one, partial(_read, found, version, fast=fast))
        for version, found in zip(sides, data, strict=True)
    ]
    if not one.diagnostics:
        one.diff = _tried(one, partial(diff_notebooks, *read))


def _tried(one: ComparedNotebook, work: Callable[[], T]) -> T | None:
    """The result of *work*; None if it failed, and *one* has the diagnostics."""
    result = None
    with guarded(one.name) as wrong:
        result = work()
    one.diagnostics += (*wrong,)
    return result


def _read(data: bytes, version: Version, *, fast: bool) -> Notebook:
    try:
        return read_notebook(data, version.name, fast=fast or len(data) >= FAST_BYTES)
    except UserError as exc:
        if not version.committed:
            raise
        hint = f"this is the committed version: `git show {for_shell(version.name)}` prints it"
        raise UserError(*(replace(one, help=hint) for one in exc.diagnostics)) from None


def _print_end(names: render.Names, done: list[ComparedNotebook], options: DiffOptions) -> None:
    if options.format == "markdown":
        from kale_tag.render.diff_markdown import as_markdown, title_of  # noqa: PLC0415  seldom

        print(as_markdown(title_of(names), done, options.limit), end="")
    elif options.format == "json":
        print(render.as_json(names, done))
    elif not options.quiet:
        print(render.summary(names, done))
