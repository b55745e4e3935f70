"""Thousands of damaged and hostile files: each is read, or refused by an InputError that names it.

Never another exception, a crash, a wait without end, or memory without bounds. The damage is drawn from a seed; the short
form runs always, the long one with -m slow.
"""

import gzip
import io
import json
import multiprocessing
import os
import pickle
import random
import re
import resource
import signal
import struct
import traceback
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

from drpnet.checkpoints import check_checkpoint
from drpnet.errors import InputError
from drpnet.import_matlab import build_fcrn
from drpnet.io.coordinates import read_coordinates, read_micrograph_coordinates
from drpnet.io.cryosparc_coordinates import read_exposures
from drpnet.io.find import find_micrographs
from drpnet.io.matlab import read_network
from drpnet.io.micrographs import read_micrograph, read_pixel_size, read_shape, write_micrograph
from drpnet.io.picks import read_candidates_star
from drpnet.io.star import read_columns, read_star
from drpnet.io.star_stream import find_table
from drpnet.io.volumes import read_volume, write_volume
from drpnet.ledger import read_manifest, read_records
from drpnet.model import Model, load_model, save_model
from drpnet.networks import FCRN, PatchClassifier

SECONDS, MEMORY = 60, 2 << 30
"""What one file may take; far more than any needs, on a busy machine too."""
PICKS = """
data_

loop_
_rlnCoordinateX #1
_rlnCoordinateY #2
_rlnAutopickFigureOfMerit #3
10.5 20.25 0.75
30 40 0.5
"""
CANDIDATES = """
data_

loop_
_rlnCoordinateX #1
_rlnCoordinateY #2
_rlnAutopickFigureOfMerit #3
_drpnetDetectionScore #4
_drpnetClassifierScore #5
10.5 20.25 0.75 0.4 nan
30 40 0.5 0.2 0.1
"""
PARTICLES = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographPixelSize #3
opticsGroup1 1 1.5

data_particles

loop_
_rlnMicrographName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnOriginXAngst #4
_rlnOriginYAngst #5
_rlnOpticsGroup #6
"a b.mrc" 10 20 0.5 0.25 1
c.mrc 30 40 1 1 1
"""
MICROGRAPHS = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographPixelSize #3
_rlnVoltage #4
opticsGroup1 1 1.5 300

data_micrographs

loop_
_rlnMicrographName #1
_rlnDefocusU #2
_rlnOpticsGroup #3
whole.mrc 10000 1
"""
CBOX = """
data_global

_cbox_format_version 1.0

data_cryolo

loop_
_CoordinateX #1
_CoordinateY #2
_CoordinateZ #3
_Width #4
_Height #5
_Confidence #6
10 20 <NA> 30 30 0.5
"""
HOSTILE = [
    "nan", "inf", "-inf", "1e400", "-1", "0", "", "1e18", "9" * 400, "x", "é", "\0", '"', "'", "\t", "data_", "loop_", "#",
    "_a", "<NA>", "None", "\u2028", "1_0", "0x10", "١٢",
]  # fmt: skip
BREAKS = [b"\r\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"\n\n", b"\x0c", b"\x1c", b"\xc2\x85"]
VALUES: list[object] = [
    None, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, float("nan"), "x", "", [], [1, 2], {}, {"a": 1}, True, [[]],
    "drpnet.networks.UNet",
]  # fmt: skip


def a_picture(form: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 20), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=form)
    return buffer.getvalue()


def a_cs(exposures: bool) -> bytes:
    common: list[tuple] = [("uid", "<u8")]
    if exposures:
        rest = [("micrograph_blob/path", "S8"), ("micrograph_blob/shape", "<u4", (2,)), ("micrograph_blob/psize_A", "<f4")]
    else:
        rest = [
            ("location/micrograph_path", "S8"), ("location/micrograph_shape", "<u4", (2,)), ("location/center_x_frac", "<f4"),
            ("location/center_y_frac", "<f4"), ("pick_stats/ncc_score", "<f4"),
        ]  # fmt: skip
    table = np.ones(3, dtype=common + rest)
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=False)
    return buffer.getvalue()


