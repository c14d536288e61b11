"""Other people's files: recognised by their keys, refused in a sentence, and written in their layouts."""

import pickle

import pytest
import safetensors
import torch
from torch import nn

from toolkit.cli import main
from toolkit.errors import ToolkitError, ToolkitWarning
from toolkit.network import CONVENTIONS, fingerprint, load_network, rescale, save_network


@pytest.mark.parametrize("widths", [(3, 4, 5, 6, 7), tuple(range(3, 16))])
@pytest.mark.parametrize("keys", ["named", "numbered"])
def test_files_from_elsewhere_are_known_by_their_keys(tiny_network, tmp_path, keys, widths, state_of):
    network = tiny_network("vgg16", convention="caffe", widths=widths)
    torch.save(state_of(network, keys), tmp_path / "w.pth")
    again = load_network(tmp_path / "w.pth", convention="caffe", pooling="average")
    assert fingerprint(again) == fingerprint(network)
    assert again.provenance["source"] == "w.pth" and len(again.provenance["sha256"]) == 64


def test_a_convention_is_stated_by_the_file_or_the_caller_never_guessed(tiny_network, tmp_path, state_of, refused):
    network = tiny_network(convention="caffe")
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(state_of(network), path)
    assert "does not say which convention its weights follow: state the convention" in refused(path)
    assert refused(path, convention="cafe").startswith("Unknown convention 'cafe': did you mean caffe?")
    safetensors.torch.save_file(state_of(network), path, {"convention": "caffe"})
    assert load_network(path).preprocessing == network.preprocessing


def test_weights_as_trained_pool_by_maximum_unless_told_otherwise(tiny_network, tmp_path, state_of):
    torch.save(state_of(tiny_network()), tmp_path / "w.pth")
    assert load_network(tmp_path / "w.pth", convention="torchvision").pooling == "max"


class Evil:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1_1.weight": Evil()}, "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Evil()))
    for name in ("new.pth", "old.pth"):
        assert "holds code, which is never run" in refused(name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kept", [0, 5, 100, 2000])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_cut_short_is_refused(tiny_network, tmp_path, kept, suffix, state_of, refused):
    path = tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save(state_of(tiny_network()), path)
    else:
        save_network(tiny_network(), path)
    path.write_bytes(path.read_bytes()[:kept])
    assert refused(path).startswith(str(path))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda s: s.pop("conv3_1.bias"), "conv3_1.bias is missing, (5,) is needed."),
        (
            lambda s: s.update({"conv2_1.weight": torch.zeros(4, 9, 3, 3)}),
            "shape (4, 9, 3, 3), (4, 3, 3, 3) is needed.",
        ),
        (
            lambda s: s.update({"conv3_1.weight": torch.zeros(9, 4, 3, 3)}),
            "conv3_1.weight is of shape (9, 4, 3, 3), (5, 4, 3, 3) is needed.",
        ),
        (lambda s: s["conv5_1.weight"].fill_(float("nan")), "conv5_1.weight holds numbers that are not finite."),
        (lambda s: s.pop("conv3_1.weight"), "does not hold a VGG's convolutions"),
        (lambda s: s.clear(), "holds no weights by name"),
        (
            lambda s: (s.clear(), s.update({"conv1_1.mean_activation": torch.ones(3)})),
            "is a .scales file: it holds mean activations, not a network",
        ),
        (
            lambda s: s.update({f"ema.{key}": value for key, value in s.items()}),
            "holds several VGGs, such as those of conv1_1.weight and ema.conv1_1.weight: save one of them.",
        ),
    ],
)
def test_a_state_dict_that_is_not_a_whole_vgg_is_refused(tiny_network, tmp_path, spoil, sentence, state_of, refused):
    state = {key: value.clone() for key, value in state_of(tiny_network()).items()}
    spoil(state)
    torch.save(state, tmp_path / "w.pth")
    assert sentence in refused(tmp_path / "w.pth", convention="caffe")


@pytest.mark.parametrize("letter", "h0.GRaestu")
def test_other_things_than_weights_are_refused(tmp_path, refused, letter):
    (tmp_path / "text.pth").write_text(f"{letter} is how this text begins")
    assert refused(tmp_path / "text.pth").startswith(str(tmp_path / "text.pth"))


