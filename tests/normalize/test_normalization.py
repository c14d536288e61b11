"""Normalisation: the means are right, become one, and nothing else changes."""

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.data.sources import list_images
from toolkit.data.stream import PREPARATIONS, ImageStream
from toolkit.errors import ToolkitError
from toolkit.network import original, rescale, rounded
from toolkit.normalize import Pass, normalize
from toolkit.normalize.check import largest_relative_error, spread_around_one
from toolkit.normalize.facts import network_facts
from toolkit.normalize.measure import measure


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


def normalized(network, folder, held_out, **wishes):
    """One network normalised over a folder, images at their own size."""
    (result,), _ = normalize([network], Pass(ImageStream(list_images(folder), "native")), held_out, **wishes)
    return result.network, result


def batches(stream):
    return [batch for chunk in stream.chunks(range(len(stream))) for batch in chunk.batches]


def means_one_by_one(network, images):
    """The definition: activations behind each ReLU, summed over all images and positions, in float64."""
    layers = {name: name.replace("conv", "relu") for name in network.architecture.convolutions}
    features = [network.double()(image.double(), layers.values()) for image in images]
    network.float()
    return {name: torch.cat([own[relu][0].flatten(1) for own in features], 1).mean(1) for name, relu in layers.items()}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("arithmetic", ["float32", "tf32"])
def test_a_gpus_coarser_products_are_not_taken_for_a_fault(tiny_network, folder, held_out, arithmetic):
    images = ImageStream(list_images(folder), "native")
    (result,), _ = normalize([tiny_network().cuda()], Pass(images, arithmetic), [image.cuda() for image in held_out])
    assert result.relative_error < 1e-5


@pytest.mark.parametrize("preparation", PREPARATIONS)
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_means_are_over_all_images_and_positions(tiny_network, folder, preparation, batch_size):
    network = tiny_network()
    stream = ImageStream(list_images(folder), preparation, batch_size)
    images = [image[None].double() / 255 for batch in batches(stream) for image in batch]
    assert len(images) == 7
    expected = means_one_by_one(network, images)
    measured = measure([network], stream)
    assert measured.images == 7
    for name, mean in measured.sums[0].means().items():
        assert mean.dtype == torch.float64
        torch.testing.assert_close(mean, expected[name], rtol=1e-5, atol=1e-9)


def test_batches_hold_one_size_each_and_the_last_is_not_dropped(folder):
    sizes = [tuple(batch.shape) for batch in batches(ImageStream(list_images(folder), "native", 2))]
    assert sizes == [(2, 3, 40, 50), (2, 3, 40, 50), (1, 3, 33, 47), (1, 3, 70, 36), (1, 3, 35, 35)]


def test_preparations_have_the_sizes_they_promise(folder):
    (crop,), (stretch,) = (
        {tuple(b.shape[1:]) for b in batches(ImageStream(list_images(folder), kind))} for kind in ("crop", "stretch")
    )
    assert (crop, stretch) == ((3, 224, 224), (3, 256, 256))


def test_what_cannot_be_read_is_skipped_and_named(tiny_network, folder):
    measured = measure([tiny_network()], ImageStream(list_images(folder)))
    assert measured.images == 7
    assert set(measured.skipped) == {"broken.jpg", "text.JPEG", "empty.png"}
    assert all("picture" in reason or "could not be read" in reason for reason in measured.skipped.values())


def test_sums_of_shares_add_up(tiny_network, folder):
    network, entries = tiny_network(), list_images(folder)
    (together,) = measure([network], ImageStream(entries, "native")).sums
    apart = [measure([network], ImageStream(part, "native")).sums[0] for part in (entries[:4], entries[4:])]
    for name, mean in together.means().items():
        torch.testing.assert_close(mean, (apart[0] + apart[1]).means()[name], rtol=1e-6, atol=0)


