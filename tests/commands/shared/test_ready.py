"""The ready specs (`kale:NAME`) on real notebooks, and on those that Kale 2.3.0 itself reads."""

import json
import re
from pathlib import Path

import pytest
from kale_oracle import OTHER_REASONS, seen
from notebooks import canonical

from kale_tag.commands.shared.targets import ready_names, ready_spec, spec_of
from kale_tag.diagnostics import UserError
from kale_tag.kale.checks import lint
from kale_tag.kale.outline import outline
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.apply import apply_spec
from kale_tag.spec.model import Target
from specs import VARIABLES

ROOT = Path(__file__).parents[3]


def applied(name: str, data: bytes, path: str) -> bytes | None:
    """The notebook with a ready spec applied, proven to settle; None where the spec is refused."""
    spec = spec_of(ready_spec(name))
    try:
        made = apply_spec(spec, data, path, Target(VARIABLES, spec.pipeline), fast=False)
    except UserError:
        return None
    return made.data or data


NOT_THEIRS = re.compile("Unrecognized tag|Flakes reported")  # tags of others, and IPython
BAD_TAGS = "v4_5_invalid_metadata.ipynb"  # its tags are a text, which no spec touches


def untouched(corpus: Path) -> dict[str, bytes]:
    """The notebooks that have nothing to do with Kale so far, but may have tags of others."""
    found = {}
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        try:
            is_kales = TaggedNotebook(read_notebook(data, path.name)).is_kales
            if not is_kales and not path.name.endswith(BAD_TAGS):
                found[path.name] = data
        except UserError:
            continue
    return found


def test_names_are_files() -> None:
    """Each file in `specs/` is a ready spec, described in the README there."""
    names = [f"kale:{path.stem}" for path in sorted(ROOT.glob("specs/*.yaml"))]
    assert ready_names() == names
    text = (ROOT / "specs" / "README.md").read_text("utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", ready_names())
@pytest.mark.slow
def test_corpus(corpus: Path, name: str) -> None:
    """Every readable notebook is retagged, in its layout, or refused for the tags that it has."""
    done = refused = 0
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        made = applied(name, data, path.name)
        if made is None:
            refused += 1
        else:
            done += 1
            if canonical(json.loads(data)) == data:
                assert made == canonical(json.loads(made))
    assert done > 220
    assert refused < 80


@pytest.mark.parametrize("name", ["kale:headings", "kale:organise"])
@pytest.mark.slow
def test_what_they_propose_is_sound(corpus: Path, name: str) -> None:
    """Notebooks without Kale's tags become pipelines without a fault, but for tags of others."""
    notebooks = untouched(corpus)
    found: dict[str, list[str]] = {}
    for path, data in notebooks.items():
        made = applied(name, data, path)
        assert made is not None, path
        for diagnostic in lint(read_notebook(made, path)):
            if diagnostic.severity == "error" and diagnostic.code not in {
                "foreign-tag",
                "bad-tags",
            }:
                found.setdefault(diagnostic.code, []).append(path)
    assert found.keys() <= {"no-step"}, found
    assert len(found.get("no-step", ())) < 4, found  # nothing but definitions, or Julia's
    assert len(notebooks) > 180


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kale:headings", "kale:organise"])
def test_kale_takes_what_they_propose(kale: Path, corpus: Path, tmp_path: Path, name: str) -> None:
    """What Kale 2.3.0 refuses of it, it refuses for its code, or for tags of other tools."""
    for path, data in untouched(corpus).items():
        made = applied(name, data, path)
        assert made is not None
        if outline(read_notebook(made, path)).steps:  # some notebooks have no code at all
            (tmp_path / path).write_bytes(made)
    taken, found = 0, []
    for said in seen(kale, *sorted(tmp_path.glob("*.ipynb"))):
        diagnostic = said.get("error")
        why = f"{diagnostic['type']}: {diagnostic['message']}" if diagnostic else ""
        taken += said["ok"]
        if why and not OTHER_REASONS.search(why) and not NOT_THEIRS.search(why):
            found.append(f"{said['notebook']}: {why}")
    assert "\n".join(found) == ""
    assert taken > 60
