"""Tags and settings of Kale 0.x (`block:`, `prev:a;b`, `docker_image`, ...) to those of Kale 2.

Of the settings only those that Kale 2.3 refuses are removed. Those that it accepts and ignores
(Katib, snapshots, volumes other than `pvc`) stay, with a warning. Whatever has no equivalent is a
warning with its place. Source: the parsers of kubeflow-kale 0.2.2, 0.3.4, 0.4.0, 0.5.1, 0.7.0 and
2.3.0, there `NotebookConfig` in `kale/processors/nbprocessor.py` and the records in
`kale/pipeline.py`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kale_tag.diagnostics import Diagnostic, listed, warning
from kale_tag.fields.yaml_tree import Path
from kale_tag.kale import names, settings, tags
from kale_tag.kale.checks import (
    METRIC,
    error_line,
    ipython_line,
    is_parameter,
    lint,
    parsed,
    wrong_type,
)
from kale_tag.kale.metadata import SETTINGS_KEY, member, tags_in
from kale_tag.kale.outline import outline, role_of
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places, in_files

BEFORE_EVERY_STEP = ("parameters", "injected-parameters")
"""Papermill's tags: Kale 0.1 to 0.4 ran their cells before every step, as it does `imports`."""

DATA = ("in", "out")
"""Tags that named the inputs and outputs of a step, in the oldest notebooks."""

IN_A_SPEC = "in a spec with `legacy: upgrade`, for one notebook or for all"

OLD = frozenset({"docker_image", "autosnapshot", "marshal_volume"})
"""The fields of Kale 0.x that Kale 2 refuses."""

MARSHAL_PATH = "/tmp/marshal"  # noqa: S108  Kale's, in the container of a step
"""The only `marshal_path` with which the steps of Kale 2.3 run."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The tags and settings of a notebook in Kale 2."""

    tags: Mapping[int, list[str]] = field(default_factory=dict)  # of each cell whose tags change
    settings: dict[str, object] | None = None  # None where they stay
    cell_warnings: tuple[tuple[int, Diagnostic], ...] = ()  # what a cell loses
    setting_warnings: tuple[tuple[str, Diagnostic], ...] = ()  # by key: what the settings lose


def upgrade(notebook: Notebook, stem: str, chosen: Mapping[str, str]) -> Upgraded:
    """What changes in *notebook* for Kale 2; nothing in a notebook without Kale tags.

    *stem* is the file name without its suffix, for a pipeline without a name. *chosen* are the
    user's new names for steps.
    """
    present = member(notebook.metadata, SETTINGS_KEY)
    old = present if isinstance(present, dict) else {}
    listed = {
        index: found for index in notebook.code if (found := tags_in(notebook.metadata_of(index)))
    }
    texts = [text for found in listed.values() for text in found]
    has_steps = any(text.startswith(("block:", "step:")) for text in texts)
    if not has_steps and present is None:
        return Upgraded()
    places = Places(notebook)
    called = _new_names(listed, chosen)
    is_old = any(map(tags.is_legacy, texts)) or not OLD.isdisjoint(old)
    new: dict[int, list[str]] = {}
    warnings = [*_collisions(listed, called, chosen, places)]
    for index, before in listed.items():
        after = _tags(before, called, is_old=is_old)
        if after != before:
            new[index] = after
            warnings += ((index, one) for one in _dropped(index, before, after, places))
    if is_old:
        warnings += _give_prev(notebook, listed, called, new, places)
    upgraded: dict[str, object] | None = None
    losses: list[Loss] = []
    if present is None or isinstance(present, dict):
        upgraded, losses = _upgraded_settings(old, stem, has_steps=has_steps and is_old)
    if not is_old and not new and upgraded is None:
        losses = []  # reported when the notebook was upgraded
    return Upgraded(
        new,
        upgraded,
        tuple(sorted(warnings, key=lambda one: one[0])),
        tuple(
            (str(path[0]), replace(loss, labels=(places.metadata(None, (SETTINGS_KEY, *path)),)))
            for path, loss in losses
        ),
    )


