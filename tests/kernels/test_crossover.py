"""The measured choice between sparse and dense."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import torch

from tilewire.kernels import crossover
from tilewire.kernels.crossover import Crossover, measure
from tilewire.kernels.patterns import RowPattern


def test_the_record_survives_json():
    choice = measure(RowPattern.fan_in(np.arange(12).reshape(4, 3), 12), 5)
    assert Crossover.of_record(json.loads(json.dumps(choice.record()))) == choice
    assert choice.record()["path"] in ("dense", "sparse")
    assert (choice.inputs, choice.outputs, choice.batch, choice.dtype) == (12, 4, 5, "float32")
    assert choice.threads == torch.get_num_threads()


def test_the_faster_path_is_taken(monkeypatch):
    seconds = {"numba": 3.0, "dense": 2.0}
    monkeypatch.setattr(crossover, "_seconds", lambda x, weight, pattern, tier, error: seconds[tier])
    choice = measure(RowPattern.fan_in([[0], [1]], 4), 1)
    assert choice.dense
    assert choice.crossover == 0.25 * 2.0 / 3.0
    assert not replace(choice, sparse_seconds=1.0).dense


def test_an_empty_layer_can_be_measured():
    assert measure(RowPattern(np.zeros(4), np.zeros(0), 2), 0).density == 0
