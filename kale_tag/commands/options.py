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
    """The positional arguments of a command.

    *separator* says that `--` is one of them where it is given, as in Git.
    """

    metavar: str
    help: str
    separator: bool = False


Paths = Annotated[
    list[str],
    Argument(
        "[SPEC|PATCH|NOTEBOOK|FOLDER]...",
        "Specs and notebooks, or patches, in any order; a folder stands for the patches below it, "
        "else for the notebooks below it, or for the specs in it where no spec is named. `-` is "
        "standard input. Default: kale-tag.yaml and the specs in specs/.",
    ),
]
NotebookPaths = Annotated[
    list[str],
    Argument(
        "[NOTEBOOK|FOLDER]...",
        "Notebooks, or folders, which stand for the notebooks below them. `-` is standard input.",
    ),
]
OldName = Annotated[str, Argument("OLD", "What the step is called.")]
NewName = Annotated[str, Argument("NEW", "What it shall be called.")]
RenamePaths = Annotated[
    list[str],
    Argument(
        "[SPEC|PATCH|NOTEBOOK|FOLDER]...",
        "Where to rename it. A spec brings those that it extends and the notebooks that it names, "
        "a patch its notebook, a folder all that is below it. Default: kale-tag.yaml and the specs "
        "in specs/.",
    ),
]
Write = Annotated[bool, Option(("--write",), "Write it; without this, show what would change.")]
PatchPaths = Annotated[
    list[str],
    Argument(
        "[PATCH|FOLDER|NOTEBOOK]...",
        "Patches, or folders of them; notebooks that are named too are the only ones. `-` is "
        "standard input.",
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
Output = Annotated[
    str,
    Option(
        ("--output", "-o"),
        "Write a JSON Patch for each notebook that changes into this folder, or for one notebook "
        "into this file (.json); `-` is standard output.",
        "PATH",
    ),
]
Reanchor = Annotated[
    bool,
    Option(
        ("--reanchor",),
        "Follow cells that stand elsewhere than a patch says, by id or source, if that is unique.",
    ),
]
Interactive = Annotated[
    bool, Option(("--interactive", "-i"), "Ask for each cell, as `git add -p` does.")
]
AllOrNothing = Annotated[
    bool, Option(("--all-or-nothing",), "Write no notebook unless all of them can be written.")
]
Versions = Annotated[
    list[str],
    Argument(
        "[A] [B] [--] [PATH]...",
        "Two notebooks or two folders (`-` is standard input); or Git revisions, and behind `--` "
        "the paths to look at, as for `git diff`: A B; A..B; A...B, from where they parted; A "
        "alone, or nothing for HEAD, is compared with the work tree.",
        separator=True,
    ),
]
DiffFormat = Annotated[
    Literal["text", "json", "markdown"],
    Option(("--format",), "How to print the result: text, json, or markdown for a pull request."),
]
ExitCode = Annotated[bool, Option(("--exit-code",), "Exit with 1 if anything differs.")]
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
GitAction = Annotated[
    Literal["install", "uninstall", "status", "textconv", "merge"],
    Argument(
        "ACTION",
        "install, uninstall or status; Git itself calls textconv and merge.",
    ),
]
GitFiles = Annotated[list[str], Argument("FILE", "What textconv and merge work on.")]
Everywhere = Annotated[
    bool, Option(("--global",), "For all your repositories, not just the one you are in.")
]
Attributes = Annotated[
    str,
    Option(
        ("--attributes",),
        "The attributes file to write, for example .gitattributes, which can be committed.",
        "FILE",
    ),
]
