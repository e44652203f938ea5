"""Lints of the settings of a notebook, `metadata.kubeflow_notebook`: `facts/kale.md` section 2."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.kale import settings
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.view import Tagged
from kale_tag.rules.registry import found

CALLED = f"`{SETTINGS_KEY}`"
REQUIRED = ("pipeline_name", "experiment_name")
TELLING = ("unknown-setting", "two-experiments")
"""The faults of settings that have lints of their own; all others are `invalid-setting`."""

PANEL = {
    "base_image": ("deletes", "tag each step `image:IMAGE`"),
    "steps_defaults": ("empties", "give them to each step, by `limit:`, `label:`, `secret:`"),
}
"""What JupyterLab's panel does to two settings whenever the notebook is opened and saved, and what
it leaves alone."""


def unknown_setting(nb: Tagged) -> Iterator[Diagnostic]:
    """A setting that Kale 2.3 does not know."""
    yield from _diagnostics(nb, "unknown-setting")


def invalid_setting(nb: Tagged) -> Iterator[Diagnostic]:
    """A setting whose value Kale does not take."""
    present = nb.notebook.metadata
    if isinstance(present, dict) and not isinstance(present.get(SETTINGS_KEY, {}), dict):
        yield found(
            "invalid-setting",
            f"{CALLED} is not an object",
            nb.places.metadata(None, (SETTINGS_KEY,)),
            help="remove it, or make it an object: `{}`",
        )
    yield from _diagnostics(nb, "invalid-setting")


def missing_setting(nb: Tagged) -> Iterator[Diagnostic]:
    """A notebook with tags whose pipeline or experiment has no name."""
    missing = [key for key in REQUIRED if nb.settings.get(key) is None]
    if nb.has_kale_tags and missing:
        names = " or ".join(f"`{key}`" for key in missing)
        yield found(
            "missing-setting",
            f"the notebook has tags of Kale's, and its settings have no {names}",
            nb.places.metadata(None, (SETTINGS_KEY,)),
            help="give a spec `pipeline: {pipeline_name: NAME, experiment_name: NAME}`",
        )


def two_experiments(nb: Tagged) -> Iterator[Diagnostic]:
    """An `experiment` and an `experiment_name` that do not say the same."""
    yield from _diagnostics(nb, "two-experiments")


def panel_loss(nb: Tagged) -> Iterator[Diagnostic]:
    """A `base_image` and `steps_defaults`, which do not survive JupyterLab's panel."""
    for key, (does, stays) in PANEL.items():
        if nb.settings.get(key):
            yield found(
                "panel-loss",
                f"JupyterLab's panel {does} `{key}` whenever the notebook is saved",
                nb.places.metadata(None, (SETTINGS_KEY, key)),
                help=f"{stays}; or keep the setting in a spec, and say there "
                "`ignore: {panel-loss: REASON}`",
            )


def _diagnostics(nb: Tagged, code: str) -> Iterator[Diagnostic]:
    """What `settings.check` says, as findings of the lint *code*."""
    for diagnostic in settings.check(nb.settings, CALLED):
        if code != (diagnostic.code if diagnostic.code in TELLING else "invalid-setting"):
            continue
        hint = diagnostic.help
        if code == "two-experiments":
            hint = "make them the same: JupyterLab's panel takes `experiment` for the truth"
        elif code == "unknown-setting":
            hint = hint if hint.startswith("did you mean") else "remove it; Kale stops at it"
        yield found(
            code,
            diagnostic.message,
            nb.places.metadata(None, (SETTINGS_KEY, *diagnostic.path)),
            help=hint,
        )


LINTS = (unknown_setting, invalid_setting, missing_setting, two_experiments, panel_loss)
