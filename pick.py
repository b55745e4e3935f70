"""Pick particles: python pick.py micrographs=mics/ out=picks particle_diameter=180 (see conf/pick.yaml)."""

import hydra

from drpnet.cli import run_picking, run_script
from drpnet.schema import register

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="pick")
def main(config) -> None:
    """Pick."""
    run_picking(config)


if __name__ == "__main__":
    run_script(main)
