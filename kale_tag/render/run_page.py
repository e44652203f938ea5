"""A run as one HTML page that needs nothing else: graph, steps, metrics, what cells show, logs.

The pages of the steps stand in frames, so that the styles of tables in them stay theirs.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from kale_tag.diagnostics import Diagnostic
from kale_tag.graph.svg import as_svg
from kale_tag.kale.pipeline import Pipeline
from kale_tag.render import run_text
from kale_tag.render.diagnostics import where
from kale_tag.render.run_text import MARKS, seconds, size
from kale_tag.run.run_record import RunComparison, RunOutcome, State, StepOutcome

OPEN = 12
"""Of a run with more steps, only those that failed are unfolded."""

WORDS: dict[State, str] = {
    "waiting": "not started",
    "running": "running",
    "done": "done",
    "reused": "from an earlier run",
    "failed": "failed",
    "stopped": "stopped",
}

# Nothing is fetched, whatever the cells show: what they need stands in the page.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:; font-src data:; "
    "media-src data:; frame-src 'self'"
)
_STYLE = """\
:root{color-scheme:light dark;--back:#fff;--text:#1f2328;--dim:#59636e;--line:#d1d9e0;
--soft:#f6f8fa;--done:#1a7f37;--failed:#cf222e;--reused:#0969da;--waiting:#818b98}
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--dim:#9198a1;--line:#3d444d;
--soft:#151b23;--done:#3fb950;--failed:#f85149;--reused:#4493f8;--waiting:#6e7681}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:var(--back);
color:var(--text);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
p{margin:.2rem 0;color:var(--dim)}
code,pre,td.number{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}
code,td.number{font-size:.92em}
table{border-collapse:collapse;width:100%}
th{text-align:left;font-weight:600;color:var(--dim)}
td,th{padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td.number,th.number{text-align:right;white-space:nowrap}
td.value{overflow-wrap:anywhere}
a{color:inherit}
.wide{overflow-x:auto}
#metrics,#parameters{width:auto;min-width:50%}
.state{white-space:nowrap;font-weight:600}
.is-done{color:var(--done)}.is-failed,.is-stopped{color:var(--failed)}
.is-reused,.is-running{color:var(--reused)}.is-waiting{color:var(--waiting)}
.bar{position:relative;min-width:8rem;width:30%}
.bar i{position:absolute;top:.65rem;height:.6rem;min-width:2px;border-radius:2px;
background:currentColor}
#graph{overflow:auto;border:1px solid var(--line);border-radius:6px;padding:.5rem}
#graph svg{display:block;margin:auto}
#graph svg text{fill:var(--text)}#graph svg .label{fill:var(--dim)}
#graph svg .back{fill:var(--back)}
#graph svg .line{stroke:var(--waiting)}#graph svg .head{fill:var(--waiting)}
#graph svg .step,#graph svg .inner{fill:var(--soft);stroke:var(--waiting)}
#graph svg .done{stroke:var(--done);stroke-width:2}
#graph svg .failed,#graph svg .stopped{stroke:var(--failed);stroke-width:3}
#graph svg .reused{stroke:var(--reused);stroke-width:2;stroke-dasharray:5 3}
details{border:1px solid var(--line);border-radius:6px;margin:.6rem 0;background:var(--back)}
details.step-failed{border-color:var(--failed)}
summary{cursor:pointer;padding:.5rem .8rem;font-weight:600;background:var(--soft);border-radius:6px}
summary span{font-weight:400;color:var(--dim);margin-left:.8rem}
details details{margin:.6rem .8rem;border-color:var(--line)}
iframe{display:block;width:100%;height:24rem;border:0;background:transparent}
pre{margin:0;padding:.6rem .8rem;overflow:auto;max-height:32rem;font-size:.86em;
white-space:pre-wrap;overflow-wrap:anywhere}
.fault{margin:1rem 0;padding:.5rem .8rem;border:1px solid var(--failed);border-radius:6px}
.fault a{font-weight:600;color:var(--failed)}.fault pre{padding:0}
pre.why{border-left:3px solid var(--failed);max-height:none}
"""
_INNER = """<style>h1,h1+p{display:none}h2:first-of-type{margin-top:.5rem}body{padding:0 .8rem}
.sk-global.sk-top-container{overflow-x:auto!important}</style>"""
"""Behind the page of a step: what its heading says, the page of the run has said. The boxes of
scikit-learn have a scroll bar that is always there."""

_SCRIPT = """\
// A frame is as high as what it shows. The script of the page, not of what cells show.
for (const frame of document.querySelectorAll('iframe')) {
  const fit = () => {
    const inner = frame.contentDocument;
    if (inner && inner.body && frame.offsetParent) {
      inner.body.style.margin = '0 auto';
      const height = inner.documentElement.getBoundingClientRect().height;
      frame.style.height = Math.ceil(height + 4) + 'px';
    }
  };
  const start = () => {
    if (!frame.contentDocument) return;
    fit();
    new ResizeObserver(fit).observe(frame.contentDocument.documentElement);
  };
  frame.addEventListener('load', start);
  if (frame.contentDocument && frame.contentDocument.readyState === 'complete') start();
  for (let up = frame.closest('details'); up; up = up.parentElement.closest('details'))
    up.addEventListener('toggle', fit);
}
const show = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === 'DETAILS') { target.open = true; target.scrollIntoView(); }
};
addEventListener('hashchange', show);
show();
"""


@dataclass(frozen=True, slots=True)
class StepParts:
    """What of a step is in its files: its own page, its log as text, and why it failed."""

    page: str = ""
    log: str = ""
    why: str = ""
    diagnostic: Diagnostic | None = None


def as_page(
    run: RunOutcome,
    graph: Pipeline,
    parts: Mapping[str, StepParts],
    compared: RunComparison | None,
    made_by: str,
) -> str:
    """The page of *run*; *graph* is its pipeline, *parts* what each task of it has."""
    return "".join(f"{line}\n" for line in _page(run, graph, parts, compared, made_by))


def _page(
    run: RunOutcome,
    graph: Pipeline,
    parts: Mapping[str, StepParts],
    compared: RunComparison | None,
    made_by: str,
) -> Iterator[str]:
    title = escape(run.pipeline)
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{title}: {WORDS[run.state]}</title>"
    yield f"<style>\n{_STYLE}</style></head><body>"
    yield f"<h1>{title}</h1>"
    when = escape(run.started[:19].replace("T", " "))
    yield f'<p><span class="state is-{run.state}">{_state(run.state)}</span> in '
    yield f"{seconds(run.seconds)} &middot; {when} &middot; {escape(made_by)}</p>"
    if graph.description:
        yield f"<p>{escape(graph.description)}</p>"
    for step in run.steps:
        if diagnostic := parts.get(step.task, StepParts()).diagnostic:
            yield from _diagnostic(step, diagnostic)
    drawing = as_svg(graph, _states(run), heading=False)
    yield f'<h2>Pipeline</h2>\n<div id="graph">{drawing}</div>'
    yield from _metrics(run)
    if compared is not None:
        yield from _compared(compared, len(run.steps))
    yield from _steps(run)
    yield from _parameters(run)
    yield "<h2>What the steps show</h2>"
    for step in run.steps:
        yield from _step(step, parts.get(step.task, StepParts()), few=len(run.steps) <= OPEN)
    yield f"<script>\n{_SCRIPT}</script></body></html>"


def _diagnostic(step: StepOutcome, diagnostic: Diagnostic) -> Iterator[str]:
    """Why a step failed, and where in the notebook."""
    yield f'<div class="fault"><a href="#step-{step.task}">{_words(diagnostic.message)}</a>'
    for label in diagnostic.labels:
        yield f"<p>{escape(where(label))}</p>"
        if label.span:
            line = label.source.text[label.span.start : label.span.end]
            yield f"<pre>{escape(line)}</pre>"
    if diagnostic.help:
        yield f"<p>{_words(diagnostic.help)}</p>"
    yield "</div>"


def _states(run: RunOutcome) -> dict[str, str]:
    """The state of each box: that of its worst step."""
    order: list[State] = ["reused", "done", "waiting", "running", "stopped", "failed"]
    found: dict[str, State] = {}
    for step in run.steps:
        unit = step.title.partition("/")[0]
        found[unit] = max(found.get(unit, "reused"), step.state, key=order.index)
    return dict(found)


def _metrics(run: RunOutcome) -> Iterator[str]:
    found = [(step, name, value) for step in run.steps for name, value in step.metrics.items()]
    if not found:
        return
    yield '<h2>Metrics</h2>\n<div class="wide"><table id="metrics">'
    yield '<tr><th>metric</th><th class="number">value</th><th>step</th></tr>'
    for step, name, value in found:
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        yield (
            f'<tr><td><code>{escape(name)}</code></td><td class="number" '
            f'title="{escape(str(value))}">{escape(shown)}</td><td>{_link(step)}</td></tr>'
        )
    yield "</table></div>"


def _compared(compared: RunComparison, steps: int) -> Iterator[str]:
    yield f"<h2>Compared with the notebook</h2>\n<p>{escape(compared.notebook)}, "
    yield f"{run_text.beside(compared, steps)}. {_words(run_text.compared(compared))}.</p>"
    lines = [
        *run_text.remarks(compared),
        *(diagnostic.message for diagnostic in compared.diagnostics),
    ]
    yield from (f"<p>{_words(line)}</p>" for line in lines)
    if compared.different:
        yield '<div class="wide"><table id="compared"><tr><th>step</th><th>variable</th>'
        yield "<th>in the notebook</th><th>in the pipeline</th><th>first difference</th></tr>"
        for one in compared.different:
            place, sides = "", (one.notebook, one.pipeline)
            if one.first:
                place = one.first.place
                if one.first.notebook and one.notebook == one.pipeline:
                    sides = one.first.notebook, one.first.pipeline
            cells = "".join(f'<td class="value"><code>{escape(side)}</code></td>' for side in sides)
            yield f"<tr><td>{escape(one.step)}</td><td><code>{escape(one.name)}</code></td>{cells}"
            yield f'<td class="value">{_words(place)}</td></tr>'
        yield "</table></div>"


def _steps(run: RunOutcome) -> Iterator[str]:
    ran = [step for step in run.steps if step.seconds]
    first = min((step.began for step in ran), default=0.0)
    whole = max(max((step.began + step.seconds for step in ran), default=0.0) - first, 0.001)
    yield '<h2>Steps</h2>\n<div class="wide"><table id="steps">'
    yield '<tr><th>step</th><th>state</th><th class="number">time</th>'
    yield '<th class="number">outputs</th><th>when</th></tr>'
    for step in run.steps:
        time = seconds(step.seconds) if step.seconds else ""
        bytes_ = size(step.size) if step.size else ""
        left, width = 100 * (step.began - first) / whole, 100 * step.seconds / whole
        bar = f'<i style="left:{left:.2f}%;width:{width:.2f}%"></i>' if step.seconds else ""
        more = f" (attempt {step.attempts})" if step.attempts > 1 else ""
        yield (
            f'<tr><td>{_link(step)}</td><td class="state is-{step.state}">{_state(step.state)}'
            f'{more}</td><td class="number">{time}</td><td class="number">{bytes_}</td>'
            f'<td class="bar is-{step.state}">{bar}</td></tr>'
        )
    yield "</table></div>"


def _parameters(run: RunOutcome) -> Iterator[str]:
    if not run.parameters:
        return
    yield '<h2>Parameters</h2>\n<div class="wide"><table id="parameters">'
    for name, value in run.parameters.items():
        shown = json.dumps(value, ensure_ascii=False)
        yield f"<tr><td><code>{escape(name)}</code></td>"
        yield f'<td class="value"><code>{escape(shown)}</code></td></tr>'
    yield "</table></div>"


def _step(step: StepOutcome, parts: StepParts, *, few: bool) -> Iterator[str]:
    failed = step.state == "failed"
    unfolded = " open" if failed or (few and step.state != "waiting") else ""
    time = f"{seconds(step.seconds)}" if step.seconds else ""
    yield f'<details id="step-{step.task}" class="step step-{step.state}"{unfolded}>'
    yield f"<summary>{escape(step.title)}"
    yield f'<span class="is-{step.state}">{_state(step.state)}</span><span>{time}</span></summary>'
    if parts.why:
        yield f'<pre class="why">{escape(parts.why)}</pre>'
    if parts.page:
        page = escape(parts.page + _INNER)
        yield f'<iframe title="{escape(step.title)}" srcdoc="{page}"></iframe>'
    if step.outputs and any(output.variable for output in step.outputs):
        yield "<details><summary>Outputs</summary>"
        yield '<div class="wide"><table><tr><th>variable</th><th>type</th><th>format</th>'
        yield '<th class="number">size</th><th>sha256</th></tr>'
        for output in step.outputs:
            if output.variable:
                kind, form = (str(output.metadata.get(key, "")) for key in ("type", "format"))
                yield f"<tr><td><code>{escape(output.variable)}</code></td><td>{escape(kind)}</td>"
                yield f'<td>{escape(form)}</td><td class="number">{size(output.size)}</td>'
                yield f"<td><code>{escape(output.sha256[:12])}</code></td></tr>"
        yield "</table></div></details>"
    if parts.log:
        yield f"<details><summary>Log</summary><pre>{escape(parts.log)}</pre></details>"
    yield "</details>"


def _words(text: str) -> str:
    """A message of ours, in which names stand between backticks."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _link(step: StepOutcome) -> str:
    return f'<a href="#step-{step.task}">{escape(step.title)}</a>'


def _state(state: State) -> str:
    return f"{MARKS[state][0]} {WORDS[state]}"