def a_mat(path: Path) -> bytes:
    """A file that opens as the published network does, with two of its layers."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("cnet", data=np.zeros((1, 6), np.uint32)).attrs["MATLAB_class"] = np.bytes_(b"SeriesNetwork")
        saved, references = file.create_group("#refs#"), []
        for name in ("imageinput", "conv_1"):
            group = saved.create_group(name)
            text = group.create_dataset("Name", data=np.array([[ord(c)] for c in name], np.uint16))
            text.attrs["MATLAB_class"] = np.bytes_(b"char")
            group.create_dataset("Stride", data=np.ones((2, 1)))
            group.create_group("Weights").create_dataset("Value", data=np.ones((2, 2, 3, 3), np.float32))
            references.append(group.ref)
        file["#subsystem#/MCOS"] = np.array([references], h5py.ref_dtype)
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file, Platform: TEST".ljust(128)
    return bytes(content)


def a_model(path: Path) -> bytes:
    networks = {
        "fcrn": {"name": "drpnet.networks.FCRN", "arguments": {"width": 2}},
        "classifier": {"name": "drpnet.networks.PatchClassifier", "arguments": {"widths": [1, 1, 1, 1], "hidden": 2}},
    }
    save_model(Model(FCRN(width=2), PatchClassifier(widths=(1, 1, 1, 1), hidden=2), architectures=networks), path)
    return path.read_bytes()


def a_checkpoint(path: Path) -> bytes:
    keys = {"epoch": 0, "global_step": 0, "pytorch-lightning_version": "2.6.0", "loops": {}, "callbacks": {}}
    torch.save({"state_dict": FCRN(width=1).state_dict(), **keys, "optimizer_states": [], "lr_schedulers": []}, path)
    return path.read_bytes()


def a_manifest() -> bytes:
    record = {
        "name": "m", "path": "m.mrc", "tree": ".", "stem": "m", "shape": [3, 4], "pixel_size": 1.5, "optics": {}, "ctf": None,
        "file": [1, 2],
    }  # fmt: skip
    return json.dumps({"drpnet": "1", "parameters": {}, "micrographs": [record]}).encode()


def of_mrc(path: Path) -> None:
    for read in (read_shape, read_pixel_size, read_micrograph):
        read(path)


def of_coordinates(path: Path) -> None:
    for read in (read_micrograph_coordinates, read_coordinates):
        try:
            read(path)
        except InputError as error:
            named(path, error)
            if read is read_coordinates and "several micrographs" not in str(error):
                raise


def of_star(path: Path) -> None:
    read_columns(path)
    read_star(path)
    of_coordinates(path)


def of_stream(path: Path) -> None:
    for _ in find_table(path, ["particles"]).chunks(["rlnCoordinateX"], ["rlnMicrographName"]):
        pass


def of_manifest(path: Path) -> None:
    read_manifest(path.parent)
    read_records(path.parent)


def seeds(folder: Path) -> dict[str, tuple[str, bytes, Callable[[Path], object]]]:
    """Kinds of files: a name, the content of a good one, and what reads it."""
    write_micrograph(folder / "whole.mrc", np.random.default_rng(0).normal(size=(16, 20)), 1.5)
    mrc = (folder / "whole.mrc").read_bytes()
    write_volume(folder / "map.mrc", np.random.default_rng(0).normal(size=(8, 8, 8)), 1.5)
    return {
        "mrc": ("m.mrc", mrc, of_mrc),
        "mrc.gz": ("m.mrc.gz", gzip.compress(mrc), of_mrc),
        "map": ("map.mrc", (folder / "map.mrc").read_bytes(), read_volume),
        "tif": ("m.tif", a_picture("TIFF"), of_mrc),
        "png": ("m.png", a_picture("PNG"), of_mrc),
        "jpg": ("m.jpg", a_picture("JPEG"), of_mrc),
        "picks star": ("a_autopick.star", PICKS.encode(), of_star),
        "particles star": ("p.star", PARTICLES.encode(), of_star),
        "candidates star": ("a_candidates.star", CANDIDATES.encode(), read_candidates_star),
        "micrographs star": ("micrographs.star", MICROGRAPHS.encode(), lambda path: find_micrographs(str(path))),
        "refined star": ("run_data.star", PARTICLES.encode(), of_stream),
        "box": ("a.box", b"1 2 30 30 0.5\n3 4 30 30 0.25\n", of_coordinates),
        "cbox": ("a.cbox", CBOX.encode(), of_coordinates),
        "csv": ("a.csv", b"x,y,score\n1,2,0.5\n3,4,0.25\n", of_coordinates),
        "topaz": ("a.txt", b"image_name\tx_coord\ty_coord\tscore\nm\t1\t2\t0.5\nn\t3\t4\t1\n", of_coordinates),
        "txt": ("b.txt", b"1 2 0.5\n3 4 0.25\n", of_coordinates),
        "dat": ("coordinate_m_bin3.dat", b"1 2 0 1236\n3 4 0 600\n", of_coordinates),
        "cs": ("a.cs", a_cs(exposures=False), of_coordinates),
        "exposures cs": ("e.cs", a_cs(exposures=True), read_exposures),
        "safetensors": ("w.safetensors", a_model(folder / "seed.safetensors"), load_model),
        "ckpt": ("last.ckpt", a_checkpoint(folder / "seed.ckpt"), lambda path: check_checkpoint(str(path), FCRN(width=1))),
        "mat": ("net.mat", a_mat(folder / "seed.mat"), lambda path: build_fcrn(path, read_network(path))),
        "run.json": ("run.json", a_manifest(), of_manifest),
    }  # fmt: skip


def damaged(good: bytes, other: bytes, draw: random.Random) -> bytes:
    """The content of a file after one to three accidents."""
    content = bytearray(good)
    for _ in range(draw.randint(1, 3)):
        kind, size = draw.randrange(12), len(content)
        start = draw.randrange(size + 1)
        stop = min(size, start + draw.choice([1, 4, 16, 256]))
        if kind == 0:
            del content[start:]
        elif kind == 1:
            del content[start:stop]
        elif kind == 2:
            content[start:start] = content[start:stop] * draw.choice([1, 2, 100])
        elif kind == 3:
            content[start:stop] = other[start : start + draw.choice([4, 64, 1024])]
        elif kind == 4:
            content[start:stop] = draw.randbytes(stop - start)
        elif kind == 5 and size:
            for _ in range(draw.randint(1, 20)):
                content[draw.randrange(size)] ^= 1 << draw.randrange(8)
        elif kind in (6, 7) and size >= 4:  # a number in a header, aligned
            place = draw.randrange(min(size, 1024) // 4) * 4
            value = draw.choice([0, 1, -1, 2, 6, 2**31 - 1, -(2**31), 2**30, 2**16, 1 << 24, draw.getrandbits(31)])
            content[place : place + 4] = struct.pack(draw.choice("<>") + "i", value)
        elif kind in (8, 9):  # a word of a text
            words = list(re.finditer(rb"[^\s,]+", content))
            if words:
                word = draw.choice(words)
                content[word.start() : word.end()] = draw.choice(HOSTILE).encode(draw.choice(["utf-8", "utf-16", "utf-8"]))
        elif kind == 10:
            content[start:start] = draw.choice(BREAKS)
        elif kind == 11 and draw.random() < 0.2:
            return content.decode("latin-1").encode("utf-16")
    return bytes(content)


def twisted(good: bytes, kind: str, draw: random.Random) -> bytes:
    """The same file with a value of its JSON replaced by another, or taken away."""
    if kind == "run.json":
        return json.dumps(_twist(json.loads(good), draw)).encode()
    path = Path("twisted.safetensors")
    path.write_bytes(good)
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in list(file.keys())}
        settings = json.loads(file.metadata()["drpnet"])
    return save(tensors, metadata={"drpnet": json.dumps(_twist(settings, draw))})


def _twist(value: object, draw: random.Random) -> object:
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        if draw.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _twist(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.7:
        place = draw.randrange(len(value))
        return [_twist(item, draw) if place == i else item for i, item in enumerate(value)]
    return draw.choice(VALUES)


def place_something(path: Path, kind: str, good: bytes, other: bytes, draw: random.Random) -> None:
    """Make a damaged file at `path`, rarely an empty one, a folder, or a pipe that nobody writes to."""
    choice = draw.random()
    if choice < 0.005:
        path.write_bytes(b"")
    elif choice < 0.01:
        path.mkdir()
    elif choice < 0.015:
        os.mkfifo(path)
    elif kind in ("safetensors", "run.json") and choice < 0.6:
        path.write_bytes(twisted(good, kind, draw))
    else:
        path.write_bytes(damaged(good, other, draw))


def named(path: Path, error: InputError) -> None:
    """An error of a user's file is a line of bearable length that names the file."""
    text = str(error)
    name = path.parent if path.name == "run.json" else path
    assert str(name) in text and len(text.replace(str(name), "")) < 700, text


