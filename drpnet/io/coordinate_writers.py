"""Write the coordinates of one micrograph, or of many, as other programs write them: EMAN, crYOLO, Topaz, CryoPPP, text.

What each format cannot hold is lost here and nowhere else; `read_coordinates` reads every one of them back.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from drpnet.io.atomic import write_bytes
from drpnet.io.star import write_star
from drpnet.io.text_coordinates import Coordinates

_NONE = "<NA>"  # crYOLO's word for what a picture of one plane has not


def whole_pixels(values: np.ndarray) -> np.ndarray:
    """The nearest whole numbers, halves upwards, as integers of the same shape."""
    return np.floor(np.asarray(values, dtype=float) + 0.5).astype(int)


def write_box(path: Path, coordinates: Coordinates, box_size: int) -> None:
    """Write an EMAN .box: x y width height [score] in whole pixels, x y the corner, centre - box_size // 2."""
    x, y = _xy(coordinates)
    corners = [whole_pixels(x) - box_size // 2, whole_pixels(y) - box_size // 2]
    size = np.full(len(x), box_size)
    _write_rows(path, [*corners, size, size, *_scores(coordinates)], "\t")


def write_cbox(path: Path, coordinates: Coordinates, box_size: int) -> None:
    """Write crYOLO's .cbox (1.8 and later): corners, centre - box_size / 2, and the scores as confidence."""
    x, y = _xy(coordinates)
    none, size = [_NONE] * len(x), np.full(len(x), float(box_size))
    table = {
        "CoordinateX": x - box_size / 2,
        "CoordinateY": y - box_size / 2,
        "CoordinateZ": none,
        "Width": size,
        "Height": size,
        "Depth": none,
        "EstWidth": size,
        "EstHeight": size,
        "Confidence": none if coordinates.scores is None else coordinates.scores,
        "NumBoxes": np.ones(len(x), int),
        "Angle": none,
    }
    include: dict[str, list[float]] = {"slice_index": []}
    write_star(path, {"global": {"cbox_format_version": "1.0"}, "cryolo": table, "cryolo_include": include})


def write_topaz(path: Path, micrographs: Sequence[tuple[str, Coordinates]]) -> None:
    """Write Topaz's table: image_name, x_coord, y_coord in whole pixels (Topaz cuts fractions off) and the score.

    The image name has no suffix. Without a score for every micrograph the table has no such column.
    """
    scored = all(coordinates.scores is not None for _, coordinates in micrographs)
    names = [name for name, coordinates in micrographs for _ in coordinates.centres]
    columns: list[Iterable] = [names]
    for axis in (1, 0):
        columns.append([v for _, c in micrographs for v in whole_pixels(c.centres[:, axis]).tolist()])
    header = ["image_name", "x_coord", "y_coord"]
    if scored:
        header.append("score")
        columns.append([v for _, c in micrographs if c.scores is not None for v in c.scores.tolist()])
    _write_rows(path, columns, "\t", header)


def write_csv(path: Path, coordinates: Coordinates) -> None:
    """Write a plain .csv: x,y[,score], centres in the rows of the .mrc as RELION counts them."""
    header = ["x", "y", *(["score"] if coordinates.scores is not None else [])]
    _write_rows(path, [*_xy(coordinates), *_scores(coordinates)], ",", header)


def write_cryoppp(path: Path, coordinates: Coordinates, height: int, diameter_px: float | None = None) -> None:
    """Write CryoPPP's .csv: X-Coordinate,Y-Coordinate[,Diameter] in whole pixels, y counted from the last of `height` rows."""
    x, y = _xy(coordinates)
    header, columns = ["X-Coordinate", "Y-Coordinate"], [whole_pixels(x), height - 1 - whole_pixels(y)]
    if diameter_px is not None:
        header.append("Diameter")
        columns.append(np.full(len(x), diameter_px))
    _write_rows(path, columns, ",", header)


def write_coord(path: Path, coordinates: Coordinates) -> None:
    """Write a .coord as EMPIAR-10017's: x y of the centre a row, no header."""
    _write_rows(path, _xy(coordinates), " ")


def _xy(coordinates: Coordinates) -> list[np.ndarray]:
    centres = np.asarray(coordinates.centres, dtype=float).reshape(-1, 2)
    return [centres[:, 1], centres[:, 0]]


def _scores(coordinates: Coordinates) -> list[np.ndarray]:
    return [] if coordinates.scores is None else [np.asarray(coordinates.scores, dtype=float)]


def _write_rows(path: Path, columns: Sequence[Iterable], separator: str, header: Sequence[str] = ()) -> None:
    """Write columns of the same length as text, whole or not at all; numbers keep nine digits."""
    lines = [separator.join(header)] if header else []
    lines += [separator.join(map(_word, row)) for row in zip(*columns, strict=True)]
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def _word(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)
