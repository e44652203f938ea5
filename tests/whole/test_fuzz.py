"""Damaged specs, notebooks, patches and command lines: no input ends a command with a traceback.

The inputs are those of the cases. `KALE_TAG_FUZZ_SEED` and `KALE_TAG_FUZZ_CASES` choose what is
tried; a failure names its seed and number, and `KALE_TAG_FUZZ_ONLY` runs that number alone.
"""

import io
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from cases import BLOCK, CASES, write_files

from kale_tag.cli import CHANGING, COMMANDS, command, main, parameters
from kale_tag.commands.shared.options import Option

SEED = os.environ.get("KALE_TAG_FUZZ_SEED", "1")
COUNT = int(os.environ.get("KALE_TAG_FUZZ_CASES", "2000"))
ONLY = os.environ.get("KALE_TAG_FUZZ_ONLY", "")
SECONDS = 60
"""The most that a case may take."""

APART = 51
"""Each so-manieth case is a process of its own."""

WRITES_TO = ("-o", "--output", "--output-file", "--report", "--keep", "--attributes")

CREATING = ("compile", "init")
"""Commands that make files of their own."""

ASKS = "--user"
"""Asks the terminal for a password."""

KINDS = (".ipynb", ".yaml", ".json", "words")
"""What is damaged: a notebook, a spec, a patch (or other JSON), or the command line."""


def nested(depth: int) -> Any:
    """A list in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**70, 0.5, 1e400, float("nan"), [], {}, [[]], [None], {"": None}),
    *("", " ", "\0", "\ud800", "\u202e\x1b[31m", "a" * 300, "x" * 70_000, "-", "..", "~", "1"),
    *("${stem}", "$${x", "\\1", "../x.ipynb", "{{workflow.name}}", "(a+)+$", "(", "%run x", "é\r"),
    *("step:a", "prev:a", "step:", "limit:cpu:x", "image:", "imports", ["step:a", "step:b"]),
    *(nested(40), nested(400), {"a": {"b": {"c": [1, {"d": None}]}}}, [{"op": "add"}]),
)
TEXTS = (
    *("\0", "\ufeff", "\r", "\n\n", "\t", "}", "]", '"', "'", ",", ":", "- ", "? ", "&a ", "*a"),
    *("<<: *a\n", "!env ", "!!python/tuple ", "!!omap ", '"\\UFFFFFFFF"', "%YAML 9\n", "---\n"),
    *("<<<<<<< ours\n", "{" * 50, "[" * 500, "# %%", "1e999", "\\ud800", "\u2028", "é"),
)
WORDS = (
    *(
        "",
        " ",
        "-",
        "--",
        "-q",
        "-qv",
        "-x",
        "--format",
        "--format=xml",
        "--jobs",
        "-j0",
        "é\ud800",
    ),
    *("0", "-1", "9" * 30, "1.5", "nosuch", "nosuch/", "..", ".", "/dev/null", "a\nb", "*", "@{u}"),
    *("spec.yaml:0", "kale:organise", "kale:nosuch", "git:HEAD", "x=1", "=", "{", "--help", "\x1b"),
)


@dataclass(frozen=True)
class Document:
    """A case: its files by the end of their names, and its command lines."""

    text: str
    files: dict[str, list[str]]
    lines: list[list[str]]


@cache
def documents() -> list[Document]:
    """All cases that have a notebook."""
    found = []
    for path in sorted(CASES.rglob("*.md")):
        text = path.read_text("utf-8")
        files: dict[str, list[str]] = {}
        lines = []
        for block in BLOCK.finditer(text):
            if block["info"].strip() == "console":
                shown = [line for line in block["body"].splitlines() if line.startswith("$ kale-")]
                lines += [shlex.split(line)[2:] for line in shown]
            elif name := block["info"].strip().partition(" ")[2]:
                files.setdefault(Path(name).suffix, []).append(name)
        if ".ipynb" in files:
            found.append(Document(text, files, [line for line in lines if line[0] in COMMANDS]))
    return found


# Damage.


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each mapping or list in *value*, with each of its keys."""
    left = [value]
    while left:
        at = left.pop()
        keys = at if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
        for key in keys:
            yield at, key
            left.append(at[key])


def copied(value: Any) -> Any:
    """*value* once more; what only YAML has, such as a date, as text."""
    return json.loads(json.dumps(value, default=str))


