"""Sums that are saved while they grow, so that a pass that was interrupted or killed can continue."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ToolkitError
from ..files import load_tensors, save_tensors
from .sums import ActivationSums


@dataclass(frozen=True)
class Share:
    """One process's share of a pass so far: sums by network; chunks done; images read and skipped; times in seconds."""

    sums: tuple[ActivationSums, ...]
    chunks: int = 0
    images: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    waiting: float = 0.0
    reading: float = 0.0
    decoding: float = 0.0


@dataclass
class PartialFile:
    """The file of one process's share.

    Args:
        path: the file.
        key: everything that the sums depend on, by name; sums with another key are refused.
        every: seconds between writes.
    """

    path: Path
    key: dict[str, str]
    every: float = 60.0
    _saved: float = field(default_factory=time.monotonic, init=False)

    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved >= self.every

    def save(self, share: Share) -> None:
        """Writes it, atomically.

        Raises:
            ToolkitError: when it can't be written.
        """
        tensors = {f"{n}.{name}": s.cpu() for n, total in enumerate(share.sums) for name, s in total.sums.items()}
        plain = {name: value for name, value in vars(share).items() if name != "sums"}
        plain["counts"] = [total.counts for total in share.sums]
        save_tensors(tensors, self.path, {"key": json.dumps(self.key), "share": json.dumps(plain)})
        self._saved = time.monotonic()

    def load(self) -> Share | None:
        """What was saved, on the CPU; ``None`` when there is no file.

        Raises:
            ToolkitError: when the file is damaged, or belongs to other images, weights or settings.
        """
        if not self.path.exists():
            return None
        remedy = f"remove {self.path} to start again, or name another output."
        try:
            tensors, metadata = load_tensors(self.path)
            key, plain = json.loads(metadata["key"]), json.loads(metadata["share"])
            sums = [
                ActivationSums({k: tensors[f"{n}.{k}"] for k in counts}, {k: tuple(v) for k, v in counts.items()})
                for n, counts in enumerate(plain.pop("counts"))
            ]
            share = Share(tuple(sums), **plain)
        except (ToolkitError, KeyError, TypeError, ValueError) as error:
            raise ToolkitError(f"The partial sums in {self.path} cannot be read: {remedy}") from error
        if other := sorted(name for name in {*key, *self.key} if key.get(name) != self.key.get(name)):
            raise ToolkitError(f"The partial sums in {self.path} were made with other {', '.join(other)}: {remedy}")
        return share
