"""Small worlds: the light breadth-first search against the fabric's own."""

from __future__ import annotations

import numpy as np
import pytest

from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.topology.small_world import routers_between


@pytest.mark.parametrize(
    "fabric", [mesh((1, 1), 4), mesh((1, 6), 4), mesh((3, 4), 2), mesh((5, 5), 2), mosaic((2, 3), 4), mosaic((4, 4), 2)]
)
def test_distances_are_those_of_the_fabric(fabric):
    assert np.array_equal(routers_between(fabric), fabric.hop_distance)
