"""The values that a run gives the parameters of a pipeline, typed as the notebook types them."""

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from kale_tag.compiler.parameter_value import EXACT, holds_none
from kale_tag.diagnostics import Diagnostic, Label, error, suggest
from kale_tag.kale.pipeline import Parameter

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "list": "a list, written as JSON: '[1, 2]'",
    "dict": "a mapping, written as JSON: '{\"key\": 1}'",
}


def given_arguments(
    texts: Iterable[str], parameters: Sequence[Parameter]
) -> tuple[dict[str, object], list[Diagnostic]]:
    """The values that *texts*, each `NAME=VALUE`, give *parameters*; and what is wrong with them.

    Text is taken as it is, lists and mappings are JSON. Of two values for a name the last counts.
    """
    known = {one.name: one for one in parameters}
    found: dict[str, object] = {}
    diagnostics: list[Diagnostic] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            message = f"`{text}` gives no value: a parameter is given as NAME=VALUE"
            hint = f"write -p {text}=VALUE" if text in known else _help_for(text, known)
            diagnostics.append(error("no-value", message, help=hint))
        elif (parameter := known.get(name)) is None:
            diagnostics.append(_unknown(name, known, None))
        else:
            try:
                found[name] = check_argument(parameter, _READERS[parameter.type](value))
            except ValueError as exc:
                diagnostics.append(_wrong(parameter, value, str(exc), None))
    return found, diagnostics


def file_arguments(
    values: Mapping[str, tuple[Label, Label, object]], parameters: Sequence[Parameter]
) -> tuple[dict[str, object], list[Diagnostic]]:
    """The same for values that stand in a file, each with the places of its name and of itself."""
    known = {one.name: one for one in parameters}
    found: dict[str, object] = {}
    diagnostics: list[Diagnostic] = []
    for name, (name_label, label, value) in values.items():
        parameter = known.get(name)
        if parameter is None:
            diagnostics.append(_unknown(name, known, name_label))
            continue
        try:
            found[name] = check_argument(parameter, value)
        except ValueError as exc:
            diagnostics.append(_wrong(parameter, value, str(exc), label))
    return found, diagnostics


def check_argument(parameter: Parameter, value: object) -> object:
    """*value* if it is one for *parameter*, else `ValueError` with the reason, "" if it is plain.

    A whole number is a number too. What Kubeflow Pipelines would change on the way is no value.
    """
    if parameter.type == "float" and type(value) is int:
        value = float(value)
    if type(value).__name__ != parameter.type:
        raise ValueError
    _check_arrives(value)
    return value


def _check_arrives(value: object) -> None:
    for message in _diagnostics(value):
        raise ValueError(message)
    if isinstance(value, list | dict) and holds_none(value):
        # The type is right; it is the value that kfp.local cannot take.
        raise ValueError("it has null in it, which KFP's local runner does not take")


def _diagnostics(value: object) -> Iterator[str]:
    """Why *value*, or what is in it, would not arrive as it is."""
    match value:
        case bool() | None:
            pass
        case int() if abs(value) > EXACT:
            yield "Kubeflow Pipelines would lose digits of it"
        case float() if not math.isfinite(value):
            yield "JSON has no such number"
        case str() if "\0" in value or "{{" in value:
            sign = "NUL" if "\0" in value else "`{{`"
            yield f"it has {sign} in it, which does not reach a container as it is"
        case list():
            yield from itertools.chain.from_iterable(map(_diagnostics, value))
        case dict():
            yield from (f"its key {key!r} is not text" for key in value if type(key) is not str)
            yield from itertools.chain.from_iterable(map(_diagnostics, (*value, *value.values())))
        case _:
            pass


def _whole(text: str) -> object:
    return int(text)


def _number(text: str) -> object:
    return float(text)


def _boolean(text: str) -> object:
    found = {"true": True, "false": False}.get(text.lower())
    if found is None:
        raise ValueError
    return found


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError as exc:
        raise ValueError(f"it is not JSON: {exc}") from None
    return value


def _plain(reader: Callable[[str], object]) -> Callable[[str], object]:
    """*reader*, whose own words for what is wrong say no more than ours."""

    def read(text: str) -> object:
        try:
            return reader(text)
        except ValueError:
            raise ValueError from None

    return read


_READERS: Mapping[str, Callable[[str], object]] = {
    "int": _plain(_whole),
    "float": _plain(_number),
    "str": str,
    "bool": _boolean,
    "list": _json,
    "dict": _json,
}


def _unknown(name: str, known: Mapping[str, Parameter], at: Label | None) -> Diagnostic:
    message = f"the pipeline has no parameter `{name}`"
    return error("unknown-parameter", message, at, help=_help_for(name, known))


def _help_for(name: str, known: Mapping[str, Parameter]) -> str:
    return suggest(name, known, "its parameters are") or "it has none"


def _wrong(parameter: Parameter, value: object, why: str, at: Label | None) -> Diagnostic:
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    message = f"`{parameter.name}` takes {KINDS[parameter.type]}, not `{shown}`"
    if why:
        message = f"`{parameter.name}` cannot be `{shown}`: {why}"
    default = json.dumps(parameter.default, ensure_ascii=False, default=str)
    notes = [f"its default is {default}"] if len(default) < 100 else []
    return error("invalid-argument", message, at, notes=notes)
