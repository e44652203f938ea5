"""State of the process between steps, in processes of their own."""

import ast
import importlib.util
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from step_harness import Ran, run

from kale_tag import data_file


def states_of(made: Ran, kind: str = "state:random") -> Any:
    """What is in the file of a kind."""
    text = Path(made.metadata(kind) and made.artifacts[kind]["uri"]).read_text()
    return json.loads(json.loads(text))


def step(
    folder: Path,
    code: str,
    *,
    shared: str = "import random",
    ins: Ran | None = None,
    out: dict[str, list[str]] | None = None,
    renewed: list[str] | None = None,
    secrets: list[str] | None = None,
    env: dict[str, str] | None = None,
) -> Ran:
    """Run a step that takes the states of *ins*, and passes on those of *out*."""
    given = {name: one for name, one in (ins.artifacts if ins else {}).items() if ":" in name}
    states: dict[str, Any] = {"in": list(given), "out": out or {}}
    states |= {"renewed": renewed or [], "secrets": secrets or []}
    spec = {"states": states, "in": [], "out": []}
    cells = [("imports", shared), ("step", code)]
    made = run(folder, cells, ins=given, outs=list(out or {}), spec=spec, env=env)
    assert made.code == 0, made.log
    return made


def test_all_states_are_kept() -> None:
    """The runtime keeps just the states that the analysis lets steps pass on."""
    table = tomllib.loads(data_file("analysis/process_state.toml"))["states"]
    program = ast.parse(data_file("step_runtime/process_state.py"))
    (kept,) = (
        [ast.literal_eval(key) for key in node.value.keys if key is not None]
        for node in program.body
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "STATES"
        and isinstance(node.value, ast.Dict)
    )
    assert sorted(kept) == sorted(name for name, one in table.items() if "kind" in one)


RANDOM = {"state:random": ["numpy.random", "random"]}


def test_generators(tmp_path: Path) -> None:
    """The next step draws what the notebook draws, and its file is the same each time."""
    code = "import numpy as np\nrandom.seed(1); np.random.seed(2); random.random()"
    first = step(tmp_path / "a", code, out=RANDOM)
    again = step(tmp_path / "b", code, out=RANDOM)
    assert states_of(first) == states_of(again)
    assert first.metadata("state:random") == again.metadata("state:random")
    second = step(tmp_path / "c", "print(random.random())", ins=first, out=RANDOM)
    assert second.out.split() == ["0.8474337369372327"]
    # NumPy was not imported there: its state went through as it was.
    late = (
        "print('numpy' in __import__('sys').modules)\nimport numpy as np\nprint(np.random.rand())"
    )
    third = step(tmp_path / "d", late, ins=second)
    assert third.out.split() == ["False", "0.43599490214200376"]


def test_renewed_state(tmp_path: Path) -> None:
    """What a shared cell below the producer sets is not overridden."""
    first = step(tmp_path / "a", "random.seed(1)", out={"state:random": ["random"]})
    shared = "import random\nrandom.seed(2)"
    taken = step(tmp_path / "b", "print(random.random())", shared=shared, ins=first)
    assert taken.out.split() == ["0.13436424411240122"]
    own = step(
        tmp_path / "c", "print(random.random())", shared=shared, ins=first, renewed=["random"]
    )
    assert own.out.split() == ["0.9560342718892494"]


def test_environment(tmp_path: Path) -> None:
    """Keys that cells assign or delete; never the value of a secret."""
    code = """import os
os.environ.update(A="1", B="x" + os.environ["TOKEN"])
del os.environ["GONE"], os.environ["TOKEN"]"""
    names = {"state:environment": ["os.environ[A]", "os.environ[B]", "os.environ[GONE]"]}
    env = {"TOKEN": "s3cret", "GONE": "here"}
    first = step(tmp_path / "a", code, out=names, secrets=["TOKEN"], env=env)
    assert states_of(first, "state:environment") == {"os.environ[A]": "1", "os.environ[GONE]": None}
    assert "warning: `os.environ[B]` stays in its step" in first.err
    show = "import os\nprint(os.environ['A'], os.environ.get('B'), os.environ.get('GONE'))"
    assert step(tmp_path / "b", show, ins=first, env=env).out.split() == ["1", "None", "None"]


