"""Extracted specs: what they are made of comes back, whatever the notebook."""

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notebooks import cell, notebook, to_bytes
from pipelines_of import build_pipeline

from kale_tag.cli import main
from kale_tag.commands.extract import adjust_proposal
from kale_tag.commands.schema import spec_schema
from kale_tag.diagnostics import Label, Source, UserError
from kale_tag.extract.cell_code import read_code
from kale_tag.extract.choose import BY, ChosenSelector, candidates, choose, literal
from kale_tag.extract.combine import NoFitError, SpecMember, combine
from kale_tag.extract.extract import draft, extract, remarks, share
from kale_tag.extract.propose import step_name
from kale_tag.extract.read import SpecDraft
from kale_tag.extract.write_spec import Measure, Regex, block, comment, dump, lay_out, write_spec
from kale_tag.fields.yaml_tree import Mapping, Scalar, plain, read_yaml
from kale_tag.fields.yaml_tree import Sequence as List
from kale_tag.kale import tags
from kale_tag.kale.checks import has_kale_tags
from kale_tag.kale.metadata import tags_in
from kale_tag.kale.settings import CompileOptions, problems
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.apply import apply_spec
from kale_tag.plan.plan import plan
from kale_tag.plan.select import View
from kale_tag.spec import template
from kale_tag.spec.read import read_spec, target_for

FUZZ = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
PATH = {"stem": "nb", "name": "nb.ipynb", "dir": ".", "parent": "corpus"}


def member(data: bytes, name: str = "nb.ipynb", **path: str) -> SpecMember:
    """The notebook *data*, ready to be extracted."""
    found = draft(read_notebook(data, name))
    return SpecMember(found, name, {**PATH, **path}, View(found.notebook))


def specs_of(*members: SpecMember, by: str = "") -> list[str]:
    """The specs, each proven by `extract` itself."""
    return [extract(made, "spec.yaml") for made, _ in share(members, by)]


def applied(spec_text: str, data: bytes, number: int = 0, **path: str) -> bytes:
    """The notebook *data*, the entry *number* of its list, as a spec wants it."""
    spec = read_spec(Source("spec.yaml", spec_text), _no_base)
    target = target_for(spec, {**PATH, **path}, spec.notebooks[number : number + 1])
    done = apply_spec(spec, data, "nb.ipynb", target, fast=False)
    return data if done.data is None else done.data


def bare(value: dict[str, Any]) -> dict[str, Any]:
    """A notebook without Kale's tags and settings, by other means than the program's."""
    made: dict[str, Any] = json.loads(json.dumps(value))
    for one in made["cells"]:
        about = one.get("metadata")
        if not isinstance(about, dict) or not isinstance(about.get("tags"), list):
            continue
        left = [tag for tag in about["tags"] if not KALES.fullmatch(tag)]
        if left != about["tags"]:
            about.pop("notebook_path", None)
            about["tags"] = left
            if not left:
                del about["tags"]
    made.get("metadata", {}).pop("kubeflow_notebook", None)
    return made


KALES = re.compile(
    r"(?:step|prev|limit|label|annotation|secret|image|cache|report|notebook):.*"
    r"|skip|imports|functions|pipeline-parameters|pipeline-metrics",
    re.DOTALL,
)


def _no_base(_path: str, _label: Label) -> Source:
    raise AssertionError


# Any notebook.

