"""drpnet relion-pick, convert: picks in other programs' pipelines."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from drpnet.cli.app import PASS_ON, app, as_path, user_errors
from drpnet.cli.picking import pick_config


class _RelionCommand(TyperCommand):
    """A command that RELION starts: it learns of a wrong option, too, for its job is marked as failed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if not isinstance(error, typer.Exit) and "--o" in given[:-1]:
                from drpnet.io.relion_jobs import mark_failed

                mark_failed(Path(given[given.index("--o") + 1]))
            raise


@app.command(
    "relion-pick",
    cls=_RelionCommand,
    context_settings=PASS_ON,
    epilog="Example: **drpnet relion-pick --in_mics CtfFind/job003/micrographs_ctf.star --o External/job004/ --diameter 180**",
)
def relion_pick(
    context: typer.Context,
    in_mics: Annotated[str, typer.Option("--in_mics", help="RELION's micrographs .star (*Input micrographs*)")],
    o: Annotated[Path, typer.Option("--o", parser=as_path, metavar="PATH", help="The job's folder; RELION gives it")],
    diameter: Annotated[float, typer.Option(help="Longest dimension of the particle in Angstrom")],
    j: Annotated[int, typer.Option("--j", help="Threads; RELION gives them")] = 1,
    pixel_size: Annotated[
        float | None, typer.Option("--pixel_size", "--pixel-size", help="Angstrom per pixel, when the star does not say it")
    ] = None,
    weights: Annotated[str, typer.Option(help="Name of shipped weights, or a .safetensors file from train.py")] = "default",
    profile: Annotated[str | None, typer.Option(help="Settings other than the weights': paper, released")] = None,
    no_classifier: Annotated[
        bool, typer.Option("--no_classifier", "--no-classifier", help="Use the first network alone")
    ] = False,
    threshold: Annotated[str | None, typer.Option(help="Figure of merit to cut at, 0 to 1, or 'all'")] = None,
    preset: Annotated[str, typer.Option(help="recall, balanced, precise")] = "balanced",
    min_distance: Annotated[
        float | None, typer.Option("--min_distance", "--min-distance", help="Smallest distance of two picks in Angstrom")
    ] = None,
    box_size: Annotated[
        int | None, typer.Option("--box_size", "--box-size", help="Extraction box in px; picks whose box leaves the image go")
    ] = None,
    adapt: Annotated[int | None, typer.Option(help="First train the classifier on N of these micrographs")] = None,
    negative_stain: Annotated[
        bool, typer.Option("--negative_stain", "--negative-stain", help="Particles are bright on dark")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes, which share the threads")] = 1,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also write a picture of every micrograph")] = False,
    relion: Annotated[str | None, typer.Option(help="3.1, 4.0 or 5.0, when the job's files do not say it")] = None,
    pipeline_control: Annotated[str | None, typer.Option("--pipeline_control", hidden=True)] = None,
) -> None:
    """Pick as a job of RELION's type External; RELION fills in what it gives, the rest are its parameters.

    Writes RELION's files into the job's folder and tells the pipeline how it ended. A continued job picks what is new.
    """
    with user_errors():
        from drpnet.io.relion_jobs import JobAborted, exit_files

        try:
            with exit_files(o):
                from drpnet.pick import print_result
                from drpnet.relion_job import relion_pick as run
                from drpnet.relion_job import require_known
                from drpnet.schema import pick_settings

                require_known(context.args)
                config = pick_config(
                    micrographs=in_mics, out=o, weights=weights, preset=preset, device=device, threshold=threshold,
                    particle_diameter=diameter, classifier=not no_classifier, workers=workers, overlay=overlay,
                    negative_stain=negative_stain, pixel_size=pixel_size, profile=profile, box_size=box_size,
                    min_distance=min_distance, adapt=adapt,
                )  # fmt: skip
                result = run(pick_settings(config), j, relion)
                print_result(result, o)
        except JobAborted:
            sys.stderr.write("aborted, as RELION asked; continue the job to pick the rest\n")
            raise SystemExit(2) from None
    if result.failures:
        sys.stderr.write(f"{len(result.failures)} micrographs were not picked; continue the job to try them again\n")


@app.command(epilog="Example: **drpnet convert picks/autopick.star --to cs --out picks.cs --micrographs my_micrographs/**")
def convert(
    coordinates: Annotated[
        Path,
        typer.Argument(
            parser=as_path, help="Folder of coordinate files or one file, of any program: .star .box .cbox .cs .csv .txt .coord"
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            help="star (RELION, one a micrograph), particles (RELION 3.1 and later), particles30 (RELION 3.0), box (EMAN), "
            "cbox (crYOLO), topaz, csv (x,y,score), cryoppp, coord (EMPIAR), cs (cryoSPARC)"
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(parser=as_path, metavar="PATH", help="File for particles, particles30, topaz and cs; else a new folder"),
    ],
    micrographs: Annotated[
        str | None,
        typer.Option(
            help="Folder, quoted glob or .star of the micrographs, or cryoSPARC's .cs of exposures: names, sizes, optics, CTF"
        ),
    ] = None,
    box_size: Annotated[int | None, typer.Option(help="Box in pixels, which .box and .cbox hold")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Angstrom per pixel, for particles and cs")] = None,
    diameter_px: Annotated[float | None, typer.Option(help="Particle diameter in pixels, a column of cryoppp")] = None,
    upside_down: Annotated[
        bool, typer.Option("--upside-down", help="The coordinates count rows from the last one, as CryoPPP's .csv")
    ] = False,
) -> None:
    """Convert coordinates between RELION, cryoSPARC, crYOLO, EMAN, Topaz, CryoPPP and plain text.

    Centres stay where they are in the micrograph, scores where the format has a place for them. What is lost is said.
    """
    with user_errors():
        from drpnet.convert import Options
        from drpnet.convert import convert as run

        options = Options(micrographs, box_size, diameter_px, pixel_size, upside_down)
        done = run(coordinates, to, out, options)
    for note in done.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"wrote {out}: {done.coordinates} coordinates of {done.micrographs} micrographs")
