"""`kale-tag check` on pipelines: it finds an error exactly where `compile` refuses."""

import ast
import decimal
import importlib
import io
import json
import os
import pickle
import shutil
import ssl
import sys
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from cases import BLOCK
from findings import SARIF_SCHEMA, SETTINGS, found
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from notebooks import cell, from_percent, notebook, to_bytes
from pipelines import RUNTIME
from pipelines_of import DOCUMENTS, build_pipeline, options_of

import kale_tag
from kale_tag.analysis.library import unpicklable
from kale_tag.cli import main
from kale_tag.code.local_modules import LocalCode
from kale_tag.commands.shared import pipelines
from kale_tag.commands.shared.targets import find_targets
from kale_tag.compiler.package import package
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, UserError, error
from kale_tag.kale.checks import TAG_CHECKS, has_kale_tags
from kale_tag.kale.checks import lint as lint_tags
from kale_tag.kale.settings import CompileOptions
from kale_tag.lint import pipelines as lint
from kale_tag.lint.context import compile_notebook
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places, in_files
from kale_tag.notebook.read import read_notebook
from kale_tag.rules.registry import groups, page, stops_compile

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAD = f"# %metadata {json.dumps({'kubeflow_notebook': SETTINGS})}\n"

TAG_CODES = {check.__name__.replace("_", "-") for check in TAG_CHECKS}
REFUSED = {*filter(stops_compile, groups()["check"])}
DIFFERENCES = {
    *(check.__name__.replace("_", "-") for check in lint.LINTS if check not in lint.TASTE),
    *("dropped-code", "local-module", "possible-change", "unknown-package", "unread-script"),
}
"""What both report of a notebook that compiles: its pipeline may compute something else."""

ONE_STEP = """\
version: 1
pipeline: {pipeline_name: 'p-${stem}', experiment_name: corpus, volumes: []}
cells: [{source: '^', step: all, expect: any}]
legacy: keep
"""
MANY_STEPS = r"""
version: 1
pipeline: {pipeline_name: 'p-${stem}', experiment_name: corpus, volumes: []}
cells:
  - {source: '^(import|from) ', tag: imports, expect: any}
  - {source: '\A\W*([a-z])', step: 's_\1', expect: any, not: {source: '^(import|from) '}}
legacy: keep
"""
"""Any notebook as a pipeline: all of its code in one step, or in a step for each first letter."""


def _of_python(path: str) -> bool:
    return path.partition(".")[0] in {*sys.stdlib_module_names, "open"}


# Check and compile agree.


def agree(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], int]:
    """What check says of files, and how many of their notebooks compile.

    Where one that has tags does not compile there is an error; where it does, none that would stop
    it, and what the pipeline may compute differently is reported by both.
    """
    document = found(capsys, *words)

    def packaged(one: pipelines.BuiltNotebook) -> tuple[pipelines.OutputFile, ...]:
        package(one.of, RUNTIME)
        return ()

    built = pipelines.build(words, packaged, jobs=1, quiet=True)
    tasks = find_targets(words, alone=True).tasks
    reader = pipelines.reader(tasks, b"", nullcontext)
    errors: dict[str, set[str]] = {}
    for one in [*document["findings"], *document["unusable"]]:
        if one["severity"] == "error":
            errors.setdefault(one["places"][0]["file"], set()).add(one["code"])
    for done in built:
        labels = [label for diagnostic in done.diagnostics for label in diagnostic.labels]
        files = {done.name, *(label.source.name for label in labels if done.failed)}
        said = set().union(*(errors.get(name, set()) for name in files)) - {"tag-drift"}
        if not done.failed:
            named = {done.name, *(label.source.name for label in labels)}
            ours = {one.code for one in done.diagnostics}
            theirs = {
                one["code"] for one in document["findings"] if one["places"][0]["file"] in named
            }
            # Tags that a spec replaces in memory are checked as they are on disk, too.
            replaced = TAG_CODES if "tag-drift" in errors.get(done.name, set()) else set()
            assert (ours ^ theirs) & (DIFFERENCES - replaced) == set(), done.name
            if "setting-drift" in said:  # and settings likewise
                replaced = replaced | {"invalid-setting", "volume-type"}
            assert not (said & REFUSED) - replaced, (done.name, said)
        elif not said - {"setting-drift"}:
            task = next(one for one in tasks if one.name == done.name)
            assert not has_kale_tags(reader.tagged(task)[0]), done.name
    return document, sum(not done.failed for done in built)


