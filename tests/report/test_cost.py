"""The cost card: figures with bands, energy split, and plain words for what is not known."""

import json

import pytest

from tilewire.cost.design_counts import priced_run
from tilewire.hardware.technology_file import load_technology
from tilewire.report.bar import share_bar
from tilewire.report.cost import cost_card
from tilewire.report.run_folder import read_run

COUNTS = {
    "tiles": 6, "routers": 6, "neurons": 24, "neurons_per_tile": 4, "memory_devices": 5000, "memory_bits": 9000, "steps": 10,
    "spikes": 30.0, "hops_east_west": 8.0, "hops_north_south": 9.0, "tile_entries": 20.0, "tile_exits": 15.0,
    "synaptic_operations": 400.0, "neuron_updates": 240, "port_events_mean": 1.5, "port_events_worst": 4, "port_rounds_mean": 1.0,
    "port_rounds_worst": 1, "tile_rows_mean": 2.0, "tile_rows_worst": 5, "tile_spikes_mean": 0.5, "tile_spikes_worst": 2,
    "route_hops_east_west": [2], "route_hops_north_south": [1],
}  # fmt: skip


def priced(made, technology: str | None):
    path = made.path / "evaluation.json"
    outcome = json.loads(path.read_text())
    outcome["cost"], rows = priced_run(COUNTS, load_technology(technology) if technology else None)
    outcome["objectives"] |= rows
    path.write_text(json.dumps(outcome))
    return outcome, "".join(cost_card(read_run(made.path)))


def test_a_priced_run_shows_bands_and_components(made):
    outcome, shown = priced(made, "loihi-14nm")
    assert "Technology loihi-14nm" in shown
    for part in ("routing", "synapses", "neurons", "static", "memory", "routers"):
        assert f" {part} " in shown
    assert "Not known" not in shown
    assert outcome["objectives"]["power_w"]["low"] < outcome["objectives"]["power_w"]["high"]


@pytest.mark.parametrize("technology", [None, "wan-130nm"])
def test_what_is_not_known_is_said(made, technology):
    _, shown = priced(made, technology)
    assert "Not known" in shown
    assert "constant cell_area" in shown
    assert "Energy by component" not in shown
    assert ("ILLUSTRATIVE" in shown) == (technology is not None)


def test_runs_without_cost_and_damaged_ones(made):
    assert cost_card(read_run(made.path)) == []
    path = made.path / "evaluation.json"
    outcome = json.loads(path.read_text())
    outcome["cost"] = {"technology": "<b>x</b>", "note": 3, "counts": 7}
    outcome["objectives"] |= {
        "energy_j": 5,
        "power_w": {"value": "much", "missing": "all"},
        "energy_routing_j": {"value": -1},
    }
    path.write_text(json.dumps(outcome))
    shown = "".join(cost_card(read_run(made.path)))
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown


def test_a_bar_of_nothing_is_nothing():
    assert share_bar([("a", 0.0)], "J", "none") == ""
    assert share_bar([("a", 1.0), ("b", 3.0)], "J", "two").count("<rect") == 2
