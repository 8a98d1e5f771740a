"""Nets files: every format, every fault by name."""

import io
import zipfile

import numpy as np
import pytest
from scipy import io as scipy_io
from scipy import sparse

from tilewire.errors import DataError, NetsError
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.nets import Nets, load_nets
from tilewire.mapping.routing import map_nets, save_mapping

FABRIC = mosaic((2, 2), 3)


def test_branches_with_rate(tmp_path):
    np.savez(tmp_path / "nets.npz", branches=[[0, 1], [11, 0], [4, 1]], rate=np.arange(12.0))
    nets = load_nets(tmp_path / "nets.npz", FABRIC)
    assert list(zip(nets.branches.source.tolist(), nets.branches.target.tolist(), strict=True)) == [(0, 1), (11, 0)]
    assert nets.rate is not None
    assert nets.rate[11] == 11
    assert nets.group.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_run_folder_gives_the_nets_of_its_mapping(tmp_path, draw_nets):
    nets, placement = draw_nets(FABRIC, 0.4, 2)
    save_mapping(tmp_path / "mapping.npz", map_nets(FABRIC, nets, placement), FABRIC, nets)
    assert load_nets(tmp_path, FABRIC).branches == nets.branches


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"branches": [[12, 0], [0, 4]]}, ["source neuron", "0..11", "group", "0..3"]),
        ({"branches": [[0, 1], [0, 1]]}, ["twice", "[0, 1]"]),
        ({"branches": [[-1, 1]]}, ["outside"]),
        ({"branches": [[0.0, 1.0]]}, ["float64", "integer [n, 2]"]),
        ({"branches": [0, 1]}, ["integer [n, 2]"]),
        ({"branches": [[0, 1]], "rate": [-1.0] * 12}, ["12 rates", "negative"]),
        ({"branches": [[0, 1]], "rate": [np.nan] + [0.0] * 11}, ["not finite"]),
        ({"branches": [[0, 9]], "rate": [1.0]}, ["outside 0..3", "12 neurons"]),
        ({"branches": [[0, 1]], "group": [0] * 12}, ["group 0 has 12"]),
        ({"branches": [[0, 1]], "group": [7] * 12}, ["group"]),
        ({"something": [1]}, ["something"]),
    ],
)
def test_every_fault_is_named_at_once(tmp_path, arrays, words):
    np.savez(tmp_path / "nets.npz", **arrays)
    with pytest.raises(NetsError) as error:
        load_nets(tmp_path / "nets.npz", FABRIC)
    assert all(word in str(error.value) for word in [*words, "nets.npz"])


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)


def test_hostile_archives(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<i8", "fortran_order": False, "shape": (1 << 40, 2)})
    archive(tmp_path / "huge.npz", {"branches.npy": buffer.getvalue()})
    np.savez(tmp_path / "pickle.npz", branches=np.array([print], dtype=object))
    archive(tmp_path / "many.npz", {f"{i}.npy": b"" for i in range(100)})
    archive(tmp_path / "junk.npz", {"branches.npy": b"not an array", "rate.npy": b"neither"})
    np.savez(tmp_path / "whole.npz", branches=np.zeros((100, 2), int))
    data = bytearray((tmp_path / "whole.npz").read_bytes())
    (tmp_path / "cut.npz").write_bytes(data[:-300])
    data[300] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(data)
    for name in ("huge", "pickle", "many", "junk", "cut", "flipped"):
        with pytest.raises(DataError, match=name):
            load_nets(tmp_path / f"{name}.npz", FABRIC)
    with pytest.raises(DataError, match=r"branches.*rate"):
        load_nets(tmp_path / "junk.npz", FABRIC)


def test_names_and_folders_that_are_none(tmp_path):
    (tmp_path / "nets.pkl").write_bytes(b"")
    for path in (tmp_path, tmp_path / "absent.npz", tmp_path / "nets.pkl"):
        with pytest.raises(DataError):
            load_nets(path, FABRIC)


def blocks():
    """Four groups of three neurons, dense inside, shuffled, with two directed synapses between groups."""
    matrix = np.kron(np.eye(4), -np.ones((3, 3)))
    matrix[0, 5], matrix[7, 1] = 2.5, -1
    order = np.random.default_rng(1).permutation(12)
    return matrix[np.ix_(order, order)]


def write_all(folder, matrix):
    np.savetxt(folder / "m.csv", matrix, delimiter=",")
    np.savez(folder / "dense.npz", weights=matrix)
    np.savez(folder / "fortran.npz", weights=np.asfortranarray(matrix))
    sparse.save_npz(folder / "csr.npz", sparse.csr_array(matrix))
    sparse.save_npz(folder / "csc.npz", sparse.csc_array(matrix))
    scipy_io.mmwrite(folder / "m.mtx", sparse.coo_array(matrix))
    return [folder / n for n in ("m.csv", "dense.npz", "fortran.npz", "csr.npz", "csc.npz", "m.mtx")]


def test_matrices_are_partitioned_into_groups(tmp_path):
    for path in write_all(tmp_path, blocks()):
        nets = load_nets(path, FABRIC, rng=np.random.default_rng(0), seconds=0.5)
        assert np.bincount(nets.group).tolist() == [3, 3, 3, 3]
        assert len(nets.branches) == 2, path  # the two synapses between the blocks, whatever their sign
        shifted = nets.contiguous()
        assert len(shifted) == 2
        mapping = map_nets(FABRIC, nets, nets.group)
        assert mapping.verdict == "fits"


def test_smaller_matrix_leaves_neurons_unused(tmp_path):
    np.savetxt(tmp_path / "small.csv", np.ones((5, 5)), delimiter=",")
    nets = load_nets(tmp_path / "small.csv", FABRIC, rng=np.random.default_rng(0), seconds=0.5)
    assert isinstance(nets, Nets)
    assert np.bincount(nets.group).tolist() == [3, 3, 3, 3]
    assert not np.isin(nets.branches.source, np.arange(5, 12)).any()


def test_wrong_matrices_are_named(tmp_path):
    cases = {
        "wide.csv": "1,0,1\n0,1,1\n",
        "ragged.csv": "1,0\n1\n",
        "words.csv": "a,b\nc,d\n",
        "empty.csv": "",
        "nan.csv": "0,nan\n1,0\n",
    }
    for name, text in cases.items():
        (tmp_path / name).write_text(text)
    np.savetxt(tmp_path / "large.csv", np.ones((13, 13)), delimiter=",")
    (tmp_path / "bad.mtx").write_text("%%MatrixMarket matrix coordinate real general\n9999999 9999999 1\n1 1 1\n")
    (tmp_path / "lies.mtx").write_text("%%MatrixMarket matrix coordinate real general\n3 3 900000000\n1 1 1\n")
    (tmp_path / "none.mtx").write_text("nothing")
    broken = {"format": np.bytes_("csr"), "shape": [3, 3], "data": [1.0], "indices": [7], "indptr": [0, 1, 1, 1]}
    np.savez(tmp_path / "broken.npz", **broken)
    for name in (*cases, "large.csv", "bad.mtx", "lies.mtx", "none.mtx", "broken.npz"):
        with pytest.raises((NetsError, DataError), match=name):
            load_nets(tmp_path / name, FABRIC, rng=np.random.default_rng(0))
