"""IPython syntax to plain Python, line for line.

What IPython does is read in its `core/inputtransformer2.py`; the names called are its own. What is
called is provided in the step's container by `step_runtime/ipython.py`. The result is the same
under every version of Python, so it is not made with `tokenize`.
"""

import itertools
import re
import shlex

from kale_tag.code.ipython_lines import is_escape, logical_lines
from kale_tag.code.syntax import words
from kale_tag.diagnostics import Label, Source, Span, UserError, error, nearest

IDLE_MAGICS = words(
    "alias_magic autosave automagic bookmark colors doctest_mode gui lsmagic notebook pdb pprint"
    " precision tensorboard unload_ext xmode"
)
"""Line magics for the notebook's front end, left out: in a step there is nothing to do for them."""

CODE_MAGICS = frozenset(["lprun", "memit", "mprun", "prun", "time", "timeit"])
"""Line magics whose argument is Python."""

LINE_MAGICS = CODE_MAGICS | words(
    "aimport autoreload cat cd conda config cp env load_ext ls mamba matplotlib mkdir mv pip pwd"
    " reload_ext rm rmdir run set_env sx system who who_ls whos"
)
"""Line magics that a step can run."""

BODY_MAGICS = frozenset(["capture", "memit", "prun", "time", "timeit"])
"""Cell magics whose cell is Python."""

TEXT_MAGICS = words(
    "HTML SVG bash file html javascript js latex markdown perl python python3 ruby script sh svg"
    " writefile"
)
"""Cell magics whose cell is anything else, or Python that does not see the notebook's names."""

AUTOMAGIC = ("pip", "conda", "mamba", "cd", "ls", "mkdir", "rm", "cp", "mv", "cat")
"""Line magics that are known without their `%` where the line can be nothing else."""

_HELP = re.compile(
    r"\s*(?:\?\??\s*%{0,2}[\w.*]+|%{0,2}[^\W\d][\w.*]*(?:\[[^\]]*\])*[\w.]*\s*\?\??)\s*;?\s*"
)
_NAME = re.compile(r"\s*([^\W\d]\w*|!)")
_AUTOMAGIC = re.compile(rf"\s*({'|'.join(AUTOMAGIC)})[ \t]+(?:[\w.~/$]|-{{1,2}}\w)(?!\s*[=(])")
_OUTPUT = re.compile(r"(?:^|\s)--(out|err)(?:=|\s+)([^\W\d]\w*)")


def run_path(arguments: str) -> str:
    """The file that `%run` with these *arguments* runs; "" for a module, or if it is not known."""
    try:
        words = shlex.split(arguments)
    except ValueError:
        return ""
    options = [*itertools.takewhile(lambda word: word.startswith("-"), words)]
    path = next(iter(words[len(options) :]), "")
    return "" if "-m" in options or set(path) & set("${*") else path


def to_python(source: Source) -> str:
    """The cell *source* as plain Python with as many lines.

    It is for cells that are not Python as they stand. Raises `UserError` for a magic that a step
    cannot run. What is no magic is left as it is, right or wrong.
    """
    lines = source.text.split("\n")
    head = next((number for number, line in enumerate(lines) if line.strip()), None)
    if head is None:
        return source.text
    indent = lines[head][: len(lines[head]) - len(lines[head].lstrip())]
    if indent:  # IPython takes a cell that is indented as a whole
        lines = [line.removeprefix(indent) for line in lines]
    if not lines[head].startswith("%%") or _HELP.fullmatch(lines[head]):
        return "\n".join(_Cell(source, lines).rewritten(0))
    name, arguments = _split(lines[head][2:])
    if name in TEXT_MAGICS:
        statement = _text_magic(name, arguments, "\n".join(lines[head + 1 :]))
        return "\n".join([*lines[:head], statement, *("" for _ in lines[head + 1 :])])
    if name not in BODY_MAGICS:
        raise _unknown(source, head, name, "%%", BODY_MAGICS | TEXT_MAGICS)
    call = f"get_ipython().begin_cell_magic({literal(name)}, {literal(arguments)})"
    if name == "capture":
        target = next((word for word in arguments.split() if word.isidentifier()), "")
        call = f"{target} = {call}" if target else call
    lines[head] = call
    return "\n".join(_Cell(source, lines).rewritten(head + 1))


