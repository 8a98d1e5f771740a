"""Topologies as layers, models converted and folded back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tilewire.errors import BudgetError, UsageError
from tilewire.nn.convert import fold, sparsify
from tilewire.nn.topology_cascade import FusedPart, TopologyCascade
from tilewire.topology.table import TOPOLOGIES, family


def cascade_of(name, n_in, n_out, **options):
    rng = np.random.default_rng(0)
    return TopologyCascade(family(name)(n_in, n_out, rng), rng, path="sparse", **options).double()


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize(("n_in", "n_out"), [(24, 24), (18, 10)])
def test_forward_and_gradients_equal_the_folded_matrix(name, n_in, n_out):
    layer, generator = cascade_of(name, n_in, n_out), torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, n_in, dtype=torch.double, generator=generator, requires_grad=True)
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias += torch.arange(n_out)
    y, reference = layer(x), x @ layer.dense().T + layer.bias
    torch.testing.assert_close(y, reference)
    error = torch.randn(y.shape, dtype=torch.double, generator=generator)
    leaves = [x, *layer.parameters()]
    for one, other in zip(
        torch.autograd.grad(y, leaves, error), torch.autograd.grad(reference, leaves, error), strict=True
    ):
        torch.testing.assert_close(one, other)
    assert sum(p.numel() for p in layer.parameters()) == layer.topology.weights + n_out


@pytest.mark.parametrize("name", ["butterfly", "clos", "monarch", "benes"])
def test_square_blocks_are_fused_and_orthogonal(name):
    layer = cascade_of(name, 36, 36)
    assert [type(part) for part in layer.branches[0]] == [FusedPart]
    matrix = layer.dense()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(36, dtype=torch.double), atol=1e-5, rtol=0)
    assert layer.topology.storage_bytes() == {"weights": 4 * layer.topology.weights, "indices": 0}


def test_activations_between_stages():
    layer = cascade_of("butterfly", 16, 16, activation="relu", bias=False)
    x = torch.randn(4, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    state = x
    for number, part in enumerate(layer.branches[0]):
        state = part(state.relu() if number else state)
    torch.testing.assert_close(layer(x), state)
    with pytest.raises(UsageError, match="do not fold"):
        layer.dense()
    with pytest.raises(UsageError, match="did you mean 'relu'"):
        cascade_of("butterfly", 16, 16, activation="rellu")
    with pytest.raises(UsageError, match="width 15"):
        layer(torch.zeros(2, 15, dtype=torch.double))


def test_a_whole_model_in_one_call():
    shared = nn.Linear(32, 32)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding="same"), nn.ReLU(), nn.Conv2d(16, 32, (3, 2), stride=2, padding=1, padding_mode="reflect"),
        nn.Conv2d(32, 32, 1, stride=2, dilation=2, bias=False), nn.Conv2d(32, 32, 3, groups=4, padding=1), nn.Flatten(),
        nn.LazyLinear(32), shared, nn.ReLU(), shared, nn.Linear(32, 3),
    )  # fmt: skip
    x = torch.randn(2, 3, 11, 9, generator=torch.Generator().manual_seed(0))
    model(x)
    bias = shared.bias.detach().clone()
    done = sparsify(model, topology="clos", density=0.5, keep=["10"])
    layers = {layer.layer: layer for layer in done.layers}
    assert list(layers) == ["0", "2", "3", "4", "6", "7", "10"]
    assert layers["10"].reason == "kept on request"
    assert "groups" in layers["4"].reason
    assert layers["0"].inputs == 27
    converted = [layer for layer in done.layers if layer.topology]
    assert all(layer.weights <= 0.5 * layer.weights_before for layer in converted)
    assert done.model[7] is done.model[9]
    assert torch.equal(done.model[7].bias, bias)
    y = done.model(x)
    y.sum().backward()
    dense = fold(done.model)
    assert not any(isinstance(module, TopologyCascade) for module in dense.modules())
    torch.testing.assert_close(dense(x), y, atol=1e-5, rtol=1e-4)


def test_one_dimension_and_a_layer_alone():
    conv = nn.Conv1d(4, 8, 5, stride=2, dilation=2, padding=3)
    done = sparsify(conv, topology="random", density=0.6)
    x = torch.randn(2, 4, 21, generator=torch.Generator().manual_seed(0))
    y = done.model(x)
    assert y.shape == conv(x).shape
    torch.testing.assert_close(fold(done.model)(x), y, atol=1e-5, rtol=1e-4)


def test_recurrent_matrices():
    cell = nn.RNNCell(8, 16)
    done = sparsify(cell, topology="butterfly", density=0.6, matrices=["weight_hh"])
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    y = done.model(x, torch.ones(3, 16))
    y.sum().backward()
    trained = [p for p in done.model.parameters() if p.requires_grad and p.numel() == done.layers[0].weights]
    assert trained
    assert trained[0].grad is not None
    dense = fold(done.model)
    torch.testing.assert_close(dense(x, torch.ones(3, 16)), y)
    assert dict(dense.named_parameters())["weight_hh"].requires_grad


def test_refusals():
    model = nn.Sequential(nn.Linear(64, 10))
    with pytest.raises(UsageError, match=r"nothing to convert: 0: .*one edge per neuron"):
        sparsify(model, density=0.01)
    with pytest.raises(BudgetError, match=r"density 1\.2"):
        sparsify(model, density=1.2)
    with pytest.raises(UsageError, match="did you mean 'monarch'"):
        sparsify(model, topology="monach", density=0.5)
    with pytest.raises(UsageError, match="no layer 'head'"):
        sparsify(model, density=0.5, keep=["head"])
    with pytest.raises(UsageError, match=r"no matrix parameter '0\.bias'"):
        sparsify(model, density=0.5, matrices=["0.bias"])
    assert isinstance(model[0], nn.Linear) or sparsify(nn.Linear(8, 8), density=0.9).layers
