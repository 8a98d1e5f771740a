"""Recipes of feed-forward networks: layers replaced by cascades of one topology, and the streaming accelerator they run on."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from tilewire import units
from tilewire.classify import FitConfig
from tilewire.compare.grid import TaskConfig
from tilewire.config import locate
from tilewire.errors import BudgetError, ConfigError, Fault
from tilewire.hardware.streaming import FIXED, StreamingAccelerator, Width, Wiring
from tilewire.mapping.streaming_network import StreamingNetwork, streaming_network
from tilewire.nn.initialise_sparse import LAWS
from tilewire.streams import stream
from tilewire.topology.at_depth import at_depth
from tilewire.topology.dense import FAMILY as DENSE
from tilewire.topology.stage import Topology
from tilewire.topology.table import budget_of, family
from tilewire.yamlfile import Record, read, validate, with_settings

KIND = "cascade"


def _clock(value: object) -> object:
    return units.parse(value, "frequency") if isinstance(value, str) else value


Clock = Annotated[float, BeforeValidator(_clock), Field(gt=0, le=1e12)]
"""Text with a unit, or a number in Hz as a stored recipe has it."""


class LayersConfig(Record):
    """Every hidden layer is the largest member of ``family`` with ``depth`` stages (0: any) and at most ``density`` of the dense
    weights.
    """

    family: str = "clos"
    density: float = Field(default=0.25, gt=0, le=1)
    depth: int = Field(default=0, ge=0)
    law: str = "auto"
    options: dict[str, int | float] = Field(default={})


class CascadeTrain(FitConfig):
    """As for comparisons, and the learning rate."""

    rate: float = Field(default=0.01, gt=0)


class AcceleratorConfig(Record):
    """What of the accelerator is chosen; memories, accumulators and index widths are the least that the network needs."""

    stages: int = Field(default=4, ge=1, le=4096)
    pes: int = Field(default=16, ge=1, le=4096)
    banks: int | None = Field(default=None, ge=1, le=4096, description="null: as many as PEs")
    switch: Literal["fixed", "butterfly", "benes", "crossbar", "mesh"] = "crossbar"
    weight_bits: Width = 8
    activation_bits: Width = 8
    buffers: Annotated[int, Field(ge=1, le=2)] = 2
    clock: Clock = 800e6


class CascadeRecipe(Record):
    """A whole run of a feed-forward network: data, layers, training, accelerator, technology."""

    kind: Literal["cascade"]
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    threads: int | None = Field(default=None, ge=1)
    task: TaskConfig = TaskConfig()
    layers: LayersConfig = LayersConfig()
    train: CascadeTrain = CascadeTrain()
    accelerator: AcceleratorConfig = AcceleratorConfig()
    technology: str = "streaming-45nm"


def is_cascade(name: str) -> bool:
    """Whether a recipe is of this kind; a file that cannot be read is not."""
    path = locate(name)
    document = read(path) if path.is_file() else None
    return isinstance(document, dict) and document.get("kind") == KIND


def load_cascade(name: str, settings: list[str]) -> CascadeRecipe:
    """A recipe of this kind with settings applied. Raises `ConfigError` with every fault."""
    path = locate(name)
    recipe = validate(with_settings(read(path), settings, str(path)), CascadeRecipe, str(path))
    faults = []
    known = family(recipe.layers.family).options
    faults += [
        Fault(str(path), "layers.options", f"unknown option '{one}'", ", ".join(known))
        for one in recipe.layers.options
        if one not in known
    ]
    if recipe.layers.law not in LAWS:
        faults.append(Fault(str(path), "layers.law", f"unknown law '{recipe.layers.law}'", ", ".join(LAWS)))
    faults += [Fault(str(path), "task.hidden", f"{width}", "at least 2") for width in recipe.task.hidden if width < 2]
    if faults:
        raise ConfigError(str(path), faults)
    return recipe


def wiring_of(recipe: CascadeRecipe, width: int, classes: int) -> tuple[Wiring, ...]:
    """Name, options and widths of every layer, the dense read-out last. Raises `BudgetError` if a layer has no such member."""
    ends, chosen = [width, *recipe.task.hidden], recipe.layers
    found = []
    for level, (a, b) in enumerate(pairwise(ends)):
        budget = budget_of(a, b, density=chosen.density)
        best = at_depth(chosen.family, a, b, budget, chosen.depth, stream(0, "plan"), **chosen.options)
        if best is None:
            depth = f"{chosen.depth} stages" if chosen.depth else "any depth"
            raise BudgetError(
                f"no {chosen.family} of {depth} joins {a} and {b} within {budget} weights",
                where=f"layer {level}", hint="another depth (0: any), a larger density, or another family",
            )  # fmt: skip
        seed = int(stream(recipe.seed, "topology", level).integers(2**31))
        found.append(Wiring(topology=chosen.family, inputs=a, outputs=b, options=dict(best.options), seed=seed))
    return (*found, Wiring(topology=DENSE.name, inputs=ends[-1], outputs=classes))


def topologies(wiring: tuple[Wiring, ...]) -> list[Topology]:
    """The layers that a wiring names."""
    return [
        family(one.topology)(one.inputs, one.outputs, np.random.default_rng(one.seed), **one.options) for one in wiring
    ]


def network_of(wiring: tuple[Wiring, ...]) -> StreamingNetwork:
    """The network as the accelerator sees it."""
    return streaming_network(topologies(wiring), name=wiring[0].topology)


def accelerator_of(recipe: CascadeRecipe, wiring: tuple[Wiring, ...]) -> StreamingAccelerator:
    """The accelerator before its memories are sized."""
    a = recipe.accelerator
    return StreamingAccelerator(
        stages=a.stages, pes=a.pes, banks=a.banks or a.pes, weight_bits=a.weight_bits, activation_bits=a.activation_bits,
        accumulator_bits=1, index_bits=0, clock_hz=a.clock, switch=a.switch, buffers=a.buffers,
        wiring=wiring if a.switch == FIXED else (), technology=recipe.technology, name="accelerator of the recipe",
    )  # fmt: skip


def plain_options(wiring: tuple[Wiring, ...]) -> list[dict[str, Any]]:
    """A wiring as files hold it."""
    return [one.model_dump() for one in wiring]
