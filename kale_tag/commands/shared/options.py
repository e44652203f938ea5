"""How commands declare their arguments and options, and those that several commands have.

Each command has a class of options. `cli` reads command lines by its fields.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from kale_tag.diagnostics import UserError

T = TypeVar("T")

LEAST = 4_000
"""Bytes of Markdown that hold what is always there: both names, some rows, what is left out."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command."""

    help: str
    metavar: str = ""  # the word for its value, "" if it has none or a fixed set of values
    long: str = ""  # how it is written, "" for the name of its field
    short: str = ""  # its other spelling, as `-q`

    @property
    def flags(self) -> tuple[str, ...]:
        """Its spellings."""
        return (self.long, self.short) if self.short else (self.long,)


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument of a command, or with the type `list[str]` all that follow."""

    metavar: str
    help: str
    separator: bool = False  # `--` is one of them if it is given, as in Git


def option(default: T, text: str, metavar: str = "", *, long: str = "", short: str = "") -> T:
    """A field of a class of options that is an option, with *text* as its help."""
    found: T = field(default=default, metadata={"declared": Option(text, metavar, long, short)})
    return found


def argument(metavar: str, text: str, *, separator: bool = False) -> Any:  # noqa: ANN401  a field
    """A field of a class of options that is a positional argument, with *text* as its help."""
    return field(metadata={"declared": Argument(metavar, text, separator)})


@dataclass(kw_only=True)
class Options:
    """The arguments and options of a command."""


@dataclass(kw_only=True)
class PrintOptions(Options):
    """How much a command prints, and whether in colours."""

    quiet: bool = option(False, "Print errors and warnings only.", short="-q")
    color: Literal["auto", "always", "never"] = option(
        "auto", "When to use colours. auto: on a terminal, unless NO_COLOR is set."
    )


@dataclass(kw_only=True)
class FormatOptions(Options):
    """How a command prints its result."""

    format: Literal["text", "json"] = option("text", "How to print the result.")


@dataclass(kw_only=True)
class ReviewOptions(Options):
    """Of the commands that show differences."""

    format: Literal["text", "json", "markdown"] = option(
        "text", "How to print the result; markdown is for a pull request."
    )
    limit: int = option(
        65_536,
        "The most bytes of Markdown to print. Default: 65536, the limit of a comment on GitHub; "
        "that of a job summary is 1048576.",
        "BYTES",
    )
    exit_code: bool = option(False, "Exit 1 if anything differs, or would change.")

    def check_limit(self) -> None:
        """Raise `UserError` for a `--limit` that is too low."""
        if self.limit < LEAST:
            raise UserError.of("wrong-arguments", f"`--limit` must be at least {LEAST}")


@dataclass(kw_only=True)
class BatchOptions(PrintOptions):
    """Of the commands that tag many notebooks."""

    jobs: int = option(
        1, "Processes to use: several are faster for thousands of notebooks.", "N", short="-j"
    )
    verbose: bool = option(
        False,
        "Show each notebook, unchanged ones too, and repeated warnings one by one.",
        short="-v",
    )


@dataclass(kw_only=True)
class ReanchorOptions(Options):
    """Of the commands that apply patches."""

    reanchor: bool = option(
        False,
        "Find cells that have moved since a patch was written, by their id, or by their source if "
        "they have none. Accept changed code in a cell with the same id.",
    )


@dataclass(kw_only=True)
class SpecPaths(Options):
    """Of the commands that take specs with their notebooks."""

    paths: list[str] = argument(
        "SPEC|PATCH|NOTEBOOK|FOLDER",
        "Specs and notebooks in any order, or patches. A folder stands for the patches below it. "
        "One without patches stands for the specs in it, or, if you name a spec, for the "
        "notebooks below it. `-` is standard input. Default: kale-tag.yaml and the specs in "
        "specs/, of this folder or of the nearest one above it in the repository.",
    )


@dataclass(kw_only=True)
class NotebookPaths(Options):
    """Of the commands that take notebooks only."""

    paths: list[str] = argument(
        "NOTEBOOK|FOLDER",
        "Notebooks; a folder stands for the notebooks below it. `-` is standard input.",
    )


@dataclass(kw_only=True)
class BuildOptions(SpecPaths, PrintOptions):
    """Of the commands that build many pipelines."""

    jobs: int = option(
        1, "Processes to use: several are faster for hundreds of notebooks.", "N", short="-j"
    )


@dataclass(kw_only=True)
class PipelineOptions(PrintOptions):
    """Of the commands that run one pipeline."""

    paths: list[str] = argument(
        "SPEC|NOTEBOOK|PACKAGE",
        "A tagged notebook; or a notebook and the spec that tags it, in memory only; or a package "
        "written by `kale-tag compile`. `-` is a notebook on standard input.",
    )
    param: list[str] | None = option(
        None,
        "A parameter of the pipeline; lists and mappings as JSON. May be repeated.",
        "NAME=VALUE",
        short="-p",
    )
    params: str = option(
        "", "A YAML file with values of parameters; those of -p take precedence.", "FILE"
    )
    env: list[str] | None = option(
        None,
        "An environment variable of every step, for this run. Not for secrets: the package "
        "contains the value. May be repeated.",
        "NAME=VALUE",
        short="-e",
    )
