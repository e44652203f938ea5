"""The command of the container of a step: a shell script, the cells, the runtime.

    command: [sh, -ec, SCRIPT, CELLS]    args: [RUNTIME, SPEC, "{{$}}"]

The launcher replaces `{{$...}}` in each of these, and Argo `{{workflow.name}}` and the like. So
none of them contains `{{`, except our own `{{$}}`: a mark replaces it, which SPEC names and the
runtime turns back. Kubernetes replaces `$(NAME)` by environment variables and `$$` by `$`, so in
the user's text another mark replaces the first `$` of those. Servers up to 2.17 lose U+0085, and a
blank behind U+2028, when they store a package: these have marks, too.

RUNTIME has the parts that the step needs: KFP's server writes the program into the workflow once
for each step. They do not depend on other steps, but for `tables`, `libraries` and
`keras`: one step must read what another writes, so all steps of a pipeline have these, or none.
Steps that take or pass on functions or classes have `definitions`.
"""

import ast
import itertools
import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from kale_tag import data_file
from kale_tag.compiler.requirements import distribution
from kale_tag.kale.pipeline import Code

EXECUTOR_INPUT = "{{$}}"
"""The launcher replaces this by the inputs of the step and the places of its outputs."""

_EXPANDED = re.compile(r"\$(?=[$(])")

SIGNS = {"nel": "\x85", "line": "\u2028", "dollar": "$", "brace": "{{"}
"""What a mark replaces, in this order, by the key of SPEC that names the mark."""

PARTS = (
    "artifacts",
    "values",
    "definitions",
    "together",
    "tables",
    "libraries",
    "keras",
    "process_state",
    "metrics",
    "parameters",
    "loop",
    "files",
    "report",
    "ipython",
    "step",
)
"""The parts of the program in the order in which they are joined; `step` is always there."""

# Also in the code of a file that `%run` names, which is a literal.
_IMPORT = re.compile(r"(?m)(?:^|\\n|')[ \t]*(?:from\s+(\w+)|import\s+([^\\\n]+))")
_MODELS = re.compile(
    "torch|keras|tensorflow|xgboost|transformers|diffusers|lightning|fastai|timm|ultralytics"
)
"""In the cells of pipelines that may pass on models of PyTorch or XGBoost."""

_KERAS = re.compile("keras|tensorflow")

FILE = "# %% file, "
"""The title of a file among the cells begins so."""

MARK = "# ---- The cells of the notebook end here. This program of kale-tag runs them. ----\n"
"""The first line of the program, for those who read a package."""

_PACKED = """\
{mark}# It is packed (bz2, base 85); in a package of fewer steps it is readable.
import base64, bz2
text = b"{packed}".translate(bytes.maketrans(b"{ours}", b"{usual}"))
exec(bz2.decompress(base64.b85decode(text)))
"""
_USUAL, _OURS = "$&<>{", ",./:["
"""Digits of base 85 that Kubernetes and Argo look for or Go's JSON escapes, and what we take."""

# kfp.local runs only what names kfp.dsl.executor_main. It puts the path of its own Python in place
# of `python3` everywhere but in what follows a script that holds the other two texts named here.
_SCRIPT = """\
# kfp.local looks for kfp.dsl.executor_main and "$program_path/ephemeral_component.py".
{install}PYTHONHASHSEED=${{PYTHONHASHSEED:-0}} exec python3 -u -c "$@" "$0"
"""
_INSTALL = """\
[ -n "$KALE_TAG_NO_PIP" ] || {pip} {words}
"""
_PIP = "python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location"


def script(packages: Sequence[str], index_urls: Sequence[str], install: str = "") -> str:
    """The shell script that installs *packages* and starts the runtime.

    *install* replaces the installation if there are no packages.
    """
    if packages:
        indexes = [
            f"{'--extra-index-url' if number else '--index-url'} {_quoted(url)}"
            for number, url in enumerate(index_urls)
        ]
        install = _INSTALL.format(pip=_PIP, words=" ".join([*indexes, *map(_quoted, packages)]))
    return _SCRIPT.format(install=install)


def with_code(cells: Iterable[Code]) -> tuple[Code, ...]:
    """*cells* without those of which nothing is left to run; never none of several."""
    every = tuple(cells)
    return tuple(code for code in every if code.python.strip()) or every[-1:]


def cells_text(name: str, cells: Iterable[Code]) -> tuple[str, list[list[str | int]]]:
    """CELLS, and for each cell its kind, number and count of lines, as SPEC has them."""
    parts: list[str] = []
    counts: list[list[str | int]] = []
    for code in cells:
        lines = code.python.rstrip("\n").split("\n")
        title = f"step {name}" if code.kind == "step" else code.kind
        what = "" if code.kind == "file" else "cell "
        parts += [f"# %% {title}, {what}{code.key}", *lines]
        counts.append([code.kind, code.key, len(lines)])
    return "".join(f"{part}\n" for part in parts), counts


