"""What is freed is kept or returned as asked: seen by the pages that the system hands out."""

import subprocess
import sys

import pytest

from toolkit import memory

#: Prints how many pages twenty blocks of 64 MB take, one after the other, and one more when what is kept was returned.
COUNT = """
import resource, sys, torch
from toolkit import memory

def pages(blocks):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(blocks):
        torch.ones(1 << 24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

getattr(memory, sys.argv[1])()
pages(10)
print(pages(20))
memory.give_back_kept_memory()
print(pages(1))
"""

#: In a block, if all are large.
FEWEST = 32


@pytest.mark.skipif(not hasattr(memory._c_library(), "mallopt"), reason="needs glibc")
def test_freed_memory_is_kept_or_returned():
    found = {}
    for name in ("keep_freed_memory", "return_freed_memory"):
        done = subprocess.run([sys.executable, "-c", COUNT, name], capture_output=True, text=True, check=True)
        found[name] = [int(line) for line in done.stdout.split()]
    (kept, again), (returned, _) = found.values()
    assert kept < 20 * FEWEST <= returned
    assert again >= FEWEST
