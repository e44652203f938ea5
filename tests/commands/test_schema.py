"""`schema.json` and the reader of specs agree on every question of form.

A question of form is one that JSON Schema can put. What it cannot put stands in `BEYOND`.
"""

import functools
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given
from hypothesis import settings as hypothesis_settings
from jsonschema import Draft7Validator, ValidationError
from jsonschema.validators import extend
from spec_strategies import (
    RULE,
    Place,
    Spec,
    all_damage,
    damaged_samples,
    damaged_specs,
    samples,
    to_yaml,
    valid_specs,
)

from kale_tag.commands.schema import spec_schema
from kale_tag.commands.shared.targets import is_ready, ready_spec
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError
from kale_tag.fields.yaml_tree import plain, read_yaml
from kale_tag.kale import settings, tags
from kale_tag.rules.registry import groups
from kale_tag.spec import compile_section, read, rule, template
from kale_tag.spec.read import read_spec

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = spec_schema()
FUZZ = hypothesis_settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

EACH = 1 if "KALE_TAG_EXAMPLES" in os.environ else 4
"""`make slow` tries all, the fast suite one of so many, by turns."""

FORM = {
    *("unknown-key", "missing-key", "wrong-type", "wrong-value", "wrong-version", "empty-spec"),
    *("unknown-setting", "invalid-setting", "invalid-default", "invalid-pipeline-name"),
    *("invalid-name", "invalid-storage-class-name", "no-selector", "no-effect", "two-roles"),
    *("not-code", "setting-without-step", "kale-tag-added", "invalid-tag", "reserved-name"),
    *("invalid-secret", "not-yet", "nested-variable"),
    *(
        f"invalid-{part.name.replace(' ', '-')}"
        for kind in tags.KINDS.values()
        for part in kind.parts
    ),
}
"""The codes of faults that JSON Schema can see too."""

BEYOND = {
    "invalid-regex": "Python's syntax; JSON Schema knows only its own",
    "unknown-group": "a value that depends on the pattern in another",
    "unknown-variable": "a value that depends on the keys of `vars`, and on other files",
    "unknown-prev": "a value that must stand elsewhere in the file",
    "cycle": "a question about a graph",
    "rename-chain": "a value that must not stand elsewhere in the file",
    "two-experiments": "two values that must be equal",
}
"""The codes of faults that JSON Schema cannot see, and why. Faults of YAML itself are not here:
where there is no tree, there is nothing to ask."""


def beyond(diagnostic: Diagnostic) -> bool:
    """Whether JSON Schema cannot see *fault*: by its code, or one of two that share a code."""
    if diagnostic.code in BEYOND:
        return True
    assert diagnostic.code in FORM, f"a new code: can JSON Schema see `{diagnostic.code}`?"
    if diagnostic.message.startswith("the range `"):
        return True  # `6-4`: two numbers inside one text, compared
    label = diagnostic.labels[0]
    written = label.source.text[label.span.start : label.span.end] if label.span else ""
    # `+1` and `1e-3` reach a schema as 1 and 0.001; Kale gets the text, and takes no sign in it.
    return diagnostic.code == "invalid-quantity" and _is_number(written) and float(written) >= 0


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?[0-9][0-9.]*([eE][-+]?[0-9]+)?", text) is not None


