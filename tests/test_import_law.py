"""The import law: every module of drpnet/ has a layer and imports only what lies before it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "drpnet"

# Reading order: a module may import those of lower layers, and of its own layer those named before it.
LAYERS: list[list[str]] = [
    ["errors", "config", "archive", "io"],
    [
        "preprocess", "targets", "patches", "floods", "peaks", "selection", "measures", "calibration", "clarity",
        "log_picker", "frames", "simulation", "reconstruction",
    ],
    ["networks", "model", "cascade", "mining", "metrics"],
    ["samples", "labelled", "pairing", "of_particles", "datasets", "unlabelled", "datamodules", "modules", "checkpoints"],
    [
        "complaints", "limits", "schema", "progress", "download", "provenance", "shapes", "ledger", "cut", "convert",
        "evaluation", "quality", "maps", "doctor", "overlay", "diameter", "picking", "pick_many", "report", "scoring",
        "figures", "simulate", "train", "adapt", "pick_folder", "prepare", "pick", "watch", "relion_job", "import_matlab",
        "cluster", "pick_jobs", "sweep",
    ],
    ["cli"],
]  # fmt: skip
ORDER = {name: (layer, place) for layer, names in enumerate(LAYERS) for place, name in enumerate(names)}

# Third-party packages that only some modules may import; None: no module at all.
CONFIGURATION = {"schema", "limits", "train", "adapt", "prepare", "simulate", "sweep", "cli"}
ONLY_IN: dict[str, set[str] | None] = {
    "hydra": CONFIGURATION,
    "omegaconf": CONFIGURATION,
    "pytorch_lightning": {"datamodules", "modules", "checkpoints", "train", "adapt"},
    "lightning": None,
    "wandb": None,
    "tensorboard": None,
    "optuna": {"sweep"},
    "plotly": {"sweep"},
    "submitit": {"cluster"},
    "pandas": {"io"},
    "mrcfile": {"io"},
    "numba": {"floods", "reconstruction"},
    "loky": {"pick_many"},
    "skimage": {"quality"},
    "starfile": {"io"},
    "tifffile": {"io"},
    "h5py": {"io"},
    "PIL": {"io", "overlay", "figures", "report"},
    "matplotlib": {"figures", "evaluation", "quality", "maps"},
    "astropy": None,
    "astropy_healpix": {"reconstruction"},
    "typer": {"cli"},
    "requests": {"download"},
    "urllib3": {"download"},
}
OUTSIDE = {"benchmarks", "conf", "experiments", "notebooks", "tests", "train", "pick"}


def imported(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import in the source of `module`, lazy ones and relative ones too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parts = module.split(".")
                parents = parts[: len(parts) - node.level + is_package]
                origin = ".".join([*parents, *filter(None, [origin])])
            yield node.lineno, origin
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names if origin == "drpnet")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if called in {"import_module", "__import__"} and node.args:
                name = node.args[0]
                yield node.lineno, name.value if isinstance(name, ast.Constant) else "<computed>"


def broken_laws(package: Path) -> list[str]:
    """One line for every breach of the import law in the package `drpnet` in that folder."""
    breaches = []
    for path in sorted(package.rglob("*.py")):
        parts = ["drpnet", *path.relative_to(package).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        parts = parts[:-1] if is_package else parts
        own = parts[1] if len(parts) > 1 else ""
        where = path.relative_to(package.parent).as_posix()
        if own and own not in ORDER:
            table = f"LAYERS of tests/{Path(__file__).name}"
            breaches.append(f"{where}: drpnet.{own} has no layer; give it a place in {table}")
            continue
        for line, name in imported(path.read_text(), ".".join(parts), is_package):
            top, *rest = name.split(".")
            imports = f"{where}:{line}: {own or 'drpnet'} imports"
            if top == "drpnet" and rest and (rest[0] in ORDER or (package / rest[0]).exists()):
                if rest[0] != own and ORDER.get(rest[0], (99, 0)) >= ORDER.get(own, (-1, 0)):
                    breaches.append(f"{imports} {rest[0]}, which comes after it")
            elif top in ONLY_IN and own not in (ONLY_IN[top] or set()):
                allowed = ", ".join(sorted(ONLY_IN[top] or {"no module"}))
                breaches.append(f"{imports} {top}, which is for {allowed}")
            elif top in OUTSIDE:
                breaches.append(f"{imports} {top}, which is not part of the package")
            elif name == "<computed>":
                breaches.append(f"{imports} a computed name, which this test cannot follow")
    return breaches


def test_the_package_keeps_the_law() -> None:
    assert broken_laws(PACKAGE) == []


def test_every_name_in_the_table_exists() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(set(ORDER) - modules - packages) == []


@pytest.mark.parametrize(
    ("file", "source", "breach"),
    [
        ("peaks.py", "from drpnet.cascade import Picker", "peaks.py:1: peaks imports cascade"),
        ("peaks.py", "import drpnet.networks as nets", "peaks.py:1: peaks imports networks"),
        ("peaks.py", "from drpnet import train", "peaks.py:1: peaks imports train"),
        ("peaks.py", "from . import train", "peaks.py:1: peaks imports train"),
        ("peaks.py", "def f():\n    import pandas.core\n", "py:2: peaks imports pandas, which is for io"),
        ("preprocess.py", "from .peaks import find", "preprocess.py:1: preprocess imports peaks"),
        ("simulation/ice.py", "from ..cascade import Picker", "ice.py:1: simulation imports cascade"),
        ("simulation/__init__.py", "from ..cascade import Picker", "py:1: simulation imports cascade"),
        ("io/star.py", "import hydra", "io/star.py:1: io imports hydra"),
        ("train.py", "import wandb", "train.py:1: train imports wandb, which is for no module"),
        ("train.py", "import lightning as L", "py:1: train imports lightning, which is for no module"),
        ("pick.py", "from experiments import table2", "pick.py:1: pick imports experiments"),
        ("pick.py", "import importlib\nimportlib.import_module('PIL')", "pick.py:2: pick imports PIL"),
        ("pick.py", "import importlib\nimportlib.import_module(name)", "py:2: pick imports a computed name"),
        ("__init__.py", "from drpnet.errors import InputError", "__init__.py:1: drpnet imports errors"),
        ("brandnew.py", "", "drpnet.brandnew has no layer; give it a place in LAYERS"),
        ("brandnew/__init__.py", "", "drpnet.brandnew has no layer"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, file: str, source: str, breach: str) -> None:
    package = tmp_path / "drpnet"
    for name in ORDER:
        (package / name).parent.mkdir(exist_ok=True)
        (package / f"{name}.py").touch()
    path = package / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    found = broken_laws(package)
    assert len(found) == 1
    assert breach in found[0]


def test_what_is_allowed_passes(tmp_path: Path) -> None:
    package = tmp_path / "drpnet"
    (package / "io").mkdir(parents=True)
    (package / "io" / "__init__.py").write_text("import mrcfile")
    (package / "io" / "star.py").write_text("import pandas\nfrom . import picks\nfrom ..errors import A")
    (package / "cascade.py").write_text("from drpnet import __version__\nfrom drpnet.io.picks import x")
    (package / "train.py").write_text("import hydra\nfrom drpnet.evaluation.evaluate import evaluate")
    assert broken_laws(package) == []
