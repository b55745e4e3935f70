import bz2
import gzip
import struct

import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from drpnet.errors import InputError
from drpnet.io.micrographs import read_micrograph, read_shape, split_suffix, write_micrograph

MODES = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6, "float16": 12}


def ramp(height=5, width=7):
    return np.arange(height * width, dtype=np.float32).reshape(height, width)


def write_bare_mrc(
    path,
    image,
    order="<",
    pixel_size=0.0,
    stamp=True,
    imod_flags=None,
    mode=None,
    nz=1,
    sampling=None,
    extended=b"",
):
    """A second, independent MRC writer: struct only, after the MRC2014 table."""
    height, width = image.shape[-2:]
    header = bytearray(1024)
    mode = MODES[image.dtype.name] if mode is None else mode
    struct.pack_into(f"{order}10i", header, 0, width, height, nz, mode, 0, 0, 0, width, height, nz)
    struct.pack_into(f"{order}6f", header, 40, width * pixel_size, height * pixel_size, nz, 90, 90, 90)
    struct.pack_into(f"{order}3i", header, 64, 1, 2, 3)
    struct.pack_into(f"{order}i", header, 92, len(extended))
    if sampling is not None:
        struct.pack_into(f"{order}3i", header, 28, sampling, sampling, 1)
    if imod_flags is not None:
        struct.pack_into(f"{order}2i", header, 152, 1146047817, imod_flags)
    if stamp:
        header[208:212] = b"MAP "
        header[212:216] = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
    path.write_bytes(bytes(header) + extended + image.astype(image.dtype.newbyteorder(order)).tobytes())
    return path


def assert_is(read, expected, pixel_size):
    image, found = read
    np.testing.assert_array_equal(image, expected)
    assert (
        image.dtype == np.float32
        and image.dtype.isnative
        and image.flags.c_contiguous
        and image.flags.writeable
    )
    assert found == pixel_size


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", MODES)
def test_every_real_mode_in_either_byte_order(tmp_path, dtype, order):
    path = write_bare_mrc(tmp_path / "a.mrc", ramp().astype(dtype), order, pixel_size=1.77)
    assert_is(read_micrograph(path), ramp(), 1.77)
    assert read_shape(path) == (5, 7)


@pytest.mark.parametrize("order", ["<", ">"])
def test_old_file_without_map_stamp(tmp_path, order):
    path = write_bare_mrc(tmp_path / "a.mrc", ramp(), order, pixel_size=3.5, stamp=False)
    assert_is(read_micrograph(path), ramp(), 3.5)


def test_extended_header_is_skipped(tmp_path):
    path = write_bare_mrc(tmp_path / "a.mrc", ramp(), extended=b"x" * 768)
    assert_is(read_micrograph(path), ramp(), None)


@pytest.mark.parametrize(("flags", "top"), [(None, -56), (1, -56), (0, 200)])
def test_bytes_are_signed_unless_imod_says_otherwise(tmp_path, flags, top):
    image = ramp().astype(np.int8)
    image[0, 0] = -56
    path = write_bare_mrc(tmp_path / "a.mrc", image, imod_flags=flags)
    assert read_micrograph(path)[0][0, 0] == top


@pytest.mark.parametrize(
    ("pixel_size", "sampling", "expected"),
    [
        (0.0, None, None),
        (1.0, None, None),
        (1.2156, None, 1.2156),
        (2.0, 0, None),
        (float("nan"), None, None),
    ],
)
def test_pixel_size_unknown_when_the_header_does_not_say(tmp_path, pixel_size, sampling, expected):
    path = write_bare_mrc(tmp_path / "a.mrc", ramp(), pixel_size=pixel_size, sampling=sampling)
    assert read_micrograph(path)[1] == expected


@pytest.mark.parametrize(("suffix", "opener"), [(".gz", gzip.open), (".bz2", bz2.open)])
def test_compressed(tmp_path, suffix, opener):
    plain = write_bare_mrc(tmp_path / "a.mrc", ramp(), pixel_size=1.5)
    path = tmp_path / f"a.mrc{suffix}"
    with opener(path, "wb") as file:
        file.write(plain.read_bytes())
    assert_is(read_micrograph(path), ramp(), 1.5)
    assert read_shape(path) == (5, 7)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"a\.mrc{suffix} is .*(cut short|damaged)"):
        read_micrograph(path)


@pytest.mark.parametrize("suffix", [".mrc", ".mrcs", ".map", ".MRC"])
def test_names_of_mrc_files(tmp_path, suffix):
    assert_is(read_micrograph(write_bare_mrc(tmp_path / f"a{suffix}", ramp())), ramp(), None)


