"""Which names Kale, Kubernetes and Kubeflow Pipelines (KFP) take, each with its source."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NameForm:
    """The form of one kind of name."""

    called: str  # in messages
    pattern: str
    words: str  # the pattern in words
    longest: int = 0  # characters; 0 is no limit
    whose: str = "Kale"  # who refuses a longer one

    def takes(self, text: str) -> bool:
        """Whether *text* has this form and is short enough."""
        short = not self.longest or len(text) <= self.longest
        return short and re.fullmatch(self.pattern, text) is not None

    def problem(self, text: str) -> str:
        """Why *text* is not taken, in words."""
        if self.longest and len(text) > self.longest:
            return (
                f"the {self.called} has {len(text)} characters; {self.whose} takes {self.longest}"
            )
        wrong = f"`{text}` is not a valid {self.called}" if text else f"the {self.called} is empty"
        return f"{wrong}: Kale takes {self.words}"


# Kale 2.3: the validators of settings, in kale/config/validators.py. A pipeline's
# name may be 128 characters long in the database of KFP (backend/src/apiserver/model).
_LOWER_NAME = r"[a-z]([a-z0-9-]*[a-z0-9])?"
_LOWER_WORDS = "lower-case letters, digits and `-`, starting with a letter"
VOLUME_NAME = NameForm("name", _LOWER_NAME, _LOWER_WORDS)
STORAGE_CLASS_NAME = NameForm("storage class name", _LOWER_NAME, _LOWER_WORDS)
PIPELINE_NAME = NameForm(
    "pipeline name",
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    "lower-case letters, digits and `-`, with a letter or digit at both ends",
    128,
    "Kubeflow Pipelines",
)

# Kale 2.3's panel: `ExperimentInput` in labextension/src/components.
EXPERIMENT_NAME = NameForm("experiment name", _LOWER_NAME, _LOWER_WORDS)

# KFP: `PipelineVersion.Name` in backend/src/apiserver/model. Argo makes a template of a component.
VERSION_NAME_LENGTH = 127
COMPONENT_NAME_LENGTH = 128

OLDEST_KFP = (2, 4)
"""The first version whose backend finds the outputs of sub-pipelines."""
KFP_VERSIONS = "write a version from 2.4 on, such as 2.14"

# Kubernetes: IsQualifiedName, IsValidLabelValue, IsDNS1123Subdomain and IsEnvVarName of
# k8s.io/apimachinery/pkg/util/validation.
LABEL_LENGTH = 63
LABEL = re.compile(rf"[A-Za-z0-9]([-A-Za-z0-9_.]{{0,{LABEL_LENGTH - 2}}}[A-Za-z0-9])?")
LABEL_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
ENVIRONMENT_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def file_name(path: str) -> str:
    """The last part of *path*, on whatever system it was written."""
    return path.replace("\\", "/").rpartition("/")[2]


def pipeline_name(text: str) -> str:
    """The name that Kale's panel makes of *text*, such as a file name without its ending.

    At most as long as a pipeline's name may be; "" if nothing of *text* can be in one.
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return name[: PIPELINE_NAME.longest].rstrip("-")


def kfp_version(text: str) -> tuple[int, int] | None:
    """The version *text* of Kubeflow Pipelines, unless no package of ours runs on it."""
    found = re.fullmatch(r"2\.([0-9]+)(\.[0-9]+)?", text)
    version = (2, int(found[1])) if found else (0, 0)
    return version if version >= OLDEST_KFP else None


def free(name: str, taken: set[str]) -> str:
    """*name*, with a number if it is in *taken*; added to *taken*."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found
