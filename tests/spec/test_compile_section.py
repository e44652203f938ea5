"""`compile` in a spec, as the compiler gets it."""

from kale_tag.diagnostics import Label, Source, Span
from kale_tag.kale.pipeline import PodOptions
from kale_tag.kale.settings import CompileOptions, StepOptions
from kale_tag.spec.read import read_spec

BASE = """\
version: 1
compile:
  packages: [pandas]
  files: [helpers.py, ../src/lib/**]
  ttl: 60
  distributions: {cv2: opencv-python, a: b}
  artifacts: {x: Model}
  steps:
    train: {retries: 2, env: {A: 1, B: true}, packages: [torch]}
    load: {timeout: 30, node_selector: {pool: 1, zone: a}, tolerations: [{operator: Exists}]}
"""
SPEC = """\
version: 1
extends: base.yaml
compile:
  packages: []
  files: [tools.py]
  pip_index_urls: [https://example.com/simple]
  distributions: {a: c}
  artifacts: {y: Dataset}
  steps:
    train: {env: {B: 'no'}, requests: {cpu: 0.50, memory: 1Gi}, display_name: Train it}
    test: {packages: []}
    load:
      node_selector: {zone: b}
      image_pull_policy: Never
      image_pull_secrets: [registry]
      config_maps: {LEVEL: settings/level, /etc/app: files}
      volumes: {/data: claim}
      tolerations: [{key: gpu, effect: NoExecute, toleration_seconds: 5}]
"""


def options(text: str) -> CompileOptions:
    """What the spec *text* says, which may extend BASE."""
    spec = read_spec(Source("spec.yaml", text), lambda name, _: Source(name, BASE))
    assert spec.compile is not None
    return spec.compile


def named(text: str, name: str, file: str = "spec.yaml") -> Label:
    """The place of the only *name* in *text*."""
    start = text.index(name)
    return Label(Source(file, text), Span(start, start + len(name)))


def test_one_file() -> None:
    """Every key arrives, text as it was written."""
    assert options(BASE) == CompileOptions(
        packages=("pandas",),
        files=("helpers.py", "../src/lib/**"),
        distributions={"cv2": "opencv-python", "a": "b"},
        ttl=60,
        artifacts={"x": "Model"},
        steps={
            "train": StepOptions(
                retries=2,
                env={"A": "1", "B": "true"},
                packages=("torch",),
                label=named(BASE, "train"),
            ),
            "load": StepOptions(
                timeout=30,
                pod=PodOptions(
                    node_selector={"pool": "1", "zone": "a"},
                    tolerations=({"operator": "Exists"},),
                ),
                label=named(BASE, "load"),
            ),
        },
    )


def test_over_a_base() -> None:
    """A spec lays its section over that of its base: key by key, and no package is a word too."""
    assert options(SPEC) == CompileOptions(
        packages=(),
        files=("tools.py",),
        distributions={"cv2": "opencv-python", "a": "c"},
        pip_index_urls=("https://example.com/simple",),
        ttl=60,
        artifacts={"x": "Model", "y": "Dataset"},
        steps={
            "train": StepOptions(
                retries=2,
                requests={"cpu": "0.50", "memory": "1Gi"},
                env={"A": "1", "B": "no"},
                packages=("torch",),
                display_name="Train it",
                label=named(SPEC, "train"),
            ),
            "load": StepOptions(
                timeout=30,
                pod=PodOptions(
                    node_selector={"pool": "1", "zone": "b"},
                    tolerations=({"key": "gpu", "effect": "NoExecute", "tolerationSeconds": "5"},),
                    image_pull_secrets=("registry",),
                    image_pull_policy="Never",
                    config_maps={"LEVEL": "settings/level", "/etc/app": "files"},
                    volumes={"/data": "claim"},
                ),
                label=named(SPEC, "load"),
            ),
            "test": StepOptions(packages=(), label=named(SPEC, "test")),
        },
    )