@settings(max_examples=40, deadline=None)
@given(
    image=npst.arrays(
        np.float32,
        npst.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-(2.0**40), 2.0**40, width=32, allow_subnormal=False),
    ),
    pixel_size=st.floats(0.2, 20).map(lambda value: round(value, 4)),
    suffix=st.sampled_from([".mrc", ".mrc.gz", ".mrc.bz2"]),
)
def test_round_trip(tmp_path_factory, image, pixel_size, suffix):
    path = tmp_path_factory.mktemp("round") / f"a{suffix}"
    image.flat[0] = image.flat[-1] + 1e6 if image.size > 1 else image.flat[0]
    write_micrograph(path, image, pixel_size)
    assert read_shape(path) == image.shape
    if image.min() == image.max():
        with pytest.raises(InputError, match="constant"):
            read_micrograph(path)
        return
    back, found = read_micrograph(path)
    np.testing.assert_array_equal(back, image)
    assert found == (None if pixel_size == 1 else pytest.approx(pixel_size, rel=1e-6))


def test_written_file_is_valid_and_reproducible(tmp_path):
    write_micrograph(tmp_path / "a.mrc", ramp(), 1.77)
    write_micrograph(tmp_path / "b.mrc", ramp(), 1.77)
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()
    assert mrcfile.validate(tmp_path / "a.mrc")
    with mrcfile.open(tmp_path / "a.mrc") as mrc:
        assert mrc.header.mode == 2 and float(mrc.header.dmax) == 34 and float(mrc.header.dmean) == 17


@pytest.mark.parametrize("pixel_size", [0.0, -1.0, float("nan")])
def test_no_file_without_a_pixel_size(tmp_path, pixel_size):
    with pytest.raises(InputError, match="pixel_size"):
        write_micrograph(tmp_path / "a.mrc", ramp(), pixel_size)
    assert not list(tmp_path.iterdir())


def test_failed_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        mrcfile.mrcfile.MrcFile, "close", lambda self: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        write_micrograph(tmp_path / "a.mrc", ramp(), 1.5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".tif", ".tiff"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float16"])
def test_tiff(tmp_path, suffix, dtype):
    tifffile.imwrite(tmp_path / f"a{suffix}", ramp().astype(dtype))
    assert_is(read_micrograph(tmp_path / f"a{suffix}"), ramp(), None)
    assert read_shape(tmp_path / f"a{suffix}") == (5, 7)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_compressed_tiff(tmp_path, compression):
    Image.fromarray(ramp().astype(np.uint8)).save(tmp_path / "a.tif", compression=compression)
    assert_is(read_micrograph(tmp_path / "a.tif"), ramp(), None)


def test_big_endian_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", ramp(), byteorder=">")
    assert_is(read_micrograph(tmp_path / "a.tif"), ramp(), None)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png(tmp_path, dtype):
    image = (ramp() * (1 if dtype == "uint8" else 1000)).astype(dtype)
    Image.fromarray(image).save(tmp_path / "a.png")
    assert_is(read_micrograph(tmp_path / "a.png"), image, None)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colour_becomes_luminance(tmp_path, suffix):
    colour = np.zeros((2, 3, 3), np.uint8)
    colour[0, 0], colour[0, 1], colour[0, 2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(colour).save(tmp_path / f"a{suffix}")
    image = read_micrograph(tmp_path / f"a{suffix}")[0]
    np.testing.assert_allclose(image[0], [76.245, 149.685, 29.07], rtol=1e-5)
    assert (image[1] == 0).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "1"])
