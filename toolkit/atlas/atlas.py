"""The channel atlas: the image patches that excite each channel of a layer most (Zeiler & Fergus 2013, figure 2)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from PIL import Image
from pydantic import Json
from torch import Tensor

from .. import __version__
from ..data.sources import Source
from ..data.stream import ImageStream
from ..errors import DamagedFileError, MissingFileError, ToolkitError, did_you_mean
from ..files import Header, load_tensors, save_tensors
from ..network import Backbone, Field, field_of, fingerprint
from ..pictures.io import resize
from ..pictures.sheet import contact_sheet
from .strongest import COUNT, Pass, find_strongest

#: The layers shown by default.
LAYERS = tuple(f"relu{block}_1" for block in range(1, 6))

#: Largest side of a patch in pixels: larger receptive fields are scaled down, or the file would be huge.
LARGEST = 96

#: Fills a patch where its receptive field extends beyond the image, of 255.
GREY = 128


class AtlasHeader(Header):
    """The metadata of an atlas file."""

    format: Literal["channel-atlas"] = "channel-atlas"
    version: Literal["1"] = "1"
    network: str
    layers: Json[tuple[str, ...]]
    images: Json[int]
    names: Json[tuple[str, ...]]
    provenance: Json[dict[str, Any]]


class Patch(NamedTuple):
    """An image patch, the activation it causes, the image it is from, and its (row, column) in the layer."""

    picture: Image.Image
    score: float
    image: str
    position: tuple[int, int]


class Page(NamedTuple):
    """One layer of an atlas, of C channels with k patches of S x S pixels each.

    ``scores``: float32 (C, k). ``images``: indices of names, int64 (C, k), -1 for none. ``positions``: int64
    (C, k, 2). ``patches``: uint8 (C, k, 3, S, S).
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
        images: how many were read.
        names: of the images that patches are from.
        pages: by layer.
        provenance: where the images come from, as JSON.
    """

    network: str
    images: int
    names: tuple[str, ...]
    pages: Mapping[str, Page]
    provenance: Mapping[str, Any]

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.pages)

    def channels(self, layer: str) -> int:
        """How many channels a layer has.

        Raises:
            ToolkitError: when the atlas does not show the layer.
        """
        return len(self._page(layer).scores)

    def patches(self, layer: str, channel: int) -> list[Patch]:
        """The patches that excite a channel most, strongest first: up to nine, each from another image.

        Raises:
            ToolkitError: when the atlas does not show the layer or the channel.
        """
        page = self._page(layer)
        if not 0 <= channel < len(page.scores):
            raise ToolkitError(f"{layer} has no channel {channel}: choose one from 0 to {len(page.scores) - 1}.")
        return [
            Patch(Image.fromarray(patch.permute(1, 2, 0).numpy()), score, self.names[image], (row, column))
            for score, image, (row, column), patch in zip(
                *(values[channel].tolist() for values in page[:3]), page.patches[channel], strict=True
            )
            if image >= 0
        ]

    def picture(self, layer: str, channels: Iterable[int]) -> Image.Image:
        """A contact sheet with three by three patches for each channel.

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
        """Writes the atlas to a file, atomically.

        Raises:
            ToolkitError: when it can't be written.
        """
        tensors = {
            f"{layer}.{name}": tensor.contiguous()
            for layer, page in self.pages.items()
            for name, tensor in page._asdict().items()
        }
        known = {name: getattr(self, name) for name in ("network", "layers", "images", "names", "provenance")}
        save_tensors(tensors, path, AtlasHeader.model_construct(**known).metadata())

    @classmethod
    def read(cls, path: Path, network: Backbone | None = None) -> "Atlas":
        """Reads an atlas from a file.

        Args:
            path: the file.
            network: refuse an atlas of any other network.

        Raises:
            ToolkitError: when the file is missing, damaged, no atlas, or of another network.
        """
        if not path.exists():
            raise MissingFileError(f"There is no atlas {path}.")
        tensors, metadata = load_tensors(path)
        try:
            header = AtlasHeader.model_validate(metadata)
            pages = {layer: Page(*(tensors[f"{layer}.{name}"] for name in Page._fields)) for layer in header.layers}
            atlas = cls(header.network, header.images, header.names, pages, header.provenance)
        except (KeyError, ValueError) as error:
            raise DamagedFileError(f"{path} is damaged, or no atlas that this toolkit reads: make it again.") from error
        if network is not None and atlas.network != fingerprint(network):
            raise ToolkitError(f"{path} is an atlas of another network: make one of this network.")
        return atlas