SOURCES = st.sampled_from(
    [
        *("import os", "x = 1", "x = 2\nx = 1", "x = 1\nx = 2", "df.head()", "", "  "),
        *("# a: 'b' # c", "model.fit(x, 'it''s')", "y = f(x)  \nz", "def f(x):\r\n\treturn [x]"),
        *("é = '\u2028\x07'", "!ls {x} $y \\", "a" * 200, "%%bash\nls", "x == (1,\n 2)"),
        *("\n\nx = 1\n", "?x", "x[\ud800]"),
    ]
) | st.text(max_size=30)
GOOD = [
    *("imports", "functions", "skip", "pipeline-parameters", "pipeline-metrics"),
    *("step:a", "step:b", "step:c", "step:_x1", "prev:a", "prev:b", "prev:c", "notebook:n"),
    *("limit:cpu:1", "limit:memory:2Gi", "limit:nvidia.com/gpu:0x1", "label:team:ml", "label:e:"),
    *("label:x/y:it's a: b # c", "annotation:u:http://x:80/${y}", "annotation:n:true"),
    *("secret:db.x:pass-word:DB", "secret:s:k:A", "image:python:3.12", "image: {x}", "image:[1]"),
    *("cache:enabled", "cache:disabled", "report:enabled", "label:k:\\1", "image:$${stem}"),
]
BAD = ["step:Load-Data", "step:", "step:skip", "prev:nobody", "limit:CPU:1", "prev:imports"]
FOREIGN = ["parameters", "remove-cell", "hide, input", "é"]
TAGS = st.lists(st.sampled_from(GOOD + FOREIGN), max_size=4) | st.lists(
    st.sampled_from(GOOD + BAD + FOREIGN), max_size=6
)
METADATA = st.fixed_dictionaries(
    {}, optional={"tags": TAGS, "notebook_path": st.sampled_from(["n.ipynb", "", "${a}/!n.ipynb"])}
)
CELLS = st.lists(
    st.builds(
        lambda source, kind, about: cell(source, kind, metadata=about),
        SOURCES,
        st.sampled_from(["code", "code", "code", "code", "markdown"]),
        METADATA,
    ),
    max_size=8,
)
TEXTS = st.sampled_from(["", "a", "p-1", "x: y", "${stem}", "$${a}", "é", "1", "null", "a\nb"])
VALUES = st.recursive(
    TEXTS | st.text(max_size=5) | st.integers() | st.booleans() | st.none() | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
DEFAULTS = st.lists(
    st.sampled_from(
        ["limit:cpu:2", "label:a:b", "limit:memory:1", "secret:s:k:A", "x", "label:a:c"]
    )
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "pipeline_name": TEXTS,
        "pipeline_description": TEXTS,
        "experiment_name": TEXTS,
        "experiment": st.fixed_dictionaries({"id": TEXTS, "name": TEXTS}) | st.none(),
        "steps_defaults": DEFAULTS | st.just({"limits": {"cpu": 1}}),
        "volumes": st.just([{"name": "v", "mount_point": "/${a}", "size": 1, "type": "pvc"}])
        | VALUES,
        "enable_caching": st.booleans(),
        "katib_metadata": st.dictionaries(st.sampled_from(["parameters", "objective"]), VALUES),
        "docker_image": TEXTS,
    },
)


@st.composite
def notebooks(draw: st.DrawFn) -> dict[str, Any]:
    """A notebook with tags and settings, sound and others; cells with ids or without."""
    cells = draw(CELLS)
    if draw(st.booleans()):
        for number, one in enumerate(cells):
            one["id"] = draw(st.sampled_from([f"c{number}", "twice", "1e5"]))
    more = {"kubeflow_notebook": draw(SETTINGS)} if draw(st.booleans()) else {}
    return notebook(cells, **more)


