"""Objectives of many tile designs at once, from hop profiles and rates: no network is drawn, routed or run.

Branches are taken as independent draws with the densities p_d of their hop class, nets as unions of the family's fixed paths, spikes as
independent with one rate. With n_sld = targets of hop class d that source tile s serves over link l,

    P(a net of s uses l) = u_sl = 1 - prod_d (1 - p_d)^n_sld,   nets on l: S sum_s u_sl,   events per step: rate x nets

The busiest link or tile of a step is its mean plus z standard deviations, z the expected largest of n normal numbers (Blom 1958) with
n = (sum m)^2 / sum m^2 links of about equal means m. Departures from a real run: quotas are drawn without replacement, trained rates
differ between neurons, searched trees are shorter; networks fire in bursts, for which the worst step takes ``burst`` times the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import ndtri

from tilewire.connectivity import Connectivity
from tilewire.cost.activity import WEIGHT_BITS
from tilewire.cost.table import PRICES, price_designs
from tilewire.errors import UsageError
from tilewire.hardware.fabric import OPPOSITE, TILE, TileFabric
from tilewire.hardware.technology import Technology
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.route_length import hop_kind

Floats = NDArray[np.float64]
MAX_DENSITY = 1 - 1e-12  # keeps the logarithm of 1 - p finite
TINY = 1e-300
BURST = 2.0  # two trained speech networks: 1.9 to 3.2 times the worst step of independent spikes
SEEN_STEPS = 50_000  # steps among which the worst one of an estimate is the worst: about a thousand inferences


@dataclass(frozen=True, eq=False)
class Geometry:
    """What all designs on one grid share, whatever their neurons per tile, widths and profiles.

    ``classes`` [D] hop classes; ``pattern`` [K, D], the different rows n_sld; ``on_link`` sparse [links, K], how many source tiles meet a
    link with each pattern; ``kind`` int8 [links] as `hop_kind`; ``into`` [tiles, D] source tiles of each class around a tile;
    ``route_class`` [routes], ``route`` [routes, 2]: class and lengths of the different fixed paths.
    """

    fabric: TileFabric
    classes: tuple[int, ...]
    pattern: Floats
    on_link: csr_array
    kind: NDArray[np.int8]
    into: Floats
    route_class: NDArray[np.int64]
    route: NDArray[np.int64]

    @classmethod
    def of(cls, fabric: TileFabric) -> Geometry:
        """Walk the fixed path of every pair of tiles once."""
        source, target = (side.astype(np.int32, copy=False) for side in np.nonzero(~np.eye(fabric.n_tiles, dtype=bool)))
        pairs = np.arange(source.size, dtype=np.int32)
        paths = route_one_turn(fabric, Connectivity(source.size, fabric.n_tiles, pairs, target), source)
        classes = tuple(fabric.hop_classes)
        of_pair = np.searchsorted(classes, fabric.hop_distance[source, target])
        key = source[paths.owner].astype(np.int64) * fabric.n_links + paths.link
        places, place = np.unique(key, return_inverse=True)
        served = np.zeros((places.size, len(classes)), np.int64)
        np.add.at(served, (place, of_pair[paths.owner]), 1)
        pattern, which = np.unique(served, axis=0, return_inverse=True)
        shape = (fabric.n_links, len(pattern))
        on_link = csr_array((np.ones(places.size), (places % fabric.n_links, which.ravel())), shape=shape)
        into = np.zeros((fabric.n_tiles, len(classes)))
        np.add.at(into, (target, of_pair), 1)
        kind = hop_kind(fabric)
        length = np.stack([np.bincount(paths.owner, kind[paths.link] == way, source.size) for way in (0, 1)], axis=1)
        routes = np.unique(np.column_stack([of_pair, length]).astype(np.int64), axis=0)
        return cls(fabric, classes, pattern.astype(float), on_link, kind, into, routes[:, 0], routes[:, 1:])

    def densities(self, profiles: Sequence[dict[int, float]]) -> Floats:
        """Profiles {hop class: density} as rows [designs, D]. Raises `UsageError` for a class that the chip does not have."""
        wrong = sorted({d for profile in profiles for d in profile} - set(self.classes))
        if wrong:
            raise UsageError(f"hop classes {wrong} on a chip with {list(self.classes)}", where="profile")
        return np.array([[profile.get(d, 0.0) for d in self.classes] for profile in profiles], float)


def _largest(mean: Floats, variance: Floats, draws: int) -> Floats:
    """Expected largest of the entries of axis 0, each drawn ``draws`` times: [designs]; Blom's normal score of so many equal ones."""
    equals = mean.sum(axis=0) ** 2 / np.maximum(np.square(mean).sum(axis=0), TINY)
    number = np.maximum(equals * draws, 1)
    z = ndtri((number - 0.375) / (number + 0.25))
    top: Floats = (mean + z * np.sqrt(variance)).max(axis=0, initial=0)
    return top


