"""A report of a normalisation: one HTML page that loads nothing, with what was measured, checked and skipped."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..templates import render
from .facts import QUANTILES, facts
from .measure import Measurement
from .normalize import Normalized

TEMPLATE = Path(__file__).with_name("report.html.jinja")

#: In pixels, of the drawing: a layer's row, the space left of it, the whole width. And into how many bins a row falls.
ROW, LEFT, WIDTH, BINS = 26, 70, 900, 90


def report(results: Sequence[Normalized], measurement: Measurement) -> str:
    """The HTML page on what ``normalize`` returned."""
    networks = [(each.network, distributions(each.network.mean_activations, each.remeasured)) for each in results]
    return render(TEMPLATE, networks=networks, quantiles=QUANTILES, **facts(measurement, results))


def distributions(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> str:
    """An SVG, one row for each layer: how many filters have which mean activation, before and after.

    Both are (O) by convolution, and bear the class of their name; the second may be empty.
    """
    positive = torch.cat([mean[mean > 0] for means in (before, after) for mean in means.values()]).log10()
    low, high = math.floor(float(positive.min())), math.ceil(float(positive.max()) + 1e-9)
    height = ROW * len(before) + 30
    span = WIDTH - LEFT - 20
    step = (high - low) / BINS
    marks = []
    for power in range(low, high + 1):
        x = LEFT + span * (power - low) / (high - low)
        marks.append(f"<line x1={x:.0f} x2={x:.0f} y1=0 y2={height - 24} />")
        marks.append(f"<text x={x:.0f} y={height - 8} text-anchor=middle>{10.0**power:g}</text>")
    for row, name in enumerate(before):
        base = ROW * (row + 1) - 4
        marks.append(f"<text x=0 y={base}>{name.replace('conv', 'relu')}</text>")
        for means, kind in ((before, "before"), (after, "after")):
            if name not in means:
                continue
            logs = means[name][means[name] > 0].log10()
            # Bins are centred on round numbers, so that means of one fall into one of them.
            counts = torch.histc(logs.float(), BINS + 1, low - step / 2, high + step / 2)
            tops = counts / counts.max().clamp(min=1) * (ROW - 6)
            marks += [
                f"<rect class={kind} x={LEFT + span * (bin - 0.5) / BINS:.1f} y={base - top:.1f} "
                f"width={span / BINS - 1:.1f} height={top:.1f} />"
                for bin, top in enumerate(tops.tolist())
                if top > 0
            ]
    label = "Mean activations before and after"
    return f"<svg viewBox='0 0 {WIDTH} {height}' role=img aria-label='{label}'>{''.join(marks)}</svg>"
