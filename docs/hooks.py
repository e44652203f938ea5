"""What MkDocs does to our pages: names of files become titles of their blocks."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

RULES = Path(__file__).parent.parent / "kale_tag" / "rules"

_NAMED = re.compile(r"(?m)^(\s*)(```+)(\w+) (\S+)$")


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401  what MkDocs gives
    """The page as Material takes it: a block of a file is named by its info, `yaml spec.yaml`.

    The tests read the same blocks, write the files, and run the commands below them.
    """
    return _NAMED.sub(r'\1\2\3 title="\4"', markdown)


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401  what MkDocs gives
    """The files of the site with the pages of rules, which are data of the package."""
    for path in sorted(RULES.glob("*.md")):
        files.append(File.generated(config, f"rules/{path.name}", abs_src_path=str(path)))
    return files
