"""All checks of Kale's rules: of tags, steps, settings and code of a notebook, against Kale 2.3."""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kale_tag.diagnostics import Diagnostic, Label, Source, count, listed, pasted, suggest
from kale_tag.fields.yaml_tree import Path
from kale_tag.kale import names, settings, tags
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, member
from kale_tag.kale.tags import Tag, corrected
from kale_tag.kale.view import SHOWN, TaggedCell, TaggedNotebook, meant
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.notebook.places import Places, cell_label, line_label, tag_label
from kale_tag.rules.registry import found, stops_compile

if TYPE_CHECKING:
    import ast

DONE = "nothing to do if kale-tag compiles the notebook"

MANY = 30
"""Steps among which nobody looks for the right one, least of all once for each wrong tag."""


def lint(notebook: Notebook) -> Iterator[Diagnostic]:
    """Errors and warnings for *notebook*; nothing if it has nothing to do with Kale."""
    tagged = TaggedNotebook(notebook)
    if not tagged.is_kales:
        return
    for check in (*TAG_CHECKS, *SETTINGS_CHECKS, *CODE_CHECKS):
        if check is not no_step or tagged.has_kale_tags:
            yield from check(tagged)


def tag_errors(tagged: TaggedNotebook) -> Iterator[Diagnostic]:
    """The errors in the tags of a notebook for which it cannot become a pipeline."""
    for check in TAG_CHECKS:
        for diagnostic in check(tagged):
            if stops_compile(diagnostic.code):
                yield diagnostic


def has_kale_tags(notebook: Notebook) -> bool:
    """Whether *notebook* is meant to be a pipeline.

    JupyterLab's panel adds settings to each notebook that is opened in it; tags are somebody's.
    """
    return TaggedNotebook(notebook).has_kale_tags


# The tags of one cell.


def unknown_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A tag that looks like Kale's and is not in its language."""
    for cell in nb.cells:
        for position, text in enumerate(cell.read):
            why = ""
            if tags.is_kales(text):
                if tags.parse(text) is not None and text != "notebook:":
                    continue
                why, better = _refused(text)
            elif tags.is_legacy(text) or not (better := meant(text)):
                continue
            yield found(
                "unknown-tag",
                f"`{text}` is not a valid Kale tag{why and f': {why}'}",
                nb.tag(cell, position),
                help=f"write `{better}`" if better else "",
            )


def _refused(text: str) -> tuple[str, str]:
    """Why Kale does not take *text*, a tag of one of its kinds, and what it would take instead."""
    kind, _, rest = text.partition(":")
    parts = tags.KINDS[kind].parts
    given = rest.split(":", len(parts) - 1)
    if len(given) < len(parts):
        form = ":".join(part.name.upper().replace(" ", "_") for part in parts)
        return f"its form is `{kind}:{form}`", ""
    tag = Tag(kind, tuple(given))
    turned = str(Tag(kind, (*given[1:], given[0])))
    if kind == "secret" and tags.parse(turned) is not None:  # as a spec has it, variable first
        return "its form is `secret:SECRET_NAME:SECRET_KEY:ENVIRONMENT_VARIABLE`", turned
    for position, part in tags.invalid_parts(tag):
        better = corrected(given[position], part)
        fixed = Tag(kind, (*given[:position], better, *given[position + 1 :]))
        ok = better and tags.parse(str(fixed)) is not None
        return str(part), str(fixed) if ok else ""
    return "a reference needs a name", ""


def legacy_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    r"""A tag of Kale 0.x, such as `block:load` or `prev:load;clean`."""
    hint = f"convert the notebook to Kale 2: `{pasted('kale-tag upgrade', [nb.notebook.name])}`"
    for cell in nb.cells:
        for position, text in enumerate(cell.read):
            if tags.is_legacy(text):
                yield found(
                    "legacy-tag",
                    f"`{text}` is a tag of Kale 0.x, at which Kale 2 stops",
                    nb.tag(cell, position),
                    help=hint,
                )


