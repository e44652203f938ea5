"""What the configuration of a cleaner says, and where it says so."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kale_tag.diagnostics import Label, Source, Span, UserError
from kale_tag.fields.yaml_tree import plain, read_yaml
from kale_tag.lint.cleaner_programs import Cleaner, ConfigFile


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of a cleaner: its keys, with `_` for `-`, and the file they stand in."""

    file: ConfigFile
    source: Source
    values: Mapping[str, object]

    @property
    def where(self) -> str:
        """Words for a help: `[tool.nbdev] of pyproject.toml`."""
        table = f"`[{self.file.table}]` of " if self.file.table else ""
        return f"{table}{self.source.name}"

    def place(self, key: str = "") -> Label:
        """Where *key* stands, else the head of its table, else the file."""
        start, end = 0, len(self.source.text)
        head = re.search(rf"(?m)^[ \t]*\[\s*{re.escape(self.file.table)}\s*\]", self.source.text)
        if self.file.table and head:
            start = head.end()
            after = re.search(r"(?m)^[ \t]*\[", self.source.text[start:])
            end = start + after.start() if after else end
        name = re.sub("[-_]", "[-_]", re.escape(key).replace(r"\-", "-"))
        found = re.compile(rf"(?m)^[ \t]*({name})\s*[=:]").search(self.source.text, start, end)
        if key and found:
            return Label(self.source, Span(*found.span(1)))
        if self.file.table and head:
            text = head[0].lstrip()
            return Label(self.source, Span(head.end() - len(text), head.end()))
        return Label(self.source)

    def spelled(self, key: str) -> str:
        """The *key* as the file spells it, with `-` or `_`."""
        span = self.place(key).span
        return self.source.text[span.start : span.end] if span and key in self.values else ""


def config_of(
    cleaner: Cleaner, files: Mapping[str, Source], *, used: bool = False
) -> Config | None:
    """The configuration of *cleaner* in *files*, by name; the first file that has some counts.

    Where it is not known to be *used*, a file has to tell that it is meant for it. What cannot be
    read counts as no configuration: it is for the cleaner to complain.
    """
    for file in cleaner.configs:
        source = files.get(file.name)
        values = None if source is None else _read(file, source)
        if values is not None and file.key not in {"", *values} and not used:
            continue
        if source is not None and values is not None:
            return Config(file, source, {key.replace("-", "_"): values[key] for key in values})
    return None


def names(cleaners: tuple[Cleaner, ...]) -> Iterator[str]:
    """The names of all files that can hold configuration."""
    yield from dict.fromkeys(file.name for cleaner in cleaners for file in cleaner.configs)


def _read(file: ConfigFile, source: Source) -> Mapping[str, object] | None:
    if file.name.endswith(".toml"):
        import tomllib  # noqa: PLC0415  needed where such a file is only

        try:
            value: object = tomllib.loads(source.text)
        except tomllib.TOMLDecodeError:
            return None
    elif file.name.endswith(".ini"):
        value = _read_ini(source.text)
    else:
        try:
            node = read_yaml(source)
        except UserError:
            return None
        value = None if node is None else plain(node)
    for key in filter(None, file.table.split(".")):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _read_ini(text: str) -> object:
    import configparser  # noqa: PLC0415  needed where such a file is only

    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return {
        name: {key: _ini_value(value) for key, value in section.items()}
        for name, section in parser.items()
    }


def _ini_value(text: str) -> object:
    """A list, as nbdev reads it, unless it is a boolean."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return re.split(r",?\s+", text)
