"""What calls do: of Python's own functions and methods, and of libraries as far as is known.

A method of a library that is not known might mutate its object and what it is given, and what
these hold; it is taken for a guess, which orders steps but never refuses a pipeline.
"""

import ast
import builtins
from collections.abc import Callable, Iterable

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
from kale_tag.code.syntax import words

EXACT = 100
"""The longest list whose elements are known one by one."""

_EXCEPTIONS = frozenset(
    name
    for name, one in vars(builtins).items()
    if isinstance(one, type) and issubclass(one, BaseException)
)
_SHIFTERS = words("pop insert sort reverse remove rotate popleft appendleft extendleft")
_ADDERS = words("append add appendleft insert put")
_EXTENDERS = words(
    "extend update extendleft intersection_update difference_update symmetric_difference_update"
)
_TAKERS = words("pop popitem popleft")
_CLEARERS = words("clear sort reverse remove discard rotate subtract move_to_end")
_SET_OPERATIONS = words("union intersection difference symmetric_difference")
_ITERATORS = words("values items keys elements")
MUTATORS = (_ADDERS | _EXTENDERS | _CLEARERS) - {"put"}
"""Methods of containers that only change them: they return nothing."""
CONTAINER_METHODS = (
    _ADDERS | _EXTENDERS | _TAKERS | _CLEARERS | words("setdefault get copy values items")
)
_CALLABLE = words("function bound partial instance method")
DISPATCH = "functools.singledispatch"
NAMED = "typing.NamedTuple"
_OWN = ("builtins.", "collections.", "itertools.", "functools.", "copy.", "contextlib.", "typing.")


# Iterators


def generator(run: Machine, function: Obj, args: Arguments, node: ast.AST) -> Obj:
    """What a call of a generator function gives."""
    made = run.new(node, "iter", ("generator", function), ("call", function))
    args.keep(run.heap, made)
    return made


def iterator(
    run: Machine,
    node: ast.AST,
    mode: str,
    sources: Iterable[Points],
    function: Points = EMPTY,
) -> Points:
    """An iterator over *sources*, such as `zip` makes."""
    made = run.new(node, "iter", mode, (mode,))
    for number, points in enumerate(sources):
        run.heap.link(made, (Slot.SOURCE, number), points)
    if function:
        run.heap.link(made, Slot.FUNC, function)
    return frozenset([made])


def advance(run: Machine, one: Obj, node: ast.AST) -> Points:
    """What an iterator yields next."""
    if one in run.iterating:
        return frozenset(one.fields.get(Slot.SEEN, EMPTY))
    run.iterating.add(one)
    mode, *more = one.info
    if mode == "call":
        args = Arguments().with_kept(one)
        found = run.optional(lambda: run.invoke(more[0], args, node, lazily=True))
    elif mode == "generator":
        element, frame, cell = more
        saved, run.cell = run.cell, cell
        found, _ = run.comprehension(element, frame)
        run.cell = saved
    else:
        found = _yielded(run, one, mode, node)
    run.iterating.discard(one)
    run.heap.link(one, Slot.SEEN, found)
    return frozenset(one.fields[Slot.SEEN])


def _yielded(run: Machine, one: Obj, mode: str, node: ast.AST) -> Points:
    sources = [*one.under(Slot.SOURCE).values()]
    if mode == "items":
        keys = EMPTY.union(*(each.fields.get(Slot.KEYS, EMPTY) for each in sources[0]))
        got = [keys, run.read(sources[0])]
    elif mode == "values":
        got = [run.read(sources[0])]
    else:
        got = [run.iterate(points, node) for points in sources]
    every = EMPTY.union(*got)
    if mode in {"tuple", "items"}:
        made = run.new(node, "tuple", "row")
        for number, points in enumerate(got):
            run.heap.link(made, number, points)
        return frozenset([made])
    if mode == "mixed":
        return run.fresh(node, "tuple", every, tag="row")
    if mode in {"map", "filter"}:
        function = frozenset(one.fields.get(Slot.FUNC, EMPTY))
        made_by = run.call(function, Arguments(got), node, maybe=True)
        return made_by if mode == "map" else every
    return every | run.iterate(every, node) if mode == "flat" else every


# Calls of what is not a function of the notebook


