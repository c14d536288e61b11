"""ONNX files compute what the network does, and the step what autograd says; a file that does not is not written."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import numpy_helper

from toolkit.cli import main
from toolkit.errors import InputError, ToolkitError
from toolkit.export import (
    OnnxObjective,
    Session,
    export_features,
    export_step,
    features_model,
    step_model,
    writing,
)
from toolkit.network import Network, Preprocessing, rescale, save_network
from toolkit.network.codebook import Codebook
from toolkit.synthesis import Inputs, Recipe, Synthesis
from toolkit.synthesis.objective import Objective

LAYERS = ["relu1_1", "conv2_1", "pool3", "relu4_2", "relu5_1"]

#: What ONNX Runtime has no part in.
PLAIN = {"finish": 0.0, "total_variation_weight": 0.0}

#: Content layers and style layers with their weights.
CHOICES = [
    ({"relu4_2": 1.0}, {f"relu{block}_1": 0.2 for block in range(1, 6)}),
    ({"relu2_2": 0.5, "conv3_1": 2.0}, {"relu2_2": 1.0, "pool2": 0.3}),
    ({"relu3_1": 1.0}, {}),
    ({}, {"relu1_1": 1.0, "relu3_3": 0.1}),
]


def gram(features):
    rows = features[0].flatten(1)
    return rows @ rows.T / rows.shape[1]


@pytest.fixture(scope="session")
def eight_bit_network(tiny_network):
    """Makes a normalised network whose weights, before normalisation, have at most 256 values a layer."""

    def make(**options) -> Network:
        network = tiny_network(**options)
        generator, below = torch.Generator().manual_seed(1), torch.ones(3)
        for name, (_, filters) in network.architecture.convolutions.items():
            convolution = network.convolution(name)
            weight = convolution.weight
            values = torch.linspace(float(weight.min()), float(weight.max()), 256)
            index = (weight[..., None] - values).abs().argmin(-1).to(torch.uint8)
            network.codebooks[name] = Codebook(index, values)
            mean = torch.rand(filters, generator=generator, dtype=torch.float64) + 0.5
            mean[0] = 0  # a filter that never fires keeps its scale
            scale = mean.where(mean > 0, 1.0)
            weight.copy_(values[index.long()] * below.view(1, -1, 1, 1) / scale.view(-1, 1, 1, 1))
            convolution.bias.div_(scale)
            network.mean_activations[name], below = mean, scale
        return network

    return make


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


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_each_precision_is_checked_against_its_own_bound(tiny_network, tmp_path, precision):
    path = tmp_path / "x.onnx"
    errors = export_features(tiny_network("vgg11", widths=(16,) * 5), LAYERS[:2], path, precision)
    assert errors.keys() == {"conv2_1", "relu1_1"}
    assert all(error <= writing.BOUNDS[precision].values for error in errors.values())
    assert (max(errors.values()) > 1e-6) == (precision == "float16")
    (stored,) = (each for each in onnx.load(path).graph.initializer if each.name == "conv2_1.weight")
    types = onnx.TensorProto
    assert stored.data_type == {"float32": types.FLOAT, "float16": types.FLOAT16}[precision]


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("convention", ["torchvision", "caffe"])
def test_eight_bits_lose_nothing_of_weights_with_256_values(eight_bit_network, tmp_path, convention, pooling):
    network = eight_bit_network(convention=convention, pooling=pooling, widths=(12,) * 5)
    layers = ["relu3_1", "relu4_2"], ["relu1_1", "relu3_1", "relu5_1"]
    files = [tmp_path / f"{kind}.onnx" for kind in ("features", "step")]
    errors = [
        export_features(network, LAYERS, files[0], "8bit"),
        export_step(network, *layers, files[1], "8bit"),
    ]
    bounds = writing.BOUNDS["float32"]
    assert all(error <= bounds.of(name) for found in errors for name, error in found.items())
    for file in files:
        stored = {each.name: each for each in onnx.load(file).graph.initializer}
        assert stored["conv4_1.index"].data_type == onnx.TensorProto.UINT8
        assert not [name for name in stored if name.endswith(".weight")]


def test_eight_bits_are_near_any_weights(tiny_network, tmp_path):
    errors = export_features(tiny_network(widths=(16,) * 5), LAYERS, tmp_path / "x.onnx", "8bit")
    assert errors.keys() == {*LAYERS}
    assert 1e-5 < max(errors.values()) <= writing.BOUNDS["8bit"].values


def test_a_normalised_network_in_eight_bits_is_rounded_as_it_was_trained(tiny_network, tmp_path):
    generator, trained = torch.Generator().manual_seed(3), tiny_network(widths=(16,) * 5)
    means = {
        name: torch.randn(filters, generator=generator, dtype=torch.float64).mul(2).exp()
        for name, (_, filters) in trained.architecture.convolutions.items()
    }
    network = rescale(trained, means, {"images": 1})
    errors = export_step(network, ["relu4_2"], ["relu1_1", "relu5_1"], tmp_path / "step.onnx", "8bit")
    assert max(errors[name] for name in ("relu4_2", "relu1_1_gram", "relu5_1_gram")) < 0.03
    stored = {each.name: numpy_helper.to_array(each) for each in onnx.load(tmp_path / "step.onnx").graph.initializer}
    for name in trained.architecture.down_to(["relu5_1"]):
        if name.kind == "conv":
            decoded = stored[f"{name.name}.codebook"][stored[f"{name.name}.index"]]
            weight = trained.convolution(name.name).weight.numpy()
            assert np.linalg.norm(decoded - weight) < 0.02 * np.linalg.norm(weight)


def test_what_is_exported_twice_is_the_same_file():
    program = """
