"""drpnet evaluate, table, report: how good picks are."""

from pathlib import Path
from typing import Annotated

import typer

from drpnet.cli.app import app, as_path, user_errors
from drpnet.errors import InputError


@app.command(epilog="Example: **drpnet evaluate picks my_labels/ --diameter-px 108**")
def evaluate(
    picks: Annotated[
        Path, typer.Argument(parser=as_path, help="Folder of picks (.star, .box ...) or one particles .star, of any picker")
    ],
    truth: Annotated[Path, typer.Argument(parser=as_path, help="The labels, likewise")],
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
            parser=as_path,
            metavar="PATH",
            help="Folder of the micrographs: their sizes, for --border-px, chance and to refuse labels outside",
        ),
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="Picks of another picker, to compare; any number of times")
    ] = None,
    ceiling: Annotated[
        Path | None, typer.Option(parser=as_path, metavar="PATH", help="Other labels: how well two annotators agree")
    ] = None,
    beta: Annotated[float, typer.Option(help="Also F-beta: 2 counts recall more, 0.5 precision")] = 1.0,
    pixel_size: Annotated[float | None, typer.Option(help="Angstrom per pixel, when no file says it")] = None,
    ctf: Annotated[
        Path | None, typer.Option(parser=as_path, metavar="PATH", help="A .star with the defocus, when none lies near")
    ] = None,
    chance: Annotated[int, typer.Option(help="Random sets for the chance level, where sizes are known; 0: none")] = 3,
    resamples: Annotated[int, typer.Option(help="Bootstrap draws for the intervals; 0: none")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", parser=as_path, metavar="PATH", help="Also write the result here")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", parser=as_path, metavar="PATH", help="Also write a row a micrograph here")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(parser=as_path, metavar="PATH", help="Folder for pictures: curves, scores, offsets")
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
        from drpnet.doctor.glance import verdict

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
        named[name] = as_path(path)
    return named


@app.command(epilog="Example: **drpnet table outputs/run1 outputs/run2 score.json**")
def table(
    runs: Annotated[
        list[Path],
        typer.Argument(parser=as_path, metavar="RUN...", help="Run folders (metrics.json) or files of drpnet evaluate --json"),
    ],
    csv_file: Annotated[
        Path | None, typer.Option("--csv", parser=as_path, metavar="PATH", help="Also write the table here")
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
        Path, typer.Argument(parser=as_path, help="The --out folder of drpnet pick, or picks as drpnet evaluate reads them")
    ],
    out: Annotated[Path, typer.Option(parser=as_path, metavar="PATH", help="The page to write, .html")],
    micrographs: Annotated[
        str | None,
        typer.Option(help="Folder, quoted glob or .star of the micrographs, when the picks do not say it; only they show"),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(parser=as_path, metavar="PATH", help="Labels: true, false and missed, precision, recall")
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
        Path | None, typer.Option(parser=as_path, metavar="PATH", help="Run folder of train.py: its curves and configuration")
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
