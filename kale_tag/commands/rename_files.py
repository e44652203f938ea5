"""The files in which `kale-tag rename` renames a step, and what becomes of each."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from kale_tag import files
from kale_tag.commands.shared import patches
from kale_tag.commands.shared.check_targets import looks_like_a_spec
from kale_tag.commands.shared.ready import is_ready, ready_spec
from kale_tag.commands.shared.targets import (
    STDIN,
    Named,
    Targets,
    default_specs,
    listed_by,
    told_apart,
)
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.kale import tags
from kale_tag.kale.metadata import tags_in
from kale_tag.notebook.places import Places
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.carry_out import retag
from kale_tag.plan.patch import ENDING
from kale_tag.rename.edits import Edit, Renamed
from kale_tag.rename.patch import patch_diagnostics, rename_in_patch
from kale_tag.rename.spec import rename_diagnostics, rename_in_spec
from kale_tag.spec.change import Target
from kale_tag.spec.model import Given, Spec
from kale_tag.spec.read import read_spec

BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Changed:
    """A file, the places in it that change, and its new bytes; *look* is left to a person."""

    file: files.File
    edits: Sequence[Edit] = ()
    data: bytes = b""
    look: Sequence[Diagnostic] = ()


@dataclass(slots=True)
class Everywhere:
    """All files that were looked at, in order; with *faults* nothing may be written.

    *steps* are the names of all steps that were seen.
    """

    files: list[Changed] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    steps: dict[str, None] = field(default_factory=dict)


def rename_everywhere(paths: Sequence[str], old: str, new: str) -> Everywhere:
    """The step *old* called *new* in the files that *paths* stand for; nothing is written."""
    found = Everywhere()
    work = _Work(found, old, new)
    named = _named(paths, found.diagnostics)
    for path in named.specs:
        work.spec(path, named)
    for path, below in named.patches.items():
        work.patch(path, below, named)
    for path in (*named.notebooks, *work.notebooks):
        work.notebook(path)
    work.check_specs()
    return found


def _named(paths: Sequence[str], diagnostics: list[Diagnostic]) -> Named:
    """What *paths* stand for, folders taken apart."""
    targets = Targets()
    if STDIN in paths:
        diagnostics.append(error("bad-options", "`rename` works on files, not on `-`"))
    named = told_apart([path for path in paths or default_specs() if path != STDIN], targets)
    diagnostics += targets.diagnostics
    for folder in named.folders:
        named.notebooks += files.notebooks_in(folder)
        named.specs += (path for path in _specs_below(folder) if looks_like_a_spec(path))
        inside = ((path, os.path.relpath(path, folder)) for path in files.below(folder, ENDING))
        named.patches.update(inside)
    if not (named.specs or named.patches or named.notebooks or diagnostics):
        message = "nothing is named, and there is no kale-tag.yaml and no spec in specs/"
        diagnostics.append(error("no-files", message, help="kale-tag rename OLD NEW FOLDER"))
    return named


def _specs_below(folder: str) -> list[str]:
    return sorted([*files.below(folder, ".yaml"), *files.below(folder, ".yml")])


class _Work:
    """Looks at one file after the other, at each once."""

    def __init__(self, found: Everywhere, old: str, new: str) -> None:
        self.found = found
        self.old = old
        self.new = new
        nowhere = Source("the command line")
        given = Given("step", "", new, Label(nowhere))
        self.rename = Spec(nowhere, rename={old: given})  # what notebooks are to undergo
        self.seen: set[str] = set()
        self.notebooks: list[str] = []
        self.texts: dict[str, Renamed] = {}  # specs, by the path by which they were reached
        self.specs: list[tuple[str, set[str]]] = []  # and the notebooks of each
        self.steps: dict[str, dict[str, Label]] = {}  # of notebooks, by their identity

    def spec(self, path: str, named: Named) -> None:
        """Rename in a spec and in those that it extends."""
        if is_ready(path):
            message = f"`{path}` is a part of kale-tag"
            self.found.diagnostics.append(error("not-yours", message, help="name your own spec"))
            return
        try:
            spec = read_spec(self._text(path), self._load)
            listed = listed_by(spec, required=False)
        except UserError as exc:
            self.found.diagnostics += exc.diagnostics
            return
        if not named.only_these:
            self.notebooks += (name for name, _ in listed.values())
        mine = {*listed} if spec.notebooks else {files.identity(one) for one in named.notebooks}
        self.specs.append((path, mine))

    def patch(self, path: str, below: str, named: Named) -> None:
        """Rename in a saved patch."""
        if not self._is_first(path):
            return
        try:
            file = files.read(path)
            made = rename_in_patch(files.as_text(path, file.data), self.old, self.new)
            patch = patches.read(path, file.data)
            known = patch.notebook or below.endswith(ENDING)
            notebook = patches.notebook_of(patch, below) if known else ""
        except UserError as exc:
            self.found.diagnostics += exc.diagnostics
            return
        self._take(file, made, patch_diagnostics(made, self.old, self.new))
        if not named.only_these and os.path.exists(notebook):
            self.notebooks.append(notebook)

    def notebook(self, path: str) -> None:
        """Rename in a notebook."""
        if not self._is_first(path):
            return
        try:
            file = files.read(path)
            notebook = read_notebook(file.data, path)
            places = Places(notebook)
            steps: dict[str, Label] = {}
            for index in range(len(notebook.types)):
                for at, tag in enumerate(tags_in(notebook.metadata_of(index))):
                    for name in () if tag.startswith("prev:") else tags.names_in(tag):
                        if name in {self.old, self.new}:
                            steps.setdefault(name, places.tag(index, at))
                        self.found.steps[name] = None
            self.steps[files.identity(path)] = steps
            if self.old in steps and self.new in steps:
                self.found.diagnostics.append(self._both(path, steps))
                return
            done = retag(self.rename, file.data, path, Target({"stem": ""}), fast=False)
        except UserError as exc:
            self._unusable(path, exc)
            return
        edits = [
            Edit(places.tag(change.holder, at), f"cell {change.holder}", tag, renamed)
            for change in done.plan.changes
            if change.holder is not None
            for at, tag in enumerate(tags_in(change.before))
            if (renamed := tags.renamed(tag, {self.old: self.new})) != tag
        ]
        if done.data is not None:
            self.found.files.append(Changed(file, edits, done.data))

    def _unusable(self, path: str, diagnostic: UserError) -> None:
        """A notebook that cannot be used stops the renaming if it mentions the name."""
        try:
            file = files.read(path)
        except UserError:
            file = None
        if file is None or self.old.encode() in file.data:
            self.found.diagnostics += diagnostic.diagnostics
            return
        note = f"it does not mention `{self.old}`, and is left alone"
        look = [replace(one, severity="warning", notes=(note,)) for one in diagnostic.diagnostics]
        self.found.files.append(Changed(file, look=look))

    def check_specs(self) -> None:
        """Hold the renamed specs against themselves and against the notebooks that they are for."""
        for path, notebooks in self.specs:
            try:
                read_spec(self.texts[path].renamed, lambda base, _: self._after(base))
            except UserError as exc:
                self.found.diagnostics += exc.diagnostics
            label = self.texts[path].steps.get(self.old)
            for identity in sorted(notebooks & self.steps.keys()) if label else ():
                steps = self.steps[identity]
                if self.new in steps and self.old not in steps:
                    self.found.diagnostics.append(
                        error(
                            "rename-collision",
                            f"`{self.old}` cannot become `{self.new}`: a notebook of the spec has "
                            "that step",
                            label,
                            also=[steps[self.new].with_text(f"`{self.new}`")],
                            help="renaming would make one step of two",
                        )
                    )

    def _both(self, path: str, steps: dict[str, Label]) -> Diagnostic:
        return error(
            "rename-collision",
            f"`{self.old}` cannot become `{self.new}`: {path} has both steps",
            steps[self.new].with_text(f"`{self.new}`"),
            also=[steps[self.old].with_text(f"`{self.old}`")],
            help="renaming would make one step of two",
        )

    def _is_first(self, path: str) -> bool:
        identity = files.identity(path)
        first = identity not in self.seen
        self.seen.add(identity)
        return first

    def _load(self, path: str, at: Label) -> Source:
        try:
            return ready_spec(path) if is_ready(path) else self._text(path)
        except UserError as exc:
            raise UserError(error("not-read", exc.diagnostics[0].message, at)) from None

    def _text(self, path: str) -> Source:
        """The text of a spec, which is renamed in when it is first asked for."""
        if path not in self.texts:
            file = files.read(path)
            source = files.as_text(path, file.data)
            made = rename_in_spec(source, self.old, self.new)
            self.texts[path] = made
            if self._is_first(path):
                self._take(file, made, rename_diagnostics(made, self.old, self.new))
        return self.texts[path].source

    def _after(self, path: str) -> Source:
        return ready_spec(path) if is_ready(path) else self.texts[path].renamed

    def _take(self, file: files.File, made: Renamed, diagnostics: Iterable[Diagnostic]) -> None:
        self.found.diagnostics += diagnostics
        self.found.steps.update(dict.fromkeys(made.steps))
        mark = BOM if file.data.startswith(BOM) else b""
        if made.edits or made.look:
            data = mark + made.text.encode()
            self.found.files.append(Changed(file, made.edits, data, made.look))
