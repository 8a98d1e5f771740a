"""What a recipe builds before the first step: chip, data, network, budget, trainer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from tilewire.config import Recipe, hardware_of
from tilewire.data.record import EventPack, SpikeData
from tilewire.errors import ConfigError, DataError, Fault, nearest
from tilewire.hardware.fabric import TileFabric
from tilewire.kernels import dispatch
from tilewire.kernels.lif import Lif
from tilewire.mapping.budget import Budget
from tilewire.mapping.budgets import BUDGETS, build_budget, build_placed
from tilewire.mapping.count_budget import Count
from tilewire.mapping.placement import PLACERS
from tilewire.mapping.routing import ROUTERS
from tilewire.nn.initialise import INITIAL_LAWS
from tilewire.nn.memristor import Memristor
from tilewire.nn.readout import CountReadout, LeakyReadout, Readout
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.compress import Compression
from tilewire.rewire.constrained import Constrained
from tilewire.rewire.drop import DROP_RULES, build_drop
from tilewire.rewire.grow import ByGradient
from tilewire.rewire.hop_penalty import HopPenalty
from tilewire.rewire.learned_split import LearnedSplit, split_parts
from tilewire.rewire.permute import permutation_of
from tilewire.streams import stream
from tilewire.train import Trainer


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything a recipe builds before the first step."""

    recipe: Recipe
    fabric: TileFabric
    data: SpikeData
    utterance: dict[str, NDArray[np.int64]]
    trainer: Trainer
    readout: Readout
    memristor: Memristor | None = None


Prepared = tuple[SpikeData, dict[str, NDArray[np.int64]]]
"""Data as the network sees it, and per split the utterance of each sample."""


def prepare_data(recipe: Recipe) -> Prepared:
    """Data as the network sees it, and per split the utterance that each sample belongs to (k-fold channels share one)."""
    from tilewire.data.catalogue import load

    config = recipe.data
    data = load(config.name, root=config.root, seed=config.seed, **config.options)
    splits: dict[str, EventPack] = {}
    utterance: dict[str, NDArray[np.int64]] = {}
    for name, pack in data.splits.items():
        limit = config.limit_of(name)
        part = (pack.take(np.arange(min(limit, len(pack)))) if limit else pack).rebin(config.rebin)
        utterance[name] = np.arange(len(part))
        if config.fold > 1:
            part, utterance[name] = part.fold_channels(config.fold)
        splits[name] = part
    empty = [name for name, part in splits.items() if not len(part)]
    if empty:
        raise DataError(f"data set '{data.name}': no samples in {', '.join(empty)}")
    return SpikeData(data.name, data.kind, data.digest, data.classes, splits), utterance


def build_readout(recipe: Recipe, classes: int) -> Readout:
    """The readout that a recipe asks for."""
    config = recipe.network.readout
    if config.kind == "counts":
        return CountReadout(classes, config.per_class, config.scale)
    return LeakyReadout(classes, config.per_class, config.scale, config.tau)


def name_faults(recipe: Recipe) -> list[Fault]:
    """Names that their tables lack, known before anything is loaded: a name that fails after hours of training is a bug."""
    asked: tuple[tuple[str, str | None, Iterable[str]], ...] = (
        ("placement", recipe.placement, PLACERS),
        ("router", recipe.router, ROUTERS),
        ("budget.kind", recipe.budget.kind, BUDGETS),
        ("rewire.rule", recipe.rewire.rule, DROP_RULES),
        ("kernel", recipe.kernel, dispatch.TIERS),
    )
    return [
        Fault("recipe", key, f"unknown name '{name}'", ", ".join(sorted(table)), nearest(name, table))
        for key, name, table in asked
        if name is not None and name not in table
    ]


def build(recipe: Recipe, fabric: TileFabric | None = None, data: Prepared | None = None) -> Parts:
    """Load, check and construct; nothing is written. Raises the named error of whatever does not go together."""
    faults = name_faults(recipe)
    if faults:
        raise ConfigError("the recipe", faults)
    fabric = fabric or hardware_of(recipe)
    spikes, utterance = data or prepare_data(recipe)
    network_config, rewire = recipe.network, recipe.rewire
    neuron = network_config.neuron
    lif = Lif(math.exp(-1 / neuron.tau), neuron.threshold, neuron.slope, neuron.reset_gradient)
    outputs = len(spikes.classes) * network_config.readout.per_class
    spec = TiledSpec(
        spikes.channels, outputs, network_config.inputs, network_config.input_tiles, network_config.output_tiles
    )
    group_of = (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)
    options = recipe.budget.model_dump() | {"router": recipe.router, "movable": rewire.split is not None}
    budget = (build_placed if rewire.permute else build_budget)(recipe.budget.kind, fabric, group_of, options)
    law = INITIAL_LAWS["above-threshold"](rewire.threshold, rewire.alpha)
    compression = _compression(recipe, fabric, budget, group_of)
    start = compression.dense if compression else budget
    network = TiledRSNN(fabric, spec, lif, start.branches(), law, stream(recipe.seed, "weights"))
    network.tier = recipe.kernel
    device = recipe.memristor
    memristor = Memristor(**device.model_dump(exclude={"aware", "draws"})) if device else None
    network.memristor = memristor if device and device.aware else None
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.train.lr)
    horizon = (recipe.train.epochs - 1) // rewire.every if rewire.every else None
    others = {"every", "alpha", "grow", "explore", "newborn", "split", "permute"}
    drop = build_drop(horizon=horizon, **rewire.model_dump(exclude=others))
    split = LearnedSplit(**rewire.split.model_dump(exclude={"until"})) if rewire.split else None
    newborn = rewire.newborn or ("tiny" if rewire.rule in ("set", "rigl") else "above-threshold")
    born = INITIAL_LAWS[newborn](rewire.threshold, rewire.alpha)
    constrained = Constrained(network, optimiser, start, drop, law, recipe.seed, split, born)
    if split:
        split_parts(constrained.rewiring.state)  # an error now, not after an epoch
    readout = build_readout(recipe, len(spikes.classes))
    by_gradient = (rewire.grow or ("gradient" if rewire.rule == "rigl" else "uniform")) == "gradient"
    grow = partial(ByGradient, explore=rewire.explore) if by_gradient else None
    trainer = Trainer(
        recipe.train, constrained, readout, spikes.splits["train"], rewire.every, recipe.seed, grow, compression
    )
    trainer.split_epochs = int(rewire.split.until * recipe.train.epochs) if rewire.split else 0
    if rewire.permute:
        options = rewire.permute.model_dump(exclude={"every"})
        trainer.permutation = rewire.permute.every, permutation_of(network.roles, fabric, **options)
    return Parts(recipe, fabric, spikes, utterance, trainer, readout, memristor)


def _compression(recipe: Recipe, fabric: TileFabric, budget: Budget, group_of: NDArray[np.int32]) -> Compression | None:
    config = recipe.compress
    if config is None:
        return None
    penalty = HopPenalty(config.penalty, config.beta, config.hop) if config.penalty else None
    return Compression(config.after, Count(group_of, fabric.n_tiles), budget, penalty)
