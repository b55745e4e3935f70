"""Point groups and asymmetric units: the group laws, scipy's groups, and RELION's own matrices and directions."""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from drpnet.errors import InputError
from drpnet.io.star import read_star
from drpnet.reconstruction.symmetry import expand, fold, in_unit, parse_symmetry, symmetry_matrices
from drpnet.reconstruction.views import directions, pixel_centres

ORDERS = {"C1": 1, "C2": 2, "C4": 4, "D1": 2, "D2": 4, "D3": 6, "T": 12, "O": 24, "I": 60, "I1": 60, "I3": 60, "I4": 60}


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_a_group_is_closed_and_has_its_order(name, order):
    found = symmetry_matrices(name)
    assert len(found) == order
    np.testing.assert_allclose(found[0], np.eye(3))
    np.testing.assert_allclose(np.linalg.det(found), 1)
    products = np.einsum("aij,bjk->abik", found, found).reshape(-1, 1, 9)
    distance = np.abs(products - found.reshape(1, -1, 9)).max(axis=2)
    assert (distance.min(axis=1) < 1e-9).all()


@pytest.mark.parametrize("name", ["C5", "D2", "D6", "O"])
def test_groups_with_the_same_axes_are_scipys(name):
    theirs = Rotation.create_group(name, axis="Z").as_matrix()
    mine = symmetry_matrices(name)
    assert all(np.abs(mine - matrix).max(axis=(1, 2)).min() < 1e-9 for matrix in theirs)


@pytest.mark.parametrize("name", ORDERS)
def test_every_view_has_one_copy_in_the_unit(name):
    rng = np.random.default_rng(0)
    views = rng.normal(size=(300, 3))
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    copies = expand(views, name).reshape(-1, len(views), 3)
    assert [in_unit(copies[:, i], name).sum() for i in range(len(views))] == [1] * len(views)
    folded = fold(views, name)
    assert in_unit(folded, name).all()
    turned = fold(np.einsum("ij,nj->ni", symmetry_matrices(name)[-1], views), name)
    np.testing.assert_allclose(turned, folded, atol=1e-9)


def test_names_are_relions():
    assert [parse_symmetry(name) for name in ("c4", " D2 ", "i", "I2", "o")] == ["C4", "D2", "I2", "I2", "O"]
    for name in ("", "C", "C0", "C61", "Q3", "I5", "CI", "TD", "D2x"):
        with pytest.raises(InputError, match="is unknown; use C1 to C60"):
            parse_symmetry(name)


@pytest.mark.relion
@pytest.mark.parametrize("name", ["C3", "D1", "D2", "D5", "T", "O", "I", "I1", "I2", "I3", "I4"])
def test_the_matrices_are_relions(relion, name, tmp_path):
    text = relion(tmp_path, "relion_refine", "--sym", name, "--print_symmetry_ops", complete=False)
    theirs = [np.array(block.split()[:9], float).reshape(3, 3) for block in re.split(r"R\(\d+\)=", text)[1:]]
    mine = symmetry_matrices(name)
    assert len(theirs) == len(mine)
    assert all(np.abs(mine - matrix).max(axis=(1, 2)).min() < 1e-3 for matrix in theirs)


@pytest.mark.relion
@pytest.mark.parametrize("name", ["C1", "C2", "C4", "D1", "D2", "D3", "T", "O", "I", "I1", "I3"])
def test_the_unit_holds_the_directions_that_relion_refine_tries(refine, name):
    # RELION's I4 tries two directions of which one lies elsewhere: ours is I2's unit turned with the group
    folder = refine(f"unit_{name}", name, 2, "--perturb", 0)
    table = read_star(folder / "run_it001_sampling.star")["sampling_directions"]
    theirs = directions(table["rlnAngleRot"].to_numpy(float), table["rlnAngleTilt"].to_numpy(float))
    assert in_unit(theirs, name).all()
    centres = pixel_centres(4)
    ours = centres[in_unit(centres, name)]
    closest = np.linalg.norm(expand(theirs, name)[:, None] - ours, axis=2).min(axis=0)
    assert (closest < 1e-3).mean() > 0.6
    assert closest.max() < 0.2  # RELION leaves out what is near an equivalent across the boundary, nothing else
