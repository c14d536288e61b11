"""Coarse to fine, and stopped and taken up again anywhere."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import toolkit
from toolkit.cli import main
from toolkit.commands import synthesizing
from toolkit.errors import ToolkitError
from toolkit.images.io import resize, save_png
from toolkit.network import save_network
from toolkit.synthesis import Recipe, Synthesis, engine, precision, pyramid
from toolkit.synthesis.differences import DifferencePullback
from toolkit.synthesis.objective import Objective
from toolkit.synthesis.optimizers import LBFGS, OPTIMIZERS
from toolkit.synthesis.patience import Patience
from toolkit.synthesis.pyramid import SHARES, SMALLEST, levels

#: The command line, which keeps a checkpoint of every evaluation, and dies in the midst of the fourth, between tiles.
KILLED = """
import os, signal, sys
from toolkit.cli import main
from toolkit.commands import synthesizing
from toolkit.synthesis.objective import Objective
synthesizing.CHECKPOINT_SECONDS, synthesizing.CHECKPOINT_SHARE = 0, float("inf")
way_back, tiles = Objective._adder, []
def dying(self, on_layer, tile, image):
    tiles.append(tile)
    if len(tiles) == int(3.5 * len(self._tiles(image))):
        os.kill(os.getpid(), signal.SIGKILL)
    return way_back(self, on_layer, tile, image)
Objective._adder = dying
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("wanted", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [16, 300, 600, 1023])
@pytest.mark.parametrize("evaluations", [1, 5, 300])
def test_levels_double_and_share_all_evaluations(wanted, size, evaluations):
    found = levels(Recipe.preset("transfer", levels=wanted, size=size, evaluations=evaluations))
    assert found[-1].size == size and sum(level.evaluations for level in found) == evaluations
    assert all(level.evaluations > 0 for level in found)
    assert 1 <= len(found) <= wanted
    for coarse, fine in itertools.pairwise(found):
        assert coarse.size == fine.size // 2 and coarse.size >= SMALLEST
    assert all(sum(shares) == pytest.approx(1) for shares in SHARES.values())


@pytest.fixture
def make(tiny_network, random_image, monkeypatch):
    monkeypatch.setattr(pyramid, "SMALLEST", 96)

    def make(**wishes):
        recipe = Recipe.preset(
            "transfer", **{"size": 200, "evaluations": 9, "levels": 2, "precision": "float32", **wishes}
        )
        content, styles = random_image(90, 120), [random_image(seed=2)]
        return Synthesis(tiny_network(), recipe, content=content, styles=styles)

    return make


def test_every_level_starts_from_the_one_before_and_the_image_has_its_final_size(make):
    synthesis = make()
    sizes, numbers = [], []
    for progress in synthesis:
        sizes.append(synthesis._optimizer.image.shape[-1])
        numbers.append(progress.evaluation)
        assert progress.preview().shape == (1, 3, 150, 200)
        assert progress.evaluations == 9
    assert sizes == [100] * 2 + [200] * 7 and numbers == list(range(1, 10))


def test_time_remaining_goes_by_what_a_pixel_took_at_this_size(make, monkeypatch):
    """Two evaluations of a second each, then seven of five seconds each, where four times the pixels took four."""
    now, step = [0.0], LBFGS.step
    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(self, evaluate):
        now[0] += 1 if self.image.shape[-1] == 100 else 5
        return step(self, evaluate)

    monkeypatch.setattr(LBFGS, "step", slow)
    progress = list(make())
    assert [each.seconds for each in progress] == pytest.approx([1, 2, *range(7, 38, 5)])
    assert [each.remaining for each in progress] == pytest.approx([1 + 7 * 4, 7 * 4, *range(30, -1, -5)])


