"""Normalisation: the means are right, become one, and nothing else changes."""

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.normalize import ImageStream, list_images, normalize
from toolkit.normalize.activations import ActivationSums, measure
from toolkit.normalize.images import PREPARATIONS
from toolkit.normalize.rescale import largest_relative_error, rescale, spread_around_one


@pytest.fixture
def folder(tmp_path):
    """Seven images of four sizes, one of them grey, and three that are none."""
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate([(40, 50), (40, 50), (33, 47), (40, 50), (70, 36), (35, 35), (40, 50)]):
        shape = (height, width) if number == 2 else (height, width, 3)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    (tmp_path / "text.JPEG").write_text("no image")
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.txt").touch()
    return tmp_path


@pytest.fixture
def held_out(random_image):
    return [random_image(40, 44, seed=100), random_image(51, 39, seed=101)]


def means_one_by_one(network, images):
    """The definition: activations behind each ReLU, summed over all images and positions, in float64."""
    network = network.double()
    found = {}
    for name in network.architecture.convolutions:
        layer = name.replace("conv", "relu")
        columns = [network(image.double(), [layer])[layer][0].flatten(1) for image in images]
        found[name] = torch.cat(columns, 1).mean(1)
    network.float()
    return found


@pytest.mark.parametrize("preparation", PREPARATIONS)
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_means_are_over_all_images_and_positions(tiny_network, folder, preparation, batch_size):
    network = tiny_network()
    stream = ImageStream(list_images(folder), preparation, batch_size)
    images = [image[None] for batch in stream for image in batch]
    assert len(images) == 7
    expected = means_one_by_one(network, images)
    measured = measure(network, stream)
    assert measured.images == 7
    for name, mean in measured.means().items():
        assert mean.dtype == torch.float64
        torch.testing.assert_close(mean, expected[name], rtol=1e-5, atol=1e-9)


def test_batches_hold_one_size_each_and_the_last_is_not_dropped(folder):
    sizes = [tuple(batch.shape) for batch in ImageStream(list_images(folder), "native", 2)]
    assert sizes == [(2, 3, 40, 50), (1, 3, 33, 47), (1, 3, 40, 50), (1, 3, 70, 36), (1, 3, 35, 35), (1, 3, 40, 50)]


def test_preparations_have_the_sizes_they_promise(folder):
    (crop,), (stretch,) = (
        {tuple(b.shape[1:]) for b in ImageStream(list_images(folder), kind)} for kind in ("crop", "stretch")
    )
    assert (crop, stretch) == ((3, 224, 224), (3, 256, 256))


def test_what_cannot_be_read_is_skipped_and_named(folder):
    stream = ImageStream(list_images(folder))
    for _ in range(2):
        assert sum(len(batch) for batch in stream) == 7
        assert set(stream.skipped) == {str(folder / name) for name in ("broken.jpg", "text.JPEG", "empty.png")}
        assert all("picture" in reason or "could not be read" in reason for reason in stream.skipped.values())


def test_sums_of_shards_add_up(tiny_network, random_image):
    network = tiny_network()
    batches = [random_image(40, 40, seed=1), random_image(36, 52, seed=2)]
    together, apart = measure(network, batches), ActivationSums()
    for batch in reversed(batches):
        apart.add(network(batch, [name.replace("conv", "relu") for name in network.architecture.convolutions]))
    for name, mean in together.means().items():
        torch.testing.assert_close(mean, apart.means()[name], rtol=1e-14, atol=0)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("name", ["vgg11", "vgg16", "vgg19"])
def test_a_normalised_network_computes_the_same_with_means_of_one(tiny_network, folder, held_out, name, pooling):
    original = tiny_network(name, pooling=pooling)
    normalized, proof = normalize(original, ImageStream(list_images(folder), "native"), held_out)
    assert proof.relative_error < 1e-4 and proof.spread < 1e-3
    deepest = list(original.architecture.convolutions)[-1]
    output = deepest.replace("conv", "relu")
    mean = normalized.mean_activations[deepest]
    scale = torch.where(mean > 0, mean, 1.0).view(-1, 1, 1)
    found = normalized(held_out[0], [output])[output].double() * scale
    expected = original(held_out[0], [output])[output].double()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert normalized.pooling == pooling
    note = normalized.provenance["normalization"]
    assert (note["images"], note["skipped"], note["preparation"]) == (7, 3, "native")
    assert note["positions"]["conv1_1"] == 4 * 40 * 50 + 33 * 47 + 70 * 36 + 35 * 35


