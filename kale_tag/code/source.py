"""The source of a cell as Python: read, checked, and the places of what stands in it."""

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kale_tag.code.ipython import literal, run_path, to_python
from kale_tag.code.scopes import Scope, scopes_of
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, UserError, error
from kale_tag.kale.pipeline import Code, CodeKind

FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
"""A cell may await at its top level, as in Jupyter."""


Runs = Mapping[str, Sequence[str]]
"""The files that `%run` names, by the paths there: the code cells of a notebook, or one script."""


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """The code of one cell and its syntax tree.

    Where `%run` names a file that is known, the tree has its statements, *inlined*, with the scopes
    in them, all at the place of that line.
    """

    notebook: str
    code: Code
    tree: ast.Module
    inlined: frozenset[ast.stmt] = frozenset()
    scopes: Mapping[ast.AST, Scope] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """The cell or file, as a text that places point into."""
        cell = None if self.code.kind == "file" else self.code.cell
        return Source(self.notebook, self.code.source, cell)

    def place(self, node: ast.AST) -> Label:
        """Where *node* stands; of a line that was rewritten, the whole of it."""
        line = getattr(node, "lineno", 1)
        column, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            column = _line(self.code.python, line).find(node.name, column)
            end = column + len(node.name)
        elif getattr(node, "end_lineno", line) != line:
            end = len(_line(self.code.python, line).encode())
        return Label(self.source, _span(self.code, line, column, end))


@dataclass(frozen=True, slots=True)
class Spot:
    """A node of the syntax tree of a cell."""

    cell: Parsed
    node: ast.AST

    def label(self, text: str = "") -> Label:
        """The place in the notebook."""
        return self.cell.place(self.node).with_text(text)


def read_code(
    notebook: str, cell: int, source: str, kind: CodeKind = "step", runs: Runs | None = None
) -> Parsed:
    """The cell number *cell* of *notebook*, whose source is given, with the files that it runs.

    Raises `UserError` for what is neither Python 3 nor IPython's own syntax.
    """
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    place = Source(notebook, text, cell)
    python = text
    tree = _read(text)
    if isinstance(tree, SyntaxError):
        python = to_python(place)
        tree = _read(python) if python != text else tree
    if isinstance(tree, Exception):
        raise UserError(_diagnostic(tree, Code(cell, text, python), place))
    return _with_files(Parsed(notebook, Code(cell, text, python, kind), tree), runs or {})


def run_line(node: ast.AST) -> tuple[str, str | None] | None:
    """The arguments of `%run`, with the code of the file if it is known; None for other code."""
    match node:
        case ast.Call(
            func=ast.Attribute(
                value=ast.Call(func=ast.Name(id="get_ipython")), attr="run_line_magic"
            ),
            args=[ast.Constant(value="run"), ast.Constant(value=str(arguments)), *rest],
        ):
            code = rest[0].value if rest and isinstance(rest[0], ast.Constant) else None
            return arguments, code if isinstance(code, str) else None
        case _:
            return None


def _with_files(cell: Parsed, runs: Runs) -> Parsed:
    """The cell with the files that its `%run` name: their code in the call, and before it."""
    lines = cell.code.python.split("\n")
    scopes: dict[ast.AST, Scope] = {}
    inlined: set[ast.stmt] = set()
    for body in _bodies(cell.tree) if runs else ():
        for at, node in reversed([*enumerate(body)]):
            call = node.value if isinstance(node, ast.Expr) else None
            found = run_line(call) if isinstance(call, ast.Call) else None
            path = run_path(found[0]) if found is not None and found[1] is None else ""
            if path not in runs or node.end_lineno != node.lineno or not isinstance(call, ast.Call):
                continue
            others = {name: sources for name, sources in runs.items() if name != path}
            try:
                parts = [
                    read_code(path, n, text, "step", others) for n, text in enumerate(runs[path])
                ]
            except UserError:
                continue
            python = "\n".join(part.code.python for part in parts)
            line = lines[node.lineno - 1].encode()
            end = (call.end_col_offset or 0) - 1
            given = f", {literal(python)}".encode()
            lines[node.lineno - 1] = (line[:end] + given + line[end:]).decode()
            call.args.append(ast.Constant(python))
            made = [statement for part in parts for statement in part.tree.body]
            if "__file__" in python:  # it is there while the file runs
                before, after = ast.parse(f"__file__ = {literal(path)}\ndel __file__").body
                made = [before, *made, after]
            for part in parts:
                scopes |= {**scopes_of(part.code.python, part.tree), **part.scopes}
            for one in (part for statement in made for part in ast.walk(statement)):
                ast.copy_location(one, node)
            body[at:at] = made
            inlined.update(made)
    code = replace(cell.code, python="\n".join(lines))
    return replace(cell, code=code, inlined=frozenset(inlined), scopes=scopes) if inlined else cell


