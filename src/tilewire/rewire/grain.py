"""Units of a weight tensor: single synapses, or blocks of channels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from tilewire.errors import UsageError

GRANULARITIES = ("synapse", "block")


@dataclass(frozen=True)
class Grain:
    """A weight [out, in, taps...] as units [units, S] in row-major order.

    ``block`` = b: a unit is b outputs x b inputs with all taps (S = b^2 taps). None: a unit is one synapse (S = 1).
    Raises `UsageError` if b does not divide out and in.
    """

    shape: tuple[int, ...]
    block: int | None = None

    def __post_init__(self) -> None:
        b = self.block
        if b is not None and (b < 1 or self.shape[0] % b or self.shape[1] % b):
            raise UsageError(
                f"{self.shape[0]} x {self.shape[1]} channels are no multiples of blocks of {b}",
                hint="another block, or protect the layer",
            )

    @property
    def units(self) -> int:
        return math.prod(self.shape) // self.size

    @property
    def size(self) -> int:
        """Synapses per unit, S."""
        return 1 if self.block is None else self.block**2 * math.prod(self.shape[2:])

    @property
    def rows(self) -> int:
        """Units stand in so many rows of equal length, one per output (group)."""
        return self.shape[0] // (self.block or 1)

    def pack(self, weight: Tensor) -> Tensor:
        """[out, in, taps...] -> [units, S]; shares memory where it can."""
        if self.block is None:
            return weight.reshape(-1, 1)
        b, (out, inputs) = self.block, self.shape[:2]
        return weight.reshape(out // b, b, inputs // b, b, -1).transpose(1, 2).reshape(self.units, self.size)

    def unpack(self, units: Tensor) -> Tensor:
        """[units, S] -> [out, in, taps...]."""
        if self.block is None:
            return units.reshape(self.shape)
        b, (out, inputs) = self.block, self.shape[:2]
        return units.reshape(out // b, inputs // b, b, b, -1).transpose(1, 2).reshape(self.shape)
