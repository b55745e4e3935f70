"""Read labels: coordinate sets in which a micrograph without any particle counts, too."""

from pathlib import Path

import numpy as np

from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.paths import tree_and_stem
from drpnet.io.star import read_star


def read_labels(source: Path) -> dict[str, Coordinates]:
    """`read_coordinate_set`, and zero centres for the empty micrographs of our own simulation.

    A particles.star has no rows for a micrograph without particles; beside a simulation's, micrographs.star
    lists them all. InputError as `read_coordinate_set`.
    """
    source = Path(source)
    labels = read_coordinate_set(source)
    folder = source if source.is_dir() else source.parent
    listed = folder / "micrographs.star"
    ours = (source == folder / "particles.star" or source.is_dir()) and (folder / "simulation.json").is_file()
    if ours and listed.is_file():
        for name in read_star(listed)["micrographs"]["rlnMicrographName"]:
            labels.setdefault(tree_and_stem(str(name))[1], Coordinates(np.empty((0, 2))))
    return labels
