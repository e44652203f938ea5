"""How each step runs: its tags over the notebook's `steps_defaults` over the spec's `compile`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.diagnostics import Diagnostic, Label, error
from kale_tag.kale import quantity, tags
from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.kale.pipeline import Secret, StepSettings
from kale_tag.kale.quantity import BadQuantityError
from kale_tag.kale.settings import StepOptions
from kale_tag.kale.tags import Tag
from kale_tag.kale.view import StepTag
from kale_tag.notebook.places import Places


@dataclass(slots=True)
class Sorted:
    """Tags by what they set: the value of each key, `""` where the kind has one value."""

    values: dict[str, dict[str, Tag]] = field(default_factory=dict)
    labels: dict[tuple[str, str], Label] = field(default_factory=dict)

    def put(self, tag: Tag, label: Label) -> None:
        """Takes the tag in; the last one of a key wins."""
        self.values.setdefault(tag.kind, {})[tag.key] = tag
        self.labels[tag.kind, tag.key] = label

    def pairs(self, kind: str) -> dict[str, str]:
        """Keys and values of the tags of a kind that has both."""
        return {key: tag.parts[1] for key, tag in self.values.get(kind, {}).items()}

    def one(self, kind: str) -> str:
        """The value of a kind that has one, "" where nothing is said."""
        tag = self.values.get(kind, {}).get("")
        return "" if tag is None else tag.parts[0]


def step_settings(
    given: Sequence[StepTag], defaults: Sorted, base_image: str, options: StepOptions
) -> StepSettings:
    """How one step runs."""
    own = Sorted()
    for one in given:
        if one.tag.kind in tags.SETTING_KINDS:
            own.put(one.tag, one.label)
    secrets = {**defaults.values.get("secret", {}), **own.values.get("secret", {})}
    cache = own.one("cache") or defaults.one("cache")
    return StepSettings(
        image=own.one("image") or defaults.one("image") or base_image,
        limits={**defaults.pairs("limit"), **own.pairs("limit")},
        requests=dict(options.requests),
        pod={
            kind.name: {**defaults.pairs(kind.name), **own.pairs(kind.name)}
            for kind in tags.SETTINGS.values()
            if kind.pod
        },
        secrets=tuple(Secret(env, tag.parts[0], tag.parts[1]) for env, tag in secrets.items()),
        env=dict(options.env),
        cache=None if not cache else cache == "enabled",
        report=(own.one("report") or defaults.one("report")) != "disabled",
        retries=options.retries,
        timeout=options.timeout,
        display_name=options.display_name,
        packages=options.packages,
        labels={**defaults.labels, **own.labels},
    )


def setting_diagnostics(name: str, given: Sequence[StepTag]) -> Iterator[Diagnostic]:
    """Two cells of one step that contradict each other, and wrong quantities."""
    known: dict[tuple[str, str], StepTag] = {}
    for one in given:
        if one.tag.kind not in tags.SETTING_KINDS:
            continue
        yield from _quantity(one.tag, one.label)
        key = (one.tag.kind, one.tag.key)
        other = known.setdefault(key, one)
        if other.tag != one.tag and other.cell != one.cell:
            yield error(
                "two-settings",
                f"step `{name}` has both `{other.tag}` and `{one.tag}`",
                one.label,
                also=[other.label],
                help="remove one of the two tags",
            )


def read_defaults(value: object, places: Places) -> tuple[Sorted, list[Diagnostic]]:
    """The `steps_defaults` of a notebook, which may also be of the kinds that Kale fails on."""
    found, diagnostics = Sorted(), []
    texts: list[tuple[int | str, str]] = []
    if isinstance(value, dict):
        texts = [*_as_tags(value)]
    elif isinstance(value, list):
        texts = [(position, str(text)) for position, text in enumerate(value)]
    for route, text in texts:
        at = places.metadata(None, (SETTINGS_KEY, "steps_defaults", route))
        tag = tags.parse(text)
        if tag is None or tag.kind not in tags.SETTING_KINDS:
            diagnostics.append(
                error(
                    "invalid-setting",
                    f"`{text}` in `steps_defaults` is not a setting of a step",
                    at,
                    help="it takes `limit:…`, `label:…`, `annotation:…`, `secret:…`, `image:…`, "
                    "`cache:…` and `report:…`",
                )
            )
            continue
        found.put(tag, at)
        diagnostics += _quantity(tag, at)
    return found, diagnostics


def _quantity(tag: Tag, at: Label) -> Iterator[Diagnostic]:
    """A limit that is not a quantity."""
    if tag.kind == "limit":
        try:
            quantity.amount(tag.parts[1])
        except BadQuantityError as exc:
            yield error("invalid-quantity", f"`{tag}`: {exc.message}", at, help=exc.remedy)


def _as_tags(value: Mapping[object, object]) -> Iterator[tuple[str, str]]:
    for name, entry in value.items():
        kind = tags.DEFAULTS.get(str(name), str(name))
        if isinstance(entry, dict):
            for key, one in entry.items():
                if kind == "secret" and isinstance(one, dict):
                    yield (
                        str(name),
                        f"secret:{one.get('secret_name')}:{one.get('secret_key')}:{key}",
                    )
                elif one is not None:
                    yield str(name), f"{kind}:{key}:{one}"
        elif isinstance(entry, bool):
            yield str(name), f"{kind}:{'enabled' if entry else 'disabled'}"
        elif entry is not None:
            yield str(name), f"{kind}:{entry}"
