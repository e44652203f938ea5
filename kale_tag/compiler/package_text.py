"""A package as the text of a file: the header, and the documents as YAML, JSON or resources."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from kale_tag.compiler.ir_yaml import to_yaml
from kale_tag.compiler.package import Package
from kale_tag.kale.metadata import SETTINGS_KEY, tags_in
from kale_tag.kale.pipeline import Pipeline
from kale_tag.notebook.model import Notebook

FORMATS = ("yaml", "json", "manifest")
"""What KFP reads, the same as JSON, and Kubernetes resources for clusters that are kept in Git."""

_API_VERSION = "pipelines.kubeflow.org/v2beta1"

_DIGITS = 12
"""Of the digest in the name of a version: enough that no two versions share a name."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a package was made of.

    It holds no path of the machine, time or version, so that the package is the same wherever it is
    made.
    """

    sources: Sequence[tuple[str, str]]  # files, relative to the folder of the package, and digests
    command: str  # makes the package again in that folder


def as_text(made: Package, pipeline: Pipeline, origin: Origin, form: str) -> str:
    """The package *made* of *pipeline* as a file of the format *form*, one of `FORMATS`."""
    if form == "json":
        # With a platform, in the form in which KFP's API has the two in one value.
        value: object = made.spec
        if made.platform is not None:
            value = {"pipeline_spec": made.spec, "platform_spec": made.platform}
        return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    documents = _resources(made, pipeline) if form == "manifest" else made.documents
    return _header(pipeline, origin) + to_yaml(documents, made.shared)


def notebook_digest(notebook: Notebook) -> str:
    """The SHA-256 of what a package depends on: sources, tags and settings, no outputs."""
    metadata = notebook.metadata
    settings = metadata.get(SETTINGS_KEY) if isinstance(metadata, dict) else None
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            held = cell.metadata
            path = held.get("notebook_path") if isinstance(held, dict) else None
            cells.append([cell.source, tags_in(held), path])
    text = json.dumps([settings, cells], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def text_digest(text: str) -> str:
    """The SHA-256 of a text file, however Git ends its lines on this machine."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode(errors="replace")).hexdigest()


def changed_sources(old: str, new: str) -> list[str]:
    """The names of the sources whose digest is in the header of *new* and not in that of *old*."""
    before = set(_source_lines(old))
    return [line.split()[2] for line in _source_lines(new) if line not in before]


def _resources(made: Package, pipeline: Pipeline) -> list[dict[str, object]]:
    """The resources `Pipeline` and `PipelineVersion`, which KFP takes since 2.14.

    A `PipelineVersion` cannot be changed once it exists, so its name has a digest of its content:
    another package is another version, the same package the same one. Source: KEP-11551 and the
    types in backend/src/crd/kubernetes/v2beta1 of kubeflow/pipelines.
    """
    content = json.dumps([made.spec, made.platform], sort_keys=True).encode(errors="replace")
    version = f"{pipeline.name}-{hashlib.sha256(content).hexdigest()[:_DIGITS]}"
    about = {"description": pipeline.description} if pipeline.description else {}
    spec: dict[str, object] = {**about, "pipelineName": pipeline.name, "pipelineSpec": made.spec}
    if made.platform is not None:
        spec["platformSpec"] = made.platform
    return [
        {
            "apiVersion": _API_VERSION,
            "kind": "Pipeline",
            "metadata": {"name": pipeline.name},
            "spec": dict(about),
        },
        {
            "apiVersion": _API_VERSION,
            "kind": "PipelineVersion",
            "metadata": {"name": version},
            "spec": spec,
        },
    ]


def _source_lines(text: str) -> list[str]:
    return [line for line in text.split("\n", 40)[:40] if line.startswith("# From: ")]


def _header(pipeline: Pipeline, origin: Origin) -> str:
    lines = ["PIPELINE DEFINITION", f"Name: {pipeline.name}"]
    first, *more = pipeline.description.strip().split("\n")
    if first:
        lines += [f"Description: {first}", *(f"             {line}" for line in more)]
    if pipeline.experiment:
        lines.append(f"Experiment: {pipeline.experiment}")
    lines += [f"From: {name} sha256:{digest}" for name, digest in origin.sources]
    lines.append(f"Made by: {origin.command}")
    return "".join(f"# {_printable(line)}\n" for line in lines)


def _printable(line: str) -> str:
    """*line* without characters that end a comment, and without `{{`, which runners replace."""
    shown = "".join(
        letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in line.rstrip()
    )
    return shown.replace("{{", "{ {")