def test_a_file_is_known_by_what_it_holds_not_by_its_name(tiny_network, state_of, tmp_path):
    state = state_of(network := tiny_network())
    torch.save(state, tmp_path / "w.pth")
    (tmp_path / "w.pth").rename(tmp_path / "pickled.safetensors")
    safetensors.torch.save_file(state, tmp_path / "plain.pth")
    for name in ("pickled.safetensors", "plain.pth"):
        assert fingerprint(load_network(tmp_path / name, convention="torchvision", pooling="average")) == fingerprint(
            network
        )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float8_e4m3fn])
def test_weights_of_every_precision_are_read(tiny_network, state_of, tmp_path, dtype):
    state = {key: value.to(dtype) for key, value in state_of(tiny_network()).items()}
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    found = load_network(tmp_path / "w.safetensors", convention="torchvision")
    assert torch.equal(found.convolution("conv1_1").weight, state["conv1_1.weight"].float())


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_pointer_of_git_lfs_is_told(tmp_path, refused, name):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert refused(tmp_path / name).endswith(
        "is a Git LFS pointer, not the file itself: fetch the file with git lfs pull."
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {f"module.{key}": value for key, value in s.items()},
        lambda s: {key.removeprefix("features."): value for key, value in s.items()},
        lambda s: {"state_dict": {f"module.{key}": value for key, value in s.items()}, "epoch": 3},
        lambda s: {
            "net": {"weights": s},
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3, 3, 3, 3)}}},
            "epoch": 3,
        },
        lambda s: {**s, "epoch": 3, "name": "mine"},
        lambda s: {key.replace("features.", "features.module."): value for key, value in s.items()},
        lambda s: {f"_orig_mod.{key}": value for key, value in s.items()},
        lambda s: {f"model.backbone.{key}": value for key, value in s.items()},
        lambda s: {key.replace("features.", "encoder."): value for key, value in s.items()},
        lambda s: {
            key.replace("features.", f"net.slice{int(key.split('.')[1]) // 9}."): value for key, value in s.items()
        },
        lambda s: {**s, "decoder.0.weight": torch.zeros(3, 7, 3, 3), "decoder.2.weight": torch.zeros(3, 3, 3, 3)},
        lambda s: {**s, "pre_logits.fc1.weight": torch.zeros(4, 7, 7, 7), "head.fc.weight": torch.zeros(3, 4)},
    ],
)
def test_what_others_wrap_around_the_keys_is_taken_off(tiny_network, state_of, tmp_path, wrap):
    network = tiny_network()
    torch.save(wrap(state_of(network, "numbered")), tmp_path / "w.pth")
    again = load_network(tmp_path / "w.pth", convention="torchvision", pooling="average")
    assert fingerprint(again) == fingerprint(network)


