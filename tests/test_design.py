import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tilewire.design import Range, Space, key_of, settings_of

SPACE = Space({
    "a": [[1, 2], [3], "x"],
    "b": Range(low=2, high=5),
    "c": Range(low=0.5, high=8.0, log=True),
    "d": [1, 2, 4],
})  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4))
def test_every_point_of_the_cube_is_a_design(u):
    codes = SPACE.codes(np.array([u]))
    design = SPACE.design(codes[0])
    assert design["a"] in SPACE.knobs["a"]
    assert design["b"] in (2, 3, 4, 5)
    assert isinstance(design["b"], int)
    assert 0.5 <= design["c"] <= 8.0
    columns = SPACE.columns(codes)
    assert columns["d"][0] == design["d"]
    assert columns["a"][0] == design["a"]
    assert columns["b"][0] == design["b"]


def test_ranges_follow_their_laws():
    u = np.linspace(0, 1, 10_001)[:-1]
    codes = SPACE.codes(np.stack([u, u, u, u], axis=1))
    assert np.unique(codes[:, 1], return_counts=True)[1].tolist() == [2500] * 4
    assert np.median(codes[:, 2]) == pytest.approx(2.0, rel=1e-2)  # the geometric middle of 0.5 and 8


def test_ranges_that_hold_nothing_are_refused():
    with pytest.raises(ValidationError, match="no value is left"):
        Range(low=3, high=2)
    with pytest.raises(ValidationError, match="begins above 0"):
        Range(low=0, high=2, log=True)


def test_size_counts_designs():
    assert Space({"a": [1, 2], "b": Range(low=1, high=3)}).size == 6
    assert SPACE.size == np.inf
    assert Space({"a": Range(low=1.0, high=1.0)}).size == 1


def test_settings_are_what_a_recipe_reads():
    assert settings_of({"x.y": [1, 2], "z": "w"}) == ["x.y=[1, 2]", 'z="w"']
    assert key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1})
