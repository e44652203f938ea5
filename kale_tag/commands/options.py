"""The options of the commands, each said once; `cli` makes parsers of them."""

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its spellings, its help, and the word for its value where it takes one."""

    flags: tuple[str, ...]
    help: str
    metavar: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """The positional arguments of a command."""

    metavar: str
    help: str


Paths = Annotated[
    list[str],
    Argument(
        "[SPEC|NOTEBOOK|FOLDER]...",
        "Specs and notebooks in any order; a folder stands for the notebooks below it, or for the "
        "specs in it where no spec is named. `-` is standard input. Default: kale-tag.yaml and "
        "the specs in specs/.",
    ),
]
Format = Annotated[
    Literal["text", "json"], Option(("--format",), "How to print the result: text or json.")
]
Jobs = Annotated[
    int,
    Option(("--jobs", "-j"), "Work on this many notebooks at once; pays above some 5,000.", "N"),
]
Quiet = Annotated[bool, Option(("--quiet", "-q"), "Print errors only.")]
Verbose = Annotated[bool, Option(("--verbose", "-v"), "Name unchanged notebooks too.")]
Color = Annotated[
    Literal["auto", "always", "never"],
    Option(("--color",), "Colours: auto, always or never; NO_COLOR is honoured."),
]
Diff = Annotated[
    bool, Option(("--diff",), "Print the change of the bytes instead, as `git apply` takes it.")
]
Explain = Annotated[
    bool, Option(("--explain",), "Say which cells every rule selects, and why not the others.")
]
AllOrNothing = Annotated[
    bool, Option(("--all-or-nothing",), "Write no notebook unless all of them can be written.")
]
CheckPaths = Annotated[
    list[str],
    Argument(
        "[SPEC|NOTEBOOK|FOLDER]...",
        "Specs, checked with the notebooks that they name; notebooks; and folders, which stand for "
        "the specs in them and the notebooks below them. `-` is standard input. Default: "
        "kale-tag.yaml and the specs in specs/.",
    ),
]
CheckFormat = Annotated[
    Literal["text", "json", "sarif", "github"],
    Option(
        ("--format",),
        "How to print the findings: text, json, sarif (2.1.0), or github (annotations).",
    ),
]
Strict = Annotated[bool, Option(("--strict",), "Let warnings fail the check too.")]
ExplainCode = Annotated[
    str,
    Option(
        ("--explain",),
        "Print what a lint finds, why that hurts and how to mend it; `list` names all lints.",
        "CODE",
    ),
]
Silenced = Annotated[bool, Option(("--verbose", "-v"), "Show what a spec silences too.")]
