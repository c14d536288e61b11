"""Progress of a job: a bar in a terminal; of long passes a line every so often elsewhere, for logs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..jobs import AtlasJob, Counted, Job, LabelledStep, Normalize, StudyJob, SynthesisJob

if TYPE_CHECKING:
    from ..atlas import Step
    from ..synthesis import Progress

#: Of a synthesis. The time left depends on the sizes to come, which the bar's own estimate knows nothing of.
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"

#: A line in a log, and the seconds between two of them.
LINE, EVERY = "{n_fmt} of {total_fmt}, {rate_noinv_fmt}, {remaining} left\n", 30.0


@contextmanager
def shown(job: Job) -> Iterator[Callable[[Any], None]]:
    """What shows the steps of a job when it is called with them; nothing is shown before the first."""
    bar: Any = None
    show = next((show for kind, show in KINDS.items() if isinstance(job, kind)), None)

    def add(step: Any) -> None:
        nonlocal bar
        if show is not None:
            bar = show(bar, step)

    try:
        yield add
    finally:
        if bar is not None:
            bar.close()


def _tqdm(**how: Any) -> Any:
    from tqdm import tqdm

    return tqdm(**how)


def _iteration(bar: Any, step: "Progress") -> Any:
    if bar is None:
        bar = _tqdm(total=step.iterations, initial=step.iteration - 1, bar_format=BAR)
    bar.total = step.iterations
    # The time left, the objective, and the losses summed by kind, short enough for a line.
    told = [f"{bar.format_interval(step.remaining)} left", f"objective {step.objective:.4g}"]
    for kind in ("content", "style", "total variation", "neighbours", "temporal"):
        losses = [loss for name, loss in step.losses.items() if name.startswith(kind)]
        told += [f"{kind} {sum(losses):.3g}"] if losses else []
    if step.frames:
        bar.set_description(f"frame {step.frame} of {step.frames}", refresh=False)
    bar.set_postfix_str(", ".join(told), refresh=False)
    bar.update(step.iteration - bar.n)
    return bar


def _cell(bar: Any, labelled: LabelledStep) -> Any:
    if bar is None:
        bar = _tqdm(total=labelled.step.total, unit="iteration")
    bar.set_postfix_str(labelled.label, refresh=False)
    bar.update(labelled.step.done - bar.n)
    return bar


def _patches(bar: Any, step: "Step") -> Any:
    if bar is None:
        bar = _tqdm(unit="image")
    if step.stage != bar.desc.removesuffix(": "):
        bar.reset(step.total)
        bar.set_description(step.stage)
    bar.update(step.done - bar.n)
    return bar


def _images(bar: Any, counted: Counted) -> Any:
    terminal = sys.stderr.isatty()
    if bar is None:
        # With any delay there is no line before the first progress. What an earlier run has done says nothing about
        # the pace.
        how = {} if terminal else {"bar_format": LINE, "mininterval": 0, "delay": 1e-9}
        return _tqdm(total=counted.total, initial=counted.done, unit=" images", **how)
    bar.update(counted.done - bar.n)
    if not terminal:  # the first line came at once, so that the time left is known early
        bar.mininterval = EVERY
    return bar


KINDS: dict[type[Job], Callable[[Any, Any], Any]] = {
    SynthesisJob: _iteration,
    StudyJob: _cell,
    AtlasJob: _patches,
    Normalize: _images,
}
