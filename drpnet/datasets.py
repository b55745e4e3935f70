"""Labelled micrographs: from a data set's facts to the micrographs and centres for training and scoring."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from drpnet.config import DatasetConfig
from drpnet.errors import InputError
from drpnet.io.coordinates import Coordinates, require_inside, upside_down
from drpnet.io.labels import read_labels
from drpnet.io.micrographs import read_micrograph, read_shape, split_suffix
from drpnet.io.particle_labels import ParticleLabels, read_particle_labels
from drpnet.io.paths import tree_and_stem
from drpnet.simulation.dataset import simulate_dataset

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledMicrograph:
    """A micrograph on disk with its particle centres (n, 2) (y, x) in its own pixels."""

    path: Path
    centres: np.ndarray
    pixel_size: float | None = None
    tree: str = ""
    """The folder, where another micrograph of the data set has the same file name."""
    particle_diameter: float | None = None
    """In Angstrom, where it is not the data set's: this micrograph was joined to it from another."""
    doubtful: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """Places (n, 2) that may hold particles without a label: see `drpnet.unlabelled`."""
    doubt: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """How probable it is (n,) that they do."""
    rejected: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """Places (n, 2) that were picked once and are known to hold no particle."""
    edge: float = 0.0
    """Px along the edges in which nobody labelled: see `drpnet.unlabelled`."""

    @property
    def stem(self) -> str:
        """The name in splits and scores: the file's without suffix; "<tree>/<stem>" where two have it."""
        stem = split_suffix(self.path.name)[0]
        return f"{self.tree}/{stem}" if self.tree else stem

    def read(self) -> tuple[np.ndarray, float]:
        """Image (h, w) float32 and pixel size; InputError when nobody knows the pixel size."""
        image, pixel_size = read_micrograph(self.path)
        pixel_size = self.pixel_size or pixel_size
        if pixel_size is None:
            raise InputError(
                f"{self.path} has no pixel size in its header (0 and exactly 1 count as none); "
                "set dataset.pixel_size (Angstrom per pixel)"
            )
        height, width = image.shape
        require_inside(self.centres, (height, width), self.path)
        return image, pixel_size


@dataclass(frozen=True)
class LabelledSet:
    """The micrographs of a data set, split by micrograph."""

    name: str
    particle_diameter: float
    train: tuple[LabelledMicrograph, ...]
    validation: tuple[LabelledMicrograph, ...]
    test: tuple[LabelledMicrograph, ...]
    simulated: bool


def joined(data: LabelledSet, other: LabelledSet) -> LabelledSet:
    """A data set that is trained on another one's micrographs, too, all but those under test; validation stays its own."""
    more = (replace(one, particle_diameter=other.particle_diameter) for one in (*other.train, *other.validation))
    return replace(data, name=f"{data.name}+{other.name}", train=(*data.train, *more))


def open_dataset(config: DatasetConfig, progress: Callable[[int, int], None] | None = None) -> LabelledSet:
    """Find a data set's micrographs and labels, simulate it when that is asked for, and split it.

    Raises InputError when the root is missing and `if_missing` is `error`, and always when it exists but is
    incomplete.
    """
    config = on_disk(config, progress)
    labelled = _of_particles if config.star else _labelled
    return _split(config, labelled(config, Path(config.root)), config.simulated)


def on_disk(config: DatasetConfig, progress: Callable[[int, int], None] | None = None) -> DatasetConfig:
    """The facts of what lies on disk: of the data set, or of its simulated stand-in, made where that is asked for.

    Raises InputError when the root is missing and `if_missing` is `error`.
    """
    root = Path(config.root)
    if config.if_missing == "simulate" and (config.simulated or not root.exists()):
        if config.simulation is None:
            raise InputError(
                f"dataset {config.name} has no simulation parameters; "
                "set dataset.simulation or dataset.if_missing=error"
            )
        if not config.simulated:
            stand_in = root.with_name(f"{root.name}_simulated")
            log.warning(
                "%s is not at %s. Using a SIMULATED STAND-IN instead (%s). For the real data: %s. "
                "To stop here instead: dataset.if_missing=error",
                config.name, root, stand_in, config.download or "see the data set's page",
            )  # fmt: skip
            root = stand_in
            config = replace(
                config, name=f"{config.name}_simulated", root=str(root), simulated=True,
                micrographs="micrographs/*.mrc", coordinates="particles.star", coordinates_upside_down=False,
                pixel_size=None, train=[], validation=[], test=[], limit=0, first=0, unpaired="error",
            )  # fmt: skip
        simulate_dataset(config.simulation, root, progress)
    if not root.is_dir():
        raise InputError(
            f"dataset {config.name} is not at {root}; {config.download or 'put it there'}, set dataset.root, "
            "or take a simulated stand-in with dataset.if_missing=simulate"
        )
    return config


