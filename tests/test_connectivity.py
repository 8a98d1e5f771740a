import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import NetsError


@st.composite
def pairs(draw):
    sources, targets = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    pair = st.tuples(st.integers(0, sources - 1), st.integers(0, targets - 1))
    return sources, targets, draw(st.lists(pair, max_size=40))


def of(sources, targets, listed):
    return Connectivity.of([s for s, _ in listed], [t for _, t in listed], sources, targets)


@settings(deadline=None)
@given(pairs())
def test_equals_a_set_of_pairs(drawn):
    sources, targets, listed = drawn
    graph = of(*drawn)
    expected = sorted(set(listed))
    assert list(zip(graph.source.tolist(), graph.target.tolist(), strict=True)) == expected
    assert len(graph) == len(expected)
    assert graph.fan_out.tolist() == [sum(s == i for s, _ in expected) for i in range(sources)]
    assert graph.fan_in.tolist() == [sum(t == i for _, t in expected) for i in range(targets)]
    assert graph.density == pytest.approx(len(expected) / (sources * targets))
    for i in range(sources):
        assert graph.target[graph.ptr[i] : graph.ptr[i + 1]].tolist() == [t for s, t in expected if s == i]
    assert graph == of(sources, targets, listed[::-1])
    assert graph.source.dtype == graph.target.dtype == np.int32


@settings(deadline=None)
@given(st.data(), st.integers(1, 6), st.integers(1, 4))
def test_branches_of_synapses(data, tiles, s):
    n = tiles * s
    neuron = st.integers(0, n - 1)
    listed = data.draw(st.lists(st.tuples(neuron, neuron), max_size=30))
    tile_of = np.repeat(np.arange(tiles), s)
    branches = of(n, n, listed).branches(tile_of, tiles)
    expected = sorted({(a, b // s) for a, b in listed})
    assert list(zip(branches.source.tolist(), branches.target.tolist(), strict=True)) == expected
    foreign = branches.without_own(tile_of)
    assert list(zip(foreign.source.tolist(), foreign.target.tolist(), strict=True)) == [
        p for p in expected if p[0] // s != p[1]
    ]


def test_differences_are_seen():
    graph = of(3, 3, [(0, 1)])
    assert graph != of(3, 3, [(0, 2)])
    assert graph != of(4, 3, [(0, 1)])
    assert graph != "a graph"
    with pytest.raises(TypeError):
        hash(graph)


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ([3], [0], r"source 3 is outside 0\.\.2"),
        ([-1], [0], "source -1"),
        ([0], [2], r"target 2 is outside 0\.\.1"),
        ([0, 1], [0], "2 sources but 1 targets"),
    ],
)
def test_indices_outside(source, target, says):
    with pytest.raises(NetsError, match=says):
        Connectivity.of(source, target, 3, 2)


def test_empty():
    graph = Connectivity.of([], [], 0, 0)
    assert len(graph) == 0
    assert graph.density == 0
    assert graph.ptr.tolist() == [0]
