"""Pickers side by side by the maps of their picks: the result of `drpnet maps`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.maps.false_orientations import at_random, best_aligned
from drpnet.maps.false_picks import dose_curve
from drpnet.maps.half_maps import half_maps, has_whole_box
from drpnet.maps.known_poses import PosedPicks, Simulation, joined, read_picks, read_simulation, truth
from drpnet.maps.measure import Measured, Reference, measure, soft_ball
from drpnet.maps.spread import difference, mean_and_interval
from drpnet.maps.view_recall import recall_by_view, recall_map
from drpnet.reconstruction.efficiency import orientation_efficiency
from drpnet.reconstruction.fsc import weighted_mean
from drpnet.reconstruction.rosenthal_henderson import fit_rosenthal_henderson
from drpnet.reconstruction.symmetry import parse_symmetry
from drpnet.reconstruction.views import ViewCounts, expected_occupied

TRUTH = "truth"
VARIANTS = {
    "true, recentred": "the true ones among them, centres as a refinement would find them",
    "true, as picked": "the same at the picked centres",
    "false at random": "all of them recentred, false ones in random orientations",
    "false aligned": "all of them recentred, false ones in the orientations that fit the structure best",
}
"""What a map is made of."""
MAIN = "false at random"
FRACTIONS = (0.125, 0.25, 0.5, 1.0)
"""Of the picks, for resolution against number."""


@dataclass(frozen=True)
class MapSettings:
    """What all pickers share; box in px of the micrographs, even, and the matching tolerance in particle diameters."""

    symmetry: str
    box: int = 64
    sets: int = 5
    """The micrographs are dealt into so many sets; intervals are over them."""
    tolerance: float = 0.5
    seed: int = 0
    """Of halves, random orientations and the order of picks without scores."""


@dataclass
class Compared:
    """`result` is plain values; the rest is for pictures, by picker: the filtered map of the first set, views, recall maps."""

    result: dict[str, Any]
    reference: Reference
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    views: dict[str, np.ndarray] = field(default_factory=dict)
    recall_maps: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def compare_pickers(folder: Path, pickers: Mapping[str, Path], settings: MapSettings) -> Compared:
    """Maps, views and recall of every picker and of the truth, at equal numbers of picks in every set of micrographs.

    Raises InputError for a folder that is no simulation of one structure, and for picks that cannot be read, are of other
    micrographs or too few.
    """
    symmetry = parse_symmetry(settings.symmetry)
    simulation = read_simulation(folder)
    _check(simulation, pickers, settings)
    reach = settings.tolerance * simulation.particle_diameter / simulation.pixel_size
    every = {TRUTH: truth(simulation), **{name: read_picks(simulation, path, reach) for name, path in pickers.items()}}
    usable = {name: picks.at(_fit(picks, simulation, settings)) for name, picks in every.items()}
    usable = _with_aligned(simulation, usable, settings.box, symmetry)
    dealt = {name: _deal(picks, settings) for name, picks in usable.items()}
    count = min(len(picks.micrograph) for sets in dealt.values() for picks in sets)
    if count < 2:
        poorest = min(dealt, key=lambda name: min(len(picks.micrograph) for picks in dealt[name]))
        raise InputError(
            f"{poorest} has {count} picks whose box of {settings.box} px fits in one of {settings.sets} sets of micrographs; "
            "give fewer --sets, a smaller --box or more picks"
        )
    equal = {name: [best(picks, count) for picks in sets] for name, sets in dealt.items()}
    reference = Reference(
        simulation.structure.density(settings.box, simulation.pixel_size),
        soft_ball(settings.box, simulation.particle_diameter / simulation.pixel_size / 2),
        simulation.pixel_size,
    )
    found = Compared({}, reference)
    rows = []
    for name, sets in equal.items():
        measured = [_measure_set(simulation, picks, settings, reference, number) for number, picks in enumerate(sets)]
        found.maps[name] = measured[0].pop("map")
        for one in measured[1:]:
            del one["map"]
        rows.append({"name": name, **_counted(every[name], simulation, settings.seed, symmetry), **_summary(measured, sets)})
        is_found = np.isin(np.arange(len(simulation.centres)), every[name].particle)
        found.recall_maps[name] = recall_map(simulation, is_found, symmetry)
    _add_views(rows, equal, symmetry, found)
    _add_differences(rows)
    pool = [_together([usable[name] for name in pickers], number, settings) for number in range(settings.sets)]
    found.result = {
        "settings": asdict(settings),
        "simulation": {
            "folder": str(folder),
            "micrographs": len(simulation.names),
            "particles": len(simulation.centres),
            "pixel_size": simulation.pixel_size,
            "particle_diameter": simulation.particle_diameter,
        },
        "picks_each_set": count,
        "pickers": rows,
        "false_picks": dose_curve(simulation, dealt[TRUTH], pool, settings.box, symmetry, reference, settings.seed),
    }
    return found


def best(picks: PosedPicks, count: int) -> PosedPicks:
    """The `count` picks with the highest scores; where there are none, and among equals, the first of a fixed order."""
    scores = np.where(np.isnan(picks.scores), -np.inf, picks.scores)
    return picks.at(np.sort(np.argsort(-scores, kind="stable")[:count]))


def _with_aligned(
    simulation: Simulation, pickers: Mapping[str, PosedPicks], box: int, symmetry: str
) -> dict[str, PosedPicks]:
    """The same with the best-fitting orientations of all false picks, which are looked for once for all pickers."""
    bounds = np.cumsum([len(picks.micrograph) for picks in pickers.values()])[:-1]
    aligned = best_aligned(simulation, joined(list(pickers.values())), box, symmetry)
    parts = np.split(np.arange(len(aligned.micrograph)), bounds)
    return {name: aligned.at(part) for name, part in zip(pickers, parts, strict=True)}


def _check(simulation: Simulation, pickers: Mapping[str, Path], settings: MapSettings) -> None:
    if TRUTH in pickers:
        raise InputError(f"a picker is called {TRUTH!r}, which is the name of the particles themselves; give it another")
    if not pickers:
        raise InputError("no picks to compare; give NAME=PATH of one picker or more")
    if not 1 <= settings.sets <= len(simulation.names):
        raise InputError(f"--sets must be 1 to {len(simulation.names)}, the micrographs, got {settings.sets}; 5 give intervals")
    if settings.box % 2 or not 8 <= settings.box <= min(simulation.shape):
        height, width = simulation.shape
        raise InputError(f"--box must be even, at least 8 px and fit into {height} x {width} px, got {settings.box}")
    if not 0 < settings.tolerance <= 1:
        raise InputError(f"--tolerance must be above 0 and at most 1 diameter, got {settings.tolerance:g}; 0.5 is usual")


def _fit(picks: PosedPicks, simulation: Simulation, settings: MapSettings) -> np.ndarray:
    return has_whole_box(picks.centres, settings.box, simulation.shape)


def _deal(picks: PosedPicks, settings: MapSettings) -> list[PosedPicks]:
    """The picks of every set of micrographs, in a random but fixed order."""
    order = np.random.default_rng(settings.seed).permutation(len(picks.micrograph))
    shuffled = picks.at(order)
    return [shuffled.at(shuffled.micrograph % settings.sets == number) for number in range(settings.sets)]


def _together(pickers: Sequence[PosedPicks], number: int, settings: MapSettings) -> PosedPicks:
    """The false picks of all pickers in one set of micrographs, in a random but fixed order."""
    every = joined(pickers)
    return _deal(every.at(~every.is_true), settings)[number]


def _measure_set(
    simulation: Simulation, picks: PosedPicks, settings: MapSettings, reference: Reference, number: int
) -> dict[str, Any]:
    """The map of every variant, and of fractions of the picks: a set's part of the result."""
    rng = np.random.default_rng([settings.seed, number])
    random = at_random(picks, rng)
    true = random.at(random.is_true)

    def maps(some: PosedPicks, recentred: bool) -> tuple[tuple[np.ndarray, np.ndarray], Measured]:
        halves = half_maps(simulation, some, settings.box, settings.symmetry, recentred=recentred, rng=rng)
        return halves, measure(halves, reference, settings.seed)

    made = {"true, recentred": (true, True), "true, as picked": (true, False), "false aligned": (picks, True)}
    halves, whole = maps(random, True)
    if len(true.micrograph) == len(picks.micrograph) and not np.any(picks.centres != picks.true_centres):
        measured = dict.fromkeys(VARIANTS, whole)  # the truth itself: all variants are one map
    else:
        measured = {name: maps(some, recentred)[1] for name, (some, recentred) in made.items() if len(some.micrograph) > 1}
        measured[MAIN] = whole
    order = rng.permutation(len(random.micrograph))
    sizes = [int(fraction * len(order)) for fraction in FRACTIONS[:-1]]
    sizes = [size for size in sizes if size > 1]
    by_number = [(size, maps(random.at(np.sort(order[:size])), True)[1]) for size in sizes]
    return {
        "true": int(picks.is_true.sum()),
        "variants": measured,
        "by_number": [*by_number, (len(order), whole)],
        "map": weighted_mean(*halves, whole.halves),
    }


