"""A run of a feed-forward network: train -> quantise -> fit on the accelerator -> price, one folder.

A training takes seconds, so an interrupted one begins anew; what is written is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import numpy as safetensors
from torch import Tensor, nn

import tilewire
from tilewire import checkpoint
from tilewire.cascade_recipe import CascadeRecipe, accelerator_of, network_of, plain_options, topologies, wiring_of
from tilewire.classify import accuracy, fit
from tilewire.config import dump
from tilewire.cost.streaming import clock_violations, objectives
from tilewire.data.arrays import ArrayData
from tilewire.errors import HardwareError, RunError
from tilewire.hardware.technology_file import load_technology
from tilewire.kernels import dispatch
from tilewire.mapping import streaming
from tilewire.nn.ensemble import Ensemble, draw_values, readout_weights
from tilewire.streams import stream

SPLITS = ("train", "validation", "test")
_BITS = 1 << 40
PLENTY = {
    "accumulator_bits": 128, "index_bits": 64, "accumulators": 1 << 20, "weight_memory_bits": _BITS, "index_memory_bits": _BITS,
    "activation_memory_bits": _BITS, "route_memory_bits": _BITS,
}  # fmt: skip


def execute_cascade(recipe: CascadeRecipe, folder: Path) -> dict[str, Any]:
    """Run a recipe in a folder; a finished folder of the same recipe is returned as it is. Returns the content of ``evaluation.json``.

    Raises `RunError` if the folder is in use or belongs to another recipe, `UsageError` for a design that cannot be.
    """
    with checkpoint.lock(folder):
        text = dump(recipe)
        claim = folder / "config.yaml"
        if claim.is_file() and claim.read_text() != text:
            raise RunError("this folder belongs to another configuration", where=str(folder), hint="another --out")
        stored = folder / "evaluation.json"
        if claim.is_file() and stored.is_file():
            found: dict[str, Any] = json.loads(stored.read_text())
            return found
        checkpoint.replace_file(claim, text.encode())
        dispatch.set_threads(recipe.threads or torch.get_num_threads())
        written = json.dumps(_evaluate(recipe, folder), indent=2) + "\n"
        checkpoint.replace_file(stored, written.encode())
        evaluation: dict[str, Any] = json.loads(written)
        return evaluation


def _evaluate(recipe: CascadeRecipe, folder: Path) -> dict[str, Any]:
    data = recipe.task.load()
    wiring = wiring_of(recipe, data.width, data.classes)
    network = network_of(wiring)
    accelerator = accelerator_of(recipe, wiring)
    technology = load_technology(recipe.technology, beside=folder)
    try:
        accelerator = streaming.sized(accelerator, network)
    except HardwareError:  # not a question of memory: with memory to spare, the verdict below says what blocks
        accelerator = accelerator.with_sizes(**PLENTY)
    every = (*streaming.fit(accelerator, network).violations, *clock_violations(accelerator, network, technology))
    violations = [{"where": v.where, "port": v.what, "load": v.used, "limit": v.limit, "fix": v.fix} for v in every]
    accuracies = _trained(recipe, data, wiring, folder)
    priced = objectives(accelerator, network, technology)
    rows = {
        name: {"value": value, "unit": "share", "sense": "maximise", "source": source}
        for name, (value, source) in accuracies.items()
    }
    rows |= {name: {**one.summary(), "source": one.source} for name, one in priced.items()}
    return {
        "schema": 1,
        "kind": recipe.kind,
        "tilewire": tilewire.__version__,
        "verdict": "infeasible" if violations else "fits",
        "data": {"name": data.name, "kind": data.kind, "digest": data.digest, "classes": data.classes, "width": data.width,
                 "samples": {name: len(y) for name, (_, y) in data.splits.items()}},
        "layers": plain_options(wiring),
        "mapping": {"violations": violations},
        "objectives": rows,
        "seed": recipe.seed,
    }  # fmt: skip


def _trained(recipe: CascadeRecipe, data: ArrayData, wiring: Any, folder: Path) -> dict[str, tuple[float, str]]:
    """Accuracies in floating point and with the widths of the accelerator; weights go to ``weights.safetensors``."""
    hidden = topologies(wiring)[:-1]
    rng = stream(recipe.seed, "weights")
    values = draw_values(hidden, rng, recipe.layers.law)
    network = Ensemble([hidden], [values], [readout_weights(data.classes, hidden[-1].n_out, rng)])
    fit(network, data, recipe.train, [recipe.seed], [recipe.train.rate], test=False)
    trained = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    checkpoint.replace_file(folder / "weights.safetensors", safetensors.save(trained))
    bits = recipe.accelerator
    source = f"{bits.weight_bits}-bit weights, {bits.activation_bits}-bit activations"
    exact = _accuracies(network, data, recipe)
    with quantised(network, data, bits.weight_bits, bits.activation_bits):
        rounded = _accuracies(network, data, recipe)
    return {f"{name}_accuracy": (rounded[name], f"{name} split, {source}") for name in SPLITS} | {
        f"{name}_accuracy_float": (exact[name], f"{name} split, float32") for name in SPLITS
    }


def _accuracies(network: Ensemble, data: ArrayData, recipe: CascadeRecipe) -> dict[str, float]:
    order = stream(recipe.seed, "features").permutation(data.width) if recipe.train.shuffle else np.arange(data.width)
    return {
        name: accuracy(network, torch.from_numpy(x), y, [torch.from_numpy(order)])[0]
        for name, (x, y) in data.splits.items()
    }


@contextmanager
def quantised(network: Ensemble, data: ArrayData, weight_bits: int, activation_bits: int) -> Iterator[None]:
    """The network with rounded weights and activations while the context lasts.

    Weights: symmetric, per parameter, step = max |w| / (2^(bits - 1) - 1). Activations: inputs and outputs of every hidden layer,
    symmetric, step from the largest magnitude that the training split shows there; beyond it they saturate. Biases stay as accumulators
    hold them.
    """
    kept = [parameter.detach().clone() for parameter in network.parameters()]
    tops = _largest(network, data)
    handles = []
    with torch.no_grad():
        for parameter in (*(p for layer in network.hidden for p in _weights(layer)), network.readout):
            parameter.copy_(_rounded(parameter, float(parameter.abs().max()), weight_bits))
    for layer, top in zip(network.hidden, tops[1:], strict=True):
        hook = _rounding(top, activation_bits)
        handles.append(layer.register_forward_hook(lambda _, __, y, hook=hook: hook(torch.relu(y))))
    first = _rounding(tops[0], activation_bits)
    handles.append(network.hidden[0].register_forward_pre_hook(lambda _, x: (first(x[0]),)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        with torch.no_grad():
            for parameter, old in zip(network.parameters(), kept, strict=True):
                parameter.copy_(old)


def _weights(layer: nn.Module) -> list[nn.Parameter]:
    return [parameter for name, parameter in layer.named_parameters() if not name.endswith("bias")]


@torch.no_grad()
def _largest(network: Ensemble, data: ArrayData) -> list[float]:
    """Largest magnitude of the inputs and of every hidden layer's outputs over the training split."""
    x = torch.from_numpy(data.splits["train"][0])[None]
    found = [float(x.abs().max())]
    for layer in network.hidden:
        x = torch.relu(layer(x))
        found.append(float(x.abs().max()))
    return found


def _rounded(x: Tensor, top: float, bits: int) -> Tensor:
    step = top / max(2 ** (bits - 1) - 1, 1) or 1.0
    return (x.clamp(-top, top) / step).round() * step


def _rounding(top: float, bits: int) -> Any:
    return lambda x: _rounded(x, top, bits)
