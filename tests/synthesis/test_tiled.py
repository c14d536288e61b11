"""Tiles cover an image once; losses and gradient over tiles, and over processes, are those of the whole image."""

import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit
from toolkit.distributed import Ranks
from toolkit.errors import ToolkitError
from toolkit.network import Architecture, save_network
from toolkit.network.geometry import reach, strides
from toolkit.synthesis import Inputs, Objective, Recipe, Synthesis
from toolkit.synthesis.tiled import TiledObjective, cut

PATH = Architecture("vgg19").down_to(["relu4_1"])

LAYERS = [
    ({"relu4_2": 1.0}, {f"relu{block}_1": 0.2 for block in range(1, 6)}),
    ({"conv2_2": 1.0, "pool2": 0.5}, {"relu2_2": 1.0}),
    ({"relu3_1": 1.0}, {"relu3_1": 1.0, "pool3": 2.0}),
]


def assert_alike(found, expected):
    assert found.losses == pytest.approx(expected.read().losses, rel=1e-10)
    assert found.objective == pytest.approx(expected.read().objective, rel=1e-10)
    assert (found.gradient - expected.gradient).abs().max() < 1e-10 * expected.gradient.abs().max()


@settings(max_examples=60)
@given(st.integers(16, 200), st.integers(16, 200), st.integers(1, 30_000), st.integers(1, 4))
def test_cores_cover_every_position_of_every_layer_once(height, width, pixels, ranks):
    for layer, stride in strides(PATH).items():
        size = height // stride, width // stride
        seen = torch.zeros(size, dtype=torch.int)
        for tile in cut((height, width), PATH, pixels, ranks):
            (_, inner_rows, inner_columns), (_, rows, columns) = tile.core(stride, size)
            seen[rows, columns] += 1
            rows_seen, columns_seen = ((span.stop - span.start) // stride for span in (tile.rows, tile.columns))
            assert 0 <= inner_rows.start <= inner_rows.stop <= rows_seen, layer
            assert 0 <= inner_columns.start <= inner_columns.stop <= columns_seen
            assert inner_rows.stop - inner_rows.start == rows.stop - rows.start
        assert (seen == 1).all()


@settings(max_examples=60)
@given(st.integers(16, 4000), st.integers(16, 4000), st.integers(20_000, 10**7))
def test_no_tile_sees_more_than_it_may(height, width, pixels):
    tiles = cut((height, width), PATH, pixels)
    assert max(len(tile.rows) * len(tile.columns) for tile in tiles) <= pixels
    if height * width <= pixels:
        assert len(tiles) == 1


def test_tiles_are_as_wide_or_as_many_as_computes_least():
    halo = 32  # what relu4_1 reaches, rounded up to whole cells

    def windows(*arguments):
        return [(len(tile.rows), len(tile.columns)) for tile in cut(arguments[0], PATH, *arguments[1:])]

    assert windows((256, 2048), 256 * (1024 + halo)) == 2 * [(256, 1024 + halo)]  # in two rather than in squares
    assert windows((1024, 1024), (512 + halo) ** 2) == 4 * [(512 + halo, 512 + halo)]
    assert windows((256, 512), 10**9, 2) == 2 * [(256, 256 + halo)]  # one for each process
    assert len(cut((64, 64), PATH, 1)) == 8 * 8  # one position each, if need be


@pytest.mark.parametrize("deepest", ["relu1_2", "relu2_1", "relu3_2", "relu4_1"])
def test_no_position_sees_further_than_the_reach(tiny_network, random_image, deepest):
    network = tiny_network("vgg16", widths=(8,) * 5).double()
    path = network.architecture.down_to([deepest])
    stride = strides(path)[deepest]
    with torch.enable_grad():
        image = random_image(160, 160).double().requires_grad_()
        at = 160 // stride // 2
        network(image, [deepest])[deepest][..., at, at].sum().backward()
    touched = image.grad[0].abs().sum((0, 1)).nonzero()
    assert at * stride - reach(path) <= touched.min()
    assert touched.max() < (at + 1) * stride + reach(path)


@dataclass(frozen=True)
class Meeting:
    """Where threads leave their tensors for one another."""

    barrier: threading.Barrier
    tensors: dict[int, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Threads(Ranks):
    """Ranks of one process: each is a thread."""

    meeting: Meeting | None = None

    def all_reduce(self, tensor):
        self.meeting.tensors[self.rank] = tensor.clone()
        self.meeting.barrier.wait(60)
        tensor.copy_(sum(self.meeting.tensors[rank] for rank in range(self.world_size)))
        self.meeting.barrier.wait(60)
        return tensor


def evaluated_by(count, make, image):
    """What each of so many ranks gets for an image from its objective; ``make`` makes it from the rank."""
    meeting, found = Meeting(threading.Barrier(count)), {}

    def work(rank):
        found[rank] = make(Threads(rank, count, meeting))(image)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(count)]


@settings(max_examples=40)
@given(
    pooling=st.sampled_from(["average", "max"]),
    convention=st.sampled_from(["torchvision", "caffe"]),
    layers=st.sampled_from(LAYERS),
    height=st.integers(16, 80),
    width=st.integers(16, 100),
    pixels=st.sampled_from([1, 1_000, 2_000, 4_000, 7_000]),
    ranks=st.integers(1, 3),
    masked=st.booleans(),
    formula=st.sampled_from(["mean", "paper"]),
    seed=st.integers(0, 1000),
)
def test_losses_and_gradient_are_those_of_the_whole_image(
    tiny_network, pooling, convention, layers, height, width, pixels, ranks, masked, formula, seed
):
    network = tiny_network(pooling=pooling, convention=convention, seed=seed).double()
    recipe = Recipe.preset(
        "transfer", content_layers=layers[0], style_layers=layers[1], total_variation_weight=2.0, formula=formula
    )
    generator = torch.Generator().manual_seed(seed)
    image, content = torch.rand(2, 1, 3, height, width, dtype=torch.float64, generator=generator)
    styles = [torch.rand(1, 3, 33 + 40 * n, 70, dtype=torch.float64, generator=generator) ** (1 + n) for n in (0, 1)]
    masks = list(torch.rand(2, 1, 1, height, width, dtype=torch.float64, generator=generator)) if masked else []
    style_masks = [torch.rand(1, 1, *style.shape[2:], dtype=torch.float64, generator=generator) for style in styles]
    inputs = Inputs(content, styles, None, masks, style_masks if masked else [])

    def make(rank):
        return TiledObjective(network, recipe, inputs, pixels=pixels, ranks=rank)

    expected = Objective(network, recipe, inputs)(image)
    for found in evaluated_by(ranks, make, image):
        assert_alike(found, expected)


@pytest.mark.parametrize("pixels", [1, 20_000])
def test_a_mask_that_is_nowhere_in_most_tiles_counts_where_it_is(tiny_network, random_image, pixels):
    network, recipe = tiny_network().double(), Recipe.preset("texture")
    image, *styles = (random_image(64, 160, seed=seed).double() for seed in range(3))
    corner, nowhere = (torch.zeros(1, 1, 64, 160, dtype=torch.float64) for _ in range(2))
    corner[..., :20, :30] = 1
    for masks in ([corner, 1 - corner], [corner, nowhere]):
        expected = Objective(network, recipe, Inputs(styles=styles, masks=masks))(image)
        found = TiledObjective(network, recipe, Inputs(styles=styles, masks=masks), pixels=pixels)(image)
        assert_alike(found, expected)


def test_an_image_of_another_size_than_the_content_is_cut_anew(tiny_network, random_image):
    network, recipe = tiny_network().double(), Recipe.preset("texture")
    inputs = Inputs(styles=[random_image(90, 90).double()])
    tiled, whole = TiledObjective(network, recipe, inputs, pixels=1), Objective(network, recipe, inputs)
    for size in ((64, 80), (33, 47), (100, 20)):
        image = random_image(*size, seed=1).double()
        assert_alike(tiled(image), whole(image))


def test_it_can_be_asked_again_and_leaves_the_image(tiny_network, random_image):
    network, recipe = tiny_network().double(), Recipe.preset("texture")
    image, before = random_image().double(), random_image().double()
    for pixels in (1, 10**9):
        tiled = TiledObjective(network, recipe, Inputs(styles=[random_image(seed=1).double()]), pixels=pixels)
        first, again = tiled(image), tiled(image)
        assert first.losses == again.losses and torch.equal(first.gradient, again.gradient)
        assert torch.equal(image, before)


def test_a_network_in_bfloat16_gives_nearly_the_same(tiny_network, random_image):
    network, recipe = tiny_network(widths=(16,) * 5).bfloat16(), Recipe.preset("transfer")
    content, style, image = (random_image(80, 80, seed=seed) for seed in range(3))
    expected = Objective(network, recipe, Inputs(content, [style]))(image)
    found = TiledObjective(network, recipe, Inputs(content, [style]), pixels=1)(image)
    assert found.losses == pytest.approx(expected.read().losses, rel=0.02)
    cosine = torch.nn.functional.cosine_similarity(found.gradient.flatten(), expected.gradient.flatten(), dim=0)
    assert cosine > 0.99


def test_it_says_what_computes_and_what_is_missing(tiny_network, random_image):
    network, recipe = tiny_network(), Recipe.preset("transfer")
    inputs = Inputs(random_image(), [random_image()])
    assert TiledObjective(network, recipe, inputs).runs_on == "PyTorch on cpu"
    with pytest.raises(ToolkitError, match="A transfer needs a style image: name at least one"):
        TiledObjective(network, recipe, Inputs(random_image()))
    with pytest.raises(ToolkitError, match="An image of 15 x 40 pixels is too small for relu5_1"):
        TiledObjective(network, Recipe.preset("texture"), Inputs(styles=[random_image()]))(random_image(40, 15))


#: What several processes make together: evaluations of every kind in float64, and a synthesis of two levels.
TOGETHER = """
import functools, os, sys, torch
from pathlib import Path
from toolkit.distributed import Ranks
from toolkit.network import load_network
from toolkit.synthesis import Inputs, Recipe, Synthesis
from toolkit.synthesis.tiled import TiledObjective

torch.set_num_threads(1)
with Ranks.joined(torch.device("cpu")) as ranks:
    assert (ranks.rank, ranks.world_size) == (int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    assert ranks.all_gather({"rank": ranks.rank}) == [{"rank": rank} for rank in range(ranks.world_size)]
    network, given = load_network("tiny.safetensors"), torch.load("given.pt")
    found = {}
    for case, (recipe, masked, pixels) in given["cases"].items():
        image, content, *styles = (each.double() for each in given["images"])
        masks = [mask.double() for mask in given["masks"]] if masked else []
        inputs = Inputs(content, styles, masks=masks)
        tiled = TiledObjective(network.double(), Recipe.checked(recipe), inputs, pixels=pixels, ranks=ranks)
        found[case] = tuple(tiled(image))
    recipe = Recipe.checked(given["recipe"])
    for optimizer in ("lbfgs", "adam"):
        synthesis = Synthesis(
            network.float(),
            recipe.with_(optimizer=optimizer),
            content=given["content"],
            styles=given["images"][2:],
            make_objective=functools.partial(TiledObjective, pixels=5_000, ranks=ranks),
        )
        found[optimizer] = [[progress.objective for progress in synthesis], synthesis.image]
    torch.save(found, f"found-{ranks.rank}.pt")
tasks = Path("/proc/self/task")
left = [task.read_text().strip() for task in tasks.glob("*/comm")] if tasks.exists() else []
sys.exit(f"still there: {left}" if any("gloo" in name for name in left) else 0)
"""


def start_together(folder, script, processes, *arguments):
    """The script in several processes that find one another as torchrun's do: (return code, errors) of each."""
    (folder / "script.py").write_text(script)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(toolkit.__file__).parents[1]),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "script.py", *arguments],
            cwd=folder,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        errors = [process.communicate(timeout=600)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, error) for process, error in zip(started, errors, strict=True)]


