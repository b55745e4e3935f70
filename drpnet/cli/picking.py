"""drpnet pick, threshold."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from drpnet.cli.app import app, as_path, quoted, user_errors
from drpnet.cli.run import run_picking
from drpnet.errors import InputError


@app.command(epilog="Example: **drpnet pick my_micrographs/ --out picks --diameter 180**")
def pick(
    micrographs: Annotated[
        str, typer.Argument(help="A folder, a quoted glob ('mics/*.mrc') or a RELION micrographs .star")
    ],
    out: Annotated[
        Path, typer.Option(parser=as_path, metavar="PATH", help="Folder for the picks; running again continues there")
    ],
    diameter: Annotated[float, typer.Option(help="Longest dimension of the particle in Angstrom")],
    pixel_size: Annotated[float | None, typer.Option(help="Angstrom per pixel, when the files do not say it")] = None,
    weights: Annotated[
        str, typer.Option(help="Name of shipped weights, or a .safetensors file from train.py")
    ] = "default",
    profile: Annotated[
        str | None,
        typer.Option(help="Settings other than those the weights were trained with: paper, released"),
    ] = None,
    no_classifier: Annotated[bool, typer.Option("--no-classifier", help="Use the first network alone")] = False,
    threshold: Annotated[
        str | None, typer.Option(help="Figure of merit to cut at, 0 to 1, or 'all'; overrides --preset")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="recall (many picks, sort out by 2D classes), balanced, precise")
    ] = "balanced",
    min_distance: Annotated[
        float | None, typer.Option(help="Smallest distance of two picks in Angstrom; else 0.6 diameters")
    ] = None,
    box_size: Annotated[
        int | None,
        typer.Option(help="Extraction box in pixels; picks whose box leaves the image go"),
    ] = None,
    adapt: Annotated[
        int | None, typer.Option(help="First train the classifier, without labels, on N of these micrographs")
    ] = None,
    negative_stain: Annotated[bool, typer.Option("--negative-stain", help="Particles are bright on dark")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes, each with its own copy of the networks")] = 1,
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Pick the K-th of N shares only: N programs, one --out, e.g. an array job"),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Go on picking what comes into the folder; a file STOP in --out ends it"),
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also write a picture of every micrograph with its picks")
    ] = False,
    submit: Annotated[
        str | None, typer.Option(metavar="CLUSTER", help="Pick by jobs, a share each: slurm, or local to try them here")
    ] = None,
    shards: Annotated[int | None, typer.Option(help="With --submit: how many shares")] = None,
    job: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="With --submit: slurm_partition=gpu, timeout_min=120; see conf/cluster"),
    ] = None,
) -> None:
    """Find particles in a folder of micrographs.

    Writes a STAR file per micrograph, autopick.star for RELION and particles.star for cryoSPARC. All
    candidates with their scores are kept: *drpnet threshold* moves the cut afterwards without picking again.
    """
    config = pick_config(
        micrographs=micrographs, out=out, weights=weights, preset=preset, device=device, threshold=threshold,
        particle_diameter=diameter, classifier=not no_classifier, workers=workers, overlay=overlay,
        negative_stain=negative_stain, pixel_size=pixel_size, profile=profile, box_size=box_size,
        min_distance=min_distance, adapt=adapt, shard=shard, watch=watch,
    )  # fmt: skip
    if submit is not None:
        _pick_by_jobs(config, submit, shards, job or [])
    elif shards is not None or job:
        with user_errors():
            raise InputError("--shards and --job belong to --submit slurm; one share here is --shard K/N")
    else:
        run_picking(config)


def _pick_by_jobs(config: Any, kind: str, shards: int | None, words: list[str]) -> None:
    """Submit, wait and tell; exits with status 1 when micrographs failed or are left."""
    with user_errors():
        from omegaconf import OmegaConf

        from drpnet.pick import print_result
        from drpnet.pick_jobs import pick_by_jobs
        from drpnet.schema import pick_settings

        if shards is None:
            raise InputError("--submit needs --shards, the number of jobs, such as --shards 16")
        if wrong := next((word for word in words if not re.match(r"\w+=", word)), None):
            raise InputError(f"--job {wrong!r}: give KEY=VALUE, such as --job slurm_partition=gpu")
        settings = pick_settings(config)
        changes = {str(key): value for key, value in OmegaConf.from_dotlist(words).items()}
        result = pick_by_jobs(settings, kind, shards, changes)
        print_result(result, Path(settings.out))
    if result.elsewhere:
        sys.stderr.write(f"{result.elsewhere} micrographs are left; the same command picks them\n")
    if result.elsewhere or result.failures:
        raise SystemExit(1)


_TEXTS = {"micrographs", "out", "weights", "preset", "device", "threshold", "shard"}


def pick_config(**values: object) -> Any:
    """conf/pick.yaml with the values of the command line; None leaves the default."""
    given = {key: value for key, value in values.items() if value is not None}
    with user_errors():
        from drpnet.schema import compose_config

        return compose_config("pick", [f"{key}={quoted(v) if key in _TEXTS else v}" for key, v in given.items()])


@app.command(epilog="Example: **drpnet threshold picks --at 0.3**")
def threshold(
    folder: Annotated[Path, typer.Argument(parser=as_path, help="The --out folder of drpnet pick")],
    at: Annotated[str, typer.Option(help="Figure of merit to cut at, 0 to 1, or 'all'")],
) -> None:
    """Cut picked micrographs at another threshold, without picking again."""
    with user_errors():
        from drpnet.cut import cut, parse_threshold

        result = cut(folder, parse_threshold(at, "balanced"))
    kept = sum(result.picks.values())
    typer.echo(f"{kept} of {result.candidates} candidates at figure of merit >= {result.threshold:g}")
