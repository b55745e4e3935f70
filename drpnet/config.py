"""Typed parameters of the pipeline, checked on construction; `drpnet.schema` makes the Hydra schema of them.

Every number of the cascade lives in one of these frozen dataclasses, never in loose keyword arguments. Lengths that
should follow the particle are given in particle diameters (`..._diameters`), lengths that the paper or the released
code fixes are given in pixels of the network's frame (`..._px`).
"""

from dataclasses import dataclass, field
from typing import Any

from drpnet.errors import InputError


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


@dataclass(frozen=True)
class PreprocessConfig:
    """How a micrograph becomes the network's input (paper 3.2.1; every conflict with the released code is an option)."""

    scale_rule: str = "diameter"
    """`diameter`: rescale until the particle is `particle_diameter_px` wide; `released`: the authors' integer factors."""
    particle_diameter_px: float = 20.0
    """Longest dimension of the particle in the network's frame."""
    smoothing_before_px: float = 0.0
    """Gaussian before the contrast stretch (released code: 2)."""
    stretch_percentiles: list[float] = field(default_factory=lambda: [0.0, 100.0])
    """Grey levels mapped to 0 and 1; [0, 100] switches the stretch off."""
    stretch_passes: int = 0
    """How often the stretch is applied; what is clipped at both ends stays there, so a second time changes nothing."""
    mean_level: float = 0.0
    """Shift the mean here unless it lies in [.5, .6] (released code: .55); 0 switches it off."""
    illumination_sigma_diameters: float = 2.0
    """Sigma of the Gaussian in Eq. 1 in particle diameters («set heuristically according to particle size»); 0: off."""
    illumination_sigma_px: float = 0.0
    """Sigma of Eq. 1 in pixels instead (released code: 100)."""
    illumination_outliers: float = 0.0
    """Leave grey levels this many robust deviations from the median out of Eq. 1's average; 0: plain Eq. 1."""
    outlier_deviations: float = 0.0
    """Clip grey levels this many robust deviations (1.4826 MAD) away from the median; 0: off."""
    standardise: bool = True
    """Subtract the median and divide by the robust standard deviation."""
    eight_bit: bool = False
    """Round to 256 levels, as the released code does after Eq. 1."""
    smoothing_after_px: float = 0.0
    """Gaussian before the network (released code: 3)."""
    smoothing_after_half_size_px: float = 0.0
    """The same for particles that take the half-size pass (released code: 4); 0: `smoothing_after_px`."""
    smoothing_reach_sigmas: float = 4.0
    """Where the Gaussians before the stretch and before the network end, in sigmas (released code: 2)."""
    half_size_pass: bool = False
    """Train and run the FCRN at half size when the particle's radius reaches 32 px, and enlarge its map (released code,
    which only picks so)."""
    negative_stain: bool = False
    """Particles are bright on dark: invert."""

    def __post_init__(self) -> None:
        """Raise InputError for values that cannot work."""
        _require(
            self.scale_rule in ("diameter", "released"),
            f"preprocess.scale_rule is {self.scale_rule!r}; use 'diameter' or 'released'",
        )
        _require(
            self.particle_diameter_px >= 4,
            f"preprocess.particle_diameter_px is {self.particle_diameter_px}; use at least 4 (20 is the default)",
        )
        levels = list(self.stretch_percentiles)
        _require(
            len(levels) == 2 and 0 <= levels[0] < levels[1] <= 100,
            f"preprocess.stretch_percentiles is {levels}; use two rising numbers within 0..100",
        )
        for name in (
            "smoothing_before_px", "stretch_passes", "illumination_sigma_diameters", "illumination_sigma_px",
            "illumination_outliers", "outlier_deviations", "smoothing_after_px", "smoothing_after_half_size_px",
        ):  # fmt: skip
            value = getattr(self, name)
            _require(value >= 0, f"preprocess.{name} is {value}; use 0 (off) or more")
        _require(
            self.smoothing_reach_sigmas >= 1,
            f"preprocess.smoothing_reach_sigmas is {self.smoothing_reach_sigmas}; use at least 1 (4 is the default)",
        )


