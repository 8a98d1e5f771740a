"""hMETIS files as synapse matrices."""

from pathlib import Path

import numpy as np
import pytest

from tilewire.errors import DataError, NetsError
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.hypergraph import read_hgr
from tilewire.mapping.nets import load_nets


def written(path: Path, text: str) -> Path:
    file = path / "n.hgr"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "text", ["% nets\n2 4\n1 2 3\n4 1 4\n", "2 4 1\n7 1 2 3\n9 4 1\n", "2 4 11\n7 1 2 3\n9 4 1\n1\n1\n2\n3\n"]
)
def test_first_pin_is_the_source(tmp_path: Path, text: str) -> None:
    expected = np.zeros((4, 4), int)
    expected[0, [1, 2]] = expected[3, 0] = 1
    assert np.array_equal(read_hgr(written(tmp_path, text)).toarray(), expected)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", DataError, "empty"),
        ("2\n", DataError, "header"),
        ("1 4\n1 2\n3 4\n", DataError, "announces"),
        ("1 4\n1 x\n", DataError, "whole number"),
        ("1 4\n1 5\n", NetsError, "outside"),
        ("1 4 1\n3\n", NetsError, "without pins"),
        ("1 0\n1\n", NetsError, "vertices"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_hgr(written(tmp_path, text))


def test_nets_of_a_hypergraph_are_partitioned(tmp_path: Path) -> None:
    file = written(tmp_path, "8 8\n" + "".join(f"{i} {i % 8 + 1}\n" for i in range(1, 9)))
    nets = load_nets(file, mosaic((2, 2), 2))
    assert 0 < len(nets.branches) <= 8
