"""Images to train on: crops at several scales, some recoloured, and some noise."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..data.sources import Source
from ..pictures.io import to_tensor


def random_crop(picture: Image.Image, size: int, rng: random.Random) -> Image.Image:
    """A square of ``size`` pixels, at half to twice its scale (log-uniform), mirrored half of the time."""
    side = min(size * 2.0 ** rng.uniform(-1, 1), *picture.size)
    left, top = (rng.uniform(0, extent - side) for extent in picture.size)
    crop = picture.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop


def recolour(image: Tensor, rng: random.Random) -> Tensor:
    """Permutes the channels and changes each one's contrast and brightness: paintings have other colours."""
    order = torch.tensor(rng.sample(range(3), 3))
    gain, offset = (torch.tensor([rng.uniform(*bounds) for _ in range(3)]) for bounds in ((0.5, 1.5), (-0.2, 0.2)))
    return ((image[:, order] - 0.5) * gain.view(3, 1, 1) + 0.5 + offset.view(3, 1, 1)).clamp(0, 1)


def noise(size: int, generator: torch.Generator) -> Tensor:
    """(1, 3, size, size): uniform noise of a random grain and contrast around a random colour."""
    grain, contrast = 2 ** int(torch.randint(0, 5, (), generator=generator)), torch.rand((), generator=generator)
    coarse = torch.rand(1, 3, -(-size // grain), -(-size // grain), generator=generator)
    fine = F.interpolate(coarse, (size, size), mode="bilinear")
    return ((fine - 0.5) * contrast + torch.rand(1, 3, 1, 1, generator=generator)).clamp(0, 1)


def batches(images: Sequence[Source], size: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Endless batches (N, 3, size, size), RGB in [0, 1], prepared in a thread.

    Half of the crops are recoloured; one image in sixteen is noise.
    """
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)

    def one(_: int) -> Tensor:
        if rng.random() < 1 / 16:
            return noise(size, generator)
        image = to_tensor(random_crop(rng.choice(images).picture(), size, rng))
        return recolour(image, rng) if rng.random() < 0.5 else image

    def batch() -> Tensor:
        return torch.cat([one(n) for n in range(batch_size)])

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(batch)
        while True:
            ready, pending = pending.result(), pool.submit(batch)
            yield ready
