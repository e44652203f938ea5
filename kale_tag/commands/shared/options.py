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
Verbose = Annotated[
    bool,
    Option(
        ("--verbose", "-v"),
        "Name unchanged notebooks too, and show each warning that many share.",
    ),
]
Unchanged = Annotated[bool, Option(("--verbose", "-v"), "Name unchanged notebooks too.")]
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
PatchOutput = Annotated[
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
Limit = Annotated[
    int,
    Option(
        ("--limit",),
        "The most bytes of markdown. Default: what a comment on GitHub takes; the summary of a job "
        "takes 1048576.",
        "BYTES",
    ),
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
        "Print what a finding means, why that hurts and how to mend it; `list` names all that have "
        "such a page.",
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
SpecOutput = Annotated[
    str,
    Option(
        ("--output", "-o"),
        "Write the spec into this file, or the specs into this folder (with `/` at its end, or one "
        "that exists); `-`, the default, is standard output.",
        "PATH",
    ),
]
Propose = Annotated[
    bool,
    Option(
        ("--propose",),
        "Propose specs for the untagged notebooks of a folder, too. Without this, a folder with "
        "tagged notebooks stands for these alone.",
    ),
]
By = Annotated[
    Literal["auto", "id", "source", "index"],
    Option(
        ("--by",),
        "Select cells by id, source or index wherever that selects just the cell. auto: by id, "
        "which never changes, else by a pattern for the source; in a proposal the other way round; "
        "by index as the last resort.",
    ),
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
Logs = Annotated[
    bool,
    Option(("--verbose", "-v"), "Print what the steps print, and every variable compared, too."),
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
