"""``tilewire cost`` on runs and mappings."""

import json
import sys

import pytest

from tilewire.cli.main import main
from tilewire.config import load_recipe
from tilewire.cost.streaming import TECHNOLOGY, objectives
from tilewire.hardware.streaming import StreamingAccelerator
from tilewire.hardware.technology_file import load_technology
from tilewire.mapping.archive import read_arrays
from tilewire.mapping.streaming import sized
from tilewire.mapping.streaming_network import streaming_network
from tilewire.run import execute
from tilewire.topology.table import TOPOLOGIES

MESH = {"family": "mesh", "grid": [2, 3], "neurons_per_tile": 4, "channels": {"router": 12, "tile_in": 20}}


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs the program; returns exit code, stdout, stderr."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["tilewire", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def finished(toy_recipe, tmp_path):
    """A run on a mesh with a technology of its own file."""
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nextends: loihi-14nm\nconstants: {synapse_energy: {value: 5 pJ, source: our bench}}\n"
    )
    recipe = toy_recipe(
        hardware=MESH | {"technology": str(tmp_path / "mine.yaml")}, budget={"profile": {2: 0.5, 3: 0.2}},
        evaluate={"sizing": []}, train={"epochs": 1, "batch": 10},
    )  # fmt: skip
    evaluation = execute(load_recipe(str(recipe)), tmp_path / "run")
    return tmp_path / "run", evaluation


def test_a_run_is_simulated_priced_and_stands_alone(finished, call, tmp_path):
    folder, evaluation = finished
    (tmp_path / "mine.yaml").unlink()  # the folder has its own copy
    code, out, _ = call("cost", folder, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["technology"]["name"] == "mine"
    six = ("test_accuracy", "parameters", "throughput_per_s", "latency_s", "power_w", "area_mm2")
    for name in six:
        assert found["objectives"][name]["value"] is not None
        assert found["objectives"][name]["value"] == evaluation["objectives"][name]["value"]
    spikes = read_arrays(folder / "activity.npz")["neuron_spikes"].sum() / 6
    assert found["objectives"]["spikes_per_inference"]["value"] == pytest.approx(spikes)
    rows = evaluation["cost"]["counts"]["synaptic_operations"]
    assert found["objectives"]["energy_synapses_j"]["value"] == pytest.approx(rows * 5e-12)


def test_another_technology_weight_bits_and_explanations(finished, call):
    folder, _ = finished
    _, out, _ = call("cost", folder, "--technology", "wan-130nm", "--json")
    found = json.loads(out)["objectives"]
    assert found["energy_j"]["value"] is None
    assert "constant synapse_energy" in found["energy_j"]["missing"]
    bits = [json.loads(call("cost", folder, "--weight-bits", n, "--json")[1])["counts"]["memory_bits"] for n in (8, 32)]
    assert bits[0] < bits[1]
    code, out, _ = call("cost", folder, "--explain", "energy_synapses_j")
    assert code == 0
    for word in ("synaptic operations x synapse", "synaptic_operations", "synapse_energy", "our bench", "band", "mine"):
        assert word in out
    explained = json.loads(call("cost", folder, "--explain", "energy_synapses_j", "--json")[1])
    assert explained["constants"][0]["source"] == "our bench"
    assert (
        "missing: constant cell_area" in call("cost", folder, "--technology", "wan-130nm", "--explain", "area_mm2")[1]
    )
    assert "count of trainable weights" in call("cost", folder, "--explain", "parameters")[1]
    code, out, _ = call("cost", folder)
    assert "technology mine" in out
    assert "power_w" in out


def test_a_mapping_and_a_run_that_was_never_simulated(finished, call, tmp_path):
    folder, evaluation = finished
    chip = tmp_path / "chip.yaml"
    chip.write_text(json.dumps(MESH | {"technology": "loihi-14nm"}))
    code, out, _ = call("cost", folder / "mapping.npz", "--hardware", chip, "--steps", 6, "--json")
    found = json.loads(out)["objectives"]
    assert code == 0
    assert found["area_mm2"]["value"] == pytest.approx(evaluation["objectives"]["area_mm2"]["value"])
    assert found["energy_routing_j"]["value"] > 0
    assert found["energy_j"]["missing"] == [
        "count synaptic_operations", "count rounds_mean", "count spike_turns_mean", "count synapse_turns_mean",
    ]  # fmt: skip
    evaluation.pop("cost")
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    found = json.loads(call("cost", folder, "--json")[1])["objectives"]
    assert found["energy_routing_j"]["value"] > 0
    assert found["energy_j"]["value"] is None


@pytest.mark.parametrize(
    "counts",
    [
        7,
        {"spikes": "many", "steps": 10**400, "tiles": True},
        {"route_hops_east_west": [1, 2], "route_hops_north_south": [1]},
    ],
)
def test_damaged_counts_are_missing_not_failures(finished, call, counts):
    folder, evaluation = finished
    evaluation["cost"]["counts"] = counts
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    code, out, _ = call("cost", folder, "--json")
    assert code == 0
    assert json.loads(out)["objectives"]["latency_s"]["value"] is None


def test_wrong_calls_name_the_fix(finished, call, tmp_path):
    folder, _ = finished
    for words, code, text in (
        (["cost", folder, "--explain", "energy"], 2, "energy_j"),
        (["cost", folder, "--technology", "loihi"], 2, "loihi-14nm"),
        (["cost", folder / "mapping.npz"], 2, "--hardware"),
        (["cost", tmp_path / "nowhere.npz", "--hardware", "mesh-4x4"], 2, "no such file"),
    ):
        found, _, err = call(*words)
        assert (found, text in err) == (code, True), err
    (tmp_path / "empty").mkdir()
    found, _, err = call("cost", tmp_path / "empty")
    assert found == 1
    assert "no run here" in err


def test_a_network_on_an_accelerator(call, tmp_path):
    """Its objectives hold the counts they came from, so that another technology prices them again."""
    accelerator = StreamingAccelerator(2, 8, 8, 8, 8, 8, 0, 5e8, "crossbar")
    network = streaming_network([TOPOLOGIES["butterfly"](16, 16, radix=4)])
    own = load_technology(TECHNOLOGY)
    priced = objectives(sized(accelerator, network), network, own)
    rows = {name: one.summary() for name, one in priced.items()}
    rows["test_accuracy"] = {"value": 0.9, "unit": "share", "sense": "maximise", "source": "test split"}
    (tmp_path / "evaluation.json").write_text(json.dumps({"kind": "cascade", "objectives": rows}, default=float))
    (tmp_path / "config.yaml").write_text(f"kind: cascade\ntechnology: {TECHNOLOGY}\n")
    found = json.loads(call("cost", tmp_path, "--json")[1])
    assert found["technology"]["name"] == TECHNOLOGY
    for name, one in priced.items():
        assert found["objectives"][name]["value"] == pytest.approx(one.value), name
    (tmp_path / "mine.yaml").write_text(
        f"name: mine\nextends: {TECHNOLOGY}\nconstants:\n  sram_area: {{value: 1 mm2, source: x}}\n"
    )
    dear = json.loads(call("cost", tmp_path, "--technology", tmp_path / "mine.yaml", "--json")[1])
    assert dear["objectives"]["area_mm2"]["value"] > found["objectives"]["area_mm2"]["value"]
    assert "constants, SI" in call("cost", tmp_path, "--explain", "area_mm2")[1]
    assert call("cost", tmp_path, "--weight-bits", 4)[0] == 2
