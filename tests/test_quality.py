"""drpnet quality from files to table, pictures and errors; the readers on what relion_refine wrote."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from typer.testing import CliRunner

from drpnet.cli import app
from drpnet.errors import InputError
from drpnet.io.particle_images import read_optics
from drpnet.io.refinement import find_refinement, open_particles, particle_angles, read_model, read_postprocess
from drpnet.io.star import write_star
from drpnet.io.star_stream import find_table
from drpnet.io.volumes import write_volume
from drpnet.quality.assess import DRAWN, count_particles
from drpnet.quality.compare import as_json, compare
from drpnet.quality.halves import reconstruct_halves
from drpnet.quality.settings import Run, Settings, named_runs
from drpnet.quality.tables import markdown

SMALL = Settings(box=16)


def write_refinement(folder, count=300, symmetry="C4", box=16, spread=180.0, seed=0, old=False, halves=True, noise=0.3):
    """What RELION leaves behind, made up."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    particles = {
        "rlnAngleRot": rng.uniform(-45, 45, count),
        "rlnAngleTilt": np.rad2deg(np.arccos(rng.uniform(np.cos(np.deg2rad(spread)), 1, count))),
        "rlnAnglePsi": rng.uniform(-180, 180, count),
        "rlnMaxValueProbDistribution": rng.beta(2, 5, count),
    }
    optics = {} if old else {"optics": {"rlnOpticsGroup": [1], "rlnImagePixelSize": [2.0]}}
    write_star(folder / "run_data.star", {**optics, ("" if old else "particles"): particles})
    write_star(folder / "run_sampling.star", {"sampling_general": {"rlnSymmetryGroup": symmetry}})
    signal = rng.normal(size=(box,) * 3)
    signal = np.cumsum(np.cumsum(signal, 0), 1)
    for half in (1, 2) if halves else ():
        blur = rng.normal(0, noise * signal.std(), signal.shape)
        write_volume(folder / f"run_half{half}_class001_unfil.mrc", signal + blur, 2.0)
    return folder


def run_cli(*words):
    result = CliRunner().invoke(app, ["quality", *map(str, words)])
    return result.exit_code, result.output


def test_two_runs_side_by_side(tmp_path):
    good = write_refinement(tmp_path / "good", 400)
    poor = write_refinement(tmp_path / "poor", 300, spread=40, old=True)
    bare = write_refinement(tmp_path / "bare", 400, symmetry="C1")
    (tmp_path / "subsets.csv").write_text("particles,resolution\n100,9\n200,8\n400,7.2\n")
    distance = np.linalg.norm(np.mgrid[:16, :16, :16] - 8, axis=0)
    write_volume(tmp_path / "mask.mrc", np.clip(7 - distance, 0, 1), 2.0)
    out = tmp_path / "out"
    status, said = run_cli(
        f"good={good}", f"poor={poor / 'run_data.star'}", "--out", out, "--eod-box", 16, "--picked", "good=900",
        "--c1", f"good={bare}", "--subsets", f"good={tmp_path / 'subsets.csv'}", "--mask", tmp_path / "mask.mrc",
    )  # fmt: skip
    assert status == 0, said
    assert re.search(r"good\s+C4\s+900\s+400\s+[\d,]+", said) and "at best 9,152 in C4" in " ".join(said.split())
    result = json.loads((out / "quality.json").read_text())
    first, second = result["runs"]
    assert (first["particles"], second["particles"]) == (400, 300)
    assert first["efficiency"]["e_od"] > second["efficiency"]["e_od"]
    assert first["without_symmetry"]["symmetry"] == "C1" and second["without_symmetry"] is None
    missing = first["missing_views"]
    assert missing["in_unit"] == missing["raw"] - missing["attainable_minimum"]
    assert missing["in_unit_at_equal_particles"] > missing["in_unit"] and missing["equal_particles"] == 300
    assert second["missing_views"]["in_unit_at_equal_particles"] == pytest.approx(second["missing_views"]["in_unit"])
    assert set(first["fsc"]["resolution"]) == {"unmasked", "masked", "corrected"}
    assert first["rosenthal_henderson"]["fit"]["b_factor"] == pytest.approx(399, rel=0.01)
    probability = first["maximum_probability"]
    assert probability["mean"] == pytest.approx(2 / 7, abs=0.03) and sum(probability["histogram"]) == 400
    for name in ("figure6.png", "views.png", "isosurfaces.png"):
        assert (out / name).stat().st_size > 20_000
    assert (out / "angular_distribution_good.bild").read_text().startswith(".color")