def _in_python(schema: Any) -> Any:
    r"""*schema* with `$` in its patterns as ECMAScript means it, and so every editor: Python's
    `$` also stands before a last line break."""
    if isinstance(schema, list):
        return [_in_python(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _in_python(value) for key, value in schema.items()}
    if isinstance(pattern := made.get("pattern"), str):
        made["pattern"] = _ending(pattern)
    if isinstance(patterns := made.get("patternProperties"), dict):
        made["patternProperties"] = {_ending(key): value for key, value in patterns.items()}
    return made


def _ending(pattern: str) -> str:
    return re.sub(r"(?<!\\)\$", r"\\Z", pattern)


def _is_int(_: object, value: object) -> bool:
    """JSON has one kind of number, in which 1.0 is whole; YAML and Kale tell 1.0 from 1."""
    return isinstance(value, int) and not isinstance(value, bool)


STRICT = Draft7Validator.TYPE_CHECKER.redefine("integer", _is_int)
EXTENDED = extend(Draft7Validator, type_checker=STRICT)  # type: ignore[no-untyped-call]
VALIDATOR: Draft7Validator = EXTENDED(_in_python(SCHEMA))

ONCE_JUDGED_DIFFERENTLY = {
    "empty ids": ("{version: 1, cells: [{id: [], untag: true}]}", False),
    "empty sources": ("{version: 1, cells: [{source: [], untag: true}]}", False),
    "empty indices": ("{version: 1, cells: [{index: [], untag: true}]}", False),
    "a hole in a listed default": (
        "{version: 1, pipeline: {steps_defaults: ['limit:cpu:${stem}']}}",
        True,
    ),
    "digits of other scripts": ("{version: 1, cells: [{index: '٤-٦', tag: skip}]}", False),
    "a number of many digits": (
        f"{{version: 1, cells: [{{index: '0-{'9' * 5000}', tag: skip}}]}}",
        False,
    ),
    "a range from the end": (
        "{version: 1, cells: [{index: ['-3--1', '2 - -1'], tag: skip}]}",
        True,
    ),
    "a hole among words": (
        "{version: 1, pipeline: {volume_access_mode: '${dir}', storage_class_name: 'A${dir}'}}",
        True,
    ),
    "a hole in a volume's type": (
        "{version: 1, pipeline: {volumes: [{name: a, mount_point: b, type: '${stem}'}]}}",
        True,
    ),
    "a hole where a number stands": ("{version: 1, pipeline: {timeout: '${stem}'}}", False),
    "a key with a hole": (
        "{version: 1, cells: [{id: a, step: a, labels: {'a-${stem}': b}}]}",
        False,
    ),
    "a wrong key of a value with a hole": (
        "{version: 1, cells: [{id: a, step: a, limits: {CPU: '${stem}'}}]}",
        False,
    ),
    "an escape is no hole": ("{version: 1, cells: [{id: a, step: 'A B$${x}'}]}", False),
    "null for limits": ("{version: 1, pipeline: {steps_defaults: {limits: null}}}", True),
    "a group by its number": (
        r"{version: 1, cells: [{source: '(a)(b)', step: 'A \g<1>'}]}".replace("\\", "\\"[:1]),
        True,
    ),
    "a boolean as a quantity": (
        "{version: 1, cells: [{id: a, step: a, limits: {cpu: true}}]}",
        False,
    ),
    "a boolean as a label": (
        "{version: 1, cells: [{id: a, step: a, labels: {a: true}, annotations: {a: false}}]}",
        True,
    ),
    "a boolean as a request": (
        "{version: 1, compile: {steps: {a: {requests: {cpu: true}}}}}",
        False,
    ),
    "an excluding path": ("{version: 1, notebooks: [{path: '!b'}]}", False),
    "a number as an experiment": ("{version: 1, pipeline: {experiment: {name: 3}}}", False),
    "a key of the user's own": ("{version: 1, x-any: [{a: b}]}", True),
    "version 1.0": ("{version: 1.0}", False),
    "null as a key": ("{version: 1, cells: [{id: a, step: a, limits: {null: 1}}]}", True),
}


@pytest.fixture(autouse=True)
def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader and the schema judge the same tree: to read it takes longer than to judge it."""
    monkeypatch.setattr(read, "read_yaml", read_once)


read_once = functools.lru_cache(1)(read_yaml)


def no_file(name: str, _: Label) -> Source:
    return Source(name, "version: 1\n")


def reader_says(text: str, load: read.Load = no_file) -> list[Diagnostic]:
    """What the reader says of *text* itself that JSON Schema could say too."""
    source = Source("spec.yaml", text)
    try:
        read_spec(source, load)
    except UserError as exc:
        return [
            found
            for found in exc.diagnostics
            if found.labels[0].source.name == source.name and not beyond(found)
        ]
    return []


def schema_says(text: str) -> list[ValidationError]:
    """What the schema says of *text*."""
    tree = read_once(Source("spec.yaml", text))
    return list(VALIDATOR.iter_errors(None if tree is None else plain(tree)))


def assert_agree(text: str, load: read.Load = no_file) -> bool:
    """Fails where the two judge differently; whether *text* is right in form."""
    reader, schema = reader_says(text, load), schema_says(text)
    assert bool(reader) == bool(schema), "\n".join(
        (
            text,
            f"the reader says {[f'{one.code}: {one.message}' for one in reader]},",
            f"the schema says {[f'{one.json_path}: {one.message}' for one in schema]}",
        )
    )
    return not reader


# The schema alone.


def test_the_schema_is_a_valid_draft_7_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def subschemas(schema: Any, path: str = "#") -> list[tuple[str, dict[str, Any]]]:
    """Every schema inside *schema*, by its JSON pointer."""
    found = [(path, schema)]
    named = ("properties", "patternProperties", "definitions")
    for key in ("items", "additionalProperties", "not", "propertyNames"):
        if isinstance(schema.get(key), dict):
            found += subschemas(schema[key], f"{path}/{key}")
    for key in ("anyOf", "allOf"):
        for position, inner in enumerate(schema.get(key, ())):
            found += subschemas(inner, f"{path}/{key}/{position}")
    for key in named:
        for name, inner in schema.get(key, {}).items():
            found += subschemas(inner, f"{path}/{key}/{name}")
    for name, inner in schema.get("dependencies", {}).items():
        if isinstance(inner, dict):
            found += subschemas(inner, f"{path}/dependencies/{name}")
    return found


ALL = subschemas(SCHEMA)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """*schema* as an editor shows it: what stands beside a `$ref` wins over what it names."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    return {**SCHEMA["definitions"][name], **schema} if name else schema


def test_every_key_has_one_sentence_for_hover() -> None:
    """An editor that shows a key of a spec can say what it means, in one sentence."""
    for path, schema in ALL:
        if "/dependencies/" in path:
            continue
        for key, value in schema.get("properties", {}).items():
            said = resolved(value).get("description", "")
            assert re.fullmatch(r"[^\n]{8,170}\.", said), f"{path}/{key}: {said!r}"


def test_every_pattern_has_words_for_editors() -> None:
    """Where a text does not match, an editor says what was meant, not the pattern."""
    for path, schema in ALL:
        said = schema.get("patternErrorMessage", "")
        assert ("pattern" in schema) == bool(re.fullmatch(r"[^\n]{8,130}\.", said)), path


def test_nothing_but_words_stands_beside_a_ref() -> None:
    """Draft 7 passes over everything beside `$ref`, so no rule may stand there."""
    for path, schema in ALL:
        if "$ref" in schema:
            assert schema.keys() <= {"$ref", "description", "examples", "default"}, path


def test_every_definition_is_used() -> None:
    used = set(re.findall(r'"#/definitions/(\w+)"', json.dumps(SCHEMA)))
    assert used == SCHEMA["definitions"].keys()


def test_every_example_and_default_is_valid() -> None:
    """What an editor offers is taken by the schema itself."""
    for path, schema in ALL:
        offered = [*schema.get("examples", ())]
        offered += [schema["default"]] if "default" in schema else []
        for value in offered:
            diagnostics = list(VALIDATOR.evolve(schema=_in_python(schema)).iter_errors(value))
            assert not diagnostics, f"{path}: {value}: {diagnostics}"


def keys(pointer: str) -> set[str]:
    """The keys under `properties` of the schema at *pointer*."""
    return set(dict(ALL)[pointer]["properties"])


@pytest.mark.parametrize(
    ("pointer", "known"),
    [
        ("#", read.KEYS),
        ("#/definitions/rule", rule.KEYS),
        ("#/definitions/not", rule.SELECTORS),
        ("#/definitions/pipeline", settings.FIELDS),
        ("#/definitions/pipeline/properties/steps_defaults/anyOf/0", tags.DEFAULTS),
        ("#/definitions/pipeline/properties/security_context", settings.SECURITY_FIELDS),
        ("#/definitions/pipeline/properties/katib_metadata", settings.KATIB_FIELDS),
        ("#/definitions/volume", settings.VOLUME_FIELDS),
        ("#/properties/compile", compile_section.KEYS),
        ("#/definitions/compileStep", compile_section.STEP_KEYS),
    ],
)
def test_schema_and_reader_know_the_same_keys(pointer: str, known: tuple[str, ...]) -> None:
    """The keys of each mapping are those of the reader, none more and none less."""
    assert keys(pointer) == set(known)


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("#/properties/unmatched", read.UNMATCHED),
        ("#/properties/legacy", read.LEGACY),
        (
            "#/properties/compile/properties/artifacts/additionalProperties",
            compile_section.ARTIFACTS,
        ),
        ("#/definitions/cellType", rule.CELL_TYPES),
        ("#/definitions/rule/properties/tag", tags.SPECIAL),
        ("#/definitions/switch", (*tags.SWITCH, None)),
    ],
)
def test_schema_and_reader_know_the_same_words(pointer: str, words: tuple[str | None, ...]) -> None:
    """Where a value is one of some words, an editor offers all of them in the reader's order."""
    assert dict(ALL)[pointer]["enum"] == list(words)


