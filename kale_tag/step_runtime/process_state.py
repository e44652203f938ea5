"""State of the process that steps pass on: generators, options, environment variables."""

import base64, importlib.util, io, json, logging, os, pickle, re, sys, warnings

WAITING = {}  # states that came, of modules that are not imported yet
SECRETS = set()  # their values
PLAIN = (bool, int, float, str, type(None))


def lose(what, error):
    print(f"warning: `{what}` stays in its step: {in_words(error)}", file=sys.stderr)


def to_json(values):
    """A mapping for JSON: what that cannot hold is pickled, what no pickle holds left out."""
    found = {}
    for key, value in values.items():
        parts = value if type(value) is list else [value]
        if not all(type(one) in PLAIN for one in parts):
            try:
                file = io.BytesIO()
                make_pickler()(file, 5).dump(value)
                value = {"pickle": base64.b64encode(file.getvalue()).decode()}
            except Exception as error:
                lose(key, error)
                continue
        found[key] = value
    return found


def from_json(values):
    found = {}
    for key, value in values.items():
        try:
            pickled = type(value) is dict and base64.b64decode(value["pickle"])
            found[key] = pickle.loads(pickled) if pickled else value
        except Exception as error:
            lose(key, error)
    return found


def numpy_random(random):
    kind, keys, *rest = random.get_state()
    return [kind, keys.tolist(), *rest]


def torch_random(random):
    cuda = sys.modules["torch"].cuda
    own = [random.get_rng_state(), *(cuda.get_rng_state_all() if cuda.is_initialized() else ())]
    return [base64.b64encode(bytes(one.tolist())).decode() for one in own]


def set_torch_random(random, states):
    torch = sys.modules["torch"]
    own, *more = (torch.tensor([*base64.b64decode(one)], dtype=torch.uint8) for one in states)
    random.set_rng_state(own)
    for number, one in enumerate(more):  # done when a device is initialized
        torch.cuda.set_rng_state(one, number)


def filters(_):
    def text(pattern):
        return [pattern.pattern, pattern.flags] if isinstance(pattern, re.Pattern) else pattern

    return [
        [action, text(message), kind.__module__, kind.__qualname__, text(module), line]
        for action, message, kind, module, line in warnings.filters
    ]


def set_filters(_, state):
    def pattern(text):
        return re.compile(*text) if type(text) is list else text

    found = []
    for action, message, where, name, module, line in state:
        kind = sys.modules.get(where)
        for part in name.split("."):
            kind = getattr(kind, part, None)
        if kind:
            found.append((action, pattern(message), kind, pattern(module), line))
    warnings.filters[:] = found + [one for one in warnings.filters if one not in found]
    with warnings.catch_warnings():  # makes Python look at them again
        pass


def levels(_):
    known = logging.root.manager.loggerDict.items()
    found = {name: one.level for name, one in known if getattr(one, "level", 0)}
    return [logging.root.manager.disable, logging.root.level, found]


def set_levels(_, state):
    logging.disable(state[0])
    logging.root.setLevel(state[1])
    for name, level in state[2].items():
        logging.getLogger(name).setLevel(level)


NUMBERS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def context(decimal):
    own = decimal.getcontext()
    traps = [kind.__name__ for kind, on in own.traps.items() if on]
    return [{name: getattr(own, name) for name in NUMBERS}, traps]


def set_context(decimal, state):
    own = decimal.getcontext()
    for name, value in state[0].items():
        setattr(own, name, value)
    for kind in own.traps:
        own.traps[kind] = kind.__name__ in state[1]


def flat(options, start=""):
    for name, value in options.items():
        if type(value) is dict:
            yield from flat(value, f"{start}{name}.")
        else:
            yield start + name, value


