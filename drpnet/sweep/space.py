"""What a sweep searches: parameters of train.py with their values, and how a training is judged."""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drpnet.errors import InputError

Value = bool | int | float | str | None
SAMPLERS, PRUNERS, DIRECTIONS = ("tpe", "random", "grid"), ("median", "halving", "none"), ("maximize", "minimize")


@dataclass(frozen=True)
class Parameter:
    """One parameter: a choice of values, or a range of numbers; `points` of the range are a grid's."""

    key: str
    """Of train.py: module.optimizer.lr, or a group such as target."""
    choices: Any = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    """Whole numbers only."""
    points: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\+{0,2}\w[\w./@-]*", self.key):
            raise InputError(f"{self.key!r} is no key of train.py; write it like module.optimizer.lr")
        if self.choices is not None:
            self._check_choices()
        elif self.low is None or self.high is None:
            raise InputError(f"{self.key} has neither choices nor low and high; give one of the two")
        elif not -math.inf < self.low < self.high < math.inf:
            raise InputError(f"{self.key} goes from {self.low} to {self.high}; low must be below high")
        elif self.log and self.low <= 0:
            raise InputError(f"{self.key} is logarithmic from {self.low}; low must be above 0")
        elif self.whole and (self.low != int(self.low) or self.high != int(self.high)):
            raise InputError(f"{self.key} takes whole numbers from {self.low} to {self.high}; make both whole")
        elif self.points is not None and self.points < 2:
            raise InputError(f"{self.key} has {self.points} points; a grid needs 2 or more")

    def _check_choices(self) -> None:
        if not isinstance(self.choices, list) or not self.choices:
            raise InputError(f"{self.key}: choices is {self.choices!r}; write a list like [8, 16, 32]")
        if (self.low, self.high, self.points) != (None, None, None) or self.log or self.whole:
            raise InputError(f"{self.key} has choices and a range; leave one of the two away")
        if wrong := [one for one in self.choices if not isinstance(one, bool | int | float | str | None)]:
            raise InputError(f"{self.key} cannot choose {wrong[0]!r}; write it as a text, like '[7,5,3,3]'")
        if len(set(map(word_of, self.choices))) < len(self.choices):
            raise InputError(f"{self.key} has a choice twice: {self.choices}; give each once")

    def grid(self) -> list[Value]:
        """The values that a grid takes: every choice, or `points` of the range, both ends with them."""
        if self.choices is not None:
            return list(self.choices)
        if self.points is None or self.low is None or self.high is None:
            raise InputError(f"a grid needs points of the range of {self.key}: write points: 5, or choices")
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        places = [low + (high - low) * index / (self.points - 1) for index in range(self.points)]
        values = [math.exp(place) if self.log else place for place in places]
        values = [min(max(float(f"{value:.12g}"), self.low), self.high) for value in values]
        return list(dict.fromkeys(round(value) for value in values)) if self.whole else list(values)


@dataclass(frozen=True)
class Sweep:
    """conf/sweep/*.yaml: what is searched, what every training gets, and what decides."""

    parameters: Any
    """`Parameter`s, or their fields, by the name that tables and pictures show."""
    training: list[str] = field(default_factory=list)
    """Words of train.py for every training."""
    metric: str = "validation.best_f_measure"
    """Of a run's metrics.json, dots between levels: decides which training is best."""
    direction: str = "maximize"
    curve: str | None = "val_f"
    """Column of curves/metrics.csv by which trainings are ended early; its better values lie where the metric's do."""
    sampler: str = "tpe"
    pruner: str = "median"
    startup_trials: int = 5
    """Trainings that must have ended before one is ended early."""
    warmup_epochs: int = 1
    """Epochs of a training that never end it."""
    seed: int = 0
    program: list[str] | None = None
    """Another program than `drpnet train`: it gets the same words and must leave the same files."""

    def __post_init__(self) -> None:
        if not self.parameters:
            raise InputError("the sweep has no parameters; give at least one, see conf/sweep/fcrn_lr.yaml")
        typed = {name: Parameter(**one) if isinstance(one, dict) else one for name, one in self.parameters.items()}
        object.__setattr__(self, "parameters", typed)  # frozen: as files and OmegaConf hold them, they are plain
        for name, allowed in (("sampler", SAMPLERS), ("pruner", PRUNERS), ("direction", DIRECTIONS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"sweep.{name} is {getattr(self, name)!r}; use {', '.join(allowed)}")
        for name in ("startup_trials", "warmup_epochs", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"sweep.{name} is {getattr(self, name)}; use 0 or more")
        if self.pruner != "none" and not self.curve:
            raise InputError("sweep.curve is missing: trainings are ended early by it; name it, or set pruner: none")
        keys = [parameter.key for parameter in self.parameters.values()]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise InputError(f"two parameters set {twice}; leave one away")
        if self.sampler == "grid":
            self.grid()

    def grid(self) -> list[dict[str, Value]]:
        """Every combination of the parameters' grid values, each once."""
        values = [parameter.grid() for parameter in self.parameters.values()]
        return [dict(zip(self.parameters, point, strict=True)) for point in itertools.product(*values)]

    def words(self, values: Mapping[str, Value]) -> list[str]:
        """The words of train.py for one training."""
        return [*self.training, *(f"{self.parameters[name].key}={word_of(value)}" for name, value in values.items())]


def word_of(value: Value) -> str:
    """A value as Hydra reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else repr(value)
