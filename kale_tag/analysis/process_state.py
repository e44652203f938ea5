"""The state of a process: what code of a step sets, and which code depends on it.

Seeds, environment variables, the working directory, options of modules. Each is known by the name
of what is set, such as `numpy.random` or `os.environ[HOME]`; `process_state.toml` lists them.
"""

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kale_tag.analysis import library
from kale_tag.analysis.distributions import standard_modules
from kale_tag.analysis.facts import dotted, roots
from kale_tag.analysis.library import tables


def _tables() -> Mapping[str, Any]:
    return tables("process_state")


@functools.cache
def _setters() -> Mapping[str, str]:
    """The functions that set a state, and its name."""
    states = _tables()["states"]
    return {path: name for name, state in states.items() for path in state["setters"]}


def in_words(state: str) -> str:
    """What is set, for a message."""
    if state.startswith("os.environ["):
        return f"the environment variable `{state[11:-1]}`"
    return str(_tables()["states"].get(state, {"words": f"`{state}`"})["words"])


def settings(node: ast.AST, modules: Mapping[str, str]) -> Iterator[str]:
    """What of the process *node* sets."""
    match node:
        case ast.Call(func=func, args=args):
            path = dotted(func, modules)
            if path in _setters():
                yield _setters()[path]
            elif path in {"os.environ.setdefault", "os.putenv"}:
                yield from (f"os.environ[{name}]" for name in _texts(args[:1]))
            elif path.startswith("get_ipython") or path == "":
                yield from _by_magic(node)
        case ast.Assign(targets=targets):
            for target in targets:
                yield from _assigned(target, modules)
        case ast.AugAssign(target=target):
            yield from _assigned(target, modules)
        case _:
            pass


def _by_magic(node: ast.Call) -> Iterator[str]:
    """`%env A=b`, `%set_env A b` and `%cd folder`."""
    if not (isinstance(node.func, ast.Attribute) and node.func.attr == "run_line_magic"):
        return
    name, *rest = _texts(node.args) or [""]
    given = (rest[0] if rest else "").replace("=", " ").split()
    if name == "cd":
        yield "cwd"
    elif name in {"env", "set_env"} and len(given) > 1:
        yield f"os.environ[{given[0]}]"


def _assigned(target: ast.expr, modules: Mapping[str, str]) -> Iterator[str]:
    """`os.environ["A"] = ...`, `plt.rcParams[...] = ...`, `module.name = ...`."""
    holder = target
    while isinstance(holder, ast.Subscript):
        holder = holder.value
    path = dotted(holder, modules)
    if path == "decimal.getcontext" or _is_context(target, modules):
        yield "decimal"
    elif (
        "." not in path
        or not isinstance(holder, ast.Attribute)
        or next(roots(holder), "") not in modules
    ):
        return
    elif path == "os.environ":
        if isinstance(target, ast.Subscript):
            yield from (f"os.environ[{name}]" for name in _texts([target.slice]))
    elif path.startswith("pandas.options"):
        yield "pandas"
    elif path.endswith(".rcParams"):
        yield "matplotlib"
    else:
        yield path


def _is_context(target: ast.expr, modules: Mapping[str, str]) -> bool:
    """`decimal.getcontext().prec = 5`."""
    match target:
        case ast.Attribute(value=ast.Call(func=func)):
            return dotted(func, modules) == "decimal.getcontext"
        case _:
            return False


def depends(state: str, nodes: Iterable[ast.AST], modules: Mapping[str, str]) -> ast.AST | None:
    """The first of *nodes* that does what *state* makes a difference to."""
    return next((node for node in nodes if _depends(state, node, modules)), None)


def _depends(state: str, node: ast.AST, modules: Mapping[str, str]) -> bool:
    if state.startswith("os.environ["):
        return _reads_environment(state[11:-1], node, modules)
    if state == "sys.path":
        return _imports_more(node) or _path_of(node, modules) == state
    if state in {"decimal", "pandas"}:
        return isinstance(node, ast.Name) and _module(node, modules) == state
    if state == "matplotlib":
        draws = isinstance(node, ast.Attribute) and (
            library.method("plots", node.attr) or library.method("axes", node.attr)
        )
        named = isinstance(node, ast.Name) and _module(node, modules) in {state, "seaborn"}
        return draws or named
    if state not in _tables()["states"]:
        return _path_of(node, modules) == state
    return isinstance(node, ast.Call) and _draws(state, node, modules)


def _draws(state: str, node: ast.Call, modules: Mapping[str, str]) -> bool:
    path = dotted(node.func, modules)
    last = path.rpartition(".")[2]
    given = {one.arg for one in node.keywords}
    match state:
        case "random":
            return path.startswith("random.") and last not in _tables()["seeded"]
        case "numpy.random" if path.startswith("numpy.random."):
            return last not in _tables()["seeded"]
        case "numpy.random":
            sampled = isinstance(node.func, ast.Attribute) and node.func.attr == "sample"
            frames = "pandas" in modules.values() and not path.startswith("random.")
            drawn = path.startswith("sklearn.") and last in _tables()["drawing"]
            return (drawn or (sampled and frames)) and "random_state" not in given
        case "torch":
            layers = path.startswith("torch.nn.") and last[:1].isupper()
            shuffled = path == "torch.utils.data.DataLoader" and "shuffle" in given
            return layers or shuffled or path.startswith(("torch.rand", "torch.normal"))
        case "tensorflow":
            ours = path.startswith(("tensorflow.", "keras.")) and not last.endswith("_seed")
            return ours and (".random." in path or ".layers." in path)
        case _:
            return path in _tables()["relative"] or (path == "open" and _is_relative(node.args[:1]))


def _reads_environment(name: str, node: ast.AST, modules: Mapping[str, str]) -> bool:
    match node:
        case ast.Call(func=func, args=args):
            reads = dotted(func, modules) in {"os.getenv", "os.environ.get", "os.environ.pop"}
            shell = isinstance(func, ast.Attribute) and func.attr in {"system", "getoutput"}
            texts = _texts(args)
            return (reads and name in texts[:1]) or (shell and any(f"${name}" in x for x in texts))
        case ast.Subscript(value=holder, slice=key, ctx=ast.Load()):
            return dotted(holder, modules) == "os.environ" and name in _texts([key])
        case ast.Name():
            readers = [
                users for start, users in _tables()["read_by"].items() if name.startswith(start)
            ]
            readers = [] if name.startswith("TF_CPP_") else readers  # what TensorFlow prints
            return any(_module(node, modules) in users for users in readers)
        case _:
            return False


def _imports_more(node: ast.AST) -> bool:
    """Whether it imports what does not come with Python."""
    match node:
        case ast.Import(names=names):
            roots = {one.name.partition(".")[0] for one in names}
        case ast.ImportFrom(module=str(module), level=0):
            roots = {module.partition(".")[0]}
        case _:
            return False
    return not roots <= standard_modules()


def _module(node: ast.Name, modules: Mapping[str, str]) -> str:
    """The package that a name was imported from."""
    return modules.get(node.id, "").partition(".")[0]


def _path_of(node: ast.AST, modules: Mapping[str, str]) -> str:
    loaded = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    return dotted(node, modules) if loaded and isinstance(node, ast.Attribute) else ""


def _texts(nodes: Iterable[ast.expr]) -> list[str]:
    return [
        one.value for one in nodes if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


def _is_relative(nodes: Iterable[ast.expr]) -> bool:
    return any(text and not text.startswith(("/", "~")) for text in _texts(nodes))
