"""Stage 0: thousands of designs by arithmetic alone, only the front of what was seen so far is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from tilewire.design import Design, key_of
from tilewire.search.front import non_dominated, spread

if TYPE_CHECKING:
    from tilewire.search.study import Study

Screen = Callable[[Mapping[str, NDArray[Any]], int], Mapping[str, NDArray[np.float64]]]
"""(columns of knobs, number of designs) -> columns of objectives; ``score`` stands for accuracy. NaN: the design cannot be."""
CHUNK = 2048


def screened(study: Study, screen: Screen, count: int, rng: np.random.Generator) -> list[Design]:
    """``count`` designs of a scrambled Sobol sequence of ``budget.screen``: up to a half that beat the hand-made design in every figure
    of the screen, best scores first, and those that span most volume of the analytic front.

    Objectives that the screen does not know are left out of the comparison; an accuracy is replaced by the data-free ``score``.
    """
    source = qmc.Sobol(len(study.space.knobs), rng=rng)
    front, better = _Pool(study), _Pool(study)
    hand, score = _hand(study, screen), _score_column(study, screen)
    left = study.budget.screen
    while left > 0:
        n = min(CHUNK, left)
        left -= n
        # A balanced net needs a power of two; the rest of the last chunk is dropped.
        codes = study.space.codes(np.minimum(source.random(CHUNK)[:n], 1 - 1e-12))
        losses = _losses(study, screen(study.space.columns(codes), n), n)
        front.add(codes, losses)
        front.keep(non_dominated(front.losses))
        if hand is not None:
            better.add(codes, losses)
            better.keep(np.asarray((better.losses < hand).all(axis=1)))
            best = np.zeros(len(better.losses), bool)
            best[np.argsort(better.losses[:, score], kind="stable")[: count // 2]] = True
            better.keep(best)
    rows = spread(front.losses, count, np.full(front.losses.shape[1], np.inf)) if len(front.losses) else []
    chosen = [*better.designs(range(len(better.losses))), *front.designs(rows)]
    return list({key_of(design): design for design in chosen}.values())[:count]


class _Pool:
    """Designs and their losses so far."""

    def __init__(self, study: Study) -> None:
        self.space = study.space
        self.codes, self.losses = np.empty((0, len(study.space.knobs))), np.empty((0, 0))

    def add(self, codes: NDArray[np.float64], losses: NDArray[np.float64]) -> None:
        self.codes = np.vstack([self.codes, codes])
        self.losses = np.vstack([self.losses, losses]) if self.losses.size else losses

    def keep(self, rows: NDArray[np.bool_]) -> None:
        self.codes, self.losses = self.codes[rows], self.losses[rows]

    def designs(self, rows: Iterable[int]) -> list[Design]:
        return [self.space.design(self.codes[i]) for i in rows]


def _of_hand(study: Study, screen: Screen) -> Mapping[str, NDArray[np.float64]]:
    return screen({name: np.array([value]) for name, value in study.file.hand.settings.items()}, 1)


def _hand(study: Study, screen: Screen) -> NDArray[np.float64] | None:
    """The losses of the design made by hand, if the screen can tell them."""
    losses = _losses(study, _of_hand(study, screen), 1)[0]
    return None if np.isnan(losses).any() else losses


def _score_column(study: Study, screen: Screen) -> int:
    """Column of `_losses` that stands for accuracy; the first one if the study has no accuracy."""
    known = [_known_as(name) for name in study.file.objectives if _known_as(name) in _of_hand(study, screen)]
    return known.index("score") if "score" in known else 0


def _known_as(name: str) -> str:
    return "score" if name.endswith("_accuracy") else name


def hand_figures(study: Study, screen: Screen | None) -> dict[str, float]:
    """Objectives of the design made by hand, as far as the screen knows them."""
    if screen is None:
        return {}
    found = _of_hand(study, screen)
    return {
        name: float(found[name][0]) for name in study.file.objectives if name in found and np.isfinite(found[name][0])
    }


def hopeless(study: Study, screen: Screen | None) -> Callable[[Design], bool]:
    """Whether arithmetic rules a design out: it cannot be, or breaks a constraint that the screen knows."""
    if screen is None:
        return lambda design: False

    def judge(design: Design) -> bool:
        columns = {name: np.array([value]) for name, value in design.items()}
        return bool(np.isnan(_losses(study, screen(columns, 1), 1)).any())

    return judge


def _losses(study: Study, found: Mapping[str, NDArray[np.float64]], n: int) -> NDArray[np.float64]:
    """[n, known objectives]; NaN where a constraint that the screen knows is broken."""
    columns = []
    for name, up in zip(study.file.objectives, study.maximised, strict=True):
        values = found.get(_known_as(name))
        if values is not None:
            columns.append(-values if up else values)
    table = np.stack(columns, axis=1) if columns else np.zeros((n, 1))
    for constraint in study.constraints:
        values = found.get(constraint.name)
        if values is not None:
            table[values > constraint.limit if constraint.sense == "<=" else values < constraint.limit] = np.nan
    return table


def screen_of(study: Study) -> Screen | None:
    """The screen of a study; None where no arithmetic answers for its designs: the first generation is then uniform."""
    from tilewire.cascade_recipe import CascadeRecipe
    from tilewire.errors import TilewireError
    from tilewire.parts import prepare_data
    from tilewire.search.stream_screen import StreamScreen
    from tilewire.search.tile_screen import TileScreen

    if not study.budget.screen:
        return None
    recipe = study.configured({}, {})
    if isinstance(recipe, CascadeRecipe):
        return StreamScreen(study, recipe)
    if recipe.budget.kind != "hop-profile" or not isinstance(recipe.hardware, dict):
        return None
    try:
        data, _ = prepare_data(recipe)
    except TilewireError:
        return None  # the first training will say it better
    return TileScreen(study, recipe, data.channels, data.steps, len(data.classes))