def damage_value(value: Any, chance: random.Random) -> Any:
    """*value* with one place that is wrong."""
    found = list(places(value))
    if not found:
        return chance.choice(ODD)
    holder, key = chance.choice(found)
    match chance.randrange(6):
        case 0:
            del holder[key]
        case 1:
            there, which = chance.choice(found)
            holder[key] = copied(there[which])
        case 2:
            holder[key] = [holder[key]]
        case 3 if isinstance(holder, dict):
            holder[chance.choice([one for one in ODD if isinstance(one, str)])] = holder.pop(key)
        case 4 if isinstance(holder, list):
            holder.insert(key, copied(holder[key]))
        case _:
            holder[key] = copied(chance.choice(ODD))
    return value


def damage_text(data: bytes, chance: random.Random) -> bytes:
    """*data* with a piece more, less, or twice."""
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice([1, 1, 5, 40, len(data)]))
    piece = chance.choice(TEXTS).encode() if chance.random() < 0.6 else data[start:end] * 2
    return data[:start] + (piece if chance.random() < 0.7 else b"") + data[end:]


def damage(path: Path, chance: random.Random) -> None:
    """Damage a file: its values, or, one time in three, its text."""
    data = path.read_bytes()
    read = yaml.safe_load if path.suffix == ".yaml" else json.loads
    text = ""
    # What has aliases may be endless, or as long as it is meant to be. Some cases cannot be read.
    with suppress(ValueError, OverflowError, RecursionError, yaml.YAMLError):
        value = None if chance.random() < 0.3 or b"&" in data else read(data)
        if value is not None:
            for _ in range(chance.choice([1, 1, 1, 2, 4])):
                value = damage_value(value, chance)
            indent, ascii_only = chance.choice([None, 1, 2]), chance.random() < 0.5
            text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, default=str)
    whole = text.encode("utf-8", "surrogatepass")
    path.write_bytes(whole if text else damage_text(data, chance))


def damage_words(name: str, words: list[str], chance: random.Random) -> None:
    """Change *words* of the command *name*: options of its own, and what is none."""
    options = [
        (kind, one) for kind, one in parameters(command(name)).values() if isinstance(one, Option)
    ]
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.randrange(len(words) + 1)
        match chance.randrange(4):
            case 0 if words:
                del words[at - 1]
            case 1:
                words.insert(at, chance.choice(WORDS))
            case 2 if words:
                words.insert(at, chance.choice(words))
            case _ if options:
                kind, option = chance.choice(options)
                flag = chance.choice([flag for flag in option.flags if flag != ASKS] or [""])
                values = [*(str(one) for one in get_args(kind)), *WORDS, *words]
                words[at:at] = [flag] if kind is bool else [flag, chance.choice(values)]
            case _:
                words.insert(at, chance.choice(WORDS))


# A case.


