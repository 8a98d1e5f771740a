import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilewire.search.front import _sampled, hypervolume, knee, non_dominated, spread

LOSSES = st.integers(1, 4).flatmap(lambda m: st.integers(0, 12).flatmap(lambda n: arrays(
    float, (n, m), elements=st.one_of(st.integers(0, 4).map(float), st.floats(0, 1)))))  # fmt: skip


def brute(losses):
    found = []
    for i, row in enumerate(losses):
        beaten = any(
            (other <= row).all() and ((other < row).any() or j < i) for j, other in enumerate(losses) if j != i
        )
        found.append(not beaten)
    return found


@settings(deadline=None, max_examples=300)
@given(LOSSES)
def test_the_front_is_who_nobody_beats(losses):
    assert non_dominated(losses).tolist() == brute(losses)
    assert non_dominated(losses, chunk=2).tolist() == brute(losses)


def test_a_row_that_is_better_by_less_than_rounding_wins():
    assert non_dominated(np.array([[1.0, 1e-64], [1.0, 0.0]])).tolist() == [False, True]


def test_rows_without_a_figure_are_never_on_the_front():
    assert non_dominated(np.array([[np.nan, 0.0], [1.0, 1.0]])).tolist() == [False, True]


@settings(deadline=None, max_examples=60)
@given(LOSSES)
def test_hypervolume_is_the_share_of_cells_that_somebody_dominates(losses):
    reference = np.full(losses.shape[1], 3.0)
    edges = [np.unique(np.concatenate([np.minimum(losses[:, k], 3.0), [0.0, 3.0]])) for k in range(losses.shape[1])]
    total = 0.0
    for corner in np.stack(np.meshgrid(*[range(len(e) - 1) for e in edges], indexing="ij"), -1).reshape(-1, len(edges)):
        low = np.array([e[i] for e, i in zip(edges, corner, strict=True)])
        high = np.array([e[i + 1] for e, i in zip(edges, corner, strict=True)])
        if len(losses) and (losses <= low).all(axis=1).any():
            total += float(np.prod(high - low))
    assert hypervolume(losses, reference) == pytest.approx(total, abs=1e-9)


def test_the_sampled_volume_agrees_with_the_exact_one():
    losses = np.random.default_rng(0).random((40, 5))
    reference = np.full(5, 1.1)
    exact = hypervolume(losses, reference)
    kept = losses[non_dominated(losses)]
    assert _sampled(kept, reference, np.random.default_rng(1)) == pytest.approx(exact, rel=0.02)


def test_spread_takes_the_ends_and_then_the_middle_before_any_beaten_row():
    losses = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0], [0.9, 0.9], [0.51, 0.5]])
    assert sorted(spread(losses, 3, np.array([np.inf, np.inf]))) == [0, 1, 2]
    assert len(spread(losses, 9, np.array([np.inf, np.inf]))) == 5
    assert spread(np.full((2, 2), np.nan), 2, np.array([1.0, 1.0])) == []


def test_the_knee_is_nearest_to_the_ideal():
    assert knee(np.array([[0.0, 100.0], [0.2, 20.0], [1.0, 0.0]])) == 1
