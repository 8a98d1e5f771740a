"""Mt-KaHyPar in a child process: a native solver that crashes or hangs is an error here, never the end of the program.

Preset DEFAULT on one thread of a fresh process: there a seed repeats, and DETERMINISTIC takes several times longer. The child is this
file run as a module; arrays travel through files without pickle.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import TilewireError

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


class NativeError(TilewireError):
    """A native solver failed, crashed, hung or answered with something that is not a partition."""


def installed() -> bool:
    """Whether the extra `place` is there; nothing is loaded."""
    return importlib.util.find_spec("mtkahypar") is not None


def run_child(command: list[str], seconds: float, name: str) -> None:
    """Run a solver to its end. Raises `NativeError` after ``seconds`` or for an exit code other than 0."""
    try:
        done = subprocess.run(command, timeout=seconds, capture_output=True, check=False)
    except subprocess.TimeoutExpired as error:
        raise NativeError(f"{name} did not finish within {seconds:g} s", hint="a larger time limit") from error
    except OSError as error:
        raise NativeError(f"{name} could not be started: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise NativeError(f"{name} ended with {how}" + (f": {said[-1]}" if said else ""))


def kahypar(
    graph: tuple[Longs, Ints, Ints], sizes: Longs, *, seed: int, seconds: float, command: list[str] | None = None
) -> Ints:
    """Partition of a symmetric graph (ptr, neighbour, weight) by its cut, parts of exactly ``sizes``, int32 [nodes].

    ``command`` replaces the child (the paths of problem and answer are appended). Raises `NativeError`.
    """
    ptr, neighbour, weight = graph
    source = np.repeat(np.arange(ptr.size - 1), np.diff(ptr))
    once = source < neighbour
    edges = np.stack([source[once], neighbour[once]], axis=1).astype(np.int64)
    with tempfile.TemporaryDirectory(prefix="tilewire-") as folder:
        question, answer = Path(folder) / "problem.npz", Path(folder) / "answer.npy"
        np.savez(question, edges=edges, weight=weight[once], sizes=sizes, seed=np.array(seed))
        child = [sys.executable, "-m", "tilewire.mapping.partition_native"] if command is None else command
        run_child([*child, str(question), str(answer)], seconds, "mtkahypar")
        try:
            parts: Ints = np.load(answer, allow_pickle=False).astype(np.int32)
        except (OSError, ValueError) as error:
            raise NativeError(f"mtkahypar left no readable answer: {error}") from error
    shape_ok = parts.shape == (int(sizes.sum()),) and 0 <= parts.min() <= parts.max() < sizes.size
    if not shape_ok or not np.array_equal(np.bincount(parts, minlength=sizes.size), sizes):
        raise NativeError("mtkahypar answered with something that is not a partition of the asked sizes")
    return parts


def _child(question: Path, answer: Path) -> None:
    import mtkahypar

    with np.load(question, allow_pickle=False) as given:
        problem = dict(given)
    sizes = problem["sizes"]
    ones = [1] * int(sizes.sum())
    mtkahypar.set_seed(int(problem["seed"]))
    solver = mtkahypar.initialize(1)
    context = solver.context_from_preset(mtkahypar.PresetType.DEFAULT)
    context.set_partitioning_parameters(int(sizes.size), 0.0, mtkahypar.Objective.CUT)
    context.set_individual_target_block_weights(sizes.tolist())
    context.logging = False
    edges = [tuple(edge) for edge in problem["edges"].tolist()]
    graph = solver.create_graph(context, len(ones), len(edges), edges, ones, problem["weight"].tolist())
    split = graph.partition(context)
    np.save(answer, np.array([split.block_id(node) for node in range(len(ones))], np.int32), allow_pickle=False)


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