def test_both_poolings_in_one_pass_are_those_of_two(tiny_network, folder, held_out):
    originals = [tiny_network(pooling=pooling) for pooling in ("average", "max")]
    together, measured = normalize(originals, Pass(ImageStream(list_images(folder), "native")), held_out)
    assert measured.images == 7
    for given, result in zip(originals, together, strict=True):
        alone, _ = normalized(given, folder, held_out)
        for name, mean in alone.mean_activations.items():
            assert torch.equal(mean, result.network.mean_activations[name])


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("name", ["vgg11", "vgg16", "vgg19"])
def test_a_normalised_network_computes_the_same_with_means_of_one(tiny_network, folder, held_out, name, pooling):
    original = tiny_network(name, pooling=pooling)
    result, check = normalized(original, folder, held_out)
    assert check.relative_error < 1e-4 and spread_around_one(check.remeasured) < 1e-3
    deepest = list(original.architecture.convolutions)[-1]
    output = deepest.replace("conv", "relu")
    mean = result.mean_activations[deepest]
    scale = torch.where(mean > 0, mean, 1.0).view(-1, 1, 1)
    found = result(held_out[0], [output])[output].double() * scale
    expected = original(held_out[0], [output])[output].double()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert result.pooling == pooling
    note = result.provenance["normalization"]
    assert (note["images"], len(note["skipped"]), note["preparation"]) == (7, 3, "native")
    assert note["positions"]["conv1_1"] == 4 * 40 * 50 + 33 * 47 + 70 * 36 + 35 * 35