def test_other_picture_modes(tmp_path, mode):
    grey = np.zeros((6, 6), np.uint8)
    grey[:3] = 255
    Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_micrograph(tmp_path / "a.png")[0], grey, atol=0.01)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg(tmp_path, suffix):
    smooth = np.add.outer(np.arange(32), 2 * np.arange(48)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / f"a{suffix}", quality=98)
    image, pixel_size = read_micrograph(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(image, smooth, atol=4)
    assert pixel_size is None and read_shape(tmp_path / f"a{suffix}") == (32, 48)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("suffix", [".mrc", ".tif"])
def test_pixels_that_are_not_finite(tmp_path, bad, suffix):
    image = ramp()
    image[2, 3] = bad
    path = tmp_path / f"a{suffix}"
    write_bare_mrc(path, image) if suffix == ".mrc" else tifffile.imwrite(path, image)
    with pytest.raises(InputError, match=r"1 pixels that are NaN or infinite.*leave it out"):
        read_micrograph(path)


def test_constant_image(tmp_path):
    path = write_bare_mrc(tmp_path / "a.mrc", np.full((4, 4), 3, np.float32))
    with pytest.raises(InputError, match=r"a\.mrc is constant \(every pixel 3\)"):
        read_micrograph(path)


@pytest.mark.parametrize("read", [read_micrograph, read_shape])
class TestRefused:
    def refuses(self, read, path, message):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)

    def test_missing(self, read, tmp_path):
        self.refuses(read, tmp_path / "a.mrc", "does not exist")

    def test_folder(self, read, tmp_path):
        (tmp_path / "a.mrc").mkdir()
        self.refuses(read, tmp_path / "a.mrc", "is a folder")

    def test_other_suffix(self, read, tmp_path):
        (tmp_path / "a.eer").write_bytes(b"x")
        self.refuses(read, tmp_path / "a.eer", r"use \.mrc")

    @pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz", ".mrc.bz2", ".tif", ".png", ".jpg"])
    def test_empty(self, read, tmp_path, suffix):
        (tmp_path / f"a{suffix}").touch()
        self.refuses(read, tmp_path / f"a{suffix}", "is empty")

    @pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz", ".mrc.bz2", ".tif", ".png", ".jpg"])
    @pytest.mark.parametrize(
        "content", [b"hello", b"<?xml version='1.0'?><Error/>" * 100, bytes(range(256)) * 40]
    )
    def test_foreign_bytes(self, read, tmp_path, suffix, content):
        (tmp_path / f"a{suffix}").write_bytes(content)
        self.refuses(read, tmp_path / f"a{suffix}", "no MRC file|cannot be read as a picture|damaged")

    @pytest.mark.parametrize("kept", [1, 500, 1023, 1024, 1163])
    def test_truncated(self, read, tmp_path, kept):
        path = write_bare_mrc(tmp_path / "a.mrc", ramp())
        path.write_bytes(path.read_bytes()[:kept])
        self.refuses(read, path, "no MRC file|cut short")

    @pytest.mark.parametrize("mode", [3, 4])
    def test_complex(self, read, tmp_path, mode):
        path = write_bare_mrc(tmp_path / "a.mrc", np.zeros((4, 16), np.float32), mode=mode)
        self.refuses(read, path, "complex")

    @pytest.mark.parametrize(("mode", "message"), [(101, "4-bit"), (7, "no MRC file"), (-1, "no MRC file")])
    def test_other_mode(self, read, tmp_path, mode, message):
        self.refuses(read, write_bare_mrc(tmp_path / "a.mrc", ramp(), mode=mode), message)

    @pytest.mark.parametrize("suffix", [".mrc", ".mrcs", ".mrc.gz"])
    def test_stack(self, read, tmp_path, suffix):
        path = write_bare_mrc(tmp_path / f"a{suffix}", np.stack([ramp(), ramp()]), nz=2)
        if suffix.endswith(".gz"):
            path.write_bytes(gzip.compress(path.read_bytes()))
        self.refuses(read, path, "holds 2 images")

    def test_tiff_stack(self, read, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.stack([ramp(8, 9)] * 5), photometric="minisblack")
        self.refuses(read, tmp_path / "a.tif", "holds 5 images")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_truncated_picture(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_micrograph(path)


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=1200),
    suffix=st.sampled_from([".mrc", ".mrc.gz", ".mrc.bz2", ".tif", ".png", ".jpg"]),
)
def test_no_bytes_give_another_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("fuzz") / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_micrograph(path)


@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, 255), value=st.binary(min_size=4, max_size=4))
def test_a_damaged_header_word_gives_an_image_or_an_input_error(tmp_path_factory, position, value):
    path = write_bare_mrc(tmp_path_factory.mktemp("fuzz") / "a.mrc", ramp(), pixel_size=2.0)
    content = bytearray(path.read_bytes())
    content[4 * position : 4 * position + 4] = value
    path.write_bytes(content)
    try:
        image, _ = read_micrograph(path)
    except InputError:
        return
    assert image.shape == read_shape(path) and np.isfinite(image).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mrc", ("a", ".mrc")),
        ("FoilHole_1.25_x.MRC.gz", ("FoilHole_1.25_x", ".mrc.gz")),
        ("a.b.tiff", ("a.b", ".tiff")),
        ("a.mrcs.bz2", ("a", ".mrcs.bz2")),
        ("a.star", ("a.star", "")),
        (".mrc", (".mrc", "")),
    ],
)
def test_split_suffix(name, expected):
    assert split_suffix(name) == expected


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
def test_a_header_that_promises_terabytes_is_refused_before_any_is_reserved(tmp_path, suffix):
    content = bytearray(write_bare_mrc(tmp_path / "a.mrc", ramp()).read_bytes())
    struct.pack_into("<2i", content, 0, 2_000_000, 1_000_000)
    path = tmp_path / f"b.mrc{suffix}"
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[suffix](bytes(content)))
    with pytest.raises(InputError, match="cut short"):
        read_micrograph(path)
