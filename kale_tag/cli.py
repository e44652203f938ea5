"""The command line: finds the command, reads its options, and turns errors into exit codes.

typer takes as long to import as a small notebook script takes to run. So a command line that is
plainly right is read here, from the same declarations; anything else, a slip, `--help`, is typer's.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from kale_tag import HOME, __version__
from kale_tag.commands.shared.options import Argument, Option
from kale_tag.diagnostics import Diagnostic, UserError

COMMANDS = (
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
    "submit",
    "schema",
    "git",
)
"""Each is the function of that name in the module of that name."""

EPILOG = """\b
From a notebook without tags to a pipeline that runs:
  kale-tag extract notebook.ipynb -o notebook.yaml    propose a spec; read it
  kale-tag plan notebook.yaml                         see what it would do
  kale-tag run notebook.yaml                          try the pipeline here
  kale-tag apply notebook.yaml                        tag the notebook
  kale-tag compile notebook.ipynb                     write the package

\b
Exit codes:
  0 done, 1 the answer is no, 2 what you gave could not be used, 3 a bug of ours,
  130 interrupted."""


Command = Callable[..., int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code.

    0 done; 1 the answer is no; 2 what was given could not be used; 3 a bug of ours; 130
    interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _print_anything()
    try:
        code = _run(words)
        sys.stdout.flush()
    except UserError as exc:
        from kale_tag.commands.shared.report import say  # noqa: PLC0415  for faults only

        for diagnostic in exc.diagnostics:
            say(diagnostic)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001  the one place where a bug of ours ends
        import traceback  # noqa: PLC0415  for bugs only

        traceback.print_exc()
        print(
            f"\nThis is a bug in kale-tag {__version__}; no notebook is half-written. "
            f"Please report it: {HOME}/issues",
            file=sys.stderr,
        )
        return 3
    return code


def command(name: str) -> Command:
    """The function behind a command, imported when it is asked for."""
    module = importlib.import_module(f"kale_tag.commands.{name}")
    found: Command = getattr(module, name)
    return found


def read_plainly(function: Command, words: Sequence[str]) -> dict[str, Any] | None:
    """The arguments of *function* in *words*, None where typer has to look at them."""
    declared = {name: get_args(hint) for name, hint in function.__annotations__.items()}
    flags = {
        flag: name
        for name, parts in declared.items()
        for part in parts
        if isinstance(part, Option)
        for flag in part.flags
    }
    found: dict[str, Any] = {}
    given: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            given += [word, *rest] if takes_separator(function) else rest
        elif word == "-" or not word.startswith("-"):
            given.append(word)
        elif not _take_option(word, rest, flags, declared, found):
            return None
    for name, parts in declared.items():
        if any(isinstance(part, Argument) for part in parts):
            if parts[0] == list[str]:
                found[name], given = given, []
            elif given and (parts[0] is str or given[0] in get_args(parts[0])):
                found[name] = given.pop(0)
            else:
                return None
    return None if given else found


def _take_option(
    word: str,
    rest: Iterator[str],
    flags: Mapping[str, str],
    declared: Mapping[str, tuple[Any, ...]],
    found: dict[str, Any],
) -> bool:
    """Put the option *word*, and its value from *rest*, into *found*; whether it is plain."""
    flag, equals, value = word.partition("=")
    name = flags.get(flag)
    if name is None:
        return False
    kind = declared[name][0]
    if kind is bool:
        found[name] = True
        return not equals
    text = value if equals else next(rest, "--")
    if kind is int and text.isascii() and text.isdigit():
        found[name] = int(text)
    elif text in get_args(kind) or (kind is str and (text == "-" or not text.startswith("-"))):
        found[name] = text
    else:
        return False
    return True


def takes_separator(function: Command) -> bool:
    """Whether `--` is one of the arguments of *function*."""
    parts = get_args(function.__annotations__.get("paths"))
    return any(isinstance(part, Argument) and part.separator for part in parts)


def _run(words: list[str]) -> int:
    if words == ["--version"]:
        print(f"kale-tag {__version__}")
        return 0
    if words and words[0] in COMMANDS:
        function = command(words[0])
        options = read_plainly(function, words[1:])
        if options is not None:
            return function(**options)
        if "--" in words and takes_separator(function):
            words.insert(words.index("--"), "--")  # the first one ends the options for typer
    return _run_typer(words)


def _run_typer(words: list[str]) -> int:
    app = typer_app()
    import typer  # noqa: PLC0415  see the module

    try:
        code = app(words, prog_name="kale-tag", standalone_mode=False)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort as exc:
        raise KeyboardInterrupt from exc
    except Exception as exc:
        says = getattr(exc, "format_message", None)  # typer has its own copy of click's errors
        if says is None:
            raise
        if not words:
            print(says(), file=sys.stderr)  # the help
            return 2
        raise UserError(_wrong_usage(words, says())) from exc
    return code if isinstance(code, int) else 0


def _wrong_usage(words: list[str], otherwise: str) -> Diagnostic:
    """What is wrong with *words*; what typer says of them stands in *otherwise*."""
    from kale_tag.commands.shared import usage  # noqa: PLC0415  for slips only

    name, *rest = words
    if name not in COMMANDS:
        return usage.unknown_command(name, COMMANDS)
    return usage.wrong_usage(name, command(name), rest, otherwise)


def typer_app() -> Any:  # noqa: ANN401  a Typer, which is not to be imported for its name
    """The typer application with all commands."""
    os.environ.setdefault("TYPER_USE_RICH", "0")  # plain help, and a quarter of the start-up
    import typer  # noqa: PLC0415  see the module

    app = typer.Typer(
        name="kale-tag",
        help="Tag notebooks for Kubeflow Kale from a YAML spec, without one byte of noise.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EPILOG,
    )

    def version(asked: bool) -> None:  # noqa: FBT001  typer calls it so
        if asked:
            typer.echo(f"kale-tag {__version__}")
            raise typer.Exit

    @app.callback()
    def options(
        version: bool = typer.Option(  # noqa: FBT001  typer's way to say it
            False, "--version", callback=version, is_eager=True, help="Print the version."
        ),
    ) -> None:
        pass

    for name in COMMANDS:
        function = command(name)
        app.command(name, no_args_is_help=False)(_for_typer(function, typer))
    return app


def _for_typer(function: Command, typer: Any) -> Command:  # noqa: ANN401  the module
    """*function* with our declarations put in typer's words."""
    import inspect  # noqa: PLC0415  slow to import

    signature = inspect.signature(function)
    parameters = []
    lists: list[str] = []
    for parameter in signature.parameters.values():
        kind, declared = get_args(parameter.annotation)
        default: object = parameter.default
        if isinstance(declared, Argument) and kind == list[str]:
            default = typer.Argument(None, metavar=declared.metavar, help=declared.help)
            kind = kind | None
            lists.append(parameter.name)
        elif isinstance(declared, Argument):
            default = typer.Argument(..., metavar=declared.metavar, help=declared.help)
        elif isinstance(declared, Option):
            default = typer.Option(
                default, *declared.flags, help=declared.help, metavar=declared.metavar or None
            )
        parameters.append(parameter.replace(default=default, annotation=kind))

    def run(**given: object) -> int:
        for name in lists:
            given[name] = list(given[name] or ())  # type: ignore[call-overload]
        return function(**given)

    run.__doc__ = function.__doc__
    run.__name__ = function.__name__
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": int}
    return run


def _print_anything() -> None:
    """File names and sources hold characters that a terminal may not know; print them somehow."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