def test_schema_and_checker_know_the_same_lints() -> None:
    """An editor offers the codes that can be silenced, in the order of the docs."""
    assert SCHEMA["properties"]["ignore"]["propertyNames"]["enum"] == groups()["check"]


def test_names_of_path_parts_are_reserved() -> None:
    """The names that the reader keeps for parts of a path are those that the schema keeps."""
    reserved = SCHEMA["definitions"]["vars"]["propertyNames"]["not"]["enum"]
    assert reserved == list(template.VARIABLES)


# The schema against the reader.

WORDS_OF_VOLUMES = [
    (f"#/definitions/volume/properties/{key}/anyOf/0", key)
    for key in ("type", "volume_access_mode")
]


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "[{version: 1}]", "version", "1", "~"])
def test_what_is_no_mapping_is_no_spec(text: str) -> None:
    """A file that holds nothing, a list or one value is no spec to either."""
    assert not assert_agree(text)


@pytest.mark.parametrize(("pointer", "key"), WORDS_OF_VOLUMES)
def test_words_of_volumes_are_taken_by_both(pointer: str, key: str) -> None:
    """Each word that an editor offers for a volume is taken by the reader too."""
    for word in dict(ALL)[pointer]["enum"]:
        volume = {"name": "a", "mount_point": "b", "type": "pvc", key: word}
        made = {"version": 1, "pipeline": {"volumes": [volume]}}
        assert assert_agree(to_yaml(made)), word


