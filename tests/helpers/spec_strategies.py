"""Specs made up by hypothesis: built from valid pieces, then damaged, and written as YAML."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from kale_tag.kale import settings, tags
from kale_tag.rules.registry import groups
from kale_tag.spec import compile_section, read, rule

Spec = dict[str, Any]
Place = tuple[Any, Any]
"""A mapping or list of a spec, and the key or position of one value in it."""


class Bare(str):
    """A scalar that is written as it stands, without quotes: `0x10`, `1e3`, `yes`, `~`."""

    __slots__ = ()


def to_yaml(value: object) -> str:
    """*value* in YAML's flow style, where nothing but a `Bare` depends on YAML's own rules."""
    match value:
        case Bare():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{to_yaml(k)} : {to_yaml(v)}" for k, v in value.items()) + "}"
        case list():
            return f"[{', '.join(map(to_yaml, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


# Valid pieces. Each strategy gives what both the reader and the schema should take.

HOLED = st.sampled_from(
    ["${stem}", "a-${name}", "$${x}${dir}", "${stem}_${dir}", r"a_\1", r"\g<who>"]
)
NAMES = st.sampled_from(["a", "_b2", "load_data", "train", "x_y"]) | HOLED
PATTERNS = st.sampled_from([r"^(?P<who>import) ", r"\.fit\(", "(a)|b", "x"])
KEYS = st.sampled_from(["cpu", "nvidia.com/gpu", "x", "a-b"])
POD_KEYS = st.sampled_from(["team", "example.com/owner", "A.b_c-d", "1"])
QUANTITIES = st.sampled_from(
    ["500m", "2Gi", 1, 1.5, 0, *map(Bare, ["0x10", "1e3", ".inf", "1_000", "on", "00"])]
)
LINES = st.sampled_from(
    ["ml", "", "$${x}", "a: b", "é", 7, -1, False, Bare("+1"), Bare("2024-01-01")]
)
SECRETS = st.sampled_from(["db/password", "a.b-c/K_.-", "0/1", Bare("a/b")])
VARIABLES = st.sampled_from(["DB_PASSWORD", "a", "_1"])
TEXTS = st.sampled_from(["a", "x y", "é", "-", "a\nb"])
ANY_TEXT = TEXTS | st.just("") | HOLED
FLAGS = st.booleans()
COUNTS = st.integers(-3, 3)


def one_or_more(item: st.SearchStrategy[Any], least: int = 1) -> st.SearchStrategy[Any]:
    return item | st.lists(item, min_size=least, max_size=2)


def mapping(keys: st.SearchStrategy[str], values: st.SearchStrategy[Any]) -> Any:
    return st.dictionaries(keys, values, max_size=2)


LISTED_DEFAULTS = st.lists(
    st.sampled_from(["limit:cpu:2", "label:a/b:", "annotation:x:${stem} y", "secret:s:k:A"]),
    max_size=2,
)
ENTRIES: dict[str, st.SearchStrategy[Any]] = {
    "limits": mapping(KEYS, QUANTITIES | HOLED | st.none()),
    "labels": mapping(POD_KEYS, LINES | HOLED | st.none()),
    "annotations": mapping(POD_KEYS, LINES | HOLED | st.none()),
    "secrets": mapping(VARIABLES, SECRETS | HOLED | st.none()),
}

DEFAULTS = {kind: entries | st.none() for kind, entries in ENTRIES.items()}

INDICES = st.integers(-3, 9) | st.sampled_from(["4-6", "0 - 0", "1\t-2", "-3--1", "2--1"])
SELECTORS: dict[str, st.SearchStrategy[Any]] = {
    "index": one_or_more(INDICES),
    "source": one_or_more(PATTERNS),
    "heading": PATTERNS,
    "id": one_or_more(TEXTS),
    "tagged": PATTERNS,
    "cell_type": st.just("code"),
}


def some_of(fields: dict[str, st.SearchStrategy[Any]], least: int = 0, most: int = 4) -> Any:
    """A mapping with some of *fields*."""
    names = st.lists(st.sampled_from(sorted(fields)), min_size=least, max_size=most, unique=True)
    return names.flatmap(lambda keys: st.fixed_dictionaries({key: fields[key] for key in keys}))


NEGATED: st.SearchStrategy[Spec] = st.deferred(
    lambda: some_of(
        {**SELECTORS, "cell_type": st.sampled_from(rule.CELL_TYPES), "not": NEGATED}, 1, 2
    )
)
TAGS = st.sampled_from(
    ["imports", "functions", "pipeline-parameters", "pipeline-metrics", "skip"],
)
FOREIGN = st.sampled_from(["parameters", "step", "foo:bar", "skip:x", "${stem}", "blocks:a"])
ANYWHERE: dict[str, st.SearchStrategy[Any]] = {
    "not": NEGATED,
    "expect": st.sampled_from(["one", "some", "any", 0, 3]),
    "add": one_or_more(FOREIGN, 0),
    "remove": one_or_more(PATTERNS, 0),
}
WITH_STEP: dict[str, st.SearchStrategy[Any]] = {
    **ENTRIES,
    "prev": one_or_more(NAMES | st.sampled_from(["step-above", "keep"]), 0),
    "image": st.sampled_from(["python:3.12", " ", "é", None]) | HOLED,
    "cache": st.sampled_from(["enabled", "disabled", None]),
    "report": st.sampled_from(["enabled", "disabled", None]),
}
REFERENCE = st.fixed_dictionaries({"name": NAMES, "path": TEXTS | HOLED})


@st.composite
def rules(draw: st.DrawFn) -> Spec:
    selectors = draw(some_of(SELECTORS, 1))
    role = draw(st.sampled_from((*rule.ROLES, "step", "step", "step", "", "none")))
    made: Spec = {**selectors, **draw(some_of(ANYWHERE))}
    match role:
        case "tag":
            made["tag"] = draw(TAGS)
        case "step":
            made |= {"step": draw(NAMES), **draw(some_of(WITH_STEP))}
        case "notebook":
            made["notebook"] = draw(REFERENCE)
        case "untag":
            made["untag"] = True
        case "none":
            made |= draw(some_of(WITH_STEP, 1))
        case _:
            made.setdefault("add", draw(FOREIGN))
    return made


NAME = st.sampled_from(["a", "b-c", "x${stem}", "${stem}-${dir}", "A ${dir}", "a1"])
MODES = st.sampled_from(["", "rom", "rwo", "rwm", "${stem}"])
VOLUME: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["pv", "pvc", "new_pvc", "clone", "a${dir}"]),
    "expose_as_env_var": FLAGS,
    "size": COUNTS,
    "size_type": ANY_TEXT,
    "snapshot": FLAGS,
    "snapshot_name": ANY_TEXT,
    "storage_class_name": NAME,
    "volume_access_mode": MODES,
    "annotations": st.lists(
        st.fixed_dictionaries({"key": ANY_TEXT, "value": ANY_TEXT}, optional={"x": st.none()}),
        max_size=1,
    ),
    "old": st.none(),
}
VOLUMES = some_of(VOLUME).map(
    lambda more: {"name": "data", "mount_point": "/data", "type": "pvc", **more}
)
LONGEST = st.sampled_from(["a" * 128, "${stem}" + "-" * 126 + "b"])
PIPELINE: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(settings.FIELDS, ANY_TEXT | st.none()),
    "pipeline_name": NAME | LONGEST | st.none(),
    "experiment": mapping(TEXTS, TEXTS | COUNTS) | some_of({"id": TEXTS, "name": HOLED}),
    "enable_caching": FLAGS,
    "steps_defaults": LISTED_DEFAULTS | some_of(DEFAULTS) | st.none(),
    "volumes": st.lists(VOLUMES, max_size=1),
    "security_context": some_of(
        {
            "enabled": FLAGS | st.none(),
            "run_as_user": COUNTS,
            "run_as_group": COUNTS,
            "run_as_non_root": FLAGS,
        }
    ),
    "timeout": st.integers(1, 9),
    "storage_class_name": NAME,
    "volume_access_mode": MODES,
    "snapshot_volumes": FLAGS,
    "katib_run": FLAGS,
    "katib_metadata": some_of(
        {
            "parameters": st.lists(COUNTS | TEXTS, max_size=1),
            "objective": mapping(TEXTS, COUNTS),
            "algorithm": mapping(TEXTS, COUNTS),
            "maxTrialCount": COUNTS,
            "maxFailedTrialCount": COUNTS,
            "parallelTrialCount": COUNTS | st.none(),
        }
    ),
    "docker_image": st.none(),
}
VARS = mapping(st.sampled_from(["owner", "a b", "", "1"]), LINES | QUANTITIES)
COMPILE_STEP: dict[str, st.SearchStrategy[Any]] = {
    "display_name": TEXTS,
    "env": VARS,
    "packages": st.lists(TEXTS, max_size=1),
    "requests": mapping(KEYS, QUANTITIES),
    "retries": st.integers(0, 2),
    "timeout": st.integers(1, 2),
    "node_selector": VARS,
    "image_pull_policy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
    "image_pull_secrets": st.lists(TEXTS, max_size=1),
}
COMPILE: dict[str, st.SearchStrategy[Any]] = {
    "packages": st.lists(TEXTS, max_size=1),
    "files": st.lists(TEXTS, max_size=1),
    "pip_index_urls": st.lists(TEXTS, max_size=1),
    "distributions": mapping(ANY_TEXT, TEXTS),
    "ttl": st.integers(1, 2),
    "artifacts": mapping(ANY_TEXT, st.sampled_from(compile_section.ARTIFACTS)),
    "steps": mapping(NAMES, some_of(COMPILE_STEP)),
}
NOTEBOOK = st.sampled_from(["a.ipynb", "!b", "**/*", "!!"]) | st.fixed_dictionaries(
    {"path": TEXTS}, optional={"pipeline": some_of(PIPELINE), "vars": VARS}
)
SPEC: dict[str, st.SearchStrategy[Any]] = {
    "extends": one_or_more(st.just("base.yaml"), 0),
    "notebooks": st.lists(NOTEBOOK, max_size=2),
    "vars": VARS,
    "pipeline": some_of(PIPELINE),
    "cells": st.lists(rules(), min_size=1, max_size=3),
    "rename": mapping(ANY_TEXT, st.sampled_from(["a", "_b", "load2"])),
    "unmatched": st.sampled_from(read.UNMATCHED),
    "legacy": st.sampled_from(read.LEGACY),
    "compile": some_of(COMPILE),
    "ignore": mapping(st.sampled_from(sorted(groups()["check"])), TEXTS),
}


@st.composite
def valid_specs(draw: st.DrawFn) -> Spec:
    """A spec without a fault of form; others it may have, such as a `prev` that is not there."""
    made = draw(some_of(SPEC, 1, 2))
    if draw(st.booleans()):
        made.setdefault("cells", draw(SPEC["cells"]))
    version = draw(st.sampled_from([1, 1, 1, Bare("0x1")]))
    return {"version": version, **made}


# One small valid spec for every key, so that damage meets each of them.

RULE: Spec = {
    "index": [1, "4-6"],
    "source": ["a", "b"],
    "heading": "a",
    "id": ["a"],
    "tagged": "a",
    "cell_type": "code",
    "not": {"cell_type": "any", "not": {"id": "a"}},
    "expect": 1,
    "tag": "skip",
    "step": "a",
    "notebook": {"name": "a", "path": "b"},
    "untag": True,
    "prev": ["a"],
    "limits": {"cpu": "1"},
    "labels": {"a/b": "c"},
    "annotations": {"a": "b"},
    "secrets": {"A": "b/c"},
    "image": "a",
    "cache": "enabled",
    "report": "disabled",
    "add": ["a"],
    "remove": ["a"],
}
VOLUME_FIELDS: Spec = {
    **dict.fromkeys(settings.VOLUME_FIELDS, "a"),
    "type": "pvc",
    "expose_as_env_var": True,
    "size": 1,
    "snapshot": False,
    "volume_access_mode": "",
    "annotations": [{"key": "a", "value": "b"}],
}
KATIB: Spec = {
    **dict.fromkeys(settings.KATIB_FIELDS, 1),
    "parameters": [],
    "objective": {},
    "algorithm": {},
}
SECURITY: Spec = {
    "enabled": True,
    "run_as_user": 1,
    "run_as_group": 0,
    "run_as_non_root": False,
}
SETTINGS: Spec = {
    **dict.fromkeys(settings.FIELDS, "a"),
    "experiment": {"name": "a"},
    "enable_caching": True,
    "steps_defaults": ["label:a:b"],
    "volumes": [],
    "security_context": {},
    "timeout": 1,
    "volume_access_mode": "rwo",
    "snapshot_volumes": True,
    "katib_run": False,
    "katib_metadata": {},
}
STEP: Spec = {
    "display_name": "a",
    "env": {"A": "b"},
    "packages": ["a"],
    "requests": {"cpu": 1},
    "retries": 0,
    "timeout": 1,
}
TOP: Spec = {
    "extends": ["base.yaml"],
    "notebooks": ["a", {"path": "b", "vars": {"a": "b"}, "pipeline": {"base_image": "a"}}],
    "vars": {"a": "b"},
    "pipeline": {},
    "cells": [],
    "rename": {"a": "b"},
    "unmatched": "keep",
    "legacy": "error",
    "ignore": {"foreign-tag": "a"},
}
SECTION: Spec = {
    "packages": ["a"],
    "files": ["a"],
    "pip_index_urls": ["a"],
    "artifacts": {"a": "Model"},
    "steps": {"a": {}},
}


def _beside(key: str) -> Spec:
    """What a rule needs beside *key*."""
    selector = {} if key in rule.SELECTORS else {"id": "a"}
    return selector if key in rule.ROLES else {**selector, "step": "a"}


GROUPS: list[tuple[str, Spec, Callable[[str], Spec], Callable[[Spec], Spec]]] = [
    ("spec", TOP, lambda _: {"version": 1}, lambda made: made),
    ("cells", RULE, _beside, lambda made: {"cells": [made]}),
    ("pipeline", SETTINGS, lambda _: {}, lambda made: {"pipeline": made}),
    (
        "volumes",
        VOLUME_FIELDS,
        lambda _: {"name": "a", "mount_point": "b", "type": "pvc"},
        lambda made: {"pipeline": {"volumes": [made]}},
    ),
    *(
        (name, fields, lambda _: {}, lambda made, name=name: {"pipeline": {name: made}})
        for name, fields in (
            ("katib_metadata", KATIB),
            ("security_context", SECURITY),
            ("steps_defaults", {key: RULE[key] for key in tags.DEFAULTS}),
        )
    ),
    ("compile", SECTION, lambda _: {}, lambda made: {"compile": made}),
    ("compile.steps", STEP, lambda _: {}, lambda made: {"compile": {"steps": {"a": made}}}),
]


def samples() -> Iterator[tuple[str, Spec, Place]]:
    """A name, a small valid spec, and the place of the one thing that it shows."""
    for name, fields, beside, around in GROUPS:
        for key, value in deepcopy(fields).items():
            holder = {**beside(key), key: value}
            top = around(holder)
            top.setdefault("version", 1)
            yield f"{name}.{key}", top, (holder, key)


# Damage.

WORDS = sorted(
    {*read.KEYS, *rule.KEYS, *settings.FIELDS, *settings.VOLUME_FIELDS, "name", "path", "stem"}
    | {*settings.SECURITY_FIELDS, *settings.KATIB_FIELDS, *tags.DEFAULTS, "key", "value"}
    | {*compile_section.KEYS, *compile_section.STEP_KEYS}
)
ODD: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        2.5,
        1.0,
        "",
        "a",
        "A",
        "a b",
        "a/b",
        "step:a",
        "skip",
        "one",
        "any",
        "!",
        "a\nb",
    ),
    *(
        "${stem}",
        "$${x}",
        r"\1",
        "limit:cpu:2",
        "a" * 129,
        "a,b",
        "1-2",
        [],
        {},
        [None],
        ["a"],
        {"a": "b"},
    ),
    *map(Bare, ["0x10", "1e-3"]),
]
ODDER = [
    *(False, 1, "block:x", "functions", "imports", "upgrade", "enabled", "code", "error", "keep"),
    *(
        "one",
        "any",
        "true",
        "1",
        "6-4",
        "1-2-3",
        "-1-2",
        "(",
        "${",
        "A${stem}",
        r"A\1",
        r"\g<a-b>",
        r"\g<a>",
    ),
    *("limit:cpu:", "label:a:${stem}", "${stem}" * 129, "prev:a;b", "base.yaml", "rwo", [[]]),
    *map(Bare, ["1e3", "+1", "-0", "-1.0", ".inf", "-.inf", ".nan", "~"]),
]
ODD_VALUES = st.sampled_from([*ODD, *ODDER])
MORE = [("A B", "x"), ("A B", "${stem}"), ("stem", "x"), ("key", None), ("", "x"), ("", None)]
"""Keys to add, with their values."""

LETTERS = "aA1\u0663_-./:; ,!$\n\t\\é\u2028\u00a0%{}"


def places(value: Any) -> Iterator[Place]:
    """Every value inside *value*, by what holds it."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(members):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def all_damage(sample: Spec, place: Place) -> Iterator[Spec]:
    """*sample* with every odd value in every place of it, with keys too few and too many."""

    def fresh(number: int) -> tuple[Spec, Any, Any]:
        made, at = deepcopy((sample, place))  # together, so that the place is in the copy
        return made, *_inside(at)[number]

    for number in range(len(_inside(place))):
        for odd in ODD:
            made, holder, key = fresh(number)
            holder[key] = odd
            yield made
        made, holder, key = fresh(number)
        del holder[key]
        yield made
        for word, value in MORE:
            made, holder, key = fresh(number)
            if isinstance(holder, dict):
                holder[word] = value
                yield made


