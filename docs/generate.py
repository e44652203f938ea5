"""Writes the reference from what the program itself declares; a test checks that it is up to date.

The list of rules comes from `kale_tag/rules/`, keys of specs from the JSON Schema, commands and
options from their declarations, the Python API from its docstrings, cleaners from their
table.

python docs/generate.py
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from kale_tag import api
from kale_tag.cli import COMMANDS, command, description, parameters, usage
from kale_tag.commands.schema import spec_schema
from kale_tag.commands.shared.options import Argument, Option
from kale_tag.lint.cleaners import Cleaner, Fate, cleaners
from kale_tag.rules.registry import Page, pages

DOCS = Path(__file__).parent
ROOT = DOCS.parent
RULES = DOCS / "rules"
REFERENCE = DOCS / "reference"

RULES_HEAD = """\
<!-- Written by docs/generate.py from kale_tag/rules/; do not edit. -->

# Rules

`kale-tag check` reports an error if Kale or `kale-tag compile` refuses the notebook, if Kale
silently makes a wrong pipeline, or if the notebook does not match its spec. It reports a warning if
something may fail later, and a note if only Kale's own compiler refuses it; with `kale: true` in
the spec, such notes are warnings. `kale-tag check --explain CODE` prints these pages. A spec
silences a rule for its notebooks, with a reason:

```yaml
ignore:
  foreign-tag: papermill reads these; we compile with kale-tag
```

"""

UPGRADES_HEAD = """
## Other warnings from `kale-tag upgrade`

What Kale 2 refuses has one of the codes above. What it has no equivalent for has one of these.

"""

SPECS_HEAD = """
## Errors of specs and patches

"""

OTHERS = """
All other codes are in one page: [other errors](errors.md).
"""

OWNED = """
- When a rule sets `tag`, `step`, `notebook` or `untag`, the spec owns the Kale tags of the cell:
  it removes every Kale tag that it does not mention, including `prev`.
- Tags of other tools are kept, after Kale's, because Kale refuses some of them before its own tags.
- Tags get the order of Kale's panel. If the right tags are there in another order, they stay.
- A rule without one of these four keys changes the settings that it names (null removes one) of
  the steps of its cells, and keeps all the rest: `{tagged: 'step:train.*', limits: {memory: 4Gi}}`.
