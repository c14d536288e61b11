"""Colour, numbers and transparency of image files, and damage of every kind."""

import io
import struct

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from toolkit.errors import ToolkitError
from toolkit.pictures.decode import FORMATS, SUFFIXES
from toolkit.pictures.formats import read_recipe
from toolkit.pictures.io import open_alpha, open_image, open_mask, to_tensor


def saved(picture, format="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    buffer.seek(0)
    return buffer


def rgb_profile(primaries, gamma=2.2):
    """A colour profile of three primaries, X, Y and Z each (D50), and a gamma."""

    def fixed(*numbers):
        return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)
    parts = {
        b"desc": text,
        b"cprt": b"text" + bytes(4) + b"none\0\0\0\0",
        b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249),
    }
    for name, primary in zip(b"rgb", primaries, strict=True):
        parts[bytes([name]) + b"XYZ"] = b"XYZ " + bytes(4) + fixed(*primary)
        parts[bytes([name]) + b"TRC"] = curve
    start = 128 + 4 + 12 * len(parts)
    table, body = struct.pack(">I", len(parts)), b""
    for tag, data in parts.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + table + body


#: Primaries as their profiles have them, adapted to D50.
DISPLAY_P3 = rgb_profile([(0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)])
ADOBE_RGB = rgb_profile([(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)])
COLOURS = Image.fromarray(np.random.default_rng(0).integers(40, 216, (16, 24, 3), np.uint8))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("profile", [DISPLAY_P3, ADOBE_RGB], ids=["P3", "Adobe"])
def test_colours_are_those_that_the_profile_says(format, profile):
    file = saved(COLOURS, format, icc_profile=profile, **({} if format in ("PNG", "TIFF") else {"quality": 100}))
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    plain = Image.open(file).convert("RGB")
    wanted = to_tensor(ImageCms.profileToProfile(plain, source, ImageCms.createProfile("sRGB")))
    file.seek(0)
    assert (open_image(file) - wanted).abs().max() <= 2 / 255
    assert (to_tensor(plain) - wanted).abs().max() > 8 / 255  # that is how far off it would be


def test_transparent_and_grey_pictures_have_profiles_too():
    transparent = COLOURS.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(COLOURS.size))
    wanted = open_image(saved(COLOURS, icc_profile=ADOBE_RGB))
    alpha = open_alpha(saved(transparent, icc_profile=ADOBE_RGB))
    found = open_image(saved(transparent, icc_profile=ADOBE_RGB), background="black")
    assert (found - wanted * alpha).abs().max() < 1.01 / 255
    grey = Image.linear_gradient("L")
    for wrong in (ADOBE_RGB, b"no profile", ADOBE_RGB[:200]):  # of other channels, or damaged: passed over
        assert torch.equal(open_image(saved(grey, icc_profile=wrong)), open_image(saved(grey)))


