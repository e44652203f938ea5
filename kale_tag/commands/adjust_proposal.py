"""A proposal with the eyes of the compiler: what it would refuse is mended, or said."""

import os
from collections.abc import Collection, Sequence
from dataclasses import replace

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, Label, UserError, error
from kale_tag.extract.draft import Block, Draft
from kale_tag.extract.extract import tagged
from kale_tag.extract.propose import propose
from kale_tag.kale import tags
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook


def adjust_proposal(draft: Draft) -> tuple[Draft, Sequence[Diagnostic]]:
    """*draft*, which is proposed, such that `compile` takes it, and what still stands against that.

    A cell that every step would run first, and that needs what only a step gives, goes into a step
    itself; so does one that looked like parameters and has none. What is wrong with a cell of a
    step is for its author: it becomes a remark on the rule. Raises `UserError` where a source
    cannot be read.
    """
    steps: set[int] = set()
    while True:
        diagnostics = _diagnostics(draft)
        shared = {cell for block in draft.blocks for cell in block.cells if _is_shared(block)}
        wrong = {cell for cell in map(_cell, diagnostics) if cell in shared} - steps
        if not wrong:
            blocks = tuple(_remarked(block, diagnostics) for block in draft.blocks)
            return replace(draft, blocks=blocks), diagnostics
        steps |= wrong
        draft = propose(draft.notebook, steps)


def _diagnostics(draft: Draft) -> Sequence[Diagnostic]:
    """What `compile` has against cells of *draft*."""
    # With all that compiles, most of the time that extract takes to start, and for proposals only.
    from kale_tag.compiler.build import build_pipeline  # noqa: PLC0415

    local = files.modules_in(os.path.dirname(draft.notebook.name))
    try:
        build_pipeline(tagged(draft), CompileOptions(), _no_reference, local)
    except UserError as exc:
        return [one for one in exc.diagnostics if _cell(one) is not None]
    return []


def _no_reference(path: str, at: Label) -> Notebook:
    raise UserError(error("bug", f"a proposal refers to no notebook, and not to {path}", at))


def _cell(diagnostic: Diagnostic) -> int | None:
    return diagnostic.labels[0].source.cell if diagnostic.labels else None


def _is_shared(block: Block) -> bool:
    return block.role.kind in tags.SPECIAL


def _remarked(block: Block, diagnostics: Collection[Diagnostic]) -> Block:
    said = [_said(one) for one in diagnostics if _cell(one) in block.cells]
    return replace(block, remarks=(*block.remarks, *said))


def _said(diagnostic: Diagnostic) -> str:
    rest = diagnostic.message.removeprefix("the cell ")
    return f"cell {_cell(diagnostic)}{':' if rest == diagnostic.message else ''} {rest}"
