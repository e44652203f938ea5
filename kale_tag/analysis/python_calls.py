"""Calls of Python's own functions, and of methods of its containers and iterators."""

import ast
from collections.abc import Callable, Iterable

from kale_tag.analysis import library
from kale_tag.analysis.heap import (
    CONTAINERS,
    EMPTY,
    Obj,
    Points,
    Sight,
    Slot,
)
from kale_tag.analysis.machine import Arguments, Machine
from kale_tag.code.syntax import words

EXACT = 100
"""The longest list whose elements are known one by one."""
_SHIFTERS = words("pop insert sort reverse remove rotate popleft appendleft extendleft")
_ADDERS = words("__setitem__ append add appendleft insert put")
_EXTENDERS = words(
    "extend update extendleft intersection_update difference_update symmetric_difference_update"
)
_TAKERS = words("pop popitem popleft")
_CLEARERS = words("__delitem__ clear sort reverse remove discard rotate subtract move_to_end")
_SET_OPERATIONS = words("union intersection difference symmetric_difference")
_ITERATORS = words("values items keys elements")
MUTATORS = (_ADDERS | _EXTENDERS | _CLEARERS) - {"put"}
"""Methods of containers that only change them: they return nothing."""
CONTAINER_METHODS = (
    _ADDERS | _EXTENDERS | _TAKERS | _CLEARERS | words("setdefault get copy values items")
)
DISPATCH = "functools.singledispatch"
NAMED = "typing.NamedTuple"


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


def container_method(  # noqa: C901, PLR0911, PLR0912, PLR0915  one case a kind of method
    run: Machine, owner: Obj, name: str, args: Arguments, node: ast.AST
) -> Points:
    """The method *name* of a container or an iterator is called."""
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
    run.guess(me | every)
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


def _deep_copy(run: Machine, args: Arguments, node: ast.AST) -> Points:
    objects = args.at(0)
    run.observe(run.heap.reach(args.every()))
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


Builtin = Callable[[Machine, Arguments, ast.AST], Points | None]
"""What a call does; None where it is like one of a library."""


def _container(kind: str) -> Builtin:
    """What makes a list, set or tuple of elements; `sorted` compares them."""

    def made(run: Machine, args: Arguments, node: ast.AST) -> Points:
        elements = _elements(run, args, node)
        if kind == "list":
            _keyed(run, elements, args, node)
        return run.fresh(node, kind, elements, tag=kind)

    return made


def _iterator(
    mode: str, *, called: bool = False
) -> Callable[[Machine, Arguments, ast.AST], Points]:
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


def _awaited(run: Machine, args: Arguments, node: ast.AST) -> Points:
    return args.every() | run.iterate(run.kinds(args.every(), "iter"), node)


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


def _import_module(run: Machine, args: Arguments, node: ast.AST) -> Points | None:
    path = args.constant(0)
    if isinstance(path, str) and not path.startswith("."):
        return run.module(path, node)
    return None


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


def _type(_: Machine, args: Arguments, __: ast.AST) -> Points | None:
    if len(args.positions) > 1:
        return None
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


OWN = ("builtins.", "collections.", "itertools.", "functools.", "copy.", "contextlib.", "typing.")
"""Modules of Python whose functions are known."""

BUILTIN: dict[str, Builtin] = {
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
    "repeat": lambda run, args, node: iterator(
        run, node, "same", [run.fresh(node, "tuple", args.at(0), tag="repeated")]
    ),
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
    "asyncio.run": _awaited,
    "asyncio.gather": lambda run, args, node: run.fresh(node, "list", _awaited(run, args, node)),
    "random.choice": lambda run, args, node: run.iterate(args.at(0), node),
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
    "copy.deepcopy": _deep_copy,
    "dataclasses.replace": _replace,
    "namedtuple": _namedtuple,
    "wraps": _wraps,
    "singledispatch": _dispatch,
    "functools.wraps()": lambda _, args, __: args.at(0),
    "any": _any,
    "all": _any,
    "cast": lambda _, args, __: args.at(1),
}
"""What calls of these do; those of `OWN` by their last name, too."""
