"""Networks that are no VGG: by name, measured at their layers, kept in a file, painting, studied and shown."""

import sys
import warnings
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import toolkit
from toolkit.atlas import Atlas
from toolkit.cli import main
from toolkit.errors import ToolkitError
from toolkit.network import channels, field_of, load_network, save_scales
from toolkit.pictures.formats import save_image
from toolkit.pictures.io import open_image
from toolkit.synthesis import Inputs, Objective, Recipe

FACTORY = """
import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x):
        return self.inner(x) + x


def seeded(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        stem, out = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, 5, 3, stride=2)
        return nn.Sequential(stem, nn.ReLU(inplace=True), Residual(), nn.Sequential(out, nn.ReLU()), nn.Flatten())


def other():
    return seeded(1)


def none():
    return "seeded"


def asking(seed):
    return seeded(seed)


class Picky(nn.Conv2d):
    def forward(self, x):
        torch._assert(x.shape[-1] == 224, "Wrong image width!")
        return super().forward(x)


def picky():
    return nn.Sequential(Picky(3, 4, 3))
"""

LAYERS = "relu1_1=1,relu4_2=2,relu5_1=3"


@pytest.fixture
def desk(tmp_path, monkeypatch, random_image):
    """A folder with a module that makes networks, five photographs, and a painting."""
    (tmp_path / "own_nets.py").write_text(FACTORY)
    (tmp_path / "images").mkdir()
    for seed in range(5):
        save_image(random_image(40 + seed, 48, seed), tmp_path / "images" / f"{seed}.png", "{}")
    save_image(random_image(48, 48, 9).round(), tmp_path / "painting.png", "{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_nets", None)


@pytest.fixture
def measured(desk):
    command = ["normalize", "own_nets:seeded", "images", "--prepare", "native", "--layers", LAYERS, "-o", "own.scales"]
    assert main(command) == 0
    return desk


def pixels(desk):
    return [open_image(path) for path in sorted((desk / "images").iterdir())]


def test_means_are_of_sizes_over_images_and_positions(measured):
    found = load_file("own.scales")
    trained = load_network("own_nets:seeded")
    features = [trained(image, ["1", "2", "3"]) for image in pixels(measured)]
    for name, own in {"relu1_1": "1", "relu4_2": "2", "relu5_1": "3"}.items():
        rows = torch.cat([each[own].flatten(2) for each in features], 2)[0].double()
        torch.testing.assert_close(found[f"{name}.mean_activation"], rows.abs().mean(1), rtol=1e-6, atol=0)
        assert (rows.min() < 0) == (own == "2")
    network = load_network("own_nets:seeded@own.scales")
    scaled = [network(image, ["relu4_2"])["relu4_2"].flatten(2) for image in pixels(measured)]
    torch.testing.assert_close(torch.cat(scaled, 2)[0].abs().mean(1), torch.ones(6), rtol=1e-5, atol=0)


def test_a_scale_at_the_layers_is_a_scale_folded_into_the_weights(measured, random_image):
    """Where folding is exact: a convolution with a ReLU behind it, whose own features alone are compared."""
    network, folded = load_network("own_nets:seeded@own.scales"), load_network("own_nets:seeded").module
    mean = network.mean_activations["relu1_1"].float()
    folded[0].weight.div_(mean.view(-1, 1, 1, 1))
    folded[0].bias.div_(mean)
    recipe = Recipe.preset("transfer", content_layers="relu1_1", style_layers="relu1_1", size=48)
    named = toolkit.network.ModuleBackbone(folded, layers={"relu1_1": "1"})
    # In float32 the rounding of some processors alone exceeds the bounds.
    content, style, image = (random_image(height, 48, seed).double() for height, seed in ((40, 1), (48, 2), (40, 3)))
    inputs, cpu = Inputs(content, [style]), torch.device("cpu")
    one, other = (Objective(each.at(cpu, torch.float64), recipe, inputs)(image) for each in (network, named))
    torch.testing.assert_close(one.objective, other.objective, rtol=1e-5, atol=0)
    torch.testing.assert_close(one.gradient, other.gradient, rtol=1e-4, atol=1e-7)


def test_files_know_their_weights_and_choose_no_code(measured):
    with pytest.raises(ToolkitError, match=r"which is code: name both, own_nets:seeded@own\.scales"):
        load_network("own.scales")
    network = load_network("own_nets:seeded@own.scales")
    (measured / "evil.py").write_text("raise SystemExit")
    for source in ("evil", "evil.scales", "own/evil", "evil:net", "timm/a:b"):
        network.provenance["source"] = source
        save_scales(network, measured / "evil.scales")
        with pytest.raises(ToolkitError, match="which is code: name both"):
            load_network("evil.scales")
    with pytest.raises(ToolkitError, match="belongs to other weights than own_nets:other has"):
        load_network("own_nets:other@own.scales")
    again = load_network("own_nets:seeded@own.scales")
    assert again.provenance["normalization"]["images"] == 5 and again.provenance["source"] == "own_nets:seeded"
    assert again.fingerprint != load_network("own_nets:seeded@own.scales", normalized=False).fingerprint
    assert (measured / "own.scales").stat().st_size < 10_000


def test_an_at_sign_in_a_path_is_no_mark(measured, capsys):
    place = measured / "me@work" / "own.scales"
    place.parent.mkdir()
    (measured / "own.scales").rename(place)
    assert load_network(f"own_nets:seeded@{place}").mean_activations
    with pytest.raises(ToolkitError, match=f"name both, own_nets:seeded@{place}"):
        load_network(str(place))
    assert main(["inspect", str(place)]) == 0


