"""The `Pipeline` of a notebook whose cells are read and whose variables are known."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import get_args

from kale_tag.analysis.dataflow import Dataflow, Unit
from kale_tag.analysis.process_state import State, in_words
from kale_tag.analysis.slices import (
    Part,
    Provenance,
    attributes,
    closure,
    fixed_names,
    gives_code,
    only,
    parts_of,
    passes_definitions,
    without,
)
from kale_tag.code.distributions import modules, normalized
from kale_tag.code.facts import Import
from kale_tag.code.local_modules import LocalCode, Travelling, code_of, installed, written_modules
from kale_tag.compiler.read import Draft
from kale_tag.compiler.requirements import completed, import_diagnostics, requirements
from kale_tag.compiler.settings import step_settings
from kale_tag.diagnostics import Diagnostic, UserError, warning
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.pipeline import (
    STATE,
    ArtifactType,
    Code,
    Parameter,
    Pipeline,
    Step,
    StepSettings,
    SubPipeline,
)
from kale_tag.kale.settings import CompileOptions, StepOptions
from kale_tag.notebook.places import cell_label

TYPES: tuple[ArtifactType, ...] = get_args(ArtifactType)

ARTIFACTS: tuple[tuple[str, ArtifactType], ...] = (
    ("model", "Model"),
    ("dataset", "Dataset"),
    ("data", "Dataset"),
    ("metrics", "Metrics"),
)
"""Part of a variable's name in lower case, and the type of its artifact: what Kale documents, in
`processors/constants.py`; its `ClassificationMetrics` are not supported."""


class PipelineBuilder:
    """Builds the pipeline of one notebook."""

    def __init__(  # noqa: PLR0913, PLR0917  all that a pipeline is built from
        self,
        draft: Draft,
        flow: Dataflow,
        order: list[str],
        options: CompileOptions,
        local: LocalCode,
        inner: Mapping[str, Draft],
        around: "PipelineBuilder | None" = None,
    ) -> None:
        """Keep all, and find the parts of the shared cells that each step runs."""
        self.draft = draft
        self.flow = flow
        self.order = order
        self.options = options
        self.local = local
        self.travelling = Travelling(local.files)
        self.inner = inner
        self.around = around
        own = installed(code_of(draft.notebook))
        self.installed = {normalized(name): one for name, one in own.items()}
        self.own = {name: one for name, one in own.items() if name not in modules()}
        self.own |= options.distributions
        self.units = {unit.name: unit for unit in flow.units}
        self.set_by_spec = self._set_by_spec()
        self.position = {name: number for number, name in enumerate(order)}
        self.before: dict[str, set[str]] = {name: set() for name in order}
        for before, after in draft.edges:
            self.before[after].add(before)
        self.importers = [number for number, one in enumerate(flow.units) if one.facts.imports]
        self.parts = parts_of(draft.shared)
        self.fixed = fixed_names(draft.shared, self.parts)
        self.methods = attributes(draft.shared)
        every_facts = (flow.facts, *(unit.facts for unit in flow.units))
        imported = self._requirements(one for facts in every_facts for one in facts.modules)
        cells = [*draft.shared, *(cell for own in draft.cells.values() for cell in own)]
        self.imported = completed(imported, set().union(*attributes(cells).values()), imported)
        self.provenance = Provenance(flow)
        self.needs = {unit.name: self._names(number) for number, unit in enumerate(flow.units)}
        every: set[str] = set().union(*self.needs.values())
        # Parts that no step names stay in every step, and so do the parts that these need.
        staying = [part.at_once for part in self.parts if not part.names & every]
        fixed = closure(flow.facts, self.parts, frozenset().union(*staying))
        self.parts = [part for part in self.parts if part.names & every and not part.names & fixed]
        self.left_out = {name: self._left_out(unit) for name, unit in self.units.items()}
        self.moved = {name: self._moved(unit) for name, unit in self.units.items()}
        parted = (*self.left_out.values(), *self.moved.values())
        cut = [part.cell for parts in parted for part in parts]
        whole = [cell not in cut for cell in draft.shared]
        self.common = whole.index(False) if False in whole else len(whole)

    def pipeline(self, parameters: Iterable[Parameter] = ()) -> Pipeline:
        """The pipeline, with *parameters* beside those of the notebook."""
        draft, settings = self.draft, self.draft.settings
        own = {one.name: one for one in draft.parameters}
        own.update({one.name: one for one in parameters})
        steps = tuple(self._unit(self.units[name]) for name in self.order)
        diagnostics = list(dict.fromkeys(self._import_diagnostics()))
        if errors := [one for one in diagnostics if one.severity == "error"]:
            raise UserError(*errors)
        return Pipeline(
            name=settings.name,
            notebook=draft.notebook.name,
            description=settings.description,
            kfp_version=self.options.kfp_version,
            labels={
                key: draft.tagged.places.metadata(None, (SETTINGS_KEY, key))
                for key in ("pipeline_description", "security_context")
            }
            | {**self.options.labels},
            experiment=settings.experiment,
            parameters=tuple(own.values()),
            shared=tuple(cell.code for cell in draft.shared[: self.common]),
            steps=steps,
            volumes=settings.volumes,
            security=settings.security,
            caching=settings.caching,
            ttl=self.options.ttl,
            pip_index_urls=self.options.pip_index_urls,
            warnings=(*settings.warnings, *diagnostics, *self._unkept(), *self._kept_states()),
        )

    def _import_diagnostics(self) -> Iterator[Diagnostic]:
        """Imports of each block that cannot work; modules that its own cells write can."""
        shared = written_modules(cell.code.source for cell in self.draft.shared)
        installs = self.options.packages is None
        blocks = [(self.flow.facts, shared, installs)]
        for unit in self.flow.units:
            if unit.inner is None:
                cells = self.draft.cells[unit.name]
                own = written_modules(cell.code.source for cell in cells)
                installs = self.options.packages is self._settings(unit.name).packages is None
                blocks.append((unit.facts, own | shared, installs))
        seen = {*self.travelling.units}
        for block, written, installs in blocks:
            imports = [one for one in block.modules if one.module.split(".")[0] not in written]
            names = self.travelling.needed(imports, ())
            imports += self.travelling.imports(names)
            local = self.local.modules
            yield from import_diagnostics(imports, self.own, local, seen, installs=installs)

    def _unkept(self) -> Iterable[Diagnostic]:
        """Warnings of referenced notebooks, also of settings that the pipeline does not keep."""
        for child in self.inner.values():
            yield from child.settings.warnings
            if child.settings.volumes:
                yield warning(
                    "setting-not-kept",
                    f"the volumes of {child.notebook.name} are not mounted; those of the notebook "
                    "that refers to it are",
                    cell_label(child.notebook, 0),
                )

    # Steps

    def _unit(self, unit: Unit) -> Step | SubPipeline:
        if unit.inner is not None:
            return self._sub(unit, unit.inner)
        draft = self.draft
        left_out = self.left_out[unit.name]
        moved = self.moved[unit.name]
        shared = [
            without(cell.code, [part for part in (*left_out, *moved) if part.cell is cell])
            for cell in draft.shared[self.common :]
        ]
        late = [
            only(cell, [part.node for part in moved if part.cell is cell])
            for cell in dict.fromkeys(part.cell for part in moved)
        ]
        own = [cell.code for cell in draft.cells[unit.name]]
        return Step(
            name=unit.name,
            code=(*shared, *self._carried(unit), *late, *own),
            prev=self._prev(unit),
            ins=self._ins(unit),
            outs=self._outs(unit),
            parameters=self._parameters(unit),
            together=tuple(sorted(tuple(sorted(names)) for names in unit.together)),
            changed=tuple(sorted(unit.changed)),
            apart=tuple(sorted(tuple(sorted(names)) for names in unit.apart)),
            metrics=tuple(unit.metrics),
            states=self._states(unit),
            renewed=tuple(map(str, unit.renewed)),
            definitions=passes_definitions(self.flow, self.position[unit.name]),
            packages=self.packages(unit),
            files=self.travelling.codes(self._files(unit)),
            settings=self._settings(unit.name),
            label=draft.tagged.step(draft.tagged.starts[unit.name]),
        )

    def _settings(self, name: str) -> StepSettings:
        around = self.around
        defaults, image = self.draft.settings.defaults, self.draft.settings.base_image
        if around is not None:
            defaults = defaults.over(around.draft.settings.defaults)
            image = image or around.draft.settings.base_image
        options = self.options.steps.get(name, StepOptions()) if around is None else StepOptions()
        given = self.draft.tagged.step_tags[name]
        return step_settings(given, defaults, image, options)

    def _prev(self, unit: Unit) -> tuple[str, ...]:
        found = self.before[unit.name] | set(self._ins(unit).values()) - {""}
        return tuple(sorted(found, key=self.position.__getitem__))

    def _ins(self, unit: Unit) -> dict[str, str]:
        units = self.flow.units
        return {
            name: units[producer].name if producer >= 0 else ""
            for name, producer in sorted(unit.ins.items())
        }

    def _outs(self, unit: Unit) -> dict[str, ArtifactType]:
        return {name: self._artifact(name) for name in sorted(unit.outs)}

    def _artifact(self, name: str) -> ArtifactType:
        given = self.options.artifacts.get(name)
        for known in TYPES:
            if given == known:
                return known
        lower = name.lower()
        return next((type_ for word, type_ in ARTIFACTS if word in lower), "Artifact")

    def _states(self, unit: Unit) -> dict[str, tuple[str, ...]]:
        """The states that a step passes on, but for variables that the spec sets."""
        return {
            STATE + kind: tuple(str(one) for one in states if one not in self.set_by_spec)
            for kind, states in sorted(unit.states.items())
        }

    def _set_by_spec(self) -> set[State]:
        """The environment variables, as states, that some step gets from the spec or a secret."""
        found = {volume.env for volume in self.draft.settings.volumes}
        for name, unit in self.units.items():
            if unit.inner is None:
                settings = self._settings(name)
                found |= {*settings.env, *(one.env for one in settings.secrets)}
                found |= settings.pod_options.config_maps.keys()
        return {State("os.environ", name) for name in found}

    def _kept_states(self) -> Iterator[Diagnostic]:
        """Environment variables that a step sets, and which the spec sets for some step."""
        for unit in self.units.values():
            for state in sorted(set().union(*unit.states.values()) & self.set_by_spec):
                use = unit.events.states.get(state)
                if use is not None and use.set_at:
                    yield warning(
                        "lost-state",
                        f"step `{unit.name}` sets {in_words(state)}, which later steps do not get, "
                        "since the spec or a secret sets it for some step",
                        use.set_at[0].label(),
                        help="take another name",
                    )

    def _parameters(self, unit: Unit) -> tuple[str, ...]:
        return tuple(name for name in self.flow.parameters if name in unit.parameters)

    def _sub(self, unit: Unit, flow: Dataflow) -> SubPipeline:
        used = {name for one in flow.units for name in one.parameters}
        unit.parameters |= used & set(self.flow.parameters)
        within = self._within(unit)
        taken = [self.flow.parameters[name] for name in self._parameters(unit)]
        settings = self.draft.settings
        pipeline = replace(
            within.pipeline(taken),
            experiment=settings.experiment,
            volumes=settings.volumes,
            security=settings.security,
            caching=settings.caching,
        )
        return SubPipeline(
            name=unit.name,
            pipeline=pipeline,
            prev=self._prev(unit),
            ins=self._ins(unit),
            outs=self._outs(unit),
            parameters=self._parameters(unit),
            label=cell_label(self.draft.notebook, self.draft.tagged.starts[unit.name].index),
        )

    # Code and packages

    def _names(self, number: int) -> set[str]:
        """All names that a step needs: those it uses, and those its inputs were made with."""
        unit = self.flow.units[number]
        if unit.inner is not None:
            return set()
        names = unit.events.used | unit.events.uses.keys() | self.fixed
        names |= self.provenance.of_inputs(number)
        return closure(self.flow.facts, self.parts, names)

    def _left_out(self, unit: Unit) -> list[Part]:
        if unit.inner is not None or unit.facts.dynamic or self.flow.facts.dynamic:
            return []
        needed = self.needs[unit.name]
        return [part for part in self.parts if not part.names & needed]

    def _moved(self, unit: Unit) -> list[Part]:
        """Definitions that need a variable of another step where they are made: they run later."""
        names, found = set(unit.early), []
        for part in self.parts if names else ():
            if part.at_once & names and part not in self.left_out[unit.name]:
                found.append(part)
                names |= part.names
        return found

    def _carried(self, unit: Unit) -> Iterator[Code]:
        """The code of the imports of other steps that this one must repeat."""
        carried = list(unit.carried.values())
        for cell in dict.fromkeys(one.spot.cell for one in carried):
            here = [one for one in carried if one.spot.cell is cell]
            statements = {one.statement for one in here if one.statement is not None}
            if statements:
                ordered = [node for node in cell.tree.body if node in statements]
                yield only(cell, ordered)

    def packages(self, unit: Unit) -> tuple[str, ...]:
        """What the step *unit* installs."""
        left_out = self.left_out[unit.name]
        settings = self._settings(unit.name)
        if settings.packages is not None:
            return settings.packages
        if self.options.packages is not None:
            return self.options.packages
        imports = [*self._imports(unit), *self.travelling.imports(self._files(unit))]
        found = completed(self._requirements(imports), self._methods(unit, left_out), self.imported)
        if gives_code(self.flow, self.position[unit.name]):
            found.add("cloudpickle")
        found = {self.installed.get(normalized(one), one) for one in found}  # in the same version
        found |= self._of_other_notebooks(unit)
        return tuple(sorted(found, key=str.lower))

    def _imports(self, unit: Unit) -> list[Import]:
        """What a step imports, or the values that it uses were made with."""
        left_out = self.left_out[unit.name]
        shared = self.flow.facts.modules
        found = [one for one in shared if not any(part.holds(one) for part in left_out)]
        found += [*unit.facts.modules, *unit.carried.values()]
        names = self.needs[unit.name]
        for number in self.importers:
            if unit.before >> number & 1:  # it may use values made there
                for name, known in self.flow.units[number].facts.imports.items():
                    found += known if name in names else []
        return found

    def _files(self, unit: Unit) -> list[str]:
        """The local code that travels with a step."""
        if not self.travelling.units:
            return []
        cells = [*self.draft.shared, *self.draft.cells[unit.name]]
        return self.travelling.needed(self._imports(unit), (one.code.python for one in cells))

    def _methods(self, unit: Unit, left_out: list[Part]) -> set[str]:
        """The attributes in the code of a step."""
        gone = {(part.cell, part.first) for part in left_out}
        kept = (names for place, names in self.methods.items() if place not in gone)
        return set().union(*kept, *attributes(self.draft.cells[unit.name]).values())

    def _requirements(self, imports: Iterable[Import]) -> tuple[str, ...]:
        return requirements(imports, self.own, self.local.names())

    def _of_other_notebooks(self, unit: Unit) -> set[str]:
        """What the producers of its variables in other notebooks install."""
        found: set[str] = set()
        for name, producer in unit.ins.items():
            if producer >= 0:
                inner = self.flow.units[producer].inner
                number = None if inner is None else inner.end_producer(name)
                if number is not None:
                    within = self._within(self.flow.units[producer])
                    found |= set(within.packages(within.flow.units[number]))
            elif self.around is not None:
                outer = self.around
                sub = next(one for one in outer.flow.units if one.inner is self.flow)
                from_ = outer.flow.units[sub.ins[name]] if sub.ins.get(name, -1) >= 0 else None
                if from_ is not None and from_.inner is None:
                    found |= set(outer.packages(from_))
        return found

    def _within(self, unit: Unit) -> "PipelineBuilder":
        """The builder of a notebook that this one refers to."""
        assert unit.inner is not None
        order = [one.name for one in unit.inner.units]
        child = self.inner[unit.name]
        return PipelineBuilder(child, unit.inner, order, self.options, self.local, {}, self)
