"""What the code of one cell does, as far as a proposal needs to know."""

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from kale_tag import data_file
from kale_tag.code.ipython import BODY_MAGICS
from kale_tag.code.syntax import bound_by
from kale_tag.kale.checks import METRIC, is_parameter
from kale_tag.kale.outline import first_code_line

_COMMANDS = re.compile(r"%%(?:!|bash|sh|script|system|sx)\b.*")
"""Cell magics whose cell is commands for a shell."""

_WRITES = re.compile(r"%%(?:writefile|file) .*")

_HARMLESS = re.compile(
    r"\s*!\s*(?:(?:python3? -m )?(?:pip3?|conda|apt(?:-get)?) |"
    r"(?:ls|cat|head|tail|wc|du|df|file|stat|echo|rm)\b[^>]*$).*"
)
"""Commands that install, show or remove, and make no file for the notebook."""

_PACKED = re.compile(r"(?:\.(?:zip|7z|tar|tgz|gz|bz2|xz|git))+$")
"""The endings of what a command unpacks or clones."""

_TEXT = re.compile(r"""("|')(.*?)\1""")

_MAGIC = re.compile(r"(\s*)(?:[%!].*|\?.*|.*\?\s*$)")
_MEASURE = re.compile(
    r"(?!.*_(?:fn|func|function|df|list|dict|table|curve|matrix)$)(?:.*_)?"
    r"(?:acc|accuracy|auc|f1|mae|mse|rmse|mape|r2|loss|score|precision|recall)(?:_.*)?"
)
"""Names that look like metrics."""

_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
"""Scopes of their own: what they assign is not a name of the cell."""

WORDS = (
    (
        "load_data",
        r"\bread_\w+\(|\bload_(?!model)\w*\(|\bfetch_\w+\(|\burlretrieve\(|\bdownload\w*\(",
    ),
    ("train", r"\.fit\w*\(|\btrain\w*\(|\.backward\("),
    ("evaluate", r"\.predict\w*\(|\.evaluate\(|\.score\(|_score\(|\bconfusion_matrix\("),
    ("save", r"\.save\w*\(|\.to_(?:csv|parquet|pickle|sql|json)\(|\bdump\("),
)
"""Names of steps by what their code calls, in the usual order of a notebook."""


@dataclass(frozen=True, slots=True)
class CellCode:
    """What a cell does.

    Its *kind* is `empty`, `magics`, `imports`, `functions`, `constants`, `metrics`, `look` or
    `code`. A `look` only shows values, though another cell may need what it assigns.
    """

    kind: str
    names: tuple[str, ...] = ()  # assigned at the top level
    imports: frozenset[str] = frozenset()  # names that it imports
    needs: frozenset[str] = frozenset()  # names that it uses and other cells define
    setup: frozenset[str] = frozenset()  # libraries that it configures, if it does nothing else
    plain: bool = False  # assigns numbers and texts only
    measures: tuple[str, ...] = ()  # assigned names that look like metrics
    words: tuple[str, ...] = ()  # names for a step that does this
    makes: frozenset[str] = frozenset()  # files, folders and variables that its commands name
    files: frozenset[str] = frozenset()  # files and folders that its texts name, and *makes*


def read_code(source: str) -> CellCode:
    """What *source*, the code of one cell, does; IPython's own syntax is ignored."""
    makes = frozenset(_made(source))
    texts = (part for _, text in _TEXT.findall(source) for part in text.split("/"))
    return replace(_read_code(source), makes=makes, files=makes | {*texts} - {""})


def _made(source: str) -> Iterator[str]:
    """The names in commands of *source* that may make a file."""
    lines = source.splitlines()
    start = source.lstrip().partition("\n")[0]
    commands = [line for line in lines if line.lstrip().startswith("!")]
    if _WRITES.fullmatch(start):
        commands = [start]
    elif _COMMANDS.fullmatch(start):
        commands = [f"!{line}" for line in lines]
    for command in commands:
        if _HARMLESS.fullmatch(command):
            continue
        _, *words = re.split(r"[\s'\"=<>|;&(){}$,]+", command.strip().lstrip("! "))
        for word in words:
            parts = word.split("/")
            for part in parts[-1:] if "://" in word else parts:
                yield from {part, _PACKED.sub("", part)} - {"", ".", ".."}


