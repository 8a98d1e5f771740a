"""Any topology becomes word stages whose product is the folded cascade."""

import numpy as np
import pytest

from tilewire.errors import UsageError
from tilewire.mapping.streaming_network import StreamingNetwork, streaming_network
from tilewire.topology.stage import Topology
from tilewire.topology.table import TOPOLOGIES


def folded(topology: Topology, values: list[list[np.ndarray]]) -> np.ndarray:
    """The dense matrix of a topology, stage by stage as `Stage` defines it."""
    total = np.zeros((topology.n_out, topology.n_in))
    for branch, own in zip(topology.branches, values, strict=True):
        product = np.eye(topology.n_in)
        for stage, value in zip(branch, own, strict=True):
            matrix = np.zeros((stage.n_out, stage.n_in))
            matrix[stage.outputs, stage.rows.source] = value
            product = (matrix + stage.skip * np.eye(*matrix.shape)) @ product
        total += product
    return total * len(topology.branches) ** -0.5


def product(network: StreamingNetwork, packed: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """Word by word in plain Python."""
    for stage, own in zip(network.stages, packed, strict=True):
        y = np.zeros(stage.n_out)
        for source, target, value in zip(stage.source, stage.target, stage.values(own), strict=True):
            y[target] += value * x[source]
        x = np.maximum(y, 0) if stage.rectified else y
    return x


@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
@pytest.mark.parametrize("widths", [(16, 16), (12, 18), (18, 12)])
def test_every_family_maps_to_its_product(name: str, widths: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    try:
        topology = TOPOLOGIES[name](*widths, rng)
    except UsageError:
        pytest.skip("no member of these widths")
    values = [[rng.standard_normal(stage.rows.source.size) for stage in branch] for branch in topology.branches]
    network = streaming_network([topology])
    x = rng.standard_normal(widths[0])
    np.testing.assert_allclose(product(network, network.pack([values]), x), folded(topology, values) @ x, atol=1e-12)
    assert sum(stage.weights for stage in network.stages) == topology.weights
    assert network.parameters == topology.weights + topology.n_out


def test_branches_of_unequal_depth_wait_where_they_are_narrow() -> None:
    rng = np.random.default_rng(0)
    topology = TOPOLOGIES["pixelfly"](16, 24, rng, rank=3)
    depths = {len(branch) for branch in topology.branches}
    assert depths == {1, 2}, "the case this test is about"
    network = streaming_network([topology])
    assert network.depth == 2
    assert network.stages[0].n_out == 16 + 3  # inputs are fewer than outputs: the flat branch waits before its stage


def test_layers_have_biases_and_rectifiers_between() -> None:
    layers = [TOPOLOGIES["monarch"](16, 16), TOPOLOGIES["dense"](16, 5)]
    network = streaming_network(layers)
    assert [stage.biased for stage in network.stages] == [False, True, True]
    assert [stage.rectified for stage in network.stages] == [False, True, False]
    with pytest.raises(UsageError, match="16 outputs"):
        streaming_network([TOPOLOGIES["monarch"](16, 16), TOPOLOGIES["dense"](8, 5)])
    with pytest.raises(UsageError):
        streaming_network([])
    with pytest.raises(UsageError, match="weights"):
        network.stages[0].values(np.zeros(3))
