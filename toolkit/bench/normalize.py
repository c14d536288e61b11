"""Images a second of a measuring pass, beside a loop with forward hooks."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from ..data.sources import Source
from ..data.stream import ImageStream, crop, decoders
from ..device import native_bfloat16
from ..network import Network
from ..normalize.measure import measure
from ..pictures.io import to_tensor
from .textbook import sequential


def bench_normalize(network: Network, images: Sequence[Source], device: torch.device) -> dict[str, float]:
    """Images a second, decoded, cropped and run through: by the textbook one by one, by ours in float32 and bfloat16.

    Ours is timed from the first images on.

    Returns:
        ``textbook_images_per_second``, ``float32_images_per_second`` and the ``speedup_float32`` between them; likewise
        for ``bfloat16`` where the device computes in it; ``largest_difference``, relative, between the textbook's means
        and ours in float32.
    """
    network = network.to(device)
    stream = ImageStream(images, workers=decoders(device))
    began = time.perf_counter()
    expected = textbook_means(network, images, device)
    textbook = time.perf_counter() - began
    found = {"textbook_images_per_second": len(images) / textbook}
    for arithmetic in ("float32", "bfloat16"):
        if arithmetic == "float32" or native_bfloat16(device):
            measured = measure([network], stream, arithmetic=arithmetic)
            found[f"{arithmetic}_images_per_second"] = measured.rate
            found[f"speedup_{arithmetic}"] = measured.rate * textbook / len(images)
            if arithmetic == "float32":
                means = measured.sums[0].means()
                found["largest_difference"] = max(
                    float(((means[name].to(mean) - mean) / mean.clamp(min=1e-6)).abs().max())
                    for name, mean in expected.items()
                )
    return found


def textbook_means(network: Network, images: Sequence[Source], device: torch.device) -> dict[str, Tensor]:
    """Mean activations by convolution, (O) each, image by image, by forward hooks on the ReLUs."""
    path = network.architecture.layers
    layers = sequential(network, path).to(device)
    means: dict[str, Tensor] = {}

    def remember(convolution: str, output: Tensor) -> None:
        means[convolution] = means.get(convolution, 0) + output.mean((0, 2, 3)) / len(images)

    for before, layer, module in zip(path, path[1:], layers[1:], strict=False):
        if layer.kind == "relu":
            module.register_forward_hook(lambda _, __, output, name=before.name: remember(name, output))
    with torch.no_grad():
        for image in images:
            layers(network.preprocessing(to_tensor(crop(image.picture(as_stored=True))).to(device)))
    return means
