"""What train.py and pick.py do with the configuration that Hydra has composed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drpnet.cli.app import user_errors


def run_script(main: Callable[[], Any]) -> None:
    """Run a Hydra entry point; what is wrong with its configuration ends in one line."""
    from drpnet.schema import clear_errors

    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises what it would print over several lines
    with user_errors(), clear_errors():
        main()


def run_training(config) -> float:
    """What train.py does with its composed configuration; the run folder is Hydra's."""
    from hydra.core.hydra_config import HydraConfig

    with user_errors():
        from drpnet.train import train

        return train(config, Path(HydraConfig.get().runtime.output_dir))


def run_picking(config) -> None:
    """What pick.py does with its composed configuration; exits with status 1 when a micrograph failed."""
    with user_errors():
        from drpnet.pick import pick, print_result
        from drpnet.schema import pick_settings

        settings = pick_settings(config)
        if settings.watch is None:
            result = pick(settings)
            print_result(result, Path(settings.out))
            failures = result.failures
        else:
            from drpnet.watch import watch

            failures = watch(settings)
    if failures:
        raise SystemExit(1)
