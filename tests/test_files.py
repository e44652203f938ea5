"""Reading and replacing files: whole or not at all, whatever happens."""

import fcntl
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from notebooks import cell, from_percent, notebook, to_bytes

from kale_tag import files
from kale_tag.cli import main
from kale_tag.commands.shared.journal import JOURNAL
from kale_tag.diagnostics import UserError

SPEC = "version: 1\ncells:\n  - {source: fit, step: train}\n"
NOTEBOOK = from_percent("# %%\nmodel.fit(x)\n")


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """A spec that tags the cell of NOTEBOOK."""
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return str(path)


@pytest.fixture
def nb(tmp_path: Path) -> Path:
    """A notebook that the spec changes."""
    path = tmp_path / "a.ipynb"
    path.write_bytes(NOTEBOOK)
    return path


def leftovers(folder: Path) -> list[str]:
    """Temporary files that should have been taken away."""
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_keeps_the_mode(spec: str, nb: Path, mode: int) -> None:
    """A changed file has the mode that it had, whatever the umask."""
    nb.chmod(mode)
    before = os.umask(0o077)
    try:
        assert main(["apply", spec, str(nb), "-q"]) == 0
    finally:
        os.umask(before)

    assert stat.S_IMODE(nb.stat().st_mode) == mode
    assert b"step:train" in nb.read_bytes()


def test_keeps_a_symlink(spec: str, nb: Path, tmp_path: Path) -> None:
    """The file that a link points to is changed, the link stays."""
    (tmp_path / "sub").mkdir()
    link = tmp_path / "sub" / "link.ipynb"
    link.symlink_to("../a.ipynb")

    assert main(["apply", spec, str(link), "-q"]) == 0

    assert link.is_symlink()
    assert b"step:train" in nb.read_bytes()
    assert leftovers(tmp_path) == leftovers(tmp_path / "sub") == []


