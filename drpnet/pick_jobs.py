"""drpnet pick --submit: the shares of a folder as jobs of a cluster, and how far they are."""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drpnet.cluster import Job, pins, submit
from drpnet.errors import InputError
from drpnet.ledger import count_records
from drpnet.schema import PickSchema, cluster_parameters

LOOK = 2.0
"""Seconds between two looks at the pick folder."""


def pick_by_jobs(settings: PickSchema, kind: str, shares: int, changes: Mapping[str, Any]):
    """Pick the folder by one job a share, wait for them, and cut; the same again does what is left.

    Returns a `PickResult`, whose `cut` is None where micrographs are left. `changes`: parameters of submitit beside those
    of conf/cluster. Raises InputError for settings that cannot work by shares.
    """
    from drpnet.cut import cut, parse_threshold
    from drpnet.io.find import MicrographEntry
    from drpnet.ledger import read_records
    from drpnet.pick import PickResult, check, find, share
    from drpnet.pick_folder import failed
    from drpnet.picking import is_picked
    from drpnet.progress import bar, console

    began, out = time.time(), Path(settings.out)
    check(settings)
    if settings.shard is not None or settings.watch is not None or settings.adapt is not None:
        raise InputError("--submit deals out the micrographs itself; leave --shard, --watch and --adapt away")
    if shares < 1:
        raise InputError(f"--shards is {shares}; use 1 or more")
    threshold = parse_threshold(settings.threshold, settings.preset)
    found = find(settings)

    def left() -> list[MicrographEntry]:
        records = read_records(out)
        return [entry for entry in found.entries if not is_picked(out, entry, records, settings.pixel_size)]

    texts = [f"{number}/{shares}" for number in range(1, shares + 1)]
    to_do = left()
    parts = [replace(settings, shard=text) for text in texts if share(to_do, text)]
    jobs: list[Job] = []
    if parts:
        visible = pins(len(parts)) if kind == "local" else [{} for _ in parts]
        jobs = submit(kind, cluster_parameters(kind, changes), out / "jobs", pick_share, [*zip(parts, visible, strict=True)])
    try:
        with bar() as progress:
            task = progress.add_task(f"Picking, {len(jobs)} jobs", total=len(found.entries), visible=bool(jobs))
            while any(job.is_running() for job in jobs):
                progress.update(task, completed=count_records(out))
                time.sleep(LOOK)
            progress.update(task, completed=count_records(out))
    except KeyboardInterrupt:
        names = ", ".join(job.name for job in jobs)
        raise KeyboardInterrupt(f"the jobs {names} go on; cancel them, or wait and give the same command again") from None
    for job in jobs:
        if (problem := job.failure()) is not None:
            console.print(f"[red]failed[/red] {problem}", highlight=False, soft_wrap=True)
    to_do = left()
    bad = failed(out, to_do)
    elsewhere = len(to_do) - len(bad)
    if elsewhere or len(to_do) == len(found.entries):
        return PickResult(None, bad, time.time() - began, elsewhere)
    return PickResult(cut(out, threshold), bad, time.time() - began)


def pick_share(settings: PickSchema, environment: dict[str, str]) -> None:
    """What a job does: pick its share. A micrograph that cannot be picked is noted in the folder."""
    os.environ.update(environment)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")  # into the job's output
    from drpnet.pick import pick

    pick(settings)
