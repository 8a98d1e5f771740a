"""A draw trained as a run: its folder is a run folder like any other, continued from its checkpoint by whoever takes it over."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tilewire.cascade_recipe import CascadeRecipe
from tilewire.cascade_run import execute_cascade
from tilewire.errors import TrainingError, UsageError
from tilewire.run import Interrupted, Silent, execute
from tilewire.search.plan import Draw, Result
from tilewire.search.study import Study

RIVALS = 4  # a median of fewer curves says nothing

Curve = tuple[float, ...]


@dataclass(frozen=True)
class Median:
    """Early stopping: after ``first`` epochs, out with whoever lies below the median of the rivals at the same epoch."""

    rivals: Sequence[Curve]
    first: int
    last: int

    def behind(self, curve: Curve) -> int | None:
        """The first epoch (from 1) at which the curve fell behind; None if it never did. The last epoch stops nobody."""
        for epoch in range(self.first, min(len(curve), self.last - 1) + 1):
            known = [rival[epoch - 1] for rival in self.rivals if len(rival) >= epoch]
            if len(known) >= RIVALS and curve[epoch - 1] < statistics.median(known):
                return epoch
        return None


class _Watch(Silent):
    """Looks at the curve after every epoch."""

    def __init__(self, folder: Path, metric: str, median: Median | None, stop: Callable[[], bool]) -> None:
        self.folder, self.metric, self.median, self.stop = folder, metric, median, stop
        self.curve: Curve = ()
        self.epoch({})

    def epoch(self, record: dict[str, Any]) -> None:
        # From the file, not from the record: a continued training does not tell its earlier epochs again.
        self.curve = curve_of(self.folder, self.metric)

    @property
    def behind(self) -> int | None:
        return self.median.behind(self.curve) if self.median else None

    def stop_requested(self) -> bool:
        return self.behind is not None or self.stop()


def curve_of(folder: Path, metric: str) -> Curve:
    """A metric of a run folder by epoch, as far as it was trained."""
    try:
        lines = (folder / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return ()
    records = [json.loads(line) for line in lines]
    return tuple(float(record[metric]) for record in records if record.get(metric) is not None)


def folder_of(folder: Path, draw: Draw) -> Path:
    """The run folder of a draw."""
    return folder / draw.arm / f"{draw.k:05d}"


def settings_of_draw(study: Study, draw: Draw) -> dict[str, Any]:
    """What a draw adds to its design: the settings of its stage, its seed, one thread (workers are processes)."""
    own = study.budget.short if draw.stage == "short" else study.budget.full
    return {**own, "seed": study.file.seed + draw.seed, "threads": 1}


def trained(study: Study, folder: Path, stop: Callable[[], bool]) -> Callable[[Draw, Sequence[Curve]], Result]:
    """The evaluator that trains recipes, one folder a draw below ``folder``.

    A worker that is asked to ``stop`` saves its training and raises `Interrupted`.
    """

    def evaluate(draw: Draw, rivals: Sequence[Curve]) -> Result:
        try:
            recipe = study.configured(draw.design, settings_of_draw(study, draw))
        except UsageError as error:
            return Result("infeasible", reason=str(error))
        first = max(1, round(study.budget.patience * recipe.train.epochs))
        median = Median(rivals, first, recipe.train.epochs) if draw.stage == "short" else None
        watch = _Watch(folder_of(folder, draw), study.file.accuracy, median, stop)
        if watch.behind is not None:  # stopped before, but its worker did not live to say so
            return _stopped(watch, study)
        try:
            if isinstance(recipe, CascadeRecipe):
                return judged(study, execute_cascade(recipe, folder_of(folder, draw)))
            evaluation = execute(recipe, folder_of(folder, draw), watch)
        except Interrupted:
            if watch.behind is None:
                raise
            return _stopped(watch, study)
        except TrainingError as error:
            return Result("failed", reason=str(error), curve=watch.curve)
        except UsageError as error:  # hardware, budget or nets that cannot be
            return Result("infeasible", reason=str(error))
        return judged(study, evaluation, watch.curve)

    return evaluate


def _stopped(watch: _Watch, study: Study) -> Result:
    epoch = watch.behind or 0
    value = watch.curve[epoch - 1]
    reason = f"stopped after epoch {epoch}: {study.file.accuracy} {value:.3f} is below the median of earlier designs"
    return Result("stopped", reason=reason, curve=watch.curve[:epoch])


def judged(study: Study, evaluation: dict[str, Any], curve: Curve = ()) -> Result:
    """The result that the evaluation of a run amounts to: it must fit, and every objective must be known."""
    figures = evaluation["objectives"]
    objectives = {name: entry["value"] for name, entry in figures.items()}
    if evaluation["verdict"] != "fits":
        first = (evaluation["mapping"].get("violations") or [None])[0]
        where = f": {first['where']} carries {first['load']}, limit {first['limit']}" if first else ""
        return Result("infeasible", objectives, f"verdict {evaluation['verdict']}{where}", curve)
    unknown = [name for name in study.file.objectives if objectives.get(name) is None]
    if unknown:
        sources = [figures[name]["source"] if name in figures else "no figure of this run" for name in unknown]
        pairs = [f"{name}: {source}" for name, source in zip(unknown, sources, strict=True)]
        return Result("infeasible", objectives, "not known: " + "; ".join(pairs), curve)
    return Result("complete", objectives, curve=curve)
