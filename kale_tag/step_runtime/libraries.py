"""Models in their libraries' own formats: Keras, XGBoost, PyTorch."""

import os, re, shutil, sys, types


def write_model(value, file):
    classes = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__]
    if re.search(r"\bkeras\.\S*\.Model\b", " ".join(classes)):
        value.save(file.name + ".keras")
        os.replace(file.name + ".keras", file.name)
        return "keras"
    if classes[0] == "xgboost.core.Booster" and [*vars(value)] == ["handle"]:
        file.write(value.save_raw("ubj"))
        return "ubj"
    return None


def reduce_tensor(pickler, value):
    """Tensors go into files of torch only, with their gradients, which torch leaves out."""
    torch = sys.modules.get("torch")
    if not isinstance(value, getattr(torch, "Tensor", ())):
        return NotImplemented
    if not hasattr(pickler, "of_torch"):
        raise HasTensor
    if not value.is_leaf or value.grad is None or len(made := value.__reduce_ex__(5)) > 2:
        return NotImplemented
    return (*made, {"grad": value.grad}, None, None, torch._utils._set_obj_state)


def write_torch(value, file):
    class Pickler(make_pickler()):
        of_torch = True

    file.truncate(file.seek(0))
    module = types.SimpleNamespace(__name__="pickle", Pickler=Pickler)
    sys.modules["torch"].save(value, file, module, 5)
    return "torch"


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
REDUCERS.append(reduce_tensor)
READERS.update(keras=read_keras, ubj=read_booster, torch=read_torch)
