"""`kale-tag schema`: the JSON Schema of specs, for editors."""

import sys
from importlib import resources


def schema() -> int:
    """Print the JSON Schema of specs, for your editor.

    kale-tag schema > kale-tag.schema.json
    """
    sys.stdout.write(resources.files("kale_tag").joinpath("spec.schema.json").read_text("utf-8"))
    return 0
