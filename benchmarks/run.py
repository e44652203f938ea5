"""Running pipelines on this machine: what a step costs beside its code, against Kale 2.3's package.

python benchmarks/run.py [--kale .venv-kale/bin/kale] [--rounds 3] [--cold]

The notebooks are those of compile.py: chains of steps that do next to nothing. Both packages run on
KFP's own local runner, each in the environment of its maker. A step of Kale's calls pip, which
finds everything there; "without pip" is the same package with that line taken out. `--cold`
measures what a fresh container of a step installs, in new virtual environments; it needs the
network and minutes.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from common import kale_tag, program_env, shuffled, workspace
from compile import chain

SHORT, LONG = 2, 22
"""Steps of the two chains of ours; of Kale's, whose steps take seconds, one and three."""

RUN_KALE = """
import sys, warnings
warnings.simplefilter("ignore")
from kfp import components, local
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2])
components.load_component_from_file(sys.argv[1])()
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kale", default=".venv-kale/bin/kale")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true")
    asked = parser.parse_args()
    kale = os.path.abspath(asked.kale)
    with workspace() as folder:
        env = program_env(folder) | {"HOME": folder}
        os.chdir(folder)
        work = dict(ours(env))
        if os.path.exists(kale):
            work |= kales(kale, env)
        else:
            print(f"there is no {kale}: Kale is left out")
        times: dict[str, list[float]] = {name: [] for name in work}
        for number in range(asked.rounds):
            for name in shuffled(list(work), number):
                times[name].append(work[name]())
        print(f"load {os.getloadavg()[0]:.1f}, medians of {asked.rounds}, seconds\n")
        print(f"{'':32}{'short':>8}{'long':>8}{'a step':>9}")
        for name in dict.fromkeys(name.rpartition(", ")[0] for name in work):
            (few, short), (many, long) = (
                (int(key.rpartition(", ")[2]), statistics.median(times[key]))
                for key in work
                if key.startswith(f"{name}, ")
            )
            print(f"{name:32}{short:8.2f}{long:8.2f}{(long - short) / (many - few):9.3f}")
        if asked.cold:
            cold()


def ours(env: dict[str, str]) -> dict[str, Callable[[], float]]:
    """Runs of kale-tag, and of its package on the bare runner of KFP."""
    work = {}
    for steps in (SHORT, LONG):
        name = f"chain{steps}"
        with open(f"{name}.ipynb", "wb") as file:
            file.write(chain(steps, name))
        subprocess.run([*kale_tag(), "compile", "-q", f"{name}.ipynb"], env=env, check=True)
        run = [*kale_tag(), "run", "-q", f"{name}.ipynb", "--keep", f"out{steps}"]
        bare = [sys.executable, "-c", RUN_KALE, f"{name}.pipeline.yaml", "root"]
        work[f"kale-tag run, {steps}"] = timed(run, env)
        work[f"its package on bare kfp.local, {steps}"] = timed(
            bare, env | {"KALE_TAG_NO_PIP": "1"}
        )
    return work


def kales(kale: str, env: dict[str, str]) -> dict[str, Callable[[], float]]:
    """Runs of Kale's package."""
    python = os.path.join(os.path.dirname(kale), "python")
    env = env | {"PATH": f"{os.path.dirname(kale)}{os.pathsep}{env['PATH']}"}
    work = {}
    for words in ("Kale's package", "Kale's package without pip"):
        for steps in (1, 3):
            name = f"kale{steps}"
            if not os.path.exists(f"{name}.ipynb"):
                with open(f"{name}.ipynb", "wb") as file:
                    file.write(chain(steps, name))
                subprocess.run(
                    [kale, "--nb", f"{name}.ipynb", "--pipeline_name", name],
                    env=env,
                    check=True,
                    capture_output=True,
                )
            path = f".kale/{name}.pipeline.yaml"
            if words.endswith("pip"):
                path = without_pip(python, path, env)
            work[f"{words}, {steps}"] = timed([python, "-c", RUN_KALE, path, "root"], env)
    return work


def without_pip(python: str, path: str, env: dict[str, str]) -> str:
    """The package at *path* with its calls of pip taken out."""
    program = (
        "import sys, yaml\n"
        "spec = next(yaml.safe_load_all(open(sys.argv[1])))\n"
        "for one in spec['deploymentSpec']['executors'].values():\n"
        "    command = one['container']['command']\n"
        "    command[2] = command[2][command[2].rindex('&&') + 2:]\n"
        "yaml.safe_dump(spec, open(sys.argv[1] + '.bare.yaml', 'w'))\n"
    )
    subprocess.run([python, "-c", program, path], env=env, check=True)
    return f"{path}.bare.yaml"


def timed(words: list[str], env: dict[str, str]) -> Callable[[], float]:
    """Runs the words; the elapsed time."""

    def run() -> float:
        start = time.perf_counter()
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return time.perf_counter() - start

    return run


def cold() -> None:
    """What a step that imports pandas and scikit-learn installs, in a fresh environment."""
    wanted = {
        "kale-tag, nothing imported": [],
        "kale-tag, pandas, scikit-learn": ["pandas", "scikit-learn"],
        "Kale, nothing imported": ["kfp>=2.0.0", "kubeflow-kale==2.3.0"],
        "Kale, pandas, scikit-learn": [
            *("kfp>=2.0.0", "kubeflow-kale==2.3.0", "pandas", "scikit-learn")
        ],
    }
    print(f"\n{'a fresh step installs':34}{'packages':>10}{'MB':>8}{'s':>8}")
    for name, words in wanted.items():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            packages = os.path.join(folder, "lib")
            before = size_of(packages)
            start = time.perf_counter()
            if words:
                pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "install", "-q"]
                subprocess.run([*pip, "--no-cache-dir", *words], check=True, capture_output=True)
            seconds = time.perf_counter() - start if words else 0.0
            listed = subprocess.run(
                [os.path.join(folder, "bin", "python"), "-m", "pip", "list", "--format=freeze"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.split()
            own = [one for one in listed if not one.startswith(("pip==", "setuptools=="))]
            megabytes = (size_of(packages) - before) / 1e6
            print(f"{name:34}{len(own):10}{megabytes:8.0f}{seconds:8.1f}")
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)


def size_of(folder: str) -> int:
    """The bytes of all files below *folder*."""
    return sum(
        os.path.getsize(os.path.join(at, name))
        for at, _, names in os.walk(folder)
        for name in names
        if not os.path.islink(os.path.join(at, name))
    )


if __name__ == "__main__":
    main()
