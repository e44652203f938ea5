"""`kale-tag compile` and `kale-tag graph` as whole processes, and what they make, run."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from notebooks import cell, from_percent, notebook, to_bytes
from packages import check, documents

from kale_tag import files
from kale_tag.cli import main
from kale_tag.commands.compile import finish
from kale_tag.commands.shared.pipelines import build

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from kfp import components, local  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]


def tagged(name: str, *cells: tuple[str, str]) -> bytes:
    """A notebook of cells, each given by its tags (with commas) and its source."""
    made = [cell(source, metadata={"tags": tags.split(",")}) for tags, source in cells]
    return to_bytes(notebook(made, kubeflow_notebook={"pipeline_name": name}))


SIMPLE = tagged("simple", ("step:load", "x = [1, 2]"), ("step:show,prev:load", "print(sum(x))"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a small tagged notebook."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nb").mkdir()
    (tmp_path / "nb/a.ipynb").write_bytes(SIMPLE)
    return tmp_path


def process(*words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """A whole process."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    program = [sys.executable, "-m", "kale_tag", *words]
    return subprocess.run(program, capture_output=True, check=False, env=env, **more)


def run(path: Path, root: Path, **arguments: Any) -> None:
    """Run a package on KFP's local runner; raises if a step fails."""
    text = path.read_text("utf-8")
    check(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root))
        components.load_component_from_text(text)(**arguments)


def test_same_bytes_everywhere(folder: Path) -> None:
    """Whatever the hash seed, the folder and the path that is given, a package is the same."""
    made = []
    for seed in ("0", "1", "2"):
        process("compile", "nb/a.ipynb", cwd=folder, env={"PYTHONHASHSEED": seed})
        made.append((folder / "nb/a.pipeline.yaml").read_bytes())
    os.unlink(folder / "nb/a.pipeline.yaml")
    process("compile", str(folder / "nb" / "a.ipynb"), cwd="/")
    made.append((folder / "nb/a.pipeline.yaml").read_bytes())
    process("compile", "a.ipynb", "-o", "../out/deep/", cwd=folder / "nb")
    moved = (folder / "out/deep/a.pipeline.yaml").read_text()
    assert len(set(made)) == 1
    assert "# Made by: kale-tag compile ../../nb/a.ipynb -o a.pipeline.yaml\n" in moved
    assert str(folder).encode() not in made[0]
    assert str(folder) not in moved


def test_outputs_do_not_matter(folder: Path) -> None:
    """Running a notebook changes nothing in its package."""
    assert main(["compile", "nb/a.ipynb"]) == 0
    value = json.loads(SIMPLE)
    value["cells"][0] |= {"execution_count": 7, "outputs": [{"output_type": "stream"}]}
    value["metadata"]["kernelspec"] = {"name": "other"}
    (folder / "nb/a.ipynb").write_text(json.dumps(value))
    assert main(["compile", "--check", "nb/a.ipynb"]) == 0


def test_standard_input_and_output(folder: Path) -> None:
    """A notebook on standard input is a package on standard output, and nothing else."""
    done = process("compile", "-", cwd=folder, input=SIMPLE)
    assert done.returncode == 0, done.stderr
    assert check(done.stdout.decode())["pipelineInfo"] == {"name": "simple"}
    drawn = process("graph", "-", cwd=folder, input=SIMPLE, env={"PYTHONIOENCODING": "ascii"})
    assert drawn.stdout.decode().splitlines()[2:] == ["  * load", "  |  x", "  * show"]


