"""What a pipeline is: steps, the code they run, and the variables that go from one to another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from kale_tag.diagnostics import Diagnostic, Label

ParameterType = Literal["int", "float", "str", "bool", "list", "dict"]
ArtifactType = Literal["Dataset", "Model", "Metrics", "HTML", "Artifact"]
CodeKind = Literal["imports", "functions", "step", "file"]

STATE = "state:"
"""What the names of hidden variables begin with, each of a kind of state of the process."""


def variables(names: Iterable[str]) -> list[str]:
    """Those of *names* that are variables of the notebook, and no state of the process."""
    return [name for name in names if not name.startswith(STATE)]


@dataclass(frozen=True, slots=True)
class Code:
    """The source of one cell, and the same as plain Python; or a file that travels with a step."""

    cell: int  # the 0-based number of the cell in the notebook; -1 for a file
    source: str
    python: str  # the lines of *source*, one for one: IPython's syntax is rewritten in place
    kind: CodeKind = "step"  # what it is to the steps that run it
    path: str = ""  # of a file, below a folder on `sys.path`

    @property
    def key(self) -> int | str:
        """What names it: the number of the cell, the path of the file."""
        return self.path or self.cell


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the pipeline: its name and value as the notebook writes them.

    If the default is None, a run need not give it a value, and steps then find None.
    """

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
class PodOptions:
    """What the spec's `compile` sets for the pod of a step, which Kale has no tag for."""

    node_selector: Mapping[str, str] = field(default_factory=dict)  # labels of its node
    tolerations: tuple[Mapping[str, str], ...] = ()  # each by the fields of KFP's Toleration
    image_pull_secrets: tuple[str, ...] = ()
    image_pull_policy: str = ""
    # By an environment variable, NAME/KEY; by a folder, NAME.
    config_maps: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)  # claims, by the folder


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
    pod_options: PodOptions = PodOptions()
    # of the settings that are tags, by kind and key
    labels: Mapping[tuple[str, str], Label] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One step. It runs the shared code of its notebook, then its own; all is in a fixed order."""

    name: str
    code: tuple[Code, ...]
    prev: tuple[str, ...] = ()  # steps that must end first: of `prev` tags, and producers
    ins: Mapping[str, str] = field(default_factory=dict)  # variables it uses, and their producers
    outs: Mapping[str, ArtifactType] = field(default_factory=dict)  # variables that others use
    parameters: tuple[str, ...] = ()  # those that it uses
    together: tuple[tuple[str, ...], ...] = ()  # groups of outputs that may share an object
    changed: tuple[str, ...] = ()  # outputs of which later steps may change something
    apart: tuple[tuple[str, ...], ...] = ()  # groups that may share some, which does no harm
    metrics: tuple[str, ...] = ()  # variables whose values it reports
    # States that it passes on, by the name of the output; and those that stay as shared cells set
    # them, whatever it takes.
    states: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    renewed: tuple[str, ...] = ()
    definitions: bool = False  # what it takes or passes on may hold functions or classes of cells
    packages: tuple[str, ...] = ()  # requirements for pip
    files: tuple[Code, ...] = ()  # local code that travels with it
    settings: StepSettings = StepSettings()
    label: Label | None = None

    def place(self, kind: str, key: str = "") -> Label | None:
        """The label of the setting of that kind of tag and key, else that of the step."""
        return self.settings.labels.get((kind, key), self.label)


@dataclass(frozen=True, slots=True)
class SubPipeline:
    """Another notebook, run as a pipeline inside this one."""

    name: str
    pipeline: "Pipeline"  # what comes from outside has the producer ""
    prev: tuple[str, ...] = ()  # this and the next three are as those of a step
    ins: Mapping[str, str] = field(default_factory=dict)
    outs: Mapping[str, ArtifactType] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A claim that every run creates."""

    size: str  # a quantity
    access_mode: str = "ReadWriteMany"  # as Kubernetes spells it
    storage_class: str = ""  # "" for the one that the backend takes
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Volume:
    """A persistent volume claim, mounted in every step."""

    name: str  # of the claim; the name of a new one ends in it
    mount_point: str
    env: str = ""  # the environment variable that holds the mount point
    new: NewClaim | None = None  # None for a claim that exists
    label: Label | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SecurityContext:
    """As whom the containers run; None where nothing is set."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipeline that a notebook makes, ready to be packaged."""

    name: str
    notebook: str  # its path, as the user wrote it
    description: str = ""
    experiment: str = ""
    parameters: tuple[Parameter, ...] = ()
    # `imports` cells, then `functions` cells, which every step runs first. From the first of them
    # that a step runs in part only, they are in the code of the steps.
    shared: tuple[Code, ...] = ()
    steps: tuple[Step | SubPipeline, ...] = ()  # in an order in which they can run
    volumes: tuple[Volume, ...] = ()
    security: SecurityContext | None = None
    caching: bool = True
    ttl: int | None = None  # seconds
    pip_index_urls: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()  # of what is not kept of the notebook
    kfp_version: tuple[int, int] | None = None  # the oldest backend that must take it
    # of `pipeline_description`, `security_context` and `ttl`
    labels: Mapping[str, Label] = field(default_factory=dict, compare=False, repr=False)
