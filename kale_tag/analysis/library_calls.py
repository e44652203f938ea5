"""Calls of libraries: of their functions, their objects and the methods of these.

A method that is not known might mutate its object and what it is given, and what these hold; it is
taken for a guess, which orders steps but never refuses a pipeline.
"""

import ast
import builtins
from collections.abc import Callable

from kale_tag.analysis import library
from kale_tag.analysis.heap import (
    CONTAINERS,
    EMPTY,
    MEMORY,
    OPAQUE,
    Certainty,
    Obj,
    Points,
    Sight,
    Slot,
)
from kale_tag.analysis.machine import Arguments, Machine
from kale_tag.analysis.python_calls import (
    BUILTIN,
    CONTAINER_METHODS,
    DISPATCH,
    OWN,
    container_method,
)
from kale_tag.code.syntax import words

_EXCEPTIONS = frozenset(
    name
    for name, one in vars(builtins).items()
    if isinstance(one, type) and issubclass(one, BaseException)
)
_CALLABLE = words("function bound partial instance method")


def call_path(run: Machine, path: str, args: Arguments, node: ast.AST) -> Points:
    """A function or class that is built in, or of a module."""
    name = path.rpartition(".")[2] if path.startswith(OWN) else path
    handler = BUILTIN.get(path) or BUILTIN.get(name)
    if handler is not None and (path == name or path.startswith(OWN)):
        found = handler(run, args, node)
        if found is not None:
            return found
    if path in _EXCEPTIONS or name == "suppress":
        return run.fresh(node, "exception", args.every(), tag=path)
    return _library(run, path, args, node)


def call_object(run: Machine, callee: Obj, args: Arguments, node: ast.AST) -> Points:
    """An object of a library is called: a model, a loss, a wrapped function."""
    me = frozenset([callee])
    if str(callee.info).startswith("operator."):  # `itemgetter(0)`, `methodcaller("pop")`
        run.mutate(args.every(), Certainty.MAY)
        return args.every() | run.read(args.every())
    if callee.info == DISPATCH:
        return run.call(run.kinds(run.read(me), "function"), args, node, maybe=True)
    found = hand(run, me, node, args.every())
    run.guess(me | args.every())
    tensor = run.has_module("torch")
    made = run.new(node, "tensor" if tensor else "any", "called")
    run.heap.link(made, Slot.ORIGIN, me | (run.kinds(args.every(), "tensor") if tensor else EMPTY))
    return found | {made}


def hand(run: Machine, objects: Points, node: ast.AST, others: Points = EMPTY) -> Points:
    """Functions among *objects* may be called, and methods of instances; what they return."""
    if not objects:
        return EMPTY
    given = run.kinds(others, *CONTAINERS, *MEMORY, "instance")
    waiting: list[tuple[Obj, Points]] = []
    reached = run.heap.reach(objects, Sight.CONTENTS)
    run.work += 1 + len(reached) // 50
    instances = run.kinds(reached, "instance")
    own = {function for one in instances for _, function in _functions(run, one)}
    for one in sorted(one for one in reached - own if one.kind in _CALLABLE):
        if one.kind != "method" or one.info in CONTAINER_METHODS:
            known = run.events.handed.get(one)
            if known is None or not given <= known:
                run.events.handed[one] = given | (known or EMPTY)
                waiting.append((one, run.events.handed[one]))
    if run.handing is not None:  # within another such call, which does the work
        run.handing += waiting
        return EMPTY
    run.handing = waiting
    found: set[Obj] = set()
    context, run.context = run.context, ()
    while run.handing:
        one, given = run.handing.pop(0)
        args = Arguments()
        args.star = given | {run.heap.at((one, "given"), "any")}
        guarded = not (one.kind == "function" and one.info.name == "lambda")
        run.guards += guarded
        for callee in _methods(run, one, node) if one.kind == "instance" else [one]:
            found |= run.call(frozenset([callee]), args, node, maybe=True)
        run.guards -= guarded
    run.context, run.handing = context, None
    return frozenset(found)


