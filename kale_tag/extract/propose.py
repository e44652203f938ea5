"""Tags proposed for a notebook that has none, from its headings and its code."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kale_tag.extract.cell_code import CellCode, read_code
from kale_tag.extract.read import BlockRole, CellBlock, SpecDraft, read_settings
from kale_tag.kale import names, tags
from kale_tag.kale.metadata import tags_in
from kale_tag.notebook.model import MISSING, Notebook
from kale_tag.plan.select import markdown_headings

NAME_WIDTH = 40
"""Characters of a step name made from a heading."""

PARAMETERS = "parameters"
"""Papermill's tag."""

_MARKUP = re.compile(r"<[^>]*>|!?\[([^\]]*)\]\([^)]*\)|[`*$]")
_NUMBER = re.compile(
    r"(?:(?:step|part|section|chapter) +)?\d+(?:[.)\-]\d+)*(?:[.:)\-]+| )\s*", re.IGNORECASE
)
"""The number before the words of a heading."""

SHOWN = 5
"""How many metrics a comment names."""

SKIP = BlockRole("skip")

PLAIN = "Kale 2.3 accepts only strings, booleans and non-negative numbers as parameters"
MIXED = "move imports to a cell of their own at the top, so that every step has them"
MAGICS = "install packages in the image instead"


def propose(notebook: Notebook, steps: Collection[int] = ()) -> SpecDraft:
    """A draft for a Python *notebook* without Kale tags; its settings are kept.

    The cells *steps* become part of steps, whatever they look like. Raises `UserError` where a
    source cannot be read.
    """
    cells = _Cells(notebook, steps)
    made = cells.blocks()
    pipeline, lost = read_settings(notebook)
    final = {}
    for block in made:
        for at, index in enumerate(block.cells):
            more = (tags.Tag("prev", (name,)) for name in block.prev)
            given = [block.role.tag, *(more if not at else ())]
            final[index] = (*map(str, given), *tags_in(notebook.metadata_of(index)))
    return SpecDraft(notebook, made, final, pipeline, lost, proposed=True, remarks=cells.remarks())


