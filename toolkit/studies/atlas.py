"""The channel atlas: the image patches that excite each channel of a layer most (Zeiler & Fergus 2013, figure 2)."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from .. import __version__
from ..errors import ToolkitError, did_you_mean
from ..files import save_tensors
from ..images.io import resize
from ..images.sheet import contact_sheet
from ..network import Layer, Network, fingerprint
from ..network.geometry import receptive_field
from ..normalize import ImageStream, Source
from .strongest import COUNT, Pass, find_strongest

FORMAT = "channel-atlas"
VERSION = "1"

#: How such a file's name ends.
SUFFIX = ".atlas"

#: The layers that are looked at when none are named.
LAYERS = tuple(f"relu{block}_1" for block in range(1, 6))

#: Side of the largest patches in pixels; larger receptive fields are scaled down to it, or a layer of 512
#: channels would take a third of a gigabyte.
LARGEST = 96

#: What is laid where a receptive field juts out of its image, of 255.
GREY = 128


class Patch(NamedTuple):
    """An image patch, the activation it causes, the image it is from, and the (row, column) in the layer."""

    picture: Image.Image
    score: float
    image: str
    position: tuple[int, int]


class Page(NamedTuple):
    """A layer's part of an atlas.

    ``scores``: float32 (C, k). ``images``: numbers of names, int64 (C, k), -1 where there is none. ``positions``:
    int64 (C, k, 2). ``patches``: uint8 (C, k, 3, S, S).
    """

    scores: Tensor
    images: Tensor
    positions: Tensor
    patches: Tensor


@dataclass(frozen=True)
class Atlas:
    """The patches that excite each channel most.

    Args:
        network: fingerprint of the network.
        images: how many were looked at.
        names: of those images that patches are from.
        pages: by layer.
        provenance: where the images come from, any JSON.
    """

    network: str
    images: int
    names: tuple[str, ...]
    pages: Mapping[str, Page]
    provenance: Mapping[str, Any]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers it shows."""
        return tuple(self.pages)

    def channels(self, layer: str) -> int:
        """How many channels a layer has.

        Raises:
            ToolkitError: for a layer that it doesn't show.
        """
        return len(self._page(layer).scores)

    def patches(self, layer: str, channel: int) -> list[Patch]:
        """The patches that excite a channel most, strongest first; as many as there are images that do, up to nine.

        Raises:
            ToolkitError: for a layer or a channel that it doesn't show.
        """
        page = self._page(layer)
        if not 0 <= channel < len(page.scores):
            raise ToolkitError(f"{layer} has no channel {channel}: choose one from 0 to {len(page.scores) - 1}.")
        return [
            Patch(Image.fromarray(patch.permute(1, 2, 0).numpy()), score, self.names[image], (row, column))
            for score, image, (row, column), patch in zip(
                page.scores[channel].tolist(),
                page.images[channel].tolist(),
                page.positions[channel].tolist(),
                page.patches[channel],
                strict=True,
            )
            if image >= 0
        ]

    def picture(self, layer: str, channels: Iterable[int]) -> Image.Image:
        """A contact sheet: three by three patches for each channel.

        Raises:
            ToolkitError: as ``patches``.
        """
        return contact_sheet(
            layer, {str(channel): [patch.picture for patch in self.patches(layer, channel)] for channel in channels}
        )

    def _page(self, layer: str) -> Page:
        if layer not in self.pages:
            raise ToolkitError(f"This atlas does not show {layer}: {did_you_mean(layer, self.pages)}")
        return self.pages[layer]

    def write(self, path: Path) -> None:
        """Writes it, atomically.

        Raises:
            ToolkitError: when it can't be written.
        """
        tensors = {
            f"{layer}.{name}": tensor.contiguous()
            for layer, page in self.pages.items()
            for name, tensor in page._asdict().items()
        }
        metadata = {
            "format": FORMAT,
            "version": VERSION,
            "network": self.network,
            "layers": json.dumps(self.layers),
            "images": json.dumps(self.images),
            "names": json.dumps(self.names),
            "provenance": json.dumps(dict(self.provenance)),
        }
        save_tensors(tensors, path, metadata)

    @classmethod
    def read(cls, path: Path, network: Network | None = None) -> "Atlas":
        """Reads what ``write`` wrote.

        Args:
            path: the file.
            network: refuse the atlas of another one.

        Raises:
            ToolkitError: when it is missing, damaged, no atlas, or another network's.
        """
        try:
            with safetensors.safe_open(path, "pt") as opened:
                metadata = dict(opened.metadata() or {})
            tensors = load_file(path)
            if metadata["format"] != FORMAT or metadata["version"] != VERSION:
                raise ToolkitError(f"{path} is no atlas that this toolkit reads: make it again.")
            atlas = cls(
                metadata["network"],
                json.loads(metadata["images"]),
                tuple(json.loads(metadata["names"])),
                {
                    layer: Page(*(tensors[f"{layer}.{name}"] for name in Page._fields))
                    for layer in json.loads(metadata["layers"])
                },
                json.loads(metadata["provenance"]),
            )
        except FileNotFoundError as error:
            raise ToolkitError(f"There is no atlas {path}: make it with `python -m toolkit atlas`.") from error
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ToolkitError(f"{path} is damaged or no atlas: make it again.") from error
        if network is not None and atlas.network != fingerprint(network):
            raise ToolkitError(f"{path} shows another network: make this one's with `python -m toolkit atlas`.")
        return atlas


