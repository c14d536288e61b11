"""Trains a student so that linear maps of its features are the teacher's, layer by layer."""

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

from ..data.sources import Source
from ..errors import ToolkitError
from ..files import written_atomically
from ..network import Network, fingerprint
from .dreams import dream
from .inputs import batches
from .student import Student, variances


@dataclass(frozen=True)
class Schedule:
    """How to train: AdamW with a warm-up and a cosine decay over ``steps``.

    ``size``: of the crops in pixels; larger than most receptive fields, or deep layers would mostly see borders.
    ``emphasis``: weight of the first layer of each block, which style losses use. ``gram_emphasis``: weights of those
    layers' Gram matrices. ``dream_every``: steps between batches of half-optimised images; a quarter of every batch is
    drawn from the last ``dream_pool`` of them.
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
    """A step's number, and the unexplained share of the variance by layer, averaged over the last steps."""

    number: int
    unexplained: dict[str, float]


@dataclass
class Distillation:
    """A training. Iterate over it to run it; with a checkpoint it can be left at any step, and resumed.

    When a finished training is resumed with more steps, the learning rate rises and decays once more, a warm restart
    (Loshchilov & Hutter 2017).

    Args:
        student: to train.
        teacher: a normalised network with average pooling, on the device to train on.
        images: to train on.
        schedule: how to train.
        checkpoint: file that keeps the state; resumed from when it exists.
        checkpoint_seconds: between writes of it.

    Raises:
        ToolkitError: when the checkpoint can't be read, or is of another schedule, architecture or teacher.
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
        self.fingerprint = fingerprint(self.teacher)
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
        """Trains to the end of the schedule; yields after every step.

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
        """The weight of an error in the loss."""
        if name.startswith("gram"):
            return self.schedule.gram_emphasis[int(name[4]) - 1]
        return self.schedule.emphasis if name.endswith("_1") else 1.0

    def _learning_rate(self) -> float:
        done = self.number - self.restarted
        progress = done / (self.schedule.steps - self.restarted)
        warm = min(1.0, (done + 1) / self.schedule.warmup)
        return self.schedule.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * progress))

    def save(self) -> None:
        """Writes the checkpoint, atomically.

        Raises:
            ToolkitError: when it can't be written.
        """
        if self.checkpoint is None:
            return
        state = {
            "schedule": asdict(self.schedule),
            "architecture": asdict(self.student.architecture),
            "teacher": self.fingerprint,
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
        remedy = "remove it, or name another."
        ours = asdict(self.schedule), asdict(self.student.architecture), self.fingerprint
        try:
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
            ended = state["number"] == state["schedule"]["steps"]
            schedule = state["schedule"] | ({"steps": self.schedule.steps} if ended else {})
            if (schedule, state["architecture"], state["teacher"]) != ours:
                raise ToolkitError(f"{checkpoint} belongs to another schedule, architecture or teacher: {remedy}")
            self.number = state["number"]
            self.restarted = self.number if ended else state["restarted"]
            self.student.load_state_dict(state["student"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.variances, self.unexplained = state["variances"], state["unexplained"]
        except (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise ToolkitError(f"{checkpoint} can't be read as a checkpoint: {remedy}") from error
