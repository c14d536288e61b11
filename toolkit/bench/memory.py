"""How much memory an optimisation takes, each contestant in a process of its own."""

import json
import resource
import subprocess
import sys

import torch

from ..errors import ToolkitError
from ..network import load_network
from ..synthesis import Recipe, Synthesis
from .step import photographlike
from .textbook import Textbook

CONTESTANTS = ("nothing", "textbook", "float32", "bfloat16", "mixed", "tiles")


def bench_memory(network: str, height: int, width: int, memory: int, evaluations: int) -> dict[str, float]:
    """Peak resident memory in MB of the textbook, of ours, and of ours in tiles, after that many evaluations.

    Args:
        network: its name or path.
        height: of the image, in pixels.
        width: likewise.
        memory: bytes that the tiled one is to stay within.
        evaluations: of each; L-BFGS keeps something of each one, the textbook's of the last hundred.

    Returns:
        ``nothing_mb`` (libraries and weights alone), ``textbook_mb``, ``float32_mb``, ``bfloat16_mb``, ``mixed_mb``,
        ``tiles_mb`` (in float32), and each one's ``share_…`` of the textbook's.

    Raises:
        ToolkitError: when the network can't be loaded, or a contestant ends too soon.
    """
    load_network(network)  # so that it is told here when it can't be
    peaks = {}
    for contestant in CONTESTANTS:
        wanted = json.dumps([contestant, network, height, width, memory, evaluations])
        done = subprocess.run([sys.executable, "-m", __name__, wanted], capture_output=True, text=True)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2].removeprefix(f"{ToolkitError.__module__}.ToolkitError: ")
            why = last or "It was killed, perhaps for want of memory: try a smaller size."
            raise ToolkitError(f"The contestant {contestant} ended too soon. {why}")
        peaks[contestant] = float(done.stdout)
    found = {f"{name}_mb": peak for name, peak in peaks.items()}
    return found | {f"share_{name}": peaks[name] / peaks["textbook"] for name in CONTESTANTS[2:]}


def _contest(contestant: str, source: str, height: int, width: int, memory: int, evaluations: int) -> None:
    torch.set_grad_enabled(False)
    network = load_network(source)
    content, style = (photographlike(height, width, seed) for seed in range(2))
    # All evaluations at the full size, for as long a memory of them as there comes to be.
    recipe = Recipe.preset("transfer", size=max(height, width), evaluations=evaluations, levels=1)
    if contestant == "textbook":
        textbook, image = Textbook(network, recipe, content, style), content.clone().requires_grad_()
        optimizer = textbook.optimizer(image)
        for _ in range(evaluations):
            optimizer.step(lambda: textbook.evaluate(image))
    elif contestant != "nothing":
        recipe = recipe.with_(precision="float32" if contestant == "tiles" else contestant)
        limit = memory if contestant == "tiles" else None
        for _ in Synthesis(network, recipe, content=content, styles=[style], memory=limit):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)  # it comes in KiB, on Linux


if __name__ == "__main__":
    _contest(*json.loads(sys.argv[1]))