def _read_code(source: str) -> CellCode:
    lines = source.splitlines()
    first = first_code_line(source)
    if first is not None and (start := lines[first].strip()).startswith("%%"):
        if start[2:].partition(" ")[0] not in BODY_MAGICS:
            return CellCode("magics")
        lines[first] = ""
    plain = source if first is None else "\n".join(map(_without_magic, lines))
    words = tuple(name for name, calls in WORDS if re.search(calls, plain))
    try:
        body = ast.parse(plain).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return CellCode("code", needs=frozenset(re.findall(r"\w+", plain)), words=words)
    body = [one for one in body if not isinstance(one, ast.Pass)]
    if not body:
        return CellCode("empty" if first is None else "magics")
    names = tuple(dict.fromkeys(name for one in body for name in _assigned(one)))
    imports = frozenset(name for one in body for name in _imported(one))
    measures = tuple(name for one in body for name in _measures(one))
    kind = _kind(body, source, (*words, *measures))
    return CellCode(
        kind,
        names,
        imports,
        frozenset(_needed(body)),
        frozenset(_adjusted(body)) - imports if kind == "imports" else frozenset(),
        all(map(is_parameter, body)),
        measures,
        words,
    )


def _without_magic(line: str) -> str:
    found = _MAGIC.fullmatch(line)
    return f"{found[1]}pass" if found else line


def _kind(body: Sequence[ast.stmt], source: str, results: Sequence[str]) -> str:
    """The kind of a cell; *results* are words for what it does, and metrics that it computes."""
    rest = [one for one in body if not isinstance(one, ast.Import | ast.ImportFrom)]
    if all(_is_setting(one) or (len(rest) < len(body) and _is_setup(one)) for one in rest):
        return "imports"
    if all(isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for one in rest):
        return "functions"
    if len(rest) == len(body) and all(map(_is_constant, body)):
        return "constants"
    if all(METRIC.fullmatch(line) for line in source.splitlines() if line.strip()):
        return "metrics"
    shows = rest == body and any(map(_only_shows, rest)) and "save" not in results
    aside = all(_only_shows(one) or (not results and _derives(one)) for one in rest)
    return "look" if shows and aside else "code"


def _is_setup(one: ast.stmt) -> bool:
    """Whether it is a bare call such as `sns.set()`: setup, in a cell that imports `sns`."""
    match one:
        case ast.Expr(value=ast.Call(func=ast.Attribute(), args=given, keywords=named)):
            values = (*given, *(one.value for one in named))
            return all(isinstance(value, ast.Constant) for value in values)
        case _:
            return False


def _is_setting(one: ast.stmt) -> bool:
    """Whether it configures a library: `pd.set_option("width", 9)`, `plt.rcParams["dpi"] = 1`."""
    match one:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name) as call)):
            return _is(name, "configuring") and not _is(_root(call), "drawn") and _is_setup(one)
        case ast.Assign(targets=[ast.Subscript(value=ast.Attribute(attr="rcParams"))], value=value):
            return _is_literal(value)
        case _:
            return False


def _adjusted(body: Sequence[ast.stmt]) -> Iterator[str]:
    """The names of what the statements of a cell of imports configure."""
    for one in body:
        if isinstance(one, ast.Assign | ast.Expr):
            yield _root(one.targets[0] if isinstance(one, ast.Assign) else one.value)


def _is_literal(value: ast.expr) -> bool:
    try:
        return ast.literal_eval(value) is not None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def _is_constant(one: ast.stmt) -> bool:
    """Whether it is `name = literal`."""
    match one:
        case ast.Assign(targets=[ast.Name()], value=value):
            return _is_literal(value)
        case _:
            return False


