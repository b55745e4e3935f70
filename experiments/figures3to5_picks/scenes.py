"""On which micrograph, and beside whom, DRPnet's picks are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import pair_names
from drpnet.io.coordinates import read_coordinate_set
from drpnet.labelled import LabelledMicrograph
from drpnet.log_picker import log_candidates
from drpnet.measures.matching import best_threshold, true_in_score_order
from drpnet.simulation.parameters import SimulationParameters
from experiments.figure2.sources import Shown, facts, on_disk, shown, simulated
from experiments.real10017.data import ENTRIES, micrographs

FIGURES = {3: "empiar10005", 4: "empiar10061", 5: "empiar10017"}
"""The paper's figures and the entries whose picks they show."""
LOG = "Laplacian of Gaussian"


@dataclass(frozen=True)
class Scene:
    """A figure: one micrograph, its title, and who picked on it. Picks and labels within `border` px do not count."""

    figure: int
    title: str
    simulated: bool
    micrograph: Shown
    particle_diameter: float
    border: float
    peers: Mapping[str, np.ndarray]
    """Picks (n, 2) (y, x) by picker."""
    other: Shown | None = None
    """Another micrograph of the same simulation: a stand-in's thresholds are the best ones there."""


def scene(figure: int, data_root: Path | None, peers: Sequence[Path]) -> Scene:
    """The micrograph of a figure: of the entry on disk, of the public pictures below real/, else a simulated stand-in.

    Peers' picks are looked for in the given folders; a folder's name is the picker's.
    """
    name = FIGURES[figure]
    config = facts(name, data_root)
    number = name.removeprefix("empiar")
    entry, labelled, border, title = on_disk(config), bool(config.coordinates), 0.0, f"EMPIAR-{number}"
    folders = {folder.name: folder for folder in peers}
    real = Path(config.root).parent / "real"
    if entry is None and name in ENTRIES and (real / name / "micrographs").is_dir():
        entry, labelled, border = micrographs(real, name), True, ENTRIES[name].border
        title += ", a public 8-bit picture that was denoised upstream"
        if not peers:
            folders = {tool: real / name / "peers" / tool for tool in ("crYOLO", "topaz")}
            folders = {tool: folder for tool, folder in folders.items() if folder.is_dir()}
    if entry is None:
        return stand_in(figure, data_root)
    micrograph, picked = with_peers(entry, folders)
    one = shown(micrograph, labelled)
    return Scene(figure, f"{title}: {one.name}", False, one, config.particle_diameter, border, picked)


def with_peers(
    entry: Sequence[LabelledMicrograph], folders: Mapping[str, Path]
) -> tuple[LabelledMicrograph, dict[str, np.ndarray]]:
    """The first micrograph on which every peer picked, and their picks; the first of all when there are no peers."""
    picked = {tool: read_coordinate_set(folder) for tool, folder in folders.items()}
    stems = [micrograph.stem for micrograph in entry]
    names = {
        tool: {name: key for key, name in pair_names(list(found), stems).items()} for tool, found in picked.items()
    }
    for micrograph in entry:
        if all(micrograph.stem in known for known in names.values()):
            return micrograph, {tool: picked[tool][names[tool][micrograph.stem]].centres for tool in picked}
    raise InputError(
        f"no micrograph has picks in all of {', '.join(map(str, folders.values()))}; "
        f"the files must be named after the micrographs, such as {stems[0]}"
    )


def stand_in(figure: int, data_root: Path | None) -> Scene:
    """A simulated micrograph in place of the entry's, beside it the Laplacian of Gaussian.

    Its threshold is the best one on another micrograph of the same simulation, and so is DRPnet's.
    """
    number = FIGURES[figure].removeprefix("empiar")
    parameters, index = stand_in_parameters(figure, data_root)
    one, other = simulated(parameters, range(index, index + 2))
    diameter = parameters.particle_diameter
    threshold = best_on(other, diameter, *log_candidates(other.image, other.pixel_size, diameter))
    centres, strengths = log_candidates(one.image, one.pixel_size, diameter)
    picks = {LOG: centres[strengths >= threshold]}
    title = f"a simulated stand-in for EMPIAR-{number}: {one.name}"
    return Scene(figure, title, True, one, diameter, 0.0, picks, other)


def best_on(micrograph: Shown, diameter: float, centres: np.ndarray, scores: np.ndarray) -> float:
    """The score (n,) at which candidates (n, 2) have their greatest F on a labelled micrograph; inf without candidates."""
    assert micrograph.centres is not None
    is_true = true_in_score_order(centres, micrograph.centres, diameter / micrograph.pixel_size / 2, scores)
    threshold, _ = best_threshold(scores, is_true, len(micrograph.centres))
    return float("inf") if threshold is None else threshold


def stand_in_parameters(figure: int, data_root: Path | None) -> tuple[SimulationParameters, int]:
    """The simulation that stands in for an entry, and the first micrograph (0-based) that nobody trained on.

    EMPIAR-10061 is the beta-galactosidase of EMPIAR-10017 in its own frame, binned 10 times, in its own defocus range.
    """
    if figure == 3:
        trpv1 = facts("simulated_trpv1", data_root)
        return trpv1.simulation, trpv1.simulation.micrographs - len(trpv1.test)
    galactosidase = facts("simulated_trpv1", data_root, "beta_galactosidase").simulation
    if figure == 5:
        return galactosidase, 0
    frame = {"height": 742, "width": 768, "pixel_size": 3.185, "particles_per_micrograph": 117}
    return replace(galactosidase, **frame, defocus_range=[0.6, 3.0], seed=10061), 0
