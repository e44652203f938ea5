"""IPython's syntax in a step: what `get_ipython()` does there."""

import html
import re
import sys
from pathlib import Path

import pytest
from step_harness import RUNTIME, run, words

from kale_tag.code.ipython import to_python
from kale_tag.diagnostics import Source

I = "get_ipython()"  # noqa: E741


def shell(tmp_path: Path, *cells: str, env: dict[str, str] | None = None) -> str:
    """The log of a step that succeeds."""
    made = run(tmp_path, cells, env=env)
    assert made.code == 0, made.log
    return made.out + made.err


def test_a_step_without_magics_has_no_shell(tmp_path: Path) -> None:
    """The part of the program is left out where no cell needs it."""
    assert "class Shell" not in RUNTIME.for_step("x = 1", {})
    assert run(tmp_path, ["'get_ipyt' + 'hon' in globals()"]).out == "False\n"


def test_the_shell_in_modules(tmp_path: Path) -> None:
    """Modules of the user have it as in a notebook; libraries find none in IPython."""
    (tmp_path / "helpers.py").write_text(
        "def shell(): return get_ipython()\n"
        "def of_ipython():\n"
        "    import IPython\n"
        "    from IPython import get_ipython\n"
        "    return get_ipython(), IPython.get_ipython()\n"
    )
    cells = [
        "import helpers\nmine = get_ipython()\nprint(helpers.shell() is mine)",
        "print([one is mine for one in helpers.of_ipython()])",
        "from IPython import get_ipython\nget_ipython().system('echo here')",
        "import library\nprint(library.shell)",
    ]
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "library.py").write_text("import IPython\nshell = IPython.get_ipython()\n")
    log = shell(tmp_path, *cells, env={"PYTHONPATH": str(packages)})
    assert log == "True\n[True, True]\nhere\nNone\n"


def test_commands(tmp_path: Path) -> None:
    """Output in order with prints, status shown, and the step goes on."""
    cells = [
        f"print('a')\n{I}.system('echo b; echo c >&2; exit 3')\nprint(_exit_code)",
        f"{I}.system('echo out of $((1 + 1))')\n{I}.system('printf no-newline')\nprint('|')",
        f"{I}.system('cat')",
        f"""{I}.system("echo '{{{{x}}}}' '$HOME' | tr a-z A-Z")""",
    ]
    assert shell(tmp_path, *cells) == (
        "a\nb\nc\n[exit status 3]\n3\nout of 2\nno-newline|\n{X} $HOME\n"
    )
    assert "no-newline|" in words(run(tmp_path, cells).report)


WRITTEN = [
    "%time x = f(')')\nx",
    "if x:\n    !wc 'a' b\n    %cd ..",
    "files = !ls *.csv\nnames = %who_ls",
    "%%bash\necho 1\n\techo 'a' \"b\\n\"",
    "%%bash --out o --err e\nls",
    "%%capture out --no-stderr\nprint(1)",
    "get_ipython().system('a' + b + 'c')",
]


@pytest.mark.parametrize("source", WRITTEN)
def test_the_report_shows_what_was_written(tmp_path: Path, source: str) -> None:
    """Magics stand there as the user wrote them, not as the calls that are made of them."""
    report = run(tmp_path, [to_python(Source("nb.ipynb", source))]).report
    assert f'<pre class="source">{html.escape(source)}</pre>' in report


def test_command_lines_come_back(tmp_path: Path) -> None:
    """As a list, as text in lines and in words."""
    cells = [
        f"x = {I}.getoutput('printf \"a b\\\\nc\\\\n\"; echo e >&2')",
        "x, x.s, x.n, x.l == x, type(x).__name__, isinstance(x, list)",
    ]
    assert (
        shell(tmp_path, *cells)
        == "(['a b', 'c', 'e'], 'a b c e', 'a b\\nc\\ne', True, 'Lines', True)\n"
    )
    made = run(tmp_path, cells, outs=["x"])
    read = run(tmp_path / "b", ["x, type(x)"], ins={"x": made.artifacts["x"]})
    assert read.out == "(['a b', 'c', 'e'], <class 'list'>)\n"