@pytest.mark.parametrize("keys", ["named", "numbered"])
@pytest.mark.parametrize("last", ["conv5_1", "conv3_4", "conv4_4"])
def test_a_network_may_end_early(tiny_network, state_of, random_image, tmp_path, keys, last):
    network = tiny_network()
    names = list(network.architecture.convolutions)
    kept = 2 * (names.index(last) + 1)
    torch.save(dict([*state_of(network, keys).items()][:kept]), tmp_path / "w.pth")
    again = load_network(tmp_path / "w.pth", convention="torchvision", pooling="average")
    assert list(again.architecture.convolutions) == names[: kept // 2]
    layers = [layer.name for layer in again.architecture.layers]
    assert layers[-1] == last.replace("conv", "relu")
    for name, features in again(random_image(), layers).items():
        assert torch.equal(features, network(random_image(), layers)[name])
    save_network(again, tmp_path / "ours.safetensors")
    assert fingerprint(load_network(tmp_path / "ours.safetensors")) == fingerprint(again)
    with pytest.raises(ToolkitError, match="Unknown layer 'relu5_4' of vgg19"):
        again(random_image(), ["relu5_4"])


def test_several_wrapped_state_dicts_are_told_apart(tiny_network, state_of, tmp_path, refused):
    state = state_of(tiny_network())
    torch.save({"generator": state, "discriminator": state}, tmp_path / "w.pth")
    assert "holds several state dicts (generator, discriminator): save one" in refused(tmp_path / "w.pth")
    torch.save({"epoch": 3, "loss": torch.zeros(2)}, tmp_path / "w.pth")
    assert "holds no weights by name: save the network's state_dict() with" in refused(tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_told_from_a_damaged_file(tmp_path, refused):
    torch.jit.script(nn.Conv2d(3, 3, 3)).save(tmp_path / "w.pt")
    assert refused(tmp_path / "w.pt").endswith("is a TorchScript program: load it, and save its state_dict().")


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("name", ["vgg11_bn", "vgg16_bn", "vgg19_bn"])
def test_batch_normalisation_is_folded_into_the_convolutions(name, biased, torchvisions, random_image, tmp_path):
    model = torchvisions(name).train()
    for module in model:
        if isinstance(module, nn.Conv2d) and not biased:
            module.bias = None
    model(torch.randn(2, 3, 32, 32))  # so that running means and variances are not 0 and 1
    for module in model.eval():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 2)
            module.bias.normal_()
    torch.save({f"features.{key}": value for key, value in model.state_dict().items()}, tmp_path / "w.pth")
    network = load_network(tmp_path / "w.pth", convention="torchvision")
    layers = [layer.name for layer in network.architecture.layers]
    found = network(random_image(), layers)
    x = network.preprocessing(random_image())
    for module in model:
        x = x.relu() if isinstance(module, nn.ReLU) else module(x)
        if isinstance(module, nn.ReLU | nn.MaxPool2d):
            layer = layers.pop(0) if isinstance(module, nn.MaxPool2d) else layers.pop(1)
            layers = layers if isinstance(module, nn.MaxPool2d) else layers[1:]
            torch.testing.assert_close(found[layer], x, rtol=1e-4, atol=1e-5 * float(x.abs().max()))
    assert layers == []


def adain_sequential(architecture):
    """The encoder as AdaIN builds it: a 1 x 1 convolution, then a padding layer before every convolution."""
    modules = [nn.Conv2d(3, 3, 1)]
    for layer in architecture.layers[:-1]:
        if layer.kind == "conv":
            modules += [nn.ReflectionPad2d(1), nn.Conv2d(*architecture.convolutions[layer.name], 3)]
        else:
            modules.append(nn.ReLU() if layer.kind == "relu" else nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*modules)


@pytest.mark.parametrize("convention", list(CONVENTIONS))
def test_adains_sequential_loads_what_is_written_for_it(tiny_network, random_image, tmp_path, convention, capsys):
    network = tiny_network(pooling="max", convention=convention)
    save_network(network, tmp_path / "n.safetensors")
    command = ["convert", str(tmp_path / "n.safetensors"), "--layout", "adain", "-o", str(tmp_path / "adain.pth")]
    assert main(command) == 0
    assert "the first convolution does the preprocessing" in capsys.readouterr().out
    model = adain_sequential(network.architecture)
    model.load_state_dict(torch.load(tmp_path / "adain.pth", weights_only=True))
    assert len(model) == 53
    expected = network(random_image(), ["relu2_1"])["relu2_1"]
    inside = (..., slice(2, -2), slice(2, -2))  # reflected borders are not padded with zeros
    torch.testing.assert_close(model[:11](random_image())[inside], expected[inside], rtol=1e-4, atol=1e-4)
    again = load_network(tmp_path / "adain.pth")
    for name, features in again(random_image(), ["relu1_1", "relu5_4"]).items():
        torch.testing.assert_close(features, network(random_image(), [name])[name], rtol=1e-4, atol=1e-4)


class Gatys(nn.Module):
    """As the authors' notebook builds it: layers by name, for BGR in 0..255 less the mean."""

    def __init__(self, architecture):
        super().__init__()
        for name, channels in architecture.convolutions.items():
            setattr(self, name, nn.Conv2d(*channels, 3, padding=1))

    def forward(self, image):
        mean = torch.tensor([0.40760392, 0.45795686, 0.48501961]).view(3, 1, 1)
        x = torch.relu(self.conv1_1((image.flip(1) - mean) * 255))
        return torch.relu(self.conv2_1(torch.max_pool2d(torch.relu(self.conv1_2(x)), 2)))


@pytest.mark.parametrize("convention", list(CONVENTIONS))
def test_the_authors_notebook_loads_what_is_written_for_it(tiny_network, random_image, tmp_path, convention, capsys):
    network = tiny_network(pooling="max", convention=convention)
    save_network(network, tmp_path / "n.safetensors")
    output = tmp_path / "vgg_conv.pth"
    assert main(["convert", str(tmp_path / "n.safetensors"), "--layout", "gatys", "-o", str(output)]) == 0
    assert "input: BGR in [0, 255], less (103.939, 116.779, 123.68)" in capsys.readouterr().out
    model = Gatys(network.architecture)
    model.load_state_dict(torch.load(output, weights_only=True))
    expected, found = network(random_image(), ["relu2_1"])["relu2_1"], model(random_image())
    inside = (..., slice(2, -2), slice(2, -2))  # another colour lies around the image
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-4, atol=1e-4 * float(expected.max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02 * float(expected.max()))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_torchvision_loads_what_is_written_for_it(torchvisions, random_image, tmp_path, suffix):
    torch.save(torchvisions("vgg19").state_dict(), tmp_path / "random.pth")
    network = load_network(tmp_path / "random.pth", convention="torchvision")
    save_network(network, tmp_path / "n.safetensors")
    output = tmp_path / f"again.{suffix}"
    assert main(["convert", str(tmp_path / "n.safetensors"), "--layout", "torchvision", "-o", str(output)]) == 0
    state = torch.load(output, weights_only=True) if suffix == "pth" else safetensors.torch.load_file(output)
    model = torchvisions("vgg19")
    model.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    expected = network(random_image(), ["pool5"])["pool5"]
    torch.testing.assert_close(model(network.preprocessing(random_image())), expected, rtol=1e-4, atol=1e-5)
    if suffix == "safetensors":
        assert fingerprint(load_network(output)) == fingerprint(network)  # the file says its convention


def test_the_original_or_the_normalised_weights_are_written(tiny_network, tmp_path, capsys):
    trained = tiny_network()
    means = {name: torch.full((o,), 2.0) for name, (_, o) in trained.architecture.convolutions.items()}
    means["conv1_1"] *= 2
    save_network(trained, tmp_path / "n.safetensors", "float32", [rescale(trained, means, {})])
    command = ["convert", str(tmp_path / "n.safetensors"), "--layout", "plain", "-o", str(tmp_path / "w.safetensors")]
    assert main(command) == 0
    assert "normalised for average pooling" in capsys.readouterr().out
    state = safetensors.torch.load_file(tmp_path / "w.safetensors")
    assert torch.equal(state["conv1_1.weight"], trained.convolution("conv1_1").weight / 4)
    assert torch.equal(state["conv1_2.weight"], trained.convolution("conv1_2").weight * 2)
    assert main([*command, "--original"]) == 0
    state = safetensors.torch.load_file(tmp_path / "w.safetensors")
    assert torch.equal(state["conv1_2.weight"], trained.convolution("conv1_2").weight)
    assert main([*command[:-1], str(tmp_path / "w.onnx")]) == 2
    assert "must end in .safetensors or .pth" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_the_authors_weights_under_the_other_convention_are_noticed(tiny_network, state_of, tmp_path):
    authors = load_network("vgg19", normalized=False)
    first = authors.convolution("conv1_1")
    network = tiny_network("vgg11", widths=(64, 2, 2, 2, 2), convention="caffe")
    for parameter, known in zip(network.convolution("conv1_1").parameters(), first.parameters(), strict=True):
        parameter.copy_(known * 1.01)
    torch.save(state_of(network), tmp_path / "w.pth")
    load_network(tmp_path / "w.pth", convention="caffe")
    with pytest.warns(
        ToolkitWarning, match=r"w.pth has the weights of the authors' release, which expect the con.* caffe"
    ):
        load_network(tmp_path / "w.pth", convention="torchvision")
    torch.save(state_of(tiny_network("vgg11", widths=(64, 2, 2, 2, 2))), tmp_path / "w.pth")
    load_network(tmp_path / "w.pth", convention="torchvision")
