"""A study file: base recipe, knobs, objectives, constraints, reference point, budget; every fault of it at once."""

from __future__ import annotations

import hashlib
import json
import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from tilewire.cascade_recipe import CascadeRecipe, is_cascade, load_cascade
from tilewire.config import Recipe, load_recipe
from tilewire.design import Design, Range, Space, settings_of
from tilewire.errors import ConfigError, Fault, TilewireError, nearest
from tilewire.search.senses import SENSES
from tilewire.yamlfile import Record, load, plain, read

_BOUND = re.compile(r"^\s*([A-Za-z_][A-Za-z_0-9]*)\s*(<=|>=)\s*(\S+)\s*$")


class Budget(Record):
    """How much is spent. Screened designs cost arithmetic; a short training stops early if it falls behind; a full one does not."""

    screen: int = Field(default=20_000, ge=0, description="designs evaluated without training")
    generations: int = Field(default=4, ge=1)
    population: int = Field(default=8, ge=1, description="short trainings a generation")
    patience: float = Field(
        default=0.5, gt=0, le=1, description="share of its epochs before a short training may be stopped"
    )
    survivors: int = Field(default=4, ge=1, description="designs of the short front that are trained in full")
    seeds: int = Field(default=3, ge=1, description="full trainings of each survivor")
    short: dict[str, Any] = Field(default={"train.epochs": 6}, description="recipe settings of a short training")
    full: dict[str, Any] = Field(default={}, description="recipe settings of a full training")


class Hand(Record):
    """A design that somebody would take without a search, named before the search: a published preset."""

    name: str
    settings: dict[str, Any] = Field(default={})


class StudyFile(Record):
    """``objectives`` name figures of an evaluation; ``reference`` bounds the hypervolume; ``constraints`` such as "area_mm2 <= 4"."""

    recipe: str
    seed: int = Field(default=1, ge=0)
    settings: dict[str, Any] = Field(default={})
    space: dict[str, Range | list[Any]]
    objectives: list[str] = Field(min_length=1)
    constraints: list[str] = Field(default=[])
    reference: dict[str, float]
    hand: Hand
    accuracy: str = Field(default="validation_accuracy", description="the objective that early stopping watches")
    budget: Budget = Budget()


@dataclass(frozen=True)
class Constraint:
    """``name <= limit`` or ``name >= limit``."""

    name: str
    sense: str
    limit: float

    def violation(self, objectives: Mapping[str, float | None]) -> float:
        """How far beyond the limit, relative to it; 0 or less where it holds, infinite for a figure that is not known."""
        value = objectives.get(self.name)
        if value is None:
            return math.inf
        beyond = value - self.limit if self.sense == "<=" else self.limit - value
        return beyond / (abs(self.limit) or 1.0)

    def __str__(self) -> str:
        return f"{self.name} {self.sense} {self.limit:g}"


@dataclass(frozen=True, eq=False)
class Study:
    """A study that was checked whole. ``text`` is its canonical form, ``path`` where it was read."""

    path: Path
    file: StudyFile
    space: Space
    constraints: tuple[Constraint, ...]
    recipe: str

    @property
    def budget(self) -> Budget:
        return self.file.budget

    @property
    def maximised(self) -> tuple[bool, ...]:
        return tuple(SENSES[name] == "maximise" for name in self.file.objectives)

    @property
    def reference(self) -> tuple[float, ...]:
        return tuple(self.file.reference[name] for name in self.file.objectives)

    @property
    def text(self) -> str:
        """What must not change while a study is continued."""
        return json.dumps(self.file.model_dump(), indent=1, sort_keys=True)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def losses(self, objectives: Mapping[str, float | None]) -> tuple[float, ...] | None:
        """The objectives as figures to minimise; None if one of them is not known."""
        values = [objectives.get(name) for name in self.file.objectives]
        if any(value is None for value in values):
            return None
        return tuple(
            -float(value) if up else float(value)
            for value, up in zip(values, self.maximised, strict=True)
            if value is not None
        )

    def settings(self, design: Design, extra: Mapping[str, Any]) -> list[str]:
        """Settings of the base recipe that make this design; later ones override earlier ones."""
        return settings_of({**self.file.settings, **design, **extra})

    def configured(self, design: Design, extra: Mapping[str, Any]) -> Recipe | CascadeRecipe:
        """The recipe of a design. Raises `ConfigError` if it is none."""
        settings = self.settings(design, extra)
        return load_cascade(self.recipe, settings) if is_cascade(self.recipe) else load_recipe(self.recipe, settings)


