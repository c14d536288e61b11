"""What computes: devices by name, their memory; and a process that is alone."""

import re
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from toolkit.device import available, convolutions, find_device, in_words, native_bfloat16
from toolkit.distributed import ALONE, Ranks
from toolkit.errors import DeviceError

CPU = torch.device("cpu")


def test_devices_are_found_by_name():
    assert find_device("cpu") == CPU
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    assert find_device("auto").type == (accelerator.type if accelerator else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there_is_told():
    with pytest.raises(DeviceError, match=r"This machine has no device 'cuda:0': use cpu, or auto\."):
        find_device("cuda")


@pytest.mark.parametrize("name", ["toaster", "hpu"])
def test_a_name_that_is_no_device_is_told(name):
    with pytest.raises(DeviceError, match=rf"This machine has no device '{name}': use cpu, or auto\."):
        find_device(name)


def test_a_machine_has_some_memory_and_an_arithmetic():
    assert available(CPU) > 10**6
    assert native_bfloat16(CPU) in (True, False)
    assert re.fullmatch(r"cores: \d+, \w+, (no )?fast bfloat16", in_words(CPU))


def test_files_that_the_system_keeps_in_memory_count_as_free(tmp_path, monkeypatch):
    def elsewhere(path):
        return Path(path) if str(path).startswith(str(tmp_path)) else tmp_path / str(path).lstrip("/")

    def write(path, text):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    monkeypatch.setattr("toolkit.device.Path", elsewhere)
    assert available(CPU) == 4_000_000_000  # no Linux
    write("proc/meminfo", "MemTotal:  9000 kB\n")
    assert available(CPU) == 4_000_000_000
    write("proc/meminfo", "MemTotal:  9000 kB\nMemFree:  500 kB\nMemAvailable:  5000 kB\nHugePages_Total:  0\n")
    assert available(CPU) == 5000 * 1024
    write("sys/fs/cgroup/memory.max", "4000000\n")
    write("sys/fs/cgroup/memory.current", "3000000\n")
    write("sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 2500000\n")
    assert available(CPU) == 3_500_000
    write("sys/fs/cgroup/memory.max", "max\n")
    assert available(CPU) == 5000 * 1024


def test_a_group_of_processes_that_was_there_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "1")
    dist.init_process_group("gloo", init_method=(tmp_path / "meet").as_uri(), rank=0, world_size=1)
    try:
        with Ranks.joined(CPU) as ranks:
            assert ranks == ALONE
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()


def test_alone_there_is_nobody_to_share_with(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with Ranks.joined(CPU) as ranks:
        assert ranks == ALONE == Ranks(0, 1) and ranks.first and not Ranks(1, 2).first
        tensor = torch.arange(3.0)
        assert ranks.all_reduce(tensor) is tensor and torch.equal(tensor, torch.arange(3.0))
        assert ranks.all_gather("a thing") == ["a thing"]


@pytest.mark.parametrize("tf32", [False, True])
def test_a_gpus_convolutions_are_as_exact_as_asked_for_while_it_lasts(tf32):
    usual = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    with convolutions(torch.device("cuda"), tf32=tf32):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == (tf32, True)
    with convolutions(CPU, tf32=not usual[0]):  # other devices leave what may compute beside them alone
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == usual
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == usual
