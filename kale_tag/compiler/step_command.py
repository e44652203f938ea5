"""The command of the container of a step: a shell script, the cells, the runtime.

    command: [sh, -ec, SCRIPT, CELLS]    args: [RUNTIME, SPEC, "{{$}}", more of CELLS...]

The launcher replaces `{{$...}}` in each of these, and Argo `{{workflow.name}}` and the like. So
none of them contains `{{`, except our own `{{$}}`: a mark replaces it, which SPEC names and the
runtime turns back. Kubernetes replaces `$(NAME)` by environment variables and `$$` by `$`, so in
the user's text another mark replaces the first `$` of those.
"""

import itertools
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kale_tag.compiler.runtime import Runtime
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, error
from kale_tag.kale.pipeline import Code

ARGUMENT = 131_071
"""Bytes that one argument of a Linux program may have (MAX_ARG_STRLEN, less the closing NUL)."""

ALL_ARGUMENTS = 1_500_000
"""Bytes for all of them; Linux allows a quarter of the stack, 2 MiB, environment included."""

EXECUTOR_INPUT = "{{$}}"
"""The launcher replaces this by the inputs of the step and the places of its outputs."""

_PLACEHOLDER = re.compile(r"\{\{")
_EXPANDED = re.compile(r"\$(?=[$(])")
_NO_ARGUMENT = re.compile("[\0\ud800-\udfff]")

# kfp.local runs only what names kfp.dsl.executor_main. It puts the path of its own Python in place
# of `python3` everywhere but in what follows a script that holds the other two texts named here.
_SCRIPT = """\
# $0: cells; behind it the program, what the step is, its input, more cells. For kfp.local, which
# looks for kfp.dsl.executor_main and "$program_path/ephemeral_component.py", all is as it knows it.
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
        parts += [f"# %% {title}, cell {code.cell}", *lines]
        counts.append([code.kind, code.cell, len(lines)])
    return "".join(f"{part}\n" for part in parts), counts


def command(
    text: str, spec: Mapping[str, object], runtime: Runtime, start: str
) -> tuple[list[str], list[str]]:
    """`command` and `args` of the container: *text* is CELLS, *start* the script."""
    program = runtime.for_step(text, spec)
    # One key a line: in a package this is a literal block.
    entries = (f'"{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in spec.items())
    as_json = ",\n ".join(entries)
    # The runtime takes them back in the other order.
    for key, sign, found in (("dollar", "$", _EXPANDED), ("brace", "{{", _PLACEHOLDER)):
        if found.search(text + as_json):
            mark = _mark(sign, text + as_json)
            text = found.sub(mark, text)
            as_json = f'{found.sub(mark, as_json)},\n "{key}": "{mark}"'
    first, *more = pieces(text)
    return ["sh", "-ec", start, first], [program, f"{{{as_json}}}\n", EXECUTOR_INPUT, *more]


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


def diagnostics(cells: Iterable[Code], notebook: str) -> Iterator[Diagnostic]:
    """Errors for characters in *cells* that cannot be passed to a process."""
    for code in cells:
        found = _NO_ARGUMENT.search(code.python)
        if found is not None:
            nul = found[0] == "\0"
            start = code.source.find(found[0])
            yield error(
                "bad-character",
                f"the cell contains {'a NUL character' if nul else 'half of a surrogate pair'}, "
                "which cannot be passed to a process",
                Label(
                    Source(notebook, code.source, code.cell),
                    Span(start, start + 1) if start >= 0 else None,
                ),
                help=f"in a string, write `\\x{ord(found[0]):02x}`" if nul else "remove it",
            )


def check_text(text: str, what: str, at: Label | None) -> Iterator[Diagnostic]:
    """Errors if *text*, not part of CELLS or SPEC, would not reach a container unchanged."""
    if "{{" in text:
        yield error(
            "placeholder",
            f"{what} contains `{{{{`, which Kubeflow Pipelines and Argo replace",
            at,
            help="write it in another way; in the code of cells it is allowed",
        )
    if _NO_ARGUMENT.search(text):
        message = f"{what} contains a character that cannot be passed to a process"
        yield error("bad-character", message, at)


def _good_cuts(text: str, longest: int) -> Iterator[int]:
    at = longest
    while (at := text.rfind("\n", 0, at)) > longest // 2:
        after = text[at + 1 : at + 2]
        if after not in {" ", "\t", "\n", ""} and text[at - 1] != "\n":
            yield at + 1


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
