"""The page on rewiring: its example runs as it stands, its table holds every rule."""

import re
from pathlib import Path

import torch

from tilewire.rewire.drop import DROP_RULES

PAGE = (Path(__file__).parents[2] / "docs" / "rewiring.md").read_text()


def test_example_runs(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    rng = torch.Generator().manual_seed(0)
    batches = [(torch.randn(16, 64, generator=rng), torch.randint(0, 10, (16,), generator=rng)) for _ in range(25)]
    names = {"batches": batches}
    exec(compile(block, "rewiring.md", "exec"), names)
    assert abs(names["sparse"].density()["total"] - 0.1) < 1e-4
    assert names["sparse"].born > 0
    assert "total" in capsys.readouterr().out


def test_every_rule_is_in_the_table():
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == set(DROP_RULES)
