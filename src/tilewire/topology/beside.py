"""Topologies of one shape side by side: R independent networks as one block-diagonal one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewire.errors import UsageError
from tilewire.topology.digits import digit_stage
from tilewire.topology.stage import ABSENT, Longs, Stage, Topology


def stages_beside(stages: Sequence[Stage]) -> Stage:
    """Stage r of R reads inputs r n_in .. and feeds outputs r n_out ..; packed weights follow each other in the order of the stages.

    Equal block structures stay one block structure. Raises `UsageError` unless widths and skips agree.
    """
    first = stages[0]
    if len({(s.n_in, s.n_out, s.skip) for s in stages}) > 1:
        raise UsageError("stages side by side need equal widths and skips")
    if first.blocks is not None and all(s.blocks == first.blocks for s in stages):
        one = first.blocks
        return digit_stage(len(stages) * first.n_in, one.radix_in, one.radix_out, one.stride, first.skip)
    widest = max(s.fan_in for s in stages)

    def inputs(i: Longs) -> Longs:
        found = np.full((len(i), widest), ABSENT, np.int64)
        for number, stage in enumerate(stages):
            mine = i // stage.n_out == number
            local = stage.inputs(i[mine] % stage.n_out)
            found[mine, : stage.fan_in] = np.where(local >= 0, local + number * stage.n_in, ABSENT)
        return found

    ragged = any(s.ragged or s.fan_in != widest for s in stages)
    n_in, n_out = len(stages) * first.n_in, len(stages) * first.n_out
    return Stage(n_in, n_out, widest, inputs, ragged=ragged, stored=first.stored, skip=first.skip)


def beside(topologies: Sequence[Topology]) -> Topology:
    """The members of ``topologies`` next to each other, R n_in -> R n_out. Raises `UsageError` unless branches and depths agree."""
    if not topologies or len({tuple(map(len, one.branches)) for one in topologies}) > 1:
        raise UsageError("topologies side by side need equal branches and depths")
    branches = [
        tuple(stages_beside(stages) for stages in zip(*group, strict=True))
        for group in zip(*(one.branches for one in topologies), strict=True)
    ]
    return Topology(topologies[0].name, tuple(branches), f"{len(topologies)} side by side: {topologies[0].description}")
