"""Packages on a model of KFP's backend, from 2.4 to 2.17 (see `backend.py`).

It is a model by the sources of each version: no cluster takes part.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import platform_fields
import pytest
from backend import USER, VERSIONS, Backend, Refused, hardened
from runs import put

from kale_tag.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = Path(__file__).parent / "backend"
"""Notebooks and specs; `inner`, `prepx` and `trainx` are what others refer to."""

PRINTED = {
    "angle": ["24250"],
    "full": [
        "a title True [1, 2.5, 'x', {'k': [1]}] {'z': 1, 'a': {'b': 2.0}} 0.5 db/password",
        "9.0",
        "metric score = 9.0",
        "metric ok = True",
        "metric name = best",
    ],
    "nolog": ["hello 3", "second"],
    "onlyparam": ["saved"],
    "quiet": ["1"],
    "same": ["1 6"],
    "two_labels": ["1", "2"],
}
"""What the steps print on each version that can take the notebook."""

NEVER = {
    "digit": "error[reserved-name]",
    "driver": "error[name-clash]",
    "dollar": "error[placeholder]: the default of the parameter `price` contains `$$`",
    "envd": "error[placeholder]: the environment variable `PW` contains `$$`",
}
"""What no version can take, and why `compile` refuses it."""

NEEDS = {
    "angle": ("2.14", "error[step-too-large]"),
    "two_labels": ("2.14", "error[not-in-kfp-version]: a label needs Kubeflow Pipelines 2.14"),
    "full": ("2.17", "error[not-in-kfp-version]: `ttl` needs Kubeflow Pipelines 2.17"),
}
"""The first version that can, and why `compile` refuses it for older ones."""

UNASKED = {
    ("angle", "2.4"): "the container of first is twice in ARGO_TEMPLATE",
    ("angle", "2.5"): "the container of first is twice in ARGO_TEMPLATE",
    ("full", "2.4"): "cannot find producer task load-data",
    ("full", "2.5"): "cannot find producer task load-data",
}
"""What an old backend does not start, if `compile` is not told of it."""

NOTEBOOKS = {
    "underscore": """
# %% tags=step:load_data
rows = [1, 2]
# %% tags=step:train,prev:load_data
print(sum(rows))
""",
    "env": """
# %% tags=step:a,secret:db:password:PW
import os
print(sorted(os.environ))
""",
    "user": "# %% tags=step:a,label:team:one\nprint(1)\n",
    "characters": """
# %% tags=step:a
print([*map(ord, 'LINE NEL')], '$$', '$(NAMESPACE)', '{{')
""",
}
SETTINGS = {"user": {"security_context": {"run_as_user": 1000}}}
PODS = "'KFP_POD_NAME', 'KFP_POD_UID', 'LC_CTYPE', 'MPLBACKEND', 'NAMESPACE'"
SHOWN = {
    "underscore": ["3"],
    "env": [f"['KALE_TAG_NO_PIP', {PODS}, 'PATH', 'PW', 'PWD', 'PYTHONHASHSEED']"],
    "user": ["1"],
    "characters": ["[8232, 32, 133] $$ $(NAMESPACE) {{"],
}
REFUSED = {
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
    path = put(folder, NOTEBOOKS[name], name, **SETTINGS.get(name, {}))
    raw = path.read_text("utf-8").replace("LINE", "\u2028").replace("NEL", "\x85")
    path.write_text(raw, "utf-8")
    assert main(["compile", str(path)]) == 0
    return path.with_suffix(".pipeline.yaml").read_text("utf-8")


def check(name: str, folder: Path, version: str) -> None:
    """The notebook does what it should on *version*."""
    text = compiled(folder, name)
    if (name, version) in REFUSED:
        with pytest.raises(Refused, match=REFUSED[name, version]):
            outcome(text, folder / "run", version)
    else:
        assert outcome(text, folder / "run", version) == SHOWN[name]


def compile_case(name: str, folder: Path, *words: str) -> Path | None:
    """The package of a notebook of `CASES`, with its spec if it has one; None if it is refused."""
    copy = folder / "cases"
    if not copy.exists():
        shutil.copytree(CASES, copy)
    spec, package = copy / f"{name}.yaml", copy / "made.yaml"
    paths = [str(path) for path in (spec, copy / f"{name}.ipynb") if path.exists()]
    done = main(["compile", *paths, "-o", str(package), *words])
    return package if done == 0 else None


def check_case(name: str, folder: Path, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The notebook runs on *version*, or is refused where it cannot."""
    if name in NEVER:
        assert compile_case(name, folder) is None
        assert NEVER[name] in capsys.readouterr().err
        return
    first, why = NEEDS.get(name, ("2.4", ""))
    made = compile_case(name, folder, "--kfp-version", version)
    old = [*VERSIONS].index(version) < [*VERSIONS].index(first)
    assert (made is None) == old
    printed = PRINTED[name]
    if old:
        assert why in capsys.readouterr().err
        made = compile_case(name, folder)
        if name == "full":  # without its secrets, as the warning says
            printed = [line.replace("db/password", "None") for line in printed]
    assert made is not None
    if reason := UNASKED.get((name, version)):
        with pytest.raises(Refused, match=reason):
            outcome(made.read_text("utf-8"), folder / "run", version)
    else:
        assert outcome(made.read_text("utf-8"), folder / "run", version) == printed


