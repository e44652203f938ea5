"""The values for `templates/run_page.html`: a run as one HTML page without other files.

It shows the graph, steps, metrics, results of cells, and logs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic
from kale_tag.graph.svg import as_svg
from kale_tag.kale.pipeline import Pipeline
from kale_tag.render import run_text
from kale_tag.render.diagnostics import where
from kale_tag.render.run_text import MARKS, WORDS, seconds, size
from kale_tag.run.run_record import ComparedVariable, RunComparison, RunOutcome, State

OPEN = 12
"""In a run with more steps, only those that failed are unfolded."""


@dataclass(frozen=True, slots=True)
class StepParts:
    """The contents of the files of a step."""

    page: str = ""  # its own HTML page
    log: str = ""  # what it printed
    why: str = ""  # the part of the log that shows why it failed
    diagnostic: Diagnostic | None = None  # of its failure


def as_page(
    run: RunOutcome,
    graph: Pipeline,
    parts: Mapping[str, StepParts],
    compared: RunComparison | None,
    made_by: str,
) -> str:
    """The page of *run*; *graph* is its pipeline, *parts* are the files of each task."""
    import jinja2  # noqa: PLC0415  slow to import

    loader = jinja2.PackageLoader("kale_tag.render")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "json": lambda value: json.dumps(value, ensure_ascii=False),
        "seconds": seconds,
        "size": size,
        "where": where,
    }
    ran = [step for step in run.steps if step.seconds]
    first = min((step.began for step in ran), default=0.0)
    last = max((step.began + step.seconds for step in ran), default=0.0)
    unfolded = {
        step.task
        for step in run.steps
        if step.state == "failed" or (len(run.steps) <= OPEN and step.state != "waiting")
    }
    css, js = (loader.get_source(environment, f"step_page.{end}")[0] for end in ("css", "js"))
    values: dict[str, object] = {
        "run": run,
        "description": graph.description,
        "parts": {step.task: parts.get(step.task, StepParts()) for step in run.steps},
        "made_by": made_by,
        "marks": MARKS,
        "state_words": WORDS,
        "drawing": as_svg(graph, _states(run), heading=False),
        "metrics": [
            (step, name, value, f"{value:.6g}" if isinstance(value, float) else value)
            for step in run.steps
            for name, value in step.metrics.items()
        ],
        "first": first,
        "whole": max(last - first, 0.001),
        "unfolded": unfolded,
        "inner": f"<style>{css}</style><script>{js.rstrip()}</script>",
        "compared": compared,
    }
    if compared:
        values |= {
            "beside": run_text.what_was_compared(compared, len(run.steps)),
            "result": run_text.compared(compared),
            "remarks": [
                *run_text.remarks(compared),
                *(diagnostic.message for diagnostic in compared.diagnostics),
            ],
            "different": [(one, _sides(one)) for one in compared.different],
        }
    return environment.get_template("run_page.html").render(values) + "\n"


def _states(run: RunOutcome) -> dict[str, str]:
    """The state of each box: that of its worst step."""
    order: list[State] = ["reused", "done", "waiting", "running", "stopped", "failed"]
    found: dict[str, State] = {}
    for step in run.steps:
        unit = step.title.partition("/")[0]
        found[unit] = max(found.get(unit, "reused"), step.state, key=order.index)
    return dict(found)


def _sides(one: ComparedVariable) -> tuple[str, str]:
    """A variable in the notebook and in the pipeline, or of two that look alike their parts."""
    if one.first and one.first.notebook and one.notebook == one.pipeline:
        return one.first.notebook, one.first.pipeline
    return one.notebook, one.pipeline