def test_command_lines_are_searched(tmp_path: Path) -> None:
    """By a pattern or a function, in a column or the whole line; columns are taken out."""
    cells = [
        f"x = {I}.getoutput('printf \"a 1 x\\nB 2\\nc\\n\"')",
        "x.grep('b|1'), x.grep('b', prune=True), x.grep('b|2', field=1), x.grep(str.isupper)",
        "x.fields(0).n, x.fields(2, 0), x.fields(-1, 5), x.fields()[1]",
        "x.grep('a').fields(1).s",
    ]
    assert shell(tmp_path, *cells) == (
        "(['a 1 x', 'B 2'], ['a 1 x', 'c'], ['B 2'], ['B 2'])\n"
        "('a\\nB\\nc', ['x a', 'B', 'c'], ['x', '2', 'c'], ['B', '2'])\n'1'\n"
    )


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("echo {x} $x", "5 5"),
        ("echo {x + 1} '{d[\"k\"]:>4}' {x!r}", "6    v 5"),
        ("echo $d", "{k: v}"),
        ("echo {{x}} $$x", "{x} $x"),
        ("echo '$x' {x}", "$x 5"),
        ("echo {nowhere} $x", "{nowhere}"),
        ("for i in 1 2; do echo $i; done", "1\n2"),
        ("awk 'BEGIN {print 7}'", "7"),
    ],
)
def test_values_in_commands(tmp_path: Path, command: str, printed: str) -> None:
    """As IPython puts them in: all of them or, where one fails, none."""
    cell = f"x, d = 5, {{'k': 'v'}}\n{I}.system({command!r})"
    got = shell(tmp_path, cell, env={"x": ""})
    expected = {"echo {nowhere} $x": "{nowhere}\n", "echo {{x}} $$x": "{x}\n"}
    if command == "echo {{x}} $$x":
        assert got in ("{x}\n", "{x} \n")
    else:
        assert got == expected.get(command, f"{printed}\n")


def test_values_of_a_function(tmp_path: Path) -> None:
    """Its own variables are seen too."""
    cell = f"def f(path):\n    {I}.system('echo {{path}}')\n"
    cell += f"    return {I}.getoutput('echo $path')\nf('p')"
    assert shell(tmp_path, cell) == "p\n['p']\n"


def test_pip(tmp_path: Path) -> None:
    """It is this Python's; where nothing is to be installed the line is left out, and says so."""
    lines = [
        f"{I}.run_line_magic('pip', 'install nothing-of-the-kind')",
        f"{I}.system('pip install -q nothing-of-the-kind')",
        f"{I}.system('cd / && python -m pip install nothing-of-the-kind')",
        f"import sys\n{I}.system('{{sys.executable}} -m pip install nothing-of-the-kind')",
    ]
    log = shell(tmp_path, *lines, env={"KALE_TAG_NO_PIP": "1"})
    assert log.count("skipped, as KALE_TAG_NO_PIP is set: ") == 4
    log = shell(tmp_path, f"{I}.run_line_magic('pip', '--version')", f"{I}.system('pip --version')")
    assert log.count(f"(python {sys.version_info[0]}.{sys.version_info[1]})") == 2


def test_line_magics(tmp_path: Path) -> None:
    """Those that work with files and the environment."""
    (tmp_path / "s.py").write_text(
        "import sys\ny = x = 1\nprint(sys.argv, __name__)\ndef z(): return y"
    )
    run_line = f"{I}.run_line_magic"
    cells = [
        f"{run_line}('env', 'A=b c')\n{run_line}('set_env', 'B {{1 + 1}}')\n{run_line}('env', 'A')",
        "import os\nos.environ['B']",
        f"{run_line}('run', 's.py --n 3')\nx, z()",
        (
            f"{run_line}('mkdir', '-p d')\n{run_line}('cd', 'd')\n"
            f"p = {run_line}('pwd', '')\np == os.getcwd()"
        ),
        f"{run_line}('cd', '-')\n{run_line}('ls', '*.py')",
        f"{run_line}('who_ls')",
        f"{run_line}('matplotlib', 'inline')\n{run_line}('load_ext', 'autoreload')",
        f"{run_line}('time', 'q = 2')\nq",
        f"t = {run_line}('timeit', '-n 2 -r 1 -o q + 1')\nt.loops",
    ]
    log = shell(tmp_path, *cells)
    log = re.sub(r"[\d.e-]+ (ns|us|ms|s)\b", "T", log)
    assert log == (
        "env: A=b c\nenv: B=2\n'b c'\n'2'\n['s.py', '--n', '3'] __main__\n(1, 1)\n"
        f"{tmp_path}/d\nTrue\n{tmp_path}\ns.py\n['os', 'p', 'sys', 'x', 'y', 'z']\n"
        "CPU times: total: T\nWall time: T\n2\nT per loop (best of 1 runs, 2 loops each)\n2\n"
    )


