"""Models in their libraries' own formats: XGBoost, PyTorch."""

import sys, types


def write_booster(value, file):
    name = f"{type(value).__module__}.{type(value).__name__}"
    if name != "xgboost.core.Booster" or [*vars(value)] != ["handle"]:
        return None
    file.write(value.save_raw("ubj"))
    return "ubj"


def reduce_tensor(pickler, value):
    """Tensors go into files of torch only, with their gradients, which torch leaves out."""
    torch = sys.modules.get("torch")
    if not isinstance(value, getattr(torch, "Tensor", ())):
        return NotImplemented
    if not hasattr(pickler, "of_torch"):
        raise HasTensor
    if value.grad_fn is not None:
        names = [name for name in SPEC["out"] if NS.get(name) is value]
        whole = map(id, pickler.named)
        names = names or [name for name in SPEC["out"] if id(NS.get(name)) in {*whole}]
        torch.computed = computed
        return computed, (value.detach(), " and ".join(f"`{name}`" for name in names))
    if not value.is_leaf or value.grad is None or len(made := value.__reduce_ex__(5)) > 2:
        return NotImplemented
    return (*made, {"grad": value.grad}, None, None, torch._utils._set_obj_state)


def computed(value, names):
    """A tensor that requires gradients; its graph stays in the step that computed it."""
    import torch

    class Computed(torch.autograd.Function):
        @staticmethod
        def forward(*_):
            return value

        @staticmethod
        def backward(*_):
            raise RuntimeError(
                f"{names} came from another step without the graph of gradients: compute it in "
                "the step that calls `backward`, or `detach` it"
            )

    with torch.enable_grad():
        return Computed.apply(torch.empty(0, requires_grad=True))


computed.__module__ = "torch"  # which the files name, and where those who read them put it


def write_torch(value, file):
    class Pickler(make_pickler()):
        of_torch = True

    file.truncate(file.seek(0))
    module = types.SimpleNamespace(__name__="pickle", Pickler=Pickler)
    sys.modules["torch"].save(value, file, module, 5)
    return "torch"


def read_booster(file, _):
    import xgboost

    return xgboost.Booster(model_file=bytearray(file.read()))


def read_torch(file, _):
    import torch

    torch.computed = computed
    device = None if torch.cuda.is_available() else "cpu"
    return torch.load(file, device, weights_only=False)


WRITERS.append(write_booster)
REDUCERS.append(reduce_tensor)
READERS.update(ubj=read_booster, torch=read_torch)
