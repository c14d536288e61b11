"""A stream of images, decoded in worker processes and prepared alike; what can't be read is skipped and reported."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import ToolkitError
from .io import to_bytes
from .sources import Source

Preparation = Literal["crop", "stretch", "native"]


def crop(picture: Image.Image) -> Image.Image:
    """The shorter side to 256 pixels, then the centre's 224 x 224: how ImageNet classifiers are evaluated."""
    scale = 256 / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    return picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))


def stretch(picture: Image.Image) -> Image.Image:
    """The whole image, to 256 x 256 whatever its proportions, as for the paper's network.

    With this filter the authors' own mean activations are matched best.
    """
    return picture.resize((256, 256), Image.Resampling.BICUBIC)


def native(picture: Image.Image) -> Image.Image:
    """The whole image at its own size."""
    return picture


class Prepared(NamedTuple):
    """How images are prepared, Pillow's filter for it, and the least size that they may be decoded at."""

    function: Callable[[Image.Image], Image.Image]
    filter: str
    at_least: tuple[int, int] | None


PREPARATIONS: dict[Preparation, Prepared] = {
    "crop": Prepared(crop, "bilinear", (512, 512)),
    "stretch": Prepared(stretch, "bicubic", (512, 512)),
    "native": Prepared(native, "none", None),
}
assert set(PREPARATIONS) == set(get_args(Preparation))


class Chunk(NamedTuple):
    """Consecutive images, in batches of one size (N, 3, H, W) each, uint8; and what could not be read, with reasons."""

    number: int
    batches: list[Tensor]
    skipped: dict[str, str]

    @property
    def images(self) -> int:
        """How many images it took, read or not."""
        return sum(len(batch) for batch in self.batches) + len(self.skipped)


@dataclass
class ImageStream(Dataset[Chunk]):
    """Images in chunks of ``CHUNK`` consecutive ones: the unit that is dealt to processes and resumed from.

    What a chunk's batches are depends on nothing but the entries and the batch size.

    Args:
        entries: the images.
        preparation: ``crop``, ``stretch`` or ``native``.
        batch_size: at most so many images of one size in a batch.
        workers: processes that decode ahead; none for 0.
        strict: stop at the first image that can't be read.
    """

    CHUNK = 32

    entries: Sequence[Source]
    preparation: Preparation = "crop"
    batch_size: int = 8
    workers: int = 0
    strict: bool = False

    def __len__(self) -> int:
        """The number of chunks."""
        return -(-len(self.entries) // self.CHUNK)

    def __getitem__(self, number: int) -> Chunk:
        """Decodes one chunk."""
        by_size: dict[tuple[int, ...], list[Tensor]] = {}
        skipped = {}
        for entry in self.entries[number * self.CHUNK : (number + 1) * self.CHUNK]:
            try:
                image = self.image(entry)
            except ToolkitError as error:
                skipped[entry.name] = str(error)
            else:
                by_size.setdefault(tuple(image.shape), []).append(image)
        batches = [torch.cat(part) for images in by_size.values() for part in _parts(images, self.batch_size)]
        return Chunk(number, batches, skipped)

    def image(self, entry: Source) -> Tensor:
        """One of the images as it is in a batch, (1, 3, H, W) uint8.

        Raises:
            ToolkitError: when it can't be read.
        """
        prepare, _, at_least = PREPARATIONS[self.preparation]
        return to_bytes(prepare(entry.picture(at_least)))

    def fingerprint(self) -> str:
        """SHA-256 of which images these are, by name and place."""
        return hashlib.sha256("\n".join(map(repr, self.entries)).encode()).hexdigest()

    def chunks(self, numbers: Sequence[int], *, pinned: bool = False) -> Iterator[Chunk]:
        """Those chunks, in that order.

        Args:
            numbers: which.
            pinned: in memory that a GPU can fetch from by itself.

        Raises:
            ToolkitError: when an image can't be read and the stream is strict, or when none of a whole chunk can.
        """
        loader = DataLoader(
            self, batch_size=None, sampler=numbers, num_workers=min(self.workers, len(numbers)), pin_memory=pinned
        )
        for chunk in loader:
            if chunk.skipped and (self.strict or len(chunk.skipped) == self.CHUNK):
                reason = next(iter(chunk.skipped.values()))
                if self.strict:
                    raise ToolkitError(reason)
                raise ToolkitError(
                    f"{len(chunk.skipped)} images in a row could not be read; the first: {reason} "
                    "What was measured is kept: once they are back, the same command goes on from there."
                )
            yield chunk


def _parts(images: list[Tensor], size: int) -> Iterator[list[Tensor]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]


def decoders(device: torch.device) -> int:
    """How many processes should decode: all cores to feed a GPU, a quarter of them beside a network on the CPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores if device.type == "cuda" else cores // 4)
