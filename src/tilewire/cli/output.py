"""What every verb shares: one JSON object on stdout or a table for people, logs on stderr, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

OK, NOT_FITS, USAGE, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 130

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; logs go to stderr.")]


def emit(content: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(content, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays as JSON values."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def say(text: str) -> None:
    """A line for people, on stdout."""
    sys.stdout.write(text + "\n")


def log(text: str) -> None:
    """A line of progress, on stderr."""
    sys.stderr.write(text + "\n")


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people, on stdout: first column left, figures right."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left", header_style="bold")
    for index, name in enumerate(head):
        shown.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        shown.add_row(*(figure(value) for value in row))
    # A pipe has no width of its own: do not fold for one.
    Console(width=None if sys.stdout.isatty() else 160).print(shown)


def figure(value: object) -> str:
    """A value as people read it: thousands separated, floats short, nothing for None."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
