"""Vectors on disk are those that were put there, and leave memory when told."""

from pathlib import Path

import pytest
import torch

from toolkit.storage import Storage

STATUS = Path("/proc/self/status")


def resident(*kinds):
    """Bytes of this process in memory: of files (``File``, ``Shmem`` where they are in memory), its own (``Anon``)."""
    lines = [line.split() for line in STATUS.read_text().splitlines()]
    return sum(int(size[0]) * 1024 for name, *size in lines if name in [f"Rss{kind}:" for kind in kinds])


@pytest.mark.skipif(
    not STATUS.exists() or "RssFile" not in STATUS.read_text(), reason="needs Linux, to be told what is in memory"
)
def test_what_is_on_disk_leaves_memory_and_comes_back():
    storage, size = Storage(on_disk=True), 1 << 24
    files, own = resident("File", "Shmem"), resident("Anon")
    ones, twos = (storage.zeros((4, size // 4), torch.empty(0)).add_(value) for value in (1, 2))
    assert resident("File", "Shmem") - files > 0.9 * (ones.nbytes + twos.nbytes)
    storage.page_out()
    assert resident("File", "Shmem") - files < 0.1 * ones.nbytes
    assert resident("Anon") - own < 0.5 * ones.nbytes
    assert (ones == 1).all() and (twos == 2).all()


def test_in_memory_nothing_is_paged_out():
    storage = Storage()
    vector = storage.zeros((3, 5), torch.empty(0, dtype=torch.float64), torch.bfloat16).add_(1)
    storage.page_out()
    assert vector.dtype == torch.bfloat16 and torch.equal(vector, torch.ones(3, 5, dtype=torch.bfloat16))


@pytest.mark.parametrize(("on_disk", "sizes"), [(False, [25]), (True, [10, 10, 5])])
def test_a_vector_on_disk_comes_in_pieces(monkeypatch, on_disk, sizes):
    monkeypatch.setattr(Storage, "PIECE", 10)
    vector = torch.arange(25)
    pieces = [vector[piece] for piece in Storage(on_disk).pieces(25)]
    assert [len(piece) for piece in pieces] == sizes
    assert torch.equal(torch.cat(pieces), vector)