@pytest.mark.parametrize("start", ["content", "noise", "grey"])
def test_a_level_starts_with_the_fine_detail_of_the_recipes_start(make, start):
    synthesis = make(start=start)
    for _ in zip(range(2), synthesis, strict=False):
        pass
    coarse, fine = synthesis.best.clone(), make(start=start, levels=1).best
    synthesis._begin(1, coarse)
    smoothed = resize(resize(fine, (75, 100)), (150, 200))
    expected = (resize(coarse, (150, 200)) + fine - smoothed).clamp(0, 1)
    torch.testing.assert_close(synthesis.best, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_fails_between_two_levels_leaves_the_best_image_and_the_checkpoint(make, tmp_path, monkeypatch, optimizer):
    synthesis, path = make(optimizer=optimizer), tmp_path / "x.checkpoint"
    steps = iter(synthesis)
    for _ in range(synthesis.levels[0].evaluations):
        next(steps)
    synthesis.save(path)
    before = synthesis.image, path.read_bytes()
    kind, sizes = OPTIMIZERS[optimizer], []

    def full(image, *_):
        sizes.append(image.shape[-1])
        raise ToolkitError("There is no room.")

    monkeypatch.setitem(OPTIMIZERS, optimizer, full)
    with pytest.raises(ToolkitError, match="no room"):
        next(steps)
    synthesis.save(path)
    assert sizes == [200] and torch.equal(synthesis.image, before[0]) and path.read_bytes() == before[1]
    monkeypatch.setitem(OPTIMIZERS, optimizer, kind)
    resumed, whole = make(optimizer=optimizer), make(optimizer=optimizer)
    resumed.resume(path)
    assert len(list(resumed)) + synthesis.levels[0].evaluations == len(list(whole))
    assert torch.equal(resumed.image, whole.image)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("stop", [2, 4, 7])
def test_resumed_anywhere_it_ends_with_the_same_picture(make, tmp_path, optimizer, stop):
    whole = make(optimizer=optimizer)
    objectives = [progress.objective for progress in whole]
    begun = make(optimizer=optimizer)
    for progress in begun:
        if progress.evaluation == stop:
            begun.save(tmp_path / "x.checkpoint")
            break
    resumed = make(optimizer=optimizer)
    resumed.resume(tmp_path / "x.checkpoint")
    assert [progress.objective for progress in resumed] == objectives[stop:]
    assert torch.equal(resumed.image, whole.image)


def test_iterating_again_goes_on(make):
    synthesis, whole = make(), make()
    for progress in synthesis:
        if progress.evaluation == 5:
            break
    assert [progress.evaluation for progress in synthesis] == [6, 7, 8, 9]
    list(whole)
    assert torch.equal(synthesis.image, whole.image)


def test_other_checkpoints_are_refused_in_a_sentence(make, tmp_path):
    make().save(tmp_path / "x.checkpoint")
    with pytest.raises(ToolkitError, match=r"belongs to another recipe, network or picture: remove .* to start anew"):
        make(style_weight=7).resume(tmp_path / "x.checkpoint")
    state = torch.load(tmp_path / "x.checkpoint")
    del state["optimizer"]["objective"]  # as an older one has it
    for other in (state, {"weights": torch.ones(2)}):
        torch.save(other, tmp_path / "x.checkpoint")
        with pytest.raises(ToolkitError, match=r"The checkpoint .* is of another version or kind: remove .* to start"):
            make().resume(tmp_path / "x.checkpoint")
    (tmp_path / "x.checkpoint").write_text("cut short")
    with pytest.raises(ToolkitError, match=r"The checkpoint .* can't be read: remove"):
        make().resume(tmp_path / "x.checkpoint")


def test_the_style_is_resized_by_its_scale(tiny_network, random_image, monkeypatch):
    sizes = []

    class SeenError(Exception):
        pass

    class Seeing(Objective):
        def __init__(self, network, recipe, content, styles, masks, memory, ranks, differences):
            sizes.append(tuple(styles[0].shape[-2:]))
            raise SeenError

    for scale in (0.5, 1.0, 2.0):
        with pytest.raises(SeenError):
            recipe = Recipe.preset("transfer", size=80, style_scale=scale)
            pictures = {"content": random_image(), "styles": [random_image(40, 20)]}
            Synthesis(tiny_network(), recipe, **pictures, objective=Seeing)
    assert sizes == [(40, 20), (80, 40), (160, 80)]


def test_little_memory_makes_tiles_and_a_short_history(tiny_network, random_image):
    recipe = Recipe.preset("transfer", size=200, evaluations=300, levels=1, precision="float32")
    arguments = {"content": random_image(90, 120), "styles": [random_image(seed=2)]}
    ample, scarce = (Synthesis(tiny_network(), recipe, **arguments, memory=memory) for memory in (None, 8_000_000))
    assert (ample._optimizer.history, len(ample._objective._tiles(ample.image))) == (LBFGS.HISTORY, 1)
    assert scarce._optimizer.history < 10 and len(scarce._objective._tiles(scarce.image)) > 50
    first = [next(iter(synthesis)).objective for synthesis in (ample, scarce)]
    assert first[0] == pytest.approx(first[1], rel=1e-4)


def test_killed_in_the_middle_it_goes_on_to_the_same_picture(tiny_network, random_image, tmp_path):
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    save_png(random_image(90, 120), tmp_path / "a.png", "{}")
    save_png(random_image(80, 80, seed=1), tmp_path / "b.png", "{}")
    wishes = ["--network", "tiny.safetensors", "--size", "256", "--evaluations", "7", "--memory", "40MB"]
    command = ["transfer", "a.png", "b.png", *wishes, "--device", "cpu"]

    def started(code, *arguments):
        return subprocess.Popen(
            [sys.executable, "-c", code, *command, *arguments],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(toolkit.__file__).parents[1])},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    whole, resumed = (
        "import sys; from toolkit.cli import main; sys.exit(main(sys.argv[1:]))",
        ["--resume", "-o", "x.png"],
    )
    assert started(whole, "-o", "whole.png").wait(120) == 0
    assert started(KILLED, *resumed).wait(120) == -signal.SIGKILL
    assert not (tmp_path / "x.png").exists() and (tmp_path / "x.checkpoint").exists()
    assert started(whole, *resumed).wait(120) == 0
    assert (tmp_path / "x.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert not (tmp_path / "x.checkpoint").exists()


def test_writing_checkpoints_takes_a_tenth_of_the_time_at_most(tiny_network, random_image, tmp_path, monkeypatch):
    """Ten seconds an evaluation and twelve a checkpoint: after the first minute one every 120 seconds."""
    now, saved, step, save = [0.0], [], LBFGS.step, Synthesis.save

    def slow(self, evaluate):
        now[0] += 10
        return step(self, evaluate)

    def slowly_saved(self, path):
        now[0] += 12
        saved.append(self.evaluation)
        save(self, path)

    monkeypatch.setattr(synthesizing, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(LBFGS, "step", slow)
    monkeypatch.setattr(Synthesis, "save", slowly_saved)
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    save_png(random_image(), tmp_path / "a.png", "{}")
    command = ["reconstruct", str(tmp_path / "a.png"), "--network", str(tmp_path / "tiny.safetensors"), "--resume"]
    assert main([*command, "--size", "48", "--evaluations", "24", "-o", str(tmp_path / "x.png")]) == 0
    assert saved == [7, 20]


def stopped_and_resumed(make, tmp_path, stop, **wishes):
    begun, resumed = make(**wishes), make(**wishes)
    for progress in begun:
        if progress.evaluation == stop:
            begun.save(tmp_path / "x.checkpoint")
            break
    resumed.resume(tmp_path / "x.checkpoint")
    list(resumed)
    return resumed.image


def test_mixed_precision_refers_to_float32_now_and_then_and_resumes_anywhere(make, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "native_bfloat16", lambda device: True)
    monkeypatch.setattr(DifferencePullback, "SERVES", 5)
    references = []
    monkeypatch.setattr(DifferencePullback, "refer", recorded(DifferencePullback.refer, references))
    wishes = {"precision": "mixed", "evaluations": 14}
    whole = make(**wishes)
    shown = [progress.evaluation for progress in whole if isinstance(whole._objective.pullback, DifferencePullback)]
    assert len(shown) == 14
    # Two levels of four and ten evaluations.
    assert [image.shape[-1] for image in references] == [100, 200, 200]
    for stop in (1, 5, 8, 13):
        assert torch.equal(stopped_and_resumed(make, tmp_path, stop, **wishes), whole.image)


def recorded(method, images):
    def record(self, image, *others):
        images.append(image)
        return method(self, image, *others)

    return record


def test_mixed_precision_without_room_for_differences_ends_in_float32_and_resumes_anywhere(make, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "native_bfloat16", lambda device: True)
    monkeypatch.setattr(Objective, "has_room", lambda *_: False)
    wishes = {"precision": "mixed", "evaluations": 14}
    whole = make(**wishes)
    types = [whole._objective.pullback.network.dtype for _ in whole]
    # Two levels of four and ten evaluations; the last two of the second are float32.
    assert types == [torch.bfloat16] * 12 + [torch.float32] * 2
    for stop in (8, 12, 13):
        assert torch.equal(stopped_and_resumed(make, tmp_path, stop, **wishes), whole.image)


def test_mixed_precision_is_float32_where_bfloat16_is_not_native(make, monkeypatch):
    monkeypatch.setattr(precision, "native_bfloat16", lambda device: False)
    mixed, plain = make(precision="mixed"), make(precision="float32")
    assert [p.objective for p in mixed] == [p.objective for p in plain]


def test_what_no_longer_pays_is_passed_over_and_resumes_anywhere(make, tmp_path, monkeypatch):
    monkeypatch.setattr(Patience, "EVALUATIONS", 6)
    monkeypatch.setattr(Patience, "GAIN", 0.5)
    whole = make(evaluations=60, levels=2)
    shown = [progress.evaluation for progress in whole]
    assert shown[-1] == 60 and len(shown) + whole.spared == 60 and whole.spared > 10
    for stop in range(1, len(shown), 5):
        parts = make(evaluations=60, levels=2)
        for _ in zip(range(stop), parts, strict=False):
            pass
        parts.save(tmp_path / "x.checkpoint")
        resumed = make(evaluations=60, levels=2)
        resumed.resume(tmp_path / "x.checkpoint")
        assert [progress.evaluation for progress in resumed] == shown[stop:]
        assert resumed.spared == whole.spared and torch.equal(resumed.image, whole.image)


def test_on_request_nothing_is_passed_over(make, monkeypatch):
    monkeypatch.setattr(Patience, "EVALUATIONS", 6)
    monkeypatch.setattr(Patience, "GAIN", 1.0)
    synthesis = make(evaluations=30, levels=2, early_stop=False)
    assert [progress.evaluation for progress in synthesis] == list(range(1, 31))
    assert synthesis.spared == 0


def test_patience_ends_when_the_least_has_hardly_fallen(monkeypatch):
    monkeypatch.setattr(Patience, "EVALUATIONS", 3)
    monkeypatch.setattr(Patience, "GAIN", 0.1)
    patience = Patience()
    # Falls by a tenth within three as a rule; rises tell nothing.
    assert [patience.ends(objective) for objective in (10.0, 9.0, 50.0, 8.9, 8.05, 8.0, 8.5, 7.9)] == [
        *[False] * 5, False, False, True,
    ]  # fmt: skip
