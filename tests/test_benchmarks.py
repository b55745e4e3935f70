"""The benchmarks measure what picking does; that it is fast is not tested."""

import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from benchmarks import training
from benchmarks.micrographs import PIXEL_SIZE, write_micrographs
from benchmarks.programs import Cost, answer, cost, further, median, one_and_several
from benchmarks.stages import convolution_peak, floating_point_operations, job_of, pick_in_stages
from benchmarks.starts import import_seconds
from benchmarks.tables import tables
from drpnet.cascade import Picker
from drpnet.cut import read_candidates
from drpnet.errors import InputError
from drpnet.ledger import read_records
from drpnet.model import load_model
from drpnet.networks import FCRN
from drpnet.pick_folder import claim
from drpnet.picking import load, pick_one

STAGES = ["read", "preprocess", "network", "peaks", "patches", "classifier", "write", "cut"]


def test_the_start_drops_out():
    assert further(one=10.0, several=13.0, count=4) == 1.0
    costs = {1: Cost(5.0, 6.0, 100.0), 3: Cost(9.0, 10.0, 120.0)}
    asked: Counter[int] = Counter()

    def run(count: int) -> Cost:
        asked[count] += 1
        return costs[count]

    found = one_and_several(run, 3, rounds=2)
    assert found["further_cpu_seconds"] == 2.0 and found["several"]["peak_mb"] == 120.0
    assert asked == {1: 2, 3: 2}
    assert median([Cost(1, 9, 5), Cost(2, 8, 6), Cost(3, 7, 7)]) == Cost(2, 8, 6)


def test_what_a_program_costs():
    # in a light process: this one's memory would count
    code = (
        "import sys; from benchmarks.programs import cost\n"
        "for words in ('pass', 'x = bytes(1) * 200_000_000; y = sum(range(3_000_000))'):\n"
        "    found = cost([sys.executable, '-c', words]); print(found.peak_mb, found.cpu_seconds, found.seconds)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    small, large = ([float(word) for word in line.split()] for line in done.stdout.splitlines())
    assert large[0] > small[0] + 150
    assert large[1] > small[1] and large[2] > 0
    with pytest.raises(InputError, match=r"(?s)ended with 3: .*it was me"):
        cost([sys.executable, "-c", "import sys; print('it was me'); sys.exit(3)"])
    cost([sys.executable, "-c", "import os; assert os.environ['OMP_NUM_THREADS'] == os.environ['A'] == '1'"], {"A": "1"})


def test_the_measuring_process_is_light():
    code = "import sys, benchmarks.speed; print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    assert answer("timeit", "-n", 1, "-r", 1, code).startswith("[]")


def test_import_times_by_package():
    log = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       200 |        200 |   numpy._core\n"
        "import time:      1000 |       1200 | numpy\n"
        "INFO 1 micrographs\n"
        "import time:        50 |         50 | re\n"
    )
    assert import_seconds(log) == pytest.approx({"numpy": 0.0012, "re": 0.00005})


def test_operations_are_those_of_the_kernels():
    kernels = 9 * 9 * 32 + 3 * 3 * 32 * 32 + 7 * 32 * 32 + 7 * 32 * 32 + 3 * 3 * 32
    assert floating_point_operations(FCRN(), (10, 20)) == 2 * kernels * 200
    assert convolution_peak(rounds=1, size=16) > 0


