"""Dense layers of a model replaced by a-priori topologies, in one call, with a report; and folded back for export."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from tilewire.errors import TilewireError, UsageError
from tilewire.nn.topology_cascade import TopologyCascade
from tilewire.topology.stage import Topology
from tilewire.topology.table import budget_of, family, fill


@dataclass(frozen=True)
class LayerChange:
    """What became of one layer. ``topology`` is empty and ``reason`` says why where it stayed as it was; bits count connection indices."""

    layer: str
    kind: str
    inputs: int
    outputs: int
    weights_before: int
    weights: int
    index_bits: int = 0
    depth: int = 0
    topology: str = ""
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Sparsified:
    """The converted model and one record per dense layer."""

    model: nn.Module
    layers: tuple[LayerChange, ...]

    @property
    def density(self) -> float:
        """Weights after over weights before, all dense layers counted."""
        return sum(layer.weights for layer in self.layers) / max(sum(layer.weights_before for layer in self.layers), 1)


class ConvCascade(nn.Module):
    """A convolution whose channel mixing is a cascade: at every position the patch [C taps] goes through the topology to the channels out.

    One or two dimensions, any stride, padding and dilation, one group; a 1x1 kernel needs no patches. Folds back to the dense convolution.
    """

    def __init__(self, conv: nn.Conv1d | nn.Conv2d, mix: TopologyCascade) -> None:
        super().__init__()
        self.mix, self.flat = mix, isinstance(conv, nn.Conv1d)
        self.kernel, self.stride, self.dilation = (_two(v) for v in (conv.kernel_size, conv.stride, conv.dilation))
        self.pads, self.padding_mode = _pads(conv), "constant" if conv.padding_mode == "zeros" else conv.padding_mode
        self.channels = conv.in_channels
        self.settings = {
            "stride": conv.stride, "padding": conv.padding, "dilation": conv.dilation, "padding_mode": conv.padding_mode,
        }  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, (H,) W] -> [B, channels out, (H',) W']."""
        x = functional.pad(x, self.pads[: 2 if self.flat else 4], mode=self.padding_mode) if any(self.pads) else x
        x = x.unsqueeze(2) if self.flat else x
        sides = zip(x.shape[2:], self.kernel, self.stride, self.dilation, strict=True)
        size = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sides]
        if self.kernel == (1, 1):
            patches = x[:, :, :: self.stride[0], :: self.stride[1]].flatten(2)
        else:
            patches = functional.unfold(x, self.kernel, self.dilation, 0, self.stride)
        y: Tensor = self.mix(patches.transpose(1, 2))
        y = y.transpose(1, 2).reshape(len(x), -1, *size)
        return y.squeeze(2) if self.flat else y

    def to_conv(self) -> nn.Conv1d | nn.Conv2d:
        """The folded dense convolution."""
        kind, kernel = (nn.Conv1d, self.kernel[1:]) if self.flat else (nn.Conv2d, self.kernel)
        linear = self.mix.to_linear()
        conv = kind(self.channels, linear.out_features, kernel, bias=linear.bias is not None, **self.settings)  # type: ignore[arg-type]
        conv = conv.to(linear.weight)
        with torch.no_grad():
            conv.weight.copy_(linear.weight.view_as(conv.weight))
            if conv.bias is not None:
                conv.bias.copy_(linear.bias)
        return conv


class FoldedMatrix(nn.Module):
    """A matrix parameter expressed as a cascade: every use folds the current weights, so any recurrent layer can hold it."""

    def __init__(self, cascade: TopologyCascade) -> None:
        super().__init__()
        self.cascade = cascade

    def forward(self, matrix: Tensor) -> Tensor:
        """The folded matrix; the stored one only lends its type."""
        return self.cascade.dense().to(matrix)


def _two(value: tuple[int, ...] | int) -> tuple[int, int]:
    pair = (value,) if isinstance(value, int) else tuple(value)
    return (1, pair[0]) if len(pair) == 1 else (pair[0], pair[1])


