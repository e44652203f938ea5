"""Programs that delete Kale's tags or settings from notebooks; the table is `cleaners.toml`."""

import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_tag import data_file
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, UserError
from kale_tag.fields.yaml_tree import Node, Scalar, items_of, read_yaml, value_of
from kale_tag.rules.registry import found

Options = Mapping[str, set[str]]
"""Options by name, without dashes in front and with `_` for `-`; with the words of their values."""

_ONLY_LOOKS = {"check", "verify", "dry_run"}
TAGS, SETTINGS = "tags", "kubeflow_notebook"
_PARTS = {TAGS: "the tags of cells", SETTINGS: f"`{SETTINGS}`, the settings"}


@dataclass(frozen=True, slots=True)
class Fate:
    """What a program does to the tags, or to the settings."""

    deletes: bool | Sequence[str] = ()  # true, or the options that delete them
    keeps: Sequence[str] = ()  # the options that keep them, the best first


@dataclass(frozen=True, slots=True)
class Cleaner:
    """One program of the table."""

    name: str  # its name, and that of its package
    version: str  # the version that the tests run
    commands: Sequence[str]  # the words that start it
    tags: Fate  # what it does to the tags of cells
    settings: Fate  # what it does to the settings of the notebook
    hooks: Sequence[str] = ()  # the ids of its hooks for pre-commit
    config: Sequence[Mapping[str, str]] = ()  # the files that can hold its options
    git: Sequence[str] = ()  # a key of Git's configuration, and the option that it stands for


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a repository uses a cleaner."""

    cleaner: Cleaner
    subject: str  # what the message calls it: "the hook `nb-clean`"
    at: Label
    options: Options


@functools.cache
def cleaners() -> Sequence[Cleaner]:
    """The programs of the table."""
    return [
        Cleaner(
            name, **{**entry, "tags": Fate(**entry["tags"]), "settings": Fate(**entry["settings"])}
        )
        for name, entry in tomllib.loads(data_file("lint/cleaners.toml")).items()
    ]


def find(command: str) -> tuple[Cleaner, Options] | None:
    """The first cleaner that a command line starts, with its options."""
    for part in re.split(r"[|&;<>()]+", command):
        words = re.findall(r"[^\s'\"]+", part)
        names = [re.split(r"[/\\]", word)[-1].partition("@")[0] for word in words]
        names = [name.removesuffix(".exe") for name in names]
        for at in range(len(words)):
            for cleaner in cleaners():
                for start in map(str.split, cleaner.commands):
                    if names[at : at + len(start)] == start:
                        return cleaner, options_of(words[at + len(start) :])
    return None


def options_of(words: Iterable[str]) -> Options:
    """The options in the words of a command."""
    given: dict[str, set[str]] = {}
    names: list[str] = []
    for word in words:
        value = word
        if word.startswith("-"):
            flag, _, value = word.partition("=")
            letters = re.fullmatch("-([A-Za-z]{2,})", flag)
            names = [*letters[1]] if letters else [_name(flag)]
        for name in names:
            given.setdefault(name, set()).update(_values(value))
    return given


def hooks(source: Source, paths: Iterable[str]) -> Iterator[Use]:
    """The cleaners that a `.pre-commit-config.yaml` runs on one of *paths*.

    There are none in a file that cannot be read: pre-commit reports that itself.
    """
    try:
        root = read_yaml(source)
    except UserError:
        return
    for repo in items_of(value_of(root, "repos")):
        for hook in items_of(value_of(repo, "hooks")):
            name = value_of(hook, "id")
            args = " ".join(_text(arg) for arg in items_of(value_of(hook, "args")))
            used = find(f"{_text(value_of(hook, 'entry'))} {args}")
            named = next((one for one in cleaners() if _text(name) in one.hooks), None)
            cleaner, options = used or (named, options_of(re.findall(r"[^\s'\"]+", args)))
            manual = [_text(stage) for stage in items_of(value_of(hook, "stages"))] == ["manual"]
            if cleaner and name and not manual and _is_for(paths, root, hook):
                yield Use(cleaner, f"the hook `{_text(name)}`", name.label, options)


def _is_for(paths: Iterable[str], *places: Node | None) -> bool:
    """Whether the patterns of a hook, and those for all hooks, take one of *paths*."""
    patterns = [
        (_text(value_of(place, "files")), _text(value_of(place, "exclude"))) for place in places
    ]
    try:
        return any(
            all(re.search(some, path) and not (no and re.search(no, path)) for some, no in patterns)
            for path in paths
        )
    except re.error:
        return True


def configured(cleaner: Cleaner, sources: Mapping[str, Source], *, used: bool) -> Use | None:
    """The configuration of *cleaner* in the first of *sources* that has some.

    Where nothing else shows that it is *used*, some files must have a key that only it reads.
    """
    for home in cleaner.config:
        source = sources.get(home["file"])
        table = _table(source, home.get("table", "")) if source else None
        if source and table is not None and (used or home.get("key", "") in {"", *table}):
            options = {
                _name(key): _values(str(value))
                for key, value in table.items()
                if value is not False
            }
            head = re.search(rf"(?m)^\[{re.escape(home.get('table', ''))}\]", source.text)
            at = Label(source, Span(*head.span()) if head else None)
            return Use(cleaner, f"{cleaner.name}, as it is set up here,", at, options)
    return None


def tag_eating_cleaner(use: Use, config: Use | None = None) -> Iterator[Diagnostic]:
    """Finds a program in the repository's set-up that deletes Kale's tags or settings.

    *config* is the configuration that the program reads besides.
    """
    options = {**(config.options if config else {}), **use.options}
    if _ONLY_LOOKS & options.keys():
        return
    helps = {}
    for part, fate in ((TAGS, use.cleaner.tags), (SETTINGS, use.cleaner.settings)):
        named = [] if isinstance(fate.deletes, bool) else fate.deletes
        causes = [one for one in named if _is_given(one, options)]
        kept = any(_is_given(one, options) for one in fate.keeps)
        if (causes or fate.deletes is True) and not kept:
            is_named = causes and part in causes[0]
            remove = f"remove `{causes[0]}`" if is_named or not fate.keeps else ""
            helps[part] = remove or _keep(use.cleaner, fate.keeps[0], config)
    if helps:
        yield found(
            "tag-eating-cleaner",
            f"{use.subject} deletes {' and '.join(_PARTS[part] for part in helps)}",
            use.at,
            notes=[f"tested with {use.cleaner.name} {use.cleaner.version}"],
            help="; ".join(helps.values()),
        )


def _keep(cleaner: Cleaner, option: str, config: Use | None) -> str:
    if option.startswith("-"):
        return f"add `{option}`"
    key, _, value = option.partition(" ")
    name = config.at.source.name if config else ""
    home = next((one for one in cleaner.config if name.endswith(one["file"])), cleaner.config[0])
    return f"add `{value}` to `{key}` in `[{home['table']}]` of {home['file']}"


def _is_given(option: str, options: Options) -> bool:
    flag, _, value = option.replace("=", " ").partition(" ")
    return _name(flag) in options and (not value or value in options[_name(flag)])


def _name(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _values(text: str) -> set[str]:
    return set(re.split(r"[\s,{}()\[\]'\"]+", text)) - {""}


def _table(source: Source, path: str) -> Mapping[str, object] | None:
    """A table of a TOML or an INI file; None where there is none."""
    if source.name.endswith(".ini"):
        import configparser  # noqa: PLC0415  few repositories have such a file

        parser = configparser.ConfigParser(interpolation=None, default_section="")
        try:
            parser.read_string(source.text)
            return dict(parser[path]) if path in parser else None
        except configparser.Error:
            return None
    try:
        value: object = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError:
        return None
    for key in filter(None, path.split(".")):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""
