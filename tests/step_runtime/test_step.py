"""The program that runs a step, run as Kubeflow Pipelines runs it."""

import ast
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from step_harness import PYTHONS, RUNTIME, command, environment, result, run, words

from kale_tag.compiler.step_command import MARK, pack

PROGRAM = RUNTIME.whole()


PLAIN = {"step": "a", "notebook": "n.ipynb", "cells": [["step", 1, 1]]}
FRAME = {**PLAIN, "in": ["a"], "out": ["b"], "report": "r"}
METRICS = {"metrics": {"m": "m"}}
PARAMETERS = {"params": {"p": "int"}}
FORMATS = "import numpy as np, pandas\nimport torch.nn"


@pytest.mark.parametrize("text", [*RUNTIME.parts.values(), PROGRAM])
def test_the_program_is_fit_to_be_cargo(text: str) -> None:
    """Nothing in it is a placeholder to a runner or Kubernetes, nor hard for YAML."""
    assert text.isascii()
    assert "\n" in text
    assert text.replace("\n", "").isprintable()
    assert text[0] not in " \t\n"
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not [line for line in text.splitlines() if line.endswith(" ")]
    for special in ("{{", "python3", "/kfp-workspace", "$(", "$$", "kale_tag."):
        assert special not in text
    assert len(text.encode()) < 131_072


@pytest.mark.parametrize(
    ("cells", "imports", "spec", "parts", "size"),
    [
        ("x", "", PLAIN, "", 6_750),
        ("await x", "", PLAIN, "loop", 7_000),
        ("# %% file, a.py\nx", "", PLAIN, "files", 7_250),
        ("x", "", {**PLAIN, **PARAMETERS}, "parameters", 7_500),
        ("x", FORMATS, {**PLAIN, "report": "r"}, "artifacts report", 12_300),
        ("x", "import math", FRAME, "artifacts values report", 18_150),
        ("x", "import pandas", FRAME, "artifacts values together tables report", 31_900),
        ("x", FORMATS, FRAME, "artifacts values together tables libraries report", 34_250),
        (
            "x",
            f"{FORMATS}, keras",
            FRAME,
            "artifacts values definitions together tables libraries keras report",
            43_250,
        ),
        (
            "x",
            "import math",
            {**FRAME, "out": ["b", "c"]},
            "artifacts values together report",
            30_000,
        ),
        ("x", "", {**PLAIN, **METRICS}, "artifacts metrics", 9_050),
        ("get_ipython()", "", PLAIN, "report ipython", 23_100),
    ],
)
def test_a_step_carries_what_it_needs(
    cells: str, imports: str, spec: dict[str, object], parts: str, size: int
) -> None:
    """And nothing else, as KFP's server writes it into the workflow for every step."""
    text = RUNTIME.for_pipeline([imports, cells]).for_step(cells, spec, definitions=False)
    names = [*parts.split(), "step"]
    assert text == MARK + "\n\n".join(RUNTIME.parts[name] for name in names)
    assert len(text) - len(MARK) < size


def test_only_some_steps_carry_what_definitions_need() -> None:
    """Those that take or pass on variables which may hold functions or classes."""
    runtime, part = RUNTIME.for_pipeline(["x"]), RUNTIME.parts["definitions"]
    assert part in runtime.for_step("x", FRAME, definitions=True)
    assert part not in runtime.for_step("x", FRAME, definitions=False)
    assert part not in runtime.for_step("x", PLAIN, definitions=True)


def test_a_packed_program() -> None:
    """It is the same program, in signs that nothing on the way to the step changes."""
    text = pack(PROGRAM)
    assert text == pack(PROGRAM)
    assert len(text) < len(PROGRAM) / 2.2
    *_, line, _ = text.splitlines()
    (packed,) = re.findall(r'text = b"([^"]*)"', line)
    assert len(packed) > 0.97 * len(line)
    assert not set("$&<>{'\\\\") & set(packed), "each has six bytes in a workflow, or is replaced"
    for special in ("{{", "python3", "/kfp-workspace", "$(", "$$"):
        assert special not in text


def test_packing_loses_nothing() -> None:
    """What is packed is the same program, and comments and docstrings are all that it lacks."""
    text = pack(PROGRAM).replace("exec(bz2", "plain = (bz2")
    made: dict[str, bytes] = {}
    exec(text, made)
    plain = made["plain"].decode()
    assert not re.search(r"(?m)^ *#", plain)

    def code(text: str) -> str:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(body := getattr(node, "body", None), list):
                body[:-1] = [
                    one
                    for one in body[:-1]
                    if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
                ]
        return ast.dump(tree)

    assert code(plain) == code(PROGRAM)


