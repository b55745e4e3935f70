"""The words of `drpnet sweep`: which are the sweep's own, which go to every training, and whether they fit."""

import dataclasses
import difflib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from drpnet.errors import InputError
from drpnet.schema import TrainSchema, build, compose_config, conf_folder
from drpnet.sweep.space import Parameter, Sweep


@dataclass
class SweepSchema:
    """conf/sweep.yaml."""

    sweep: Any = None
    cluster: Any = None
    study: str = MISSING
    trials: int | None = None
    workers: int = 1
    wandb: bool = False
    wandb_project: str = "drpnet"


@dataclass(frozen=True)
class SweepRun:
    """One call of `drpnet sweep`."""

    sweep: Sweep
    study: Path
    trials: int
    """Trainings of the study in all, those of earlier calls with them."""
    workers: int
    devices: int
    """Devices a training."""
    cluster: str
    submission: dict[str, Any]
    """Parameters of the cluster's jobs, as submitit names them."""
    wandb_project: str | None


OWN = [item.name for item in dataclasses.fields(SweepSchema)]


def sweep_run(words: list[str]) -> SweepRun:
    """The checked settings of a command line; InputError for what does not fit, before anything is written."""
    own, training = split(words)
    ConfigStore.instance().store(name="sweep_schema", node=SweepSchema)
    config = OmegaConf.to_container(_composed(own), resolve=True)
    assert isinstance(config, dict)
    given = dict(config["sweep"] or {})
    parameters = given.pop("parameters", None)
    if not isinstance(parameters, dict):
        raise InputError(f"sweep.parameters is {parameters!r}; write NAME: {{key: ..., low: ..., high: ...}} below it")
    for name, node in parameters.items():
        if not isinstance(node, dict):
            raise InputError(f"parameter {name} is {node!r}; write {{key: ..., low: ..., high: ...}} or choices")
        require_fields(Parameter, node, f"parameter {name}")
    given["training"] = [*map(str, given.get("training") or []), *training]
    require_fields(Sweep, given, "the sweep")
    typed = {name: dataclasses.asdict(build(Parameter, node)) for name, node in parameters.items()}
    sweep = build(Sweep, {**given, "parameters": typed})
    devices = 1 if sweep.program else fits_training(sweep)
    points = len(sweep.grid()) if sweep.sampler == "grid" else None
    trials = config["trials"] if config["trials"] is not None else points
    if trials is None or trials < 1:
        raise InputError(
            f"trials is {'missing' if trials is None else trials}; give the number of trainings, trials=30"
        )
    if config["workers"] < 1:
        raise InputError(f"workers is {config['workers']}; use 1 or more")
    submission = {key: value for key, value in config["cluster"].items() if value is not None}
    kind = submission.pop("kind")
    return SweepRun(
        sweep, Path(config["study"]), min(trials, points or trials), config["workers"], devices, kind, submission,
        config["wandb_project"] if config["wandb"] else None,
    )  # fmt: skip


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """The sweep's own words, and those for every training; InputError for a word that is neither."""
    own: list[str] = []
    training: list[str] = []
    theirs = [item.name for item in dataclasses.fields(TrainSchema)]
    for word in words:
        found = re.match(r"[+~]*([\w-]+)[\w.@/:-]*(=|\Z)", word)
        if found is None or not (found[2] or word.startswith("~")):
            raise InputError(f"{word!r} is no setting; write KEY=VALUE, such as trials=30 or dataset=simulated_trpv1")
        name = found[1]
        near = difflib.get_close_matches(name, OWN, 1, cutoff=0.75)
        if name not in [*OWN, *theirs] and near:
            raise InputError(f"drpnet sweep has no setting {name}; did you mean {near[0]}?")
        (own if name in OWN else training).append(word)
    return own, training


def require_fields(cls: type, node: dict[str, Any], whose: str) -> None:
    """Raise InputError for a key that is no field of the dataclass."""
    known = [item.name for item in dataclasses.fields(cls)]
    for key in node:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
            raise InputError(f"{whose} has no setting {key}; {hint}")


def _composed(own: list[str]) -> Any:
    """conf/sweep.yaml with the words; sweep=FILE.yaml takes a file from anywhere."""
    named = next((word.removeprefix("sweep=") for word in own if word.startswith("sweep=")), None)
    if named is None:
        shipped = ", ".join(sorted(path.stem for path in (conf_folder() / "sweep").glob("*.yaml")))
        raise InputError(f"which sweep? give sweep=NAME, one of {shipped}, or sweep=FILE.yaml")
    if not any(word.startswith("study=") and word != "study=" for word in own):
        raise InputError("study is missing; give the folder of the study, study=outputs/sweeps/mine")
    # a file of conf/sweep need not hold every key that it may
    own = [f"++{word}" if word.startswith("sweep.") else word for word in own]
    if not named.endswith((".yaml", ".yml")):
        return compose_config("sweep", own)
    if not Path(named).is_file():
        raise InputError(f"sweep={named} is no file; give a YAML file like conf/sweep/fcrn_lr.yaml")
    with tempfile.TemporaryDirectory() as folder:  # Hydra finds a choice by its group's folder
        (Path(folder) / "sweep").mkdir()
        shutil.copyfile(named, Path(folder) / "sweep" / "given.yaml")
        rest = [word for word in own if not word.startswith("sweep=")]
        return compose_config("sweep", [*rest, "sweep=given", f"hydra.searchpath=[file://{folder}]"])


def fits_training(sweep: Sweep) -> int:
    """Devices of one training; InputError where train.py would refuse a key or a choice of the sweep."""
    first = {name: _values(parameter)[0] for name, parameter in sweep.parameters.items()}
    config = compose_config("train", sweep.words(first))
    for name, parameter in sweep.parameters.items():
        for value in _values(parameter)[1:]:
            if isinstance(value, str):  # the name of a file in conf/, maybe
                compose_config("train", sweep.words({**first, name: value}))
    logger = config.logger._target_ if config.logger else "none"
    if sweep.pruner != "none" and "CSVLogger" not in logger:
        raise InputError(
            "trainings are ended early by curves/metrics.csv, which logger=csv writes; or set sweep.pruner=none"
        )
    devices = config.trainer.get("devices", 1)
    return devices if isinstance(devices, int) and devices > 0 else 1


def _values(parameter: Parameter) -> list[Any]:
    if parameter.choices is not None:
        return parameter.choices
    assert parameter.low is not None
    return [int(parameter.low) if parameter.whole else parameter.low]