def test_the_original_can_be_had_back(tiny_network, folder, held_out):
    original = tiny_network()
    result, _ = normalized(original, folder, held_out)
    inverse = {name: torch.where(mean > 0, 1 / mean, 0.0) for name, mean in result.mean_activations.items()}
    again = rescale(result, inverse, {})
    for found, expected in zip(again.parameters(), original.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_filter_that_never_fires_keeps_its_scale(tiny_network, folder, held_out):
    original = tiny_network()
    convolution = original.convolution("conv3_2")
    convolution.bias[1] = -1e4
    result, check = normalized(original, folder, held_out)
    assert network_facts(result, 0)["silent"] >= 1
    assert result.mean_activations["conv3_2"][1] == 0
    assert result.convolution("conv3_2").bias[1] == -1e4
    assert check.relative_error < 1e-4 and spread_around_one(check.remeasured) < 1e-3


@pytest.mark.parametrize("part", ["weight", "bias"])
@pytest.mark.parametrize("name", ["conv1_1", "conv4_3", "conv5_4"])
def test_the_check_fails_when_one_filter_is_a_percent_off(tiny_network, folder, held_out, name, part):
    original = tiny_network(seed=2)
    result, _ = normalized(original, folder, held_out)
    getattr(result.convolution(name), part)[0] *= 1.01
    with pytest.raises(ToolkitError, match="The rescaled network does not compute what the original does"):
        largest_relative_error(original, result, held_out)


def test_dividing_by_the_means_without_undoing_it_is_caught(tiny_network, folder, held_out):
    """The naive division that is passed around: every layer divided, none compensated."""
    original = tiny_network()
    result, _ = normalized(original, folder, held_out)
    for name, mean in result.mean_activations.items():
        scale = torch.where(mean > 0, mean, 1.0).float()
        naive, source = result.convolution(name), original.convolution(name)
        naive.weight.copy_(source.weight / scale.view(-1, 1, 1, 1))
        naive.bias.copy_(source.bias / scale)
    with pytest.raises(ToolkitError, match="does not compute what the original does"):
        largest_relative_error(original, result, held_out)


@pytest.mark.parametrize("precision", ["float16", "8bit"])
def test_means_are_those_of_the_rounded_weights(tiny_network, folder, held_out, precision):
    trained = rounded(tiny_network("vgg11", widths=(8,) * 5), precision)
    result, check = normalized(trained, folder, held_out)
    assert check.relative_error < 1e-4 and spread_around_one(check.remeasured) < 1e-3
    assert result.codebooks.keys() == trained.codebooks.keys()


@pytest.mark.parametrize(("recheck", "images"), [(0, 0), (1, 1), (4, 4), (1000, 7)])
def test_means_are_measured_again_on_a_sample(tiny_network, folder, held_out, recheck, images):
    for name in ("broken.jpg", "text.JPEG", "empty.png"):
        (folder / name).unlink()
    _, check = normalized(tiny_network(), folder, held_out, recheck=recheck)
    assert check.images == images and (check.remeasured != {}) == (recheck > 0)
    assert (spread_around_one(check.remeasured) < 1e-3) == (recheck in (0, 1000))


def test_mistakes_are_told_in_a_sentence(tiny_network, folder, held_out, tmp_path):
    with pytest.raises(ToolkitError, match=r"There is no folder or archive .*nowhere: name one that holds images."):
        list_images(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ToolkitError, match=r".*bare holds no images, such as .jpg"):
        list_images(tmp_path / "bare")
    broken = ImageStream([entry for entry in list_images(folder) if entry.name in ("broken.jpg", "empty.png")])
    with pytest.raises(ToolkitError, match=r"No image could be read; the first: broken.jpg could not be read"):
        normalize([tiny_network()], Pass(broken, partials=tmp_path / "x"), held_out)
    assert not list(tmp_path.glob("x*"))  # which would refuse other images
    result, _ = normalized(tiny_network(), folder, held_out)
    with pytest.raises(ToolkitError, match=r"This network is normalised already: start from the original weights."):
        normalized(result, folder, held_out)
    assert spread_around_one({"conv1_1": torch.tensor([1.0, 0.0, 1.25])}) == 0.25


def test_it_is_what_a_plain_numpy_restatement_gives(tiny_network, folder, held_out):
    """The method from its formula: convolutions as sums of shifted images, nothing shared with the toolkit."""
    network = tiny_network("vgg11", pooling="max", convention="caffe", seed=4).double()
    result, _ = normalized(network, folder, held_out)
    weights = {
        name: [p.double().numpy() for p in network.convolution(name).parameters()]
        for name in network.architecture.convolutions
    }
    mean_bgr = np.array([103.939, 116.779, 123.68])
    sums, positions = {}, {}
    for number in range(7):
        rgb = np.array(Image.open(folder / f"{number}.png").convert("RGB")).astype(float)
        x = (rgb[:, :, ::-1] - mean_bgr).transpose(2, 0, 1)
        for layer in network.architecture.layers:
            height, width = x.shape[1:]
            if layer.kind == "conv":
                weight, bias = weights[layer.name]
                padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
                shifted = {(v, h): padded[:, v : v + height, h : h + width] for v in range(3) for h in range(3)}
                x = sum(np.einsum("oi,ihw->ohw", weight[:, :, v, h], shifted[v, h]) for v, h in shifted)
                x += bias[:, None, None]
            elif layer.kind == "relu":
                x = x.clip(0)
                name = layer.name.replace("relu", "conv")
                sums[name] = sums.get(name, 0) + x.sum((1, 2))
                positions[name] = positions.get(name, 0) + height * width
            else:
                x = x[:, : height // 2 * 2, : width // 2 * 2]
                x = x.reshape(len(x), height // 2, 2, width // 2, 2).max((2, 4))
                if 0 in x.shape:
                    break
    below = np.ones(3)
    for name, total in sums.items():
        mean = total / positions[name]
        np.testing.assert_allclose(result.mean_activations[name].numpy(), mean, rtol=1e-6, atol=0)
        scale = np.where(mean > 0, mean, 1)
        weight, bias = weights[name]
        expected = weight * below[:, None, None] / scale[:, None, None, None]
        np.testing.assert_allclose(result.convolution(name).weight.numpy(), expected, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(result.convolution(name).bias.numpy(), bias / scale, rtol=1e-6, atol=1e-12)
        below = scale


def test_the_original_is_had_back_from_its_mean_activations(tiny_network, folder, held_out):
    network = tiny_network()
    network.convolution("conv2_1").bias[1] = -1e6  # never fires
    rescaled, _ = normalized(network, folder, held_out, provenance={"source": "here"})
    restored = original(rescaled)
    assert (rescaled.mean_activations["conv2_1"] == 0).any()
    assert not restored.mean_activations and restored.provenance == network.provenance
    for given, found in zip(network.parameters(), restored.parameters(), strict=True):
        torch.testing.assert_close(found, given, rtol=1e-6, atol=0)
    with pytest.raises(ToolkitError, match="This network is not normalised, so it is its own original"):
        original(restored)
