"""Nets: the branches (neuron -> group of neurons) that a chip must carry, and the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import DataError, NetsError
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.archive import MAX_BYTES, read_arrays

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int32]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Nets:
    """Branches of every neuron of a chip.

    ``branches`` wires neuron -> group, own group left out (it uses the local crossbar and no channel); ``group`` int32 [neurons] is
    the group of each neuron, S neurons to a group and as many groups as tiles; ``rate`` float64 [neurons] are events per step, if known.
    Neurons that the network does not use are part of the chip and have no branch.
    """

    branches: Connectivity
    group: Ints
    rate: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, branches: Connectivity, group: Ints | None = None, rate: NDArray[np.float64] | None = None) -> Nets:
        """Nets with branches into the own group dropped; group t defaults to neurons t*S .. t*S+S-1."""
        if group is None:
            size = branches.n_sources // max(branches.n_targets, 1)
            group = (np.arange(branches.n_sources) // max(size, 1)).astype(np.int32)
        return cls(branches.without_own(group), group, rate)

    def tile_of_group(self, placement: Ints) -> Ints:
        """Tile of each group, int32 [groups], under a placement neuron -> tile."""
        tiles = np.zeros(self.branches.n_targets, np.int32)
        tiles[self.group] = placement
        return tiles

    def contiguous(self) -> Connectivity:
        """The branches with neurons renumbered so that group t is t*S .. t*S+S-1: what placers expect."""
        rank = np.empty_like(self.group)
        rank[np.argsort(self.group, kind="stable")] = np.arange(self.group.size, dtype=np.int32)
        one = self.branches
        return Connectivity.of(rank[one.source], one.target, one.n_sources, one.n_targets)

    def on_tiles(self, placement: Ints) -> Connectivity:
        """The branches as neuron -> tile."""
        one = self.branches
        return Connectivity.of(one.source, self.tile_of_group(placement)[one.target], one.n_sources, one.n_targets)


def load_nets(
    path: str | Path, fabric: TileFabric, *, rng: np.random.Generator | None = None, seconds: float = 5.0
) -> Nets:
    """Nets of a file, for a chip.

    ``.npz`` with ``branches`` integer [n, 2] (source neuron, destination group), optional ``rate`` [neurons] and ``group`` [neurons];
    a run folder (its ``mapping.npz``); or a square matrix of synapses (``.csv``, ``.npz`` dense or SciPy sparse, ``.mtx``, ``.hgr``; row =
    source, any non-zero is a synapse, the diagonal ignored), which is first partitioned within ``seconds``. Raises `DataError` for a
    damaged file and `NetsError` with every fault of its content.
    """
    from tilewire.mapping import matrix

    file = Path(path)
    if file.is_dir():
        file = file / "mapping.npz"
    if not file.is_file():
        raise DataError("no such nets file", where=str(file), hint="an .npz with branches, a run folder or a matrix")
    if file.stat().st_size > MAX_BYTES:
        raise DataError(f"{file.stat().st_size} bytes, limit {MAX_BYTES}", where=str(file))
    suffix = file.suffix.lower()
    if suffix != ".npz" and suffix not in matrix.READERS:
        raise DataError(
            f"'{suffix}' is not a nets format", where=str(file), hint=".npz, .csv, .mtx, .hgr or a run folder"
        )
    if suffix == ".npz":
        arrays = read_arrays(file)
        if "branches" in arrays:
            return nets_of(arrays, fabric, str(file))
    synapses = matrix.of_arrays(arrays, str(file)) if suffix == ".npz" else matrix.READERS[suffix](file)
    return _partitioned(synapses, fabric, str(file), rng or np.random.default_rng(0), seconds)


def nets_of(arrays: Arrays, fabric: TileFabric, where: str) -> Nets:
    """Nets of arrays ``branches``, ``rate``, ``group``. Raises `NetsError` with every fault."""
    branches, rate, group = arrays["branches"], arrays.get("rate"), arrays.get("group")
    faults = [*_branch_faults(branches, fabric), *_rate_faults(rate, fabric), *_group_faults(group, fabric)]
    if faults:
        raise NetsError("; ".join(faults), where=where)
    wired = Connectivity.of(branches[:, 0], branches[:, 1], fabric.n_neurons, fabric.n_tiles)
    return Nets.of(
        wired, None if group is None else group.astype(np.int32), None if rate is None else rate.astype(np.float64)
    )


def _branch_faults(branches: NDArray[Any], fabric: TileFabric) -> list[str]:
    if branches.ndim != 2 or branches.shape[1] != 2 or branches.dtype.kind not in "iu":
        return [f"branches is {branches.dtype} {list(branches.shape)}, not integer [n, 2] (source neuron, group)"]
    faults = []
    for column, name, bound in ((0, "source neuron", fabric.n_neurons), (1, "group", fabric.n_tiles)):
        wrong = np.flatnonzero((branches[:, column] < 0) | (branches[:, column] >= bound))
        if wrong.size:
            row = int(wrong[0])
            faults.append(
                f"{wrong.size} branches with a {name} outside 0..{bound - 1}, first in row {row}: {branches[row].tolist()}"
            )
    if not faults:
        key = np.sort(branches[:, 0].astype(np.int64) * fabric.n_tiles + branches[:, 1].astype(np.int64))
        again = key[1:][key[1:] == key[:-1]]
        if again.size:
            first = [int(v) for v in divmod(int(again[0]), fabric.n_tiles)]
            faults.append(f"{again.size} branches are given twice, first {first}")
    return faults


def _rate_faults(rate: NDArray[Any] | None, fabric: TileFabric) -> list[str]:
    if rate is None:
        return []
    if rate.shape != (fabric.n_neurons,) or rate.dtype.kind not in "iuf":
        return [f"rate is {rate.dtype} {list(rate.shape)}, not a number for each of the {fabric.n_neurons} neurons"]
    wrong = np.flatnonzero(~(np.isfinite(rate) & (rate >= 0)))
    return (
        [f"{wrong.size} rates are negative or not finite, first neuron {int(wrong[0])}: {rate[wrong[0]]}"]
        if wrong.size
        else []
    )


def _group_faults(group: NDArray[Any] | None, fabric: TileFabric) -> list[str]:
    if group is None:
        return []
    if group.shape != (fabric.n_neurons,) or group.dtype.kind not in "iu":
        return [
            f"group is {group.dtype} {list(group.shape)}, not an integer for each of the {fabric.n_neurons} neurons"
        ]
    if group.size and (group.min() < 0 or group.max() >= fabric.n_tiles):
        return [f"group has values outside 0..{fabric.n_tiles - 1}"]
    size = np.bincount(group.astype(np.int64), minlength=fabric.n_tiles)
    wrong = np.flatnonzero(size != fabric.neurons_per_tile)
    s = fabric.neurons_per_tile
    return [f"group {int(wrong[0])} has {int(size[wrong[0]])} neurons, a tile holds {s}"] if wrong.size else []


def _partitioned(synapses: csr_array, fabric: TileFabric, where: str, rng: np.random.Generator, seconds: float) -> Nets:
    """Split the neurons of a matrix into groups; unused neurons of the chip fill the groups up."""
    from tilewire.mapping.partition import partition

    n, chip = int(synapses.shape[0]), fabric.n_neurons
    if n > chip:
        raise NetsError(
            f"{n} neurons, the chip has {chip}", where=where, hint=f"{-(-n // fabric.neurons_per_tile)} tiles"
        )
    padded = synapses.copy()
    padded.resize((chip, chip))
    group = np.asarray(partition(padded, fabric.n_tiles, seconds=seconds, rng=rng), np.int32)
    pairs = padded.tocoo()
    return Nets.of(
        Connectivity.of(pairs.row, pairs.col, chip, chip).branches(group, fabric.n_tiles),
        group,
    )
