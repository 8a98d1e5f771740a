"""What ``tilewire hw`` shows and writes for streaming accelerators."""

from __future__ import annotations

from typing import Any

from tilewire.cli.output import emit, say, table


def summary(accelerator: Any) -> dict[str, Any]:
    """The figures of an accelerator."""
    from dataclasses import asdict

    figures = asdict(accelerator)
    figures["wiring"] = [wiring.model_dump() for wiring in accelerator.wiring]
    return {"family": accelerator.family} | figures | {"memory_bits": accelerator.memory_bits}


def show(accelerator: Any, name: str, json: bool) -> None:
    """Arrays, PEs, banks, widths and memory."""
    if json:
        return emit(summary(accelerator))
    a = accelerator
    shared = ", time-shared by deeper networks" if a.time_shared else ""
    say(f"{a.name or name}: {a.family}, {a.stages} arrays of {a.pes} PEs and {a.banks} banks{shared}")
    say(f"switch {a.switch}, {a.buffers} buffers, clock {a.clock_hz / 1e6:g} MHz")
    table(
        "Bits",
        ("word", "bits"),
        [(key, getattr(a, f"{key}_bits")) for key in ("weight", "activation", "accumulator", "index")],
    )
    rows = [
        ("weights", "PE", a.weight_memory_bits),
        ("indices", "PE", a.index_memory_bits),
        ("accumulators", "PE and buffer", a.accumulators * a.accumulator_bits),
        ("activations", "bank and buffer", a.activation_memory_bits),
        ("switch settings", "array", a.route_memory_bits),
        ("all", "accelerator", a.memory_bits),
    ]
    return table("Memory", ("of", "per", "bits"), rows)


def template(name: str) -> str:
    """Text of a new description."""
    from tilewire.hardware.streaming import TEMPLATE

    return TEMPLATE.format(name=name)
