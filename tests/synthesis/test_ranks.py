"""Several processes compute one picture: losses and gradient are those of one."""

import os
import subprocess
import sys

import pytest
import torch

from toolkit.network import save_network
from toolkit.pictures import open_image, save_png
from toolkit.synthesis import Recipe
from toolkit.synthesis.objective import Objective

SCRIPT = """
import sys, torch
from toolkit.network import load_network
from toolkit.ranks import Ranks, Share
from toolkit.synthesis import Recipe, strips
from toolkit.synthesis.objective import Objective
strips.STRIP = 10_000
torch.set_grad_enabled(False)
ranks = Ranks.join(torch.device("cpu"))
image, content, style = torch.load("images.pt")
network, memory, differences = load_network("tiny.safetensors"), int(sys.argv[1]) or None, sys.argv[2] == "True"
recipe = Recipe.preset("transfer")
objective = Objective(network, recipe, content, [style], memory=memory, ranks=ranks, differences=differences)
if differences:
    objective(image.lerp(content, 1e-3))  # for the reference
# Each has one tile where there is room, and several where there is none.
assert (len(objective._tiles(image)) == ranks.size) == (memory is None)
evaluation = objective(image)
share = Share(ranks, image.numel())
torch.save((evaluation.losses, share.own(evaluation.gradient.view(-1))), f"found-{ranks.rank}.pt")
ranks.leave()
"""


