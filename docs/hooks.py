"""What MkDocs does to our pages: titles of blocks, links to examples, pages of rules."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent

_NAMED = re.compile(r"(?m)^(\s*)(```+)(\w+) (\S+)$")


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401  what MkDocs gives
    """The page as Material takes it: a block of a file is named by its info, `yaml spec.yaml`.

    The tests read the same blocks, write the files, and run the commands below them. Examples lie
    beside the docs, and in the site below its root.
    """
    return _NAMED.sub(r'\1\2\3 title="\4"', markdown).replace("](../examples/", "](examples/")


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401  what MkDocs gives
    """The files of the site, with the pages of rules and the notebooks that pages link to."""
    for path in sorted(ROOT.glob("kale_tag/rules/*.md")):
        files.append(File.generated(config, f"rules/{path.name}", abs_src_path=str(path)))
    for path in sorted(ROOT.glob("examples/docs/tutorial/*")):
        name = str(path.relative_to(ROOT))
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files