def expected_counts(
    geometry: Geometry, density: ArrayLike, rate: ArrayLike, steps: ArrayLike, neurons_per_tile: ArrayLike, *,
    input_rows: ArrayLike = 0.0, input_tiles: ArrayLike = 1, own_share: ArrayLike = 1.0, burst: float = BURST,
) -> dict[str, Any]:  # fmt: skip
    """Expected events per inference of B designs, under the names of `simulated_counts`.

    ``density`` [B, D] in [0, 1]; each of these a figure or [B]: ``rate`` spikes per neuron and step, ``steps``, ``neurons_per_tile`` S,
    ``input_rows`` crossbar rows that input events read per step, over ``input_tiles`` tiles, ``own_share`` of the neurons that feed their
    own tile (not those of tiles whose crossbar takes inputs). Also ``branches``, and the expected widest load in nets, ``nets_router``,
    ``nets_tile_in``.
    """
    p = np.clip(np.atleast_2d(np.asarray(density, float)), 0, MAX_DENSITY)
    r, t, s, rows, over, own = (
        np.broadcast_to(np.asarray(one, float), len(p))
        for one in (rate, steps, neurons_per_tile, input_rows, input_tiles, own_share)
    )
    fabric = geometry.fabric
    used = -np.expm1(geometry.pattern @ np.log1p(-p).T)
    nets, squares = s * (geometry.on_link @ used), s * (geometry.on_link @ used**2)
    events = t * r * nets
    by_kind = [events[geometry.kind == way].sum(axis=0) for way in range(3)]
    into = events[fabric.link_class == 1].sum(axis=0)
    branches = s * (geometry.into @ p.T)
    spikes = r * t * s * fabric.n_tiles
    operations = {"input": s * rows * t, "own": s * spikes * own, "branch": s * r * t * branches.sum(axis=0)}
    busy: dict[str, Floats] = {}
    for end, draws, at in (("mean", 1, r), ("worst", SEEN_STEPS, np.minimum(burst * r, 1))):
        read, fired = at * (branches + s) + rows / over, np.tile(at * s, (fabric.n_tiles, 1))
        busy[f"port_events_{end}"] = _largest(at * nets, at * nets - at**2 * squares, draws)
        busy[f"tile_rows_{end}"] = _largest(read, read, draws)
        busy[f"tile_spikes_{end}"] = _largest(fired, fired, draws)
    active = p[:, geometry.route_class] > 0
    return busy | {
        "steps": t, "spikes": spikes, "neuron_updates": s * fabric.n_tiles * t,
        "hops_east_west": by_kind[0], "hops_north_south": by_kind[1], "tile_entries": into, "tile_exits": by_kind[2] - into,
        **{f"{kind}_operations": number for kind, number in operations.items()},
        "synaptic_operations": sum(operations.values()), "branches": branches.sum(axis=0),
        "route_hops_east_west": active * geometry.route[:, 0], "route_hops_north_south": active * geometry.route[:, 1],
        **{f"nets_{name}": _largest(nets[links], (nets - squares)[links], 1)
           for name, links in (("router", fabric.link_class == 0), ("tile_in", fabric.link_class == 1))},
    }  # fmt: skip


