"""Stage 0: thousands of designs by arithmetic alone, only the front of what was seen so far is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from tilewire.design import Design
from tilewire.search.front import non_dominated, spread

if TYPE_CHECKING:
    from tilewire.search.study import Study

Screen = Callable[[Mapping[str, NDArray[Any]], int], Mapping[str, NDArray[np.float64]]]
"""(columns of knobs, number of designs) -> columns of objectives; ``score`` stands for accuracy. NaN: the design cannot be."""
CHUNK = 2048


def screened(study: Study, screen: Screen, count: int, rng: np.random.Generator) -> list[Design]:
    """``count`` designs that span most volume of the analytic front over a scrambled Sobol sequence of ``budget.screen`` designs.

    Objectives that the screen does not know are left out of the comparison; an accuracy is replaced by the data-free ``score``.
    """
    source = qmc.Sobol(len(study.space.knobs), rng=rng)
    codes = np.empty((0, len(study.space.knobs)))
    losses: NDArray[np.float64] | None = None
    left = study.budget.screen
    while left > 0:
        n = min(CHUNK, left)
        left -= n
        # A balanced net needs a power of two; the rest of the last chunk is dropped.
        new = study.space.codes(np.minimum(source.random(CHUNK)[:n], 1 - 1e-12))
        found = _losses(study, screen(study.space.columns(new), n), n)
        codes = np.vstack([codes, new])
        losses = found if losses is None else np.vstack([losses, found])
        keep = non_dominated(losses)
        codes, losses = codes[keep], losses[keep]
    if losses is None or not len(losses):
        return []
    rows = spread(losses, count, np.full(losses.shape[1], np.inf))
    return [study.space.design(codes[i]) for i in rows]


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
        values = found.get("score" if name.endswith("_accuracy") else name)
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
    from tilewire.run import prepare_data
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
