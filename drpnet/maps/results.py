"""The files of `drpnet maps`."""

import re
from pathlib import Path

from drpnet.evaluation.evaluate import write_json
from drpnet.io.atomic import write_bytes
from drpnet.io.volumes import write_volume
from drpnet.maps.compare import Compared
from drpnet.maps.tables import markdown


def write_maps(compared: Compared, folder: Path) -> list[Path]:
    """Write maps.json, maps.md, a filtered map of every picker and the pictures into a folder; returns the files."""
    from drpnet.maps.figures import draw_maps

    folder = Path(folder)
    written = [folder / "maps.json", folder / "maps.md"]
    write_json(compared.result, written[0])
    write_bytes(written[1], markdown(compared.result).encode())
    for name, volume in compared.maps.items():
        written.append(folder / f"map_{re.sub('[^A-Za-z0-9]+', '_', name)}.mrc")
        write_volume(written[-1], volume, compared.reference.voxel_size)
    return [*written, *draw_maps(compared, folder)]
