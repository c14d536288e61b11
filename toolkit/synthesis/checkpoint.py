"""A synthesis kept on disk while it runs, so that it can be resumed however it ended."""

import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from ..distributed import ALONE, Ranks
from ..errors import InputError, ToolkitError
from ..files import written_atomically
from .synthesis import MismatchError, Progress, Synthesis

#: Seconds between checkpoints, at least.
SECONDS = 60.0

#: Share of the time that writing them may take: those of large images are gigabytes.
SHARE = 0.1


class Checkpoint:
    """Runs a synthesis with a checkpoint beside it, and resumes from it when it is there.

    Iterate over it in place of the synthesis; call ``save`` when the loop is left early, and ``remove`` once the result
    is safe.

    Args:
        path: the file.
        synthesis: freshly made; it is resumed here when the file is there.
        ranks: the processes that share the synthesis; the first writes.

    Raises:
        ToolkitError: when the file can't be read, or was made with another recipe, network or image.
    """

    def __init__(self, path: Path, synthesis: Synthesis, ranks: Ranks = ALONE) -> None:
        self._path, self._synthesis, self._ranks = path, synthesis, ranks
        if path.exists():
            self._resume()

    def _resume(self) -> None:
        remedy = "name another output to start anew."
        try:
            # Mapped, as it may be larger than what memory has room for.
            state = torch.load(self._path, map_location="cpu", weights_only=True, mmap=True)
            self._synthesis.restore(state)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise ToolkitError(f"The checkpoint {self._path} can't be read: {remedy}") from error
        except (KeyError, IndexError, TypeError) as error:
            raise ToolkitError(f"The checkpoint {self._path} is of another version or kind: {remedy}") from error
        except MismatchError as error:
            # The iterations of each level, and what L-BFGS keeps, follow from their number: more can't be appended.
            raise InputError(
                f"The checkpoint {self._path} was made with {error.differences}: resume with what it was made with, "
                "name another output, or start from the older picture.",
                "start_image",
            ) from error

    def __iter__(self) -> Iterator[Progress]:
        """The synthesis' progress; a checkpoint is written when it is time."""
        due = time.monotonic() + SECONDS
        for progress in self._synthesis:
            yield progress
            if self._ranks.all_gather(time.monotonic() > due)[0]:  # as the first decides
                began = time.monotonic()
                self.save()
                saved = time.monotonic()
                due = saved + max(SECONDS, (saved - began) / SHARE)

    def save(self) -> None:
        """Writes the checkpoint, atomically.

        Raises:
            ToolkitError: when it can't be written.
        """
        if self._ranks.first:
            with written_atomically(self._path) as temporary:
                torch.save(self._synthesis.state(), temporary)

    def remove(self) -> None:
        """Removes the file, if it is there."""
        if self._ranks.first:
            self._path.unlink(missing_ok=True)
