"""What the container of a step is started with: a shell script, the cells, the runtime.

    command: [sh, -ec, SCRIPT, CELLS]    args: [RUNTIME, SPEC, "{{$}}", more of CELLS...]

The launcher replaces `{{$...}}` in every one of these, Argo knows `{{workflow.name}}` and more of
the kind. So `{{` stands in none of them but in our own `{{$}}`: a mark takes its place, which SPEC
names and the runtime takes back.
"""

import itertools
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label, Source, Span, error
from kale_tag.pipeline.model import Code

ARGUMENT = 131_071
"""Bytes that one argument of a Linux program may have (MAX_ARG_STRLEN, less the closing NUL)."""

ALL_ARGUMENTS = 1_500_000
"""Bytes for all of them; Linux allows a quarter of the stack, 2 MiB, environment included."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The program that runs a step, and the same with what `get_ipython()` gives."""

    plain: str
    with_magics: str

    def for_cells(self, text: str) -> str:
        """The one that CELLS *text* needs."""
        return self.with_magics if "get_ipython" in text else self.plain


EXECUTOR_INPUT = "{{$}}"
"""For this the launcher puts in what the step is given, and where it shall put what it gives."""

_NO_ARGUMENT = re.compile("[\0\ud800-\udfff]")

# kfp.local runs only what names kfp.dsl.executor_main. It puts the path of its own Python in place
# of `python3` everywhere but in what follows a script with both "$program_path/..." and "$@".
# The file is taken away before Python starts; what was opened as 3 can still be read.
_SCRIPT = """\
# $0: cells, $1: runtime, $2: what the step is, $3: its input, then more cells. To kfp.local this
# looks like kfp.dsl.executor_main, so that it runs it too.
program_path=$(mktemp -d)
printf %s "$0" > "$program_path/ephemeral_component.py"
runtime=$1 step=$2 input=$3
shift 3; for more in "$@"; do printf %s "$more" >> "$program_path/ephemeral_component.py"; done
{install}exec 3< "$program_path/ephemeral_component.py"
rm -r "$program_path"
KALE_TAG_CELLS=/dev/fd/3 exec python3 -u -c "$runtime" "$step" "$input"
"""
_INSTALL = """\
[ -n "$KALE_TAG_NO_PIP" ] || {pip} {words}
"""
_PIP = "python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location"


def script(packages: Sequence[str], index_urls: Sequence[str], install: str = "") -> str:
    """The shell script that unpacks the cells, installs *packages* and starts the runtime.

    *install* takes the place of the installation where there are no packages.
    """
    if packages:
        indexes = [
            f"{'--extra-index-url' if number else '--index-url'} {shlex.quote(url)}"
            for number, url in enumerate(index_urls)
        ]
        install = _INSTALL.format(pip=_PIP, words=" ".join([*indexes, *map(shlex.quote, packages)]))
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
        parts += [f"# %% {title}, cell {code.cell}", *lines]
        counts.append([code.kind, code.cell, len(lines)])
    return "".join(f"{part}\n" for part in parts), counts


def command(
    text: str, spec: Mapping[str, object], runtime: Runtime, start: str
) -> tuple[list[str], list[str]]:
    """`command` and `args` of the container: *text* is CELLS, *start* the script."""
    program = runtime.for_cells(text)
    mark = ""
    if "{{" in text or "{{" in json.dumps(spec, ensure_ascii=False):
        mark = _mark(text + json.dumps(spec, ensure_ascii=False))
        text = text.replace("{{", mark)
        spec = {**spec, "brace": mark}
    # One key a line: in a package this is a literal block.
    entries = (f'"{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in spec.items())
    as_json = "{" + ",\n ".join(entries) + "}\n"
    first, *more = pieces(text)
    return ["sh", "-ec", start, first], [
        program,
        as_json.replace("{{", mark) if mark else as_json,
        EXECUTOR_INPUT,
        *more,
    ]


def pieces(text: str) -> list[str]:
    """*text* in pieces that fit into an argument each, cut at the ends of lines if possible."""
    found = []
    while len(text) > ARGUMENT // 4 and len(data := text.encode()) > ARGUMENT:
        # As many whole characters as fit; then back to a line that starts a literal block well.
        longest = len(data[:ARGUMENT].decode(errors="ignore"))
        cut = next(_good_cuts(text, longest), longest)
        found.append(text[:cut])
        text = text[cut:]
    return [*found, text]


def faults(cells: Iterable[Code], notebook: str) -> Iterator[Diagnostic]:
    """What of *cells* cannot be an argument of a program, each with its place."""
    for code in cells:
        found = _NO_ARGUMENT.search(code.python)
        if found is not None:
            nul = found[0] == "\0"
            start = code.source.find(found[0])
            yield error(
                "bad-character",
                f"the cell holds {'a NUL character' if nul else 'half of a surrogate pair'}, "
                "which cannot be handed to a program",
                Label(
                    Source(notebook, code.source, code.cell),
                    Span(start, start + 1) if start >= 0 else None,
                ),
                help=f"in a string, write `\\x{ord(found[0]):02x}`" if nul else "take it out",
            )


def _good_cuts(text: str, longest: int) -> Iterator[int]:
    at = longest
    while (at := text.rfind("\n", 0, at)) > longest // 2:
        after = text[at + 1 : at + 2]
        if after not in {" ", "\t", "\n", ""} and text[at - 1] != "\n":
            yield at + 1


def _mark(text: str) -> str:
    """A mark for `{{` that *text* does not hold.

    It ends in another character than it begins with, so that no brace beside it makes a second one.
    """
    signs = itertools.chain("~^`|?", (f"~{number}~" for number in itertools.count()))
    return next(mark for sign in signs if (mark := f"{{{sign}") not in text)