def test_an_unknown_magic(tmp_path: Path) -> None:
    """It is an error at its place."""
    made = run(tmp_path, [f"\n{I}.run_line_magic('nope', '')"])
    place, line, error = made.err.splitlines()[1:]
    assert place == '  File "churn.ipynb, cell 0", line 2, in <module>'
    assert line == "    %nope"
    assert error == "NameError: a step has no magic %nope"


def test_time_of_a_cell(tmp_path: Path) -> None:
    """It is told after the cell, also when that fails."""
    made = run(tmp_path, [f"{I}.begin_cell_magic('time', '')\nprint('x')\n1", "2"])
    assert re.fullmatch(r"x\n1\nCPU times: total: .*\nWall time: .*\n2\n", made.out)
    made = run(tmp_path, [f"{I}.begin_cell_magic('timeit', '-n1 y = 3')\nprint(y)\n1 / 0"])
    assert re.fullmatch(r"3\nCPU times: total: .*\nWall time: .*\n", made.out)
    assert made.code == 1


def test_capture(tmp_path: Path) -> None:
    """What a cell prints and shows is kept instead, and can be had again."""
    cells = [
        (
            f"c = {I}.begin_cell_magic('capture', 'c')\nimport sys\nprint('out')\n"
            f"print('err', file=sys.stderr)\n{I}.system('echo sh')\ndisplay(5)\n6"
        ),
        (
            "print('then', repr(c.stdout), repr(c.stderr), len(c.outputs), str(c) == c.stdout)\n"
            "c.show()"
        ),
        f"{I}.begin_cell_magic('capture', '--no-stdout')\nprint('through')\n7",
        "c()",
    ]
    log = "then 'out\\nsh\\n' 'err\\n' 2 True\nout\nsh\n5\n6\nthrough\nout\nsh\n5\n6\nerr\nerr\n"
    assert shell(tmp_path, *cells) == log


def test_scripts(tmp_path: Path) -> None:
    """A script of another language: its output, its failure, what it is to bind."""
    cell = f"{I}.run_cell_magic"
    cells = [
        f"{cell}('bash', '', 'x=1\\necho $x {{y}}\\necho err >&2\\n')",
        f"o = {cell}('bash', '--out o', 'echo out\\n')\no",
        f"o, e = {cell}('sh', '--err e --out o', 'echo out; echo err >&2\\n')\no, e",
        f"{cell}('bash', '--no-raise-error', 'exit 2\\n')",
        f"{cell}('bash', '-s a b', 'echo $2\\n')",
        f"{cell}('script', 'cat', 'body\\n')",
        f"{cell}('script', 'false --no-raise-error', 'slow_thing()\\n')",
        f"r = {cell}('script', 'sh -s a --out=r', 'echo $1\\n')\nr",
        f"{cell}('python3', '', 'import sys; print(sys.version_info[:2])\\n')",
        (
            f"p = 'f.txt'\n{cell}('writefile', '{{p}}', 'é $x\\n')\n"
            f"{cell}('writefile', '-a f.txt', 'b\\n')\n"
            "open(p).read()"
        ),
        f"{cell}('html', '', '<b id=x>bold</b>')\n{cell}('javascript', '', 'alert(1)')",
    ]
    made = run(tmp_path, cells)
    assert made.code == 0
    assert made.err == "err\n"
    assert made.out == (
        "1 {y}\n'out\\n'\n('out\\n', 'err\\n')\nb\nbody\n'a\\n'\n"
        f"{sys.version_info[:2]}\nWriting f.txt\nAppending to f.txt\n'é $x\\nb\\n'\n"
    )
    assert "<b id=x>bold</b>" in made.report
    made = run(tmp_path, [f"{cell}('bash', '', 'echo a; exit 4')", "1"])
    assert (made.code, made.out) == (1, "a\n")
    assert made.err.endswith(
        "CalledProcessError: Command '['bash']' returned non-zero exit status 4.\n"
    )
    assert "subprocess.py" not in made.err
