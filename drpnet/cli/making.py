"""drpnet train, sweep, simulate, download, import-matlab: what picking needs."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from drpnet.cli.app import PASS_ON, app, as_path, quoted, user_errors
from drpnet.cli.run import run_script, run_training
from drpnet.errors import InputError


@app.command(
    context_settings=PASS_ON,
    epilog="Example: **drpnet simulate trpv1 --out sim micrographs=5 snr_range=[0.02,0.03]**",
)
def simulate(
    context: typer.Context,
    preset: Annotated[str, typer.Argument(help="A name in conf/simulation: trpv1, beta_galactosidase, general")],
    out: Annotated[Path, typer.Option(parser=as_path, metavar="PATH", help="Folder to write")],
) -> None:
    """Simulate micrographs with known particles; further arguments KEY=VALUE change the parameters."""
    with user_errors():
        from drpnet.schema import build, compose_config
        from drpnet.simulate import simulate as run
        from drpnet.simulation.parameters import SimulationParameters

        for argument in context.args:
            if not re.match(r"[\w.]+=", argument):
                raise InputError(f"{argument!r} is no parameter; give KEY=VALUE, for example micrographs=5")
        base = [f"simulation@dataset.simulation={preset}", "dataset=simulated_trpv1"]
        changes = [f"++dataset.simulation.{argument}" for argument in context.args]
        run(build(SimulationParameters, compose_config("train", base + changes).dataset.simulation), out)
    typer.echo(f"wrote {out / 'micrographs'}, {out / 'particles.star'} and {out / 'micrographs.star'}")


@app.command(
    context_settings=PASS_ON, epilog="Example: **drpnet download empiar10005 --subset micrographs:150**"
)
def download(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A data set of conf/dataset: empiar10005, empiar10017, empiar10061")],
    subset: Annotated[
        str, typer.Option(help="coords, micrographs:N (the first N that have coordinates, with them) or all")
    ] = "all",
    root: Annotated[Path | None, typer.Option(help="Folder instead of the data set's own below DRPNET_DATA")] = None,
    workers: Annotated[int, typer.Option(help="Files at a time")] = 4,
) -> None:
    """Download micrographs and coordinates from the archive; again after an interruption to go on.

    Movies and particle stacks stay there. Further arguments KEY=VALUE change the archive's facts (url=MIRROR).
    """
    overrides = [f"dataset={name}", *([] if root is None else [f"dataset.root={quoted(root)}"])]
    overrides += [f"++dataset.archive.{argument}" for argument in context.args]
    with user_errors():
        from drpnet.download.record import size_text
        from drpnet.download.run import download as run
        from drpnet.schema import compose_config, conf_folder, dataset_facts

        if not (conf_folder() / "dataset" / f"{name}.yaml").is_file():
            raise InputError(f"no data set is called {name!r}; use empiar10005, empiar10017 or empiar10061")
        dataset = dataset_facts(compose_config("train", overrides).dataset)
        if dataset.archive is None:
            raise InputError(f"{name} is in no archive; use empiar10005, empiar10017 or empiar10061")
        done = run(dataset, dataset.archive, subset, workers)
    came = f"{done.fetched} of them came now" if done.fetched else "nothing was left to fetch"
    typer.echo(f"{dataset.root} has all {done.files} files, {size_text(done.bytes)}; {came}")


@app.command(context_settings=PASS_ON, add_help_option=False, epilog="Example: **drpnet train experiment=trpv1_fcrn**")
def train(context: typer.Context) -> None:
    """Train a network; the arguments are train.py's (drpnet train --help lists them)."""
    import hydra

    from drpnet.schema import conf_folder, register

    register()
    program = sys.argv[0]

    def main(config) -> float:
        # in these words Lightning starts a process for each further device
        sys.argv = [program, "train", *context.args]
        return run_training(config)

    sys.argv = ["drpnet train", *context.args]  # what Hydra reads
    run_script(hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")(main))


@app.command(
    context_settings=PASS_ON,
    epilog="Example: **drpnet sweep sweep=fcrn_lr study=outputs/sweeps/lr trials=50 workers=2 dataset=simulated_trpv1**",
)
def sweep(context: typer.Context) -> None:
    """Search better settings by many trainings, each a process of its own; the same command again goes on.

    sweep=NAME (conf/sweep) or sweep=FILE.yaml, study=FOLDER, trials=N, workers=N, cluster=slurm or local, wandb=true; every
    other KEY=VALUE goes to the trainings. Exit status 1 where no training is complete.
    """
    with user_errors():
        from drpnet.sweep.settings import sweep_run

        settings = sweep_run(context.args)
        try:
            from drpnet.sweep.report import print_summary
            from drpnet.sweep.run import sweep as run
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] not in ("optuna", "plotly"):
                raise
            raise InputError(f"sweeps need {error.name}, which is not installed: pip install 'drpnet[sweep]'") from None
        try:
            found = run(settings)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command again goes on") from None
        print_summary(found, settings.sweep, settings.study)
    if not found.has_best:
        sys.stderr.write(f"no training is complete; see {settings.study / 'trials'}\n")
        raise SystemExit(1)
    typer.echo(f"the best: {settings.study / 'best'}; all: {settings.study / 'results.csv'}, {settings.study / 'report.html'}")


@app.command(epilog="Example: **drpnet import-matlab cnet_1.mat --out cnet_1.safetensors**")
def import_matlab(
    network: Annotated[Path, typer.Argument(help="models/cnet_1.mat of the authors' release (MATLAB v7.3)")],
    out: Annotated[Path, typer.Option(help="File to write, NAME.safetensors")],
) -> None:
    """Turn the first network that DRPnet's authors published into weights for drpnet pick.

    You fetch the file yourself, from github.com/Electron-Microscopy-Core/DRPnet. It is the authors', **for academic use
    only**, and so is what this command writes: see the LICENSE that lies beside theirs. No MATLAB is needed. Their second
    network was never published, hence *--no-classifier*; --diameter is their box, e.g. 140 px = 248 Angstrom for
    EMPIAR-10017.
    """
    with user_errors():
        from drpnet.import_matlab import import_matlab as run

        run(network, out)
    typer.echo(f"wrote {out}, for academic use only under the authors' licence; to run the released pipeline with it:")
    typer.echo(f"drpnet pick MICROGRAPHS --out picks --diameter BOX --profile released --weights {out} --no-classifier")
