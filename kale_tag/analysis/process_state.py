"""The state of a process: what code sets of it, and what code depends on it.

Generators of random numbers, environment variables, options of modules (`process_state.toml`), and
what else is assigned to in modules.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from kale_tag.analysis import library
from kale_tag.analysis.heap import Certainty
from kale_tag.analysis.library import Table
from kale_tag.code.distributions import standard_modules
from kale_tag.code.source import Spot
from kale_tag.code.syntax import words

KINDS = ("environment", "options", "random")
"""The kinds of state that later steps get, each in a file of its own."""

_ENVIRONMENT = "os.environ"


class State(NamedTuple):
    """A state of the process."""

    name: str  # as in the table; for what is not there the attribute, with its module
    item: str = ""  # of an environment variable its name, of another mapping the key
    change: Literal["", "part", "missing"] = ""  # of all, of some part, of what was missing
    call: str = ""  # what changes that part, if all that it is given is known

    def __str__(self) -> str:
        """As it stands in Python."""
        return f"{self.name}[{self.item}]" if self.item else self.name


class Effect(NamedTuple):
    """Code sets a state, or uses it: does what the state makes a difference to."""

    state: State
    sets: bool
    certainty: Certainty


class ModuleAccess(NamedTuple):
    """Code of a user's own module uses a variable of a module, or changes it.

    *how*: it may "use" it, "reuse" what it has made itself where that was missing, "make" it there,
    "bind" it, "store" something in it, or have it "grow": by what it holds already. "" is any other
    effect.
    """

    how: str
    effect: Effect

    def of_call(self, call: str) -> Effect:
        """The effect of *call*, if all that it is given is known; else "".

        What another call stores is another part of the variable, and the same call stores it again.
        """
        state, _, certainty = self.effect
        if self.how == "make":
            return Effect(state._replace(change="missing", call=call), True, certainty)
        if self.how in {"store", "grow"}:
            sure = self.how == "store" and call
            part = state._replace(change="part", call=call if sure else "")
            return Effect(part, True, certainty if sure else Certainty.MAY)
        return self.effect


class Modules:
    """The user's own modules; of these nothing is known."""

    unread: frozenset[str] = frozenset()  # those whose code is not known

    def accesses(self, path: str, then: str = "") -> Sequence[ModuleAccess]:
        """What a call of the function *path* does, in its order.

        With *then* what is done by a call of what it returned: "()", or the method of that name;
        "loaded": what is done if it may be called.
        """
        del path, then
        return ()

    def names(self, module: str) -> Iterable[str]:
        """The names that `from module import *` binds."""
        del module
        return ()

    def resolved(self, path: str) -> str:
        """Where the object *path* is, which other modules may have under names of their own."""
        return path


@dataclass(slots=True)
class StateUse:
    """What a step does with one state. *uses* is of what was there before the step has set it."""

    sets: Certainty = Certainty.NONE
    uses: Certainty = Certainty.NONE
    set_at: list[Spot] = field(default_factory=list)
    used_at: Spot | None = None

    def note(self, effect: Effect, spot: Spot | None) -> None:
        """The code below sets or uses it."""
        if effect.sets:
            self.sets = max(self.sets, effect.certainty)
            if spot is not None and spot not in self.set_at:
                self.set_at.append(spot)
        elif self.sets is not Certainty.SURE and effect.certainty > self.uses:
            self.uses = effect.certainty
            self.used_at = spot

    def add(self, below: "StateUse", most: Certainty = Certainty.SURE) -> None:
        """What code below does with it, which runs with no more than that certainty."""
        if self.sets is not Certainty.SURE and below.uses > self.uses:
            self.uses, self.used_at = min(below.uses, most), below.used_at
        self.sets = max(self.sets, min(below.sets, most))
        self.set_at += [one for one in below.set_at if one not in self.set_at]


def kind_of(state: State) -> str:
    """The kind in whose file later steps get *state*; "" if it stays in its step."""
    if state.name == _ENVIRONMENT and state.item:
        return "environment"
    return str(_entry(state).get("kind", ""))


def is_attribute(state: State) -> bool:
    """Whether it is an attribute of a module or class that the table does not list."""
    return not _entry(state) and state.name != _ENVIRONMENT


def in_words(state: State) -> str:
    """What is set, for a message."""
    if state.name == _ENVIRONMENT and state.item:
        return f"the environment variable `{state.item}`"
    return str(_entry(state).get("words", f"`{state}`"))


def needed_for(state: State) -> State | None:
    """The state that has to be set for *state* to outlive a cell; None if none has."""
    name = _entry(state).get("where")
    return State(name) if name else None


def fix_of(state: State) -> str:
    """What to do about a state that is lost, where that is not what helps for others; else ""."""
    return str(_entry(state).get("fix", ""))


def _entry(state: State) -> Mapping[str, Any]:
    """What the table has on a state."""
    found: Mapping[str, Any] = {} if state.item else _tables()["states"].get(state.name, {})
    return found


def called(path: str, texts: Sequence[object], keywords: Mapping[str, object]) -> list[Effect]:
    """What a call of the function or class *path* does, by its constant arguments."""
    if path.startswith((_ENVIRONMENT, "os.getenv", "os.unsetenv")):
        return [*_of_environment(path.rpartition(".")[2], texts, keywords)]
    found = [_sets(State(name)) for name in _by_word("sets").get(path, ())]
    drawn = [State(name) for name in _by_word("draws").get(path, ())]
    for state in drawn:
        found += Effect(state, False, Certainty.SURE), Effect(state, True, Certainty.MAY)
    if path.startswith("pandas.api.extensions.register_") and texts:
        found = [_sets(State(f"pandas.DataFrame.{texts[0]}"))]
    if found and not drawn:
        return found
    given = "random_state" in keywords
    return [*_uses(path, given=given), *found, *_guesses(path), *_of_files(path, texts)]