def as_bytes(value: dict[str, Any]) -> bytes:
    """The bytes of a notebook; half a surrogate pair can only be escaped."""
    try:
        return to_bytes(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode()


@FUZZ
@given(notebooks(), st.sampled_from(["", *BY]))
def test_any_notebook(value: dict[str, Any], by: str) -> None:
    """The spec gives a bare notebook back all that is not named as lost."""
    data = as_bytes(value)
    one = member(data)
    (made,) = specs_of(one, by=by)

    assert len(list(remarks(one.draft))) == len(one.draft.lost)
    stripped = as_bytes(bare(value))
    result = json.loads(applied(made, stripped))
    if one.draft.proposed:
        return
    lost = {found.cell for found in one.draft.lost}
    for number, old in enumerate(value["cells"]):
        if number not in lost:
            assert result["cells"][number]["metadata"] == old["metadata"], made
    keys = {found.what.strip("`") for found in one.draft.lost if found.cell is None}
    old_settings = value["metadata"].get("kubeflow_notebook", {})
    new_settings = result["metadata"].get("kubeflow_notebook", {})
    for key in (old_settings.keys() | new_settings.keys()) - keys:
        assert new_settings[key] == old_settings[key], made
    if not lost and old_settings:
        assert applied(made, stripped) == data
        assert applied(made, data) == data


@FUZZ
@given(notebooks())
def test_the_schema_takes_it(value: dict[str, Any]) -> None:
    """An extracted spec is valid for the JSON Schema that editors use."""
    import jsonschema  # noqa: PLC0415  slow

    schema = spec_schema()
    for made in specs_of(member(as_bytes(value))):
        root = read_yaml(Source("spec.yaml", made))
        assert root is not None
        jsonschema.Draft7Validator(schema).validate(plain(root))


@FUZZ
@given(notebooks())
def test_any_proposal(value: dict[str, Any]) -> None:
    """A proposal is mended, whatever the notebook, and what it tells stands on the rules."""
    proposal, told = adjust_proposal(draft(read_notebook(as_bytes(bare(value)), "nb.ipynb")))
    (made,) = specs_of(SpecMember(proposal, "nb.ipynb", PATH, View(proposal.notebook)))
    for one in told:
        cell = one.labels[0].source.cell
        assert cell in proposal.tags
        assert f"# cell {cell}" in made


def test_sound_tags_are_kept() -> None:
    """Nothing is lost of tags and settings as Kale's panel writes them."""
    value = notebook(
        [
            cell("import os", metadata={"tags": ["imports"]}),
            cell("a()", metadata={"tags": ["step:a", "limit:cpu:1", "secret:s:k:A", "slow"]}),
            cell("", metadata={"tags": ["notebook:n"], "notebook_path": "n.ipynb"}),
            cell("b()", metadata={"tags": ["step:b", "prev:a", "prev:n", "image:x:1"]}),
        ],
        kubeflow_notebook={
            "experiment": {"id": "7", "name": "e"},
            "experiment_name": "e",
            "pipeline_description": "",
            "pipeline_name": "p",
            "steps_defaults": [],
        },
    )
    one = member(to_bytes(value))
    assert not one.draft.lost
    (made,) = specs_of(one)
    assert applied(made, to_bytes(bare(value))) == to_bytes(value)


# Several notebooks.

ONLY_SOME = st.fixed_dictionaries(
    {},
    optional={
        "base_image": st.sampled_from(["a", "${stem}"]),
        "experiment": st.fixed_dictionaries({"id": st.just("7"), "name": TEXTS}) | st.none(),
        "volumes": st.just([]) | VALUES,
        "security_context": st.dictionaries(
            st.sampled_from(["enabled", "run_as_user"]), st.integers(0, 1)
        ),
    },
)

NAMES = st.sampled_from(["north", "south", "x", "y1", "load"])


@FUZZ
@given(notebooks(), st.lists(NAMES, min_size=2, max_size=3, unique=True), st.data())
def test_notebooks_of_one_shape(
    value: dict[str, Any], stems: list[str], data: st.DataObject
) -> None:
    """Copies that differ in names and values share one spec, and each comes back from it."""
    members = []
    originals = []
    for number, stem in enumerate(stems):
        copy = json.loads(json.dumps(value).replace("step:a", f"step:{stem}_a"))
        copy = json.loads(json.dumps(copy).replace("prev:a", f"prev:{stem}_a"))
        copy = json.loads(json.dumps(copy).replace(":2Gi", f":{number}Gi"))
        if "kubeflow_notebook" in copy["metadata"]:
            about = copy["metadata"]["kubeflow_notebook"]
            about["pipeline_description"] = data.draw(TEXTS)
            about["steps_defaults"] = data.draw(DEFAULTS)
            about.update(data.draw(ONLY_SOME))
            if "pipeline_name" in about:
                about["pipeline_name"] = f"p-{stem}"
        originals.append(copy)
        members.append(member(as_bytes(copy), f"{stem}.ipynb", stem=stem))
    found = [*share(members)]
    for made, _ in found:
        written = extract(made, "spec.yaml")
        for number, one in enumerate(made.members):
            stem = one.variables["stem"]
            original = originals[stems.index(stem)]
            result = json.loads(applied(written, as_bytes(bare(original)), number, stem=stem))
            for at, tagged in one.draft.tags.items():
                assert tags_in(result["cells"][at]["metadata"]) == list(tagged)
    assert sum(len(made.members) for made, _ in found) == len(stems)


def test_the_order_of_defaults() -> None:
    """Defaults that come in another order in one notebook are not shared: order is kept."""
    members = []
    limit, label = "limit:cpu:2", "label:a:b"
    for stem, defaults in {"a": [limit], "b": [limit], "c": [label, limit]}.items():
        cells = [cell("a()", metadata={"tags": ["step:a"]})]
        value = notebook(cells, kubeflow_notebook={"steps_defaults": defaults})
        members.append(member(to_bytes(value), f"{stem}.ipynb", stem=stem))
    ((made, _),) = share(members)
    assert "steps_defaults" not in (made.pipeline or {})
    assert "steps_defaults" in extract(made, "spec.yaml")  # which proves that it gives it back


def test_what_no_spec_can_share() -> None:
    """The reason is said: other steps, other settings, cells that nothing selects in both."""
    one = member(to_bytes(notebook([cell("a()", metadata={"tags": ["step:a"]})])), "1.ipynb")
    others = {
        "other steps": cell("a()", metadata={"tags": ["skip"]}),
        "other code in `step:a`": cell("b()", metadata={"tags": ["step:a"]}),
        "other `prev`, settings": cell("a()", metadata={"tags": ["step:a", "cache:enabled"]}),
    }
    for reason, other in others.items():
        with pytest.raises(NoFitError, match=re.escape(reason)):
            combine((one, member(to_bytes(notebook([other])), "2.ipynb")), BY)


# The command.


def test_standard_input(tmp_path: Path) -> None:
    """A notebook on standard input gives a spec in UTF-8 that names no notebook."""
    data = to_bytes(notebook([cell("é = 1", metadata={"tags": ["step:a"]})]))
    done = subprocess.run(
        [sys.executable, "-m", "kale_tag", "extract", "-"],
        cwd=tmp_path,
        input=data,
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    made = done.stdout.decode()
    assert "notebooks:" not in made
    assert "'^é ='" in made
    assert applied(made, to_bytes(notebook([cell("é = 1")]))) == data


def test_standard_input_among_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No spec can name it, so it has one of its own."""
    data = to_bytes(notebook([cell("x = 1", metadata={"tags": ["step:a"]})]))
    (tmp_path / "a.ipynb").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["extract", "a.ipynb", "-"]) == 2
    assert "-: standard input is no file that a spec can name" in capsys.readouterr().err


def test_a_wrong_spec_is_our_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spec that does not give back what it was made of is not printed; the others are."""
    for name in ("a", "b"):
        cells = [cell(f"{name}()", metadata={"tags": [f"step:{name}"]})]
        (tmp_path / f"{name}.ipynb").write_bytes(to_bytes(notebook(cells)))
    monkeypatch.setattr(
        "kale_tag.extract.extract.write_spec",
        lambda made: write_spec(made).replace("step: a", "step: c"),
    )
    monkeypatch.chdir(tmp_path)

    assert main(["extract", "a.ipynb", "b.ipynb", "-o", "specs/"]) == 3
    out, err = capsys.readouterr()
    assert "error[internal-error]: a bug in kale-tag stopped the work on a.ipynb" in err
    assert "specs/b.yaml" in out
    assert not (tmp_path / "specs" / "a.yaml").exists()


# The pieces.


@FUZZ
@given(st.text(max_size=20) | SOURCES)
def test_text_is_read_as_it_is(value: str) -> None:
    """Any text, pattern and comment comes back from YAML, in flow style and in block style."""
    doc = block([value, lay_out([value, {value: value}]), Regex(value), Measure(value)])
    doc.yaml_add_eol_comment(comment(value) or "-", 2, column=0)
    root = read_yaml(Source("x", dump(doc)))
    assert root is not None
    assert isinstance(root, List)
    one, two, three, measure = root.items
    assert plain(one) == plain(three) == value
    assert plain(two) == [value, {value: value}]
    assert isinstance(measure, Scalar)
    assert measure.text == value


@FUZZ
@given(st.dictionaries(st.text(min_size=1, max_size=60), VALUES, max_size=3))
def test_values_are_read_as_they_are(value: dict[str, Any]) -> None:
    """Any JSON value comes back; NaN, which is none, and infinities are not ours to write."""
    if re.search(r"NaN|Infinity", json.dumps(value)):
        return
    root = read_yaml(Source("x", dump(block(value))))
    assert isinstance(root, Mapping)
    assert plain(root) == value


@FUZZ
@given(st.text(max_size=20), st.text(max_size=20))
def test_literal_patterns(value: str, other: str) -> None:
    """The pattern of a text matches that text, and no other, and holds nothing invisible."""
    pattern = literal(value)
    assert re.fullmatch(pattern, value)
    assert (re.fullmatch(pattern, other) is not None) == (value == other)
    assert pattern.isprintable()


@FUZZ
@given(SOURCES)
def test_candidates_match(source: str) -> None:
    """Every pattern that a source suggests matches it, and there is one unless it is blank."""
    found = [*candidates(source)]
    for pattern in found:
        assert re.search(pattern, source, re.MULTILINE), pattern
    assert bool(found) == bool(source.strip())


@FUZZ
@given(st.text(alphabet="${}ab", max_size=12))
def test_escaped_holes(value: str) -> None:
    """Escaped text has no holes, and is filled to itself."""
    assert not any(template.variables(template.escaped(value)))
    assert template.fill(template.escaped(value), {}) == value


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("# only words", "empty"),
        (" \n\t", "empty"),
        ("\x1e", "code"),
        ("\x1f", "code"),  # blank to `str.strip`, and not Python
        ("%matplotlib inline\n!pip install x", "magics"),
        ("%%bash\nls", "magics"),
        ("%%time\nmodel.fit(x)", "code"),
        ("import a\nfrom b import c\nsns.set()\nwarnings.filterwarnings('ignore')", "imports"),
        ("from hub import login\nlogin()", "code"),
        ("%load_ext autoreload\npd.set_option('display.max_rows', 20)", "imports"),
        ("plt.rcParams['figure.figsize'] = (10, 5)\nplt.style.use('ggplot')", "imports"),
        ("ax.set(title='a')", "look"),
        ("import a\ndef f(x):\n    return a.b(x)\nclass C: pass", "functions"),
        ("lr = 0.1\nname = 'x'\nlayers = [1, -2]", "constants"),
        ("lr: float = 0.1", "code"),
        ("x = None", "code"),
        ("print(accuracy)\nprint(loss)", "metrics"),
        ("print('hello')", "look"),
        ("df.head()", "look"),
        ("df[df.a > 1].describe()", "look"),
        ("fig, ax = plt.subplots()\nax.plot(x)\nplt.show()", "look"),
        ("for c in cols:\n    sns.histplot(df[c])", "look"),
        ("df", "look"),
        ("corr = df.corr()['a'].sort_values()\ncorr.head(10)", "look"),
        ("top = clean(df)\ntop.head()", "code"),
        ("df = df.drop('a', inplace=True)\ndf", "code"),
        ("noise = np.random.randn(3)\nnoise", "code"),
        ("accuracy = results['a']\naccuracy", "code"),
        ("data = pd.read_csv('a.csv')\ndata.head()", "code"),
        ("plt.plot(x)\nplt.savefig('a.png')", "code"),
        ("df.dropna(inplace=True)", "code"),
        ("model.fit(x, y)", "code"),
        ("df.to_csv('a.csv')", "code"),
        ("x = (", "code"),
        ("df.head?", "magics"),
        ("with plt.style.context('x'):\n    plt.plot(x)", "look"),
        ("with open('a') as file:\n    plt.plot(x)", "code"),
        ("df.a + df.b", "look"),
        ("df.head(), df.tail()", "look"),
        ("x = choose()(df)\nx", "code"),
    ],
)
def test_what_code_does(source: str, kind: str) -> None:
    """Cells are told apart as a proposal needs it."""
    assert read_code(source).kind == kind


