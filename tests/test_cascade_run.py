import json

import numpy as np
import pytest
import torch

from tilewire.cascade_recipe import is_cascade, load_cascade, network_of, wiring_of
from tilewire.cascade_run import execute_cascade, quantised
from tilewire.classify import accuracy
from tilewire.data.arrays import ArrayData
from tilewire.errors import BudgetError, ConfigError, RunError
from tilewire.nn.ensemble import Ensemble, draw_values, readout_weights
from tilewire.streams import stream

pytest.importorskip("sklearn")
SHORT = ["train.epochs=2", "task.hidden=[16]", "threads=1"]


def test_a_run_trains_fits_and_prices(tmp_path):
    recipe = load_cascade("digits-cascade", SHORT)
    found = execute_cascade(recipe, tmp_path)
    assert found["verdict"] == "fits"
    for name in ("validation_accuracy", "parameters", "throughput_per_s", "latency_s", "power_w", "area_mm2"):
        assert found["objectives"][name]["value"] > 0
        assert found["objectives"][name]["sense"] in ("maximise", "minimise")
    network = network_of(wiring_of(recipe, 64, 10))
    assert found["objectives"]["parameters"]["value"] == network.parameters
    assert execute_cascade(recipe, tmp_path) == found  # a finished folder stays as it is
    again = execute_cascade(recipe, tmp_path / "again")
    assert json.dumps(again) == json.dumps(found)
    with pytest.raises(RunError, match="another configuration"):
        execute_cascade(load_cascade("digits-cascade", [*SHORT, "seed=2"]), tmp_path)


def test_fixed_wires_carry_the_drawn_pattern(tmp_path):
    settings = [*SHORT, "layers.family=random", "accelerator.switch=fixed"]
    assert execute_cascade(load_cascade("digits-cascade", settings), tmp_path)["verdict"] == "fits"


def test_a_switch_that_blocks_is_infeasible(tmp_path):
    settings = [*SHORT, "layers.family=random", "accelerator.switch=butterfly"]
    found = execute_cascade(load_cascade("digits-cascade", settings), tmp_path)
    assert found["verdict"] == "infeasible"
    assert "benes or crossbar" in found["mapping"]["violations"][0]["fix"]
    assert found["objectives"]["throughput_per_s"]["value"] is None


def test_a_depth_that_no_member_has_is_named():
    recipe = load_cascade("digits-cascade", ["layers.depth=2"])
    with pytest.raises(BudgetError, match="no clos of 2 stages"):
        wiring_of(recipe, 64, 10)


def test_every_fault_of_a_recipe_at_once():
    with pytest.raises(ConfigError) as caught:
        load_cascade("digits-cascade", ["layers.law=none", "task.hidden=[1]", "layers.options={x: 1}"])
    assert len(caught.value.faults) == 3
    assert is_cascade("digits-cascade")
    assert not is_cascade("mosaic-speech")


@pytest.fixture
def trained():
    rng = np.random.default_rng(0)
    data = ArrayData("toy", "synthetic", 3, {
        name: (rng.standard_normal((40, 8)).astype(np.float32), rng.integers(0, 3, 40)) for name in ("train", "validation", "test")
    })  # fmt: skip
    from tilewire.topology.table import family

    layers = [family("dense")(8, 6), family("dense")(6, 6)]
    values = draw_values(layers, stream(0, "w"), "auto")
    return Ensemble([layers], [values], [readout_weights(3, 6, stream(0, "r"))]), data


def test_quantised_weights_and_activations_lie_on_their_grids(trained):
    network, data = trained
    before = [parameter.detach().clone() for parameter in network.parameters()]
    x = torch.from_numpy(data.splits["test"][0])[None]
    exact = network(x)
    seen = []
    network.hidden[1].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    with quantised(network, data, 4, 5):
        levels = network.readout.detach().unique()
        step = float(dict(network.named_parameters())["readout"].detach().abs().max()) / 7
        np.testing.assert_allclose((levels / step).detach(), (levels / step).round().detach(), atol=1e-4)
        assert len(levels) <= 15
        rough = network(x)
        assert len(seen[-1].unique()) <= 16  # 2^4 - 1 steps and zero, rectified
    assert not torch.equal(exact, rough)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    torch.testing.assert_close(network(x), exact)
    with quantised(network, data, 24, 24):
        torch.testing.assert_close(network(x), exact, atol=1e-4, rtol=1e-4)


def test_accuracy_survives_eight_bits(trained):
    network, data = trained
    order = [torch.arange(8)]
    x, y = data.splits["test"]
    exact = accuracy(network, torch.from_numpy(x), y, order)[0]
    with quantised(network, data, 12, 12):
        assert abs(accuracy(network, torch.from_numpy(x), y, order)[0] - exact) < 0.1
