"""Pipelines in Kale's words, as the oracle prints them, and what differs between two of them."""

from typing import Any

from kale_tag.kale.pipeline import Pipeline, Step, variables


def in_kales_words(pipeline: Pipeline) -> dict[str, Any]:
    """The parts of a pipeline that the oracle prints, in its form."""
    return {
        "parameters": {
            one.name: {"type": one.type, "default": one.default} for one in pipeline.parameters
        },
        "steps": [_step(step) for step in pipeline.steps],
    }


def _step(step: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": step.name,
        "prev": sorted(step.prev),
        "givers": step.ins,
        "ins": sorted(variables(step.ins)),
        "outs": sorted(variables(step.outs)),
        "params": sorted(step.parameters),
        "metrics": {},
    }
    if isinstance(step, Step):
        found["blocks"] = len([one for one in step.code if one.kind == "step"])
        found["metrics"] = {name: name for name in step.metrics}
    else:
        found["notebook"] = in_kales_words(step.pipeline)
        found["params"] = []  # Kale does not say them
    return found


def compare(ours: list[dict[str, Any]], kales: list[dict[str, Any]]) -> list[str]:
    """What differs: `step1 outs +x -y` says that ours has x, and has not y."""
    names, others = [one["name"] for one in ours], [one["name"] for one in kales]
    if sorted(names) != sorted(others):
        return [_difference("steps", names, others)]
    found = []
    theirs = {one["name"]: one for one in kales}
    for one in ours:
        other = theirs[one["name"]]
        # Ours also depends on the producers of what it takes: ancestors in Kale, which hand it on.
        passed_on = _ancestors(theirs, one["name"]) & {*one["givers"].values()}
        prev = [name for name in one["prev"] if name in other["prev"] or name not in passed_on]
        found.append(_difference(f"{one['name']} prev", prev, other["prev"]))
        for key in ("ins", "outs", "params", "metrics"):
            there = (
                other.get(key, other.get("params_used", ()))
                if key == "params"
                else (other.get(key) or ())
            )
            there = there.values() if isinstance(there, dict) else there
            found.append(_difference(f"{one['name']} {key}", list(one[key]), list(there)))
        if "notebook" in other:
            found += compare(one["notebook"]["steps"], other["notebook"]["steps"])
        elif "blocks" in other and one["blocks"] != other["blocks"]:
            found.append(f"{one['name']} blocks {one['blocks']} for {other['blocks']}")
    return [line for line in found if line]


def _ancestors(steps: dict[str, Any], name: str) -> set[str]:
    above = set(steps[name]["prev"])
    return above.union(*(_ancestors(steps, one) for one in above))


def _difference(what: str, ours: list[str], kales: list[str]) -> str:
    more = [f"+{name}" for name in sorted(set(ours) - set(kales))]
    less = [f"-{name}" for name in sorted(set(kales) - set(ours))]
    return " ".join([what, *more, *less]) if more or less else ""
