"""Names in texts: in commands of IPython, and in literals that Python or pandas reads as code."""

import ast
import re
import string
from collections.abc import Iterable, Iterator

from kale_tag.analysis.ipython import CODE_MAGICS
from kale_tag.analysis.model import Import, names_in
from kale_tag.analysis.origins import Values

_SHELL = re.compile(r"\$\{?([^\W\d]\w*)")
_OPTIONS = re.compile(r"(?:-[A-Za-z]+\s*\d*\s+)*")
_QUERIED = re.compile(r"@([^\W\d]\w*)")
_PERCENT = re.compile(r"%\((\w+)\)")
_NAMESPACES = frozenset(["globals", "locals", "vars"])


class Texts(Values):
    """Texts with names in them; what is not there when it is asked for is no fault."""

    def expr(self, node: ast.AST | None) -> None:
        """Walks over an expression."""
        raise NotImplementedError

    def in_texts(self, node: ast.AST | None) -> None:
        """Names in a literal that is the text of a query or of `eval`, or a key of `globals()`."""
        match node:
            case ast.Call() if (text := literal_code(node)) is not None:
                self._evaluated(text, node)
            case ast.Call(func=ast.Attribute(attr="query" | "eval"), args=[query, *_]):
                for text in _literals(query):
                    self._load_all(_QUERIED.findall(text), node)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
                if any(is_namespace(one.value) for one in node.keywords):
                    self._expanded(text, node)
            case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
                self._load_all(_PERCENT.findall(text) if is_namespace(right) else (), node)
            case (
                ast.Subscript(value=holder, slice=ast.Constant(value=str(name)))
                | ast.Call(
                    func=ast.Attribute(value=holder), args=[ast.Constant(value=str(name)), *_]
                )
                | ast.Compare(left=ast.Constant(value=str(name)), comparators=[holder])
            ):
                self._load_all([name] if is_namespace(holder) else (), node)
            case _:
                pass

    def _load_all(self, names: Iterable[str], node: ast.expr) -> None:
        self.guards += 1
        for name in names:
            self.load(name, node)
        self.guards -= 1

    def _evaluated(self, text: str, node: ast.Call) -> None:
        """What `eval` or `exec` is told; at the top of a cell that may bind names, too."""
        self.guards += 1
        if self.frames:
            try:
                tree = ast.parse(text.strip())
            except (SyntaxError, ValueError, RecursionError):
                tree = ast.Module([], [])
            self._load_all(names_in(tree), node)
        else:
            self.inline(text, node)
        self.guards -= 1

    def ipython(self, node: ast.Call) -> bool:
        """What IPython's syntax was turned into; whether *node* is of that kind."""
        func = node.func
        if not (
            isinstance(func, ast.Attribute)
            and isinstance(func.value, ast.Call)
            and isinstance(func.value.func, ast.Name)
            and func.value.func.id == "get_ipython"
        ):
            return False
        texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
        words = [text for text in texts if isinstance(text, str)]
        if func.attr in {"run_line_magic", "begin_cell_magic"} and words[:1]:
            name, code = words[0], "".join(words[1:2])
            if name == "run":  # it may bind anything
                self.block.stars.append(Import("", 0, "*", self.spot(node)))
            if name in CODE_MAGICS:
                self.inline(_OPTIONS.sub("", code, count=1), node)
                return True
            words = [code]
        elif func.attr == "run_cell_magic":
            words = words[1:2]
        for text in words:
            self._expanded(text, node)
        return True

    def inline(self, code: str, node: ast.AST) -> None:
        """Code in a text, which runs where *node* stands."""
        raise NotImplementedError

    def _expanded(self, text: str, node: ast.AST) -> None:
        """Names in the text of a shell command; what cannot be expanded stays as it is."""
        self.guards += 1
        for name in _SHELL.findall(text):
            self.load(name, node)
        for expression in _braces(text):
            try:
                tree = ast.parse(expression.strip(), mode="eval")
            except (SyntaxError, ValueError, RecursionError):
                continue
            for part in ast.walk(tree):
                ast.copy_location(part, node)
            self.expr(tree.body)
        self.guards -= 1


def literal_code(node: ast.Call) -> str | None:
    """The text of `eval("...")` and `exec("...")` without namespaces of their own."""
    match node:
        case ast.Call(
            func=ast.Name(id="eval" | "exec"), args=[ast.Constant(value=str(text))], keywords=[]
        ):
            return text
        case _:
            return None


def is_namespace(node: ast.expr) -> bool:
    """Whether it is `globals()` or the like."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[]):
            return name in _NAMESPACES
        case _:
            return False


def _literals(node: ast.expr) -> Iterator[str]:
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
