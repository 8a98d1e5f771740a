"""Training inside a budget: batches, loss, clipping, schedule, rewiring; stops and continues at any step, bit-identically."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tilewire.checkpoint import Arrays
from tilewire.config import TrainConfig
from tilewire.data.augment import Augmentation, batch
from tilewire.data.record import EventPack
from tilewire.errors import RunError, TrainingError, UsageError
from tilewire.mapping.placement import hop_cost
from tilewire.nn.readout import Readout, rate_hinge
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.candidates import branch_gradient
from tilewire.rewire.compress import Compression
from tilewire.rewire.constrained import Constrained
from tilewire.rewire.engine import Rewired
from tilewire.rewire.grow import GrowRule, Score, uniform
from tilewire.rewire.learned_split import report
from tilewire.rewire.permute import TilePermutation
from tilewire.streams import stream

EVALUATION_BATCH = 128


@dataclass
class Tally:
    """Running sums of the current epoch; part of the checkpoint, so that a resumed epoch reports what an unbroken one does."""

    samples: int = 0
    correct: int = 0
    loss: float = 0.0
    spikes: float = 0.0


@dataclass
class Cursor:
    """Where training stands: the next step to take."""

    epoch: int = 0
    step: int = 0
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class StepReport:
    """One optimiser step, for progress bars."""

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Constant for ``hold`` of the run, then a cosine from lr down to floor * lr. Counted in optimiser steps throughout."""
    start = config.hold * steps
    if step <= start:
        return config.lr
    phase = (step - start) / max(steps - start, 1)
    return config.lr * (config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * phase)))


