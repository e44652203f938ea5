"""Models of PyTorch, Keras and XGBoost between steps, with these libraries themselves.

`make slow` runs this in an environment that has them: `.venv-torch`.
"""

from pathlib import Path

import pytest
import runs
from step_harness import run, taken

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

BACKEND = {"KERAS_BACKEND": "torch"}
NET = "a = torch.nn.Linear(1, 1, bias=False)\na.weight.data.fill_(1.0)\n"
BACK = "a(torch.ones(1, 1)).sum().backward()\n"
TORCH = {
    # Cells that bind a and b, the next step, and what it prints.
    "optimizer": (
        f"{NET}b = torch.optim.SGD(a.parameters(), 1.0)",
        f"{BACK}b.step()\nprint(a.weight.item())",
        "0.0",
    ),
    "gradient": (
        f"{NET}b = torch.optim.SGD(a.parameters(), 1.0)\n{BACK}",
        "b.step()\nprint(a.weight.item())",
        "0.0",
    ),
    "scheduler": (
        (
            f"{NET}c = torch.optim.Adam(a.parameters())\n{BACK}c.step()\n"
            "b = torch.optim.lr_scheduler.StepLR(c, 1)"
        ),
        "print(b.optimizer.state[a.weight]['step'].item())",
        "1.0",
    ),
    "tied": (
        "a, b = torch.nn.Embedding(3, 2), torch.nn.Linear(2, 3)\nb.weight = a.weight",
        "print(a.weight is b.weight)",
        "True",
    ),
    "view": (
        "a = torch.zeros(2, 2)\nb = {'k': [a[1]]}",
        "a[1] = 3\nprint(b['k'][0].sum())",
        "tensor(6.)",
    ),
    "subclass": (
        "class Own(torch.Tensor): pass\na = torch.zeros(2).as_subclass(Own)\nb = a[1:]",
        "a[1] = 3\nprint(b.sum().item())",
        "3.0",
    ),
    "buffer": (
        "a = torch.nn.BatchNorm1d(1)\nb = a.running_mean",
        "b[0] = 7\nprint(a.running_mean)",
        "tensor([7.])",
    ),
    "loader": (
        ("a = torch.zeros(2)\nb = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(a))"),
        "a += 1\nprint([x.item() for (x,) in b])",
        "[1.0, 1.0]",
    ),
    "no graph": (
        "a = torch.ones(1, requires_grad=True)\nb = a * 2",
        "print(a.requires_grad, b.requires_grad, b.item())",
        "True True 2.0",
    ),
    "gradients of another": (
        f"{NET}b = [one for one in a.parameters()]\n{BACK}",
        "b[0].grad += 1\nprint(a.weight.grad)",
        "tensor([[2.]])",
    ),
}


def test_the_graph_of_another_step(tmp_path: Path) -> None:
    """What would train nothing, or half of a model, ends with the name and the fix."""
    shared = ("imports", "import torch")
    made = (
        "w = torch.ones(1, requires_grad=True)\nx = torch.ones(1, requires_grad=True)\na = [w * 2]"
    )
    gave = run(tmp_path, [shared, made], outs=["a", "x"])
    then = "a[0].add_(1)\nprint(a[0].item())\n(a[0] * x).sum().backward()"
    read = run(tmp_path / "read", [shared, then], ins=taken(gave, "a", "x"))
    assert (read.code, read.out) == (1, "3.0\n")
    assert "RuntimeError: `a` came from another step without the graph of gradients" in read.err


@pytest.mark.parametrize("name", TORCH)
def test_what_shares_tensors_goes_on_to(tmp_path: Path, name: str) -> None:
    """A model and its optimizer, two models, a tensor and its views."""
    source, then, printed = TORCH[name]
    shared = ("imports", "import torch")
    gave = run(tmp_path, [shared, source], outs=["a", "b"], spec={"together": [["a", "b"]]})
    assert (gave.code, gave.err) == (0, "")
    read = run(tmp_path / "read", [shared, then], ins=taken(gave, "a", "b"))
    assert (read.out, read.err) == (f"{printed}\n", "")


@pytest.mark.parametrize(
    ("module", "source", "check", "kind"),
    [
        ("torch", "torch.nn.Linear(1, 1)", "o.weight.shape == (1, 1)", "torch"),
        ("torch", "{'w': torch.ones(2)}", "o['w'].sum() == 2", "torch"),
        ("torch", "Net()", "type(o) is Net and o.l.weight.shape == (1, 1)", "torch"),
        ("xgboost", "xgboost.train({}, xgboost.DMatrix([[1], [2]], label=[1, 2]), 2)",
         "o.num_boosted_rounds() == 2", "ubj"),
        ("keras", "keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])",
         "o.count_params() == 2", "keras"),
    ],
)  # fmt: skip
def test_formats_of_libraries(
    tmp_path: Path, module: str, source: str, check: str, kind: str
) -> None:
    """PyTorch, XGBoost and Keras have formats of their own."""
    shared = [("imports", f"import {module}")]
    if "Net" in source:
        net = "class Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        shared.append(("functions", f"{net}        self.l = torch.nn.Linear(1, 1)"))
    made = run(tmp_path / "a", [*shared, f"o = {source}"], outs=["o"], env=BACKEND)
    assert made.err == ""
    assert made.metadata("o")["format"] == kind
    ins = taken(made, "o")
    read = run(tmp_path / "b", [*shared, f"print(bool({check}))"], ins=ins, env=BACKEND)
    assert (read.out, read.err) == ("True\n", "")


