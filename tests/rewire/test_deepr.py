import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.rewire.deepr import DeepR, SoftDeepR
from tilewire.rewire.rule import TINY, Synapses


def slow_walk(weight, sign, live, l1, temperature, rate, noise):
    """Synapse by synapse, theta written out."""
    weight, live, fallen = weight.copy(), live.copy(), []
    draw = iter(noise)
    for place in np.ndindex(weight.shape):
        if not live[place]:
            weight[place] = 0
            continue
        theta = sign[place] * weight[place] - rate * l1 + (2 * rate * temperature) ** 0.5 * next(draw)
        if theta <= 0:
            fallen.append(int(np.ravel_multi_index(place, weight.shape)))
            live[place], theta = False, 0
        weight[place] = sign[place] * theta
    return weight, live, fallen


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_walk_is_the_slow_one(seed):
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(1, 8)), int(rng.integers(1, 5))
    weight = rng.standard_normal(shape).astype(np.float32)
    sign = np.where(rng.random(shape) < 0.5, -1, 1).astype(np.int8)  # some weights have just crossed
    live = rng.random(shape) < 0.7
    l1, temperature, rate = rng.random(3)
    expected = slow_walk(
        weight, sign, live, l1, temperature, rate, np.random.default_rng(7).standard_normal(int(live.sum()))
    )
    synapses = Synapses(weight, sign, live, np.zeros_like(weight))
    fallen = DeepR(l1, temperature).walk(synapses, rate, np.random.default_rng(7))
    assert np.allclose(weight, expected[0], atol=1e-5)
    assert np.array_equal(live, expected[1])
    assert fallen.tolist() == expected[2]
    assert np.array_equal(live, weight != 0)


def test_units_die_by_their_live_synapses():
    weight = np.array([[1, 0, 0, 0], [1, -1, 0, 0], [0, 0, 0, 0], [2, 2, 2, 2]], np.float32)
    assert DeepR(min_live=0.5)(weight).tolist() == [True, False, True, False]
    assert DeepR(min_live=0.0)(weight).tolist() == [False, False, True, False], "a unit without synapses is none"
    assert DeepR(min_live=0.1)(np.array([[1e-12], [0]], np.float32)).tolist() == [False, True], (
        "reborn at 1e-12 is alive"
    )


def test_shapes_of_the_record_are_views():
    synapses = Synapses.of(np.array([[1, -2], [0, 3]], np.float32))
    synapses.flat()[0][2] = 5
    assert synapses.weight[1, 0] == 5
    assert synapses.sign.tolist() == [[1, -1], [0, 1]]
    assert synapses.live.tolist() == [[True, True], [False, True]]


def test_hidden_thetas_round_trip():
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((40, 3)).astype(np.float32)
    synapses = Synapses.of(weight)
    rule = SoftDeepR(0.5, l1=0.5, temperature=0.5)
    for _ in range(50):
        rule.walk(synapses, 0.1, rng)
    assert 0 < synapses.live.sum() < synapses.live.size
    copy = Synapses.of(weight.copy(), synapses.hidden())
    for name in ("weight", "sign", "live", "depth"):
        assert np.array_equal(getattr(copy, name), getattr(synapses, name)), name
    for one in (synapses, copy):
        rule.walk(one, 0.1, np.random.default_rng(9))
    assert np.array_equal(copy.weight, synapses.weight)


@pytest.mark.parametrize(("density", "rate"), [(0.25, 0.02), (0.5, 0.01), (0.7, 0.004)])
def test_soft_deepr_keeps_its_density_in_the_long_run(density, rate):
    """Without a gradient the live share tends to p from any start, within the error of the steps' finite size."""
    rng = np.random.default_rng(0)
    rule = SoftDeepR(density, l1=1.0, temperature=1.0)
    share = []
    for start in (0.0, 1.0):
        sign = np.where(rng.random((1500, 1)) < 0.5, -1, 1).astype(np.int8)
        live = np.full((1500, 1), bool(start))
        depth = np.where(live, 0, max(rule.deepest, -1.0)).astype(np.float32)
        synapses = Synapses(np.where(live, sign * np.float32(0.5), 0).astype(np.float32), sign, live, depth)
        counts = []
        for step in range(2500):
            rule.walk(synapses, rate, rng)
            if step >= 2000:
                counts.append(live.mean())
        assert depth.min() >= rule.deepest
        assert (depth[live] == 0).all()
        assert (depth[~live] <= -TINY).all()
        share.append(np.mean(counts))
    # Clipping at theta_min puts weight on the edge: the share lies a little below p, the more the coarser the steps.
    assert np.allclose(share, density, atol=0.05), share


@pytest.mark.parametrize(
    "build",
    [
        lambda: DeepR(l1=-1),
        lambda: DeepR(temperature=-1),
        lambda: DeepR(min_live=1.1),
        lambda: SoftDeepR(0.0),
        lambda: SoftDeepR(0.5, l1=0.0),
        lambda: SoftDeepR(0.5, temperature=0.0),
    ],
)
def test_impossible_constants_are_refused(build):
    with pytest.raises(UsageError):
        build()


def test_authors_rule_of_thumb_for_the_floor():
    """theta_min = -(1 - p) / (p lambda), lambda = l1 / T, as the public code has it."""
    rule = SoftDeepR(0.05, l1=1e-5, temperature=2.5e-12)
    assert rule.deepest == pytest.approx(-(1 - 0.05) / (0.05 * 1e-5 / 2.5e-12))
