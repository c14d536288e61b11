"""The benchmarks measure the same thing for every contestant, and report it under stable names."""

import json

import pytest
import torch

from toolkit.bench.step import operations, photographlike
from toolkit.bench.textbook import Textbook
from toolkit.cli import main
from toolkit.network import save_network
from toolkit.synthesis import Recipe
from toolkit.synthesis.objective import Objective


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_the_textbook_minimises_the_same_objective(tiny_network, pooling):
    network, recipe = tiny_network(pooling=pooling), Recipe.preset("transfer")
    image, content, style = (photographlike(48, 40, seed) for seed in range(3))
    ours = Objective(network, recipe, content, [style])(image)
    theirs = image.clone()
    assert Textbook(network, recipe, content, style).evaluate(theirs) == pytest.approx(ours.objective, rel=1e-4)
    scale = ours.gradient.abs().max().item()
    torch.testing.assert_close(theirs.grad, ours.gradient, rtol=1e-3, atol=1e-4 * scale)


def test_operations_are_those_of_two_passes(tiny_network):
    recipe = Recipe.preset("transfer", content_layers={"relu1_1": 1.0}, style_layers={"relu2_1": 1.0})
    expected = 2 * 2 * 9 * (3 * 3 * 64 * 48 + 3 * 3 * 64 * 48 + 3 * 4 * 32 * 24)
    assert operations(tiny_network(), recipe, 64, 48) == expected


def test_bench_prints_stable_keys(tiny_network, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network = tiny_network()
    for name, (_, filters) in network.architecture.convolutions.items():
        network.mean_activations[name] = torch.ones(filters, dtype=torch.float64)
    save_network(network, tmp_path / "tiny.safetensors")
    common = ["--network", "tiny.safetensors", "--size", "40x32", "--json"]
    assert main(["bench", "step", "--rounds", "1", *common]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("textbook_ms", "float32_ms", "bfloat16_ms", "onnx_ms", "floor_float32_ms", "speedup_float32"):
        assert found[name] > 0
    assert found["speedup_float32"] == pytest.approx(found["textbook_ms"] / found["float32_ms"])
    assert main(["bench", "memory", *common]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["textbook_mb"] > 0 and found["share_tiles"] == pytest.approx(found["tiles_mb"] / found["textbook_mb"])
