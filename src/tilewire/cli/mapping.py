"""``tilewire check``, ``map``, ``size`` and ``partition``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewire.cli.output import NOT_FITS, OK, Json, emit, say, table

if TYPE_CHECKING:
    from tilewire.hardware.fabric import TileFabric
    from tilewire.mapping.nets import Nets
    from tilewire.mapping.routing import Mapping

NetsFile = Annotated[
    Path, typer.Argument(metavar="NETS", help="Nets .npz, a run folder, or a square matrix .csv/.npz/.mtx.")
]
Hardware = Annotated[str, typer.Argument(metavar="HARDWARE", help="A hardware file, or the name of a preset.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of partition, placement and routing.")]


class Router(StrEnum):
    """Router modes."""

    one_turn = "one-turn"
    negotiated = "negotiated"


class Placement(StrEnum):
    """Placement modes."""

    by_index = "by-index"
    anneal = "anneal"


RouterOption = Annotated[
    Router, typer.Option("--router", help="one-turn: the published fixed path; negotiated: multicast search.")
]
PlacementOption = Annotated[Placement, typer.Option("--placement", help="by-index: group t on tile t; anneal: search.")]


def _mapped(
    nets: Path, hardware: str, router: Router, placement: Placement, seed: int
) -> tuple[TileFabric, Nets, Mapping]:
    from tilewire.hardware.description import load_hardware
    from tilewire.mapping.nets import load_nets
    from tilewire.mapping.nets_placement import place_nets
    from tilewire.mapping.routing import map_nets
    from tilewire.streams import stream

    fabric = load_hardware(hardware)
    loaded = load_nets(nets, fabric, rng=stream(seed, "partition"))
    rng = stream(seed, "mapping")
    tile_of = place_nets(fabric, loaded, method=placement.value, rng=rng)
    return fabric, loaded, map_nets(fabric, loaded, tile_of, router=router.value, rng=rng)


def _finish(mapping: Mapping, json: bool, more: dict[str, Any]) -> None:
    content = mapping.summary() | more
    if json:
        emit(content)
    else:
        say(f"verdict: {mapping.verdict}")
        rows = [
            ("widest router port", mapping.max_load["router"]),
            ("widest tile input", mapping.max_load["tile_in"]),
            ("devices these nets need", mapping.memory_devices),
            ("  each router at its own width", mapping.memory_devices_sized),
            ("devices of the chip", mapping.chip_memory_devices),
        ]
        table("", ("figure", "value"), rows)
        if mapping.violations:
            head = ("port", "nets", "channels")
            table("Overloaded ports, worst first", head, [(v.where, v.load, v.limit) for v in mapping.violations[:10]])
    raise typer.Exit(OK if mapping.verdict == "fits" else NOT_FITS)


def check(
    nets: NetsFile,
    hardware: Hardware,
    router: RouterOption = Router.one_turn,
    placement: PlacementOption = Placement.by_index,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Does it fit? Which port broke, by how much?"""
    _, _, mapping = _mapped(nets, hardware, router, placement, seed)
    _finish(mapping, json, {})


def map_verb(
    nets: NetsFile,
    hardware: Hardware,
    router: RouterOption = Router.one_turn,
    placement: PlacementOption = Placement.by_index,
    out: Annotated[Path | None, typer.Option("--out", help="Write the mapping (.npz).")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Place, route and check."""
    from tilewire.mapping.routing import save_mapping

    fabric, loaded, mapping = _mapped(nets, hardware, router, placement, seed)
    if out is not None:
        save_mapping(out, mapping, fabric, loaded)
    _finish(mapping, json, {"file": str(out)} if out else {})
