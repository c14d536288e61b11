"""A stream of images, decoded in worker processes; images that can't be read are skipped and reported."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import ToolkitError
from ..process import cores
from .io import to_uint8
from .sources import Source

Preparation = Literal["crop", "stretch", "native"]


def crop(picture: Image.Image) -> Image.Image:
    """Scales the shorter side to 256 pixels and crops the central 224 x 224, as ImageNet classifiers are evaluated."""
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
    """A preparation, Pillow's filter in it, and the (width, height) that is enough for it when an image is decoded."""

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
    """Consecutive images in batches (N, 3, H, W), uint8, of one size each; and the reasons why others were skipped."""

    number: int
    batches: list[Tensor]
    skipped: dict[str, str]

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
        batches = [
            torch.cat(images[start : start + self.batch_size])
            for images in by_size.values()
            for start in range(0, len(images), self.batch_size)
        ]
        return Chunk(number, batches, skipped)

    def image(self, entry: Source) -> Tensor:
        """One image as it is in a batch, (1, 3, H, W), uint8.

        Raises:
            ToolkitError: when it can't be read.
        """
        prepare, _, at_least = PREPARATIONS[self.preparation]
        return to_uint8(prepare(entry.picture(at_least)))

    def fingerprint(self) -> str:
        """SHA-256 of the images' names and places, not of their pixels."""
        return hashlib.sha256("\n".join(map(repr, self.entries)).encode()).hexdigest()

    def chunks(self, numbers: Sequence[int], *, pinned: bool = False) -> Iterator[Chunk]:
        """The chunks of these numbers, in this order.

        Args:
            numbers: of the chunks, from 0.
            pinned: puts them into pinned memory, for a GPU.

        Raises:
            ToolkitError: when an image can't be read in a strict stream, or no image of a whole chunk can.
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
                    "What was measured is kept: the same command resumes from there."
                )
            yield chunk


def decoders(device: torch.device) -> int:
    """How many processes should decode: all cores for a network on a GPU, a quarter of them for one on the CPU."""
    return cores() if device.type == "cuda" else max(1, cores() // 4)
