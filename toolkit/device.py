"""What computes here: the device, its memory, its arithmetic."""

import functools
import os
import timeit
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F

from .errors import DeviceError
from .process import cores

#: Bytes to count on where nothing tells.
UNKNOWN = 4_000_000_000

#: How many times as fast bfloat16 has to be to be worth what it rounds away.
FASTER = 1.3

#: Types of devices that have no float64. Of Intel's, some have it.
WITHOUT_FLOAT64 = {"mps"}


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU if there is one. Under torchrun each process has a GPU of its own.

    >>> find_device("cpu")
    device(type='cpu')

    Raises:
        DeviceError: when there is no such device here.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        # A host that lends its GPU later says so to the first question alone.
        name = "cuda" if torch.cuda.is_available() else accelerator.type if accelerator else "cpu"
    if name in ("cuda", "xpu"):
        name = f"{name}:{os.environ.get('LOCAL_RANK', '0')}"
    elif name == "mps":  # as its tensors call it
        name = "mps:0"
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, ImportError) as error:  # of PyTorch, for unknown and for absent devices
        raise DeviceError(f"This machine has no device {name!r}: use cpu, or auto.") from error
    return chosen


def available(device: torch.device) -> int:
    """Bytes that a program can have: of a GPU, or of this machine within what its container may use.

    Files that the system keeps in memory make room, so they count as free.
    """
    match device.type:
        case "cuda" | "xpu":
            return int(torch.accelerator.get_memory_info(device)[0])
        case "mps":
            return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    try:
        free = 1024 * _told("/proc/meminfo", "MemAvailable:")
    except OSError:  # not Linux, or one that does not tell
        return UNKNOWN
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        used -= _told(group / "memory.stat", "inactive_file")
    except (OSError, ValueError):  # no container, or no limit
        return free
    return min(free, limit - used)


def _told(path: str | Path, name: str) -> int:
    """The number after a name, out of one of Linux' lists.

    Raises:
        OSError: when it is not there.
    """
    for line in Path(path).read_text().splitlines():
        if line.startswith(f"{name} "):
            return int(line.split()[1])
    raise OSError(f"{path} does not tell {name}")


@functools.cache
def native_bfloat16(device: torch.device) -> bool:
    """Whether a device computes convolutions in bfloat16 clearly faster than in float32.

    A CPU that has the instructions may still be slower with them, so it is tried once, which takes a moment. GPUs
    that are not NVIDIA's or AMD's count as slower, untried.
    """
    if device.type != "cpu":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        # Many short trials: beside busy programs, some of them still run undisturbed.
        features, kernel = torch.ones(1, 64, 32, 32, dtype=dtype), torch.ones(64, 64, 3, 3, dtype=dtype)
        features, kernel = (each.to(memory_format=torch.channels_last) for each in (features, kernel))
        seconds[dtype] = min(timeit.repeat(lambda: F.conv2d(features, kernel, padding=1), number=1, repeat=60))  # noqa: B023
    return seconds[torch.float32] > FASTER * seconds[torch.bfloat16]


def in_words(device: torch.device) -> str:
    """What a device is: the name of a graphics card, or how many cores there are and what they compute with."""
    match device.type:
        case "cuda":
            return torch.cuda.get_device_name(device)
        case "cpu":
            instructions = torch.backends.cpu.get_cpu_capability()
            return f"cores: {cores()}, {instructions}, {'fast' if native_bfloat16(device) else 'no fast'} bfloat16"
    return device.type


def exact(device: torch.device) -> torch.device:
    """Where a device's float64 is computed: there, or on the CPU where it has none."""
    lacks = device.type in WITHOUT_FLOAT64 or (
        device.type == "xpu" and not torch.xpu.get_device_properties(device).has_fp64
    )
    return torch.device("cpu") if lacks else device


def convolutions(device: torch.device, *, tf32: bool) -> AbstractContextManager[None]:
    """Within it, an NVIDIA GPU computes float32 convolutions in TF32 or in float32 proper, and the same always alike.

    PyTorch's default is TF32, whose products keep 10 bits: the right pace for a synthesis, too coarse for a check.
    Other devices know float32 only.
    """
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32)


def synchronize(device: torch.device) -> None:
    """Waits until a device has done what it was given; a CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