def _counted(picks: PosedPicks, simulation: Simulation, seed: int, symmetry: str) -> dict[str, Any]:
    """Of all picks, those at the edges included: as `drpnet evaluate` counts them."""
    found = np.isin(np.arange(len(simulation.centres)), picks.particle)
    offset = np.linalg.norm((picks.centres - picks.true_centres)[picks.is_true], axis=1) * simulation.pixel_size
    return {
        "picks": len(picks.micrograph),
        "true": int(picks.is_true.sum()),
        "precision": float(picks.is_true.mean()),
        "recall": float(found.mean()),
        "offset_rms": float(np.sqrt((offset**2).mean())) if len(offset) else None,
        "recall_by_view": asdict(recall_by_view(simulation, found, symmetry, seed)),
    }


def _summary(sets: list[dict[str, Any]], picks: Sequence[PosedPicks]) -> dict[str, Any]:
    """The sets' measures as means with intervals."""
    variants = [name for name in VARIANTS if all(name in one["variants"] for one in sets)]
    return {
        "true_each_set": [one["true"] for one in sets],
        "true_share": mean_and_interval([float(one.is_true.mean()) for one in picks]),
        "variants": {name: _resolutions([one["variants"][name] for one in sets]) for name in variants},
        "curves": {name: _curves([one["variants"][name] for one in sets]) for name in variants},
        "by_number": [
            {"picks": rows[0][0], **_resolutions([measured for _, measured in rows])}
            for rows in zip(*(one["by_number"] for one in sets), strict=True)
        ],
        "rosenthal_henderson": _lines([one["by_number"] for one in sets]),
    }


