"""The images that excite each channel of a layer most, found in one pass that keeps only the strongest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.stream import ImageStream
from ..network import Backbone, channels

#: Images kept for each channel: as many as Zeiler & Fergus 2013 show in figure 2.
COUNT = 9


class Strongest(NamedTuple):
    """The ``COUNT`` strongest activations of each of C channels, at most one per image, strongest first.

    ``scores``: float32 (C, COUNT), 0 where fewer images excite a channel. ``images``: their indices, int64 (C, COUNT),
    -1 for none. ``positions``: row and column in the layer, int64 (C, COUNT, 2).
    """

    scores: Tensor
    images: Tensor
    positions: Tensor

    @classmethod
    def of_none(cls, channels: int) -> "Strongest":
        """The state before any image."""
        none = torch.full((channels, COUNT), -1)
        return cls(torch.zeros(channels, COUNT), none, torch.zeros(channels, COUNT, 2, dtype=torch.long))

    def with_(self, features: Tensor, numbers: Sequence[int]) -> "Strongest":
        """The strongest of these and of N more images; among equals the earlier are kept.

        Args:
            features: (N, C, h, w), on any device.
            numbers: indices of the N images.
        """
        scores, places = features.flatten(2).max(-1)
        scores, places = scores.T.float().cpu(), places.T.cpu()  # (C, N)
        positions = torch.stack([places // features.shape[-1], places % features.shape[-1]], -1)
        images = torch.tensor(numbers).expand(len(scores), -1)
        scores, order = torch.cat([self.scores, scores], 1).sort(dim=1, descending=True, stable=True)
        order = order[:, :COUNT]
        return Strongest(
            scores[:, :COUNT],
            torch.cat([self.images, images], 1).gather(1, order),
            torch.cat([self.positions, positions], 1).gather(1, order[..., None].expand(-1, -1, 2)),
        )


class Pass(NamedTuple):
    """State of a pass: the strongest by layer, images read, and the reasons why others were skipped."""

    strongest: Mapping[str, Strongest]
    images: int
    skipped: Mapping[str, str]


def find_strongest(network: Backbone, images: ImageStream, layers: Sequence[str]) -> Iterator[Pass]:
    """One pass over images of one size, where the network is; yields after each chunk.

    Raises:
        ToolkitError: when images can't be read.
    """
    count = channels(network, layers)
    strongest = {layer: Strongest.of_none(count[layer]) for layer in layers}
    device = network.device
    read = 0
    skipped: Mapping[str, str] = {}
    for chunk in images.chunks(range(len(images))):
        entries = range(chunk.number * images.CHUNK, len(images.entries))[: images.CHUNK]
        numbers = iter([number for number in entries if images.label(number) not in chunk.skipped])
        for batch in chunk.batches:
            features = network(batch.to(device).float().div_(255), layers)
            own = [next(numbers) for _ in batch]
            strongest = {layer: strongest[layer].with_(features[layer], own) for layer in layers}
        read += chunk.images - len(chunk.skipped)
        skipped = {**skipped, **chunk.skipped}
        yield Pass(strongest, read, skipped)
