"""Sparse training of any module: counts exact, dormant weights exactly zero, no old moments, bit-identical continuation."""

import copy
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tilewire.errors import UsageError
from tilewire.rewire.deepr import DeepR, SoftDeepR
from tilewire.rewire.drop import DROP_RULES, BranchThreshold
from tilewire.rewire.magnitude import Rigl
from tilewire.rewire.sparse_layer import renew
from tilewire.rewire.sparse_training import SparseTraining

OPTIMISERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.02),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.02, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "plain": lambda p: torch.optim.SGD(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}
EXACT = ["branch-threshold", "set", "rigl", "deepr"]


@pytest.fixture(autouse=True)
def one_thread():
    """Layers this small only wait for a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)
        self.body = nn.Sequential(nn.Linear(8 * 4, 12), nn.Tanh())
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(self.body(functional.adaptive_avg_pool2d(torch.tanh(self.conv(x)), 2).flatten(1)))


def built(optimiser="adam", dtype=torch.float32, **options):
    torch_rng = torch.Generator().manual_seed(options.get("seed", 0))
    net = Net().to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch_rng) * 0.3)
    optim = OPTIMISERS[optimiser](net.parameters())
    return net, optim, SparseTraining(net, optim, **({"density": 0.3, "every": 3} | options))


def update(net, optim, seed):
    torch_rng = torch.Generator().manual_seed(seed)
    x = torch.randn(6, 4, 5, 5, generator=torch_rng).to(next(net.parameters()).dtype)
    optim.zero_grad()
    functional.cross_entropy(net(x), torch.arange(6) % 3).backward()
    optim.step()


def weights(sparse):
    return {name: layer.parameter.detach().clone() for name, layer in sparse.layers.items()}


def moments(optim, layer):
    found = optim.state[layer.parameter].values()
    return [v for v in found if isinstance(v, torch.Tensor) and v.shape == layer.parameter.shape]


def alive(layer):
    return layer.grain.pack(layer.mask).any(dim=1)


@pytest.mark.parametrize("rule", EXACT)
@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 10_000),
    optimiser=st.sampled_from(sorted(OPTIMISERS)),
    grow=st.sampled_from([None, "uniform", "gradient"]),
    size=st.sampled_from(
        [{"density": 0.3}, {"density": 0.3, "split": "erk"}, {"density": 1.0}, {"fan_in": 2}, {"fan_in": 3}]
    ),
    grain=st.sampled_from([{}, {"granularity": "block", "block": 4}, {"granularity": "block", "block": 1}]),
)
def test_counts_are_exact_and_the_dormant_silent(rule, seed, optimiser, grow, size, grain):
    options = (
        size | grain | {"rule": rule, "grow": grow, "explore": 0.25, "every": 2, "seed": seed, "protect": ("head",)}
    )
    options["density"] = size.get("density")
    if rule == "branch-threshold":
        options["rule"] = BranchThreshold(0.1, 0.5)
    fan_in = min(options.get("fan_in") or 9, 1 if grain.get("block") == 4 else 9)
    net, optim, sparse = built(optimiser, **(options | ({"fan_in": fan_in} if "fan_in" in options else {})))
    assert set(sparse.layers) == {"conv", "body.0"}
    keep = {name: alive(layer).sum().item() for name, layer in sparse.layers.items()}
    units = sum(layer.grain.units for layer in sparse.layers.values())
    if size.get("density"):
        assert sum(keep.values()) == round(size["density"] * units)
    for step in range(7):
        before = {name: layer.mask.clone() for name, layer in sparse.layers.items()}
        update(net, optim, step)
        for name, layer in sparse.layers.items():
            assert not layer.parameter[~layer.mask].any(), "dormant weights are exactly zero"
            live = alive(layer)
            assert live.sum().item() == keep[name]
            if "fan_in" in options:
                assert (live.reshape(layer.grain.rows, -1).sum(dim=1) == fan_in).all()
            for moment in moments(optim, layer):
                assert not moment[~layer.mask].any()
                assert not moment[layer.mask & ~before[name]].any(), "born without memories"
            if rule != "deepr":
                assert torch.equal(layer.grain.pack(layer.mask).all(dim=1), live), "units live as a whole"
    assert net.head.weight.all()


@pytest.mark.parametrize("optimiser", sorted(OPTIMISERS))
def test_deepr_keeps_exactly_k_and_every_sign(optimiser):
    """Regressions of other implementations: K drifts; signs flip; newborns of 0 count as dead; the optimiser revives the dormant."""
    net, optim, sparse = built(optimiser, rule=DeepR(l1=0.02, temperature=1e-4), density=0.25, seed=3)
    total = sum(layer.mask.numel() for layer in sparse.layers.values())
    counts = sparse.counts()
    assert sum(counts.values()) == round(0.25 * total)
    for step in range(25):
        before = {name: layer.mask.clone() for name, layer in sparse.layers.items()}
        update(net, optim, step)
        assert sparse.counts() == counts
        for name, layer in sparse.layers.items():
            weight, sign = layer.parameter.detach(), torch.from_numpy(layer.sign).reshape(layer.parameter.shape)
            assert torch.equal(weight != 0, layer.mask), "live is what is not zero"
            assert torch.equal(torch.sign(weight)[layer.mask], sign[layer.mask].to(weight.dtype))
            newborn = layer.mask & ~before[name]
            assert torch.all(weight[newborn].abs() == np.float32(1e-12))
    assert sparse.born > 20


def test_deepr_bears_uniformly_among_the_dormant():
    """Chi-square over where 40,000 newborns go; a rejection loop or a modulo would show."""
    rng = np.random.default_rng(0)
    live = np.array([[True, False, False, True, False, False, False, False]])
    hits = np.zeros(8)
    for _ in range(20_000):
        hits[renew(live, np.array([4]), rng, None, 0.0)] += 1
    assert hits[live[0]].sum() == 0
    expected = 40_000 / 6
    assert (
        (hits[~live[0]] - expected) ** 2 / expected
    ).sum() < 25  # 5 degrees of freedom, p < 2e-4; draws are paired, so conservative


def test_renewal_takes_the_best_but_for_the_explorers():
    live = np.zeros((2, 6), bool)
    live[0, 5] = live[1, 0] = True
    score = np.array([[5, 1, 4, 2, 3, 99], [99, 1, 2, 3, 4, 5]], float)
    rng = np.random.default_rng(0)
    assert sorted(renew(live, np.array([3, 2]), rng, score, 0.0).tolist()) == [0, 2, 6 + 5]
    half = [sorted(renew(live, np.array([5, 1]), rng, score, 0.5).tolist()) for _ in range(40)]
    assert all({0, 2} <= set(one) and len(one) == 4 for one in half)
    assert len({tuple(one) for one in half}) == 3


def test_rigl_bears_where_the_dense_gradient_is_largest():
    net, optim, sparse = built("plain", rule=Rigl(0.5), density=0.3, every=1)
    layer = sparse.layers["body.0"]
    before = layer.mask.clone()
    x, y = torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(5)), torch.arange(6) % 3
    twin = copy.deepcopy(net)
    functional.cross_entropy(twin(x), y).backward()
    dense = twin.body[0].weight.grad
    optim.zero_grad()
    functional.cross_entropy(net(x), y).backward()
    assert torch.equal(net.body[0].weight.grad, dense * before), "only the live ones are told"
    optim.step()
    stepped = torch.where(before, twin.body[0].weight.detach() - 0.1 * dense, 0)
    dropped = round(0.5 * int(before.sum()))
    weakest = stepped.abs()[before].sort().values[dropped - 1]
    survivors = before & (stepped.abs() > weakest)
    best = dense.abs()[~survivors].sort(descending=True).values[:dropped]
    assert torch.allclose(dense.abs()[layer.mask & ~survivors].sort(descending=True).values, best)
    assert layer.parameter[layer.mask & ~before].abs().max() == 0, "born at zero"


def test_rigl_stops_at_until_and_the_share_shrinks():
    net, optim, sparse = built("adam", rule="rigl", density=0.5, every=2, until=12)
    born = []
    for step in range(20):
        update(net, optim, step)
        born.append(sparse.born)
    per_rewiring = np.diff([0, *born[1::2]])
    assert per_rewiring[0] > per_rewiring[3] > 0
    assert not per_rewiring[6:].any()


@pytest.mark.parametrize("rule", sorted(DROP_RULES))
@pytest.mark.parametrize("optimiser", ["adamw", "momentum"])
def test_continues_bit_identically(rule, optimiser):
    options = {"rule": rule, "every": 3, "until": 30, "seed": 5}
    net, optim, sparse = built(optimiser, **options)
    for step in range(7):
        update(net, optim, step)
    file = io.BytesIO()
    torch.save([net.state_dict(), optim.state_dict(), sparse.state_dict()], file)
    again, other, resumed = built(optimiser, **options)
    file.seek(0)
    parts = torch.load(file, weights_only=True)
    for target, part in zip((again, other, resumed), parts, strict=True):
        target.load_state_dict(part)
    for step in range(7, 14):
        update(net, optim, step)
        update(again, other, step)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(layer.mask, resumed.layers[name].mask) for name, layer in sparse.layers.items())
    assert sparse.born == resumed.born
    assert sparse.steps == 14


def test_one_seed_one_result_and_the_global_generators_are_left_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    found = []
    for seed in (1, 1, 2):
        net, optim, sparse = built(rule="deepr", seed=seed)
        mask = sparse.layers["conv"].mask.clone()
        torch_state = torch.get_rng_state()
        for step in range(5):
            update(net, optim, step)
        assert torch.equal(torch_state, torch.get_rng_state())
        found.append((mask, net.conv.weight.detach().clone()))
    assert all(torch.equal(a, b) for a, b in zip(*found[:2], strict=True))
    assert not torch.equal(found[0][0], found[2][0])
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_the_module_itself_stays_as_it_was():
    net, optim, sparse = built()
    update(net, optim, 0)
    assert list(net.state_dict()) == list(Net().state_dict())
    assert net.forward.__func__ is Net.forward
    twin = copy.deepcopy(net)
    optimiser = torch.optim.SGD(twin.parameters(), lr=0.1)
    update(twin, optimiser, 1)
    assert (twin.conv.weight != 0).all(), "a copy is free"
    assert (net.conv.weight == 0).any()
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    sparse.remove()
    update(net, optim, 2)
    assert (net.conv.weight != 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_keep_their_precision(dtype):
    """Without drift and noise the survivors are to the last bit what the optimiser made of them."""
    net, optim, sparse = built("plain", dtype, rule=DeepR(0.0, 0.0), density=0.4)
    start = weights(sparse)
    update(net, optim, 0)
    for name, layer in sparse.layers.items():
        stepped = start[name].add(layer.parameter.grad, alpha=-0.1)
        kept = (start[name] != 0) & (stepped * start[name] > 0)
        assert layer.parameter.dtype == dtype
        assert torch.equal(layer.parameter.detach()[kept], stepped[kept])
        assert not layer.parameter[~layer.mask].any()


def test_bounded_in_expectation_only():
    net, optim, sparse = built("plain", rule=SoftDeepR(0.3, l1=0.5, temperature=0.002), density=0.3, seed=1)
    size = sum(layer.mask.numel() for layer in sparse.layers.values())
    counts = [sum(sparse.counts().values())]
    for step in range(200):
        update(net, optim, step)
        counts.append(sum(sparse.counts().values()))
        for layer in sparse.layers.values():
            assert not layer.parameter[~layer.mask].any()
            sign = torch.from_numpy(layer.sign).reshape(layer.parameter.shape)
            assert torch.all(layer.parameter[layer.mask].sign() == sign[layer.mask])
            assert layer.depth.min() >= layer.rule.deepest - 1e-6
    assert len(set(counts)) > 10, "the count moves"
    assert counts[0] == round(0.3 * size)
    assert abs(np.mean(counts[100:]) / size - 0.3) < 0.15
    assert sparse.born == 0


def test_gradient_accumulation_and_clipping_see_live_weights_only():
    net, optim, sparse = built("adam", rule="rigl", every=2)
    x, y = torch.randn(6, 4, 5, 5), torch.arange(6) % 3
    for _ in range(4):
        optim.zero_grad()
        for part in range(3):
            functional.cross_entropy(net(x[part::3]), y[part::3]).backward()
        for layer in sparse.layers.values():
            assert not layer.parameter.grad[~layer.mask].any()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        assert torch.isfinite(norm)
        optim.step()


def test_refusals_name_everything():
    net = Net()
    optim = torch.optim.SGD(net.parameters(), lr=0.1)

    def refused(match, model=net, optimiser=optim, **options):
        with pytest.raises(UsageError, match=match):
            SparseTraining(model, optimiser, **options)

    refused("either density or fan_in")
    refused("either density or fan_in", density=0.1, fan_in=2)
    refused("density 1.5.*did you mean 'block'", density=1.5, granularity="blok")
    refused("fan_in 0", fan_in=0)
    refused("did you mean 'erk'", density=0.1, split="erkk")
    refused("every 0", density=0.1, every=0)
    refused("explore 2", density=0.1, explore=2)
    refused("did you mean 'head'", density=0.1, protect=("heat",))
    refused("unknown rewiring rule", density=0.1, rule="sett")
    refused("conv: 8 x 4.*head: 3 x 12", density=0.1, granularity="block", block=8)
    refused("head has 12", fan_in=13)
    refused("soft-deepr", fan_in=2, rule="soft-deepr")
    refused("soft-deepr", density=0.1, granularity="block", rule="soft-deepr", protect=("head",))
    refused("live units", density=0.001)
    refused("no linear or convolution layer", density=0.1, protect=("conv", "body", "head"))
    refused("does not train the weight of conv", optimiser=torch.optim.SGD(net.body.parameters(), lr=0.1), density=0.1)
    assert (net.conv.weight != 0).all()
    update(net, optim, 0)
    assert (net.conv.weight != 0).all(), "a refused wrapper leaves no hook behind"


def test_states_of_other_networks_are_refused():
    _, _, sparse = built(seed=1)
    state = sparse.state_dict()
    with pytest.raises(UsageError, match="seed 1, here 2"):
        built(seed=2)[2].load_state_dict(state)
    with pytest.raises(UsageError, match=r"has mask\.head"):
        built(seed=1, protect=("head",))[2].load_state_dict(state)
    with pytest.raises(UsageError, match=r"mask\.conv is \[2\]"):
        sparse.load_state_dict(state | {"mask.conv": torch.zeros(2, dtype=torch.bool)})


def test_shared_weights_count_once():
    body = nn.Linear(6, 6)
    model = nn.Sequential(body, nn.Tanh(), body)
    sparse = SparseTraining(model, torch.optim.SGD(model.parameters(), lr=0.1), density=0.5)
    assert sparse.counts() == {"0": 18}
    assert sparse.density() == {"0": 0.5, "total": 0.5}


def test_deepr_learns_at_two_percent():
    """Ten noisy prototypes in 200 dimensions; the linear classifier of 2 % connectivity is not enough for chance to explain."""
    rng = torch.Generator().manual_seed(0)
    prototype = torch.randn(10, 200, generator=rng)
    y = torch.randint(0, 10, (1200,), generator=rng)
    x = prototype[y] + 1.5 * torch.randn(1200, 200, generator=rng)
    net = nn.Sequential(nn.Linear(200, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    with torch.no_grad():
        for parameter in net.parameters():
            bound = 1 / parameter.shape[-1] ** 0.5
            parameter.copy_((2 * torch.rand(parameter.shape, generator=rng) - 1) * bound)
    optim = torch.optim.Adam(net.parameters(), lr=0.003)
    sparse = SparseTraining(net, optim, rule="deepr", density=0.02, split="erk", seed=1)
    for _ in range(5):
        for start in range(0, 1000, 50):
            optim.zero_grad()
            functional.cross_entropy(net(x[start : start + 50]), y[start : start + 50]).backward()
            optim.step()
    assert sum(sparse.counts().values()) == round(0.02 * (200 * 300 + 300 * 100 + 100 * 10))
    assert sparse.born > 100
    assert (net(x[1000:]).argmax(dim=1) == y[1000:]).float().mean() > 0.8


@pytest.mark.parametrize("rule", ["set", "deepr"])
def test_a_unit_reborn_in_the_step_it_dies_forgets_too(rule):
    """At full density every dead unit comes back at once."""
    net, optim, sparse = built("adam", rule=DeepR(l1=5.0) if rule == "deepr" else rule, density=1.0, every=2)
    update(net, optim, 0)
    update(net, optim, 1)
    reborn = 0
    for layer in sparse.layers.values():
        weak = layer.parameter.detach().abs() <= 1e-12
        assert layer.mask.all()
        assert all(not moment[weak].any() for moment in moments(optim, layer))
        assert all(moment[~weak].any() for moment in moments(optim, layer))
        reborn += int(weak.sum())
    assert 0 < reborn <= sparse.born


@pytest.mark.parametrize("rule", sorted(DROP_RULES))
def test_an_optimiser_that_moves_everything_wakes_nobody(rule):
    """Optimisers that mix weights (Muon, LBFGS) move those without gradient too."""

    class Restless(torch.optim.SGD):
        def step(self, closure=None):
            loss = super().step(closure)
            with torch.no_grad():
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter.add_(0.01)
            return loss

    net = Net()
    optim = Restless(net.parameters(), lr=0.05)
    sparse = SparseTraining(net, optim, rule=rule, density=0.3, every=3)
    for step in range(5):
        update(net, optim, step)
        assert all(not layer.parameter[~layer.mask].any() for layer in sparse.layers.values())


def test_a_density_for_each_layer_is_exact_and_complete():
    _, _, sparse = built(density={"conv": 0.25, "body.0": 0.1, "head": 0.5}, rule="deepr")
    assert sparse.counts() == {"conv": 72, "body.0": round(0.1 * 32 * 12), "head": 18}
    with pytest.raises(
        UsageError, match=r"(?s)'haed'.*head.*no density for layer 'body\.0'.*no density for layer 'head'"
    ):
        built(density={"conv": 0.25, "haed": 0.5})
    with pytest.raises(UsageError, match=r"density 1\.5"):
        built(density={"conv": 1.5, "body.0": 0.1, "head": 0.5})
