"""Recipes: YAML -> a typed, frozen configuration; unknown keys are errors with the nearest name."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from ruamel.yaml import YAML

from tilewire.errors import ConfigError, Fault, UsageError, unknown
from tilewire.hardware.description import from_mapping, load_hardware
from tilewire.hardware.fabric import TileFabric
from tilewire.yamlfile import Record, read, validate, with_settings

_RECIPES = resources.files("tilewire") / "recipes"


Count = Annotated[int, Field(ge=1)]


class DataConfig(Record):
    """Which data, and how its time and channels are brought to the network."""

    name: str = "mini-speech"
    root: str | None = None
    seed: int = Field(
        default=0,
        ge=0,
        description="what the set itself draws (pairs, held-out speakers); apart from the seed of the run",
    )
    rebin: int = Field(default=1, ge=1, description="sum this many adjacent steps")
    fold: int = Field(
        default=1,
        ge=1,
        description="k-fold channel mode: every k-th channel, each phase a sample, scored per utterance",
    )
    options: dict[str, Any] = Field(
        default={}, description="what the loader of this data set takes, e.g. words of the pairs task"
    )
    limit: Count | dict[Literal["train", "validation", "test"], Count] | None = Field(
        default=None, description="use only the first samples of each split, or of the named ones"
    )

    def limit_of(self, split: str) -> int | None:
        """At most so many samples of a split; None for all."""
        if not isinstance(self.limit, dict):
            return self.limit
        return next((most for name, most in self.limit.items() if name == split), None)


class NeuronConfig(Record):
    """Leaky integrate-and-fire neurons; tau in steps."""

    tau: float = Field(default=16.0, gt=0)
    threshold: float = Field(default=1.0, gt=0)
    slope: float = Field(default=4.0, ge=0)
    reset_gradient: bool = True


class ReadoutConfig(Record):
    """How output spikes become scores."""

    kind: Literal["counts", "leaky"] = "counts"
    per_class: int = Field(default=1, ge=1)
    scale: float = Field(default=2.0, gt=0)
    tau: float = Field(default=16.0, gt=0)


class NetworkConfig(Record):
    """Neurons, where the inputs enter, how the outputs are read. Tiles default to the first (inputs) and the last (outputs)."""

    inputs: Literal["crossbar", "dense"] = "crossbar"
    input_tiles: tuple[int, ...] | None = Field(default=None, strict=False)
    output_tiles: tuple[int, ...] | None = Field(default=None, strict=False)
    neuron: NeuronConfig = NeuronConfig()
    readout: ReadoutConfig = ReadoutConfig()


HopClass = Annotated[int, Field(strict=False)]  # JSON, which is YAML, can only write keys as text


class FromHardwareConfig(Record):
    """The largest profile along ``direction`` ({hop class: weight}, or nearest classes first) that the chip carries with ``confidence``."""

    confidence: float = Field(default=0.95, gt=0, lt=1)
    direction: dict[HopClass, float] | Literal["nearest"] = "nearest"
    method: Literal["monte-carlo", "closed-form"] = "monte-carlo"
    networks: int = Field(default=100, ge=1)
    seed: int = Field(default=0, ge=0)


class BudgetConfig(Record):
    """The budget that holds at every step.

    hop-profile: ``profile`` {hop class: density}, or ``from_hardware``. ports: the channels of every port, trees of the recipe's router, at
    most ``branches`` of them. memory: the smallest homogeneous chip that carries the trees has at most so many ``devices`` (``tile_out``:
    chip = counted at the chip's width, sized = at its load), inside the channels of the chip, and inside ``profile`` if there is one.
    branches: so many ``branches`` at any distance (null: all-to-all). fan: ``fan_in`` branches into a tile, ``fan_out`` branches of a
    neuron. all-of: every budget of the list ``all``.
    """

    kind: str = "hop-profile"
    profile: dict[HopClass, float] = Field(default={})
    from_hardware: FromHardwareConfig | None = None
    devices: int | None = Field(default=None, ge=0)
    tile_out: Literal["chip", "sized"] = "chip"
    branches: int | None = Field(default=None, ge=1)
    fan_in: int | None = Field(default=None, ge=0)
    fan_out: int | None = Field(default=None, ge=0)
    all: list[BudgetConfig] = Field(default=[])


class SplitConfig(Record):
    """Learn how a memory budget splits over the hop classes of its profile: at most a factor 1 + ``step`` a rewiring, gains measured on
    ``pool`` branches a class, ``memory`` of the running mean kept, quotas moved during the first ``until`` of the epochs."""

    step: float = Field(default=0.1, gt=0)
    pool: int = Field(default=256, ge=1)
    memory: float = Field(default=0.5, ge=0, lt=1)
    until: float = Field(default=0.5, ge=0, le=1)


class PermuteConfig(Record):
    """Look for a better placement of whole tiles every so many epochs; ``fixed`` ones keep theirs, the others take their lines along."""

    every: int = Field(default=5, ge=1)
    objective: str = "traffic"
    fixed: list[Literal["inputs", "outputs"]] = Field(default=["inputs", "outputs"])
    tries: int = Field(default=16, ge=1)


class RewireConfig(Record):
    """Drop rule, grow rule and newborn law; ``every`` in epochs, 0 = a static network.

    A rule reads the options it knows, null is its own default: ``threshold`` (branch-threshold; scale of newborn weights for all),
    ``min_live`` (branch-threshold, deepr, soft-deepr), ``share`` (set, rigl), ``l1`` and ``temperature`` (deepr, soft-deepr),
    ``density`` of synapses in a branch (soft-deepr). ``grow``: null = gradient for rigl, uniform for the others; ``explore`` = share of
    the branches grown by gradient that is uniform all the same.
    """

    rule: str = "branch-threshold"
    every: int = Field(default=1, ge=0)
    threshold: float = Field(default=0.05, gt=0)
    min_live: float = Field(default=0.625, ge=0, le=1)
    alpha: float = Field(default=2.0, ge=0)
    share: float | None = Field(default=None, ge=0, le=1)
    l1: float | None = Field(default=None, ge=0)
    temperature: float | None = Field(default=None, ge=0)
    density: float | None = Field(default=None, gt=0, le=1)
    grow: Literal["uniform", "gradient"] | None = None
    explore: float = Field(default=0.2, ge=0, le=1)
    newborn: Literal["above-threshold", "tiny"] | None = Field(
        default=None, description="weights of branches born while training; null: tiny for set and rigl"
    )
    split: SplitConfig | None = None
    permute: PermuteConfig | None = None


class CompressConfig(Record):
    """Train all-to-all for ``after`` epochs, prune whole branches by norm into the budget, fine-tune for the rest; wiring is fixed then.

    ``penalty`` = lambda of the hop penalty (0: magnitude pruning) and ``beta`` its steepness over hops as ``hop`` counts
    them, see `rewire.hop_penalty`.
    """

    after: int = Field(ge=1)
    penalty: float = Field(default=0.0, ge=0)
    beta: float = Field(default=1.0, ge=0)
    hop: Literal["manhattan", "class"] = "manhattan"


class MemristorConfig(Record):
    """Effects of memristive crossbars, see `nn.memristor`: conductance ``levels`` of a device, ``clip`` in root mean squares of weights,
    ``noise`` as a share of the range and ``spread`` as a share of the weight, ranges per ``scale``.

    ``aware``: training sees them too, with noise drawn anew for each step; else only the evaluation, which programs ``draws`` chips.
    """

    levels: int | None = Field(default=None, ge=2)
    clip: float | None = Field(default=None, gt=0)
    noise: float = Field(default=0.0, ge=0)
    spread: float = Field(default=0.0, ge=0)
    scale: Literal["layer", "tile"] = "layer"
    aware: bool = True
    draws: int = Field(default=5, ge=1)


class EvaluateConfig(Record):
    """What a finished run is asked. ``sizing``: routers for which the smallest chip is looked for (negotiated sizing takes seconds)."""

    sizing: list[Literal["one-turn", "negotiated"]] = Field(default=["one-turn", "negotiated"])


class RateConfig(Record):
    """Free band of mean rates in spikes per neuron and step, and the weight of leaving it."""

    low: float = Field(default=0.01, ge=0, le=1)
    high: float = Field(default=0.2, ge=0, le=1)
    weight: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> RateConfig:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class AugmentConfig(Record):
    """Per training sample: shift by up to so many channels and steps, drop this share of spikes."""

    channels: int = Field(default=0, ge=0)
    steps: int = Field(default=0, ge=0)
    drop: float = Field(default=0.0, ge=0, lt=1)


class TrainConfig(Record):
    """Adam with a constant rate for ``hold`` of the run, then a cosine to ``floor`` of it; gradient norm clipped."""

    epochs: int = Field(default=30, ge=1)
    batch: int = Field(default=32, ge=1)
    lr: float = Field(default=0.006, gt=0, le=1000)
    hold: float = Field(default=0.3, ge=0, le=1)
    floor: float = Field(default=0.1, ge=0, le=1)
    clip: float = Field(default=1.0, gt=0)
    rate: RateConfig = RateConfig()
    augment: AugmentConfig = AugmentConfig()
    save_every: int = Field(default=1, ge=1, description="epochs between checkpoints")


class Recipe(Record):
    """A whole run: hardware, data, network, budget, rewiring, training, mapping."""

    seed: int = Field(default=1, ge=0, lt=1 << 63)
    threads: int | None = Field(default=None, ge=1)
    kernel: str | None = Field(default=None, description="kernel tier; the default is measured choice for the device")
    hardware: str | dict[str, Any] = "mosaic-5x5-speech"
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    placement: str = "by-index"
    router: Literal["one-turn", "negotiated"] = "one-turn"
    budget: BudgetConfig = BudgetConfig()
    rewire: RewireConfig = RewireConfig()
    compress: CompressConfig | None = None
    memristor: MemristorConfig | None = None
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _compressible(self) -> Recipe:
        if self.compress and self.rewire.every:
            raise ValueError("compress fixes the wiring that it chose: it needs rewire.every = 0")
        if self.compress and (self.rewire.split or self.rewire.permute):
            raise ValueError("compress neither splits nor permutes: leave rewire.split and rewire.permute out")
        if self.compress and self.compress.after >= self.train.epochs:
            raise ValueError(
                f"compress.after {self.compress.after} leaves none of {self.train.epochs} epochs to fine-tune"
            )
        return self


def recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _RECIPES.iterdir() if entry.name.endswith(".yaml"))


def locate(name: str) -> Path:
    """Path of a recipe file or of a packaged recipe by name."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    if name not in recipes():
        raise UsageError(unknown("recipe", name, recipes()), hint="a path to a YAML file or the name of a recipe")
    return Path(str(_RECIPES / f"{name}.yaml"))


def load_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """A recipe by name or path with settings applied. Raises `ConfigError` with every fault and its line."""
    path = locate(name)
    document = read(path)
    if not isinstance(document, dict):
        raise ConfigError(str(path), [Fault(str(path), "file", "holds no mapping of keys to values")])
    recipe = validate(with_settings(document, settings), Recipe, str(path))
    hardware = recipe.hardware
    beside = path.parent / hardware if isinstance(hardware, str) else None
    if beside is not None and beside.is_file():
        return recipe.model_copy(update={"hardware": str(beside)})
    return recipe


def hardware_of(recipe: Recipe) -> TileFabric:
    """The chip that a recipe names or describes in place. Raises `ConfigError` (file) or `HardwareError` (graph)."""
    return load_hardware(recipe.hardware) if isinstance(recipe.hardware, str) else from_mapping(recipe.hardware)


def dump(recipe: Record) -> str:
    """The resolved recipe as YAML, every default written out."""
    stream = io.StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(recipe.model_dump(), stream)
    return stream.getvalue()
