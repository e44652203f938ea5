"""What a pipeline is: steps, the code they run, and the variables that go from one to another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kale_tag.diagnostics import Diagnostic, Label

ParameterType = Literal["int", "float", "str", "bool", "list", "dict"]
ArtifactType = Literal["Dataset", "Model", "Metrics", "HTML", "Artifact"]
CodeKind = Literal["imports", "functions", "step"]


@dataclass(frozen=True, slots=True)
class Code:
    """The source of one cell, and the same as plain Python.

    *python* has the lines of *source*, one for one: IPython's syntax is rewritten in place. *cell*
    is the 0-based number of the cell in the notebook, *kind* what it is to the steps that run it.
    """

    cell: int
    source: str
    python: str
    kind: CodeKind = "step"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the pipeline: its name and value as the notebook writes them."""

    name: str
    type: ParameterType
    default: object
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """The key of a Kubernetes secret, which a step finds in the environment variable *env*."""

    env: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How a step runs: its tags over the notebook's `steps_defaults` over the spec's `compile`.

    None and empty mean that nothing is set.
    """

    image: str = ""
    limits: Mapping[str, str] = field(default_factory=dict)  # quantities as written, by resource
    requests: Mapping[str, str] = field(default_factory=dict)
    pod: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by kind of tag: `label`
    secrets: tuple[Secret, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cache: bool | None = None
    report: bool = True
    retries: int | None = None
    timeout: int | None = None  # seconds
    display_name: str = ""
    packages: tuple[str, ...] | None = None  # None: those that the imports name; (): none
    labels: Mapping[tuple[str, str], Label] = field(
        default_factory=dict, compare=False, repr=False
    )  # of the settings that are tags, by kind and key


@dataclass(frozen=True, slots=True)
class Step:
    """One step. It runs the shared code of its notebook, then its own.

    *prev* are the steps that must end before it starts: those of its `prev` tags and those that
    give it a variable. *ins* maps each variable that it takes to the step that gives it, *outs*
    each that it gives to the type of the artifact, *parameters* are those that it uses, *metrics*
    the variables whose values it reports; all in a fixed order. *together* are groups of outputs
    that may share an object. *packages* are requirements for pip.
    """

    name: str
    code: tuple[Code, ...]
    prev: tuple[str, ...] = ()
    ins: Mapping[str, str] = field(default_factory=dict)
    outs: Mapping[str, ArtifactType] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    metrics: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    settings: StepSettings = StepSettings()
    label: Label | None = None

    def place(self, kind: str, key: str = "") -> Label | None:
        """The label of the setting of that kind of tag and key, else that of the step."""
        return self.settings.labels.get((kind, key), self.label)


@dataclass(frozen=True, slots=True)
class SubPipeline:
    """Another notebook, run as a pipeline inside this one.

    *ins*, *outs* and *prev* are as those of a step. Inside of *pipeline*, an input that comes from
    outside is one that its steps take from the step named "".
    """

    name: str
    pipeline: "Pipeline"
    prev: tuple[str, ...] = ()
    ins: Mapping[str, str] = field(default_factory=dict)
    outs: Mapping[str, ArtifactType] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """A persistent volume claim that exists, mounted in every step."""

    name: str
    mount_point: str
    env: str = ""  # the environment variable that holds the mount point
    label: Label | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SecurityContext:
    """As whom the containers run; None where nothing is said."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipeline that a notebook makes, ready to be packaged.

    *notebook* is the path of the notebook, as the user gave it. *shared* is the code of its
    `imports` and then of its `functions` cells, which every step runs first; from the first of them
    that a step runs in part only, they stand in the code of the steps. *steps* stand in an
    order in which they can run. *warnings* say what of the notebook is not kept.
    """

    name: str
    notebook: str
    description: str = ""
    experiment: str = ""
    parameters: tuple[Parameter, ...] = ()
    shared: tuple[Code, ...] = ()
    steps: tuple[Step | SubPipeline, ...] = ()
    volumes: tuple[Volume, ...] = ()
    security: SecurityContext | None = None
    caching: bool = True
    ttl: int | None = None
    pip_index_urls: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    description_label: Label | None = field(default=None, compare=False, repr=False)
