"""A study under way, for the tabs that show one."""

import math
import time
from collections.abc import Iterator

from toolkit.errors import ToolkitError
from toolkit.studies import Axis, Step, Study

from ..context import Studio
from ..jobs import Job

#: Between two views of it.
SECONDS_PER_PREVIEW = 1.0

#: Cells at most.
CELLS = 64


def count(*axes: Axis | None) -> int:
    """How many pictures a study along these axes makes; to be asked before it is planned, which takes time.

    Raises:
        ToolkitError: when they are too many.
    """
    cells = math.prod(len(axis.variations) for axis in axes if axis)
    if cells > CELLS:
        raise ToolkitError(f"That makes {cells} pictures, more than the {CELLS} of a study here: name fewer values.")
    return cells


def checked(study: Study, studio: Studio) -> Study:
    """The study, if its pictures are within the host's limits.

    Raises:
        ToolkitError: when they are not.
    """
    if max(study.frame) > studio.limits.size:
        raise ToolkitError(f"Pictures may be {studio.limits.size} pixels large here: name smaller sizes.")
    if study.total > count(study.rows, study.columns) * studio.limits.evaluations:
        raise ToolkitError(f"Pictures may take {studio.limits.evaluations} evaluations here: name smaller numbers.")
    return study


def steps(study: Study, job: Job) -> Iterator[Step]:
    """The steps worth showing, until it is done or the job over: finished cells, and one every second."""
    shown = float("-inf")
    for step in study:
        if step.finished or job.over or time.monotonic() - shown > SECONDS_PER_PREVIEW:
            yield step
            shown = time.monotonic()
        if job.over:
            return


def told(step: Step, job: Job) -> str:
    """Where it stands, in words."""
    left = job.elapsed / max(step.done, 1) * (step.total - step.done)
    return f"Evaluation {step.done} of {step.total} · {min(left, job.seconds - job.elapsed):.0f} s left"