def test_what_code_needs() -> None:
    """A name that is changed in place is needed; one that is bound before is not."""
    assert read_code("x += 1\ny = 2\nprint(y)").needs == {"x", "print"}


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Load data", "load_data"),
        ("2.1 Load the *data*", "load_the_data"),
        ("Step 3: `fit` [it](http://x)", "fit_it"),
        ("1) Préparer", "pr_parer"),
        ("3D plots", "step_3d_plots"),
        ("2020", "step_2020"),
        ("__init__ first", "init_first"),
        ("データ", ""),
        ("A heading that is much longer than any name of a step should be", None),
    ],
)
def test_step_names(heading: str, name: str | None) -> None:
    """A heading gives a name that Kale and Kubeflow Pipelines take, of a length to be read."""
    made = step_name(heading)
    assert name is None or made == name
    assert len(made) <= 40
    assert not made or (tags.parse(f"step:{made}") and not made.startswith("_"))


# The corpus.


def upgraded(value: dict[str, Any]) -> dict[str, Any]:
    """A notebook in the language of Kale 0.x brought to 2.x, in the simplest way."""
    about = value["metadata"].get("kubeflow_notebook")
    if isinstance(about, dict):
        if "docker_image" in about:
            about["base_image"] = about.pop("docker_image")
        for key, _ in [*problems(about)]:
            about.pop(key, None)
    for one in value["cells"]:
        about = one.get("metadata") or {}
        if isinstance(about.get("tags"), list):
            about["tags"] = [*dict.fromkeys(new for tag in about["tags"] for new in _new(tag))]
    return value