def made(number: int, folder: Path) -> tuple[random.Random, list[str]]:
    """The files of a case in *folder*, damaged, and a command line."""
    chance = random.Random(f"{SEED}:{number}")
    name = COMMANDS[number % len(COMMANDS)]
    kind = KINDS[number // len(COMMANDS) % len(KINDS)]
    own = [one for one in documents() if any(line[0] == name for line in one.lines)]
    having = [one for one in documents() if kind in one.files or kind == "words"]
    source = chance.choice(own) if own else chance.choice(having)
    target = source if kind in source.files or kind == "words" else chance.choice(having)
    if chance.random() < 0.3:
        target = chance.choice(having)
    write_files(target.text, folder)
    lines = [line[1:] for line in source.lines if line[0] == name]
    words = [
        word if word in target.files.get(Path(word).suffix, [word]) else chance.choice(others)
        for word in (chance.choice(lines) if lines else [])
        for others in [target.files.get(Path(word).suffix, [word])]
    ]
    for wanted in {".ipynb", kind} & target.files.keys():
        if not set(target.files[wanted]) & set(words) and chance.random() < 0.7:
            words.append(chance.choice(target.files[wanted]))
    if kind == "words":
        damage_words(name, words, chance)
    else:
        used = [one for one in target.files[kind] if one in words] or target.files[kind]
        damage(folder / chance.choice(used), chance)
    return chance, [name, *words]


def contents(folder: Path) -> dict[str, bytes]:
    """All files below *folder*."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def without_metadata(data: bytes) -> Any:
    """A notebook but for what commands may change: the metadata."""
    value = json.loads(data)
    value.pop("metadata", None)
    for one in value["cells"]:
        one.pop("metadata", None)
    return value


def may_write(words: list[str], name: str) -> bool:
    """Whether an option of *words* names that file, or its folder, as what is written.

    Python itself writes what it compiles of the modules that steps of a run import.
    """
    if words[0] == "run" and "__pycache__" in name:
        return True
    flags = (word.partition("=") for word in words)
    targets = [value for flag, _, value in flags if flag in WRITES_TO]
    targets += [after for word, after in pairwise(words) if word in WRITES_TO]
    path = os.path.normpath(os.path.join("work", name))
    return any(
        path == (there := os.path.normpath(os.path.join("work", one)))
        or path.startswith(there.removesuffix(".") + os.sep)
        for one in targets
    )


def broken_rules(words: list[str], before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """The files that the command line *words* must not have changed."""
    name = words[0]
    found = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new or path.startswith(".kale-tag/runs/"):
            continue
        if may_write(words, path) or (name == "git" and path in words):
            continue
        if old is None:
            if name not in CREATING and not path.startswith(".kale-tag"):
                found.append(f"{path} is new")
        elif new is None:
            found.append(f"{path} is gone")
        elif name == "rename" and "--write" in words and not path.endswith(".ipynb"):
            continue
        elif name not in CHANGING or not path.endswith(".ipynb"):
            found.append(f"{path} is another")
        elif without_metadata(old) != without_metadata(new):
            found.append(f"{path} has other cells")
    return found + [path for path in after if path.endswith(".tmp")]


def in_process(words: list[str], stdin: bytes) -> tuple[int, str]:
    """The exit code of a command line and what it prints."""
    given = sys.stdin
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(words)
    finally:
        sys.stdin = given
    printed = ""
    for stream in (out, err):
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        printed += stream.buffer.getvalue().decode("utf-8", "replace")
    return code, printed


def as_process(words: list[str], stdin: bytes) -> tuple[int, str]:
    """The same with a process of its own."""
    program = [sys.executable, "-m", "kale_tag", *words]
    with subprocess.Popen(
        [os.fsencode(one) if "\ud800" not in one else b"\xed\xa0\x80" for one in program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(stdin, timeout=SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, (out + err).decode("utf-8", "replace")


def too_long(*_: object) -> None:
    """The alarm rings."""
    raise TimeoutError(f"not done after {SECONDS} s")


def tried(number: int, top: Path) -> str:
    """What is wrong with a case, "" if nothing is."""
    shutil.rmtree(top, ignore_errors=True)
    folder = top / "work"
    folder.mkdir(parents=True)
    _, words = made(number, folder)
    if any("\0" in word for word in words):  # no system passes it on
        words = [word.replace("\0", "") for word in words]
    notebooks = sorted(folder.glob("*.ipynb"))
    stdin = notebooks[0].read_bytes() if notebooks and number % 3 else b""
    before = contents(folder)
    apart = number % APART == 0
    run: Callable[[list[str], bytes], tuple[int, str]] = as_process if apart else in_process
    signal.alarm(SECONDS)
    try:
        with chdir(folder):
            code, printed = run(words, stdin)
    except (Exception, SystemExit) as exc:  # noqa: BLE001  that is what is looked for
        return f"{words}: {type(exc).__name__}: {exc}"
    finally:
        signal.alarm(0)
    wrong = broken_rules(words, before, contents(folder))
    if code not in {0, 1, 2, 130}:
        wrong.append(f"exit code {code}")
    if words[0] != "run" and "Traceback (most recent" in printed:  # a step that fails has one
        wrong.append("a traceback")
    if "internal-error" in printed or "This is a bug in kale-tag" in printed:
        wrong.append("internal-error")
    if (lost := [one.name for one in top.iterdir() if one != folder]) and (
        not {*WRITES_TO} & {word.partition("=")[0] for word in words}
    ):
        wrong.append(f"{lost} beside the folder")
    return f"{words}: {wrong}\n{printed[-1500:]}" if wrong else ""


@pytest.mark.slow
def test_damaged_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, an exit code that is documented, no file changed but by the rule."""
    with capsys.disabled():
        sys.stdout.write(f"KALE_TAG_FUZZ_SEED={SEED} KALE_TAG_FUZZ_CASES={COUNT}\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home.gitconfig"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    before = signal.signal(signal.SIGALRM, too_long)
    try:
        numbers = [int(ONLY)] if ONLY else range(COUNT)
        wrong = {number: found for number in numbers if (found := tried(number, tmp_path / "top"))}
    finally:
        signal.signal(signal.SIGALRM, before)
    shown = "\n".join(f"{SEED}:{number} {found}" for number, found in [*wrong.items()][:20])
    assert not wrong, f"{len(wrong)} of {len(numbers)} cases\n{shown}"
