"""A package as the text of a file: the header, and the documents as YAML, JSON or resources.

All readers of packages read the YAML alike, and a reviewer can read it. Text of several lines is a
literal block if PyYAML, its C part, ruamel.yaml, go-yaml v3 and npm's `yaml` and `js-yaml` all read
it back unchanged (tested with hostile text); else it is a JSON string in double quotes. The bytes
depend on the values only: not on a library, a version of Python or a hash seed.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.compiler.limits import KEY_LENGTH
from kale_tag.compiler.package import Package
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, member, tags_in
from kale_tag.kale.pipeline import Pipeline
from kale_tag.notebook.model import Notebook

FORMATS = ("yaml", "json", "manifest")
"""What KFP reads, the same as JSON, and Kubernetes resources for clusters that are kept in Git."""

_API_VERSION = "pipelines.kubeflow.org/v2beta1"

_DIGITS = 12
"""Of the digest in the name of a version: enough that no two versions share a name."""


ALIASES = 90
"""Uses of one anchor; npm's `yaml` refuses more than 100 as an attack."""

SHORT = 70
"""Characters of a mapping that is written on one line."""

# No such text is a number, a date or a sign of YAML 1.1 or 1.2.
_WORD = r"(?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9_/]))"
_PLAIN = re.compile(rf"(?=[A-Za-z_/]){_WORD}+(?: {_WORD}+)*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
# Some readers take these for a comment, a list or the end of a document.
_TWO_MEANINGS = re.compile(r" -|---|\.\.\.")
# Characters that are not printable in YAML 1.1, or that some reader takes for a line break.
_NOT_PRINTED = re.compile(
    "[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


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
    cells = [
        [notebook.source(index), tags_in(held), member(held, PATH_KEY)]
        for index in notebook.code
        for held in (notebook.metadata_of(index),)
    ]
    text = json.dumps([member(notebook.metadata, SETTINGS_KEY), cells], sort_keys=True)
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


# Plain values as YAML


def to_yaml(
    documents: Iterable[Mapping[str, object]], shared: Mapping[str, str] | None = None
) -> str:
    """*documents* as one YAML stream; keys keep their order.

    Values are mappings with text as keys, sequences, text, numbers, booleans and None. *shared*
    maps texts that occur often to names: such a text is written once, after `&name`, and is `*name`
    from there on. Raises ValueError for what readers of YAML do not agree on: a number that is
    infinite or NaN, a key of more than `KEY_LENGTH` characters.
    """
    written = []
    for document in documents:
        writer = _YamlWriter(shared or {})
        lines = writer.mapping(document, 0) if document else ("{}",)
        written.append("".join(f"{line}\n" for line in lines))
    return "---\n".join(written)


def is_literal(text: str) -> bool:
    """Whether *text* can be a literal block."""
    return (
        text.endswith("\n")
        and not text.endswith("\n\n")
        and text[0] not in " \n"
        and _NOT_PRINTED.search(text) is None
    )


@dataclass(slots=True)
class _YamlWriter:
    """Writes one document."""

    shared: Mapping[str, str]  # text to name
    used: dict[str, int] = field(default_factory=dict)  # how often each shared text occurred

    def mapping(self, value: Mapping[str, object], indent: int) -> Iterator[str]:
        pad = " " * indent
        for key, entry in value.items():
            written = _text(key)
            if len(written) > KEY_LENGTH:
                raise ValueError(f"`{key[:40]}...` is too long for a key of YAML")
            head = f"{pad}{written}:"
            match entry:
                case Mapping() if entry and (line := _on_one_line(entry)):
                    yield f"{head} {line}"
                case Mapping() if entry:
                    yield head
                    yield from self.mapping(entry, indent + 2)
                case list() | tuple() if entry:
                    yield head
                    yield from self.sequence(entry, indent)
                case _:
                    yield from self.scalar(head, entry, indent + 2)

    def sequence(self, value: Sequence[object], indent: int) -> Iterator[str]:
        pad = " " * indent
        for entry in value:
            nested: Iterator[str] | None = None
            match entry:
                case Mapping() if entry:
                    nested = self.mapping(entry, indent + 2)
                case list() | tuple() if entry:
                    nested = self.sequence(entry, indent + 2)
                case _:
                    yield from self.scalar(f"{pad}-", entry, indent + 2)
            if nested is not None:
                yield f"{pad}- {next(nested)[indent + 2 :]}"
                yield from nested

    def scalar(self, head: str, value: object, indent: int) -> Iterator[str]:
        if isinstance(value, str) and value in self.shared:
            series, place = divmod(self.used.get(value, 0), ALIASES)
            self.used[value] = series * ALIASES + place + 1
            name = self.shared[value] + (f"-{series + 1}" if series else "")
            if place:
                yield f"{head} *{name}"
                return
            head = f"{head} &{name}"
        if isinstance(value, str) and is_literal(value):
            pad = " " * indent
            yield f"{head} |"
            for line in value[:-1].split("\n"):
                yield f"{pad}{line}" if line else ""
        else:
            yield f"{head} {_inline(value)}"


def _on_one_line(value: Mapping[str, object]) -> str:
    """*value* in braces if it is short and all readers of YAML take it there, else ""."""
    scalars = all(isinstance(entry, str | int | float) for entry in value.values())
    if len(value) > 2 or not scalars:
        return ""
    parts = [(_text(key), _inline(entry)) for key, entry in value.items()]
    line = f"{{{', '.join(f'{key}: {entry}' for key, entry in parts)}}}"
    colons = any(":" in part for pair in parts for part in pair if not part.startswith('"'))
    return "" if colons or len(line) > SHORT else line


def _inline(value: object) -> str:
    match value:
        case None | bool() | int():
            return json.dumps(value)
        case float():
            return _number(value)
        case str():
            return _text(value)
        case _:
            return "{}" if isinstance(value, Mapping) else "[]"


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} has no form that all readers of YAML know")
    text = repr(value)
    # `1e-07` is text in YAML 1.1.
    return text.replace("e", ".0e", 1) if "e" in text and "." not in text else text


def _text(value: str) -> str:
    if (
        _PLAIN.fullmatch(value)
        and value.lower() not in _WORDS
        and _TWO_MEANINGS.search(value) is None
    ):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _NOT_PRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
