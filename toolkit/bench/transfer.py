"""How long a picture takes: from two pictures in memory to the objective at which the textbook ends."""

import time

import torch
from torch import Tensor

from ..network import Network
from ..pictures import fit
from ..synthesis import Recipe, Synthesis
from .textbook import Textbook

#: Beyond so many times the textbook's objective, ours is not judged; so judging does not take longer than the run.
NEAR = 1.2


def bench_transfer(
    network: Network, content: Tensor, style: Tensor, size: int, evaluations: int, device: torch.device
) -> dict[str, float | None]:
    """Seconds to the textbook's objective: its own for all its evaluations, and ours planned for as many.

    Both minimise the same float32 objective of the full-size image, and it judges both, outside the clock: ours within
    an image's range, the textbook's beyond it as well, before anything is cut off.

    Args:
        network: normalised, in float32.
        content: (1, 3, H, W), RGB in [0, 1].
        style: (1, 3, h, w), likewise.
        size: longest side of the picture, in pixels.
        evaluations: of the textbook's.
        device: where to compute.

    Returns:
        ``textbook_seconds`` and ``textbook_objective``, its best; ``ours_seconds`` and ``ours_evaluations`` until ours
        is as good and their ``ratio``, ours over the textbook's, ``None`` when it never is; ``ours_objective`` then.
    """
    network = network.to(device)
    recipe = Recipe.preset("transfer", size=size, evaluations=evaluations)
    clock = _Clock(device)
    with clock:
        small, painting = (fit(picture, size).to(device) for picture in (content, style))
        textbook = Textbook(network, recipe, small, painting)
        image = small.clone(memory_format=torch.contiguous_format).requires_grad_()
        optimizer = textbook.optimizer(image)
        goal = min(float(optimizer.step(lambda: textbook.evaluate(image))) for _ in range(evaluations))
    found: dict[str, float | None] = {"textbook_seconds": clock.seconds, "textbook_objective": goal}
    found |= {"ours_seconds": None, "ours_evaluations": None, "ratio": None}
    clock = _Clock(device)
    with clock:
        synthesis = Synthesis(network, recipe, content=content, styles=[style], device=device)
        steps = iter(synthesis)
    objective = torch.inf
    while objective > goal:
        with clock:
            progress = next(steps, None)
        if progress is None:
            break
        at_size = synthesis.best.shape == small.shape
        if at_size and progress.objective < min(objective, NEAR * goal):
            with torch.no_grad():
                objective = min(objective, float(textbook.loss(synthesis.best)))
    if objective <= goal:
        found["ours_seconds"], found["ours_evaluations"] = clock.seconds, float(synthesis.evaluation)
        found["ratio"] = clock.seconds / (found["textbook_seconds"] or torch.inf)
    with torch.no_grad():
        found["ours_objective"] = float(textbook.loss(synthesis.best))
    return found


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
