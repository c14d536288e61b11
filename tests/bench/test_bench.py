"""The benchmarks measure the same for every contestant, and report it under stable names."""

import json

import pytest
import torch

from toolkit.bench import bench_normalize, bench_transfer, memory, step
from toolkit.bench.step import operations, photographlike
from toolkit.bench.textbook import AS_TEXTBOOK, Textbook
from toolkit.cli import main
from toolkit.device import in_words
from toolkit.network import save_network
from toolkit.normalize import example_stream
from toolkit.pictures.formats import save_image
from toolkit.synthesis import Inputs, Objective, Recipe


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_the_textbook_minimises_the_same_objective(tiny_network, pooling):
    network, recipe = tiny_network(pooling=pooling), Recipe.preset("transfer", **AS_TEXTBOOK)
    image, content, style = (photographlike(48, 40, seed) for seed in range(3))
    ours = Objective(network, recipe, Inputs(content, [style]))(image)
    theirs = image.clone()
    assert Textbook(network, recipe, content, style).evaluate(theirs) == pytest.approx(float(ours.objective), rel=1e-4)
    scale = ours.gradient.abs().max().item()
    torch.testing.assert_close(theirs.grad, ours.gradient, rtol=1e-3, atol=1e-4 * scale)


def test_operations_are_those_of_two_passes(tiny_network):
    recipe = Recipe.preset(
        "transfer", content_layers={"relu1_1": 1.0}, style_layers={"relu2_1": 1.0}, style_statistic="gram"
    )
    expected = 2 * 2 * 9 * (3 * 3 * 64 * 48 + 3 * 3 * 64 * 48 + 3 * 4 * 32 * 24)
    assert operations(tiny_network(), recipe, 64, 48) == expected


def test_a_transfer_is_timed_until_it_is_as_good_as_the_textbooks(tiny_network, random_image):
    content, style = random_image(60, 80), random_image(50, 70, seed=1)
    # The textbook gets no further than its start, and so ours is as good at once.
    found = bench_transfer(tiny_network(), content, style, 40, [1, 30], torch.device("cpu"))
    assert list(found) == [1, 30] and found[1]["textbook_seconds"] < found[30]["textbook_seconds"]
    assert found[1]["ours_iterations"] == 1
    assert found[1]["ours_objective"] == pytest.approx(found[1]["textbook_objective"], rel=1e-4)
    assert found[1]["ratio"] == found[1]["ours_seconds"] / found[1]["textbook_seconds"]
    assert (found[30]["ours_seconds"] is None) == (found[30]["ours_objective"] > found[30]["textbook_objective"])


def test_the_textbook_judges_what_it_would_save(tiny_network):
    content, style = (photographlike(48, 40, seed) for seed in range(2))
    textbook, image = (
        Textbook(tiny_network(), Recipe.preset("transfer", **AS_TEXTBOOK), content, style),
        3 * content - 1,
    )
    found = textbook.evaluate(image)
    kept = image.detach()
    assert found == float(textbook.loss(kept)) and kept.min() >= 0 and kept.max() <= 1


def test_a_measuring_pass_finds_what_hooks_find(tiny_network):
    found = bench_normalize(tiny_network(), example_stream().entries[:2], torch.device("cpu"))
    assert found["largest_difference"] < 1e-4
    assert found["speedup_float32"] == pytest.approx(
        found["float32_images_per_second"] / found["textbook_images_per_second"]
    )


@pytest.fixture
def tiny_file(tiny_network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = tiny_network()
    for name, (_, filters) in network.architecture.convolutions.items():
        network.mean_activations[name] = torch.ones(filters, dtype=torch.float64)
    save_network(network, tmp_path / "tiny.safetensors")
    return "tiny.safetensors"


def test_bench_transfer_prints_every_pair(tiny_file, random_image, tmp_path, capsys):
    for name in "abc":
        save_image(random_image(seed=ord(name)), tmp_path / f"{name}.png", "{}")
    common = [
        "bench",
        "transfer",
        "--network",
        tiny_file,
        "--size",
        "40x32",
        "--iterations",
        "2",
        "--json",
        "--pictures",
    ]
    assert main([*common, "a.png", "b.png", "a.png", "c.png"]) == 0
    text = capsys.readouterr()
    assert text.err.count("as good as the textbook after 2 iterations: ") == 2
    found = json.loads(text.out)
    assert list(found["pairs"]) == ["a-b", "a-c"] and list(found["median_ratio"]) == ["2"]
    assert main([*common[:2], "--iterations", "0"]) == 2
    assert "--iterations: value 1 must be at least 1, not '0'." in capsys.readouterr().err
    assert main([*common, "a.png", "b.png", "c.png"]) == 2
    assert "in pairs, content and style: name an even number" in capsys.readouterr().err


@pytest.mark.parametrize("native", [False, True])
def test_a_step_is_measured_in_what_serves_and_for_a_minute_at_most(tiny_network, monkeypatch, native):
    monkeypatch.setattr(step, "native_bfloat16", lambda device: native)
    monkeypatch.setattr(step, "SECONDS", 0)
    begun = []
    found = step.bench_step(tiny_network(), 32, 32, torch.device("cpu"), 7, begun.append)
    assert begun == [1] and found["rounds"] == 1
    assert any("bfloat16" in name for name in found) == native


def test_bench_prints_stable_keys(tiny_file, capsys):
    common = ["--network", tiny_file, "--size", "40x32", "--json", "--device", "cpu"]
    assert main(["bench", "step", "--rounds", "2", *common]) == 0
    told = capsys.readouterr()
    assert "round 1 of 2 …" in told.err and "round 2 of 2 …" in told.err
    found = json.loads(told.out)
    for name in ("rounds", "textbook_ms", "float32_ms", "onnx_ms", "floor_float32_ms", "speedup_float32"):
        assert found[name] > 0
    assert found["speedup_float32"] == pytest.approx(found["textbook_ms"] / found["float32_ms"])
    assert found["machine"] == in_words(torch.device("cpu"))


@pytest.mark.parametrize("native", [False, True])
def test_memory_is_measured_in_what_serves(tiny_file, monkeypatch, capsys, native):
    monkeypatch.setattr(memory, "native_bfloat16", lambda device: native)
    tiny = ["--network", tiny_file, "--size", "40x32", "--iterations", "4"]
    assert main(["bench", "memory", "--json", "--device", "cpu", *tiny]) == 0
    told = capsys.readouterr()
    assert ("bfloat16 …" in told.err) == native and "tiles …" in told.err
    found = json.loads(told.out)
    assert ("bfloat16_mb" in found) == ("share_bfloat16" in found) == native
    assert found["textbook_mb"] > 0 and found["share_tiles"] == pytest.approx(found["tiles_mb"] / found["textbook_mb"])


def test_bench_memory_tells_in_a_sentence_what_it_can_not_run(tiny_file, capsys):
    assert main(["bench", "memory", "--network", "nowhere"]) == 2
    assert "error: There is no network file nowhere" in capsys.readouterr().err
    assert main(["bench", "memory", "--network", tiny_file, "--size", "99999x16"]) == 2
    assert "error: The contestant nothing failed. Size must be at most 16384, not 99999." in capsys.readouterr().err