class Step(NamedTuple):
    """Progress of making an atlas: ``done`` of ``total`` images in a ``stage``, ``reading`` or ``cutting``.

    ``skipped``: the reason for each image that could not be read. ``atlas``: the result, in the last step.
    """

    stage: str
    done: int
    total: int
    skipped: Mapping[str, str]
    atlas: Atlas | None = None


def measure(
    network: Backbone,
    images: Sequence[Source],
    layers: Sequence[str] = LAYERS,
    *,
    provenance: Mapping[str, Any] | None = None,
    workers: int = 0,
) -> Iterator[Step]:
    """Finds the patches that excite each channel most, in centre crops of 224 x 224 pixels, upright and in sRGB.

    One pass over the images keeps scores and positions only, so memory does not grow with their number. Then the few
    images that matter are read again, and the patches cut out.

    >>> from toolkit.atlas import example_images
    >>> from toolkit.network import load_network
    >>> *_, last = measure(load_network("vgg19-small"), example_images()[:1], ["relu1_1"])
    >>> [patch.image for patch in last.atlas.patches("relu1_1", channel=3)]
    ['astronaut']

    Args:
        network: on the device to run on; scores of a normalised one are in mean activations.
        images: to look at.
        layers: whose channels to show.
        provenance: where the images come from.
        workers: processes that decode images.

    Raises:
        ToolkitError: when a layer is unknown, or the images can't be read.
    """
    stream = ImageStream(images, workers=workers, as_stored=False)
    done: Pass | None = None
    for done in find_strongest(network, stream, layers):
        yield Step("reading", done.images + len(done.skipped), len(images), done.skipped)
    if done is None or not done.images:
        raise ToolkitError("No image could be read, so there is nothing to show: name a folder of images.")
    fields = {layer: field_of(network, layer) for layer in layers}
    patches = {layer: _blank(fields[layer], len(done.strongest[layer].scores)) for layer in layers}
    needed = defaultdict(list)
    for layer, strongest in done.strongest.items():
        for channel, place in (strongest.images >= 0).nonzero().tolist():
            needed[int(strongest.images[channel, place])].append((layer, channel, place))
    numbers = sorted(needed)
    for count, number in enumerate(numbers, 1):
        image = stream.image(images[number])[0]
        for layer, channel, place in needed[number]:
            row, column = done.strongest[layer].positions[channel, place].tolist()
            patches[layer][channel, place] = cut(image, fields[layer], (row, column))
        yield Step("cutting", count, len(needed), done.skipped)
    index = {number: index for index, number in enumerate(numbers)} | {-1: -1}
    pages = {
        layer: Page(strongest.scores, strongest.images.clone().apply_(index.__getitem__), strongest.positions, cut_out)
        for (layer, strongest), cut_out in zip(done.strongest.items(), patches.values(), strict=True)
    }
    names = tuple(images[number].name for number in numbers)
    made_from = {**(provenance or {}), "skipped": done.skipped, "toolkit": __version__}
    atlas = Atlas(fingerprint(network), done.images, names, pages, made_from)
    yield Step("cutting", len(needed), len(needed), done.skipped, atlas)


def cut(image: Tensor, field: Field, position: tuple[int, int]) -> Tensor:
    """The receptive field of a (row, column) in an image, uint8 (3, H, W) -> (3, S, S), grey beyond the image."""
    (rows, columns) = (field(*at) for at in zip(position, image.shape[1:], strict=True))
    (top, left) = (field(place, None).start for place in position)
    side = len(field(0, None))
    patch = image.new_full((3, side, side), GREY)
    patch[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = image[
        :, rows.start : rows.stop, columns.start : columns.stop
    ]
    if side <= LARGEST:
        return patch
    return resize(patch[None], (LARGEST, LARGEST))[0].mul_(255).round_().to(torch.uint8)


def _blank(field: Field, channels: int) -> Tensor:
    side = min(len(field(0, None)), LARGEST)
    return torch.full((channels, COUNT, 3, side, side), GREY, dtype=torch.uint8)
