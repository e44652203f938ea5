"""All checks of Kale's rules: of the tags and the settings of a notebook."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.fields.yaml_tree import Path
from kale_tag.kale import check_steps, check_tags, settings
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places
from kale_tag.rules.registry import found

TAG_CHECKS = (*check_tags.CHECKS, *check_steps.CHECKS)

KALE_ALONE = frozenset(
    [
        *("foreign-tag", "unread-tag", "reserved-name", "colon-lost"),
        *("dropped-code", "ignored-tag", "step-after-metrics"),
        *("unknown-setting", "missing-setting", "two-experiments"),
    ]
)
"""Codes of findings that do not stop `compile`: of what Kale refuses or loses, and of code that
the pipeline leaves out."""

OF_A_PLAN = (
    check_steps.ignored_tag,
    check_steps.unknown_prev,
    check_steps.later_prev,
    check_steps.cycle,
    check_tags.colon_lost,
)
"""The checks of what a spec adds to a notebook: its tags are valid, each by itself."""


def lint(notebook: Notebook) -> Iterator[Diagnostic]:
    """Errors and warnings for *notebook*; nothing if it has nothing to do with Kale."""
    tagged = TaggedNotebook(notebook)
    if not tagged.is_kales:
        return
    for check in (*TAG_CHECKS, *SETTINGS_CHECKS):
        if check is not check_steps.no_step or tagged.has_kale_tags:
            yield from check(tagged)


def tag_errors(tagged: TaggedNotebook) -> Iterator[Diagnostic]:
    """The errors in the tags of a notebook for which it cannot become a pipeline."""
    for check in TAG_CHECKS:
        for diagnostic in check(tagged):
            if diagnostic.severity == "error" and diagnostic.code not in KALE_ALONE:
                yield diagnostic


def has_kale_tags(notebook: Notebook) -> bool:
    """Whether *notebook* is meant to be a pipeline.

    JupyterLab's panel gives settings to each notebook that is opened in it; tags are somebody's.
    """
    return TaggedNotebook(notebook).has_kale_tags


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
    for key, problem in settings.problems(present, place, CALLED):
        code, hint = problem.code, problem.help
        if code == "two-experiments":
            hint = "make them the same: JupyterLab's panel takes `experiment` for the truth"
        elif code == "unknown-setting":
            hint = hint if hint.startswith("did you mean") else "remove it; Kale stops at it"
        else:
            code = "invalid-setting"
        yield key, found(code, problem.message, problem.labels[0], help=hint)


def unknown_setting(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A setting that Kale 2.3 does not know."""
    yield from _diagnostics(nb, "unknown-setting")


def invalid_setting(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A setting whose value Kale does not take."""
    yield from _diagnostics(nb, "invalid-setting")


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


def two_experiments(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """An `experiment` and an `experiment_name` that differ."""
    yield from _diagnostics(nb, "two-experiments")


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


def _diagnostics(nb: TaggedNotebook, code: str) -> Iterator[Diagnostic]:
    """What is wrong with the settings, as findings of the rule *code*."""
    metadata = nb.notebook.metadata
    present = metadata.get(SETTINGS_KEY, {}) if isinstance(metadata, dict) else {}
    problems = setting_problems(present, nb.places)
    yield from (diagnostic for _, diagnostic in problems if diagnostic.code == code)


SETTINGS_CHECKS = (unknown_setting, invalid_setting, missing_setting, two_experiments, panel_loss)
