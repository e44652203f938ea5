"""All findings in a pipeline. Those in the pipeline as a whole are here: its resources, its name."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_tag.analysis.dataflow import Unit
from kale_tag.analysis.library import known
from kale_tag.code.facts import dotted
from kale_tag.compiler.build import BuildResult
from kale_tag.diagnostics import Diagnostic, Label, listed
from kale_tag.lint import order, outputs, variables
from kale_tag.lint.context import Compilation, CompiledNotebook, parts_of
from kale_tag.rules.registry import found


def lint(compilation: Compilation) -> Iterator[Diagnostic]:
    """The errors and warnings for the pipeline, each once."""
    yield from dict.fromkeys(compilation.diagnostics)
    for check in LINTS:
        yield from check(compilation)


def no_limits(compilation: Compilation) -> Iterator[Diagnostic]:
    """Steps that train large models or use a GPU, and have no limit or request."""
    places: list[tuple[str, Label]] = []
    for part in compilation.parts:
        for unit, step in part.steps:
            settings = step.settings
            if not settings.limits and not settings.requests:
                why = _heavy(part, unit)
                places += [] if why is None else [(unit.name, why)]
    if places:
        names = [name for name, _ in places]
        yield found(
            "no-limits",
            f"step{'s' if names[1:] else ''} {listed(names)} "
            f"{'train large models or use GPUs' if names[1:] else 'trains a large model or uses a GPU'}"
            f", and {'have' if names[1:] else 'has'} no limit or request",
            places[0][1],
            also=[label for _, label in places[1:]],
            help="`limits: {cpu: 4, memory: 8Gi}` in the rule of a spec, or `steps_defaults`",
        )


def _heavy(part: CompiledNotebook, unit: Unit) -> Label | None:
    """Where the unit plainly trains a large model, or uses a GPU."""
    modules = part.flow.modules
    for cell in part.draft.cells[unit.name]:
        for node in part.nodes(cell):
            if isinstance(node, ast.Call) and (_trains(node, modules) or _on_gpu(node, modules)):
                return cell.place(node)
    return None


def _trains(node: ast.Call, modules: Mapping[str, str]) -> bool:
    path = dotted(node.func, modules)
    if path.partition(".")[0] in known("trainers") and path.endswith(("Trainer", "Accelerator")):
        return True
    if not isinstance(node.func, ast.Attribute):
        return False
    given = {one.arg for one in node.keywords}
    method = node.func.attr
    return method in known("training") or (
        method == "fit" and bool(given & {"epochs", "steps_per_epoch"})
    )


def _on_gpu(node: ast.Call, modules: Mapping[str, str]) -> bool:
    """`model.to("cuda")`, `torch.device("cuda")`, `XGBClassifier(tree_method="gpu_hist")`."""
    moves = isinstance(node.func, ast.Attribute) and node.func.attr == "to"
    if moves or dotted(node.func, modules) == "torch.device":
        return any(_names_gpu(one) for value in node.args for one in ast.walk(value))
    named: list[tuple[object, ast.expr]] = [(one.arg, one.value) for one in node.keywords]
    for value in (*node.args, *(one.value for one in node.keywords)):
        if isinstance(value, ast.Dict):
            keys = (one.value if isinstance(one, ast.Constant) else None for one in value.keys)
            named += zip(keys, value.values, strict=True)
    return any(name in known("devices") and _names_gpu(value) for name, value in named)


def _names_gpu(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and str(node.value).lower().startswith(("cuda", "gpu"))


LINTS = (*variables.LINTS, *outputs.LINTS, *order.LINTS, variables.shared_state, no_limits)
TASTE = (variables.unused_variable, variables.unused_parameter, order.redundant_prev, no_limits)
"""Those that find nothing by which the pipeline could differ from the notebook."""


def differences(built: BuildResult) -> Iterator[Diagnostic]:
    """By what the pipeline may differ from the notebook, for those who compile it."""
    compilation = Compilation((), tuple(parts_of(built)))
    for check in LINTS:
        if check not in TASTE:
            yield from check(compilation)


@dataclass(frozen=True, slots=True)
class Named:
    """The name of one pipeline."""

    notebook: str  # the name of its file
    pipeline: str
    label: Label  # where the notebook has the name


def one_pipeline_name(named: Iterable[Named]) -> Iterator[Diagnostic]:
    """Find notebooks whose pipelines have the same name; the primary place is in the last one."""
    sharing: dict[str, list[Named]] = {}
    for one in named:
        sharing.setdefault(one.pipeline, []).append(one)
    for name, notebooks in sharing.items():
        if len(notebooks) > 1:
            *others, last = (one.label for one in notebooks)
            yield found(
                "one-pipeline-name",
                f"{len(notebooks)} notebooks are the pipeline `{name}`; once uploaded, their "
                "packages are versions of one pipeline",
                last,
                also=others,
                help=_one_name_each([one.notebook for one in notebooks]),
            )


def _one_name_each(notebooks: Sequence[str]) -> str:
    """The help for *notebooks* that have one pipeline name: a setting that gives each its own."""
    paths = [("", *path.replace("\\", "/").split("/")) for path in notebooks]
    apart = [len({path[-parts:] for path in paths}) == len(paths) for parts in (1, 2)]
    name = "x-${stem}" if apart[0] else "${parent}-${stem}" if apart[1] else "${dir}-${stem}"
    return f"`pipeline_name: {name}` in a spec gives each notebook a name of its own"
