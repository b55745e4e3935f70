"""Procedural assemblies: size, symmetry, repeatability."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from drpnet.simulation.assemblies import (
    Assembly,
    beta_galactosidase,
    helix,
    hollow_assembly,
    longest_dimension,
    random_assembly,
    symmetry_matrices,
    trpv1,
)


def largest_asymmetry(assembly: Assembly, symmetry: str) -> float:
    """Largest distance from a rotated point to the nearest point of the assembly."""
    tree = cKDTree(assembly.points)
    return max(tree.query(assembly.points @ m.T)[0].max() for m in symmetry_matrices(symmetry))


@pytest.mark.parametrize(
    ("assembly", "symmetry", "longest", "order"),
    [(trpv1(), "C4", 173, 4), (beta_galactosidase(), "D2", 191, 4)],
)
def test_named_assemblies_have_size_and_symmetry(assembly: Assembly, symmetry: str, longest: float, order: int) -> None:
    assert assembly.symmetry == symmetry
    assert len(symmetry_matrices(symmetry)) == order
    assert longest_dimension(assembly.points) == pytest.approx(longest, abs=4)
    assert largest_asymmetry(assembly, symmetry) < 1e-6


def test_named_assemblies_do_not_have_each_others_symmetry() -> None:
    assert largest_asymmetry(trpv1(), "D2") > 5
    assert largest_asymmetry(beta_galactosidase(), "C4") > 5


def test_beta_galactosidase_has_three_different_axes() -> None:
    size = np.sort(np.ptp(beta_galactosidase().points, axis=0))
    np.testing.assert_allclose(size, [95, 130, 180], atol=10)


@pytest.mark.parametrize("seed", range(12))
def test_random_assembly_is_built_to_its_diameter_and_symmetry(seed: int) -> None:
    assembly = random_assembly(np.random.default_rng(seed), 120.0 + 20 * seed)
    assert longest_dimension(assembly.points) == pytest.approx(120.0 + 20 * seed)
    assert largest_asymmetry(assembly, assembly.symmetry) < 1e-6
    again = random_assembly(np.random.default_rng(seed), 120.0 + 20 * seed)
    np.testing.assert_array_equal(assembly.points, again.points)


@pytest.mark.parametrize("seed", range(6))
def test_hollow_assembly_is_closed_and_empty_inside(seed: int) -> None:
    assembly = hollow_assembly(np.random.default_rng(seed), 180.0)
    assert longest_dimension(assembly.points) == pytest.approx(180.0)
    assert largest_asymmetry(assembly, assembly.symmetry) < 1e-6
    distance = np.linalg.norm(assembly.points, axis=1)
    assert (distance > 45).mean() > 0.99
    # no direction without protein within 20 degrees
    views = np.random.default_rng(0).normal(size=(500, 3))
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    nearest = (views @ (assembly.points / distance[:, None]).T).max(axis=1)
    assert nearest.min() > np.cos(np.deg2rad(20))


def test_random_assemblies_differ() -> None:
    drawn = [random_assembly(np.random.default_rng(seed), 150.0) for seed in range(30)]
    assert len({a.symmetry for a in drawn}) >= 6
    assert len({len(a.points) for a in drawn}) >= 25


def test_longest_dimension_is_that_of_all_pairs() -> None:
    points = np.random.default_rng(0).normal(size=(200, 3))
    assert longest_dimension(points) == pytest.approx(cdist(points, points).max())


def test_helix_has_the_geometry_of_an_alpha_helix() -> None:
    trace = helix(np.zeros(3), np.array([0.0, 0.0, 30.0]))
    assert len(trace) == 20
    np.testing.assert_allclose(np.linalg.norm(np.diff(trace, axis=0), axis=1), 3.8, atol=0.1)
    np.testing.assert_allclose(np.hypot(trace[:, 0], trace[:, 1]), 2.3, atol=1e-9)
