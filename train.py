"""Train one stage of the cascade: python train.py experiment=trpv1_fcrn (see conf/train.yaml)."""

import hydra

from drpnet.cli import run_script, run_training
from drpnet.schema import register

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config) -> float:
    """Train."""
    return run_training(config)


if __name__ == "__main__":
    run_script(main)
