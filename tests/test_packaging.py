"""The wheel, the checkout and the editable install all serve the console and the one conf/."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from drpnet import __version__

REPOSITORY = Path(__file__).resolve().parents[1]
CONSTRAINTS = REPOSITORY / "constraints.txt"


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished command; nothing of this process' Python path reaches it."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env |= {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", **environment}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def good(*command: object, cwd: Path, **environment: str) -> str:
    """Standard output of a command that must exit with 0."""
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git has of this checkout, so that a build leaves nothing behind here."""
    names = good("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).splitlines()
    copy = tmp_path_factory.mktemp("source")
    for name in names:
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, source
    good(sys.executable, "-m", *build, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds nothing but the wheel's content."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_every_module_every_yaml_and_nothing_else(wheel: Path, source: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        content = {name for name in archive.namelist() if ".dist-info/" not in name}
    code = {path.relative_to(source).as_posix() for path in (source / "drpnet").rglob("*.py")}
    weights = {path.relative_to(source).as_posix() for path in (source / "drpnet" / "weights").glob("*")}
    conf = {f"drpnet/{path.relative_to(source).as_posix()}" for path in (source / "conf").rglob("*.yaml")}
    assert "drpnet/conf/train.yaml" in conf
    data = {"drpnet/download/empiar10017.md5", *(f"drpnet/report/{name}" for name in ("page.html", "report.css", "report.js"))}
    assert content == code | conf | weights | data | {"drpnet/conf/__init__.py"}
    assert wheel.stat().st_size < 20e6


def test_the_wheel_brings_weights_with_a_model_card(unpacked: Path) -> None:
    names = {path.name for path in (unpacked / "drpnet" / "weights").glob("*")}
    assert "default.safetensors" in names
    assert {Path(name).suffix for name in names} >= {".safetensors", ".md"}


def test_the_weights_of_the_unpacked_wheel_load(unpacked: Path, tmp_path: Path) -> None:
    code = "from drpnet.model import find_weights as f, load_model; load_model('default'); print(f('default'))"
    path = good(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(unpacked)).strip()
    assert Path(path).is_relative_to(unpacked)


def test_the_wheel_says_what_it_is(unpacked: Path) -> None:
    (info,) = unpacked.glob("*.dist-info")
    metadata = (info / "METADATA").read_text()
    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nLicense-Expression: BSD-3-Clause\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "drpnet = drpnet.cli:main" in (info / "entry_points.txt").read_text()
    assert (info / "licenses" / "LICENSE").is_file()


def test_the_unpacked_wheel_runs_from_anywhere(unpacked: Path, tmp_path: Path) -> None:
    where = "import drpnet, drpnet.conf; print(drpnet.__file__, drpnet.conf.__file__)"
    found = good(sys.executable, "-c", where, cwd=tmp_path, PYTHONPATH=str(unpacked)).split()
    assert [Path(name).is_relative_to(unpacked) for name in found] == [True, True]
    version = good(sys.executable, "-m", "drpnet.cli", "--version", cwd=tmp_path, PYTHONPATH=str(unpacked))
    assert version.strip() == f"drpnet {__version__}"
    assert list(tmp_path.iterdir()) == []


def test_the_unpacked_wheel_trains_from_its_own_conf(unpacked: Path, source: Path, tmp_path: Path) -> None:
    """`drpnet train` composes what train.py composes, from the YAML inside the wheel."""
    override = ["experiment=trpv1_fcrn", "dataset=simulated_trpv1", "seed=7", "--cfg", "job"]
    command = [sys.executable, "-m", "drpnet.cli", "train", *override]
    installed = good(*command, cwd=tmp_path, PYTHONPATH=str(unpacked))
    checkout = good(sys.executable, "train.py", *override, cwd=source, PYTHONPATH=str(source))
    assert "seed: 7" in installed.splitlines()
    assert installed == checkout


def test_the_checkout_explains_itself(source: Path) -> None:
    """Without an installation: the script beside the package."""
    assert "particle_diameter" in good(sys.executable, "pick.py", "--help", cwd=source, PYTHONPATH=str(source))


@pytest.mark.parametrize("override", ["sed=3", "experiment=trpv1_fcrm"])
def test_a_typo_on_the_command_line_is_an_error(source: Path, override: str) -> None:
    done = run(sys.executable, "train.py", override, "--cfg", "job", cwd=source, PYTHONPATH=str(source))
    assert done.returncode != 0
    assert override.split("=")[0 if override.startswith("sed=") else 1] in done.stderr
    assert "Traceback" not in done.stderr


def test_the_console_names_its_commands(tmp_path: Path) -> None:
    """The command of this environment, an editable installation when it was made by make."""
    text = good(sys.executable, "-m", "drpnet.cli", "--help", cwd=tmp_path, PYTHONPATH=str(REPOSITORY))
    assert {"pick", "threshold", "evaluate", "simulate", "train", "download"} <= set(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("pick", "--out --diameter --pixel-size --weights --profile --no-classifier --threshold --device"),
        ("pick", "--workers --overlay --adapt --preset --min-distance --box-size"),
        ("threshold", "--at"),
        ("evaluate", "--radius-px --diameter-px --rule --border-px --json --csv --figures --also --ceiling --beta"),
        ("table", "--csv"),
        ("report", "--out --micrographs --truth --radius-px --diameter-px --border-px --also --run"),
        ("simulate", "--out"),
        ("download", "--subset --root --workers"),
    ],
)
def test_the_console_has_its_options(tmp_path: Path, command: str, options: str) -> None:
    line = [sys.executable, "-m", "drpnet.cli", command, "--help"]
    text = good(*line, cwd=tmp_path, PYTHONPATH=str(REPOSITORY))
    assert set(options.split()) <= set(text.replace("│", " ").replace(",", " ").split())
    assert "Example: " in text


def new_environment(folder: Path) -> Path:
    """The Python of a bare virtual environment that holds torch alone."""
    good(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    index = ["--extra-index-url", os.environ["TORCH_INDEX"]] if os.environ.get("TORCH_INDEX") else []
    good(python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, *index, "torch", cwd=folder)
    return python


@pytest.mark.slow
def test_a_bare_environment_serves_the_wheel_and_then_an_editable_install(
    wheel: Path, source: Path, tmp_path: Path
) -> None:
    python = new_environment(tmp_path / "environment")
    drpnet = python.parent / "drpnet"
    empty = tmp_path / "empty"
    empty.mkdir()
    overrides = ["train", "experiment=trpv1_fcrn", "--cfg", "job"]

    good(python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, wheel, cwd=empty)
    good(python, "-m", "pip", "check", cwd=empty)
    assert good(drpnet, "--version", cwd=empty).strip() == f"drpnet {__version__}"
    assert "--diameter" in good(drpnet, "pick", "--help", cwd=empty)
    from_wheel = good(drpnet, *overrides, cwd=empty)

    good(python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, "-e", source, cwd=empty)
    where = "import drpnet, drpnet.conf; print(drpnet.__file__, drpnet.conf.__file__)"
    package, conf = good(python, "-c", where, cwd=empty).split()
    assert Path(package) == source / "drpnet" / "__init__.py"
    assert Path(conf) == source / "conf" / "__init__.py"
    assert good(drpnet, "--version", cwd=empty).strip() == f"drpnet {__version__}"
    assert good(drpnet, *overrides, cwd=empty) == from_wheel
    assert list(empty.iterdir()) == []


def test_the_container_recipes_copy_what_a_wheel_is_made_of() -> None:
    """They cannot be built here."""
    container, apptainer = ((REPOSITORY / name).read_text() for name in ("Containerfile", "drpnet.def"))
    for name in ("LICENSE", "constraints.txt", "pyproject.toml", "conf", "drpnet"):
        assert (REPOSITORY / name).exists()
        assert re.search(rf"^COPY .*\b{re.escape(name)} ", container, re.MULTILINE)
        assert f"    {name} /source/{name}\n" in apptainer
    assert "\nUSER drpnet\n" in container and 'ENTRYPOINT ["drpnet"]' in container
    for recipe in (container, apptainer):
        assert "python:3.11-slim" in recipe and "TORCH_INDEX" in recipe and "-c constraints.txt" in recipe


def without_network() -> list[str]:
    """What to put before a command so that it reaches no network; skips where nothing can do that."""
    for words in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            return words
    pytest.skip("no network of its own can be had here (unshare --net), so nothing shows that none is used")


@pytest.mark.long
def test_a_folder_of_wheels_installs_and_picks_without_network(wheel: Path, tmp_path: Path) -> None:
    """As docs/installation.md says; the index is the one that pip is configured for."""
    alone = without_network()
    wheels, empty = tmp_path / "wheels", tmp_path / "empty"
    empty.mkdir()
    index = ["--extra-index-url", os.environ["TORCH_INDEX"]] if os.environ.get("TORCH_INDEX") else []
    gather = sys.executable, "-m", "pip", "wheel", "-q", "-c", CONSTRAINTS, "-w", wheels  # what is no wheel becomes one
    good(*gather, *index, "torch", cwd=empty)
    good(*gather, "--find-links", wheels, *index, wheel, cwd=empty)
    assert (wheels / wheel.name).is_file() and {path.suffix for path in wheels.iterdir()} == {".whl"}

    good(sys.executable, "-m", "venv", tmp_path / "environment", cwd=empty)
    programs = tmp_path / "environment" / "bin"
    nothing_else = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1"}
    install = programs / "python", "-m", "pip", "install", "-q", "--no-index", "--find-links", wheels, "drpnet"
    good(*alone, *install, cwd=empty, **nothing_else)
    good(programs / "python", "-m", "pip", "check", cwd=empty)
    small = "micrographs=1", "height=400", "width=400", "pixel_size=5", "particles_per_micrograph=6"
    home = {"HOME": str(tmp_path / "home")}
    good(*alone, programs / "drpnet", "simulate", "trpv1", "--out", empty / "sim", *small, cwd=empty, **home)
    pick = "pick", empty / "sim" / "micrographs", "--out", empty / "picks", "--diameter", 173
    good(*alone, programs / "drpnet", *pick, cwd=empty, **home)
    assert (empty / "picks" / "particles.star").is_file()


@pytest.mark.slow
def test_the_source_distribution_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    build = "build", "--sdist", "--no-isolation", "--outdir", tmp_path, source
    good(sys.executable, "-m", *build, cwd=tmp_path)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (root,) = (tmp_path / "sdist").iterdir()
    again = "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", tmp_path, root
    good(sys.executable, "-m", *again, cwd=tmp_path)
    (second,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(second) as two:
        assert set(one.namelist()) == set(two.namelist())
