"""Lints of the settings of a notebook, `metadata.kubeflow_notebook`: `facts/kale.md` section 2."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.kale import settings
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.view import Tagged
from kale_tag.rules import found

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
    """Finds a setting that Kale 2.3 does not know.

    Why: Kale stops at the first one. Notebooks from Kale 0.x have `docker_image` and others; what
    other tools put there is no better.

    Mend: Remove it. In a spec: `pipeline: {docker_image: null}`.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"docker_image": "python:3.7"}}
    # %% tags=step:train
    model = fit()
    ```
    """
    yield from _diagnostics(nb, "unknown-setting")


def invalid_setting(nb: Tagged) -> Iterator[Diagnostic]:
    """Finds a setting whose value Kale does not take.

    Why: Kale stops, or Kubeflow Pipelines does.

    Mend: Correct the value as the message says. In a spec values are checked before they are
    written.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"pipeline_name": "My Pipeline", "enable_caching": "false"}}
    # %% tags=step:train
    model = fit()
    ```
    """
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
    """Finds a notebook with tags whose pipeline or experiment has no name.

    Why: Kale stops: `Field 'pipeline_name' is required`. Its command line and JupyterLab's panel
    make up names instead, each another one, so that the pipeline is called differently from place
    to place. (An empty `experiment_name`, which the panel writes until you choose one, is no fault:
    Kale compiles the notebook, and `kale-tag submit` runs it in the experiment `Default`.)

    Mend: Name both in the spec: `pipeline: {pipeline_name: churn, experiment_name: churn}`.

    Example:
    ```python train.ipynb
    # %% tags=step:train
    model = fit()
    ```
    """
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
    """Finds an `experiment` and an `experiment_name` that do not say the same.

    Why: Kale runs the pipeline in the experiment `experiment_name`, until somebody opens the
    notebook: JupyterLab's panel takes `experiment` for the truth and overwrites the other.

    Mend: Make them the same. In a spec name one of them; the other follows.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"experiment_name": "new", "experiment": {"name": "old"}}}
    # %% tags=step:train
    model = fit()
    ```
    """
    yield from _diagnostics(nb, "two-experiments")


def panel_loss(nb: Tagged) -> Iterator[Diagnostic]:
    """Finds a `base_image` and `steps_defaults`, which do not survive JupyterLab's panel.

    Why: Wherever Kale's extension is installed, opening and saving the notebook deletes
    `base_image` and empties `steps_defaults`, autosave included, and nothing says so.

    Mend: Give the image and the rest to the steps: the tags `image:`, `limit:`, `secret:` stay. Or
    keep the settings in a spec, let `kale-tag check` see when they are gone (`panel-drift`), and
    silence this lint there:

    ```yaml
    pipeline: {base_image: 'python:3.12'}
    ignore: {panel-loss: the spec keeps them}
    ```

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"base_image": "python:3.12"}}
    # %% tags=step:train
    model = fit()
    ```
    """
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
