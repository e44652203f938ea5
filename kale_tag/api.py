"""kale-tag as a library: commands as functions, paths in and values out.

    from kale_tag import api

    for outcome in api.plan("spec.yaml", "notebook.ipynb"):
        print(outcome.name, outcome.patch)

The functions print nothing, but for `run`, whose steps may print. Paths mean what they mean on the
command line. What cannot be used raises `kale_tag.diagnostics.UserError`, which has a diagnostic
for each problem.
"""

# The functions are not names of `kale_tag` itself: its `plan`, `extract` and `run` are packages.

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from kale_tag.diagnostics import UserError

if TYPE_CHECKING:
    from kale_tag.commands.shared.batch import Outcome
    from kale_tag.render.diff import ComparedNotebook
    from kale_tag.rules.registry import Finding
    from kale_tag.run.run_record import RunOutcome


# Each function imports what it needs, so that the others cost nothing.


def plan(*paths: str, reanchor: bool = False) -> "list[Outcome]":
    """What specs or patches would change: for each notebook an `Outcome`.

    Its `patch` is a JSON Patch (RFC 6902) as text, "" if nothing changes; its `value` is the
    plan as in `kale-tag plan --format json`. A notebook that could not be planned is `failed` and
    has `diagnostics`. With *reanchor*, cells that have moved since a patch was written are found by
    id or source. Raises `UserError` if a path, spec or patch cannot be used.
    """
    return _tagged(paths, reanchor=reanchor, write=False)


def apply(*paths: str, reanchor: bool = False) -> "list[Outcome]":
    """Write what specs or patches change: for each notebook an `Outcome`, as `plan` returns it.

    Raises `UserError` if a path, spec or patch cannot be used; then nothing is written.
    """
    return _tagged(paths, reanchor=reanchor, write=True)


def _tagged(paths: tuple[str, ...], *, reanchor: bool, write: bool) -> "list[Outcome]":
    from kale_tag.commands.shared import batch  # noqa: PLC0415
    from kale_tag.commands.shared.targets import find_targets  # noqa: PLC0415
    from kale_tag.plan.apply import Applied  # noqa: PLC0415
    from kale_tag.render.plan import as_value  # noqa: PLC0415

    def show(outcome: batch.Outcome, done: Applied) -> None:
        outcome.value.append({"spec": done.spec, **as_value(done.plan, done.notebook)})

    targets = find_targets(paths)
    if targets.diagnostics:
        raise UserError(*targets.diagnostics)
    work = batch.Work(show, patch=True, reanchor=reanchor, write=write, quiet=True)
    return [*batch.run(targets, work)]


def check(*paths: str) -> "list[Finding]":
    """The findings of `kale-tag check`, errors and warnings, those that a spec silences too.

    Raises `UserError` if a path, a spec's file or a notebook cannot be used.
    """
    from kale_tag.commands.check import findings  # noqa: PLC0415
    from kale_tag.commands.shared.targets import find_checks  # noqa: PLC0415
    from kale_tag.rules.registry import Finding  # noqa: PLC0415

    checks = find_checks(paths)
    found = [Finding(one) for one in checks.wrong]
    unusable = [*checks.diagnostics]
    for wrong, some in findings(checks, jobs=1, quiet=True):
        unusable += wrong
        found += some
    if unusable:
        raise UserError(*unusable)
    return found


def diff(*words: str) -> "list[ComparedNotebook]":
    """How tags, settings and steps differ: for each notebook a `ComparedNotebook`, with its `diff`.

    *words* are two notebooks or folders, or Git revisions, as for `kale-tag diff`. Raises
    `UserError` if they cannot be compared; a notebook that cannot be read has `diagnostics`.
    """
    from kale_tag.commands.diff import compared  # noqa: PLC0415
    from kale_tag.commands.shared.revisions import find_versions  # noqa: PLC0415

    with ExitStack() as stack:
        return [*compared(find_versions(words, stack))]


def extract(path: str) -> str:
    """The spec, as YAML, that makes the tags of the notebook *path*, or a proposal if it has none.

    Raises `UserError` if it is not a notebook, or if no spec can be proposed for it.
    """
    from kale_tag import files  # noqa: PLC0415
    from kale_tag.commands.extract import member  # noqa: PLC0415
    from kale_tag.extract.extract import extract as as_text  # noqa: PLC0415
    from kale_tag.extract.extract import share  # noqa: PLC0415
    from kale_tag.notebook.read import read_notebook  # noqa: PLC0415

    found, _ = member(read_notebook(files.read(path).data, path), "")
    ((combined, _),) = share([found], "")
    return as_text(combined, "spec.yaml")


def compile(*paths: str) -> dict[str, str]:  # noqa: A001  the command's name
    """The package for Kubeflow Pipelines, as YAML, of each notebook; nothing is written.

    Raises `UserError` if any notebook does not compile.
    """
    from kale_tag.commands.compile import finish  # noqa: PLC0415
    from kale_tag.commands.shared.pipelines import build  # noqa: PLC0415

    built = build(paths, finish(), jobs=1, quiet=True)
    failed = [diagnostic for one in built if one.failed for diagnostic in one.diagnostics]
    if failed:
        raise UserError(*failed)
    return {one.name: one.outputs[0].text for one in built}


def run(*paths: str, folder: str, parameters: Mapping[str, object] | None = None) -> "RunOutcome":
    """Run a pipeline on this machine: the record of the run, with its `state` and `steps`.

    *folder* gets all files of the run. Raises `UserError` if it could not start; the reasons are
    printed.
    """
    from kale_tag.commands.run import RunOptions  # noqa: PLC0415
    from kale_tag.commands.run import run as run_command  # noqa: PLC0415
    from kale_tag.run.run_record import read_run  # noqa: PLC0415

    words = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in (parameters or {}).items()
    ]
    code = run_command(RunOptions(paths=[*paths], param=words, keep=folder, quiet=True))
    if code > 1 or (record := read_run(folder)) is None:
        raise UserError.of("not-run", f"the pipeline of {' '.join(paths)} was not run")
    return record
