"""Finds a cleaner in the words of a command, and says what it deletes."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.lint.cleaner_programs import CLEANERS, Cleaner, Option, Part

_SHELL_ENDS = {"|", "||", "&&", "&", ";", ">", ">>", "<"}
_SHELLS = {"sh", "bash", "zsh", "dash"}


@dataclass(frozen=True, slots=True)
class Use:
    """A cleaner with its words, without the program's own, and what it is told by configuration.

    *config* has the keys of its table, with `_` for `-`; *git* the values in Git's configuration.
    """

    cleaner: Cleaner
    words: tuple[str, ...] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    git: Mapping[str, str] = field(default_factory=dict)

    @property
    def only_checks(self) -> bool:
        """Whether it changes nothing, and fails where it would."""
        return any(word in self.cleaner.checking for word in self.words)


@dataclass(frozen=True, slots=True)
class Loss:
    """A part that is deleted; *cause* is the option that does it, None where it is the default."""

    part: Part
    cause: Option | None


def split(command: str) -> list[str]:
    """The words of a command line, as a POSIX shell splits them; operators are words too."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote that nothing closes
        return command.split()


def find(words: Sequence[str], version: int | None = None) -> Use | None:
    """The first cleaner that *words* start, of a major *version* where that is known."""
    for at, word in enumerate(words):
        name = re.split(r"[/\\]", word)[-1].removesuffix(".exe").partition("@")[0]
        if name in _SHELLS and words[at + 1 : at + 2] == ["-c"] and len(words) > at + 2:
            return find(split(words[at + 2]), version)
        for cleaner in _of_version(version):
            for program in cleaner.programs:
                start, rest = program[0], program[1:]
                if name == start and tuple(words[at + 1 : at + len(program)]) == rest:
                    given = [*rest, *_until_operator(words[at + len(program) :])]
                    return Use(cleaner, tuple(given))
    return None


def of_hook(name: str, version: int | None = None) -> tuple[str, ...] | None:
    """The words that the hook *name* of a cleaner stands for."""
    for cleaner in _of_version(version):
        for hook, words in cleaner.hooks:
            if hook == name:
                return words
    return None


def losses(use: Use) -> list[Loss]:
    """What is deleted: nothing, the tags, the settings, or both in this order."""
    cleaner = use.cleaner
    if cleaner.when and not any(says(use, option) for option in cleaner.when):
        return []
    found = (_loss(use, part) for part in (cleaner.tags, cleaner.settings))
    return [loss for loss in found if loss is not None]


def says(use: Use, option: Option) -> bool:
    """Whether *option* is said, by a flag or else by configuration."""
    if option.pattern:
        return any(re.search(option.pattern, word) for word in use.words)
    given = [*_values(use.words, option)]
    if given:  # flags go before configuration
        if not option.value:
            return True
        values = [value for values in given for value in values]
        return (option.or_bare and not values) or _has(option, values)
    if option.key and (value := use.config.get(option.key)) is not None:
        return _configured(option, value)
    if option.key == "extra_keys" and (text := use.git.get(use.cleaner.git_key)):
        return _has(option, [text])
    return False


def _of_version(version: int | None) -> Iterator[Cleaner]:
    for cleaner in CLEANERS:
        if not cleaner.before or (version is not None and version < cleaner.before):
            yield cleaner


def _loss(use: Use, part: Part) -> Loss | None:
    for option in part.always:
        if says(use, option):
            return Loss(part, option)
    cause = next((option for option in part.deleting if says(use, option)), None)
    if (cause is None and not part.default) or any(says(use, option) for option in part.keeping):
        return None
    return Loss(part, cause)


def _until_operator(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word in _SHELL_ENDS:
            return
        yield word


def _values(words: Sequence[str], option: Option) -> Iterator[list[str]]:
    """The values of each time that a flag of *option* is given."""
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if word == "--":
            return
        if flag in option.flags:
            yield [value] if equals else [*_until_flag(words[at + 1 :])]
        elif re.match("-[A-Za-z]", word):
            short = [flag[1] for flag in option.flags if re.fullmatch("-[A-Za-z]", flag)]
            if not option.value or option.or_bare:
                yield from ([] for letter in short if letter in word)
            elif word[1] in short:
                yield [word[2:]]


def _until_flag(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("-"):
            return
        yield word


def _has(option: Option, values: Sequence[str]) -> bool:
    pattern = option.split or r"\Z"
    items = (item.strip() for value in values for item in re.split(pattern, value))
    return any(
        item == option.value or (option.inside and item.startswith(f"{option.value}."))
        for item in items
    )


def _configured(option: Option, value: object) -> bool:
    if not option.value:
        return value is True or str(value).lower() in {"true", "1", "yes", "on"}
    if isinstance(value, list):
        return _has(option, [str(item) for item in value])
    return bool(option.split) and _has(option, [str(value)])
