"""Several processes compute one picture: losses and gradient are those of one."""

import os
import runpy
import subprocess
import sys

import pytest
import torch
from toolkit.synthesis.optimizers import OPTIMIZERS

from toolkit.cli import main
from toolkit.distributed import ALONE
from toolkit.images.io import open_image, save_png
from toolkit.network import save_network
from toolkit.synthesis import Recipe
from toolkit.synthesis.objective import Objective

#: Losses and gradient in one tile a process, in several where there is no room, and by differences.
SCRIPT = """
import torch
from toolkit.network import load_network
from toolkit.distributed import Ranks, Share
from toolkit.synthesis import Recipe, strips
from toolkit.synthesis.objective import Objective
strips.STRIP = 10_000
torch.set_grad_enabled(False)
ranks = Ranks.join(torch.device("cpu"))
image, content, style = torch.load("images.pt")
network, recipe, found = load_network("tiny.safetensors"), Recipe.preset("transfer"), {}
for case, memory in (("whole", None), ("tiles", 1), ("differences", None)):
    wishes = {"memory": memory, "ranks": ranks, "differences": case == "differences"}
    objective = Objective(network, recipe, content, [style], **wishes)
    if case == "differences":
        objective(image.lerp(content, 1e-3))  # for the reference
    assert (len(objective._tiles(image)) == ranks.size) == (memory is None)
    evaluation = objective(image)
    found[case] = evaluation.losses, Share(ranks, image.numel()).own(evaluation.gradient.view(-1))
torch.save(found, f"found-{ranks.rank}.pt")
ranks.leave()
"""


def torchrun(folder, *arguments, processes=2):
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *launcher, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("processes", [2, 3])
def test_losses_and_gradient_are_those_of_one_process(tiny_network, random_image, tmp_path, processes):
    network = tiny_network()
    save_network(network, tmp_path / "tiny.safetensors")
    images = [random_image(141, 230, seed=seed) ** (1 + seed) for seed in range(3)]  # statistics that differ
    torch.save(images, tmp_path / "images.pt")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = torchrun(tmp_path, "script.py", processes=processes)
    assert done.returncode == 0, done.stderr
    expected = Objective(network, Recipe.preset("transfer"), images[1], [images[2]])(images[0])
    found = [torch.load(tmp_path / f"found-{rank}.pt") for rank in range(processes)]
    for case, of_losses, of_gradient in (("whole", 1e-4, 1e-5), ("tiles", 1e-4, 1e-5), ("differences", 1e-3, 0.02)):
        losses, parts = zip(*(of_rank[case] for of_rank in found), strict=True)
        assert all(of_rank == losses[0] for of_rank in losses)
        assert losses[0] == pytest.approx(expected.losses, rel=of_losses), case
        gradient = torch.cat(parts).view_as(expected.gradient)
        assert (gradient - expected.gradient).norm() < of_gradient * expected.gradient.norm(), case


def test_one_picture_by_two_processes(tiny_network, random_image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    save_png(random_image(90, 120), tmp_path / "a.png", "{}")
    save_png(random_image(80, 80, seed=1), tmp_path / "b.png", "{}")
    # Two levels, of one and four evaluations.
    command = ["transfer", "a.png", "b.png", "--network", "tiny.safetensors", "--size", "512", "--evaluations", "5"]
    command += ["--precision", "float32"]
    done = torchrun(tmp_path, "-m", "toolkit", *command, "-o", "two.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written to two.png") == 1
    assert main([*command, "-o", "one.png"]) == 0
    difference = (open_image(tmp_path / "one.png") - open_image(tmp_path / "two.png")).abs()
    assert difference.max() <= 2 / 255 + 1e-6


LEAVING = """
import sys, torch
from pathlib import Path
from toolkit.distributed import Ranks
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


#: Each optimizer makes a few evaluations on a quadratic, saves, and makes a few more; or only those, from a checkpoint.
OPTIMIZING = """
import sys, torch
from pathlib import Path
from types import SimpleNamespace
from toolkit.distributed import Ranks, Share
from toolkit.synthesis.optimizers import OPTIMIZERS
torch.set_grad_enabled(False)
goal, curvature = torch.rand(2, 1, 3, 19, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
def optimize(name, folder, checkpoints, ranks):
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
    if checkpoints:
        optimizer.restore(torch.load(Path(checkpoints, f"{name}.checkpoint")))
    else:
        for _ in range(6):
            optimizer.step(objective)
        state = optimizer.state()
        if ranks.first:
            torch.save(state, Path(folder, f"{name}.checkpoint"))
    for _ in range(4):
        optimizer.step(objective)
    torch.save(optimizer.best, Path(folder, f"{name}-{ranks.rank}.pt"))
if __name__ == "__main__":
    ranks = Ranks.join(torch.device("cpu"))
    for name in OPTIMIZERS:
        optimize(name, sys.argv[1], sys.argv[2], ranks)
    ranks.leave()
"""


def test_optimizers_are_divided_and_any_number_of_processes_goes_on(tmp_path):
    (tmp_path / "optimizing.py").write_text(OPTIMIZING)
    alone = runpy.run_path(str(tmp_path / "optimizing.py"))["optimize"]

    def run(processes, folder, checkpoints=""):
        (tmp_path / folder).mkdir()
        if processes > 1:
            done = torchrun(tmp_path, "optimizing.py", folder, checkpoints, processes=processes)
            assert done.returncode == 0, done.stderr
        else:
            for name in OPTIMIZERS:
                alone(name, tmp_path / folder, checkpoints and tmp_path / checkpoints, ALONE)

    run(1, "alone")
    run(3, "three")
    run(1, "resumed", "three")
    run(2, "again", "alone")
    for name in OPTIMIZERS:
        expected = torch.load(tmp_path / "alone" / f"{name}-0.pt")
        found = [torch.load(path) for path in sorted(tmp_path.glob(f"*/{name}-*.pt"))]
        assert len(found) == 1 + 3 + 1 + 2
        for best in found:
            torch.testing.assert_close(best, expected, rtol=0, atol=1e-9)


#: The command line with a checkpoint of every evaluation; the second process dies in the midst of the fourth.
DYING = """
import os, signal, sys
from toolkit.cli import main
from toolkit.commands import synthesizing
from toolkit.synthesis.objective import Objective
synthesizing.CHECKPOINT_SECONDS, synthesizing.CHECKPOINT_SHARE = 0, float("inf")
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
