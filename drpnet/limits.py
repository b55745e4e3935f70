"""Numbers of a training's configuration that its schema leaves open: what is instantiated is typed by its own class only."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from drpnet.errors import InputError

LOWEST: dict[str, float] = {
    "seed": 0,
    "trainer.max_epochs": 1,
    "datamodule.batch_size": 1,
    "datamodule.patches_per_epoch": 0,
    "datamodule.num_workers": 0,
    "datamodule.patch_size": 16,
    "datamodule.augmentation.jitter_px": 0,
    "datamodule.augmentation.brightness": 0,
    "datamodule.augmentation.contrast": 0,
    "module.optimizer.lr": 0,
    "module.optimizer.weight_decay": 0,
    "network.width": 1,
}
"""The smallest value of each key, where the configuration has it."""
WHOLE = {"seed", "trainer.max_epochs", "network.width"} | {
    f"datamodule.{name}" for name in ("batch_size", "patches_per_epoch", "num_workers", "patch_size")
}


def check_numbers(config: DictConfig) -> None:
    """Raise InputError for a key of `LOWEST` that holds no number, one below its smallest value, or a broken one."""
    for key, lowest in LOWEST.items():
        value: Any = OmegaConf.select(config, key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{key} is {value!r}; give a number")
        if key in WHOLE and value != int(value):
            raise InputError(f"{key} is {value}; give a whole number")
        if not value >= lowest:
            raise InputError(f"{key} is {value}; use at least {lowest:g}")