import hashlib, torch
from toolkit.export import features_model, step_model
from toolkit.network import Architecture, Network, Preprocessing
torch.manual_seed(0)
network = Network(Architecture("vgg11", (4,) * 5), Preprocessing("RGB", 1.0, (0.0,) * 3, (1.0,) * 3))
for parameter in network.parameters():
    torch.nn.init.normal_(parameter)
layers = [f"relu{block}_1" for block in range(1, 6)]
models = [features_model(network, layers, precision) for precision in ("float32", "float16", "8bit")]
for model in [*models, step_model(network, layers, layers)]:
    print(hashlib.sha256(model.SerializeToString()).hexdigest())
"""
    told = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in "12"
    }
    assert len(told) == 1


def test_weights_beyond_float16_are_named(tiny_network, tmp_path):
    network = tiny_network()
    network.convolution("conv2_1").weight[0, 0] = 70_000
    with (
        pytest.raises(InputError, match="The weights of conv2_1 are too large for float16: use float32 or 8bit"),
        warnings.catch_warnings(action="error", category=RuntimeWarning),  # as numpy's are
    ):
        export_features(network, LAYERS, tmp_path / "x.onnx", "float16")


def test_eight_bit_weights_are_constants_once_loaded(eight_bit_network, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = step_model(eight_bit_network(), ["relu4_2"], ["relu1_1", "relu5_1"], "8bit")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    loaded = onnx.load(tmp_path / "loaded.onnx").graph
    constants = {each.name for each in loaded.initializer}
    kernels = [node.input[1] for node in loaded.node if node.op_type in ("Conv", "FusedConv")]
    assert len(kernels) == 2 * 13 and constants.issuperset(kernels)


def test_a_file_that_is_off_is_refused_and_nothing_left(tiny_network, tmp_path, monkeypatch):
    monkeypatch.setitem(writing.BOUNDS, "float16", writing.Bounds(1e-6))
    with pytest.raises(ToolkitError, match=r"ONNX Runtime's \w+ is off by .* more than 1e-06: nothing was written"):
        export_features(tiny_network(), LAYERS, tmp_path / "x.onnx", "float16")
    assert not list(tmp_path.iterdir())


def test_weights_too_large_for_sixteen_bits_are_refused(tiny_network, tmp_path):
    network = tiny_network()
    for name in network.architecture.convolutions:
        network.convolution(name).weight.mul_(30)
    with pytest.raises(ToolkitError, match="use a higher precision, or a normalised network"):
        export_features(network, LAYERS, tmp_path / "x.onnx", "float16")
    assert not list(tmp_path.iterdir())


def losses_by_autograd(network: Network, image, content, styles, recipe):
    """The losses from their definition, and the gradient by autograd."""
    image = image.clone().requires_grad_()
    layers = {*recipe.content_layers, *recipe.style_layers}
    with torch.enable_grad():
        found, wanted, painted = (network(each, layers) for each in (image, content, styles))
        losses = {f"content {name}": F.mse_loss(found[name], wanted[name]) for name in recipe.content_layers}
        losses |= {f"style {name}": F.mse_loss(gram(found[name]), gram(painted[name])) for name in recipe.style_layers}
        total = sum(recipe.content_weight * w * losses[f"content {n}"] for n, w in recipe.content_layers.items())
        total = total + sum(recipe.style_weight * w * losses[f"style {n}"] for n, w in recipe.style_layers.items())
        total.backward()
    return {name: loss.item() for name, loss in losses.items()}, total.item(), image.grad


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("convention", ["torchvision", "caffe"])
@pytest.mark.parametrize(("content_layers", "style_layers"), CHOICES)
def test_the_steps_gradient_is_autograds(tiny_network, random_image, pooling, convention, content_layers, style_layers):
    network = tiny_network(pooling=pooling, convention=convention)
    recipe = Recipe.preset(
        "transfer",
        content_layers=content_layers,
        style_layers=style_layers,
        style_weight=7.0,
        style_statistic="gram",
        **PLAIN,
    )
    model = step_model(network, list(content_layers), list(style_layers))
    session = Session(model)
    for height, width in ((40, 52), (33, 47)):  # one session, any size
        image, content, style = (random_image(height, width, seed=seed) for seed in range(3))
        evaluation = OnnxObjective(network, recipe, Inputs(content, [style]), session=session)(image)
        losses, total, gradient = losses_by_autograd(network, image, content, style, recipe)
        assert evaluation.losses == pytest.approx(losses, rel=1e-3)
        assert evaluation.objective == pytest.approx(total, rel=1e-3)
        torch.testing.assert_close(evaluation.gradient, gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))


def test_a_max_poolings_gradient_goes_to_the_first_of_equal_pixels(tiny_network):
    network = tiny_network(pooling="max")
    network.preprocessing = Preprocessing("RGB", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    for parameter in network.parameters():
        parameter.copy_((parameter * 8).round() / 8)  # no sum is rounded, in whatever order: equal pixels stay equal
    recipe = Recipe.preset("reconstruction", content_layers={"pool2": 1.0})
    image = torch.full((1, 3, 17, 19), 0.5)
    image[..., 6:] = 0.875
    content = image.flip(-1)
    evaluation = OnnxObjective(network, recipe, Inputs(content))(image)
    gradient = losses_by_autograd(network, image, content, image, recipe)[2]
    torch.testing.assert_close(evaluation.gradient, gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("precision", ["float32", "8bit"])
@pytest.mark.parametrize("statistic", ["gram", "moments"])
@pytest.mark.parametrize(("content_layers", "style_layers"), CHOICES)
def test_every_step_fits_web_gpu(eight_bit_network, precision, pooling, statistic, content_layers, style_layers):
    network = eight_bit_network(pooling=pooling, convention="caffe")
    check_for_web_gpu(step_model(network, list(content_layers), list(style_layers), precision, statistic))


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("precision", ["float32", "8bit"])
def test_the_graph_of_features_fits_web_gpu(eight_bit_network, precision, pooling):
    check_for_web_gpu(features_model(eight_bit_network(pooling=pooling, convention="caffe"), LAYERS, precision))


def check_for_web_gpu(model):
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    # Operators that onnxruntime-web's WebGPU backend has no kernels for.
    assert not {node.op_type for node in model.graph.node} & {"Sign", "Sum", "Size", "Identity", "ScatterElements"}


@pytest.mark.parametrize("statistic", ["gram", "moments"])
@pytest.mark.parametrize("formula", ["mean", "paper"])
def test_both_engines_agree_on_every_loss(tiny_network, random_image, formula, statistic):
    recipe = Recipe.preset(
        "transfer", formula=formula, finish=0.0, total_variation_weight=0.5, style_statistic=statistic
    )
    inputs = Inputs(random_image(seed=1), [random_image(seed=2), random_image(40, 40, seed=3)])
    torchs, onnxs = (
        objective(tiny_network(), recipe, inputs)(random_image()) for objective in (Objective, OnnxObjective)
    )
    assert torchs.losses == pytest.approx(onnxs.read().losses, rel=1e-4)
    torch.testing.assert_close(
        torchs.gradient, onnxs.gradient, rtol=1e-3, atol=1e-4 * float(torchs.gradient.abs().max())
    )


def test_a_synthesis_on_onnx_runtime_makes_the_same_picture(tiny_network, random_image):
    recipe = Recipe.preset("transfer", size=48, iterations=4, optimizer="adam", precision="float32", **PLAIN)
    images = {}
    for objective in (Objective, OnnxObjective):
        synthesis = Synthesis(
            tiny_network(), recipe, content=random_image(), styles=[random_image(seed=2)], make_objective=objective
        )
        list(synthesis)
        images[objective] = synthesis.image
    assert (images[Objective] - images[OnnxObjective]).abs().max() < 5e-3


def test_the_step_file_is_checked_and_says_what_it_is(tiny_network, tmp_path):
    network = tiny_network()
    network.provenance["source"] = "somewhere"
    errors = export_step(network, ["relu3_1"], ["relu1_1", "relu2_1"], tmp_path / "step.onnx")
    names = {"content_loss_relu3_1", "style_loss_relu1_1", "style_loss_relu2_1", "loss", "gradient"}
    names |= {"relu3_1", "relu1_1_gram", "relu2_1_gram"}
    assert errors.keys() == names
    model = onnx.load(tmp_path / "step.onnx")
    properties = {each.key: each.value for each in model.metadata_props}
    assert "somewhere" in properties["provenance"] and properties["pooling"] == "average"
    assert "gradient in the image" in model.doc_string
    assert [value.name for value in model.graph.input] == [
        "image", "content_weights", "content_relu3_1", "style_weights", "gram_relu1_1", "gram_relu2_1",
    ]  # fmt: skip


def run_alone(program, folder):
    """Runs one of the programs beside this file in a folder.

    Returns:
        The files that it left at home, which was empty.
    """
    home = folder / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ORT_", "XDG_"))}
    command = [sys.executable, str(Path(__file__).parent / program)]
    subprocess.run(command, cwd=folder, env={**environment, "HOME": str(home)}, check=True, timeout=120)
    return list(home.rglob("*"))


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_numpy_and_onnx_runtime_are_enough_to_paint(tiny_network, random_image, tmp_path, pooling):
    network, layers = tiny_network(pooling=pooling), (["relu3_1"], ["relu1_1", "relu2_1"])
    export_step(network, *layers, tmp_path / "step.onnx")
    np.save(tmp_path / "content.npy", random_image(45, 53, seed=1).numpy())
    np.save(tmp_path / "style.npy", random_image(40, 61, seed=2).square().numpy())
    run_alone("paint.py", tmp_path)
    losses = np.load(tmp_path / "losses.npy")
    assert len(losses) == 10 and losses[-1] < 0.7 * losses[0]


def test_onnx_runtime_is_imported_when_used_and_leaves_nothing_behind(tmp_path):
    assert run_alone("lazily.py", tmp_path) == []


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
    twice = ["--content-layers", "relu2_1,relu2_1", "--style-layers", "relu1_1,relu2_1,relu1_1"]
    assert main(["export", "tiny.safetensors", "--kind", "step", *twice, "-o", "step.onnx"]) == 0
    assert main(["export", "tiny.safetensors", "--kind", "step", "-o", "step.onnx"]) == 0
    assert "  gradient " in capsys.readouterr().out
    moments = ["--style-statistic", "moments", "-o", "moments.onnx"]
    assert main(["export", "tiny.safetensors", "--kind", "step", *moments]) == 0
    assert "  relu5_1_mean " in capsys.readouterr().out
    for command, sentence in {
        ("-o", "x.pb"): "x.pb must end in .onnx.",
        ("-o", "y.onnx", "--layers", "relu9_1"): "Unknown layer 'relu9_1' of vgg19: did you mean",
        ("-o", "y.onnx", "--layers", ","): "There is nothing to export",
        (
            "-o",
            "y.onnx",
            "--style-layers",
            "relu1_1",
        ): "--style-layers is no option of the kind features: leave it out",
        (
            "-o",
            "y.onnx",
            "--kind",
            "step",
            "--layers",
            "pool2",
        ): "--layers is no option of the kind step: leave it out",
        ("-o", "y.onnx", "--kind", "step", "--precision", "float16"): "Losses and gradients are too small for float16",
        ("-o", "y.onnx", "--kind", "step", "--content-layers", "", "--style-layers", ""): "There is nothing to export",
    }.items():
        assert main(["export", "tiny.safetensors", *command]) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "y.onnx").exists()


def test_the_engine_is_chosen_on_the_command_line(tiny_network, random_image, tmp_path, monkeypatch, capsys):
    from toolkit.pictures.formats import save_image

    monkeypatch.chdir(tmp_path)
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    save_image(random_image(), tmp_path / "a.png", "{}")
    command = ["transfer", "a.png", "a.png", "--network", "tiny.safetensors", "--size", "40", "--iterations", "2"]
    assert main([*command, "--engine", "onnx", "--device", "cpu", "-o", "x.png"]) == 0
    told = capsys.readouterr().err
    assert "CPUExecutionProvider" in told and "note: ONNX Runtime paints without a finish." in told


def test_what_onnx_runtime_cannot_do_is_refused(tiny_network, random_image):
    network, image = tiny_network(), random_image()
    recipe = Recipe.preset("transfer", **PLAIN)
    with pytest.raises(ToolkitError, match="has no finish: set it to 0, or compute with PyTorch"):
        OnnxObjective(network, Recipe.preset("transfer"), Inputs(image, [image]))
    with pytest.raises(ToolkitError, match="has no masks: compute with PyTorch"):
        OnnxObjective(network, recipe, Inputs(image, [image], masks=[image[:, :1]]))
    with pytest.raises(ToolkitError, match="has no style statistic wasserstein: compute with PyTorch"):
        OnnxObjective(network, recipe.with_(style_statistic="wasserstein"), Inputs(image, [image]))
    with pytest.raises(ToolkitError, match="in float32: choose this precision"):
        OnnxObjective(tiny_network().bfloat16(), recipe, Inputs(image, [image]))
    with pytest.raises(ToolkitError, match="needs a style image"):
        OnnxObjective(network, recipe, Inputs(image))
    with pytest.raises(ToolkitError, match="too small for relu5_1"):
        OnnxObjective(network, recipe, Inputs(image, [image[..., :9]]))