def call_object(run: Machine, callee: Obj, args: Arguments, node: ast.AST) -> Points:
    """An object of a library is called: a model, a loss, a wrapped function."""
    me = frozenset([callee])
    if str(callee.info).startswith("operator."):  # `itemgetter(0)`, `methodcaller("pop")`
        run.mutate(args.every(), Certainty.MAY)
        return args.every() | run.read(args.every())
    if callee.info == DISPATCH:
        return run.call(run.kinds(run.read(me), "function"), args, node, maybe=True)
    found = hand(run, me, node, args.every())
    guess(run, me | args.every())
    tensor = run.has_module("torch")
    made = run.new(node, "tensor" if tensor else "any", "called")
    run.heap.link(made, Slot.ORIGIN, me | (run.kinds(args.every(), "tensor") if tensor else EMPTY))
    return found | {made}


def guess(run: Machine, objects: Points) -> None:
    """Code that is not known gets *objects*."""
    run.escaped |= objects
    run.work += 1


def hand(run: Machine, objects: Points, node: ast.AST, others: Points = EMPTY) -> Points:
    """Functions among *objects* may be called, and methods of instances; what they return."""
    if not objects:
        return EMPTY
    given = frozenset(one for one in others if one.kind in CONTAINERS or one.kind == "instance")
    waiting: list[tuple[Obj, Points]] = []
    reached = run.heap.reach(objects, Sight.CONTENTS)
    run.work += 1 + len(reached) // 50
    for one in sorted(one for one in reached if one.kind in _CALLABLE):
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
    classes = run.heap.reach(instance.fields.get(Slot.CLASS, ()), Sight.CONTENTS)
    found = [
        run.bound(function, frozenset([instance]), node)
        for one in classes
        if one.kind == "class"
        for name, functions in one.fields.items()
        if isinstance(name, str) and name != "__init__"
        for function in functions
        if function.kind == "function" and not function.info.kinds & {"staticmethod", "classmethod"}
    ]
    return sorted(found)


def call_path(run: Machine, path: str, args: Arguments, node: ast.AST) -> Points:
    """A function or class that is built in, or of a module."""
    name = path.rpartition(".")[2] if path.startswith(_OWN) else path
    handler = _BUILTIN.get(path) or _BUILTIN.get(name)
    if handler is not None and (path == name or path.startswith(_OWN)):
        return handler(run, args, node)
    if path in _EXCEPTIONS or name == "suppress":
        return run.fresh(node, "exception", args.every(), tag=path)
    return _library(run, path, args, node)


def _library(run: Machine, path: str, args: Arguments, node: ast.AST) -> Points:  # noqa: C901, PLR0911, PLR0912
    every = args.every()
    root, _, _ = path.partition(".")
    last = path.rpartition(".")[2]
    kind = library.module_kinds().get(root)
    _consume(run, args, node)
    if library.function("spoilers", path) or (root == "numpy" and last == "at"):
        return _spoil(run, last, args, node)
    if root == "numpy" and library.function("ufuncs", last):
        run.mutate(EMPTY.union(*args.positions[2:3]))
    if library.function("copies", path):
        run.observe(run.heap.reach(every))
        if last == "deepcopy":
            return _deep_copy(run, args.at(0), node)
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
    elif root == "numpy" and _may_hold_objects(node):
        run.heap.link(made, Slot.ANY, run.iterate(run.kinds(every, *CONTAINERS), node))
    if kind is None and not is_class:
        guess(run, every)
        run.heap.link(made, Slot.ANY, run.kinds(every, "function", "bound", "class", "partial"))
    found = frozenset([made])
    return found | called if kind is None else found


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
        found = run.read(run.kinds(found, *CONTAINERS))
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


# Attributes and methods of objects of libraries


def opaque_attribute(run: Machine, one: Obj, attr: str, *, called: bool) -> Points:
    """What an attribute of an object of a library may be."""
    if called:
        return frozenset([method_of(run, frozenset([one]), attr)])
    if library.method("attributes", attr):
        return EMPTY
    if one.kind == "frame":
        array = attr in {"values", "array"}
        return frozenset([run.heap.view(one, "array" if array else "")])
    if one.kind in MEMORY:
        if library.method("views", attr):
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
        found = (_container_method(run, one, name, args, node) for one in sorted(me))
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
    paths = {str(owner.info) for owner in me}
    if any(path.startswith("random.") for path in paths):
        elements = run.iterate(args.at(0), node)
        return elements | run.fresh(node, "list", elements, tag="drawn")
    kind = "array" if any(path.startswith("numpy.") for path in paths) else "any"
    return frozenset([run.new(node, kind, "drawn")])


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
    hand(run, me, node)
    known, reads = library.method("changers", name), library.method("readers", name)
    if known or (name.endswith("_") and not name.endswith("__")):
        run.mutate(me)
        run.mutate(run.kinds(contents, "any", "instance", "tensor") - me, Certainty.MAY)
    elif library.method("same", name):
        run.mutate(me, Certainty.MAY)
    elif not reads:
        guess(run, me | args.every())
        _keep(run, me, run.kinds(args.every(), "function", "bound"))  # it may call them later
    if library.method("keepers", name):
        _keep(run, me, args.every())
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
    return frozenset([made])


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