@dataclass(slots=True)
class _Cells:
    """Gives each code cell of a notebook a role."""

    notebook: Notebook
    steps: Collection[int]
    code: dict[int, CellCode] = field(default_factory=dict)
    roles: dict[int, BlockRole] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index in self.notebook.code:
            if _is_sound(self.notebook.metadata_of(index)):
                self.code[index] = read_code(self.notebook.source(index))

    def blocks(self) -> tuple[CellBlock, ...]:
        """The blocks in the order of their first cells; each step depends on the one before."""
        self._assign_shared()
        self._name_steps()
        made: dict[BlockRole, CellBlock] = {}
        last = ""
        for index, role in sorted(self.roles.items()):
            if role in made:
                made[role] = replace(made[role], cells=(*made[role].cells, index))
                continue
            step = role.kind == "step"
            made[role] = CellBlock(role, (index,), (last,) if step and last else ())
            last = role.name if step else last
        return tuple(replace(block, remarks=tuple(self._remarks(block))) for block in made.values())

    def remarks(self) -> tuple[str, ...]:
        """Comments on the notebook as a whole."""
        if not self.roles:
            return ("No cell has code that needs a tag.",)
        steps = [index for index, role in self.roles.items() if role.kind == "step"]
        if not steps:
            return ("No cell has code that a step could run.",)
        measures = dict.fromkeys(name for cell in steps for name in self.code[cell].measures)
        if not measures or BlockRole("pipeline-metrics") in self.roles.values():
            return ()
        names = [*measures][:SHOWN]
        shown = ", ".join(f"`print({name})`" for name in names)
        return (f"For metrics in Kubeflow, add a last cell with only such lines: {shown}",)

    def _assign_shared(self) -> None:
        """Give a role to all cells but steps: imports, functions, parameters, metrics, `skip`."""
        times = Counter(name for code in self.code.values() for name in code.names)
        kinds = {"imports": "imports", "functions": "functions", "look": "skip", "magics": "skip"}
        imported: set[str] = set()
        for index, code in self.code.items():
            if index in self.steps or not code.setup <= imported:
                continue
            constants = code.kind == "constants"
            only_here = all(times[name] == 1 for name in code.names)
            papermills = PARAMETERS in tags_in(self.notebook.metadata_of(index))
            if constants and (only_here or papermills):
                self.roles[index] = BlockRole("pipeline-parameters")
            elif code.kind in kinds:
                self.roles[index] = BlockRole(kinds[code.kind])
                imported |= code.imports if code.kind == "imports" else frozenset()
        for index in reversed(self.code):  # a skipped cell defines and makes nothing for others
            if self.roles.get(index) == SKIP and self._is_used(index):
                del self.roles[index]
        last = max((index for index in self.code if self._is_step(index)), default=-1)
        for index, code in self.code.items():
            if code.kind == "metrics" and index not in self.roles and index not in self.steps:
                at_the_end = 0 <= last < index  # printed after the last step
                self.roles[index] = BlockRole("pipeline-metrics" if at_the_end else "skip")

    def _is_used(self, index: int) -> bool:
        """Whether a later cell that is not skipped uses a variable or a file of this one.

        The name of a file may also be in a cell of constants above.
        """
        makes, names = self.code[index].makes, set(self.code[index].names)
        kept = {at: code for at, code in self.code.items() if self.roles.get(at) != SKIP}
        for other, code in kept.items():
            below = other > index
            if (below or code.kind == "constants") and makes & (code.files | code.needs):
                return True
            if below:
                if names & code.needs:
                    return True
                names -= set(code.names)
        return False

    def _is_step(self, index: int) -> bool:
        code = self.code[index]
        runs = index in self.steps or code.kind not in {"empty", "metrics"}
        return runs and index not in self.roles

    def _name_steps(self) -> None:
        """Name the step of each cell by the heading above it, or by what its code does."""
        cells = [index for index in self.code if self._is_step(index)]
        sections = _sections(self.notebook, cells)
        taken: set[str] = set()
        above: object = None
        name = ""
        for index in cells:
            section = sections.get(index)
            word = self._word(index, cells)
            here = section or word
            if not name or (here and here != above):  # else it continues the step above
                title = step_name(section[1]) if section else word
                title = title or "prepare"
                name = names.free(f"{title}_step" if title in tags.SPECIAL else title, taken)
                above = here
            self.roles[index] = BlockRole("step", name)

    def _word(self, index: int, cells: Sequence[int]) -> str:
        """What the code of a cell does; data loaded after a training is not a `load_data`.

        A cell of commands is for the cell below.
        """
        if self.code[index].kind == "magics":
            below = next((cell for cell in cells if cell > index), None)
            return "" if below is None else self._word(below, cells)
        above = {word for cell in cells if cell < index for word in self.code[cell].words}
        behind = bool(above & {"train", "evaluate"})
        words = self.code[index].words
        return next((word for word in words if not (behind and word == "load_data")), "")

    def _remarks(self, block: CellBlock) -> Iterator[str]:
        kind = block.role.kind
        plain = all(self.code[index].plain for index in block.cells)
        if kind == "pipeline-parameters" and not plain:
            yield PLAIN
        if kind == "step" and any(self.code[index].imports for index in block.cells):
            yield MIXED
        magics = (index for index in block.cells if self.code[index].kind == "magics")
        if any("install" in self.notebook.source(index) for index in magics):
            yield MAGICS


def _is_sound(metadata: object) -> bool:
    """Whether a cell with this metadata can be given tags."""
    if metadata is MISSING or metadata is None:
        return True
    if not isinstance(metadata, dict):
        return False
    found = metadata.get("tags")
    return found is None or tags_in(metadata) is found


def step_name(heading: str) -> str:
    """A name for a step of a Markdown heading: `## 2. Load the *data*` gives `load_the_data`."""
    words = _MARKUP.sub(lambda found: found[1] or "", heading).strip()
    number = _NUMBER.match(words)
    bare = words[number.end() :] if number else words
    name = re.sub(r"_+", "_", tags.valid_name(bare)).rstrip("_")
    if len(name) > NAME_WIDTH:
        name = name[:NAME_WIDTH].rpartition("_")[0] or name[:NAME_WIDTH]
    return name


def _sections(notebook: Notebook, cells: Sequence[int]) -> Mapping[int, tuple[int, str]]:
    """The section of each of *cells*: the number of the cell with its heading, and the heading.

    Sections are those of the highest heading level that divides the steps; a title above all of
    them does not.
    """
    found = [
        (index, level, text)
        for index, kind in enumerate(notebook.types)
        if kind == "markdown"
        for level, text in markdown_headings(notebook.source(index))
    ]
    for level in range(1, 7):
        opening = [(index, text) for index, at, text in found if at <= level and text]
        sections = {}
        for cell in cells:
            above = [one for one in opening if one[0] < cell]
            if above:
                sections[cell] = above[-1]
        if len(set(sections.values())) > 1:
            return sections
    return {}
