"""Half-optimised images to train on: syntheses with the student itself."""

import torch
from torch import Tensor

from .student import Student, gram

STEPS = 24
STEP_SIZE = 0.03


def dream(student: Student, images: Tensor, generator: torch.Generator) -> Tensor:
    """Moves each image towards the Gram matrices of the next one, by a random number of Adam steps.

    A synthesis visits images that are no photographs. There the student's losses may fall while the teacher's do not,
    unless it is trained on such images.

    Args:
        student: in training; its batch norms use their running statistics here.
        images: (N, 3, H, W), RGB in [0, 1].
        generator: of the number of steps.

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    layers = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    training = student.training
    student.eval()
    with torch.no_grad():
        targets = {name: gram.roll(1, 0) for name, gram in _grams(student, images, layers).items()}
    x = images.clone().requires_grad_()
    optimizer = torch.optim.Adam([x], STEP_SIZE)
    for _ in range(int(torch.randint(1, STEPS + 1, (), generator=generator))):
        errors = [
            (gram - targets[name]).square().sum() / targets[name].square().sum()
            for name, gram in _grams(student, x, layers).items()
        ]
        (x.grad,) = torch.autograd.grad(torch.stack(errors).sum(), x)
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)
    student.train(training)
    return x.detach()


def _grams(student: Student, images: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    grams = {}
    with torch.autocast(images.device.type, torch.bfloat16):
        for name, features in student(images):
            if name in layers:
                grams[name] = gram(features)
            if name == layers[-1]:
                break
    return grams
