"""What MkDocs does to our pages: names of files become titles of their blocks."""

import re
from typing import Any

_NAMED = re.compile(r"(?m)^(\s*)(```+)(\w+) (\S+)$")


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401  what MkDocs gives
    """The page as Material takes it: a block of a file is named by its info, `yaml spec.yaml`.

    The tests read the same blocks, write the files, and run the commands below them.
    """
    return _NAMED.sub(r'\1\2\3 title="\4"', markdown)
