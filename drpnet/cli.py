"""The console: the command drpnet and all that can follow it."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from drpnet import __version__
from drpnet.errors import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="DRPnet picks particles in cryo-electron micrographs: one network predicts where particle centres "
    "are, a second one sorts out false detections.",
)


@contextmanager
def user_errors() -> Iterator[None]:
    """A user's mistake ends in one line and exit status 2, never in a traceback."""
    try:
        yield
    except InputError as error:
        sys.stderr.write(f"error: {' '.join(str(error).splitlines())}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        how = str(stop) or "run a pick again to go on, a training with resume=RUN/checkpoints/last.ckpt"
        sys.stderr.write(f"interrupted; {how}\n")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise  # whoever read our output has gone: typer ends quietly
    except OSError as error:
        logging.getLogger(__name__).debug("unexpected", exc_info=error)
        place = error.filename2 or error.filename or "input or output"
        sys.stderr.write(f"error: {place}: {error.strerror or error}; check the path, its permissions and free space\n")
        raise SystemExit(2) from None


def _path(text: str) -> Path:
    """A path from the command line; the empty text that an unset shell variable leaves would mean the current folder."""
    with user_errors():
        if not text.strip():
            raise InputError("a path on the command line is empty; name the file or folder ('.' is the current folder)")
    return Path(text)


def run_script(main: Callable[[], Any]) -> None:
    """Run a Hydra entry point; what is wrong with its configuration ends in one line."""
    from drpnet.schema import clear_errors

    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises what it would print over several lines
    with user_errors(), clear_errors():
        main()


def run_training(config) -> float:
    """What train.py does with its composed configuration; the run folder is Hydra's."""
    from hydra.core.hydra_config import HydraConfig

    with user_errors():
        from drpnet.train import train

        return train(config, Path(HydraConfig.get().runtime.output_dir))


def run_picking(config) -> None:
    """What pick.py does with its composed configuration; exits with status 1 when a micrograph failed."""
    with user_errors():
        from drpnet.pick import pick, print_result
        from drpnet.schema import pick_settings

        settings = pick_settings(config)
        if settings.watch is None:
            result = pick(settings)
            print_result(result, Path(settings.out))
            failures = result.failures
        else:
            from drpnet.watch import watch

            failures = watch(settings)
    if failures:
        raise SystemExit(1)


def _quoted(value: object) -> str:
    """A value as Hydra's command-line grammar reads it back unchanged."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", str(value))  # a backslash escapes only where a quote follows
    text = re.sub(r"(\\+)\Z", r"\1\1", text)
    return "'" + text.replace("${", "\\${") + "'"


@app.command(epilog="Example: **drpnet pick my_micrographs/ --out picks --diameter 180**")
def pick(
    micrographs: Annotated[
        str, typer.Argument(help="A folder, a quoted glob ('mics/*.mrc') or a RELION micrographs .star")
    ],
    out: Annotated[
        Path, typer.Option(parser=_path, metavar="PATH", help="Folder for the picks; running again continues there")
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
) -> None:
    """Find particles in a folder of micrographs.

    Writes a STAR file per micrograph, autopick.star for RELION and particles.star for cryoSPARC. All
    candidates with their scores are kept: *drpnet threshold* moves the cut afterwards without picking again.
    """
    run_picking(
        _pick_config(
            micrographs=micrographs, out=out, weights=weights, preset=preset, device=device, threshold=threshold,
            particle_diameter=diameter, classifier=not no_classifier, workers=workers, overlay=overlay,
            negative_stain=negative_stain, pixel_size=pixel_size, profile=profile, box_size=box_size,
            min_distance=min_distance, adapt=adapt, shard=shard, watch=watch,
        )
    )  # fmt: skip


_TEXTS = {"micrographs", "out", "weights", "preset", "device", "threshold", "shard"}


def _pick_config(**values: object) -> Any:
    """conf/pick.yaml with the values of the command line; None leaves the default."""
    given = {key: value for key, value in values.items() if value is not None}
    with user_errors():
        from drpnet.schema import compose_config

        return compose_config("pick", [f"{key}={_quoted(v) if key in _TEXTS else v}" for key, v in given.items()])


_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


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
    context_settings=_PASS_ON,
    epilog="Example: **drpnet relion-pick --in_mics CtfFind/job003/micrographs_ctf.star --o External/job004/ --diameter 180**",
)
def relion_pick(
    context: typer.Context,
    in_mics: Annotated[str, typer.Option("--in_mics", help="RELION's micrographs .star (*Input micrographs*)")],
    o: Annotated[Path, typer.Option("--o", parser=_path, metavar="PATH", help="The job's folder; RELION gives it")],
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
                config = _pick_config(
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


@app.command(epilog="Example: **drpnet threshold picks --at 0.3**")
def threshold(
    folder: Annotated[Path, typer.Argument(parser=_path, help="The --out folder of drpnet pick")],
    at: Annotated[str, typer.Option(help="Figure of merit to cut at, 0 to 1, or 'all'")],
) -> None:
    """Cut picked micrographs at another threshold, without picking again."""
    with user_errors():
        from drpnet.cut import cut, parse_threshold

        result = cut(folder, parse_threshold(at, "balanced"))
    kept = sum(result.picks.values())
    typer.echo(f"{kept} of {result.candidates} candidates at figure of merit >= {result.threshold:g}")


@app.command(epilog="Example: **drpnet convert picks/autopick.star --to cs --out picks.cs --micrographs my_micrographs/**")
def convert(
    coordinates: Annotated[
        Path,
        typer.Argument(
            parser=_path, help="Folder of coordinate files, or one file, of any program: .star .box .cbox .cs .csv .txt .coord"
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
        typer.Option(parser=_path, metavar="PATH", help="File for particles, particles30, topaz and cs; else a new folder"),
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


@app.command(epilog="Example: **drpnet evaluate picks my_labels/ --diameter-px 108**")
def evaluate(
    picks: Annotated[
        Path, typer.Argument(parser=_path, help="Folder of picks (.star, .box ...) or one particles .star, of any picker")
    ],
    truth: Annotated[Path, typer.Argument(parser=_path, help="The labels, likewise")],
    radius_px: Annotated[
        float | None, typer.Option(help="Instead of the rule's: a pick is true within this distance of a label, in pixels")
    ] = None,
    diameter_px: Annotated[
        float | None, typer.Option(help="The particle's diameter in pixels; the rule's tolerance follows from it")
    ] = None,
    rule: Annotated[
        str,
        typer.Option(
            help="common (one to one within half a diameter, pooled), common2026, drpnet2019, deeppicker, topaz, cryolo, "
            "cryosegnet, repic, coco, many_to_one; PART=VALUE after a comma changes it: coco,tolerance=0.75"
        ),
    ] = "common",
    box_px: Annotated[float | None, typer.Option(help="Box of rules that compare boxes; else the diameter")] = None,
    border_px: Annotated[float, typer.Option(help="Picks and labels this close to an edge do not count")] = 0.0,
    micrographs: Annotated[
        Path | None,
        typer.Option(
            parser=_path,
            metavar="PATH",
            help="Folder of the micrographs: their sizes, for --border-px, chance and to refuse labels outside",
        ),
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="Picks of another picker, to compare; any number of times")
    ] = None,
    ceiling: Annotated[
        Path | None, typer.Option(parser=_path, metavar="PATH", help="Other labels: how well two annotators agree")
    ] = None,
    beta: Annotated[float, typer.Option(help="Also F-beta: 2 counts recall more, 0.5 precision")] = 1.0,
    pixel_size: Annotated[float | None, typer.Option(help="Angstrom per pixel, when no file says it")] = None,
    ctf: Annotated[
        Path | None, typer.Option(parser=_path, metavar="PATH", help="A .star with the defocus, when none lies near")
    ] = None,
    chance: Annotated[int, typer.Option(help="Random sets for the chance level, where sizes are known; 0: none")] = 3,
    resamples: Annotated[int, typer.Option(help="Bootstrap draws for the intervals; 0: none")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", parser=_path, metavar="PATH", help="Also write the result here")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", parser=_path, metavar="PATH", help="Also write a row a micrograph here")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(parser=_path, metavar="PATH", help="Folder for pictures: curves, scores, offsets")
    ] = None,
) -> None:
    """Score picks against labels: precision, recall, F-measure, average precision, and what they mean.

    Intervals come from a bootstrap over micrographs. *drpnet table* puts the scores of several runs together.
    """
    with user_errors():
        from drpnet.evaluation.evaluate import Extras, write_json
        from drpnet.evaluation.evaluate import evaluate as evaluate_picks
        from drpnet.evaluation.tables import print_evaluation, write_csv

        extras = Extras(
            beta=beta, box_px=box_px, pixel_size=pixel_size, resamples=resamples, chance_draws=chance, seed=seed,
            also=_named_paths(also or []), ceiling=ceiling, ctf=ctf,
        )  # fmt: skip
        result = evaluate_picks(
            picks, truth, radius_px=radius_px, diameter_px=diameter_px, border_px=border_px, rule=rule,
            micrographs=micrographs, extras=extras,
        )  # fmt: skip
        print_evaluation(result)
        if json_file is not None:
            write_json(result, json_file)
        if csv_file is not None:
            write_csv(result, csv_file)
        if figures is not None:
            from drpnet.evaluation.figures import draw_evaluation

            for path in draw_evaluation(result, figures):
                typer.echo(f"wrote {path}")
        from drpnet.doctor import verdict

        if line := verdict(picks, truth, micrographs, diameter_px):
            typer.echo(line)


def _named_paths(texts: list[str]) -> dict[str, Path]:
    """NAME=PATH by name; PATH alone is called by its last part."""
    named: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.rpartition("=")
        name = name if equals else Path(path).stem
        if not name or name in named:
            raise InputError(f"--also {text!r}: give NAME=PATH, every name once")
        named[name] = _path(path)
    return named


@app.command(epilog="Example: **drpnet table outputs/run1 outputs/run2 score.json**")
def table(
    runs: Annotated[
        list[Path],
        typer.Argument(parser=_path, metavar="RUN...", help="Run folders (metrics.json) or files of drpnet evaluate --json"),
    ],
    csv_file: Annotated[
        Path | None, typer.Option("--csv", parser=_path, metavar="PATH", help="Also write the table here")
    ] = None,
) -> None:
    """Put the scores of several runs in one table, with mean and standard deviation."""
    with user_errors():
        from drpnet.evaluation.run_table import print_runs, read_runs, write_runs

        read = read_runs(runs)
        print_runs(read)
        if csv_file is not None:
            write_runs(read, csv_file)


@app.command(epilog="Example: **drpnet report picks --out report.html --truth my_labels/ --diameter-px 108**")
def report(
    picks: Annotated[
        Path, typer.Argument(parser=_path, help="The --out folder of drpnet pick, or picks as drpnet evaluate reads them")
    ],
    out: Annotated[Path, typer.Option(parser=_path, metavar="PATH", help="The page to write, .html")],
    micrographs: Annotated[
        str | None,
        typer.Option(help="Folder, quoted glob or .star of the micrographs, when the picks do not say it; only they show"),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(parser=_path, metavar="PATH", help="Labels: true, false and missed, precision, recall")
    ] = None,
    radius_px: Annotated[
        float | None, typer.Option(help="A pick is true within this distance of a label, in pixels; else half the diameter")
    ] = None,
    diameter_px: Annotated[
        float | None, typer.Option(help="The particle's diameter in pixels, when the picks do not say it")
    ] = None,
    border_px: Annotated[float, typer.Option(help="Picks and labels this close to an edge do not count")] = 0.0,
    also: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="Picks of another picker, side by side")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(parser=_path, metavar="PATH", help="Run folder of train.py: its curves and configuration")
    ] = None,
) -> None:
    """Write one HTML page of picks that opens from disk: move the threshold, look, and save the .star.

    It holds the pictures itself, needs no server and asks the network for nothing.
    """
    with user_errors():
        from drpnet.report.report import Options
        from drpnet.report.report import report as write_report

        options = Options(
            micrographs=micrographs, truth=truth, radius_px=radius_px, diameter_px=diameter_px, border_px=border_px,
            also=_named_paths(also or []), run=run,
        )  # fmt: skip
        done = write_report(picks, out, options)
    for note in done.notes:
        typer.echo(f"note: {note}")
    candidates = ", ".join(f"{count} candidates of {name}" for name, count in done.candidates.items())
    shown = f"{done.micrographs} micrographs at most {done.edge} px wide"
    typer.echo(f"wrote {out}: {done.size / 1e6:.1f} MB, {shown}, {candidates}")


@app.command(epilog="Example: **drpnet quality drpnet=Refine3D/job020 relion=Refine3D/job031 --out quality**")
def quality(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]RUN...", help="Folders of RELION 3D refinements, or their run_data.star"),
    ],
    out: Annotated[
        Path, typer.Option(parser=_path, metavar="PATH", help="Folder for quality.json, the pictures and the .bild files")
    ],
    symmetry: Annotated[str | None, typer.Option(help="Point group, C4, D2, O, I1 ...; else that of the refinement")] = None,
    mask: Annotated[
        Path | None, typer.Option(parser=_path, metavar="PATH", help="Mask (.mrc) for the masked and the corrected FSC")
    ] = None,
    postprocess: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="PostProcess job of a run, or its postprocess.star")
    ] = None,
    c1: Annotated[
        list[str] | None, typer.Option("--c1", metavar="NAME=RUN", help="The same particles refined without symmetry")
    ] = None,
    subsets: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SOURCE", help="For the Rosenthal-Henderson plot: a quoted glob of refinements of random "
                     "subsets, or a .csv with the columns particles,resolution"),
    ] = None,
    picked: Annotated[
        list[str] | None, typer.Option(metavar="NAME=COUNT", help="How many particles were picked, for the table")
    ] = None,
    eod_box: Annotated[int, typer.Option(help="Box of E_od in voxels; it moves the value")] = 64,
    eod_b: Annotated[float, typer.Option(help="B-factor of E_od in voxels squared; it moves the value")] = 160.0,
    seed: Annotated[int, typer.Option(help="Of the random phases")] = 0,
) -> None:
    """Compare refinements, of any picker's particles: FSC, E_od, missing views, probabilities, B-factor.

    Reads what RELION 3.0 and later wrote: run_data.star, half maps, postprocess.star, model.star, sampling.star.
    """
    with user_errors():
        from drpnet.quality.compare import compare, write_quality
        from drpnet.quality.settings import Settings, named_runs
        from drpnet.quality.tables import print_quality

        parts = {"--postprocess": postprocess, "--c1": c1, "--subsets": subsets, "--picked": picked}
        settings = Settings(symmetry=symmetry, mask=mask, box=eod_box, b_factor=eod_b, seed=seed)
        results = compare(named_runs(runs, {option: texts or [] for option, texts in parts.items()}), settings)
        written = write_quality(results, settings, out)
        print_quality(results)
    for path in written:
        typer.echo(f"wrote {path}")


@app.command(epilog="Example: **drpnet doctor my_micrographs/ my_labels/ --diameter 180 --fix corrected**")
def doctor(
    micrographs: Annotated[
        str, typer.Argument(help="A folder, a quoted glob ('mics/*.mrc') or a RELION micrographs .star")
    ],
    coordinates: Annotated[
        Path, typer.Argument(parser=_path, help="Folder of coordinates (.star, .box, .csv ...) or one particles .star")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="PATH", help="Labels that are right: compare with them, not with the images"),
    ] = None,
    diameter: Annotated[float | None, typer.Option(help="Longest dimension of the particle in Angstrom")] = None,
    diameter_px: Annotated[float | None, typer.Option(help="The same in pixels; without both it is guessed")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Angstrom per pixel, when the files do not say it")] = None,
    fix: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="PATH", help="New folder for the corrected coordinates, if they are wrong"),
    ] = None,
    from_1: Annotated[bool, typer.Option("--from-1", help="With --fix: the file counts pixels from 1")] = False,
    negative_stain: Annotated[bool, typer.Option("--negative-stain", help="Particles are bright on dark")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", parser=_path, metavar="PATH", help="Also write the findings here")
    ] = None,
) -> None:
    """Find coordinates in the wrong frame: flipped, swapped, binned, corners for centres, a wrong pixel size.

    Exit status: 0 the set is right, 3 something is wrong, 4 it cannot be told, 2 bad input.
    """
    with user_errors():
        from drpnet.doctor import can_fix, examine, write_fixed
        from drpnet.evaluation.evaluate import write_json
        from drpnet.findings import PatientConsole, as_json, print_examination

        found = examine(
            micrographs, coordinates, labels=labels, diameter=diameter, diameter_px=diameter_px, pixel_size=pixel_size,
            negative_stain=negative_stain,
        )  # fmt: skip
        console = PatientConsole()
        print_examination(found, console)
        if json_file is not None:
            write_json(as_json(found), json_file)
        first = 1 if from_1 else None
        if fix is not None and can_fix(found, first):
            written = write_fixed(found, fix, first)
            for line in (written.words(fix), *(f"LEFT OUT {line}" for line in written.left_out)):
                console.out(line, highlight=False)
        elif fix is not None:
            console.out("nothing was corrected, so nothing was written", highlight=False)
    status = {"right": 0, "unknown": 4}.get(found.diagnosis.kind, 3)
    raise typer.Exit(3 if found.diagnosis.against else status)


@app.command(
    context_settings=_PASS_ON,
    epilog="Example: **drpnet simulate trpv1 --out sim micrographs=5 snr_range=[0.02,0.03]**",
)
def simulate(
    context: typer.Context,
    preset: Annotated[str, typer.Argument(help="A name in conf/simulation: trpv1, beta_galactosidase, general")],
    out: Annotated[Path, typer.Option(parser=_path, metavar="PATH", help="Folder to write")],
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
    context_settings=_PASS_ON, epilog="Example: **drpnet download empiar10005 --subset micrographs:150**"
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
    overrides = [f"dataset={name}", *([] if root is None else [f"dataset.root={_quoted(root)}"])]
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


@app.command(context_settings=_PASS_ON, add_help_option=False, epilog="Example: **drpnet train experiment=trpv1_fcrn**")
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


def _version(value: bool) -> None:
    if value:
        typer.echo(f"drpnet {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


def main() -> None:
    """The installed command `drpnet`."""
    app()


if __name__ == "__main__":
    main()
