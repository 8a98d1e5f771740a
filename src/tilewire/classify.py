"""Training of feed-forward classifiers on rows of numbers: several members side by side, each with its own seed and learning rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tilewire.data.arrays import ArrayData
from tilewire.nn.ensemble import Ensemble
from tilewire.streams import stream
from tilewire.yamlfile import Record


class FitConfig(Record):
    """Adam; the rate climbs linearly over the first ``warmup`` of the steps and falls to 0 by a cosine. ``shuffle``: every seed reorders
    the input features in its own way, so that no topology gains from their order.
    """

    epochs: int = Field(default=30, ge=1)
    batch: int = Field(default=50, ge=1)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    shuffle: bool = True


@dataclass(frozen=True)
class Fit:
    """Accuracies of one member after training; test is None unless it was asked for. ``loss``: mean of the last epoch."""

    validation: float
    test: float | None
    loss: float


def rate_at(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate in a step: (s + 1) / w up to w = warmup steps, then (1 + cos(pi t)) / 2, t in 0..1 the rest's progress."""
    rise = int(warmup * steps)
    if step < rise:
        return (step + 1) / rise
    return float(0.5 * (1 + np.cos(np.pi * (step - rise) / max(steps - rise, 1))))


class MemberAdam:
    """Adam (Kingma, Ba 2015; beta .9, .999) with a learning rate per entry of every parameter."""

    def __init__(self, rates: Sequence[tuple[Tensor, Tensor]]) -> None:
        """``rates``: parameters, each with the rates of its entries."""
        self.parameters, self.rates, self.count = [p for p, _ in rates], [rate for _, rate in rates], 0
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, share: float) -> None:
        """One update at ``share`` of the rates; gradients are consumed."""
        self.count += 1
        short, long = 1 - 0.9**self.count, 1 - 0.999**self.count
        for p, rate, m, v in zip(self.parameters, self.rates, self.first, self.second, strict=True):
            if p.grad is not None:
                m.lerp_(p.grad, 0.1)
                v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                p.sub_(rate * m / ((v / long).sqrt_().add_(1e-8)), alpha=share / short)
                p.grad = None


def fit(
    network: Ensemble, data: ArrayData, config: FitConfig, seeds: Sequence[int], rates: Sequence[float], *, test: bool,
    epoch_done: Callable[[int, list[float]], None] | None = None,
) -> list[Fit]:  # fmt: skip
    """Train every member r with cross-entropy on its own order of batches (seed r) at its own learning rate; standardised data expected.

    The sum of the members' losses is minimised; members share no weight, so each one trains as it would alone. ``test``: whether the test
    split is looked at. Reproducible on one machine and thread count.
    """
    orders = [_feature_order(data.width, seed, config.shuffle) for seed in seeds]
    splits = {name: torch.from_numpy(x) for name, (x, _) in data.splits.items()}
    inputs = torch.stack([splits["train"][:, order] for order in orders])
    labels = torch.from_numpy(data.splits["train"][1])
    each = torch.tensor(rates, dtype=torch.float32)
    optimiser = MemberAdam([(parameter, each[owner]) for parameter, owner in network.member_of()])
    count, batch = len(labels), min(config.batch, len(labels))
    per_epoch = count // batch
    rows, losses = torch.arange(len(seeds))[:, None], torch.zeros(len(seeds))
    for epoch in range(config.epochs):
        order = torch.from_numpy(np.stack([stream(seed, "batches", epoch).permutation(count) for seed in seeds]))
        losses.zero_()
        for step in range(per_epoch):
            chosen = order[:, step * batch : (step + 1) * batch]
            scores = network(inputs[rows, chosen])
            member = functional.cross_entropy(scores.transpose(1, 2), labels[chosen], reduction="none").mean(dim=1)
            member.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step(rate_at(epoch * per_epoch + step, config.epochs * per_epoch, config.warmup))
            losses += member.detach() / per_epoch
        if epoch_done is not None:
            epoch_done(epoch, losses.tolist())
    validation = accuracy(network, splits["validation"], data.splits["validation"][1], orders)
    tested = accuracy(network, splits["test"], data.splits["test"][1], orders) if test else [None] * len(seeds)
    return [Fit(*each_one) for each_one in zip(validation, tested, losses.tolist(), strict=True)]


def _feature_order(width: int, seed: int, shuffle: bool) -> Tensor:
    return torch.from_numpy(stream(seed, "features").permutation(width) if shuffle else np.arange(width))


@torch.no_grad()
def accuracy(network: Ensemble, x: Tensor, y: np.ndarray, orders: Sequence[Tensor], chunk: int = 1000) -> list[float]:
    """Share of right answers of every member."""
    truth, right = torch.from_numpy(y), torch.zeros(len(orders))
    for start in range(0, len(x), chunk):
        part = torch.stack([x[start : start + chunk, order] for order in orders])
        right += (network(part).argmax(dim=2) == truth[start : start + chunk]).sum(dim=1)
    return [float(share) for share in right / len(x)]
