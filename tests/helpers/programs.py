"""Random notebooks over objects that share parts, grown against a live namespace.

Each statement is tried before it is taken, so most of what a program says does happen.
"""

import ast
import collections
import random
import re
import signal
import types
from collections.abc import Callable, Sequence
from typing import Any

IMPORTS = """\
import copy, functools, itertools
import numpy as np
import pandas as pd
from collections import Counter, defaultdict, deque
from functools import partial, reduce
"""
FUNCTIONS = """\
def ident(x): return x
def first(xs): return next(iter(xs), None)
def push(xs, v): xs.append(v); return xs
def tail(xs): return xs[1:]
def wrap(x): return [x]
def both(a, b): a.append(b); return b
def keeper(x): return lambda: x
def gen(xs):
    for x in xs: yield x
def walk(x, out, n=3):
    out.append(x)
    if n and isinstance(x, list):
        for y in x[:3]: walk(y, out, n - 1)
    return out
def pick(*xs, **kw): return kw or xs
def make_counter():
    n = [0]
    def inc(v=None):
        n[0] += 1
        if v is not None: n.append(v)
        return n
    return inc
def make_pair():
    total, seen = 0, []
    def add(x):
        nonlocal total
        total += 1; seen.append(x)
        return seen
    def get(): return (total, seen)
    return add, get
REG, LOG = {}, []
ALIAS = LOG
NEST = {"log": LOG, "own": []}
GG = [7]
def register(k, v): REG[k] = v; return v
def log(v): LOG.append(v); return LOG
def setg(v):
    global GG
    GG = v
def acc(v, store=[]): store.append(v); return store
def deco(f):
    calls = []
    def inner(*a): calls.append(a); return f(*a)
    return inner
class Node:
    kinds = []
    def __init__(self, items=None, link=None):
        self.items = [] if items is None else items
        self.link = link
    def add(self, v): self.items.append(v); return self
    def get(self): return self.items
    @property
    def head(self): return self.items
    @classmethod
    def note(cls, v): cls.kinds.append(v); return cls.kinds
    def __iter__(self): return iter(self.items)
class Sub(Node):
    def __init__(self, items=None, link=None):
        super().__init__(items, link)
        self.extra = {"link": link}
    def add(self, v): super().add(v); self.extra["last"] = v; return self
class Bag:
    def __init__(self, data=None): self.data = {} if data is None else data
    def __eq__(self, other): return isinstance(other, Bag) and self.data == other.data
    __hash__ = None
    def __getitem__(self, k): return self.data[k]
    def __setitem__(self, k, v): self.data[k] = v
    def __iadd__(self, v): self.data["+"] = v; return self
    def __len__(self): return len(self.data)
    def __contains__(self, k): return k in self.data
    def __enter__(self): return self.data
    def __exit__(self, *a): self.data["out"] = 1
COUNT = make_counter()
ROOT = Node([LOG])
"""
SHARED_NAMES = ("REG", "LOG", "ALIAS", "NEST", "GG", "ROOT", "COUNT")

