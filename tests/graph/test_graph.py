"""The graph of a pipeline: what is drawn is what is there, and it can be read."""

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines import FULL, NESTED, chain, pipeline, step

from kale_tag.graph.graph import Edge, as_dot, as_json, as_mermaid, edges
from kale_tag.graph.layout import Size, layout
from kale_tag.graph.svg import as_svg
from kale_tag.graph.text import as_text
from kale_tag.kale.pipeline import Pipeline

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """A pipeline of any shape."""
    steps: list[Any] = []
    for number in range(draw(st.integers(1, 14))):
        producers = draw(st.sets(st.integers(0, number - 1), max_size=4)) if number else set()
        ins = {
            f"v{producer}_{count}": f"s{producer}"
            for producer in sorted(producers)
            for count in range(draw(st.integers(0, 2)))
        }
        prev = tuple(f"s{producer}" for producer in sorted(producers))
        steps.append(step(f"s{number}", prev=prev, ins=ins))
    return pipeline(*steps)


def test_edges() -> None:
    """Every `prev` and every giver is an edge, with the variables that go on it."""
    assert edges(FULL) == (
        Edge("load_data", "clean", ("rows",)),
        Edge("clean", "train", ("rows",)),
        Edge("load_data", "report"),
        Edge("train", "report", ("model",)),
    )
    data_only = pipeline(step("a"), step("b", ins={"x": "a"}))
    assert edges(data_only) == (Edge("a", "b", ("x",)),)


def test_json() -> None:
    """One document, in Kale's words, everything in it."""
    value = json.loads(as_json(FULL))
    assert value["pipeline"] == "demo"
    assert value["parameters"]["cfg"] == {"type": "dict", "default": {"k": [1, 2.5, True], "y": {}}}
    load = value["steps"][0]
    assert load["limits"] == {"cpu": "500m", "memory": "2Gi", "nvidia.com/gpu": "1"}
    assert load["secrets"] == {"USER": "db/user", "PASSWORD": "db/password"}
    assert load["artifacts"] == {"rows": "Dataset"}
    assert value["steps"][3]["prev"] == ["load_data", "train"]
    assert value["steps"][3]["parameters"] == ["_seed", "cfg", "title"]
    assert value["edges"][0] == {"from": "load_data", "to": "clean", "variables": ["rows"]}
    assert value["security_context"]["run_as_user"] == 65534
    inner = json.loads(as_json(NESTED))["steps"][1]["notebook"]
    assert [one["name"] for one in inner["steps"]] == ["clean", "split"]


DRAWN = """\
demo  7 steps

  ● a
  ├─╮  x, y
  │ ● b
  ├─│─╮  x
  │ │ ● c
  │ ├─│─╮
  │ │ │ ● d
  ├─╯ │ │  a: y
  ●   │ │ e
      ├─╯  d: z
      ● f
  ● g
"""


def test_text() -> None:
    """Lines come together above the step that waits for them, over those that pass by."""
    one = pipeline(
        step("a"),
        step("b", prev=("a",), ins={"x": "a", "y": "a"}),
        step("c", prev=("a",), ins={"x": "a"}),
        step("d", prev=("b",)),
        step("e", prev=("a", "b"), ins={"y": "a"}),
        step("f", prev=("c", "d"), ins={"z": "d"}),
        step("g"),
    )
    assert as_text(one) == DRAWN


@given(pipelines())
def test_text_holds_together(one: Pipeline) -> None:
    """Every line of the text drawing goes on in the row below, and every step is in it once."""
    rows = as_text(one).split("\n\n")[1].splitlines()
    rows = [row[2:] for row in rows]
    down, up = set("│╷╭╮├┤┬┼●"), set("│╵╰╯├┤┴┼●")
    for row, under in pairwise(rows):
        for at, letter in enumerate(row.split("  ")[0]):
            if at % 2 == 0 and letter in down and letter != "●":
                assert under[at : at + 1] in up, f"{row}\n{under}"
    names = [row.split()[-1] for row in rows if "●" in row]
    assert names == [unit.name for unit in one.steps]
    assert as_text(one, plain=True).isascii()


def test_no_letters_that_a_terminal_lacks() -> None:
    """ASCII will do, sub-pipelines and cut values included."""
    long = pipeline(*NESTED.steps, parameters=FULL.parameters)
    assert as_text(long, plain=True).replace("déjà", "").isascii()


