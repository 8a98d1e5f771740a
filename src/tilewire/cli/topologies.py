"""``tilewire rank`` and ``tilewire sparsify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewire.cli.output import Json, emit, log, table
from tilewire.errors import UsageError

if TYPE_CHECKING:
    from tilewire.nn.rank import Design

Inputs = Annotated[int, typer.Option("--inputs", help="Width of the input.")]
Outputs = Annotated[int, typer.Option("--outputs", help="Width of the output.")]


def rank(
    inputs: Inputs,
    outputs: Outputs,
    budget: Annotated[int | None, typer.Option("--budget", help="Most weights.")] = None,
    density: Annotated[float | None, typer.Option("--density", help="Budget as a share of the dense layer.")] = None,
    topology: Annotated[list[str] | None, typer.Option("--topology", help="Only this family; may be repeated.")] = None,
    law: Annotated[str, typer.Option("--law", help="Initial law: auto, variance, rescaled.")] = "auto",
    hardware: Annotated[str | None, typer.Option("--hardware", help="Chip to count branches between tiles on.")] = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    top: Annotated[int, typer.Option("--top", help="Designs to show.", min=1)] = 10,
    json: Json = False,
) -> None:
    """Search topologies under a budget of weights, without data: depths, radices, branches, skips; the best design first."""
    from tilewire.hardware.description import load_hardware
    from tilewire.nn.rank import rank as search
    from tilewire.topology.table import budget_of, family

    weights = budget_of(inputs, outputs, budget=budget, density=density)
    names = [family(name).name for name in topology] if topology else None
    fabric = load_hardware(hardware) if hardware else None
    designs = search(inputs, outputs, weights, seed=seed, law=law, families=names, fabric=fabric)
    if json:
        shown = [_content(design) for design in designs[:top]]
        emit({"inputs": inputs, "outputs": outputs, "budget": weights, "law": law, "best": shown[0], "designs": shown})
        return
    head = ("topology", "options", "weights", "depth", "score", "isometry", "reach", "controllable", "index bits")
    table(f"{len(designs)} designs within {weights:,} weights", head, [_row(design) for design in designs[:top]])
    log("scores are computed at the initial weights, without data; their order is a heuristic")


def _content(design: Design) -> dict[str, Any]:
    one = design.topology
    return {
        "topology": one.name, "options": dict(one.options), "description": one.description, "weights": one.weights,
        "depth": one.depth, "branches": len(one.branches), "density": one.density,
        "storage_bytes": one.storage_bytes(), "composite": design.composite, "scores": design.scores,
    }  # fmt: skip


def _row(design: Design) -> tuple[object, ...]:
    one, scores = design.topology, design.scores
    options = " ".join(f"{key}={value:g}" for key, value in one.options)
    freedom = int(scores["controllability"] or 0)
    return (
        one.name,
        options,
        one.weights,
        one.depth,
        design.composite,
        scores["isometry"],
        scores["reach"],
        freedom,
        one.index_bits,
    )


def sparsify(
    layers: Annotated[str, typer.Argument(metavar="LAYERS", help="Widths of the dense layers, such as 784-256-10.")],
    density: Annotated[float, typer.Option("--density", help="Share of the dense weights to keep in each layer.")],
    topology: Annotated[str, typer.Option("--topology", help="Family of the layers.")] = "monarch",
    seed: Annotated[int, typer.Option("--seed")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the initial weights, folded, as safetensors.")
    ] = None,
    json: Json = False,
) -> None:
    """Replace the dense layers of a network given by its widths; the same call takes any module in Python (`tilewire.nn.convert`)."""
    widths = _widths(layers)
    from torch import nn

    from tilewire.nn.convert import fold
    from tilewire.nn.convert import sparsify as convert

    model = nn.Sequential(*(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)))  # noqa: RUF007 - names the layers
    done = convert(model, topology=topology, density=density, seed=seed)
    if out is not None:
        from safetensors.torch import save_file

        save_file({name: value.contiguous() for name, value in fold(done.model).state_dict().items()}, str(out))
    if json:
        emit(
            {
                "layers": [vars(layer) for layer in done.layers],
                "density": done.density,
                "out": str(out) if out else None,
            }
        )
        return
    rows = [
        (
            layer.layer,
            layer.inputs,
            layer.outputs,
            layer.weights_before,
            layer.weights,
            layer.index_bits,
            layer.topology or layer.reason,
        )
        for layer in done.layers
    ]
    table(
        f"density {done.density:.4g}",
        ("layer", "inputs", "outputs", "before", "weights", "index bits", "topology"),
        rows,
    )


def _widths(layers: str) -> list[int]:
    parts = layers.split("-")
    if len(parts) < 2 or not all(
        part.isascii() and part.isdigit() and len(part) < 8 and int(part) > 0 for part in parts
    ):
        raise UsageError(f"'{layers}' is no list of widths", hint="two or more positive integers, such as 784-256-10")
    return [int(part) for part in parts]