def _tags(before: Sequence[str], names: Mapping[str, str], *, is_old: bool) -> list[str]:
    """The tags of one cell, in their order; *is_old*: the notebook is of Kale 0.x."""
    after: list[str] = []
    for text in before:
        kind, colon, rest = text.partition(":")
        if kind in {"block", "step"} and colon:
            after += _step(text, names)
        elif kind == "prev" and rest:
            after += [f"prev:{names.get(name, name)}" for name in _names_meant(text)]
        elif kind in DATA and (is_old or colon):
            continue
        else:
            # Kale 2 would stop at these; behind a special tag it does not look at them.
            if text in BEFORE_EVERY_STEP and is_old and not any(t in tags.SPECIAL for t in after):
                after.append("imports")
            after.append(text)
    if after == list(before):
        return after
    others = {text.partition(":")[0] for text in after} & {"prev", *tags.SETTING_KINDS}
    if "step:" in after and not others:
        after.remove("step:")  # the same as no tag: the cell belongs to the block above
    # Two tags may have become one; tags of other tools stay.
    return [
        text for at, text in enumerate(after) if text not in after[:at] or not tags.is_kales(text)
    ]


def _give_prev(
    notebook: Notebook,
    listed: "Listed",
    called: Mapping[str, str],
    new: dict[int, list[str]],
    places: Places,
) -> list[tuple[int, Diagnostic]]:
    """Move the `prev` of later cells of a step, in *new*, to its first, where Kale 2.3 reads it.

    Neither Kale 0.x nor 2.3 reads it elsewhere: what a first cell could not have is dropped, with
    the cell and the warning in the result.
    """
    warnings = []
    above: set[str] = set()
    for step in outline(notebook, new).steps:
        tags_of = {index: [*new.get(index, listed.get(index, ()))] for index in step.cells}
        first = next(index for index in step.cells if role_of(tags_of[index]).name == step.name)
        for index in step.cells:
            if index == first or not any(text.startswith("prev:") for text in tags_of[index]):
                continue
            rest = [text for text in tags_of[index] if not text.startswith("prev:")]
            new[index] = [] if rest == ["step:"] else rest
            for _, position, old in _named({index: listed[index]}, "prev"):
                name = called.get(old, old)
                if name in above:
                    tags_of[first].append(f"prev:{name}")
                    new[first] = [*dict.fromkeys(tags_of[first])]
                    continue
                why = (
                    f"`{name}` is its own step"
                    if name == step.name
                    else f"`{name}` does not start above `{step.name}`"
                )
                at = places.tag(index, position)
                message = f"cell {index}: `prev:{old}` is dropped, since {why}"
                hint = "Kale 0.x ignored it, too; nothing to do unless another step was meant"
                warnings.append((index, warning("dropped-tag", message, at, help=hint)))
        above.add(step.name)
    return warnings


def _step(text: str, names: Mapping[str, str]) -> list[str]:
    """The tags that `block:...` or `step:...` becomes."""
    special = text.removeprefix("block:")
    if special in tags.SPECIAL:
        return [special]  # as Kale 0.5 to 0.7 read it, and the examples before 0.1 meant it
    return [f"step:{names.get(name, name)}" for name in _names_meant(text)] or ["step:"]


def _dropped(
    index: int, before: Sequence[str], after: Sequence[str], places: Places
) -> Iterator[Diagnostic]:
    """Warnings for tags of a cell that are lost or may be unwanted."""
    for position, text in enumerate(before):
        kind, at = text.partition(":")[0], places.tag(index, position)
        if text in BEFORE_EVERY_STEP and "imports" in after and "imports" not in before:
            command = shlex.join(["kale-tag", "apply", "kale:papermill", at.source.name])
            yield warning(
                "papermill-tag",
                f"cell {index}: Kale 0.x ran `{text}` before every step, so it is now `imports`",
                at,
                help=f"if these are parameters of the pipeline: {command}",
            )
        elif kind in DATA and text not in after:
            command = shlex.join(["kale-tag", "graph", at.source.name])
            yield warning(
                "dropped-tag",
                f"cell {index}: Kale 2 has no tag `{text}`; it finds the inputs and outputs itself",
                at,
                help=f"a step above must define the variable; {command} shows which",
            )


Listed = Mapping[int, Sequence[str]]
"""The tags of each code cell that has some."""