# N target, V variable, L list, D dict, T tuple, S set, Q deque, I Node, B Bag, F function,
# O object, R iterator, A array, P table, E element, K key, i small number, G name of a function
STATEMENTS = r"""
{N} = [{E}, {E}]|{N} = [{E}]|{N} = {{"a": {E}, "b": {E}}}|{N} = {{{K}: {E}}}|{N} = ({E}, {E})
{N} = Node([{E}])|{N} = Node({L}, {O})|{N} = Sub({L}, {O})|{N} = Bag({D})
{N} = {O}|{N} = {O}|{N} = {L}[{i}]|{N} = {L}[-1]|{N} = {L}[{i} - 1]|{N} = {D}[{K}]
{N} = {D}.get({K})
{N} = {D}.get({K}, {E})|{N} = {D}.setdefault({K}, {E})|{N} = {D}.pop({K}, {E})|{N} = {D}.copy()
{N} = {D} | {D}|{N} = list({D}.values())|{N} = list({D}.items())|{N} = dict({D}, extra={E})
{N} = dict(zip(["a", "b"], {L}))|{N} = {{k: v for k, v in {D}.items()}}|{N} = {L}[1:]|{N} = {L}[:]
{N} = {L} + {L}|{N} = {L} * 2|{N} = {L}.copy()|{N} = {L}.pop()
{N} = sorted({L}, key=lambda q: isinstance(q, int))
{N} = max({L}, key=lambda q: isinstance(q, list))|{N} = min({O}, {O}, key=lambda q: 1)
{N} = list(reversed({L}))|{N} = list(zip({L}, {L}))|{N} = list(enumerate({L}))
{N} = list(map(ident, {L}))|{N} = list(filter(lambda q: not isinstance(q, int), {L}))
{N} = next(iter({L}), None)|{N} = next(q for q in {L} if not isinstance(q, int))|{N} = iter({L})
{N} = next({R}, None)|{N} = list(itertools.chain({L}, {T}))|{N} = [q for q in {L}]
{N} = [(q, w) for q in {L} for w in {L}][:3]|{N} = [{V} for _ in range(2)]
{N} = {{str(j): q for j, q in enumerate({L})}}|{N} = [y for q in {L} if (y := q) is not None]
{N} = list(gen({L}))|{N} = [*{L}, {E}]|{N} = {{**{D}, "z": {E}}}|{N}, *{M} = {L}|{N}, {M} = {O}, {O}
{N}, {M} = {T}|{V}, {W} = {W}, {V}|{N} = {M} = {E}|{N} = {L} or {L}|{N} = {L} if {L} else {D}
{N} = copy.copy({O})|{N} = copy.deepcopy({O})|{N} = copy.deepcopy([{O}, {O}])|{N} = deque({L})
{N} = defaultdict(list, {D})|{N} = reduce(lambda q, w: w, {L}, {O})|{N} = partial(push, {L})
{N} = partial(pick, {O}, k={O})|{N} = {L}.append|{N} = {I}.add|{N} = {D}.get|{N} = make_counter()
{N}, {M} = make_pair()|{N} = keeper({O})|{N} = lambda q={O}: q|{N} = lambda: {V}
{N} = lambda q: {L}.append(q)|{N} = {F}()|{N} = {F}({E})|{F}({E})|{F}({O})|{N} = ident({O})
{N} = first({L})|{N} = push({L}, {E})|{N} = wrap({O})|{N} = tail({L})|{N} = walk({L}, [])
{N} = pick({O}, {O})|{N} = pick(k={O})|{N} = both({L}, {O})|{N} = deco(wrap)|{N} = deco(push)
{N} = REG.get({K})|{N} = register({K}, {O})|{N} = log({E})|log({O})|{N} = LOG
{N} = ALIAS|{N} = NEST["log"]|NEST["own"].append({O})|ALIAS.append({E})|setg({O})|{N} = GG|GG = {O}
{N} = acc({E})|{N} = COUNT({E})|{N} = ROOT.items|ROOT.link = {O}|{N} = {I}.items|{N} = {I}.link
{N} = {I}.get()|{N} = {I}.head|{N} = {I}.add({E})|{I}.add({O})|{I}.items = {L}|{I}.link = {O}
{N} = Node.note({E})|{N} = Node.kinds|{I}.kinds.append({E})|{N} = getattr({I}, "items")
setattr({I}, "link", {O})|{N} = list(vars({I}).values())|{N} = {B}.data|{N} = {B}["a"]
{B}["c"] = {O}|{B} += {O}|{N} = "a" in {B}|{N} = {T}[0]|{N} = {T}[1]|{N} = {T} + ({O},)
{N} = {O} is {O}|{N} = {O} is {O}|{N} = {O} == {O}|{N} = {O} in {L}|{N} = {L}.count({O})
{N} = {L}.index({O})|{N} = len(type({O}).__name__)
{N} = len({L})|{N} = {i}|{L}.append({E})|{L}.append({O})
{L}.extend({L})|{L}.insert(0, {E})|{L}[0] = {E}|{L}[-1] = {O}|{L}[1:] = {L}|{L} += [{E}]
{L} += {L}|{L}.reverse()|{L}.sort(key=lambda q: isinstance(q, int))
{L}.remove({O})|{L}[0].append({E})|{L}[-1].append({i})
{L}[0] += [{i}]|{D}[{K}] = {E}|{D}[{K}] = {O}|{D}[{K}] += [{i}]|{D}[{K}].append({E})
{D}.update({D})|{D}.update(q={E})|{D} |= {{{K}: {O}}}|{D}.setdefault({K}, []).append({E})
{N} = {{1, 2}}|{S}.add({i})|del {D}[{K}]|del {L}[0]|del {V}|{I}.items.append({O})
{T}[0].append({E})|{N} = {D}.popitem()|{N} = {Q}.popleft()|{Q}.append({O})|{Q}.rotate(1)
for {N} in {L}:\n    pass|for q in {L}[:3]:\n    if isinstance(q, list): q.append({i})
for q in list({L}):\n    {N} = q|for q in [{O}, {O}]:\n    last = q
for j in range(2):\n    {N} = {L}\n    {V} = {N}
for j in range(3):\n    if len({L}) > 3: break\n    {L}.append({E})
while True:\n    {N} = {O}\n    break|if {L}:\n    {N} = {O}\nelse:\n    {N} = {O}
if len({L}) > 1:\n    {V} = {O}|if {i} > 5:\n    {L}.append({O})|if {i} > 1:\n    {N} = {O}
try:\n    {N} = {L}[7]\nexcept IndexError:\n    {N} = {O}
try:\n    {L}.append({E})\n    {V} = {D}["no"]\nexcept KeyError as e:\n    {N} = {O}
with {B} as {N}:\n    {N}["in"] = {O}
match {O}:\n    case [q, *rest]:\n        {N} = rest\n    case other:\n        {N} = other
def {G}(q={O}):\n    return q|def {G}(q):\n    {L}.append(q)\n    return {O}
def {G}(q=None):\n    global {N}\n    {N} = {O}\n    return q
def {G}(q=None):\n    if q: return q\n    return {V}
{N} = [f() for f in [lambda: {O}, lambda: {O}]]|{N} = [lambda v=v: v for v in {L}]
{N} = np.arange(6.0)|{N} = np.zeros((2, 3))|{N} = {A}[1:]|{N} = {A}[:1]|{N} = {A}.reshape(-1)
{N} = {A}.T|{N} = {A} + 1|{N} = {A}[{A} > 1]|{N} = {A}.copy()|{N} = np.asarray({A})|{A}[0] = {i}
{A} += 1|{A} *= 2|{A}.fill({i})|{N} = float({A}.sum())|{N} = [{A}, {A}]|{N} = {A}[0]
{N} = pd.DataFrame({{"x": [1, 2, 3], "y": [4, 5, 6]}})|{N} = {P}["x"]|{N} = {P}[["x"]]
{P}["z"] = {i}|{P}.loc[0, "x"] = {i}|{N} = {P}.copy()|{N} = {P}[{P}["x"] > 1]
{N} = {P}.assign(w={i})|{N} = int({P}["x"].sum())|{N} = {P}.drop(columns=["y"])
"""
TEMPLATES = [
    one.replace("\\n", "\n")
    for line in STATEMENTS.strip().splitlines()
    for one in re.split(r"(?<! )\|", line)
]
SHAPES = ("chain", "chain", "chain", "diamond", "random")


