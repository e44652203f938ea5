"""Variables that share an object: the file of each contains all of them, so that they still do."""

import datetime, enum, os, shutil, sys, types

FIXED = (tuple, type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
FIXED += (datetime.tzinfo, enum.Enum, type(None))


def may_change(value):
    if isinstance(value, FIXED) or type(value).__name__.endswith(("Index", "Logger")):
        return False
    try:
        return hash(value) in (id(value), object.__hash__(value))  # else it is that of its value
    except Exception:
        return True


def objects(name):
    """The ids of the mutable objects in the file of a variable."""
    value = NS[name]
    known = PICKLERS[id(value)].memo.copy().values() if id(value) in PICKLERS else ()
    return {id(one) for one in (value, *(one for _, one in known)) if may_change(one)}


def save_together(names):
    left = {name: objects(name) for name in names if name in NS}
    while left:
        first, held = left.popitem()
        group = [first]
        while more := [name for name in left if left[name] & held]:
            for name in more:
                held |= left.pop(name)
            group += more
        if len(group) > 1:
            save_group(sorted(group))


def save_group(group):
    path = place(OUTPUTS, group[0])[1] + ".all"
    try:
        with create(path) as file:
            form = write({name: NS[name] for name in group}, file)
    except Exception as error:  # each by itself is there
        print("warning:", *group, f"share an object no more: {in_words(error)}", file=sys.stderr)
        return
    for name in group:
        artifact, own = place(OUTPUTS, name)
        shutil.copyfile(path, own)
        artifact["metadata"].update(format=form, sha256=sha256(path), together=name)
    os.remove(path)
