"""ONNX files compute what the network does, and the step what autograd says; a file that does not is not written."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

from toolkit.cli import main
from toolkit.errors import ToolkitError
from toolkit.export import OnnxObjective, Session, export_features, export_step, features_model, step_model, writing
from toolkit.network import Network, save_network
from toolkit.synthesis import Recipe, Synthesis
from toolkit.synthesis.objective import Objective

LAYERS = ["relu1_1", "conv2_1", "pool3", "relu4_2", "relu5_1"]


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("convention", ["torchvision", "caffe"])
@pytest.mark.parametrize("name", ["vgg11", "vgg16", "vgg19"])
def test_features_are_the_networks_at_any_size(tiny_network, name, convention, pooling):
    network = tiny_network(name, convention=convention, pooling=pooling)
    layers = [layer for layer in LAYERS if layer in {each.name for each in network.architecture.layers}]
    session = Session(features_model(network, layers))
    for size in ((1, 32, 32), (2, 47, 61), (3, 33, 40)):
        image = torch.rand(size[0], 3, *size[1:], generator=torch.Generator().manual_seed(size[1]))
        expected = network(image, layers)
        found = session.run({"image": image}, {layer: expected[layer].shape for layer in layers})
        for layer in layers:
            torch.testing.assert_close(found[layer], expected[layer], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.0), ("float16", 1e-6), ("int8", 1e-4)])
def test_each_precision_is_checked_against_its_own_bound(tiny_network, tmp_path, precision, least):
    path = tmp_path / "x.onnx"
    errors = export_features(tiny_network("vgg11", widths=(16,) * 5), LAYERS[:2], path, precision)
    assert list(errors) == ["conv2_1", "relu1_1"]
    assert all(least <= error <= writing.BOUNDS[precision] for error in errors.values())
    model = onnx.load(path)
    stored = {tensor.data_type for tensor in model.graph.initializer if tensor.name.startswith("conv2_1.weight")}
    types = onnx.TensorProto
    assert (
        stored
        == {
            "float32": {types.FLOAT},
            "float16": {types.FLOAT16},
            "int8": {types.INT8, types.FLOAT},
        }[precision]
    )


def test_a_file_that_is_off_is_refused_and_nothing_left(tiny_network, tmp_path, monkeypatch):
    monkeypatch.setitem(writing.BOUNDS, "int8", 1e-6)
    with pytest.raises(ToolkitError, match=r"ONNX Runtime's \w+ is off by .* more than 1e-06: nothing was written"):
        export_features(tiny_network(), LAYERS, tmp_path / "x.onnx", "int8")
    assert not list(tmp_path.iterdir())


def test_weights_too_large_for_sixteen_bits_are_refused(tiny_network, tmp_path):
    network = tiny_network()
    for name in network.architecture.convolutions:
        network.convolution(name).weight.mul_(30)
    with pytest.raises(ToolkitError, match="use a higher --precision, or a normalised network"):
        export_features(network, LAYERS, tmp_path / "x.onnx", "float16")
    assert not list(tmp_path.iterdir())


def losses_by_autograd(network: Network, image, content, styles, recipe):
    """The losses from their definition, and the gradient by autograd."""
    image = image.clone().requires_grad_()
    layers = {*recipe.content_layers, *recipe.style_layers}
    with torch.enable_grad():
        found, wanted, painted = (network(each, layers) for each in (image, content, styles))

        def gram(features):
            rows = features[0].flatten(1)
            return rows @ rows.T / rows.shape[1]

        losses = {f"content {name}": F.mse_loss(found[name], wanted[name]) for name in recipe.content_layers}
        losses |= {f"style {name}": F.mse_loss(gram(found[name]), gram(painted[name])) for name in recipe.style_layers}
        total = sum(recipe.content_weight * w * losses[f"content {n}"] for n, w in recipe.content_layers.items())
        total = total + sum(recipe.style_weight * w * losses[f"style {n}"] for n, w in recipe.style_layers.items())
        total.backward()
    return {name: loss.item() for name, loss in losses.items()}, total.item(), image.grad


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("convention", ["torchvision", "caffe"])
@pytest.mark.parametrize(
    ("content_layers", "style_layers"),
    [
        ({"relu4_2": 1.0}, {f"relu{block}_1": 0.2 for block in range(1, 6)}),
        ({"relu2_2": 0.5, "conv3_1": 2.0}, {"relu2_2": 1.0, "pool2": 0.3}),
        ({"relu3_1": 1.0}, {}),
        ({}, {"relu1_1": 1.0, "relu3_3": 0.1}),
    ],
)
def test_the_steps_gradient_is_autograds(tiny_network, random_image, pooling, convention, content_layers, style_layers):
    network = tiny_network(pooling=pooling, convention=convention)
    recipe = Recipe.preset("transfer", content_layers=content_layers, style_layers=style_layers, style_weight=7.0)
    model = step_model(network, list(content_layers), list(style_layers))
    assert {node.domain for node in model.graph.node} == {""}
    session = Session(model)
    for height, width in ((40, 52), (33, 47)):  # one session, any size
        image, content, style = (random_image(height, width, seed=seed) for seed in range(3))
        evaluation = OnnxObjective(network, recipe, content, [style], session=session)(image)
        losses, total, gradient = losses_by_autograd(network, image, content, style, recipe)
        assert evaluation.losses == pytest.approx(losses, rel=1e-3)
        assert evaluation.objective == pytest.approx(total, rel=1e-3)
        torch.testing.assert_close(evaluation.gradient, gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))


@pytest.mark.parametrize("formula", ["mean", "paper"])
def test_both_engines_agree_on_every_loss(tiny_network, random_image, formula):
    recipe = Recipe.preset("transfer", formula=formula, total_variation_weight=0.5)
    arguments = tiny_network(), recipe, random_image(seed=1), [random_image(seed=2), random_image(40, 40, seed=3)]
    torchs, onnxs = (objective(*arguments)(random_image()) for objective in (Objective, OnnxObjective))
    assert torchs.losses == pytest.approx(onnxs.losses, rel=1e-4)
    torch.testing.assert_close(
        torchs.gradient, onnxs.gradient, rtol=1e-3, atol=1e-4 * float(torchs.gradient.abs().max())
    )


def test_a_synthesis_on_onnx_runtime_makes_the_same_picture(tiny_network, random_image):
    recipe = Recipe.preset("transfer", size=48, evaluations=4, optimizer="adam", precision="float32")
    images = {}
    for objective in (Objective, OnnxObjective):
        synthesis = Synthesis(
            tiny_network(), recipe, content=random_image(), styles=[random_image(seed=2)], objective=objective
        )
        list(synthesis)
        images[objective] = synthesis.image
    assert (images[Objective] - images[OnnxObjective]).abs().max() < 5e-3


def test_the_step_file_is_checked_and_says_what_it_is(tiny_network, tmp_path):
    network = tiny_network()
    network.provenance["source"] = "somewhere"
    errors = export_step(network, ["relu3_1"], ["relu1_1", "relu2_1"], tmp_path / "step.onnx")
    assert errors.keys() == {"content relu3_1", "style relu1_1", "style relu2_1", "gradient"}
    model = onnx.load(tmp_path / "step.onnx")
    properties = {each.key: each.value for each in model.metadata_props}
    assert "somewhere" in properties["provenance"] and properties["pooling"] == "average"
    assert "gradient in the image" in model.doc_string
    assert [value.name for value in model.graph.input] == [
        "image", "content_weights", "content_relu3_1", "style_weights", "gram_relu1_1", "gram_relu2_1",
    ]  # fmt: skip


def test_the_file_runs_without_torch(tiny_network, random_image, tmp_path):
    network = tiny_network()
    export_features(network, ["relu2_1"], tmp_path / "x.onnx")
    np.save(tmp_path / "image.npy", random_image().numpy())
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession('x.onnx', providers=['CPUExecutionProvider'])\n"
        "(features,) = session.run(['relu2_1'], {'image': numpy.load('image.npy')})\n"
        "numpy.save('features.npy', features)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)
    expected = network(random_image(), ["relu2_1"])["relu2_1"].numpy()
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_provider_that_cannot_start_is_a_sentence(tiny_network):
    with pytest.raises(ToolkitError, match="ONNX Runtime could not start CUDAExecutionProvider here: install CUDA's"):
        Session(features_model(tiny_network(), ["relu1_1"]), "cuda")
    with pytest.raises(ToolkitError, match="ONNX Runtime does not run on meta here"):
        Session(features_model(tiny_network(), ["relu1_1"]), "meta")


def test_export_on_the_command_line(tiny_network, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    assert main(["export", "tiny.safetensors", "--layers", "relu1_1,pool2", "-o", "x.onnx"]) == 0
    text = capsys.readouterr().out
    assert "  relu1_1 " in text and "  pool2 " in text and "written to x.onnx, " in text
    assert main(["export", "tiny.safetensors", "--step", "-o", "step.onnx"]) == 0
    assert "  gradient " in capsys.readouterr().out
    for command, sentence in {
        ("-o", "x.pb"): "x.pb must end in .onnx.",
        ("-o", "y.onnx", "--layers", "relu9_1"): "Unknown layer 'relu9_1' of vgg19: did you mean",
        ("-o", "y.onnx", "--layers", ","): "There is nothing to export",
        ("-o", "y.onnx", "--step", "--precision", "int8"): "A step is exported in float32 alone",
        ("-o", "y.onnx", "--step", "--content-layers", "", "--style-layers", ""): "A step needs a layer",
    }.items():
        assert main(["export", "tiny.safetensors", *command]) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "y.onnx").exists()


def test_the_engine_is_chosen_on_the_command_line(tiny_network, random_image, tmp_path, monkeypatch, capsys):
    from toolkit.images.io import save_png

    monkeypatch.chdir(tmp_path)
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    save_png(random_image(), tmp_path / "a.png", "{}")
    command = ["transfer", "a.png", "a.png", "--network", "tiny.safetensors", "--size", "40", "--evaluations", "2"]
    assert main([*command, "--engine", "onnx", "-o", "x.png"]) == 0
    assert "CPUExecutionProvider" in capsys.readouterr().err
    assert main([*command, "--engine", "onnx", "--precision", "bfloat16", "-o", "y.png"]) == 2
    assert "ONNX Runtime computes the step in float32" in capsys.readouterr().err