def test_a_packed_step(tmp_path: Path) -> None:
    """It runs, and its tracebacks show cells only."""
    program = pack(PROGRAM)
    argv = command(tmp_path, ["print(1)\n1 / 0"])
    argv[argv.index("-c") + 1] = program
    ended = subprocess.run(argv, env=environment(), capture_output=True, check=False)
    assert ended.stdout == b"1\n"
    assert ended.stderr.decode().splitlines()[:2] == [
        "Traceback (most recent call last):",
        '  File "churn.ipynb, cell 0", line 2, in <module>',
    ]


def test_the_program_needs_python_3_9_and_its_standard_library() -> None:
    """No newer syntax; at top level only modules that every Python from 3.9 to 3.14 has."""
    tree = ast.parse(PROGRAM, feature_version=(3, 9))
    names = {
        alias.name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert names
    assert names <= set(sys.stdlib_module_names)
    assert not [node for node in tree.body if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize("version", [pytest.param(v, id=v) for v in PYTHONS] or ["none"])
def test_other_pythons(tmp_path: Path, version: str) -> None:
    """The same program under each Python of this machine."""
    if version not in PYTHONS:
        pytest.skip("no other Python here")
    cells = [
        ("imports", "import asyncio, dataclasses"),
        ("functions", "@dataclasses.dataclass\nclass Point:\n    x: int = 1"),
        "await asyncio.sleep(0)\np, n = Point(2), 2**70\nn",
        "get_ipython().system('echo {n} $HOME')\nx = get_ipython().getoutput('echo {n}')\nx.s",
        "def f():\n    raise ValueError(1) from KeyError(2)\n\nf()",
    ]
    made = run(tmp_path / "a", cells[:4], outs=["p", "n"], python=PYTHONS[version])
    assert (made.code, made.err) == (0, "")
    assert made.out == f"{2**70}\n{{n}} $HOME\n'{2**70}'\n".replace("{n} $HOME", _echoed())
    read = [*cells[:2], "print(p == Point(2), n == 2**70)", cells[4]]
    ins = {name: made.artifacts[name] for name in ("p", "n")}
    failed = run(tmp_path / "b", read, ins=ins, python=PYTHONS[version])
    assert failed.out == "True True\n"
    assert failed.code == 1
    assert 'File "churn.ipynb, cell 3", line 2, in f\n    raise ValueError(1)' in failed.err
    assert "step.py" not in failed.err
    assert "<string>" not in failed.err


def _echoed() -> str:
    """What `!echo {n} $HOME` prints: as in IPython nothing is put in if one name is unknown."""
    return subprocess.check_output("echo {n} $HOME", shell=True, text=True).strip()


def test_what_a_cell_shows(tmp_path: Path) -> None:
    """The last expression as in Jupyter, display, `_`, and `;` that hides."""
    made = run(
        tmp_path,
        [
            "1\n2",
            "_ + 1",
            "(7);",
            "8  ;  # hidden",
            "'é;'",
            "None",
            "x = 5",
            "display('a', [1])\ndisplay(2)",
            "if True:\n    9",
            "# only a comment",
            "   ",
            '"""text"""',
            "_",
        ],
    )
    assert made.err == ""
    assert made.out == "2\n3\n'é;'\n'a'\n[1]\n2\n'text'\n'text'\n"


def test_parameters(tmp_path: Path) -> None:
    """Values have the types that were declared, as whole numbers arrive as floats."""
    params: dict[str, tuple[str, object]] = {
        "a": ("int", 3.0),
        "b": ("float", 2),
        "c": ("str", "{{x}} '\n\u2028"),
        "d": ("bool", True),
        "e": ("list", [1.0, 2.5, [3.0], "4.0", None]),
        "f": ("dict", {"k": {"n": 1e3}, "b": False}),
        "_g": ("int", -1.0),
    }
    cells = [
        ("functions", "def double():\n    return 2 * a"),
        "print(a, b, repr(c), d, e, f, _g, double())",
    ]
    made = run(tmp_path, cells, params=params, spec={"names": {"_g": "p_g"}})
    assert made.err == ""
    assert made.out == (
        "3 2.0 \"{{x}} '\\n\\u2028\" True [1, 2.5, [3], '4.0', None] {'k': {'n': 1000}, 'b': False}"
        " -1 6\n"
    )


@pytest.mark.parametrize(
    ("kind", "value"), [("int", 2.5), ("int", "3"), ("int", True), ("bool", 1), ("dict", [])]
)
def test_a_parameter_of_the_wrong_type(tmp_path: Path, kind: str, value: object) -> None:
    """It is refused before any cell runs."""
    made = run(tmp_path, ["print('ran')"], params={"n": (kind, value)})
    assert made.code == 1
    assert made.out == ""
    assert made.err == f"error: step `train` takes {kind} for the parameter `n`, not {value!r}\n"


def test_a_mark_stands_for_two_braces(tmp_path: Path) -> None:
    """Runners replace what stands in two braces, so the package holds none."""
    cells = ["print('@@~ $ }}', f'@@~1}}')\nx = {'@@~': 1}\nx"]
    made = run(tmp_path, cells, spec={"brace": "@@~", "notebook": "a@@~.ipynb"})
    assert made.out == "{{ $ }} {1}\n{'{{': 1}\n"
    assert "a{{.ipynb" in made.report


def test_a_mark_stands_for_a_dollar(tmp_path: Path) -> None:
    """Kubernetes makes one of two in an argument, and puts in the value of `$(NAME)`."""
    made = run(tmp_path, ["print('~!$ ~!(HOME) $x')"], spec={"dollar": "~!"})
    assert made.out == "$$ $(HOME) $x\n"


def test_carriage_returns_and_odd_lines_stay(tmp_path: Path) -> None:
    """Cells are split by "\\n" alone."""
    made = run(tmp_path, ["x = '\u2028\x0c\x85'\nprint(len(x))", "print(2)"])
    assert made.out == "3\n2\n"


def test_a_real_main(tmp_path: Path) -> None:
    """Functions of cells are found by pickle, by other processes, and by `inspect`."""
    cells = [
        (
            "imports",
            (
                "import inspect, multiprocessing, pickle, sys, warnings\n"
                "from concurrent.futures import ProcessPoolExecutor"
            ),
        ),
        ("functions", "def double(x):\n    return 2 * x"),
        "def own(x):\n    return x + 1\npickle.loads(pickle.dumps(own)) is own",
        (
            "with ProcessPoolExecutor(2, multiprocessing.get_context('fork')) as pool:\n"
            "    print(list(pool.map(double, [1, 2])), list(pool.map(own, [1, 2])))"
        ),
        "print(inspect.getsource(double))\n__name__, sys.modules['__main__'].own is own, sys.argv",
        "warnings.warn('careful')\nwarnings.warn('old', DeprecationWarning)",
    ]
    made = run(tmp_path, cells)
    assert made.out == (
        "True\n[2, 4] [2, 3]\ndef double(x):\n    return 2 * x\n\n"
        "('__main__', True, ['churn.ipynb'])\n"
    )
    assert made.err == (
        "churn.ipynb, cell 5:1: UserWarning: careful\n  warnings.warn('careful')\n"
        "churn.ipynb, cell 5:2: DeprecationWarning: old\n"
        "  warnings.warn('old', DeprecationWarning)\n"
    )


def test_await(tmp_path: Path) -> None:
    """Cells share one event loop; `asyncio.run` works beside it."""
    cells = [
        "import asyncio\nq = asyncio.Queue()\nawait q.put(1)",
        "async def f():\n    return 2\nasyncio.run(f())",
        "async with asyncio.Lock():\n    print(await q.get())\nawait f()",
        "async def a():\n    yield 3\n[i async for i in a()]",
        "await g()",
    ]
    made = run(tmp_path, cells)
    assert made.out == "2\n1\n2\n[3]\n"
    assert made.err.splitlines()[1:] == [
        '  File "churn.ipynb, cell 4", line 1, in <module>',
        "    await g()",
        "          ^",
        "NameError: name 'g' is not defined",
    ]


def test_future_statements_stay(tmp_path: Path) -> None:
    """`from __future__ import annotations` holds for the cells after it."""
    cells = [
        ("imports", "from __future__ import annotations"),
        "def f(x: nowhere): pass\nf.__annotations__",
    ]
    assert run(tmp_path, cells).out == "{'x': 'nowhere'}\n"


def test_a_traceback_shows_cells_only(tmp_path: Path) -> None:
    """Notebook, cell, line and caret, through functions of other cells; no frame of ours."""
    cells = [
        ("functions", "def ratio(a, b):\n    return a / b"),
        "def mean(xs):\n    return ratio(sum(xs), len(xs))\n\nx = 1\nmean([])",
        "print('never')",
    ]
    made = run(tmp_path, cells)
    assert made.code == 1
    assert made.out == ""
    carets = re.compile(r"(?m)^ +[~^]+\n")  # versions of Python put others, too
    assert "    return a / b\n           ~~^~~\n" in made.err
    assert carets.sub("", made.err) == (
        "Traceback (most recent call last):\n"
        '  File "churn.ipynb, cell 1", line 5, in <module>\n    mean([])\n'
        '  File "churn.ipynb, cell 1", line 2, in mean\n    return ratio(sum(xs), len(xs))\n'
        '  File "churn.ipynb, cell 0", line 2, in ratio\n    return a / b\n'
        "ZeroDivisionError: division by zero\n"
    )
    assert "ZeroDivisionError" in words(made.report)
    assert "failed, exit code 1" in made.report


def test_chains_groups_and_libraries(tmp_path: Path) -> None:
    """What stands behind an error is shown with the user's frames, and a library's own."""
    cells = [
        (
            "import json\ntry:\n    json.loads('{')\nexcept ValueError as e:\n"
            "    raise ExceptionGroup('both', [e, KeyError(1)]) from RuntimeError('cause')"
        )
    ]
    err = run(tmp_path, cells).err
    assert "<string>" not in err
    assert 'cell 0", line 3, in <module>' in err
    assert "json/decoder.py" in err
    assert "RuntimeError: cause" in err
    assert "| KeyError: 1" in err


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("x = 1\nif x\n    y", "    if x\n        ^\nSyntaxError: expected ':'"),
        (
            "print(1)\nreturn 3",
            "    return 3\n    ^^^^^^^^\nSyntaxError: 'return' outside function",
        ),
        ("print(1)\nx +", "    x +\n       ^\nSyntaxError: invalid syntax"),
    ],
)
def test_syntax_errors(tmp_path: Path, source: str, shown: str) -> None:
    """Their place is in the cell, and nothing of the cell has run."""
    made = run(tmp_path, [source])
    assert (made.code, made.out) == (1, "")
    assert made.err == f'  File "churn.ipynb, cell 0", line 2\n{shown}\n'


