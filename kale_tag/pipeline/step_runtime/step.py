"""One step of a pipeline: KALE_TAG_CELLS=FILE python -u -c THIS_PROGRAM SPEC EXECUTOR_INPUT."""

import __future__
import ast, atexit, builtins, contextlib, ctypes, faulthandler, getpass, glob, hashlib, io, json
import linecache, math, os, re, signal, sys, threading, time, traceback, types

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Fault(Exception):
    """What ends the step, in words for its user."""


class Stop(BaseException):
    """The step is told to stop."""


def ir_name(name, side):
    """The name of a variable in the package."""
    names = SPEC.get("names", {}).get(name, name)
    return SPEC.get("in_names", {}).get(name, names) if side is INPUTS else names


def place(side, name):
    """The artifact of a variable, and its file in this container."""
    artifact = side["artifacts"][ir_name(name, side)]["artifacts"][0]
    path = re.sub("^(gcs|minio|s3)://", r"/\1/", re.sub("^gs:", "gcs:", artifact["uri"]))
    return artifact, artifact.get("customPath") or artifact.get("custom_path") or path


def create(path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    return open(path, "wb")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def versions(names):
    found = {name: getattr(sys.modules.get(name), "__version__", "") for name in names}
    return {"python": PYTHON, **{name: text for name, text in found.items() if text}}


def load(name):
    artifact, path = place(INPUTS, name)
    meta = artifact.get("metadata", {})
    if not os.path.exists(path):
        raise Fault(f"finds no artifact of `{name}` at {path}")
    if sha256(path) != meta.get("sha256"):
        raise Fault(f"refuses the artifact of `{name}`: by its sha256, it is not what was written")
    kind, first, wrote = meta["format"], meta["type"], json.loads(meta["versions"])
    try:
        if kind == "cloudpickle" and wrote["python"] != PYTHON:
            raise TypeError("functions go to steps of the same version of Python only")
        with open(path, "rb") as file:
            return read(file, kind, first, NS)
    except Exception as error:
        raise Fault(
            f"cannot load `{name}` ({first}, {kind}): {type(error).__name__}: {error}\n"
            f"  written with {wrote}\n  read with    {versions(wrote)}"
        ) from error


def save(name):
    artifact, path = place(OUTPUTS, name)
    if name not in NS:
        raise Fault(f"does not define `{name}`, which a later step reads")
    first = classes(NS[name])[0]
    try:
        with create(path) as file:
            kind = write(NS[name], file, SHARED)
    except Exception as error:
        advice = "hand on plain data, and make the object where it is needed"
        if first == "builtins.generator":
            advice = f"make it a list, {name} = list({name})"
        raise Fault(
            f"cannot hand on `{name}` ({first}): {type(error).__name__}: {error}\n  help: {advice}"
        ) from error
    artifact["metadata"] = {
        "format": kind,
        "type": first,
        "sha256": sha256(path),
        "versions": json.dumps(versions([first.split(".")[0], "numpy"])),
    }


def hand_on():
    """Save the outputs and metrics, as far as they can be."""
    faults, metrics = [], {}
    for name in SPEC.get("out", ()):
        try:
            save(name)
        except Fault as fault:
            faults.append(fault.args[0])
    for metric, name in SPEC.get("metrics", {}).items():
        try:
            value = NS[name].item() if hasattr(NS[name], "item") else NS[name]
            if type(value) not in (bool, int, str):
                value = float(value)
            if type(value) is not str and not math.isfinite(value):
                value = str(value)  # JSON has no such number
            metrics[metric] = value
            print("metric", metric, "=", value)
        except Exception as error:
            faults.append(f"cannot report `{name}` as a metric: {type(error).__name__}: {error}")
    if metrics:
        place(OUTPUTS, SPEC.get("metrics_artifact", "kale_tag_metrics"))[0]["metadata"] = metrics
    if faults:
        raise Fault(*faults)


def compile_cell(source, name):
    """The code of a cell: its statements, and the expression in its end, which is shown."""
    global FLAGS
    tree = compile(source, name, "exec", FLAGS | ast.PyCF_ONLY_AST, True)
    parts = [("exec", tree)]
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        line = source.split("\n")[last.end_lineno - 1].encode()
        if not line[last.end_col_offset :].lstrip().startswith(b";"):
            parts.append(("single", ast.Interactive([tree.body.pop()])))
    codes = [compile(part, name, mode, FLAGS, True) for mode, part in parts]
    FLAGS |= codes[0].co_flags & __future__.annotations.compiler_flag
    return codes


def run_cell(kind, cell, source):
    name = f"{SPEC['notebook']}, cell {cell}"
    linecache.cache[name] = len(source), None, source.splitlines(True), name
    shown = pre(source.rstrip(), "source")
    if kind != "step":
        shown = f"<details><summary>{kind}</summary>{shown}</details>"
    PAGE.add()
    head, started = len(PAGE.parts), time.time()
    PAGE.add(shown)
    try:
        for code in compile_cell(source, name):
            made = eval(code, NS)
            if code.co_flags & 128:  # it awaits
                import asyncio

                if not LOOP:
                    LOOP.append(asyncio.new_event_loop())
                asyncio.set_event_loop(LOOP[0])
                LOOP[0].run_until_complete(made)
    finally:
        while ENDS:
            ENDS.pop()()
        pyplot = sys.modules.get("matplotlib.pyplot")
        for number in pyplot.get_fignums() if pyplot else ():
            if "report" in SPEC and not PAGE.capture:
                PAGE.add(
                    rich(pyplot.figure(number)) or pre(f"cannot draw figure {number}", "error")
                )
            pyplot.close(number)
        PAGE.add()
        PAGE.parts.insert(head, f"<h2>cell {cell} &middot; {time.time() - started:.2f} s</h2>\n")
        if str(getattr(NS.get("display"), "__module__", "")).startswith("IPython."):
            NS["display"] = PAGE.display


def show(value):
    if value is not None:
        NS["_"] = value
        PAGE.display(value)


def unmark(text):
    """A text of the package as it was: runners would replace some signs in it."""
    for mark, meant in MARKS:
        text = text.replace(mark or meant, meant)
    return text


def run_cells():
    def whole(text):
        number = float(text)
        return int(number) if number.is_integer() else number

    for name, kind in SPEC.get("params", {}).items():
        value = INPUTS.get("parameterValues", {}).get(ir_name(name, INPUTS))
        if kind in ("int", "list", "dict"):  # all numbers come as floats
            value = json.loads(json.dumps(value), parse_float=whole)
        elif kind == "float" and type(value) is int:
            value = float(value)
        if type(value).__name__ != kind:
            raise Fault(f"takes {kind} for the parameter `{name}`, not {value!r}")
        NS[name] = value
    with open(os.environ["KALE_TAG_CELLS"], encoding="utf-8", newline="") as file:
        lines = unmark(file.read()).split("\n")
    for kind, cell, count in [*SPEC["cells"], ("step", "", 0)]:
        if kind == "step" and not SHARED:
            SHARED.update(NS)
            for name in SPEC.get("in", ()):
                NS[name] = load(name)
        source = "\n".join(lines[1 : count + 1])
        del lines[: count + 1]
        if source.strip():
            run_cell(kind, cell, source + "\n")


def trace(error):
    """A traceback without the frames that run the cells."""
    todo, seen = [error], set()
    while todo:
        one = todo.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, SyntaxError) and not one.text:
            one.text = linecache.getline(one.filename, one.lineno)
        frames, tb = [], one.__traceback__
        while tb:
            scope = tb.tb_frame.f_globals
            if scope is not globals() and not str(scope.get("__name__")).startswith("asyncio."):
                frames.append(tb)
            tb = tb.tb_next
        for old in reversed(frames):
            tb = types.TracebackType(tb, old.tb_frame, old.tb_lasti, old.tb_lineno)
        one.__traceback__ = tb
        todo += one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def explain(error):
    """Say what ended the step; its exit code."""
    faults, code = error.args, 1
    if isinstance(error, SystemExit):
        faults = [f"was ended by exit({error.code!r})"]
        code = error.code & 255 or 1 if isinstance(error.code, int) else 1
    text = "".join(f"error: step `{SPEC['step']}` {fault}\n" for fault in faults)
    if not isinstance(error, (Fault, SystemExit)):
        text = trace(error)
        code = (
            143 if isinstance(error, Stop) else 130 if isinstance(error, KeyboardInterrupt) else 1
        )
    os.write(2, text.encode("utf-8", "replace"))
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
        hand_on()
    except BaseException as error:
        code = explain(error)
    if "report" in SPEC:
        state = f"failed, exit code {code}" if code else "done"
        with create(place(OUTPUTS, SPEC["report"])[1]) as file:
            text = PAGE.whole(SPEC["step"], SPEC["notebook"], f"Python {PYTHON}", state)
            file.write(text.encode("utf-8", "replace"))
    for side in OUTPUTS.get("artifacts", {}).values():
        side["artifacts"] = [
            {key: artifact[key] for key in ("name", "uri", "metadata") if key in artifact}
            for artifact in side["artifacts"]
        ]
    with create(OUTPUTS["outputFile"]) as file:
        file.write(json.dumps({"artifacts": OUTPUTS.get("artifacts", {})}).encode())
    return code


