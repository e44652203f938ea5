"""One step: python -u -c THIS_PROGRAM SPEC EXECUTOR_INPUT CELLS."""

import __future__
import ast, atexit, builtins, contextlib, ctypes, faulthandler, getpass, glob, json, linecache
import os, signal, sys, threading, traceback, types


class StepError(Exception):
    """An error that ends the step, with a message for its user."""


class Stop(BaseException):
    """The step has to stop."""


def ir_name(name, side):
    """The name of a variable in the package."""
    own = SPEC.get("in_names", {}) if side is INPUTS else {}
    return own.get(name) or SPEC.get("names", {}).get(name, name)


def compile_cell(source, name):
    """The code of a cell: its statements, and the expression in its end, which is shown."""
    global FLAGS
    tree = compile(source, name, "exec", FLAGS | ast.PyCF_ONLY_AST, True)
    last, shown = tree.body[-1] if tree.body else None, []
    if isinstance(last, ast.Expr):
        rest = source.split("\n")[last.end_lineno - 1].encode()[last.end_col_offset :]
        if not rest.lstrip().startswith(b";"):
            shown.append(tree.body.pop())
    code = compile(tree, name, "exec", FLAGS, True)
    FLAGS |= code.co_flags & __future__.annotations.compiler_flag
    return code, compile(ast.Interactive(shown), name, "single", FLAGS, True)


def run_cell(kind, cell, source):
    name = f"{SPEC['notebook']}, cell {cell}"
    linecache.cache[name] = len(source), None, source.splitlines(True), name
    if PAGE and kind:
        PAGE.begin(kind, cell, source)
    try:
        for code in compile_cell(source, name):
            made = eval(code, NS)
            if code.co_flags & 128:  # it awaits
                run_loop(made)
    finally:
        while ENDS:
            ENDS.pop()()
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def run_cells():
    if "params" in SPEC:
        set_parameters()
    lines = CELLS.split("\n")
    for kind, cell, count in [*SPEC["cells"], ("step", "", 0)]:
        if kind == "step" and not SHARED:
            SHARED.update(NS)
            if "remember" in globals():
                remember()
            if "states" in SPEC:
                take_states()
            for name in SPEC.get("in", ()):
                take(name)
        source = "\n".join(lines[1 : count + 1])
        del lines[: count + 1]
        if kind == "file":
            unpack(cell, source)
        elif source.strip():
            run_cell(kind, cell, source + "\n")


def display(*values, **_):
    for value in values:
        print(repr(value))


def show(value):
    if value is not None:
        NS["_"] = value
        NS["display"](value)


def trace(error):
    """A traceback without the frames that run the cells."""
    whole = traceback.TracebackException.from_exception(error)
    ours = trace.__code__.co_filename, os.path.join(os.path.dirname(os.__file__), "asyncio")
    every = [whole]
    for one in filter(None, every):
        one.stack[:] = [frame for frame in one.stack if not frame.filename.startswith(ours)]
        if getattr(one, "text", 0) is None:  # a syntax error
            one.text = linecache.getline(one.filename, int(one.lineno))
        every += one.__cause__, one.__context__, *(getattr(one, "exceptions", 0) or ())
    return "".join(whole.format())


def explain(error):
    """Report what ended the step; its exit code."""
    code = {Stop: 143, KeyboardInterrupt: 130}.get(type(error), 1)
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            code = error.code & 255 or 1
        error = StepError(f"was ended by exit({error.code!r})")
    if isinstance(error, StepError):
        text = "".join(f"error: step `{SPEC['step']}` {why}\n" for why in error.args)
    else:
        text = trace(error)
    os.write(2, text.encode("utf-8", "replace"))
    if PAGE:
        PAGE.add(pre(text, "error"))
    return code


def run():
    """Run the step; its exit code."""
    code = 0
    try:
        try:
            run_cells()
        except SystemExit as end:
            if end.code:
                raise
        if WRITES:
            hand_on()
    except BaseException as error:
        code = explain(error)
    if WRITES:
        tell_outputs(f"failed, exit code {code}" if code else "done")
    return code


def leave(*_):
    """End this process and all that the cells left running, which would keep the pod alive."""
    while os.getpid() == PID:
        children = []
        for path in glob.glob("/proc/self/task/*/children"):
            with contextlib.suppress(OSError), open(path) as file:  # a thread may have ended
                children += map(int, file.read().split())
        if not children:
            os._exit(CODE)
        for child in children:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def late(*_):
    os.write(2, b"threads or processes of the cells are still at work; they are ended\n")
    leave()


def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stop("the step was stopped (SIGTERM)")


def around_fork(how, child=False):
    """Children do not have our handler, and miss no signal in the meantime."""
    if child and signal.getsignal(signal.SIGTERM) is stop:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(how, [signal.SIGTERM])


def no_input(*_, **__):
    raise RuntimeError("nobody answers in a pipeline: make this a pipeline parameter or a secret")


if __name__ == "__main__":
    SPEC, GIVEN, CELLS = (os.fsencode(text).decode() for text in sys.argv[1:])
    for KEY, SIGN in zip(("brace", "dollar", "line", "nel"), ("{" * 2, *"$\u2028\x85")):
        MARK = json.loads(SPEC).get(KEY, SIGN)
        SPEC, CELLS = SPEC.replace(MARK, SIGN), CELLS.replace(MARK, SIGN)
    SPEC, GIVEN = json.loads(SPEC), json.loads(GIVEN)
    INPUTS, OUTPUTS = GIVEN.get("inputs", {}), GIVEN["outputs"]
    WRITES = SPEC.keys() & {"out", "states", "metrics", "report"}
    FLAGS, SHARED, ENDS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, {}, []
    PID, CODE, OWN = os.getpid(), 1, sys.modules["__main__"]
    for STREAM in (sys.stdout, sys.stderr):
        STREAM.reconfigure(encoding="utf-8", errors="backslashreplace")
    PAGE = Page() if "Page" in globals() else None
    sys.modules["__main__"] = types.ModuleType("__main__")
    NS = vars(sys.modules["__main__"])
    NS.update(__builtins__=builtins, display=PAGE.display if PAGE else display)
    if "Shell" in globals():
        SHELL = Shell(NS, PAGE, ENDS)
        NS["get_ipython"] = builtins.get_ipython = lambda: SHELL
        sys.meta_path.insert(0, OfIPython(SHELL))
    sys.displayhook, sys.argv = show, [SPEC["notebook"]]
    builtins.input = getpass.getpass = no_input
    threading.excepthook = lambda thrown: sys.stderr.write(trace(thrown.exc_value))
    os.environ["MPLBACKEND"] = "agg"
    faulthandler.enable(2)
    with contextlib.suppress(AttributeError, OSError):  # orphans are to become children of ours
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    atexit.register(leave)  # the first in is the last out
    signal.signal(signal.SIGTERM, stop)
    os.register_at_fork(
        before=lambda: around_fork(signal.SIG_BLOCK),
        after_in_parent=lambda: around_fork(signal.SIG_UNBLOCK),
        after_in_child=lambda: around_fork(signal.SIG_UNBLOCK, True),
    )
    CODE = run()
    signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