@pytest.mark.parametrize("name", [*PRINTED, *NEVER])
def test_case_on_the_newest(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each notebook of `backend/` runs, or `compile` says why no version can take it."""
    check_case(name, tmp_path, "2.17", capsys)


@pytest.mark.slow
@pytest.mark.parametrize("version", [one for one in VERSIONS if one != "2.17"])
@pytest.mark.parametrize("name", [*PRINTED, *NEVER])
def test_case(name: str, version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same on older versions; without `kfp_version` the package does what is known."""
    check_case(name, tmp_path, version, capsys)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_on_the_newest(name: str, tmp_path: Path) -> None:
    """Each small notebook runs, or the backend refuses it for the reason that is known."""
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


@pytest.mark.parametrize(("length", "compiles"), [(119_900, True), (120_000, False)])
def test_long_parameters(
    length: int,
    compiles: bool,  # noqa: FBT001
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What compiles can start: a step gets its parameters and artifacts in one argument."""
    path = put(
        tmp_path,
        f"# %% tags=pipeline-parameters\ntext = '{'a' * length}'\n"
        "# %% tags=step:a\nprint(len(text))\nx1 = x2 = x3 = x4 = x5 = 1\n"
        "# %% tags=step:b,prev:a\nprint(len(text), x1, x2, x3, x4, x5)\n",
    )
    assert main(["compile", str(path)]) == (0 if compiles else 2)
    if not compiles:
        assert "error[pipeline-too-large]" in capsys.readouterr().err
        return
    text = path.with_suffix(".pipeline.yaml").read_text("utf-8")
    assert outcome(text, tmp_path / "run", "2.17") == ["119900", "119900 1 1 1 1 1"]
    with pytest.raises(Refused, match="argument"):
        [*Backend(text, tmp_path / "more", "2.17").run({"text": "a" * 131_000})]


@pytest.mark.parametrize("version", [*VERSIONS])
def test_retries(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A step that fails the first time is started again, from 2.5 on."""
    count = tmp_path / "count"
    code = f"file = open({str(count)!r}, 'a+')\nfile.write('x')\nfile.flush()\n"
    code += "file.seek(0)\nassert file.read() == 'xx'\n"
    put(tmp_path, f"# %% tags=step:a\n{code}", "nb")
    spec = tmp_path / "nb.yaml"
    spec.write_text(
        "version: 1\nnotebooks: [nb.ipynb]\ncells: [{source: file, step: a}]\n"
        "compile: {steps: {a: {retries: 1}}}\n"
    )
    refused = main(["compile", str(spec), "--kfp-version", version])
    assert bool(refused) == (version == "2.4")
    assert ("a retry needs Kubeflow Pipelines 2.5" in capsys.readouterr().err) == bool(refused)
    assert main(["compile", str(spec)]) == 0
    text = (tmp_path / "nb.pipeline.yaml").read_text("utf-8")
    (visit,) = Backend(text, tmp_path / "run", version).run()
    assert (visit.code == 0) == (version != "2.4")


@pytest.mark.parametrize("version", [*VERSIONS])
def test_new_claims(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each run creates the claims of new volumes, which all steps mount, also inner ones."""
    work = {"name": "work", "mount_point": "/work", "type": "new_pvc", "size": 5}
    more = {**work, "name": "more", "mount_point": "/more", "storage_class_name": "fast"}
    inner = '# %% {"tags": ["notebook:inner"], "notebook_path": "inner.ipynb"}\n'
    put(tmp_path, "# %% tags=step:b\nz = x\n", "inner")
    notebook = f"# %% tags=step:a\nx = 1\n{inner}# %% tags=step:c,prev:inner\nprint(z)\n"
    path = put(tmp_path, notebook, "nb", volumes=[work, more])
    assert main(["compile", str(path), "--kfp-version", version]) == 0
    text = path.with_suffix(".pipeline.yaml").read_text("utf-8")
    visits = {one.name: one for one in Backend(text, tmp_path / "run", version).run()}
    claims = {"/work": "uuid-1-work 5Gi standard", "/more": "uuid-2-more 5Gi fast"}
    steps = ("a", "inner/inner--b", "c")
    assert {name: visits[name].claims for name in steps} == dict.fromkeys(steps, claims)
    assert [visits[name].log for name in steps] == ["", "", "1\n"]

    work["annotations"] = [{"key": "a", "value": "b"}]
    path = put(tmp_path, notebook, "nb", volumes=[work])
    refused = main(["compile", str(path), "--kfp-version", version])
    assert bool(refused) == (version != "2.17")
    assert ("a new volume with annotations needs" in capsys.readouterr().err) == bool(refused)
    if refused:
        assert main(["compile", str(path)]) == 0
        text = path.with_suffix(".pipeline.yaml").read_text("utf-8")
        with pytest.raises(Refused, match="the driver panics at the annotations of createpvc"):
            list(Backend(text, tmp_path / "more", version).run())


HARDENED = """
# %% tags=imports
import os
# %% tags=pipeline-parameters
count = 3
# %% tags=step:make
def outside():
    try:
        open('/tmp/kale-tag-outside', 'w')
    except OSError as exc:
        return exc.strerror
print(os.geteuid(), outside(), sorted(os.environ))
rows = list(range(count))
# %% tags=step:use,prev:make
total = sum(rows)
print(total)
# %% tags=pipeline-metrics
print(total)
"""


def test_hardened_pods(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Steps run as a user who is not root, without a file system to write, HOME or variables."""
    folder = Path(tempfile.mkdtemp(prefix="kale-tag-pods-"))  # which other users can reach
    try:
        folder.chmod(0o755)
        probe = subprocess.run(hardened(["true"], folder), check=False, capture_output=True)
        if probe.returncode:
            pytest.skip(f"this machine makes no namespaces: {probe.stderr.decode()}")
        path = put(tmp_path_factory.mktemp("nb"), HARDENED)
        assert main(["compile", str(path)]) == 0
        text = path.with_suffix(".pipeline.yaml").read_text("utf-8")
        make, use = Backend(text, folder / "run", hardened=True).run()
    finally:
        shutil.rmtree(folder)
    user = os.geteuid() or USER
    variables = ["KALE_TAG_NO_PIP", "LC_CTYPE", "MPLBACKEND", "PATH", "PWD", "PYTHONHASHSEED"]
    assert (make.code, use.code) == (0, 0), make.log + use.log
    assert make.log == f"{user} Read-only file system {variables}\n"
    assert use.log == "3\nmetric total = 3\n"
    assert use.made["kale_tag_metrics"]["metadata"] == {"total": 3.0}
    assert {"rows", "kale_tag_report"} <= {*make.made}


@pytest.mark.slow
def test_fields() -> None:
    """The fields of each version are those of KFP's wheels."""
    assert json.loads(platform_fields.FIELDS.read_text("utf-8")) == platform_fields.collect()
