import json

import numpy as np
import pytest

from tilewire.config import load_recipe
from tilewire.data.record import SPLITS
from tilewire.evaluate import map_network, objectives, score, wiring_objectives
from tilewire.mapping.routing import load_mapping
from tilewire.nn.inference import infer_network
from tilewire.parts import build
from tilewire.run import execute


@pytest.fixture
def parts(toy_recipe):
    return build(load_recipe(str(toy_recipe(kernel="reference"))))


def test_accuracy_and_confusion_are_counted_by_hand(parts):
    for split in SPLITS:
        pack = parts.data.splits[split]
        inference = infer_network(parts.trainer.network, parts.readout, pack)
        accuracy, confusion = score(parts, split, inference)
        answer = inference.scores.argmax(axis=1)
        assert accuracy == pytest.approx(np.mean([a == b for a, b in zip(answer, pack.label, strict=True)]))
        assert confusion.sum() == len(pack)
        assert np.trace(confusion) / confusion.sum() == pytest.approx(accuracy)
        assert confusion.sum(axis=1).tolist() == np.bincount(pack.label, minlength=2).tolist()


def test_folded_channels_are_scored_per_utterance(toy_recipe):
    """The public code of the routing-aware paper counts its interleaved copies as samples."""
    parts = build(load_recipe(str(toy_recipe(kernel="reference", data={"name": "toy_task:toy", "fold": 3}))))
    pack = parts.data.splits["test"]
    assert len(pack) == 3 * 6
    inference = infer_network(parts.trainer.network, parts.readout, pack)
    accuracy, confusion = score(parts, "test", inference)
    summed = inference.scores.reshape(6, 3, -1).sum(axis=1)
    assert confusion.sum() == 6
    assert accuracy == pytest.approx((summed.argmax(axis=1) == pack.label[::3]).mean())


def test_every_objective_says_what_it_is(parts):
    test = infer_network(parts.trainer.network, parts.readout, parts.data.splits["test"], flips=True)
    mapping, nets = map_network(parts, test.rate)
    found = objectives(parts, mapping, dict.fromkeys(SPLITS, 0.5), test)
    for name, entry in found.items():
        assert set(entry) == {"value", "unit", "sense", "source"}, name
        assert entry["sense"] in ("maximise", "minimise", "report")
        assert entry["unit"]
        assert entry["source"]
    live = parts.trainer.network.live_branches()
    assert found["branches"]["value"] == len(live) == len(nets.branches.without_own(nets.group))
    assert found["memory_devices"]["value"] == parts.fabric.memory().total
    assert found["parameters"]["value"] != found["memory_devices"]["value"]
    assert json.loads(json.dumps(found)) == found


def test_the_stored_mapping_is_the_one_reported(toy_recipe, tmp_path):
    recipe = load_recipe(str(toy_recipe()))
    evaluation = execute(recipe, tmp_path / "run")
    fabric = build(recipe).fabric
    mapping, _ = load_mapping(tmp_path / "run" / "mapping.npz", fabric)
    assert mapping.verdict == evaluation["verdict"]
    assert dict(mapping.max_load) == evaluation["mapping"]["max_load"]
    assert evaluation["memory"]["total"] == sum(evaluation["memory"]["by_kind"].values())
    assert sum(map(sum, evaluation["confusion"])) == 6


def sizes(parts, mapping, nets):
    return wiring_objectives(parts.fabric, mapping, nets, parts.recipe.evaluate.sizing, parts.recipe.seed)


def test_needed_memory_of_both_routers_is_reported(toy_recipe):
    """A chip that cannot carry the net still tells what the net needs; the recipe chooses the routers."""
    hardware = {
        "family": "mosaic",
        "grid": [2, 3],
        "neurons_per_tile": 4,
        "channels": {"router": 0, "tile_in": 1, "tile_out": 1},
    }
    sections = {"kernel": "reference", "hardware": hardware, "budget": {"kind": "branches", "branches": 60}}
    parts = build(load_recipe(str(toy_recipe(**sections))))
    mapping, nets = map_network(parts, np.zeros(24))
    assert mapping.verdict == "infeasible"
    found = {name: entry["value"] for name, entry in sizes(parts, mapping, nets).items()}
    needed = [f"memory_devices_needed_{name}" for name in ("one_turn", "negotiated")]
    for name in needed:
        assert 6 * 16 < found[f"{name}_sized_output"] <= found[name]
    assert found[needed[1]] <= found[needed[0]]
    assert found[needed[0]] >= mapping.memory_devices, "the published count wires all neurons out of a tile"
    assert sum(value for name, value in found.items() if name.startswith("branches_hop_class_")) == 60
    one = build(load_recipe(str(toy_recipe(**sections, evaluate={"sizing": ["one-turn"]}))))
    assert not any("negotiated" in name for name in sizes(one, mapping, nets))


def test_trees_of_the_budget_bound_what_is_needed(toy_recipe):
    parts = build(load_recipe(str(toy_recipe(kernel="reference", budget={"kind": "ports"}, router="negotiated"))))
    mapping, nets = map_network(parts, np.zeros(24))
    found = sizes(parts, mapping, nets)
    assert found["memory_devices_needed_negotiated"]["value"] <= mapping.memory_devices
