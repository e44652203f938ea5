"""`kale-tag schema`: the JSON Schema of specs, for editors."""

import json

from kale_tag.spec.schema import spec_schema


def schema() -> int:
    """Print the JSON Schema of specs, for your editor.

    kale-tag schema > kale-tag.schema.json
    """
    print(json.dumps(spec_schema(), indent=2, ensure_ascii=False))
    return 0
