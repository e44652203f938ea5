"""Where a notebook finds modules of its own, what it installs itself, and what travels with it."""

import ast
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from kale_tag.code.facts import Import, read_facts
from kale_tag.code.ipython import run_path
from kale_tag.code.source import Parsed
from kale_tag.diagnostics import Source, UserError
from kale_tag.kale.pipeline import Code
from kale_tag.notebook.model import Notebook

_WRITTEN = re.compile(
    r"(?m)^[ \t]*"
    r"(?:%%(?:writefile|file)\s|get_ipython\(\)\.run_cell_magic\('(?:writefile|file)', ')"
    r"\s*(?:-a\s+)?[\"']?(?:\./)?([^\s\"']+)"
)
_WRITES = re.compile(r"\b(?:write_text|open)\b")
_RUN = re.compile(
    r"(?m)^[ \t]*(?:%run\s+(.+)|get_ipython\(\)\.run_line_magic\(['\"]run['\"], ['\"](.+)['\"]\))"
)
_PIP = re.compile(r"(?m)^[ \t]*(?:[!%][ \t]*)?(?:\S+[ \t]+-m[ \t]+)?pip3?[ \t]+install[ \t]+(.+)")
_REQUIREMENT = re.compile(r"([A-Za-z][\w.-]*)(?:\[[\w,-]+\])?(?:[=<>~!]=?[\w.*,<>=~!]+)?")
_FIRST_ARGUMENT = ("Path", "abspath", "expanduser", "fspath", "normpath", "realpath", "str")
_HIDDEN_IMPORT = re.compile(r"\b(?:__import__|exec|eval|importlib|pkgutil|runpy|getsource)\b")
_ITSELF = ("absolute", "as_posix", "expanduser", "resolve")


def code_of(notebook: Notebook) -> list[str]:
    """The sources of the code cells that can be read."""
    found = []
    for index in notebook.code:
        with suppress(UserError):
            found.append(notebook.source(index))
    return found


def written_modules(sources: Iterable[str]) -> set[str]:
    """The modules and packages whose files cells write."""
    paths = (path for path in written_files(sources) if path.endswith(".py"))
    return {top for path in paths if (top := top_of(path)).isidentifier()}


def written_files(sources: Iterable[str]) -> set[str]:
    """The files that cells write, with `%%writefile`, `write_text` or `open`."""
    sources = list(sources)
    found = {name for source in sources for name in _WRITTEN.findall(source)}
    values: dict[str, ast.expr] = {}
    for node in _nodes(source for source in sources if _WRITES.search(source)):
        match node:
            case ast.Assign([ast.Name(name)], value):
                values[name] = value
            case (
                ast.Call(ast.Attribute(path, "write_text"), [_, *_])
                | ast.Call(ast.Name("open"), [path, ast.Constant("w" | "a" | "x"), *_])
                | ast.Call(ast.Attribute(path, "open"), [ast.Constant("w" | "a" | "x"), *_])
            ):
                found |= {*map(posixpath.normpath, _folder(path, values))}
            case _:
                pass
    return found


def run_paths(sources: Collection[str]) -> list[str]:
    """The files that cells run with `%run`, but for those that they write themselves."""
    written = written_files(sources)
    found = (run_path(a or b) for source in sources for a, b in _RUN.findall(source))
    return [path for path in dict.fromkeys(found) if path and path not in written]


def installed(sources: Iterable[str]) -> dict[str, str]:
    """What the notebook itself installs with pip: modules of equal name, and the requirements."""
    words = (line.split() for source in sources for line in _PIP.findall(source))
    found = (_REQUIREMENT.fullmatch(word.strip("'\"")) for line in words for word in line)
    return {re.sub(r"[-.]", "_", one[1]): one[0] for one in found if one is not None}


def added_folders(sources: Collection[str]) -> list[str]:
    """The folders that cells put on `sys.path`, relative to that of the notebook."""
    if not any("sys.path" in source for source in sources):
        return []
    values: dict[str, ast.expr] = {}
    found: dict[str, None] = {}
    for node in _nodes(sources):
        match node:
            case ast.Assign([ast.Name(name)], value):
                values[name] = value
            case ast.Call(ast.Attribute(holder, "append" | "insert"), [*_, folder]) if (
                ast.unparse(holder) == "sys.path"
            ):
                found |= dict.fromkeys(_folder(folder, values))
            case ast.Call(ast.Attribute(holder, "extend"), [folders]) | ast.AugAssign(
                holder, ast.Add(), folders
            ) if ast.unparse(holder) == "sys.path" and isinstance(folders, ast.List | ast.Tuple):
                for one in folders.elts:
                    found |= dict.fromkeys(_folder(one, values))
    return [posixpath.normpath(folder) for folder in found]


