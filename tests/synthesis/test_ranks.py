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
from toolkit.ranks import Ranks
from toolkit.synthesis import Recipe
from toolkit.synthesis.objective import Objective
torch.set_grad_enabled(False)
ranks = Ranks.join(torch.device("cpu"))
image, content, style = torch.load("images.pt")
objective = Objective(load_network("tiny.safetensors"), Recipe.preset("transfer"), content, [style], ranks=ranks)
evaluation = objective(image)
torch.save((evaluation.losses, evaluation.gradient), f"found-{ranks.rank}.pt")
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
    for losses, gradient in found:
        assert losses == found[0][0] == pytest.approx(expected.losses, rel=1e-4)
        assert torch.equal(gradient, found[0][1])
        scale = expected.gradient.abs().max().item()
        torch.testing.assert_close(gradient, expected.gradient, rtol=1e-3, atol=1e-4 * scale)


def test_one_picture_by_two_processes(tiny_network, random_image, tmp_path):
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    save_png(random_image(90, 120), tmp_path / "a.png", "{}")
    save_png(random_image(80, 80, seed=1), tmp_path / "b.png", "{}")
    wishes = ["--network", "tiny.safetensors", "--size", "100", "--evaluations", "5", "--optimizer", "adam"]
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
