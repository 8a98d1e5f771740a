"""Progress of a run on a terminal: bars where people watch, plain lines where they do not; the first Ctrl-C asks, the second kills."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tilewire.train import StepReport


class Terminal:
    """Observer that draws on stderr."""

    def __init__(self, epochs: int, console: Console, progress: Progress | None) -> None:
        self.epochs, self.console, self.progress = epochs, console, progress
        self.task: TaskID | None = None
        self.stopping = False

    def stage(self, name: str) -> None:
        self.console.print(f"[bold]{name}[/bold]")

    def note(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def step(self, report: StepReport) -> None:
        if self.progress is None:
            return
        if self.task is None:
            self.task = self.progress.add_task("", total=self.epochs * report.steps)
        text = f"epoch {report.epoch + 1}/{self.epochs}  loss {report.loss:.3f}  accuracy {report.accuracy:.1%}"
        self.progress.update(self.task, completed=report.epoch * report.steps + report.step, description=text)

    def epoch(self, record: dict[str, Any]) -> None:
        validation = record["validation_accuracy"]
        parts = [
            f"epoch {record['epoch'] + 1:3d}/{self.epochs}",
            f"loss {record['loss']:.3f}",
            f"train {record['train_accuracy']:.1%}",
            *([f"validation {validation:.1%}"] if validation is not None else []),
            f"killed {record['killed']} born {record['born']}",
            f"excess {record['excess']}",
        ]
        self.console.print("  ".join(parts), highlight=False, soft_wrap=True)
        if self.progress is not None and self.task is not None and record["epoch"] + 1 == self.epochs:
            self.progress.stop()

    def stop_requested(self) -> bool:
        return self.stopping


@contextmanager
def observe(epochs: int, *, quiet: bool = False) -> Iterator[Terminal]:
    """A terminal observer; while it is open, the first Ctrl-C or SIGTERM asks the run to stop after its step."""
    console = Console(stderr=True, quiet=quiet)
    bars = None
    if console.is_terminal and not quiet:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        bars = Progress(*columns, console=console, transient=True)
        bars.start()
    terminal = Terminal(epochs, console, bars)

    def ask(number: int, frame: FrameType | None) -> None:
        terminal.stopping = True
        # Straight to the descriptor: the console's own buffer may be half way through a write when the signal lands.
        with suppress(OSError):
            os.write(2, b"\nstopping after this step; once more to stop at once\n")
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield terminal
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if bars is not None:
            bars.stop()


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """While it is open, SIGTERM does what Ctrl-C does, and Ctrl-C does so in jobs of a script too, where shells switch it off."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
