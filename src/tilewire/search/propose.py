"""Designs of a generation: uniform ones, or those of a sampler that has seen all earlier generations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewire.design import Design, Knob, Range, Space, key_of
from tilewire.errors import MissingExtraError

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

    from tilewire.search.plan import Result
    from tilewire.search.study import Study

TRIES = 50  # draws of one design before an equal one is accepted as unavoidable


def engine() -> Any:
    """The optuna module. Raises `MissingExtraError`."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("the search needs optuna", hint="pip install 'tilewire[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def uniformly(space: Space, count: int, known: set[str], rng: np.random.Generator) -> list[Design]:
    """``count`` designs at random, different from one another and from ``known`` as long as the space has others."""
    found: list[Design] = []
    seen = set(known)
    for _ in range(count):
        for _ in range(TRIES):
            design = space.design(space.codes(rng.random((1, len(space.knobs))))[0])
            if key_of(design) not in seen:
                break
        seen.add(key_of(design))
        found.append(design)
    return found


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The knobs as the engine names them; choices by their position, as some of them are lists."""
    named = engine().distributions

    def one(knob: Knob) -> Any:
        if isinstance(knob, list):
            return named.CategoricalDistribution(tuple(range(len(knob))))
        kind = named.IntDistribution if knob.whole else named.FloatDistribution
        return kind(knob.low, knob.high, log=knob.log)

    return {name: one(knob) for name, knob in space.knobs.items()}


def parameters(space: Space, design: Design) -> dict[str, Any]:
    """A design in the terms of `distributions`."""
    return {
        name: design[name] if isinstance(knob, Range) else knob.index(design[name])
        for name, knob in space.knobs.items()
    }


def by_sampler(
    study: Study,
    history: Sequence[tuple[Design, Result]],
    count: int,
    known: set[str],
    rng: np.random.Generator,
    hopeless: Callable[[Design], bool] = lambda design: False,
) -> list[Design]:
    """Designs that a multi-objective tree-structured Parzen estimator asks for after ``history``.

    Infeasible, stopped and failed designs are told to it as violating a constraint, so that it leaves their neighbourhood. An equal
    design, or one that is ``hopeless`` by arithmetic, is asked for again; if the sampler insists, a uniform one takes its place.
    """
    seen, space = set(known), study.space
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental marks of the engine
        memory = _remember(study, history, int(rng.integers(2**31)))
        asked = distributions(space)
        found: list[Design] = []
        for _ in range(count):
            for _ in range(TRIES):
                trial = memory.ask(asked)
                design = _design(space, trial.params)
                if key_of(design) not in seen and not hopeless(design):
                    break
            else:
                design = uniformly(space, 1, seen, rng)[0]
            seen.add(key_of(design))
            found.append(design)
    return found


def _design(space: Space, values: dict[str, Any]) -> Design:
    return {name: values[name] if isinstance(knob, Range) else knob[values[name]] for name, knob in space.knobs.items()}


def _remember(study: Study, history: Sequence[tuple[Design, Result]], seed: int) -> optuna.Study:
    """A study of the engine, in memory, that holds the history."""
    from tilewire.search.plan import violation

    worst = [-value if up else value for value, up in zip(study.reference, study.maximised, strict=True)]
    sampler = engine().samplers.TPESampler(
        seed=seed, multivariate=True, n_startup_trials=0, constraints_func=lambda trial: trial.user_attrs["violations"]
    )
    memory: optuna.Study = engine().create_study(directions=["minimize"] * len(worst), sampler=sampler)
    asked = distributions(study.space)
    for design, result in history:
        losses = study.losses(result.objectives) if result.state == "complete" else None
        beyond = violation(study, result) if losses is not None else 1.0
        violations = [min(beyond, 1e9)]
        memory.add_trial(
            engine().trial.create_trial(
                params=parameters(study.space, design),
                distributions=asked,
                values=list(losses or worst),
                user_attrs={"violations": violations},
                system_attrs={"constraints": violations},
            )
        )
    return memory
