"""Structures from files."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.simulation.structures import load_structure

REAL = Path(__file__).parents[3] / "shared" / "structures"
ATOM = "ATOM  {:5d}  CA  ALA A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00           C\n"


def centre_of_mass(volume: np.ndarray) -> np.ndarray:
    return (
        np.array([(g * volume).sum() for g in np.mgrid[tuple(slice(n) for n in volume.shape)]]) / volume.sum()
    )


def atoms() -> np.ndarray:
    return np.round(np.random.default_rng(1).uniform(-30, 30, (60, 3)) + [100, 50, -20], 3)


def write_pdb(path: Path) -> Path:
    path.write_text("".join(ATOM.format(i + 1, i + 1, *p) for i, p in enumerate(atoms())) + "END\n")
    return path


def write_cif(path: Path) -> Path:
    names = "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_seq_id"
    columns = [*names.split(), "auth_asym_id", "auth_seq_id"]
    columns += ["Cartn_x", "Cartn_y", "Cartn_z", "occupancy", "B_iso_or_equiv"]
    head = "data_x\nloop_\n" + "".join(f"_atom_site.{c}\n" for c in columns)
    rows = [f"ATOM {i} C CA . ALA A {i} A {i} {x} {y} {z} 1.0 0\n" for i, (x, y, z) in enumerate(atoms(), 1)]
    path.write_text(head + "".join(rows))
    return path


@pytest.mark.parametrize(("write", "name"), [(write_pdb, "a.pdb"), (write_cif, "a.cif")])
def test_atoms_become_density(tmp_path: Path, write, name: str) -> None:
    structure = load_structure(str(write(tmp_path / name)), 90.0, np.random.default_rng(0))
    points = atoms() - atoms().mean(0)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert structure.longest_dimension == pytest.approx(apart.max(), abs=0.01)
    density = structure.density(48, 2.0)
    assert density.dtype == np.float32
    assert density.sum() == pytest.approx(60 * 6, rel=0.01)
    np.testing.assert_allclose(centre_of_mass(density), 24, atol=0.02)
    z, y, x = np.round(points[:, ::-1].T / 2 + 24).astype(int)
    assert density[z, y, x].mean() > 5 * density.mean()


def test_map_is_resampled_around_its_centre_of_mass(tmp_path: Path) -> None:
    z, y, x = np.mgrid[:40, :36, :44]
    blob = np.exp(-(((z - 21.3) / 5) ** 2 + ((y - 15.1) / 3) ** 2 + ((x - 20.6) / 4) ** 2) / 2).astype(
        np.float32
    )
    path = tmp_path / "blob.mrc"
    with mrcfile.new(path, data=blob + np.float32(0.5)) as mrc:
        mrc.voxel_size = 3.0
    structure = load_structure(str(path), 60.0, np.random.default_rng(0))
    density = structure.density(30, 4.0)
    np.testing.assert_allclose(centre_of_mass(density), 15, atol=0.05)
    spread = [
        np.sqrt((density.sum(o) * (np.arange(30) - 15) ** 2).sum() / density.sum())
        for o in ((1, 2), (0, 2), (0, 1))
    ]
    np.testing.assert_allclose(np.multiply(spread, 4 / 3), [5, 3, 4], rtol=0.12)


@pytest.mark.parametrize("name", ["4cr2", "1bxn", "6rd4"])
def test_real_maps_load(name: str) -> None:
    path = REAL / f"{name}.mrc.gz"
    if not path.exists():
        pytest.skip("no ../shared/structures beside the repository")
    structure = load_structure(str(path), 250.0, np.random.default_rng(0))
    assert 120 < structure.longest_dimension < 420
    box = 2 * int(structure.longest_dimension / 8 / 2 * 1.3)
    density = structure.density(box, 8.0)
    np.testing.assert_allclose(centre_of_mass(density), box // 2, atol=0.2)
    assert density[0].max() == density[:, 0].max() == density[:, :, -1].max() == 0


def test_bad_files_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "empty.pdb").write_text("END\n")
    (tmp_path / "bad.cif").write_text("loop_ _a _b 1\n")
    (tmp_path / "bad.mrc").write_bytes(b"no map" * 300)
    with mrcfile.new(tmp_path / "flat.mrc", data=np.ones((10, 10, 10), np.float32)) as mrc:
        mrc.voxel_size = 2.0
    with mrcfile.new(tmp_path / "unsized.mrc", data=np.ones((10, 10, 10), np.float32)):
        pass
    for name in ("missing.pdb", "empty.pdb", "bad.cif", "bad.mrc", "flat.mrc", "unsized.mrc"):
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            load_structure(str(tmp_path / name), 100.0, rng)


def test_diameter_far_from_the_structure_is_refused() -> None:
    with pytest.raises(InputError, match="set particle_diameter near 1[67]"):
        load_structure("trpv1", 60.0, np.random.default_rng(0))
