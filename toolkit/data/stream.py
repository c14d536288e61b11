"""A stream of images, decoded in worker processes; images that can't be read are skipped and reported."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..choices import Preparation
from ..errors import ToolkitError
from ..pictures.io import to_uint8
from ..process import cores
from .sources import Entry, Fetched, Source, fetch

#: In pixels; from a smaller image nothing reaches a VGG's last layers.
SMALLEST = 16

#: The longer side over the shorter, at most: scaled by the shorter side, a longer image takes gigabytes.
LONGEST = 1000


def crop(picture: Image.Image) -> Image.Image:
    """Scales the shorter side to 256 pixels and crops the central 224 x 224, as ImageNet classifiers are evaluated.

    Pixel for pixel torchvision's ``Resize(256)`` and ``CenterCrop(224)``.
    """
    width, height = (int(256 * side / min(picture.size)) for side in picture.size)
    left, top = (round((side - 224) / 2) for side in (width, height))
    return picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))


def stretch(picture: Image.Image) -> Image.Image:
    """The whole image, to 256 x 256 whatever its proportions, as for the paper's network.

    With this filter the authors' own mean activations are matched best.
    """
    return picture.resize((256, 256), Image.Resampling.BICUBIC)


class Prepared(NamedTuple):
    """A preparation, and Pillow's filter in it."""

    function: Callable[[Image.Image], Image.Image]
    filter: str


PREPARATIONS: dict[Preparation, Prepared] = {
    "crop": Prepared(crop, "bilinear"),
    "stretch": Prepared(stretch, "bicubic"),
    "native": Prepared(lambda picture: picture, "none"),  # the whole image at its own size
}


class Chunk(NamedTuple):
    """Consecutive images in batches (N, 3, H, W), uint8, of one size each; and the reasons why others were skipped.

    These go by ``ImageStream.label``. ``lost`` are the archives that could not be read.
    """

    number: int
    batches: list[Tensor]
    skipped: dict[str, str]
    lost: set[str]

    @property
    def images(self) -> int:
        """How many images it covers, read or skipped."""
        return sum(len(batch) for batch in self.batches) + len(self.skipped)


@dataclass
class ImageStream(Dataset[Chunk]):
    """Images in chunks of ``CHUNK`` consecutive ones. Processes share the chunks, and a pass resumes after one.

    A chunk's batches depend on the entries and the batch size only.

    Args:
        entries: the images.
        preparation: ``crop``, ``stretch`` or ``native``.
        batch_size: images in a batch, at most.
        workers: processes that decode ahead; 0 decodes in this one.
        strict: an image that can't be read is an error.
        as_stored: pixels are those in the file, which networks are trained on; or else upright and in sRGB.
    """

    CHUNK = 32

    entries: Sequence[Source]
    preparation: Preparation = "crop"
    batch_size: int = 8
    workers: int = 0
    strict: bool = False
    as_stored: bool = True

    def __len__(self) -> int:
        """The number of chunks."""
        return -(-len(self.entries) // self.CHUNK)

    def __getitem__(self, number: int) -> Chunk:
        """Decodes one chunk."""
        by_size: dict[tuple[int, ...], list[Tensor]] = {}
        skipped = {}
        first = number * self.CHUNK
        fetched = list(fetch(self.entries[first : first + self.CHUNK]))
        for place, entry in enumerate(fetched, first):
            try:
                image = self.image(entry)
            except ToolkitError as error:
                skipped[self.label(place)] = str(error)
            else:
                by_size.setdefault(tuple(image.shape), []).append(image)
        batches = [
            torch.cat(images[start : start + self.batch_size])
            for images in by_size.values()
            for start in range(0, len(images), self.batch_size)
        ]
        lost = {entry.place for entry in fetched if isinstance(entry, Fetched) and entry.lost}
        return Chunk(number, batches, skipped, lost)

    def label(self, number: int) -> str:
        """What the image at this index is told from all others by: its name, numbered where the name recurs."""
        name = self.entries[number].name
        return f"{name} (image {number + 1})" if name in self._recurring else name

    @cached_property
    def _recurring(self) -> set[str]:
        return {name for name, count in Counter(entry.name for entry in self.entries).items() if count > 1}

    def image(self, entry: Source) -> Tensor:
        """One image as it is in a batch, (1, 3, H, W), uint8.

        Raises:
            ToolkitError: when it can't be read, is smaller than ``SMALLEST``, or longer than ``LONGEST`` allows.
        """
        picture = entry.picture(self.as_stored)
        width, height = picture.size
        if max(width, height) > LONGEST * min(width, height):
            raise ToolkitError(f"{entry.name} is {width} x {height} pixels, too long for its breadth: crop it.")
        picture = PREPARATIONS[self.preparation].function(picture)
        if min(picture.size) < SMALLEST:
            width, height = picture.size
            raise ToolkitError(f"{entry.name} is {width} x {height} pixels, too small: a VGG needs {SMALLEST}.")
        return to_uint8(picture)

    @property
    def prepared(self) -> dict[str, str]:
        """How images are prepared, for a provenance. In files of older versions ``pixels`` is missing."""
        pixels = "as stored" if self.as_stored else "upright, in sRGB"
        return {"preparation": self.preparation, "filter": PREPARATIONS[self.preparation].filter, "pixels": pixels}

    def fingerprint(self) -> str:
        """SHA-256 of the images' names and places, not of their pixels."""
        return hashlib.sha256("\n".join(map(repr, self.entries)).encode()).hexdigest()

    def chunks(self, numbers: Sequence[int], *, pinned: bool = False) -> Iterator[Chunk]:
        """The chunks of these numbers, from 0, in this order; for a GPU in pinned memory.

        Raises:
            ToolkitError: when an image can't be read in a strict stream, no image of a whole chunk can, or an archive
                can't and no other one either.
        """
        loader = DataLoader(
            self, batch_size=None, sampler=numbers, num_workers=min(self.workers, len(numbers)), pin_memory=pinned
        )
        lost: set[str] = set()
        for chunk in loader:
            reason = next(iter(chunk.skipped.values()), "")
            if self.strict and reason:
                raise ToolkitError(reason)
            if chunk.lost:
                lost |= chunk.lost
                if not self._others_are_read(lost):
                    raise ToolkitError(reason)
            elif len(chunk.skipped) == self.CHUNK:
                raise ToolkitError(f"{self.CHUNK} images in a row could not be read; the first: {reason}")
            yield chunk

    def _others_are_read(self, lost: set[str]) -> bool:
        """Whether an archive that is not among the lost ones can be read: or else the network or the disk is gone."""
        others = (entry for entry in self.entries if isinstance(entry, Entry) and entry.place not in lost)
        return any(isinstance(fetched, Fetched) and not fetched.lost for fetched in fetch(list(islice(others, 1))))


def in_lanes(numbers: Sequence[int], lanes: int) -> list[int]:
    """Numbers in the order in which processes that take turns each get a stretch of neighbours.

    Neighbours lie in one file, and in one row group of a Parquet file, so each is read by one process.

    >>> in_lanes(range(6), 2)
    [0, 3, 1, 4, 2, 5]
    """
    stretch = -(-len(numbers) // max(lanes, 1))
    return [number for first in range(stretch) for number in numbers[first::stretch]]


def decoders(device: torch.device) -> int:
    """How many processes should decode: all cores for a network on a GPU, a quarter of them for one on the CPU."""
    return cores() if device.type == "cuda" else max(1, cores() // 4)
