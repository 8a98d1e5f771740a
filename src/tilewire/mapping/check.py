"""The independent check: walks every tree in plain Python and trusts nothing that placed, routed or trained the network.

Imports words and hardware only. A mapping leaves the program only with the faults that its verdict admits: none if it fits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric

Integers = NDArray[np.integer]
OVERLOAD = "overload"


@dataclass(frozen=True)
class MappingFault:
    """One thing wrong with a mapping: its kind, where (neuron, tile or port), and what was found."""

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.message}"


@dataclass(frozen=True, eq=False)
class Check:
    """``faults`` found and ``load`` int32 [links] recounted from the trees."""

    faults: tuple[MappingFault, ...]
    load: NDArray[np.int32]

    @property
    def fits(self) -> bool:
        return not self.faults

    @property
    def sound(self) -> bool:
        """The trees are right, whether or not the widths hold them."""
        return all(fault.kind == OVERLOAD for fault in self.faults)


def check_mapping(
    fabric: TileFabric,
    branches: Connectivity,
    group: Integers,
    placement: Integers,
    tree_ptr: Integers,
    tree_link: Integers,
    *,
    claimed: Integers | None = None,
    merging: bool = False,
) -> Check:
    """Check trees against what they must do; ``branches`` wires neuron -> group, ``group`` [neurons], ``placement`` [neurons] -> tile.

    ``claimed`` [links] are the loads that the mapping states; ``merging`` admits fixed paths of a net that meet again in a router. Kinds
    of fault: `placement` (not S neurons of one group on each tile), `pointer`, `missing-link` (no such link), `repeated` (a link twice in
    a net), `detached` (a hop that no earlier hop or the source tile feeds), `through-tile`, `unreached`, `extra-sink` (entered without a
    branch), `entered-twice` (a node with two feeding hops), `dangling` (a hop that feeds nothing), `overload`, `miscounted`.
    """
    faults = _placement_faults(fabric, group, placement)
    shape_fault = _pointer_fault(fabric, tree_ptr, tree_link)
    if faults or shape_fault:
        return Check((*faults, *shape_fault), np.zeros(fabric.n_links, np.int32))
    tile_of_group = {int(g): int(t) for g, t in zip(group, placement, strict=True)}
    wanted: list[set[int]] = [set() for _ in range(fabric.n_neurons)]
    for neuron, target in zip(branches.source.tolist(), branches.target.tolist(), strict=True):
        if tile_of_group[target] != placement[neuron]:
            wanted[neuron].add(tile_of_group[target])
    source, target = fabric.link_source.tolist(), fabric.link_target.tolist()
    tile_index, tile_node = fabric.tile_index.tolist(), fabric.tile_node.tolist()
    ptr, link, home = tree_ptr.tolist(), tree_link.tolist(), placement.tolist()
    load: Counter[int] = Counter()
    for neuron in range(fabric.n_neurons):
        hops = link[ptr[neuron] : ptr[neuron + 1]]
        if hops or wanted[neuron]:
            load.update(hops)
            found = _net_faults(hops, wanted[neuron], tile_node[home[neuron]], source, target, tile_index)
            found = [
                (kind, at)
                for kind, at in found
                if not (merging and kind == "entered-twice" and tile_index[target[at]] < 0)
            ]
            faults += [MappingFault(kind, f"neuron {neuron}", _hop_text(fabric, kind, at)) for kind, at in found]
    faults += [
        MappingFault(OVERLOAD, fabric.link_name(at), f"{nets} nets on {int(fabric.capacity[at])} channels")
        for at, nets in sorted(load.items())
        if nets > fabric.capacity[at]
    ]
    counts = np.zeros(fabric.n_links, np.int32)
    counts[list(load.keys())] = list(load.values())
    if claimed is not None and claimed.shape == counts.shape:
        faults += [
            MappingFault("miscounted", fabric.link_name(at), f"{int(counts[at])} nets, stated {int(claimed[at])}")
            for at in np.flatnonzero(counts != claimed).tolist()
        ]
    return Check(tuple(faults), counts)


def _placement_faults(fabric: TileFabric, group: Integers, placement: Integers) -> list[MappingFault]:
    """Every tile carries exactly the S neurons of one group."""
    if placement.shape != (fabric.n_neurons,) or group.shape != (fabric.n_neurons,):
        return [MappingFault("placement", "chip", f"{placement.shape} entries for {fabric.n_neurons} neurons")]
    groups_on: list[Counter[int]] = [Counter() for _ in range(fabric.n_tiles)]
    for neuron, (tile, own) in enumerate(zip(placement.tolist(), group.tolist(), strict=True)):
        if not 0 <= tile < fabric.n_tiles:
            return [MappingFault("placement", f"neuron {neuron}", f"on tile {tile} of {fabric.n_tiles}")]
        groups_on[tile][own] += 1
    return [
        MappingFault("placement", fabric.tile_name(tile), f"carries neurons per group {dict(found)}")
        for tile, found in enumerate(groups_on)
        if len(found) != 1 or found.total() != fabric.neurons_per_tile
    ]


def _pointer_fault(fabric: TileFabric, ptr: Integers, link: Integers) -> tuple[MappingFault, ...]:
    """Pointers span the entries in order and every entry is a link."""
    spans = ptr.shape == (fabric.n_neurons + 1,) and ptr[0] == 0 and ptr[-1] == link.size
    if not spans or any(a > b for a, b in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True)):
        return (MappingFault("pointer", "trees", f"pointers do not span {link.size} hops of {fabric.n_neurons} nets"),)
    return tuple(
        MappingFault("missing-link", f"tree entry {at}", f"link {number} of {fabric.n_links}")
        for at, number in enumerate(link.tolist())
        if not 0 <= number < fabric.n_links
    )


def _net_faults(
    hops: list[int], wanted: set[int], start: int, source: list[int], target: list[int], tile_index: list[int]
) -> list[tuple[str, int]]:
    """(kind, link or tile) of every fault of one net, walked from its source node."""
    faults: list[tuple[str, int]] = []
    reached, entered = {start}, set[int]()
    for link in hops:
        node, after = source[link], target[link]
        if node not in reached:
            faults.append(("detached", link))
        elif tile_index[node] >= 0 and node != start:
            faults.append(("through-tile", link))
        if after in reached:
            faults.append(("entered-twice", link))
        reached.add(after)
        if tile_index[after] >= 0:
            entered.add(tile_index[after])
    if len(set(hops)) < len(hops):
        faults += [("repeated", link) for link, times in Counter(hops).items() if times > 1]
    faults += [("unreached", tile) for tile in sorted(wanted - entered)]
    faults += [("extra-sink", tile) for tile in sorted(entered - wanted)]
    feeding = {source[link] for link in hops}
    faults += [("dangling", link) for link in hops if tile_index[target[link]] < 0 and target[link] not in feeding]
    return faults


def _hop_text(fabric: TileFabric, kind: str, at: int) -> str:
    return fabric.tile_name(at) if kind in ("unreached", "extra-sink") else fabric.link_name(at)
