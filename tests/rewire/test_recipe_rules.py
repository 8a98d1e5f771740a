"""Every rule from a recipe: the run fits, and continues bit-identically after a stop at any step."""

import numpy as np
import pytest

from tilewire.config import load_recipe
from tilewire.parts import build
from tilewire.rewire.drop import DROP_RULES
from tilewire.rewire.magnitude import Rigl
from tilewire.run import Interrupted, execute

LIVELY = {"l1": 0.5, "temperature": 0.1, "density": 0.7, "share": 0.3, "threshold": 0.3, "min_live": 0.5, "alpha": 0.4}


@pytest.mark.parametrize("rule", sorted(DROP_RULES))
def test_recipes_run_and_continue(rule, toy_recipe, tmp_path, stop_after):
    recipe = load_recipe(str(toy_recipe(rewire=LIVELY | {"rule": rule})))
    whole = execute(recipe, tmp_path / "whole")
    with pytest.raises(Interrupted):
        execute(recipe, tmp_path / "parts", stop_after(7))
    assert execute(recipe, tmp_path / "parts")["training"] == whole["training"]
    assert (tmp_path / "parts" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()
    assert '"excess": 0' in (tmp_path / "whole" / "metrics.jsonl").read_text()


def test_options_reach_the_rule(toy_recipe):
    parts = build(load_recipe(str(toy_recipe(rewire={"rule": "rigl", "share": 0.1, "explore": 0.5}))))
    assert parts.trainer.constrained.drop == Rigl(0.1, horizon=2)
    assert parts.trainer.grow is not None
    assert parts.trainer.grow(len).explore == 0.5
    assert build(load_recipe(str(toy_recipe(rewire={"rule": "set"})))).trainer.grow is None


@pytest.mark.parametrize(
    ("rule", "asked", "small"),
    [
        ("rigl", None, True),
        ("set", None, True),
        ("set", "above-threshold", False),
        ("deepr", None, False),
        ("branch-threshold", "tiny", True),
    ],
)
def test_newborn_weights_follow_the_rule(rule, asked, small, toy_recipe):
    """`set` and `rigl` bear branches that change no spike; the first fill of any network is at full strength."""
    sections = {"rule": rule, "newborn": asked, "threshold": 0.3, "min_live": 1.0, "share": 0.5}
    trainer = build(load_recipe(str(toy_recipe(kernel="reference", rewire=sections)))).trainer
    weight = trainer.network.branch_weight
    assert np.abs(weight).min() >= 0.3
    weight[::2] = 0.01
    if rule == "deepr":
        weight[::2, 0] = 0
    rewired = trainer.constrained.step()
    assert rewired.born.size
    born = np.abs(weight[rewired.born])
    assert born.max() < 1e-10 if small else born.min() >= 0.3
    assert born.min() > 0