class LackingError(Exception):
    """There is no value of the kind that a statement needs."""


_KINDS: dict[str, Callable[[Any], bool]] = {
    "V": lambda _: True,
    "L": lambda v: isinstance(v, list),
    "D": lambda v: isinstance(v, dict),
    "T": lambda v: isinstance(v, tuple),
    "S": lambda v: isinstance(v, set),
    "Q": lambda v: isinstance(v, collections.deque),
    "I": lambda v: type(v).__name__ in {"Node", "Sub"},
    "B": lambda v: type(v).__name__ == "Bag",
    "R": lambda v: hasattr(v, "__next__"),
    "A": lambda v: type(v).__name__ == "ndarray" and v.size > 1,
    "P": lambda v: type(v).__name__ == "DataFrame" and "x" in v,
    "F": lambda v: callable(v) and not isinstance(v, type),
    "O": lambda v: not isinstance(v, int | float | str | type(None) | types.ModuleType),
}


def late(*_: object) -> None:
    """What runs does not end."""
    raise TimeoutError


def limited(action: Callable[[], Any], seconds: float = 5) -> Any:
    """What *action* returns, if it ends in time."""
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)  # again, if a destructor swallows it
    try:
        return action()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Program:
    """A notebook of three to five steps: *steps* by name, and *prev* of each."""

    def __init__(self, seed: int) -> None:
        """Grow it."""
        self.random = random.Random(seed)
        count = self.random.randint(3, 5)
        shape = self.random.choice(SHAPES)
        self.prev: dict[str, list[str]] = {}
        for number in range(count):
            before = [f"s{one}" for one in range(number)]
            if not number:
                chosen = []
            elif shape == "chain" or number == 1:
                chosen = before[-1:]
            elif shape == "diamond":
                chosen = before[1:] if number == count - 1 else before[:1]
            else:
                chosen = sorted(self.random.sample(before, self.random.randint(1, 2)))
            self.prev[f"s{number}"] = chosen
        self.space: dict[str, Any] = {"__name__": "__main__"}
        exec(IMPORTS + FUNCTIONS, self.space)
        self.steps = self._grow()

    @property
    def percent(self) -> str:
        """It in percent form."""
        text = f"# %% tags=imports\n{IMPORTS}# %% tags=functions\n{FUNCTIONS}"
        for name, code in self.steps.items():
            tags = ",".join([f"step:{name}", *(f"prev:{one}" for one in self.prev[name])])
            text += f"# %% tags={tags}\n{code}"
        return text

    def _grow(self) -> dict[str, str]:
        steps: dict[str, str] = {}
        bound: dict[str, set[str]] = {}
        before: dict[str, set[str]] = {}
        for name, prev in self.prev.items():
            before[name] = set(prev).union(*(before[one] for one in prev))
            visible = sorted({one for step in before[name] for one in bound[step]})
            some = SHARED_NAMES if self.random.random() < 0.5 else SHARED_NAMES[:3]
            visible += some
            lines = []
            for _ in range(self.random.randint(3, 8)):
                lines += self._statement(visible)
            steps[name] = "\n".join(lines) + "\n" if lines else "pass\n"
            names = {
                one.id for one in ast.walk(ast.parse(steps[name])) if isinstance(one, ast.Name)
            }
            made = set(re.findall(r"(?m)^def (\w+)|global (\w+)", steps[name]))
            names |= {one for pair in made for one in pair if one}
            bound[name] = {one for one in names if one in self.space and one[0] in "vg"}
        return steps

    def _statement(self, visible: list[str]) -> list[str]:
        """A statement that does not fail; none if none is found."""
        for _ in range(40):
            try:
                code = self._filled(self.random.choice(TEMPLATES), visible)
                run = compile(code, "<cell>", "exec")
                limited(lambda run=run: exec(run, self.space), 0.5)  # type: ignore[misc]
                self._check_size(code)
            except (LackingError, SyntaxError):
                continue
            except (MemoryError, TimeoutError):
                raise
            except Exception:  # noqa: BLE001  any that a statement can make
                continue
            for one in ast.walk(ast.parse(code)):
                name = getattr(one, "id", getattr(one, "name", "")) or ""
                if re.fullmatch(r"[vg]\d", name) and name in self.space and name not in visible:
                    visible.append(name)
            return [code]
        return []

    def _check_size(self, code: str) -> None:
        for name in re.findall(r"\b(?:[vg]\d|[A-Z]+)\b", code):
            if len(repr(self.space.get(name))) > 2000:
                raise MemoryError

    def _filled(  # noqa: C901  one case for each kind of value
        self, template: str, visible: Sequence[str]
    ) -> str:
        fixed: dict[str, str] = {}

        def element() -> str:
            chance = self.random.random()
            if chance < 0.5:
                return self.random.choice([str(self.random.randrange(9)), "[]", "[1]"])
            try:
                return self._value("O", visible)
            except LackingError:
                return "[0]"

        def fill(found: re.Match[str]) -> str:
            kind = found[1]
            if kind in fixed:
                return fixed[kind]
            own = [one for one in visible if one[0] in "vg"]
            match kind:
                case "N" | "M":
                    made = self.random.choice([f"v{self.random.randrange(9)}"] * 3 + own[-3:])
                case "G":
                    made = f"g{self.random.randrange(3)}"
                case "K":
                    return self.random.choice(['"a"', '"a"', '"b"', '"k"'])
                case "i":
                    return str(self.random.choice([0, 1, 2, 6]))
                case "E":
                    return element()
                case "V" | "W":
                    made = self._value("V", [one for one in own if one[0] == "v"])
                case _:
                    return self._value(kind, own * 5 + [*visible])
            fixed[kind] = made
            return made

        text = re.sub(r"\{([A-Z]|i)\}", fill, template)
        return text.replace("{{", "{").replace("}}", "}")

    def _value(self, kind: str, names: Sequence[str]) -> str:
        fitting = [one for one in names if one in self.space and _KINDS[kind](self.space[one])]
        if not fitting:
            raise LackingError
        return self.random.choice(fitting)