class Trainer:
    """A network, its constraint and its data, advanced step by step."""

    def __init__(
        self,
        config: TrainConfig,
        constrained: Constrained,
        readout: Readout,
        train: EventPack,
        rewire_every: int,
        seed: int,
        grow: Callable[[Score], GrowRule] | None = None,
        compression: Compression | None = None,
    ) -> None:
        self.config, self.constrained, self.readout, self.data = config, constrained, readout, train
        self.network: TiledRSNN = constrained.network
        self.optimiser = constrained.optimiser
        self.rewire_every, self.seed, self.grow, self.compression = rewire_every, seed, grow, compression
        self.split_epochs = 0  # a learned split moves its quotas during the first so many
        self.permutation: tuple[int, TilePermutation] | None = None  # every so many epochs
        self.cursor = Cursor()
        self.steps_per_epoch = math.ceil(len(train) / config.batch)

    @property
    def finished(self) -> bool:
        return self.cursor.epoch >= self.config.epochs

    @property
    def global_step(self) -> int:
        return self.cursor.epoch * self.steps_per_epoch + self.cursor.step

    def epoch(self) -> Iterator[StepReport]:
        """Steps from the cursor to the end of its epoch. The cursor stands after the reported step, so any pause is a clean one."""
        order = stream(self.seed, "order", self.cursor.epoch).permutation(len(self.data))
        while self.cursor.step < self.steps_per_epoch:
            indices = order[self.cursor.step * self.config.batch :][: self.config.batch]
            loss = self._step(indices)
            self.cursor.step += 1
            tally = self.cursor.tally
            yield StepReport(
                self.cursor.epoch, self.cursor.step, self.steps_per_epoch, loss, tally.correct / tally.samples
            )

    def _step(self, indices: NDArray[np.int64]) -> float:
        config, cursor = self.config, self.cursor
        shift = config.augment
        augmentation = Augmentation(shift.channels, shift.steps, shift.drop)
        events = batch(self.data, indices, augmentation, stream(self.seed, "augment", cursor.epoch, cursor.step))
        label = torch.from_numpy(self.data.label[indices].astype(np.int64))
        counts, trains = self.network(events, stream(self.seed, "memristor", cursor.epoch, cursor.step))
        scores = self.readout(counts, trains)
        loss = self._loss(counts, scores, label)
        penalty = self.compression.penalty_in(cursor.epoch) if self.compression else None
        if penalty is not None:
            loss = loss + penalty(self.network)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise self._diverged(f"loss is {float(loss.detach())} and the gradient", "no weight was changed")
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(self.global_step)
        self.optimiser.step()
        if not all(torch.isfinite(parameter).all() for parameter in self.network.parameters()):
            raise self._diverged("after this step a weight", "it is in no checkpoint")
        tally = cursor.tally
        tally.samples += int(label.numel())
        tally.correct += int((scores.argmax(dim=1) == label).sum())
        tally.loss += float(loss.detach()) * int(label.numel())
        tally.spikes += float(counts.detach().sum())
        return float(loss.detach())

    def _loss(self, counts: Tensor, scores: Tensor, label: Tensor) -> Tensor:
        rate = self.config.rate
        loss = functional.cross_entropy(scores, label)
        return loss + rate_hinge(counts, self.data.steps, rate.low, rate.high, rate.weight)

    def _score(self) -> Score:
        """What the loss wants of branches, on one batch of its own, without augmentation."""
        chosen = stream(self.seed, "grow", self.cursor.epoch).permutation(len(self.data))[: self.config.batch]
        events, label = batch(self.data, chosen), torch.from_numpy(self.data.label[chosen].astype(np.int64))

        def loss(counts: Tensor, trains: Tensor) -> Tensor:
            return self._loss(counts, self.readout(counts, trains), label)

        return lambda absent: branch_gradient(self.network, events, loss, absent)

    def _rate(self, step: int) -> float:
        return learning_rate(step, self.config.epochs * self.steps_per_epoch, self.config)

    def _diverged(self, what: str, kept: str) -> TrainingError:
        layers = [
            name
            for name, parameter in self.network.named_parameters()
            if not torch.isfinite(parameter).all()
            or (parameter.grad is not None and not torch.isfinite(parameter.grad).all())
        ]
        return TrainingError(
            f"{what} of {', '.join(layers) or 'no single layer'} is not finite; {kept}",
            where=f"epoch {self.cursor.epoch + 1}, step {self.cursor.step + 1}",
            hint="a smaller train.lr, or a smaller rewire.threshold (the weight scale)",
        )

    def end_epoch(self, validation: EventPack | None) -> dict[str, Any]:
        """Rewire if due, measure, move the cursor to the next epoch; the metrics record of the epoch."""
        tally, epoch = self.cursor.tally, self.cursor.epoch
        rewired = self._rewire(epoch + 1)
        placed = self._permute(epoch + 1)
        excess = self.constrained.excess()
        record = {
            "epoch": epoch,
            "loss": tally.loss / tally.samples,
            "train_accuracy": tally.correct / tally.samples,
            "validation_accuracy": accuracy(self.network, self.readout, validation) if validation is not None else None,
            "rate": tally.spikes / (tally.samples * self.data.steps * self.network.fabric.n_neurons),
            "lr": self._rate(self.global_step - 1),  # not from the optimiser: a resumed one may not have stepped yet
            "killed": int(rewired.killed.size) if rewired else 0,
            "born": int(rewired.born.size) if rewired else 0,
            "missing": rewired.missing if rewired else 0,
            "excess": excess.worst,
            "density": self._density(),
        } | placed
        if self.constrained.split is not None:
            record["split"] = report(self.constrained.rewiring.state)
        self.cursor = Cursor(epoch + 1)
        return record

    def _rewire(self, done: int) -> Rewired | None:
        """Rewire or compress if it is due after so many epochs."""
        if self.compression is not None and done == self.compression.after:
            return self.constrained.prune(self.compression.target)
        # Never after the last epoch: newborn branches would enter the final network untrained.
        if self.rewire_every and done % self.rewire_every == 0 and done < self.config.epochs:
            score = self._score()
            moves = done <= self.split_epochs
            return self.constrained.step(uniform if self.grow is None else self.grow(score), score if moves else None)
        return None

    def _permute(self, done: int) -> dict[str, Any]:
        """Move tiles if that is due after so many epochs; what became of it, for the record."""
        if self.permutation is None:
            return {}
        every, permutation = self.permutation
        moved = self.constrained.permute(permutation) if done % every == 0 else 0
        live, tile = self.network.live_branches(), self.constrained.tile_of_group
        return {"moved": moved, "traffic": hop_cost(self.network.fabric, live, tile)}

    def _density(self) -> dict[str, float]:
        """Share of the available branches that live, per hop class."""
        fabric, live, tile = self.network.fabric, self.network.live_branches(), self.constrained.tile_of_group
        distance = fabric.hop_distance[tile[live.source // fabric.neurons_per_tile], tile[live.target]]
        return {
            str(d): float((distance == d).sum()) / (pairs * fabric.neurons_per_tile)
            for d, pairs in fabric.hop_classes.items()
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that changes while training: weights, moments, wiring, trees, what the rewiring rule remembers."""
        found = {f"weight.{name}": value.detach().numpy() for name, value in self.network.named_parameters()}
        found |= {"wiring.source": self.network.branches.source, "wiring.tile": self.network.branches.tile}
        found |= {f"budget.{name}": value for name, value in self.constrained.rewiring.state.arrays().items()}
        found |= {f"rule.{name}": value for name, value in self.constrained.arrays().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                found[f"moment.{name}.{key}"] = value.detach().numpy()
        return found

    def state(self) -> dict[str, Any]:
        return {"cursor": asdict(self.cursor), "rewiring_steps": self.constrained.steps}

    def digest(self) -> str:
        """sha256 over weights and wiring."""
        digest = hashlib.sha256()
        for name, value in sorted(self.arrays().items()):
            if not name.startswith("moment."):
                digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()

    def restore(self, arrays: Arrays, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint of the same configuration. Raises `RunError` if it belongs to another network."""
        try:
            self._restore(arrays, state)
        except (LookupError, TypeError, ValueError, RuntimeError, UsageError) as error:
            raise RunError(f"the checkpoint belongs to another network: {error}", hint="another --out") from error

    def _restore(self, arrays: Arrays, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(torch.from_numpy(arrays[f"weight.{name}"]))
                prefix = f"moment.{name}."
                moments = {
                    key.removeprefix(prefix): torch.from_numpy(np.array(value))
                    for key, value in arrays.items()
                    if key.startswith(prefix)
                }
                if moments:
                    self.optimiser.state[parameter] = moments
        table = self.network.branches
        for name, slots in (("wiring.source", table.source), ("wiring.tile", table.tile)):
            if arrays[name].shape != slots.shape:
                raise ValueError(f"{name} is {arrays[name].shape}, the network needs {slots.shape}")
            slots[:] = arrays[name]
        table.check()
        budget, rule = (
            {name.removeprefix(part): value for name, value in arrays.items() if name.startswith(part)}
            for part in ("budget.", "rule.")
        )
        if self.compression is not None:
            self.constrained.budget = self.compression.budget(state["cursor"]["epoch"])
        self.constrained.restart(state["rewiring_steps"], budget or None, rule or None)
        cursor = state["cursor"]
        self.cursor = Cursor(cursor["epoch"], cursor["step"], Tally(**cursor["tally"]))


def scores_of(network: TiledRSNN, readout: Readout, data: EventPack) -> NDArray[np.float32]:
    """Scores [samples, classes] under the training arithmetic, no augmentation."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(data), EVALUATION_BATCH):
            indices = np.arange(start, min(start + EVALUATION_BATCH, len(data)))
            parts.append(readout(*network(batch(data, indices))).numpy())
    return np.concatenate(parts)


def accuracy(network: TiledRSNN, readout: Readout, data: EventPack) -> float:
    """Share of samples whose highest score is their label."""
    return float((scores_of(network, readout, data).argmax(axis=1) == data.label).mean())
