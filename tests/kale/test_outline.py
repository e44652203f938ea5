"""The steps that tags make: against the rules that Kale 2.3.0 groups cells by."""

import pytest
from notebooks import from_percent

from kale_tag.kale.outline import Outline, Role, Step, outline, role_of
from kale_tag.kale.tags import Tag
from kale_tag.notebook.read import read_notebook


def of(percent: str) -> Outline:
    """The outline of a notebook in percent form."""
    return outline(read_notebook(from_percent(percent), "a.ipynb"))


@pytest.mark.parametrize(
    ("listed", "role"),
    [
        ([], Role()),
        (["imports", "bogus"], Role("imports")),
        (["step:a", "skip"], Role("skip")),
        (["step:a", "prev:b", "prev:b", "prev:c"], Role("step", "a", ("b", "c"))),
        (["prev:b", "step:a"], Role("step", "a", ("b",))),
        (["step:", "prev:b"], Role()),
        (["step:a", "step:b"], Role("step", "a")),
        (["notebook:sub", "prev:a"], Role("notebook", "sub", ("a",))),
        (["step:a", "remove-cell", "cache:off"], Role("step", "a")),
        (["block:a", "prev:b;c"], Role("step", "a", ("b", "c"))),
        (["step:Load-Data"], Role("step", "Load-Data")),
        (
            ["step:a", "limit:cpu:2", "annotation:url:http://x:80"],
            Role(
                "step",
                "a",
                (),
                (Tag("limit", ("cpu", "2")), Tag("annotation", ("url", "http://x:80"))),
            ),
        ),
    ],
)
def test_role(listed: list[str], role: Role) -> None:
    """A special tag ends the reading, names are taken as they are."""
    assert role_of(listed) == role


def test_untagged_cells_join_the_block_above() -> None:
    """Across `skip`, Markdown and `step:` without a name; before any block they are dropped."""
    found = of(
        "# %%\nfirst\n# %% tags=imports\nimport a\n# %%\nimport b\n# %% tags=step:load\nx\n"
        "# %% [markdown]\ntext\n# %% tags=skip\ny\n# %% tags=step:\nz\n"
        "# %% tags=step:fit,prev:load\n# %%\nw\n# %% tags=step:load,prev:fit,limit:cpu:1\nmore\n"
    )

    assert found.dropped == (0,)
    assert found.shared == {"imports": (1, 2), "skip": (5,)}
    assert found.steps == (Step("load", (3, 6, 9)), Step("fit", (7, 8), ("load",)))
    assert found.step("fit") == found.steps[1]
    assert found.step("other") is None


def test_a_reference_hands_untagged_cells_on() -> None:
    """What stands behind a reference belongs to the next step, wherever that comes."""
    found = of(
        '# %% {"tags": ["notebook:sub"], "notebook_path": "sub.ipynb"}\n'
        "# %%\nx\n# %% tags=step:a\ny\n"
        '# %% {"tags": ["notebook:other"]}\n# %%\nlost\n# %% tags=functions\nf\n# %% tags=step:b\n'
    )

    assert found.steps == (
        Step("sub", (0,), notebook="sub.ipynb"),
        Step("a", (1, 2)),
        Step("other", (3,), notebook=""),
        Step("b", (4, 6)),
    )
