"""The notebooks run from top to bottom in a checkout and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from drpnet.model import DEFAULT, shipped_weights

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS_A_CELL = 300


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_committed(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}


def run(repository: Path, name: str, *expressions: str) -> list[float]:
    """The numbers that some expressions have after the last cell of a notebook."""
    if DEFAULT not in shipped_weights():
        pytest.skip("no default weights are shipped yet (drpnet/weights/default.safetensors)")
    notebook = read(FOLDER / f"{name}.ipynb")
    notebook.cells.append(nbformat.v4.new_code_cell(f"print(*[float(value) for value in ({', '.join(expressions)},)])"))
    # the checkout as the working folder: its drpnet is the one that runs, installed or not
    resources = {"metadata": {"path": str(repository)}}
    # what a cell prints may come after its end, on a busy machine by more than the default of 4 s
    client = NotebookClient(notebook, timeout=SECONDS_A_CELL, iopub_timeout=60, kernel_name="python3", resources=resources)
    client.execute()
    return [float(value) for value in notebook.cells[-1].outputs[0].text.split()]


def test_from_micrograph_to_picks_finds_particles(repository: Path) -> None:
    (f_measure,) = run(repository, "from_micrograph_to_picks", "scores['balanced']['f_measure']")
    assert f_measure > 0.6


def test_picking_moves_the_threshold(repository: Path) -> None:
    of = "scores['{}']['{}']".format
    names = ("recall", "balanced", "precise")
    found = run(repository, "picking", *(of(name, key) for key in ("picks", "recall", "precision") for name in names))
    counts, recall, precision = found[:3], found[3:6], found[6:]
    assert counts[0] > counts[1] > counts[2] > 0
    assert recall[0] > recall[1] > recall[2] and recall[0] > 0.6
    assert precision[0] < precision[1] < precision[2]


def test_scoring_tells_picks_from_chance_and_from_a_flip(repository: Path) -> None:
    rules = "scores_by_rule(doubled)['{}']['precision']".format
    flips = (f"f_of['{name}']" for name in ("as picked", "rows counted from the last", "random"))
    one, many, picked, flipped, random, best, chance = run(
        repository, "scoring", rules("common"), rules("many_to_one"), *flips, "best_f", "chance['common']"
    )
    assert one < 0.51 < 0.8 < many
    assert picked > 0.75 and flipped < 0.45 and random < 0.45 and best >= picked
    assert 0.1 < chance < 0.45


def test_the_ablation_table_reads_what_was_measured(repository: Path) -> None:
    rows, deviation, compared = run(repository, "ablation_table", "len(checks)", "max(checks)", "len(rows)")
    assert rows >= 33 and compared > 20
    assert deviation < 2e-4  # F is rounded to four places


def test_from_picks_to_map_ranks_the_truth_first(repository: Path) -> None:
    truth, drpnet, aligned, random = run(
        repository, "from_picks_to_map", "result['pickers'][0]['variants']['false at random']['truth']['mean']",
        "result['pickers'][1]['variants']['false at random']['truth']['mean']",
        "result['false_picks']['series']['false aligned'][-1]['truth']['mean']",
        "result['false_picks']['series']['false at random'][-1]['truth']['mean']",
    )  # fmt: skip
    assert truth < drpnet + 2 < 60  # a picker's map can chance to be as good
    assert aligned < random