def command(
    text: str, spec: Mapping[str, object], program: str, start: str
) -> tuple[list[str], list[str]]:
    """`command` and `args` of the container: *text* is CELLS, *start* the script."""
    # One key a line: in a package this is a literal block.
    entries = (f'"{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in spec.items())
    as_json = ",\n ".join(entries)
    # The runtime takes them back in the other order.
    for key, sign in SIGNS.items():
        found = _EXPANDED if key == "dollar" else re.compile(re.escape(sign))
        if found.search(text + as_json):
            mark = _mark(sign, text + as_json)
            text = found.sub(mark, text)
            as_json = f'{found.sub(mark, as_json)},\n "{key}": "{mark}"'
    return ["sh", "-ec", start, text], [program, f"{{{as_json}}}\n", EXECUTOR_INPUT]


def _quoted(word: str) -> str:
    """*word* for the shell, cut into two literals if Kubernetes would expand it."""
    return _EXPANDED.sub("$''", shlex.quote(word))


def _mark(sign: str, text: str) -> str:
    """A mark for *sign* that *text* does not contain.

    It ends with another character than it begins with, so that no text beside it forms another.
    """
    first = "{" if sign == "{{" else "~"
    ends = itertools.chain("^`|?!", (f"{number}?" for number in itertools.count()))
    return next(mark for end in ends if (mark := first + end) not in text)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The program that runs a step, in parts."""

    parts: Mapping[str, str]  # by name, in their order

    def for_pipeline(self, sources: Iterable[str]) -> "Runtime":
        """The same without the formats that a pipeline with the cells *sources* does not need."""
        text = "\n".join(sources)
        kept = dict(self.parts)
        if not _MODELS.search(text):
            kept.pop("libraries", None)
        if not _KERAS.search(text):
            kept.pop("keras", None)
        if all(distribution(module, {}) == "" for module in _modules(text)):
            kept.pop("tables", None)
        return Runtime(kept)

    def for_step(
        self,
        cells: str,
        spec: Mapping[str, object],
        *,
        definitions: bool = True,
        changed: bool = True,
    ) -> str:
        """The program for a step of CELLS and SPEC; *definitions* and *changed* as of `Step`."""
        values = "in" in spec or "out" in spec or "states" in spec
        ipython = "get_ipython" in cells
        outs = spec.get("out", ())
        assert isinstance(outs, Collection)
        several = len(outs) > 1 or (bool(outs) and "tables" in self.parts)
        needed = {
            "artifacts": values or "metrics" in spec or "report" in spec,
            "values": values,
            "together": "together" in spec or (changed and several),
            "definitions": values and (definitions or "keras" in self.parts),
            "tables": values,
            "libraries": values,
            "keras": values,
            "process_state": "states" in spec,
            "metrics": "metrics" in spec,
            "parameters": "params" in spec,
            "loop": "await" in cells or "async" in cells,
            "files": FILE in cells,
            "report": ipython or "report" in spec,
            "ipython": ipython,
        }
        return _joined(text for name, text in self.parts.items() if needed.get(name, True))

    def whole(self) -> str:
        """The program with all its parts."""
        return _joined(self.parts.values())


@cache
def load_runtime() -> Runtime:
    """The runtime, whose parts need only each other and Python 3.9 or newer.

    It is indented by one space, since each step carries it.
    """
    texts = {name: data_file(f"step_runtime/{name}.py") for name in PARTS}
    return Runtime(
        {
            name: re.sub(r"(?m)^(?: {4})+", lambda found: " " * (len(found[0]) // 4), text)
            for name, text in texts.items()
        }
    )


def pack(program: str) -> str:
    """*program* as a program that contains it compressed, in half of the bytes."""
    import base64  # noqa: PLC0415  few pipelines are so large
    import bz2  # noqa: PLC0415  unlike zlib, it gives the same bytes on every machine

    packed = base64.b85encode(bz2.compress(_bare(program).encode())).decode()
    packed = packed.translate(str.maketrans(_USUAL, _OURS))
    return _PACKED.format(mark=MARK, packed=packed, ours=_OURS, usual=_USUAL)


def _bare(program: str) -> str:
    """*program* without docstrings, blank lines and comments."""
    lines: list[str] = program.split("\n")
    tree = ast.parse(program)
    bodies = (getattr(node, "body", None) for node in ast.walk(tree))
    for node in (node for body in bodies if isinstance(body, list) for node in body[:-1]):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            end = node.end_lineno or node.lineno
            lines[node.lineno - 1 : end] = [""] * (end - node.lineno + 1)
    strings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for line in range(node.lineno + 1, (node.end_lineno or 0) + 1)
    }
    kept = (
        line if number in strings else re.sub(r"(?:^ *|  )# .*", "", line)
        for number, line in enumerate(lines, 1)
    )
    return "".join(f"{line}\n" for line in kept if line)


def _joined(parts: Iterable[str]) -> str:
    return MARK + "\n\n".join(parts)


def _modules(text: str) -> Iterable[str]:
    for one, several in _IMPORT.findall(text):
        yield from [one] if one else re.findall(r"(?:^|,)\s*(\w+)", several)