def method_called(path: str, name: str, keywords: Mapping[str, object]) -> list[Effect]:
    """The same for the method *name* of an object that *path* made; "" if that is not known."""
    if path == "logging.getLogger" and name in {"addHandler", "setLevel"}:
        state = "logging" if name == "setLevel" else "handlers"
        return [_sets(State(state))]
    if path == "logging.getLogger" and f"logging.{name}" in _table("uses")["handlers"]:
        return [Effect(State("handlers"), False, Certainty.SURE)]
    if name == "sample" and path.startswith("pandas.") and "random_state" not in keywords:
        return [Effect(State("numpy.random"), False, Certainty.SURE)]
    if name.startswith("progress_"):
        return [Effect(State("tqdm"), False, Certainty.MAY)]
    options = (one for one in _uses(path, given=True) if kind_of(one.state) == "options")
    return [*options, *_guesses(path)]


@functools.cache
def loaded(path: str) -> list[Effect]:
    """What is done with a function of a library that may be called somewhere."""
    return [Effect(state, False, Certainty.MAY) for state, _, _ in _uses(path, given=False)]


def item(path: str, key: object) -> list[Effect]:
    """What reading the item *key* of *path* depends on."""
    return [*_reads(key)] if path == _ENVIRONMENT else []


def magic(name: str, line: str) -> list[Effect]:
    """`%env A=b`, `%set_env A b` and `%cd folder`."""
    words = line.replace("=", " ").split()
    if name == "cd":
        return [_sets(State("cwd"))]
    if name in {"env", "set_env"} and len(words) > 1:
        return [_sets(_variable(words[0]))]
    return []


def assigned(path: str, key: object = None) -> Effect:
    """What an assignment to *path*, or to its item *key*, sets."""
    if path == _ENVIRONMENT:
        return _sets(_variable(key))
    for state, table in _table("assigned").items():
        if path in table:
            return _sets(State(state))
    if path.startswith("decimal.getcontext"):
        return _sets(State("decimal"))
    if key is None:
        return _sets(State(path))
    if isinstance(key, str | int | float | bytes):
        return Effect(State(path, repr(key)), True, Certainty.SURE)
    return Effect(State(path, change="part"), True, Certainty.MAY)


def imported(module: str) -> list[Effect]:
    """What an import depends on: of what does not come with Python, on `sys.path`."""
    known = module.partition(".")[0] in standard_modules()
    return [] if known else [Effect(State("sys.path"), False, Certainty.SURE)]


def _sets(state: State) -> Effect:
    """A state is set: options only in part, so what was there before still counts."""
    part = kind_of(state) == "options"
    return Effect(state, True, Certainty.MAY if part else Certainty.SURE)


@functools.cache
def _uses(path: str, *, given: bool) -> tuple[Effect, ...]:
    """What a function certainly uses; *given* is whether it has a `random_state` of its own."""
    last = path.rpartition(".")[2]
    states = [
        state
        for state, table in _table("uses").items()
        if path in table and not (path.startswith(f"{state}.") and last in _words("seeded"))
    ]
    if path.startswith("sklearn.") and last in _words("drawing") and not given:
        states.append("numpy.random")
    setters = _by_word("sets").get(path, ())
    return tuple(Effect(State(one), False, Certainty.SURE) for one in states if one not in setters)


@functools.cache
def _guesses(path: str) -> tuple[Effect, ...]:
    """A library that is not known may draw random numbers."""
    root = path.partition(".")[0]
    if "." not in path or root in _words("quiet") or root in standard_modules():
        return ()
    return tuple(Effect(State(name), False, Certainty.GUESS) for name in _states_of("random"))


def _of_environment(
    name: str, texts: Sequence[object], keywords: Mapping[str, object]
) -> Iterator[Effect]:
    first = texts[0] if texts else None
    match name:
        case "get" | "getenv":
            yield from _reads(first)
        case "pop" | "setdefault":
            yield from _reads(first)
            yield _sets(_variable(first))
        case "update":
            for key in keywords:
                yield _sets(_variable(key))
            if texts:
                yield _sets(State(_ENVIRONMENT))
        case _:
            pass


def _of_files(path: str, texts: Sequence[object]) -> Iterator[Effect]:
    first = texts[0] if texts else None
    if path == "open" and isinstance(first, str) and first and not first.startswith(("/", "~")):
        yield Effect(State("cwd"), False, Certainty.SURE)


def _reads(key: object) -> Iterator[Effect]:
    """A variable of the environment is read, which an unknown one that is set may be."""
    for state in {_variable(key), State(_ENVIRONMENT)}:
        yield Effect(state, False, Certainty.SURE)


def _variable(key: object) -> State:
    return State(_ENVIRONMENT, key if isinstance(key, str) else "")


def _tables() -> Mapping[str, Any]:
    return library.tables("process_state")


@functools.cache
def _words(name: str) -> frozenset[str]:
    return words(_tables()[name])


@functools.cache
def _table(key: str) -> Mapping[str, Table]:
    """The functions of one key, by state."""
    states = _tables()["states"].items()
    return {name: Table(state[key]) for name, state in states if key in state}


@functools.cache
def _by_word(key: str) -> Mapping[str, list[str]]:
    """The states of each function of one key."""
    found: dict[str, list[str]] = {}
    for state, table in _table(key).items():
        for word in table.words:
            found.setdefault(word, []).append(state)
    return found


@functools.cache
def _states_of(kind: str) -> tuple[str, ...]:
    states = _tables()["states"].items()
    return tuple(name for name, state in states if state.get("kind") == kind)