def foreign_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Tags at which Kale stops, and `kale-tag compile` does not: of other tools, and some limits."""
    stops = [
        (cell, position, text)
        for cell in nb.cells
        for position, text in enumerate(cell.read)
        if (
            tags.stops_kale(tag)
            if (tag := tags.parse(text)) is not None
            else not (tags.is_kales(text) or tags.is_legacy(text) or meant(text))
        )
    ]
    if not stops:
        return
    names = _named([text for _, _, text in stops][:SHOWN]) + " and others" * bool(stops[SHOWN:])
    if any(tags.parse(text) for _, _, text in stops):
        hint = "Kale takes limits without digits, and quantities without `+` and `-`"
    elif special := stops[0][0].special:
        hint = f"move it behind `{special}`, where Kale does not read on"
    else:
        hint = "remove it; in a spec: `remove`"
    yield found(
        "foreign-tag",
        f"Kale stops at {names}, which only `kale-tag compile` takes",
        nb.tag(*stops[0][:2]),
        also=[nb.tag(cell, position) for cell, position, _ in stops[1:SHOWN]],
        help=f"{hint}; {DONE}",
    )


def bad_tags(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Finds `tags` that are not a list of text, and metadata that is not an object."""
    for index in nb.code:
        metadata = nb.notebook.metadata_of(index)
        if metadata is MISSING:
            continue
        at = replace(cell_label(nb.notebook, index), path=())
        if not isinstance(metadata, dict):
            what = "`metadata` is not an object"
        elif "tags" not in metadata:
            continue
        elif not isinstance(metadata["tags"], list):
            what, at = "`tags` is not a list", tag_label(nb.notebook, index, 0)
        else:
            odd = (at for at, tag in enumerate(metadata["tags"]) if not isinstance(tag, str))
            if (position := next(odd, None)) is None:
                continue
            what, at = "a tag is not text", tag_label(nb.notebook, index, position)
        yield found("bad-tags", what, at, help='`tags` is a list of text: `["step:NAME"]`')


def unread_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Kale tags without effect, since another tag of the cell is the last that Kale reads."""
    for cell in nb.cells:
        if not cell.special:
            continue
        stop = len(cell.read)
        unread = [
            position
            for position, text in enumerate(cell.tags)
            if position != stop
            and (tags.is_kales(text) or tags.is_legacy(text))
            and not (position < stop and text.startswith("notebook:"))
        ]
        if unread:
            names = _named([cell.tags[at] for at in unread])
            yield found(
                "unread-tag",
                f"{names} {'have' if unread[1:] else 'has'} no effect on a cell tagged "
                f"`{cell.special}`",
                nb.tag(cell, unread[0]),
                also=[nb.tag(cell, stop, "Kale reads no further")],
                help=f"remove {names}, or, if the cell is not to be `{cell.special}`, remove "
                f"`{cell.special}`",
            )


def two_steps(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A cell with two steps, or with a reference to a notebook and something else."""
    for cell in nb.cells:
        named = cell.positions("step", "notebook")
        if cell.special:  # steps before it count for nothing, but a reference does
            named = [*cell.positions("notebook"), len(cell.read)]
        if named[1:]:
            first, *others = named
            yield found(
                "two-steps",
                f"the cell has the tags {_named([cell.tags[at] for at in named])}, and can be one "
                "step only",
                nb.tag(cell, others[0]),
                also=[nb.tag(cell, at) for at in (first, *others[1:])],
                help="keep one of them; code that both need goes into a copy of the cell for "
                "each, or into a cell tagged `functions`",
            )