# Methods of lists, dicts, sets, tuples and iterators


def merge(run: Machine, made: Obj, source: Points, node: ast.AST) -> None:
    """A dict gets all that mappings hold."""
    for one in source:
        if one.kind == "dict":
            for key, points in list(one.fields.items()):
                if not isinstance(key, tuple) and key is not Slot.FACTORY:
                    run.heap.link(made, key, points)
        else:
            run.heap.link(made, Slot.ANY, run.read([one]))
            run.heap.link(made, Slot.KEYS, run.iterate(run.kinds([one], "any", "vars"), node))


def _container_method(  # noqa: C901, PLR0911, PLR0912  one case for each kind of method
    run: Machine, owner: Obj, name: str, args: Arguments, node: ast.AST
) -> Points:
    me = frozenset([owner])
    every, first = args.every(), args.at(0)
    key = args.constant(0)
    if not isinstance(key, str | int | float | bytes) or (isinstance(key, int) and key < 0):
        key = Slot.ANY
    if owner.kind != "dict" and isinstance(key, int):
        key = Slot.ANY
    if name in _SHIFTERS:
        run.shift(me)
    if name in _ADDERS:
        new = args.positions[-1] if args.positions else args.star
        run.write(me, Slot.ANY, new)
        if owner.kind in {"set", "any"}:
            run.identity(new)
        return EMPTY
    if name in _EXTENDERS:
        _extend(run, owner, args, node)
        return EMPTY
    if name == "setdefault":
        run.write(me, key, args.at(1), first)
        return run.read(me, key)
    if name == "get":
        run.identity(first)
        return run.read(me, key) | args.at(1)
    if name in _TAKERS:
        run.mutate(me)
        got = run.read(me, key if owner.kind in {"dict", "vars"} else Slot.ANY)
        got |= args.at(1)
        keys = frozenset(owner.fields.get(Slot.KEYS, EMPTY))
        if name == "popitem":
            return run.fresh(node, "tuple", got | keys, tag=name)
        return got | (keys if owner.kind == "set" else EMPTY)
    if name in _CLEARERS:
        run.mutate(me)
        held = run.read(me)
        if name in {"remove", "discard"}:
            run.identity(first | held)
        elif name == "sort":
            _keyed(run, held, args, node)
        return EMPTY
    if name in _SET_OPERATIONS:
        others = (run.iterate(points, node) for points in args.positions)
        return run.fresh(node, "set", run.read(me).union(*others), tag=name)
    if name in _ITERATORS:
        mode = name if name in {"values", "items"} else "same"
        return iterator(run, node, mode, [me])
    if name == "copy":
        return copied(run, me, node)
    if name == "most_common":
        pair = run.fresh(node, "tuple", run.iterate(me, node), tag="pair")
        return run.fresh(node, "list", pair, tag="pairs")
    if name in {"index", "count"}:
        run.identity(first | run.read(me))
        return EMPTY
    if name == "_replace":
        run.heap.link(owner, Slot.ANY, every)
        return me
    if name == "_asdict":
        return run.fresh(node, "dict", run.read(me), tag=name)
    if name in {"__next__", "send", "__getitem__", "__iter__"}:
        return run.iterate(me, node) | run.read(me)
    if name.startswith("__") or library.method("readers", name) or owner.kind == "tuple":
        attributes = owner.fields.get(name, EMPTY)
        run.show(every, node)
        return frozenset(attributes)
    guess(run, me | every)
    return frozenset([run.new(node, "any", "result")]) | run.read(me)


