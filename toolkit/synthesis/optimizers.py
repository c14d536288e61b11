"""L-BFGS and Adam within an image's range, one evaluation at a time, each with the image it would hand over."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..distributed import ALONE, Ranks, Share
from ..errors import ToolkitError
from ..storage import Storage
from .curvature import CurvaturePairs
from .objective import Evaluation
from .precision import native_bfloat16
from .preconditioner import Preconditioner

#: Values of an image.
RANGE = (0.0, 1.0)


class LBFGS:
    """L-BFGS without line search or tolerances, as Gatys, Ecker & Bethge ran it: one evaluation a step.

    It stays within ``RANGE``: values at its end that would leave are held, the step is made for the others, and cut off
    where it ends (a projected quasi-Newton method, Schmidt, Kim & Sra 2011). Without, 4 to 10 % of all values leave it,
    and cutting them off in the end undoes much: measured with the bundled network at 512 pixels, 150 evaluations, two
    pairs of pictures, the objective rises from 4.67 to 15.4 and from 18.2 to 596. Within, it ends at 4.70 and 18.8.

    ``best`` is the evaluated image of least objective. A step to one of far more is taken back; the curvature that it
    met then leads to another, of half its size at most.

    Args:
        image: (1, 3, H, W), the start; it is changed in place.
        memory: bytes to stay within, by keeping fewer pairs; all but the image is kept on disk where they were too few.
        ranks: processes that go the same way, each keeping its share of the pairs.
        evaluations: how many are to come, if that is known; a pair is kept for two of them at most.
    """

    #: Pairs kept, each for the memory of two images, or of one where the device computes in bfloat16. Measured with the
    #: bundled network at 512 pixels on two pairs of pictures: where the textbook stands after 500 evaluations, twenty
    #: are after 25.8 and 24.2 seconds, 32 after 24.6 and 22.2, forty after 24.8 and 21.1. At one level, with three
    #: pairs of pictures, 64 get there after 0.88 to 0.92 of the evaluations that 32 take, and to the textbook's 300
    #: after 0.93 to 0.98, each a twentieth dearer and in twice the memory; a hundred hardly sooner.
    HISTORY = 32

    #: Pairs kept for each evaluation to come, at most: of a large picture's, few are at its full size. Measured with
    #: the bundled network: after 22, 45 and 60 evaluations of four transfers at 512 pixels the objective is 1.7 % below
    #: to 1 % above that with 32; after 20, 45 and 60 of two each of the others at 256 pixels, 9 % below to 2.5 % above.
    PER_EVALUATION = 0.5

    #: Pairs that are kept on disk, when fewer would fit in memory. Measured with the bundled network at 256 pixels on
    #: two pairs of pictures, after 15, 50 and 150 evaluations: with seven the objective is 1 % below to 5 % above that
    #: with 32, with three 6 % below to 12 % above, with one 7 to 47 % above; Adam's is 2.1 to 3.8 times as high.
    FEW = 5

    #: Mean change of a value by the first step, before any curvature is known: 2.5 of 255 levels, enough for
    #: float32 to tell the gradients at its two ends apart (PyTorch's own first step is a millionth).
    FIRST_STEP = 0.01

    #: Mean change of a value by any step, at most. The losses are of fourth order in the features: where a pair has
    #: seen little curvature the next step leaps, and all that follow are spent on coming back. Of eight syntheses
    #: measured, three stood still for a hundred evaluations without it; it binds once or twice, or never.
    LARGEST_STEP = 0.1

    #: A step is taken back when the objective then is more than so many times what it was. That happens once or twice
    #: in a synthesis; to allow no rise at all, as a line search would, gains nothing more (measured).
    RISE = 1.5

    #: Mean change of a value below which a step that leads to no number is halved no more.
    SMALLEST_STEP = 1e-6

    #: Images beside the pairs: the image, its best, two gradients, the step, and two for what is being computed.
    BESIDE = 7

    def __init__(
        self, image: Tensor, memory: int | None = None, ranks: Ranks = ALONE, evaluations: int | None = None
    ) -> None:
        self.image = image.clamp_(*RANGE)
        wanted = self.HISTORY
        if evaluations is not None:
            wanted = min(wanted, math.ceil(evaluations * self.PER_EVALUATION))
        self.history, on_disk = wanted, False
        dtype = torch.bfloat16 if image.dtype == torch.float32 and native_bfloat16(image.device) else image.dtype
        self._pair_nbytes = 2 * image.numel() * dtype.itemsize
        if memory is not None:
            room = (memory - self.BESIDE * image.nbytes) * ranks.size // self._pair_nbytes
            few = min(self.FEW, wanted)
            on_disk = room < few and image.device.type == "cpu"
            self.history = few if on_disk else max(1, min(wanted, room))
        self._storage = Storage(on_disk)
        self.best = self._storage.zeros(image.shape, image).copy_(image)
        self._share = Share(ranks, image.numel())
        self._preconditioner = Preconditioner(image)
        self._least = self._objective = math.inf
        self._scale = 1.0
        self._begun = False
        part = self._share.part(image.view(-1))
        self._gradient, self._step = (self._storage.zeros(part.shape, part) for _ in range(2))
        self._pairs = CurvaturePairs(self.history, part, self._preconditioned, ranks.sum, dtype, self._storage)

    def retire(self) -> None:
        """Lets go of all but ``best``, to make room for its successor."""
        del self.image, self._gradient, self._step, self._pairs, self._storage

    @property
    def nbytes(self) -> int:
        """Bytes that it comes to hold during an evaluation, whose gradient is included."""
        if self._storage.on_disk:
            return 2 * self.image.nbytes
        return self.BESIDE * self.image.nbytes + -(-self.history * self._pair_nbytes // self._share.ranks.size)

    def _preconditioned(self, part: Tensor) -> Tensor:
        """The guess of the inverse Hessian times a vector, of which this is a part, in place."""
        if self._share.ranks.size == 1:
            return self._preconditioner(part)
        whole = part.new_empty(self._share.length)
        self._share.part(whole).copy_(part)
        return part.copy_(self._share.part(self._preconditioner(self._share.spread(whole))))

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs; of several processes all must ask, and the first gets it."""
        collect = self._share.collect
        pairs = self._pairs.state()
        return {
            "image": self.image,
            "best": self.best,
            "least": self._least,
            "objective": self._objective,
            "scale": self._scale,
            "begun": self._begun,
            "gradient": collect(self._gradient),
            "step": collect(self._step),
            "pairs": pairs | {"pairs": [(collect(step), collect(change)) for step, change in pairs["pairs"]]},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state, whatever number of processes it is of."""
        own = self._share.own
        self.image.copy_(state["image"])
        self.best.copy_(state["best"])
        self._least, self._objective, self._scale = state["least"], state["objective"], state["scale"]
        self._begun = state["begun"]
        self._gradient.copy_(self._share.part(state["gradient"]))
        self._step.copy_(self._share.part(state["step"]))
        pairs = state["pairs"]
        self._pairs.restore(pairs | {"pairs": [(own(step), own(change)) for step, change in pairs["pairs"]]})

    def step(self, evaluate: Callable[[Tensor], Evaluation]) -> Evaluation:
        """Evaluates where it is, remembers it if it is the best, and moves on.

        Raises:
            ToolkitError: when the start has no finite objective, or nothing near the best image has.
        """
        evaluation = evaluate(self.image)
        if evaluation.objective < self._least:
            self._least = evaluation.objective
            self.best.copy_(self.image)
            self._storage.page_out()
        gradient = self._share.own(evaluation.gradient.contiguous().view(-1))
        values = self._share.part(self.image.view(-1))
        if not self._begun:
            _check_finite(evaluation)
            self._begun = True
            self._objective = evaluation.objective
            # Pairs are passed over by the size of their product, whatever the objective's scale: so fix it.
            self._scale = 1 / (float(self._share.mean_size(gradient)) or 1.0)
            held = _held(values, gradient)
            step = self._preconditioned(gradient.mul_(self._scale).neg().masked_fill_(held, 0)).masked_fill_(held, 0)
            step *= self.FIRST_STEP / self._share.mean_size(step).clamp(min=torch.finfo(step.dtype).tiny)
        else:
            gradient *= self._scale
            limit = torch.as_tensor(self.LARGEST_STEP)
            if evaluation.objective <= self.RISE * self._objective:
                self._objective = evaluation.objective
                change = torch.sub(gradient, self._gradient, out=self._gradient)
            else:
                values -= self._step
                limit = self._share.mean_size(self._step) / 2
                if limit < self.SMALLEST_STEP:
                    _check_finite(evaluation)
                change = torch.sub(gradient, self._gradient, out=gradient)
                gradient = self._gradient
            if math.isfinite(evaluation.objective):
                self._pairs.add(self._step, change)
            held = _held(values, gradient)
            step = self._pairs.direction(gradient.masked_fill(held, 0)).masked_fill_(held, 0)
            step *= (limit / self._share.mean_size(step)).clamp(max=1)
        there = step.add_(values).clamp_(*RANGE)
        self._gradient.copy_(gradient)
        self._storage.page_out()
        torch.sub(there, values, out=self._step)
        values.copy_(there)
        self._storage.page_out()
        self._share.spread(self.image.view(-1))
        return evaluation


class Adam:
    """PyTorch's Adam, the image clamped to [0, 1] after every step; ``best`` is the average of the iterates.

    The average forgets with a rate of 0.99, corrected for its short start (Kingma & Ba 2015, section 7.2).

    Args:
        image: (1, 3, H, W), the start; it is changed in place.
        memory: bytes to stay within; where five images would exceed it, average and moments are kept on disk.
        ranks: processes that go the same way, each keeping its share of the moments.
        evaluations: how many are to come; to it they are all alike.
    """

    STEP_SIZE = 0.02
    MEMORY = 0.99

    def __init__(
        self, image: Tensor, memory: int | None = None, ranks: Ranks = ALONE, evaluations: int | None = None
    ) -> None:
        self.image = image
        self._share = Share(ranks, image.numel())
        # Image, average, the evaluation's gradient and this process's part of two moments; or the first and the third.
        self.nbytes = 3 * image.nbytes + -(-2 * image.nbytes // ranks.size)
        self._storage = Storage(memory is not None and self.nbytes > memory and image.device.type == "cpu")
        if self._storage.on_disk:
            self.nbytes = 2 * image.nbytes
        self.best = self._storage.zeros(image.shape, image).copy_(image)
        self._mass = 0.0
        self._part = self._share.part(image.view(-1))
        # Fused, it makes no temporary images; but it takes for granted that image and gradient are laid out alike.
        self._optimizer = torch.optim.Adam([self._part], self.STEP_SIZE, fused=True)
        self._optimizer.state[self._part] = {
            "step": torch.zeros((), device=image.device),
            "exp_avg": self._storage.zeros(self._part.shape, image),
            "exp_avg_sq": self._storage.zeros(self._part.shape, image),
        }

    def retire(self) -> None:
        """Lets go of all but ``best``, to make room for its successor."""
        del self.image, self._part, self._optimizer, self._storage

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs; of several processes all must ask, and the first gets it."""
        moments = {
            name: self._share.collect(value) if value.ndim else value
            for name, value in self._optimizer.state[self._part].items()
        }
        return {"image": self.image, "best": self.best, "mass": self._mass, "moments": moments}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state, whatever number of processes it is of."""
        self.image.copy_(state["image"])
        self.best.copy_(state["best"])
        self._mass = state["mass"]
        for name, kept in self._optimizer.state[self._part].items():
            kept.copy_(self._share.part(state["moments"][name]) if kept.ndim else state["moments"][name])

    def step(self, evaluate: Callable[[Tensor], Evaluation]) -> Evaluation:
        """Evaluates where it is, and moves on.

        Raises:
            ToolkitError: when the objective is no longer finite.
        """
        with torch.no_grad():
            evaluation = evaluate(self.image)
            _check_finite(evaluation)
            self._part.grad = self._share.part(evaluation.gradient.contiguous().view(-1))
            self._optimizer.step()
            self._part.grad = None
            self._part.clamp_(*RANGE)
            self._share.spread(self.image.view(-1))
            self._mass += (1 - self._mass) * (1 - self.MEMORY)
            self.best.lerp_(self.image, (1 - self.MEMORY) / self._mass)
            self._storage.page_out()
        return evaluation


def _held(values: Tensor, gradient: Tensor) -> Tensor:
    """Where a value at an end of its range would leave it."""
    return ((values <= RANGE[0]) & (gradient > 0)) | ((values >= RANGE[1]) & (gradient < 0))


def _check_finite(evaluation: Evaluation) -> None:
    if not math.isfinite(evaluation.objective):
        raise ToolkitError("The optimisation diverged: lower the weights, or compute in float32.")


OPTIMIZERS: dict[str, type[LBFGS] | type[Adam]] = {"lbfgs": LBFGS, "adam": Adam}
