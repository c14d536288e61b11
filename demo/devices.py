"""The devices that jobs run on."""

from collections.abc import Sequence

import torch

from toolkit.device import find_device


def slots(names: Sequence[str], jobs: int) -> list[str]:
    """One device for each job that can run at a time. On a CPU, jobs share its cores.

    Args:
        names: of devices; ``auto`` means all GPUs, or the CPU.
        jobs: at a time on each device.

    Raises:
        ToolkitError: when there is no such device here.
    """
    devices = [device for name in names for device in _devices(name)] * jobs
    if set(devices) == {"cpu"}:
        torch.set_num_threads(max(1, torch.get_num_threads() // len(devices)))
    return devices


def _devices(name: str) -> list[str]:
    device = find_device(name)
    if name == "auto" and torch.accelerator.device_count() > 1:
        return [f"{device.type}:{number}" for number in range(torch.accelerator.device_count())]
    return [str(device)]
