"""Why a mapping does not fit, and what would fix it: one channel more, some branches fewer, or two groups exchanged."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.fabric import OPPOSITE, TileFabric
from tilewire.mapping.nets import Nets
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.routing import Mapping, Violation
from tilewire.mapping.trees import loads

Ints = NDArray[np.int32]
EXCHANGES = 200  # pairs of groups tried


@dataclass(frozen=True, eq=False)
class Explanation:
    """The worst port of a mapping, the nets through it, and fixes.

    ``wider_devices`` is M of the chip with just the overloaded ports widened to their load; ``without`` lists branches (neuron, group),
    enough to bring every port down to its width under the trees of the mapping; ``exchange`` is a pair of groups whose tiles, exchanged,
    leave the least over-use under fixed paths, with that over-use, or None if no tried pair helps.
    """

    violation: Violation
    nets: tuple[int, ...]
    wider_devices: int
    without: tuple[tuple[int, int], ...]
    exchange: tuple[int, int, int] | None

    def summary(self) -> dict[str, object]:
        return {
            "violation": asdict(self.violation), "nets": list(self.nets), "wider_devices": self.wider_devices,
            "without": [list(pair) for pair in self.without], "exchange": list(self.exchange) if self.exchange else None,
        }  # fmt: skip

    def __str__(self) -> str:
        one = self.violation
        text = (
            f"{one.where}: {one.load} nets on {one.limit} channels; fixes: {one.load - one.limit} channels more there"
        )
        text += f" (all ports widened: {self.wider_devices} devices), or {len(self.without)} branches fewer"
        return text + (f", or groups {self.exchange[0]} and {self.exchange[1]} exchanged" if self.exchange else "")


def explain(fabric: TileFabric, nets: Nets, mapping: Mapping) -> Explanation | None:
    """Explanation of the worst violation; None if the mapping fits."""
    if not mapping.violations:
        return None
    worst = mapping.violations[0]
    through = np.unique(mapping.trees.owner[mapping.trees.link == worst.link]).tolist()
    return Explanation(
        worst,
        tuple(through),
        _widened(fabric, mapping),
        _fewer(fabric, nets, mapping),
        _exchange(fabric, nets, mapping),
    )


def _widened(fabric: TileFabric, mapping: Mapping) -> int:
    """M of the chip with each overloaded link's two ports at its load."""
    width = fabric.port_width.copy()
    for violation in mapping.violations:
        source, target = fabric.link_source[violation.link], fabric.link_target[violation.link]
        port = fabric.link_port[violation.link]
        width[source, 1, port] = max(width[source, 1, port], violation.load)
        width[target, 0, OPPOSITE[port]] = max(width[target, 0, OPPOSITE[port]], violation.load)
    return fabric.memory(width).total


def _fewer(fabric: TileFabric, nets: Nets, mapping: Mapping) -> tuple[tuple[int, int], ...]:
    """Branches to leave out, greedily: on the worst link, the net with the fewest sinks behind it."""
    over = (mapping.load - fabric.capacity).astype(np.int64)
    group_of_tile = np.empty(fabric.n_tiles, np.int64)
    group_of_tile[nets.tile_of_group(mapping.placement)] = np.arange(fabric.n_tiles)
    gone: list[tuple[int, int]] = []
    trees = {net: mapping.trees.of(net).tolist() for net in np.unique(mapping.trees.owner).tolist()}
    while (over > 0).any():
        link = int(np.argmax(over))
        users = [net for net, links in trees.items() if link in links]
        behind = {net: _behind(fabric, trees[net], link) for net in users}
        net = min(users, key=lambda user: (len(behind[user]), user))
        gone += [(net, int(group_of_tile[tile])) for tile in behind[net]]
        kept = _pruned(fabric, trees[net], set(behind[net]))
        over[list(set(trees[net]) - set(kept))] -= 1
        trees[net] = kept
    return tuple(gone)


def _closure(pairs: list[tuple[int, int]], start: set[int]) -> set[int]:
    """Everything reached from ``start`` along directed pairs, in whatever order they come (merged paths may feed earlier hops)."""
    reached, before = set(start), -1
    while len(reached) > before:
        before = len(reached)
        reached |= {b for a, b in pairs if a in reached}
    return reached


def _behind(fabric: TileFabric, links: list[int], cut: int) -> list[int]:
    """Sink tiles downstream of a link, whether or not merged paths also reach them another way."""
    pairs = [(int(fabric.link_source[link]), int(fabric.link_target[link])) for link in links]
    fed = _closure(pairs, {int(fabric.link_target[cut])})
    return [tile for node in sorted(fed) if (tile := int(fabric.tile_index[node])) >= 0]


def _pruned(fabric: TileFabric, links: list[int], lost: set[int]) -> list[int]:
    """The tree without the lost sinks and the hops that then feed nothing."""
    back = [(int(fabric.link_target[link]), int(fabric.link_source[link])) for link in links]
    kept_sinks = {node for node, _ in back if fabric.tile_index[node] >= 0 and int(fabric.tile_index[node]) not in lost}
    useful = _closure(back, kept_sinks)
    return [link for link, (node, _) in zip(links, back, strict=True) if node in useful]


def _exchange(fabric: TileFabric, nets: Nets, mapping: Mapping) -> tuple[int, int, int] | None:
    """The exchange of two groups, one of them at the worst port, that leaves the least over-use under fixed paths."""
    tile_of_group = nets.tile_of_group(mapping.placement)
    link = mapping.violations[0].link
    users = np.unique(nets.group[mapping.trees.owner[mapping.trees.link == link]])

    def overuse(tiles: Ints) -> int:
        placement = tiles[nets.group]
        load = loads(fabric, route_one_turn(fabric, nets.on_tiles(placement), placement))
        return int(np.maximum(load - fabric.capacity, 0).sum())

    best = (int(np.maximum(mapping.load - fabric.capacity, 0).sum()), -1, -1)
    pairs = [(int(a), b) for a in users for b in range(fabric.n_tiles) if a != b][:EXCHANGES]
    for a, b in pairs:
        tiles = tile_of_group.copy()
        tiles[[a, b]] = tiles[[b, a]]
        best = min(best, (overuse(tiles), a, b))
    return (best[1], best[2], best[0]) if best[1] >= 0 else None
