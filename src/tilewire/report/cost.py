"""What the run costs on its chip: energy by component, figures with their bands, and what is not known."""

from __future__ import annotations

from tilewire.report.bar import share_bar
from tilewire.report.markup import Markup, card, figure, join, table, tag
from tilewire.report.run_folder import RunFolder, at
from tilewire.report.scale import number, prefixed, shown

ENERGY = ("routing", "synapses", "neurons", "static")
AREA = ("memory", "routers", "neurons")
COUNTED = (
    "steps_per_inference",
    "spikes_per_inference",
    "hops_per_inference",
    "synaptic_operations_per_inference",
    "memory_bits",
)
PRICED = (
    "latency_s",
    "throughput_per_s",
    "energy_j",
    "energy_per_operation_j",
    "power_w",
    "static_power_w",
    "area_mm2",
)


def cost_card(run: RunFolder) -> list[Markup]:
    """The card of a run that was simulated and priced; empty for other runs."""
    technology = at(run.evaluation, "cost", "technology")
    if not isinstance(technology, str):
        return []
    rows = [_row(run, name) for name in (*COUNTED, *PRICED) if at(run.evaluation, "objectives", name) is not None]
    columns = ("figure", "value", "low", "high")
    note = join([f"Technology {technology}. ", str(at(run.evaluation, "cost", "note") or "")])
    bars = [
        _split(run, "energy_{}_j", ENERGY, "J", "Energy by component"),
        _split(run, "area_{}_mm2", AREA, "mm2", "Area by component"),
    ]
    return [card("Cost", table(columns, rows, (1, 2, 3), "objectives"), *bars, _missing(run), note=note)]


def _figure(value: object, unit: object) -> str:
    """Seconds, joules and watts with a prefix; other units after the figure."""
    if number(value) is None or unit in ("", None):
        return shown(value)
    return prefixed(value, str(unit)) if unit in ("s", "J", "W") else f"{shown(value)} {unit}"


def _row(run: RunFolder, name: str) -> tuple[object, ...]:
    entry = at(run.evaluation, "objectives", name)
    value, low, high, unit = (at(entry, key) for key in ("value", "low", "high", "unit"))
    exact = low == value == high
    return tag("code", name), _figure(value, unit), *("" if exact else _figure(end, unit) for end in (low, high))


def _split(run: RunFolder, name: str, parts: tuple[str, ...], unit: str, title: str) -> Markup:
    """Bar of the components, only if all of them are known."""
    found = [(part, number(at(run.evaluation, "objectives", name.format(part), "value"))) for part in parts]
    known = [(part, value) for part, value in found if value is not None and value >= 0]
    return figure(title, share_bar(known, unit, title)) if len(known) == len(parts) else Markup()


def _missing(run: RunFolder) -> Markup:
    """Objectives that are null, by what they lack."""
    lacks: dict[tuple[str, ...], list[str]] = {}
    for name in PRICED:
        missing = at(run.evaluation, "objectives", name, "missing")
        if isinstance(missing, list) and missing:
            lacks.setdefault(tuple(str(item) for item in missing), []).append(name)
    listed = (tag("li", f"{', '.join(names)}: {', '.join(items)}") for items, names in lacks.items())
    heading = tag("p", "Not known, because the technology does not state:", class_="label")
    return join([heading, tag("ul", *listed, class_="missing")]) if lacks else Markup()