class _Cell:
    """The lines of one cell, while they are rewritten."""

    def __init__(self, source: Source, lines: list[str]) -> None:
        self.source = source
        self.lines = lines

    def rewritten(self, start: int) -> list[str]:
        lines = self.lines
        made = lines[:start]
        for line in logical_lines(lines[start:]):
            first, last = line.first + start, line.last + start
            if line.assigned is not None:
                at, column = line.assigned[0] + start, line.assigned[1]
                value = self.escape(at, _joined(lines[at : last + 1])[column:], "value")
                made += [*lines[first:at], lines[at][:column] + value]
                made += ["" for _ in range(last - at)]
            elif (new := self.statement(first, last)) is not None:
                made += [new, *("" for _ in range(last - first))]
            else:
                made += lines[first : last + 1]
        return made

    def statement(self, first: int, last: int) -> str | None:
        """The lines as one plain statement, None where they are no escape of IPython's."""
        text = self.lines[first]
        indent = text[: len(text) - len(text.lstrip())]
        if first == last and _HELP.fullmatch(text):
            return f"{indent}pass"
        body = _joined(self.lines[first : last + 1]).strip()
        if not is_escape(body):
            if _AUTOMAGIC.match(text) and first == last:
                return indent + self.escape(first, f"%{body}", "statement")
            return None
        return indent + self.escape(first, body, "statement")

    def escape(  # noqa: PLR0911  one for each kind of escape
        self, number: int, text: str, place: str
    ) -> str:
        """The call that *text*, which begins with `!`, `%` or their like, stands for."""
        mark, rest = text[0], text[1:]
        if mark == "!":
            if rest.startswith("!") or place == "value":
                return f"get_ipython().getoutput({literal(rest.removeprefix('!').strip())})"
            return f"get_ipython().system({literal(rest.strip())})"
        if mark == "%":
            if rest.startswith("%"):
                raise self._cell_magic_below(number, rest)
            name, arguments = _split(rest)
            if name in IDLE_MAGICS and place == "statement":
                return "pass"
            if name not in LINE_MAGICS:
                raise _unknown(self.source, number, name, "%", LINE_MAGICS | IDLE_MAGICS)
            call = "run_line_magic"
            return f"get_ipython().{call}({literal(name)}, {literal(arguments)})"
        if mark == "?":
            return "pass"
        name, arguments = _split(rest)
        if not name:  # alone, `;` and `,` are an empty text, as in IPython
            return text if mark == "/" or arguments else '("")'
        if mark == "/":
            return f"{name}({', '.join(arguments.split())})"
        words = arguments.split() if mark == "," else [arguments]
        return f"{name}({', '.join(map(literal, words))})"

    def _cell_magic_below(self, number: int, rest: str) -> UserError:
        name = _split(rest[1:])[0]
        message = f"`%%{name}` is not in the first line of its cell"
        at = _place(self.source, number, f"%%{name}")
        return UserError(
            error("cell-magic-not-first", message, at, help="split the cell in two above it")
        )


def _joined(lines: list[str]) -> str:
    return " ".join([*(line.removesuffix("\\") for line in lines[:-1]), lines[-1]])


def _split(text: str) -> tuple[str, str]:
    """The name of a magic, and what stands behind it."""
    found = _NAME.match(text)
    return ("", text.strip()) if found is None else (found[1], text[found.end() :].strip())


def _text_magic(name: str, arguments: str, body: str) -> str:
    outputs = dict(_OUTPUT.findall(arguments))
    targets = [outputs[kind] for kind in ("out", "err") if kind in outputs]
    body = f"{body}\n" if body and not body.endswith("\n") else body
    call = ", ".join(map(literal, (name, arguments, body)))
    bound = f"{', '.join(targets)} = " if targets else ""
    return f"{bound}get_ipython().run_cell_magic({call})"


def literal(text: str) -> str:
    """*text* as a literal of Python, on one line."""
    # Not `repr`, which follows the Unicode tables of the Python that runs.
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t")
    return "'" + re.sub(r"[\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff]", _escaped, escaped) + "'"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _unknown(source: Source, number: int, name: str, mark: str, known: frozenset[str]) -> UserError:
    message = f"a step cannot run the magic `{mark}{name}`"
    near = nearest(name, sorted(known))
    # `%dotenv` and `%%cython` are magics of their own, no slips for `env` and `python`.
    is_slip = near[:1] == name[:1] and abs(len(near) - len(name)) <= 1
    return UserError(
        error(
            "unknown-magic",
            message,
            _place(source, number, f"{mark}{name}"),
            help=f"did you mean `{near}`?"
            if near and is_slip
            else "take it out, put it into a cell that is tagged `skip`, or write it in Python",
        )
    )


def _place(source: Source, number: int, text: str) -> Label:
    lines = source.text.split("\n")
    start = sum(len(line) + 1 for line in lines[:number])
    column = lines[number].find(text)
    if column < 0:
        column = len(lines[number]) - len(lines[number].lstrip())
        text = lines[number].strip()
    return Label(source, Span(start + column, start + column + max(len(text), 1)))
