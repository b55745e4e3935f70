"""The decision rule on small simulated micrographs: does it find what was done to a true set, and leave others alone?"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.frames.contrast import block_size, darkness_of_image, darkness_of_labels, shrink
from drpnet.frames.diagnosis import FALSE_ALARM, diagnose, guess_diameter
from drpnet.frames.evidence import Case, Evidence
from drpnet.frames.transforms import IDENTITY, Transform
from drpnet.simulation.micrograph import simulate_micrograph
from drpnet.simulation.parameters import SimulationParameters

PARAMETERS = SimulationParameters(
    height=400, width=440, pixel_size=10.0, particles_per_micrograph=60, snr_range=[0.3, 0.6],
    carbon_probability=0.5, contamination_probability=0.5, micrographs=3, seed=4,
)  # fmt: skip
DIAMETER = PARAMETERS.particle_diameter_px
BLOCK = block_size(DIAMETER)


@cache
def micrographs():
    """Centres and darkness of three simulated micrographs with dark particles."""
    found = [simulate_micrograph(PARAMETERS, index) for index in range(PARAMETERS.micrographs)]
    return [(one.centres, one.image.shape, darkness_of_image(shrink(one.image, BLOCK), DIAMETER / BLOCK)) for one in found]


def evidence(centres):
    return Evidence([
        Case(str(i), own, shape, darkness, BLOCK)
        for i, (own, (_, shape, darkness)) in enumerate(zip(centres, micrographs(), strict=True))
    ])  # fmt: skip


def true():
    return [centres for centres, _, _ in micrographs()]


def written(transform):
    return [transform.inverse(centres, shape) for centres, shape, _ in micrographs()]


def test_the_truth_is_right():
    found = diagnose(evidence(true()), DIAMETER)
    assert found.kind == "right" and found.found.transform == IDENTITY and not found.against
    assert found.tried > 500 and found.written.z > 6


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.booleans(), st.booleans(), st.booleans(),
    st.one_of(st.sampled_from([1, 2, 3, 4, 8]), st.floats(0.5, 6)),
    st.sampled_from([0, 0, 0.5, 0.7, 0.9]),
)  # fmt: skip
def test_what_was_done_to_a_true_set_is_undone(swap, flip_y, flip_x, scale, corner):
    done = Transform(swap, flip_y, flip_x, (scale, scale), (corner * DIAMETER, corner * DIAMETER))
    if corner and scale % 1:
        done = replace(done, offset=(0.0, 0.0))  # a corner and any scale at once are not tried
    found = diagnose(evidence(written(done)), DIAMETER)
    gone = evidence(written(done)).places(found.found.transform) - np.concatenate(true())
    away = np.sqrt((gone**2).sum(axis=1).mean())
    assert found.kind == "unknown" or away < 0.25 * DIAMETER, (done, found.found)
    assert found.kind in ("right", "wrong") or scale % 1, (done, found.found)  # any scale at all takes more evidence


def random_places(rng):
    return [rng.uniform(0, np.array(shape) - 1, (len(centres), 2)) for centres, shape, _ in micrographs()]


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_said_of_random_places_but_that_they_are(seed):
    found = diagnose(evidence(random_places(np.random.default_rng(seed))), DIAMETER)
    assert found.kind in ("nothing", "unknown") and found.found.transform == IDENTITY


@pytest.mark.parametrize("seed", range(4))
def test_a_weak_picker_is_not_accused(seed):
    rng = np.random.default_rng(seed)
    picks = [
        np.where(rng.random((len(own), 1)) < 0.5, chance, own + rng.normal(0, 0.1 * DIAMETER, own.shape))
        for own, chance in zip(true(), random_places(rng), strict=True)
    ]
    assert diagnose(evidence(picks), DIAMETER).kind == "right"


def test_the_level_of_z_holds_for_single_frames():
    """Of random sets, no more than about the stated share lie above z = 2.33 (1 %)."""
    rng = np.random.default_rng(0)
    z = np.array([evidence(random_places(rng)).z(IDENTITY) for _ in range(300)])
    assert abs(z.mean()) < 0.3 and 0.7 < z.std() < 1.3
    assert (z > 2.33).mean() < 0.03
    assert FALSE_ALARM <= 0.001


def test_particles_of_another_micrograph_are_on_nothing():
    centres = true()
    assert diagnose(evidence([*centres[1:], centres[0]]), DIAMETER).found.transform == IDENTITY


def test_a_few_coordinates_are_too_few():
    found = diagnose(evidence([centres[:3] for centres in written(Transform(flip_y=True))]), DIAMETER)
    assert found.kind == "unknown" and found.tried == 0


def test_a_constant_small_offset_of_a_picker_is_no_frame():
    shifted = [centres + 0.06 * DIAMETER for centres in true()]
    found = diagnose(evidence(shifted), DIAMETER)
    assert found.kind == "right" and found.offset is not None and max(found.offset) < 0


def test_one_micrograph_in_another_frame_is_named():
    mixed = [*true()[:2], written(Transform(flip_y=True))[2]]
    found = diagnose(evidence(mixed), DIAMETER)
    assert found.against == {"2": Transform(flip_y=True)} and found.found.transform == IDENTITY


def test_bright_particles():
    inverted = Evidence([
        Case(str(i), centres, shape, -darkness, BLOCK) for i, (centres, shape, darkness) in enumerate(micrographs())
    ])  # fmt: skip
    found = diagnose(inverted, DIAMETER)
    assert found.kind == "bright" and found.found.transform == IDENTITY and not found.against
    assert diagnose(inverted, DIAMETER, may_be_bright=False).kind != "bright"


def test_bright_particles_in_a_wrong_frame_are_not_put_between_them():
    done = Transform(flip_y=True)
    inverted = Evidence([
        Case(str(i), done.inverse(centres, shape), shape, -darkness, BLOCK)
        for i, (centres, shape, darkness) in enumerate(micrographs())
    ])  # fmt: skip
    found = diagnose(inverted, DIAMETER)
    assert found.kind in ("bright", "nothing", "unknown")
    assert found.kind != "bright" or found.found.transform == done


@pytest.mark.parametrize("pixel_size", [1.77, 0.66])
def test_angstrom_have_their_name_and_their_exact_factor(pixel_size):
    """Also where the picker is off centre, which another scale would take up."""
    shifted = [pixel_size * (centres + np.array([0.06, -0.05]) * DIAMETER) for centres in true()]
    found = diagnose(evidence(shifted), DIAMETER, pixel_size).found.transform
    assert found.scale == (1 / pixel_size, 1 / pixel_size) and found.words() == "in Angstrom"
    other = [1.1 * one for one in shifted]
    assert "Angstrom" not in diagnose(evidence(other), DIAMETER, pixel_size).found.transform.words()


def test_two_wrong_micrographs_of_three_are_too_few_to_speak_for_the_set():
    found = diagnose(evidence([*written(Transform(flip_y=True))[:2], true()[2]]), DIAMETER)
    assert found.found.transform == IDENTITY and set(found.against) == {"0", "1"}


def test_coordinates_outside():
    rng = np.random.default_rng(0)
    far = [centres + 3000 * rng.uniform(1, 2) for centres in random_places(rng)]
    assert diagnose(evidence(far), DIAMETER).kind == "outside"


def test_the_diameter_is_guessed():
    maps = [(c, s, darkness) for c, s, darkness in micrographs()]
    images = {DIAMETER: evidence([c for c, _, _ in maps])}
    images[4 * DIAMETER] = Evidence([
        Case(str(i), c, s, darkness_of_image(-darkness, 4 * DIAMETER / BLOCK), BLOCK)
        for i, (c, s, darkness) in enumerate(maps)
    ])  # fmt: skip
    assert guess_diameter(images) == DIAMETER


@pytest.mark.parametrize(("scale", "told"), [(1.0, 0), (3.0, 1)])
def test_labels_tell_from_which_number_pixels_are_counted_when_it_is_enough(scale, told):
    """One unit of a frame binned 3x is 17 % of the diameter: told. One pixel is 6 %, within the error: not claimed."""
    labels = Evidence([
        Case(str(i), Transform(scale=(scale, scale), first=1).inverse(centres, shape), shape,
             darkness_of_labels(centres, shape, DIAMETER), BLOCK)
        for i, (centres, shape, _) in enumerate(micrographs())
    ])  # fmt: skip
    assert diagnose(labels, DIAMETER, centring=0.03).found.transform == Transform(scale=(scale, scale), first=told)
    assert diagnose(labels, DIAMETER, centring=0.5).found.transform.first == 0
