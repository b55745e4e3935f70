"""What a page says of a training: its curves, its configuration and its record."""

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from drpnet.errors import InputError

_FACTS = (
    "dataset",
    "simulated",
    "train_micrographs",
    "particle_diameter",
    "command",
    "commit",
    "seed",
    "epochs",
    "seconds",
)


def read_curves(path: Path) -> dict[str, dict[int, float]]:
    """Every quantity that Lightning's CSVLogger wrote, by epoch (from 0)."""
    series: dict[str, dict[int, float]] = defaultdict(dict)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for key, value in row.items():
                if value and key not in ("epoch", "step"):
                    series[key][int(row["epoch"])] = float(value)
    return dict(series)


def read_run(folder: Path) -> dict[str, Any]:
    """Name, configuration text, curves and facts of a run folder of train.py; InputError when it is none."""
    folder = Path(folder)
    config = folder / "config.yaml"
    if not config.is_file():
        raise InputError(f"{folder} holds no config.yaml; give the run folder that train.py named at its end")
    curves, metrics = folder / "curves" / "metrics.csv", folder / "metrics.json"
    try:
        series = read_curves(curves) if curves.is_file() else {}
        record = json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {}
        text = config.read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds a damaged record ({type(error).__name__}: {error}); train anew") from None
    return {
        "name": folder.resolve().name,
        "config": text,
        "facts": {key: record[key] for key in _FACTS if isinstance(record.get(key), str | int | float)},
        "curves": [
            {"name": key, "epochs": [epoch + 1 for epoch in values], "values": list(values.values())}
            for key, values in series.items()
        ],
    }
