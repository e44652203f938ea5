"""`kale-tag init`: the first spec of a repository, and on request hooks and CI."""

import os
import sys
from dataclasses import dataclass

from kale_tag import HOME, files
from kale_tag.commands.extract import ExtractOptions, extract
from kale_tag.commands.shared.options import Options, argument, option
from kale_tag.commands.shared.report import Report, style_for
from kale_tag.commands.shared.targets import DEFAULT_FOLDER, default_specs
from kale_tag.diagnostics import Label, Source, UserError

HOOKS = ".pre-commit-config.yaml"
CI = ".github/workflows/kale-tag.yaml"
CLONE = "tools/kale-tag"

CONTENT = {
    HOOKS: r"""repos:
  - repo: local
    hooks:
      - id: kale-tag-check
        name: kale-tag check
        entry: kale-tag check
        language: system
        files: '\.ipynb$|(^|/)specs/[^/]*\.ya?ml$|(^|/)kale-tag\.ya?ml$'
        require_serial: true
""",
    CI: f"""name: kale-tag
on: [pull_request]
permissions: {{contents: read}}
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
        with: {{submodules: true}}
      - uses: ./{CLONE}  # git submodule add {HOME} {CLONE}
""",
}


@dataclass(kw_only=True)
class InitOptions(Options):
    """The options of `kale-tag init`."""

    paths: list[str] = argument(
        "NOTEBOOK|FOLDER",
        "Notebooks to write specs for; a folder stands for the notebooks below it. Default: this "
        "folder. A repository that has specs gets no new ones.",
    )
    hooks: bool = option(
        False, f"Also write {HOOKS}, so that pre-commit checks notebooks before each commit."
    )
    ci: bool = option(
        False, f"Also write {CI}, so that GitHub checks notebooks in each pull request."
    )
    quiet: bool = option(False, "Print errors only.", short="-q")


def init(options: InitOptions) -> int:
    """Set up kale-tag: write the first specs, and hooks and CI.

    kale-tag init

    kale-tag init notebooks/ --hooks --ci

    It overwrites nothing.
    """
    wanted = [HOOKS] * options.hooks + [CI] * options.ci
    root = files.repository(os.getcwd())
    if wanted and root not in {"", os.getcwd()}:
        message = f"hooks and CI belong to the root of the repository, {os.path.relpath(root)}"
        raise UserError.of("bad-options", message, help="run `kale-tag init` there")
    present = default_specs()
    if present and not wanted:
        message = f"there is a spec already: {present[0]}"
        hint = "`kale-tag plan` shows what it changes; `kale-tag extract NOTEBOOK` writes a spec"
        raise UserError.of("exists", message, Label(Source(present[0])), help=hint)
    code = 0
    if not present:
        folder = os.path.join(DEFAULT_FOLDER, "")
        given = ExtractOptions(paths=options.paths or ["."], output=folder, quiet=options.quiet)
        code = extract(given)
    report = Report(style_for("auto", sys.stdout.isatty()))
    for path in wanted:
        try:
            _write(path, quiet=options.quiet)
        except UserError as exc:
            report.show(exc.diagnostics)
    if not code and not report.exit_code and not options.quiet:
        print("To see what the specs change: kale-tag plan")
    return report.exit_code or code


def _write(path: str, *, quiet: bool) -> None:
    """Write one file. Raises `UserError` if there is another one."""
    data = CONTENT[path].encode()
    if os.path.lexists(path) and files.read(path).data != data:
        message = f"{path} exists; it was not overwritten"
        notes = CONTENT[path].splitlines()
        hint = "add these lines to it"
        raise UserError.of("exists", message, Label(Source(path)), notes=notes, help=hint)
    verb = "wrote" if files.write(path, data) else "unchanged"
    if not quiet:
        print(f"{verb} {path}")
