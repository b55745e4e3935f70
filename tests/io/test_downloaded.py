"""The frames of the archive's own files, once `drpnet download` has brought them: particles are the darkest way round."""

from pathlib import Path

import numpy as np
import pytest

from drpnet.datasets import open_dataset
from drpnet.schema import compose_config, dataset_facts

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("name", "coordinates"),
    [("empiar10005", "data/TRPV1_coords_88915"), ("empiar10005", "data/TRPV1_coords_35645"), ("empiar10017", "data")],
)
def test_particles_are_dark_where_the_deposited_coordinates_say(smoothed, name, coordinates):
    overrides = [f"dataset={name}", f"dataset.coordinates={coordinates}", "dataset.limit=0", "dataset.if_missing=error"]
    dataset = dataset_facts(compose_config("train", overrides).dataset)
    if not (Path(dataset.root) / coordinates).is_dir():
        pytest.skip(f"not downloaded: {dataset.root}/{coordinates}")
    data = open_dataset(dataset)
    ways: dict[str, list[float]] = {}
    for micrograph in (data.train + data.validation)[:5]:
        image, pixel_size = micrograph.read()
        diameter = dataset.particle_diameter / pixel_size
        picture = smoothed(image, round(0.45 * diameter))
        own = micrograph.centres
        for way, centres in {
            "as read": own,
            "upside down": own * [-1, 1] + [len(image) - 1, 0],
            "swapped": own[:, ::-1],
            "corners": own + diameter / 2,
            "other corners": own - diameter / 2,
        }.items():
            ways.setdefault(way, []).append(picture.contrast(centres))
    means = {way: float(np.mean(values)) for way, values in ways.items()}
    assert max(means, key=lambda way: means[way]) == "as read" and means["as read"] > 0.15, means
