"""Where each channel of a layer was excited most: the few strongest images, in bounded memory, over any number."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ToolkitError
from ..files import save_tensors
from ..network import Network, fingerprint
from ..normalize import ImageStream

#: Images kept for each channel, as many as Zeiler & Fergus 2013 show in figure 2.
COUNT = 9

#: Seconds between writes of a pass.
EVERY = 60.0


@dataclass(frozen=True)
class Strongest:
    """For each of C channels its ``COUNT`` strongest activations, at most one per image, strongest first.

    ``scores``: float32 (C, COUNT), zero where fewer images excite a channel. ``images``: their numbers, int64
    (C, COUNT), -1 where there is none. ``positions``: row and column in the layer, int64 (C, COUNT, 2).
    """

    scores: Tensor
    images: Tensor
    positions: Tensor

    @classmethod
    def of_none(cls, channels: int) -> "Strongest":
        """Before any image."""
        none = torch.full((channels, COUNT), -1)
        return cls(torch.zeros(channels, COUNT), none, torch.zeros(channels, COUNT, 2, dtype=torch.long))

    def with_(self, features: Tensor, numbers: Sequence[int]) -> "Strongest":
        """The strongest of these and of more images; of equal ones the earlier stay.

        Args:
            features: (N, C, h, w), on any device.
            numbers: of the N images.
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
    """How far a pass over images came: the strongest by layer, chunks done, images read, others skipped."""

    strongest: dict[str, Strongest]
    chunks: int = 0
    images: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path, key: Mapping[str, str]) -> None:
        """Writes it, atomically.

        Args:
            path: where to.
            key: what it depends on, by name.

        Raises:
            ToolkitError: when it can't be written.
        """
        tensors = {
            f"{layer}.{name}": tensor.contiguous()
            for layer, found in self.strongest.items()
            for name, tensor in vars(found).items()
        }
        plain = {"chunks": self.chunks, "images": self.images, "skipped": self.skipped}
        save_tensors(tensors, path, {"key": json.dumps(dict(key)), "pass": json.dumps(plain)})

    @classmethod
    def load(cls, path: Path, key: Mapping[str, str], layers: Sequence[str]) -> "Pass":
        """What ``save`` wrote.

        Raises:
            ToolkitError: when the file is damaged, or belongs to other images, layers or another network.
        """
        remedy = f"remove {path} to start anew, or name another output."
        try:
            with safetensors.safe_open(path, "pt") as opened:
                metadata = dict(opened.metadata() or {})
            tensors = load_file(path)
            found, plain = json.loads(metadata["key"]), json.loads(metadata["pass"])
            if other := sorted(name for name in key if found.get(name) != key[name]):
                raise ToolkitError(f"The pass kept in {path} was made with other {', '.join(other)}: {remedy}")
            names = ("scores", "images", "positions")
            return cls({layer: Strongest(*(tensors[f"{layer}.{name}"] for name in names)) for layer in layers}, **plain)
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ToolkitError(f"The pass kept in {path} can't be read: {remedy}") from error


def find_strongest(
    network: Network, images: ImageStream, layers: Sequence[str], partial: Path | None = None
) -> Iterator[Pass]:
    """Passes once over images, all prepared to one size, yielding after every chunk of them.

    Args:
        network: on the device where it is to run.
        images: to look at.
        layers: whose channels are asked for.
        partial: where the pass is kept, and taken up again however it ended.

    Raises:
        ToolkitError: when the stream ends the pass, or what was kept belongs to another.
    """
    key = {"images": images.fingerprint(), "network": fingerprint(network), "layers": " ".join(layers)}
    channels = {layer.name: layer.channels for layer in network.architecture.down_to(layers)}
    done = Pass({layer: Strongest.of_none(channels[layer]) for layer in layers})
    if partial and partial.exists():
        done = Pass.load(partial, key, layers)
        yield done
    device = next(network.parameters()).device
    saved = time.monotonic()
    try:
        for chunk in images.chunks(range(done.chunks, len(images))):
            entries = range(chunk.number * images.CHUNK, len(images.entries))[: images.CHUNK]
            numbers = iter([number for number in entries if images.entries[number].name not in chunk.skipped])
            strongest = done.strongest
            for batch in chunk.batches:
                features = network(batch.to(device).float().div_(255), layers)
                own = [next(numbers) for _ in batch]
                strongest = {layer: strongest[layer].with_(features[layer], own) for layer in layers}
            # One assignment, so that an interruption finds a chunk counted whole or not at all.
            done = Pass(
                strongest,
                done.chunks + 1,
                done.images + chunk.images - len(chunk.skipped),
                done.skipped | chunk.skipped,
            )
            if partial and time.monotonic() - saved > EVERY:
                done.save(partial, key)
                saved = time.monotonic()
            yield done
    finally:
        if partial and done.chunks:
            done.save(partial, key)
