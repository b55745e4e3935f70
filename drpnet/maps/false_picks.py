"""How false picks hurt a map: resolution against their share, at equal numbers of picks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drpnet.maps.false_orientations import at_random
from drpnet.maps.half_maps import half_maps
from drpnet.maps.known_poses import PosedPicks, Simulation, joined
from drpnet.maps.measure import Measured, Reference, measure
from drpnet.maps.spread import mean_and_interval

SHARES = (0.0, 0.1, 0.2, 0.35, 0.5)
SERIES = {
    "true alone": "only the true ones of them",
    "false at random": "with the false ones in random orientations",
    "false aligned": "with the false ones in the orientations that fit the structure best",
}
_LEAST = 20


def dose_curve(
    simulation: Simulation,
    true: Sequence[PosedPicks],
    false: Sequence[PosedPicks],
    box: int,
    symmetry: str,
    reference: Reference,
    seed: int,
) -> dict[str, Any] | None:
    """Maps of a fixed number of picks of which a growing share is false, in every set of micrographs.

    `true` and `false` are the sets' particles and false picks, these in the orientations that fit the structure best; their
    number is the largest that allows a half to be false.
    «True alone» leaves the false ones out: what is between it and the others is their own harm, and not that of the
    particles they replace. `only_false` is the map of aligned false picks alone. None where a set has fewer than 20 of them.
    """
    least = min(len(picks.micrograph) for picks in false)
    if least < _LEAST:
        return None
    count = min(2 * least, min(len(picks.micrograph) for picks in true))
    points: dict[str, list[list[Measured]]] = {name: [[] for _ in SHARES] for name in SERIES}
    alone: list[Measured] = []
    for number, (particles, pool) in enumerate(zip(true, false, strict=True)):
        rng = np.random.default_rng([seed, number, 1])
        random = at_random(pool, rng)

        def made(picks: PosedPicks, rng: np.random.Generator = rng) -> Measured:
            return measure(half_maps(simulation, picks, box, symmetry, recentred=True, rng=rng), reference, seed)

        for place, share in enumerate(SHARES):
            wrong = round(share * count)
            kept = particles.at(np.arange(count - wrong))
            points["true alone"][place].append(made(kept))
            for name, some in (("false at random", random), ("false aligned", pool)):
                same = points["true alone"][place][-1]
                points[name][place].append(made(joined([kept, some.at(np.arange(wrong))])) if wrong else same)
        alone.append(made(pool))
    return {
        "picks_each_set": count,
        "shares": list(SHARES),
        "series": {name: [_numbers(measured) for measured in rows] for name, rows in points.items()},
        "only_false": {"picks": [len(pool.micrograph) for pool in false], **_numbers(alone)},
    }


def _numbers(measured: Sequence[Measured]) -> dict[str, Any]:
    return {
        "halves": mean_and_interval([one.resolution_halves for one in measured]),
        "truth": mean_and_interval([one.resolution_truth for one in measured]),
    }

