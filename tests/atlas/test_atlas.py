"""The atlas shows what brute force finds and knows its network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from toolkit.atlas import Atlas, example_images, measure
from toolkit.atlas.atlas import GREY, cut
from toolkit.atlas.strongest import COUNT, Strongest
from toolkit.cli import main
from toolkit.data.sources import Held, list_images
from toolkit.data.stream import ImageStream
from toolkit.errors import DamagedFileError, MissingFileError, ToolkitError
from toolkit.network import field_of, save_network
from toolkit.normalize import normalize_by_default

LAYERS = ("relu1_1", "relu2_1")


def pictures(count, side=230):
    """Smooth random pictures."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (count, 24, 24, 3), np.uint8)
    return [Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC) for values in small]


@pytest.fixture(scope="module")
def images():
    return [Held(f"picture {number}", each) for number, each in enumerate(pictures(40))]


def made(network, images, layers=LAYERS, **options):
    *_, last = measure(network, images, layers, **options)
    return last.atlas


def same(one, other):
    return (one.names, one.images, one.layers) == (other.names, other.images, other.layers) and all(
        torch.equal(*pair) for layer in one.layers for pair in zip(one.pages[layer], other.pages[layer], strict=True)
    )


def test_it_shows_what_brute_force_finds(tiny_network, images):
    network, stream = tiny_network(), ImageStream(images)
    atlas = made(network, images)
    for layer in LAYERS:
        features = [network(stream.image(each).float() / 255, [layer])[layer][0] for each in images]
        field = field_of(network, layer)
        for channel in range(atlas.channels(layer)):
            peaks = [float(each[channel].max()) for each in features]
            best = sorted((n for n, peak in enumerate(peaks) if peak > 0), key=lambda n, p=peaks: -p[n])[:COUNT]
            patches = atlas.patches(layer, channel)
            assert [patch.image for patch in patches] == [images[number].name for number in best]
            for patch, number in zip(patches, best, strict=True):
                assert patch.score == pytest.approx(peaks[number], rel=1e-5)
                assert float(features[number][channel][patch.position]) == pytest.approx(patch.score, rel=1e-5)
                expected = cut(stream.image(images[number])[0], field, patch.position)
                assert np.array_equal(np.asarray(patch.picture), expected.permute(1, 2, 0).numpy())


@settings(deadline=None, max_examples=50)
@given(
    scores=st.lists(st.lists(st.integers(-2, 3), min_size=6, max_size=6), min_size=1, max_size=30),
    batch=st.integers(1, 7),
)
def test_the_strongest_are_those_of_a_sort_whatever_the_batches(scores, batch):
    features = torch.tensor(scores, dtype=torch.float32).view(-1, 1, 2, 3)
    found = Strongest.of_none(1)
    for start in range(0, len(features), batch):
        part = features[start : start + batch]
        found = found.with_(part, range(start, start + len(part)))
    order = sorted((number for number, each in enumerate(scores) if max(each) > 0), key=lambda n: -max(scores[n]))[
        :COUNT
    ]
    assert found.images[0].tolist() == order + [-1] * (COUNT - len(order))
    assert found.scores[0].tolist() == [max(scores[number]) for number in order] + [0] * (COUNT - len(order))
    for number, (row, column) in zip(order, found.positions[0].tolist(), strict=False):
        assert features[number, 0, row, column] == max(scores[number])


def test_patches_are_receptive_fields_on_grey(tiny_network, random_image):
    field = field_of(tiny_network(), "relu2_1")
    image = (random_image(41, 60)[0] * 100).to(torch.uint8)
    whole = cut(image, field, (8, 9))
    rows, columns = field(8, None), field(9, None)
    assert torch.equal(whole, image[:, rows.start : rows.stop, columns.start : columns.stop])
    corner = cut(image, field, (0, 29))
    assert corner.shape == (3, 10, 10)
    assert torch.equal(corner[:, 4:, :6], image[:, :6, 54:])
    assert (corner[:, :4] == GREY).all() and (corner[:, :, 6:] == GREY).all()


def test_large_receptive_fields_are_scaled_down(tiny_network, random_image):
    field = field_of(tiny_network(), "relu5_1")
    assert cut(torch.full((3, 224, 224), GREY, dtype=torch.uint8), field, (0, 0)).unique().tolist() == [GREY]
    assert cut((random_image(224, 224)[0] * 255).to(torch.uint8), field, (7, 7)).shape == (3, 96, 96)


def test_fewer_images_and_silent_channels_leave_places_empty(tiny_network, images):
    network = tiny_network()
    network.convolution("conv1_1").bias[1] = -1e6
    atlas = made(network, images[:4])
    assert max(len(atlas.patches("relu1_1", channel)) for channel in range(3)) == 4
    assert atlas.patches("relu1_1", 1) == []
    assert atlas.picture("relu1_1", range(3)).width > atlas.picture("relu1_1", [0]).width