def test_the_numbers_are_the_same_in_parts_and_in_either_layout(tmp_path, monkeypatch):
    new, old = write_refinement(tmp_path / "new"), write_refinement(tmp_path / "old", old=True)
    results = compare([Run("new", new), Run("old", old)], SMALL)
    monkeypatch.setattr("drpnet.io.star_stream.ROWS", 7)
    monkeypatch.setattr("drpnet.io.star_stream.StarTable.chunks.__defaults__", ((), 7))
    parts = compare([Run("new", new)], SMALL)[0]
    for other in (results[1], parts):
        assert other["missing_views"] == results[0]["missing_views"] and other["efficiency"] == results[0]["efficiency"]
        assert other["maximum_probability"]["mean"] == pytest.approx(results[0]["maximum_probability"]["mean"])
    assert "new" in markdown(results) and json.dumps(as_json(results, SMALL))


def test_at_most_so_many_are_drawn(tmp_path):
    count = DRAWN + 500
    angles = np.arange(count) % 45.0
    write_star(tmp_path / "a.star", {"particles": {"rlnAngleRot": angles, "rlnAngleTilt": 2 * angles}})
    counts, probability, (rot, tilt) = count_particles(tmp_path / "a.star", "C1", 0)
    assert (counts.particles, len(rot), probability) == (count, DRAWN, None)
    np.testing.assert_array_equal(tilt, 2 * rot)


def test_where_there_are_no_half_maps_relions_curve_counts(tmp_path):
    folder = write_refinement(tmp_path / "run", halves=False)
    curve = np.array([1, 0.9, 0.6, 0.1, 0.0])
    table = {
        "rlnSpectralIndex": np.arange(5), "rlnResolution": np.array([0.001, 1, 2, 3, 4]) / 32,
        "rlnFourierShellCorrelationUnmaskedMaps": curve,
    }  # fmt: skip
    write_star(folder / "postprocess.star", {"general": {"rlnFinalResolution": 16.0}, "fsc": table})
    found = compare([Run("run", folder)], SMALL)[0]["fsc"]
    assert found["source"] == "postprocess.star" and found["relion_resolution"] == 16
    assert found["resolution"]["corrected"]["0.143"]["shell"] == pytest.approx(16)
    (folder / "postprocess.star").unlink()
    with pytest.raises(InputError, match="has no half maps, no postprocess.star and no model.star"):
        compare([Run("run", folder)], SMALL)


