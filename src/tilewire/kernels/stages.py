"""Cascades of fixed sparse stages: butterflies, their mixed radices, and block stages, on packed weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tilewire.errors import UsageError


@dataclass(frozen=True)
class Stage:
    """Small dense blocks over elements ``stride`` apart.

    Group (a, c) holds the elements i = a r t + d t + c for the digits d < r (``radix``), 0 <= c < t (``stride``); its weights W [r, r] give
    y_d = sum over e of W[d, e] x_e. Groups are numbered a t + c. Radix 2 is a butterfly stage; a large radix is a block stage.
    """

    radix: int
    stride: int


@dataclass(frozen=True)
class Stages:
    """A cascade R^N -> R^N: stages in the order in which they act.

    The weights are one vector; stage s holds [N / r, r, r] (group, out digit, in digit) and follows stage s - 1. Raises `UsageError`
    unless r t divides N for every stage.
    """

    size: int
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        """Verify that the stages divide the size."""
        for number, stage in enumerate(self.stages):
            if stage.radix < 1 or stage.stride < 1 or self.size % (stage.radix * stage.stride):
                raise UsageError(
                    f"radix {stage.radix} times stride {stage.stride} does not divide {self.size}",
                    where=f"stage {number}",
                    hint="choose radices whose product is the size",
                )

    @classmethod
    def of_radices(cls, radices: Sequence[int]) -> Stages:
        """Every output reaches every input by one path: N = product of the radices, stride of a stage = product of those before it.

        [2] * m is the butterfly (Dao et al. 2019); [r, N / r] are two block stages with a stride permutation between (Monarch, Dao et al.
        2022).
        """
        return cls(prod(radices), tuple(Stage(r, prod(radices[:s])) for s, r in enumerate(radices)))

    @classmethod
    def butterfly(cls, size: int, radix: int = 2) -> Stages:
        """A butterfly of one radix. Raises `UsageError` unless the size is a power of it."""
        count = 0
        while radix > 1 and radix**count < size:
            count += 1
        if radix < 2 or radix**count != size:
            raise UsageError(f"{size} is no power of radix {radix}", hint="Stages.of_radices mixes radices")
        return cls.of_radices([radix] * count)

    @property
    def weights(self) -> int:
        """Number of weights, N times the sum of the radices."""
        return self.size * sum(stage.radix for stage in self.stages)

    def offset(self, stage: int) -> int:
        """Where the weights of a stage begin."""
        return self.size * sum(s.radix for s in self.stages[:stage])