def test_a_comparison_is_of_vggs(measured, capsys):
    assert main(["compare", "own.scales", "own.scales"]) == 2
    assert "own.scales holds no mean activations of a VGG: name a .scales file that" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["own.scales", "own_nets:seeded@own.scales"])
def test_inspect_tells_what_a_file_of_means_belongs_to_and_runs_no_code(measured, capsys, name):
    sys.modules.pop("own_nets")
    capsys.readouterr()
    assert main(["inspect", name]) == 0
    told, means = capsys.readouterr().out, load_file("own.scales")["relu4_2.mean_activation"]
    assert "own_nets:seeded, no VGG\npreprocessing  RGB x 1, minus (0.485" in told and '"images": 5' in told
    assert f"  relu4_2 (2): mean activations {means.min():.3g} to {means.max():.3g}\n" in told
    assert "own_nets" not in sys.modules


def test_torchvisions_are_made_by_name_and_a_file_may_name_them(desk, monkeypatch):
    import torchvision

    def get_model(name, weights):
        assert weights is torchvision.models.ResNet18_Weights.DEFAULT
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return torchvision.models.resnet18()

    monkeypatch.setattr("torchvision.models.get_model", get_model)
    command = ["normalize", "torchvision/resnet18", "images", "--layers", "layer1,layer2", "-o", "resnet.scales"]
    assert main(command) == 0
    network = load_network("resnet.scales")
    assert channels(network, network.measured) == {"layer1": 64, "layer2": 128}
    assert network.preprocessing.mean == (0.485, 0.456, 0.406)
    with pytest.raises(ToolkitError, match="'torchvision/resnet19': did you mean"):
        load_network("torchvision/resnet19")


def test_timms_say_their_preprocessing(desk, monkeypatch):
    def create_model(name, pretrained):
        assert (name, pretrained) == ("own", True)
        module = nn.Sequential(nn.Conv2d(3, 4, 3))
        module.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
        return module

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    network = load_network("timm/own")
    assert network.preprocessing(torch.ones(1, 3, 1, 1)).unique().item() == 2
    assert load_network("timm/own", convention="caffe").preprocessing.channels == "BGR"
    with pytest.raises(ToolkitError, match="Unknown convention 'cafe': did you mean caffe"):
        load_network("timm/own", convention="cafe")


def test_it_paints_is_judged_studied_and_shown(measured, capsys):
    network = ["--network", "own_nets:seeded@own.scales"]
    layers = ["--style-layers", "relu1_1,relu5_1"]
    size = ["--size", "48", "--iterations", "4", "--levels", "1", "--finish", "0", "--style-statistic", "gram"]
    photo, painting = "images/0.png", "painting.png"
    assert main(["transfer", photo, painting, *network, *layers, *size, "-o", "x.png"]) == 0
    losses = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("content", "style"))]
    assert [line.split()[1] for line in losses] == ["relu4_2", "relu1_1", "relu5_1"]
    study = ["study", photo, painting, *layers, *size, "--rows", "normalization", "-o", "study.png"]
    assert main([*study, *network]) == 0
    images = ["atlas", network[1], "images", "--layers", "relu1_1,relu4_2", "-o", "own.atlas"]
    assert main(images) == 0
    atlas = Atlas.read(measured / "own.atlas", load_network(network[1]))
    assert atlas.channels("relu4_2") == 6 and atlas.patches("relu4_2", 0)
    assert main(["transfer", photo, painting, *network, "--style-layers", "3", *size]) == 2
    assert "Unknown layer '3': choose among relu1_1, relu4_2, relu5_1" in capsys.readouterr().err


def test_what_a_position_sees_is_found_by_its_gradient(desk):
    network = load_network("own_nets:seeded")
    field = field_of(network, "2")  # two 3 x 3 convolutions, the first with stride 2 and padding 1
    assert field(5, None) == range(7, 14) and field(0, 40) == range(0, 4) and len(field(0, None)) == 7


def test_what_it_cannot_do_is_said(desk, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # as where it is not installed
    for words, sentence in {
        "normalize own_nets:seeded images -o x.safetensors --layers 1": "only the mean activations are written",
        "normalize own_nets:seeded images -o x.scales": "at those that are named",
        "normalize vgg19-small images -o x.scales --layers relu1_1": "A VGG is measured at all its layers",
        "normalize own_nets:seeded images -o x.scales --layers 4": "'4' gives no features",
        "normalize own_nets:seeded images -o x.scales --layers a=9": "Unknown layer 'a'",
        "normalize own_nets:absent images -o x.scales --layers 1": "Could not make own_nets:absent",
        "normalize absent_nets:net images -o x.scales --layers 1": "install its package",
        "normalize own_nets:none images -o x.scales --layers 1": "gives no PyTorch module, but a str",
        "normalize own_nets:asking images -o x.scales --layers 1": "'seed'): name a function that takes no arguments.",
        "normalize own_nets:picky images -o x.scales --layers 0": "of one size only (Wrong image width!): name",
        "normalize torch.nn:ReLU images -o x.scales --layers 0": "ReLU has no weights, so it is no network: name",
        "normalize timm/resnet18 images -o x.scales --layers 1": "Could not make timm/resnet18",
        "transfer images/0.png painting.png --network own_nets:seeded@absent.scales": "There is no file absent.scales",
        "transfer images/0.png painting.png --network own_nets:seeded --pooling max": "its pooling can't be chosen",
    }.items():
        assert main(words.split()) == 2
        assert sentence in capsys.readouterr().err
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        toolkit.jobs.Transfer(content="x", styles=["y"], network="own_nets:seeded").load()
    assert "used as it was trained" in str(caught[0].message)
    assert isinstance(load_network("own_nets:seeded").module, nn.Module)