def prev_without_step(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A `prev:` on a cell that is not a step."""
    yield from _without_step(nb, "prev-without-step", "prev")


def setting_without_step(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A tag that sets up a step (`limit:`, `image:` and so on) on a cell that is not a step."""
    yield from _without_step(nb, "setting-without-step", *tags.SETTING_KINDS)


def _without_step(nb: TaggedNotebook, code: str, *kinds: str) -> Iterator[Diagnostic]:
    for cell in nb.cells:
        if cell.special or cell.is_meant_as_a_step or not (stray := cell.positions(*kinds)):
            continue
        is_reference = bool(cell.positions("notebook"))
        what = "a reference to a notebook" if is_reference else "not a step"
        names = _named([cell.read[at] for at in stray])
        yield found(
            code,
            f"{names} on a cell that is {what}",
            nb.tag(cell, stray[0]),
            also=[nb.tag(cell, at) for at in stray[1:]],
            help="remove it; references run in the order of the cells"
            if is_reference
            else "name the step on this cell: `step:NAME`",
        )


def reserved_name(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A step whose name has another meaning, to Kale or to Kubeflow Pipelines."""
    for cell in nb.cells:
        for position in cell.positions("step"):
            if why := why_reserved(cell.read[position].partition(":")[2]):
                yield found(
                    "reserved-name", why, nb.tag(cell, position), help="choose another name"
                )


def why_reserved(name: str) -> str:
    """Why a step cannot have *name*, which Kale's grammar takes; "" if it can."""
    if name in tags.SPECIAL:
        return f"a step cannot be named `{name}`: Kale reads it as the tag `{name}`"
    if name and not name.strip("_"):
        return f"a step cannot be named `{name}`: Kubeflow Pipelines needs a letter in it"
    if name[:1] == "_" and name.lstrip("_")[0].isdigit():
        return f"a step cannot be named `{name}`: Kubeflow Pipelines needs a letter before digits"
    return ""


def repeated_setting(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A setting that a cell has twice, with two values."""
    for cell in nb.cells:
        known: dict[tuple[str, str], int] = {}
        for position in cell.positions(*tags.SETTING_KINDS):
            tag = tags.parse(cell.read[position])
            if tag is None or cell.special:
                continue
            first = known.setdefault((tag.kind, tag.key), position)
            if cell.read[first] != cell.read[position]:
                yield found(
                    "repeated-setting",
                    f"`{cell.read[first]}` and `{cell.read[position]}` contradict each other; Kale "
                    "takes the last one",
                    nb.tag(cell, position),
                    also=[nb.tag(cell, first, "the other value")],
                    help="keep one of them",
                )


def colon_lost(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A label or an annotation whose value has a colon."""
    for cell in nb.cells:
        for position in cell.positions("label", "annotation"):
            tag = tags.parse(cell.read[position])
            if tag is None or cell.special or ":" not in tag.parts[1]:
                continue
            kept = tag.parts[1].replace(":", "")
            yield found(
                "colon-lost",
                f"Kale drops the colons of the {tag.kind} `{tag.parts[0]}`: the pod gets `{kept}`",
                nb.tag(cell, position),
                help="write a value without a colon; `kale-tag compile` keeps colons",
            )


def _named(texts: list[str]) -> str:
    """`a`, `b` and `c`, each once."""
    return listed(dict.fromkeys(texts))


# The steps that they make, and references to other notebooks.


def no_step(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A notebook without a step."""
    if nb.starts:
        return
    hint = "it has no code either"
    if nb.has_kale_tags:
        hint = "tag the cells that do the work: `step:NAME`"
    elif any(nb.code_line(cell) for cell in nb.code):
        command = pasted("kale-tag extract", [nb.notebook.name])
        hint = f"tag its cells with a spec; `{command}` writes one"
    yield found(
        "no-step",
        f"{nb.notebook.name} has no step: no cell is tagged `step:NAME`",
        Label(Source(nb.notebook.name)),
        help=hint,
    )


def dropped_code(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Untagged code above the first block: the first step, or cell with imports and the like."""
    lost = [
        (index, label)
        for index in nb.outline.dropped
        if _is_untagged(nb, index) and (label := nb.code_line(index)) is not None
    ]
    if not lost or not nb.starts:
        return
    more = len(lost) - SHOWN
    notes = [f"cell {index}: `{first_line(nb.notebook.source(index))}`" for index, _ in lost]
    cells = f" ({count(len(lost), 'cell')})" if lost[1:] else ""
    yield found(
        "dropped-code",
        f"the code above the first tagged cell{cells} belongs to no step, and the pipeline leaves "
        "it out",
        lost[0][1],
        notes=[*notes[:SHOWN], f"and {more} more"] if more > 0 else notes if lost[1:] else [],
        help="tag what the steps need `imports` or `functions`, and the rest `skip`",
    )


def ignored_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Finds `prev:` and settings where Kale does not read them: on a later cell of a step."""
    for cell in nb.cells:
        if cell.special or not cell.positions("step"):
            continue
        first = nb.starts.get(cell.role.name)
        known: Sequence[str] = first.read if first is not None else ()
        ignored = [
            at for at in cell.positions("prev", *tags.SETTING_KINDS) if cell.read[at] not in known
        ]
        if first is cell or not ignored:
            continue
        texts = ", ".join(f"`{cell.read[at]}`" for at in ignored)
        where = (
            f"step `{cell.role.name}` starts at cell {first.index}"
            if first
            else "the step has no name"
        )
        yield found(
            "ignored-tag",
            f"Kale does not read {texts} here: {where}",
            nb.tag(cell, ignored[0]),
            also=[nb.tag(cell, at) for at in ignored[1:]],
            help=f"move {'them' if ignored[1:] else 'it'} to cell {first.index}"
            if first
            else "name the step: `step:NAME`",
        )


def unknown_prev(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A `prev:` that names no step of the notebook."""
    for one in nb.dependencies:
        if one.prev not in nb.starts and tags.parse(f"prev:{one.prev}") is not None:
            yield found(
                "unknown-prev",
                does_not_exist(one.step, one.prev),
                nb.tag(one.cell, one.position),
                help=_other_steps(nb, one.step, one.prev),
            )


def does_not_exist(step: str, prev: str) -> str:
    """The message for a `prev` of *step* that names no step."""
    return f"step `{step}` depends on `{prev}`, which does not exist"


def _other_steps(nb: TaggedNotebook, step: str, prev: str) -> str:
    """What may have been meant by *prev*."""
    others = [name for name in nb.starts if name != step]
    if len(others) > MANY:
        return "correct the name, or remove the tag"
    return suggest(prev, others, "the others are") or "remove the tag"


def later_prev(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A `prev:` that names a step further down."""
    circular = {(one.step, one.prev) for cycle in nb.cycles for one in cycle}
    for one in nb.dependencies:
        start = nb.starts.get(one.prev)
        if start is None or (one.step, one.prev) in circular or start.index <= one.cell.index:
            continue
        yield found(
            "later-prev",
            f"step `{one.step}` depends on `{one.prev}`, which starts further down, at cell "
            f"{start.index}",
            nb.tag(one.cell, one.position),
            also=[nb.step(start, f"`{one.prev}` starts here")],
            help="Kale reads from the top: move the cell up, or remove the `prev`",
        )


def cycle(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Steps that depend on each other, or a step that depends on itself."""
    for route in nb.cycles:
        labels = [
            nb.tag(one.cell, one.position, f"`{one.step}` depends on `{one.prev}`") for one in route
        ]
        yield found(
            "cycle",
            cycle_message([one.step for one in route]),
            labels[0],
            also=labels[1:],
            help="remove one of these `prev` tags" if labels[1:] else "remove the tag",
        )


def cycle_message(steps: Sequence[str]) -> str:
    """The message for *steps* of which each depends on the next, and the last on the first."""
    if not steps[1:]:
        return f"step `{steps[0]}` depends on itself"
    return f"steps depend on each other: {' -> '.join([*steps, steps[0]])}"


def step_after_metrics(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A step right behind a cell tagged `pipeline-metrics`."""
    metrics: TaggedCell | None = None
    for cell in nb.cells:
        if cell.special:
            if cell.special != "skip":
                metrics = cell if cell.special == "pipeline-metrics" else None
        elif cell.role.kind:
            if metrics is not None and cell.role.kind == "step":
                yield found(
                    "step-after-metrics",
                    f"step `{cell.role.name}` is below the metrics of cell {metrics.index}, which "
                    "Kale wants at the end",
                    nb.step(cell),
                    also=[nb.tag(metrics, len(metrics.read), "the metrics")],
                    help="move the metrics to the end of the notebook",
                )
            metrics = None


def _is_untagged(nb: TaggedNotebook, index: int) -> bool:
    """Whether a cell has no tags at all, nor something that is not a list of them."""
    metadata = nb.notebook.metadata_of(index)
    return metadata is MISSING or (isinstance(metadata, dict) and metadata.get("tags", []) == [])


def reference_without_path(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A reference to another notebook without the path of that notebook."""
    for cell in _references(nb):
        path = member(nb.notebook.metadata_of(cell.index), PATH_KEY)
        if not isinstance(path, str) or not path:
            yield found(
                "reference-without-path",
                f"`notebook:{cell.role.name}` refers to a notebook, and the cell has no "
                f"`{PATH_KEY}`",
                nb.step(cell),
                help=f'write it beside `tags` in the metadata of the cell: `"{PATH_KEY}": '
                '"PATH.ipynb"`',
            )


def code_in_reference(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Code in a cell that refers to another notebook."""
    for cell in _references(nb):
        if (line := nb.code_line(cell.index)) is not None:
            yield found(
                "code-in-reference",
                f"the code of the cell would never run: `notebook:{cell.role.name}` runs another "
                "notebook",
                line,
                also=[nb.step(cell)],
                help="move the code to a cell of its own: `step:NAME`",
            )


def duplicate_name(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A name of two references, or of a reference and a step."""
    for cell in nb.cells:
        first = nb.starts.get(cell.role.name)
        if first is None or first is cell:
            continue
        if "notebook" in {first.role.kind, cell.role.kind}:
            yield found(
                "duplicate-name",
                f"`{cell.role.name}` is already the name of cell {first.index}, and a reference "
                "needs a name of its own",
                nb.step(cell),
                also=[nb.step(first, "the first of that name")],
                help="give one of them another name",
            )


def code_after_reference(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Untagged cells below a reference to another notebook without a step below them."""
    held: list[int] = []
    reference: TaggedCell | None = None  # as long as cells are held for the next step
    for index in nb.code:
        cell = nb.by_index.get(index)
        if cell is None or not cell.role.kind:
            held += [index] if reference is not None else []
        elif cell.role.kind == "notebook":
            if held:
                break
            reference = cell
        elif cell.special != "skip":
            reference = None
            held = [] if cell.role.kind == "step" else held
    if held:
        cells = count(len(held), "untagged cell")
        yield found(
            "code-after-reference",
            f"{cells} below a reference to a notebook: such cells belong to the next step, and "
            "none follows",
            cell_label(nb.notebook, held[0]),
            help="tag it `skip`, delete it, or make it a step",
        )


def _references(nb: TaggedNotebook) -> Iterator[TaggedCell]:
    return (cell for cell in nb.cells if cell.role.kind == "notebook")


# The settings of the notebook.


CALLED = f"`{SETTINGS_KEY}`"
REQUIRED = ("pipeline_name", "experiment_name")
PANEL = {
    "base_image": ("deletes", "tag each step `image:IMAGE`"),
    "steps_defaults": ("empties", "give them to each step, by `limit:`, `label:`, `secret:`"),
}
"""What JupyterLab's panel does to two settings whenever the notebook is opened and saved, and what
to do instead."""


def setting_problems(present: object, places: Places) -> Iterator[tuple[str, Diagnostic]]:
    """Everything in *present* at which Kale stops, each with the key of the setting.

    *present* are the settings of the notebook that *places* is of; null is none.
    """

    def place(path: Path) -> Label:
        return places.metadata(None, (SETTINGS_KEY, *path))

    if present is None:
        return
    if not isinstance(present, dict):
        message = f"{CALLED} is not an object"
        hint = "remove it, or make it an object: `{}`"
        yield SETTINGS_KEY, found("invalid-setting", message, place(()), help=hint)
        return
    defaults = present.get("steps_defaults")
    ours = {
        place(("steps_defaults", position)): text
        for position, text in enumerate(defaults if isinstance(defaults, list) else ())
        if isinstance(text, str)
        and (tag := tags.parse(text)) is not None
        and tag.kind in {*tags.SETTING_KINDS} - {*tags.DEFAULTS.values()}
    }
    for key, problem in settings.problems(present, place, CALLED):
        code, message, hint = problem.code, problem.message, problem.help
        if text := ours.get(problem.labels[0], ""):
            code, hint = "foreign-tag", f"{hint}; {DONE}"
            message = f"Kale stops at the default `{text}`, which only `kale-tag compile` takes"
        elif code == "two-experiments":
            hint = "make them the same: JupyterLab's panel takes `experiment` for the truth"
        elif code == "unknown-setting":
            hint = hint if hint.startswith("did you mean") else "remove it; Kale stops at it"
        else:
            code = "invalid-setting"
        yield key, found(code, message, problem.labels[0], help=hint)


def wrong_settings(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A setting that Kale 2.3 does not know, or whose value it does not take."""
    present = member(nb.notebook.metadata, SETTINGS_KEY, {})
    yield from (diagnostic for _, diagnostic in setting_problems(present, nb.places))


def missing_setting(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A notebook with tags whose pipeline or experiment has no name."""
    missing = [key for key in REQUIRED if nb.settings.get(key) is None]
    if nb.has_kale_tags and missing:
        names = " or ".join(f"`{key}`" for key in missing)
        yield found(
            "missing-setting",
            f"the notebook has Kale tags, and its settings have no {names}",
            nb.places.metadata(None, (SETTINGS_KEY,)),
            help="give a spec `pipeline: {pipeline_name: NAME, experiment_name: NAME}`",
        )


def panel_name(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A name of the experiment that the form of JupyterLab's panel does not take.

    The panel reads `experiment`, if it is there. One with an id was chosen from a list.
    """
    experiment = nb.settings.get("experiment")
    chosen = experiment if isinstance(experiment, dict) else {}
    key = "experiment_name" if chosen.get("name") is None else "experiment"
    name = chosen["name"] if key == "experiment" else nb.settings.get(key)
    takes = names.EXPERIMENT_NAME.takes
    is_new = chosen.get("id") in (None, "", "new")
    if not nb.has_kale_tags or not is_new or not isinstance(name, str) or takes(name):
        return
    what = f"refuses the experiment name `{name}`" if name else "needs a name for the experiment"
    better = names.pipeline_name(name)
    yield found(
        "panel-name",
        f"JupyterLab's panel {what}: its Compile button is off",
        nb.places.metadata(None, (SETTINGS_KEY, key)),
        help=f"`pipeline: {{experiment_name: {better if takes(better) else 'NAME'}}}` in a spec: "
        f"the panel takes {names.EXPERIMENT_NAME.words}",
    )


def panel_loss(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A `base_image` and `steps_defaults`, which do not survive JupyterLab's panel."""
    for key, (does, stays) in PANEL.items():
        if nb.settings.get(key):
            yield found(
                "panel-loss",
                f"JupyterLab's panel {does} `{key}` whenever the notebook is saved",
                nb.places.metadata(None, (SETTINGS_KEY, key)),
                help=f"{stays}; or keep the setting in a spec, with "
                "`ignore: {panel-loss: REASON}`",
            )


# What Kale's compiler refuses in the code of cells, and `kale-tag compile` accepts. Source:
# `kale/processors/nbprocessor.py` and `kale/common/astutils.py` of Kale 2.3.0.


PARSED = ("imports", "functions", "pipeline-parameters")
"""Shared cells that Kale parses as Python, besides those of steps."""

METRIC = re.compile(r"print\(([a-z](?:[_a-z0-9]{0,62}[a-z0-9])?)\)")
"""A line of a `pipeline-metrics` cell that Kale takes."""

_IPYTHON = re.compile(r"\s*(?:[%!?]|\w+\s*=\s*[%!]\w)|.*\?\s*$")


def ipython_syntax(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Lines of IPython in the cells of steps, imports, functions and parameters."""
    cells = {cell for step in nb.outline.steps for cell in step.cells}
    cells.update(cell for kind in PARSED for cell in nb.outline.shared.get(kind, ()))
    lines = {
        cell: line
        for cell in sorted(cells)
        if (line := ipython_line(nb.notebook.source(cell))) is not None
    }
    if not lines:
        return
    labels = [line_label(nb.notebook, cell, line) for cell, line in lines.items()]
    first = next(iter(lines))
    text = nb.notebook.source(first).splitlines()[lines[first]].strip()
    others = f" and in {count(len(lines) - 1, 'more cell')}" * bool(labels[1:])
    yield found(
        "ipython-syntax",
        f"Kale stops at the IPython syntax `{text}`{others}; `kale-tag compile` accepts it",
        labels[0],
        also=labels[1:SHOWN],
        help=f"move such lines into a cell tagged `skip`, or write them in Python; {DONE}",
    )


def parameter_type(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Parameters that are constants, but none that Kale takes."""
    wrong = []
    for cell in nb.outline.shared.get("pipeline-parameters", ()):
        source = nb.notebook.source(cell)
        if error_line(source) is None:
            body = parsed(source).body
            wrong += [(cell, one.lineno - 1, name) for one in body if (name := wrong_type(one))]
    if wrong:
        labels = [line_label(nb.notebook, cell, line) for cell, line, _ in wrong]
        yield found(
            "kale-parameter",
            f"Kale stops at {listed(dict.fromkeys(name for _, _, name in wrong))}: as parameters "
            "it takes texts, True, False, and numbers that are not negative",
            labels[0],
            also=labels[1:SHOWN],
            help=f"`kale-tag compile` takes lists, mappings, None and negative numbers too; {DONE}",
        )


def ipython_line(source: str) -> int | None:
    """The 0-based line at which Kale stops in *source*, if that is one of IPython."""
    lines = source.splitlines()
    if not any(map(_IPYTHON.match, lines)):
        return None
    line = error_line(source)
    return line if line is not None and _IPYTHON.match([*lines, ""][line]) else None


def error_line(source: str) -> int | None:
    """The 0-based line of the first syntax error in *source*; None if there is none."""
    try:
        parsed(source)
    except SyntaxError as exc:
        return min(max((exc.lineno or 1) - 1, 0), len(source.splitlines()))
    except (ValueError, RecursionError, MemoryError):  # a NUL; nested too deeply
        return 0
    return None


def parsed(source: str) -> "ast.Module":
    """The statements of *source*. Raises what `ast.parse` raises."""
    import ast  # noqa: PLC0415  slow to import, needed for odd lines and parameters only

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an escape in a text that a later Python will not take
        return ast.parse(source)


def is_parameter(statement: "ast.stmt") -> bool:
    """Whether Kale takes it: `name = `, and a text, True, False or a number not negative."""
    import ast  # noqa: PLC0415  see above

    match statement:
        case ast.Assign(targets=[ast.Name()], value=ast.Constant(value=value)):
            return isinstance(value, str | int | float)
        case _:
            return False


def wrong_type(statement: "ast.stmt") -> str:
    """The name that *statement* gives a constant that Kale does not take; "" if it is another."""
    import ast  # noqa: PLC0415  see above

    if is_parameter(statement):
        return ""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            try:
                ast.literal_eval(value)
            except (ValueError, TypeError, MemoryError, RecursionError):
                return ""
            return str(name)
        case _:
            return ""


TAG_CHECKS = (
    unknown_tag,
    legacy_tag,
    foreign_tag,
    bad_tags,
    unread_tag,
    two_steps,
    prev_without_step,
    setting_without_step,
    reserved_name,
    repeated_setting,
    colon_lost,
    no_step,
    dropped_code,
    ignored_tag,
    unknown_prev,
    later_prev,
    cycle,
    step_after_metrics,
    reference_without_path,
    code_in_reference,
    duplicate_name,
    code_after_reference,
)

SETTINGS_CHECKS = (wrong_settings, missing_setting, panel_name, panel_loss)

CODE_CHECKS = (ipython_syntax, parameter_type)

OF_A_PLAN = (ignored_tag, unknown_prev, later_prev, cycle, colon_lost, foreign_tag)
"""The checks of what a spec adds to a notebook: its tags are valid, each by itself."""
