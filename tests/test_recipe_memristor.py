"""Memristor effects from a recipe: seen by training or by evaluation alone, repeatable, and never where there is no synapse."""

import numpy as np
import pytest
import torch

from tilewire.config import load_recipe
from tilewire.data.augment import batch
from tilewire.evaluate import memristor_objectives
from tilewire.kernels.numba_infer import infer
from tilewire.nn.inference import infer_network
from tilewire.nn.memristor import Memristor
from tilewire.parts import build
from tilewire.run import Interrupted, execute

DEVICE = {"levels": 4, "clip": 2.5, "noise": 0.1, "spread": 0.1, "scale": "tile"}


@pytest.fixture
def parts(toy_recipe):
    def make(device, **sections):
        return build(load_recipe(str(toy_recipe(kernel="reference", memristor=device, **sections))))

    return make


def first_step(parts):
    next(parts.trainer.epoch())
    return parts.trainer.network


def test_training_sees_the_device_only_if_it_is_aware(parts):
    plain, unaware, aware = (first_step(parts(d)) for d in (None, DEVICE | {"aware": False}, DEVICE))
    assert torch.equal(plain.w_rec, unaware.w_rec)
    assert not torch.equal(plain.w_rec, aware.w_rec)
    assert torch.isfinite(aware.w_rec).all()


def test_noise_is_new_for_each_step_and_repeatable(parts):
    def states():
        made = parts({"noise": 0.2})
        program, seen = made.trainer.network.programmed, []

        def spy(memristor, rng):
            seen.append(rng.bit_generator.state["state"]["state"])
            return program(memristor, rng)

        made.trainer.network.programmed = spy
        steps = made.trainer.epoch()
        next(steps)
        next(steps)
        return seen, made.trainer.digest()

    (seen, digest), again = states(), states()
    assert seen[0] != seen[1]
    assert (seen, digest) == again


def test_nothing_grows_where_no_synapse_is(parts):
    """Silent synapses between output neurons, empty slots: no device, no noise, no gradient."""
    network = parts(DEVICE, budget={"profile": {1: 0.25}}).trainer.network
    w_in, w_rec = network.programmed(network.memristor, np.random.default_rng(0))
    missing = network.weights() == 0
    assert missing.any()
    assert not w_rec[missing].any()
    (w_rec.sum() + w_in.sum()).backward()
    assert not network.w_rec.grad[: network.n_local][missing[: network.n_local]].any()
    assert (network.w_in.grad == 1).all()


def test_evaluation_with_and_without_over_several_chips(parts):
    found = memristor_objectives(parts(DEVICE | {"draws": 4, "noise": 0.5}))
    accuracy = {name: entry["value"] for name, entry in found.items()}
    assert set(accuracy) == {
        "test_accuracy_without_noise",
        *(f"test_accuracy_programmed{s}" for s in ("", "_sd", "_worst")),
    }
    assert accuracy["test_accuracy_programmed_worst"] <= accuracy["test_accuracy_programmed"] <= 1
    again = memristor_objectives(parts(DEVICE | {"draws": 4, "noise": 0.5}))
    assert again == found
    still = memristor_objectives(parts({"levels": 3, "draws": 1}))
    assert still["test_accuracy_programmed"]["value"] == still["test_accuracy_without_noise"]["value"]
    assert still["test_accuracy_programmed_sd"]["value"] is None
    assert memristor_objectives(parts(None)) == {}


@pytest.mark.parametrize("scale", ["layer", "tile"])
def test_quantised_inference_is_integer_arithmetic(parts, scale):
    """The same spikes whether sums run over sources upwards or downwards: order cannot matter to integers."""
    made = parts({"levels": 7, "scale": scale, "aware": False}, rewire={"threshold": 0.8})
    network, data = made.trainer.network, made.data.splits["test"]
    memristor = Memristor(7, scale=scale)
    w_in, w_rec = (w.detach().numpy() for w in network.programmed(memristor))
    events = batch(data, np.arange(len(data)))
    spikes = infer(events, w_in, network.inputs, w_rec, network.recurrent, network.lif)
    dense = np.zeros((spikes.batch * spikes.steps, network.fabric.n_neurons))
    dense[spikes.cells(), spikes.channel] = 1
    dense = dense.reshape(spikes.batch, spikes.steps, -1)
    assert np.array_equal(dense, backwards(network, events, w_in, w_rec))
    assert dense.mean() > 0.05
    rate = infer_network(network, made.readout, data, memristor=memristor).rate
    assert np.allclose(rate, dense.mean(axis=(0, 1)))


def backwards(network, events, w_in, w_rec):
    """The defined arithmetic with every sum run downwards."""
    s, n = network.fabric.neurons_per_tile, network.fabric.n_neurons
    counts = np.zeros((events.batch * events.steps, events.channels))
    np.add.at(counts, (events.cells(), events.channel), events.count)
    counts = counts.reshape(events.batch, events.steps, -1)
    out = np.zeros((events.batch, events.steps, n))
    for b in range(events.batch):
        v, z = np.zeros(n), np.zeros(n)
        for t in range(events.steps):
            acc = np.zeros(n)
            for blocks, weight, source in ((network.recurrent, w_rec, z), (network.inputs, w_in, counts[b, t])):
                for row in np.argsort(-blocks.source, kind="stable"):
                    if blocks.tile[row] >= 0:
                        own = slice(blocks.tile[row] * s, (blocks.tile[row] + 1) * s)
                        acc[own] += source[blocks.source[row]] * weight[row].astype(np.float64)
            v = (network.lif.leak * v - network.lif.threshold * z) + acc
            z = (v > network.lif.threshold).astype(float)
            out[b, t] = z
    return out


def test_a_noisy_run_continues_bit_identically(toy_recipe, tmp_path, stop_after):
    recipe = load_recipe(str(toy_recipe(memristor=DEVICE)))
    whole = execute(recipe, tmp_path / "whole")
    with pytest.raises(Interrupted):
        execute(recipe, tmp_path / "parts", stop_after(7))
    assert execute(recipe, tmp_path / "parts") == whole
    assert "test_accuracy_programmed" in whole["objectives"]
