import contextlib
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.config import TrainConfig, load_recipe
from tilewire.errors import RunError, TrainingError
from tilewire.parts import build
from tilewire.train import learning_rate


@pytest.fixture
def trainer(toy_recipe):
    def make(**sections):
        parts = build(load_recipe(str(toy_recipe(kernel="reference", **sections))))
        return parts.trainer, parts.data

    return make


def epoch(trainer, data):
    reports = list(trainer.epoch())
    return reports, trainer.end_epoch(data.splits["validation"])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 500), st.floats(0, 1), st.floats(0, 1), st.floats(1e-6, 10))
def test_schedule_is_counted_in_steps_over_the_whole_run(steps, hold, floor, lr):
    """The public code of the routing-aware paper gives its schedule epochs and steps it by updates."""
    config = TrainConfig(lr=lr, hold=hold, floor=floor)
    rates = [learning_rate(step, steps, config) for step in range(steps + 1)]
    assert all(rate == lr for step, rate in enumerate(rates) if step <= hold * steps)
    assert all(a >= b - 1e-12 * lr for a, b in itertools.pairwise(rates))
    assert floor * lr * (1 - 1e-9) <= min(rates)
    if hold * steps <= steps - 1:
        assert rates[-1] == pytest.approx(floor * lr)


def test_an_epoch_sees_every_sample_once_in_a_new_order(trainer, monkeypatch):
    made, data = trainer()
    seen = []
    step = made._step
    monkeypatch.setattr(made, "_step", lambda indices: (seen.append(indices.tolist()), step(indices))[1])
    orders = []
    for _ in range(2):
        seen.clear()
        reports, record = epoch(made, data)
        orders.append([index for batch in seen for index in batch])
        assert sorted(orders[-1]) == list(range(20))
        assert [report.step for report in reports] == [1, 2, 3, 4, 5]
        assert record["excess"] <= 0
        assert record["missing"] == 0
        assert record["killed"] == record["born"]
    assert orders[0] != orders[1]


def test_the_last_partial_batch_counts(trainer):
    made, data = trainer(train={"epochs": 2, "batch": 7})
    reports, record = epoch(made, data)
    assert len(reports) == 3
    assert record["train_accuracy"] == pytest.approx(reports[-1].accuracy)


def test_no_rewiring_after_the_last_epoch_nor_in_a_static_network(trainer):
    made, data = trainer(train={"epochs": 2, "batch": 4, "lr": 0.05})
    assert epoch(made, data)[1]["born"] > 0
    before = made.network.branches.tile.copy()
    assert epoch(made, data)[1]["born"] == 0
    assert np.array_equal(before, made.network.branches.tile)
    static, data = trainer(rewire={"every": 0})
    before = static.network.branches.tile.copy()
    epoch(static, data)
    assert np.array_equal(before, static.network.branches.tile)


def test_density_and_loss_in_the_record(trainer):
    made, data = trainer(budget={"profile": {1: 0.5, 3: 0.25}}, train={"epochs": 2, "batch": 5})
    _, record = epoch(made, data)
    assert record["density"] == {"1": 0.5, "3": 0.25, "5": 0.0}
    assert math.isfinite(record["loss"])


@pytest.mark.parametrize("layer", ["w_in", "w_rec"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_poisoned_weight_stops_within_a_step_and_names_its_layer(trainer, layer, value):
    made, _ = trainer()
    next(made.epoch())
    with torch.no_grad():
        getattr(made.network, layer)[0, 0] = value
    with pytest.raises(TrainingError) as caught:
        list(made.epoch())
    assert layer in str(caught.value)
    assert "epoch 1, step 2" in str(caught.value)
    assert "smaller train.lr" in str(caught.value)


def test_an_overflowing_step_is_noticed(trainer, monkeypatch):
    made, _ = trainer()
    monkeypatch.setattr(made.optimiser, "step", lambda: made.network.w_in.data.mul_(1e38).mul_(1e38))
    with pytest.raises(TrainingError, match="after this step a weight of w_in is not finite; it is in no checkpoint"):
        next(made.epoch())


def test_the_largest_rate_gives_finite_numbers_or_a_named_error(trainer):
    made, data = trainer(train={"epochs": 3, "batch": 4, "lr": 1000})
    with contextlib.suppress(TrainingError):
        for _ in range(3):
            assert math.isfinite(epoch(made, data)[1]["loss"])


def test_a_loss_that_is_not_finite_changes_no_weight(trainer, monkeypatch):
    made, _ = trainer()
    before = made.digest()
    monkeypatch.setattr(made, "readout", lambda counts, trains: trains.sum(dim=1) * math.nan)
    with pytest.raises(TrainingError, match="no weight was changed"):
        next(made.epoch())
    assert made.digest() == before


def test_restore_brings_everything_back(trainer):
    first, data = trainer()
    epoch(first, data)
    saved = {name: np.array(value) for name, value in first.arrays().items()}, first.state()
    second, _ = trainer()
    second.restore(*saved)
    assert second.digest() == first.digest()
    assert {name: value.shape for name, value in second.arrays().items()} == {n: v.shape for n, v in saved[0].items()}
    for made in (first, second):
        epoch(made, data)
    assert second.digest() == first.digest()
    assert all(np.array_equal(a, second.arrays()[name]) for name, a in first.arrays().items())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays, state: arrays.pop("weight.w_rec"),
        lambda arrays, state: arrays.update({"weight.w_rec": np.zeros((3, 3), np.float32)}),
        lambda arrays, state: arrays.update({"wiring.tile": np.zeros(1, np.int32)}),
        lambda arrays, state: arrays.update({"wiring.tile": arrays["wiring.tile"] + 99}),
        lambda arrays, state: state.pop("cursor"),
        lambda arrays, state: state.update({"cursor": {"epoch": 0, "step": 0, "tally": {"x": 1}}}),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(trainer, spoil):
    made, _ = trainer()
    next(made.epoch())
    arrays, state = {name: np.array(value) for name, value in made.arrays().items()}, made.state()
    spoil(arrays, state)
    with pytest.raises(RunError, match="another network"):
        made.restore(arrays, state)