class TooLong(BaseException):
    """Raised in the middle of what takes too long."""


def _too_long(*_: object) -> None:
    raise TooLong


def _try_out(folder: str, count: int, seed: int, report: str) -> None:
    """In a process of its own, whose memory is bounded: read `count` damaged files of each kind, write what went wrong."""
    torch.set_num_threads(1)
    os.chdir(folder)
    kinds = seeds(Path(folder))
    problems: list[str] = []
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _too_long)
    for kind, (name, good, read) in kinds.items():
        place, draw = Path(folder) / kind / name, random.Random(f"{kind} {seed}")
        place.parent.mkdir()
        for number in range(count):
            place_something(place, kind, good, draw.choice(list(kinds.values()))[1], draw)
            Path(report).write_text(json.dumps([*problems, f"{kind} {number}: crashed"]))
            problem = trial(place, read)
            if problem:
                problems.append(f"{kind} {number}: {problem}")
                if place.is_file():
                    Path(f"{report}.{kind}.{number}").write_bytes(place.read_bytes())
            place.rmdir() if place.is_dir() else place.unlink()
    Path(report).write_text(json.dumps(problems))


def trial(path: Path, read: Callable[[Path], object]) -> str:
    """Read a file; what went wrong but for a proper refusal."""
    signal.alarm(SECONDS)
    try:
        read(path)
    except InputError as error:
        try:
            named(path, error)
        except AssertionError as reason:
            return f"does not name the file: {str(reason)[:300]}"
    except (Exception, TooLong):
        return traceback.format_exc()[-1500:]
    finally:
        signal.alarm(0)
    return ""


