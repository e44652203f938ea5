"""The inputs and outputs of each step, and how Kubeflow Pipelines spells their names."""

import itertools
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kale_tag.kale.names import free
from kale_tag.kale.pipeline import ArtifactType, Parameter, Pipeline, Step, SubPipeline

REPORT = "kale_tag_report"
METRICS = "kale_tag_metrics"
"""The outputs that are not variables of the notebook."""

FILLER = "kale_tag"
FILLER_VALUE = "filler"
"""A parameter for sub-pipelines that have none: kfp.local (2.16, 2.17) loses the artifacts of a
sub-pipeline without parameters."""

_INPUT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Interface:
    """The inputs and outputs of a step or sub-pipeline: Python names to names in the package.

    All names differ, those of inputs from those of outputs too: in KFP's DSL they are arguments of
    one function.
    """

    parameters: Mapping[str, str]
    ins: Mapping[str, str]  # variables that the step loads
    outs: Mapping[str, str]  # variables that it saves
    report: str = ""  # its HTML report; "" if it has none
    metrics: str = ""  # its Metrics; "" if it has none
    filler: str = ""  # see FILLER; "" if it needs none


@dataclass(frozen=True, slots=True)
class ArtifactSource:
    """Where an artifact comes from."""

    producer: str  # the step that saves it; "" if it is an input of the sub-pipeline
    name: str  # of the output of that step, or of that input
    type: ArtifactType


@dataclass(frozen=True, slots=True)
class NameTable:
    """The names in one DAG of the package: a pipeline, or a pipeline inside another.

    The step `train` of the notebook inside `features` has the prefix `features/`. If it loads
    `df` from `clean` and saves a new `df`, `units["train"]` has `ins={"df": "df_in"}` and
    `outs={"df": "df"}`, and `source(train, "df")` is `("clean", "df", "Dataset")`.
    """

    pipeline: Pipeline
    prefix: str  # comes before names of steps that must be unique in the package; "" for the root
    parameters: Mapping[str, Parameter]  # by Python name: all that steps of the DAG may use
    inputs: Mapping[str, str]  # Python name of a parameter to the name of the input of the DAG
    passed: frozenset[str]  # Python names of parameters that the pipeline around it passes
    outside: Mapping[str, ArtifactSource]  # variables that come from the pipeline around it
    units: Mapping[str, Interface]  # by name of the step
    outputs: Mapping[str, str] = field(default_factory=dict)  # variables that the DAG returns
    filler: str = ""  # the name of the parameter FILLER; "" if it needs none
    # By new volume: the task that creates it, or the input of this DAG that holds its name.
    claims: Mapping[str, str] = field(default_factory=dict)

    def claim(self, volume: str) -> dict[str, object]:
        """Where the name of the claim of a new *volume* comes from."""
        if self.prefix:
            return {"componentInputParameter": self.claims[volume]}
        source = {"producerTask": self.claims[volume], "outputParameterKey": "name"}
        return {"taskOutputParameter": source}

    def key(self, step: str) -> str:
        """The key of the task of *step*: `features--clean` for `clean` inside `features`.

        No other task of the package has it; KFP up to 2.5 confuses tasks of one name even if they
        are in different DAGs. Names of tasks never have two `-` in a row.
        """
        above = [one for one in self.prefix.split("/") if one]
        return "--".join(task_name(one) for one in (*above, step))

    @property
    def own_defaults(self) -> dict[str, object]:
        """Inputs that the pipeline around does not pass, and their defaults."""
        return {
            self.inputs[name]: parameter.default
            for name, parameter in self.parameters.items()
            if name not in self.passed
        }

    def source(self, unit: Step | SubPipeline, variable: str) -> ArtifactSource:
        """Where the input *variable* of *unit* comes from."""
        producer = unit.ins[variable]
        if not producer:
            return self.outside[variable]
        other = next(one for one in self.pipeline.steps if one.name == producer)
        return ArtifactSource(producer, self.units[producer].outs[variable], other.outs[variable])

    def last_producer(self, variable: str) -> ArtifactSource:
        """The last step that saves *variable*: its value is what the pipeline returns."""
        last = [one for one in self.pipeline.steps if variable in one.outs][-1]
        return ArtifactSource(last.name, self.units[last.name].outs[variable], last.outs[variable])