LAYERS = """a = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
a.compile("adam", "mse")
a.fit(np.ones((4, 2)), np.zeros(4), verbose=0)
"""
TRAINED = "x = np.ones((4, 2))\nw = a.get_weights()[0].copy()\na.fit(x, x[:, 0] * 9, verbose=0)\n"
MODELS = {
    # Cells that bind a and b, and what holds in the next step after a is trained.
    "inside": ("b = keras.Sequential([keras.Input((2,)), a])", "b.layers[-1] is a"),
    "functional": (
        "i = keras.Input((2,))\nb = keras.Model(i, a(keras.layers.Dense(2)(i)))",
        "(b.get_weights()[2] == a.get_weights()[0]).all()",
    ),
    "outputs of a layer": (
        "b = keras.Model(a.inputs, a.layers[-1].output)",
        "np.array_equal(b.predict(x, verbose=0), a.predict(x, verbose=0))",
    ),
    "layer": ("b = a.layers[-1]", "b is a.layers[-1] and b.kernel is a.layers[-1].kernel"),
    "variable": ("b = [a.layers[-1].kernel]", "b[0] is a.layers[-1].kernel"),
    "optimizer": (
        "b = {'o': a.optimizer}",
        "b['o'] is a.optimizer and int(b['o'].iterations) == 2",
    ),
    "history": ("b = a.fit(np.ones((4, 2)), np.zeros(4), verbose=0)", "b.model is a"),
    "subclass": (
        "b = Both(a)\nb(np.ones((1, 2)))",
        "b.one is a and len(b.trainable_variables) == 4",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_shares_layers_goes_on_to(tmp_path: Path, name: str) -> None:
    """A model in another, a layer, an optimizer: they train, and can be saved, as before."""
    source, holds = MODELS[name]
    shared = [("imports", "import keras\nimport numpy as np")]
    both = """class Both(keras.Model):
    def __init__(self, one):
        super().__init__()
        self.one, self.two = one, [keras.layers.Dense(2)]
    def call(self, x):
        return self.one(self.two[0](x))
"""
    spec = {"together": [["a", "b"]]}
    cells = [*shared, f"{both}{LAYERS}{source}\n"]
    gave = run(tmp_path, cells, outs=["a", "b"], spec=spec, env=BACKEND)
    assert (gave.code, gave.err) == (0, "")
    assert ["together" in gave.metadata(one) for one in "ab"] == [True] * 2
    then = f"{TRAINED}print((w != a.get_weights()[0]).any() and bool({holds}))\n"
    then += (
        "a.save('a.keras')\n"
        "again = keras.models.load_model('a.keras')\n"
        "print(np.allclose(again.predict(x, verbose=0), a.predict(x, verbose=0)))"
    )
    read = run(tmp_path / "read", [*shared, then], ins=taken(gave, "a", "b"), env=BACKEND)
    assert (read.out, read.err) == ("True\nTrue\n", "")


PIPELINES = {
    "a model and its optimizer": (
        """# %% tags=imports
import torch
# %% tags=step:train
torch.manual_seed(0)
model = torch.nn.Linear(1, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.01)
# %% tags=step:more,prev:train
before = model.weight.item()
model(torch.ones(2, 1)).sum().backward()
opt.step()
print("weight changed:", before != model.weight.item())
""",
        b"weight changed: True\n",
    ),
    "models that share layers": (
        """# %% tags=imports
import numpy as np
import keras
# %% tags=step:build
disc = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
gan = keras.Sequential([keras.layers.Input((2,)), disc])
disc.compile("sgd", "mse")
# %% tags=step:more,prev:build
before = gan.get_weights()[0].copy()
disc.fit(np.ones((8, 2)), np.zeros(8), epochs=1, verbose=0)
print("gan sees it:", bool((before != gan.get_weights()[0]).any()), gan.layers[-1] is disc)
""",
        b"gan sees it: True True\n",
    ),
    "a layer that a step defines": (
        """# %% tags=imports
import keras
# %% tags=step:build
class Twice(keras.layers.Layer):
    def call(self, x): return 2 * x
net = keras.Sequential([keras.layers.Input((2,)), Twice(), keras.layers.Dense(1)])
# %% tags=step:more,prev:build
print(net.count_params())
""",
        b"3\n",
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_compute_what_the_notebooks_compute(tmp_path: Path, name: str) -> None:
    """Whole notebooks, under `run --compare`."""
    source, printed = PIPELINES[name]
    done = runs.run(tmp_path, runs.put(tmp_path, source).name, "--compare", **BACKEND)
    assert done.code == 0, done.out + done.err
    assert done.log("more").endswith(printed)