@given(pipelines())
def test_nothing_overlaps(one: Pipeline) -> None:
    """No box or label of a layout touches another, and no line a label; lines go down only."""
    found = edges(one)
    boxes = {
        unit.name: Size(30 + 7 * len(unit.name), 30 + 7 * len(unit.name), 34) for unit in one.steps
    }
    labels = {edge: Size(6, 6 * len(edge.text), 14) for edge in found if edge.variables}
    made = layout(list(boxes), found, boxes, labels)
    placed = [(*made.boxes[name], size) for name, size in boxes.items()]
    placed += [(*line.label, labels[line.edge]) for line in made.routes if line.edge.variables]
    for number, (x, y, size) in enumerate(placed):
        assert x - size.left + 0.01 >= 0
        assert x + size.right <= made.width + 0.01
        assert size.height / 2 <= y + 0.01 <= made.height - size.height / 2 + 0.02
        for other_x, other_y, other in placed[:number]:
            gap = (
                x - size.left - other_x - other.right
                if x > other_x
                else (other_x - other.left - x - size.right)
            )
            assert y != other_y or gap >= 17
    for line in made.routes:
        heights = [y for _, y in line.points]
        assert heights == sorted(heights)
        for end, (x, y), side in (
            (line.edge.producer, line.points[0], 17),
            (line.edge.consumer, line.points[-1], -17),
        ):
            middle, level = made.boxes[end]
            assert y == pytest.approx(level + side)
            assert abs(x - middle) < boxes[end].left
        for another in made.routes:
            if another is not line and another.edge.variables:
                x, y = another.label
                across = [at for at, height in line.points if height == pytest.approx(y - 7)]
                size = labels[another.edge]
                assert all(not x - size.left < at < x + size.right for at in across)


@pytest.mark.parametrize("one", [FULL, NESTED, chain(1), chain(60)], ids=["full", "in", "1", "60"])
def test_svg(one: Pipeline) -> None:
    """The drawing is XML with its name, every step, parameter and variable in it."""
    root = ET.fromstring(as_svg(one))
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert one.name in texts
    assert all(any(parameter.name in text for text in texts) for parameter in one.parameters)
    assert all(any(unit.name in text for text in texts) for unit in one.steps)
    assert all(edge.text in texts for edge in edges(one) if edge.variables)
    assert len(list(root.iter(f"{SVG}path"))) == len(edges(one)) + 1
    bare = ET.fromstring(as_svg(one, heading=False))
    assert one.name not in [text.text for text in bare.iter(f"{SVG}text")]


def test_many_variables() -> None:
    """A label has three rows at most, and counts what is left; all of it shows under the mouse."""
    names = ["train_df_processed", "test_df_processed", "labels", "x", *"abcdefgh"]
    one = pipeline(step("load"), step("train", prev=("load",), ins=dict.fromkeys(names, "load")))
    label = next(
        text
        for text in ET.fromstring(as_svg(one)).iter(f"{SVG}text")
        if text.attrib.get("class") == "label"
    )
    assert [row.text for row in label.iter(f"{SVG}tspan")] == [
        "train_df_processed,",
        "test_df_processed,",
        "+10 more",
    ]
    assert label.findtext(f"{SVG}title") == ", ".join(names)


def test_a_fan_is_straight() -> None:
    """Where a step has one line, its label stands on it and the line does not bend there."""
    branches = [
        step(f"branch_{n}", prev=("load",), ins={"x_train": "load", "y_train": "load"})
        for n in range(5)
    ]
    ins = {f"accuracy_{n}": f"branch_{n}" for n in range(5)}
    one = pipeline(step("load"), *branches, step("result", prev=tuple(ins.values()), ins=ins))
    boxes = {unit.name: Size(40, 40, 34) for unit in one.steps}
    labels = {edge: Size(6, 110, 28) for edge in edges(one)}
    made = layout(list(boxes), edges(one), boxes, labels)
    for line in made.routes:
        branch = line.edge.consumer if line.edge.producer == "load" else line.edge.producer
        assert line.label[0] == pytest.approx(made.boxes[branch][0])


def test_odd_words() -> None:
    """Whatever a notebook or variable is called, no format is broken by it."""
    odd = 'a"b<c>&d\\e`f#g\u2028\x01'
    one = pipeline(step("a"), step("end", prev=("a",), ins={odd: "a"}), name="x")
    root = ET.fromstring(as_svg(one))
    assert 'a"b<c>&d\\e`f#g' in "".join(root.itertext())
    assert 'label="a\\"b<c>&d\\\\e`f#g' in as_dot(one)
    assert "#34;b#60;c#62;#38;d" in as_mermaid(one)


def test_mermaid() -> None:
    """Ids are numbers, since `end` is a word of Mermaid's; the label of an edge is escaped too."""
    one = pipeline(step("a"), step("end", prev=("a",), ins={"x|y": "a"}))
    assert as_mermaid(one) == ('flowchart TD\n  n0["a"]\n  n1["end"]\n  n0 -->|"x#124;y"| n1\n')


def test_fifty_steps_fit() -> None:
    """A pipeline of fifty steps, ten wide, is a drawing of a few screens."""
    steps: list[Any] = [step("load")]
    for row in range(7):
        for column in range(7):
            producer = f"r{row - 1}_{(column * 3 + 1) % 7}" if row else "load"
            ins = {f"data_{row}_{column}": producer}
            steps.append(step(f"r{row}_{column}", prev=(producer,), ins=ins))
    root = ET.fromstring(as_svg(pipeline(*steps)))
    assert float(root.attrib["width"]) < 1200
    assert float(root.attrib["height"]) < 1200