def _names_meant(text: str) -> list[str]:
    """The steps that a tag names: one, or in the oldest notebooks several (`prev:a;b`, `prev:a:b`).

    Source: the parsers of Kale 0.2 and 0.3, and the examples that came before them.
    """
    _, _, rest = text.partition(":")
    return [name for part in re.split("[;:]", rest) if (name := part.strip())]


def _new_names(listed: Listed, chosen: Mapping[str, str]) -> dict[str, str]:
    """The new name of each step whose name Kale 2 refuses; *chosen* by the user for some.

    No two steps get the same name.
    """
    taken = {name for name in (*_steps(listed), *_dependencies(listed)) if _is_valid(name)}
    steps = [*_steps(listed)]
    made: dict[str, str] = {}
    for old in dict.fromkeys(steps):
        if not _is_valid(old):
            made[old] = names.free(_wanted(old, chosen), taken)
    for old in _dependencies(listed):  # a typo for an existing step, perhaps
        if not _is_valid(old) and old not in made:
            made[old] = _wanted(old, chosen)
    return made


def _collisions(
    listed: Listed, made: Mapping[str, str], chosen: Mapping[str, str], places: Places
) -> Iterator[tuple[int, Diagnostic]]:
    """A cell and a warning for each step whose new name another step has."""
    where: dict[str, tuple[int, int]] = {}
    for index, position, name in _named(listed, "block", "step"):
        where.setdefault(name, (index, position))
    owners = {made.get(name, name): name for name in where}
    for old, new in made.items():
        wanted = _wanted(old, chosen)
        other = owners.get(wanted)
        if old not in where or other is None or new == wanted:
            continue
        index, _ = where[old]
        cell, _ = where[other]
        yield (
            index,
            warning(
                "name-collision",
                f"cell {index}: step `{old}` is `{new}` now, since `{wanted}` is the step of cell "
                f"{cell}",
                places.tag(*where[old]),
                also=[places.tag(*where[other]).with_text(f"`{other}`")],
                help=f"`rename: {{{old}: NAME}}` in a spec with `legacy: upgrade` gives it another",
            ),
        )


def _is_valid(name: str) -> bool:
    return re.fullmatch(tags.NAME, name) is not None


def _wanted(name: str, chosen: Mapping[str, str]) -> str:
    """The new name for *name*, if no other step has it."""
    if name in chosen:
        return chosen[name]
    better = tags.valid_name(name)
    # Kubeflow Pipelines requires a letter first.
    better = better if better[:1].isalpha() else f"step{better}"
    return f"{better}_step" if better in tags.SPECIAL else better


def _steps(listed: Listed) -> Iterator[str]:
    return (name for _, _, name in _named(listed, "block", "step", "notebook"))


def _dependencies(listed: Listed) -> Iterator[str]:
    return (name for _, _, name in _named(listed, "prev"))


def _named(listed: Listed, *kinds: str) -> Iterator[tuple[int, int, str]]:
    """Cell, position of the tag and name, for each name in tags of these kinds."""
    for index, texts in listed.items():
        for position, text in enumerate(texts):
            if text.partition(":")[0] in kinds:
                yield from ((index, position, name) for name in _names_meant(text))


Loss = tuple[Path, Diagnostic]
"""What a setting loses: its path in the settings, and the warning, which has no place yet."""


def _loss(path: Path, code: str, message: str, hint: str) -> Loss:
    return path, warning(code, message, help=hint)


def _upgraded_settings(
    old: Mapping[str, object], stem: str, *, has_steps: bool
) -> tuple[dict[str, object] | None, list[Loss]]:
    """The new settings for *old*, None where they stay, and what is lost.

    They are complete for Kale's panel if the notebook has settings or *has_steps* of Kale 0.x; the
    pipeline is named after *stem* where it has no name.
    """
    new = {key: value for key, value in old.items() if key not in OLD}
    losses = [*_image(old, new), *_snapshots(old), *_katib(new), *_marshalling(new), *_volumes(new)]
    if has_steps or old:
        _correct_names(new, stem)
        new.update(settings.missing(new, stem))
    return (None if new == dict(old) else new), losses


