"""Networks against torchvision's, and their layers by name."""

import pytest
import torch
from safetensors.torch import save_file

from toolkit.errors import ToolkitError
from toolkit.network import CONVENTIONS, DEPTHS, Architecture, load_network

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def torchvision_input(image):
    return (image - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)


def caffe_input(image):
    return image.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)


PLAIN = {"torchvision": torchvision_input, "caffe": caffe_input}


@pytest.fixture(scope="session", params=list(DEPTHS))
def published(request, torchvisions, tmp_path_factory):
    """torchvision's network with random weights, and the two files it would be kept in."""
    model = torchvisions(request.param)
    state = {f"features.{key}": value for key, value in model.state_dict().items()}
    folder = tmp_path_factory.mktemp(request.param)
    torch.save({**state, "classifier.0.weight": torch.zeros(3, 4)}, folder / "weights.pth")
    save_file(state, folder / "weights.safetensors")
    return request.param, model, folder


@pytest.mark.parametrize("convention", ["torchvision", "caffe"])
@pytest.mark.parametrize("file", ["weights.pth", "weights.safetensors"])
def test_every_layer_gives_what_torchvisions_gives(published, convention, file, random_image):
    _, model, folder = published
    network = load_network(folder / file, convention=convention)
    image = random_image(67, 45)
    layers = [layer.name for layer in network.architecture.layers]
    found = network(image, layers)
    expected = PLAIN[convention](image)
    assert len(model) == len(layers)
    for layer, module in zip(layers, model, strict=True):
        expected = module(expected) if not isinstance(module, torch.nn.ReLU) else expected.relu()
        torch.testing.assert_close(found[layer], expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_average_pooling_is_the_mean_of_four_and_drops_odd_edges(tiny_network, random_image):
    features = tiny_network(pooling="average")(random_image(33, 35), ["relu1_2", "pool1"])
    before = features["relu1_2"][..., :32, :34]
    expected = before.reshape(1, -1, 16, 2, 17, 2).mean((3, 5))
    torch.testing.assert_close(features["pool1"], expected)


def test_a_run_stops_at_the_deepest_layer_asked_for(tiny_network, random_image):
    network = tiny_network()
    for name in ("conv3_1", "conv5_4"):
        network.convolution(name).weight.fill_(float("nan"))
    features = network(random_image(), ["relu2_2", "relu1_1"])
    assert list(features) == ["relu1_1", "relu2_2"]
    assert torch.isfinite(features["relu2_2"]).all()


@pytest.mark.parametrize("name", DEPTHS)
def test_layers_are_named_by_block_and_number(name):
    layers = [layer.name for layer in Architecture(name).layers]
    assert layers[:2] == ["conv1_1", "relu1_1"]
    assert layers[-1] == "pool5"
    assert sum(layer.startswith("conv") for layer in layers) == int(name[3:]) - 3


def test_each_convolution_may_have_its_own_filters():
    uneven = Architecture("vgg13", (2, 3, 4, 4, 5, 5, 6, 7, 8, 8))
    assert uneven.convolutions["conv1_2"] == (2, 3) and uneven.convolutions["conv4_2"] == (6, 7)
    assert {layer.name: layer.channels for layer in uneven.layers}["pool4"] == 7
    assert Architecture("vgg13", (2, 2, 4, 4, 5, 5, 6, 6, 8, 8)) == Architecture("vgg13", (2, 4, 5, 6, 8))


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda n, x: n(x, ["relu9_9"]), "Unknown layer 'relu9_9' of vgg19: did you mean "),
        (
            lambda n, x: n(x[..., :9, :], ["pool4"]),
            "An image of 64 x 9 pixels is too small for pool4: use at least 16 x 16",
        ),
        (lambda n, x: Architecture("vgg91"), "Unknown architecture 'vgg91': did you mean vgg19"),
        (
            lambda n, x: Architecture("vgg16", (1, 2)),
            "A vgg16 has 5 blocks or 13 convolutions of at least one filter each, not (1, 2).",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(tiny_network, random_image, act, sentence):
    with pytest.raises(ToolkitError) as error:
        act(tiny_network(), random_image())
    assert str(error.value).startswith(sentence)


def test_preprocessing_pulls_gradients_back_as_autograd_does(random_image):
    for preprocessing in CONVENTIONS.values():
        image, gradient = random_image().requires_grad_(), random_image(seed=1)
        (expected,) = torch.autograd.grad((preprocessing(image) * gradient).sum(), image)
        torch.testing.assert_close(preprocessing.pullback(gradient), expected)


def test_bfloat16_weights_compute_in_bfloat16(tiny_network, random_image):
    features = tiny_network().bfloat16()(random_image(), ["relu3_1"])["relu3_1"]
    assert features.dtype == torch.bfloat16
    assert features.is_contiguous(memory_format=torch.channels_last)