def _extend(run: Machine, owner: Obj, args: Arguments, node: ast.AST) -> None:
    me = frozenset([owner])
    mapping = owner.kind in {"dict", "any", "vars"}
    for points in [*args.positions, args.star]:
        maps = run.kinds(points, "dict", "vars", "any")
        elements = run.iterate(points, node)
        if mapping and owner.kind == "dict":
            run.mutate(me)
            merge(run, owner, run.kinds(points, "dict", "vars"), node)
        found = elements | run.read(run.kinds(maps, "vars", "any"))
        if mapping:
            found |= run.iterate(run.kinds(elements, *CONTAINERS), node)
        else:
            found |= run.read(run.kinds(maps, "dict"))
        if run.kinds(points, "dict") and mapping:
            found -= elements
        run.write(me, Slot.ANY, found, run.iterate(maps, node) if mapping else EMPTY)
        if owner.kind in {"set", "any"}:
            run.identity(elements)
    for name, points in args.keywords.items():
        run.write(me, name, points)


def copied(run: Machine, objects: Points, node: ast.AST) -> Points:
    """Shallow copies."""
    found: set[Obj] = set()
    for one in objects:
        if one.kind in {"function", "class", "tuple", "module", "path", "method"}:
            found.add(one)
            continue
        kind = "dict" if one.kind == "vars" else one.kind
        if one.site == (node, "copy"):  # a copy of the same copy, in a loop
            found.add(one)
            continue
        made = run.heap.at((node, "copy", one, run.context), kind, one.info)
        made.site = node, "copy"
        if one.kind == "vars":
            run.heap.link(made, Slot.ANY, run.read([one]))
        else:
            for name, points in list(one.fields.items()):
                if name is not Slot.MEMORY:
                    run.heap.link(made, name, points)
            if one.kind == "any":
                run.heap.link(made, Slot.ANY, run.part(one, Slot.ANY))
        found.add(made)
    return frozenset(found)


def _deep_copy(run: Machine, objects: Points, node: ast.AST) -> Points:
    code = {"function", "class", "module", "path", "method"}
    made = {
        one: one
        if one.kind in code or one.site == (node, "deep")
        else run.heap.at((node, "deep", one, run.context), one.kind, one.info)
        for one in sorted(run.heap.reach(objects))
    }
    for one, copy in made.items():
        if copy is not one:
            copy.site = node, "deep"
            for name, points in list(one.fields.items()):
                run.heap.link(copy, name, [made.get(each, each) for each in points])
    return frozenset(made[one] for one in objects)


# Functions that are built in


def _elements(run: Machine, args: Arguments, node: ast.AST) -> Points:
    found = [run.iterate(points, node) for points in args.positions]
    return EMPTY.union(*found, args.star, run.iterate(args.star, node))


def _keyed(run: Machine, values: Points, args: Arguments, node: ast.AST) -> Points:
    """Values are compared."""
    if by := args.keywords.get("key"):
        run.call(by, Arguments([values]), node, maybe=True)
    else:
        run.method(values, "__lt__", Arguments([values]), node)
        run.method(values, "__gt__", Arguments([values]), node)
    return values


Builtin = Callable[[Machine, Arguments, ast.AST], Points]


def _container(kind: str) -> Builtin:
    """What makes a list, set or tuple of elements; `sorted` compares them."""

    def made(run: Machine, args: Arguments, node: ast.AST) -> Points:
        elements = _elements(run, args, node)
        if kind == "list":
            _keyed(run, elements, args, node)
        return run.fresh(node, kind, elements, tag=kind)

    return made


def _iterator(mode: str, *, called: bool = False) -> Builtin:
    """What makes an iterator over its arguments; the first is *called* for each, or not."""

    def made(run: Machine, args: Arguments, node: ast.AST) -> Points:
        sources, how = args.positions[called:], mode
        if args.star:
            sources, how = [*sources, args.star], "mixed" if mode == "tuple" else mode
        return iterator(run, node, how, sources, args.at(0) if called else EMPTY)

    return made


def _defaultdict(run: Machine, args: Arguments, node: ast.AST) -> Points:
    rest = Arguments(args.positions[1:], EMPTY, args.keywords, args.rest)
    made = _mapping(run, rest, node)
    for one in made:
        run.heap.link(one, Slot.FACTORY, args.at(0))
    return made


def _counter(run: Machine, args: Arguments, node: ast.AST) -> Points:
    keys = _elements(run, args, node)
    return run.fresh(node, "dict", EMPTY, keys, tag="counter")