def _nodes(sources: Iterable[str]) -> Iterator[ast.AST]:
    """The syntax of the cells in their order; of a cell with magics, that of its single lines."""
    for source in sources:
        for text in (source, *source.split("\n")):
            try:
                tree = ast.parse(text.strip())
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            yield from ast.walk(tree)
            if text is source:
                break


def _folder(node: ast.expr, values: Mapping[str, ast.expr]) -> Iterator[str]:  # noqa: C901
    """The folder that *node* names, if that can be seen; *values* are those of variables."""
    match node:
        case ast.Constant(str() as text):
            yield text
        case ast.Name("__file__"):
            yield "notebook.ipynb"
        case ast.Name(name) if name in values:
            others = {one: value for one, value in values.items() if one != name}
            yield from _folder(values[name], others)
        case ast.Attribute(inner, "parent") | ast.Call(ast.Attribute(_, "dirname"), [inner]):
            yield from (posixpath.join(one, "..") for one in _folder(inner, values))
        case ast.BinOp(left, ast.Div(), right):
            for one in _folder(left, values):
                yield from (posixpath.join(one, other) for other in _folder(right, values))
        case ast.Call(ast.Attribute(_, "join"), [first, *rest]):
            parts = [next(_folder(one, values), None) for one in (first, *rest)]
            if None not in parts:
                yield posixpath.join(*map(str, parts))
        case ast.Call(ast.Attribute(_, "cwd" | "getcwd"), []) | ast.Call(ast.Name("Path"), []):
            yield "."
        case ast.Call(ast.Attribute(_, name) | ast.Name(name), [inner]) if name in _FIRST_ARGUMENT:
            yield from _folder(inner, values)
        case ast.Call(ast.Attribute(inner, name), []) if name in _ITSELF:
            yield from _folder(inner, values)


@dataclass(frozen=True, slots=True)
class LocalCode:
    """The modules of the user that a notebook can import."""

    # The pattern of the files of each, from the folder of the notebook; "" if only a cell writes it
    modules: Mapping[str, str] = field(default_factory=dict)
    # What travels, by the paths at which steps import it
    files: Mapping[str, Source] = field(default_factory=dict)

    def names(self) -> set[str]:
        """All modules that no index of packages is asked for."""
        return {*self.modules, *map(top_of, self.files)}


@dataclass(slots=True)
class _Unit:
    """Files that travel together: a module, or a package with all that is in its folder."""

    codes: list[Code] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    module: bool = False  # whether it can be imported
    hidden: bool = False  # whether it may import what cannot be seen


class Travelling:
    """The files that travel, by the modules that they are."""

    def __init__(self, files: Mapping[str, Source]) -> None:
        """Read the imports of *files*."""
        self.units: dict[str, _Unit] = {}
        for path, source in sorted(files.items()):
            unit = self.units.setdefault(top_of(path), _Unit())
            code = Code(-1, source.text, source.text, "file", path)
            unit.codes.append(code)
            if path.endswith(".py"):
                unit.module = True
                unit.hidden |= _HIDDEN_IMPORT.search(source.text) is not None
                try:
                    tree = ast.parse(source.text)
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    continue  # the step that imports it reports it
                unit.imports += read_facts([Parsed(source.name, code, tree)]).modules

    def needed(self, imports: Iterable[Import], cells: Iterable[str]) -> list[str]:
        """The units of a step with these *imports* and *cells*: also those that these import.

        Where imports cannot be seen, all; data that belongs to no package goes with every step.
        """
        todo = {one.module.partition(".")[0] for one in imports if not one.level}
        todo |= {name for name, unit in self.units.items() if not unit.module}
        if any(map(_HIDDEN_IMPORT.search, cells)):
            todo |= self.units.keys()
        found: set[str] = set()
        while todo := (todo & self.units.keys()) - found:
            found |= todo
            if any(self.units[name].hidden for name in todo):
                found |= self.units.keys()
            todo = {
                one.module.partition(".")[0]
                for name in todo
                for one in self.units[name].imports
                if not one.level
            }
        return sorted(found)

    def codes(self, names: Iterable[str]) -> tuple[Code, ...]:
        """The files of the units *names*."""
        return tuple(code for name in names for code in self.units[name].codes)

    def imports(self, names: Iterable[str]) -> Iterator[Import]:
        """What the units *names* import from elsewhere."""
        for name in names:
            yield from (one for one in self.units[name].imports if not one.level)


def top_of(path: str) -> str:
    """The module at the top of the file *path*: a file, or the folder of a package."""
    return path.partition("/")[0].removesuffix(".py")
