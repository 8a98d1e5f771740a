"""What a rewiring rule may do. Every rule sees units: rows of S synapses that live and die together (branch, block, single synapse)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
TINY = np.float32(1e-12)
"""Magnitude of a reborn synapse in the DeepR authors' code; also the least depth of a dormant one."""


class DropRule(Protocol):
    """Which units die."""

    def __call__(self, weight: Floats, /) -> Flags:
        """Units to drop, bool [units], from weights [units, S]."""


@runtime_checkable
class Annealed(Protocol):
    """A rule that changes with the number of rewiring steps."""

    def at(self, step: int) -> DropRule:
        """The rule of rewiring step ``step``, counted from 1."""


@dataclass(frozen=True, eq=False)
class Synapses:
    """Synapses of one parameter for rules that move them, arrays [units, S] that are changed in place.

    A synapse is w = sign * max(theta, 0). ``live``: theta = sign * ``weight`` > 0. Dormant: ``weight`` = 0, and ``depth`` holds theta
    < 0 where a rule lets dormant synapses wander, else 0. ``sign`` int8 is never changed by a rule.
    """

    weight: Floats
    sign: NDArray[np.int8]
    live: Flags
    depth: Floats

    @classmethod
    def of(cls, weight: Floats, hidden: Floats | None = None) -> Synapses:
        """Signs as the weights have them. ``hidden`` = sign * theta of the dormant ones, as `hidden` returned it."""
        depth = np.zeros_like(weight) if hidden is None else -np.abs(hidden)
        sign = np.sign(weight if hidden is None else np.where(weight == 0, -hidden, weight)).astype(np.int8)
        return cls(weight, sign, weight != 0, depth)

    def flat(self) -> tuple[Floats, NDArray[np.int8], Flags, Floats]:
        """Weight, sign, live and depth as vectors that share memory with this record."""
        return self.weight.reshape(-1), self.sign.reshape(-1), self.live.reshape(-1), self.depth.reshape(-1)

    def hidden(self) -> Floats:
        """sign * theta of the dormant synapses, 0 elsewhere: with the weights, all there is to save."""
        return (self.sign * self.depth + 0.0).astype(
            np.float32
        )  # + 0.0: never -0.0, so that equal states have equal bytes

    def restart(self, units: NDArray[np.int64]) -> None:
        """Take the weights of some units as they stand now: newborn or dead ones."""
        fresh = self.weight[units]
        self.sign[units], self.live[units], self.depth[units] = np.sign(fresh), fresh != 0, 0.0


@runtime_checkable
class Bears(Protocol):
    """A rule with a law of its own for newborn units of an `nn.Module`; others bear them at 0, which changes no output."""

    def born(self, shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Floats:
        """Weights [units, S] of a layer whose weights start at root mean square ``scale``. Rules with fixed signs give magnitudes."""


@runtime_checkable
class Walks(Protocol):
    """A rule that moves synapses itself, after every update of the optimiser."""

    def walk(self, synapses: Synapses, rate: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """Move in place; flat indices of the synapses that became live or dormant. ``rate`` = learning rate eta."""


@runtime_checkable
class Wanders(Protocol):
    """A walking rule whose dormant synapses wander too and come back on their own: in an `nn.Module` nothing else is dropped or born."""

    @property
    def deepest(self) -> float:
        """Least theta of a dormant synapse, <= 0."""


def fewest(min_live: float, size: int) -> int:
    """Least synapses that a unit of ``size`` needs: ceil(min_live * S)."""
    return math.ceil(round(min_live * size, 9))  # .07 * 100 is 7, whatever binary fractions say
