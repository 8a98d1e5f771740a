"""Initial weights of sparse cascades: variance per neuron, orthogonal blocks, exact rotations, data-free rescaling.

A cascade keeps the scale of its signals when every stage maps white inputs to outputs of mean variance 1. The laws below reach that in
expectation (`variance`), exactly per stage (`orthogonal`), or by measuring the cascade on white inputs (`rescaled`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import UsageError, unknown
from tilewire.topology.paths import stage_matrix
from tilewire.topology.stage import Stage, Topology

Floats = NDArray[np.float64]
Values = tuple[tuple[Floats, ...], ...]
"""Packed weights of a topology: branch by branch, stage by stage, in the order of `Stage.rows`."""

EXACT_WIDTH = 512
"""Widest input whose whole identity is sent through a cascade to measure its scale; wider ones are measured on random inputs."""


def variance_law(stage: Stage, rng: np.random.Generator, mode: str = "fan-in") -> Floats:
    """N(0, v) per weight: v = 1 / k_i (``fan-in``, keeps signals), 1 / k_j (``fan-out``, keeps gradients), 2 / (k_i + k_j) (``both``,
    Glorot, Bengio 2010), k_i the inputs of its output and k_j the outputs of its input: per neuron, not per layer.
    """
    k_in = stage.fan_ins[stage.outputs].astype(float)
    k_out = stage.fan_outs[stage.rows.source].astype(float)
    modes = {"fan-in": k_in, "fan-out": k_out, "both": (k_in + k_out) / 2}
    if mode not in modes:
        raise UsageError(unknown("mode", mode, modes), where="variance law")
    values: Floats = rng.standard_normal(k_in.size) / np.sqrt(modes[mode])
    return values


def orthogonal_law(stage: Stage, rng: np.random.Generator) -> Floats:
    """Every dense block of the stage Haar-orthogonal, by QR; r_out x r_in blocks are semi-orthogonal, times sqrt(r_out / r_in) if taller
    than wide, so that the mean variance of the outputs is 1. Raises `UsageError` where the stage does not fall into dense blocks.
    """
    blocks = stage.dense_blocks
    if blocks is None:
        raise UsageError(
            "the stage does not fall into disjoint dense blocks", where="orthogonal law", hint="law 'auto'"
        )
    values = np.empty(stage.rows.source.size)
    for _, position in blocks:
        count, r_out, r_in = position.shape
        q, r = np.linalg.qr(rng.standard_normal((count, max(r_out, r_in), min(r_out, r_in))))
        q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]  # makes the law uniform over the orthogonal group
        values[position] = q * np.sqrt(r_out / r_in) if r_out >= r_in else q.transpose(0, 2, 1)
    return values


def rotation_law(stage: Stage, rng: np.random.Generator) -> Floats:
    """The product of the stage's plane rotations at uniform angles, exactly orthogonal (EOI, arXiv 2406.01755)."""
    if stage.rotations is None:
        raise UsageError("the stage is no product of plane rotations", where="rotation law", hint="topology 'givens'")
    matrix = np.eye(stage.n_in)
    for (p, q), angle in zip(stage.rotations, rng.uniform(0, 2 * np.pi, len(stage.rotations)), strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix[[p, q]] = turn @ matrix[[p, q]]
    values: Floats = matrix[stage.outputs, stage.rows.source]
    return values


def best_law(stage: Stage, rng: np.random.Generator) -> Floats:
    """Exact rotations, else orthogonal blocks, else variance per neuron."""
    if stage.rotations is not None:
        return rotation_law(stage, rng)
    return variance_law(stage, rng) if stage.skip or stage.dense_blocks is None else orthogonal_law(stage, rng)


LAWS: dict[str, Callable[[Stage, np.random.Generator], Floats]] = {
    "auto": best_law,
    "variance": variance_law,
    "rescaled": variance_law,
    "orthogonal": orthogonal_law,
}
"""Name -> law of one stage. `rescaled`, and `auto` where a stage is not orthogonal, end with `rescale`."""


def drawn_values(topology: Topology, rng: np.random.Generator, law: str = "auto") -> Values:
    """Weights of every stage as its law draws them, before any measuring. Beside a skip of weight c the trainable part carries the variance
    1 - c^2. Raises `UsageError` for an unknown law.
    """
    if law not in LAWS:
        raise UsageError(unknown("initial law", law, LAWS), where="initial values")
    return tuple(
        tuple(LAWS[law](stage, rng) * np.sqrt(1 - stage.skip**2) for stage in branch) for branch in topology.branches
    )


def initial_values(topology: Topology, rng: np.random.Generator, law: str = "auto") -> Values:
    """Initial weights of every stage: `drawn_values`, scaled by `rescale` where ``law`` measures. Raises `UsageError` as that does."""
    drawn = drawn_values(topology, rng, law)
    values: Values = tuple(
        tuple(rescale(branch, own, rng)) if _is_measured(branch, law) else own
        for branch, own in zip(topology.branches, drawn, strict=True)
    )
    return _summed(topology, values, rng) if law in ("auto", "rescaled") and len(values) > 1 else values


def _is_measured(branch: Sequence[Stage], law: str) -> bool:
    return law == "rescaled" or (law == "auto" and not all(_is_exact(stage) for stage in branch))


def is_scale_free(topology: Topology) -> bool:
    """Whether measuring only multiplies the whole product by a number: one branch, no fixed skips."""
    return len(topology.branches) == 1 and not any(topology.skips)


def _summed(topology: Topology, values: Values, rng: np.random.Generator) -> Values:
    """Branches correlate in a single draw: their last stages share the factor that brings the sum to variance 1."""
    size = output_variance(topology, values, rng)
    factor = size**-0.5 if size > 1e-6 else 1.0
    return tuple((*own[:-1], own[-1] * factor) for own in values)


def _is_exact(stage: Stage) -> bool:
    """Whether `best_law` makes the stage orthogonal: products of such stages keep every variance and need no measuring."""
    square = stage.dense_blocks is not None and all(
        position.shape[1] == position.shape[2] for _, position in stage.dense_blocks
    )
    return not stage.skip and (stage.rotations is not None or square)


def white_inputs(width: int, rng: np.random.Generator, samples: int = 64) -> Floats:
    """Inputs X [width, n] with X X^T = I: the identity up to `EXACT_WIDTH`, else random signs, which meet it in expectation."""
    if width <= EXACT_WIDTH:
        return np.eye(width)
    signs: Floats = rng.choice([-1.0, 1.0], (width, samples)) / np.sqrt(samples)
    return signs


def rescale(branch: Sequence[Stage], values: Sequence[Floats], rng: np.random.Generator) -> list[Floats]:
    """Scale stage after stage so that white inputs give outputs of mean variance 1, dead outputs left out; no data are needed.

    The data-free form of layer-sequential unit variance (Mishkin, Matas 2016).
    """
    state, scaled = white_inputs(branch[0].n_in, rng), []
    for stage, value in zip(branch, values, strict=True):
        driven = stage_matrix(stage, value, skip=0.0) @ state
        straight = stage.skip * state if stage.skip else np.zeros_like(driven)
        live = ((driven**2).sum(axis=1) > 0) | ((straight**2).sum(axis=1) > 0)
        size = max(int(live.sum()), 1)
        # |s d + c x|^2 = 1 for the positive s
        a, b, c = ((driven**2).sum() / size, (driven * straight).sum() / size, (straight**2).sum() / size - 1.0)
        factor = (-b + np.sqrt(max(b * b - a * c, 0.0))) / a if a else 1.0
        factor = factor if factor > 0 else 1.0
        scaled.append(value * factor)
        state = factor * driven + straight
    return scaled


def output_variance(topology: Topology, values: Values, rng: np.random.Generator) -> float:
    """Mean variance of the outputs under white inputs, |W|_F^2 / n_out, over the outputs that a path reaches; exact up to `EXACT_WIDTH`."""
    x = white_inputs(topology.n_in, rng)
    power = (product(topology, values, x) ** 2).sum(axis=1)
    return float(power[power > 0].mean()) if power.any() else 0.0


def product(topology: Topology, values: Values, x: Floats) -> Floats:
    """W x for columns x [n_in, n]: B^(-1/2) times the sum over the branches of W_L ... W_1 x."""
    total = np.zeros((topology.n_out, x.shape[1]))
    for branch, own in zip(topology.branches, values, strict=True):
        state = x
        for stage, value in zip(branch, own, strict=True):
            state = stage_matrix(stage, value) @ state
        total += state
    total *= float(len(topology.branches)) ** -0.5
    return total