def _new(tag: str) -> Iterator[str]:
    kind, colon, rest = tag.partition(":")
    if kind in {"block", "step", "prev"} and colon:
        for name in map(tags.valid_name, rest.split(";")):
            special = kind == "block" and name in tags.SPECIAL
            if name:
                yield name if special else f"{'prev' if kind == 'prev' else 'step'}:{name}"
    else:
        yield tag


def real(corpus: Path, *, tagged: bool) -> Iterator[tuple[str, bytes, SpecDraft]]:
    """The notebooks of the corpus with Kale tags, 0.x ones upgraded, or Python's without any."""
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        try:
            notebook = read_notebook(data, path.name)
        except UserError:
            continue
        if has_kale_tags(notebook) != tagged or (not tagged and notebook.foreign_language):
            continue
        if tagged:
            value = json.loads(data)
            if (new := upgraded(json.loads(data))) != value:
                notebook = read_notebook(to_bytes(new), path.name)
        yield path.name, notebook.data, draft(notebook)


@pytest.mark.slow
def test_tagged_notebooks(corpus: Path) -> None:
    """Every tagged notebook comes back from its spec: tags, settings, and the same bytes.

    What cannot come back is named, and is what Kale refuses, overlooks, or sorts otherwise.
    """
    counts: Counter[str] = Counter()
    for name, data, found in real(corpus, tagged=True):
        value = json.loads(data)
        stripped = data if not found.tags and not found.pipeline else _written(data, bare(value))
        lost = {one.cell for one in found.lost}
        for by in ("", "source"):
            one = SpecMember(found, name, PATH, View(found.notebook))
            (made,) = specs_of(one, by=by)
            result = applied(made, stripped)
            new = json.loads(result)
            for number, old in enumerate(value["cells"]):
                if number not in lost:
                    assert new["cells"][number] == old, (name, number)
            if not lost:
                assert new == value, name
            if not lost and to_bytes(value) == data:
                assert result == data, name
                counts["bytes"] += 1
            counts["notebooks"] += 1
            counts["whole"] += not lost
        counts.update(f"lost: {one.why.partition(':')[0].partition('`')[0]}" for one in found.lost)
    assert counts["notebooks"] == 89 * 2
    assert counts["bytes"] > 60 * 2