@dataclass(frozen=True)
class DetectionConfig:
    """How maxima of the distance map become candidates (paper 3.3.1, released detection script)."""

    smoothing_sigma_diameters: float = 0.1
    """Gaussian on the distance map, in particle diameters."""
    smoothing_sigma_px: float = 0.0
    """The same in pixels (paper: 9 for 10005, 7 for 10017, 1 for 10061); overrides the former when above 0."""
    first_smoothing_px: float = 0.0
    """Another Gaussian before that one, in pixels (released code: 2)."""
    even_kernel: bool = False
    """Smooth with 6 sigma weights, zeros around the map; their even number moves the picks by half a pixel (released code)."""
    threshold: float = 0.03
    """Height T of an extended maximum above its surroundings at level 1, in units of the distance map (peak 1)."""
    levels: int = 3
    """Candidates are graded 1..levels: the largest k for which they are an extended maximum at k x T."""
    minimum_level: int = 1
    """Candidates below this level are dropped."""
    normalise_map: bool = False
    """Divide each map by its own maximum first (paper, released code). Finds particles on every micrograph, empty or not."""
    eight_bit: bool = False
    """Clip the map to 0..1 and round it to 256 levels before it is smoothed (released code, on the normalised map)."""
    minimum_distance_diameters: float = 0.6
    """Of two candidates closer than this the weaker one is dropped."""
    border_diameters: float = 0.0
    """Candidates closer than this to an edge of the micrograph are dropped (released code: 1.5 R)."""

    def __post_init__(self) -> None:
        """Raise InputError for values that cannot work."""
        _require(self.threshold > 0, f"detection.threshold is {self.threshold}; it must be above 0")
        _require(self.levels >= 1, f"detection.levels is {self.levels}; use 1, 2 or 3")
        _require(
            1 <= self.minimum_level <= self.levels,
            f"detection.minimum_level is {self.minimum_level}; use 1..{self.levels} (detection.levels)",
        )
        for name in (
            "smoothing_sigma_diameters", "smoothing_sigma_px", "first_smoothing_px", "minimum_distance_diameters",
            "border_diameters",
        ):  # fmt: skip
            value = getattr(self, name)
            _require(value >= 0, f"detection.{name} is {value}; it must not be negative")


@dataclass(frozen=True)
class PatchConfig:
    """The patches that the classifier sees."""

    size_px: int = 64
    """Edge of the patch (paper: 64)."""
    particle_diameter_px: float = 40.0
    """Longest dimension of the particle inside the patch (authors' boxes: 47..49 of 64)."""

    def __post_init__(self) -> None:
        """Raise InputError for values that cannot work."""
        _require(
            self.size_px >= 16 and self.size_px % 2 == 0,
            f"patch size is {self.size_px}; use an even number of at least 16 (paper: 64)",
        )
        _require(
            self.particle_diameter_px >= 4, f"particle_diameter_px is {self.particle_diameter_px}; use at least 4"
        )


SELECTION_RULES = ("confidence", "levels", "deviation", "truth")


@dataclass(frozen=True)
class SelectionConfig:
    """The unsupervised training samples of the classifier (paper 3.3.2)."""

    labels: str = "confidence"
    """`confidence`: the FCRN's own confident and unconfident detections by quantiles of their scores; `levels`: by two
    detections with settings of their own (the paper's numbers for 10005 and 10017); `deviation`: the patches' standard
    deviation alone (the paper's rule for 10061); `truth`: matched with labelled particles (a supervised ablation)."""
    positive_level: int = 2
    """Positives are candidates of at least this level ..."""
    positive_quantile: float = 0.5
    """... whose detection score lies above this quantile of all candidates (not under `levels`) ..."""
    positive_sigma_px: float = 0.0
    """... under `levels` found after this Gaussian on the map (paper: 9 for 10005, 16 for 10017; 0: as for picking) ..."""
    positive_threshold: float = 0.0
    """... with this threshold (paper: 5 and 7.5 of 255, each at level 3); 0: as for picking ..."""
    positive_deviation_quantile: float = 0.1
    """... without this share of the lowest standard deviations («removing those with low standard deviation») ..."""
    positive_mean_quantile: float = 0.0
    """... and this share of the lowest mean grey levels (released code: a percentile of each)."""
    negative_quantile: float = 0.25
    """Negatives are candidates below this quantile of the detection scores, at least R/3 away from a positive ..."""
    negative_level: int = 1
    """... under `levels` candidates of this level, with a sigma and a threshold of their own ..."""
    negative_sigma_px: float = 0.0
    """... (paper: 9 for 10005, 12.5 for 10017); 0: as for picking ..."""
    negative_threshold: float = 0.0
    """... (paper: 5 of 255, at level 1 and 2); 0: as for picking ..."""
    negative_deviation_quantile: float = 0.0
    """... and this share of the lowest standard deviations, confident or not («as well as particles which had a low
    standard deviation»)."""
    background_share: float = 0.5
    """Share of negatives drawn at random places far from every candidate («patches of background»)."""

    def __post_init__(self) -> None:
        """Raise InputError for values that cannot work."""
        _require(
            self.labels in SELECTION_RULES,
            f"selection.labels is {self.labels!r}; use one of {', '.join(SELECTION_RULES)}",
        )
        for name in (
            "positive_quantile", "positive_deviation_quantile", "positive_mean_quantile", "negative_quantile",
            "negative_deviation_quantile", "background_share",
        ):  # fmt: skip
            value = getattr(self, name)
            _require(0 <= value < 1, f"selection.{name} is {value}; use a share within 0..1")
        for name in ("positive_sigma_px", "positive_threshold", "negative_sigma_px", "negative_threshold"):
            value = getattr(self, name)
            _require(value >= 0, f"selection.{name} is {value}; it must not be negative (0: as for picking)")
        for name in ("positive_level", "negative_level"):
            value = getattr(self, name)
            _require(value >= 1, f"selection.{name} is {value}; use 1, 2 or 3")


