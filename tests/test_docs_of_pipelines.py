"""What docs/relion.md and docs/cryosparc.md have a user type is what the programs take."""

import re
from unittest.mock import create_autospec

import numpy as np
import pytest
import typer

from drpnet.cli import app
from drpnet.io.formats import FORMATS


def commands(text: str) -> list[list[str]]:
    """The drpnet commands of the fenced blocks, as words."""
    blocks = "\n".join(re.findall(r"```\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    return [line.split()[1:] for line in blocks.splitlines() if line.startswith("drpnet ")]


@pytest.mark.parametrize("page", ["relion.md", "cryosparc.md"])
def test_every_command_has_options_that_exist(repository, page):
    found = commands((repository / "docs" / page).read_text(encoding="utf-8"))
    assert len(found) >= 3
    group = typer.main.get_command(app)
    for name, *words in found:
        context = group.commands[name].make_context(name, list(words))
        assert not context.args, (name, context.args)
        if name == "convert":
            assert context.params["to"] in FORMATS


def test_the_table_of_formats_is_the_programs(repository):
    table = (repository / "docs" / "relion.md").read_text(encoding="utf-8").partition("| `--to` |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", table, re.MULTILINE))
    assert list(rows) == list(FORMATS)
    for name, form in FORMATS.items():
        assert ("whole pixels" in rows[name]) == form.whole_pixels and ("--box-size" in rows[name]) == form.box
        assert ("score" in rows[name] or "confidence" in rows[name]) == form.scores


def test_the_lines_for_cryosparc_tools_fit_its_calls(repository, tmp_path, monkeypatch):
    """Against the signatures of the installed library; no server is there to run them."""
    tools = pytest.importorskip("cryosparc.tools", reason="cryosparc-tools is not installed")
    from cryosparc.controllers.job import ExternalJobController
    from cryosparc.controllers.project import ProjectController

    client = create_autospec(tools.CryoSPARC)
    project, job = create_autospec(ProjectController, instance=True), create_autospec(ExternalJobController, instance=True)
    client.return_value.find_project.return_value = project
    project.create_external_job.return_value = job
    monkeypatch.setattr(tools, "CryoSPARC", client)
    monkeypatch.chdir(tmp_path)
    with open("picks.cs", "wb") as file:
        np.save(file, np.zeros(3, dtype=[("uid", "<u8"), ("location/center_x_frac", "<f4")]))
    (block,) = re.findall(r"```python\n(.*?)```", (repository / "docs" / "cryosparc.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(block, {})
    name, saved = job.save_output.call_args.args
    assert name == job.add_output.call_args.args[1] == "picks" and len(saved) == 3