def _pads(conv: nn.Conv1d | nn.Conv2d) -> list[int]:
    """Left, right, top, bottom."""
    sides: list[int] = []
    for axis in reversed(range(len(conv.kernel_size))):
        whole = conv.dilation[axis] * (conv.kernel_size[axis] - 1) if conv.padding == "same" else 0
        sides += [whole // 2, whole - whole // 2] if isinstance(conv.padding, str) else [conv.padding[axis]] * 2
    return sides + [0] * (4 - len(sides))


def sparsify(
    model: nn.Module, *, topology: str = "monarch", density: float, seed: int = 0, law: str = "auto", keep: Iterable[str] = (),
    matrices: Iterable[str] = (), path: str = "auto",
) -> Sparsified:  # fmt: skip
    """Replace every ``nn.Linear``, ``nn.Conv1d`` and ``nn.Conv2d`` of a model by the largest member of ``topology`` within ``density``.

    The model is changed in place (a model that is itself such a layer is returned new); weights start from ``law``, biases are kept, and
    one layer used twice stays one. ``keep``: names of layers left dense. ``matrices``: names of matrix parameters, such as the recurrent
    weights of a spiking layer, to express as cascades. A layer that cannot be converted stays, and the report says why. Raises
    `UsageError` for unknown names, `BudgetError` for densities outside 0..1, and `UsageError` if nothing could be converted.
    """
    family(topology)
    budget_of(1 << 10, 1 << 10, density=max(density, 2**-10) if 0 < density <= 1 else density)
    kept, modules = set(keep), dict(model.named_modules())
    wrong = sorted(kept - set(modules))
    if wrong:
        raise UsageError(f"no layer '{wrong[0]}'", where="sparsify", hint=", ".join(name for name in modules if name))
    rng, changes = np.random.default_rng(seed), []
    done: dict[nn.Module, nn.Module] = {}
    for name, module in modules.items():
        if not isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            continue
        new, change = _converted(name, module, name in kept, topology, density, law, path, rng)
        changes.append(change)
        if new is not None:
            done[module] = new
    changes += [_matrix(model, name, topology, density, law, path, rng) for name in matrices]
    if not any(change.topology for change in changes):
        reasons = "; ".join(f"{c.layer or 'the model'}: {c.reason}" for c in changes) or "no Linear or Conv layer"
        raise UsageError(f"nothing to convert: {reasons}", where="sparsify")
    return Sparsified(_replaced(model, done.get), tuple(changes))


def _replaced(model: nn.Module, new_of: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    """The model with every module that has a successor replaced, at all places that hold it."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            successor = new_of(child) if child is not None else None
            if successor is not None:
                setattr(parent, name, successor)
    return new_of(model) or model


def _converted(
    name: str, layer: nn.Linear | nn.Conv1d | nn.Conv2d, kept: bool, topology: str, density: float, law: str, path: str,
    rng: np.random.Generator,
) -> tuple[nn.Module | None, LayerChange]:  # fmt: skip
    n_out = layer.weight.shape[0]
    n_in = layer.weight[0].numel()
    record = LayerChange(name, type(layer).__name__, n_in, n_out, n_in * n_out, n_in * n_out)
    reason = "kept on request" if kept else ""
    if type(layer) not in (nn.Linear, nn.Conv1d, nn.Conv2d):
        reason = reason or "a subclass may use its weights in its own way"
    if not isinstance(layer, nn.Linear) and layer.groups != 1:
        reason = reason or f"{layer.groups} groups are sparse already"
    if not reason:
        try:
            found = fill(topology, n_in, n_out, budget_of(n_in, n_out, density=density), rng)
        except TilewireError as error:
            reason = error.message
    if reason:
        return None, LayerChange(**{**vars(record), "reason": reason})
    mix = TopologyCascade(found, rng, law=law, bias=layer.bias is not None, path=path).to(layer.weight)
    if layer.bias is not None and mix.bias is not None:
        mix.bias.data.copy_(layer.bias.data)
    new = mix if isinstance(layer, nn.Linear) else ConvCascade(layer, mix)
    return new.train(layer.training), _change(record, found)


def _change(record: LayerChange, found: Topology) -> LayerChange:
    done = {
        "weights": found.weights,
        "index_bits": found.index_bits,
        "depth": found.depth,
        "topology": f"{found.name}: {found.description}",
    }
    return LayerChange(**{**vars(record), **done})


def _matrix(
    model: nn.Module, name: str, topology: str, density: float, law: str, path: str, rng: np.random.Generator
) -> LayerChange:
    owner_name, _, own = name.rpartition(".")
    owner = dict(model.named_modules()).get(owner_name)
    parameter = getattr(owner, own, None)
    if owner is None or not isinstance(parameter, nn.Parameter) or parameter.ndim != 2:
        known = [key for key, value in model.named_parameters() if value.ndim == 2]
        raise UsageError(
            f"no matrix parameter '{name}'", where="sparsify", hint=", ".join(known) or "the model has none"
        )
    n_out, n_in = parameter.shape
    found = fill(topology, n_in, n_out, budget_of(n_in, n_out, density=density), rng)
    cascade = TopologyCascade(found, rng, law=law, bias=False, path=path).to(parameter)
    parameter.requires_grad_(False)
    parametrize.register_parametrization(owner, own, FoldedMatrix(cascade), unsafe=True)
    return _change(LayerChange(name, "matrix", n_in, n_out, n_in * n_out, n_in * n_out), found)


def fold(model: nn.Module) -> nn.Module:
    """The model with every cascade folded to a dense layer, for export. In place; a cascade itself is returned new."""
    for module in list(model.modules()):
        if not parametrize.is_parametrized(module):
            continue
        for name, chain in list(getattr(module, "parametrizations", nn.ModuleDict()).items()):
            if any(isinstance(part, FoldedMatrix) for part in chain):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
                getattr(module, name).requires_grad_(True)
    done: dict[nn.Module, nn.Module] = {}
    for module in list(model.modules()):
        if isinstance(module, ConvCascade):
            done[module] = module.to_conv().train(module.training)
        elif isinstance(module, TopologyCascade) and module.linear_inside:
            done[module] = module.to_linear().train(module.training)
    return _replaced(model, done.get)
