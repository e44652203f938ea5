"""Writes docs/rules/ from the docstrings of the lints; a test holds the two together.

python docs/generate.py
"""

from collections.abc import Iterator
from pathlib import Path

from kale_tag.commands.lint_pages import index, pages

RULES = Path(__file__).parent / "rules"

HEAD = """# What `kale-tag check` looks for

An error is what Kale or `kale-tag compile` refuse, what Kale silently gets wrong, and what is not
as a spec says; a warning is what may go wrong later. `kale-tag check --explain CODE` prints these
pages. A spec silences a lint for its notebooks, with a reason:

```yaml
ignore:
  foreign-tag: papermill reads these; we compile with kale-tag
```

Written by `docs/generate.py` from the docstrings; do not edit.

"""


def files() -> Iterator[tuple[Path, str]]:
    """Each file with what it shall hold."""
    yield RULES / "README.md", HEAD + "".join(f"{line}\n" for line in index())
    for page in pages().values():
        yield RULES / f"{page.code}.md", str(page)


if __name__ == "__main__":
    RULES.mkdir(exist_ok=True)
    for path, text in files():
        path.write_text(text, "utf-8")
