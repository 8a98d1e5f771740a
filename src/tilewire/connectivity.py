"""Who is wired to whom: sorted unique (source, target) pairs. Synapses and branches are both of this kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilewire.errors import NetsError


@dataclass(frozen=True, eq=False)
class Connectivity:
    """A directed bipartite graph, sorted by (source, target), without repeats.

    ``source`` and ``target`` are int32 [n] with 0 <= source < n_sources and 0 <= target < n_targets. For synapses both sides are
    neurons; for branches the targets are tiles (or the groups of neurons that will become tiles).
    """

    n_sources: int
    n_targets: int
    source: NDArray[np.int32]
    target: NDArray[np.int32]

    @classmethod
    def of(cls, source: ArrayLike, target: ArrayLike, n_sources: int, n_targets: int) -> Connectivity:
        """Sort and drop repeats. Raises `NetsError` for indices outside the two sides."""
        src, dst = np.asarray(source, np.int64).ravel(), np.asarray(target, np.int64).ravel()
        if src.shape != dst.shape:
            raise NetsError(f"{src.size} sources but {dst.size} targets")
        for name, values, bound in (("source", src, n_sources), ("target", dst, n_targets)):
            if values.size and (values.min() < 0 or values.max() >= bound):
                bad = int(values[(values < 0) | (values >= bound)][0])
                raise NetsError(f"{name} {bad} is outside 0..{bound - 1}")
        key = np.unique(src * n_targets + dst)
        return cls(
            n_sources,
            n_targets,
            (key // max(n_targets, 1)).astype(np.int32),
            (key % max(n_targets, 1)).astype(np.int32),
        )

    def __len__(self) -> int:
        return int(self.source.size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Connectivity):
            return NotImplemented
        same_sides = (self.n_sources, self.n_targets) == (other.n_sources, other.n_targets)
        return same_sides and np.array_equal(self.source, other.source) and np.array_equal(self.target, other.target)

    __hash__ = None  # type: ignore[assignment]

    @property
    def fan_out(self) -> NDArray[np.int64]:
        """Targets per source, [n_sources]."""
        return np.bincount(self.source, minlength=self.n_sources)

    @property
    def fan_in(self) -> NDArray[np.int64]:
        """Sources per target, [n_targets]."""
        return np.bincount(self.target, minlength=self.n_targets)

    @property
    def density(self) -> float:
        """Share of all (source, target) pairs that are wired."""
        return len(self) / max(self.n_sources * self.n_targets, 1)

    @property
    def ptr(self) -> NDArray[np.int64]:
        """Row pointers: the targets of source i are ``target[ptr[i]:ptr[i+1]]``."""
        return np.concatenate(([0], np.cumsum(self.fan_out)))

    def branches(self, tile_of: NDArray[np.integer], n_tiles: int) -> Connectivity:
        """Branches of synapses: (source neuron, tile of the target neuron)."""
        return Connectivity.of(self.source, np.asarray(tile_of)[self.target], self.n_sources, n_tiles)

    def without_own(self, tile_of: NDArray[np.integer]) -> Connectivity:
        """Branches into the source's own tile left out: they use the local crossbar and no channel."""
        keep = np.asarray(tile_of)[self.source] != self.target
        return Connectivity(self.n_sources, self.n_targets, self.source[keep], self.target[keep])
