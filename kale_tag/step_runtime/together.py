"""Variables that share objects or memory: the file of each has all of them, so they still do.

Those that share some though nobody foresaw it are reported.
"""

import contextlib, ctypes, datetime, enum, gc, itertools, linecache, os, shutil, sys, types

FIXED = (tuple, type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
WAYS = (types.CellType, types.ModuleType)  # from functions to values
FIXED += (datetime.tzinfo, enum.Enum, type(None), slice)
SPANS = {}  # by the id of an array that shares its memory: that memory, and where it starts
COPIED = {}  # by id the arrays of an index, into which nobody writes
BLOCKS = {}  # by id the arrays that pandas copies before it writes, if other tables have them
DEFINED = []  # functions and classes of cells, which files hold by value
VIEWS = {type(getattr({}, way)()): getattr(dict, way) for way in ("keys", "values", "items")}
MOST = 1 << 26  # bytes of the list of what a file holds, some 2 million objects


def may_change(value):
    kind = type(value)
    if isinstance(value, FIXED) or kind.__name__.endswith(("Index", "Logger")):
        return False
    if id(value) in COPIED or kind.__module__ == "pyarrow.lib":
        return False
    try:
        return hash(value) in (id(value), object.__hash__(value))  # else it is that of its value
    except Exception:
        return True


def copies_on_write():
    pandas = sys.modules["pandas"]
    return pandas.__version__ >= "3" or pandas.options.mode.copy_on_write is True


def reduce_view(_, value):
    """How a view goes into a pickle: an array as one of its memory, `d.keys()` as that of d."""
    name = type(value).__name__
    if type(value) in VIEWS:
        return VIEWS[type(value)], (*gc.get_referents(value),)
    if name in ("BlockManager", "SingleBlockManager") and copies_on_write():
        BLOCKS.update((id(array), array) for array in value.arrays)
    elif name.endswith("Index") and hasattr(value, "_data"):
        arrays = value._data, getattr(value._data, "_ndarray", None), *getattr(value, "codes", ())
        COPIED.update((id(array), array) for array in arrays)
    if id(value) not in SPANS:
        return NotImplemented
    span, start = SPANS[id(value)]
    at = value.__array_interface__["data"][0] - start
    made = type(value), (value.shape, value.dtype, span, at, value.strides)
    return made if value.flags.writeable else (*made, False, None, None, type(value).setflags)


def values_in(name):
    """A variable and all that its file holds, by their ids, each as the last of a pair."""
    value, pandas = NS[name], sys.modules.get("pandas")
    if id(value) in PICKLERS:
        memo = PICKLERS[id(value)].memo.copy()
        memo[id(value)] = 0, value
        return memo
    found = [value]
    if "is_keras" in globals() and is_keras(value):
        found += [*getattr(value, "variables", ()), getattr(value, "optimizer", None)]
    elif pandas and isinstance(value, (pandas.DataFrame, pandas.Series)):
        found += (getattr(array, "_ndarray", array) for array in value._mgr.arrays)
        if copies_on_write():
            BLOCKS.update((id(array), array) for array in found[1:])
    return {id(one): (0, one) for one in found}


def memory(value):
    """Where the memory of an array or a tensor begins and ends."""
    numpy, torch = map(sys.modules.get, ("numpy", "torch"))
    if id(value) in COPIED:
        return 0, 0
    if type(value) is bytearray and value:
        first = ctypes.addressof(ctypes.c_char.from_buffer(value))
        return first, first + len(value)
    if numpy and isinstance(value, (numpy.ndarray, numpy.void)) and value.size:
        kind = value.dtype
        if kind.char == "O" or (kind.kind in "biufcmMSUV" and not kind.hasobject):
            first = value.__array_interface__["data"][0]
            ways = [(count - 1) * step for count, step in zip(value.shape, value.strides)]
            low = first + sum(way for way in ways if way < 0)
            return low, first + sum(way for way in ways if way > 0) + kind.itemsize
    elif torch and isinstance(value, getattr(torch, "Tensor", ())):
        with contextlib.suppress(Exception):  # sparse, or without data
            storage = value.untyped_storage()
            return storage.data_ptr(), storage.data_ptr() + storage.nbytes()
    return 0, 0


def meet(one, other):
    """Whether two arrays or tensors, the memory of which overlaps, have some in common."""
    try:
        return sys.modules["numpy"].shares_memory(one, other, 10_000)
    except Exception:  # hard to know, or tensors of one storage
        return True


def in_memory(held):
    """Arrays and tensors that share memory, in clusters: start, end, array, its variables."""
    found, done, near = {}, [], []
    for name, own in held.items():
        for value in own.values():
            low, high = memory(value)
            if low < high:
                found.setdefault(id(value), (low, high, value, set()))[3].add(name)
    for one in sorted(found.values(), key=lambda one: (one[0], -one[1])):  # a whole before parts
        mine, others = [], []
        for cluster in near:
            if all(end <= one[0] for _, end, *_ in cluster):
                done.append(cluster)
            elif any(one[0] < end and meet(one[2], value) for _, end, value, _ in cluster):
                mine += cluster
            else:
                others.append(cluster)
        near = [*others, [*mine, one]]
    for cluster in [*done, *near]:
        others = [one for one in cluster if id(one[2]) not in BLOCKS]
        cluster[:] = others if len(cluster) > len(others) + 1 else cluster
    return [cluster for cluster in done + near if len(cluster) > 1]


def held_by(names):
    """By variable what its file holds that may change: arrays, and what others hold, too."""
    gc.disable()  # the step ends soon, and there may be millions of objects
    kinds = type, types.FunctionType, bytearray
    for module, kind in (("numpy", "ndarray"), ("numpy", "void"), ("torch", "Tensor")):
        kinds += (getattr(sys.modules.get(module), kind, ()),)
    every, often = {name: values_in(name) for name in names}, set()
    for one, other in itertools.combinations(every.values(), 2):
        often |= one.keys() & other.keys()
    for name, values in every.items():
        pairs = sorted((values[key] for key in often & values.keys()), key=lambda one: one[0])
        found = [one for _, one in pairs]  # a whole before its parts
        for one in [one for _, one in values.values() if isinstance(one, kinds)]:
            found.append(one)
            if getattr(one, "__module__", "") == "__main__":
                DEFINED.append(one)
        every[name] = {id(one): one for one in found if may_change(one)}
    return every


def not_of_cells(values):
    """The ids of what modules, classes and functions have, or a pickle only names."""
    found, parts, own = set(), [*DEFINED, linecache.cache], set(map(id, NS.values()))
    modules = {one for one in sys.modules.values() if isinstance(one, types.ModuleType)}
    for module in modules - {OWN, sys.modules["__main__"]}:
        for one in list(vars(module).values()):
            found.add(id(one))
            if isinstance(one, type):
                found.update(map(id, vars(one).values()))
            elif isinstance(one, dict):  # options; a registry may have a variable of the cells
                found.update({*map(id, gc.get_referents(one))} - own)
    for value in values:
        named = id(value) in found or type(value).__name__ == "Made"  # by the pickler
        with contextlib.suppress(Exception):
            named = named or isinstance(value.__reduce_ex__(5), str)
        if named:
            parts.append(value)
    for _ in range(4):  # what they have, what that has, and so on
        found.update(map(id, parts))
        parts = [one for one in parts if one is not NS and not isinstance(one, WAYS)]
        parts = [one for one in gc.get_referents(*parts) if not isinstance(one, type)]
    return found


def find_unforeseen(known, held):
    """Report variables that share an object, but for those in one of the *known* groups."""
    first, shared = {}, []
    for name, own in held.items():
        for key, value in own.items():
            pair = {name, first.setdefault(key, name)}
            harmless = pair.isdisjoint(SPEC.get("changed", ()))
            if len(pair) > 1 and not harmless and not any(map(pair.issubset, known)):
                shared.append((name, first[key], value))
    ours, found = not_of_cells([value for *_, value in shared]) if shared else (), {}
    ours = {*ours, *BLOCKS, *(id(getattr(value, "__dict__", None)) for *_, value in shared)}
    for name, other, value in shared:
        if id(value) not in ours:
            kind = type(value).__name__
            found.setdefault(name, {}).setdefault(other, f"`{other}` ({kind})")
    for name, others in found.items():
        what = " and ".join(others.values())
        report_sharing(name, f"shares an object with {what}; in later steps each has its own")


def report_sharing(name, what):
    place(OUTPUTS, name)[0]["metadata"]["sharing"] = what
    print(f"warning: step `{SPEC['step']}`: `{name}` {what}", file=sys.stderr)


def save_together(groups):
    names = [name for name in SPEC["out"] if name in NS]
    foreseen = set().union(*groups)
    for name in [one for one in names if one not in foreseen]:
        if sys.getsizeof(PICKLERS.get(id(NS[name]))) > MOST:
            report_sharing(name, "is too large to be searched for objects that others have, too")
            names.remove(name)
    held = held_by(names)
    clusters, inside = in_memory(held), set()
    for number, cluster in enumerate(clusters):
        users = [name for *_, own in cluster for name in own]
        inside.update(name for name in users if users.count(name) > 1)
        for name in users:
            held[name][-number - 1] = cluster[0][2]
    find_unforeseen([*groups, *SPEC.get("apart", ())], held)
    for group in [*groups, *([name] for name in inside.difference(*groups))]:
        left = {name: held[name] for name in group if name in held}
        while left:
            first, own = left.popitem()
            found = [first]
            while more := [name for name in left if left[name].keys() & own]:
                for name in more:
                    own = {**own, **left.pop(name)}
                found += more
            if len(found) > 1 or first in inside:
                save_group(sorted(found), clusters)


def keep_memory(cluster):
    """Let arrays go into a pickle as views of the memory that they share."""
    low, high = cluster[0][0], max(end for _, end, *_ in cluster)
    if cluster[0][2].dtype.char == "O":
        size = ctypes.sizeof(ctypes.py_object)
        span = sys.modules["numpy"].empty((high - low) // size, object)
        for at, value in enumerate((ctypes.py_object * len(span)).from_address(low)):
            span[at] = value
    else:
        span = bytearray((ctypes.c_char * (high - low)).from_address(low))
    SPANS.update((id(value), (span, low)) for _, _, value, _ in cluster)


class Attributes(list):
    """`vars(x)` beside x, which a pickle would make two."""

    def __reduce__(self):
        return vars, (*self,)


def values_of(group):
    """The variables of one file."""
    owners, dicts = {}, [name for name in group if type(NS[name]) is dict]
    for _, owner in [pair for name in group if dicts for pair in values_in(name).values()]:
        with contextlib.suppress(Exception):  # it has none
            owners[id(vars(owner))] = Attributes([owner])
    own = {name: owners[id(NS[name])] for name in dicts if id(NS[name]) in owners}
    return {**{name: NS[name] for name in group}, **own}


def save_group(group, clusters):
    path = place(OUTPUTS, group[0])[1] + ".all"
    try:
        for cluster in clusters:
            mine = [one for one in cluster if not one[3].isdisjoint(group)]
            kinds = {type(value).__name__ for _, _, value, _ in mine}
            if kinds and kinds <= {"ndarray", "recarray"}:
                keep_memory(mine)
            elif any(hasattr(value, "__array_interface__") for _, _, value, _ in mine):
                first, *others = sorted(set().union(*(one[3] for one in mine)))
                what = " and ".join(f"`{name}`" for name in others) or "itself"
                kinds = " and ".join(sorted(kinds))
                report_sharing(
                    first, f"shares memory with {what} ({kinds}); in later steps each has its own"
                )
        with create(path) as file:
            form = write(values_of(group), file)
    except Exception as error:  # each by itself is there
        print("warning:", *group, f"share an object no more: {in_words(error)}", file=sys.stderr)
        return
    for name in group:
        artifact, own = place(OUTPUTS, name)
        shutil.copyfile(path, own)
        artifact["metadata"].update(format=form, sha256=sha256(path), together=name)
    os.remove(path)


REDUCERS.append(reduce_view)
