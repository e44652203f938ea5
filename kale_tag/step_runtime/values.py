"""Variables on their way between steps."""

import contextlib, copyreg, hashlib, importlib, json, pickle, sys, types

PYTHON = "{}.{}".format(*sys.version_info)
WRITERS, READERS, REDUCERS = [], {}, []  # of other parts, where the pipeline may need them
Unpickler = pickle.Unpickler
PICKLERS, WHOLE = {}, {}  # by the id of what they wrote; what files hold of several variables


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def versions(*modules):
    found = {name: getattr(sys.modules.get(name), "__version__", "") for name in modules}
    return {"python": PYTHON, **{name: text for name, text in found.items() if text}}


def load(name):
    artifact, path = place(INPUTS, name)
    meta = artifact.get("metadata", {})
    if not os.path.exists(path):
        raise StepError(f"finds no artifact of `{name}` at {path}")
    if sha256(path) != meta.get("sha256"):
        raise StepError(
            f"refuses the artifact of `{name}`: by its sha256, it is not what was written"
        )
    form, wrote = meta["format"], json.loads(meta["versions"])
    try:
        if form == "cloudpickle" and wrote["python"] != PYTHON:
            raise TypeError("functions go to steps of the same version of Python only")
        key = "together" in meta and meta["sha256"]
        if key in WHOLE:
            return WHOLE[key][meta["together"]]
        with open(path, "rb") as file:
            if form in READERS:
                value = READERS[form](file, meta["type"])
            else:
                value = json.load(file) if form == "json" else Unpickler(file).load()
        if key:
            WHOLE[key] = value
        return value[meta["together"]] if key else value
    except Exception as error:
        raise StepError(
            f"cannot load `{name}` ({meta['type']}, {form}): {in_words(error)}\n"
            f"  written with {wrote}\n  read with    {versions(*wrote)}"
        ) from error


def take(name):
    if place(INPUTS, name)[0].get("metadata", {}).get("format") != "unbound":
        NS[name] = load(name)


def save(name):
    artifact, path = place(OUTPUTS, name)
    if name not in NS:  # nor has it the next step, as in the notebook
        create(path).close()
        artifact["metadata"] = {"format": "unbound", "sha256": sha256(path)}
        return
    kind = type(NS[name]).__module__ + "." + type(NS[name]).__qualname__
    try:
        with create(path) as file:
            form = write(NS[name], file)
    except Exception as error:
        advice = "pass on plain data, and make the object where it is needed"
        if kind == "builtins.generator":
            advice = f"make it a list, {name} = list({name})"
        message = f"cannot pass on `{name}` ({kind}): {in_words(error)}\n  help: {advice}"
        raise StepError(message) from error
    artifact["metadata"] = {
        "format": form,
        "type": kind,
        "sha256": sha256(path),
        "versions": json.dumps(versions(kind.partition(".")[0], "numpy")),
    }


def write(value, file):
    """Write a value; the format that it has got."""
    if type(value) in (type(None), bool, int, float, str):
        with contextlib.suppress(ValueError):  # more digits than Python likes
            text = json.dumps(value)
            if value != value or json.loads(text) == value:
                file.write(text.encode())
                return "json"
    for writer in WRITERS:
        form = writer(value, file)
        if form:
            return form
        file.truncate(file.seek(0))
    pickler = make_pickler()(file, 5)
    try:
        pickler.dump(value)
    except HasTensor:
        return write_torch(value, file)
    return type(pickler).form


class HasTensor(Exception):
    """What is to be written holds a tensor; torch has a format of its own."""


def shared(value):
    """Whether a function or class is what the shared cells define by its name."""
    found = types.SimpleNamespace(**SHARED)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def make_pickler():
    """What the shared cells define goes by name, what this step defines by value."""
    library = None
    for name in ("cloudpickle", "joblib.externals.cloudpickle"):
        with contextlib.suppress(ImportError):
            library = library or importlib.import_module(name)

    class Pickler(library.Pickler if library else pickle.Pickler):
        form = "pickle"
        cloud = library and sys.modules[library.Pickler.__module__]

        def dump(self, value):
            PICKLERS[id(value)] = self
            self.named = [*value.values(), value] if type(value) is dict else [value]
            super().dump(value)

        def reducer_override(self, value):
            for reduce in REDUCERS:
                made = reduce(self, value)
                if made is not NotImplemented:
                    return made
            kind = type(value)
            if isinstance(value, types.ModuleType):
                return importlib.import_module, (value.__name__,)
            if isinstance(value, (types.MethodType, types.BuiltinMethodType)):
                # `random.shuffle` is a method of the object that the module draws from.
                home = type(value.__self__).__module__
                module = home not in ("builtins", "__main__") and sys.modules.get(home)
                if module and getattr(module, value.__name__, None) == value:
                    return getattr, (module, value.__name__)
            if isinstance(value, Exception) and kind.__reduce__ is Exception.__reduce__:
                # Without `__init__`, which may want more than `args`.
                return copyreg.__newobj__, (kind, *value.args), vars(value)
            definition = isinstance(value, (types.FunctionType, type))
            if definition and value.__module__ == "__main__":
                if shared(value):
                    return NotImplemented
                raise TypeError(
                    f"{value.__qualname__} is defined in this step: define it in a cell tagged "
                    "`functions`, or add cloudpickle to the packages"
                )
            return self.by_value(value)

        def by_value(self, value):
            made = super().reducer_override(value) if library else NotImplemented
            if isinstance(value, types.FunctionType) and made is not NotImplemented:
                Pickler.form = "cloudpickle"
            return made

    return Pickler
