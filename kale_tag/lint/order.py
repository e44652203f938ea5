"""Lints of the order of steps: waits that are too many or too few, files in place of variables."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kale_tag.analysis.calls import words
from kale_tag.analysis.paths import as_file, dotted, text_of
from kale_tag.analysis.source import Parsed
from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.lint.context import Compilation, CompiledNotebook
from kale_tag.rules.registry import found

WRITERS = words(
    "dump export imsave savefig save savetxt savez savez_compressed save_model save_pretrained"
    " save_weights to_csv to_excel to_feather to_hdf to_json to_parquet to_pickle urlretrieve"
    " write_bytes write_text"
)
READERS = words(
    "fromfile genfromtxt imread load load_model load_weights loadtxt open read_bytes read_csv"
    " read_excel read_feather read_hdf read_json read_parquet read_pickle read_table read_text"
)
"""The last part of the names of functions and methods that write or read a file they are told."""

OF_PATHS = words("read_bytes read_text rename stat unlink write_bytes write_text")
"""Methods of a path, which is the file."""

CONSUMERS = words(
    "os.path.getsize os.remove os.rename os.replace os.stat os.unlink"
    " shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move shutil.rmtree"
    " shutil.unpack_archive"
)
"""Functions that need the file that they are given first."""

MOVERS = words("copy copy2 copyfile copytree move rename replace")
"""The last part of the names of those that write the one that they are given second."""


def redundant_prev(compilation: Compilation) -> Iterator[Diagnostic]:
    """A `prev:` that says what others say already."""
    for part in compilation.parts:
        if any(unit.inner is not None for unit in part.flow.units):
            continue  # there the order of the cells counts, whatever the tags say
        units = {unit.name: unit for unit in part.flow.units}
        number = {name: position for position, name in enumerate(units)}
        for step in part.pipeline.steps:
            producers = set(step.ins.values())
            for given in part.draft.tagged.step_tags[step.name]:
                if given.tag.kind != "prev":
                    continue
                name = given.tag.key
                bit = 1 << number[name]
                ways = [
                    other
                    for other in step.prev
                    if other not in {name, step.name} and units[other].before & bit
                ]
                if ways and name not in producers:
                    yield found(
                        "redundant-prev",
                        f"`prev:{name}` of step `{step.name}` says nothing new: it runs after "
                        f"`{ways[0]}`, which runs after `{name}`",
                        given.label,
                        help="take the tag out",
                    )


def missing_prev(compilation: Compilation) -> Iterator[Diagnostic]:
    """A step that uses a file of a volume which another writes, and does not wait for it."""
    for part in compilation.parts:
        units = part.flow.units
        number = {unit.name: position for position, unit in enumerate(units)}
        for read in _read_of_others(part):
            waits = units[number[read.step]].before
            others = [one for one in read.writers if not waits >> number[one.step] & 1]
            if read.is_kept and len(others) == len(read.writers):
                writer = others[-1]
                yield found(
                    "missing-prev",
                    f"step `{read.step}` uses `{read.path}`, which step `{writer.step}` writes, "
                    "and does not wait for it",
                    read.label,
                    also=[writer.label.with_text("written here")],
                    help=f"add `prev: {writer.step}` to `{read.step}`",
                )


def unshared_file(compilation: Compilation) -> Iterator[Diagnostic]:
    """A step that uses a file which another step writes into its own container."""
    for part in compilation.parts:
        for read in _read_of_others(part):
            if not read.is_kept:
                writer = read.writers[-1]
                yield found(
                    "unshared-file",
                    f"step `{read.step}` uses `{read.path}`, which step `{writer.step}` writes "
                    "into a container of its own",
                    read.label,
                    also=[writer.label.with_text("written here")],
                    help="pass a variable, or use a path on a volume or in a bucket",
                )


@dataclass(frozen=True, slots=True)
class _Use:
    """A step that reads or writes a file."""

    step: str
    path: str
    label: Label
    is_kept: bool = False
    writers: tuple["_Use", ...] = ()


@dataclass(slots=True)
class _Files:
    reads: dict[str, Label] = field(default_factory=dict)
    writes: dict[str, Label] = field(default_factory=dict)


def _read_of_others(part: CompiledNotebook) -> Iterator[_Use]:
    """Files that steps read and do not write, with the steps that do; *is_kept*: on a volume."""
    if len(part.draft.cells) < 2:
        return
    mounts = [volume.mount_point.rstrip("/") + "/" for volume in part.pipeline.volumes]
    steps = {name: _files(part, cells) for name, cells in part.draft.cells.items()}
    for name, own in steps.items():
        for path, label in own.reads.items():
            writers = tuple(
                _Use(other, path, files.writes[path])
                for other, files in steps.items()
                if other != name and path in files.writes
            )
            if writers and path not in own.writes:
                kept = any(path.startswith(mount) for mount in mounts)
                yield _Use(name, path, label, kept, writers)


def _files(part: CompiledNotebook, cells: list[Parsed]) -> _Files:
    found_ = _Files()
    modules = part.flow.modules
    known = {one.name: one.default for one in part.draft.parameters if isinstance(one.default, str)}
    known |= _texts(part.draft.shared, modules)
    for others in part.draft.cells.values():  # a step before may give the name of a folder
        known |= _texts(others, modules)
    known |= _texts(cells, modules)
    for cell in cells:
        for node in part.nodes(cell):
            if isinstance(node, ast.Call):
                _note(node, cell, found_, known, modules)
    return found_


def _note(
    node: ast.Call,
    cell: Parsed,
    files: _Files,
    known: Mapping[str, str],
    modules: Mapping[str, str],
) -> None:
    path = dotted(node.func, modules)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else path.rpartition(".")[2]
    holder = node.func.value if isinstance(node.func, ast.Attribute) else None
    if path in CONSUMERS:
        for number, one in enumerate(node.args[: 2 if name in MOVERS else 1]):
            if taken := as_file(text_of(one, known, modules)):
                (files.writes if number else files.reads).setdefault(taken, cell.place(node))
        return
    if name not in WRITERS | READERS | OF_PATHS:
        return
    if holder is not None and name in OF_PATHS:
        where = [holder]
    elif name in {"open", "dump"} and holder is not None and dotted(holder, modules) not in modules:
        where = [*node.args[:2], holder]
    else:
        where = [*node.args[:2], *(one.value for one in node.keywords if one.arg in _PATHS)]
    path = next((path for one in where if (path := as_file(text_of(one, known, modules)))), "")
    if path:
        writes = name in WRITERS or (name == "open" and _writes(node))
        (files.writes if writes else files.reads).setdefault(path, cell.place(node))


_PATHS = frozenset(["path", "filename", "file", "filepath", "fname", "path_or_buf", "io"])


def _writes(node: ast.Call) -> bool:
    """Whether `open` is told to write."""
    given = [*node.args, *(one.value for one in node.keywords if one.arg == "mode")]
    modes = [one.value for one in given if isinstance(one, ast.Constant)]
    return any(
        isinstance(mode, str) and len(mode) <= 4 and set(mode) & set("wax") and set(mode) <= _MODE
        for mode in modes
    )


_MODE = frozenset("rwaxbt+")


def _texts(cells: list[Parsed], modules: Mapping[str, str]) -> dict[str, str]:
    """Variables that are a text, for all that can be seen."""
    found_: dict[str, str] = {}
    for cell in cells:
        for node in cell.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found_[name] = text_of(value, found_, modules)
                case _:
                    pass
    return found_


LINTS = (redundant_prev, missing_prev, unshared_file)
