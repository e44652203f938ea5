"""What stands around the steps in a pipeline written as KFP's DSL."""

FRAME = '''\
"""The pipeline {name}, in Kubeflow Pipelines' own DSL.

Written by kale-tag from {notebook}; from here on it is yours. `python` on this file writes the
package {name}.yaml. It needs kfp, and kfp-kubernetes where `kubernetes` is imported.
"""

import json
import re
import shlex
import typing

{uses}

{body}
if __name__ == "__main__":
    compiler.Compiler().compile({function}, "{name}.yaml")
'''

INSTALL = "# INSTALL\n"
"""The line of the script in whose place the installation comes."""

CONTAINER = """\
def container(image, cells, packages=(), indexes=(), takes=(), **step):
    # Runs cells, given as (kind, number in the notebook, source). `takes` and `out` are the
    # variables that are loaded before and saved after; what else is said is for RUNTIME too.
    text, counts = "", []
    for kind, number, source in cells:
        lines = source.removeprefix("\\n").rstrip("\\n").split("\\n")
        title = f"step {step['step']}" if kind == "step" else kind
        text += "".join(f"{line}\\n" for line in [f"# %% {title}, cell {number}", *lines])
        counts.append([kind, number, len(lines)])
    step |= {"cells": counts, "in": list(takes)}
    spec = json.dumps(step, ensure_ascii=False)
    # For these, Kubernetes and Kubeflow Pipelines would put in something else.
    for key, sign, first in (("dollar", r"\\$(?=[$(])", "~"), ("brace", r"\\{\\{", "{")):
        if re.search(sign, text + spec):
            mark = next(m for m in (first + end for end in "^`|?!") if m not in text + spec)
            text = re.sub(sign, mark, text)
            told = {**json.loads(re.sub(sign, mark, spec)), key: mark}
            spec = json.dumps(told, ensure_ascii=False)
    install = ""
    if packages:
        words = []
        for place, url in enumerate(indexes):
            words += ["--extra-index-url" if place else "--index-url", shlex.quote(url)]
        words += [shlex.quote(package) for package in packages]
        install = '[ -n "$KALE_TAG_NO_PIP" ] || python3 -m pip install --quiet '
        install += f"--disable-pip-version-check --no-warn-script-location {' '.join(words)}\\n"
    first, *more = [text[at : at + 30_000] for at in range(0, len(text), 30_000)]
    return dsl.ContainerSpec(
        image=image,
        command=["sh", "-ec", START.removeprefix("\\n").replace("# INSTALL\\n", install), first],
        args=[RUNTIME.removeprefix("\\n"), spec, "{{$}}", *more],
    )
"""
