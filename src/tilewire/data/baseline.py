"""What spike counts alone can tell: the honest baseline beside every accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.data.record import SpikeData, utterance_scores
from tilewire.errors import DataError

PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
_PATIENCE = 2  # weaker penalties tried without gain on the validation split


@dataclass(frozen=True)
class CountsBaseline:
    """accuracy per split, the L2 penalty chosen on the validation split, and the number of weights."""

    accuracy: Mapping[str, float]
    penalty: float
    parameters: int


def linear_on_counts(
    data: SpikeData,
    penalties: tuple[float, ...] = PENALTIES,
    utterance: Mapping[str, NDArray[np.int64]] | None = None,
) -> CountsBaseline:
    """Multinomial logistic regression on each channel's spikes over the whole time.

    min over W, b of  mean_i [ log sum_c exp(z_ic) - z_i,label(i) ] + penalty / 2 ||W||^2,  z = x W + b,  x = counts standardised by the
    training split; L-BFGS, from the strongest penalty to weaker ones, each started at the last, until two in a row bring nothing on the
    validation split, which chooses the penalty (ties to the stronger); the test split is only measured.

    utterance: per split, the utterance of each sample (see `EventPack.fold_channels`); scores are then summed per utterance, and accuracy
    counts utterances. Raises DataError on an empty split.
    """
    if not all(len(pack) for pack in data.splits.values()):
        raise DataError(f"data set '{data.name}' has an empty split")
    counts = {split: pack.channel_counts().astype(np.float64) for split, pack in data.splits.items()}
    mean, spread = counts["train"].mean(axis=0), counts["train"].std(axis=0)
    spread[spread == 0] = 1.0
    features = {split: np.column_stack([(x - mean) / spread, np.ones(len(x))]) for split, x in counts.items()}
    labels = {split: pack.label for split, pack in data.splits.items()}
    groups = {split: (utterance or {}).get(split, np.arange(len(x))) for split, x in counts.items()}
    weights = np.zeros((data.channels + 1, len(data.classes)))
    best: tuple[float, float, NDArray[np.float64]] = (-1.0, penalties[0], weights)
    idle = 0
    for penalty in sorted(penalties, reverse=True):
        weights = fit_logistic(features["train"], labels["train"], weights, penalty)
        accuracy = _accuracy(features["validation"], labels["validation"], weights, groups["validation"])
        if accuracy > best[0]:
            best, idle = (accuracy, penalty, weights), 0
        elif (idle := idle + 1) >= _PATIENCE:
            break
    return CountsBaseline(
        accuracy={split: _accuracy(features[split], labels[split], best[2], groups[split]) for split in features},
        penalty=best[1],
        parameters=weights.size,
    )


def fit_logistic(
    features: NDArray[np.float64], label: NDArray[np.int32], start: NDArray[np.float64], penalty: float
) -> NDArray[np.float64]:
    """Minimiser of the objective of `linear_on_counts`, [features, classes]; the last feature is the constant and is not penalised."""
    from scipy.optimize import minimize

    rows = np.arange(len(label))

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(start.shape)
        score = features @ weights
        score -= score.max(axis=1, keepdims=True)
        normaliser = np.log(np.exp(score).sum(axis=1))
        slack = np.exp(score - normaliser[:, None])
        slack[rows, label] -= 1.0
        gradient = features.T @ slack / len(label)
        gradient[:-1] += penalty * weights[:-1]
        loss = float(np.mean(normaliser - score[rows, label])) + penalty / 2 * float(np.square(weights[:-1]).sum())
        return loss, gradient.ravel()

    result: Any = minimize(
        objective, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 3e-4}
    )
    return np.asarray(result.x).reshape(start.shape)


def _accuracy(
    features: NDArray[np.float64], label: NDArray[np.int32], weights: NDArray[np.float64], group: NDArray[np.int64]
) -> float:
    """Share of groups whose summed scores peak at their label."""
    scores = utterance_scores(features @ weights, group)
    truth = np.zeros(len(scores), dtype=np.int32)
    truth[group] = label
    return float(np.mean(scores.argmax(axis=1) == truth))
