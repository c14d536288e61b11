"""How long a picture takes: from two pictures in memory to the objective at which the textbook ends."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from ..images.io import fit
from ..network import Network
from ..synthesis import Recipe, Synthesis
from .textbook import Textbook

#: Beyond so many times the textbook's objective, ours is not judged; so judging does not take longer than the run.
NEAR = 1.2


def bench_transfer(
    network: Network, content: Tensor, style: Tensor, size: int, evaluations: Sequence[int], device: torch.device
) -> dict[int, dict[str, float | None]]:
    """Seconds to the textbook's objective: its own for all its evaluations, and ours planned for as many.

    Both minimise the same float32 objective of the full-size image within its range, and the textbook judges both,
    outside the clock.

    Args:
        network: normalised, in float32.
        content: (1, 3, H, W), RGB in [0, 1].
        style: (1, 3, h, w), likewise.
        size: longest side of the picture, in pixels.
        evaluations: of the textbook's, in rising order; it runs once, for the most of them.
        device: where to compute.

    Returns:
        By number of evaluations: ``textbook_seconds`` and ``textbook_objective``, its best; ``ours_seconds`` and
        ``ours_evaluations`` until ours is as good and their ``ratio``, ours over the textbook's, ``None`` when it never
        is; ``ours_objective`` then.
    """
    network = network.to(device)
    recipe = Recipe.preset("transfer", size=size)
    clock = _Clock(device)
    with clock:
        small, painting = (fit(picture, size).to(device) for picture in (content, style))
        textbook = Textbook(network, recipe, small, painting)
        image = small.clone(memory_format=torch.contiguous_format).requires_grad_()
        optimizer = textbook.optimizer(image)
    goal = torch.inf
    goals: dict[int, tuple[float, float]] = {}
    for number in range(1, evaluations[-1] + 1):
        with clock:
            goal = min(goal, float(optimizer.step(lambda: textbook.evaluate(image))))
        if number in evaluations:
            goals[number] = clock.seconds, goal
    del optimizer  # and the memory that it holds
    found = {}
    for number, (seconds, goal) in goals.items():
        planned = recipe.with_(evaluations=number)
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
    """Runs ours until it is as good as the goal at that shape, or done."""
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
        "ours_evaluations": float(synthesis.evaluation) if there else None,
        "ours_objective": reached,
    }


class _Clock:
    """A stopwatch that runs within its blocks."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds, self._began = device, 0.0, 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds += time.perf_counter() - self._began
