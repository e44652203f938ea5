"""The arguments and options of all commands; `cli` reads command lines by them."""

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command."""

    flags: tuple[str, ...]  # its spellings, the long one first
    help: str
    metavar: str = ""  # the word for its value, "" if it has none or a fixed set of values


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument of a command, or with the type `list[str]` all that follow."""

    metavar: str
    help: str
    separator: bool = False  # `--` is one of them if it is given, as in Git


Paths = Annotated[
    list[str],
    Argument(
        "SPEC|PATCH|NOTEBOOK|FOLDER",
        "Specs and notebooks in any order, or patches. A folder stands for the patches below it if "
        "it has any. Otherwise it stands for the notebooks below it, or, if no spec is given, for "
        "the specs in it. `-` is standard input. Default: kale-tag.yaml and the specs in specs/.",
    ),
]
NotebookPaths = Annotated[
    list[str],
    Argument(
        "NOTEBOOK|FOLDER",
        "Notebooks; a folder stands for the notebooks below it. `-` is standard input.",
    ),
]
OldName = Annotated[str, Argument("OLD", "The present name of the step.")]
NewName = Annotated[str, Argument("NEW", "The new name.")]
RenamePaths = Annotated[
    list[str],
    Argument(
        "SPEC|PATCH|NOTEBOOK|FOLDER",
        "Where to rename it. A spec includes the specs that it extends and the notebooks "
        "that it names, a patch also for its notebook, a folder for all of them below it. Default: "
        "kale-tag.yaml and the specs in specs/.",
    ),
]
Write = Annotated[
    bool, Option(("--write",), "Write the files. Without this option, show what would change.")
]
PatchPaths = Annotated[
    list[str],
    Argument(
        "PATCH|FOLDER|NOTEBOOK",
        "Patches, or folders of patches. If notebooks are given too, only their patches are used. "
        "`-` is standard input.",
    ),
]
Format = Annotated[
    Literal["text", "json"], Option(("--format",), "How to print the result: text or json.")
]
PackageFormat = Annotated[
    Literal["yaml", "json", "manifest"],
    Option(
        ("--format",),
        "yaml: a package for Kubeflow Pipelines; json: the same as JSON; manifest: the Kubernetes "
        "resources Pipeline and PipelineVersion.",
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
        "The file to write, or a folder in which each notebook gets NAME.pipeline.yaml (or .json, "
        "...); `-` is standard output. Default: beside each notebook.",
        "PATH",
    ),
]
Drawing = Annotated[
    str,
    Option(("--output", "-o"), "The file to write, or a folder. Default: print.", "PATH"),
]
Dsl = Annotated[
    str,
    Option(
        ("--dsl",),
        "Also write the pipeline as Python code of the KFP SDK (DSL) to this file or folder.",
        "PATH",
    ),
]
Check = Annotated[
    bool,
    Option(
        ("--check",),
        "Write nothing; exit 1 if a package on disk differs from what would be written now.",
    ),
]
Jobs = Annotated[
    int,
    Option(
        ("--jobs", "-j"), "Processes to use. Faster than one from some 5,000 notebooks on.", "N"
    ),
]
Builders = Annotated[
    int,
    Option(("--jobs", "-j"), "Processes to use. Faster than one from some 200 notebooks on.", "N"),
]
Quiet = Annotated[bool, Option(("--quiet", "-q"), "Print errors only.")]
Verbose = Annotated[
    bool,
    Option(
        ("--verbose", "-v"),
        "List unchanged notebooks too, and show repeated warnings one by one.",
    ),
]
Unchanged = Annotated[bool, Option(("--verbose", "-v"), "List unchanged notebooks too.")]
Color = Annotated[
    Literal["auto", "always", "never"],
    Option(("--color",), "When to use colours. auto: on a terminal, unless NO_COLOR is set."),
]
Diff = Annotated[
    bool, Option(("--diff",), "Print the change as a unified diff, which `git apply` takes.")
]
Explain = Annotated[
    bool,
    Option(
        ("--explain",),
        "For each rule, show the cells it selects, and why it does not select the others.",
    ),
]
PatchOutput = Annotated[
    str,
    Option(
        ("--output", "-o"),
        "Write a JSON Patch for each notebook that changes into this folder, or, for one notebook, "
        "to this file (.json); `-` is standard output.",
        "PATH",
    ),
]
Reanchor = Annotated[
    bool,
    Option(
        ("--reanchor",),
        "Find cells that have moved since a patch was written, by their id, or by their source if "
        "it is unique.",
    ),
]
Interactive = Annotated[
    bool, Option(("--interactive", "-i"), "Ask for each changed cell, as `git add -p` does.")
]
AllOrNothing = Annotated[
    bool, Option(("--all-or-nothing",), "Write no notebook unless all can be written.")
]
Versions = Annotated[
    list[str],
    Argument(
        "NOTEBOOK|FOLDER|REVISION",
        "Two notebooks or two folders (`-` is standard input), or Git revisions as for `git diff`: "
        "A B or A..B; A...B, which compares B with the merge base; A alone, which compares A with "
        "the work tree; nothing, which stands for HEAD. After `--`: the paths to compare.",
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
        "The most bytes of Markdown to print. Default: the limit of a comment on GitHub; that of a "
        "job summary is 1048576.",
        "BYTES",
    ),
]
ExitCode = Annotated[bool, Option(("--exit-code",), "Exit 1 if anything differs.")]
CheckPaths = Annotated[
    list[str],
    Argument(
        "SPEC|NOTEBOOK|FOLDER",
        "Specs, checked with the notebooks that they name; notebooks; folders, which stand for the "
        "specs in them and the notebooks below them. `-` is standard input. Default: kale-tag.yaml "
        "and the specs in specs/.",
    ),
]
CheckFormat = Annotated[
    Literal["text", "json", "sarif", "github"],
    Option(
        ("--format",),
        "How to print the findings: text, json, sarif (2.1.0), or github (annotations).",
    ),
]
Strict = Annotated[bool, Option(("--strict",), "Exit 1 for warnings too.")]
ExplainCode = Annotated[
    str,
    Option(
        ("--explain",),
        "Print what a finding means, why it matters and how to fix it; `list` lists the codes of "
        "all findings.",
        "CODE",
    ),
]
Silenced = Annotated[bool, Option(("--verbose", "-v"), "Show findings that a spec silences too.")]
GitAction = Annotated[
    Literal["install", "uninstall", "status", "textconv", "merge"],
    Argument(
        "ACTION",
        "install, uninstall or status; Git itself runs textconv and merge.",
    ),
]
GitFiles = Annotated[list[str], Argument("FILE", "Files of textconv and merge.")]
Everywhere = Annotated[
    bool, Option(("--global",), "For all your repositories, not only the current one.")
]
Attributes = Annotated[
    str,
    Option(
        ("--attributes",),
        "The attributes file to write: .gitattributes, for example, can be committed.",
        "FILE",
    ),
]
SpecOutput = Annotated[
    str,
    Option(
        ("--output", "-o"),
        "Write the spec to this file, or the specs into this folder (which exists or ends with "
        "`/`); `-`, the default, is standard output.",
        "PATH",
    ),
]
Propose = Annotated[
    bool,
    Option(
        ("--propose",),
        "Propose specs for the untagged notebooks of a folder too. Without this option, a folder "
        "that has tagged notebooks stands for these only.",
    ),
]
By = Annotated[
    Literal["auto", "id", "source", "index"],
    Option(
        ("--by",),
        "How rules select cells. auto: by id if the cell has one, else by a pattern for its "
        "source; in a proposal, by source first. By index if nothing else selects just that cell.",
    ),
]
Runnable = Annotated[
    list[str],
    Argument(
        "SPEC|NOTEBOOK|PACKAGE",
        "A tagged notebook; or a notebook and the spec that tags it, in memory only; or a package "
        "written by `kale-tag compile`. `-` is a notebook on standard input.",
    ),
]
Parameters = Annotated[
    list[str] | None,
    Option(
        ("--param", "-p"),
        "A parameter of the pipeline; lists and mappings as JSON. May be repeated.",
        "NAME=VALUE",
    ),
]
ParamsFile = Annotated[
    str,
    Option(
        ("--params",), "A YAML file with values of parameters; those of -p take precedence.", "FILE"
    ),
]
Until = Annotated[
    str, Option(("--until",), "Run only this step and the steps that it depends on.", "STEP")
]
From = Annotated[
    str,
    Option(
        ("--from",),
        "Run this step and those that depend on it; take the results of the others from the last "
        "run.",
        "STEP",
    ),
]
Cache = Annotated[
    bool,
    Option(
        ("--cache",),
        "Reuse the results of steps that an earlier run did with the same code, parameters and "
        "inputs.",
    ),
]
Install = Annotated[
    bool,
    Option(("--install",), "Let the steps install their packages into this Python environment."),
]
Keep = Annotated[
    str,
    Option(
        ("--keep",),
        "The folder for all files of this run; it replaces an earlier run there. Default: a new "
        "folder in .kale-tag/runs/PIPELINE/.",
        "FOLDER",
    ),
]
Timeout = Annotated[
    int,
    Option(
        ("--timeout",),
        "The most seconds that a step may take. Default: its `timeout` in the spec, else no limit.",
        "SECONDS",
    ),
]
RunReport = Annotated[
    str, Option(("--report",), "Also write the HTML page of the run to this file.", "FILE.html")
]
Compare = Annotated[
    bool,
    Option(
        ("--compare",),
        "Also run the plain notebook, and compare metrics and variables; exit 1 if they differ.",
    ),
]
Logs = Annotated[
    bool,
    Option(
        ("--verbose", "-v"), "Also print the output of the steps, and with --compare each variable."
    ),
]
Host = Annotated[
    str,
    Option(("--host",), "The address of Kubeflow Pipelines, such as http://localhost:8080.", "URL"),
]
Token = Annotated[
    str,
    Option(
        ("--token",),
        "The token to authenticate with. Other users of this machine can see it here; better set "
        "KALE_TAG_TOKEN in the environment.",
        "TOKEN",
    ),
]
CaCert = Annotated[
    str,
    Option(
        ("--ca-cert",), "The certificate of the authority that signed the server's, as PEM.", "FILE"
    ),
]
Namespace = Annotated[
    str,
    Option(
        ("--namespace", "-n"), "Your namespace (profile), on a server with several users.", "NAME"
    ),
]
Experiment = Annotated[
    str, Option(("--experiment",), "The experiment of the run. Default: the notebook's.", "NAME")
]
RunName = Annotated[
    str, Option(("--run-name",), "Default: the name of the pipeline and the time.", "NAME")
]
VersionName = Annotated[
    str,
    Option(
        ("--version-name",),
        "Default: the name of the pipeline and the digest of the package.",
        "NAME",
    ),
]
UploadOnly = Annotated[bool, Option(("--upload-only",), "Upload the package, and run nothing.")]
Recurring = Annotated[
    str,
    Option(("--recurring",), "Run it on a schedule: '0 3 * * *' is every day at three.", "CRON"),
]
Wait = Annotated[
    bool, Option(("--wait",), "Wait until the run ends; exit 1 if it does not succeed.")
]