@pytest.mark.parametrize("weights", ["default", "cascade"])
def test_the_stages_are_what_picking_does(tmp_path, weights):
    write_micrographs(tmp_path, 900, 3)
    assert [len(list((tmp_path / name).glob("*.mrc"))) for name in ("one", "several", "many")] == [1, 3, 15]
    picker = Picker(load_model(weights))
    stages: list[str] = []

    @contextmanager
    def watch(name: str):
        stages.append(name)
        yield

    written = []
    for name in ("staged", "whole"):
        job, entry = job_of(tmp_path / "one" / "m0.mrc", tmp_path / name)
        claim(job.settings, "")
        if name == "staged":
            found, shape = pick_in_stages(picker, entry, job, watch)
        else:
            pick_one(picker, entry, job, load(entry, None))
        (record,) = read_records(tmp_path / name).values()
        written.append((record, read_candidates(tmp_path / name, record)))
    (record, staged), (expected_record, expected) = written
    second = {"patches", "classifier"}
    assert stages == [name for name in STAGES if picker.classifier is not None or name not in second]
    assert record == expected_record
    assert len(expected.centres) > 3
    for values in ("centres", "figure_of_merit", "detection_score", "classifier_score"):
        np.testing.assert_array_equal(getattr(staged, values), getattr(expected, values))
    np.testing.assert_allclose(found.centres, expected.centres, atol=1e-3)
    assert shape == tuple(round(900 * PIXEL_SIZE * 20 / 173) for _ in range(2))
    assert torch.is_grad_enabled()


def test_the_tables_have_ratios():
    one = {"cpu_seconds": 3.0, "seconds": 4.0, "peak_mb": 300.0}
    program = {"one": one, "several": one, "micrographs": 6, "further_cpu_seconds": 0.5}
    slow = {**program, "further_cpu_seconds": 2.0}
    result = {
        "size": 3710, "rounds": 5, "machine": {"processor": "a core", "load": 0.1},
        "programs": {"drpnet": program, "topaz": {"preprocess": program, "resnet16": slow, "resnet8": program}},
        "stages": {
            "whole": 0.4, "raw_read": 0.01, "stages": dict.fromkeys(STAGES, 0.05), "candidates": 9, "frame": [521, 521],
            "network_gflop": 14.0, "network_gflops": 30.0, "convolution_gflops": 60.0,
        },
        "starts": {
            "warm": 1.0, "cold": 2.0, "nothing_compiled": 9.0,
            "imports": {"seconds": 0.9, "largest": {"torch": 0.5}, "unwanted": ["pandas"]},
        },
    }  # fmt: skip
    text = tables(result)
    assert "| drpnet pick | 0.500 | 1.00 | 3.00 | 300 |" in text
    assert "| topaz preprocess + extract resnet16 | 2.500 | 5.00 | 6.00 | 300 |" in text
    assert "30 GFLOP/s" in text and "(50 %)" in text and "IMPORTED WITHOUT NEED: pandas" in text
    del result["programs"]["topaz"]
    assert "topaz" not in tables(result)


def test_what_a_training_step_costs(capsys):
    case = training.Case("tiny", lambda: FCRN(width=4), 32)
    row = training.measured(case, steps=2, rounds=1)
    assert set(row) == {"plain", "bare", "lightning"} and all(seconds > 0 for seconds in row.values())
    facts = {"steps": 2, "rounds": 1, "machine": {"processor": "x", "load": 0.5}}
    said = training.table({"rows": {"tiny": {"plain": 0.3, "bare": 0.2, "lightning": 0.21}}, **facts})
    assert "| tiny | 300.0 | 200.0 | 1.50 | 210.0 | 5.0 % |" in said


def test_the_bare_loop_learns_as_lightning_does():
    """The two epochs that are compared do the same work: the same weights come out, but for the schedule's falling rate."""
    case, patches = training.Case("tiny", lambda: FCRN(width=4), 32), training.dataset(32, 5 * training.BATCH)
    trained = []
    epochs = (
        lambda module: training.bare_epoch(module.network, patches, torch.channels_last),
        lambda module: training.lightning_epoch(module, patches),
    )
    for epoch in epochs:
        torch.manual_seed(0)
        module = training.module(case)
        before = [parameter.detach().clone() for parameter in module.parameters()]
        epoch(module)
        trained.append([(after - start).flatten() for after, start in zip(module.parameters(), before, strict=True)])
    bare, light = (torch.cat(parts) for parts in trained)
    assert torch.nn.functional.cosine_similarity(bare, light, dim=0) > 0.9 and bare.norm() > 0
