"""Progress of a long command: a bar in a terminal; a line every so often elsewhere, for logs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from ..distributed import Ranks

#: Seconds between lines.
EVERY = 30.0


@contextmanager
def counting(total: int, unit: str, ranks: Ranks) -> Iterator[Callable[[int], object]]:
    """What to tell how much more was done; the other processes are taken to be as far as this one.

    Args:
        total: how much there is to do.
        unit: of what.
        ranks: only the first process shows anything.
    """
    if not ranks.first:
        yield lambda more: None
    elif sys.stderr.isatty():
        with tqdm(total=total, unit=unit) as bar:
            yield lambda more: bar.update(min(more * ranks.world_size, total - bar.n))
    else:
        lines = _Lines(total, unit)
        yield lambda more: lines.add(more * ranks.world_size)


class _Lines:
    """The first line comes with the first progress, so that the time left is known early."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.unit = total, unit
        self.done = 0
        self.before: int | None = None
        self.began = time.monotonic()
        self.due = self.began

    def add(self, more: int) -> None:
        self.done = min(self.done + more, self.total)
        if self.before is None:  # what an earlier run has done says nothing about the pace
            self.before = self.done
        now = time.monotonic()
        if now < self.due or self.done == self.before:
            return
        self.due = now + EVERY
        pace = (self.done - self.before) / max(now - self.began, 1e-9)
        left = tqdm.format_interval((self.total - self.done) / pace)
        print(f"{self.done:,} of {self.total:,} {self.unit}s, {pace:.1f} a second, {left} left", file=sys.stderr)
