"""IPython's syntax in the cells of a step: what `get_ipython()` gives there."""

import codecs, importlib.util, os, re, shlex, shutil, string, subprocess, sys, tempfile, threading
import time, timeit, types

PIP = re.compile(
    r"(^|[;&|])\s*(sudo\s+)?(\S*python[\d.]*['\"]?\s+-m\s+)?(\S*/)?(uv\s+)?"
    r"(pip[\d.]*|conda|mamba)\s+install\b"
)
COMMANDS = {"ls", "cat", "cp", "mv", "rm", "mkdir", "rmdir", "conda", "mamba"}
NOTHING = {"matplotlib", "load_ext", "reload_ext", "autoreload", "aimport", "config"}
TIMED = {"time", "prun", "memit", "lprun", "mprun"}
CALL = re.compile(
    r"(?:\S.* = (?=get_ipython\(\)\.\w+_cell))?get_ipython\(\)\.(system|getoutput|\w+_magic)"
    r"\(((?:'(?:[^'\\]|\\.)*'(?:, )?)+)\)$",
    re.MULTILINE,
)
LINE = re.compile(r"^( +)(.*get_ipython\(\)\..*)(?:\n +[~^]+$)?", re.MULTILINE)


class Lines(list):
    """The lines that a command printed: a list, with `s` and `n` as text, as in IPython."""

    l = property(list)
    s = property(" ".join)
    n = property("\n".join)

    def grep(self, pattern, prune=False, field=None):
        """The lines, or those without (*prune*), in which a pattern or function finds something."""
        match = pattern
        if isinstance(pattern, str):
            match = re.compile(pattern, re.IGNORECASE).search

        def found(line):
            words = [line] if field is None else line.split()[field:][:1]
            return bool(match(words[0] if words else ""))

        return Lines(line for line in self if found(line) != prune)

    def fields(self, *numbers):
        """The words of these numbers in each line; all words, as lists, where none is given."""
        words = [line.split() for line in self]
        if not numbers:
            return words
        kept = [[line[n] for n in numbers if -len(line) <= n < len(line)] for line in words]
        return Lines(" ".join(line) for line in kept if line)

    def __reduce__(self):
        return list, (list(self),)


class Captured:
    """What `%%capture` keeps from the log."""

    def __init__(self, page, options):
        self.page, self.options, self.written, self.outputs = page, options, [], []

    def passes(self, value, name):
        if f"--no-{name}" in self.options:
            return True
        (self.outputs if name == "display" else self.written).append((name, value))
        return False

    def text(self, name):
        return b"".join(data for kind, data in self.written if kind == name).decode(
            errors="replace"
        )

    stdout = property(lambda self: self.text("stdout"))
    stderr = property(lambda self: self.text("stderr"))

    def show(self):
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)
        for _, value in self.outputs:
            self.page.display(value)

    __call__ = show

    def __str__(self):
        return self.stdout


