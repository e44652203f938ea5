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
Runnable = Annotated[
    list[str],
    Argument(
        "[SPEC] NOTEBOOK | PACKAGE",
        "A tagged notebook, if need be with the spec that tags it (in memory only), or a package "
        "that `kale-tag compile` wrote. `-` is a notebook on standard input.",
    ),
]
Parameters = Annotated[
    list[str] | None,
    Option(
        ("--param", "-p"),
        "A parameter of the pipeline; lists and mappings as JSON. Can be given again.",
        "NAME=VALUE",
    ),
]
ParamsFile = Annotated[
    str, Option(("--params",), "A YAML file with values of parameters; -p goes before it.", "FILE")
]
Host = Annotated[
    str,
    Option(("--host",), "The address of Kubeflow Pipelines, as http://localhost:8080.", "URL"),
]
Token = Annotated[
    str,
    Option(
        ("--token",),
        "Who you are. Other users of this machine can see it here; KALE_TAG_TOKEN in the "
        "environment is better.",
        "TOKEN",
    ),
]
CaCert = Annotated[
    str,
    Option(("--ca-cert",), "The certificate of who signed the server's, in PEM form.", "FILE"),
]
Namespace = Annotated[
    str, Option(("--namespace", "-n"), "Your namespace (profile), where users have one.", "NAME")
]
Experiment = Annotated[
    str, Option(("--experiment",), "Where the run is listed. Default: the notebook's.", "NAME")
]
RunName = Annotated[
    str, Option(("--run-name",), "Default: the pipeline's name, and the time.", "NAME")
]
VersionName = Annotated[
    str,
    Option(("--version-name",), "Default: the pipeline's name, and the package's digest.", "NAME"),
]
UploadOnly = Annotated[bool, Option(("--upload-only",), "Upload the package; run nothing.")]
Recurring = Annotated[
    str,
    Option(("--recurring",), "Run it again and again: '0 3 * * *' is every day at three.", "CRON"),
]
Wait = Annotated[
    bool, Option(("--wait",), "Wait for the end of the run; exit 1 if it does not succeed.")
]