def test_what_is_to_be_damaged_is_good(tmp_path, monkeypatch):
    """Or the damage would show nothing."""
    monkeypatch.chdir(tmp_path)
    for kind, (name, good, read) in seeds(tmp_path).items():
        path = tmp_path / kind / name
        path.parent.mkdir()
        path.write_bytes(good)
        if kind == "mat":
            with pytest.raises(InputError, match="another network"):
                read(path)
        else:
            read(path)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="bounds the memory by /proc")
@pytest.mark.parametrize("count", [24, pytest.param(400, marks=pytest.mark.long)])
def test_a_damaged_file_is_read_or_refused(tmp_path, count):
    """24 of each of 23 kinds, 552 in all; 9,200 in the long form."""
    report = tmp_path / "report.json"
    process = multiprocessing.get_context("forkserver").Process(target=_try_out, args=(str(tmp_path), count, 0, str(report)))
    process.start()
    process.join(1800)
    problems = json.loads(report.read_text()) if report.exists() else ["did not start"]
    if process.is_alive():
        process.kill()
    assert (process.exitcode, problems) == (0, []), "\n".join(problems)


BOMBS = {
    "header.mrc": lambda: struct.pack("<10i", 2**31 - 1, 2**31 - 1, 1, 2, 0, 0, 0, 1, 1, 1).ljust(1024, b"\0"),
    "extended.mrc": lambda: _mrc_with_extended(2**31 - 1),
    "array.cs": lambda: _npy("{'descr': [('uid', '<u8')], 'fortran_order': False, 'shape': (1099511627776,), }"),
    "archive.cs": lambda: b"PK\x03\x04".ljust(200, b"\0") + b"PK\x05\x06".ljust(22, b"\0"),
}


def _mrc_with_extended(size: int) -> bytes:
    head = struct.pack("<10i", 16, 16, 1, 2, 0, 0, 0, 16, 16, 1).ljust(92, b"\0")
    return (head + struct.pack("<i", size)).ljust(4096, b"\0")


