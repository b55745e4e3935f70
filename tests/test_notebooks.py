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


def test_from_micrograph_to_picks_finds_particles(repository: Path) -> None:
    if DEFAULT not in shipped_weights():
        pytest.skip("no default weights are shipped yet (drpnet/weights/default.safetensors)")
    notebook = read(FOLDER / "from_micrograph_to_picks.ipynb")
    notebook.cells.append(nbformat.v4.new_code_cell("print('F', scores['balanced']['f_measure'])"))
    # the checkout as the working folder: its drpnet is the one that runs, installed or not
    resources = {"metadata": {"path": str(repository)}}
    NotebookClient(notebook, timeout=SECONDS_A_CELL, kernel_name="python3", resources=resources).execute()
    name, value = notebook.cells[-1].outputs[0].text.split()
    assert name == "F"
    assert float(value) > 0.6
