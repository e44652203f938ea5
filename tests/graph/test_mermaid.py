"""Flowcharts: fixed text, and Mermaid itself reads every label as it was meant."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebooks import from_percent

from kale_tag.compare.diff import diff_notebooks
from kale_tag.graph.graph import Arrow, Node, Shape, flowchart
from kale_tag.notebook.read import read_notebook
from kale_tag.render.diff_markdown import graph_of

SHAPES: tuple[Shape, ...] = ("box", "subroutine", "hexagon")
CLASSES = {"new": "fill:#dafbe1,stroke:#1a7f37", "unused": "fill:#fff"}
LABELS = [
    "end", "graph TD", "subgraph x", "class a", "style:#x;", "click n0 href", "a-->b", "a:::b",
    '"q" [x] {y} (z)', "#35; #quot; &amp;", "`code` *b* __init__ _it_", "<b>x</b><script>",
    "- list", "1. one", "2) two", "%%{init: {}}%% x", "%% comment", "|pipe|", "\\n", "$$x$$",
    "fa:fa-car", "@{shape: x}", "two\nlines", "", " ", "\n", "tab\tx",
    "日本 é 🎉", "\udcff\x00\u202e",
]  # fmt: skip

READ = """
import { JSDOM } from "jsdom";
const dom = new JSDOM("<body></body>");
globalThis.window = dom.window;
globalThis.document = dom.window.document;
const mermaid = (await import("mermaid")).default;
let text = "";
for await (const part of process.stdin) text += part;
const found = [];
for (const graph of JSON.parse(text)) {
  await mermaid.parse(graph);
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(graph);
  const nodes = [...db.getVertices().values()];
  found.push({
    nodes: nodes.map((one) => [one.id, one.text, one.type ?? "", one.classes]),
    edges: db.getEdges().map((one) => [one.start, one.end, one.text, one.stroke]),
  });
}
console.log(JSON.stringify(found));
"""
"""What Mermaid understands of each text; its parser wants a DOM to clean labels in."""


def test_text() -> None:
    """Nodes are numbered, classes are written if they are used, equal input gives equal text."""
    nodes = [Node("load", "load"), Node("a b", 'say "x"\n(new)', "hexagon", "new")]
    edges = [Arrow("load", "a b", stroke="thick"), Arrow("a b", "load", "back", "dotted")]

    text = flowchart(nodes, edges, classes=CLASSES)

    assert text == (
        "flowchart TD\n"
        '  n0["load"]\n'
        '  n1{{"say #34;x#34;<br/>#40;new#41;"}}\n'
        "  n0 ==> n1\n"
        '  n1 -.->|"back"| n0\n'
        "  classDef new fill:#dafbe1,stroke:#1a7f37\n"
        "  class n1 new\n"
    )
    assert flowchart([], []) == "flowchart TD\n"
    with pytest.raises(KeyError):
        flowchart([], [Arrow("a", "b")])


@given(st.text())
def test_labels_stay_labels(label: str) -> None:
    """No text ends its quotes or its line, or starts what Mermaid or Markdown would see."""
    lines = flowchart([Node("x", label)], []).split("\n")

    assert len(lines) == 3
    inner = lines[1].removeprefix('  n0["').removesuffix('"]')
    assert not set(inner.replace("<br/>", "")) & set('"[]{}()<>`%&:*|\\@$')


@pytest.mark.slow
def test_mermaid_reads_it(tmp_path: Path) -> None:
    """The real one (npm) finds the nodes, labels, shapes, classes and arrows that were put in."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "mermaid@11", "jsdom@26"]
    subprocess.run(install, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "read.mjs").write_text(READ)
    nodes = [
        Node(str(number), label, SHAPES[number % 3], "new") for number, label in enumerate(LABELS)
    ]
    lines = ("solid", "dotted", "thick")
    edges = [
        Arrow("0", str(number), label, lines[number % 3])  # type: ignore[arg-type]
        for number, label in enumerate(LABELS)
    ]

    old = "# %% tags=step:end\nx\n# %% tags=step:b,prev:end\ny\n"
    new = '# %% {"tags": ["step:end", "prev:\\"no`"]}\nx\n# %% tags=step:c,prev:end\ny\n'
    diff = diff_notebooks(*(read_notebook(from_percent(text), "a.ipynb") for text in (old, new)))
    drawn = [graph_of(diff, "before") or "", graph_of(diff, "after") or ""]

    found = mermaid_reads(
        [flowchart(nodes, edges, classes=CLASSES), flowchart([], []), *drawn], tmp_path
    )

    assert [seen(text) for _, text, _, _ in found[0]["nodes"]] == [meant(text) for text in LABELS]
    kinds = ["square", "subroutine", "hexagon"]
    assert [one[2] for one in found[0]["nodes"]] == [kinds[n % 3] for n in range(len(LABELS))]
    assert all(one[3] == ["new"] for one in found[0]["nodes"])
    assert [seen(text) for _, _, text, _ in found[0]["edges"]] == [
        meant(text) if text else "" for text in LABELS
    ]
    strokes = ["normal", "dotted", "thick"]
    assert [one[3] for one in found[0]["edges"]] == [strokes[n % 3] for n in range(len(LABELS))]
    assert found[1] == {"nodes": [], "edges": []}
    before, after = ([seen(text) for _, text, _, _ in one["nodes"]] for one in found[2:])
    assert before == ["end\n(changed)", "b\n(now c)"]
    assert after == ["end\n(changed)", "c\n(was b)", '"no`\n(no such step)']
    assert [one[3] for one in found[3]["edges"]] == ["thick", "normal"]


def mermaid_reads(graphs: list[str], folder: Path) -> list[dict[str, Any]]:
    """What Mermaid, installed in *folder*, makes of *graphs*; fails where it refuses one."""
    done = subprocess.run(
        ["node", "read.mjs"],
        cwd=folder,
        input=json.dumps(graphs).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def seen(text: str) -> str:
    """A label as Mermaid shows it: it keeps entities in a form of its own until it draws."""
    for start, number in ((part, part.partition("¶ß")[0]) for part in text.split("ﬂ°°")[1:]):
        assert "¶ß" in start
        text = text.replace(f"ﬂ°°{number}¶ß", chr(int(number)))
    return text.replace("<br>", "\n").strip()


def meant(label: str) -> str:
    """A label as it should be shown: what cannot be printed is replaced, spaces at ends go."""
    text = label.replace("\t", " ")
    shown = (x if x.isprintable() or x == "\n" else "\N{REPLACEMENT CHARACTER}" for x in text)
    return "\n".join("".join(shown).splitlines()).strip()
