"""DEEP R on full MNIST at 1 to 2 % connectivity, beside fixed random wiring and the dense network. Resumable.

    python scripts/mnist_deepr.py --root data --methods deepr static dense --seeds 1 2 3 4 5 --out mnist.jsonl

``--root`` holds the folder mnist/ with the four IDX files. Network, densities and constants are those of the authors' public MNIST script
(Bellec et al. 2018, arXiv:1711.05136): 784-300-100-10, ReLU, 1 / 3 / 30 % of the three layers (3,552 of 266,200 weights, 1.33 %), batch 10,
10 epochs, SGD of rate .5 that falls by .8 an epoch, L1 1e-5, noise 1e-5; uniform grow. ``--tune`` tries ``--rates`` on the last 10,000
training images, held out; otherwise all 60,000 train and the test set is read once, at the end. Records that are in the file already are
not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch
from mapping_campaign import read
from torch import Tensor, nn
from torch.nn import functional

from tilewire.data.images import load_images
from tilewire.rewire.deepr import DeepR
from tilewire.rewire.sparse_training import SparseTraining
from tilewire.streams import stream
from tilewire.student import interval

WIDTHS = (784, 300, 100, 10)
DENSITY = {"0": 0.01, "2": 0.03, "4": 0.3}
DECAY, BATCH, L1, NOISE, HELD_OUT = 0.8, 10, 1e-5, 1e-5, 10_000
EVERY = 300  # steps between two rewirings of SET; DEEP R rewires at every step
METHODS = ("deepr", "set", "static", "dense")


def network(seed: int) -> nn.Sequential:
    """784-300-100-10 with He's normal law (biases 0); sparse layers are scaled up by `SparseTraining`."""
    rng = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(WIDTHS):
        layer = nn.Linear(inputs, outputs)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(outputs, inputs, generator=rng) * (2 / inputs) ** 0.5)
            layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def sparse_of(
    method: str, model: nn.Module, optimiser: torch.optim.Optimizer, rate: float, seed: int
) -> SparseTraining | None:
    """The hooks that keep the model sparse; ``static`` is wiring that is drawn once."""
    if method == "dense":
        return None
    rule = DeepR(l1=L1, temperature=rate * NOISE**2 / 2) if method == "deepr" else "set"
    until = 0 if method == "static" else None
    return SparseTraining(model, optimiser, rule=rule, density=DENSITY, every=EVERY, until=until, seed=seed)


def trained(
    method: str, seed: int, rate: float, epochs: int, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """One training; accuracy on ``test`` after the last epoch."""
    model, (x, y) = network(seed), train
    optimiser = torch.optim.SGD(model.parameters(), lr=rate)
    sparse = sparse_of(method, model, optimiser, rate, seed)
    began = time.process_time()
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = rate * DECAY**epoch
        order = torch.from_numpy(stream(seed, "order", epoch).permutation(len(y)))
        for start in range(0, len(y), BATCH):
            chosen = order[start : start + BATCH]
            optimiser.zero_grad(set_to_none=True)
            functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimiser.step()
    with torch.no_grad():
        right = float((model(test[0]).argmax(dim=1) == test[1]).float().mean())
    weights = [p for p in model.parameters() if p.ndim == 2]
    live = sum(int((p != 0).sum()) for p in weights)
    counts = sum(sparse.counts().values()) if sparse else live
    return {
        "method": method, "seed": seed, "rate": rate, "epochs": epochs, "accuracy": right, "live": counts, "nonzero": live,
        "born": sparse.born if sparse else 0, "seconds": round(time.process_time() - began, 1),
    }  # fmt: skip


def tensors(root: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and test images as rows in 0 .. 1, and labels."""
    data = load_images("mnist", root)
    train, test = (
        (torch.from_numpy(part.vectors()), torch.from_numpy(part.labels)) for part in (data.train, data.test)
    )
    return train, test


def show(records: list[dict[str, Any]]) -> None:
    """Mean and 95 % interval per split, method, rate and number of epochs."""
    keys = ("on", "method", "rate", "epochs")
    for on, method, rate, epochs in sorted({tuple(r[k] for k in keys) for r in records}):
        own = [r for r in records if tuple(r[k] for k in keys) == (on, method, rate, epochs)]
        mean, _, low, high = interval([r["accuracy"] for r in own])
        spread = f" ({low:.2%} to {high:.2%})" if low is not None else ""
        what = f"{on:10} {method:8} rate {rate:<5g} epochs {epochs} seeds {len(own)}"
        print(f"{what}  {mean:.2%}{spread}  live {own[0]['live']}  born {own[0]['born']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["deepr", "static", "dense"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tune", action="store_true", help="hold the last 10,000 training images out and test on them")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    (x, y), test = tensors(asked.root)
    on = "validation" if asked.tune else "test"
    train = (x[:-HELD_OUT], y[:-HELD_OUT]) if asked.tune else (x, y)
    judged = (x[-HELD_OUT:], y[-HELD_OUT:]) if asked.tune else test
    keys = ("method", "seed", "rate", "epochs", "on")
    records = read(asked.out) if asked.out.is_file() else []
    done = {tuple(r[k] for k in keys) for r in records}
    for seed, method, rate in product(asked.seeds, asked.methods, asked.rates):
        if (method, seed, rate, asked.epochs, on) not in done:
            record = {"on": on} | trained(method, seed, rate, asked.epochs, train, judged)
            records.append(record)
            with asked.out.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(record, flush=True)
    show(records)


if __name__ == "__main__":
    main()
