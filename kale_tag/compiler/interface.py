"""What each step takes and gives under the names that Kubeflow Pipelines knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kale_tag.compiler.kfp_names import input_name
from kale_tag.kale.pipeline import ArtifactType, Parameter, Pipeline, Step, SubPipeline

REPORT = "kale_tag_report"
METRICS = "kale_tag_metrics"
"""The outputs that are not variables of the notebook."""

FILLER = "kale_tag"
FILLER_VALUE = "filler"
"""kfp.local (2.16, 2.17) forgets the artifacts of a sub-pipeline that is given no parameter, so
such a one is given this."""


@dataclass(frozen=True, slots=True)
class Interface:
    """The inputs and outputs of a step or sub-pipeline: the name of each Python name.

    All of the names differ, inputs from outputs too: in KFP's DSL they are arguments of one
    function. *report*, *metrics* and *filler* are "" where there is none.
    """

    parameters: Mapping[str, str]
    ins: Mapping[str, str]
    outs: Mapping[str, str]
    report: str = ""
    metrics: str = ""
    filler: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """An artifact as a step finds it: who gives it ("": it comes from outside), its name, type."""

    producer: str
    name: str
    type: ArtifactType


@dataclass(frozen=True, slots=True)
class Scope:
    """A pipeline, or one inside of another, and the names in it.

    *prefix* stands before the names of its steps where all steps need names of their own.
    *parameters* are those of its steps, *names* what each is called as an input of the pipeline,
    *passed* those that the pipeline around it gives. *outside* are the artifacts that it is given.
    *filler* is the name of the parameter that fills a gap, see `FILLER`.
    *units* are the interfaces of its steps, *outputs* the names of what the pipeline gives.
    """

    pipeline: Pipeline
    prefix: str
    parameters: Mapping[str, Parameter]
    names: Mapping[str, str]
    passed: frozenset[str]
    outside: Mapping[str, Given]
    units: Mapping[str, Interface]
    outputs: Mapping[str, str] = field(default_factory=dict)
    filler: str = ""

    def given(self, unit: Step | SubPipeline, variable: str) -> Given:
        """Where *unit* has its input *variable* from."""
        producer = unit.ins[variable]
        if not producer:
            return self.outside[variable]
        other = next(one for one in self.pipeline.steps if one.name == producer)
        return Given(producer, self.units[producer].outs[variable], other.outs[variable])

    def last_producer(self, variable: str) -> Given:
        """The step whose value of *variable* is the pipeline's own."""
        producers = [one for one in self.pipeline.steps if variable in one.outs]
        last = producers[-1]
        return Given(last.name, self.units[last.name].outs[variable], last.outs[variable])


def root_scope(pipeline: Pipeline) -> Scope:
    """The scope of a pipeline that is in no other."""
    parameters = {one.name: one for one in pipeline.parameters}
    names = _names(parameters, set())
    units = {unit.name: _interface(unit, names) for unit in pipeline.steps}
    return Scope(pipeline, "", parameters, names, frozenset(), {}, units)


def inner_scope(sub: SubPipeline, around: Scope) -> Scope:
    """The scope inside of *sub*, which is a step of *around*.

    Its own parameters that it is not given keep the defaults of its notebook.
    """
    outer = around.units[sub.name]
    parameters = {name: around.parameters[name] for name in sub.parameters}
    own = {one.name: one for one in sub.pipeline.parameters if one.name not in parameters}
    taken = {*outer.parameters.values(), *outer.ins.values(), *outer.outs.values(), outer.filler}
    names = {**outer.parameters, **_names(own, taken)}
    outside = {
        variable: Given("", outer.ins[variable], around.given(sub, variable).type)
        for variable in sub.ins
    }
    units = {unit.name: _interface(unit, names) for unit in sub.pipeline.steps}
    prefix = f"{around.prefix}{sub.name}/"
    passed = frozenset(sub.parameters)
    known, outs = parameters | own, outer.outs
    return Scope(sub.pipeline, prefix, known, names, passed, outside, units, outs, outer.filler)


def _interface(unit: Step | SubPipeline, parameters: Mapping[str, str]) -> Interface:
    taken: set[str] = set()
    outs = _names(unit.outs, taken)
    report = metrics = ""
    if isinstance(unit, Step):
        if unit.settings.report:
            report = _taking(REPORT, taken)
        if unit.metrics:
            metrics = _taking(METRICS, taken)
    given = {name: _as_input(parameters[name], taken) for name in unit.parameters}
    ins = {name: _as_input(name, taken) for name in unit.ins}
    bare = isinstance(unit, SubPipeline) and ins and not given
    return Interface(given, ins, outs, report, metrics, _taking(FILLER, taken) if bare else "")


def _names(names: Iterable[str], taken: set[str]) -> dict[str, str]:
    return {name: _taking(name, taken) for name in names}


def _as_input(name: str, taken: set[str]) -> str:
    """A variable that a step takes and gives goes in as `NAME_in`."""
    plain = input_name(name, ())
    return _taking(plain if plain not in taken else f"{plain}_in", taken)


def _taking(name: str, taken: set[str]) -> str:
    found = input_name(name, taken)
    taken.add(found)
    return found