OPTIONS = {
    "warnings": (
        "import warnings\nclass Odd(UserWarning): pass\nwarnings.filterwarnings('error', 'm', Odd)",
        "import warnings\ntry: warnings.warn('me', Odd)\nexcept Odd: print('raised')",
        "raised",
    ),
    "logging": (
        "import logging\nlogging.getLogger('lib').setLevel(7); logging.disable(5)",
        "import logging\nprint(logging.getLogger('lib').level, logging.root.manager.disable)",
        "7 5",
    ),
    "decimal": (
        (
            "import decimal\ndecimal.getcontext().prec = 3\n"
            "decimal.getcontext().traps[decimal.Inexact] = True"
        ),
        (
            "import decimal\nprint(decimal.getcontext().prec)\n"
            "try: decimal.Decimal(1) / 3\nexcept decimal.Inexact: print('raised')"
        ),
        "3 raised",
    ),
    "sys": ("import sys\nsys.setrecursionlimit(1234)", "print(sys.getrecursionlimit())", "1234"),
    "numpy": (
        (
            "import numpy as np\nnp.seterr(divide='raise')\n"
            "np.set_printoptions(precision=2, formatter={'int': lambda n: f'<{n}>'})"
        ),
        "import numpy as np\nprint(np.geterr()['divide'], np.array([1 / 3]), np.array([1]))",
        "raise [0.33] [<1>]",
    ),
    "pandas": (
        (
            "import pandas as pd\npd.options.display.float_format = '{:.1f}'.format\n"
            "pd.set_option('display.max_rows', 7)"
        ),
        "import pandas as pd\nprint(pd.Series([1 / 3]).to_string(), pd.options.display.max_rows)",
        "0 0.3 7",
    ),
    "matplotlib": (
        "import matplotlib.pyplot as plt\nplt.rcParams['font.size'] = 33\nplt.style.use('ggplot')",
        (
            "import matplotlib.pyplot as plt\nprint(plt.rcParams['font.size'],"
            " plt.rcParams['axes.prop_cycle'].by_key()['color'][0])"
        ),
        "10.0 #E24A33",
    ),
    "sklearn": (
        "import sklearn\nsklearn.set_config(transform_output='pandas')",
        "import sklearn\nprint(sklearn.get_config()['transform_output'])",
        "pandas",
    ),
    "torch": (
        "import torch\ntorch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)",
        "import torch\nprint(torch.ones(1).dtype, torch.is_grad_enabled())",
        "torch.float64 False",
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in {"sklearn", "matplotlib"}))
        for name in OPTIONS
    ],
)
def test_options(name: str, tmp_path: Path) -> None:
    """Options that one step sets hold in the next, also where that imports the module later."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    code, show, wanted = OPTIONS[name]
    shared = "import sys\nclass Odd(UserWarning): pass"
    code = code.replace("class Odd(UserWarning): pass\n", "")
    out = {"state:options": [name]}
    first = step(tmp_path / "a", code, shared=shared, out=out)
    second = step(tmp_path / "b", show, shared=shared, ins=first)
    assert second.out.split() == wanted.split(), second.log
    assert "warning:" not in first.err + second.err


def test_lost_option(tmp_path: Path) -> None:
    """What no pickle holds stays in its step, and the log names it."""
    code = "import pandas as pd, functools, threading\npd.options.display.width = 7\n"
    code += "pd.options.display.float_format = functools.partial(max, threading.Lock())"
    first = step(tmp_path / "a", code, out={"state:options": ["pandas"]})
    assert "warning: `display.float_format` stays in its step" in first.err
    show = "import pandas as pd\nprint(pd.options.display.width)"
    assert step(tmp_path / "b", show, ins=first).out.split() == ["7"]


def test_torch(tmp_path: Path) -> None:
    """The generator of torch goes on."""
    pytest.importorskip("torch")
    out = {"state:random": ["torch.random"]}
    first = step(tmp_path / "a", "import torch\ntorch.manual_seed(1); torch.rand(3)", out=out)
    show = "import torch\nprint(torch.rand(1))"
    alone = "import torch\ntorch.manual_seed(1); torch.rand(3)\nprint(torch.rand(1))"
    assert step(tmp_path / "b", show, ins=first).out == step(tmp_path / "c", alone).out