def chip_of(
    geometry: Geometry, neurons_per_tile: ArrayLike, router: ArrayLike, tile_in: ArrayLike, tile_out: ArrayLike,
    *, weight_bits: int = WEIGHT_BITS,
) -> dict[str, Any]:  # fmt: skip
    """What B chips of this geometry are made of, as `chip_counts`; widths in channels [B], the same on every side of every unit."""
    fabric = geometry.fabric
    designs = np.stack(np.broadcast_arrays(*map(np.atleast_1d, (router, tile_in, tile_out, neurons_per_tile))), axis=1)
    devices, weights = np.empty(len(designs)), np.empty(len(designs))
    width = np.zeros_like(fabric.port_width)
    out, into = (fabric.link_source, 1, fabric.link_port), (fabric.link_target, 0, OPPOSITE[fabric.link_port])
    for at, design in enumerate(designs):
        width[out] = width[into] = design[fabric.link_class]
        memory = replace(fabric, neurons_per_tile=int(design[3]), port_width=width).memory()
        devices[at], weights[at] = memory.total, memory.by_kind[fabric.kinds[TILE]]
    s = designs[:, 3]
    return {
        "tiles": fabric.n_tiles, "routers": fabric.n_nodes - fabric.n_tiles, "neurons": s * fabric.n_tiles, "neurons_per_tile": s,
        "memory_devices": devices, "memory_bits": weight_bits * weights + devices - weights,
    }  # fmt: skip


def estimate(
    geometry: Geometry, density: ArrayLike, rate: ArrayLike, steps: ArrayLike, *, neurons_per_tile: ArrayLike | None = None,
    router: ArrayLike | None = None, tile_in: ArrayLike | None = None, tile_out: ArrayLike | None = None,
    weight_bits: int = WEIGHT_BITS, technology: Technology | None = None, names: tuple[str, ...] = tuple(PRICES), **events: Any,
) -> dict[str, Any]:  # fmt: skip
    """Objectives of B designs: {name: [B], or None where a constant is missing}, under the names of `PRICES`.

    Arguments and ``events`` as in `expected_counts`; ``router``, ``tile_in``, ``tile_out``: channels [B], default as wide as the expected
    widest load, and S for tile outputs. Besides: `branches`, `parameters` = S (branches + neurons), `memory_devices`, `nets_router`,
    `nets_tile_in`. Raises `UsageError` for unknown objectives.
    """
    s = geometry.fabric.neurons_per_tile if neurons_per_tile is None else neurons_per_tile
    expected = expected_counts(geometry, density, rate, steps, s, **events)
    needed_router, needed_in = (np.ceil(expected[name]) for name in ("nets_router", "nets_tile_in"))
    widths = (needed_router if router is None else router, needed_in if tile_in is None else tile_in,
              s if tile_out is None else tile_out)  # fmt: skip
    chip = chip_of(geometry, np.broadcast_to(s, len(needed_in)), *widths, weight_bits=weight_bits)
    # Nets within their channels pass in one round; beyond, events queue in the ratio of nets to channels.
    crowd = np.maximum(needed_router / np.maximum(widths[0], 1), needed_in / np.maximum(widths[1], 1))
    rounds = {
        f"port_rounds_{end}": np.maximum(1, np.minimum(crowd, expected[f"port_events_{end}"]))
        for end in ("mean", "worst")
    }
    counts = chip | expected | rounds
    told = {name: counts[name] for name in ("branches", "memory_devices", "nets_router", "nets_tile_in")}
    parameters = chip["neurons_per_tile"] * (expected["branches"] + chip["neurons"])
    priced = price_designs(counts, technology, names)
    size = len(needed_in)
    return (
        told
        | {"parameters": parameters}
        | {n: None if v is None else np.broadcast_to(v, size) for n, v in priced.items()}
    )
