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
PackageFormat = Annotated[
    Literal["yaml", "json", "manifest"],
    Option(
        ("--format",),
        "yaml: a package for Kubeflow Pipelines; json: the same for programs; manifest: Kubernetes "
        "resources, Pipeline and PipelineVersion.",
    ),
]
GraphFormat = Annotated[
    Literal["text", "mermaid", "dot", "svg", "json"],
    Option(("--format",), "How to draw: text, mermaid, dot, svg or json."),
]
Output = Annotated[
    str,
    Option(
        ("--output", "-o"),
        "The file to write, or a folder for NAME.pipeline.yaml and the like; `-` is standard "
        "output. Default: beside each notebook.",
        "PATH",
    ),
]
Drawing = Annotated[
    str,
    Option(("--output", "-o"), "The file to write, or a folder. Default: print.", "PATH"),
]
Dsl = Annotated[
    str,
    Option(("--dsl",), "Write the pipeline as Python in KFP's own DSL too, to this file.", "PATH"),
]
Check = Annotated[
    bool,
    Option(("--check",), "Write nothing; exit 1 if a package is not what would be written now."),
]
Jobs = Annotated[
    int,
    Option(("--jobs", "-j"), "Work on this many notebooks at once; pays above some 5,000.", "N"),
]
Builders = Annotated[
    int, Option(("--jobs", "-j"), "Work on this many notebooks at once; pays above some 200.", "N")
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
Parameters = Annotated[
    list[str],
    Option(
        ("--param", "-p"),
        "A parameter of the pipeline; lists and mappings as JSON. Can be given again.",
        "NAME=VALUE",
    ),
]
ParamsFile = Annotated[
    str, Option(("--params",), "A YAML file with values of parameters; -p goes before it.", "FILE")
]
Until = Annotated[
    str, Option(("--until",), "Run this step and what it waits for, and no other.", "STEP")
]
From = Annotated[
    str,
    Option(
        ("--from",),
        "Run this step and those after it; the others give what they gave in the last run.",
        "STEP",
    ),
]
Cache = Annotated[
    bool,
    Option(
        ("--cache",),
        "Run no step that an earlier run has done with the same code, parameters and inputs.",
    ),
]
Install = Annotated[
    bool, Option(("--install",), "Let the steps install their packages into this Python.")
]
Keep = Annotated[
    str,
    Option(
        ("--keep",),
        "The folder for everything of this run; an earlier run in it is replaced. Default: a new "
        "one in .kale-tag/runs/PIPELINE/.",
        "FOLDER",
    ),
]
Timeout = Annotated[
    int,
    Option(
        ("--timeout",),
        "Seconds that a step may take. Default: the `timeout` of its spec, else no limit.",
        "SECONDS",
    ),
]
RunReport = Annotated[
    str, Option(("--report",), "Write the page of the run to this file, too.", "FILE.html")
]
Compare = Annotated[
    bool,
    Option(
        ("--compare",),
        "Run the plain notebook, too, and compare metrics and variables; exit 1 if they differ.",
    ),
]
Logs = Annotated[bool, Option(("--verbose", "-v"), "Print what the steps print, too.")]
