"""The rows of the ablation table, the costly ones last: what is changed, and against what it is compared."""

from dataclasses import dataclass
from pathlib import Path

FCRN, CASCADE = "fcrn", "cascade"
"""The two baselines: the first network alone, and both."""

SIZES = (100, 150, 220, 300)
"""Longest dimensions in Angstrom of the particles that the network, trained on 173 Angstrom, picks without training again."""


@dataclass(frozen=True)
class Row:
    """One change. `trains`: the stage that is trained anew, or nothing where only picking differs."""

    name: str
    group: str
    says: str
    trains: str = "fcrn"
    ablation: str = ""
    """The file in conf/ablation."""
    dataset: str = ""
    """Another data set to train on."""
    against: str = FCRN
    """The baseline; the row itself where other micrographs are picked, which no difference can pair."""


ROWS = (
    Row(FCRN, "baseline", "first network alone"),
    Row(CASCADE, "baseline", "both networks, the second trained without labels", trains="classifier"),
    Row("no_illumination", "preprocessing", "without Eq. 1", ablation="no_illumination"),
    Row("illumination_fixed", "preprocessing", "sigma of Eq. 1 fixed, 100 px", ablation="illumination_fixed"),
    Row("target_disc", "target", "binary disc", ablation="target_disc"),
    Row("target_distance", "target", "distance transform (paper)", ablation="target_distance"),
    Row("target_squared", "target", "squared distance transform (release)", ablation="target_squared"),
    Row("target_gaussian", "target", "Gaussian", ablation="target_gaussian"),
    Row("merged_centres", "target", "touching centres merged (release)", ablation="merged_centres"),
    Row("patch_32", "training", "patches of 32 px", ablation="patch_32"),
    Row("fcrn_sgd", "training", "first network by SGD", ablation="fcrn_sgd"),
    Row("schedule_constant", "training", "constant rate (as the release ran)", ablation="schedule_constant"),
    Row("schedule_drop", "training", "dropping rate (as the release asks)", ablation="schedule_drop"),
    Row("train_1", "training set", "1 micrograph", ablation="train_1"),
    Row("train_2", "training set", "2 micrographs", ablation="train_2"),
    Row("train_5", "training set", "5 micrographs", ablation="train_5"),
    Row("train_50", "training set", "50 micrographs", ablation="train_50"),
    Row("elsewhere", "training set", "trained on another protein", dataset="elsewhere"),
    Row("unet", "network", "U-Net", ablation="unet"),
    Row("level_2", "detection", "level 2", trains="", ablation="level_2"),
    Row("level_3", "detection", "level 3", trains="", ablation="level_3"),
    Row("diameter_70", "size", "diameter 30 % too small", trains=""),
    Row("diameter_85", "size", "diameter 15 % too small", trains=""),
    Row("diameter_115", "size", "diameter 15 % too large", trains=""),
    Row("diameter_130", "size", "diameter 30 % too large", trains=""),
    Row("bright", "negative stain", "contrast inverted, said so", trains=""),
    Row("bright_unsaid", "negative stain", "contrast inverted, not said", trains=""),
    Row("shipped_fcrn", "shipped weights", "first network of the shipped weights `cascade` alone", trains=""),
    Row("shipped_cascade", "shipped weights", "shipped weights `cascade`", trains="", against=CASCADE),
    Row("no_classifier", "classifier", "without it (the first network alone)", trains="", against=CASCADE),
    Row("adapted", "classifier", "trained without labels on the test micrographs", trains="", against=CASCADE),
    *(
        Row(name, "classifier", says, "classifier", name, against=CASCADE)
        for name, says in (
            ("classifier_truth", "supervised"),
            ("no_deviation_filter", "without the standard-deviation filter"),
            ("deviation_negatives", "low standard deviation is negative, too (3.3.2)"),
            ("selection_levels", "samples from levels 3 and 1 (4.3.1)"),
            ("selection_deviation", "samples by the standard deviation alone (4.3.2)"),
            ("classifier_adam", "by Adam"),
            ("stride_1_pools", "pools with stride 1 (release)"),
        )
    ),
    *(
        Row(f"size_{size}", "particle size", f"{size} Angstrom, random assemblies", trains="", against=f"size_{size}")
        for size in SIZES
    ),
    Row("half_size", "released frame", "released preprocessing, half-size pass", ablation="half_size"),
    Row("full_size", "released frame", "the same without the half-size pass", ablation="full_size", against="half_size"),
    Row("patch_96", "training", "patches of 96 px", ablation="patch_96"),
)
BY_NAME = {row.name: row for row in ROWS}


@dataclass(frozen=True)
class Bench:
    """What is trained on and picked: data set, its protein's stand-in from elsewhere, and how picks are scored."""

    name: str
    dataset: str
    elsewhere: str
    border_px: float
    """Picks and labels this close to an edge do not count."""
    left_out: tuple[str, ...] = ()
    """Rows that make no sense here."""

    def rows(self) -> list[Row]:
        """The rows of this bench."""
        return [row for row in ROWS if row.name not in self.left_out]


BENCHES = {
    "simulated": Bench("simulated", "simulated_ablation", "simulated_bgal", 0.0),
    "real": Bench(
        "real", "real10017_ablation", "simulated_ablation", 120.0,
        ("train_5", "train_50", "half_size", "full_size", *(f"size_{size}" for size in SIZES)),
    ),
}


@dataclass(frozen=True)
class Task:
    """One row with one seed on one bench."""

    row: Row
    seed: int
    bench: Bench
    budget: str
    out: Path

    @property
    def folder(self) -> Path:
        """Where its run lies."""
        return self.out / self.bench.name / self.budget / self.row.name / f"seed_{self.seed}"