def _mapping(run: Machine, args: Arguments, node: ast.AST) -> Points:
    made = run.new(node, "dict", "dict")
    sources = EMPTY.union(args.star, *args.positions)
    maps = run.kinds(sources, "dict", "vars", "any")
    merge(run, made, maps, node)
    pairs = run.iterate(sources - maps, node)
    keys = EMPTY.union(run.iterate(maps, node), *(run.read([one], 0) for one in pairs))
    run.heap.link(made, Slot.ANY, EMPTY.union(*(run.read([one], 1) for one in pairs)) | args.rest)
    if keys:
        run.heap.link(made, Slot.KEYS, keys)
        run.identity(keys)
    for name, points in args.keywords.items():
        run.heap.link(made, name, points)
    return frozenset([made])


def _extreme(run: Machine, args: Arguments, node: ast.AST) -> Points:
    one = len(args.positions) == 1 and not args.star
    values = _elements(run, args, node) if one else EMPTY.union(args.star, *args.positions)
    return _keyed(run, values, args, node) | args.keywords.get("default", EMPTY)


def _groups(run: Machine, args: Arguments, node: ast.AST) -> Points:
    by = args.at(1) | args.keywords.get("key", EMPTY)
    keys = run.call(by, Arguments([run.iterate(args.at(0), node)]), node, maybe=True)
    made = run.fresh(node, "tuple", keys | iterator(run, node, "same", [args.at(0)]), tag="group")
    return iterator(run, node, "same", [run.fresh(node, "list", made, tag="groups")])


def _enumerate(run: Machine, args: Arguments, node: ast.AST) -> Points:
    return iterator(run, node, "tuple", [EMPTY, args.at(0)])


def _next(run: Machine, args: Arguments, node: ast.AST) -> Points:
    run.mutate(run.kinds(args.at(0), "any"))
    method = run.method(args.at(0), "__next__", Arguments(), node)
    rest = frozenset(one for one in args.at(0) if one.kind != "instance")
    return run.iterate(rest, node) | method | args.at(1)


def _sum(run: Machine, args: Arguments, node: ast.AST) -> Points:
    elements = run.iterate(args.at(0), node)
    start = args.at(1) | args.keywords.get("start", EMPTY)
    found = run.method(elements, "__add__", Arguments([elements]), node)
    found |= run.method(elements, "__radd__", Arguments([elements]), node)
    return found | (run.combine(node, elements, start) if elements else EMPTY) | start


def _getattr(run: Machine, args: Arguments, node: ast.AST) -> Points:
    attr = args.constant(1)
    if isinstance(attr, str):
        return run.attribute(args.at(0), attr, node) | args.at(2)
    found = run.read(args.at(0))
    for one in args.at(0):
        for class_ in run.heap.reach(one.fields.get(Slot.CLASS, ()), Sight.CONTENTS):
            for name in [name for name in class_.fields if isinstance(name, str)]:
                found |= run.attribute(frozenset([one]), name, node)
    return found | args.at(2)


def _import_module(run: Machine, args: Arguments, node: ast.AST) -> Points:
    path = args.constant(0)
    if isinstance(path, str) and not path.startswith("."):
        return run.module(path, node)
    return _library(run, "importlib.import_module", args, node)


def _setattr(run: Machine, args: Arguments, node: ast.AST) -> Points:
    attr = args.constant(1)
    if isinstance(attr, str):
        run.touch_at(args.at(0), node, attr)
    run.write(args.at(0), attr, args.at(2))
    return EMPTY


def _new_instance(run: Machine, args: Arguments, node: ast.AST) -> Points:
    """`super().__new__(cls)`."""
    found = []
    for one in run.kinds(args.at(0), "class"):
        found.append(run.new(node, "instance", ("new", one)))
        run.heap.link(found[-1], Slot.CLASS, [one])
    return frozenset(found)


def _delattr(run: Machine, args: Arguments, _: ast.AST) -> Points:
    run.mutate(args.at(0))
    return EMPTY


def _vars(run: Machine, args: Arguments, node: ast.AST) -> Points:
    if args.positions:
        return run.vars_of(args.at(0), node)
    return frozenset([run.new(node, "any", "names")])


def _identity(run: Machine, args: Arguments, node: ast.AST) -> Points:
    run.observe(args.at(0))
    run.identity(args.at(0))
    run.method(args.at(0), "__hash__", Arguments(), node)
    return EMPTY


def _type(run: Machine, args: Arguments, node: ast.AST) -> Points:
    if len(args.positions) > 1:
        return _library(run, "type", args, node)
    return EMPTY.union(*(one.fields.get(Slot.CLASS, EMPTY) for one in args.at(0)))