def _resolutions(measured: Sequence[Measured]) -> dict[str, Any]:
    return {
        "halves": mean_and_interval([one.resolution_halves for one in measured]),
        "truth": mean_and_interval([one.resolution_truth for one in measured]),
    }


def _curves(measured: Sequence[Measured]) -> dict[str, list[float]]:
    """Curves by shell, mean of the sets; frequency in 1 / Angstrom."""
    means = {name: np.mean([getattr(one, name) for one in measured], axis=0) for name in ("unmasked", "halves", "truth")}
    return {"frequency": measured[0].frequency.tolist(), **{name: mean.tolist() for name, mean in means.items()}}


def _lines(sets: Sequence[Sequence[tuple[int, Measured]]]) -> dict[str, Any]:
    """The Rosenthal-Henderson line of all sets' points, and B of each set's own line."""

    def fit(rows: Sequence[tuple[int, Measured]]) -> Any:
        good = [(count, one.resolution_halves) for count, one in rows if np.isfinite(one.resolution_halves)]
        try:
            return fit_rosenthal_henderson(*np.array(good).T) if good else None
        except InputError:
            return None  # resolution does not rise with the number of picks: there is no B-factor

    whole = fit([row for rows in sets for row in rows])
    own = [fit(rows) for rows in sets]
    return {
        "fit": None if whole is None else asdict(whole),
        "b_factor": mean_and_interval([np.nan if line is None else line.b_factor for line in own]),
    }


def _add_views(
    rows: list[dict[str, Any]], equal: Mapping[str, list[PosedPicks]], symmetry: str, found: Compared
) -> None:
    """E_od and missing views of the true picks of all sets, at as many as the poorest picker has."""
    counts = {}
    for name, sets in equal.items():
        counts[name] = ViewCounts(symmetry)
        for picks in sets:
            counts[name].add(*picks.angles[picks.is_true][:, :2].T)
    least = min(count.particles for count in counts.values())
    for row in rows:
        own = counts[row["name"]]
        missing = own.missing()
        row["views"] = {
            "true_picks": own.particles,
            "missing_in_unit": missing.in_unit,
            "unit_total": missing.unit_total,
            "equal_particles": least,
            "missing_at_equal_particles": missing.unit_total - expected_occupied(own.folded, least),
            "efficiency": asdict(orientation_efficiency(own.planes)),
        }
        found.views[row["name"]] = own.folded


def _add_differences(rows: list[dict[str, Any]]) -> None:
    """By variant the resolution of every picker less that of the truth, set by set; positive is worse."""
    ceiling = rows[0]["variants"]
    for row in rows:
        row["worse_than_truth"] = {
            name: {key: difference(own[key]["values"], ceiling[name][key]["values"]) for key in ("halves", "truth")}
            for name, own in row["variants"].items()
        }
