"""The mean activation of every filter, over images and positions, in one streaming pass, kept while it runs."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..choices import Arithmetic
from ..data.stream import ImageStream, in_lanes
from ..device import convolutions, exact
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..files import load_tensors, save_tensors
from ..network import Backbone, channels
from .sums import ActivationSums


@dataclass(frozen=True)
class Measurement:
    """A pass over images, or one process's share of it so far.

    ``sums``: one for each network. ``chunks``: of the stream, done. ``images``: how many were read; ``skipped``: the
    others, with the reason. ``seconds``: how long it took from the first images on, ``waiting`` of them for more.
    """

    sums: tuple[ActivationSums, ...]
    chunks: int = 0
    images: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    waiting: float = 0.0

    @property
    def rate(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def working(self) -> float:
        """The share of the time in which the network computed."""
        return 1 - self.waiting / self.seconds if self.seconds else 1.0


@dataclass
class PartialFile:
    """One process's share of a pass on disk, so that a pass that was interrupted or killed can continue.

    ``key``: everything that the pass depends on, by name; one with another key is refused. ``every``: seconds between
    writes.
    """

    path: Path
    key: Mapping[str, str]
    every: float = 60.0
    _saved: float = field(default_factory=time.monotonic, init=False)

    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved >= self.every

    def save(self, share: Measurement) -> None:
        """Writes it, atomically.

        Raises:
            ToolkitError: when it can't be written.
        """
        totals = enumerate(share.sums)
        tensors = {f"{n}.{name}": sums.cpu().contiguous() for n, total in totals for name, sums in total.sums.items()}
        plain = {**vars(share), "sums": [total.counts for total in share.sums]}
        save_tensors(tensors, self.path, {"key": json.dumps(dict(self.key)), "pass": json.dumps(plain)})
        self._saved = time.monotonic()

    def load(self) -> Measurement | None:
        """What was saved, on the CPU; ``None`` when there is no file.

        Raises:
            ToolkitError: when the file is damaged or another version's, or the pass depends on something else now.
        """
        if not self.path.exists():
            return None
        remedy = "name another output to start anew."
        try:
            tensors, metadata = load_tensors(self.path)
            key, plain = json.loads(metadata["key"]), json.loads(metadata["pass"])
            sums = [
                ActivationSums({k: tensors[f"{n}.{k}"] for k in counts}, {k: tuple(v) for k, v in counts.items()})
                for n, counts in enumerate(plain.pop("sums"))
            ]
            share = Measurement(tuple(sums), **plain)
        except (ToolkitError, KeyError, TypeError, ValueError) as error:  # damaged, or another version's
            raise ToolkitError(f"The interrupted pass in {self.path} can't be read: {remedy}") from error
        if other := sorted(name for name in {*key, *self.key} if key.get(name) != self.key.get(name)):
            raise ToolkitError(f"The interrupted pass in {self.path} was made with other {', '.join(other)}: {remedy}")
        return share


def measure(
    networks: Sequence[Backbone],
    images: ImageStream,
    arithmetic: Arithmetic = "float32",
    progress: Callable[[int], object] = lambda images: None,
    partial: PartialFile | None = None,
    ranks: Ranks = ALONE,
) -> Measurement:
    """Sums the sizes of activations in the layers that are ``measured``, over a stream of images, in one pass.

    Args:
        networks: on the device where they are to run.
        images: each is counted once, whatever the number of processes.
        arithmetic: of the convolutions.
        progress: told the number of images of every chunk done, and at first of those that an earlier run did.
        partial: where this process keeps its share, and takes it up again.
        ranks: the processes that share the work.

    Raises:
        ToolkitError: when the stream ends the pass; what was done before is kept in ``partial``.
    """
    device = networks[0].device
    if arithmetic == "bfloat16":
        networks = [network.at(device, torch.bfloat16) for network in networks]
    share = (partial.load() if partial else None) or Measurement(sums=(ActivationSums(),) * len(networks))
    progress(share.images + len(share.skipped))
    first, last = (len(images) * rank // ranks.world_size for rank in (ranks.rank, ranks.rank + 1))
    numbers = in_lanes(range(first, last), images.workers)[share.chunks :]
    on_gpu = device.type == "cuda"
    try:
        with convolutions(device, tf32=arithmetic != "float32"):
            asked = None
            for chunk in images.chunks(numbers, pinned=on_gpu):
                came = time.monotonic()
                asked = asked or came  # the start of the decoders says nothing about the pace
                new = tuple(ActivationSums() for _ in networks)
                for batch in chunk.batches:
                    image = batch.to(device, non_blocking=True).float().div_(255)
                    for network, sums in zip(networks, new, strict=True):
                        _add_activations(network, image, sums)
                now = time.monotonic()
                # One assignment, so that an interruption finds a chunk counted whole or not at all.
                share = Measurement(
                    tuple(total.to(exact(device)) + more for total, more in zip(share.sums, new, strict=True)),
                    share.chunks + 1,
                    share.images + chunk.images - len(chunk.skipped),
                    share.skipped | chunk.skipped,
                    share.seconds + now - asked,
                    share.waiting + came - asked,
                )
                asked = now
                if partial and partial.due():
                    partial.save(share)
                progress(chunk.images)
    except ToolkitError as error:
        if partial is None:
            raise
        raise ToolkitError(f"{error} What was done is kept: run it again to resume.") from error
    finally:
        if partial and share.chunks:
            partial.save(share)
    return _together(share, networks, ranks, exact(device))


def _add_activations(network: Backbone, image: Tensor, sums: ActivationSums) -> None:
    names = network.measured
    for layer, x in network.walk(image, names):
        sizes = x.to(exact(x.device)).abs()
        sums.add(names[layer], sizes.sum((2, 3), dtype=torch.float64), x[0, 0].numel())


def _together(share: Measurement, networks: Sequence[Backbone], ranks: Ranks, device: torch.device) -> Measurement:
    """Every process's share added up; the times are the slowest one's."""
    totals = []
    for network, own in zip(networks, share.sums, strict=True):
        total = ActivationSums()
        for layer, filters in channels(network, network.measured).items():
            name = network.measured[layer]
            counts = ranks.all_reduce(torch.tensor(own.counts.get(name, (0, 0, 0)), device=device))
            none = torch.zeros(3, filters, dtype=torch.float64)
            sums = ranks.all_reduce(own.sums.get(name, none).to(device, copy=True))
            positions, squared, images = counts.tolist()
            if positions:
                total.merge(name, sums, (positions, squared, images))
        totals.append(total)
    shares = ranks.all_gather(replace(share, sums=()))
    return Measurement(
        tuple(totals),
        sum(share.chunks for share in shares),
        sum(share.images for share in shares),
        dict(sorted(item for share in shares for item in share.skipped.items())),
        max(share.seconds for share in shares),
        max(share.waiting for share in shares),
    )
