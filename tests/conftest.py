"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from kale_oracle import python_with_kale

# A machine that is busy is no fault of the code. `make slow` asks for ten times the examples.
settings.register_profile(
    "ours", deadline=None, max_examples=int(os.environ.get("KALE_TAG_EXAMPLES", "40"))
)
settings.load_profile("ours")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` rewrites the expected parts of the cases."""
    parser.addoption("--update", action="store_true", help="write what is printed into the cases")


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the colours or the width of the terminal it is started from."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the cluster, the token or the proxy of the machine it runs on."""
    for name in os.environ:
        if name.startswith(("KF_PIPELINES_", "KUBE", "KALE_TAG_TOKEN")) or "PROXY" in name.upper():
            monkeypatch.delenv(name)
    monkeypatch.setenv("KUBECONFIG", os.devnull)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real notebooks; tests that want it are skipped where it is not."""
    folder = os.environ.get("KALE_TAG_CORPUS", "")
    if not folder:
        pytest.skip("KALE_TAG_CORPUS names no folder of notebooks")
    return Path(folder)


@pytest.fixture(scope="session")
def kale() -> Path:
    """A Python that has Kale 2.3.0; tests that want it are skipped where it cannot be."""
    return python_with_kale()
