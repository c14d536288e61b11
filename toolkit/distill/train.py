"""Distillation: a narrow student learns to carry, linearly, what every layer of the normalised teacher carries."""

import math
import pickle
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ToolkitError
from ..files import written_atomically
from ..images.sources import Source
from ..network import Network
from .dreams import dream
from .inputs import batches
from .student import Student, variances


@dataclass(frozen=True)
class Schedule:
    """How to train: AdamW with a warm-up and a cosine decay to step ``steps``.

    The first layer of each block, whose Gram matrices style losses compare, counts ``emphasis`` times, and the Gram
    matrix itself, by block, ``gram_emphasis`` times: the deepest is the hardest. Crops are to be larger than the
    receptive fields, or the deepest layers learn of their borders more than of anything else.
    Every ``dream_every`` steps a batch of half-optimised images joins the last ``dream_pool`` of them, from which
    a quarter of every batch is drawn.
    """

    steps: int = 20_000
    batch_size: int = 8
    size: int = 192
    learning_rate: float = 3e-3
    warmup: int = 200
    weight_decay: float = 1e-4
    emphasis: float = 3.0
    gram_emphasis: tuple[float, ...] = (3.0, 3.0, 3.0, 3.0, 6.0)
    dream_every: int = 40
    dream_pool: int = 256
    seed: int = 0


@dataclass
class Step:
    """What one step showed: its number, and the unexplained share of each layer's variance, smoothed."""

    number: int
    unexplained: dict[str, float]


@dataclass
class Distillation:
    """Training under way; iterate over it, stop at any step, and it can go on from its checkpoint.

    A checkpoint whose own schedule has ended goes on to a later step by a warm restart: the learning rate rises
    and decays once more (Loshchilov & Hutter 2017).

    Args:
        student: what learns.
        teacher: a normalised network with average pooling, on the device to train on.
        images: what to learn from.
        schedule: how.
        checkpoint: where to keep the state, every ``checkpoint_seconds``; read first when it exists.
    """

    student: Student
    teacher: Network
    images: Sequence[Source]
    schedule: Schedule = field(default_factory=Schedule)
    checkpoint: Path | None = None
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        self.device = next(self.teacher.parameters()).device
        self.student.to(self.device)
        self.teacher = self.teacher.to(torch.bfloat16)
        self.layers = [layer.name for layer in self.teacher.architecture.layers if layer.kind == "relu"]
        self.optimizer = torch.optim.AdamW(
            self.student.parameters(), self.schedule.learning_rate, weight_decay=self.schedule.weight_decay
        )
        self.number = self.restarted = 0
        self.variances: dict[str, Tensor] = {}
        self.unexplained: dict[str, Tensor] = {}
        if self.checkpoint is not None and self.checkpoint.exists():
            self._resume(self.checkpoint)

    def __iter__(self) -> Iterator[Step]:
        """Trains to the end of the schedule, yielding after every step.

        Raises:
            ToolkitError: when an image can't be read, or the checkpoint can't be written.
        """
        loss = torch.compile(self.student.unexplained)
        stream = batches(self.images, self.schedule.size, self.schedule.batch_size, self.schedule.seed + self.number)
        generator = torch.Generator().manual_seed(self.schedule.seed + self.number)
        pool: deque[Tensor] = deque(maxlen=self.schedule.dream_pool)
        saved = time.monotonic()
        self.student.train()
        while self.number < self.schedule.steps:
            images = next(stream).to(self.device)
            if self.number >= self.schedule.warmup and self.number % self.schedule.dream_every == 0:
                pool.extend(dream(self.student, images, generator).split(1))
            if pool:
                chosen = torch.randint(len(pool), (len(images) // 4,), generator=generator)
                images[: len(chosen)] = torch.cat([pool[int(index)] for index in chosen])
            self._learn(loss, images)
            self.number += 1
            if time.monotonic() - saved > self.checkpoint_seconds or self.number == self.schedule.steps:
                self.save()
                saved = time.monotonic()
            yield Step(self.number, {name: float(error) for name, error in self.unexplained.items()})

    def _learn(self, loss: Any, images: Tensor) -> None:
        with torch.no_grad():
            targets = {name.replace("relu", "conv"): f for name, f in self.teacher(images, self.layers).items()}
            for name, variance in variances(targets).items():
                self.variances[name] = torch.lerp(self.variances.get(name, variance), variance, 0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        with torch.autocast(self.device.type, torch.bfloat16):
            errors = loss(images, targets, self.variances)
        self.optimizer.zero_grad()
        torch.stack([error * self._weight(name) for name, error in errors.items()]).sum().backward()
        self.optimizer.step()
        for name, error in errors.items():
            self.unexplained[name] = torch.lerp(self.unexplained.get(name, error.detach()), error.detach(), 0.01)

    def _weight(self, name: str) -> float:
        """How often an error counts."""
        if name.startswith("gram"):
            return self.schedule.gram_emphasis[int(name[4]) - 1]
        return self.schedule.emphasis if name.endswith("_1") else 1.0

    def _learning_rate(self) -> float:
        done = self.number - self.restarted
        progress = done / (self.schedule.steps - self.restarted)
        warm = min(1.0, (done + 1) / self.schedule.warmup)
        return self.schedule.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * progress))

    def save(self) -> None:
        """Writes the checkpoint, atomically."""
        if self.checkpoint is None:
            return
        state = {
            "schedule": asdict(self.schedule),
            "architecture": asdict(self.student.architecture),
            "number": self.number,
            "restarted": self.restarted,
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "variances": self.variances,
            "unexplained": self.unexplained,
        }
        with written_atomically(self.checkpoint) as temporary:
            torch.save(state, temporary)

    def _resume(self, checkpoint: Path) -> None:
        state = read_checkpoint(checkpoint, self.device)
        ended = state["number"] == state["schedule"]["steps"]
        schedule = state["schedule"] | ({"steps": self.schedule.steps} if ended else {})
        if schedule != asdict(self.schedule) or state["architecture"] != asdict(self.student.architecture):
            raise ToolkitError(f"{checkpoint} belongs to another schedule or architecture: remove it or name another.")
        self.number = state["number"]
        self.restarted = self.number if ended else state["restarted"]
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.variances, self.unexplained = state["variances"], state["unexplained"]


def read_checkpoint(checkpoint: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The state of a training: its ``student`` among other things.

    Raises:
        ToolkitError: when it can't be read.
    """
    try:
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if not isinstance(state, dict) or "student" not in state:
            raise ValueError("a file of another kind")
        return state
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ToolkitError(f"{checkpoint} is no checkpoint that could be read: remove it or name another.") from error
