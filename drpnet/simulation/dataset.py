"""A folder of simulated micrographs with their truth, laid out as RELION has it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from drpnet import __version__
from drpnet.errors import InputError
from drpnet.io.atomic import whole_folder
from drpnet.io.micrographs import write_micrograph
from drpnet.io.truth import MicrographTruth, optics_table, write_truth_micrographs, write_truth_particles
from drpnet.simulation.micrograph import SimulatedMicrograph, simulate_micrograph
from drpnet.simulation.parameters import SimulationParameters

_RECORD = "simulation.json"
_PREFIX = "simulated"


def simulate_dataset(
    parameters: SimulationParameters, out: Path, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write micrographs/simulated_0001.mrc ..., particles.star, micrographs.star, simulation.json to `out`.

    The folder appears whole or not at all. One made with the same parameters is left as it is; InputError
    when it was made with others or holds something else. `progress` gets (done, total) after each micrograph.
    Returns `out`.
    """
    out = Path(out)
    if _is_done(parameters, out):
        return out
    with whole_folder(out) as building:
        _write(parameters, building, progress)
    return out


def _is_done(parameters: SimulationParameters, out: Path) -> bool:
    if not out.exists():
        return False
    if not out.is_dir():
        raise InputError(f"{out} is a file; name a new folder for the simulated data set")
    record = out / _RECORD
    if not record.exists():
        if any(out.iterdir()):
            raise InputError(f"{out} holds other files and no {_RECORD}; name a new or empty folder")
        return False
    try:
        before = json.loads(record.read_text())["parameters"]
    except (ValueError, KeyError, TypeError) as reason:
        raise InputError(f"{record} is damaged ({reason}); remove the folder or name another") from reason
    # a folder made before a parameter was added was made with its default
    before = {**asdict(SimulationParameters()), **before}
    now = asdict(parameters)
    changed = sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
    if changed:
        name = changed[0]
        raise InputError(
            f"{out} was simulated with {name} {before.get(name)}, now {now.get(name)} "
            f"({len(changed)} differ); remove the folder or name another"
        )
    return True


def _write(
    parameters: SimulationParameters, folder: Path, progress: Callable[[int, int], None] | None
) -> None:
    truths, records = [], []
    digits = max(4, len(str(parameters.micrographs)))
    for index in range(parameters.micrographs):
        micrograph = simulate_micrograph(parameters, index)
        name = f"micrographs/{_PREFIX}_{index + 1:0{digits}d}.mrc"
        write_micrograph(folder / name, micrograph.image, parameters.pixel_size)
        optics = micrograph.optics
        truths.append(
            MicrographTruth(
                name,
                micrograph.centres,
                micrograph.euler_angles,
                optics.defocus_u,
                optics.defocus_v,
                optics.defocus_angle,
            )
        )
        records.append({"name": name, **_record(micrograph)})
        if progress is not None:
            progress(index + 1, parameters.micrographs)
    table = optics_table(
        parameters.pixel_size,
        parameters.voltage_kv,
        parameters.spherical_aberration_mm,
        parameters.amplitude_contrast,
    )
    write_truth_particles(folder / "particles.star", table, truths)
    write_truth_micrographs(folder / "micrographs.star", table, truths)
    record = {"drpnet": __version__, "parameters": asdict(parameters), "micrographs": records}
    (folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n")


def _record(micrograph: SimulatedMicrograph) -> dict[str, object]:
    return {
        "structure": micrograph.structure,
        "particles": len(micrograph.centres),
        "snr": micrograph.snr,
        "carbon": micrograph.carbon is not None,
        "contaminants": len(micrograph.contaminants),
        "denoised": micrograph.denoised,
    }