class Shell:
    """The methods into which IPython's own syntax is turned."""

    def __init__(self, ns, page, ends):
        self.user_ns, self.page, self.ends, self.last = ns, page, ends, os.getcwd()
        page.written, plain = as_written, trace
        globals()["trace"] = lambda error: LINE.sub(first_line, plain(error))

    def system(self, command):
        self.tell(self.run(self.expand(command, sys._getframe(1))))

    def getoutput(self, command):
        got = []
        self.run(self.expand(command, sys._getframe(1)), got.append)
        return Lines("".join(got).splitlines())

    def run_line_magic(self, name, line="", code=None):
        frame = sys._getframe(1)
        if name == "timeit":
            return self.timeit(line, frame)
        if name in TIMED:
            try:
                code = compile(line, f"%{name}", "eval", dont_inherit=True)
            except SyntaxError:
                code = compile(line, f"%{name}", "exec", dont_inherit=True)
            started = time.perf_counter(), time.process_time()
            value = eval(code, self.user_ns, frame.f_locals)
            tell_time(*started)
            return value
        line = self.expand(line, frame).strip()
        if name == "pip":
            self.tell(self.run(f"pip {line}"))
        elif name in COMMANDS:
            self.tell(self.run(f"{name} {line}"))
        elif name in ("sx", "system"):
            return self.getoutput(line)
        elif name == "pwd":
            return os.getcwd()
        elif name == "cd":
            last, self.last = self.last, os.getcwd()
            os.chdir(last if line == "-" else os.path.expanduser(line.strip("'\"") or "~"))
            print(os.getcwd())
        elif name in ("env", "set_env"):
            key, _, value = line.replace("=", " ", 1).partition(" ")
            if not value:
                return os.environ[key] if key else dict(os.environ)
            os.environ[key] = value.strip()
            print(f"env: {key}={value.strip()}")
        elif name in ("who", "whos", "who_ls"):
            names = [name for name in sorted(self.user_ns) if name[0] != "_"]
            names = [name for name in names if name not in ("display", "get_ipython")]
            if name == "who_ls":
                return names
            print(*names, sep="\t")
        elif name == "run":
            self.run_file(shlex.split(line), code)
        elif name not in NOTHING:
            raise NameError(f"a step has no magic %{name}")
        return None

    def run_cell_magic(self, name, line, body):
        words = shlex.split(self.expand(line, sys._getframe(1)))
        if name in ("writefile", "file"):
            append = words[0] in ("-a", "--append")
            path = os.path.expanduser(words[-1])
            print("Appending to" if append else "Writing", path)
            with open(path, "a" if append else "w", encoding="utf-8") as file:
                file.write(body)
        elif name in ("html", "svg", "HTML", "SVG"):
            self.page.add(f"<div>{body}</div>\n")
        elif name in ("markdown", "latex"):
            print(body)
        elif name not in ("javascript", "js"):
            return self.run_script(name, words, body)
        return None

    def begin_cell_magic(self, name, line=""):
        """Start a magic whose body is the rest of the cell."""
        if name == "capture":
            outer, self.page.capture = self.page.capture, Captured(self.page, line.split())
            self.ends.append(lambda: setattr(self.page, "capture", outer))
            return self.page.capture
        if name == "timeit":
            exec(timeit_options(line)[1], self.user_ns)
        started = time.perf_counter(), time.process_time()
        self.ends.append(lambda: tell_time(*started))
        return None

    def expand(self, text, frame):
        """Put in the values of {expression} and $name; if that fails, all stays as it is."""
        scope, done = {**self.user_ns, **frame.f_locals}, ""

        def dollar(found):
            return found[1] if found[1][0] == "$" else str(eval(found[1], scope))

        try:
            for literal, field, spec, conversion in string.Formatter().parse(text):
                done += re.sub(r"[$]([$]?[\w.]+)(?=(?:[^']*'[^']*')*[^']*$)", dollar, literal)
                if field is not None:
                    value = string.Formatter().convert_field(eval(field, scope), conversion)
                    done += format(value, spec)
        except Exception:
            return text
        return done

    def tell(self, status):
        self.user_ns["_exit_code"] = status
        if status:
            print(f"[exit status {status}]")

    def run(self, command, write=None):
        """Run a command of the shell; its exit status."""
        if os.environ.get("KALE_TAG_NO_PIP") and PIP.search(command):
            print("skipped, as KALE_TAG_NO_PIP is set:", command)
            return 0
        command = re.sub(r"^\s*pip3?(?=\s)", f"{shlex.quote(sys.executable)} -m pip", command)
        return self.start([shutil.which("bash") or "sh", "-c", command], write)

    def start(self, argv, write=None, write_error=None, stdin=subprocess.DEVNULL):
        """Run a program, with its output live; its exit status."""
        pipe = subprocess.PIPE
        error = pipe if write_error else subprocess.STDOUT
        process = subprocess.Popen(argv, stdin=stdin, stdout=pipe, stderr=error)
        threads = []
        for pipe, sink in ((process.stdout, write), (process.stderr, write_error)):
            if pipe:
                sink = sink or sys.stdout.write
                threads.append(threading.Thread(target=pump, args=(pipe, sink), daemon=True))
                threads[-1].start()
        status = process.wait()
        for thread in threads:
            thread.join(1)  # a program left in the background may hold the pipe for ever
        return status

    def run_script(self, name, words, body):
        got, check = {}, True
        argv = [] if name == "script" else [name]
        while words:  # the options of the magic may follow the program
            word = words.pop(0)
            option = word.partition("=")
            if option[0] == "--no-raise-error":
                check = False
            elif option[0] in ("--out", "--err"):
                got[option[0]] = []
                option[2] or words.pop(0)
            elif option[0] in ("--bg", "--proc"):
                raise ValueError(f"%%{name} has no option {option[0]} in a step")
            else:
                argv.append(word)
        if argv[0].startswith("python"):
            argv[0] = sys.executable
        with tempfile.TemporaryFile() as file:
            file.write(body.encode())
            file.seek(0)
            sinks = [got[option].append if option in got else None for option in ("--out", "--err")]
            status = self.start(argv, sinks[0], sinks[1] or sys.stderr.write, file)
        if status and check:
            raise subprocess.CalledProcessError(status, argv)
        texts = ["".join(got[option]) for option in ("--out", "--err") if option in got]
        return texts[0] if len(texts) == 1 else tuple(texts) or None

    def run_file(self, words, code):
        """Run the file that *words* name, with options before it; *code* is what it held once."""
        options = []
        while words and words[0][:1] == "-":
            options.append(words.pop(0))
        path, argv = words[0], sys.argv
        if code is None:
            with open(path, encoding="utf-8") as file:
                code = file.read()
            if path.endswith(".ipynb"):
                cells = [one for one in json.loads(code)["cells"] if one["cell_type"] == "code"]
                code = "\n".join("".join(one["source"]) for one in cells)
        linecache.cache[path] = len(code), None, code.splitlines(True), path
        inside = "-i" in options or path.endswith((".ipynb", ".ipy"))
        scope = self.user_ns if inside else {"__name__": "__main__"}
        scope["__file__"], sys.argv = path, words
        try:
            exec(compile(code, path, "exec", dont_inherit=True), scope)
        except SystemExit as end:
            if end.code:
                raise
        finally:
            del scope["__file__"]
            sys.argv = argv
            if not inside:
                self.user_ns.update((k, v) for k, v in scope.items() if not k.startswith("__"))

    def timeit(self, line, frame):
        options, source = timeit_options(line)
        timer = timeit.Timer(source, globals={**self.user_ns, **frame.f_locals})
        loops = int(options.get("n") or timer.autorange()[0])
        runs = [took / loops for took in timer.repeat(int(options.get("r") or 3), loops)]
        print(f"{span(min(runs))} per loop (best of {len(runs)} runs, {loops} loops each)")
        result = types.SimpleNamespace(best=min(runs), worst=max(runs), all_runs=runs, loops=loops)
        return result if "o" in options else None