PRESETS = {"recall": 0.2, "balanced": 0.4, "precise": 0.6}
"""Figure-of-merit thresholds by name; people over-pick and sort out by 2D classification, hence `recall`."""


@dataclass(frozen=True)
class DatasetConfig:
    """The facts of a data set: where it lies, how it is laid out, how large a pixel and a particle are, how it is split."""

    name: str
    root: str
    """Folder of the entry; a simulated data set is written there once."""
    particle_diameter: float
    """Longest dimension in Angstrom."""
    pixel_size: float | None = None
    """Angstrom per pixel; None: from the header."""
    micrographs: str = "micrographs/*.mrc"
    """Glob below the root."""
    coordinates: str = "particles.star"
    """Below the root: one particles .star, or a folder of per-micrograph files; empty: the data set has no labels."""
    star: str = ""
    """Instead of these two: a particles .star of RELION below the root, which names its micrographs; refined centres."""
    selected_from: str = ""
    """The particles .star that a Select job made `star` of: what the job left out is no particle, and is learnt as that."""
    coordinates_upside_down: bool = False
    """The labels count rows from the last one of the .mrc, as CryoPPP's .csv does."""
    incomplete: bool = False
    """Many particles have no label: where the network that training starts from sees one, nobody knows."""
    unlabelled_edge: float | None = None
    """Particle diameters along the edges in which nobody labelled and nothing is learnt; None: as the labels show it."""
    unpaired: str = "error"
    """Micrographs without labels and labels without a micrograph: `error` (an incomplete data set), or `leave_out`."""
    train: list[str] = field(default_factory=list)
    """Names (stems) of the training micrographs; empty: all that are neither for validation nor for test."""
    validation: list[str] = field(default_factory=list)
    """Names of the validation micrographs; empty: a fifth of the training ones, the last in sorted order."""
    test: list[str] = field(default_factory=list)
    """Names of the micrographs that training never sees."""
    limit: int = 0
    """Use only so many micrographs for training and validation together, from `first`; 0: all."""
    first: int = 0
    """Where `limit` starts in the sorted list (released code: 100)."""
    if_missing: str = "error"
    """When the root does not exist: `error`, or `simulate` the stand-in with the parameters below."""
    download: str = ""
    """What to type to get the data."""
    archive: Any = None
    """ArchiveEntry: what `drpnet download` gets, and where from."""
    simulation: Any = None
    """SimulationParameters of the data set itself (`if_missing: simulate`) or of its stand-in."""
    simulated: bool = False
    """The data set is a simulation by nature (nothing to warn of)."""

    def __post_init__(self) -> None:
        """Raise InputError for values that cannot work."""
        _require(
            self.if_missing in ("error", "simulate"),
            f"dataset.if_missing is {self.if_missing!r}; use 'error' or 'simulate'",
        )
        _require(
            self.unpaired in ("error", "leave_out"),
            f"dataset.unpaired is {self.unpaired!r}; use 'error' or 'leave_out'",
        )
        _require(
            bool(self.star or self.micrographs),
            f"dataset {self.name} names no micrographs; give its particles .star in dataset.star, or dataset.micrographs",
        )
        _require(
            not (self.star and self.coordinates_upside_down),
            f"dataset.star {self.star!r} is in RELION's frame; leave dataset.coordinates_upside_down away",
        )
        _require(
            bool(self.star) or not self.selected_from,
            f"dataset.selected_from is {self.selected_from!r}; give the Select job's own particles .star in dataset.star",
        )
        _require(
            self.unlabelled_edge is None or 0 <= self.unlabelled_edge < 100,
            f"dataset.unlabelled_edge is {self.unlabelled_edge}; give particle diameters, 0 (the edges are labelled) or more",
        )
        _require(self.particle_diameter > 0, f"dataset.particle_diameter is {self.particle_diameter}; give it in Angstrom")
        overlap = set(self.test) & (set(self.train) | set(self.validation))
        _require(not overlap, f"dataset {self.name}: {sorted(overlap)} are both for test and for training")
