"""`kale-tag check`: its docs, its formats, its places in files; against the corpus."""

import ast
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import write_files
from findings import SARIF_SCHEMA, SETTINGS, found
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from notebooks import cell, from_percent, notebook, to_bytes

import kale_tag
from kale_tag.cli import main
from kale_tag.diagnostics import Label, Source, Span, UserError, error
from kale_tag.kale.checks import lint
from kale_tag.notebook.places import BLOCK, Lines
from kale_tag.notebook.read import read_notebook
from kale_tag.render.diagnostics import as_command
from kale_tag.render.sarif import FINGERPRINT, as_sarif
from kale_tag.render.text import expanded
from kale_tag.rules.registry import Finding, groups, other_errors, page, pages

HERE = Path(__file__).parent.parent
ROOT = Path(kale_tag.__file__).parent
# The docs.


CHECKED = groups()["check"]
RULES = [code for group in groups().values() for code in group]


def test_every_rule_has_a_page() -> None:
    """Each code of the list has one page with all its parts, and each page is in the list once."""
    made = {path.stem for path in (ROOT / "rules").glob("*.md")} - {"errors"}
    assert sorted(RULES) == sorted(made)
    for one in map(page, RULES):
        assert one.text.startswith(f"# {one.code}\n"), one.code
        assert not (one.compiles and one.severity == "warning"), one.code
        assert all((one.summary, one.why, one.fix, one.bad, one.good)), one.code
        assert one.bad != one.good, one.code
        assert re.fullmatch(r"[A-Z`].*\.", one.summary.replace("\n", " ")), one.code


LARGE = {"step-too-large", "pipeline-too-large", "large-package"}
"""Rules whose examples would fill a page; see `test_size`."""


@pytest.mark.parametrize("example", ["bad", "good"])
@pytest.mark.parametrize("code", [code for code in RULES if code not in LARGE])
def test_examples(
    code: str,
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bad example of a page gives its diagnostic, the good one does not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    made = write_files(getattr(page(code), example) + "\n", tmp_path)
    names = [name for name in made if not name.startswith(".") and not name.endswith(".py")]

    if code in groups()["upgrade"]:
        main(["plan", "kale:upgrade", "old.ipynb", "--format", "json"])
        codes = {one["code"] for one in json.loads(capsys.readouterr().out)["diagnostics"]}
    elif any(name.endswith(".json") for name in names):
        main(["apply", *names])
        out, err = capsys.readouterr()
        codes = {*re.findall(r"^(?:error|warning)\[([\w-]+)\]", out + err, re.MULTILINE)}
    else:
        document = found(capsys, *names)
        codes = {one["code"] for one in document["findings"] + document["unusable"]}
    assert (code in codes) == (example == "bad"), codes


def test_every_warning_of_an_upgrade_has_a_help() -> None:
    """Each message of an upgrade says what to do."""
    for path in (ROOT / "upgrade").glob("*.py"):
        for code, call in _codes(path):
            assert code in RULES
            assert len(call.args) > 3 or "help" in {one.arg for one in call.keywords}, code


def test_every_code_is_explained() -> None:
    """Each code in the package has a page, or a section of `errors.md`, and nothing else has."""
    used = {code for path in ROOT.rglob("*.py") for code, _ in _codes(path)}
    used = {code for code in used if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)}
    others = other_errors()

    assert len(used) > 200
    assert used - {*RULES} - {*others} == set()
    paths = (path for path in ROOT.rglob("*.py") if path.parent.name != "rules")
    text = "".join(path.read_text("utf-8") for path in paths)
    assert {code for code in [*RULES, *others] if f'"{code}"' not in text} <= MADE_OF_PARTS
    assert {*others} & {*RULES} == set()
    for code, section in others.items():
        what, why, fix = section.removeprefix(f"## {code}\n\n").strip().split("\n\n")
        assert what.endswith("."), code
        assert (why[:8], fix[:8]) == ("**Why:**", "**Fix:**"), code