class OfIPython:
    """Code of the user gets the shell of the step from IPython, too; libraries get None there."""

    def __init__(self, shell):
        self.shell = shell

    def find_spec(self, name, *_):
        if name != "IPython":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                of_libraries = module.get_ipython

                def get_ipython():
                    path = str(sys._getframe(1).f_globals.get("__file__"))
                    return of_libraries() if "-packages" + os.sep in path else self.shell

                module.get_ipython = get_ipython

            spec.loader.exec_module = exec_module
        return spec


def as_written(source):
    """A cell in IPython's own syntax, as its user wrote it."""

    def back(found):
        name, *rest = ast.literal_eval(f"({found[2]},)")
        mark = "%" if "line" in found[1] else "%%" if rest else "!"
        rest = rest[:1] if mark == "%" else rest  # without the code of a file
        return mark + "\n".join((" ".join((name, *rest[:1])).rstrip(), *rest[1:]))

    return CALL.sub(back, source)


def first_line(found):
    """A line of a traceback, and what marks a part of it, as the user wrote the line."""
    return found[1] + as_written(found[2]).partition("\n")[0]


def timeit_options(line):
    options = {}
    while True:
        found = re.match(r"\s*-([nrt])\s*(\d+)(?=\s|$)|\s*-([a-z])(?=\s|$)", line)
        if not found:
            return options, line.strip()
        options[found[1] or found[3]] = found[2]
        line = line[found.end() :]


def pump(pipe, write):
    """Hand on what a program prints."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    for data in iter(lambda: os.read(pipe.fileno(), 1 << 16), b""):
        write(decode(data))


def span(seconds):
    """A time in its best unit."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def tell_time(wall, used):
    print(f"CPU times: total: {span(time.process_time() - used)}")
    print(f"Wall time: {span(time.perf_counter() - wall)}")
