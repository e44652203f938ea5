"""`kale-tag schema`: the JSON Schema of specs, for editors."""

import json

from kale_tag import data_file
from kale_tag.commands.shared.options import Options
from kale_tag.kale import tags
from kale_tag.kale.tags import Kind

HOLE = r"(^|[^\$])\$\{[^{}]*\}|\\[0-9]|\\g<[\w\u0080-\uffff]+>"
"""A value with a hole, which can become anything."""


def schema(_options: Options) -> int:
    """Print the JSON Schema of specs, for your editor.

    kale-tag schema > kale-tag.schema.json
    """
    print(json.dumps(spec_schema(), indent=2, ensure_ascii=False))
    return 0


def spec_schema() -> dict[str, object]:
    """The schema as JSON. A setting that the file does not describe is made of its entry."""
    schema = json.loads(data_file("spec/schema.json"))
    definitions = schema["definitions"]
    rule = definitions["rule"]
    for key, kind in tags.SETTINGS.items():
        if key in rule["properties"]:
            continue
        rule["properties"][key] = {"$ref": f"#/definitions/{key}"}
        definitions["anySetting"]["anyOf"].append({"required": [key]})
        definitions[key] = _setting(kind)
        foreign = definitions["foreignTag"]
        foreign["pattern"] = foreign["pattern"].replace("|block)", f"|{kind.name}|block)")
        if kind.key is not None:
            mapping, listed, _ = definitions["pipeline"]["properties"]["steps_defaults"]["anyOf"]
            allowed = [{"$ref": f"#/definitions/{key}"}, {"type": "null"}]
            mapping["properties"][key] = {"anyOf": allowed}
            tag = ":".join((kind.name, *(part.pattern for part in kind.parts)))
            listed["items"]["pattern"] = listed["items"]["pattern"].replace("^(", f"^({tag}|", 1)
    return dict(schema)


def _setting(kind: Kind) -> dict[str, object]:
    rest = [part for position, part in enumerate(kind.parts) if position != kind.key]
    value: dict[str, object] = {
        "type": ["string", "number", "boolean", "null"],
        "pattern": f"^{'/'.join(f'(?:{part.pattern})' for part in rest)}$|{HOLE}",
    }
    if kind.key is None:
        return {"description": kind.about, **value}
    return {
        "description": kind.about,
        "type": "object",
        "patternProperties": {f"^(?:{kind.parts[kind.key].pattern})$": value},
        "additionalProperties": False,
    }
