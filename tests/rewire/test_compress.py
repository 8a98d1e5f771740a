"""Pruning into a budget: the greatest branches stay, the budget holds, nothing comes back, and a stopped run continues alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.config import load_recipe
from tilewire.errors import ConfigError
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.mapping.budgets import build_budget
from tilewire.parts import build
from tilewire.rewire.compress import largest
from tilewire.rewire.engine import live_branches
from tilewire.run import Interrupted, execute

STATIC = {"every": 0, "threshold": 0.3}


def all_to_all(seed, grid=(2, 3), size=4):
    fabric = mosaic(grid, size, router=2, tile_in=5)
    tile_of = (np.arange(fabric.n_neurons) // size).astype(np.int32)
    rng = np.random.default_rng(seed)
    source, tile = np.nonzero(tile_of[:, None] != np.arange(fabric.n_tiles))
    order = rng.permutation(source.size)
    table = Blocks(source[order], tile[order], fabric.n_neurons, fabric.n_tiles, size)
    table.tile[rng.random(source.size) < 0.2] = DEAD
    weight = rng.normal(size=(source.size, size)).astype(np.float32)
    weight[table.tile == DEAD] = 0
    return fabric, tile_of, table, weight


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), st.integers(1, 130))
def test_a_count_keeps_the_greatest_of_all(seed, most):
    fabric, tile_of, table, weight = all_to_all(seed)
    kept, state = largest(table, weight, build_budget("branches", fabric, tile_of, {"branches": most}))
    live = np.flatnonzero(table.tile != DEAD)
    norm = np.linalg.norm(weight, axis=1)
    assert kept.size == min(most, live.size) == state.excess().use[0]
    gone = np.setdiff1d(live, kept)
    if gone.size:
        assert norm[kept].min() >= norm[gone].max()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), st.integers(0, 20))
def test_fan_in_keeps_as_many_in_every_tile(seed, fan_in):
    fabric, tile_of, table, weight = all_to_all(seed)
    kept, _ = largest(table, weight, build_budget("fan", fabric, tile_of, {"fan_in": fan_in}))
    norm = np.linalg.norm(weight, axis=1)
    for tile in range(fabric.n_tiles):
        into = np.flatnonzero(table.tile == tile)
        best = into[np.argsort(-norm[into], kind="stable")][:fan_in]
        assert sorted(best.tolist()) == kept[table.tile[kept] == tile].tolist()


@pytest.mark.parametrize("router", ["one-turn", "negotiated"])
@pytest.mark.parametrize("seed", range(5))
def test_any_budget_holds_after_pruning(router, seed):
    fabric, tile_of, table, weight = all_to_all(seed)
    for kind, options in (("ports", {}), ("hop-profile", {"profile": {1: 0.4, 3: 0.2}})):
        budget = build_budget(kind, fabric, tile_of, {"router": router, **options})
        kept, state = largest(table, weight, budget)
        assert state.excess().worst <= 0
        assert 0 < kept.size < (table.tile != DEAD).sum()
        dropped = np.setdiff1d(np.flatnonzero(table.tile != DEAD), kept)
        # What did not fit when its turn came does not fit now either: nothing was left out without need.
        assert not any(state.admits(int(table.source[i]), int(table.tile[i])) for i in dropped)


def test_nothing_comes_back_while_fine_tuning(toy_recipe):
    budget = {"kind": "branches", "branches": 30}
    sections = {"compress": {"after": 1, "penalty": 0.01}, "budget": budget, "rewire": STATIC, "kernel": "reference"}
    parts = build(load_recipe(str(toy_recipe(**sections))))
    trainer = parts.trainer
    assert len(trainer.network.live_branches()) == 24 * 5
    list(trainer.epoch())
    before = np.linalg.norm(trainer.network.branch_weight, axis=1)
    record = trainer.end_epoch(None)
    assert (record["killed"], record["born"], record["excess"]) == (90, 0, 0)
    live = trainer.network.branches.tile != DEAD
    assert live.sum() == 30
    assert before[live].min() >= before[~live].max()
    local = trainer.network.n_local
    for moment in ("exp_avg", "exp_avg_sq"):
        assert not trainer.optimiser.state[trainer.network.w_rec][moment][local:][~live].any()
    wiring = live_branches(trainer.network.branches)
    list(trainer.epoch())
    assert trainer.end_epoch(None)["killed"] == 0
    assert live_branches(trainer.network.branches) == wiring
    assert not trainer.network.branch_weight[~live].any()


def test_the_penalty_shrinks_what_is_far(toy_recipe):
    """Part of the loss before the pruning, no part of it afterwards."""

    def trained(penalty):
        sections = {"compress": {"after": 2, "penalty": penalty, "beta": 1.0}, "rewire": STATIC, "kernel": "reference"}
        trainer = build(load_recipe(str(toy_recipe(**sections)))).trainer
        far = (
            trainer.network.fabric.hop_distance[trainer.network.branches.source // 4, trainer.network.branches.tile] > 1
        )
        losses = []
        for _ in range(2):
            list(trainer.epoch())
            weight = np.abs(trainer.network.branch_weight[far]).mean()
            losses.append(trainer.end_epoch(None)["loss"])
        first = next(trainer.epoch()).loss
        return weight, losses[0], first

    (free, loss, _), (held, penalised, tuned) = trained(0.0), trained(30.0)
    assert held < 0.8 * free
    assert penalised > 2 * loss
    assert tuned < penalised / 2


@pytest.mark.parametrize(
    ("budget", "router"), [({"kind": "fan", "fan_in": 6}, "one-turn"), ({"kind": "ports"}, "negotiated")]
)
def test_a_compressed_run_continues_bit_identically(toy_recipe, tmp_path, budget, router, stop_after):
    sections = {"compress": {"after": 2, "penalty": 0.1}, "rewire": STATIC, "budget": budget, "router": router}
    recipe = load_recipe(str(toy_recipe(**sections)))
    whole = execute(recipe, tmp_path / "whole")
    for steps in (3, 9):  # the second stop is after the pruning
        with pytest.raises(Interrupted):
            execute(recipe, tmp_path / "parts", stop_after(steps))
    assert execute(recipe, tmp_path / "parts") == whole
    assert (tmp_path / "parts" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()
    if router == "negotiated":
        assert whole["verdict"] == "fits"


@pytest.mark.parametrize("sections", [{"compress": {"after": 3}, "rewire": STATIC}, {"compress": {"after": 1}}])
def test_recipes_that_cannot_be_are_refused(toy_recipe, sections):
    with pytest.raises(ConfigError, match=r"compress"):
        load_recipe(str(toy_recipe(**sections)))
