"""Mean activations travel apart from the weights, are recognised, and can be compared with anyone's."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from toolkit.cli import main
from toolkit.data.sources import list_images
from toolkit.data.stream import ImageStream
from toolkit.errors import ToolkitError, ToolkitWarning
from toolkit.network import CONVENTIONS, fingerprint, load_network, save_network, save_scales
from toolkit.normalize import MeanActivations, Pass, apply, load_normalized, normalize
from toolkit.normalize.comparison import agreement, implied_mean_activations


@pytest.fixture
def work(tmp_path, random_image):
    from toolkit.pictures.io import to_picture

    (tmp_path / "images").mkdir()
    for seed in range(5):
        to_picture(random_image(40, 44, seed)).save(tmp_path / "images" / f"{seed}.png")
    return Pass(ImageStream(list_images(tmp_path / "images"), "native"))


def test_scales_applied_without_images_are_the_normalisation(tiny_network, work, random_image, tmp_path):
    original = tiny_network()
    (result,), _ = normalize([original], work, [random_image()])
    result.mean_activations.save(tmp_path / "x.scales")
    again = apply(original, MeanActivations.load(tmp_path / "x.scales"), [random_image()])
    assert again.relative_error == result.relative_error and not again.remeasured
    for one, other in zip(again.network.parameters(), result.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert (tmp_path / "x.scales").stat().st_size < 20_000


def test_weights_are_recognised_whatever_holds_them_and_others_refused(tiny_network, work, random_image):
    original = tiny_network()
    (known,), _ = work.mean_activations([original], {})
    copied = tiny_network()
    for parameter in copied.parameters():  # as an 8-bit copy has them
        step = parameter.abs().max() / 127
        parameter.copy_((parameter / step).round() * step)
    assert known.fits(original) and known.fits(copied)
    with pytest.raises(ToolkitError, match="are of other weights: normalise over images instead"):
        apply(tiny_network(seed=1), known, [random_image()])
    with pytest.raises(ToolkitError, match="are of average pooling"):
        apply(tiny_network(pooling="max"), known, [random_image()])


def test_scales_are_implied_by_the_weights_alone(tiny_network, work, random_image):
    original = tiny_network()
    (result,), _ = normalize([original], work, [random_image()])
    implied = implied_mean_activations(result.network, original)
    for name, mean in result.network.mean_activations.items():
        torch.testing.assert_close(implied[name], torch.where(mean > 0, mean, 1.0), rtol=1e-5, atol=0)
    with pytest.raises(ToolkitError, match="conv1_1 is not the original's, rescaled: the two come from different"):
        implied_mean_activations(result.network, tiny_network(seed=1))


def test_agreement_is_by_logarithms_and_medians():
    ours = {"conv1_1": torch.tensor([1.0, 2.0, 4.0, 0.0]), "conv1_2": torch.tensor([1.0, 10.0, 100.0])}
    theirs = {"conv1_1": torch.tensor([2.0, 4.0, 8.0, 1.0]), "conv1_2": torch.tensor([100.0, 10.0, 1.0])}
    found = agreement(ours, theirs)
    assert found["conv1_1"] == pytest.approx((1.0, 0.5, 3))
    assert found["conv1_2"] == pytest.approx((-1.0, 1.0, 3))


@pytest.fixture
def adain(tiny_network, work, random_image, tmp_path):
    """A normalised network as the AdaIN family stores it: numbered, behind a convolution that prepares the input."""
    original = tiny_network(convention="caffe")
    (result,), _ = normalize([original], work, [random_image()])
    mean = torch.tensor(CONVENTIONS["caffe"].mean)
    tensors = {"0.weight": 255 * torch.eye(3).flip(0).view(3, 3, 1, 1), "0.bias": -mean}
    numbers = (2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51)
    for number, name in zip(numbers, original.architecture.convolutions, strict=True):
        for part, parameter in result.network.convolution(name).named_parameters():
            tensors[f"{number}.{part}"] = parameter.contiguous()
    torch.save(tensors, tmp_path / "vgg_normalised.pth")
    save_network(original, tmp_path / "original.safetensors")
    result.mean_activations.save(tmp_path / "ours.scales")
    return tmp_path, result.network


def test_a_file_that_prepares_its_input_by_a_convolution_is_read(adain, random_image):
    folder, expected = adain
    network = load_network(folder / "vgg_normalised.pth", pooling="average")
    assert network.preprocessing.channels == "BGR"
    layers = ["relu1_1", "relu5_1"]
    for name, features in network(random_image(), layers).items():
        torch.testing.assert_close(features, expected(random_image(), layers)[name], rtol=1e-5, atol=1e-5)


def test_anyones_normalised_network_is_compared_through_its_original(adain, monkeypatch, capsys):
    folder, _ = adain
    monkeypatch.chdir(folder)
    assert main(["compare", "ours.scales", "vgg_normalised.pth"]) == 2
    assert "name the weights as they were trained. See --original." in capsys.readouterr().err
    assert main(["compare", "ours.scales", "vgg_normalised.pth", "--original", "original.safetensors"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 17 and lines[0].split() == ["layer", "log-correlation", "median", "A/B", "filters"]
    assert all(line.split()[1:3] == ["1.00000", "1.0000"] for line in lines[1:])


def test_other_leading_convolutions_are_refused(adain):
    folder, _ = adain
    tensors = torch.load(folder / "vgg_normalised.pth")
    tensors["0.weight"] = torch.randn(3, 3, 1, 1)
    torch.save(tensors, folder / "odd.pth")
    with pytest.raises(ToolkitError, match="begins with a convolution that is no preprocessing"):
        load_network(folder / "odd.pth")


def test_mean_activations_on_the_command_line(adain, monkeypatch, capsys):
    folder, _ = adain
    monkeypatch.chdir(folder)
    command = ["normalize", "original.safetensors", "images", "--prepare", "native"]
    assert main([*command, "-o", "mine.scales"]) == 0
    apply = ["normalize", "-o", "mine.safetensors", "original.safetensors", "mine.scales"]
    for surplus in (["images"], ["--sample", "1"], ["--report", "x.html"], ["-o", "other.scales"]):
        assert main([*apply, *surplus]) == 2
        assert "A .scales file takes the place of images" in capsys.readouterr().err
    assert main(apply) == 0
    assert capsys.readouterr().out.endswith("written to mine.safetensors\n")
    assert main(["compare", "mine.safetensors", "ours.scales"]) == 0
    assert capsys.readouterr().out.count(" 1.00000 ") == 16
    assert main([*command, "-o", "mine.onnx"]) == 2
    assert "must end in .safetensors or .scales" in capsys.readouterr().err
    assert main([*command, "-o", "mine.scales", "--pooling", "both"]) == 2
    assert "A .scales file holds one pooling" in capsys.readouterr().err
    weights = load_file("mine.safetensors")
    save_file(weights, "other.scales")
    assert main(["compare", "other.scales", "ours.scales"]) == 2
    assert "holds no mean activations" in capsys.readouterr().err
    assert main(["normalize", "original.safetensors", "-o", "rough.safetensors"]) == 0
    assert "note: mean activations over so few images (4) are approximate" in capsys.readouterr().err
    assert load_network("rough.safetensors").provenance["normalization"]["approximate"] == "fewer than 100 images"


def test_what_was_normalised_is_normalised_anew_from_its_original(adain, monkeypatch, capsys):
    folder, _ = adain
    monkeypatch.chdir(folder)
    command = ["images", "--prepare", "native", "--pooling", "both", "--precision", "8bit"]
    assert main(["normalize", "original.safetensors", *command, "-o", "once.safetensors"]) == 0
    assert main(["normalize", "once.safetensors", *command, "-o", "twice.safetensors"]) == 0
    for pooling in ("average", "max"):
        once, twice = (load_network(f"{name}.safetensors", pooling=pooling) for name in ("once", "twice"))
        assert fingerprint(once) == fingerprint(twice)


def test_the_filter_belongs_to_the_preparation(tiny_network, tmp_path, work):
    for preparation, filter in (("crop", "bilinear"), ("stretch", "bicubic"), ("native", "none")):
        stream = ImageStream(work.images.entries, preparation)
        (known,), _ = Pass(stream).mean_activations([tiny_network("vgg11")], {})
        assert (known.provenance["preparation"], known.provenance["filter"]) == (preparation, filter)


def test_shipped_mean_activations_are_found_by_the_weights(shared_data):
    source = shared_data / "weights" / "vgg19-features-caffe.safetensors"
    used = "is not normalised: the mean activations in vgg19-caffe-synthesis.scales fit its weights and were used."
    with pytest.warns(ToolkitWarning, match=f"^{source} {used}$"):
        network = load_normalized(source, convention="caffe")
    assert network.pooling == "average" and network.provenance["normalization"]["images"] == 400
    with pytest.warns(ToolkitWarning, match="vgg19-caffe-gatys.scales fit its weights"):
        load_normalized(source, convention="caffe", pooling="max")


def test_mean_activations_of_other_networks_are_passed_over(tiny_network, work, tmp_path, monkeypatch, residual):
    own = tmp_path / "normalized-vgg"
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, appauthor: tmp_path / name)
    own.mkdir()
    (own / "a.scales").write_text("damaged")
    residual.provenance = {"source": "own_nets:residual", "normalization": {}}
    save_scales(residual, own / "b.scales")
    (known,), _ = work.mean_activations([tiny_network()], {})
    known.save(own / "c.scales")
    save_network(tiny_network(), tmp_path / "plain.safetensors")
    with pytest.warns(ToolkitWarning, match="the mean activations in c.scales fit its weights and were used"):
        assert load_normalized(tmp_path / "plain.safetensors").mean_activations


@pytest.mark.filterwarnings("error")
def test_a_normalised_network_is_loaded_without_a_warning():
    assert load_normalized("vgg19-small").mean_activations
