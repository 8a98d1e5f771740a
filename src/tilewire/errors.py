"""Every error Tilewire raises on purpose: what, where, used against limit, nearest fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class TilewireError(Exception):
    """Root of all errors. ``where`` names the file:line, tile, port or layer; ``hint`` the nearest fix."""

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.message, self.where, self.hint = message, where, hint
        super().__init__(message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  fix: {self.hint}" if self.hint else text


class UsageError(TilewireError):
    """The request itself is wrong: arguments, configuration, description files."""

    exit_code = 2


class HardwareError(UsageError):
    """A fabric that cannot exist or cannot carry what is asked of it."""


class DataError(UsageError):
    """A data file or name that is missing, damaged or hostile."""


class NetsError(UsageError):
    """A set of nets (branches, rates, matrix) that is malformed or exceeds the chip."""


class BudgetError(UsageError):
    """A budget that no connectivity on this hardware can meet."""


class RunError(TilewireError):
    """A run that cannot start, continue or finish: locked folder, changed config, failed save."""


class TrainingError(TilewireError):
    """Training left the finite numbers; the last good state is kept."""


class MissingExtraError(UsageError):
    """An optional dependency is needed; the message holds the install line."""


@dataclass(frozen=True)
class Fault:
    """One fault of a description file."""

    where: str
    key: str
    problem: str
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.key}: {self.problem}"
        if self.allowed:
            text += f" (allowed: {self.allowed})"
        if self.nearest:
            text += f" (did you mean '{self.nearest}'?)"
        return text


class ConfigError(UsageError):
    """All faults of one file, together."""

    def __init__(self, title: str, faults: Sequence[Fault], *, hint: str | None = None) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        lines = [
            f"{title}: {count} fault{'s' if count != 1 else ''}",
            *(f"  {fault}" for fault in self.faults),
        ]
        super().__init__("\n".join(lines), hint=hint)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a mistyped one, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Message for a name that no table holds, with the nearest one that it does hold."""
    options = sorted(known)
    close = nearest(name, options)
    meant = f"; did you mean '{close}'?" if close else ""
    return f"unknown {kind} '{name}'{meant} Known: {', '.join(options)}"
