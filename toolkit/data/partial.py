"""A pass over images that is kept while it runs, so that one that was interrupted or killed can continue."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import ToolkitError
from ..files import load_tensors, save_tensors


@dataclass
class PartialFile:
    """The file of one process's part of a pass, written once in ``every`` so many seconds.

    ``key``: everything that the pass depends on, by name; one with another key is refused.
    """

    path: Path
    key: Mapping[str, str]
    every: float = 60.0
    _saved: float = field(default_factory=time.monotonic, init=False)

    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved >= self.every

    def save(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Writes tensors and what fits into JSON, atomically.

        Raises:
            ToolkitError: when they can't be written.
        """
        on_cpu = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        save_tensors(on_cpu, self.path, {"key": json.dumps(dict(self.key)), "pass": json.dumps(plain)})
        self._saved = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was saved; ``None`` when there is no file.

        Raises:
            ToolkitError: when the file is damaged, or the pass depends on something else now.
        """
        if not self.path.exists():
            return None
        remedy = "name another output to start anew."
        try:
            tensors, metadata = load_tensors(self.path)
            key, plain = json.loads(metadata["key"]), json.loads(metadata["pass"])
        except (ToolkitError, KeyError, ValueError) as error:
            raise ToolkitError(f"The interrupted pass in {self.path} can't be read: {remedy}") from error
        if other := sorted(name for name in {*key, *self.key} if key.get(name) != self.key.get(name)):
            raise ToolkitError(f"The interrupted pass in {self.path} was made with other {', '.join(other)}: {remedy}")
        return tensors, plain