def _methods(run: Machine, instance: Obj, node: ast.AST) -> list[Obj]:
    found = [one for name, one in _functions(run, instance) if name != "__init__"]
    return sorted(run.bound(one, frozenset([instance]), node) for one in found)


def _functions(run: Machine, instance: Obj) -> list[tuple[str, Obj]]:
    """The functions of its classes, by name."""
    classes = run.heap.reach(instance.fields.get(Slot.CLASS, ()), Sight.CONTENTS)
    return [
        (name, function)
        for one in classes
        if one.kind == "class"
        for name, functions in one.fields.items()
        if isinstance(name, str)
        for function in functions
        if function.kind == "function" and not function.info.kinds & {"staticmethod", "classmethod"}
    ]


def _library(run: Machine, path: str, args: Arguments, node: ast.AST) -> Points:  # noqa: C901, PLR0911, PLR0912
    every = args.every()
    root, _, _ = path.partition(".")
    last = path.rpartition(".")[2]
    kind = library.module_kinds().get(root)
    _consume(run, args, node)
    if library.function("spoilers", path) or (root == "numpy" and last == "at"):
        return _spoil(run, last, args, node)
    if library.function("samplers", path):
        found = run.iterate(run.kinds(every, "list", "tuple"), node)
        if last != "train_test_split":
            return run.fresh(node, kind or "any", found)
        made = run.new(node, "any", path, path)
        for number in range(2 * len(args.positions) if found else 0):
            run.heap.link(run.heap.part(made, number), Slot.ANY, found)
        return frozenset([made])
    if args.flags.get("copy") is False or any(name.startswith("overwrite") for name in args.flags):
        run.mutate(_filled_in_place(args, root, last), Certainty.MAY)
        if kind != "frame" and not last[:1].isupper():
            return _look(run, args.at(0), kind or "any", node)
    if root == "numpy" and library.function("unary_ufuncs", last):
        run.mutate(EMPTY.union(*args.positions[1:2]))
    if root == "numpy" and library.function("ufuncs", last):
        run.mutate(EMPTY.union(*args.positions[2:3]))
    if library.function("copies", path):
        run.observe(run.heap.reach(every))
    if library.function("atoms", path):
        run.show(every, node)
        run.truth(every, node)
        if "." in path:  # `re.sub` calls what it is given, a function that is built in does not
            hand(run, run.kinds(every, "function", "bound", "partial"), node, every)
        return EMPTY
    called = hand(run, every, node) if kind is not None else hand(run, every, node, every)
    if path == "matplotlib.pyplot.subplots":
        figure = frozenset([run.new(node, "volatile", "figure")])
        both = run.new(node, "tuple", "subplots")
        run.heap.link(both, 0, figure)
        run.heap.link(both, 1, _axes(run, figure, node))
        return frozenset([both])
    if library.function("volatile", path):
        made = run.new(node, "volatile", path, path)
        run.heap.link(made, Slot.ANY, every)
        return frozenset([made])
    if library.function("views", path) and args.flags.get("copy") is not True:
        found = _look(run, args.at(0), kind or "any", node)
        if kind == "frame":
            for made in found:
                run.heap.link(made, Slot.ANY, _cells_of(run, args.at(0), last, node))
        return found
    if library.function("frames", path):
        return frozenset([run.new(node, "frame", path, path)])
    if library.function("arrays", path):
        return frozenset([run.new(node, "array", path, path)])
    if path == "object":
        return frozenset([run.new(node, "sentinel", path)])
    return _made(run, path, args, node, called)