def _inside(place: Place) -> list[Place]:
    """*place* and those below it."""
    holder, key = place
    inner = holder[key]
    return [place, *(places(inner) if isinstance(inner, dict | list) else ())]


@st.composite
def damaged_samples(draw: st.DrawFn) -> Spec:
    """A sample, one value of which is hardly another."""
    _, sample, place = draw(st.sampled_from(list(samples())))
    made, at = deepcopy((sample, place))
    holder, key = draw(st.sampled_from(_inside(at)))
    if isinstance(holder, dict) and draw(FLAGS):
        holder[_near(draw, key)] = holder.pop(key)
        return made
    value = draw(st.just(holder[key]) | HOLED | ODD_VALUES)
    holder[key] = _near(draw, value)
    return made


@st.composite
def damaged_specs(draw: st.DrawFn) -> Spec:
    """A valid spec, changed in one or two places."""
    made: Spec = deepcopy(draw(valid_specs()))
    for _ in range(draw(st.integers(1, 2))):
        found = list(places(made))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        how = draw(st.sampled_from(["odd", "near", "copy", "remove", "add", "rename", "wrap"]))
        if how == "odd":
            holder[key] = deepcopy(draw(ODD_VALUES))
        elif how == "near":
            holder[key] = _near(draw, holder[key])
        elif how == "copy":
            other, name = draw(st.sampled_from(found))
            holder[key] = deepcopy(other[name])
        elif how == "remove":
            del holder[key]
        elif how == "wrap":
            holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            name = draw(st.sampled_from(WORDS) | st.just(_near(draw, str(key))))
            holder[name] = holder.pop(key) if how == "rename" else deepcopy(draw(ODD_VALUES))
        else:
            holder.append(deepcopy(draw(ODD_VALUES)))
    return made


def _near(draw: st.DrawFn, value: Any) -> Any:
    """A value that is hardly another."""
    match value:
        case Bare() | None | float():
            return str(value)
        case str():
            at = draw(st.integers(0, len(value)))
            return value[:at] + draw(st.sampled_from(LETTERS)) + value[at + draw(FLAGS) :]
        case bool():
            return not value
        case int():
            return draw(st.sampled_from([value - 1, -value, float(value), str(value), value > 0]))
        case list():
            return value[0] if value else {}
        case _:
            return [value]
