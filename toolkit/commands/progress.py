"""Progress of a long command: a bar in a terminal; a line every so often elsewhere, for logs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from ..distributed import Ranks

#: In a log: what a line says, and the seconds between lines.
LOG: dict[str, Any] = {"bar_format": "{n_fmt} of {total_fmt}, {rate_noinv_fmt}, {remaining} left\n", "mininterval": 30}


@contextmanager
def counting(total: int, unit: str, ranks: Ranks) -> Iterator[Callable[[int], object]]:
    """What to tell how much more was done; the other processes are taken to be as far as this one.

    Args:
        total: how much there is to do.
        unit: of what.
        ranks: only the first process shows anything.
    """
    how = {} if sys.stderr.isatty() else LOG
    with tqdm(total=total, unit=f" {unit}s", disable=not ranks.first, **how) as bar:

        def add(more: int) -> None:
            of_all = min(more * ranks.world_size, total - bar.n)
            if bar.n == bar.initial == 0:  # what an earlier run has done says nothing about the pace
                bar.n = bar.last_print_n = bar.initial = of_all
            else:
                bar.update(of_all)

        yield add
