import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tilewire.errors import RunError
from tilewire.report.study_page import write_study_report
from tilewire.run import Interrupted
from tilewire.search.ledger import open_ledger
from tilewire.search.plan import ARMS, Draw
from tilewire.search.results import write_results
from tilewire.search.study import load_study
from tilewire.search.training import Median, curve_of, trained
from tilewire.search.worker import work


@pytest.fixture
def toy_study(toy_recipe, tmp_path):
    recipe: Path = toy_recipe(train={"epochs": 4, "batch": 6})
    path = tmp_path / "toy-study.yaml"
    path.write_text(f"""
recipe: {recipe.name}
space:
  budget.profile.1: {{ low: 0.1, high: 1.0 }}
  train.lr: [0.01, 0.02]
objectives: [validation_accuracy, branches]
reference: {{ validation_accuracy: 0.0, branches: 1000 }}
hand: {{ name: as it is }}
budget: {{ screen: 0, generations: 2, population: 2, survivors: 1, seeds: 2, short: {{ train.epochs: 2 }} }}
""")
    return load_study(path)


def run(study, folder):
    with open_ledger(study, folder, None, "toy") as ledger:
        work(study, ledger, trained(study, folder, lambda: False))
        with ledger.exclusive():
            return {arm: ledger.entries(arm) for arm in ARMS}


def test_a_study_trains_and_tells_how_to_repeat_it(toy_study, tmp_path):
    folder = tmp_path / "study"
    entries = run(toy_study, folder)
    summary = write_results(toy_study, entries, folder)
    assert [summary["arms"][arm]["trainings"] for arm in ARMS] == [6, 6, 2]
    point = summary["arms"]["search"]["front"][0]
    assert point["seeds"] == 2
    words = shlex.split(point["command"])
    command = [sys.executable, "-m", *words, "--out", str(tmp_path / "again"), "--json", "--quiet"]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(again.stdout)["objectives"]["validation_accuracy"]["value"]
    first = next(d for d, _ in entries["search"] if d.stage == "full" and d.design == point["design"])
    own = next(r for d, r in entries["search"] if d.k == first.k)
    assert told == own.objectives["validation_accuracy"]
    with open(folder / "front.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {row["arm"] for row in rows} <= set(ARMS)
    page = write_study_report(folder).read_text()
    assert "default-src &#x27;none&#x27;" in page
    assert page.count("<polyline") == sum(
        result.state == "complete" for arm in entries.values() for _, result in arm if result
    )


def test_a_design_that_cannot_be_is_kept_with_its_reason(toy_study, tmp_path):
    evaluate = trained(toy_study, tmp_path, lambda: False)
    draw = Draw("search", 0, "short", 0, {"budget.profile.1": 1.0, "train.lr": 0.01, "hardware": "no-such-chip"}, 0)
    result = evaluate(draw, ())
    assert result.state == "infeasible"
    assert "no-such-chip" in result.reason


def test_whoever_falls_behind_is_stopped_at_the_same_epoch_however_often_it_is_tried(toy_study, tmp_path):
    draw = Draw("search", 0, "short", 0, {"budget.profile.1": 0.5, "train.lr": 0.01}, 0)
    rivals = [(1.0, 1.0, 1.0, 1.0)] * 4
    result = trained(toy_study, tmp_path, lambda: False)(draw, rivals)
    assert result.state == "stopped"
    assert len(result.curve) == 1
    again = trained(toy_study, tmp_path, lambda: False)(draw, rivals)
    assert again == result
    assert trained(toy_study, tmp_path / "free", lambda: False)(draw, ()).state == "complete"


def test_a_worker_that_must_stop_saves_and_goes_on_later(toy_study, tmp_path):
    draw = Draw("search", 0, "full", 0, {"budget.profile.1": 0.5, "train.lr": 0.01}, 0)
    polls = iter([False] * 5 + [True] * 100)
    with pytest.raises(Interrupted):
        trained(toy_study, tmp_path / "a", lambda: next(polls))(draw, ())
    assert 0 < len(curve_of(tmp_path / "a" / "search" / "00000", "validation_accuracy")) < 4
    resumed = trained(toy_study, tmp_path / "a", lambda: False)(draw, ())
    assert resumed == trained(toy_study, tmp_path / "b", lambda: False)(draw, ())


def test_the_median_needs_rivals_and_spares_the_last_epoch():
    high = [(0.5, 0.5, 0.5)] * 4
    assert Median(high, 1, 3).behind((0.4,)) == 1
    assert Median(high, 2, 3).behind((0.4,)) is None
    assert Median(high, 1, 3).behind((0.6, 0.4)) == 2
    assert Median(high, 1, 3).behind((0.6, 0.6, 0.1)) is None
    assert Median(high[:3], 1, 3).behind((0.1,)) is None


def test_a_folder_that_is_no_study_is_named(tmp_path):
    with pytest.raises(RunError, match="no readable study"):
        write_study_report(tmp_path)