def _assigned(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if not isinstance(node, _SCOPES):
        for inner in ast.iter_child_nodes(node):
            yield from _assigned(inner)


def _imported(one: ast.stmt) -> Iterator[str]:
    if isinstance(one, ast.Import | ast.ImportFrom):
        for alias in one.names:
            yield bound_by(alias)


def _needed(body: Sequence[ast.stmt]) -> Iterator[str]:
    """The names that are used before they are bound, in functions too."""
    bound: set[str] = set()
    for one in body:
        for node in ast.walk(one):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                if node.id not in bound:
                    yield node.id
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
        bound |= {*_assigned(one), *_imported(one)}
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(one.name)


def _only_shows(one: ast.stmt) -> bool:
    """Whether the statement only shows something: a value, a table, a plot."""
    match one:
        case ast.Expr(value=value):
            return _shows(value)
        case ast.Assign(targets=targets, value=ast.Call(func=call)):
            return _plots(call) and all(_names(target) for target in targets)
        case ast.For(body=body, orelse=[]):
            return all(map(_only_shows, body))
        case ast.With(items=items, body=body):
            return all(_plots(item.context_expr) for item in items) and all(map(_only_shows, body))
        case _:
            return False


def _derives(one: ast.stmt) -> bool:
    """Whether it names a value computed from others, which it does not change."""
    match one:
        case ast.Assign(targets=[ast.Name()], value=value):
            calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
            return all(map(_is_pure, calls))
        case _:
            return False


def _is_pure(call: ast.Call) -> bool:
    if any(one.arg == "inplace" for one in call.keywords):
        return False
    match call.func:
        case ast.Name(id=name):
            return _is(name, "deriving", "showing")
        case ast.Attribute(attr=name) as chain:
            random = any(
                getattr(node, "attr", "") in {"random", "sample"} for node in ast.walk(chain)
            )
            return not random and (
                _is(name, "deriving", "showing") or _plots(chain) or _is(_root(chain), "libraries")
            )
        case _:
            return False


def _measures(one: ast.stmt) -> Iterator[str]:
    """The names that look like metrics, of those that the statement gives a single value."""
    several = ast.Dict | ast.List | ast.Set | ast.Tuple | ast.DictComp | ast.ListComp | ast.SetComp
    match one:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            if _MEASURE.fullmatch(name) and METRIC.fullmatch(f"print({name})"):
                yield from () if isinstance(value, several | ast.Lambda) else (name,)
        case _:
            return


def _names(target: ast.expr) -> bool:
    return isinstance(target, ast.Name | ast.Tuple | ast.List)


def _shows(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Name(id=name)):
            return _is(name, "showing", "plotting", "drawn")
        case ast.Call(func=ast.Attribute(attr=name) as call):
            return _is(name, "showing") or _plots(call)
        case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Compare(left=inner):
            return _shows(inner)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(map(_shows, parts))
        case ast.BinOp(left=left, right=right):
            return _shows(left) and _shows(right)
        case _:
            return isinstance(value, ast.Name | ast.Constant | ast.JoinedStr)


def _root(value: ast.expr) -> str:
    """The name that a chain of attributes, calls and items starts with."""
    while not isinstance(value, ast.Name):
        match value:
            case ast.Attribute(value=inner) | ast.Call(func=inner) | ast.Subscript(value=inner):
                value = inner
            case _:
                return ""
    return value.id


def _plots(value: ast.expr) -> bool:
    """Whether it is of a plotting library, or of a drawing."""
    return _is(_root(value), "plotting", "drawn")


def _is(name: str, *kinds: str) -> bool:
    return any(name in _calls()[kind] for kind in kinds)


@cache
def _calls() -> dict[str, frozenset[str]]:
    """The names in `calls.toml` by their kind."""
    tables = tomllib.loads(data_file("extract/calls.toml"))
    return {kind: frozenset(names) for kind, names in tables.items()}
