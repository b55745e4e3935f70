"""The micrographs of a folder and the labels that lie beside them: which belong together."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from drpnet.config import DatasetConfig
from drpnet.errors import InputError
from drpnet.io.coordinates import Coordinates, upside_down
from drpnet.io.labels import read_labels
from drpnet.io.micrographs import read_shape, split_suffix
from drpnet.labelled import LabelledMicrograph

log = logging.getLogger(__name__)


def paired_micrographs(config: DatasetConfig) -> list[LabelledMicrograph]:
    """Every micrograph below the root that has labels, sorted by name.

    Raises InputError for a root without micrographs or coordinates, and, unless `unpaired` says otherwise, for
    micrographs without labels and labels without a micrograph.
    """
    root = Path(config.root)
    if not config.coordinates:
        raise InputError(
            f"dataset {config.name} has no labels to train on or to score with; "
            "name yours, below its root, in dataset.coordinates"
        )
    paths = sorted(root.glob(config.micrographs))
    if not paths:
        raise InputError(
            f"{root} exists but holds no micrographs {config.micrographs!r}: an incomplete data set; "
            f"{config.download or 'complete it'} or correct dataset.micrographs"
        )
    source = root / config.coordinates
    if not source.exists():
        raise InputError(
            f"{root} exists but its coordinates {config.coordinates!r} are missing: an incomplete data set; "
            f"{config.download or 'complete it'} or correct dataset.coordinates"
        )
    labels = read_labels(source)
    stems = Counter(split_suffix(path.name)[0] for path in paths)
    micrographs: list[LabelledMicrograph] = []
    unlabelled, used = [], set()
    for path in paths:
        stem, folder = split_suffix(path.name)[0], path.parent.relative_to(root)
        key = _label_of((*folder.parts, stem), labels, config.name, alone=stems[stem] == 1)
        if key is None:
            unlabelled.append(path.name)
        else:
            tree = "" if stems[stem] == 1 else folder.as_posix()
            used.add(key)
            found = labels[key]
            if config.coordinates_upside_down:
                found = upside_down(found, read_shape(path)[0])
            micrographs.append(LabelledMicrograph(path, found.centres, config.pixel_size, tree))
    if not micrographs:
        first = next(iter(labels), "none")
        raise InputError(
            f"no micrograph of {root} has labels: micrographs are named like {paths[0].name!r}, labels like "
            f"{first!r}; correct dataset.coordinates"
        )
    _pair_up(config, root, unlabelled, len(paths), [key for key in labels if key not in used], len(labels))
    return micrographs


def _pair_up(
    config: DatasetConfig, root: Path, unlabelled: list[str], micrographs: int, alone: list[str], labels: int
) -> None:
    """Refuse, or only report, micrographs without labels and labels without a micrograph (`alone`)."""
    lacking = [
        f"{len(names)} of {total} {what} (such as {', '.join(names[:3])})"
        for names, total, what in (
            (unlabelled, micrographs, "micrographs have no labels"),
            (alone, labels, "labelled micrographs are missing"),
        )
        if names
    ]
    if lacking and config.unpaired == "error":
        raise InputError(
            f"{root} exists but {' and '.join(lacking)}: an incomplete data set; {config.download or 'complete it'}, "
            "correct dataset.micrographs and dataset.coordinates, or train on the rest with dataset.unpaired=leave_out"
        )
    if lacking:
        log.warning("%s: left out: %s", config.name, " and ".join(lacking))


def _label_of(place: tuple[str, ...], labels: Mapping[str, Coordinates], name: str, alone: bool) -> str | None:
    """The key of the labels whose folders and stem agree with the end of `place` (folders, stem).

    Raises InputError where several agree, or where a stem without folders is not `alone` in the data set.
    """
    stem = place[-1]
    if stem in labels:
        if not alone:
            raise InputError(
                f"dataset {name}: several micrographs are called {stem!r}, and its labels do not say for "
                "which they are; lay the coordinates out in the micrographs' folders"
            )
        return stem
    agreeing = []
    for key in labels:
        if key.endswith(f"/{stem}"):
            parts = tuple(key.split("/"))
            shared = min(len(parts), len(place))
            if parts[-shared:] == place[-shared:]:
                agreeing.append(key)
    if len(agreeing) > 1:
        raise InputError(
            f"dataset {name}: {agreeing[0]} and {agreeing[1]} are both labels for {'/'.join(place)}; keep one"
        )
    return agreeing[0] if agreeing else None
