"""Mapping: placement + routing + verdict. Every mapping passes the independent check before it leaves."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import DataError, NetsError, TilewireError, UsageError, unknown
from tilewire.hardware.fabric import OPPOSITE, PORTS, TileFabric
from tilewire.mapping.archive import read_arrays, write_arrays
from tilewire.mapping.certificate import Certificate, of_cut, price_bound
from tilewire.mapping.check import check_mapping
from tilewire.mapping.cuts import Rectangles, worst_tile
from tilewire.mapping.negotiated import Effort, negotiate
from tilewire.mapping.nets import Nets, nets_of
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.trees import Trees, from_hops, hops, port_use
from tilewire.mapping.verify import verify_certificate

Ints = NDArray[np.int32]
Verdict = Literal["fits", "infeasible", "unknown"]
ROUTER_LINK, TILE_IN_LINK = 0, 1  # link classes of the fabric
SHORT = Effort(rounds=4)
PERSISTENT = (Effort(rounds=400, patience=20, rise=1.0), Effort(rounds=400, patience=20, rise=0.3, fall=0.02))
FEW, NEAR = 10, 0.02  # over-use, and over-use per hop, up to which another pace of negotiation is worth its time


@dataclass(frozen=True, eq=False)
class Routing:
    """What a router hands over: trees, and what an overload of theirs means.

    ``overload`` is `infeasible` where the router has no choice (its loads are the certificate) or a ``certificate`` proves it, `unknown`
    where a search merely failed; ``bound`` is then the best weights found, whose need stays below the capacity. ``merging`` says that
    fixed paths of a net may meet again.
    """

    trees: Trees
    overload: Verdict = "unknown"
    merging: bool = False
    certificate: Certificate | None = None
    bound: Certificate | None = None


class Router(Protocol):
    """Routes branches neuron -> tile; ``placement`` [neurons] gives the source tiles."""

    def __call__(
        self, fabric: TileFabric, branches: Connectivity, placement: Ints, rng: np.random.Generator
    ) -> Routing: ...


def _one_turn(fabric: TileFabric, branches: Connectivity, placement: Ints, rng: np.random.Generator) -> Routing:
    return Routing(route_one_turn(fabric, branches, placement), "infeasible", merging=True)


def _negotiated(fabric: TileFabric, branches: Connectivity, placement: Ints, rng: np.random.Generator) -> Routing:
    """Route; if a short try fails, look for a cut, negotiate in full, price, and negotiate at another pace."""
    found = negotiate(fabric, branches, placement, effort=SHORT, rng=rng)
    if found.overuse == 0:
        return Routing(found.trees)
    cut = worst_tile(fabric, branches, placement, fabric.capacity)
    if not cut:
        rectangles = Rectangles.of(fabric, branches, placement)
        cut = rectangles.worst(fabric.capacity) if rectangles else None
    if cut:
        return Routing(found.trees, "infeasible", certificate=of_cut(fabric, cut))
    found = negotiate(fabric, branches, placement, rng=rng)
    if found.overuse == 0:
        return Routing(found.trees)
    bound = price_bound(fabric, branches, placement, fabric.capacity, found.price)
    if bound.ratio > 1:
        return Routing(found.trees, "infeasible", certificate=bound)
    for effort in PERSISTENT:  # neither routed nor refused: near the edge another pace of negotiation often decides
        if found.overuse > FEW + NEAR * found.trees.link.size:
            break
        again = negotiate(fabric, branches, placement, effort=effort, rng=rng)
        if again.overuse == 0:
            return Routing(again.trees)
        found = min(found, again, key=lambda one: one.overuse)
    return Routing(found.trees, "unknown", bound=bound)


ROUTERS: dict[str, Router] = {"one-turn": _one_turn, "negotiated": _negotiated}


@dataclass(frozen=True)
class Violation:
    """A port with more nets than channels."""

    where: str
    port: str
    load: int
    limit: int
    link: int


@dataclass(frozen=True, eq=False)
class Mapping:
    """Placement int32 [neurons] -> tile, trees, ``load`` int32 [links] and the verdict, relative to ``router`` and this placement.

    ``memory_devices`` is M of the smallest homogeneous chip that carries these loads, ``memory_devices_sized`` the same with each router at
    its own width (tile outputs as the chip has them in both), ``chip_memory_devices`` M of the given chip. ``certificate`` proves an
    `infeasible` of a router that searches, ``bound`` is what an `unknown` could show.
    """

    router: str
    placement: Ints
    trees: Trees
    load: Ints
    verdict: Verdict
    max_load: Table[str, int]
    violations: tuple[Violation, ...]
    memory_devices: int
    memory_devices_sized: int
    chip_memory_devices: int
    certificate: Certificate | None = None
    bound: Certificate | None = None

    def summary(self) -> dict[str, object]:
        """The figures of the mapping as plain values."""
        return {
            "verdict": self.verdict, "router": self.router, "max_load": dict(self.max_load),
            "violations": [asdict(v) for v in self.violations], "memory_devices": self.memory_devices,
            "memory_devices_sized": self.memory_devices_sized, "chip_memory_devices": self.chip_memory_devices,
            "certificate": self.certificate.summary() if self.certificate else None,
            "bound": self.bound.summary() if self.bound else None,
        }  # fmt: skip


def port_name(fabric: TileFabric, link: int) -> str:
    """The port that `TileFabric.link_name` blames for a link: "in west", "out north"."""
    port = int(fabric.link_port[link])
    return f"in {PORTS[OPPOSITE[port]]}" if fabric.link_class[link] == TILE_IN_LINK else f"out {PORTS[port]}"


def violations_of(fabric: TileFabric, load: Ints) -> tuple[Violation, ...]:
    """Ports with more nets than channels, worst first."""
    over = load - fabric.capacity
    worst = np.flatnonzero(over > 0)
    worst = worst[np.lexsort((worst, -over[worst]))]
    return tuple(
        Violation(fabric.link_name(at), port_name(fabric, at), int(load[at]), int(fabric.capacity[at]), at)
        for at in worst.tolist()
    )


def max_load(fabric: TileFabric, load: Ints) -> dict[str, int]:
    """Widest use of a router-to-router channel bundle and of a tile input."""
    return {
        name: int(load[fabric.link_class == kind].max(initial=0))
        for name, kind in (("router", ROUTER_LINK), ("tile_in", TILE_IN_LINK))
    }


def map_nets(
    fabric: TileFabric, nets: Nets, placement: Ints, *, router: str = "one-turn", rng: np.random.Generator | None = None
) -> Mapping:
    """Route nets under a placement neuron -> tile and check the result.

    Raises `UsageError` for an unknown router, `NetsError` for a placement that is no balanced permutation of the groups, and
    `TilewireError` if a router hands over trees that the independent check refuses.
    """
    if router not in ROUTERS:
        raise UsageError(unknown("router", router, ROUTERS))
    _same_size(fabric, nets, placement)
    routing = ROUTERS[router](fabric, nets.on_tiles(placement), placement, rng or np.random.default_rng(0))
    return checked(fabric, nets, placement, router, routing)


def _same_size(fabric: TileFabric, nets: Nets, placement: Ints) -> None:
    sides = (nets.branches.n_sources, nets.branches.n_targets)
    if sides != (fabric.n_neurons, fabric.n_tiles):
        raise NetsError(
            f"nets of {sides[0]} neurons and {sides[1]} groups on a chip of {fabric.n_neurons} neurons and {fabric.n_tiles} tiles"
        )
    if placement.shape != (fabric.n_neurons,) or placement.min() < 0 or placement.max() >= fabric.n_tiles:
        raise NetsError(
            f"placement {list(placement.shape)} does not give each of {fabric.n_neurons} neurons a tile of {fabric.n_tiles}"
        )


def checked(fabric: TileFabric, nets: Nets, placement: Ints, router: str, routing: Routing) -> Mapping:
    """The mapping of a routing, after the independent check."""
    trees = routing.trees
    check = check_mapping(fabric, nets.branches, nets.group, placement, trees.ptr, trees.link, merging=routing.merging)
    if not check.sound:
        wrong = [fault for fault in check.faults if fault.kind != "overload"]
        error = NetsError if all(fault.kind == "placement" for fault in wrong) else TilewireError
        raise error("; ".join(str(fault) for fault in wrong[:5]), where=f"check of router '{router}'")
    proof = routing.certificate
    if proof and not verify_certificate(fabric, nets.on_tiles(placement), placement, proof.weight, proof.counted):
        raise TilewireError("its certificate of infeasibility does not verify", where=f"check of router '{router}'")
    load = check.load
    width = fabric.widths_for(load)
    return Mapping(
        router=router, placement=placement, trees=trees, load=load, verdict="fits" if check.fits else routing.overload,
        max_load=max_load(fabric, load), violations=violations_of(fabric, load), memory_devices=fabric.memory(width).total,
        memory_devices_sized=fabric.memory(width, sized=True).total, chip_memory_devices=fabric.memory().total,
        certificate=proof, bound=routing.bound,
    )  # fmt: skip


def save_mapping(path: str | Path, mapping: Mapping, fabric: TileFabric, nets: Nets) -> None:
    """Write placement, port_use, tree_ptr, tree_hops and the nets (branches, group, rate) to an ``.npz``, atomically."""
    arrays: dict[str, NDArray[Any]] = {
        "placement": mapping.placement, "port_use": port_use(fabric, mapping.load), "tree_ptr": mapping.trees.ptr,
        "tree_hops": hops(fabric, mapping.trees), "group": nets.group,
        "branches": np.stack([nets.branches.source, nets.branches.target], axis=1),
    }  # fmt: skip
    write_arrays(Path(path), arrays if nets.rate is None else {**arrays, "rate": nets.rate})


def load_mapping(path: str | Path, fabric: TileFabric, *, router: str = "file") -> tuple[Mapping, Nets]:
    """Mapping and nets of a file, its trees checked again on this chip; a file that overloads it is `unknown` here.

    Raises `DataError` for a damaged file, `NetsError` for branches that do not belong to the chip or a placement that is none, and
    `TilewireError` for trees that the check refuses.
    """
    arrays = read_arrays(Path(path))
    missing = {"placement", "port_use", "tree_ptr", "tree_hops", "branches"} - arrays.keys()
    if missing:
        raise DataError(
            f"no array {', '.join(sorted(missing))}", where=str(path), hint="a file that `tilewire map` wrote"
        )
    nets = nets_of(arrays, fabric, str(path))
    placement = arrays["placement"]
    if placement.dtype.kind not in "iu":
        raise DataError(f"placement is {placement.dtype}, not integer", where=str(path))
    placement = placement.astype(np.int32)
    _same_size(fabric, nets, placement)
    trees = from_hops(fabric, arrays["tree_ptr"], arrays["tree_hops"])
    mapping = checked(fabric, nets, placement, router, Routing(trees, merging=True))
    if not np.array_equal(arrays["port_use"], port_use(fabric, mapping.load)):
        raise DataError("port_use does not count its own trees", where=str(path))
    return mapping, nets
