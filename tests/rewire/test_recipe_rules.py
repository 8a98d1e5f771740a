"""Every rule from a recipe: the run fits, and continues bit-identically after a stop at any step."""

import pytest

from tilewire.config import load_recipe
from tilewire.rewire.drop import DROP_RULES
from tilewire.rewire.magnitude import Rigl
from tilewire.run import Interrupted, Silent, build, execute

LIVELY = {"l1": 0.5, "temperature": 0.1, "density": 0.7, "share": 0.3, "threshold": 0.3, "min_live": 0.5, "alpha": 0.4}


class StopAfter(Silent):
    def __init__(self, steps):
        self.left = steps

    def step(self, report):
        self.left -= 1

    def stop_requested(self):
        return self.left <= 0


@pytest.mark.parametrize("rule", sorted(DROP_RULES))
def test_recipes_run_and_continue(rule, toy_recipe, tmp_path):
    recipe = load_recipe(str(toy_recipe(rewire=LIVELY | {"rule": rule})))
    whole = execute(recipe, tmp_path / "whole")
    with pytest.raises(Interrupted):
        execute(recipe, tmp_path / "parts", StopAfter(7))
    assert execute(recipe, tmp_path / "parts")["training"] == whole["training"]
    assert (tmp_path / "parts" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()
    assert '"excess": 0' in (tmp_path / "whole" / "metrics.jsonl").read_text()


def test_options_reach_the_rule(toy_recipe):
    parts = build(load_recipe(str(toy_recipe(rewire={"rule": "rigl", "share": 0.1, "explore": 0.5}))))
    assert parts.trainer.constrained.drop == Rigl(0.1, horizon=2)
    assert parts.trainer.grow is not None
    assert parts.trainer.grow(len).explore == 0.5
    assert build(load_recipe(str(toy_recipe(rewire={"rule": "set"})))).trainer.grow is None
