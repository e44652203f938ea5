"""A package as a file: its documents."""

import json

from kale_tag.diagnostics import Label, Source, Span, UserError, error


def documents(source: Source) -> list[object]:
    """The documents of a package, YAML or JSON. Raises `UserError` if it is neither."""
    text = source.text
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as exc:
            at = getattr(exc, "pos", 0)
            label = Label(source, Span(at, at + 1))
            raise UserError(error("not-a-package", f"it is no JSON: {exc}", label)) from None
        if isinstance(value, dict) and "pipeline_spec" in value:
            return [value["pipeline_spec"], value.get("platform_spec")]
        return [value]
    import yaml  # noqa: PLC0415  what KFP reads packages with; ours is slow for long ones

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return list(yaml.load_all(text, loader))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        at = mark.index if mark is not None else 0
        why = getattr(exc, "problem", None) or "it cannot be read"
        label = Label(source, Span(at, at + 1))
        raise UserError(error("not-a-package", f"it is no YAML: {why}", label)) from None