def _made(run: Machine, path: str, args: Arguments, node: ast.AST, called: Points) -> Points:
    """What a function makes of which no more is known than its module."""
    every, last = args.every(), path.rpartition(".")[2]
    root, _, _ = path.partition(".")
    kind = library.module_kinds().get(root)
    is_class = last[:1].isupper()
    made = run.new(node, kind if kind and not is_class else _kind_of(path), path, path)
    holds = is_class or library.function("holders", path)
    if library.function("copiers", last):
        code = run.kinds(run.heap.reach(every, Sight.CONTENTS), "function", "class")
        run.heap.link(made, Slot.ANY, code | called)
    elif holds:
        run.heap.link(made, Slot.ANY, every | called)
    elif kind == "tensor":
        run.heap.link(made, Slot.ORIGIN, run.kinds(every, "tensor", "any"))
    elif kind in MEMORY:
        run.heap.link(made, Slot.ANY, _cells(every | run.read(run.kinds(every, "list", "tuple"))))
    if root == "numpy" and _may_hold_objects(node):
        run.heap.link(made, Slot.ANY, run.iterate(run.kinds(every, *CONTAINERS), node))
    if kind is None and not is_class:
        run.guess(every)
        run.heap.link(made, Slot.ANY, run.kinds(every, "function", "bound", "class", "partial"))
    found = frozenset([made])
    return found | called if kind is None else found


def _filled_in_place(args: Arguments, root: str, last: str) -> Points:
    """What a function overwrites since it may: `normalize(x, copy=False)`."""
    kept = args.flags.get("copy") is False and root != "sklearn" and last != "nan_to_num"
    given = {name for name, one in args.flags.items() if one and name.startswith("overwrite")}
    return args.at(0) if given or not kept else EMPTY


def _consume(run: Machine, args: Arguments, node: ast.AST) -> None:
    """Any library uses up iterators, and fills or draws on what is given for that."""
    for name, points in args.keywords.items():
        if name in library.section("keywords")["filled"]:
            run.mutate(points)
    every = args.every()
    run.mutate(run.kinds(every, "volatile"))
    run.iterate(run.kinds(every, "iter"), node)


def _kind_of(path: str) -> str:
    """What kind of object a class of a library makes."""
    known = {"pandas.DataFrame": "frame", "pandas.Series": "frame", "torch.Tensor": "tensor"}
    return "tensor" if path == "torch.nn.Parameter" else known.get(path, "any")


def _look(run: Machine, objects: Points, kind: str, node: ast.AST) -> Points:
    """What may look at the memory of *objects*, or be a copy."""
    made = run.new(node, kind, "look", "look")
    run.heap.link(made, Slot.MEMORY, (one for one in objects if one.kind in OPAQUE))
    return frozenset([made])


def _axes(run: Machine, figures: Points, node: ast.AST) -> Points:
    """Axes of *figures*, one or an array of them."""
    made = run.new(node, "volatile", "axes")
    run.heap.link(made, Slot.ORIGIN, figures)
    run.heap.link(made, Slot.ANY, [made])
    for owner in figures:
        run.heap.link(owner, Slot.ANY, [made])
    return frozenset([made])


def _may_hold_objects(node: ast.AST) -> bool:
    """Whether a call of NumPy may name `object` as the type of elements."""
    assert isinstance(node, ast.Call)
    given = [one.value for one in node.keywords if one.arg == "dtype"]
    last = {one.id if isinstance(one, ast.Name) else "" for one in (*node.args, *given)}
    return "object" in last or any(
        not isinstance(one, ast.Constant | ast.Attribute) for one in given
    )


def _cells_of(run: Machine, data: Points, name: str, node: ast.AST) -> Points:
    """The objects in the cells of a table that is made of *data*."""
    found = run.iterate(run.kinds(data, "list", "tuple"), node) | run.read(run.kinds(data, "dict"))
    if name == "DataFrame":
        found = run.read(run.kinds(found, *CONTAINERS)) | _cells(run.kinds(found, "frame"))
    return run.kinds(found, *CONTAINERS, "instance", "array")