def test_it_is_written_and_read_and_knows_its_network(tiny_network, images, tmp_path):
    network = tiny_network()
    atlas = made(network, images[:12], provenance={"source": "here"})
    atlas.write(tmp_path / "tiny.atlas")
    again = Atlas.read(tmp_path / "tiny.atlas", network)
    assert same(atlas, again) and again.provenance["source"] == "here" and again.images == 12
    with pytest.raises(ToolkitError, match=r"tiny.atlas is an atlas of another network: make one of"):
        Atlas.read(tmp_path / "tiny.atlas", tiny_network(seed=1))
    with pytest.raises(ToolkitError, match=r"This atlas does not show relu4_1: did you mean"):
        again.patches("relu4_1", 0)
    with pytest.raises(ToolkitError, match=r"relu1_1 has no channel 3: choose one from 0 to 2\."):
        again.patches("relu1_1", 3)


def test_files_that_are_none_are_told_in_a_sentence(tiny_network, tmp_path):
    with pytest.raises(MissingFileError):
        Atlas.read(tmp_path / "none.atlas")
    (tmp_path / "text.atlas").write_text("no atlas")
    save_network(tiny_network(), tmp_path / "network.safetensors")
    for name in ("text.atlas", "network.safetensors"):
        with pytest.raises(DamagedFileError, match=name):
            Atlas.read(tmp_path / name)


def test_its_steps_count_the_images_read_and_cut(tiny_network, images):
    steps = list(measure(tiny_network(), images, LAYERS))
    assert [(step.stage, step.done) for step in steps[:2]] == [("reading", 32), ("reading", 40)]
    assert steps[-2].done == steps[-2].total and all(step.atlas is None for step in steps[:-1])


def test_images_of_one_name_are_told_apart(tiny_network, images, tmp_path):
    (tmp_path / "x.png").write_text("no image")
    first, second, third = (Held("x.png", each.held) for each in images[:3])
    (broken,) = list_images(tmp_path)
    *_, last = measure(tiny_network(), [first, broken, second, third], LAYERS)
    assert same(last.atlas, made(tiny_network(), [first, second, third])) and list(last.skipped) == ["x.png (image 2)"]


def test_example_images_are_whole_and_in_parts_that_differ(tmp_path):
    pictures(1, side=520)[0].save(tmp_path / "drawn.png")
    images = example_images([tmp_path / "drawn.png"])
    names = [image.name for image in images]
    assert len(set(names)) == len(names) > 12
    assert names.count("drawn") == 1 and sum(name.startswith("drawn, row") for name in names) == 4
    assert all(image.picture().size == (256, 256) for image in images if ", row" in image.name)
    assert "chelsea" in names and "chelsea, row 1, column 1" not in names


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory, tiny_network):
    """A folder with a normalised network and 70 images, one of them broken."""
    folder = tmp_path_factory.mktemp("laid-out")
    save_network(normalize_by_default(tiny_network()), folder / "tiny.safetensors")
    (folder / "images").mkdir()
    for number, picture in enumerate(pictures(70)):
        picture.save(folder / "images" / f"{number:02}.png")
    (folder / "images" / "40.png").write_text("no image")
    return folder


@pytest.fixture
def desk(laid_out, monkeypatch):
    """It, as the working folder."""
    monkeypatch.chdir(laid_out)
    return laid_out


COMMAND = ["atlas", "tiny.safetensors", "images", "--layers", ",".join(LAYERS), "--output"]


def test_the_command_tells_what_it_does_and_skips(desk, capsys):
    assert main([*COMMAND, "tiny.atlas"]) == 0
    text = capsys.readouterr()
    assert text.out == "69 images read, 1 skipped, 7 channels\nwritten to tiny.atlas\n"
    assert "skipped: 40.png is not a picture" in text.err and "reading" in text.err and "cutting" in text.err
    atlas = Atlas.read(desk / "tiny.atlas")
    assert atlas.provenance["source"] == "images" and atlas.layers == LAYERS
    assert set(atlas.names) <= {entry.name for entry in list_images(desk / "images")} - {"40.png"}


def test_an_interrupted_command_writes_nothing(desk, monkeypatch, capsys):
    def interrupted(image, path, position):
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.atlas.atlas.cut", interrupted)
    assert main([*COMMAND, "x.atlas"]) == 130
    assert "Interrupted.\n" in capsys.readouterr().err
    assert not list(desk.glob("x.atlas*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tiny.safetensors", "images", "-o", "x.safetensors"], "x.safetensors must end in .atlas."),
        (["tiny.safetensors", "nowhere", "-o", "x.atlas"], "There is no folder or archive nowhere: name one"),
        (
            ["tiny.safetensors", "images", "-o", "x.atlas", "--layers", "relu1_9"],
            "Unknown layer 'relu1_9' of vgg19: did",
        ),
        (["nothing", "images", "-o", "x.atlas"], "There is no network file nothing"),
    ],
)
def test_mistakes_end_with_one_sentence_and_status_two(desk, arguments, sentence, capsys):
    assert main(["atlas", *arguments]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"error: {sentence}")