def test_a_link_to_nothing(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the link points to is named, and not the link itself as a better name for it."""
    link = tmp_path / "link.ipynb"
    link.symlink_to("gone.ipynb")

    assert main(["plan", spec, str(link)]) == 2

    hint = "it is a symbolic link to gone.ipynb: restore that file, or remove the link"
    assert hint in capsys.readouterr().err


def test_a_file_reached_twice_is_changed_once(
    spec: str, nb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notebook named by two paths is one notebook."""
    link = tmp_path / "link.ipynb"
    link.symlink_to("a.ipynb")

    assert main(["apply", spec, str(nb), str(link), str(tmp_path)]) == 0

    assert "1 changed, 0 unchanged, 0 failed" in capsys.readouterr().out


def test_what_is_right_is_not_touched(spec: str, nb: Path) -> None:
    """A second apply leaves inode and modification time alone."""
    assert main(["apply", spec, str(nb), "-q"]) == 0
    os.utime(nb, ns=(1, 1))
    before = nb.stat()

    assert main(["apply", spec, str(nb), "-q"]) == 0

    after = nb.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_read_only_file(spec: str, nb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that its owner made read-only is not replaced behind their back."""
    nb.chmod(0o444)

    assert main(["apply", spec, str(nb)]) == 2

    assert nb.read_bytes() == NOTEBOOK
    assert "is read-only" in capsys.readouterr().err


def test_read_only_folder(spec: str, nb: Path, tmp_path: Path) -> None:
    """Where no file can be made, one message says so and the notebook is as it was."""
    folder = tmp_path / "closed"
    folder.mkdir()
    inside = folder / "a.ipynb"
    inside.write_bytes(NOTEBOOK)
    inside.chmod(0o666)
    folder.chmod(0o555)
    code = (
        "import os, sys\n"
        "from kale_tag import cli\n"
        "if os.getuid() == 0: os.setuid(65534)\n"  # root may write everywhere
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    shared = tmp_path
    while shared != shared.parent:  # the other user has to get here
        shared.chmod(shared.stat().st_mode | 0o055) if shared.owner() == inside.owner() else None
        if shared.name.startswith("pytest-of-"):
            break
        shared = shared.parent

    # Everything is imported before the user changes: the packages may lie in root's home.
    warm = "import kale_tag.commands.apply, ruamel.yaml, encodings.utf_8_sig\n"
    done = subprocess.run(
        [sys.executable, "-c", warm + code, "apply", spec, str(inside)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert "cannot write" in done.stderr
    assert "permission denied" in done.stderr
    assert "Traceback" not in done.stderr
    assert inside.read_bytes() == NOTEBOOK
    assert nb.read_bytes() == NOTEBOOK


def test_full_disk(spec: str, tmp_path: Path) -> None:
    """When the disk is full the notebook is as it was, and nothing is left beside it."""
    big = tmp_path / "big.ipynb"
    big.write_bytes(to_bytes(notebook([cell("model.fit(x)"), cell("#" * 100_000)])))
    before = big.read_bytes()

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(
        [sys.executable, "-m", "kale_tag", "apply", spec, str(big)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )

    assert done.returncode == 2
    assert f"cannot write {big}: file too large" in done.stderr
    assert big.read_bytes() == before
    assert leftovers(tmp_path) == []


def test_saved_by_somebody_else_meanwhile(nb: Path) -> None:
    """A file that changed since it was read is not overwritten."""
    staged = files.stage(files.read(str(nb)), b"ours")
    nb.write_bytes(b"theirs!")

    with pytest.raises(UserError, match="has changed since it was read"):
        staged.commit()

    assert nb.read_bytes() == b"theirs!"
    assert leftovers(nb.parent) == []


def save_by_rename(path: Path, data: bytes) -> None:
    """Save as Git does."""
    other = path.with_suffix(".theirs")
    other.write_bytes(data)
    other.replace(path)


@pytest.mark.parametrize("save", [Path.write_bytes, save_by_rename])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("exchanges", [True, False])
def test_saved_in_the_last_moment(
    nb: Path,
    save: Callable[[Path, bytes], object],
    times: int,
    *,
    exchanges: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A save between the check and the replacement is put back, and so is one after that."""
    if not exchanges:
        monkeypatch.setattr(files, "_exchanging", lambda: None)
    right = files.exchange
    saves = iter(range(times))

    def exchange(temporary: str, path: str) -> None:
        if (number := next(saves, None)) is not None:
            save(nb, b"theirs %d" % number)
        right(temporary, path)

    monkeypatch.setattr(files, "exchange", exchange)
    staged = files.stage(files.read(str(nb)), b"ours")
    with pytest.raises(UserError, match="has changed since it was read"):
        staged.commit()

    assert nb.read_bytes() == b"theirs %d" % (times - 1)
    assert leftovers(nb.parent) == []


def test_without_exchange(nb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that cannot exchange files, and one that has no links, get the new content too."""
    monkeypatch.setattr(files, "_exchanging", lambda: None)
    files.stage(files.read(str(nb)), b"ours").commit()
    assert nb.read_bytes() == b"ours"

    monkeypatch.setattr(os, "link", lambda *_: os.stat("/nowhere"))
    files.stage(files.read(str(nb)), b"ours again").commit()
    assert nb.read_bytes() == b"ours again"
    assert leftovers(nb.parent) == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs two users")
@pytest.mark.parametrize(
    ("mode", "message"),
    [(0o644, "is read-only"), (0o666, "it would no longer belong to its owner")],
)
def test_a_file_of_another_user(
    nb: Path, mode: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused where they may not write it, and where it would change hands."""
    nb.parent.chmod(0o777)
    nb.chmod(mode)
    monkeypatch.chdir(nb.parent)  # the folders above are root's alone
    file = files.File("a.ipynb", "a.ipynb", NOTEBOOK, nb.stat())
    os.seteuid(65534)
    try:
        with pytest.raises(UserError, match=message):
            files.stage(file, b"ours")
    finally:
        os.seteuid(0)

    assert nb.read_bytes() == NOTEBOOK
    assert nb.stat().st_uid == 0
    assert leftovers(nb.parent) == []


def test_deleted_meanwhile(nb: Path) -> None:
    """A file that is gone since it was read does not come back."""
    staged = files.stage(files.read(str(nb)), b"ours")
    nb.unlink()

    with pytest.raises(UserError, match="cannot write"):
        staged.commit()

    assert list(nb.parent.iterdir()) == []


def test_found_deleted_before_anything_is_written(nb: Path) -> None:
    """The check before many files are replaced finds it."""
    staged = files.stage(files.read(str(nb)), b"new")
    nb.unlink()
    with pytest.raises(UserError, match="cannot write"):
        staged.check()
    files.discard_pending()
    assert list(nb.parent.glob(".*")) == []


def test_a_file_of_unknown_size() -> None:
    """What the system says is only a guess."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("this system has no /proc")
    assert len(files.read("/proc/self/status").data) > 100


def test_what_cannot_be_removed(tmp_path: Path) -> None:
    """The reason is that of the system."""
    with pytest.raises(UserError, match=r"cannot remove .*nothing: no such file"):
        files.remove(str(tmp_path / "nothing"))


def test_two_processes_at_once(tmp_path: Path) -> None:
    """Of two processes that write one file, none loses what the other wrote: one is refused."""
    specs = []
    for name in ("one", "two"):
        spec = tmp_path / f"{name}.yaml"
        spec.write_text(f"version: 1\ncells:\n  - {{source: '^{name}', step: {name}}}\n")
        specs.append(str(spec))
    paths = [tmp_path / f"{number}.ipynb" for number in range(60)]
    for path in paths:
        path.write_bytes(from_percent("# %%\none\n# %%\ntwo\n"))

    running = [
        subprocess.Popen(
            [sys.executable, "-m", "kale_tag", "apply", spec, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for spec in specs
    ]
    results = [(process, *process.communicate()) for process in running]

    refused = 0
    for process, _, err in results:
        assert process.returncode in {0, 2}
        assert "Traceback" not in err
        refused += err.count("error[changed-meanwhile]")
    done = sum(path.read_bytes().count(b'"step:') for path in paths)
    assert done + refused == 2 * len(paths)
    assert leftovers(tmp_path) == []


def ended() -> None:
    """Wait for the worker processes of a killed one: the folder is theirs while they end."""
    folder = os.open(".", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    os.close(folder)


@pytest.mark.slow
def test_killed_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After SIGKILL each file is as it was or as it shall be, and the next run takes the litter."""
    kills = int(os.environ.get("KALE_TAG_KILLS", "30"))
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    old = to_bytes(notebook([cell("model.fit(x)"), cell("#" * 40_000)]))
    paths = [Path(f"{number}.ipynb") for number in range(200)]
    program = [sys.executable, "-m", "kale_tag", "apply"]
    running = [0, 0]  # killed while at work, and midway
    chance = random.Random(0)
    for number in range(kills):
        options = [[], ["--jobs", "2"], ["--all-or-nothing"]][number % 3]
        for path in paths:
            path.write_bytes(old)
        process = subprocess.Popen(
            [*program, "spec.yaml", ".", "-q", *options], start_new_session=True
        )
        while process.poll() is None and not list(Path().glob(".*")):
            time.sleep(0.005)  # until it writes
        time.sleep(chance.uniform(0, 0.2))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        running[0] += process.wait() != 0
        ended()
        left = {path.read_bytes() for path in paths}
        running[1] += len(left) == 2
        if Path(JOURNAL).exists():
            assert main(["apply", chance.choice(["--finish", "--undo"])]) == 0
            assert len({path.read_bytes() for path in paths}) == 1
        assert main(["apply", "spec.yaml", ".", "-q"]) == 0
        new = paths[0].read_bytes()
        assert {path.read_bytes() for path in paths} == {new}
        assert b"step:train" in new
        assert left <= {old, new}
        assert [path.name for path in Path().glob(".*")] == []
    with capsys.disabled():
        sys.stdout.write(f"{kills} kills: {running[0]} at work, {running[1]} between notebooks\n")


SAVES = """
import os, random, sys, time
path, count, new = sys.argv[1], int(sys.argv[2]), sys.argv[1] + sys.argv[3]
before = lost = 0
for number in range(1, count + 1):
    time.sleep(random.expovariate(200))
    end = time.monotonic() + 2
    while b"save %d;" % before not in open(path, "rb").read():
        if time.monotonic() > end:  # what `apply` had not put back by then is lost
            lost += 1
            break
    data = open(path, "rb").read()
    start, _, rest = data.partition(b"save ")
    rest = rest.partition(b";")[2].replace(b'"step:train"', b"")
    with open(new, "wb") as file:
        file.write(start + b"save %d;" % number + rest)
    os.replace(new, path)
    before = number
print(lost)
"""
"""A program that saves a file again and again, without the tag, and looks for what it saved."""


@pytest.mark.slow
@pytest.mark.parametrize("replaces", [True, False])
def test_saves_beside_apply(
    nb: Path,
    spec: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    replaces: bool,
) -> None:
    """No save by a program that replaces the file is lost, whenever it comes.

    Those that write into the file which they have open cannot all be seen: they are counted.
    """
    count = os.environ.get("KALE_TAG_SAVES", "2000")
    nb.write_bytes(from_percent("# %%\nmodel.fit(x)  # save 0;\n"))
    right = files._put_back
    in_window = [0]

    def put_back(*arguments: Any) -> None:
        in_window[0] += 1
        right(*arguments)

    monkeypatch.setattr(files, "_put_back", put_back)
    codes = {0: 0, 2: 0}
    program = [sys.executable, "-c", SAVES, str(nb), count, ".mine" * replaces]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as writer:
        while writer.poll() is None:
            codes[main(["apply", spec, str(nb), "-q"])] += 1
            capsys.readouterr()
        assert writer.stdout is not None
        lost = int(writer.stdout.read())
    with capsys.disabled():
        way = "replaced" if replaces else "in place"
        sys.stdout.write(
            f"{count} saves ({way}) beside {codes[0]} applies ({codes[2]} more refused): "
        )
        sys.stdout.write(f"{in_window[0]} fell into the window, {lost} lost\n")
    assert lost == 0 or not replaces
    assert codes[0]
    assert leftovers(nb.parent) == []


def test_what_is_no_file(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A FIFO, a missing file, a folder with a notebook's name: an error each, and no waiting."""
    os.mkfifo(tmp_path / "pipe.ipynb")
    missing, pipe = tmp_path / "missing.ipynb", tmp_path / "pipe.ipynb"

    assert main(["apply", spec, str(pipe), str(missing)]) == 2

    err = capsys.readouterr().err
    assert f"{pipe} is not a regular file" in err
    assert f"cannot read {missing}: no such file or directory" in err


def test_all_or_nothing(
    spec: str, nb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a bad notebook in the batch nothing is written; without it everything is."""
    other = tmp_path / "b.ipynb"
    other.write_bytes(NOTEBOOK)
    bad = tmp_path / "bad.ipynb"
    bad.write_bytes(b"{")

    assert main(["apply", spec, str(tmp_path), "--all-or-nothing"]) == 2
    assert nb.read_bytes() == other.read_bytes() == NOTEBOOK
    assert "2 to change, 0 unchanged, 1 failed; nothing was written" in capsys.readouterr().out
    assert leftovers(tmp_path) == []

    bad.unlink()
    assert main(["apply", spec, str(tmp_path), "--all-or-nothing", "--jobs", "2"]) == 0
    assert b"step:train" in nb.read_bytes()
    assert b"step:train" in other.read_bytes()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_text_that_is_not_utf_8(mark: bytes) -> None:
    """The first byte that is not UTF-8 is named, with its offset in the file and its line."""
    with pytest.raises(UserError) as refused:
        files.as_text("spec.yaml", mark + b"version: 1\nvars: {a: \xe9}\n")
    place = f"byte 0xe9 at offset {len(mark) + 21}, line 2"
    assert str(refused.value) == f"spec.yaml is not UTF-8: {place}"


def test_keeps_extended_attributes(spec: str, nb: Path) -> None:
    """What hangs on a file, access lists among it, hangs on the changed one."""
    try:
        os.setxattr(nb, "user.team", b"ml")
    except (OSError, AttributeError):
        pytest.skip("no extended attributes here")

    assert main(["apply", spec, str(nb), "-q"]) == 0

    assert os.getxattr(nb, "user.team") == b"ml"
    assert b"step:train" in nb.read_bytes()


def test_warns_of_hard_links(
    spec: str, nb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another name of the file keeps the old content, and that is said."""
    other = tmp_path / "other.txt"
    os.link(nb, other)

    assert main(["apply", spec, str(nb)]) == 0

    assert other.read_bytes() == NOTEBOOK
    assert "warning[hard-link]" in capsys.readouterr().err
