"""Kubernetes quantities such as `500m`, `2Gi` and `1.5e3`: their values, and those refused."""

import re
from dataclasses import dataclass
from decimal import Decimal

from kale_tag.diagnostics import nearest

_FORM = re.compile(r"\+?(\d+(?:\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?", re.ASCII)
_POWERS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_LOOSE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*")
_SPELLINGS = {"b": "", "kb": "k", "mb": "M", "gb": "G", "tb": "T", "kib": "Ki", "mib": "Mi"}
_SPELLINGS |= {"gib": "Gi", "tib": "Ti", "g": "G", "gi": "Gi", "mi": "Mi", "ki": "Ki", "k": "k"}
_SPELLINGS |= {"t": "T", "ti": "Ti", "core": "", "cores": "", "cpu": "", "cpus": ""}

LEAST_MEMORY = 4 * 1024 * 1024
"""Bytes; container runtimes refuse to start a container with less."""


@dataclass(eq=False)
class BadQuantityError(Exception):
    """A quantity that Kubernetes or a container runtime refuses."""

    message: str
    remedy: str = ""  # the help


def amount(text: str) -> Decimal:
    """The number that the quantity *text* is.

    Source: k8s.io/apimachinery's `resource.Quantity`. Raises `BadQuantityError`.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        better = meant(text)
        remedy = "write a number, if need be with a unit: `1`, `500m`, `2Gi`"
        if better:
            remedy = f"write `{better}`"
        raise BadQuantityError(f"`{text}` is not a quantity of Kubernetes", remedy)
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _BINARY:
        return number * Decimal(1024) ** (_BINARY.index(suffix) + 1)
    if suffix[:1] in {"e", "E"} and len(suffix) > 1:
        return number.scaleb(int(suffix[1:]))
    return number.scaleb(_POWERS[suffix] if suffix else 0)


def meant(text: str) -> str:
    """The quantity that *text* is meant to be: `0.5 cores` is `0.5`; "" if that is not known."""
    tight = "".join(text.split())
    if _FORM.fullmatch(tight):
        return tight
    loose = _LOOSE.fullmatch(text)
    unit = _SPELLINGS.get(loose[2].lower()) if loose else None
    return f"{loose[1]}{unit}" if loose and unit is not None else ""


def cpus(text: str) -> float:
    """The number of cores that *text* is. Raises `BadQuantityError`."""
    number = amount(text)
    if number <= 0:
        raise BadQuantityError(f"`{text}` is not an amount of CPU", "leave it out for no limit")
    if number < Decimal("0.001"):
        raise BadQuantityError(f"`{text}` is less than a thousandth of a CPU, the least there is")
    if number > 1_000_000:
        small = text.removesuffix("M") + "m" if text.endswith("M") else ""
        remedy = f"did you mean `{small}`, thousandths of a CPU?" if small else ""
        raise BadQuantityError(f"`{text}` is {number:,.0f} CPUs", remedy)
    return float(number)


def memory(text: str) -> float:
    """The memory that *text* is, in units of 10^9 bytes. Raises `BadQuantityError`."""
    number = amount(text)
    if number < LEAST_MEMORY:
        digits = re.match(r"[\d.]+", text)
        guess = f"{digits[0]}Gi" if digits and number < 100_000 and Decimal(digits[0]) else ""
        if text.endswith("m"):
            guess = f"{text[:-1]}Mi"
        raise BadQuantityError(
            f"`{text}` is {number.normalize():f} bytes of memory; no container starts with that",
            f"did you mean `{guess}`?" if guess else "",
        )
    return float(number / 10**9)


def devices(text: str) -> int:
    """The number of devices that *text* is, a whole number. Raises `BadQuantityError`."""
    number = amount(text)
    if number != number.to_integral_value():
        raise BadQuantityError(f"`{text}` is not a whole number of devices")
    return int(number)


def known_resource(word: str) -> str:
    """The resource that KFP can express and that *word* is probably a slip for, or ""."""
    if word.lower() in {"gpu", "gpus", "nvidia", "cuda"}:
        return "nvidia.com/gpu"
    return nearest(word.lower(), ("cpu", "memory", "nvidia.com/gpu", "amd.com/gpu"))
