"""Pictures of every kind, opened alike or refused in a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.pictures.formats import encoded, read_recipe, save_image
from toolkit.pictures.io import cover, fit, open_image, to_picture, to_tensor


def refused(source):
    with pytest.raises(ToolkitError) as error:
        open_image(source)
    return str(error.value)


def saved(picture, format="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    buffer.seek(0)
    return buffer


def colour_of(source):
    return open_image(source)[0, :, 0, 0].tolist()


def test_every_mode_becomes_rgb():
    red = Image.new("RGB", (8, 6), (255, 0, 0))
    assert colour_of(saved(red)) == [1, 0, 0]
    assert colour_of(saved(red.quantize(4))) == [1, 0, 0]
    assert colour_of(saved(Image.new("L", (8, 6), 51))) == pytest.approx([0.2] * 3)
    assert colour_of(saved(Image.fromarray(np.full((6, 8), 13107, np.uint16)))) == pytest.approx([0.2] * 3)
    assert colour_of(saved(Image.new("1", (8, 6), 1))) == [1, 1, 1]
    cmyk = colour_of(saved(Image.new("CMYK", (8, 6), (0, 255, 255, 0)), "JPEG", quality=100))
    assert cmyk == pytest.approx([1, 0, 0], abs=0.02)


def test_transparency_is_laid_on_white():
    assert colour_of(saved(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))) == [1, 1, 1]
    assert colour_of(saved(Image.new("RGBA", (4, 4), (0, 0, 0, 51)))) == pytest.approx([0.8] * 3)
    assert colour_of(saved(Image.new("LA", (4, 4), (0, 0)))) == [1, 1, 1]
    assert colour_of(saved(Image.new("P", (4, 4), 0), transparency=0)) == [1, 1, 1]


def test_a_picture_that_a_camera_turned_is_upright():
    picture = Image.new("RGB", (30, 20))
    exif = picture.getexif()
    exif[0x0112] = 6
    assert open_image(saved(picture, "JPEG", exif=exif)).shape == (1, 3, 30, 20)


def test_one_pixel_is_a_picture():
    assert open_image(saved(Image.new("RGB", (1, 1)))).shape == (1, 3, 1, 1)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    )
    assert refused(io.BytesIO(b"\x89PNG\r\n\x1a\n" + chunks)).startswith(
        "The picture has more than the 100,000,000 pixels"
    )
    smaller = chunks.replace(header, struct.pack(">IIBBBBB", 11_000, 10_000, 8, 2, 0, 0, 0))
    start = smaller.index(b"IHDR")
    smaller = smaller[: start + 17] + struct.pack(">I", zlib.crc32(smaller[start : start + 17])) + smaller[start + 21 :]
    assert refused(io.BytesIO(b"\x89PNG\r\n\x1a\n" + smaller)).startswith(
        "The picture has 11000 x 10000 pixels, more than"
    )


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_cut_short_is_refused(format):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    whole = saved(noise, format).getvalue()
    assert refused(io.BytesIO(whole[: len(whole) // 2])).startswith("The picture ")


def test_other_files_are_no_pictures(tmp_path):
    (tmp_path / "a.jpg").write_text("hello")
    (tmp_path / "b.jpg").touch()
    for name, remedy in {"a.jpg": "use PNG, JPEG or WebP.", "b.jpg": "the file is empty."}.items():
        assert refused(tmp_path / name) == (f"{tmp_path / name} is not a picture in a known format: {remedy}")
    assert refused(tmp_path / "c.jpg") == f"There is no picture {tmp_path / 'c.jpg'}."
    assert refused(tmp_path) == f"{tmp_path} could not be read (Is a directory)."


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_eight_bits_survive_the_way_there_and_back(height, width, seed):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    image = to_tensor(Image.fromarray(values))
    assert np.array_equal(np.asarray(to_picture(image)), values)
    assert torch.equal(open_image(io.BytesIO(encoded(image, ".png", "{}"))), image)


def test_a_recipe_travels_inside_the_png(tmp_path):
    recipe = '{"name": "Über ✓"}'
    save_image(torch.rand(1, 3, 4, 5), tmp_path / "a.png", recipe)
    assert read_recipe(tmp_path / "a.png") == recipe
    Image.new("RGB", (2, 2)).save(tmp_path / "b.png")
    with pytest.raises(
        ToolkitError, match=r"b.png holds no recipe: .* was not made by this toolkit, or another program that saved it"
    ):
        read_recipe(tmp_path / "b.png")


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 64))
def test_fit_keeps_proportions(height, width, longest):
    found = fit(torch.rand(1, 3, height, width), longest).shape[-2:]
    assert max(found) == longest
    assert min(found) == max(1, round(min(height, width) * longest / max(height, width)))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_cover_fills_the_frame(height, width, tall, wide):
    assert cover(torch.rand(1, 3, height, width), (tall, wide)).shape[-2:] == (tall, wide)
