"""The images that excite each channel of a layer most, found in one pass that keeps only the strongest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor

from ..data.partial import PartialFile
from ..data.stream import ImageStream
from ..network import Network, fingerprint

#: Images kept for each channel: as many as Zeiler & Fergus 2013 show in figure 2.
COUNT = 9


@dataclass(frozen=True)
class Strongest:
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


@dataclass(frozen=True)
class Pass:
    """State of a pass: the strongest by layer, chunks done, images read, and the reasons why others were skipped."""

    strongest: dict[str, Strongest]
    chunks: int = 0
    images: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    def save(self, file: PartialFile) -> None:
        """Keeps it."""
        tensors = {
            f"{layer}.{name}": tensor for layer, found in self.strongest.items() for name, tensor in vars(found).items()
        }
        file.save(tensors, {"chunks": self.chunks, "images": self.images, "skipped": self.skipped})

    @classmethod
    def load(cls, file: PartialFile, layers: Sequence[str]) -> "Pass | None":
        """What was kept, if anything."""
        if (kept := file.load()) is None:
            return None
        tensors, plain = kept
        names = [each.name for each in fields(Strongest)]
        return cls({layer: Strongest(*(tensors[f"{layer}.{name}"] for name in names)) for layer in layers}, **plain)


def find_strongest(
    network: Network,
    images: ImageStream,
    layers: Sequence[str],
    partial: Path | None = None,
    seconds_between_saves: float = 60.0,
) -> Iterator[Pass]:
    """One pass over images of one size; yields after each chunk.

    Args:
        network: on the device to run on.
        images: to look at.
        layers: whose channels to measure.
        partial: file that keeps the pass, so that it can be resumed after an interruption.
        seconds_between_saves: of that file.

    Raises:
        ToolkitError: when images can't be read, or the file is of another pass.
    """
    key = {"images": images.fingerprint(), "network": fingerprint(network), "layers": " ".join(layers)}
    channels = {layer.name: layer.channels for layer in network.architecture.down_to(layers)}
    done = Pass({layer: Strongest.of_none(channels[layer]) for layer in layers})
    file = PartialFile(partial, key, seconds_between_saves) if partial else None
    if file and (kept := Pass.load(file, layers)):
        done = kept
        yield done
    device = next(network.parameters()).device
    try:
        for chunk in images.chunks(range(done.chunks, len(images))):
            entries = range(chunk.number * images.CHUNK, len(images.entries))[: images.CHUNK]
            numbers = iter([number for number in entries if images.entries[number].name not in chunk.skipped])
            strongest = done.strongest
            for batch in chunk.batches:
                features = network(batch.to(device).float().div_(255), layers)
                own = [next(numbers) for _ in batch]
                strongest = {layer: strongest[layer].with_(features[layer], own) for layer in layers}
            # One assignment: an interruption never finds half a chunk counted.
            read = chunk.images - len(chunk.skipped)
            done = Pass(strongest, done.chunks + 1, done.images + read, done.skipped | chunk.skipped)
            if file and file.due():
                done.save(file)
            yield done
    finally:
        if file and done.chunks:
            done.save(file)
