"""What a finished run is worth: mapping and verdict, accuracy under inference arithmetic, parameters, devices, baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import tilewire
from tilewire.cost.design_counts import counts_of_run, priced_run
from tilewire.data.baseline import linear_on_counts
from tilewire.data.record import EventPack, utterance_scores
from tilewire.hardware.description import fabric_hash
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.budgets import trees_of
from tilewire.mapping.needed import needed_memory
from tilewire.mapping.nets import Nets
from tilewire.mapping.nets_placement import place_nets
from tilewire.mapping.routing import Mapping, Routing, checked, map_nets, save_mapping
from tilewire.nn.inference import Inference, infer_network
from tilewire.streams import stream

if TYPE_CHECKING:
    from tilewire.parts import Parts

MAXIMISE, MINIMISE, REPORT = "maximise", "minimise", "report"


def objective(value: float | None, unit: str, sense: str, source: str) -> dict[str, Any]:
    """One objective as ``evaluation.json`` holds it; None is a figure that cannot be known, its source says why."""
    return {"value": value, "unit": unit, "sense": sense, "source": source}


def map_network(parts: Parts, rate: NDArray[np.float64]) -> tuple[Mapping, Nets]:
    """Place and route the trained branches as the recipe says; ``rate`` [neurons] in spikes per step.

    Trees that the budget held while training are taken as they are and checked; nothing is routed again. The same holds for a
    placement that was learned.
    """
    fabric, recipe, constrained = parts.fabric, parts.recipe, parts.trainer.constrained
    nets = Nets.of(parts.trainer.network.live_branches(), rate=rate)
    grown = trees_of(constrained.rewiring.state)
    placement = constrained.tile_of_group[nets.group]
    if grown is not None:
        return checked(fabric, nets, placement, recipe.router, Routing(grown)), nets
    rng = stream(recipe.seed, "mapping")
    if recipe.rewire.permute is None:
        placement = place_nets(fabric, nets, method=recipe.placement, rng=rng)
    return map_nets(fabric, nets, placement, router=recipe.router, rng=rng), nets


def score(parts: Parts, split: str, inference: Inference) -> tuple[float, NDArray[np.int64]]:
    """Accuracy per utterance and the confusion matrix [label, answer] of one split."""
    data = parts.data.splits[split]
    utterance = parts.utterance[split]
    scores = utterance_scores(inference.scores, utterance) if parts.recipe.data.fold > 1 else inference.scores
    label = _label_of(data, utterance)
    answer = scores.argmax(axis=1)
    confusion = np.zeros((len(parts.data.classes),) * 2, np.int64)
    np.add.at(confusion, (label, answer), 1)
    return float((answer == label).mean()), confusion


def _label_of(data: EventPack, utterance: NDArray[np.int64]) -> NDArray[np.int64]:
    label = np.zeros(int(utterance.max(initial=-1)) + 1, np.int64)
    label[utterance] = data.label
    return label


def evaluate(parts: Parts, folder: Path) -> dict[str, Any]:
    """Infer every split, map, check, simulate, price; writes ``mapping.npz``, ``activity.npz``; returns what ``evaluation.json`` holds."""
    network, data, fabric = parts.trainer.network, parts.data, parts.fabric
    tile = parts.trainer.constrained.tile_of_group
    inferred = {
        name: infer_network(network, parts.readout, pack, flips=name == "test") for name, pack in data.splits.items()
    }
    mapping, nets = map_network(parts, inferred["train"].rate)
    save_mapping(folder / "mapping.npz", mapping, fabric, nets)
    cost, priced = priced_run(counts_of_run(network, mapping, data.splits["test"], folder), fabric.technology)
    scored = {name: score(parts, name, inference) for name, inference in inferred.items()}
    memory = fabric.memory()
    accuracies = {name: value for name, (value, _) in scored.items()}
    return {
        "schema": 1,
        "tilewire": tilewire.__version__,
        "verdict": mapping.verdict,
        "data": {
            "name": data.name,
            "kind": data.kind,
            "digest": data.digest,
            "classes": list(data.classes),
            "channels": data.channels,
            "steps": data.steps,
            "samples": {name: len(np.unique(parts.utterance[name])) for name in data.splits},
        },
        "hardware": {
            "name": fabric.name,
            "family": fabric.family,
            "grid": list(fabric.grid),
            "neurons_per_tile": fabric.neurons_per_tile,
            "hash": fabric_hash(fabric),
        },
        "network": {
            "input_tiles": tile[network.roles.input_tiles].tolist(),
            "output_tiles": np.unique(tile[network.readout // fabric.neurons_per_tile]).tolist(),
        },
        "budget": parts.recipe.budget.model_dump(),
        "mapping": mapping.summary(),
        "memory": {"by_kind": memory.by_kind, "total": memory.total},
        "cost": cost,
        "objectives": objectives(parts, mapping, accuracies, inferred["test"])
        | priced
        | wiring_objectives(fabric, mapping, nets, parts.recipe.evaluate.sizing, parts.recipe.seed)
        | memristor_objectives(parts),
        "confusion": scored["test"][1].tolist(),
        "training": {"epochs": parts.recipe.train.epochs, "weights_sha256": parts.trainer.digest()},
        "seed": parts.recipe.seed,
    }


def objectives(
    parts: Parts, mapping: Mapping, accuracies: dict[str, float], test: Inference
) -> dict[str, dict[str, Any]]:
    """Every figure of a run with unit, sense and source. Parameters and devices are different things and stay apart."""
    network, fabric = parts.trainer.network, parts.fabric
    memory = fabric.memory()
    chip = f"device formula of family {fabric.family}, widths of the chip"
    baseline = linear_on_counts(parts.data, utterance=parts.utterance).accuracy["test"]
    outside = network.w_in.numel() if network.spec.inputs == "dense" else 0
    rows: dict[str, tuple[float | None, str, str, str]] = {
        f"{name}_accuracy": (value, "share", MAXIMISE, f"float64 inference, {name} split, per utterance")
        for name, value in accuracies.items()
    }
    rows |= {
        "linear_on_counts_accuracy": (
            baseline,
            "share",
            REPORT,
            "logistic regression on spike counts, same data, test split",
        ),
        "parameters": (network.parameters_used(), "synapses", MINIMISE, "count of trainable weights"),
        "branches": (len(network.live_branches()), "branches", MINIMISE, "count of live branches between tiles"),
        "memory_devices": (memory.total, "devices", MINIMISE, chip),
    }
    rows |= {f"memory_devices_{kind}": (count, "devices", REPORT, chip) for kind, count in memory.by_kind.items()}
    rows |= {
        "memory_devices_needed": (
            mapping.memory_devices, "devices", MINIMISE, "same formula, smallest homogeneous chip that carries these nets",
        ),
        "memory_devices_needed_sized_output": (
            fabric.memory(fabric.widths_for(mapping.load, tile_out_sized=True)).total,
            "devices", REPORT, "same formula, same nets, tile outputs as wide as they are used",
        ),
        "memory_devices_sized": (mapping.memory_devices_sized, "devices", REPORT, "same formula, each router at its own width"),
        "input_devices_outside_memory": (outside, "devices", REPORT, "dense input weights, which M does not count"),
        "spike_rate": (float(test.rate.mean()), "spikes per neuron and step", REPORT, "count over the test split"),
        "spike_flips": (test.flips, "spikes", REPORT, "float32 training arithmetic against float64 inference, test split"),
    }  # fmt: skip
    return {name: objective(*row) for name, row in rows.items()}


def wiring_objectives(
    fabric: TileFabric, mapping: Mapping, nets: Nets, sizing: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """Branches per hop class, and the devices that these nets need under every router of ``sizing``, whatever the chip's widths.

    Each once as published, all neurons of a tile wired to each of its sides, and once with tile outputs as wide as they carry lines.
    """
    tree = nets.on_tiles(mapping.placement)
    hop = fabric.hop_distance[mapping.placement[tree.source], tree.target]
    rows: dict[str, tuple[float | None, str, str, str]] = {
        f"branches_hop_class_{d}": (int((hop == d).sum()), "branches", REPORT, f"live branches that cross {d} routers")
        for d in fabric.hop_classes
    }
    for router in sizing:
        own = mapping.trees if mapping.router == "negotiated" else None
        rng = stream(seed, "sizing")
        needed = needed_memory(fabric, nets, mapping.placement, router, own=own, rng=rng)
        name, source = (
            router.replace("-", "_"),
            f"device formula, smallest homogeneous chip of these nets, {router} router",
        )
        rows[f"memory_devices_needed_{name}"] = (
            needed.wired_out,
            "devices",
            MINIMISE,
            f"{source}, all neurons wired out of a tile",
        )
        rows[f"memory_devices_needed_{name}_sized_output"] = (
            needed.sized_output, "devices", MINIMISE, f"{source}, tile outputs as wide as used"
        )  # fmt: skip
    return {name: objective(*row) for name, row in rows.items()}


def memristor_objectives(parts: Parts) -> dict[str, dict[str, Any]]:
    """Test accuracy on the recipe's memristors: without noise, and over several programmed chips (mean, standard deviation, worst)."""
    memristor, config = parts.memristor, parts.recipe.memristor
    if memristor is None or config is None:
        return {}

    def accuracy(rng: np.random.Generator | None) -> float:
        network, test = parts.trainer.network, parts.data.splits["test"]
        return score(parts, "test", infer_network(network, parts.readout, test, memristor=memristor, rng=rng))[0]

    chips = [accuracy(stream(parts.recipe.seed, "programming", draw)) for draw in range(config.draws)]
    spread = float(np.std(chips, ddof=1)) if len(chips) > 1 else None
    drawn = f"float64 inference, test split, {len(chips)} chips programmed with noise"
    still = "float64 inference, test split, weights clipped and quantised, no noise"
    rows: dict[str, tuple[float | None, str, str, str]] = {
        "test_accuracy_without_noise": (accuracy(None), "share", MAXIMISE, still),
        "test_accuracy_programmed": (float(np.mean(chips)), "share", MAXIMISE, f"mean of {drawn}"),
        "test_accuracy_programmed_sd": (spread, "share", REPORT, f"sample standard deviation of {drawn}"),
        "test_accuracy_programmed_worst": (min(chips), "share", REPORT, f"least of {drawn}"),
    }
    return {name: objective(*row) for name, row in rows.items()}
