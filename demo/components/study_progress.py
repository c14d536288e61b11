"""A running study, for the tabs that show one."""

import math
import time
from collections.abc import Iterator

from toolkit.errors import ToolkitError
from toolkit.studies import Axis, Step, Study

from ..context import Context
from ..jobs import Job

#: Time between two views of the grid: drawing one takes longer than a single image.
SECONDS_PER_PREVIEW = 1.0

#: Most images in a study, so that one visitor does not hold the device for hours.
MAX_CELLS = 64


def count_cells(*axes: Axis | None) -> int:
    """Number of images in a study along these axes. Checked before the study is planned, which takes time.

    Raises:
        ToolkitError: when there are too many.
    """
    cells = math.prod(len(axis.variations) for axis in axes if axis)
    if cells > MAX_CELLS:
        raise ToolkitError(f"This study has {cells} images, but at most {MAX_CELLS} are allowed: use fewer values.")
    return cells


def check_limits(study: Study, context: Context) -> None:
    """Makes sure that the values along a study's axes are within the host's limits, as those of the controls are.

    Raises:
        ToolkitError: when they are not.
    """
    settings = context.settings
    if max(study.size) > settings.max_size:
        raise ToolkitError(f"Images may have at most {settings.max_size} pixels a side here: use smaller sizes.")
    varied = [*study.rows.variations, *study.columns.variations]
    if max(each.fields.get("iterations", 0) for each in varied) > settings.max_iterations:
        raise ToolkitError(f"Images may take at most {settings.max_iterations} iterations here: use smaller numbers.")


def steps(study: Study, job: Job) -> Iterator[Step]:
    """The steps to show until study or job end: every finished image, and one step a second."""
    shown = float("-inf")
    for step in study:
        if step.finished or job.should_end or time.monotonic() - shown > SECONDS_PER_PREVIEW:
            yield step
            shown = time.monotonic()
        if job.should_end:
            return


def ending(study: Study, job: Job) -> str:
    """How it ended, and how many images there are.

    Raises:
        ToolkitError: why, when no image could be made.
    """
    errors = [cell.error for cell in study.cells.values() if cell.image is None]
    made, count = len(study.cells) - len(errors), count_cells(study.rows, study.columns)
    if errors and not made:
        raise ToolkitError(errors[0])
    return " ".join([f"{job.ending}: {made} of {count} images in {job.elapsed:.0f} s.", *errors[:1]])


def status(step: Step, job: Job) -> str:
    """How far the study is."""
    left = job.left(job.elapsed / max(step.done, 1) * (step.total - step.done))
    return f"Iteration {step.done} of {step.total} · {left:.0f} s left"
