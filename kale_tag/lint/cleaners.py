"""The lint of what cleans notebooks: hooks of pre-commit, filters of Git, and configuration."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.lint.cleaner_config import Config
from kale_tag.lint.cleaner_programs import SETTINGS, Cleaner, Option, Part
from kale_tag.lint.cleaner_words import Loss, Use, losses, says
from kale_tag.rules.registry import found

_PLAIN = re.compile(r"[\w./=-]+")  # what YAML takes without quotes inside of [...]


@dataclass(frozen=True, slots=True)
class Cleaning:
    """A use of a cleaner: where it stands, and its arguments as far as they have places.

    *name* is that of the hook or of the filter, *command* the whole command of a filter.
    """

    kind: Literal["hook", "filter", "config"]
    name: str
    at: Label
    use: Use
    config: Config | None = None
    args: tuple[tuple[str, Label], ...] = ()
    also: tuple[Label, ...] = ()
    command: str = ""


def tag_eating_cleaner(cleaning: Cleaning) -> Iterator[Diagnostic]:
    """A program in the repository's set-up that deletes tags or settings of Kale's."""
    use = cleaning.use
    lost = losses(use)
    if not lost:
        return
    yield found(
        "tag-eating-cleaner",
        f"{_subject(cleaning)} {_deletes(use, lost)}",
        _place(cleaning, lost),
        also=cleaning.also,
        notes=[f"seen with {use.cleaner.name} {use.cleaner.seen}"],
        help="; ".join(_helps(cleaning, lost)),
    )


def _subject(cleaning: Cleaning) -> str:
    if cleaning.kind == "hook":
        return f"the hook `{cleaning.name}`"
    if cleaning.kind == "filter":
        return f"Git's filter `{cleaning.name}`"
    return f"{cleaning.name}, as it is set up here,"


def _deletes(use: Use, lost: Sequence[Loss]) -> str:
    parts = [
        "the tags of cells" if loss.part is use.cleaner.tags else f"`{SETTINGS}`, the settings"
        for loss in lost
    ]
    if use.only_checks:
        return f"refuses notebooks with {' and with '.join(parts)}"
    return f"deletes {' and '.join(parts)}"


def _place(cleaning: Cleaning, lost: Sequence[Loss]) -> Label:
    """The argument that is to blame, or the key in the configuration, or what starts it all."""
    for option in (loss.cause for loss in lost if loss.cause):
        for text, label in cleaning.args:
            if _is_said_by(option, text):
                return label
        if cleaning.config and cleaning.kind == "config" and option.key in cleaning.config.values:
            return cleaning.config.place(option.key)
    return cleaning.at


def _is_said_by(option: Option, text: str) -> bool:
    if option.pattern:
        return re.search(option.pattern, text) is not None
    return text.partition("=")[0] in option.flags


def _helps(cleaning: Cleaning, lost: Sequence[Loss]) -> Iterator[str]:
    """What to do: options to add, and those to take away."""
    add: list[Part] = []
    lines: list[str] = []
    for loss in lost:
        part = loss.part
        if loss.cause and (not part.args or loss.cause in part.always or loss.cause.inside):
            yield _take_away(cleaning, loss.cause)
            if loss.cause not in part.always or not part.default:
                continue
            if any(says(cleaning.use, option) for option in part.keeping):
                continue
        if part.line:
            lines.append(_line(cleaning, part))
        elif part.args:
            add.append(part)
    if add:
        yield _add(cleaning, add)
    if lines:
        file = cleaning.config.where if cleaning.config else _home(cleaning.use.cleaner)
        yield f"write {' and '.join(f'`{line}`' for line in lines)} into {file}"


def _take_away(cleaning: Cleaning, option: Option) -> str:
    if option.pattern:
        return "take that out of the program"
    flag = next((flag for flag in option.flags if _is_given(flag, cleaning.use.words)), "")
    where = flag or (cleaning.config.spelled(option.key) if cleaning.config else "")
    where = where or cleaning.use.cleaner.git_key
    return f"take `{option.value}` out of `{where}`" if option.inside else f"take `{where}` away"


def _is_given(flag: str, words: Sequence[str]) -> bool:
    if any(word.partition("=")[0] == flag for word in words):
        return True
    return len(flag) == 2 and any(re.match("-[A-Za-z]", one) and flag[1] in one for one in words)


def _add(cleaning: Cleaning, parts: Sequence[Part]) -> str:
    """The options that keep *parts*, in words that can be copied."""
    if cleaning.kind == "hook":
        words = [text for text, _ in cleaning.args]
        for part in parts:
            words = _joined(words, part)
        return f"write `args: [{', '.join(map(_in_yaml, words))}]`"
    options = " ".join(shlex.quote(word) for part in parts for word in part.args)
    if cleaning.kind == "config":
        return f"start it with `{options}`"
    if re.search(r"[|&;<>]", cleaning.command):
        return f"add `{options}` to its options"
    command = shlex.quote(f"{cleaning.command} {options}")
    return f"git config {shlex.quote(f'filter.{cleaning.name}.clean')} {command}"


def _joined(words: Sequence[str], part: Part) -> list[str]:
    """*words* with the options that keep *part*."""
    flag, equals, value = part.args[0].partition("=")
    value = value if equals else "".join(part.args[1:2])
    option = next(option for option in part.keeping if flag in option.flags)
    given = next((at for at, word in enumerate(words) if word.partition("=")[0] == flag), None)
    if given is not None and not option.repeats:  # the last use alone would count
        old = words[given].partition("=")[2]
        return [*words[:given], flag, *filter(None, [old]), value, *words[given + 1 :]]
    end = words.index("--") if "--" in words else len(words)
    return [*words[:end], *part.args, *words[end + ("--" in part.args) :]]


def _line(cleaning: Cleaning, part: Part) -> str:
    """The line of a TOML or INI file that keeps a part, with what is kept already."""
    value = next(option.value for option in part.keeping if option.key == part.line)
    old = cleaning.config.values.get(part.line) if cleaning.config else None
    kept = [str(item) for item in old] if isinstance(old, list) else []
    file = cleaning.config.file if cleaning.config else cleaning.use.cleaner.configs[0]
    if file.name.endswith(".ini"):
        return f"{part.line} = {' '.join([*kept, value])}"
    return f"{part.line} = {json.dumps([*kept, value])}"


def _home(cleaner: Cleaner) -> str:
    file = cleaner.configs[0]
    return f"`[{file.table}]` of {file.name}"


def _in_yaml(word: str) -> str:
    return word if _PLAIN.fullmatch(word) and not word.startswith(("-.", "=")) else json.dumps(word)


LINTS = (tag_eating_cleaner,)