@pytest.mark.slow
@pytest.mark.parametrize("spec", [ONE_STEP, MANY_STEPS], ids=["one", "many"])
def test_the_corpus_as_pipelines(
    spec: str,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Real notebooks, tagged in memory: no bug is met, and what is found is what stops compile."""
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(spec)

    document, compiled = agree(capsys, "spec.yaml", str(corpus))

    assert document["summary"]["notebooks"] > 280
    assert compiled > (150 if spec is ONE_STEP else 20)
    assert {one["code"] for one in document["findings"]} >= {"undefined-name", "unknown-magic"}


@pytest.mark.slow
def test_the_corpus_as_it_is(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real notebooks with tags of Kale 2: those that compile, and those that do not."""
    names = []
    for path in sorted(corpus.glob("*.ipynb")):
        try:
            codes = {
                diagnostic.code for diagnostic in lint_tags(read_notebook(path.read_bytes(), "nb"))
            }
        except UserError:
            continue
        if b'"step:' in path.read_bytes() and "legacy-tag" not in codes:
            names.append(str(path))
    document, compiled = agree(capsys, *names)
    assert len(names) > 10
    assert 0 < compiled < len(names)
    assert document["summary"]["notebooks"] == len(names)


@pytest.mark.parametrize("applied", [False, True])
def test_examples(
    applied: bool,  # noqa: FBT001  one of two ways
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The examples are pipelines without a fault, tagged on disk or in memory."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path / "examples")
    for words in (["hello/hello.yaml", "hello/hello.ipynb"], ["team"], ["composition"], ["churn"]):
        if applied:
            assert main(["apply", *words, "-q"]) == 0
            capsys.readouterr()
        document, compiled = agree(capsys, *words)
        assert compiled
        drift = {"tag-drift", "setting-drift", "panel-drift", "missing-setting", "panel-loss"}
        reported = [one for one in document["findings"] if one["severity"] != "note"]
        assert {one["code"] for one in reported} <= drift


Case = tuple[str, CompileOptions, dict[str, str], tuple[str, ...]]


def cases() -> Iterator[Case]:
    """The notebooks of the documents under pipelines/, with options, others, and local modules."""
    for document in DOCUMENTS:
        options, others, text = CompileOptions(), dict[str, str](), ""
        local: tuple[str, ...] = ()
        for block in BLOCK.finditer(document.read_text("utf-8")):
            language, _, name = block["info"].strip().partition(" ")
            if language == "python" and name:
                others[name] = block["body"]
            elif language == "python":
                text = block["body"]
            elif language == "json":
                options, local = options_of(block["body"])
            elif language == "text":
                yield text, options, others, local
                options, local, others = CompileOptions(), (), {}


def test_documents() -> None:
    """Every notebook of the documents: an error is found if and only if it cannot be compiled."""
    seen = {True: 0, False: 0}
    for text, options, others, local in cases():

        def load(path: str, _: Label, others: dict[str, str] = others) -> Notebook:
            return read_notebook(from_percent(others[path]), path)

        read = read_notebook(from_percent(text), "nb.ipynb")
        own = LocalCode(dict.fromkeys(local, ""))
        diagnostics = [*lint.lint(compile_notebook(read, options, load, own, RUNTIME))]
        try:
            package(build_pipeline(read, options, load, own), RUNTIME)
            compiles = True
        except UserError:
            compiles = False
        seen[compiles] += 1
        stopping = [one.code for one in diagnostics if stops_compile(one.code)]
        assert compiles == (not stopping), (text, stopping)
        assert all(one.severity == page(one.code).severity for one in diagnostics)
        places = {"nb.ipynb": Places(read)}
        for name, other in others.items():
            places[name] = Places(read_notebook(from_percent(other), name))
        _check_places([*diagnostics], places)
    assert min(seen.values()) > 20


def _check_places(diagnostics: list[Diagnostic], places: dict[str, Places]) -> None:
    """Each place in a cell is the same text in the file."""
    for diagnostic in diagnostics:
        for label, made in zip(
            diagnostic.labels, in_files(diagnostic, places).labels, strict=False
        ):
            if label.source.cell is None or label.span is None:
                continue
            assert made.span is not None
            before = label.source.text[label.span.start : label.span.end].partition("\n")[0]
            shown = made.source.text[made.span.start : made.span.end]
            behind = label.span.start == len(label.source.text)
            assert shown == '"' if behind else json.loads(f'"{shown}"').rstrip("\n") == before
            line, column = made.source.position(made.span.start)
            file = places[made.source.name].notebook.data.decode().split("\n")
            assert file[line - 1][column - 1 :].startswith(shown)


def test_all_that_compile_says_is_known_to_check() -> None:
    """Every code that stands in the compiler is that of a lint, under the same name."""
    codes = set()
    root = Path(kale_tag.__file__).parent
    for path in (*root.glob("analysis/*.py"), *root.glob("compiler/*.py"), *root.glob("lint/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                first = node.args[0]
                if name in {"error", "warning", "refuse", "warn", "of"}:
                    codes |= {first.value} if isinstance(first, ast.Constant) else set()
    # `compile --dsl` alone says the first; then packages to run, and the values given to a run.
    others = {"not-in-dsl", "broken-package", "not-a-package", "package-of-others"}
    others |= {"invalid-argument", "no-value", "parameter-type", "unknown-parameter"}
    assert len(codes) > 50
    assert codes - {*groups()["check"]} == others


def use_in_another_step(made: Any) -> None:
    """Take it through a file, and end the step that made it."""
    again = pickle.loads(pickle.dumps(made))
    if isinstance(made, decimal.Context):
        if again is not decimal.getcontext():
            raise RuntimeError  # no calculation there looks at it
    else:
        made.cleanup()  # a temporary folder
        os.listdir(again.name)


@pytest.mark.parametrize("path", [one for one in unpicklable() if _of_python(one)])
def test_what_cannot_be_pickled(path: str, tmp_path: Path) -> None:
    """What is told to be no value for a file is none, or is of no use to another step."""
    module, _, name = path.rpartition(".")
    make = getattr(importlib.import_module(module or "builtins"), name)
    file = tmp_path / "file"
    with zipfile.ZipFile(file, "w"):
        pass
    given: dict[str, tuple[object, ...]] = {
        "csv.writer": (io.StringIO(),),
        "csv.DictReader": ([],),
        "csv.reader": ([],),
        "sqlite3.connect": (":memory:",),
        "ssl.SSLContext": (ssl.PROTOCOL_TLS_CLIENT,),
        "subprocess.Popen": ([sys.executable, "-c", ""],),
        "multiprocessing.Pool": (1,),
    }
    takes_file = path in {"open", "io.open", "gzip.open", "zipfile.ZipFile"}
    made = make(*((str(file),) if takes_file else given.get(path, ())))
    errors = [TypeError, NotImplementedError, RuntimeError, FileNotFoundError]
    if path == "argparse.ArgumentParser":  # it holds a function of its own
        errors = [AttributeError, pickle.PicklingError]
    with pytest.raises(tuple(errors)):
        use_in_another_step(made)
    for end in ("terminate", "wait", "close"):
        if hasattr(made, end) and not path.startswith("threading"):
            getattr(made, end)()


# What is said, and what is not.


def codes_of(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The codes of the findings."""
    return [one["code"] for one in found(capsys, *words)["findings"]]


def test_nothing_is_said_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The compiler finds the errors of tags too, and goes on to the variables."""
    path = tmp_path / "a.ipynb"
    path.write_bytes(from_percent(f"{HEAD}# %% tags=step:a,prev:b\nprint(x)\n"))
    assert codes_of(capsys, str(path)) == [
        "unknown-prev",
        "undefined-name",
    ]
    path.write_bytes(from_percent(f"{HEAD}# %% tags=step:_\nprint(1)\n"))
    assert codes_of(capsys, str(path)) == ["reserved-name"]
    path.write_bytes(from_percent(f"{HEAD}# %% tags=step:a,image:a,image:b\nprint(1)\n"))
    assert codes_of(capsys, str(path)) == ["repeated-setting"]


def test_what_specs_mend_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tags that a spec puts right do not hide what is wrong with the pipeline."""
    (tmp_path / "a.ipynb").write_bytes(from_percent(f"{HEAD}# %% tags=step:A\nprint(x)\n"))
    (tmp_path / "s.yaml").write_text(
        "version: 1\ncells: [{source: x, step: a}]\n"
        "ignore: {tag-drift: tests, unknown-tag: tests}\n"
    )
    document = found(capsys, str(tmp_path / "s.yaml"), str(tmp_path / "a.ipynb"))
    codes = {one["code"]: one["silenced"] for one in document["findings"]}
    assert codes["undefined-name"] is None
    assert codes["unknown-tag"] == "tests"


def test_notebooks_without_tags_are_no_pipelines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JupyterLab's panel gives settings to whatever is opened; nobody means a pipeline by that."""
    path = tmp_path / "a.ipynb"
    path.write_bytes(from_percent(f"{HEAD}# %%\nprint(x)\n"))
    assert codes_of(capsys, str(path)) == []


def test_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps that are too large for a container, and many that are too large for the cluster."""
    path = tmp_path / "a.ipynb"
    data = f"data = '{'x' * 1_600_000}'\nprint(data)"
    cells = [cell(data, metadata={"tags": ["step:a"]})]
    path.write_bytes(to_bytes(notebook(cells, kubeflow_notebook=SETTINGS)))
    assert codes_of(capsys, str(path)) == ["step-too-large"]
    shared = cell(f"data = '{'x' * 100_000}'", metadata={"tags": ["imports"]})
    steps = [cell("print(data)", metadata={"tags": [f"step:s{n}"]}) for n in range(10)]
    path.write_bytes(to_bytes(notebook([shared, *steps], kubeflow_notebook=SETTINGS)))
    assert codes_of(capsys, str(path)) == ["large-package"]


def test_standard_input_is_a_pipeline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a notebook on standard input the places are in `-`."""

    class Stdin:
        class buffer:  # noqa: N801  as sys.stdin has it
            read = staticmethod(lambda: from_percent(f"{HEAD}# %% tags=step:a\nprint(x)\n"))

    monkeypatch.setattr("sys.stdin", Stdin)
    (one,) = found(capsys, "-")["findings"]
    assert (one["code"], one["places"][0]["file"]) == ("undefined-name", "-")


def test_sarif_of_pipelines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Places in cells are regions of the file, and cells that come above make no new finding."""
    value = json.loads(from_percent(f"{HEAD}# %% tags=step:a\ny = 'é'; print(\"\", x)\nprint(y)\n"))
    path = tmp_path / "a.ipynb"
    prints = []
    for _ in range(2):
        path.write_text(json.dumps(value, indent=2), "utf-8")
        assert main(["check", str(path), "--format", "sarif"]) == 1
        document = json.loads(capsys.readouterr().out)
        Draft4Validator(SARIF_SCHEMA).validate(document)
        (result,) = document["runs"][0]["results"]
        region = result["locations"][0]["physicalLocation"]["region"]
        line = path.read_text("utf-8").splitlines()[region["startLine"] - 1]
        assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == "x"
        assert line[region["endColumn"] - 1] == ")"
        prints.append(result["partialFingerprints"])
        value["cells"].insert(0, cell("# above", "markdown"))
    assert prints[0] == prints[1]


@given(
    st.lists(st.text('aé😀\n\r"\\\t/\u2028', max_size=12), max_size=4),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_places_in_cells(
    pieces: list[str],
    ascii_only: bool,  # noqa: FBT001  drawn
    joined: bool,  # noqa: FBT001  drawn
    data: st.DataObject,
) -> None:
    """A place in a cell is that of the same character in the file, however the file writes it."""
    source: str | list[str] = "".join(pieces) if joined else pieces
    value = notebook([cell("") | {"source": source}])
    raw = json.dumps(value, indent=1, ensure_ascii=ascii_only).encode()
    read = read_notebook(raw, "a.ipynb")
    text = read.source(0).replace("\r\n", "\n").replace("\r", "\n")
    at = data.draw(st.integers(0, len(text)))
    diagnostic = error("x", "m", Label(Source("a.ipynb", text, 0), Span(at, at + 1)))

    (label,) = in_files(diagnostic, {"a.ipynb": Places(read)}).labels

    assert label.span is not None
    shown = label.source.text[label.span.start : label.span.end]
    if at < len(text):
        assert json.loads(f'"{shown}"') in (
            {"\n", "\r", "\r\n"} if text[at] == "\n" else {text[at]}
        )
    line, column = label.source.position(label.span.start)
    assert raw.decode().split("\n")[line - 1][column - 1 :].startswith(shown)
