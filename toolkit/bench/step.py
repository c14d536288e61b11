"""The time that one evaluation of loss and gradient takes."""

import statistics
import time
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from ..device import native_bfloat16, synchronize
from ..errors import ToolkitError
from ..export import OnnxObjective
from ..network import Network
from ..process import keep_freed_memory, return_freed_memory
from ..synthesis import Inputs, Objective, Recipe
from .textbook import AS_TEXTBOOK, Textbook

#: Of all rounds together, about.
SECONDS = 60.0


def photographlike(height: int, width: int, seed: int) -> Tensor:
    """An image (1, 3, height, width) in [0, 1] with structure at several scales, as photographs have."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, height, width)
    for n in range(1, 7):  # one by one, for little memory
        coarse = torch.rand(1, 3, 2**n, 2**n, generator=generator)
        picture += torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic") / 6
    return picture


def as_people_have_it(usual: bool) -> None:
    """Sets the process up for the textbook, with the usual treatment of freed memory, or for ours, which keeps it."""
    keep_freed_memory(not usual)
    if usual:
        return_freed_memory()


def bench_step(
    network: Network,
    height: int,
    width: int,
    device: torch.device,
    rounds: int,
    begins: Callable[[int], object] = lambda number: None,
) -> dict[str, float]:
    """Median times over ``rounds``: the textbook, ours in float32, and in bfloat16 and by ONNX Runtime if it serves.

    The contestants take turns; after ``SECONDS`` no further round begins. Each turn begins with an evaluation that is
    not timed. The floor is the time of the convolutions' multiplications at the rate of this machine's matrix product.

    Args:
        network: normalised, in float32.
        height, width: of the image in pixels.
        device, rounds: where to compute, and how often each is timed at most.
        begins: is called with each round's number when it begins, from 1.

    Returns:
        By stable names: ``rounds``, those that were made; times in ms (``textbook_ms``, ``float32_ms``,
        ``floor_float32_ms`` …); ``speedup_…``, the textbook's time over ours; ``over_floor_…``, ours over the floor.
    """
    recipe = Recipe.preset("transfer", **AS_TEXTBOOK)
    image, content, style = (photographlike(height, width, seed).to(device) for seed in range(3))
    dtypes = (torch.float32, torch.bfloat16) if native_bfloat16(device) else (torch.float32,)
    exact = network.at(device, torch.float32)
    textbook, inputs = Textbook(exact, recipe, content, style), Inputs(content, [style])
    contestants: dict[str, Callable[[Tensor], object]] = {
        "textbook": lambda image: textbook.evaluate(image.clone()),
    } | {str(dtype).removeprefix("torch."): Objective(network.at(device, dtype), recipe, inputs) for dtype in dtypes}
    with suppress(ToolkitError):  # it may not compute on this device
        contestants["onnx"] = OnnxObjective(exact, recipe, inputs)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    began = time.monotonic()
    for number in range(1, rounds + 1):
        begins(number)
        for name, evaluate in contestants.items():
            as_people_have_it(name == "textbook")
            evaluate(image)
            times[name].append(_seconds(lambda: evaluate(image), device))  # noqa: B023  # called at once
        if time.monotonic() - began >= SECONDS:
            break
    as_people_have_it(False)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    found: dict[str, float] = {"rounds": len(times["textbook"])}
    found |= {f"{name}_ms": 1000 * seconds for name, seconds in medians.items()}
    found |= {
        f"speedup_{name}": medians["textbook"] / seconds for name, seconds in medians.items() if name != "textbook"
    }
    work = operations(network, recipe, height, width)
    for dtype in dtypes:
        name = str(dtype).removeprefix("torch.")
        floor = work / matrix_rate(dtype, device, rounds=rounds)
        found[f"floor_{name}_ms"] = 1000 * floor
        found[f"over_floor_{name}"] = medians[name] / floor
    return found


def operations(network: Network, recipe: Recipe, height: int, width: int) -> float:
    """Floating-point operations of the convolutions in an evaluation: two passes, a multiplication and an addition."""
    total, stride = 0, 1
    for layer in network.architecture.down_to([*recipe.content_layers, *recipe.style_layers]):
        stride *= 2 if layer.kind == "pool" else 1
        if layer.kind == "conv":
            inputs, outputs = network.architecture.convolutions[layer.name]
            total += 2 * 2 * 9 * inputs * outputs * (height // stride) * (width // stride)
    return float(total)


def matrix_rate(dtype: torch.dtype, device: torch.device, side: int = 1024, rounds: int = 5) -> float:
    """Floating-point operations a second of this machine's matrix product, the best of ``rounds``.

    (4 side, side) times (side, side), as a matrix product and as a 1 x 1 convolution, which may be faster.
    """
    a, b = torch.rand(4 * side, side, device=device).to(dtype), torch.rand(side, side, device=device).to(dtype)
    pixels, kernel = a.view(1, 4, side, side).permute(0, 3, 1, 2), b[:, :, None, None]  # channels last
    products = (lambda: a @ b, lambda: torch.nn.functional.conv2d(pixels, kernel))
    return 2 * 4 * side**3 / min(_seconds(product, device) for _ in range(rounds + 1) for product in products)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - began
