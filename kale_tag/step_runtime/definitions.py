"""Functions and classes between steps: what they hold, their source, caches and registrations."""

import enum, functools, linecache, operator, pickle, sys, types

DISPATCHES = functools.singledispatch(id).__code__
CACHES = functools._lru_cache_wrapper
ATOMS = (type, str, int, float, type(None), enum.Enum)
HELD = {}  # by the id of a definition of the shared cells: what it held when the step began
SOURCES = {}  # by the name of a cell's file


class Made:
    """What a pickle makes by a call."""

    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


def source_of(name):
    """The name of a cell's file, which tells the step that loads it what the cell is."""
    if name not in SOURCES:
        cache = Made(getattr, linecache, "cache")
        known = Made(operator.setitem, cache, name, linecache.cache[name])
        SOURCES[name] = Made(operator.getitem, [name, known], 0)
    return SOURCES[name]


def in_main(made):
    """What makes a function that sees the variables of its caller's step, as in a notebook.

    And that shares what it has closed over with the others that have.
    """
    build, (code, _, *rest, _), state, *more = made
    cells, state[1]["__globals__"], state[1]["__closure__"] = state[1]["__closure__"], {}, None
    return (build, (code, Made(vars, sys.modules["__main__"]), *rest, cells), state, *more)


def remember():
    """Note what the definitions of the shared cells hold."""
    HELD.update((id(one), held(one)) for one in SHARED.values() if defined(one))


def defined(value):
    kinds = (types.FunctionType, type, CACHES)
    return isinstance(value, kinds) and value.__module__ == "__main__"


def held(value):
    """What a definition holds besides its code: attributes, defaults, functions by class."""
    every = vars(value).items()
    found = {name: one for name, one in every if not name[:1] == name[-1:] == "_"}
    if isinstance(value, types.FunctionType):
        for name in ("__defaults__", "__kwdefaults__"):
            found[name] = getattr(value, name)
        if value.__code__ is DISPATCHES:
            for name in ("register", "dispatch", "registry", "_clear_cache"):
                del found[name]
            found.update(value.registry)
    found.pop("_abc_impl" if isinstance(value, type) else "cache_parameters", None)
    return found


def with_held(pickler, value, before, *made):
    """How to make a definition, and what it holds that it did not hold before."""
    state = {}
    for key, one in held(value).items():
        own = type(one).__module__ == "__main__" or not hasattr(type(one), "__get__")
        mutable = own and not isinstance(one, ATOMS)
        if mutable or key not in before or before[key] is not one:
            state[key] = one
    kinds = [key for key in state if isinstance(key, type)]
    if kinds:
        ways = [operator.methodcaller("register", kind, state.pop(kind)) for kind in kinds]
        found = [value.__wrapped__, *(Made(way, value) for way in ways)]
        state["__wrapped__"] = Made(operator.getitem, found, 0)
    if not state:
        return made
    if not pickler.cloud:
        raise TypeError(
            f"this step changes {value.__qualname__} of a shared cell: let a variable hold what "
            "changes, or add cloudpickle to the packages"
        )
    return (*made, (state, None), None, None, pickler.cloud._class_setstate)


def reduce_definition(pickler, value):
    if isinstance(value, types.CodeType) and value.co_filename in linecache.cache:
        make, arguments = pickler.dispatch_table[types.CodeType](value)
        named = operator.methodcaller("replace", co_filename=source_of(value.co_filename))
        return named, (Made(make, *arguments),)
    if isinstance(value, functools.cached_property):
        return functools.cached_property, (value.func,), {"attrname": value.attrname}
    if pickler.cloud and isinstance(value, types.CellType):
        empty = pickler.cloud._make_empty_cell
        if value == types.CellType():
            return empty, ()
        return empty, (), (None, {"cell_contents": value.cell_contents})
    own = isinstance(value, types.FunctionType) and value.__globals__ is NS  # not a library's
    if defined(value):
        if shared(value):
            if not any(value is one for one in pickler.named):
                return NotImplemented
            here = sys.modules["__main__"]
            made = operator.attrgetter(value.__qualname__), (here,)
            made = with_held(pickler, value, HELD.get(id(value), {}), *made)
            return made if len(made) > 2 else NotImplemented
        if isinstance(value, CACHES):
            kept = Made(functools.lru_cache, *value.cache_parameters().values())
            wrap = operator.methodcaller("__call__", value.__wrapped__)
            return with_held(pickler, value, {}, wrap, (kept,))
        if getattr(value, "__code__", None) is DISPATCHES:
            first = value.__wrapped__
            before = {object: first, "__defaults__": None, "__kwdefaults__": None}
            return with_held(pickler, value, before, functools.singledispatch, (first,))
    elif not own:
        return NotImplemented
    made = pickler.by_value(value) if pickler.cloud else NotImplemented
    return in_main(made) if own and made is not NotImplemented else made


def make_class(kind, name, bases, *rest):
    """A class of another step, where the hooks of the notebook's own classes ran already."""
    classes = {(one, "__init_subclass__") for base in bases for one in base.__mro__}
    classes |= {(one, name) for one in kind.__mro__ for name in ("__new__", "__init__")}
    hooks = {
        (one, hook): vars(one)[hook]
        for one, hook in classes
        if one.__module__ == "__main__" and hook in vars(one)
    }
    for one, hook in hooks:
        delattr(one, hook)
    try:
        return Unpickler.cloud._make_skeleton_class(kind, name, bases, *rest)
    finally:
        for (one, hook), function in hooks.items():
            setattr(one, hook, function)


class Unpickler(pickle.Unpickler):
    """Reads variables."""

    cloud = None

    def find_class(self, module, name):
        found = super().find_class(module, name)
        if name != "_make_skeleton_class":
            return found
        Unpickler.cloud = sys.modules[module]
        return make_class


REDUCERS.append(reduce_definition)
