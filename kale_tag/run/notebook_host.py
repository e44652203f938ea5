"""The process that runs a plain notebook: python notebook_host.py NOTEBOOK FOLDER SECONDS.

NOTEBOOK is a JSON list of [cell number, source]. An error is the last line of standard output, as
JSON. The kernel is this Python, without the user's Jupyter and IPython settings.
"""

import json
import os
import sys
from typing import Any


def run(path: str, folder: str, seconds: str) -> int:
    """Run all cells in one kernel; 0 if none of them fails."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbformat import v4

    kernel = os.path.join(folder, "kernels", "kale-tag")
    os.makedirs(kernel)
    words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    with open(os.path.join(kernel, "kernel.json"), "w", encoding="utf-8") as file:
        json.dump({"argv": words, "display_name": "Python", "language": "python"}, file)
    with open(path, encoding="utf-8") as file:
        cells = json.load(file)
    new_cell: Any = v4.new_code_cell
    new_notebook: Any = v4.new_notebook
    notebook = new_notebook(cells=[new_cell(source) for _, source in cells])
    specs = KernelSpecManager(kernel_dirs=[os.path.dirname(kernel)])
    manager = AsyncKernelManager(kernel_name="kale-tag", kernel_spec_manager=specs)
    place = {"metadata": {"path": os.getcwd()}}
    limit = int(seconds) or None
    client = NotebookClient(notebook, km=manager, timeout=limit, resources=place)
    at = 0
    try:
        with client.setup_kernel():
            for at, cell in enumerate(notebook.cells):
                client.execute_cell(cell, at)
    except CellExecutionError as exc:
        print(json.dumps([cells[at][0], f"{exc.ename}: {exc.evalue}"]))
        return 1
    except (CellTimeoutError, DeadKernelError) as exc:
        print(json.dumps([cells[at][0], str(exc).strip().partition("\n")[0]]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