def test_two_processes_give_what_one_gives(tiny_network, random_image, tmp_path):
    network = tiny_network()
    save_network(network, tmp_path / "tiny.safetensors")
    images = [random_image(67, 130, seed=seed) ** (1 + seed) for seed in range(4)]  # statistics that differ
    masks = [random_image(67, 130, seed=seed)[:, :1] for seed in (5, 6)]
    transfer, paper = Recipe.preset("transfer"), Recipe.preset("transfer", formula="paper", total_variation_weight=2)
    cases = {
        "a tile each": (transfer, False, 10**9),
        "many tiles": (transfer, False, 1),
        "masks": (transfer, True, 6_000),
        "paper": (paper, False, 6_000),
    }
    recipe = Recipe.preset(
        "transfer", size=512, levels=2, iterations=6, style_layers="relu1_1,relu2_1,relu3_1", finish=0.0
    )
    recipe = recipe.with_(content_layers="relu3_1", precision="float32")
    plain = {case: (each.model_dump(mode="json"), *others) for case, (each, *others) in cases.items()}
    content = random_image(16, 128)
    torch.save(
        {
            "images": images,
            "masks": masks,
            "cases": plain,
            "recipe": recipe.model_dump(mode="json"),
            "content": content,
        },
        tmp_path / "given.pt",
    )

    for code, errors in start_together(tmp_path, TOGETHER, 2):
        assert code == 0, errors
    found = [torch.load(tmp_path / f"found-{rank}.pt") for rank in range(2)]
    exact = network.double()
    image, other, *styles = (each.double() for each in images)
    for case, (each, masked, _) in cases.items():
        inputs = Inputs(other, styles, masks=[mask.double() for mask in masks] if masked else [])
        expected = Objective(exact, each, inputs)(image)
        for of_rank in found:
            assert_alike(type(expected)(*of_rank[case]), expected)
    for optimizer in ("lbfgs", "adam"):
        chosen = recipe.with_(optimizer=optimizer)
        alone = Synthesis(tiny_network(), chosen, content=content, styles=images[2:], make_objective=Objective)
        objectives = [progress.objective for progress in alone]
        assert found[0][optimizer][0] == found[1][optimizer][0] == pytest.approx(objectives, rel=0.02)
        assert torch.equal(found[0][optimizer][1], found[1][optimizer][1])
        torch.testing.assert_close(found[0][optimizer][1], alone.image, rtol=0, atol=2 / 255)