def root_names(pipeline: Pipeline) -> NameTable:
    """The names in a pipeline that is in no other."""
    parameters = {one.name: one for one in pipeline.parameters}
    inputs = _names(parameters, set())
    units = {unit.name: _interface(unit, inputs) for unit in pipeline.steps}
    taken = {task_name(unit.name) for unit in pipeline.steps} | {pipeline.name}
    numbers = itertools.chain(("createpvc",), map("createpvc-{}".format, itertools.count(2)))
    unused = (key for key in numbers if key not in taken)  # as KFP's SDK names them
    claims = {volume.name: next(unused) for volume in pipeline.volumes if volume.new}
    return NameTable(pipeline, "", parameters, inputs, frozenset(), {}, units, claims=claims)


def inner_names(sub: SubPipeline, around: NameTable) -> NameTable:
    """The names inside *sub*, which is a step of *around*.

    Parameters of its notebook that *around* does not pass keep their defaults.
    """
    outer = around.units[sub.name]
    parameters = {name: around.parameters[name] for name in sub.parameters}
    own = {one.name: one for one in sub.pipeline.parameters if one.name not in parameters}
    taken = {*outer.parameters.values(), *outer.ins.values(), *outer.outs.values(), outer.filler}
    inputs = {**outer.parameters, **_names(own, taken)}
    outside = {
        variable: ArtifactSource("", outer.ins[variable], around.source(sub, variable).type)
        for variable in sub.ins
    }
    return NameTable(
        pipeline=sub.pipeline,
        prefix=f"{around.prefix}{sub.name}/",
        parameters=parameters | own,
        inputs=inputs,
        passed=frozenset(sub.parameters),
        outside=outside,
        units={unit.name: _interface(unit, inputs) for unit in sub.pipeline.steps},
        outputs=outer.outs,
        filler=outer.filler,
        claims={volume: free(input_name(f"{volume}_claim"), taken) for volume in around.claims},
    )


def task_name(step: str) -> str:
    """The name of the task that KFP's SDK makes of a step: `load_data` gives `load-data`.

    "" if *step* has no letter or digit. Source: `maybe_rename_for_k8s` in kfp.dsl.utils.
    """
    return re.sub("[^0-9a-z]+", "-", step.lower()).strip("-")


def input_name(name: str) -> str:
    """The name of an input or output for the Python name *name*.

    It is *name* itself if KFP takes it: letters, digits and `_`, a letter first (kfp.dsl's
    PipelineChannel), and no keyword, so that it can be an argument in KFP's DSL.
    """
    word = name
    if _INPUT.fullmatch(name) is None:
        word = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "value"
        word = word if word[0].isalpha() else f"value_{word}"
    return f"{word}_" if keyword.iskeyword(word) else word


def _interface(unit: Step | SubPipeline, inputs: Mapping[str, str]) -> Interface:
    taken: set[str] = set()
    outs = _names(unit.outs, taken)
    report = metrics = ""
    if isinstance(unit, Step):
        if unit.settings.report:
            report = free(REPORT, taken)
        if unit.metrics:
            metrics = free(METRICS, taken)
    parameters = {name: _as_input(inputs[name], taken) for name in unit.parameters}
    ins = {name: _as_input(name, taken) for name in unit.ins}
    bare = isinstance(unit, SubPipeline) and ins and not parameters
    return Interface(parameters, ins, outs, report, metrics, free(FILLER, taken) if bare else "")


def _names(names: Iterable[str], taken: set[str]) -> dict[str, str]:
    return {name: free(input_name(name), taken) for name in names}


def _as_input(name: str, taken: set[str]) -> str:
    """A variable that a step both loads and saves is the input `NAME_in`."""
    plain = input_name(name)
    return free(plain if plain not in taken else f"{plain}_in", taken)