def _spoil(run: Machine, name: str, args: Arguments, node: ast.AST) -> Points:
    """A function that mutates its first argument, which may hold the others afterwards."""
    first = args.at(0)
    others = EMPTY.union(args.star, *args.positions[1:])
    run.shift(first)
    run.write(first, Slot.ANY, others | run.iterate(others, node))
    hand(run, args.every(), node, others)
    if name.startswith("heap"):
        return run.read(first) | others
    return first if name.endswith("_") or name in {"iadd", "iconcat"} else EMPTY


def opaque_attribute(run: Machine, one: Obj, attr: str, *, called: bool) -> Points:
    """What an attribute of an object of a library may be."""
    if called:
        return frozenset([method_of(run, frozenset([one]), attr)])
    if library.method("attributes", attr):
        return EMPTY
    if one.kind == "frame" and attr != "attrs":
        array = attr in {"values", "array"}
        own = attr in {"loc", "iloc", "at", "iat"}
        return frozenset([one if own else run.heap.view(one, "array" if array else "")])
    if one.kind in MEMORY and attr != "attrs":
        if library.method("views", attr) or one.kind == "array":  # `x` of a record array
            return frozenset([run.heap.view(one)])
        return frozenset([method_of(run, frozenset([one]), attr)])
    found = frozenset(run.part(one, attr))
    if attr in CONTAINER_METHODS:
        found |= {method_of(run, frozenset([one]), attr)}
    return found


def method_of(run: Machine, owners: Points, name: str) -> Obj:
    """The method of objects that are not of the notebook, all of one kind."""
    site = next(iter(owners)).kind if run.heap.crowded else owners
    made = run.heap.at((site, "method", name), "method", name)
    run.heap.link(made, Slot.OWNER, owners)
    return made


def call_method(run: Machine, callee: Obj, args: Arguments, node: ast.AST) -> Points:
    """A method of a container or of an object of a library is called."""
    me = frozenset(callee.fields[Slot.OWNER])
    name: str = callee.info
    kind = next(iter(me)).kind
    if (
        kind in CONTAINERS
        or kind in {"iter", "vars"}
        or (kind == "any" and name in CONTAINER_METHODS)
    ):
        found = (container_method(run, one, name, args, node) for one in sorted(me))
        return EMPTY.union(*[*found])
    every = args.every()
    _consume(run, args, node)
    drawn = run.kinds(run.heap.reach(me, Sight.CONTENTS), "volatile")
    run.mutate(drawn - me, Certainty.GUESS)  # `random_state` of an estimator
    called = hand(run, every, node, _cells(me) if kind in MEMORY else me)
    if name == "backward":
        run.mutate(run.heap.reach(me), Certainty.MAY)
        return EMPTY
    inplace = args.flags.get("inplace", False)
    if inplace is not False:
        run.mutate(me, Certainty.SURE if inplace is True else Certainty.MAY)
        return EMPTY
    made = _METHODS_OF.get(kind, _any_method)(run, me, name, args, node)
    return made | (called if kind not in MEMORY else EMPTY)


def _cells(objects: Points) -> Points:
    """The objects in the cells of tables and arrays, as far as they are known."""
    return EMPTY.union(*(one.fields.get(Slot.ANY, EMPTY) for one in objects))


def _views(run: Machine, objects: Points, kind: str = "") -> Points:
    return frozenset(run.heap.view(one, kind) for one in objects)


def _volatile_method(run: Machine, me: Points, name: str, args: Arguments, node: ast.AST) -> Points:
    run.mutate(me)
    run.mutate(run.heap.reach(me, Sight.CONTENTS) - me, Certainty.MAY)
    if library.method("spoilers", name):
        run.shift(args.every())
        run.mutate(args.every())
    if library.method("atoms", name):
        return EMPTY
    if library.method("axes", name):
        return _axes(run, me, node)
    if name == "spawn":
        child = run.new(node, "volatile", name, next(iter(me)).info)
        return run.fresh(node, "list", [child], tag="spawned")
    paths = {str(owner.info) for owner in me}
    if any(path.startswith("random.") for path in paths):
        elements = run.iterate(args.at(0), node)
        return elements | run.fresh(node, "list", elements, tag="drawn")
    kind = "array" if any(path.startswith("numpy.") for path in paths) else "any"
    return run.fresh(node, kind, run.iterate(run.kinds(args.at(0), "list"), node), tag="drawn")


