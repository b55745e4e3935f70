"""The result as Markdown."""

from typing import Any

from experiments.topaz.programs import DETECTORS


def tables(result: dict[str, Any]) -> str:
    """Programs, stages and starts, one table each."""
    parts = [programs(result), stages(result), starts(result["starts"])]
    machine = result["machine"]
    head = (
        f"{result['size']} x {result['size']} px float32, one thread of {machine['processor']}, load {machine['load']}, "
        f"medians of {result['rounds']}"
    )
    return "\n\n".join([head, *("\n".join(part) for part in parts)])


def programs(result: dict[str, Any]) -> list[str]:
    """What a further micrograph costs each program, and its peak memory; the ratio is to `drpnet pick`."""
    ours = result["programs"]["drpnet"]
    base = ours["further_cpu_seconds"]
    rows = [("drpnet pick", base, ours["one"]["cpu_seconds"], ours["several"]["peak_mb"])]
    rows += [("the same in one process, warm", result["stages"]["whole"], None, None)]
    peer = result["programs"].get("topaz")
    if peer:
        first = peer["preprocess"]
        for detector in DETECTORS:
            second = peer[detector]
            rows.append(
                (
                    f"topaz preprocess + extract {detector}",
                    first["further_cpu_seconds"] + second["further_cpu_seconds"],
                    first["one"]["cpu_seconds"] + second["one"]["cpu_seconds"],
                    max(first["several"]["peak_mb"], second["several"]["peak_mb"]),
                )
            )
            rows.append((f"  extract {detector} alone", second["further_cpu_seconds"], None, None))
        rows.append(("  preprocess alone", first["further_cpu_seconds"], None, None))
    lines = ["| program | CPU seconds a further micrograph | ratio | CPU seconds for one, with the start | peak MB |"]
    lines += ["|---|---|---|---|---|"]
    for name, seconds, one, peak in rows:
        lines.append(f"| {name} | {seconds:.3f} | {seconds / base:.2f} | {number(one, 2)} | {number(peak, 0)} |")
    return lines


def stages(result: dict[str, Any]) -> list[str]:
    """Milliseconds of our stages, and the first network's rate."""
    found = result["stages"]
    raw, whole = found["raw_read"], found["whole"]
    lines = ["| stage | CPU milliseconds | share |", "|---|---|---|"]
    lines.append(f"| (raw read of the file) | {1000 * raw:.1f} | |")
    total = sum(found["stages"].values())
    for name, seconds in found["stages"].items():
        lines.append(f"| {name} | {1000 * seconds:.1f} | {100 * seconds / total:.0f} % |")
    lines += [f"| all stages | {1000 * total:.1f} | |", f"| read, pick and write, not in stages | {1000 * whole:.1f} | |", ""]
    rate, peak, (height, width) = found["network_gflops"], found["convolution_gflops"], found["frame"]
    lines.append(
        f"First network: {found['network_gflop']:.1f} GFLOP on {height} x {width} px, {rate:.0f} GFLOP/s; "
        f"a plain 3x3 convolution reaches {peak:.0f} GFLOP/s on this core ({100 * rate / peak:.0f} %). "
        f"{found['candidates']} candidates."
    )
    return lines


def starts(found: dict[str, Any]) -> list[str]:
    """Seconds from the start to the first picks, and what imports take of them."""
    lines = ["| from the start to the first picks | seconds |", "|---|---|"]
    lines += [f"| {name.replace('_', ' ')} | {found[name]:.2f} |" for name in ("warm", "cold", "nothing_compiled")]
    imports = found["imports"]
    largest = ", ".join(f"{name} {seconds:.2f}" for name, seconds in imports["largest"].items())
    lines += ["", f"Imports take {imports['seconds']:.2f} s: {largest}."]
    unwanted = ", ".join(imports["unwanted"])
    lines.append(f"IMPORTED WITHOUT NEED: {unwanted}." if unwanted else "Neither Lightning nor pandas is among them.")
    return lines


def number(value: float | None, digits: int) -> str:
    """A number, or nothing."""
    return "" if value is None else f"{value:.{digits}f}"
