"""Names in texts: in commands of IPython, and in literals that Python or a library reads as code.

What is not there when it is asked for is no error: the text may be meant for something else.
"""

import ast
import re
import string
from collections.abc import Iterable, Iterator

from kale_tag.analysis import process_state
from kale_tag.analysis.heap import EMPTY, Points
from kale_tag.analysis.machine import Machine
from kale_tag.code.ipython import CODE_MAGICS
from kale_tag.code.syntax import last_name, literal_code, names_in, words

_SHELL = re.compile(r"\$\{?([^\W\d]\w*)")
_OPTIONS = re.compile(r"(?:-[A-Za-z]+\s*\d*\s+)*")
_QUERIED = re.compile(r"@([^\W\d]\w*)")
_PERCENT = re.compile(r"%\((\w+)\)")
_WORD = re.compile(r"[^\W\d]\w*")
_IN_FORMULA = re.compile(r"([^\W\d]\w*)\s*[.(]")
_NAMESPACES = frozenset(["dir", "globals", "locals", "vars"])
_FORMULAS = words(
    "ols wls gls glm logit probit poisson mnlogit mixedlm gee quantreg rlm phreg negativebinomial"
    " dmatrix dmatrices from_formula ordinal_gee nominal_gee conditional_logit lm"
)
"""Functions that take a formula of patsy."""

_SQL = frozenset(["sql", "query", "execute", "sqldf", "from_query", "read_sql", "run"])


def namespace_key(node: ast.AST) -> str | None:
    """The name in `globals()["name"]`, `globals().get("name")` or `"name" in globals()`."""
    match node:
        case (
            ast.Subscript(value=holder, slice=ast.Constant(value=str(name)))
            | ast.Call(func=ast.Attribute(value=holder), args=[ast.Constant(value=str(name)), *_])
            | ast.Compare(left=ast.Constant(value=str(name)), comparators=[holder])
        ) if is_namespace(holder):
            return name
        case _:
            return None


def guarded_names(test: ast.expr, *, holds: bool) -> Iterator[str]:
    """The names that are bound where *test* holds, or where it does not: `"name" in globals()`."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            yield from guarded_names(inner, holds=not holds)
        case ast.BoolOp(op=operator, values=parts) if isinstance(operator, ast.And) is holds:
            for part in parts:
                yield from guarded_names(part, holds=holds)
        case ast.Compare(ops=[operator]) if isinstance(operator, ast.In if holds else ast.NotIn):
            name = namespace_key(test)
            yield from () if name is None else (name,)
        case ast.Call() if holds and (name := namespace_key(test)) is not None:
            yield name
        case _:
            pass


def namespace_item(run: Machine, node: ast.expr) -> Points | None:
    """The value of `globals()["name"]` and the like; None for anything else."""
    name = namespace_key(node)
    if name is None:
        return None
    run.guards += 1
    points = run.load_global(name, node)
    run.guards -= 1
    return points


def special_call(  # noqa: PLR0911  one case for each kind of call
    run: Machine, node: ast.Call
) -> Points | None:
    """A call whose text is code, or one of IPython; None for anything else."""
    func = node.func
    if isinstance(func, ast.Name):
        if func.id not in {"eval", "exec"} or (text := literal_code(node)) is None:
            return None
        return run.code_in_text(text, node)
    if not isinstance(func, ast.Attribute):
        return None
    if isinstance(func.value, ast.Constant):
        if func.attr == "format" and any(is_namespace(one.value) for one in node.keywords):
            _expanded(run, str(func.value.value), node)
        return None
    if not (isinstance(func.value, ast.Call) and isinstance(func.value.func, ast.Name)):
        return None
    if func.value.func.id == "get_ipython":
        return _ipython(run, node, func.attr)
    return namespace_item(run, node)


def names_in_arguments(run: Machine, node: ast.Call, callees: Points) -> None:
    """Names in the text that a library is given: of a query, a formula, a statement of SQL."""
    last = last_name(node.func)
    given = [*node.args, *(one.value for one in node.keywords if one.arg in {"expr", "formula"})]
    if not given or not (last in {"eval", "query"} or last in _FORMULAS or last in _SQL):
        return
    paths = {str(one.info) for one in callees if one.kind == "path"}
    found = [*literals(given[0])]
    if isinstance(given[0], ast.Name):
        found += run.literals.get(given[0].id, ())
    for text in found:
        if last in {"eval", "query"}:
            _load_all(run, _QUERIED.findall(text), node)
        if "pandas.eval" in paths or "numexpr.evaluate" in paths:
            _load_all(run, _names_of(text), node)
        elif last in _FORMULAS:
            whole = not any(one.arg == "data" for one in node.keywords) and len(node.args) < 2
            _load_known(run, (_WORD if whole else _IN_FORMULA).findall(text), node)
        elif last in _SQL and any(path.startswith(("duckdb", "pandasql")) for path in paths):
            _load_known(run, _WORD.findall(text), node)
        elif last in _SQL and run.has_module("duckdb"):
            _load_known(run, re.findall(r"(?i)\b(?:from|join)\s+([^\W\d]\w*)", text), node)


def _names_of(text: str) -> Iterable[str]:
    try:
        return [*names_in(ast.parse(text.strip()))]
    except (SyntaxError, ValueError, RecursionError):
        return []


def _load_known(run: Machine, names: Iterable[str], node: ast.AST) -> None:
    """The names among *names* that the notebook has."""
    known = [name for name in names if any(name in space.values for space, _ in run.notebooks)]
    _load_all(run, known, node)


def _load_all(run: Machine, names: Iterable[str], node: ast.AST) -> None:
    run.guards += 1
    for name in dict.fromkeys(names):
        run.load(name, node)
    run.guards -= 1


def percent_names(run: Machine, node: ast.BinOp) -> None:
    """`"%(name)s" % globals()`."""
    if (
        isinstance(node.left, ast.Constant)
        and isinstance(node.left.value, str)
        and is_namespace(node.right)
    ):
        _load_all(run, _PERCENT.findall(node.left.value), node)


def _ipython(run: Machine, node: ast.Call, method: str) -> Points:
    """What IPython's syntax was turned into."""
    texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
    words = [text for text in texts if isinstance(text, str)]
    if method in {"run_line_magic", "begin_cell_magic"} and words[:1]:
        name, code = words[0], "".join(words[1:2])
        run.touch(process_state.magic(name, code), node)
        if name in CODE_MAGICS:
            run.code_in_text(_OPTIONS.sub("", code, count=1), node)
            return EMPTY
        words = [code]
    elif method == "run_cell_magic":
        words = words[1:2]
    for text in words:
        _expanded(run, text, node)
    return run.fresh(node, "list" if method == "getoutput" else "any", tag="ipython")


def _expanded(run: Machine, text: str, node: ast.AST) -> None:
    """Names in the text of a shell command; what cannot be expanded stays as it is."""
    _load_all(run, _SHELL.findall(text), node)
    for expression in _braces(text):
        _load_all(run, _names_of(expression), node)


def is_namespace(node: ast.expr) -> bool:
    """Whether it is `globals()` or the like."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[]):
            return name in _NAMESPACES
        case _:
            return False


def literals(node: ast.expr) -> Iterator[str]:
    """All texts in *node*."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def _braces(text: str) -> Iterator[str]:
    try:
        for _, expression, _, _ in string.Formatter().parse(text):
            if expression:
                yield expression
    except ValueError:
        return
