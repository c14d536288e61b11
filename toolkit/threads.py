"""Threads that are kind to a busy machine."""

import os

#: How often a thread looks whether the others have arrived before it sleeps. By default GNU's OpenMP looks for
#: milliseconds, in which nothing else runs on its core; on a busy machine the threads waited for do not run either.
SPINS = "20000"


def configure() -> None:
    """Has OpenMP's threads sleep soon while they wait, unless the environment says otherwise.

    To be called before PyTorch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
