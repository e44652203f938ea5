"""Where the folder of a run is, and what stands in it from before."""

import datetime as dt
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.run.run_folder import Reuse, earlier_runs, lay_ready, read_run
from kale_tag.run.run_record import RunOutcome

HOME = ".kale-tag"
"""The folder, in the current one, that holds what we keep; Git does not look into it."""


@dataclass(slots=True)
class RunPlace:
    """The folder of a run that is to be, and the *earlier* ones that it can take from.

    *home* is ours, "" where the user has named a folder. *aside* is where a run that stood in
    *folder* waits for the end of this one, "" if there is none.
    """

    folder: str
    earlier: list[RunOutcome]
    home: str = ""
    aside: str = ""

    def open(self, reused: Mapping[str, Reuse]) -> None:
        """Make the folder, with what is *reused* laid ready; a run that stands there goes aside."""
        try:
            if self.aside:
                shutil.rmtree(self.aside, ignore_errors=True)
                os.rename(self.folder, self.aside)
                reused = {task: replace(one, folder=self.aside) for task, one in reused.items()}
            self._make()
            if self.home:
                files.write(os.path.join(self.home, ".gitignore"), b"*\n")
            lay_ready(self.folder, reused)
        except OSError as exc:
            raise UserError(_no_room(self.folder, exc)) from None

    def _make(self) -> None:
        """Make the folder; of two runs of ours in one second, each gets its own."""
        wanted, number = self.folder, 2
        while True:
            try:
                os.makedirs(self.folder, exist_ok=not self.home)
                break
            except FileExistsError:
                self.folder, number = f"{wanted}-{number}", number + 1
        os.makedirs(os.path.join(self.folder, "logs"), exist_ok=True)

    def close(self) -> None:
        """Take away the run that went aside."""
        if self.aside:
            shutil.rmtree(self.aside, ignore_errors=True)


def place_for(keep: str, pipeline: str) -> RunPlace:
    """The place of a run of *pipeline* that is asked for as *keep* ("": a new one of ours).

    Raises `UserError` if something else stands there.
    """
    if not keep:
        home = os.path.abspath(HOME)
        runs = os.path.join(home, "runs", pipeline)
        now = dt.datetime.now().astimezone()
        folder = os.path.join(runs, now.strftime("%Y-%m-%d-%H%M%S"))
        return RunPlace(folder, earlier_runs(runs), home)
    folder = os.path.abspath(keep)
    if not os.path.lexists(folder) or (os.path.isdir(folder) and not os.listdir(folder)):
        return RunPlace(folder, [])
    run = read_run(folder)
    at = Label(Source(keep))
    if run is None:
        what = "holds something that is no run" if os.path.isdir(folder) else "is no folder"
        hint = "name a folder that is empty, or is not there yet"
        raise UserError(error("not-a-run-folder", f"{keep} {what}", at, help=hint))
    if run.pipeline != pipeline:
        message = f"{keep} holds a run of the pipeline `{run.pipeline}`, and this is `{pipeline}`"
        raise UserError(error("other-run-folder", message, at, help="name another folder"))
    return RunPlace(folder, [run], aside=f"{folder}.earlier")


def _no_room(folder: str, diagnostic: OSError) -> Diagnostic:
    reason = (diagnostic.strerror or str(diagnostic)).lower()
    message = f"the folder of the run, {folder}, cannot be made: {reason}"
    return error("not-written", message, help="name another one: --keep FOLDER")
