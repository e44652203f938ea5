"""Which values the parameters of a pipeline can have: those that arrive as they were written."""

import math
from collections.abc import Iterator

from kale_tag.compiler.ir_yaml import KEY_LENGTH
from kale_tag.compiler.notes import Notes
from kale_tag.kale.pipeline import Parameter

EXACT = 2**53
"""Kubeflow Pipelines carries all numbers as doubles; above this not all whole numbers are one."""


def check_parameter(parameter: Parameter, notes: Notes) -> None:
    """Note why the default of *parameter* would not arrive as it is."""
    what = f"the default of the parameter `{parameter.name}`"
    for message, remedy in _diagnostics(parameter.default):
        notes.refuse("parameter-value", f"{what} {message}", parameter.label, help=remedy)
    if isinstance(parameter.default, list | dict) and holds_none(parameter.default):
        message = f"{what} has None in it, which kfp's local runner and compiler do not take"
        notes.warn("none-in-parameter", message, parameter.label, "on a cluster it is no trouble")
    for text in _texts(parameter.default):
        notes.check_text(text, what, parameter.label)


def arrives_whole(value: object, *, inside: bool = False) -> bool:
    """Whether *value* arrives as it is: inside of others, 1.0 comes as 1, and keys come sorted."""
    match value:
        case float():
            return not (inside and value.is_integer())
        case list():
            return all(arrives_whole(entry, inside=True) for entry in value)
        case dict():
            entries = all(arrives_whole(entry, inside=True) for entry in value.values())
            return entries and [*value] == sorted(value)
        case _:
            return True


def holds_none(value: object) -> bool:
    """Whether there is a None in *value*."""
    match value:
        case None:
            return True
        case list():
            return any(map(holds_none, value))
        case dict():
            return any(map(holds_none, value.values()))
        case _:
            return False


def _diagnostics(value: object) -> Iterator[tuple[str, str]]:
    match value:
        case int() if abs(value) > EXACT:
            yield (
                f"is {value}, of which Kubeflow Pipelines would lose digits",
                "write it as text, and `int(...)` where it is used",
            )
        case float() if not math.isfinite(value):
            yield f"is {value}, which JSON does not have", f"write it as text, `'{value}'`"
        case list():
            for entry in value:
                yield from _diagnostics(entry)
        case dict():
            for key, entry in value.items():
                if not isinstance(key, str):
                    yield f"has the key `{key!r}`; keys of parameters are text", "write it as text"
                elif len(key) > KEY_LENGTH // 6:  # an escape has up to six letters
                    yield f"has a key of {len(key)} characters", "use shorter keys"
                yield from _diagnostics(entry)
        case _ if not isinstance(value, bool | int | float | str | None):
            yield f"is a {type(value).__name__}, which a parameter cannot be", ""
        case _:
            pass


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for entry in value:
                yield from _texts(entry)
        case dict():
            for key, entry in value.items():
                yield from _texts(key)
                yield from _texts(entry)
        case _:
            pass