def set_options(now, values, setter):
    """Set those that differ, as some may not be set at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in from_json(values).items():
            if name in now and now[name] != value:
                try:
                    setter(name, value)
                except Exception as error:
                    lose(name, error)


def set_pandas(pandas, state):
    set_options(dict(flat(pandas.options.d)), state, pandas.set_option)


def styles(matplotlib):
    known = dict.items(matplotlib.rcParams)
    return {name: value for name, value in known if not name.startswith("backend")}


def set_styles(matplotlib, state):
    set_options(styles(matplotlib), state, matplotlib.rcParams.__setitem__)


def set_numpy(numpy, state):
    numpy.seterr(**state[0])
    numpy.set_printoptions(**from_json(state[1]))


def torch_options(torch):
    cudnn = torch.backends.cudnn
    return [
        str(torch.get_default_dtype()).rpartition(".")[2],
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_float32_matmul_precision(),
        [cudnn.benchmark, cudnn.deterministic],
    ]


def set_torch_options(torch, state):
    torch.set_default_dtype(getattr(torch, state[0]))
    torch.set_grad_enabled(state[1])
    torch.use_deterministic_algorithms(state[2], warn_only=state[3])
    torch.set_float32_matmul_precision(state[4])
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = state[5]


STATES = {  # by module: its state as JSON holds it, and how to set it
    "random": (
        lambda random: random.getstate(),
        lambda random, state: random.setstate((state[0], tuple(state[1]), state[2])),
    ),
    "numpy.random": (numpy_random, lambda random, state: random.set_state(state)),
    "torch.random": (torch_random, set_torch_random),
    "warnings": (filters, set_filters),
    "logging": (levels, set_levels),
    "decimal": (context, set_context),
    "sys": (lambda sys: sys.getrecursionlimit(), lambda sys, state: sys.setrecursionlimit(state)),
    "numpy": (lambda numpy: [numpy.geterr(), to_json(numpy.get_printoptions())], set_numpy),
    "pandas": (lambda pandas: to_json(dict(flat(pandas.options.d))), set_pandas),
    "matplotlib": (lambda matplotlib: to_json(styles(matplotlib)), set_styles),
    "sklearn": (
        lambda sklearn: to_json(sklearn.get_config()),
        lambda sklearn, state: sklearn.set_config(**from_json(state)),
    ),
    "torch": (torch_options, set_torch_options),
}


def restore(name):
    state = WAITING.pop(name)
    try:
        if name in STATES:
            STATES[name][1](sys.modules[name], state)
        elif state is None:
            os.environ.pop(name[len("os.environ[") : -1], None)
        else:
            os.environ[name[len("os.environ[") : -1]] = state
    except Exception as error:
        lose(name, error)


def now(name):
    """The state of a module, or a variable of the environment."""
    if name in STATES:
        return STATES[name][0](sys.modules[name])
    return os.environ.get(name[len("os.environ[") : -1])


class Later:
    """Restores the state of a module right after the import of its package."""

    def find_spec(self, name, *_):
        package = name.partition(".")[0]
        held = [one for one in WAITING if one.partition(".")[0] == package]
        if name != package and name not in held:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name) if held else None
        finally:
            sys.meta_path.insert(0, self)
        if spec and hasattr(spec.loader, "exec_module"):
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                whole = sys.modules[package].__spec__
                if name == package or not getattr(whole, "_initializing", False):
                    for one in held:
                        if one in WAITING and one in sys.modules:
                            restore(one)

            spec.loader.exec_module = exec_module
        return spec


def take_states():
    SECRETS.update(map(os.environ.get, SPEC["states"].get("secrets", ())))
    SECRETS.difference_update({None, ""})
    for kind in SPEC["states"].get("in", ()):
        WAITING.update(json.loads(load(kind)))
    for name in SPEC["states"].get("renewed", ()):
        WAITING.pop(name, None)
    for name in [*WAITING]:
        if name in sys.modules or name not in STATES:
            restore(name)
    if WAITING:
        sys.meta_path.insert(0, Later())


def keep_states():
    """The states as the cells have left them."""
    kept = {}
    for kind, names in SPEC["states"].get("out", {}).items():
        found = kept[kind] = {}
        for name in names:
            if name in WAITING:
                found[name] = WAITING[name]
            elif name in sys.modules or name not in STATES:
                try:
                    value = now(name)
                    if name not in STATES and any(one in (value or "") for one in SECRETS):
                        raise StepError("it holds a secret")
                    found[name] = value
                except Exception as error:
                    lose(name, error)
    return kept


def save_states(kept):
    for kind, states in kept.items():
        NS[kind] = json.dumps(states, sort_keys=True)
        save(kind)
        del NS[kind]