def _bodies(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Every list of statements in *tree*, if it may have a `%run`."""
    for node in [*ast.walk(tree)]:
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                yield statements


def _read(text: str) -> ast.Module | Exception:
    """The syntax tree of *text*, or what Python has against it."""
    try:
        with warnings.catch_warnings():  # of what the user wrote: `"\d"` is not ours to remark on
            warnings.simplefilter("ignore")
            tree = compile(text, "<cell>", "exec", FLAGS | ast.PyCF_ONLY_AST, dont_inherit=True)
            compile(tree, "<cell>", "exec", FLAGS, dont_inherit=True)  # finds `return` at the top
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as exc:
        return exc
    assert isinstance(tree, ast.Module)
    return tree


def _diagnostic(diagnostic: Exception, code: Code, source: Source) -> Diagnostic:
    text = source.text
    if "\0" in text:
        at = text.index("\0")
        return error(
            "not-python", "the cell holds a NUL character", Label(source, Span(at, at + 1))
        )
    if isinstance(diagnostic, UnicodeEncodeError):
        at = diagnostic.start
        message = "the cell holds half a character: a surrogate without its other half"
        return error("not-python", message, Label(source, Span(at, at + 1)))
    if not isinstance(diagnostic, SyntaxError):
        return too_deep(source)
    message = diagnostic.msg.partition(". Perhaps")[0]
    line = min(max(diagnostic.lineno or 1, 1), text.count("\n") + 1)
    column = max((diagnostic.offset or 1) - 1, 0)
    end = (diagnostic.end_offset or 0) - 1 if diagnostic.end_lineno == diagnostic.lineno else 0
    # `offset` counts characters, as the span does, but for lines that were rewritten.
    begin = _start(text, line)
    length = len(_line(text, line))
    if _line(text, line) != _line(code.python, line):
        column, end = length - len(_line(text, line).lstrip()), length
    column = min(column, length)
    place = Label(source, Span(begin + column, begin + min(max(end, column + 1), length + 1)))
    if "parentheses in call to 'print'" in message or "parentheses in call to 'exec'" in message:
        return error(
            "python-2",
            "the cell is written for Python 2",
            place,
            notes=[f"Python 3 reports: {message}"],
            help="convert it to Python 3 first, for example with the tool `2to3`",
        )
    return error("syntax-error", f"the cell is not Python: {message}", place)


def too_deep(source: Source) -> Diagnostic:
    """A cell that Python itself may fail to compile."""
    return error("not-python", "the cell is nested too deeply", Label(source))


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1] if number <= len(lines) else ""


def _start(text: str, number: int) -> int:
    return sum(len(line) + 1 for line in text.split("\n")[: number - 1])


def _span(code: Code, number: int, column: int, end: int) -> Span:
    """The span in the source of columns in bytes of a line of the Python code."""
    written, read = _line(code.source, number), _line(code.python, number)
    begin = _start(code.source, number)
    if written != read:
        return Span(begin + len(written) - len(written.lstrip()), begin + len(written.rstrip()))
    data = read.encode()
    start = len(data[:column].decode("utf-8", "replace"))
    length = len(data[column:end].decode("utf-8", "replace"))
    return Span(begin + start, begin + start + max(length, 1))