def test_the_original_can_be_had_back(tiny_network, folder, held_out):
    original = tiny_network()
    normalized, _ = normalize(original, ImageStream(list_images(folder), "native"), held_out)
    inverse = {name: torch.where(mean > 0, 1 / mean, 0.0) for name, mean in normalized.mean_activations.items()}
    again = rescale(normalized, inverse, {})
    for found, expected in zip(again.parameters(), original.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_filter_that_never_fires_keeps_its_scale(tiny_network, folder, held_out):
    original = tiny_network()
    convolution = original.convolution("conv3_2")
    convolution.bias[1] = -1e4
    normalized, proof = normalize(original, ImageStream(list_images(folder), "native"), held_out)
    assert proof.silent >= 1
    assert normalized.mean_activations["conv3_2"][1] == 0
    assert normalized.convolution("conv3_2").bias[1] == -1e4
    assert proof.relative_error < 1e-4 and proof.spread < 1e-3


@pytest.mark.parametrize("part", ["weight", "bias"])
@pytest.mark.parametrize("name", ["conv1_1", "conv4_3", "conv5_4"])
def test_the_proof_fails_when_one_filter_is_a_percent_off(tiny_network, folder, held_out, name, part):
    original = tiny_network(seed=2)
    normalized, _ = normalize(original, ImageStream(list_images(folder), "native"), held_out)
    getattr(normalized.convolution(name), part)[0] *= 1.01
    with pytest.raises(ToolkitError, match="The rescaled network does not compute what the original does"):
        largest_relative_error(original, normalized, held_out)


def test_dividing_by_the_means_without_undoing_it_is_caught(tiny_network, folder, held_out):
    """The naive division that is passed around: every layer divided, none compensated."""
    original = tiny_network()
    normalized, _ = normalize(original, ImageStream(list_images(folder), "native"), held_out)
    for name, mean in normalized.mean_activations.items():
        scale = torch.where(mean > 0, mean, 1.0).float()
        naive, source = normalized.convolution(name), original.convolution(name)
        naive.weight.copy_(source.weight / scale.view(-1, 1, 1, 1))
        naive.bias.copy_(source.bias / scale)
    with pytest.raises(ToolkitError, match="does not compute what the original does"):
        largest_relative_error(original, normalized, held_out)


def test_sixteen_bit_weights_are_proven_to_their_own_precision(tiny_network, folder, held_out):
    normalized, proof = normalize(
        tiny_network("vgg11", widths=(8,) * 5),
        ImageStream(list_images(folder), "native"),
        held_out,
        dtype=torch.float16,
    )
    weight = normalized.convolution("conv2_1").weight
    assert torch.equal(weight, weight.half().float())
    assert 1e-5 < proof.relative_error < 2e-2 and proof.spread < 1e-2


def test_mistakes_are_told_in_a_sentence(tiny_network, folder, held_out, tmp_path):
    with pytest.raises(ToolkitError, match=r"There is no folder .*nowhere: name one that holds images."):
        list_images(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ToolkitError, match=r"The folder .*bare holds no images \(.bmp, "):
        list_images(tmp_path / "bare")
    broken = ImageStream([folder / "broken.jpg", folder / "empty.png"])
    with pytest.raises(ToolkitError, match="No image could be read, so there is nothing to measure"):
        normalize(tiny_network(), broken, held_out)
    normalized, _ = normalize(tiny_network(), ImageStream(list_images(folder), "native"), held_out)
    with pytest.raises(ToolkitError, match=r"This network is normalised already: start from the original weights."):
        normalize(normalized, ImageStream(list_images(folder), "native"), held_out)
    assert spread_around_one({"conv1_1": torch.tensor([1.0, 0.0, 1.25])}) == 0.25