def leave(*_):
    """End this process and all that the cells left running, which would hold the pod."""
    while os.getpid() == PID:
        children = []
        for path in glob.glob("/proc/self/task/*/children"):
            with open(path) as file:
                children += map(int, file.read().split())
        if not children:
            os._exit(CODE)
        for child in children:
            os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def late(*_):
    os.write(2, b"threads or processes of the cells are still at work; they are ended\n")
    leave()


def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stop("the step was told to stop (SIGTERM)")


def no_input(*_, **__):
    raise RuntimeError("nobody answers in a pipeline: make this a pipeline parameter or a secret")


if __name__ == "__main__":
    SPEC, GIVEN = map(json.loads, sys.argv[1:3])
    MARKS = [(SPEC.get("brace"), "{" * 2), (SPEC.get("dollar"), "$")]
    SPEC = json.loads(unmark(json.dumps(SPEC, ensure_ascii=False)))
    INPUTS, OUTPUTS = GIVEN.get("inputs", {}), GIVEN["outputs"]
    FLAGS, SHARED, LOOP, ENDS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, {}, [], []
    PID, CODE, PAGE, OWN = os.getpid(), 1, Page(), sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    NS = vars(sys.modules["__main__"])
    NS.update(__builtins__=builtins, display=PAGE.display)
    if "Shell" in globals():
        SHELL = globals()["Shell"](NS, PAGE, ENDS)
        NS["get_ipython"] = lambda: SHELL
    for NUMBER, STREAM in enumerate(("stdout", "stderr"), 1):
        STREAM = Stream(NUMBER, STREAM, PAGE)
        STREAM = io.TextIOWrapper(STREAM, "utf-8", "backslashreplace", write_through=True)
        setattr(sys, STREAM.name, STREAM)
    sys.displayhook, sys.argv = show, [SPEC["notebook"]]
    builtins.input = getpass.getpass = no_input
    threading.excepthook = lambda thrown: sys.stderr.write(trace(thrown.exc_value))
    os.environ["MPLBACKEND"] = "agg"
    faulthandler.enable(2)
    with contextlib.suppress(AttributeError, OSError):  # orphans are to become children of ours
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    atexit.register(leave)  # the first in is the last out
    signal.signal(signal.SIGTERM, stop)
    CODE = run()
    signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