def _image(old: Mapping[str, object], new: dict[str, object]) -> Iterator[Loss]:
    image, base = old.get("docker_image"), old.get("base_image")
    if not isinstance(image, str) or not image or image == base:
        return
    if base:
        yield _loss(
            ("docker_image",),
            "dropped-setting",
            f"`docker_image` is dropped in favour of `base_image`, which is `{base}`",
            "nothing to do, unless the steps need the other one: `pipeline: {base_image: IMAGE}` "
            f"{IN_A_SPEC}",
        )
        return
    new["base_image"] = image
    yield _loss(
        ("docker_image",),
        "old-image",
        "`docker_image` is now `base_image`, and steps of Kale 2.3 need Python 3.11 or newer, "
        "which images for Kale 0.x seldom have",
        f"`pipeline: {{base_image: IMAGE}}` {IN_A_SPEC}; `null` is Kale's default, python:3.12",
    )


def _snapshots(old: Mapping[str, object]) -> Iterator[Loss]:
    volumes = old.get("volumes")
    asked: list[tuple[str | int, ...]] = [
        (key,) for key in ("autosnapshot", "snapshot_volumes") if old.get(key) is True
    ]
    asked += [
        ("volumes", position, "snapshot")
        for position, volume in enumerate(volumes if isinstance(volumes, list) else ())
        if isinstance(volume, dict) and volume.get("snapshot") is True
    ]
    if asked:
        unread = [*dict.fromkeys(str(path[-1]) for path in asked)]
        yield _loss(
            asked[0],
            "no-snapshots",
            f"Kale 2.3 makes no snapshots: {listed(unread)} "
            f"{'do' if unread[1:] else 'does'} nothing",
            "if you need them, write copies in a step, or take snapshots of the claim in the "
            "cluster",
        )


def _katib(new: dict[str, object]) -> Iterator[Loss]:
    if new.get("katib_run") is True:
        yield _loss(
            ("katib_run",),
            "no-katib",
            "Kale 2.3 runs no Katib experiments: `katib_run` does nothing",
            "write the experiment for Katib yourself, and set `pipeline: {katib_run: false}` in a "
            "spec",
        )
    problems = settings.problems({"katib_metadata": new.get("katib_metadata")})
    if (problem := next(problems, None)) is not None:
        _, diagnostic = problem
        del new["katib_metadata"]
        yield _loss(
            ("katib_metadata",),
            "dropped-setting",
            f"`katib_metadata` is dropped, since Kale 2.3 refuses it: {diagnostic.message}",
            "Kale 2.3 ignores it; move what you need into an experiment for Katib",
        )


def _marshalling(new: dict[str, object]) -> Iterator[Loss]:
    path = new.get("marshal_path")
    if path is None or path == MARSHAL_PATH:
        return
    del new["marshal_path"]
    if path not in ("/marshal", ""):  # what Kale 0.x had anyway
        yield _loss(
            ("marshal_path",),
            "dropped-setting",
            "`marshal_path` is dropped: steps of Kale 2.3 fail to pass variables unless it is "
            f"{MARSHAL_PATH}",
            "if a cell reads or writes files there, change its path",
        )


def _volumes(new: dict[str, object]) -> Iterator[Loss]:
    volumes = new.get("volumes")
    if not isinstance(volumes, list):
        return
    upgraded = [_volume(one) if isinstance(one, dict) else one for one in volumes]
    new["volumes"] = upgraded
    for position, (old, volume) in enumerate(zip(volumes, upgraded, strict=True)):
        if isinstance(volume, dict) and volume.get("type") in ("pv", "new_pvc", "clone"):
            made = "`kale-tag compile` makes it; for Kale, " if volume["type"] == "new_pvc" else ""
            yield _loss(
                ("volumes", position),
                "volume-type",
                f"Kale 2.3 mounts no volume of the type `{volume['type']}`, only `pvc`: "
                f"steps find no `{volume.get('mount_point')}`",
                f"{made}create a claim in the cluster, and name it "
                f"{IN_A_SPEC}: `pipeline: {{volumes: [{{type: pvc, name: CLAIM, mount_point: "
                "PATH}]}`; `volumes: []` does without",
            )
        elif isinstance(old, dict) and "type" not in old:
            yield _loss(
                ("volumes", position),
                "volume-type",
                f"the volume `{old.get('name')}` has no type, which Kale 2.3 requires; it is now a "
                "`pvc`",
                "create a claim of that name in the cluster, unless it has one",
            )


