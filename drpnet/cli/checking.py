"""drpnet doctor, quality, maps: where coordinates lie, and what particles are worth in 3D."""

from pathlib import Path
from typing import Annotated

import typer

from drpnet.cli.app import app, as_path, user_errors


@app.command(epilog="Example: **drpnet quality drpnet=Refine3D/job020 relion=Refine3D/job031 --out quality**")
def quality(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]RUN...", help="Folders of RELION 3D refinements, or their run_data.star"),
    ],
    out: Annotated[
        Path, typer.Option(parser=as_path, metavar="PATH", help="Folder for quality.json, the pictures and the .bild files")
    ],
    symmetry: Annotated[str | None, typer.Option(help="Point group, C4, D2, O, I1 ...; else that of the refinement")] = None,
    mask: Annotated[
        Path | None, typer.Option(parser=as_path, metavar="PATH", help="Mask (.mrc) for the masked and the corrected FSC")
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
    mass: Annotated[
        float | None, typer.Option(help="Of the particle in kilodalton: isosurfaces enclose its volume; else it is guessed")
    ] = None,
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
        settings = Settings(symmetry=symmetry, mask=mask, box=eod_box, b_factor=eod_b, seed=seed, kilodalton=mass)
        results = compare(named_runs(runs, {option: texts or [] for option, texts in parts.items()}), settings)
        written = write_quality(results, settings, out)
        print_quality(results)
    for path in written:
        typer.echo(f"wrote {path}")


@app.command(epilog="Example: **drpnet maps simulated drpnet=picks log=log_picks --symmetry C4 --out maps**")
def maps(
    simulation: Annotated[Path, typer.Argument(parser=as_path, help="A folder of drpnet simulate, of one structure")],
    picks: Annotated[
        list[str], typer.Argument(metavar="[NAME=]PICKS...", help="Picks of its micrographs, as drpnet evaluate reads them")
    ],
    symmetry: Annotated[str, typer.Option(help="Point group of the structure: C1, C4, D2 ...")],
    out: Annotated[
        Path, typer.Option(parser=as_path, metavar="PATH", help="Folder for maps.json, maps.md, the pictures and the maps")
    ],
    box: Annotated[int, typer.Option(help="Box of the maps in pixels of the micrographs, even")] = 64,
    sets: Annotated[int, typer.Option(help="Sets into which the micrographs are dealt; the intervals are over them")] = 5,
    tolerance: Annotated[float, typer.Option(help="A pick is true within so many particle diameters")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the halves and of random orientations")] = 0,
) -> None:
    """Compare pickers by the maps of their picks, in the orientations that a simulation knows: no refinement.

    Equal numbers of picks; false ones in random and in the best-fitting orientations; centres as picked and true; recall by
    view; what false picks do to a map.
    """
    with user_errors():
        from drpnet.maps.compare import MapSettings, compare_pickers
        from drpnet.maps.results import write_maps
        from drpnet.maps.tables import markdown
        from drpnet.quality.settings import named_runs

        pickers = {run.name: run.path for run in named_runs(picks, {})}
        settings = MapSettings(symmetry=symmetry, box=box, sets=sets, tolerance=tolerance, seed=seed)
        compared = compare_pickers(simulation, pickers, settings)
        written = write_maps(compared, out)
    typer.echo(markdown(compared.result))
    for path in written:
        typer.echo(f"wrote {path}")


@app.command(epilog="Example: **drpnet doctor my_micrographs/ my_labels/ --diameter 180 --fix corrected**")
def doctor(
    micrographs: Annotated[
        str, typer.Argument(help="A folder, a quoted glob ('mics/*.mrc') or a RELION micrographs .star")
    ],
    coordinates: Annotated[
        Path, typer.Argument(parser=as_path, help="Folder of coordinates (.star, .box, .csv ...) or one particles .star")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(parser=as_path, metavar="PATH", help="Labels that are right: compare with them, not with the images"),
    ] = None,
    diameter: Annotated[float | None, typer.Option(help="Longest dimension of the particle in Angstrom")] = None,
    diameter_px: Annotated[float | None, typer.Option(help="The same in pixels; without both it is guessed")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Angstrom per pixel, when the files do not say it")] = None,
    fix: Annotated[
        Path | None,
        typer.Option(parser=as_path, metavar="PATH", help="New folder for the corrected coordinates, if they are wrong"),
    ] = None,
    from_1: Annotated[bool, typer.Option("--from-1", help="With --fix: the file counts pixels from 1")] = False,
    negative_stain: Annotated[bool, typer.Option("--negative-stain", help="Particles are bright on dark")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", parser=as_path, metavar="PATH", help="Also write the findings here")
    ] = None,
) -> None:
    """Find coordinates in the wrong frame: flipped, swapped, binned, corners for centres, a wrong pixel size.

    Exit status: 0 the set is right, 3 something is wrong, 4 it cannot be told, 2 bad input.
    """
    with user_errors():
        from drpnet.doctor.examine import examine
        from drpnet.doctor.findings import PatientConsole, as_json, print_examination
        from drpnet.doctor.fix import can_fix, write_fixed
        from drpnet.evaluation.evaluate import write_json

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
