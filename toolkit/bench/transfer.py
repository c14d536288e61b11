"""The time that a transfer takes, from two images in memory to the objective that the textbook reaches."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from ..device import synchronize
from ..network import Network
from ..pictures.io import fit
from ..synthesis import Recipe, Synthesis
from .step import as_people_have_it
from .textbook import AS_TEXTBOOK, Textbook

#: Of every transfer that is measured.
STYLE_WEIGHT = 100.0

#: Ours is compared with the textbook once its objective is below so many times the goal: comparing takes time.
NEAR = 1.2


def bench_transfer(
    network: Network, content: Tensor, style: Tensor, size: int, iterations: Sequence[int], device: torch.device
) -> dict[int, dict[str, float | None]]:
    """Seconds until the textbook's objective is reached: by the textbook, and by ours planned for as many iterations.

    Both minimise the same objective within [0, 1]. The textbook evaluates both in float32 at full size, with the clock
    stopped.

    Args:
        network: normalised, in float32.
        content: (1, 3, H, W), RGB in [0, 1].
        style: (1, 3, h, w), likewise.
        size: longest side of the result in pixels.
        iterations: of the textbook, in rising order; it runs once.
        device: where to compute.

    Returns:
        By number of iterations: ``textbook_seconds`` and ``textbook_objective``, its best so far; ``ours_seconds`` and
        ``ours_iterations`` until ours is as good, and ``ratio``, our time over the textbook's; ``None`` if never.
        ``ours_objective``: where ours ends.
    """
    network = network.to(device)
    recipe = Recipe.preset("transfer", **AS_TEXTBOOK, size=size, style_weight=STYLE_WEIGHT)
    as_people_have_it(True)
    clock = _Clock(device)
    with clock:
        small, painting = (fit(picture, size).to(device) for picture in (content, style))
        textbook = Textbook(network, recipe, small, painting)
        image = small.clone(memory_format=torch.contiguous_format).requires_grad_()
        optimizer = textbook.optimizer(image)
    goal = torch.inf
    goals: dict[int, tuple[float, float]] = {}
    for number in range(1, iterations[-1] + 1):
        with clock:
            goal = min(goal, float(optimizer.step(lambda: textbook.evaluate(image))))
        if number in iterations:
            goals[number] = clock.seconds, goal
    del optimizer  # frees its memory
    as_people_have_it(False)
    found = {}
    for number, (seconds, goal) in goals.items():
        planned = recipe.with_(iterations=number)
        clock = _Clock(device)
        with clock:
            synthesis = Synthesis(network, planned, content=content, styles=[style], device=device)
        ours = _race(synthesis, textbook, small.shape, goal, clock)
        ratio = None if ours["ours_seconds"] is None else ours["ours_seconds"] / seconds
        found[number] = {"textbook_seconds": seconds, "textbook_objective": goal, **ours, "ratio": ratio}
    return found


def _race(
    synthesis: Synthesis, textbook: Textbook, shape: torch.Size, goal: float, clock: "_Clock"
) -> dict[str, float | None]:
    """Runs ours until an image of that shape reaches the goal, or to its end."""
    steps, objective = iter(synthesis), torch.inf
    while objective > goal:
        with clock:
            progress = next(steps, None)
        if progress is None:
            break
        if synthesis.best.shape == shape and progress.objective < min(objective, NEAR * goal):
            with torch.no_grad():
                objective = min(objective, float(textbook.loss(synthesis.best)))
    with torch.no_grad():
        reached = float(textbook.loss(synthesis.best))
    there = objective <= goal
    return {
        "ours_seconds": clock.seconds if there else None,
        "ours_iterations": float(synthesis.iteration) if there else None,
        "ours_objective": reached,
    }


class _Clock:
    """A stopwatch that runs inside ``with`` blocks."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds, self._began = device, 0.0, 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        synchronize(self.device)
        self.seconds += time.perf_counter() - self._began