def _of_particles(config: DatasetConfig, root: Path) -> list[LabelledMicrograph]:
    """The micrographs that a particles .star of RELION names, sorted by name, with the centres of its particles.

    Of those that only `selected_from` names all particles were rejected. Raises InputError for a star that is missing or is
    none, and as `read_particle_labels`.
    """
    kept = {labels.path.resolve(): labels for labels in read_particle_labels(_star(config, "star"), config.pixel_size)}
    before = {}
    if config.selected_from:
        every = read_particle_labels(_star(config, "selected_from"), config.pixel_size)
        before = {labels.path.resolve(): labels for labels in every}
        if unknown := [labels.name for path, labels in kept.items() if path not in before]:
            raise InputError(
                f"dataset {config.name}: {len(unknown)} of {len(kept)} micrographs of {config.star}, first {unknown[0]}, are "
                f"not in {config.selected_from}: it was selected from another star; correct dataset.selected_from"
            )
        kept = {path: kept.get(path, replace(labels, centres=np.zeros((0, 2)))) for path, labels in before.items()}
    found = sorted(kept.values(), key=lambda labels: labels.name)
    trees = [tree_and_stem(labels.name) for labels in found]
    stems = Counter(stem for _, stem in trees)
    log.info("%s: %d particles on %d micrographs", root / config.star, sum(len(labels.centres) for labels in found), len(found))
    micrographs = []
    for labels, (tree, stem) in zip(found, trees, strict=True):
        folder = "" if stems[stem] == 1 else tree.as_posix()
        one = LabelledMicrograph(labels.path, labels.centres, labels.pixel_size, folder)
        micrographs.append(_with_rejected(one, before.get(labels.path.resolve()), config.particle_diameter))
    if config.selected_from:
        log.info("%s: %d particles were rejected", config.selected_from, sum(len(one.rejected) for one in micrographs))
    return micrographs


def _star(config: DatasetConfig, key: str) -> Path:
    star = Path(config.root) / getattr(config, key)
    if not star.is_file():
        raise InputError(f"dataset {config.name}: {star} does not exist; name it in dataset.{key}, below dataset.root")
    return star


def _with_rejected(kept: LabelledMicrograph, before: ParticleLabels | None, diameter: float) -> LabelledMicrograph:
    """The micrograph with those earlier particles that lie on none of its own: a duplicate of a good one is no bad one."""
    if before is None:
        return kept
    radius = diameter / (kept.pixel_size or kept.read()[1]) / 2
    near = cKDTree(before.centres).query_ball_tree(cKDTree(kept.centres), radius)
    return replace(kept, rejected=before.centres[[not others for others in near]])


def _labelled(config: DatasetConfig, root: Path) -> list[LabelledMicrograph]:
    """Every micrograph below the root that has labels, sorted by name.

    Raises InputError for a root without micrographs or coordinates, and, unless `unpaired` says otherwise, for
    micrographs without labels and labels without a micrograph.
    """
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


def _split(config: DatasetConfig, micrographs: list[LabelledMicrograph], simulated: bool) -> LabelledSet:
    """Split by micrograph: named test, named or last-fifth validation, the rest (or named) for training."""
    by_stem = {micrograph.stem: micrograph for micrograph in micrographs}
    for part in ("train", "validation", "test"):
        missing = [name for name in getattr(config, part) if name not in by_stem]
        if missing:
            raise InputError(
                f"dataset.{part} names {missing[0]!r}, which is not among the {len(by_stem)} labelled "
                f"micrographs (such as {next(iter(by_stem))!r}); correct it"
            )
    test = [by_stem[name] for name in config.test]
    validation = [by_stem[name] for name in config.validation]
    held_out = set(config.test) | set(config.validation)
    names = config.train or [stem for stem in by_stem if stem not in held_out]
    if config.limit:
        chosen = names[config.first : config.first + config.limit]
        if len(chosen) < config.limit:
            raise InputError(
                f"dataset {config.name} has {len(names)} labelled micrographs, too few for dataset.limit={config.limit} "
                f"from dataset.first={config.first} on: an incomplete data set; {config.download or 'complete it'}, "
                "or lower dataset.limit"
            )
        names = chosen
    train = [by_stem[name] for name in names if name not in held_out]
    if not validation and len(train) > 1:
        count = max(1, len(train) // 5)
        train, validation = train[:-count], train[-count:]
    if not train:
        raise InputError(
            f"dataset {config.name} leaves no micrograph for training; check dataset.train, test and limit"
        )
    parts = (tuple(train), tuple(validation), tuple(test))
    return LabelledSet(config.name, config.particle_diameter, *parts, simulated=simulated)
