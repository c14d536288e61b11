"""The memory that a transfer takes at its peak, each contestant in a process of its own."""

import math
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import torch

from ..device import native_bfloat16
from ..errors import ToolkitError
from ..network import load_vgg
from ..synthesis import Recipe, Synthesis
from .step import photographlike
from .textbook import AS_TEXTBOOK, Textbook

CONTESTANTS = ("nothing", "textbook", "float32", "bfloat16", "tiles")


def bench_memory(
    network: str,
    height: int,
    width: int,
    memory: int,
    iterations: int,
    begins: Callable[[str], object] = lambda contestant: None,
) -> dict[str, float]:
    """Peak resident memory of a transfer in MB: the textbook's, ours whole, and ours in tiles.

    Args:
        network: its name or path.
        height, width: of the image in pixels.
        memory: bytes for the one in tiles to stay within.
        iterations: of each. The textbook's L-BFGS grows for a hundred of them.
        begins: is called with each contestant's name when it begins.

    Returns:
        ``nothing_mb`` (libraries and weights only), ``textbook_mb``, ``float32_mb``, ``bfloat16_mb`` where the
        processor serves, ``tiles_mb`` (in float32), and ``share_…`` of the textbook's for each of ours.

    Raises:
        ToolkitError: when the network can't be loaded, or a contestant fails.
    """
    load_vgg(network)  # fails here, not in a contestant
    serves = native_bfloat16(torch.device("cpu"))
    peaks = {}
    started = get_context("forkserver")
    started.set_forkserver_preload([__name__])  # imported once, by a process that each of theirs is forked from
    with ProcessPoolExecutor(1, started, max_tasks_per_child=1) as pool:
        for contestant in CONTESTANTS:
            if contestant == "bfloat16" and not serves:
                continue
            begins(contestant)
            try:
                peaks[contestant] = pool.submit(_peak, contestant, network, height, width, memory, iterations).result()
            except (ToolkitError, BrokenProcessPool) as error:
                killed = "It was killed, probably for lack of memory: try a smaller size."
                why = killed if isinstance(error, BrokenProcessPool) else error
                raise ToolkitError(f"The contestant {contestant} failed. {why}") from error
    found = {f"{name}_mb": peak for name, peak in peaks.items()}
    return found | {f"share_{name}": peaks[name] / peaks["textbook"] for name in [*peaks][2:]}


def _peak(contestant: str, source: str, height: int, width: int, memory: int, iterations: int) -> float:
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
    import resource  # which Windows lacks

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
