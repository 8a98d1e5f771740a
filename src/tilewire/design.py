"""A space of designs: knobs are keys of a recipe, so a design is a set of settings and `tilewire run` repeats it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from tilewire.yamlfile import Record

Design = dict[str, Any]
"""Value of every knob, by recipe key."""


class Range(Record):
    """All values from ``low`` to ``high``, whole numbers if both ends are; ``log``: equal ratios are equally likely."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}: no value is left")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, not at {self.low}")
        return self

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at the quantiles ``u`` in [0, 1) of the range's law."""
        low, high = (self.low, self.high + 1) if self.whole else (self.low, self.high)
        value = low * (high / low) ** u if self.log else low + (high - low) * u
        return np.minimum(np.floor(value), self.high) if self.whole else value


Knob = Range | list[Any]


@dataclass(frozen=True)
class Space:
    """Knobs by recipe key: a list of choices or a range.

    Codes [n, knobs] are designs as numbers: the position of a choice in its list, the value of a range.
    """

    knobs: Mapping[str, Knob]

    def codes(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points [n, knobs] of the unit cube as codes."""
        found = np.empty_like(u)
        for column, knob in enumerate(self.knobs.values()):
            part = u[:, column]
            found[:, column] = knob.at(part) if isinstance(knob, Range) else np.floor(part * len(knob))
        return found

    def columns(self, codes: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        """The value of every knob over all designs, for arithmetic on many designs at once."""
        return {
            name: codes[:, column] if isinstance(knob, Range) else _choices(knob)[codes[:, column].astype(np.int64)]
            for column, (name, knob) in enumerate(self.knobs.items())
        }

    def design(self, code: NDArray[np.float64]) -> Design:
        """One design as values that YAML can write."""
        return {
            name: _plain(knob, float(code[column])) if isinstance(knob, Range) else knob[int(code[column])]
            for column, (name, knob) in enumerate(self.knobs.items())
        }

    @property
    def size(self) -> float:
        """Number of different designs; infinite with a continuous knob."""
        counts = [
            (knob.high - knob.low + 1 if knob.whole or knob.low == knob.high else np.inf)
            if isinstance(knob, Range)
            else len(knob)
            for knob in self.knobs.values()
        ]
        return float(np.prod(counts))


def _choices(choices: list[Any]) -> NDArray[Any]:
    """Choices as an array whose first axis runs over them; lists of unequal length stay lists."""
    ragged = len({len(choice) if isinstance(choice, list) else -1 for choice in choices}) > 1
    if not ragged:
        return np.array(choices)
    found = np.empty(len(choices), object)
    found[:] = choices
    return found


def _plain(knob: Range, value: float) -> int | float:
    return int(value) if knob.whole else value


def key_of(design: Design) -> str:
    """Text that two designs share if and only if they are the same."""
    return json.dumps(design, sort_keys=True)


def settings_of(design: Design) -> list[str]:
    """The design as ``key=value`` settings of a recipe; JSON is YAML."""
    return [f"{key}={json.dumps(value)}" for key, value in design.items()]
