"""A stream of images from a folder, prepared alike; what can't be read is skipped and reported."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import torch
from PIL import Image
from torch import Tensor

from ..errors import ToolkitError
from ..pictures import open_picture, to_tensor

Preparation = Literal["crop", "stretch", "native"]
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}


def crop(picture: Image.Image) -> Image.Image:
    """The shorter side to 256 pixels, then the centre's 224 x 224: how ImageNet classifiers are evaluated."""
    scale = 256 / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    return picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))


def stretch(picture: Image.Image) -> Image.Image:
    """The whole image, to 256 x 256 whatever its proportions: how the paper's network was made."""
    return picture.resize((256, 256), Image.Resampling.BILINEAR)


def native(picture: Image.Image) -> Image.Image:
    """The whole image at its own size."""
    return picture


PREPARATIONS: dict[Preparation, Callable[[Image.Image], Image.Image]] = {
    "crop": crop,
    "stretch": stretch,
    "native": native,
}
assert set(PREPARATIONS) == set(get_args(Preparation))


@dataclass
class ImageStream:
    """Batches of prepared images, in the order of their paths; iterate as often as needed.

    Args:
        paths: the files.
        preparation: ``crop``, ``stretch`` or ``native``.
        batch_size: at most so many images of one size in a batch; the last one may be smaller.
        threads: how many decode ahead (Pillow works outside Python's lock).

    ``skipped`` names every file that could not be read in the last pass, with the reason.
    """

    paths: list[Path]
    preparation: Preparation = "crop"
    batch_size: int = 8
    threads: int = 2
    skipped: dict[str, str] = field(default_factory=dict, init=False)

    def __iter__(self) -> Iterator[Tensor]:
        """Yields (N, 3, H, W) float32, RGB in [0, 1]."""
        self.skipped.clear()
        with ThreadPoolExecutor(self.threads) as pool:
            images = (
                image
                for path, pending in _ahead(pool, self._prepared, self.paths, 2 * self.batch_size)
                if (image := self._received(path, pending)) is not None
            )
            for _, same_size in itertools.groupby(images, key=lambda image: image.shape):
                while batch := list(itertools.islice(same_size, self.batch_size)):
                    yield torch.cat(batch)

    def _prepared(self, path: Path) -> Tensor:
        return to_tensor(PREPARATIONS[self.preparation](open_picture(path)))

    def _received(self, path: Path, pending: Future[Tensor]) -> Tensor | None:
        try:
            return pending.result()
        except ToolkitError as error:
            self.skipped[str(path)] = str(error)
            return None


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[Path], Tensor], paths: Iterable[Path], count: int
) -> Iterator[tuple[Path, Future[Tensor]]]:
    """Each path with its pending result, in order, at most ``count`` of them under way."""
    waiting: deque[tuple[Path, Future[Tensor]]] = deque()
    for path in paths:
        waiting.append((path, pool.submit(function, path)))
        if len(waiting) == count:
            yield waiting.popleft()
    yield from waiting


def list_images(folder: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, sorted, told by their suffix.

    Raises:
        ToolkitError: when there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ToolkitError(f"There is no folder {folder}: name one that holds images.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ToolkitError(f"The folder {folder} holds no images ({', '.join(sorted(SUFFIXES))}).")
    return paths