def load_study(path: Path) -> Study:
    """A study file, checked as a whole: names, ranges, contradictions, and that the recipe knows every knob. Raises `ConfigError`."""
    document = plain(read(path))
    if isinstance(document, dict) and document.get("space") in ({}, None):
        raise ConfigError(
            str(path), [Fault(str(path), "space", "has no knobs: nothing to search", "recipe keys with choices")]
        )
    file = load(path, StudyFile)
    beside = path.parent / file.recipe
    recipe = str(beside) if beside.is_file() else file.recipe
    constraints, faults = _constraints(file, str(path))
    faults += [*_names(file, str(path)), *_contradictions(constraints, str(path))]
    for name, knob in file.space.items():
        if isinstance(knob, list) and not knob:
            faults.append(Fault(str(path), f"space.{name}", "has no choices"))
    study = Study(path, file, Space(file.space), constraints, recipe)
    if not faults:
        faults += _recipe_faults(study)
    if faults:
        raise ConfigError(str(path), faults)
    return study


def reseeded(study: Study, seed: int) -> Study:
    """The same study from another seed."""
    return replace(study, file=study.file.model_copy(update={"seed": seed}))


def _constraints(file: StudyFile, where: str) -> tuple[tuple[Constraint, ...], list[Fault]]:
    found, faults = [], []
    for number, text in enumerate(file.constraints):
        match = _BOUND.match(text)
        try:
            limit = float(match[3]) if match else math.nan
        except ValueError:
            limit = math.nan
        if match is None or not math.isfinite(limit):
            faults.append(
                Fault(where, f"constraints.{number}", f"'{text}' is no bound", "name <= number, name >= number")
            )
            continue
        found.append(Constraint(match[1], match[2], limit))
        if match[1] not in SENSES:
            faults.append(_unknown(where, f"constraints.{number}", match[1]))
    return tuple(found), faults


def _unknown(where: str, key: str, name: str) -> Fault:
    return Fault(where, key, f"unknown objective '{name}'", ", ".join(sorted(SENSES)), nearest(name, SENSES))


def _names(file: StudyFile, where: str) -> list[Fault]:
    faults = [_unknown(where, "objectives", name) for name in file.objectives if name not in SENSES]
    if len(set(file.objectives)) < len(file.objectives):
        faults.append(Fault(where, "objectives", "names an objective twice"))
    faults += [
        Fault(where, f"reference.{name}", "missing: the worst value that still counts")
        for name in file.objectives
        if name not in file.reference
    ]
    faults += [
        Fault(where, f"reference.{name}", "is no objective of this study", ", ".join(file.objectives))
        for name in file.reference
        if name not in file.objectives
    ]
    if file.accuracy not in SENSES:
        faults.append(_unknown(where, "accuracy", file.accuracy))
    return faults


def _contradictions(constraints: tuple[Constraint, ...], where: str) -> list[Fault]:
    faults = []
    for name in dict.fromkeys(constraint.name for constraint in constraints):
        above = [c.limit for c in constraints if c.name == name and c.sense == ">="]
        below = [c.limit for c in constraints if c.name == name and c.sense == "<="]
        if above and below and operator.gt(max(above), min(below)):
            faults.append(
                Fault(where, "constraints", f"{name} >= {max(above):g} and {name} <= {min(below):g} leave no value")
            )
    return faults


def _recipe_faults(study: Study) -> list[Fault]:
    """What the recipe says of the two ends of every knob, of short, full and hand settings."""
    corners = [
        study.space.design(study.space.codes(np.full((1, len(study.space.knobs)), u))[0]) for u in (0.0, 1 - 1e-9)
    ]
    tried: list[tuple[str, Design, dict[str, Any]]] = [("space", design, {}) for design in corners]
    tried += [("budget.short", corners[0], study.budget.short), ("budget.full", corners[0], study.budget.full)]
    tried += [("hand.settings", study.file.hand.settings, {})]
    faults: dict[str, Fault] = {}
    for key, design, extra in tried:
        try:
            study.configured(design, extra)
        except ConfigError as error:
            for fault in error.faults:
                faults.setdefault(
                    f"{fault.key}: {fault.problem}",
                    Fault(str(study.path), f"{key}: {fault.key}", fault.problem, fault.allowed, fault.nearest),
                )
        except TilewireError as error:
            faults.setdefault(str(error), Fault(str(study.path), key, error.message))
    return list(faults.values())