def test_lab_becomes_rgb():
    red = Image.new("RGB", (4, 4), (200, 30, 30))
    lab = ImageCms.profileToProfile(
        red, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert (open_image(saved(lab, "TIFF")) - to_tensor(red)).abs().max() <= 2 / 255


RAMP = np.linspace(0, 1, 256).reshape(16, 16)


@pytest.mark.parametrize(
    ("values", "format"),
    [
        ((RAMP * 255).astype(np.float32), "TIFF"),
        (RAMP.astype(np.float32), "TIFF"),
        (np.where(RAMP > 0.99, 30, RAMP).astype(np.float32), "TIFF"),  # a light beyond white
        (np.where(RAMP == 0, np.nan, RAMP).astype(np.float32), "TIFF"),
        ((RAMP * 255).round().astype(np.int32), "TIFF"),
        ((RAMP * 65535).round().astype(np.int32), "TIFF"),
        ((RAMP * 65535).round().astype(np.uint16), "TIFF"),
        ((RAMP * 65535).round().astype(np.uint16), "PNG"),
    ],
)
def test_numbers_of_every_kind_are_grey_from_black_to_white(values, format):
    found = open_image(saved(Image.fromarray(values), format))[0, 0].numpy()
    assert np.abs(found - RAMP).max() <= 3 / 255


def tiff(*pages, **options):
    """A TIFF file of pages, which are arrays, or arrays and options of their own."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=options.pop("bigtiff", False)) as writer:
        for page in pages:
            values, own = page if isinstance(page, tuple) else (page, {})
            writer.write(values, metadata=None, **options, **own)
    file.seek(0)
    return file


@pytest.mark.parametrize(("white", "bright"), [(65535, 0.003), (1023, 0.003), (1023, 1)])
def test_a_pgm_says_what_white_is(white, bright):
    values = (RAMP * bright * white).round().astype(">u2")
    file = io.BytesIO(f"P5 16 16 {white}\n".encode() + values.tobytes())
    assert np.abs(open_mask(file)[0, 0].numpy() - values / white).max() <= 0.6 / 255


def test_integers_of_32_bits_fill_their_range():
    found = open_image(tiff((RAMP * (2**32 - 1)).astype(np.uint32)))[0, 0].numpy()
    assert np.abs(found - RAMP).max() <= 1 / 255


#: Red from left to right, green from top to bottom.
SLOPES = np.stack([*np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 40)), np.full((40, 60), 0.5)])
BYTES, SHORTS = (SLOPES * 255).astype(np.uint8), (SLOPES * 65535).astype(np.uint16)
FLOATS = SLOPES.transpose(1, 2, 0).astype(np.float32)
PLANES, GREY = {"photometric": "rgb", "planarconfig": "separate"}, {"photometric": "minisblack"}


@pytest.mark.parametrize(
    "file",
    [
        tiff(SHORTS, **PLANES),
        tiff(SHORTS, **PLANES, tile=(16, 16)),
        tiff(SHORTS, **PLANES, compression="zlib"),
        tiff(np.concatenate([SHORTS, SHORTS[:1]]), **PLANES, extrasamples=["unspecified"]),
        tiff(FLOATS, photometric="rgb"),
        tiff(FLOATS * 255, photometric="rgb", compression="zlib", bigtiff=True),
        tiff(FLOATS.astype(np.float16), photometric="rgb"),
        tiff((SLOPES * (2**32 - 1)).astype(np.uint32), **PLANES),
        tiff(BYTES, **GREY, planarconfig="separate"),
        tiff(BYTES.transpose(1, 2, 0), **GREY, planarconfig="contig"),
        tiff((BYTES[:, ::2, ::2], {"subfiletype": 1}), BYTES, **PLANES),
        tiff((FLOATS[::2, ::2], {"subfiletype": 1}), FLOATS, photometric="rgb"),
        tiff((BYTES, {"subfiletype": 1}), **PLANES),
        tiff(np.rot90(FLOATS), photometric="rgb", extratags=[(274, 3, 1, 6, True)]),
    ],
)
def test_tiffs_that_pillow_refuses_or_misreads_are_read(file):
    assert np.abs(open_image(file)[0].numpy() - SLOPES).max() <= 1 / 255
    file.seek(0)
    assert open_alpha(file) is None


def test_alpha_profile_and_white_of_tiffs_of_larger_numbers():
    file = tiff(np.concatenate([SHORTS, SHORTS[:1]]), **PLANES, extrasamples=["unassalpha"])
    assert np.abs(open_alpha(file)[0].numpy() - SLOPES[:1]).max() <= 1 / 255
    white_is_zero = tiff(65535 - SHORTS[0], photometric="miniswhite")
    assert np.abs(open_image(white_is_zero)[0].numpy() - SLOPES[:1]).max() <= 1 / 255
    plain, profiled = (open_image(tiff(SHORTS, **PLANES, iccprofile=profile)) for profile in (None, DISPLAY_P3))
    assert (plain - profiled).abs().max() > 8 / 255
    with pytest.raises(ToolkitError, match="not a picture in a known format"):
        open_image(tiff(SHORTS, photometric="cielab", planarconfig="separate"))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_an_animation_that_fades_in_gives_its_first_frame_with_something_in_it(format):
    black, bright = Image.new("RGB", (60, 40)), Image.fromarray(BYTES.transpose(1, 2, 0))
    found = open_image(saved(black, format, save_all=True, append_images=[black, bright, black]))
    assert np.abs(found[0].numpy() - SLOPES).mean() <= 10 / 255
    assert open_image(saved(black, format, save_all=True, append_images=[black])).max() == 0


def test_a_colour_of_a_16_bit_png_may_be_transparent():
    file = saved(Image.fromarray(np.array([[1000, 1001, 40_000]], np.uint16)), transparency=1000)
    assert open_alpha(file).flatten().tolist() == [0, 1, 1]


def test_a_pngs_gamma_counts_where_nothing_else_says_its_colours():
    def with_gamma(gamma, *more, **options):
        chunks = PngImagePlugin.PngInfo()
        for kind, data in [(b"gAMA", struct.pack(">I", round(gamma * 100_000))), *more]:
            chunks.add(kind, data)
        return open_image(saved(COLOURS, pnginfo=chunks, **options))

    plain = to_tensor(COLOURS)
    assert (with_gamma(1) - plain ** (1 / 2.2)).abs().max() <= 0.51 / 255
    assert (with_gamma(1 / 1.8) - plain ** (1.8 / 2.2)).abs().max() <= 0.51 / 255
    for same in (with_gamma(0.45455), with_gamma(0), with_gamma(1, (b"sRGB", b"\0"))):
        assert torch.equal(same, plain)
    assert torch.equal(with_gamma(1, icc_profile=ADOBE_RGB), open_image(saved(COLOURS, icc_profile=ADOBE_RGB)))


def test_the_background_of_transparent_parts_is_chosen():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert open_image(saved(clear), background="#008000")[0, :, 0, 0].tolist() == pytest.approx([0, 128 / 255, 0])
    assert open_alpha(saved(clear)).eq(0).all() and open_alpha(saved(COLOURS)) is None


@pytest.mark.parametrize("colour", ["white", "lime", "blue", "red"])
def test_a_mask_may_be_painted_in_any_colour(colour):
    painted = Image.new("RGB", (8, 4))
    painted.paste(colour, (0, 0, 4, 4))
    expected = torch.tensor([1.0] * 4 + [0.0] * 4).expand(1, 1, 4, 8)
    assert torch.equal(open_mask(saved(painted)), expected)
    for paint in (colour, "black"):
        layer = Image.new("RGBA", (8, 4))
        layer.paste(paint, (0, 0, 4, 4))
        assert torch.equal(open_mask(saved(layer)), expected)
    assert not open_mask(saved(Image.new("RGBA", (8, 4), (0, 0, 0, 255)))).any()


def example(format):
    """A small file of a format, with what its readers parse beside the pixels."""
    picture = COLOURS.convert("L").convert("RGB") if format == "PPM" else COLOURS
    options = {"icc_profile": ADOBE_RGB} if format in ("PNG", "JPEG", "TIFF", "WEBP", "AVIF") else {}
    if format == "TIFF":
        options["compression"] = "tiff_lzw"
    if format in ("JPEG", "WEBP", "AVIF", "PNG", "TIFF"):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = 6, "{}"
        options["exif"] = exif
    if format == "MPO":
        options |= {"save_all": True, "append_images": [COLOURS]}
    return saved(picture, format, **options).getvalue()


@pytest.mark.parametrize("format", sorted(FORMATS))
@settings(max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_damage_of_every_kind_is_a_picture_or_a_sentence(format, data):
    whole = example(format)
    damaged = bytearray(whole)
    early = st.integers(0, min(len(whole), 400) - 1)  # most of what readers parse is at the start
    for place, value in data.draw(
        st.lists(st.tuples(early | st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=8)
    ):
        damaged[place] = value
    damaged = bytes(damaged[: data.draw(st.just(len(whole)) | st.integers(0, len(whole)))])
    for read in (open_image, open_mask, open_alpha, read_recipe):
        try:
            read(io.BytesIO(damaged))
        except ToolkitError as error:
            assert str(error).startswith("The picture ")


def test_whole_examples_are_read(tmp_path):
    for format in FORMATS:
        assert max(open_image(io.BytesIO(example(format))).shape) == 24
    assert {".jfif", ".jpe", ".avif", ".jp2", ".jpg", ".tif"} <= set(SUFFIXES)


def test_a_picture_of_a_phone_that_can_not_be_read_says_what_to_install():
    if "HEIF" in FORMATS:
        pytest.skip("pillow-heif is installed")
    with pytest.raises(ToolkitError, match="if it is HEIC, pip install pillow-heif, or save it as JPEG"):
        open_image(io.BytesIO(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(80)))
