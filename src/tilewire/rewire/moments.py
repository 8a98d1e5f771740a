"""What an optimiser remembers of weights that were rewired."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def forget(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, where: Tensor) -> None:
    """Zero, in place, every optimiser moment of some weights of a parameter, so that nothing creeps back from an earlier life.

    ``where``: rows by index, or flags of the parameter's shape. Moments are the tensors of the optimiser's state that have that shape;
    statistics that many weights share (Adafactor's rows and columns) stay.
    """
    for value in optimiser.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value[where] = 0


def learning_rate(optimiser: torch.optim.Optimizer, parameter: nn.Parameter) -> float:
    """The present learning rate of a parameter; 0 if the optimiser does not hold it."""
    for group in optimiser.param_groups:
        if any(parameter is one for one in group["params"]):
            return float(group["lr"])
    return 0.0
