"""Vectors on disk are those that were put there, and leave memory when told."""

from pathlib import Path

import pytest
import torch

from toolkit.storage import Storage


def resident(kind):
    """Bytes of this process in memory: of files (``File``), or its own (``Anon``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"Rss{kind}:"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, to be told what is in memory")
def test_what_is_on_disk_leaves_memory_and_comes_back():
    storage, size = Storage(on_disk=True), 1 << 24
    before = {kind: resident(kind) for kind in ("File", "Anon")}
    ones, twos = (storage.zeros((4, size // 4), torch.empty(0)).add_(value) for value in (1, 2))
    assert resident("File") - before["File"] > 0.9 * (ones.nbytes + twos.nbytes)
    storage.page_out()
    assert resident("File") - before["File"] < 0.1 * ones.nbytes
    assert resident("Anon") - before["Anon"] < 0.5 * ones.nbytes
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