class Measured(NamedTuple):
    """Where a measurement stands.

    First images are measured, then patches are cut out of some of them: ``done`` of ``total`` images in ``stage``.
    The last step holds the ``atlas``; ``skipped`` tells why images could not be read.
    """

    stage: str
    done: int
    total: int
    skipped: Mapping[str, str]
    atlas: Atlas | None = None


def measure(
    network: Network,
    images: Sequence[Source],
    layers: Sequence[str] = LAYERS,
    *,
    provenance: Mapping[str, Any] | None = None,
    partial: Path | None = None,
    workers: int = 0,
) -> Iterator[Measured]:
    """Finds the patches that excite each channel most, in one pass over centre crops of 224 x 224 pixels.

    The pass keeps scores and places alone, however many images there are. Then the few images in question are read
    again, and their patches cut out.

    Args:
        network: on the device where it is to run; best a normalised one, whose scores are in mean activations.
        images: to look at.
        layers: whose channels to show.
        provenance: where the images come from.
        partial: where to keep the pass, and take it up again however it ended.
        workers: processes that decode ahead.

    Raises:
        ToolkitError: for an unknown layer, or when images can't be read.
    """
    stream = ImageStream(images, workers=workers)
    done: Pass | None = None
    for done in find_strongest(network, stream, layers, partial):
        yield Measured("measuring", done.images + len(done.skipped), len(images), done.skipped)
    if done is None or not done.images:
        raise ToolkitError("No image could be read, so there is nothing to show: name a folder of images.")
    paths = {layer: network.architecture.down_to([layer]) for layer in layers}
    patches = {layer: _blank(paths[layer], len(done.strongest[layer].scores)) for layer in layers}
    needed = defaultdict(list)
    for layer, found in done.strongest.items():
        for channel, rank in (found.images >= 0).nonzero().tolist():
            needed[int(found.images[channel, rank])].append((layer, channel, rank))
    for count, number in enumerate(sorted(needed), 1):
        image = stream.image(images[number])[0]
        for layer, channel, rank in needed[number]:
            row, column = done.strongest[layer].positions[channel, rank].tolist()
            patches[layer][channel, rank] = cut(image, paths[layer], (row, column))
        yield Measured("cutting", count, len(needed), done.skipped)
    places = {number: place for place, number in enumerate(sorted(needed))} | {-1: -1}
    atlas = Atlas(
        fingerprint(network),
        done.images,
        tuple(images[number].name for number in sorted(needed)),
        {
            layer: Page(
                found.scores,
                found.images.clone().apply_(places.__getitem__),
                found.positions,
                patches[layer],
            )
            for layer, found in done.strongest.items()
        },
        {**(provenance or {}), "skipped": done.skipped, "toolkit": __version__},
    )
    yield Measured("cutting", len(needed), len(needed), done.skipped, atlas)


def cut(image: Tensor, path: tuple[Layer, ...], position: tuple[int, int]) -> Tensor:
    """The receptive field of a position, (3, S, S) uint8, on grey where it juts out of the image.

    Args:
        image: (3, H, W) uint8.
        path: the layers from the first to the one in question.
        position: row and column there.
    """
    (rows, columns) = (receptive_field(path, *each) for each in zip(position, image.shape[1:], strict=True))
    (top, left) = (receptive_field(path, place).start for place in position)
    side = len(receptive_field(path, 0))
    patch = image.new_full((3, side, side), GREY)
    patch[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = image[
        :, rows.start : rows.stop, columns.start : columns.stop
    ]
    if side <= LARGEST:
        return patch
    smaller = resize(patch[None].float().div_(255), (LARGEST, LARGEST))
    return smaller[0].mul_(255).round_().to(torch.uint8)


def _blank(path: tuple[Layer, ...], channels: int) -> Tensor:
    side = min(len(receptive_field(path, 0)), LARGEST)
    return torch.full((channels, COUNT, 3, side, side), GREY, dtype=torch.uint8)
