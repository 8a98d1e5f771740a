"""``python -m tilewire.sweep.worker``: a process of a sweep. Tasks come in as lines of JSON, errors go out the same way."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from types import FrameType

from tilewire.config import load_recipe
from tilewire.errors import TilewireError
from tilewire.parts import Prepared, prepare_data
from tilewire.run import Silent, execute
from tilewire.sweep.pool import Task


class _Stoppable(Silent):
    """Runs until the process is asked to stop."""

    def __init__(self) -> None:
        self.stopping = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def stop_requested(self) -> bool:
        return self.stopping


class _Runner:
    """Runs tasks and keeps the data of the last one, since most cells of a grid share them."""

    def __init__(self, observer: _Stoppable) -> None:
        self.observer, self.key = observer, ""
        self.data: Prepared | None = None

    def run(self, task: Task) -> str:
        """The error of a task, empty if there is none."""
        try:
            recipe = load_recipe(task.recipe, task.settings)
            key = recipe.data.model_dump_json()
            if self.data is None or key != self.key:
                self.data, self.key = None, key  # the old data go before the new ones come
                self.data = prepare_data(recipe)
            execute(recipe, Path(task.folder), self.observer, share=Path(task.share), data=self.data)
        except TilewireError as error:
            return str(error) or type(error).__name__
        return ""


def main() -> None:
    """Answer tasks until the sweep closes the line or asks to stop."""
    observer = _Stoppable()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, observer.ask)
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing but answers may go to the sweep
    runner = _Runner(observer)
    for line in sys.stdin:
        answers.write(json.dumps({"error": runner.run(Task(**json.loads(line)))}) + "\n")
        answers.flush()
        if observer.stopping:
            return


if __name__ == "__main__":
    main()