- If a step has several cells, the first one gets `prev` and the settings: Kale reads no others.
- Two rules that disagree about a cell are an error that shows both.
"""

NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n\n"

EXIT_CODES = {
    0: "Success, or nothing to do.",
    1: """Findings, differences or a failed run: `check` found an error, `plan` or `diff` with
    `--exit-code` a difference, `compile --check` a stale package; or a pipeline failed, or differs
    from its notebook (`run --compare`).""",
    2: """Usage, or unusable input: an option, a spec, a patch or a notebook. The message names the
    line. If one of many notebooks fails, the others are still processed.""",
    3: """An internal error, or a check before a write that failed: please report it, with the
    output. That notebook was not written.""",
    130: "Interrupted by Ctrl-C. Files are old or new, never half written.",
}


def files() -> Iterator[tuple[Path, str]]:
    """Each file with what it shall hold."""
    yield RULES / "README.md", "".join(_rules())
    yield REFERENCE / "spec.md", "".join(_spec())
    yield REFERENCE / "commands.md", "".join(_commands())
    yield REFERENCE / "python.md", "".join(_python())
    yield REFERENCE / "exit-codes.md", "".join(_exit_codes())
    yield REFERENCE / "cleaners.md", "".join(_cleaners())


def _rules() -> Iterator[str]:
    yield RULES_HEAD
    yield from _index(pages())
    yield UPGRADES_HEAD
    yield from _index(pages("upgrade"))
    yield SPECS_HEAD
    yield from _index(pages("specs"))
    yield OTHERS


def _index(shown: Mapping[str, Page]) -> Iterator[str]:
    """Each rule in a line, below the heading that `codes.txt` has for it and those that follow."""
    codes = (ROOT / "kale_tag/rules/codes.txt").read_text("utf-8")
    heads = re.findall(r"(?m)^# (.+[^.\n])\n([a-z-]+)$", codes)
    groups = {code: head[0].upper() + head[1:] for head, code in heads}
    for one in shown.values():
        if one.code in groups:
            yield f"\n## {groups[one.code]}\n\n"
        yield f"- [{one.code}]({one.code}.md) ({one.severity}): {one.summary}\n"


# Specs.


def _spec() -> Iterator[str]:
    schema = spec_schema()
    rule = schema["definitions"]["rule"]["properties"]
    selectors = [*schema["definitions"]["not"]["properties"]]
    first = [*selectors, "not", "expect"]
    said = schema["description"]
    yield f"{NOTE}# Specs\n\nA spec is a YAML file that defines {said[0].lower()}{said[1:]} "
    yield "Patterns are Python's regular expressions.\n\n"
    yield "`kale-tag schema > kale-tag.schema.json` gives editors completion and checks; name the "
    yield "file in the first line:\n`# yaml-language-server: $schema=kale-tag.schema.json`.\n\n"
    yield "## The file\n\n"
    yield from _keys(schema, schema["properties"])
    for pattern, value in schema["patternProperties"].items():
        yield f"| `{pattern.removeprefix('^')}…` | {_one_line(value['description'])} | |\n"
    yield "\n## A rule: which cells\n\nA cell must meet every condition of the rule.\n\n"
    yield from _keys(schema, {key: rule[key] for key in first})
    yield "\n## A rule: what they become\n\nA rule sets at most one of the first four keys. The "
    yield "settings from `prev` to `report` go with `step`, or with none of the four.\n\n"
    yield from _keys(schema, {key: value for key, value in rule.items() if key not in first})
    yield OWNED
    yield "\n## Settings of the pipeline\n\n"
    yield "The keys of `pipeline`, which is `metadata.kubeflow_notebook` of the notebook.\n\n"
    yield from _keys(schema, schema["definitions"]["pipeline"]["properties"])
    steps = schema["definitions"]["compileStep"]["properties"]
    compiled = _resolved(schema, schema["properties"]["compile"])["properties"]
    yield "\n## For the compiler\n\nThe keys of `compile`; none is written into notebooks.\n\n"
    yield from _keys(schema, compiled)
    yield "\nAnd of a step in `compile.steps`:\n\n"
    yield from _keys(schema, steps)


def _keys(schema: Mapping[str, Any], properties: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | meaning | example |\n|---|---|---|\n"
    for key, raw in properties.items():
        value = _resolved(schema, raw)
        text = raw.get("description") or value.get("description", "")
        examples = raw.get("examples") or value.get("examples") or ()
        shown = ", ".join(f"`{_as_yaml(one)}`" for one in examples[:2])
        default = raw.get("default", value.get("default"))
        choices = value.get("enum", ())
        if choices and not examples:
            shown = ", ".join(f"`{_as_yaml(one)}`" for one in choices)
        extra = f" Default: `{_as_yaml(default)}`." if default is not None else ""
        yield f"| `{key}` | {_one_line(text)}{extra} | {_cell(shown)} |\n"


def _resolved(schema: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in value:
        value = schema["definitions"][value["$ref"].rpartition("/")[2]]
    return value


def _as_yaml(value: object) -> str:
    """A value in one line of YAML, as people write it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_as_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_yaml, value)) + "]"
    if isinstance(value, str):
        plain = value and value[0] not in "!&*[]{}'\"|>%@`#-?: ^" and ": " not in value
        return value if plain and "," not in value else f"'{value}'"
    return json.dumps(value)


# Commands.


