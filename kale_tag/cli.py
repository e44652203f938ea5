"""The command line: finds the command, reads its options, and turns errors into exit codes.

typer is the parser, and takes longer to import than a command takes to tag a notebook. So plain
command lines are read here, from the same declarations (`commands/shared/options.py`): names of
options in full, each with its value. typer reads the rest: `--help`, `-qv`, slips and completion.
"""

import gc
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from kale_tag import HOME, __version__, files
from kale_tag.commands.shared.options import Argument, Option, Options
from kale_tag.commands.shared.streams import interruptible, lasting_streams
from kale_tag.diagnostics import Diagnostic, UserError, did_you_mean, error, exit_code, too_deep

COMMANDS = (
    "init",
    "plan",
    "apply",
    "revert",
    "upgrade",
    "rename",
    "check",
    "diff",
    "extract",
    "graph",
    "compile",
    "run",
    "runs",
    "submit",
    "schema",
    "git",
)
"""Each is the function of that name in the module of that name, or of `HOMES`."""

CHANGING = ("apply", "revert", "upgrade", "rename")
"""Commands that change notebooks; what they print is a report on that."""

HOMES = {"revert": "apply", "upgrade": "apply"}

EPILOG = """\b
From a notebook without tags to a pipeline that runs:
  kale-tag extract notebook.ipynb -o notebook.yaml    propose a spec; read it
  kale-tag plan notebook.yaml                         see what it would do
  kale-tag run notebook.yaml                          try the pipeline here
  kale-tag apply notebook.yaml                        tag the notebook
  kale-tag compile notebook.ipynb                     write the package

\b
Exit codes:
  0 success; 1 findings, differences or a failed run; 2 usage or unusable input;
  3 internal error; 130 interrupted."""

OWN_OPTIONS = ("--help", "--version", "-V", "--install-completion", "--show-completion")
"""The options of kale-tag itself, before a command."""