def _frame_method(run: Machine, me: Points, name: str, args: Arguments, node: ast.AST) -> Points:
    if library.method("frame_changers", name):
        run.mutate(me)
        return _views(run, me) if name == "pop" else run.read(me) - _views(run, me)
    if library.method("atoms", name):
        return EMPTY
    if name == "pipe":
        return run.call(args.at(0), Arguments([me, *args.positions[1:]]), node)
    copies = args.flags.get("copy", args.flags.get("deep", True)) is True
    if library.method("views", name) or not copies:
        return _views(run, me, "array" if name in {"values", "to_numpy"} else "")
    return run.fresh(node, "frame", _cells(me), tag="made frame")


def _array_method(run: Machine, me: Points, name: str, args: Arguments, node: ast.AST) -> Points:
    if library.method("array_changers", name):
        run.mutate(me)
        return EMPTY
    if library.method("atoms", name):
        return EMPTY
    if library.method("views", name) or args.flags.get("copy") is False:
        return _views(run, me)
    return run.fresh(node, "array", _cells(me), tag="made array")


def _tensor_method(run: Machine, me: Points, name: str, args: Arguments, node: ast.AST) -> Points:
    others = run.kinds(args.every(), "tensor")
    if name.endswith("_") and not name.endswith("__"):
        run.mutate(me)
        for owner in me:
            run.heap.link(owner, Slot.ORIGIN, others)
        return me
    if name in {"item", "tolist", "size", "dim", "numel"} or library.method("atoms", name):
        return EMPTY
    if name == "numpy" or library.method("views", name):
        return _views(run, me, "array" if name == "numpy" else "")
    made = run.new(node, "tensor", "made tensor", "made")
    run.heap.link(made, Slot.ORIGIN, me | others)
    return frozenset([made]) | (me if library.method("same", name) else EMPTY)


def _any_method(run: Machine, me: Points, name: str, args: Arguments, node: ast.AST) -> Points:
    contents = run.heap.reach(me, Sight.CONTENTS)
    every = args.every()
    called = hand(run, me, node, every) & every  # a method of the notebook may return what it gets
    known, reads = library.method("changers", name), library.method("readers", name)
    if known or (name.endswith("_") and not name.endswith("__")):
        run.mutate(me)
        run.mutate(run.kinds(contents, "any", "instance", "tensor") - me, Certainty.MAY)
    elif library.method("same", name):
        run.mutate(me, Certainty.MAY)
    elif not reads:
        run.guess(me | every)
        _keep(run, me, run.kinds(every, "function", "bound"))  # it may call them later
    if library.method("keepers", name):
        _keep(run, me, every)
    if library.method("atoms", name):
        return EMPTY
    if library.method("same", name) and name != "train":
        if all(str(owner.info).startswith("sklearn.") for owner in me):
            return me
        made = run.new(node, "any", "same")
        run.heap.link(made, Slot.ORIGIN, me)
        return me | {made}
    made = run.new(node, "any", "result")
    if library.method("parts", name):
        run.heap.link(made, Slot.ANY, me)
    elif not (known or reads) or library.method("sharing", name):
        run.heap.link(made, Slot.ORIGIN, me)
    return called | {made}


def _keep(run: Machine, owners: Points, values: Points) -> None:
    for one in owners:
        run.heap.link(one, Slot.ANY, values)


Handler = Callable[[Machine, Points, str, Arguments, ast.AST], Points]


_METHODS_OF: dict[str, Handler] = {
    "volatile": _volatile_method,
    "frame": _frame_method,
    "array": _array_method,
    "tensor": _tensor_method,
}
