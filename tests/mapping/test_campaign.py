"""The campaigns in miniature: verdicts against checker, verifier and integer programme, seeded faults, resumption."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tilewire.mapping.routing import map_nets

SCRIPT = Path(__file__).parents[2] / "scripts" / "mapping_campaign.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="scripts are part of a source checkout only")


@pytest.fixture(scope="module")
def campaign():
    spec = importlib.util.spec_from_file_location("mapping_campaign", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_verdicts_hold_and_faults_are_caught(campaign, tmp_path, capsys):
    out = tmp_path / "verdicts.jsonl"
    campaign.run("verdicts", 0, 40, out)
    records = campaign.read(out)
    assert [record["number"] for record in records] == list(range(40))
    assert {record["family"] for record in records} == {"mosaic", "mesh"}
    assert {record["verdict"] for record in records} >= {"fits", "infeasible"}
    assert sum(record["verdict"] == "unknown" for record in records) <= 2
    assert campaign.summary(records)
    assert "40 instances, 0 promises broken" in capsys.readouterr().out
    assert not campaign.summary([{**records[0], "wrong": "a promise"}])


def test_an_interrupted_campaign_goes_on_where_it_stopped(campaign, tmp_path):
    out = tmp_path / "verdicts.jsonl"
    campaign.run("verdicts", 0, 3, out)
    whole = out.read_text()
    out.write_text(whole[:-20])  # cut off inside the last record
    campaign.run("verdicts", 0, 3, out)
    again = [json.loads(line) for line in out.read_text().splitlines()]
    first = [json.loads(line) for line in whole.splitlines()]
    assert [{**record, "seconds": 0} for record in again] == [{**record, "seconds": 0} for record in first]


def test_every_fault_can_be_seeded_and_is_named_by_the_check(campaign):
    seen, number = set(), 0
    while seen < set(campaign.FAULTS) and number < 200:
        one = campaign.draw_instance(number, 12)
        mapping = map_nets(one.fabric, one.nets, one.placement, router="negotiated", rng=np.random.default_rng(number))
        fault = campaign.seeded_fault(one, mapping.trees, mapping.load, number) if mapping.verdict == "fits" else None
        if fault:
            assert fault[1], (number, fault)
            seen.add(fault[0])
        number += 1
    assert seen == set(campaign.FAULTS)


def test_no_verdict_is_false_against_the_integer_programme(campaign):
    records = [campaign.programme_record(number) for number in range(12)]
    assert all(record["wrong"] is None for record in records)
    assert {record["routable"] for record in records} == {True, False}