@pytest.mark.parametrize(
    ("ending", "code", "err"),
    [
        ("import sys; sys.exit()", 0, ""),
        ("exit(0)", 0, ""),
        ("raise SystemExit(3)", 3, "error: step `train` was ended by exit(3)\n"),
        ("raise SystemExit(256)", 1, "error: step `train` was ended by exit(256)\n"),
        ("raise SystemExit('no data')", 1, "error: step `train` was ended by exit('no data')\n"),
    ],
)
def test_exits(tmp_path: Path, ending: str, code: int, err: str) -> None:
    """`sys.exit()` ends the step well, with what it has so far; another code is its failure."""
    made = run(tmp_path, ["x = 1\nprint('before')", ending, "print('after')"], outs=["x"])
    assert (made.code, made.out, made.err) == (code, "before\n", err)
    assert bool(made.metadata("x")) is (code == 0)
    assert made.report


def test_os_exit(tmp_path: Path) -> None:
    """What was printed is in the log even then."""
    made = run(tmp_path, ["import os\nprint('a', end='')\nos._exit(7)"])
    assert (made.code, made.out, made.report) == (7, "a", "")


def test_a_crash_shows_where(tmp_path: Path) -> None:
    """A fault of compiled code leaves a traceback in the log."""
    made = run(tmp_path, ["import ctypes\nctypes.string_at(0)"])
    assert made.code == -signal.SIGSEGV
    assert "churn.ipynb, cell 0" in made.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_told_to_stop(tmp_path: Path, number: int, code: int) -> None:
    """The report is written, and the log shows where the step was."""
    cells = ["print('here')\nimport time\ntry:\n    time.sleep(30)\nexcept Exception:\n    pass"]
    with subprocess.Popen(
        command(tmp_path, cells),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    made = result(tmp_path, subprocess.CompletedProcess([], process.returncode, first + out, err))
    assert (made.code, made.out) == (code, "here\n")
    assert 'cell 0", line 4' in made.err
    assert 'cell 0", line 4' in words(made.report).replace("&quot;", '"')


def test_children_are_not_the_step(tmp_path: Path) -> None:
    """What ends them leaves no traceback, and their exit code is what it is elsewhere."""
    cell = (
        "import multiprocessing, sys, time\nfork = multiprocessing.get_context('fork')\n"
        "slow = fork.Process(target=time.sleep, args=(60,))\nslow.start()\nslow.terminate()\n"
        "left = fork.Process(target=sys.exit, args=(3,))\nleft.start()\n"
        "for child in (slow, left):\n    child.join(20)\n"
        "with fork.Pool(2) as pool:\n    pool.map(abs, [-1])\n"
        "print(slow.exitcode, left.exitcode)"
    )
    made = run(tmp_path, [cell])
    assert (made.code, made.log) == (0, "-15 3\n")


def test_a_thread_that_ends_while_children_are_listed(tmp_path: Path) -> None:
    """Its list of children is gone; the log stays clean."""
    made = run(tmp_path, ["import glob\nglob.glob = lambda _: ['/proc/self/task/0/children']"])
    assert (made.code, made.log) == (0, "")


def test_output_is_live(tmp_path: Path) -> None:
    """Half a line is in the log before the cell goes on."""
    cells = [
        "import sys, time\nprint('.', end='')\nprint('!', end='', file=sys.stderr)\ntime.sleep(30)"
    ]
    with subprocess.Popen(
        command(tmp_path, cells),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(1) + process.stderr.read(1) == b".!"
        process.kill()


def test_binary_and_odd_output(tmp_path: Path) -> None:
    """Bytes go through as they are; what is no text does not fail."""
    cells = [
        "import sys\nsys.stdout.buffer.write(bytes([255, 0, 10]))\nprint('\\ud800é')",
        "'\\ud800'",
        "sys.stdout.fileno(), sys.stdout.isatty(), sys.stderr.encoding",
    ]
    folder = tmp_path / "x"
    folder.mkdir()
    ended = subprocess.run(
        command(folder, cells), env=environment(), capture_output=True, check=True
    )
    assert ended.stdout == (b"\xff\x00\n\\ud800\xc3\xa9\n'\\ud800'\n(1, False, 'utf-8')\n")


def test_much_output(tmp_path: Path) -> None:
    """100 MB are printed at once, and the report holds the ends of it."""
    made = run(tmp_path, ["for i in range(1000):\n    print(str(i) * 1000 + 'x' * 97_000)", "1"])
    assert len(made.out) > 99_000_000
    assert len(made.report) < 500_000
    assert "[...]" in made.report
    assert words(made.report).count("x\n") < 5
    assert "999999" in made.report


def test_a_report_is_text(tmp_path: Path) -> None:
    """What cells print is escaped; progress bars and colours are as a terminal shows them."""
    cells = [
        "print('<script>alert(1)</script> &amp;')\nx = '</pre><script>'",
        r"print('10%\r20%\r100%\r\n\x1b[31mred\x1b[0m')",
        "raise ValueError('<b>')",
    ]
    report = run(tmp_path, cells, name="a<b", spec={"notebook": "<i>.ipynb"}).report
    assert "<script" not in report
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;amp;" in report
    assert "20%" not in report.partition('class="output">100%\nred\n')[0].rpartition("<pre")[2]
    assert 'class="output">100%\nred\n</pre>' in report
    assert "ValueError: &lt;b&gt;" in report
    assert "<b>" not in report
    assert "<i>" not in report


def test_rich_values(tmp_path: Path) -> None:
    """HTML, SVG and PNG are in the report, their text in the log; a broken one is text."""
    cells = [
        (
            "class V:\n    def __init__(self, **k): self.__dict__.update(k)\n"
            "    def __repr__(self): return 'V!'\n"
            "V(_repr_html_=lambda: '<em>rich</em>')"
        ),
        "display(V(_repr_svg_=lambda: '<svg></svg>'), V(_repr_png_=lambda: b'png'))",
        "V(_repr_html_=lambda: 1 / 0)",
        "V(_repr_html_=lambda: None)",
    ]
    made = run(tmp_path, cells)
    assert made.out == "V!\n" * 5
    assert "<em>rich</em>" in made.report
    assert "<svg></svg>" in made.report
    assert "data:image/png;base64,cG5n" in made.report
    assert made.report.count('class="output">V!') == 2


def test_without_a_report(tmp_path: Path) -> None:
    """No report is written where none is asked for."""
    assert run(tmp_path, ["1"], spec={"report": {}}).report == ""


def test_input_has_nobody_to_ask(tmp_path: Path) -> None:
    """`input()` and `getpass()` say what to do instead."""
    cells = [
        "import getpass\ntry:\n    getpass.getpass('p')\nexcept RuntimeError as e: print(e)",
        "input('x')",
    ]
    made = run(tmp_path, cells)
    assert made.out == "nobody answers in a pipeline: make this a pipeline parameter or a secret\n"
    assert 'cell 1", line 1' in made.err
    assert "RuntimeError: nobody answers" in made.err


def test_threads(tmp_path: Path) -> None:
    """An error in a thread is shown with its cell; threads that end are waited for."""
    cells = [
        (
            "import threading, time\ndef fail():\n    1 / 0\nt = threading.Thread(target=fail)\n"
            "t.start(); t.join()"
        ),
        "def late():\n    time.sleep(.3)\n    print('late')\nthreading.Thread(target=late).start()",
    ]
    made = run(tmp_path, cells)
    assert (made.code, made.out) == (0, "late\n")
    assert 'File "churn.ipynb, cell 0", line 3, in fail\n    1 / 0\n    ~~^~~' in made.err


def test_children_left_behind(tmp_path: Path) -> None:
    """Programs that still run do not keep the step, nor its log, from ending."""
    cells = [
        (
            "import os, subprocess, atexit, multiprocessing\n"
            "subprocess.Popen(['sleep', '31'])\nos.system('sleep 32 & sleep 33 & echo started')\n"
            "subprocess.Popen(['sh', '-c', 'sleep 34; true'], start_new_session=True)\n"
            "atexit.register(print, 'bye')\n"
            "get_ipython().system('sleep 35 & echo shell')\n"
        ),
        "x = 1",
    ]
    started = time.monotonic()
    made = run(tmp_path, cells, outs=["x"])
    assert (made.code, made.out, made.err) == (0, "started\nshell\nbye\n", "")
    assert time.monotonic() - started < 30, "it waited for what the cells left"
    assert made.metadata("x")["format"] == "json"
    table = subprocess.check_output(["ps", "-eo", "args"], text=True)
    assert not [row for row in table.splitlines() if re.fullmatch("sleep 3[1-5]", row)]


@pytest.mark.slow
def test_threads_that_never_end(tmp_path: Path) -> None:
    """They are given ten seconds; the step has succeeded all the same."""
    cells = ["import threading\nthreading.Thread(target=threading.Event().wait).start()\nx = 1"]
    made = run(tmp_path, cells, outs=["x"])
    assert made.code == 0
    assert made.err == "threads or processes of the cells are still at work; they are ended\n"


def test_buckets(tmp_path: Path) -> None:
    """Artifacts of a bucket stand where the launcher mounts it, or at their custom path."""
    given = json.loads(command(tmp_path, ["x = 1"], outs=["x", "y"], uri="gs://b/p")[-2])
    given["outputs"]["artifacts"]["y"]["artifacts"][0]["customPath"] = str(tmp_path / "own" / "y")
    names = {"gs": "/gcs", "minio": "/minio", "s3": "/s3", "https": "https:/"}
    program = PROGRAM.partition('if __name__ == "__main__"')[0]
    scope: dict[str, object] = {"__name__": "cargo", "SPEC": {}, "INPUTS": {}}
    exec(program, scope)
    place = scope["place"]
    assert callable(place)
    for scheme, mount in names.items():
        side = {"artifacts": {"x": {"artifacts": [{"uri": f"{scheme}://b/gs/x"}]}}}
        assert place(side, "x")[1] == f"{mount}/b/gs/x"
    assert place(given["outputs"], "y")[1] == str(tmp_path / "own" / "y")


@pytest.mark.slow
def test_the_output_file_is_what_kubeflow_reads(tmp_path: Path) -> None:
    """The launcher reads it strictly, as ExecutorOutput."""
    protos = pytest.importorskip("kfp.pipeline_spec.pipeline_spec_pb2")
    json_format = pytest.importorskip("google.protobuf.json_format")
    cells = ["x = float('nan')\nn, s, b = 10**40, 'text', True"]
    metrics = {"x": "x", "n": "n", "s": "s", "b": "b"}
    for source in (cells, [*cells, "1 / 0"]):
        folder = tmp_path / str(len(source))
        run(folder, source, outs=["s"], metrics=metrics)
        text = (folder / "meta" / "output_metadata.json").read_text("utf-8")
        made = json_format.Parse(text, protos.ExecutorOutput())
        assert set(made.artifacts) == {"s", "kale_tag_report", "kale_tag_metrics"}
