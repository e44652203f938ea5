"""`--interactive`: asks for each cell whether it shall be changed, as `git add -p` does."""

import sys
from dataclasses import dataclass, replace

from kale_tag.notebook.model import Notebook
from kale_tag.plan.plan import Plan
from kale_tag.render import plan as render
from kale_tag.render.style import Style
from kale_tag.spec.change import Change

QUESTION = "change this? [y,n,a,d,q,?] "
HELP = """\
y  yes, change this
n  no, leave it as it is
a  yes, and all the rest of this notebook
d  no, and nothing more of this notebook
q  no, and nothing more at all; what you said yes to is written
?  this help
"""


@dataclass(slots=True)
class Asker:
    """Asks on standard output, and reads answers from standard input; its end means `q`."""

    style: Style
    quitted: bool = False

    def __call__(self, notebook: Notebook, plan: Plan) -> tuple[Change, ...]:
        """The changes of *plan* that the user wants."""
        chosen: list[Change] = []
        if plan.changes and not self.quitted:
            print(self.style.bold(notebook.name))
        for number, change in enumerate(plan.changes):
            if self.quitted:
                break
            for line in render.as_text(replace(plan, changes=(change,)), notebook, self.style):
                print(line)
            answer = self._answer()
            if answer == "a":
                return (*chosen, *plan.changes[number:])
            if answer == "d":
                break
            if answer == "q":
                self.quitted = True
            elif answer == "y":
                chosen.append(change)
        return tuple(chosen)

    def _answer(self) -> str:
        while True:
            print(self.style.blue(QUESTION), end="", flush=True)
            line = sys.stdin.readline()
            if not line:
                print()
                return "q"
            answer = line.strip().lower()[:1]
            if answer and answer in "ynadq":
                return answer
            print(HELP, end="")
