"""The memory that a transfer takes at its peak, each contestant in a process of its own."""

import json
import math
import re
import resource
import subprocess
import sys

import torch

from ..errors import ToolkitError
from ..network import load_vgg
from ..synthesis import Recipe, Synthesis
from .step import photographlike
from .textbook import AS_TEXTBOOK, Textbook

CONTESTANTS = ("nothing", "textbook", "float32", "bfloat16", "tiles")


def bench_memory(network: str, height: int, width: int, memory: int, iterations: int) -> dict[str, float]:
    """Peak resident memory of a transfer in MB: the textbook's, ours whole, and ours in tiles.

    Args:
        network: its name or path.
        height: of the image in pixels.
        width: likewise.
        memory: bytes for the one in tiles to stay within.
        iterations: of each. The textbook's L-BFGS grows for a hundred of them.

    Returns:
        ``nothing_mb`` (libraries and weights only), ``textbook_mb``, ``float32_mb``, ``bfloat16_mb``, ``tiles_mb`` (in
        float32), and ``share_…`` of the textbook's for each of ours.

    Raises:
        ToolkitError: when the network can't be loaded, or a contestant fails.
    """
    load_vgg(network)  # fails here, not in a contestant
    peaks = {}
    for contestant in CONTESTANTS:
        wanted = json.dumps([contestant, network, height, width, memory, iterations])
        done = subprocess.run([sys.executable, "-m", __name__, wanted], capture_output=True, text=True)
        if done.returncode:
            last = re.sub(rf"^{ToolkitError.__module__}\.\w+: ", "", done.stderr.strip().rpartition("\n")[2])
            why = last or "It was killed, probably for lack of memory: try a smaller size."
            raise ToolkitError(f"The contestant {contestant} failed. {why}")
        peaks[contestant] = float(done.stdout)
    found = {f"{name}_mb": peak for name, peak in peaks.items()}
    return found | {f"share_{name}": peaks[name] / peaks["textbook"] for name in CONTESTANTS[2:]}


def _contest(contestant: str, source: str, height: int, width: int, memory: int, iterations: int) -> None:
    torch.set_grad_enabled(False)
    network = load_vgg(source)
    content, style = (photographlike(height, width, seed) for seed in range(2))
    recipe = Recipe.preset(
        "transfer",
        **{**AS_TEXTBOOK, "levels": 1},
        size=max(height, width),
        iterations=iterations,
        early_stop=False,
    )
    if contestant == "textbook":
        textbook, image = Textbook(network, recipe, content, style), content.clone().requires_grad_()
        optimizer = textbook.optimizer(image)
        for _ in range(iterations):
            optimizer.step(lambda: textbook.evaluate(image))
    elif contestant != "nothing":
        recipe = recipe.with_(precision="float32" if contestant == "tiles" else contestant)
        limit = memory if contestant == "tiles" else math.inf
        for _ in Synthesis(network, recipe, content=content, styles=[style], memory=limit):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)  # Linux counts KiB


if __name__ == "__main__":
    _contest(*json.loads(sys.argv[1]))