def _npy(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize("name", BOMBS)
def test_a_header_that_asks_for_more_than_the_file_holds_takes_no_memory(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BOMBS[name]())
    tracemalloc.start()
    with pytest.raises(InputError) as error:
        of_mrc(path) if path.suffix == ".mrc" else of_coordinates(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    named(path, error.value)
    assert most < 4 << 20


@pytest.mark.parametrize("arguments", [{"width": 10**6}, {"width": 2**62}, {"width": -3}, {"width": "x"}, {"size": 3}])
def test_a_network_that_the_file_does_not_hold_takes_no_memory(tmp_path, arguments):
    path = tmp_path / "w.safetensors"
    settings = {"fcrn": {"name": "drpnet.networks.FCRN", "arguments": arguments}}
    save_model(Model(FCRN(width=2), architectures=settings), path)
    with pytest.raises(InputError, match="does not fit the network") as error:
        load_model(path)
    named(path, error.value)


class Malice:
    """What runs a command when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple:
        return Path.touch, (self.sentinel,)


@pytest.mark.parametrize("form", ["pickle", "torch", "numpy", "archive"])
def test_no_pickle_is_ever_loaded(tmp_path, form):
    """Whatever such a file is called, nothing in it runs: as a checkpoint, as weights, as coordinates, as a micrograph."""
    sentinel = tmp_path / "sentinel"
    buffer, malice = io.BytesIO(), Malice(sentinel)
    if form == "pickle":
        pickle.dump({"state_dict": malice}, buffer)
    elif form == "torch":
        torch.save({"state_dict": malice}, buffer)
    elif form == "numpy":
        np.save(buffer, np.array([malice], dtype=object), allow_pickle=True)
    else:
        np.savez(buffer, a=np.array([malice], dtype=object))
    readers: dict[str, Callable[[Path], object]] = {
        "last.ckpt": lambda path: check_checkpoint(str(path), FCRN(width=1)), "w.safetensors": load_model, "w.ckpt": load_model,
        "a.cs": of_coordinates, "e.cs": read_exposures, "a.npy": of_coordinates, "a.txt": of_coordinates, "m.mrc": of_mrc,
        "net.mat": read_network,
    }  # fmt: skip
    for name, read in readers.items():
        (tmp_path / name).write_bytes(buffer.getvalue())
        with pytest.raises(InputError) as error:
            read(tmp_path / name)
        named(tmp_path / name, error.value)
    assert not sentinel.exists()
    if form != "archive":  # the bait is real
        load = {"pickle": pickle.loads, "numpy": lambda text: np.load(io.BytesIO(text), allow_pickle=True)}.get(
            form, lambda text: torch.load(io.BytesIO(text), weights_only=False)
        )
        load(buffer.getvalue())
        assert sentinel.exists()


def test_a_checkpoint_without_what_lightning_wants_is_refused(tmp_path):
    torch.save({"state_dict": FCRN(width=1).state_dict()}, tmp_path / "half.ckpt")
    with pytest.raises(InputError, match="half.ckpt does not fit .*epoch"):
        check_checkpoint(str(tmp_path / "half.ckpt"), FCRN(width=1))


def test_what_the_long_form_found(tmp_path, monkeypatch):
    """One file of each class of defect that thousands of damaged files showed."""
    monkeypatch.chdir(tmp_path)
    micrographs = MICROGRAPHS.replace("whole.mrc", "9" * 400 + ".mrc")
    for name, content, read, words in (
        ("broken.cs", _npy("{'descr': [('uid', '<u8')], 'shape': ("), of_coordinates, "no structured numpy array"),
        ("e.cs", a_cs(exposures=True).replace(b"1\0\0\0\0\0\0\0", b"\xff\xf6\0\0\0\0\0\0"), read_exposures, "no UTF-8"),
        ("long.star", micrographs.encode(), lambda path: find_micrographs(str(path)), "do not exist"),
        ("big.cbox", CBOX.replace("30 0.5", "30 " + "9" * 400).encode(), of_coordinates, "big.cbox"),
        ("run.json", a_manifest().replace(b'"tree": "."', b'"tree": 3'), of_manifest, "not a manifest"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words):
            read(tmp_path / name)