def torchrun(folder, *arguments, processes=2):
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *launcher, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("processes", "memory", "differences"), [(2, 0, False), (3, 0, False), (2, 1, False), (2, 0, True)]
)
def test_losses_and_gradient_are_those_of_one_process(
    tiny_network, random_image, tmp_path, processes, memory, differences
):
    network = tiny_network()
    save_network(network, tmp_path / "tiny.safetensors")
    images = [random_image(141, 230, seed=seed) ** (1 + seed) for seed in range(3)]  # statistics that differ
    torch.save(images, tmp_path / "images.pt")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = torchrun(tmp_path, "script.py", str(memory), str(differences), processes=processes)
    assert done.returncode == 0, done.stderr
    expected = Objective(network, Recipe.preset("transfer"), images[1], [images[2]])(images[0])
    found = [torch.load(tmp_path / f"found-{rank}.pt") for rank in range(processes)]
    for losses, _ in found:
        assert losses == found[0][0] == pytest.approx(expected.losses, rel=1e-3 if differences else 1e-4)
    gradient = torch.cat([part for _, part in found]).view_as(expected.gradient)
    assert (gradient - expected.gradient).norm() < (0.02 if differences else 1e-5) * expected.gradient.norm()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_one_picture_by_two_processes(tiny_network, random_image, tmp_path, optimizer):
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    save_png(random_image(90, 120), tmp_path / "a.png", "{}")
    save_png(random_image(80, 80, seed=1), tmp_path / "b.png", "{}")
    wishes = ["--network", "tiny.safetensors", "--size", "100", "--evaluations", "5", "--optimizer", optimizer]
    wishes += ["--precision", "float32"]
    done = torchrun(tmp_path, "-m", "toolkit", "transfer", "a.png", "b.png", *wishes, "-o", "two.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written to two.png") == 1
    alone = [sys.executable, "-m", "toolkit", "transfer", "a.png", "b.png", *wishes, "-o", "one.png"]
    subprocess.run(alone, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    difference = (open_image(tmp_path / "one.png") - open_image(tmp_path / "two.png")).abs()
    assert difference.max() <= 2 / 255 + 1e-6


LEAVING = """
import sys, torch
from pathlib import Path
from toolkit.ranks import Ranks
ranks = Ranks.join(torch.device("cpu"))
image = torch.nn.Parameter(torch.ones(1))
image.grad = ranks.sum(torch.ones(1))
torch.optim.Adam([image]).step()
ranks.leave()
left = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
sys.exit(f"still there: {left}" if any("gloo" in name for name in left) else 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads where Linux lists them")
def test_no_thread_stays_when_a_process_leaves(tmp_path):
    (tmp_path / "leaving.py").write_text(LEAVING)
    done = torchrun(tmp_path, "leaving.py")
    assert done.returncode == 0, done.stderr


#: A few evaluations on a quadratic, saved, and a few more; or those after a checkpoint alone.
OPTIMIZING = """
import sys, torch
from types import SimpleNamespace
from toolkit.ranks import Ranks, Share
from toolkit.synthesis.optimizers import OPTIMIZERS
torch.set_grad_enabled(False)
name, found, checkpoint = sys.argv[1:]
ranks = Ranks.join(torch.device("cpu"))
goal, curvature = torch.rand(2, 1, 3, 19, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
share = Share(ranks, goal.numel())
def objective(image):
    gradient = curvature * (image - goal)
    whole = gradient.view(-1)
    mine = share.own(whole)
    if ranks.size > 1:
        whole.fill_(torch.nan)  # what is not its own no process may use
        share.part(whole).copy_(mine)
    return SimpleNamespace(objective=float((curvature * (image - goal).square()).sum() / 2), gradient=gradient)
optimizer = OPTIMIZERS[name](torch.zeros_like(goal), ranks=ranks)
if checkpoint != "-":
    optimizer.restore(torch.load(checkpoint))
else:
    for _ in range(6):
        optimizer.step(objective)
    state = optimizer.state()
    if ranks.first:
        torch.save(state, found + ".checkpoint")
for _ in range(4):
    optimizer.step(objective)
torch.save(optimizer.best, f"{found}-{ranks.rank}.pt")
ranks.leave()
"""


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_optimizers_are_divided_and_any_number_of_processes_goes_on(tmp_path, optimizer):
    (tmp_path / "optimizing.py").write_text(OPTIMIZING)

    def run(processes, found, checkpoint="-"):
        done = torchrun(tmp_path, "optimizing.py", optimizer, found, checkpoint, processes=processes)
        assert done.returncode == 0, done.stderr
        return [torch.load(tmp_path / f"{found}-{rank}.pt") for rank in range(processes)]

    (expected,) = run(1, "alone")
    for found in (*run(3, "three"), *run(1, "resumed", "three.checkpoint"), *run(2, "again", "alone.checkpoint")):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


#: The command line with a checkpoint of every evaluation; the second process dies in the midst of the fourth.
DYING = """
import os, signal, sys
from toolkit.cli import main
from toolkit.commands import synthesizing
from toolkit.synthesis.objective import Objective
synthesizing.CHECKPOINT_SECONDS = 0
network_losses, calls = Objective.network_losses, []
def dying(self, image):
    calls.append(image)
    if self.ranks.rank == 1 and len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return network_losses(self, image)
Objective.network_losses = dying
sys.exit(main(sys.argv[1:]))
"""


def test_when_a_process_dies_the_run_ends_in_a_sentence_and_can_be_resumed(tiny_network, random_image, tmp_path):
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    save_png(random_image(90, 120), tmp_path / "a.png", "{}")
    (tmp_path / "dying.py").write_text(DYING)
    command = ["reconstruct", "a.png", "--network", "tiny.safetensors", "--size", "100", "--evaluations", "6"]
    command += ["--resume", "--memory", "1GB", "-o", "x.png"]
    died = torchrun(tmp_path, "dying.py", *command)
    assert died.returncode != 0
    # Whichever comes first: the broken connection, or the launcher's signal to end.
    assert "Another process of this run is gone" in died.stderr or "Interrupted: keeping the best" in died.stderr
    assert "network_losses" not in died.stderr  # no traceback of ours
    assert (tmp_path / "x.checkpoint").exists()
    resumed = torchrun(tmp_path, "-m", "toolkit", *command)
    assert resumed.returncode == 0, resumed.stderr
    assert "3/6" in resumed.stderr and "0/6" not in resumed.stderr
    assert not (tmp_path / "x.checkpoint").exists()
