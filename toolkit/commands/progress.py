"""Progress of a long command: a bar in a terminal; a line every so often elsewhere, for logs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from ..distributed import Ranks

#: A line in a log, and the seconds between two of them.
LINE, EVERY = "{n_fmt} of {total_fmt}, {rate_noinv_fmt}, {remaining} left\n", 30.0


@contextmanager
def counting(total: int, unit: str, ranks: Ranks) -> Iterator[Callable[[int], object]]:
    """What to tell how much more was done; the other processes are taken to be as far as this one.

    Args:
        total: how much there is to do.
        unit: of what.
        ranks: only the first process shows anything.
    """
    terminal = sys.stderr.isatty()
    # With any delay there is no line before the first progress.
    how = {} if terminal else {"bar_format": LINE, "mininterval": 0, "delay": 1e-9}
    with tqdm(total=total, unit=f" {unit}s", disable=not ranks.first, **how) as bar:  # type: ignore[call-overload]
        begun = False

        def add(more: int) -> None:
            nonlocal begun
            of_all = min(more * ranks.world_size, total - bar.n)
            if not begun:  # what an earlier run has done, which says nothing about the pace
                begun = True
                bar.n = bar.last_print_n = bar.initial = of_all
            else:
                bar.update(of_all)
                if not terminal:  # the first line came at once, so that the time left is known early
                    bar.mininterval = EVERY

        yield add
