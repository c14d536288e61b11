"""A report of a normalisation, one page of HTML that loads nothing: what was measurement, checked and skipped."""

import html
import json
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .check import spread_around_one
from .measure import Measurement
from .normalize import Normalized

STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --faint: #6b7280; --rule: #d8dbe2; --before: #c2410c;
  --after: #2563eb; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ee; --faint: #9aa2b1; --rule: #343a46; --before: #fb923c;
  --after: #7aa7ff; --paper: #14171d; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .8rem; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { font-weight: 600; color: var(--faint); }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--faint); }
.before { fill: var(--before); } .after { fill: var(--after); } line { stroke: var(--rule); }
.key span { margin-right: 1.5rem; } .key b { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
.scroll { overflow-x: auto; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; color: var(--faint); font-size: .85rem; }
"""

ROW, LEFT, WIDTH, BINS = 26, 70, 900, 90


def report(results: Sequence[Normalized], measurement: Measurement) -> str:
    """The page of HTML.

    Args:
        results: what ``normalize`` returned.
        measurement: likewise, of the pass over the images.
    """
    parts = [
        "<h1>A normalised VGG</h1>",
        f"<p>{measurement.images:,} images were read in {_duration(measurement.seconds)}, {measurement.rate:.1f} a "
        f"second; {measurement.working:.0%} of that time the network worked, the rest it waited for images. "
        f"{len(measurement.skipped):,} files were skipped.</p>",
        *(_network(result) for result in results),
    ]
    if measurement.skipped:
        rows = "".join(f"<tr><td>{_text(n)}</td><td>{_text(r)}</td></tr>" for n, r in measurement.skipped.items())
        parts.append(f"<h2>Skipped</h2><div class=scroll><table>{rows}</table></div>")
    body = "\n".join(parts)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>A normalised VGG</title><style>{STYLE}</style><body>{body}</body></html>\n"
    )


def _network(result: Normalized) -> str:
    before, check = result.mean_activations.means, result.check
    after = check.means or {}
    rows = "".join(
        f"<tr><td>{name.replace('conv', 'relu')}</td>"
        + "".join(f"<td>{_number(value)}</td>" for value in _quartiles(mean))
        + (f"<td>{spread_around_one({name: after[name]}):.1e}</td></tr>" if after else "<td>–</td></tr>")
        for name, mean in before.items()
    )
    again = f"Taken again over {check.images:,} images, mean activations are within <b>{check.spread:.1e}</b> of one. "
    return (
        f"<h2>{_text(result.network.architecture.name)}, {result.network.pooling} pooling</h2>"
        f"<p>The largest relative error of any filter's output, original against result, is "
        f"<b>{check.relative_error:.1e}</b>. {again if after else ''}"
        f"{check.silent} filters never fired and kept their scale.</p>"
        "<p class=key>Mean activations of the filters, layer by layer, on a logarithmic scale: "
        "<span><b style='background:var(--before)'></b>before</span>"
        "<span><b style='background:var(--after)'></b>after</span></p>"
        f"{distributions(before, after)}"
        "<div class=scroll><table><thead><tr><th>layer</th><th>least</th><th>quartile</th><th>median</th>"
        f"<th>quartile</th><th>largest</th><th>after: off one by</th></tr></thead>{rows}</table></div>"
        "<details><summary>Provenance</summary>"
        f"<pre>{_text(json.dumps(result.network.provenance, indent=2))}</pre></details>"
    )


def distributions(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> str:
    """An SVG, one row for each layer: how many filters have which mean activation, before and after.

    Args:
        before: mean activations (O) by convolution; marked with the class ``before``.
        after: likewise, with the class ``after``; may be empty.
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


def _quartiles(mean: Tensor) -> list[float]:
    return [float(value) for value in torch.quantile(mean, torch.linspace(0, 1, 5, dtype=mean.dtype))]


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _text(text: str) -> str:
    return html.escape(text)