def _written(data: bytes, value: dict[str, Any]) -> bytes:
    """*value* in nbformat's layout where *data* is, else as the json module has it."""
    same_layout = to_bytes(json.loads(data)) == data
    return to_bytes(value) if same_layout else json.dumps(value).encode()


@pytest.mark.slow
def test_untagged_notebooks(corpus: Path) -> None:
    """Every untagged notebook of Python gets a proposal that `plan` accepts, most with rules."""
    done = proposed = 0
    for name, data, found in real(corpus, tagged=False):
        one = SpecMember(adjust_proposal(found)[0], name, PATH, View(found.notebook))
        for by in ("", "id"):
            (made,) = specs_of(one, by=by)
            spec = read_spec(Source("spec.yaml", made), _no_base)
            target = target_for(spec, PATH, spec.notebooks)
            assert plan(spec, read_notebook(data, name), target).warnings == ()
        done += 1
        proposed += bool(found.blocks)
    assert done == 169
    assert proposed > 155


@pytest.mark.slow
def test_proposals_compile(corpus: Path) -> None:
    """Most proposals compile as they are; where one does not, its imports are not the reason.

    The others have no code for a step, or code that is not Python's or uses what nobody defines.
    """
    compiled = 0
    diagnostics: Counter[str] = Counter()
    for name, data, found in real(corpus, tagged=False):
        draft, told = adjust_proposal(found)
        (made,) = specs_of(SpecMember(draft, name, PATH, View(found.notebook)))
        result = read_notebook(applied(made, data), name)
        try:
            build_pipeline(result, CompileOptions(), _no_reference)
            compiled += 1
            assert not told
        except UserError as exc:
            for one in exc.diagnostics:
                diagnostics[one.code] += 1
                cell = one.labels[0].source.cell
                roles = draft.tags.get(-1 if cell is None else cell, ())
                assert not set(roles) & {"imports", "functions", "pipeline-parameters"}, one
    assert compiled >= 115, diagnostics


