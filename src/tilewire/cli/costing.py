"""``tilewire cost``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewire.cli.output import Json, emit, figure, say, table
from tilewire.errors import RunError, UsageError, unknown

if TYPE_CHECKING:
    from tilewire.cost.objective import Objective
    from tilewire.hardware.fabric import TileFabric
    from tilewire.hardware.technology import Technology

SHOWN = ("value", "unit", "sense", "source")


def cost(
    design: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a mapping .npz with --hardware.")],
    hardware: Annotated[str | None, typer.Option("--hardware", help="Chip of a mapping: a file or a preset.")] = None,
    technology: Annotated[
        str | None, typer.Option("--technology", help="A technology by name or file; default the chip's own.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Time steps of an inference (mapping).")] = None,
    weight_bits: Annotated[
        int | None, typer.Option("--weight-bits", min=1, help="Bits of a stored weight; default 32, as evaluated.")
    ] = None,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="NAME", help="Formula, counts, constants, sources of one.")
    ] = None,
    json: Json = False,
) -> None:
    """Objectives of a run or a mapping under a technology, with bands; a missing constant is named, never guessed."""
    from tilewire.hardware.technology_file import load_technology

    found = _of_run(design, weight_bits) if design.is_dir() else _of_mapping(design, hardware, steps, weight_bits)
    known = load_technology(technology) if technology else found.technology
    priced = found.price(found.counts, known)
    told = {name: entry for name, entry in found.told.items() if name not in priced}
    if explain is not None:
        return _explain(explain, priced, told, known, json)
    if json:
        return emit(_summary(known, found.counts, priced, told))
    return _show(known, priced, told)


@dataclass(frozen=True)
class _Design:
    """Counts of a design, how they are priced, its own technology, and figures that were told along with them."""

    counts: dict[str, Any]
    price: Callable[[dict[str, Any], Technology], dict[str, Objective]]
    technology: Technology
    told: dict[str, Any]


def _of_run(folder: Path, weight_bits: int | None) -> _Design:
    from tilewire.cost.design_counts import counts_of_mapping, stored_counts
    from tilewire.mapping.routing import load_mapping
    from tilewire.report.run_folder import at, read_run

    run = read_run(folder)
    entries = at(run.evaluation, "objectives")
    told = {n: e for n, e in entries.items() if isinstance(e, Mapping)} if isinstance(entries, Mapping) else {}
    if at(run.evaluation, "kind") == "cascade":
        return _of_cascade(folder, told, at(run.config, "technology"), weight_bits)
    if run.fabric is None:
        raise RunError("; ".join(run.notes), where=str(folder), hint="the folder that `tilewire run` wrote")
    counts = stored_counts(run.evaluation)
    if not counts:  # a run that was never simulated: its trees and rates are there all the same
        steps = at(run.evaluation, "data", "steps")
        mapping, nets = load_mapping(folder / "mapping.npz", run.fabric)
        counts = counts_of_mapping(run.fabric, mapping, nets, steps=steps if isinstance(steps, int) else None)
    return _on_tiles(run.fabric, counts, told, weight_bits)


def _on_tiles(fabric: TileFabric, counts: dict[str, Any], told: dict[str, Any], weight_bits: int | None) -> _Design:
    from tilewire.cost.activity import chip_counts
    from tilewire.cost.table import NOTHING, price_design

    chip = chip_counts(fabric, weight_bits) if weight_bits is not None else {}
    return _Design(counts | chip, price_design, fabric.technology or NOTHING, told)


def _of_cascade(folder: Path, told: dict[str, Any], technology: object, weight_bits: int | None) -> _Design:
    """A network on a streaming accelerator: its objectives hold the counts that they were priced from."""
    from tilewire.cost import streaming
    from tilewire.cost.design_counts import stored_counts
    from tilewire.cost.objective import objective
    from tilewire.hardware.technology_file import load_technology

    if weight_bits is not None:
        raise UsageError(
            "the bits of a weight belong to an accelerator", hint="--set accelerator.weight_bits=8 of a run"
        )
    counts: dict[str, Any] = {}
    for entry in told.values():
        counts |= stored_counts({"cost": {"counts": entry.get("counts")}})
    known = load_technology(technology if isinstance(technology, str) else streaming.TECHNOLOGY, beside=folder)
    return _Design(
        counts, lambda n, at: {name: objective(p, n, at) for name, p in streaming.PRICES.items()}, known, told
    )


def _of_mapping(path: Path, hardware: str | None, steps: int | None, weight_bits: int | None) -> _Design:
    from tilewire.cost.design_counts import counts_of_mapping
    from tilewire.hardware.description import load_hardware
    from tilewire.mapping.routing import load_mapping

    if hardware is None:
        raise UsageError("a mapping needs its chip", where=str(path), hint="--hardware chip.yaml, or a run folder")
    fabric = load_hardware(hardware)
    mapping, nets = load_mapping(path, fabric)
    return _on_tiles(fabric, counts_of_mapping(fabric, mapping, nets, steps=steps), {}, weight_bits)


def _summary(
    known: Technology, counts: Mapping[str, Any], priced: Mapping[str, Objective], told: Mapping[str, Any]
) -> dict[str, Any]:
    from tilewire.cost.design_counts import cost_rows

    about = replace(known, constants={})
    technology = {key: value for key, value in vars(about).items() if key != "constants"}
    return {"technology": technology, "counts": dict(counts), "objectives": dict(told) | cost_rows(priced, known.name)}


def _explain(
    name: str, priced: Mapping[str, Objective], told: Mapping[str, Any], known: Technology, json: bool
) -> None:
    if name not in priced:
        if name not in told:
            raise UsageError(unknown("objective", name, [*priced, *told]))
        entry = {key: told[name].get(key) for key in SHOWN}
        if json:
            return emit({"name": name} | entry)
        return say(f"{name} = {figure(entry['value'])} {entry['unit']}\n  {entry['source']}")
    one = priced[name]
    if json:
        return emit(one.summary() | {"technology": known.name})
    band = "" if one.low is None else f"   band {figure(one.low)} .. {figure(one.high)}"
    say(f"{name} = {figure(one.value)} {one.unit}{band}   ({one.sense}, technology {known.name})")
    say(f"formula: {one.formula}")
    if one.counts:
        table("counts", ("count", "value"), one.counts.items())
    if one.constants:
        rows = [(c.name, c.value, c.low, c.high, c.source) for c in one.constants]
        table("constants, SI", ("constant", "value", "low", "high", "source"), rows)
    if one.missing:
        say(f"missing: {', '.join(one.missing)}")
    return say(f"note: {known.note}") if known.note else None


def _show(known: Technology, priced: Mapping[str, Objective], told: Mapping[str, Any]) -> None:
    rows: list[tuple[object, ...]] = [(n, e.get("value"), None, None, e.get("unit")) for n, e in told.items()]
    rows += [(name, one.value, one.low, one.high, one.unit) for name, one in priced.items()]
    table(f"technology {known.name}", ("objective", "value", "low", "high", "unit"), rows)
    missing = list(dict.fromkeys(item for one in priced.values() for item in one.missing))
    if missing:
        say(f"missing: {', '.join(missing)}")
    if known.note:
        say(f"note: {known.note}")
