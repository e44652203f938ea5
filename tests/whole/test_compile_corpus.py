"""Real notebooks as pipelines: all of their code in one step."""

from pathlib import Path

import pytest
from packages import check

from kale_tag.cli import main

SPEC = """\
version: 1
pipeline: {pipeline_name: 'p-${stem}', experiment_name: corpus, volumes: []}
cells: [{source: '^', step: all, expect: any}]
legacy: keep
"""


@pytest.mark.slow
def test_real_notebooks(
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of the corpus and more compiles as it is; every package is one to KFP; no bug is met."""
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    assert main(["compile", "spec.yaml", str(corpus), "-o", "out/", "-q"]) == 2
    assert "this is a bug" not in capsys.readouterr().err
    made = sorted(Path("out").iterdir())
    assert len(made) > 150
    for path in made:
        check(path.read_bytes().decode())
    assert main(["compile", "spec.yaml", str(corpus), "-o", "out/", "--check"]) == 2
    assert f"0 stale, {len(made)} up to date" in capsys.readouterr().out
