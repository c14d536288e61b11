"""How this process uses cores and memory, and what stops it."""

import ctypes
import math
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

#: A closed terminal and a request to stop are answered as Ctrl-C is.
STOPS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: How often a waiting thread looks whether the others have arrived before it sleeps. GNU's OpenMP looks for
#: milliseconds by default, and keeps its core busy meanwhile: on a busy machine the threads waited for can't run.
SPINS = "20000"

#: glibc's parameters of mallopt(3): M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_TOP_PAD. To keep freed memory, the heap's end
#: is never returned, only blocks of 32 MB come from the system one by one, and the heap grows by 64 MB at a time.
KEEP = {-1: -1, -3: 1 << 25, -2: 1 << 26}

#: The same as glibc sets them by itself once large blocks were freed.
USUAL = {-1: 1 << 26, -3: 1 << 25, -2: 1 << 17}


def cores() -> int:
    """How many cores this process may use: by its affinity, and by its container's quota of processor time."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(found, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no container, or no quota
        return found


def configure_threads() -> None:
    """Sets up OpenMP, unless the environment says otherwise; to be called before PyTorch is imported.

    NumPy's matrices are small here: its threads would only wait for one another.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def keep_freed_memory(keep: bool = True) -> None:
    """Has glibc keep freed memory, or not: each iteration frees what the next one needs, and new pages cost time."""
    mallopt = getattr(_c_library(), "mallopt", None)
    if mallopt is not None:
        for parameter, value in (KEEP if keep else USUAL).items():
            mallopt(parameter, value)


def return_freed_memory() -> None:
    """Has glibc return freed memory to the system, when none is needed for a while."""
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def stopped_like_ctrl_c() -> AbstractContextManager[None]:
    """Has every signal to stop raise ``KeyboardInterrupt``."""
    return _answered(STOPS, signal.default_int_handler)


def uninterrupted() -> AbstractContextManager[None]:
    """Ignores interruptions while a result is being saved; only the main thread hears of them."""
    heard = threading.current_thread() is threading.main_thread()
    return _answered([signal.SIGINT, *STOPS] if heard else [], signal.SIG_IGN)


@contextmanager
def _answered(signals: Iterable[int], answer: Any) -> Iterator[None]:
    before = {number: signal.signal(number, answer) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _c_library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if os.name == "posix" else None
