"""One weight of any module, some of whose units live: dropping, growing, walking, always with the same count of live units."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewire.rewire.grain import Grain
from tilewire.rewire.moments import forget
from tilewire.rewire.rule import TINY, Bears, DropRule, Flags, Synapses, Walks, Wanders


def renew(
    alive: Flags, keep: NDArray[np.int64], rng: np.random.Generator, score: NDArray[np.float64] | None, explore: float
) -> NDArray[np.int64]:
    """Units to bear so that group g has ``keep[g]`` live ones: ``alive`` bool [groups, n], ``score`` the same or None.

    Uniform among the units that do not live, or the best by score but for a share ``explore``. Flat indices.
    """
    born = [np.empty(0, np.int64)]
    for group in np.flatnonzero(keep > alive.sum(axis=1)):
        free = np.flatnonzero(~alive[group])
        wanted = int(keep[group]) - (alive.shape[1] - free.size)
        if score is not None:
            guided = wanted - round(explore * wanted)
            free = free[np.argsort(-score[group, free], kind="stable")]
            born.append(free[:guided] + group * alive.shape[1])
            free, wanted = free[guided:], wanted - guided
        born.append(rng.choice(free, wanted, replace=False, shuffle=False) + group * alive.shape[1])
    return np.concatenate(born)


@dataclass(eq=False)
class SparseLayer:
    """A weight parameter and its wiring. ``keep`` int64 [groups]: live units of each of as many equal groups of units.

    ``mask`` bool, shaped like the weight: live synapses. ``sign`` int8 and ``depth`` [units, S] serve rules that walk.
    """

    name: str
    parameter: nn.Parameter
    grain: Grain
    rule: DropRule
    keep: NDArray[np.int64]
    mask: Tensor
    sign: NDArray[np.int8]
    depth: NDArray[np.float32]
    wish: Tensor | None = None  # dense gradient of the coming update, where growing asks for it

    @property
    def walks(self) -> bool:
        """Whether its rule moves synapses after every update."""
        return isinstance(self.rule, Walks)

    @property
    def soft(self) -> bool:
        """Whether dormant synapses come back on their own: then nothing is dropped or grown."""
        return isinstance(self.rule, Wanders)

    def silence(self) -> None:
        """Set every dormant weight to exactly 0."""
        with torch.no_grad():
            self.mask = self.mask.to(self.parameter.device)
            self.parameter.masked_fill_(~self.mask, 0.0)

    def live_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient with nothing for dormant weights."""
        self.mask = self.mask.to(gradient.device)
        return gradient.masked_fill(~self.mask, 0.0)

    def score(self) -> NDArray[np.float64] | None:
        """Norm of the dense gradient of each unit [groups, n], if one was kept."""
        if self.wish is None:
            return None
        wish = torch.nan_to_num(self.grain.pack(self.wish).double(), posinf=0.0, neginf=0.0)
        score: NDArray[np.float64] = wish.norm(dim=1).cpu().numpy()
        return score.reshape(self.keep.size, -1)

    def synapses(self) -> Synapses:
        """Units as arrays; those of weight and mask may be copies, see `take`."""
        weight = self.grain.pack(self.parameter.detach()).cpu()
        if weight.dtype not in (torch.float32, torch.float64):
            weight = weight.float()  # exact and back: bfloat16 and float16 lie within float32
        live = self.grain.pack(self.mask).cpu()
        return Synapses(weight.contiguous().numpy(), self.sign, live.contiguous().numpy(), self.depth)

    def take(self, synapses: Synapses) -> None:
        """Write units back to the parameter and the mask."""
        with torch.no_grad():
            self.parameter.copy_(self.grain.unpack(torch.from_numpy(synapses.weight)))
            self.mask.copy_(self.grain.unpack(torch.from_numpy(synapses.live)))

    def advance(
        self,
        optimiser: torch.optim.Optimizer,
        drop: DropRule | None,
        explore: float,
        rate: float,
        rng: np.random.Generator,
    ) -> int:
        """After an update: walk, drop by ``drop`` if given, grow back to the same counts; number of units born.

        Synapses that changed their state lose their moments.
        """
        synapses = self.synapses()
        before = synapses.live.copy()
        changed = np.zeros(before.shape, bool)
        if isinstance(self.rule, Walks):
            changed.reshape(-1)[self.rule.walk(synapses, rate, rng)] = True
        born = np.empty(0, np.int64)
        if drop is not None:
            born = self._rewire(synapses, drop, explore, rng)
            changed |= before & ~synapses.live
            changed[born] = True
        self.take(synapses)
        forget(optimiser, self.parameter, self.grain.unpack(torch.from_numpy(changed)).to(self.parameter.device))
        return int(born.size)

    def _rewire(
        self, synapses: Synapses, drop: DropRule, explore: float, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        alive: Flags = np.asarray(synapses.live.any(axis=1))
        units = np.flatnonzero(alive)
        seen = synapses.weight[units]
        seen[~seen.any(axis=1)] = TINY  # a newborn that got no gradient yet is weak, not an empty slot
        dead = units[drop(seen)]
        alive[dead] = False
        synapses.live[dead] = False
        synapses.weight[dead] = 0.0
        born = renew(alive.reshape(self.keep.size, -1), self.keep, rng, self.score(), explore)
        synapses.live[born] = True
        synapses.weight[born] = self.newborn(born.size, synapses.sign[born], rng)
        return born

    def newborn(self, units: int, sign: NDArray[np.int8], rng: np.random.Generator) -> NDArray[np.float32]:
        """Weights of newborn units by the law of the rule: 0 unless it has one.

        Scale of that law: sqrt(1 / (3 fan-in)), the one a linear layer of so many live inputs starts with.
        """
        shape = (units, self.grain.size)
        if not isinstance(self.rule, Bears):
            return np.zeros(shape, np.float32)
        live = int(self.keep.sum()) * self.grain.size
        weight = self.rule.born(shape, float(np.sqrt(self.grain.shape[0] / (3 * live))), rng)
        return sign * weight if self.walks else weight


def wired(
    name: str, parameter: nn.Parameter, grain: Grain, rule: DropRule, keep: NDArray[np.int64], sign: np.random.Generator
) -> SparseLayer:
    """A layer before any unit lives; signs are drawn here, once and for all, for a rule that needs them."""
    mask = torch.zeros(parameter.shape, dtype=torch.bool, device=parameter.device)
    shape = (grain.units, grain.size) if isinstance(rule, Walks) else (grain.units, 0)
    signs = (2 * sign.integers(0, 2, shape) - 1).astype(np.int8)
    return SparseLayer(name, parameter, grain, rule, keep, mask, signs, np.zeros(shape, np.float32))


def open_up(layer: SparseLayer, rescale: bool, rng: np.random.Generator) -> None:
    """Draw the first live units, uniformly in every group, and silence the rest.

    ``rescale``: live weights times sqrt(n / k), so that sums over fewer inputs keep their variance.
    """
    n = layer.grain.units // layer.keep.size
    alive = np.zeros((layer.keep.size, n), bool)
    alive.reshape(-1)[renew(alive, layer.keep, rng, None, 0.0)] = True
    synapses = layer.synapses()
    live = np.tile(alive.reshape(-1, 1), layer.grain.size)
    weight = np.where(live, synapses.weight, 0)
    if rescale:
        weight *= np.sqrt(layer.grain.units / layer.keep.sum())
    if layer.walks:
        weight = np.abs(weight) * layer.sign
        live &= weight != 0
    if isinstance(layer.rule, Wanders):
        layer.depth[:] = np.where(live, 0, np.minimum(layer.rule.deepest * rng.random(live.shape), -TINY))
    layer.take(replace(synapses, weight=weight.astype(synapses.weight.dtype), live=live))
