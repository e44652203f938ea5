"""How `kale-tag submit` finds its server, and what it says where that does not work."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp_stub import Stub, serving
from submitting import TOKEN, prepare, submit, submitted

from kale_tag.cli import main


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)


@pytest.fixture
def server() -> Iterator[Stub]:
    """A server without tokens and namespaces."""
    with serving(Stub()) as stub:
        yield stub


@pytest.mark.parametrize("how", ["option", "environment", "file"])
def test_tokens(how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token comes from the option, KALE_TAG_TOKEN, or the file that kfp's variable names."""
    words = ["--token", TOKEN] if how == "option" else []
    (tmp_path / "token").write_text(f"{TOKEN}\n" if how != "file" else TOKEN)
    if how == "environment":
        monkeypatch.setenv("KALE_TAG_TOKEN", TOKEN)
    if how == "file":
        monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", "token")
    with serving(Stub(token=TOKEN)) as server:
        assert submit(server, *words) == 0
        assert {one.headers.get("authorization") for one in server.seen} == {f"Bearer {TOKEN}"}


def test_a_token_file_that_is_not_there(
    server: Stub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, in one message."""
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", "nowhere")
    (diagnostic,) = submitted(server, capsys, code=2)["diagnostics"]
    assert diagnostic["message"] == "cannot read the token in nowhere: no such file or directory"


def test_the_host_of_the_environment(server: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """KF_PIPELINES_ENDPOINT stands for `--host`, with whatever is pasted behind it."""
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", f"{server.url}/#/pipelines")
    assert main(["submit", "churn.ipynb"]) == 0
    assert len(server.runs) == 1


def test_a_proxy_of_the_environment(server: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check and kfp go through the same proxy."""
    monkeypatch.setenv("http_proxy", server.url.removeprefix("http://"))
    monkeypatch.setenv("no_proxy", "")
    assert main(["submit", "churn.ipynb", "--host", "http://kfp.example.org/x"]) == 2
    monkeypatch.setattr(server, "answer", _without_host(server.answer))
    assert main(["submit", "churn.ipynb", "--host", "http://kfp.example.org"]) == 0


@pytest.mark.parametrize("proxy", ["127.0.0.1:9", "user:secret@no-such.invalid:3128"])
def test_a_proxy_that_does_not_answer(
    proxy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, and not the server behind it; its password is not."""
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    assert main(["submit", "churn.ipynb", "--host", "http://kfp.example.org/x"]) == 2
    message = capsys.readouterr().err
    address = proxy.rpartition("@")[2]
    assert f"error[not-reachable]: cannot connect to the proxy http://{address}\n" in message
    assert "no_proxy=kfp.example.org" in message
    assert "secret" not in message


def _without_host(answer: Any) -> Any:
    """As a proxy: what is asked for is a whole URL, or already a path."""

    def proxy(request: Any) -> Any:
        request.path = request.path.removeprefix("http://kfp.example.org")
        return answer(request)

    return proxy


def test_the_cluster_of_kubectl(server: Stub, tmp_path: Path) -> None:
    """Without a host, kubectl's current context is used, as kfp does."""
    (tmp_path / "kubeconfig").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server.url}}],
                "users": [{"name": "u", "user": {"token": TOKEN}}],
            }
        )
    )
    server.token = TOKEN
    way = "/api/v1/namespaces/kubeflow/services/ml-pipeline:http/proxy"
    answer = server.answer

    def proxied(request: Any) -> Any:
        assert request.path.startswith(way)
        request.path = request.path.removeprefix(way)
        return answer(request)

    server.answer = proxied  # type: ignore[method-assign]
    done = subprocess.run(
        [sys.executable, "-m", "kale_tag", "submit", "churn.ipynb"],
        env={**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig")},
        capture_output=True,
        text=True,
        check=False,
    )
    (run,) = server.runs.values()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == run["run_id"]


@pytest.mark.slow
def test_kfps_context(server: Stub, tmp_path: Path) -> None:
    """kfp's own file may give a namespace and a cookie; the check uses the cookie too."""
    (tmp_path / ".config" / "kfp").mkdir(parents=True)
    (tmp_path / ".config" / "kfp" / "context.json").write_text(
        json.dumps({"namespace": "anna", "client_authentication_cookie": "session=open"})
    )
    server.multi_user = True
    program = [sys.executable, "-m", "kale_tag", "submit", "churn.ipynb", "--host", server.url]
    env = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(program, env=env, capture_output=True, check=True)
    assert {one.headers.get("cookie") for one in server.seen} == {"session=open"}
    assert [one["namespace"] for one in server.pipelines.values()] == ["anna"]

    (tmp_path / ".config" / "kfp" / "context.json").write_text("{")
    done = subprocess.run(program, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error[kfp-configuration]")


def test_secrets_are_kept(capfd: pytest.CaptureFixture[str]) -> None:
    """A token is never printed, whatever the server says."""
    with serving(Stub(token=TOKEN)) as server:
        said = json.dumps({"message": f"Bearer {TOKEN}1 is bad, {TOKEN}1 is!"}).encode()
        for path in ("/healthz", "/pipelines"):
            server.answers = {("GET", path): (403, "application/json", said)}
            assert submit(server, "--token", f"{TOKEN}1") == 2
            server.token = f"{TOKEN}1"
    out, err = capfd.readouterr()
    assert "***" in err
    assert TOKEN not in out + err


SCRIPT = Path(__file__).parents[2] / "examples" / "cluster.sh"


@pytest.mark.slow
def test_the_script_for_a_cluster(server: Stub, tmp_path: Path) -> None:
    """Its part that submits does what it says; the part that makes a cluster is not run here."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kale-tag").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m kale_tag "$@"\n'
    )
    (tmp_path / "bin" / "kale-tag").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(SCRIPT), "run"],
        env={**os.environ, "PATH": path, "HOST": server.url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(server.versions) == 1
    assert len(server.runs) == 2
    assert "exists, with the same package" in done.stdout


def test_the_script_is_clean() -> None:
    """shellcheck finds nothing in it."""
    if shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck")
    subprocess.run(["shellcheck", str(SCRIPT)], check=True)
