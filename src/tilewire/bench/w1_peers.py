"""W1 as the peers run it: dense masked weights, a Python or compiled loop over the steps.

Every builder takes the network of ``tilewire.bench.w1`` and returns one training step. Peers outside torch are optional;
``available`` says which of them are installed. ``EXACT`` peers compute the same float32 network, so that their
first loss must agree with ours; the others ship another cell or another precision.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tilewire.bench.w1 import Network, Step, trained
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.reference import Spike

Cell = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(input current, v, z, W_rec, W_in) -> (v, z)."""


def dense(blocks: Blocks, weight: Tensor) -> Tensor:
    """The blocks as a matrix [sources, neurons]."""
    matrix = torch.zeros(blocks.n_sources, blocks.n_tiles, blocks.tile_size)
    matrix[torch.from_numpy(blocks.source).long(), torch.from_numpy(blocks.tile).long()] = weight
    return matrix.reshape(blocks.n_sources, blocks.neurons)


def _parts(network: Network) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Events [B, T, I], leaves W_in and W_rec, mask of W_rec."""
    x = torch.from_numpy(network.events.to_dense())
    w_in, w_rec = dense(network.inputs, network.w_in), dense(network.recurrent, network.w_rec)
    mask = dense(network.recurrent, torch.ones_like(network.w_rec))
    return x, w_in.requires_grad_(), w_rec.requires_grad_(), mask


def _torch(network: Network, wrap: Callable[[Cell], Cell], autocast: bool = False) -> Step:
    """Plain torch: one call of the cell per step."""
    x, w_in, w_rec, mask = _parts(network)
    lif = network.lif

    def cell(now: Tensor, v: Tensor, z: Tensor, rec: Tensor, feed: Tensor) -> tuple[Tensor, Tensor]:
        v = lif.leak * v + now @ feed + z @ rec - lif.threshold * z
        spike: Tensor = Spike.apply(v, None, lif.threshold, lif.slope)  # type: ignore[no-untyped-call]
        return v, spike

    run = wrap(cell)

    def loss() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            rec = w_rec * mask
            v = z = counts = torch.zeros(x.shape[0], rec.shape[1])
            for now in x.unbind(1):
                v, z = run(now, v, z, rec, w_in)
                counts = counts + z
        return network.loss(counts.float())

    return trained([w_in, w_rec], loss)


class _Masked(torch.nn.Module):
    """A recurrent connection with a weight that is set before the pass."""

    matrix: Tensor

    def forward(self, z: Tensor) -> Tensor:
        """z W."""
        return z @ self.matrix


def _snntorch(network: Network) -> Step:
    """snnTorch: RLeaky with the same surrogate (its reset carries no gradient)."""
    snntorch: Any = import_module("snntorch")
    x, w_in, w_rec, mask = _parts(network)
    lif, connection = network.lif, _Masked()

    def surrogate(above: Tensor) -> Tensor:
        spike: Tensor = Spike.apply(above, None, 0.0, lif.slope)  # type: ignore[no-untyped-call]
        return spike

    cell: Any = snntorch.RLeaky(
        beta=lif.leak, linear_features=mask.shape[1], threshold=lif.threshold, spike_grad=surrogate
    )
    cell.recurrent = connection

    def loss() -> Tensor:
        connection.matrix = w_rec * mask
        z = v = counts = torch.zeros(x.shape[0], mask.shape[1])
        for now in x.unbind(1):
            z, v = cell(now @ w_in, z, v)
            counts = counts + z
        return network.loss(counts)

    return trained([w_in, w_rec], loss)


def _norse(network: Network) -> Step:
    """Norse: LIFRecurrentCell as it ships; it has a synaptic current besides the potential."""
    norse: Any = import_module("norse.torch")
    x, w_in, w_rec, mask = _parts(network)
    cell: Any = norse.LIFRecurrentCell(x.shape[2], mask.shape[1], autapses=True)
    del cell.input_weights, cell.recurrent_weights

    def loss() -> Tensor:
        cell.input_weights, cell.recurrent_weights = w_in.t(), (w_rec * mask).t()
        state, counts = None, torch.zeros(x.shape[0], mask.shape[1])
        for now in x.unbind(1):
            z, state = cell(now, state)
            counts = counts + z
        return network.loss(counts)

    return trained([w_in, w_rec], loss)


def _spikingjelly(network: Network) -> Step:
    """SpikingJelly: LIFNode with soft reset (after the leak of the next step, so its spikes differ slightly)."""
    functional: Any = import_module("spikingjelly.activation_based.functional")
    neuron: Any = import_module("spikingjelly.activation_based.neuron")
    x, w_in, w_rec, mask = _parts(network)
    lif = network.lif

    def surrogate(above: Tensor) -> Tensor:
        spike: Tensor = Spike.apply(above, None, 0.0, lif.slope)  # type: ignore[no-untyped-call]
        return spike

    node: Any = neuron.LIFNode(
        1 / (1 - lif.leak), decay_input=False, v_threshold=lif.threshold, v_reset=None, surrogate_function=surrogate
    )

    def loss() -> Tensor:
        functional.reset_net(node)
        rec = w_rec * mask
        z = counts = torch.zeros(x.shape[0], mask.shape[1])
        for now in x.unbind(1):
            z = node(now @ w_in + z @ rec)
            counts = counts + z
        return network.loss(counts)

    return trained([w_in, w_rec], loss)


def _jax(network: Network) -> Step:
    """JAX: the loop as a scan, compiled together with the gradient and Adam."""
    jax: Any = import_module("jax")
    jnp: Any = import_module("jax.numpy")
    tensors = (t.detach().numpy() for t in _parts(network))
    x, w_in, w_rec, mask = (jnp.asarray(t) for t in tensors)
    x = x.transpose(1, 0, 2)
    labels, work, lif = jnp.asarray(network.labels.numpy()), network.workload, network.lif

    spike = jax.custom_jvp(lambda v: (v > lif.threshold).astype(v.dtype))

    def rule(primals: Any, tangents: Any) -> Any:
        (v,), (dv,) = primals, tangents
        return spike(v), dv / (1 + lif.slope * abs(v - lif.threshold)) ** 2

    spike.defjvp(rule)

    def loss(weights: Any) -> Any:
        feed, rec = weights[0], weights[1] * mask

        def cell(state: Any, now: Any) -> Any:
            v, z, counts = state
            v = lif.leak * v + now @ feed + z @ rec - lif.threshold * z
            z = spike(v)
            return (v, z, counts + z), None

        zero = jnp.zeros((x.shape[1], mask.shape[1]))
        (_, _, counts), _ = jax.lax.scan(cell, (zero, zero, zero), x)
        logits = jax.nn.log_softmax(counts[:, -work.classes :])
        picked = jnp.take_along_axis(logits, labels[:, None], 1).mean()
        return -picked + 0.1 * (1 - 10 * counts.mean() / work.steps) ** 2

    def update(state: Any) -> Any:
        weights, m, v, n = state
        value, grad = jax.value_and_grad(loss)(weights)
        m = [0.9 * a + 0.1 * g for a, g in zip(m, grad, strict=True)]
        v = [0.999 * a + 0.001 * g * g for a, g in zip(v, grad, strict=True)]
        rate = 1e-3 * jnp.sqrt(1 - 0.999**n) / (1 - 0.9**n)
        weights = [w - rate * a / (jnp.sqrt(b) + 1e-8) for w, a, b in zip(weights, m, v, strict=True)]
        return value, (weights, m, v, n + 1)

    compiled = jax.jit(update)
    zeros = [jnp.zeros_like(w) for w in (w_in, w_rec)]
    state: list[Any] = [([w_in, w_rec], zeros, zeros, 1.0)]

    def step() -> float:
        value, state[0] = compiled(state[0])
        return float(np.asarray(value))

    return step


PEERS: dict[str, Callable[[Network], Step]] = {
    "torch-eager": lambda network: _torch(network, lambda cell: cell),
    "torch-compile": lambda network: _torch(network, torch.compile),
    "torch-bf16": lambda network: _torch(network, lambda cell: cell, autocast=True),
    "jax": _jax,
    "snntorch": _snntorch,
    "norse": _norse,
    "spikingjelly": _spikingjelly,
}
"""Peer name -> builder of its training step."""

EXACT = frozenset({"torch-eager", "torch-compile", "jax", "snntorch"})
"""Peers whose first loss must equal ours."""


def available() -> list[str]:
    """Peers that can run here: the torch ones and the installed libraries."""
    return [name for name in PEERS if name.startswith("torch") or find_spec(name) is not None]
