"""Sparse training of any module: masks on its linear and convolution weights, exact counts, no change to the module itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewire.errors import UsageError, unknown
from tilewire.rewire.deepr import SoftDeepR
from tilewire.rewire.drop import build_drop
from tilewire.rewire.grain import GRANULARITIES, Grain
from tilewire.rewire.magnitude import Rigl
from tilewire.rewire.moments import learning_rate
from tilewire.rewire.rule import Annealed, DropRule
from tilewire.rewire.sparse_layer import SparseLayer, open_up, wired
from tilewire.rewire.split import SPLITS, split
from tilewire.streams import stream

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
GROW = ("uniform", "gradient")
Named = list[tuple[str, nn.Parameter]]


class SparseTraining:
    """Keeps the `nn.Linear` and convolution weights of a module sparse while any `torch.optim.Optimizer` trains it.

    Live units are drawn at construction. From then on every ``optimiser.step()`` ends with: dormant weights exactly 0; every
    ``every`` steps, as long as ``until`` steps are not over, the rule drops units and as many are born in the same layer (with
    ``fan_in``: for the same output). `deepr` drops and bears at every step, `soft-deepr` never: its synapses come and go on their own.
    Dormant weights pass no gradient on, so gradient norms and moments know only the live ones; synapses that die or are born lose their
    moments. The hooks sit on the optimiser and the parameters: the module's class, forward, ``state_dict`` and copies stay as they are.

    rule: a name of `drop.DROP_RULES` with its defaults, or a rule. density: share of units that live over all these layers together,
    split ``uniform`` or ``erk``, or a share for each layer by module name ({"0": 0.01, "2": 0.03}); or fan_in: live inputs (units) of
    every output. granularity: "synapse", or "block" of ``block`` x ``block`` channels. protect: names of modules that stay dense with
    all below them. grow: "uniform" or "gradient" (default for `rigl`), with a share ``explore`` uniform. rescale: scale the first
    weights by sqrt(1 / density).

    Raises `UsageError` for options that do not go together, unknown names, and layers that cannot be met, all of them at once.
    Masked-dense compute: zeros are multiplied. Under data-parallel training every process would rewire by its own gradient.
    """

    def __init__(
        self, model: nn.Module, optimiser: torch.optim.Optimizer, *, rule: str | DropRule = "set",
        density: float | Mapping[str, float] | None = None, fan_in: int | None = None, granularity: str = "synapse",
        block: int = 4, split: str = "uniform", protect: Sequence[str] = (), every: int = 100, until: int | None = None,
        grow: str | None = None, explore: float = 0.0, rescale: bool = True, seed: int = 0,
    ) -> None:  # fmt: skip
        self.optimiser, self.every, self.until, self.explore, self.seed = optimiser, every, until, explore, seed
        _check(density, fan_in, granularity, split, grow, every, explore)
        options = {
            "density": 1.0 if isinstance(density, Mapping) else density,
            "horizon": until // every if until is not None else None,
        }
        if rule == "soft-deepr" and density is None:
            raise UsageError("soft-deepr bounds no fan-in", hint="density=..., or rule='deepr'")
        self.rule = build_drop(rule, 0.05, 0.625, **options) if isinstance(rule, str) else rule
        if isinstance(self.rule, SoftDeepR) and (granularity != "synapse" or fan_in is not None):
            raise UsageError(
                "soft-deepr moves single synapses of a layer", hint="granularity='synapse' and density=..."
            )
        self.grow = grow or ("gradient" if isinstance(self.rule, Rigl) else "uniform")
        self.steps = self.born = 0
        found = _layers(model, optimiser, protect)
        grains = _grains(found, block if granularity == "block" else None)
        keeps = _fan_in(found, grains, fan_in) if fan_in is not None else _shares(found, grains, density or 0.0, split)
        self.layers: dict[str, SparseLayer] = {}
        self._handles = [optimiser.register_step_post_hook(self._after_update)]
        for (name, parameter), grain, keep in zip(found, grains, keeps, strict=True):
            own = self.rule
            if isinstance(own, SoftDeepR):
                own = replace(own, density=float(keep.sum() / grain.units))
            layer = wired(name, parameter, grain, own, keep, stream(seed, f"sign {name}"))
            open_up(layer, rescale, stream(seed, f"first {name}"))
            self.layers[name] = layer
            self._handles.append(parameter.register_hook(self._gradient_of(layer)))  # type: ignore[no-untyped-call]

    def counts(self) -> dict[str, int]:
        """Live synapses of each layer."""
        return {name: int(layer.mask.sum()) for name, layer in self.layers.items()}

    def density(self) -> dict[str, float]:
        """Share of live synapses of each layer, and of all these layers under ``total``."""
        size = {name: layer.mask.numel() for name, layer in self.layers.items()}
        live = self.counts()
        return {name: live[name] / size[name] for name in live} | {"total": sum(live.values()) / sum(size.values())}

    def remove(self) -> None:
        """Take the hooks off; the weights stay as they are."""
        for handle in self._handles:
            handle.remove()

    def state_dict(self) -> dict[str, Any]:
        """What training needs to continue bit-identically, beside the states of model and optimiser. Signs follow from the seed."""
        state: dict[str, Any] = {"steps": self.steps, "born": self.born, "seed": self.seed}
        for name, layer in self.layers.items():
            state[f"mask.{name}"] = layer.mask.clone()
            if layer.soft:
                state[f"depth.{name}"] = torch.from_numpy(layer.depth.copy())
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`; the model's weights are loaded by their owner. Raises `UsageError` for another network's state."""
        own = self.state_dict()
        faults = [f"lacks {key}" for key in own.keys() - state.keys()] + [
            f"has {key}" for key in state.keys() - own.keys()
        ]
        faults += [
            f"{key} is {list(state[key].shape)}, here {list(value.shape)}"
            for key, value in own.items()
            if isinstance(value, Tensor) and key in state and state[key].shape != value.shape
        ]
        if not faults and state["seed"] != self.seed:
            faults = [f"seed {state['seed']}, here {self.seed}"]
        if faults:
            raise UsageError(f"the state belongs to another network: {'; '.join(sorted(faults))}")
        self.steps, self.born = int(state["steps"]), int(state["born"])
        for name, layer in self.layers.items():
            layer.mask.copy_(state[f"mask.{name}"])
            if layer.soft:
                layer.depth[:] = state[f"depth.{name}"].cpu().numpy()
            layer.silence()

    def _due(self, step: int) -> bool:
        return self.every > 0 and step % self.every == 0 and (self.until is None or step <= self.until)

    def _gradient_of(self, layer: SparseLayer) -> Any:
        def live(gradient: Tensor) -> Tensor:
            if self.grow == "gradient" and (layer.walks or self._due(self.steps + 1)):
                layer.wish = gradient.detach().clone() if layer.wish is None else layer.wish + gradient.detach()
            return layer.live_gradient(gradient)

        return live

    def _after_update(self, *_: object) -> None:
        self.steps += 1
        due = self._due(self.steps)
        for layer in self.layers.values():
            layer.silence()
            drop = self._drop(layer) if due or layer.walks else None
            if drop is not None or layer.walks:
                rng = stream(self.seed, f"rewire {layer.name}", self.steps)
                rate = learning_rate(self.optimiser, layer.parameter)
                self.born += layer.advance(self.optimiser, drop, self.explore, rate, rng)
            layer.wish = None

    def _drop(self, layer: SparseLayer) -> DropRule | None:
        if layer.soft:
            return None
        return layer.rule.at(self.steps // self.every) if isinstance(layer.rule, Annealed) else layer.rule


def _check(
    density: float | Mapping[str, float] | None,
    fan_in: int | None,
    granularity: str,
    split: str,
    grow: str | None,
    every: int,
    explore: float,
) -> None:
    faults = []
    if (density is None) == (fan_in is None):
        faults.append("give either density or fan_in")
    for share in density.values() if isinstance(density, Mapping) else () if density is None else (density,):
        if not 0 < share <= 1:
            faults.append(f"density {share}, allowed above 0 and up to 1")
    if fan_in is not None and fan_in < 1:
        faults.append(f"fan_in {fan_in}, at least 1")
    for kind, name, table in (
        ("granularity", granularity, GRANULARITIES),
        ("split", split, SPLITS),
        ("grow", grow, GROW),
    ):
        if name is not None and name not in table:
            faults.append(unknown(kind, name, table))
    if every < 1 or not 0 <= explore <= 1:
        faults.append(f"every {every} and explore {explore}, allowed at least 1 and 0 to 1")
    if faults:
        raise UsageError("; ".join(faults), where="SparseTraining")


def _layers(model: nn.Module, optimiser: torch.optim.Optimizer, protect: Sequence[str]) -> Named:
    """The weights to make sparse, by module name; a weight that several modules share counts once."""
    modules = dict(model.named_modules())
    wrong = [unknown("module", name, modules) for name in protect if name not in modules]
    if wrong:
        raise UsageError("; ".join(wrong), where="protect")
    trained = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    found: dict[int, tuple[str, nn.Parameter]] = {}
    for name, module in modules.items():
        if not isinstance(module, KINDS) or any(f"{name}.".startswith(f"{dense}.") for dense in protect):
            continue
        weight = module.weight
        if not isinstance(weight, nn.Parameter) or id(weight) not in trained or not weight.requires_grad:
            wrong.append(name)
            continue
        found.setdefault(id(weight), (name, weight))
    if wrong:
        raise UsageError(
            f"the optimiser does not train the weight of {', '.join(wrong)}",
            hint="give it their weights, or protect them",
        )
    if not found:
        raise UsageError("no linear or convolution layer to make sparse", hint="fewer protected names?")
    return list(found.values())


def _grains(found: Named, block: int | None) -> list[Grain]:
    grains, faults = [], []
    for name, parameter in found:
        try:
            grains.append(Grain(tuple(parameter.shape), block))
        except UsageError as error:
            faults.append(f"{name}: {error.message}")
    if faults:
        raise UsageError("; ".join(faults), hint="another block, or protect these layers")
    return grains


def _shares(
    found: Named, grains: list[Grain], density: float | Mapping[str, float], how: str
) -> Iterator[NDArray[np.int64]]:
    units = np.array([grain.units for grain in grains])
    if isinstance(density, Mapping):
        names = [name for name, _ in found]
        wrong = [unknown("layer", name, names) for name in density if name not in names]
        wrong += [f"no density for layer '{name}'" for name in names if name not in density]
        if wrong:
            raise UsageError("; ".join(wrong), where="density", hint="a share for every sparse layer, or protect it")
        return (np.array([max(round(density[name] * int(n)), 1)]) for name, n in zip(names, units, strict=True))
    relative = np.array([SPLITS[how](grain.shape) for grain in grains])
    return (np.array([share]) for share in split(round(density * int(units.sum())), relative * units, units))


def _fan_in(found: Named, grains: list[Grain], k: int) -> Iterator[NDArray[np.int64]]:
    narrow = [
        f"{name} has {grain.units // grain.rows}"
        for (name, _), grain in zip(found, grains, strict=True)
        if grain.units // grain.rows < k
    ]
    if narrow:
        raise UsageError(
            f"fan_in {k}, but of inputs {'; '.join(narrow)}", hint="a smaller fan_in, or protect these layers"
        )
    return (np.full(grain.rows, k, np.int64) for grain in grains)