#: A synthesis with a checkpoint after every iteration. In the fourth evaluation the last of several processes dies.
DYING = """
import functools, os, signal, sys, torch
from pathlib import Path
from toolkit.distributed import Ranks
from toolkit.errors import ToolkitError
from toolkit.network import load_network
from toolkit.synthesis import Checkpoint, Recipe, Synthesis
from toolkit.synthesis.tiled import TiledObjective

torch.set_num_threads(1)
given = torch.load("given.pt")

def make(*arguments):
    tiled, calls = TiledObjective(*arguments, pixels=2_000, ranks=ranks), []
    def evaluate(image):
        calls.append(image)
        if len(calls) == 4 and ranks.world_size > 1 and ranks.rank == ranks.world_size - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return tiled(image)
    evaluate.runs_on = tiled.runs_on
    return evaluate

recipe = Recipe.checked(given["recipe"])
try:
    with Ranks.joined(torch.device("cpu")) as ranks:
        synthesis = Synthesis(load_network("tiny.safetensors"), recipe, content=given["content"], make_objective=make)
        checkpoint = Checkpoint(Path("x.checkpoint"), synthesis, ranks)
        for progress in checkpoint:
            checkpoint.save()
except ToolkitError as error:
    sys.exit(str(error))
"""


def test_when_a_process_dies_the_run_ends_in_a_sentence_and_one_can_go_on(tiny_network, random_image, tmp_path):
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    recipe = Recipe.preset("reconstruction", size=100, iterations=6, precision="float32", content_layers="relu3_1")
    torch.save({"recipe": recipe.model_dump(mode="json"), "content": random_image(90, 120)}, tmp_path / "given.pt")
    (code, errors), (killed, _) = start_together(tmp_path, DYING, 2)
    assert code == 1 and killed == -9
    assert errors.strip().endswith(
        "Another process of this run is gone: start the same command again. "
        "If it keeps a checkpoint, it resumes from the last one."
    )
    assert "Traceback" not in errors

    def alone():
        return Synthesis(tiny_network(), recipe, content=random_image(90, 120))

    resumed, whole = alone(), alone()
    resumed.restore(torch.load(tmp_path / "x.checkpoint", weights_only=True))
    assert [progress.iteration for progress in resumed] == [4, 5, 6]
    list(whole)
    torch.testing.assert_close(resumed.image, whole.image, rtol=0, atol=2 / 255)