def test_nothing_of_this_machine(folder: Path) -> None:
    """A package far away names its notebook, but not the folders of the user."""
    (one,) = build([str(folder / "nb/a.ipynb")], finish("/elsewhere/x.yaml"), jobs=1, quiet=True)
    head = [line for line in one.outputs[0].text.splitlines() if line.startswith("#")]
    assert "a.ipynb" in "".join(head)
    assert folder.name not in "".join(head)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_jobs(folder: Path, jobs: str) -> None:
    """However many processes work, the result and what is printed are the same."""
    for number in range(12):
        text = SIMPLE.replace(b'"simple"', f'"simple-{number}"'.encode())
        (folder / f"nb/n{number:02}.ipynb").write_bytes(text)
    (folder / "nb/n05.ipynb").write_bytes(b"{")
    done = process("compile", "nb", "--jobs", jobs, cwd=folder)
    assert done.returncode == 2
    lines = done.stdout.decode().splitlines()
    assert lines[-1] == "12 written, 0 unchanged, 1 failed"
    assert [line.split()[1] for line in lines[:-1]] == [
        f"nb/{path.stem}.pipeline.yaml:"
        for path in sorted((folder / "nb").glob("*.ipynb"))
        if path.stem != "n05"
    ]


def test_a_package_is_no_spec(folder: Path) -> None:
    """Packages beside notebooks are not taken for specs when their folder is named."""
    for form in ("yaml", "json", "manifest"):
        assert main(["compile", "nb", "--format", form]) == 0
    assert files.specs_in("nb") == []
    assert len(list((folder / "nb").iterdir())) == 4


def test_what_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A read-only package, or a file where a folder should be, is a clear error; others go on."""
    (folder / "nb/b.ipynb").write_bytes(SIMPLE.replace(b'"simple"', b'"other"'))
    (folder / "nb/a.pipeline.yaml").write_text("old")
    (folder / "nb/a.pipeline.yaml").chmod(0o444)
    assert main(["compile", "nb"]) == 2
    assert (folder / "nb/a.pipeline.yaml").read_text() == "old"
    assert (folder / "nb/b.pipeline.yaml").exists()
    assert main(["compile", "nb/b.ipynb", "-o", "nb/a.ipynb/x/y.yaml"]) == 2
    err = capsys.readouterr().err
    assert "a.pipeline.yaml is read-only" in err
    assert "cannot write nb/a.ipynb/x/y.yaml: " in err
    assert not list(folder.rglob("*.tmp"))


def test_notebooks_that_belong_together(folder: Path) -> None:
    """A notebook that another refers to is tagged by its own spec, and no pipeline by itself."""
    (folder / "nb/all.ipynb").write_bytes(
        from_percent("# %%\nrows = [1]\n# %%\n# features\n# %%\nprint(table)")
    )
    (folder / "nb/features.ipynb").write_bytes(from_percent("# %%\ntable = rows * 2\n"))
    (folder / "specs").mkdir()
    (folder / "specs/all.yaml").write_text(
        "version: 1\nnotebooks: [../nb/all.ipynb]\ncells:\n"
        "- {index: 0, step: load}\n- {index: 2, step: show}\n"
        "- {index: 1, notebook: {name: features, path: features.ipynb}}\n"
    )
    (folder / "specs/features.yaml").write_text(
        "version: 1\nnotebooks: [../nb/features.ipynb]\ncells: [{index: 0, step: double}]\n"
    )
    done = process("compile", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert not (folder / "nb/features.pipeline.yaml").exists()
    spec = check((folder / "nb/all.pipeline.yaml").read_text())
    assert list(spec["components"]) == [
        "comp-load",
        "comp-features--double",
        "comp-features",
        "comp-show",
    ]


def test_imports_nothing_heavy(folder: Path) -> None:
    """compile needs none of KFP, nbformat and typer."""
    program = (
        "import sys\nfrom kale_tag.cli import main\nmain(['compile', 'nb/a.ipynb'])\n"
        "print('|', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.rpartition("|")[2].split())
    assert not imported & {
        "kfp",
        "google",
        "nbformat",
        "typer",
        "rich",
        "yaml",
        "ruamel",
        "msgspec",
    }


HOSTILE = r"""
text = QQQ'{{$}}' {{workflow.name}} {{=1+1}} {{{x}}} \n \\ \t SSS  SSSQQQ
width = 3
print("says", len(text), "{{$.inputs}}", f"{{{width}}} {{x}} {width:>{width}}", "{~ {^", "é😀")
print("lines", len("\u2028\r\x0b".splitlines()), "python" "3", "/kfp-" "workspace")
""".replace("QQQ", '"' * 3).replace("SSS", "'" * 3)


def test_hostile_notebook(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is hard to quote compiles, and runs as it stands in the notebook."""
    monkeypatch.setenv("KALE_TAG_NO_PIP", "1")
    tabs = "if True:\n\tprint('tab', '\t' == chr(9))\n"
    raw = "s = '\u2028 \x85 \x0c'\nprint('kept', [hex(ord(c)) for c in s])\n"
    data = tagged(
        "hostile",
        ("imports", "import math"),
        ("pipeline-parameters", 'title = "it\'s \\"déjà\\" \\\\ {x}"\nnames = [\'a{b\', "\'"]'),
        ("step:class", HOSTILE),
        ("step:lambda", tabs + raw + "print('crlf')\r\nprint('after')\r\n"),
        ("step:big", "n = 0\n" + "n += len('x{{y}}')\n" * 4_000 + "print('n', n)"),
        ("step:params", "print('title', title, names)"),
    )
    (folder / "nb/h.ipynb").write_bytes(data)
    assert main(["compile", "nb/h.ipynb"]) == 0
    run(folder / "nb/h.pipeline.yaml", folder / "root")
    out = capfd.readouterr().out
    made: dict[str, Any] = {}
    exec(HOSTILE.split("print", maxsplit=1)[0], made)
    said = f"says {len(made['text'])} {{{{$.inputs}}}} {{3}} {{x}}   3 {{~ {{^ é😀"
    assert said in out
    assert "lines 3 python3" in out
    assert "tab True" in out
    assert "kept ['0x2028', '0x20', '0x85', '0x20', '0xc']" in out
    assert "crlf" in out
    assert "after" in out
    assert "n 24000" in out
    assert "title it's \"déjà\" \\ {x} ['a{b', \"'\"]" in out


