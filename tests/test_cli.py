import json
import subprocess
import sys
from pathlib import Path

import pytest

from drpnet import __version__
from drpnet.cli import app
from drpnet.cli.app import quoted
from drpnet.schema import compose_config

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("pytorch_lightning", "matplotlib", "torchmetrics", "wandb")


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_picking_starts_without_what_it_does_not_need():
    code = "import sys; import drpnet.cli, {0}; print([m for m in {1} if m in sys.modules])"
    assert fresh(code.format("drpnet.pick", HEAVY)).strip() == "[]"
    assert fresh(code.format("drpnet.cut", (*HEAVY, "torch", "hydra"))).strip() == "[]"


COMMANDS = [
    (), ("pick",), ("relion-pick",), ("threshold",), ("convert",), ("evaluate",), ("table",), ("doctor",), ("simulate",),
    ("download",), ("import-matlab",), ("sweep",),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_needs_no_torch(command):
    code = (
        "import sys\nfrom drpnet.cli import app\n"
        f"try: app([*{command!r}, '--help'])\nexcept SystemExit as stop: assert not stop.code\n"
        "print('torch' in sys.modules)"
    )
    shown = fresh(code)
    assert shown.splitlines()[-1] == "False"
    assert not command or f"drpnet {command[0]}" in shown.replace("\n", " ").partition("Example")[2]


def test_the_version(capsys):
    with pytest.raises(SystemExit):
        app(["--version"])
    assert capsys.readouterr().out.strip() == f"drpnet {__version__}"


@pytest.mark.parametrize(
    "text", ["plain", "it's", "a b,c=d", "[x]", "{y}", "back\\slash\\", "${z}", "null", "3", "*.mrc"]
)
def test_any_path_reaches_the_settings_unchanged(text):
    from drpnet.schema import pick_settings

    config = compose_config("pick", [f"micrographs={quoted(text)}", "out=o", "particle_diameter=1"])
    assert pick_settings(config).micrographs == text


def test_the_score_says_which_classifier_picked(tmp_path, capsys):
    for folder in ("picks", "truth"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("x,y\n10,10\n30,30\n")
    (tmp_path / "picks" / "run.json").write_text(json.dumps({"note": "classifier: adapted without labels"}))
    report = tmp_path / "score.json"
    with pytest.raises(SystemExit):
        app(["evaluate", *(str(tmp_path / f) for f in ("picks", "truth")), "--radius-px", "2", "--json", str(report)])
    assert "classifier: adapted without labels" in " ".join(capsys.readouterr().out.split())
    result = json.loads(report.read_text())
    assert result["note"] == "classifier: adapted without labels" and result["f_measure"] == 1