def _partial(run: Machine, args: Arguments, node: ast.AST) -> Points:
    made = run.new(node, "partial", "partial")
    run.heap.link(made, Slot.FUNC, args.at(0))
    Arguments(args.positions[1:], args.star, args.keywords, args.rest).keep(run.heap, made)
    return frozenset([made])


def _reduce(run: Machine, args: Arguments, node: ast.AST) -> Points:
    elements = run.iterate(args.at(1), node)
    found = elements | args.at(2)
    for _ in range(9):
        grown = found | run.call(args.at(0), Arguments([found, elements]), node, maybe=True)
        if grown == found:
            break
        found = grown
    return found


def _namedtuple(run: Machine, args: Arguments, node: ast.AST) -> Points:
    fields: list[str] = []
    names = args.constant(1)
    if isinstance(names, str):
        fields = names.replace(",", " ").split()
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        given = node.args[1]
        if isinstance(given, ast.List | ast.Tuple):
            fields = [str(one.value) for one in given.elts if isinstance(one, ast.Constant)]
    made = run.new(node, "class", "namedtuple", ("", [(name, None) for name in fields]))
    run.heap.link(made, Slot.BASES, [run.heap.at(("path", NAMED), "path", NAMED)])
    return frozenset([made])


def _wraps(run: Machine, _: Arguments, __: ast.AST) -> Points:
    made = run.heap.at(("path", "functools.wraps()"), "path", "functools.wraps()")
    return frozenset([made])


def _replace(run: Machine, args: Arguments, node: ast.AST) -> Points:
    found = copied(run, args.at(0), node)
    for one in found:
        for name, points in args.keywords.items():
            run.heap.link(one, name, points)
        run.heap.link(one, Slot.ANY, args.rest)
    return found


def _dispatch(run: Machine, args: Arguments, node: ast.AST) -> Points:
    made = run.new(node, "any", DISPATCH, DISPATCH)
    run.heap.link(made, Slot.ANY, args.at(0))
    return frozenset([made])


def _any(run: Machine, args: Arguments, node: ast.AST) -> Points:
    run.truth(_elements(run, args, node), node)
    return EMPTY


_BUILTIN: dict[str, Builtin] = {
    "list": _container("list"),
    "sorted": _container("list"),
    "deque": _container("list"),
    "set": _container("set"),
    "frozenset": _container("set"),
    "tuple": _container("tuple"),
    "dict": _mapping,
    "OrderedDict": _mapping,
    "ChainMap": lambda _, args, __: EMPTY.union(args.star, *args.positions),
    "defaultdict": _defaultdict,
    "Counter": _counter,
    "max": _extreme,
    "min": _extreme,
    "reversed": _iterator("same"),
    "iter": _iterator("same"),
    "islice": _iterator("same"),
    "cycle": _iterator("same"),
    "repeat": _iterator("same"),
    "tee": lambda run, args, node: run.fresh(node, "tuple", _iterator("same")(run, args, node)),
    "takewhile": _iterator("filter", called=True),
    "dropwhile": _iterator("filter", called=True),
    "zip": _iterator("tuple"),
    "zip_longest": _iterator("tuple"),
    "enumerate": _enumerate,
    "product": _iterator("mixed"),
    "combinations": _iterator("mixed"),
    "permutations": _iterator("mixed"),
    "pairwise": _iterator("mixed"),
    "groupby": _groups,
    "accumulate": _iterator("same"),
    "starmap": _iterator("map", called=True),
    "map": _iterator("map", called=True),
    "filter": _iterator("filter", called=True),
    "chain": _iterator("same"),
    "itertools.chain.from_iterable": _iterator("flat"),
    "next": _next,
    "sum": _sum,
    "getattr": _getattr,
    "importlib.import_module": _import_module,
    "setattr": _setattr,
    "super.__new__": _new_instance,
    "delattr": _delattr,
    "vars": _vars,
    "globals": _vars,
    "locals": _vars,
    "id": _identity,
    "hash": _identity,
    "type": _type,
    "partial": _partial,
    "reduce": _reduce,
    "copy.copy": lambda run, args, node: copied(run, args.at(0), node),
    "dataclasses.replace": _replace,
    "namedtuple": _namedtuple,
    "wraps": _wraps,
    "singledispatch": _dispatch,
    "functools.wraps()": lambda _, args, __: args.at(0),
    "any": _any,
    "all": _any,
    "cast": lambda _, args, __: args.at(1),
}
"""What calls of these do; those of `_OWN` by their last name, too."""
