"""Lints of settings that Kubernetes or Kubeflow Pipelines refuse, and those that get lost."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.lint.context import Study


def two_settings(study: Study) -> Iterator[Diagnostic]:
    """Two cells of one step whose settings contradict each other."""
    return study.says("two-settings")


def invalid_image(study: Study) -> Iterator[Diagnostic]:
    """The name of an image with a blank in it."""
    return study.says("invalid-image")


def invalid_label(study: Study) -> Iterator[Diagnostic]:
    """A label that no pod can have."""
    return study.says("invalid-label")


def invalid_annotation(study: Study) -> Iterator[Diagnostic]:
    """An annotation whose name no pod can have."""
    return study.says("invalid-annotation")


def invalid_environment_variable(study: Study) -> Iterator[Diagnostic]:
    """A name that no environment variable can have."""
    return study.says("invalid-environment-variable")


def two_values(study: Study) -> Iterator[Diagnostic]:
    """An environment variable that a step is given twice: by `env`, a secret or a volume."""
    return study.says("two-values")


def two_volumes(study: Study) -> Iterator[Diagnostic]:
    """Two volumes that would be mounted in one place, or told in one environment variable."""
    return study.says("two-volumes")


def invalid_mount_point(study: Study) -> Iterator[Diagnostic]:
    """A volume whose place in the container is no absolute path."""
    return study.says("invalid-mount-point")


def volume_type(study: Study) -> Iterator[Diagnostic]:
    """A volume that a package cannot make: a new one, or one that is cloned."""
    return study.says("volume-type")


def setting_not_kept(study: Study) -> Iterator[Diagnostic]:
    """A setting that has no effect on the package."""
    return study.says("setting-not-kept")


def placeholder(study: Study) -> Iterator[Diagnostic]:
    """Finds `{{` in a setting or a value."""
    return study.says("placeholder")


def bad_character(study: Study) -> Iterator[Diagnostic]:
    r"""A NUL, or half of a surrogate pair, in a setting or a value."""
    return study.says("bad-character")


def unknown_step(study: Study) -> Iterator[Diagnostic]:
    """A step that a spec names, in `compile` or in `prev`, and that the notebook has not."""
    return study.says("unknown-step")


LINTS = (
    two_settings,
    invalid_image,
    invalid_label,
    invalid_annotation,
    invalid_environment_variable,
    two_values,
    two_volumes,
    invalid_mount_point,
    volume_type,
    setting_not_kept,
    placeholder,
    bad_character,
    unknown_step,
)
