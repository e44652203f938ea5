"""Runs kale-tag on everything in a folder, and says what it printed; any Python that has kale-tag.

    python oldest.py FOLDER

Each command works on what the ones before it left. What is written stays in the folder.
"""

import contextlib
import io
import os
import sys

from kale_tag.cli import main

SPECS = [
    ["hello/hello.yaml", "hello/hello.ipynb"],
    ["parameters/parameters.yaml", "parameters/parameters.ipynb"],
    ["churn/churn.yaml", "churn/churn.ipynb"],
    ["team"],
    ["composition"],
]
ALL = ["hello", "parameters", "churn", "team", "composition"]


def commands() -> list[list[str]]:
    """The commands, in their order."""
    made = [["plan", *spec, *more] for spec in SPECS for more in ([], ["--format", "json"])]
    made += [["plan", *spec, "-v", "--explain"] for spec in SPECS]
    made += [["plan", *spec, "-o", f"patches/{spec[0]}/"] for spec in SPECS]
    made += [["apply", f"patches/{SPECS[0][0]}"], *(["apply", *spec] for spec in SPECS)]
    made += [["diff", "team/sales/daily_report.ipynb", "team/sales/weekly_report.ipynb"]]
    made += [["check", *ALL], ["check", *ALL, "--format", "json"]]
    for form in ("text", "mermaid", "dot", "svg", "json"):
        made.append(["graph", "parameters/parameters.ipynb", "--format", form])
    made += [["compile", *ALL, "--format", form] for form in ("yaml", "json", "manifest")]
    made += [["compile", "composition/composition.ipynb", "--dsl", "composition.py"]]
    made += [["compile", "defects"], ["compile", "defects", "--check"]]
    made += [["revert", f"patches/{spec[0]}"] for spec in SPECS]
    return [*made, ["schema"], ["--version"]]


def run() -> None:
    """Run them all in the current folder."""
    os.environ["NO_COLOR"] = "1"
    for words in commands():
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main(words)
        out.seek(0)
        sys.stdout.write(f"$ kale-tag {' '.join(words)}\n{out.read()}[exit {code}]\n")


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    run()
