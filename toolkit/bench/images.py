"""How many images are enough: how far mean activations spread that were measured on so many."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..data.sources import Source
from ..data.stream import ImageStream, decoders
from ..network import Network

#: How often a set of images is drawn, with replacement, for each number of them.
DRAWS = 200

#: Of how many images the sets are, unless told otherwise.
COUNTS = (50, 100, 400, 1600, 5000)


def image_means(
    network: Network,
    images: Sequence[Source],
    device: torch.device,
    progress: Callable[[int], object] = lambda images: None,
) -> dict[str, Tensor]:
    """By convolution, each image's mean activations, float64 (N, O): of its central 224 x 224 pixels, after the ReLU.

    Args:
        network: as it was trained.
        images: those that can't be read are left out.
        device: where to compute.
        progress: told the number of images of every chunk done.
    """
    network = network.to(device)
    stream = ImageStream(images, workers=decoders(device))
    relus = {name.replace("conv", "relu"): name for name in network.architecture.convolutions}
    rows: dict[str, list[Tensor]] = {name: [] for name in relus.values()}
    for chunk in stream.chunks(range(len(stream))):
        for batch in chunk.batches:
            for layer, x in network.walk(batch.to(device).float().div_(255), relus):
                rows[relus[layer]].append(x.mean((2, 3), dtype=torch.float64).cpu())
        progress(chunk.images)
    return {name: torch.cat(each) for name, each in rows.items()}


def spreads(means: Mapping[str, Tensor], counts: Sequence[int] = COUNTS) -> dict[str, dict[int, Tensor]]:
    """How far mean activations spread from one set of images to another.

    Args:
        means: from ``image_means``.
        counts: of how many images the sets are, each drawn ``DRAWS`` times with replacement.

    Returns:
        By convolution and count, the standard deviation over the sets, over the mean, of each filter that fires.
    """
    images = len(next(iter(means.values())))
    generator = torch.Generator().manual_seed(0)
    found: dict[str, dict[int, Tensor]] = {name: {} for name in means}
    for count in counts:
        drawn = torch.randint(images, (DRAWS, count), generator=generator)
        shares = torch.zeros(DRAWS, images, dtype=torch.float64)
        shares.scatter_add_(1, drawn, torch.full(drawn.shape, 1 / count, dtype=torch.float64))
        for name, each in means.items():
            mean = each.mean(0)
            found[name][count] = ((shares @ each.double()).std(0) / mean)[mean > 0]
    return found


def bench_images(means: Mapping[str, Tensor]) -> dict[str, dict[int, dict[str, float]]]:
    """``spreads`` in short: by layer and count, that of the median filter, and that which 99 % of the filters keep."""
    return {
        name.replace("conv", "relu"): {
            count: {"median": float(spread.median()), "percentile_99": float(spread.quantile(0.99))}
            for count, spread in by_count.items()
        }
        for name, by_count in spreads(means).items()
    }