def test_mistakes_end_in_one_line(tmp_path):
    folder = write_refinement(tmp_path / "run")
    cases = []

    def broken(name, change):
        copy = shutil.copytree(folder, tmp_path / name)
        change(copy)
        cases.append(copy)
        return copy

    def message(path, **settings):
        with pytest.raises(InputError) as found:
            compare([Run("x", path)], Settings(box=16, **settings))
        assert "\n" not in str(found.value)
        return str(found.value)

    half = broken("one_half", lambda f: (f / "run_half2_class001_unfil.mrc").unlink())
    assert "run_half2_class001_unfil.mrc is missing while run_half1" in message(half)
    other = np.ones((12, 12, 12), np.float32)
    boxes = broken("boxes", lambda f: write_volume(f / "run_half2_class001_unfil.mrc", other, 2.0))
    assert re.search(r"\(16, 16, 16\) at 2 A and .*\(12, 12, 12\) at 2 A", message(boxes))
    no_angles = {"particles": {"rlnCoordinateX": [1.0, 2.0], "rlnAnglePsi": [0.0, 0.0]}}
    bare = broken("no_angles", lambda f: write_star(f / "run_data.star", no_angles))
    assert "has no rlnAngleRot and no rlnAngleTilt: these particles have no orientations" in message(bare)
    single = {"particles": {"rlnAngleRot": [1.0], "rlnAngleTilt": [2.0]}}
    alone = broken("alone", lambda f: write_star(f / "run_data.star", single))
    assert "has 1 particle; the quality of a refinement needs two or more" in message(alone)
    word = {"particles": {"rlnAngleRot": ["a", "b"], "rlnAngleTilt": [2.0, 3.0]}}
    assert "rlnAngleRot is 'a'" in message(broken("word", lambda f: write_star(f / "run_data.star", word)))
    nowhere = broken("no_sampling", lambda f: (f / "run_sampling.star").unlink())
    assert "no sampling.star that tells the point group; give --symmetry, C1 for none" in message(nowhere)
    assert "point group 'X9' is unknown" in message(folder, symmetry="X9")
    write_volume(tmp_path / "mask.mrc", other, 2.0)
    assert "mask.mrc has box (12, 12, 12)" in message(folder, mask=tmp_path / "mask.mrc")
    assert "does not exist" in message(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "has no run_data.star" in message(tmp_path / "empty")
    status, said = run_cli(folder, folder, "--out", tmp_path / "out")
    assert (status, "give NAME=PATH, every name once" in said) == (2, True)


def test_options_name_their_run(tmp_path):
    found = named_runs(["a=x", "y/b"], {"--picked": ["a=10"], "--c1": [f"b={tmp_path}"], "--subsets": ["b=s/*"]})
    assert (found[0].picked, found[1].name, found[1].without_symmetry, found[1].subsets) == (10, "b", tmp_path, "s/*")
    for option, text in (("--picked", "c=10"), ("--picked", "10"), ("--c1", "a=")):
        with pytest.raises(InputError, match="give NAME=VALUE once a run; the runs are a"):
            named_runs(["a=x"], {option: [text]})
    with pytest.raises(InputError, match="must be a whole number"):
        named_runs(["a=x"], {"--picked": ["a=many"]})


def test_subsets_are_refinements_or_a_table(tmp_path):
    for number, count in enumerate((100, 200, 400), 1):
        write_refinement(tmp_path / f"job{number}", count, noise=3 / number)
    run = Run("a", tmp_path / "job3", subsets=str(tmp_path / "job*"))
    found = compare([run], SMALL)[0]["rosenthal_henderson"]
    assert found["particles"] == [100, 200, 400] and found["fit"]["slope"] > 0
    own = compare([Run("a", tmp_path / "job3")], SMALL)[0]["fsc"]["resolution"]["corrected"]["0.143"]["shell"]
    assert found["resolution"][2] == pytest.approx(own)
    (tmp_path / "bad.csv").write_text("particles,resolution\n100,much\n")
    with pytest.raises(InputError, match="bad.csv line 2: give a number"):
        compare([Run("a", tmp_path / "job3", subsets=str(tmp_path / "bad.csv"))], SMALL)
    with pytest.raises(InputError, match="matches no refinement"):
        compare([Run("a", tmp_path / "job3", subsets=str(tmp_path / "none*"))], SMALL)


def test_optics_groups_that_differ_cannot_share_a_map(tmp_path):
    optics = {"rlnOpticsGroup": [1, 2], "rlnImagePixelSize": [2.0, 2.1], "rlnImageSize": [16, 16]}
    particles = {"rlnAngleRot": [0.0, 1.0], "rlnAngleTilt": [0.0, 1.0], "rlnAnglePsi": [0.0, 1.0]}
    path = tmp_path / "mixed.star"
    write_star(path, {"optics": optics, "particles": particles})
    with pytest.raises(InputError, match=r"optics groups differ in rlnImagePixelSize \(2 and 2.1\); reconstruct one group"):
        read_optics(path)
    write_star(path, {"": {**particles, "rlnDetectorPixelSize": [5.0, 5.0], "rlnMagnification": [25000.0, 25000.0]}})
    assert read_optics(path).pixel_size == pytest.approx(2.0)
    with pytest.raises(InputError, match="has no rlnImageName; give extracted particles"):
        reconstruct_halves(path)
    names = {**particles, "rlnImageName": ["1@a.mrcs", "2@a.mrcs"]}
    write_star(path, {"optics": {key: value[:1] for key, value in optics.items()}, "particles": names})
    with pytest.raises(InputError, match="names the stack 'a.mrcs', which is not below here"):
        reconstruct_halves(path, ctf=False)
    write_volume(tmp_path / "a.mrcs", np.ones((2, 16, 16)), 2.0, stack=True)
    with pytest.raises(InputError, match="does not say the CTF"):
        reconstruct_halves(path)
    assert reconstruct_halves(path, ctf=False)[0].shape == (16, 16, 16)
    one_half = {**names, "rlnRandomSubset": [1, 1]}
    write_star(path, {"optics": {key: value[:1] for key, value in optics.items()}, "particles": one_half})
    with pytest.raises(InputError, match="one of the two halves has no particles"):
        reconstruct_halves(path, ctf=False)


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_refine") is None, reason="RELION is not installed: apt-get install relion")
def test_files_that_relion_refine_wrote(tmp_path):
    count, box = 20, 24
    rng = np.random.default_rng(0)
    reference = np.exp(-np.linalg.norm((np.mgrid[:box, :box, :box] - box // 2) / [[[[3]]], [[[4]]], [[[2]]]], axis=0))
    write_volume(tmp_path / "ref.mrc", reference, 4.0)
    write_volume(tmp_path / "parts.mrcs", rng.normal(size=(count, box, box)), 4.0, stack=True)
    optics = {
        "rlnOpticsGroup": [1], "rlnOpticsGroupName": ["o"], "rlnImagePixelSize": [4.0], "rlnImageSize": [box],
        "rlnImageDimensionality": [2], "rlnVoltage": [300.0], "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1],
    }  # fmt: skip
    names = [f"{i + 1}@parts.mrcs" for i in range(count)]
    write_star(tmp_path / "in.star", {"optics": optics, "particles": {"rlnImageName": names, "rlnOpticsGroup": [1] * count}})
    words = "--i in.star --o job/run --ref ref.mrc --firstiter_cc --ini_high 30 --iter 1 --particle_diameter 80 --sym D2"
    words += " --healpix_order 1 --offset_range 1 --offset_step 1 --pad 1 --oversampling 0"
    (tmp_path / "job").mkdir()
    subprocess.run(["relion_refine", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    files = find_refinement(tmp_path / "job")
    assert files.particles.name == "run_it001_data.star" and files.model and files.sampling and files.half_maps is None
    rot, tilt, probability = next(particle_angles(open_particles(files.particles)))
    assert len(rot) == len(tilt) == count and probability is not None and (probability <= 1).all()
    model = read_model(files.model)
    assert (model.pixel_size, model.box, len(model.gold_standard_fsc)) == (4.0, box, box // 2 + 1)
    assert len(model.orientation_distribution) == len(next(find_table(files.sampling, ("sampling_directions",)).chunks(
        ["rlnAngleRot"]))["rlnAngleRot"])  # fmt: skip
    assert model.average_probability == pytest.approx(probability.mean(), abs=1e-3)
    with pytest.raises(InputError, match="did not split its particles; give an auto-refinement"):
        compare([Run("relion", tmp_path / "job")], SMALL)
    for half in (1, 2):
        write_volume(tmp_path / "job" / f"run_it001_half{half}_class001_unfil.mrc", reference, 4.0)
    result = compare([Run("relion", tmp_path / "job")], SMALL)[0]
    assert (result["symmetry"], result["particles"]) == ("D2", count)
    with pytest.raises(InputError, match="give the postprocess.star"):
        read_postprocess(files.sampling)
