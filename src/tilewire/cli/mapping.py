"""``tilewire check``, ``map``, ``size`` and ``partition``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewire.cli.output import NOT_FITS, OK, Json, emit, say, table
from tilewire.errors import UsageError

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


def _finish(fabric: TileFabric, nets: Nets, mapping: Mapping, json: bool, more: dict[str, Any]) -> None:
    from tilewire.mapping.explain import explain

    explanation = explain(fabric, nets, mapping)
    if json:
        emit(mapping.summary() | {"explanation": explanation.summary() if explanation else None} | more)
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
        if explanation:
            say(str(explanation))
        if mapping.certificate is not None:
            say(f"proof: {mapping.certificate.where}")
    raise typer.Exit(OK if mapping.verdict == "fits" else NOT_FITS)


def check(
    nets: NetsFile,
    hardware: Hardware,
    router: RouterOption = Router.one_turn,
    placement: PlacementOption = Placement.by_index,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Does it fit? Which port broke, by how much, what would fix it?"""
    fabric, loaded, mapping = _mapped(nets, hardware, router, placement, seed)
    _finish(fabric, loaded, mapping, json, {})


def map_verb(
    nets: NetsFile,
    hardware: Hardware,
    router: RouterOption = Router.one_turn,
    placement: PlacementOption = Placement.by_index,
    out: Annotated[Path | None, typer.Option("--out", help="Write the mapping (.npz).")] = None,
    tables: Annotated[Path | None, typer.Option("--tables", help="Write routing tables (.csv or .json).")] = None,
    graph: Annotated[Path | None, typer.Option("--graph", help="Write the loaded fabric as GraphML.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Place, route and check."""
    from tilewire.interchange.graphml import write_graphml
    from tilewire.interchange.tables import write_tables
    from tilewire.mapping.routing import save_mapping

    fabric, loaded, mapping = _mapped(nets, hardware, router, placement, seed)
    if out is not None:
        save_mapping(out, mapping, fabric, loaded)
    if tables is not None:
        write_tables(tables, fabric, mapping)
    if graph is not None:
        write_graphml(graph, fabric, mapping)
    files = {"file": out, "tables": tables, "graph": graph}
    _finish(fabric, loaded, mapping, json, {name: str(path) for name, path in files.items() if path})


def size(
    nets: NetsFile,
    hardware: Hardware,
    router: RouterOption = Router.one_turn,
    placement: PlacementOption = Placement.by_index,
    tile_out: Annotated[
        str, typer.Option("--tile-out", help="chip: as the chip has them; sized: as the nets need.")
    ] = "chip",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Smallest channel widths that route these nets, with the proven lower bound."""
    from dataclasses import asdict

    from tilewire.hardware.description import load_hardware
    from tilewire.mapping.negotiated_sizing import size_nets
    from tilewire.mapping.nets import load_nets
    from tilewire.mapping.nets_placement import place_nets
    from tilewire.streams import stream

    if tile_out not in ("chip", "sized"):
        raise UsageError(f"--tile-out '{tile_out}'", hint="chip or sized")
    fabric = load_hardware(hardware)
    loaded = load_nets(nets, fabric, rng=stream(seed, "partition"))
    rng = stream(seed, "mapping")
    tile_of = place_nets(fabric, loaded, method=placement.value, rng=rng)
    found = size_nets(fabric, loaded, tile_of, router=router.value, tile_out_sized=tile_out == "sized", rng=rng)
    if json:
        return emit({key: value for key, value in asdict(found).items() if value is not None})
    rows = [
        ("router", found.router, found.lower_bound["router"]),
        ("tile_in", found.tile_in, found.lower_bound["tile_in"]),
        *((f"  {side}", width, None) for side, width in (found.tile_in_sides or {}).items()),
        ("tile_out", found.tile_out, None),
        ("devices", found.memory_devices, found.lower_bound["memory_devices"]),
    ]
    return table(f"Smallest widths, {router.value}", ("port", "width", "proven lower bound"), rows)


def partition(
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="Square matrix .csv/.npz/.mtx, or hMETIS .hgr.")],
    parts: Annotated[int, typer.Option("--parts", help="Parts of equal size (up to one neuron).")],
    prove: Annotated[bool, typer.Option("--prove", help="Search for a proof that no smaller cut exists.")] = False,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Time limit; default 5, with --prove 300.")] = None,
    objective: Annotated[
        str, typer.Option("--objective", help="cut: synapses between parts; tiles: parts each net touches.")
    ] = "cut",
    out: Annotated[Path | None, typer.Option("--out", help="Write the partition and its certificate (.json).")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Balanced split, best cut, optional proof."""
    from json import dumps

    from tilewire.checkpoint import replace_file
    from tilewire.mapping.matrix import read_matrix
    from tilewire.mapping.partition import split
    from tilewire.streams import stream

    found = split(
        read_matrix(matrix), parts, seconds=seconds, rng=stream(seed, "partition"), objective=objective, prove=prove
    )
    content = {
        "cut": found.cut,
        "parts": found.parts.tolist(),
        "status": found.status,
        "proof": found.proof,
        "lower_bound": found.lower_bound,
        "objective": found.objective,
        "cost": found.cost,
        "notes": list(found.notes),
    }
    if out is not None:
        replace_file(out, (dumps(content | {"certificate": found.certificate}) + "\n").encode())
    if json:
        return emit(content)
    rows = [(key, content[key]) for key in ("cut", "lower_bound", "status", "proof", "objective", "cost")]
    table(f"{found.parts.size} neurons in {parts} parts", ("figure", "value"), rows)
    return say("\n".join(found.notes))