def _volume(old: Mapping[str, object]) -> dict[str, object]:
    """One volume, with a type, and with annotations as Kale 2 has them."""
    new = dict(old)
    if "type" not in new:
        new["type"] = "pvc"
    if isinstance(annotations := new.get("annotations"), dict):
        new["annotations"] = [{"key": key, "value": text} for key, text in annotations.items()]
    return new


def _correct_names(new: dict[str, object], stem: str) -> None:
    """Give the pipeline a name that Kale takes, and the experiment one name instead of two."""
    name = new.get("pipeline_name") or ""
    if isinstance(name, str) and (not name or any(settings.problems({"pipeline_name": name}))):
        better = names.pipeline_name(name) or names.pipeline_name(stem)
        new["pipeline_name"] = better or "pipeline"
    experiment = new.get("experiment_name")
    if experiment and isinstance(new.get("experiment"), dict):
        new.update(settings.with_experiment({"experiment_name": experiment}, new))


# Problems that an upgrade leaves to the user: errors of `check`, and code that Kale 2.3 refuses.
# Source: `kale/processors/nbprocessor.py` and `kale/common/astutils.py` of Kale 2.3.0.


def left_to_fix(notebook: Notebook) -> Iterator[Diagnostic]:
    """A warning for each part of *notebook* that Kale 2.3 refuses or gets wrong."""
    found = outline(notebook)
    places = Places(notebook)
    for diagnostic in lint(notebook):
        if diagnostic.severity != "warning":
            located = in_files(diagnostic, {notebook.name: places})
            is_note = diagnostic.severity == "note"
            yield located if is_note else replace(located, severity="warning")
    checks = dict.fromkeys((index for step in found.steps for index in step.cells), _syntax)
    for kind, check in _SHARED.items():
        checks |= dict.fromkeys(found.shared.get(kind, ()), check)
    for index in sorted(checks) if found.steps else ():
        yield from checks[index](notebook, index, places)


def _syntax(notebook: Notebook, index: int, places: Places) -> Iterator[Diagnostic]:
    """The first line that is not Python, in a cell that Kale parses."""
    source = notebook.source(index)
    line = error_line(source)
    if line is not None and ipython_line(source) is None:
        yield warning(
            "syntax-error",
            f"cell {index}: Kale 2.3 refuses code that is not valid in Python 3",
            places.cell(index, line),
            help="correct it, or tag the cell `skip`",
        )


def _parameters(notebook: Notebook, index: int, places: Places) -> Iterator[Diagnostic]:
    """Statements in `pipeline-parameters` that are not `name = constant`."""
    source = notebook.source(index)
    if error_line(source) is not None:
        yield from _syntax(notebook, index, places)
        return
    for statement in parsed(source).body:
        if not is_parameter(statement) and not wrong_type(statement):  # that is `kale-parameter`
            yield warning(
                "not-a-parameter",
                f"cell {index}: `pipeline-parameters` takes `name = constant` only, the constant a "
                "text, True, False, or a number that is not negative; Kale 2.3 stops at anything "
                "else",
                places.cell(index, statement.lineno - 1),
                help="move the line into the step that needs it",
            )


def _metrics(notebook: Notebook, index: int, places: Places) -> Iterator[Diagnostic]:
    """Lines in `pipeline-metrics` that are not `print(name)`."""
    others = [
        places.cell(index, line)
        for line, text in enumerate(notebook.source(index).splitlines())
        if text.strip() and not METRIC.fullmatch(text)
    ]
    if others:
        yield warning(
            "not-a-metric",
            f"cell {index}: `pipeline-metrics` takes lines `print(name)` only, the name in lower "
            "case; Kale 2.3 stops at anything else",
            others[0],
            also=others[1:],
            help=f"move the line{'s' * (len(others) > 1)} into the last step",
        )


_SHARED = {
    "imports": _syntax,
    "functions": _syntax,
    "pipeline-parameters": _parameters,
    "pipeline-metrics": _metrics,
}
