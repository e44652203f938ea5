"""What is wrong with a command line that typer has refused, in our own words.

The declarations of the options say it, not typer's messages, which differ between its versions.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from kale_tag.commands.shared.options import Argument, Option
from kale_tag.diagnostics import Diagnostic, error, nearest, suggest


def unknown_command(word: str, commands: Sequence[str]) -> Diagnostic:
    """What is said of a first word that is none of *commands*."""
    if word.startswith("-"):
        return _unknown_option(word, ["--version", "--help"], "kale-tag")
    help_ = suggest(word, commands, "there are")
    return error("unknown-command", f"there is no command `{word}`", help=help_)


def wrong_usage(
    name: str, function: Callable[..., int], words: Sequence[str], otherwise: str
) -> Diagnostic:
    """What is wrong with *words*, given to *function*; *otherwise* where nothing is found."""
    declared = {key: get_args(hint) for key, hint in function.__annotations__.items()}
    declared.pop("return", None)
    options = {
        flag: (option, kind)
        for kind, option in declared.values()
        if isinstance(option, Option)
        for flag in option.flags
    }
    positional = [(one, kind) for kind, one in declared.values() if isinstance(one, Argument)]
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if word == "-" or not word.startswith("-"):
            argument, kind = positional[0]
            if diagnostic := _wrong_value(argument.metavar, kind, word):
                return diagnostic
            if kind != list[str]:
                del positional[0]
        elif (flag := word.partition("=")[0]) in options:
            if diagnostic := _wrong_option(word, *options[flag], rest):
                return diagnostic
        elif word.startswith("--") or word[:2] not in options:
            return _unknown_option(flag, [*options, "--help"], f"kale-tag {name}")
    missing = " and ".join(one.metavar for one, kind in positional if kind != list[str])
    if missing:
        help_ = f"kale-tag {name} {' '.join(one.metavar for one in _arguments(function))}"
        return error("missing-argument", f"`kale-tag {name}` lacks {missing}", help=help_)
    return error("bad-option", otherwise)


def _arguments(function: Callable[..., int]) -> Iterator[Argument]:
    parts = (part for hint in function.__annotations__.values() for part in get_args(hint))
    return (part for part in parts if isinstance(part, Argument))


def _unknown_option(word: str, known: Sequence[str], command: str) -> Diagnostic:
    near = nearest(word, known)
    help_ = f"did you mean `{near}`?" if near else f"`{command} --help` lists the options"
    return error("bad-option", f"`{command}` has no option `{word}`", help=help_)


def _wrong_option(word: str, option: Option, kind: Any, rest: Iterator[str]) -> Diagnostic | None:  # noqa: ANN401  a type
    """What is wrong with the option *word*, whose value may be the next of *rest*."""
    flag, equals, value = word.partition("=")
    if kind is bool:
        return error("bad-option", f"`{flag}` takes no value") if equals else None
    text = value if equals else next(rest, None)
    if text is None:
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        shown = option.metavar or "|".join(choices) or "VALUE"
        return error("bad-option", f"`{flag}` lacks its value", help=f"write {flag} {shown}")
    return _wrong_value(flag, kind, text)


def _wrong_value(name: str, kind: Any, text: str) -> Diagnostic | None:  # noqa: ANN401  a type
    """What is wrong with *text* as a value of that *kind* for the option or argument *name*."""
    near = ""
    if kind is int:
        try:
            int(text)
        except ValueError:
            wanted = "a whole number"
        else:
            return None
    elif get_origin(kind) is Literal and text not in get_args(kind):
        *most, last = get_args(kind)
        wanted, near = f"{', '.join(most)} or {last}", nearest(text, get_args(kind))
    else:
        return None
    help_ = f"did you mean `{near}`?" if near else ""
    return error("bad-option", f"`{name}` takes {wanted}, not `{text}`", help=help_)