def _no_reference(_path: str, _at: Label) -> Notebook:
    raise AssertionError


@pytest.mark.slow
def test_selectors_survive_edits(corpus: Path) -> None:
    """A cell put on top, and a line in every other cell, hardly ever move a source pattern.

    Numbers, which a cell on top moves all, are the measure: they never survive.
    """
    kept: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for tagged in (True, False):
        for _, data, found in real(corpus, tagged=tagged):
            view = View(found.notebook)
            order = ("source", "id", "index")
            for of in found.blocks:
                for part in choose([view], [of.cells], order):
                    total[part.key] += len(part.cells)
                    kept[part.key] += sum(_survives(data, view, part))
    assert kept["index"] == 0
    assert total["source"] + total["heading"] > 0.95 * total.total()
    assert kept["source"] + kept["heading"] > 0.99 * (total["source"] + total["heading"])


def _survives(data: bytes, view: View, part: ChosenSelector) -> Iterator[bool]:
    """For each value of *part*, whether it selects the same cells in an edited notebook."""
    wanted: Sequence[tuple[int, ...]] = [(one,) for one in part.cells]
    if part.key == "heading":
        wanted = [part.cells]
    for value, cells in zip(part.values, wanted, strict=True):
        edited = _edited(data, view, cells)
        filled = {"source": r"\S"} if part.filled else {}
        rule = {part.key: value, **filled, "tag": "skip", "expect": "any"}
        spec = read_spec(Source("s.yaml", dump({"version": 1, "cells": [rule]})), _no_base)
        target = target_for(spec, PATH, ())
        found = plan(spec, read_notebook(edited, "nb.ipynb"), target).selections[0].cells
        same = found == tuple(one + 1 for one in cells)
        yield from [same] * len(cells)


def _edited(data: bytes, view: View, cells: Sequence[int]) -> bytes:
    """The notebook with a cell on top, and the last line of each other cell of code changed."""
    value = json.loads(data)
    for index in view.code:
        if index not in cells and view.source(index).strip():
            lines = view.source(index).split("\n")
            value["cells"][index]["source"] = "\n".join([*lines[:-1], f"changed({index})"])
        value["cells"][index]["metadata"] = {}
    value["cells"].insert(0, {**cell("# new\nimport new_module"), "id": "new"})
    return json.dumps(value).encode()
