"""The operator's door: arguments are checked together, the tier is found by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tilewire.errors import UsageError
from tilewire.kernels.rsnn import rsnn


def test_reference_by_name(make_case):
    case = make_case(0)
    counts, trains = rsnn(*case.args(), tier="reference")
    assert counts.shape == (5, 12)
    assert trains.shape == (5, 7, 3)
    assert counts.any()


def test_unknown_tier_names_the_nearest(make_case):
    with pytest.raises(UsageError, match="did you mean 'reference'"):
        rsnn(*make_case(0).args(), tier="referense")


def test_all_disagreements_are_named(make_case):
    case = make_case(0)
    other = make_case(1, channels=9, n_tiles=2)
    broken = replace(case, events=other.events, w_in=case.w_in[1:], readout=np.array([12]))
    with pytest.raises(UsageError, match=r"w_in is.*channels.*readout"):
        rsnn(*broken.args(), tier="reference")


def test_mixed_types_are_refused(make_case):
    events, w_in, inputs, w_rec, *rest = make_case(0).args()
    with pytest.raises(UsageError, match="float32"):
        rsnn(events, w_in.detach().to(torch.float32), inputs, w_rec, *rest, tier="reference")


def test_tiles_must_agree(make_case):
    a, b = make_case(0), make_case(0, n_tiles=2, size=6)
    with pytest.raises(UsageError, match="reach 2 tiles of 6"):
        rsnn(*replace(a, inputs=b.inputs, w_in=b.w_in).args(), tier="reference")
