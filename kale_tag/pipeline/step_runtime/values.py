"""Values on their way between steps, each in the format that suits it."""

import contextlib, importlib, io, json, os, pickle, re, shutil, sys, types


def make_pickler(shared):
    """What the shared cells define goes by name, what this step defines by value."""
    cloud = None
    for name in ("cloudpickle", "joblib.externals.cloudpickle"):
        with contextlib.suppress(ImportError):
            cloud = cloud or importlib.import_module(name)

    class Pickler(cloud.Pickler if cloud else pickle.Pickler):
        kind = "pickle"

        def reducer_override(self, value):
            if isinstance(value, types.ModuleType):
                return importlib.import_module, (value.__name__,)
            function = isinstance(value, types.FunctionType)
            if (function or isinstance(value, type)) and value.__module__ == "__main__":
                found = types.SimpleNamespace(**shared)
                for name in value.__qualname__.split("."):
                    found = getattr(found, name, None)
                if found is value:
                    return NotImplemented
                if not cloud:
                    raise TypeError(
                        f"{value.__qualname__} is defined in this step: define it in a cell tagged "
                        "`functions`, or add cloudpickle to the packages"
                    )
            made = super().reducer_override(value) if cloud else NotImplemented
            if function and made is not NotImplemented:
                Pickler.kind = "cloudpickle"
            return made

    return Pickler


def as_parquet(value, file):
    """Write a data frame or named series, if parquet gives the very same back."""
    try:
        import pandas
        from pyarrow.parquet import read_schema

        frame = value if value.ndim == 2 else value.to_frame()
        for column in (frame.index, *(frame[name] for name in frame)):
            kind = pandas.api.types.infer_dtype(column, skipna=False)
            if kind == "categorical" or (column.dtype == object and kind != "string"):
                return False
        some, head = frame.head(100), io.BytesIO()
        some.to_parquet(head, engine="pyarrow")
        exact = {"check_exact": True, "check_index_type": "exact", "check_column_type": "exact"}
        again = pandas.read_parquet(head, engine="pyarrow")
        pandas.testing.assert_frame_equal(again, some, **exact)
        frame.to_parquet(file, engine="pyarrow")
        file.flush()
        return not value.attrs and read_schema(file.name).equals(read_schema(head))
    except Exception:
        return False


def classes(value):
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__]


def write(value, file, shared):
    """Write a value; the format that it has got."""
    first, *kinds = classes(value)
    if type(value) in (type(None), bool, int, float, str):
        try:
            text = json.dumps(value)
            if value != value or json.loads(text) == value:
                file.write(text.encode())
                return "json"
        except ValueError:  # more digits than Python likes
            pass
    if first == "numpy.ndarray" or "numpy.generic" in kinds:
        import numpy

        if value.dtype.kind in "biufcmM" or (value.dtype.kind in "SU" and not kinds[1:]):
            numpy.save(file, value, allow_pickle=False)
            return "npy"
    if re.fullmatch(r"pandas\..*(DataFrame|Series)", first):
        if as_parquet(value, file):
            return "parquet"
        file.seek(0)
        file.truncate()
    if re.search(r"\bkeras\.\S*\.Model\b", " ".join(kinds)):
        value.save(file.name + ".keras")
        os.replace(file.name + ".keras", file.name)
        return "keras"
    if first == "xgboost.core.Booster":
        file.write(value.save_raw("ubj"))
        return "ubj"
    pickler, torch = make_pickler(shared), sys.modules.get("torch")
    inner = value.values() if isinstance(value, dict) else [value]
    if torch and any(isinstance(item, (torch.Tensor, torch.nn.Module)) for item in inner):
        torch.save(value, file, types.SimpleNamespace(__name__="pickle", Pickler=pickler))
        return "torch"
    pickler(file, 5).dump(value)
    return pickler.kind


def make_unpickler(ns):
    """Functions that came by value see this step's variables, then what they brought along."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            found = super().find_class(module, name)

            def make(code, scope, *rest):
                main = scope.get("__name__") == "__main__"
                return types.FunctionType(code, ns if main else scope, *rest)

            def restore(function, state):
                kept = dict(function.__globals__)
                found(function, state)
                function.__globals__.update(kept)

            hooks = {"_make_function": make, "_function_setstate": restore}
            return hooks.get(name, found) if "cloudpickle" in module else found

    return Unpickler


def read(file, kind, first, ns):
    """Read what `write` wrote."""
    if kind == "json":
        return json.load(file)
    own = types.SimpleNamespace(**{**vars(pickle), "Unpickler": make_unpickler(ns)})
    if kind == "npy":
        import numpy

        array = numpy.load(file, allow_pickle=False)
        return array if first == "numpy.ndarray" else array[()]
    if kind == "parquet":
        import pandas

        frame = pandas.read_parquet(file, engine="pyarrow")
        return frame.iloc[:, 0] if first.endswith("Series") else frame
    if kind == "keras":
        import keras

        shutil.copy(file.name, file.name + ".keras")
        return keras.models.load_model(file.name + ".keras", custom_objects=ns, safe_mode=False)
    if kind == "ubj":
        import xgboost

        return xgboost.Booster(model_file=bytearray(file.read()))
    if kind == "torch":
        import torch

        device = None if torch.cuda.is_available() else "cpu"
        return torch.load(file, device, own, weights_only=False)
    return own.Unpickler(file).load()
