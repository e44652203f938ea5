"""Packages on a model of KFP's backend, from 2.4 to 2.17 (see `backend.py`).

It is a model by the sources of each version: no cluster takes part.
"""

import json
import shutil
from pathlib import Path

import platform_fields
import pytest
from backend import VERSIONS, Backend, Refused
from runs import put

from kale_tag.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
ROOT = {"security_context": {"run_as_user": 1000}}

NOTEBOOKS = {
    "angle": "# %% tags=step:first\ndata = '''" + "<a>&" * 6000 + "'''\nprint(len(data))\n",
    "onlyparam": """
# %% tags=pipeline-parameters
n = 2
# %% tags=step:save,report:disabled
print("saved", n)
""",
    "quiet": "# %% tags=step:a_one,report:disabled\nprint(1)\n",
    "underscore": """
# %% tags=step:load_data
rows = [1, 2]
# %% tags=step:train,prev:load_data
print(sum(rows))
""",
    "two-labels": """
# %% tags=step:aa,label:team:one
x = 1
# %% tags=step:bb,prev:aa,label:team:two
print(x)
""",
    "env": """
# %% tags=step:a,secret:db:password:PW
import os
print(sorted(os.environ))
""",
    "user": "# %% tags=step:a,label:team:one\nprint(1)\n",
    "same": """
# %% tags=step:load
raw = list(range(4))
# %% {"tags": ["notebook:first"], "notebook_path": "first.ipynb"}
# %% {"tags": ["notebook:other"], "notebook_path": "other.ipynb"}
# %% tags=step:judge,prev:first,prev:other
print(low, high)
""",
}
SETTINGS = {"user": ROOT}
INNER = """
# %% tags=pipeline-parameters
NAME_limit = 3
# %% tags=step:clean
NAME_rows = [one for one in raw if one < NAME_limit]
# %% tags=step:pick,prev:clean
VALUE = CHOOSE(NAME_rows)
"""
PODS = "'KFP_POD_NAME', 'KFP_POD_UID', 'LC_CTYPE', 'MPLBACKEND', 'NAMESPACE'"
PRINTED = {
    "angle": ["24000"],
    "onlyparam": ["saved 2"],
    "quiet": ["1"],
    "underscore": ["3"],
    "two-labels": ["1"],
    "env": [f"['KALE_TAG_NO_PIP', {PODS}, 'PATH', 'PW', 'PWD', 'PYTHONHASHSEED']"],
    "user": ["1"],
    "same": ["0 2"],
}
REFUSED = {
    ("angle", "2.4"): "the container of first is twice in ARGO_TEMPLATE",
    ("angle", "2.5"): "the container of first is twice in ARGO_TEMPLATE",
    ("user", "2.4"): "exec-a: unknown field securityContext",
    ("user", "2.14"): "exec-a: unknown field securityContext",
    ("user", "2.15"): "exec-a: unknown field securityContext",
}
"""What a version does not start."""

EXAMPLE_RUNS = {
    "hello": (["hello/hello.yaml", "hello/hello.ipynb"], 2),
    "parameters": (["parameters/parameters.yaml"], 3),
    "churn": (["churn/churn.yaml"], 7),
    "composition": (["composition"], 7),
    "wine": (["wine/wine.yaml"], 3),
}


def outcome(text: str, folder: Path, version: str) -> list[str]:
    """The lines that the steps print, each of which must be done."""
    lines = []
    for visit in Backend(text, folder, version).run():
        assert visit.code == 0, f"{visit.name}: {visit.log}"
        lines += visit.log.splitlines()
    return lines


def compiled(folder: Path, name: str) -> str:
    """The package of a notebook of `NOTEBOOKS`."""
    for inner, variable, choose in (("first", "low", "min"), ("other", "high", "max")):
        text = INNER.replace("NAME", inner).replace("VALUE", variable).replace("CHOOSE", choose)
        put(folder, text, inner)
    path = put(folder, NOTEBOOKS[name], name, **SETTINGS.get(name, {}))
    assert main(["compile", str(path)]) == 0
    return path.with_suffix(".pipeline.yaml").read_text("utf-8")


def check(name: str, folder: Path, version: str) -> None:
    """The notebook does what it should on *version*."""
    text = compiled(folder, name)
    if (name, version) in REFUSED:
        with pytest.raises(Refused, match=REFUSED[name, version]):
            outcome(text, folder / "run", version)
    else:
        assert outcome(text, folder / "run", version) == PRINTED[name]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_on_the_newest(name: str, tmp_path: Path) -> None:
    """Each notebook runs, or the backend refuses it for the reason that is known."""
    check(name, tmp_path, "2.17")


@pytest.mark.slow
@pytest.mark.parametrize("version", [one for one in VERSIONS if one != "2.17"])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook(name: str, version: str, tmp_path: Path) -> None:
    """The same on older versions."""
    check(name, tmp_path, version)


def test_examples_on_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest example runs on KFP 2.4."""
    check_example("hello", "2.4", tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.4", "2.5", "2.17"])
@pytest.mark.parametrize("name", EXAMPLE_RUNS)
def test_example(name: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example runs; from 2.14 on there is no difference for them."""
    check_example(name, version, tmp_path, monkeypatch)


def check_example(name: str, version: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps of an example are done on *version*."""
    copy = folder / "examples"
    shutil.copytree(EXAMPLES, copy)
    monkeypatch.chdir(copy)
    words, count = EXAMPLE_RUNS[name]
    assert main(["compile", *words]) == 0
    path = max(copy.rglob(f"{name}.pipeline.yaml"))
    visits = list(Backend(path.read_text("utf-8"), folder / "run", version).run())
    assert [one.log for one in visits if one.code] == []
    assert len(visits) == count


@pytest.mark.parametrize("version", ["2.16", "2.17"])
def test_dropped_document(version: str, tmp_path: Path) -> None:
    """Up to 2.16 `ttl` is unknown, and takes the secrets and labels of all steps with it."""
    put(tmp_path, NOTEBOOKS["env"], "env")
    spec = tmp_path / "env.yaml"
    spec.write_text(
        "version: 1\nnotebooks: [env.ipynb]\n"
        "cells:\n  - {source: import os, step: a, secrets: {PW: db/password}}\n"
        "compile: {ttl: 60}\n"
    )
    assert main(["compile", str(spec)]) == 0
    text = (tmp_path / "env.pipeline.yaml").read_text("utf-8")
    (visit,) = Backend(text, tmp_path / "run", version).run()
    assert ("'PW'" in visit.log) == (version == "2.17")


def test_kubelet_and_types(tmp_path: Path) -> None:
    """The kubelet expands what a run is given, twice: for the driver and for the step."""
    path = put(
        tmp_path,
        "# %% tags=pipeline-parameters\nprice = 'x'\nmany = [1]\n"
        "# %% tags=step:a\nprint(price, many, '$$', '$(KFP_POD_NAME)')\n",
    )
    assert main(["compile", str(path)]) == 0
    backend = Backend(path.with_suffix(".pipeline.yaml").read_text("utf-8"), tmp_path / "run")
    given = {"price": "a$$$$b $(KFP_POD_NAME) $(OTHER)", "many": [2]}
    (visit,) = backend.run(given)
    assert visit.log == "a$b pod-1 $(OTHER) [2] $$ $(KFP_POD_NAME)\n"


@pytest.mark.slow
def test_fields() -> None:
    """The fields of each version are those of KFP's wheels."""
    assert json.loads(platform_fields.FIELDS.read_text("utf-8")) == platform_fields.collect()