MADE_OF_PARTS = {
    "invalid-annotation",
    "invalid-annotation-value",
    "invalid-label-value",
    "invalid-limit",
    "invalid-name",
    "invalid-notebook-name",
    "invalid-pipeline-name",
    "invalid-secret-key",
    "invalid-secret-name",
    "invalid-storage-class-name",
}
"""Codes that no text of the package has as a whole."""


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    """A page, a section of `errors.md`, the list of all, and a slip."""
    assert main(["check", "--explain", "cycle"]) == 0
    assert capsys.readouterr().out == (ROOT / "rules" / "cycle.md").read_text("utf-8")
    assert main(["check", "--explain", "not-read"]) == 0
    assert capsys.readouterr().out.startswith("## not-read\n\n")
    assert main(["check", "--explain", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*RULES, *other_errors()]
    assert main(["check", "--explain", "foriegn-tag"]) == 2
    assert "did you mean `foreign-tag`?" in capsys.readouterr().err


def _codes(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every code in a file, with the call that makes a message of it."""
    makers = {
        "error",
        "warning",
        "found",
        "refuse",
        "warn",
        "diagnostic",
        "_diagnostic",
        "Loss",
    }
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[name == "Loss" :][:1] if name in makers else []
            for one in first:
                for part in [one.body, one.orelse] if isinstance(one, ast.IfExp) else [one]:
                    if isinstance(part, ast.Constant):
                        yield str(part.value), node


@pytest.mark.parametrize("code", [code for code in CHECKED if code not in LARGE])
def test_every_lint_has_a_case(code: str) -> None:
    """Each lint is shown by a case at least."""
    cases = (path.read_text("utf-8") for path in (HERE / "cases" / "check").glob("*.md"))
    assert any(f"[{code}]" in text for text in cases)


# Exit codes.


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["right.ipynb"], 0),
        (["wrong.ipynb"], 1),
        (["warned.ipynb"], 0),
        (["warned.ipynb", "--strict"], 1),
        (["right.ipynb", "broken.ipynb"], 2),
        (["wrong.ipynb", "broken.ipynb"], 2),
        (["missing.ipynb"], 2),
        (["spec.yaml", "right.ipynb"], 0),
        (["wrong.yaml", "right.ipynb"], 1),
        (["drift.yaml", "right.ipynb"], 1),
        (["missing.yaml", "right.ipynb"], 2),
        (["empty"], 2),
        ([], 2),
        (["--explain", "cycle"], 0),
        (["--explain", "cycles"], 2),
    ],
)
@pytest.mark.parametrize("format", ["text", "json", "sarif", "github"])
def test_exit_codes(
    words: list[str],
    code: int,
    format: str,  # noqa: A002  the option's name
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0 nothing wrong, 1 something is, 2 something given could not be used, in every format."""
    monkeypatch.chdir(tmp_path)
    step = {"tags": ["step:a"]}
    files = {
        "right.ipynb": to_bytes(notebook([cell("1", metadata=step)], kubeflow_notebook=SETTINGS)),
        "wrong.ipynb": from_percent("# %% tags=step:A\n"),
        "warned.ipynb": to_bytes(
            notebook(
                [cell("1", metadata=step)], kubeflow_notebook=SETTINGS | {"base_image": "python"}
            )
        ),
        "broken.ipynb": b"{",
        "spec.yaml": b"version: 1\ncells: [{index: 0, step: a}]\n",
        "wrong.yaml": b"version: 2\n",
        "drift.yaml": b"version: 1\ncells: [{index: 0, step: b}]\n",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "empty").mkdir()

    assert main(["check", *words, "--format", format]) == code


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`-` is a notebook, as for the other commands."""

    class Stdin:
        class buffer:  # noqa: N801  as sys.stdin has it
            read = staticmethod(lambda: from_percent("# %% tags=step:A\n"))

    monkeypatch.setattr("sys.stdin", Stdin)
    codes = [one["code"] for one in found(capsys, "-")["findings"]]
    assert codes == ["unknown-tag", "missing-setting"]


# Formats.


AWKWARD = "a ünï%20 code,b:c #1?.ipynb"


@pytest.fixture
def awkward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a notebook whose name needs escapes, a spec that silences, a broken one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / AWKWARD).write_bytes(
        from_percent(
            '# %metadata {"kubeflow_notebook": {"pipeline_name": "p", "experiment_name": "e"}}\n'
            "# %% tags=step:a,prev:ä,slow\nid\n# %% tags=step:b,prev:a\nid\n# %% tags=step:b,slow\n"
        )
    )
    (tmp_path / "broken.ipynb").write_bytes(b"{")
    (tmp_path / "spec.yaml").write_text(
        f"version: 1\nnotebooks: ['{AWKWARD}']\nignore: {{foreign-tag: 'tests, mostly'}}\n"
        "cells: [{index: 1, step: b}]\n"
    )
    (tmp_path / "wrong.yaml").write_text("version: 1\nnotebooks: []\ncell: []\n")
    return tmp_path


def test_sarif(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The document is valid by OASIS's schema, and says what the text says."""
    assert main(["check", ".", "--format", "sarif"]) == 2
    document = json.loads(capsys.readouterr().out)
    Draft4Validator(SARIF_SCHEMA).validate(document)

    (run,) = document["runs"]
    shown = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in shown] == [*CHECKED, "unknown-key"]
    for rule in shown[: len(CHECKED)]:
        assert rule["defaultConfiguration"]["level"] == page(rule["id"]).severity
        assert rule["helpUri"].endswith(f"/rules/{rule['id']}.md")
    results = run["results"]
    assert all(shown[one["ruleIndex"]]["id"] == one["ruleId"] for one in results)
    by_code = {one["ruleId"]: one for one in results}
    assert by_code.keys() == {
        "unknown-key",
        "unknown-tag",
        "foreign-tag",
        "tag-drift",
        "unruled-tag",
    }
    assert by_code["foreign-tag"]["suppressions"] == [
        {"kind": "external", "justification": "tests, mostly"}
    ]
    place = by_code["unknown-tag"]["locations"][0]["physicalLocation"]
    uri = "a%20%C3%BCn%C3%AF%2520%20code%2Cb%3Ac%20%231%3F.ipynb"
    assert place["artifactLocation"] == {"uri": uri, "uriBaseId": "%SRCROOT%"}
    region = place["region"]
    line = (awkward / AWKWARD).read_text("utf-8").splitlines()[region["startLine"] - 1]
    assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == '"prev:ä"'
    (related,) = by_code["tag-drift"]["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"]["uri"] == "spec.yaml"
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    (said,) = invocation["toolExecutionNotifications"]
    assert said["descriptor"]["id"] == "not-json"


def test_fingerprints_stay(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells and lines that come or go elsewhere do not make a new finding of an old one."""

    def fingerprints() -> list[str]:
        main(["check", AWKWARD, "--format", "sarif"])
        (run,) = json.loads(capsys.readouterr().out)["runs"]
        return sorted(one["partialFingerprints"][FINGERPRINT] for one in run["results"])

    before = fingerprints()
    value = json.loads((awkward / AWKWARD).read_bytes())
    value["cells"].insert(0, cell("# nothing\n", "markdown"))
    (awkward / AWKWARD).write_text(json.dumps(value, indent=4, ensure_ascii=False))

    assert fingerprints() == before
    assert len(set(before)) == len(before) == 2


def test_sarif_of_odd_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files outside of the folder, cells without a line, names that are no text, no place."""
    monkeypatch.chdir(tmp_path)
    labels = [
        Label(Source("../up.ipynb")),
        Label(Source(str(tmp_path / "in" / "a.ipynb"))),
        Label(Source("a.ipynb", "x", cell=3), Span(0, 1)),
        Label(Source(os.fsdecode(b"\xff.ipynb"))),
    ]
    diagnostics = [*(error("cycle", "m", label) for label in labels), error("cycle", "m")]

    document = json.loads(
        as_sarif([Finding(diagnostic) for diagnostic in diagnostics], [], pages())
    )

    Draft4Validator(SARIF_SCHEMA).validate(document)
    places = [one["locations"][0] for one in document["runs"][0]["results"] if "locations" in one]
    artifacts = [one["physicalLocation"]["artifactLocation"] for one in places]
    assert artifacts[0] == {"uri": f"file://{tmp_path.parent}/up.ipynb"}
    assert [one["uri"] for one in artifacts[1:]] == ["in/a.ipynb", "a.ipynb", "%FF.ipynb"]
    assert places[2]["logicalLocations"] == [{"name": "cell 3"}]


def test_github_commands() -> None:
    """What GitHub would read as structure is escaped: `%` first, `:` and `,` in properties.

    What a log would obey is replaced.
    """
    diagnostic = error(
        "a-code",
        "100%: one, two\nthree\r",
        Label(Source("a,b:c%.ipynb", "0\n 12"), Span(3, 4)),
        notes=["n"],
        help="h",
    )
    assert as_command(diagnostic) == (
        "::error file=a%2Cb%3Ac%25.ipynb,line=2,col=2,title=a-code::"
        "100%25: one, two%0Athree\N{REPLACEMENT CHARACTER}%0An%0Ahelp: h"
    )
    assert as_command(error("a-code", "m")) == "::error title=a-code::m"


@given(st.text(), st.text(min_size=1))
def test_github_commands_are_one_line(message: str, name: str) -> None:
    """Whatever is said of whatever file, it is one command, and can be read back as it is shown."""
    command = as_command(error("a-code", message, Label(Source(name))))

    assert len(re.split("[\r\n]", command)) == 1
    head, _, rest = command.removeprefix("::error ").partition("::")
    back = {"%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}

    def unescaped(text: str) -> str:
        return re.sub("%(0A|3A|2C|25)", lambda found: back[found[0]], text)

    def shown(text: str) -> str:
        return "\n".join(map(expanded, text.split("\n")))

    assert unescaped(rest) == shown(message)
    given_name = head.partition(",")[0].removeprefix("file=")
    assert unescaped(given_name) == shown(name.replace("\\", "/"))


def test_json(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document: findings with their reasons, what could not be used, counts."""
    document = found(capsys, ".")

    assert awkward.exists()
    assert document["summary"] == {
        "specs": 2,
        "notebooks": 1,
        "errors": 3,
        "warnings": 1,
        "notes": 0,
        "silenced": 1,
        "unusable": 1,
    }
    silenced = {one["code"]: one["silenced"] for one in document["findings"]}
    assert silenced == {
        "unknown-key": None,
        "unknown-tag": None,
        "foreign-tag": "tests, mostly",
        "tag-drift": None,
        "unruled-tag": None,
    }
    assert [one["code"] for one in document["unusable"]] == ["not-json"]


@pytest.mark.parametrize("jobs", ["1", "2", "7"])
def test_jobs(
    jobs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many processes work, what is found is the same, in the same order."""
    monkeypatch.chdir(tmp_path)
    for number in range(20):
        (tmp_path / f"n{number:02}.ipynb").write_bytes(from_percent("# %% tags=step:A\n"))
    (tmp_path / "n10.ipynb").write_bytes(b"")

    assert main(["check", ".", "--jobs", jobs, "--format", "json"]) == 2

    document = json.loads(capsys.readouterr().out)
    assert document["summary"]["errors"] == 38
    names = [one["places"][0]["file"] for one in document["findings"]]
    assert names == sorted(names)


# Places.


@given(st.text("aé😀\n\r", max_size=300), st.data())
def test_lines_and_columns(text: str, data: st.DataObject) -> None:
    """A label has the line, the column and the text of its place, wherever blocks begin."""
    start = data.draw(st.integers(0, max(len(text) - 1, 0)))
    padding = data.draw(st.sampled_from(["", "x" * (BLOCK - 7), "é\n" * 40, "y" * (2 * BLOCK)]))
    whole = f"{padding}{text}!"
    start += len(padding)
    at = len(whole[:start].encode())

    label = Lines(whole.encode()).label("a", at, at + len(whole[start].encode()))

    assert label.span is not None
    line, column = whole.count("\n", 0, start) + 1, start - whole.rfind("\n", 0, start)
    assert label.source.position(label.span.start) == (line, column)
    shown = label.source.text[label.span.start : label.span.end]
    assert whole[start] in "\r\n" or shown == whole[start]
    assert len(label.source.text) <= 250


def layouts(value: Any) -> dict[str, bytes]:
    """A notebook in layouts that JupyterLab does not write."""
    return {
        "one line": json.dumps(value).encode(),
        "indent 4, CRLF": json.dumps(value, indent=4, ensure_ascii=False)
        .replace("\n", "\r\n")
        .encode(),
        "BOM": b"\xef\xbb\xbf" + json.dumps(value, ensure_ascii=False).encode(),
    }


@pytest.mark.slow
def test_corpus(corpus: Path) -> None:
    """No notebook stops a lint; each finding on a tag points at that tag, in any layout."""
    codes: Counter[str] = Counter()
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        try:
            diagnostics = [*lint(read_notebook(data, path.name, fast=False))]
        except UserError:
            continue
        again = [*lint(read_notebook(data, path.name, fast=True))]
        assert again == diagnostics
        codes.update(diagnostic.code for diagnostic in diagnostics)
        if not diagnostics:
            continue
        _check_places(data, diagnostics)
        for other in layouts(json.loads(data.decode("utf-8-sig"))).values():
            found_there = [*lint(read_notebook(other, path.name, fast=False))]
            assert [(one.code, one.message) for one in found_there] == [
                (one.code, one.message) for one in diagnostics
            ]
            _check_places(other, found_there)
    assert codes["legacy-tag"] > 300
    assert codes["foreign-tag"] == 3


def _check_places(data: bytes, diagnostics: Any) -> None:
    lines = data.decode("utf-8-sig").split("\n")
    for diagnostic in diagnostics:
        label = diagnostic.labels[0]
        if label.span is None:
            continue
        if label.source.cell is not None:
            cell = json.loads(data.decode("utf-8-sig"))["cells"][label.source.cell]
            assert label.source.text == "".join(cell["source"])
            continue
        line, column = label.source.position(label.span.start)
        end_line, end = label.source.position(label.span.end)
        assert line == end_line
        shown = lines[line - 1][column - 1 : end - 1]
        assert shown == label.source.text[label.span.start : label.span.end]
        if diagnostic.code in {"legacy-tag", "foreign-tag", "unknown-tag"}:
            assert f"`{json.loads(shown)}`" in diagnostic.message


def test_dangling_prev_of_the_corpus(corpus: Path) -> None:
    """Every `prev` that leads nowhere is found: against a count of its own, straight from JSON."""
    counted = 0
    for path in sorted(corpus.glob("*.ipynb")):
        try:
            nb = read_notebook(path.read_bytes(), path.name)
        except UserError:
            continue
        expected = {*_dangling(json.loads(path.read_text("utf-8-sig")))}
        reported = {
            (diagnostic.labels[0].source.cell, diagnostic.message.split("`")[3])
            for diagnostic in lint(nb)
            if diagnostic.code == "unknown-prev"
        }
        assert reported == expected, path.name
        counted += len(expected)
    assert counted > 0


def _dangling(value: Any) -> Any:
    first: dict[str, tuple[int, list[str]]] = {}
    for number, one in enumerate(value["cells"]):
        tags = (one.get("metadata") or {}).get("tags")
        if one["cell_type"] != "code" or not isinstance(tags, list):
            continue
        special = {"skip", "imports", "functions", "pipeline-parameters", "pipeline-metrics"}
        names = [tag.partition(":")[2] for tag in tags if re.match("(step|block):.", tag)]
        if names and not special & set(tags):
            prev = [name for tag in tags if tag.startswith("prev:") for name in tag[5:].split(";")]
            first.setdefault(names[0].partition(";")[0], (number, prev))
    for number, prev in first.values():
        for name in prev:
            if name not in first and re.fullmatch("[_a-z][_a-z0-9]*", name):
                yield number, name


@pytest.mark.slow
def test_the_command_on_the_corpus(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command looks at every notebook, and names those that it cannot read."""
    assert main(["check", str(corpus), "--format", "sarif"]) == 2

    out, err = capsys.readouterr()
    document = json.loads(out)
    Draft4Validator(SARIF_SCHEMA).validate(document)
    assert "Traceback" not in err
    (run,) = document["runs"]
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 12


def test_one_of_many_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody looks through all of them for the one that is meant."""
    tags = [["step:use", "prev:load_40"], *([f"step:load_{n}"] for n in range(36))]
    cells = [cell("print(1)", metadata={"tags": one}) for one in tags]
    (tmp_path / "a.ipynb").write_bytes(to_bytes(notebook(cells)))
    main(["check", str(tmp_path / "a.ipynb"), "--select", "unknown-prev"])
    assert "= help: correct the name, or remove the tag" in capsys.readouterr().out