def _commands() -> Iterator[str]:
    yield f"{NOTE}# Commands\n\n`kale-tag COMMAND --help` prints the same.\n\n"
    yield "| command | does |\n|---|---|\n"
    for name in COMMANDS:
        summary = _first_sentence(inspect.getdoc(command(name)) or "")
        yield f"| [`kale-tag {name}`](#kale-tag-{name}) | {_cell(summary)} |\n"
    yield "\n`kale-tag --version` prints the version. "
    yield "Results go to standard output, messages to standard error. Each command returns one of "
    yield "the [exit codes](exit-codes.md). `-` is standard input. Where an option "
    yield "lists its values, the first one is the default.\n"
    for name in COMMANDS:
        yield f"\n## kale-tag {name}\n\n"
        yield from _command(name)


def _command(name: str) -> Iterator[str]:
    function = command(name)
    text, examples = description(function)
    yield from (f"{part}\n\n" for part in text)
    yield "".join(["```text\n", *(f"{line}\n" for line in examples), "```\n"])
    declared = parameters(function)
    arguments = [one for _, one in declared.values() if isinstance(one, Argument)]
    if arguments:
        yield "\n"
    for shown, argument in zip(usage(function), arguments, strict=True):
        yield f"`{shown}`: {argument.help}\n\n"
    options = [(kind, one) for kind, one in declared.values() if isinstance(one, Option)]
    if options:
        yield "" if arguments else "\n"
        yield "| option | meaning |\n|---|---|\n"
    for kind, option in options:
        values = [option.metavar] if option.metavar else [*map(str, get_args(kind))]
        flags = ", ".join(f"`{flag}`" for flag in option.flags)
        taken = " ".join(["", *(f"*{value}*" for value in values)])
        yield f"| {flags}{taken} | {_one_line(option.help)} |\n"


def _first_sentence(text: str) -> str:
    return _one_line(text.partition("\n\n")[0])


# Python.


def _python() -> Iterator[str]:
    yield f"{NOTE}# Python\n\n{inspect.getdoc(api)}\n"
    for name, function in vars(api).items():
        if inspect.isfunction(function) and name[0] != "_":
            shown = str(inspect.signature(function)).replace("'", "")
            code = f"{name}{shown.replace('collections.abc.', '')}"
            yield f"\n## {name}\n\n```python\n{code}\n```\n\n{inspect.getdoc(function)}\n"


# Exit codes.


def _exit_codes() -> Iterator[str]:
    yield f"{NOTE}# Exit codes\n\nThe same for every command.\n\n"
    yield "| code | meaning |\n|---|---|\n"
    yield from (f"| {code} | {_one_line(meaning)} |\n" for code, meaning in EXIT_CODES.items())


# Cleaners.


def _cleaners() -> Iterator[str]:
    yield f"{NOTE}# What cleaners do to tags\n\n"
    yield "The tests run each program, in this version, on a tagged notebook.\n\n"
    yield "| program | tags of cells | `kubeflow_notebook` |\n|---|---|---|\n"
    for cleaner in cleaners():
        fates = (_fate(cleaner, fate) for fate in (cleaner.tags, cleaner.settings))
        yield f"| {cleaner.name} {cleaner.version} | {' | '.join(fates)} |\n"


def _fate(cleaner: Cleaner, fate: Fate) -> str:
    """What happens to the tags or the settings, and the option that keeps them."""
    where = f" in {cleaner.config[0]['file']}" if cleaner.config else ""
    if fate.deletes is True:
        keep = fate.keeps[0]
        return f"**deleted**; kept with `{keep}`{'' if keep.startswith('-') else where}"
    if fate.deletes:
        return f"kept; deleted by {' or '.join(f'`{one}`' for one in fate.deletes)}"
    return "kept"


def _one_line(text: str) -> str:
    return _cell(" ".join(text.split()))


def _cell(text: str) -> str:
    """*text* for a cell of a table, which Markdown reads in its own way."""
    parts = text.split("`")  # what is code stands at the odd places
    parts[::2] = (part.replace("|", "\\|").replace("<", "&lt;") for part in parts[::2])
    return "`".join(parts)


if __name__ == "__main__":
    for folder in (RULES, REFERENCE):
        folder.mkdir(exist_ok=True)
    for path, text in files():
        path.write_text(text, "utf-8")