BAD = {
    "NUL": ("step:a", "x = '\0'"),
    "half a character": ("step:a", "x = '\ud800'"),
    "Python 2": ("step:a", "print 'x'"),
    "syntax": ("step:a", "def f(:"),
    "no steps": ("imports", "import os"),
    "parameter for runners": ("pipeline-parameters", "x = '{{workflow.name}}'"),
    "step like the pipeline": ("step:bad", "x = 1"),
    "step without letters": ("step:_", "x = 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot run is refused with its place; nothing is written."""
    cells = [BAD[name]] if name == "no steps" else [BAD[name], ("step:other", "y = 1")]
    data = tagged("bad", *((tags, source.replace("\ud800", "HALF")) for tags, source in cells))
    (folder / "nb/bad.ipynb").write_bytes(data.replace(b"HALF", b"\\ud800"))
    assert main(["compile", "nb/bad.ipynb"]) == 2
    err = capsys.readouterr().err
    assert "error[" in err
    assert "nb/bad.ipynb" in err
    assert "Traceback" not in err
    assert not (folder / "nb/bad.pipeline.yaml").exists()


def test_a_thousand_cells(folder: Path) -> None:
    """A thousand cells in a hundred steps are a package like any other."""
    cells = [
        (f"step:s{number // 10}", f"x{number} = {number}" + f" + x{number - 1}" * (number > 0))
        for number in range(1000)
    ]
    for number in range(10, 1000, 10):
        tags, source = cells[number]
        cells[number] = (f"{tags},prev:s{number // 10 - 1}", source)
    (folder / "nb/many.ipynb").write_bytes(tagged("many", *cells))
    assert main(["compile", "nb/many.ipynb"]) == 0
    spec, *_ = documents((folder / "nb/many.pipeline.yaml").read_text())
    assert len(spec["root"]["dag"]["tasks"]) == 100


def test_dsl_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What `--dsl` writes compiles with kfp to a package that runs."""
    monkeypatch.setenv("KALE_TAG_NO_PIP", "1")
    assert main(["compile", "nb/a.ipynb", "--dsl", "made.py"]) == 0
    subprocess.run([sys.executable, "-W", "ignore", "made.py"], check=True)
    run(folder / "simple.yaml", folder / "root")
    assert "\n    3\n" in capfd.readouterr().out
