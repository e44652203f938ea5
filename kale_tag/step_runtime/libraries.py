"""Models in their libraries' own formats: Keras, XGBoost, PyTorch."""

import os, re, shutil, sys, types


def write_model(value, file):
    classes = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__]
    if re.search(r"\bkeras\.\S*\.Model\b", " ".join(classes)):
        value.save(file.name + ".keras")
        os.replace(file.name + ".keras", file.name)
        return "keras"
    if classes[0] == "xgboost.core.Booster":
        file.write(value.save_raw("ubj"))
        return "ubj"
    torch, inner = sys.modules.get("torch"), value.values() if isinstance(value, dict) else [value]
    if torch and any(isinstance(item, (torch.Tensor, torch.nn.Module)) for item in inner):
        torch.save(value, file, types.SimpleNamespace(__name__="pickle", Pickler=make_pickler()))
        return "torch"
    return None


def read_keras(file, _):
    import keras

    shutil.copy(file.name, file.name + ".keras")
    return keras.models.load_model(file.name + ".keras", custom_objects=NS, safe_mode=False)


def read_booster(file, _):
    import xgboost

    return xgboost.Booster(model_file=bytearray(file.read()))


def read_torch(file, _):
    import torch

    device = None if torch.cuda.is_available() else "cpu"
    return torch.load(file, device, weights_only=False)


WRITERS.append(write_model)
READERS.update(keras=read_keras, ubj=read_booster, torch=read_torch)