SPECS = [*ROOT.glob("examples/**/[!.]*.yaml"), *ROOT.glob("specs/**/*.yaml")]


@pytest.mark.parametrize("path", sorted(SPECS), ids=str)
def test_examples_are_valid_to_both(path: Path) -> None:
    """Each example spec is right in form to the reader and to the schema."""

    def load(name: str, _: Label) -> Source:
        if is_ready(name):
            return ready_spec(name)
        return Source(name, (path.parent / name).read_text("utf-8"))

    assert assert_agree(path.read_text("utf-8"), load)


SPEC_IN_CASE = re.compile(r"^```ya?ml (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "case",
    sorted((ROOT / "tests/cases").rglob("*.md")),
    ids=lambda path: str(path.relative_to(ROOT / "tests/cases")),
)
def test_specs_in_cases_are_judged_alike(case: Path) -> None:
    """Each spec shown in a case is right in form to both the reader and the schema, or to none."""
    for block in SPEC_IN_CASE.finditer(case.read_text("utf-8")):
        try:
            read_yaml(Source("spec.yaml", block[2]))
        except UserError:
            continue  # not YAML: there is nothing to show the schema
        assert_agree(block[2])


@pytest.mark.parametrize(
    ("text", "right"), ONCE_JUDGED_DIFFERENTLY.values(), ids=ONCE_JUDGED_DIFFERENTLY
)
def test_once_judged_differently(text: str, right: bool) -> None:  # noqa: FBT001
    """What the reader and the schema once disagreed on, they now judge alike."""
    assert assert_agree(text) is right


@pytest.mark.parametrize(
    ("number", "sample", "place"),
    [pytest.param(n, made, at, id=name) for n, (name, made, at) in enumerate(samples())],
)
def test_odd_values_at_every_key_are_judged_alike(number: int, sample: Spec, place: Place) -> None:
    """A valid sample of each key is taken by both, and whatever is put in it is judged alike."""
    assert assert_agree(to_yaml(sample))
    for made in itertools.islice(all_damage(sample, place), number % EACH, None, EACH):
        assert_agree(to_yaml(made))


@pytest.mark.parametrize("selector", [{}, {"id": "a"}], ids=["alone", "with a selector"])
def test_any_two_keys_of_a_rule_are_judged_alike(selector: Spec) -> None:
    """What keys a rule needs, and which do not go together, is the same to both."""
    pool = [*RULE.items(), ("cell_type", "any")]
    turn = len(selector) % EACH
    pairs = itertools.islice(itertools.combinations(pool, 2), turn, None, EACH)
    for chosen in [*itertools.combinations(pool, 1), *pairs]:
        assert_agree(to_yaml({"version": 1, "cells": [{**selector, **dict(chosen)}]}))


@given(damaged_samples())
@FUZZ
def test_near_misses_are_judged_alike(made: Spec) -> None:
    """A text or a number that is almost right is taken by both or by none."""
    event(f"valid: {assert_agree(to_yaml(made))}")


@given(valid_specs())
@FUZZ
def test_valid_specs_are_valid_to_both(made: Spec) -> None:
    """A spec put together from valid pieces has no fault of form."""
    assert assert_agree(to_yaml(made))


@given(damaged_specs())
@FUZZ
def test_damaged_specs_are_judged_alike(made: Spec) -> None:
    """Whatever is changed in a spec, the reader finds a fault of form just if the schema does."""
    text = to_yaml(made)
    event(f"valid: {assert_agree(text)}")