Command = Callable[..., int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code.

    0 success; 1 findings, differences or a failed run; 2 usage or unusable input; 3 internal
    error; 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    gc.set_threshold(50_000)  # an analysis keeps nearly all that it makes
    lost = lasting_streams()
    with interruptible():
        code = _code(words)
    output = lost()
    if output is None:
        return code
    _print_errors(output)
    # What became of notebooks is not what became of the report on them.
    is_report = words[0] in CHANGING and "-" not in words
    return code if is_report else code or 2


def _code(words: list[str]) -> int:
    try:
        _check_folder()
        return _run(words)
    except UserError as exc:
        _print_errors(*exc.diagnostics)
        return exit_code(exc.diagnostics)
    except RecursionError:
        _print_errors(too_deep("the input"))
        return 2
    except KeyboardInterrupt:
        files.discard_pending()
        print("interrupted", file=sys.stderr)
        return 130
    except Exception:  # noqa: BLE001  every bug of kale-tag ends here
        import traceback  # noqa: PLC0415  for bugs only

        traceback.print_exc()
        print(
            f"\nThis is a bug in kale-tag {__version__}; no notebook is half-written. "
            f"Please report it: {HOME}/issues",
            file=sys.stderr,
        )
        return 3


def _check_folder() -> None:
    try:
        os.getcwd()
    except OSError:
        message = "the current folder does not exist any more"
        raise UserError.of("not-found", message, help="`cd` to another one") from None


def _print_errors(*diagnostics: Diagnostic) -> None:
    from kale_tag.commands.shared.report import print_diagnostic  # noqa: PLC0415  for errors only

    for diagnostic in diagnostics:
        print_diagnostic(diagnostic)


def command(name: str) -> Command:
    """The function of a command, whose module is imported now."""
    module = importlib.import_module(f"kale_tag.commands.{HOMES.get(name, name)}")
    found: Command = getattr(module, name)
    return found


def options_of(function: Command) -> type[Options]:
    """The class of the options of a command."""
    kind: type[Options] = next(iter(function.__annotations__.values()))
    return kind


def parameters(function: Command) -> dict[str, tuple[Any, Argument | Option]]:
    """The type and the declaration of each option of a command, its own before the common ones."""
    kind = options_of(function)
    names = (name for base in kind.__mro__[:-1] for name in base.__annotations__)
    known = {one.name: one for one in fields(kind)}
    found = {}
    for one in (known[name] for name in names if name in known):
        declared = one.metadata["declared"]
        if isinstance(declared, Option) and not declared.long:
            declared = replace(declared, long=f"--{one.name.replace('_', '-')}")
        found[one.name] = (one.type, declared)
    return found


def usage(function: Command) -> list[str]:
    """How the arguments of a command are written: `OLD`, `[NOTEBOOK|FOLDER]...`."""
    arguments = [pair for pair in parameters(function).values() if isinstance(pair[1], Argument)]
    return [f"[{one.metavar}]..." if kind == list[str] else one.metavar for kind, one in arguments]


def description(function: Command) -> tuple[list[str], list[str]]:
    """What the docstring of a command says: paragraphs, and examples, one a line."""
    parts = (inspect.getdoc(function) or "").split("\n\n")
    examples = [part.strip() for part in parts if part.startswith("kale-tag ")]
    return [part for part in parts if part.strip() not in examples], examples


def _run(words: list[str]) -> int:
    if words == ["help"]:
        words = ["--help"]
    if words[:1] in (["--version"], ["-V"]):
        print(f"kale-tag {__version__}")
        return 0
    if words and not words[0].startswith("-"):
        if words[0] not in COMMANDS:
            hint = did_you_mean(words[0], COMMANDS, "`kale-tag --help` lists the commands")
            raise UserError.of("unknown-command", f"no command `{words[0]}`", help=hint)
        function = command(words[0])
        options = None
        with suppress(UserError):  # typer finds that value too, if no other mistake comes first
            options = read_plainly(function, words[1:])
        if options is not None:
            return function(options_of(function)(**options))
        if "--" in words and _takes_separator(function):
            words.insert(words.index("--"), "--")  # the first one ends the options for typer
    return _run_typer(words)


# The short way, for plain command lines.


def read_plainly(function: Command, words: Sequence[str]) -> dict[str, Any] | None:
    """The arguments of *function* in *words*, None if typer has to read them.

    Raises `UserError` for a value that an option does not take.
    """
    declared = parameters(function)
    flags = {
        flag: name
        for name, (_, one) in declared.items()
        if isinstance(one, Option)
        for flag in one.flags
    }
    found: dict[str, Any] = {}
    given: list[str] = []
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if word == "--":
            given += [word, *rest] if _takes_separator(function) else rest
        elif word == "-" or not word.startswith("-"):
            given.append(word)
        elif (name := flags.get(flag)) is None:
            return None
        elif (kind := declared[name][0]) is bool and not equals:
            found[name] = True
        elif kind not in {bool, list[str] | None}:
            text = value if equals else next(rest, "--")
            if text.startswith("-") and text != "-":
                return None
            found[name] = read_value(flag, kind, text)
        else:
            return None
    return found if _take_arguments(function, given, found) else None


def _take_arguments(function: Command, given: list[str], found: dict[str, Any]) -> bool:
    """Put the arguments *given* into *found*; whether each has its place."""
    for name, (kind, one) in parameters(function).items():
        if isinstance(one, Argument) and kind == list[str]:
            found[name], given = given, []
        elif isinstance(one, Argument):
            if not given:
                return False
            found[name] = read_value(one.metavar, kind, given.pop(0))
    return not given


def _takes_separator(function: Command) -> bool:
    """Whether `--` is one of the arguments of *function*."""
    return any(
        isinstance(one, Argument) and one.separator for _, one in parameters(function).values()
    )


def read_value(name: str, kind: Any, text: str) -> str | int:  # noqa: ANN401  a type
    """The value that *text* is for the option or argument *name*. Raises `UserError` if none."""
    if kind is int:
        if text.removeprefix("-").isdecimal() and text.isascii():
            return int(text)
        raise UserError.of("bad-option", f"`{name}` takes a whole number, not `{text}`")
    if get_origin(kind) is Literal and text not in get_args(kind):
        *most, last = get_args(kind)
        message = f"`{name}` takes {', '.join(most)} or {last}, not `{text}`"
        raise UserError.of("bad-option", message, help=did_you_mean(text, get_args(kind)))
    return text


# The long way.


def _run_typer(words: list[str]) -> int:
    app = typer_app()
    import typer  # noqa: PLC0415  see the module

    try:
        code = app(words, prog_name="kale-tag", standalone_mode=False)
    except typer.Abort as exc:
        raise KeyboardInterrupt from exc
    except Exception as exc:
        if not hasattr(exc, "format_message"):  # typer may have its own copy of click's errors
            raise
        if not words:
            print(exc.format_message(), file=sys.stderr)  # the help
            return 2
        raise UserError(_wrong_usage(words[0], exc)) from exc
    return code if isinstance(code, int) else 0


def _wrong_usage(name: str, exc: Any) -> Diagnostic:  # noqa: ANN401  one of click's errors
    """What is wrong with the options of the command *name*, or of kale-tag itself."""
    declared = parameters(command(name)) if name in COMMANDS else {}
    program = f"kale-tag {name}" if name in COMMANDS else "kale-tag"
    flag = getattr(exc, "option_name", "")
    options = [(kind, one) for kind, one in declared.values() if isinstance(one, Option)]
    kind, option = next((pair for pair in options if flag in pair[1].flags), (None, None))
    if option is not None and kind is bool:
        return error("bad-option", f"`{flag}` takes no value")
    if option is not None:
        value = option.metavar or "|".join(get_args(kind))
        return error("bad-option", f"`{flag}` needs a value", help=f"write {flag} {value}")
    if flag:
        known = [*(flag for _, one in options for flag in one.flags), "--help"]
        known = known if name in COMMANDS else [*OWN_OPTIONS]
        hint = did_you_mean(flag, known, f"`{program} --help` lists the options")
        return error("bad-option", f"`{program}` has no option `{flag}`", help=hint)
    if (missing := getattr(getattr(exc, "param", None), "name", None)) in declared:
        hint = " ".join([program, *usage(command(name))])
        return error(
            "missing-argument", f"`{program}` needs {declared[missing][1].metavar}", help=hint
        )
    return error(
        "bad-option", exc.format_message(), help=f"`{program} --help` shows how it is used"
    )


@cache
def typer_app() -> Any:  # noqa: ANN401  a Typer, which is not imported for its name
    """The typer application with all commands."""
    os.environ.setdefault("TYPER_USE_RICH", "0")  # plain help, and a quarter of the start-up
    import typer  # noqa: PLC0415  see the module

    app = typer.Typer(
        name="kale-tag",
        help="Tag notebooks for Kubeflow Kale from a YAML spec, without one byte of noise.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EPILOG,
    )

    @app.callback()
    def options(
        version: bool = typer.Option(  # noqa: FBT001  typer's way to say it
            False, "--version", "-V", help="Print the version."
        ),
    ) -> None:
        pass

    class CommandHelp(typer.core.TyperCommand):
        """A command whose help has no types of Python beside its arguments."""

        def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002  click's
            return ["[OPTIONS]", *usage(command(str(self.name)))]

        def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  click's
            for param in self.params:
                if isinstance(param, typer.core.TyperArgument):
                    vars(param)["display_type_rich"] = lambda ctx: ""  # noqa: ARG005  below typer 0.28
            super().format_options(ctx, formatter)

    for name in COMMANDS:
        app.command(name, cls=CommandHelp, no_args_is_help=False)(_as_function(command(name)))
    return app


def _as_function(function: Command) -> Command:
    """The command as typer takes it: a function with a parameter for each option."""
    kind = options_of(function)

    def called(**options: object) -> int:
        return function(kind(**options))

    defaults = {one.name: one.default for one in fields(kind)}
    text, examples = description(function)
    called.__doc__ = "\n\n".join([*text, "\n  ".join(["\b\nExamples:", *examples])])
    called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=_for_typer(hint, declared),
                default=inspect.Parameter.empty if defaults[name] is MISSING else defaults[name],
            )
            for name, (hint, declared) in parameters(function).items()
        ]
    )
    return called


def _for_typer(kind: Any, declared: Argument | Option) -> Any:  # noqa: ANN401  types
    """The annotation of a parameter, with what typer reads in it."""
    import typer  # noqa: PLC0415  see the module

    choices = get_args(kind) if get_origin(kind) is Literal else ()
    name = declared.flags[0] if isinstance(declared, Option) else declared.metavar
    more: dict[str, Any] = {"help": declared.help, "metavar": declared.metavar or None}

    def parser(text: str | int) -> str | int:
        return text if isinstance(text, int) else read_value(name, kind, text)  # int: the default

    if choices or kind is int:
        more["parser"] = parser
    if choices:
        more["autocompletion"] = lambda: [*choices]
    if isinstance(declared, Option):
        more["show_default"] = "default" not in declared.help.lower()
        if choices:
            more["metavar"] = f"[{'|'.join(choices)}]"
        return Annotated[kind, typer.Option(*declared.flags, **more)]
    if kind == list[str]:
        more |= {"default_factory": list, "show_default": False}
    return Annotated[kind, typer.Argument(**more)]
