import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.mapping.partition import split
from tilewire.mapping.partition_exact import LARGEST, prove
from tilewire.mapping.partition_separate import separate
from tilewire.mapping.partition_verify import ProofError, _row, verify


def random_synapses(rng, n, density):
    matrix = (rng.random((n, n)) < density) & ~np.eye(n, dtype=bool)
    return matrix, [(int(i), int(j)) for i, j in zip(*np.nonzero(matrix), strict=True)]


def assignments(sizes):
    if not any(sizes):
        return [()]
    return [
        (part, *rest)
        for part, size in enumerate(sizes)
        if size
        for rest in assignments([s - (p == part) for p, s in enumerate(sizes)])
    ]


def least_cut(matrix, sizes):
    return min(int((matrix & (np.array(p)[:, None] != np.array(p))).sum()) for p in assignments(sizes))


def banded(rng, n, sigma, per_row):
    """Synapses around the diagonal: the shape of layered and topographic networks."""
    matrix = np.zeros((n, n), bool)
    for i in range(n):
        matrix[i, np.clip(np.rint(i + sigma * rng.standard_normal(per_row)), 0, n - 1).astype(int)] = True
    return matrix & ~np.eye(n, dtype=bool)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 2**32))
def test_proved_optima_equal_brute_force(seed):
    rng = np.random.default_rng(seed)
    sizes = sorted((int(size) for size in rng.integers(1, 4, 3)), reverse=True)
    matrix, synapses = random_synapses(rng, sum(sizes), rng.uniform(0.1, 0.7))
    best = least_cut(matrix, sizes)
    weight = matrix.astype(int) + matrix.T
    outcome = prove(weight, np.array(sizes), best, 30.0)
    assert outcome.closed
    if best:
        document = json.loads(json.dumps(outcome.document))
        assert verify(synapses, sizes, document) == best == outcome.lower_bound
    # Asked about a cut that is not the least, no sound bound may exceed the least.
    above = prove(weight, np.array(sizes), best + 2, 30.0)
    assert above.lower_bound <= best
    assert above.document is None or verify(synapses, sizes, above.document) <= best


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_every_row_holds_for_every_partition(seed):
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(2, 4, 3)]
    n = sum(sizes)
    neurons = rng.permutation(n)
    split_row = ["split", int(neurons[0]), neurons[1 : 2 + rng.integers(n - 1)].tolist()]
    company = ["company", int(neurons[0]), int(neurons[1]), neurons[2 : 2 + rng.integers(n - 1)].tolist()]
    rows = [["most", 0], ["least", 0], ["pairs", 1], ["pairs", -1], split_row, company]
    part = np.array([int(p) for p in rng.permutation(np.repeat(np.arange(3), sizes))])
    for name in rows:
        row, right = _row(name, n, sizes)
        assert sum(a for (i, j), a in row.items() if part[i] == part[j]) <= right


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_separated_rows_are_violated_as_the_verifier_reads_them(seed):
    rng = np.random.default_rng(seed)
    n, smallest = 8, int(rng.integers(2, 5))
    z = np.triu(rng.choice([0.0, 0.5, 1.0, 0.3], (n, n)), 1)
    z += z.T
    splits, companies = separate(z, smallest, 20)
    names = [["split", i, list(t)] for i, t in splits] + [["company", i, k, list(near)] for i, k, near in companies]
    for name in names:
        row, right = _row(name, n, [smallest, n - smallest] if smallest <= n - smallest else [smallest])
        assert sum(a * z[pair] for pair, a in row.items()) > right


def test_a_banded_matrix_is_proved_with_a_tree_that_the_verifier_accepts():
    rng = np.random.default_rng(0)
    matrix = banded(rng, 20, 3.0, 4)
    found = split(matrix.astype(float), 3, rng=rng, prove=True, seconds=120)
    assert (found.status, found.proof, found.lower_bound) == ("optimal", "certificate", found.cut)
    assert "pair" in found.certificate["tree"]
    assert set(found.summary()) >= {"cut", "parts", "status", "proof", "lower_bound"}


@pytest.fixture(scope="module")
def proved():
    """A proof with a branch: (synapses, sizes, document, cut)."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sizes = [4, 4, 2]
        matrix, synapses = random_synapses(rng, 10, 0.5)
        best = least_cut(matrix, sizes)
        outcome = prove(matrix.astype(int) + matrix.T, np.array(sizes), best, 30.0)
        document = json.loads(json.dumps(outcome.document))
        if "pair" in document["tree"]:
            return synapses, sizes, document, best
    raise RuntimeError("no seed needs a branch")


def first_leaf(tree):
    while "pair" in tree:
        tree = tree["together"]
    return tree


def test_tampering_never_raises_a_bound_above_the_truth(proved):
    synapses, sizes, document, best = proved
    assert verify(synapses, sizes, document) == best
    rng = np.random.default_rng(0)
    for _ in range(200):
        forged = copy.deepcopy(document)
        leaf = first_leaf(forged["tree"])
        for entry in leaf["multipliers"]:
            entry[1] = max(0, entry[1] + int(rng.integers(-(1 << 24), 1 << 25)))
        if rng.random() < 0.3:
            forged["denominator"] = int(rng.integers(1, 1 << 25))
        assert verify(synapses, sizes, forged) <= best
    pruned = copy.deepcopy(document)
    pruned["tree"] = {"multipliers": first_leaf(document["tree"])["multipliers"]}
    assert verify(synapses, sizes, pruned) <= best


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (lambda d: d["tree"].pop("apart"), "malformed"),
        (lambda d: d["rows"].__setitem__(first_leaf(d["tree"])["multipliers"][0][0], ["triangle", 1]), "unknown row"),
        (lambda d: first_leaf(d["tree"])["multipliers"].append([0, -1]), "not a whole number >= 0"),
        (lambda d: first_leaf(d["tree"])["multipliers"].append([0, 0.5]), "not a whole number >= 0"),
        (lambda d: first_leaf(d["tree"])["multipliers"].append([10**6, 1]), "malformed"),
        (lambda d: d.update(denominator=0), "denominator"),
        (lambda d: d["tree"].update(pair=[2, 2]), "with itself"),
        (lambda d: d["tree"].update(pair=[0, 99]), "not a neuron"),
        (lambda d: d["rows"].__setitem__(slice(None), [["split", 0, [1, 1]]] * len(d["rows"])), "repeats a neuron"),
    ],
)  # fmt: skip
def test_malformed_proofs_are_refused(proved, forge, message):
    synapses, sizes, document, _ = proved
    forged = copy.deepcopy(document)
    forge(forged)
    with pytest.raises(ProofError, match=message):
        verify(synapses, sizes, forged)


def test_a_search_that_runs_out_of_time_reports_a_sound_bound():
    rng = np.random.default_rng(0)
    matrix, _ = random_synapses(rng, 40, 0.5)
    found = split(matrix.astype(float), 4, rng=rng, prove=True, seconds=1.0)
    assert found.status == "feasible"
    assert found.proof is None
    assert 0 <= found.lower_bound < found.cut


def test_beyond_the_reach_of_the_programs_it_says_so():
    matrix, _ = random_synapses(np.random.default_rng(0), LARGEST + 2, 0.02)
    found = split(matrix.astype(float), 2, rng=np.random.default_rng(0), prove=True, seconds=0.5)
    assert (found.status, found.lower_bound) == ("feasible", 0)
    assert "no proof was tried" in found.notes[0]
