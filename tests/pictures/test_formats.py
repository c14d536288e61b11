"""Images written by the name of their file, and read back with their recipe."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from toolkit.errors import ToolkitError
from toolkit.pictures.formats import FORMATS, check_format, encoded, read_recipe, save_image
from toolkit.pictures.io import open_alpha, open_image

RECIPE = '{"name": "Über ✓"}'
GRADIENT = torch.linspace(0, 1, 3 * 32 * 40).view(1, 3, 32, 40)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_holds_the_image_its_recipe_its_colours_and_its_size_in_print(suffix, tmp_path):
    path = tmp_path / f"image{suffix.upper()}"
    save_image(GRADIENT, path, RECIPE, dpi=300)
    assert read_recipe(path) == RECIPE
    lossy = suffix in (".jpg", ".jpeg", ".webp")
    assert (open_image(path) - GRADIENT).abs().max() <= (0.05 if lossy else 1 / 255)
    with Image.open(path) as picture:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        assert float(picture.info.get("dpi", [picture.getexif().get(0x011A)])[0]) == pytest.approx(300, rel=1e-4)
    save_image(GRADIENT, tmp_path / f"again{suffix}", RECIPE, dpi=300)
    assert (tmp_path / f"again{suffix}").read_bytes() == path.read_bytes()


def _png_of_16_bits(data):
    """(H, W, C) numbers. Pillow reads the upper eight bits, and checks the file; the lower ones are read here."""
    start, length = data.index(b"IDAT") + 4, struct.unpack(">I", data[data.index(b"IDAT") - 4 :][:4])[0]
    with Image.open(io.BytesIO(data)) as picture:
        upper = np.asarray(picture)
    rows = np.frombuffer(zlib.decompress(data[start : start + length]), np.uint8).reshape(len(upper), -1)
    assert (rows[:, 0] == 2).all()  # each row less the one above
    numbers = np.cumsum(rows[:, 1:], 0, dtype=np.uint8).view(">u2").reshape(upper.shape)
    assert np.array_equal(numbers >> 8, upper)
    return numbers


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([3, 4]), st.integers(0, 2**31))
def test_sixteen_bits_are_written_whole(height, width, channels, seed):
    values = np.random.default_rng(seed).integers(0, 65536, (height, width, channels), np.uint16)
    image = torch.from_numpy(values.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    assert np.array_equal(_png_of_16_bits(encoded(image, ".png", RECIPE, bits=16)), values)
    assert np.array_equal(tifffile.imread(io.BytesIO(encoded(image, ".tif", RECIPE))), values)


def test_a_gradient_has_no_steps_in_sixteen_bits():
    fine = torch.linspace(0.2, 0.21, 640).expand(1, 3, 4, 640)
    found = _png_of_16_bits(encoded(fine, ".png", RECIPE, bits=16))
    assert len(np.unique(found)) > 600
    with Image.open(io.BytesIO(encoded(fine, ".png", RECIPE, bits=16))) as picture:
        picture.load()
        assert picture.text == {"recipe": RECIPE}


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_survives(suffix, tmp_path):
    alpha = torch.linspace(0, 1, 32 * 40).view(1, 1, 32, 40)
    save_image(torch.cat([GRADIENT, alpha], 1), tmp_path / f"image{suffix}", RECIPE)
    assert (open_alpha(tmp_path / f"image{suffix}") - alpha).abs().max() <= 1 / 255
    assert read_recipe(tmp_path / f"image{suffix}") == RECIPE


@pytest.mark.parametrize(
    ("name", "wishes", "sentence"),
    [
        ("a.bmp", {}, "a.bmp must end in .png, .jpg, .jpeg, .webp, .tif, .tiff."),
        ("a", {}, "a must end in .png"),
        ("a.jpg", {"bits": 16}, "a.jpg can't have 16 bits a channel but 8: use .png for either."),
        ("a.tif", {"bits": 8}, "a.tif can't have 8 bits a channel but 16"),
        ("a.JPG", {"alpha": True}, "a.JPG can't be transparent: use .png, .webp or .tif."),
        ("a.webp", {"longest": 16384}, "a.webp can't have more than 16,383 pixels on a side"),
    ],
)
def test_what_a_format_has_not_is_refused_before_any_work(name, wishes, sentence, tmp_path):
    from pathlib import Path

    with pytest.raises(ToolkitError) as refused:
        check_format(Path(name), **wishes)
    assert str(refused.value).startswith(sentence)
