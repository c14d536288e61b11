"""The network tab: what normalisation does, seen, and the files to take along."""

import functools
import math
from typing import Any

import gradio as gr
import pandas as pd

from toolkit.images.io import fit
from toolkit.network import Network
from toolkit.normalize import example_stream, original
from toolkit.normalize.measure import measure
from toolkit.normalize.report import distributions
from toolkit.synthesis import Recipe
from toolkit.synthesis.objective import Objective

from ..components.atlas import atlas_part
from ..components.inputs import named, network_choice, opened
from ..context import Studio

#: Colours of the distributions, as the report's, and of its type.
STYLE = """<style>.means { --before: #ea580c; --after: #4f46e5; --rule: #9ca3af55; }
.means svg { width: 100%; height: auto; } .means text { font: 12px system-ui, sans-serif; fill: currentColor; }
.means line { stroke: var(--rule); } .means .before { fill: var(--before); } .means .after { fill: var(--after); }
.means b { display: inline-block; width: .8em; height: .8em; margin: 0 .4em 0 1em; }</style>"""

KEY = (
    "<p>How many filters have which mean activation, layer by layer, over four photographs: "
    "<b style='background: var(--before)'></b>before, <b style='background: var(--after)'></b>after normalisation</p>"
)

#: Longest side of the pictures whose losses are shown.
SIZE = 256

INTRODUCTION = """\
The filters of a VGG trained on ImageNet differ in their mean activation by three orders of magnitude. Dividing each
filter's weights by it, and multiplying what the next layer makes of it, leaves what the network computes as it was, and
gives every layer the same say in the losses. A network trained with batch normalisation, as the bundled one was, starts
closer to one than the original VGG.
"""


def network_tab(studio: Studio) -> None:
    """Lays out the tab inside the current ``gr.Blocks`` and wires it."""
    with gr.Tab("Network", id="network") as tab:
        gr.Markdown(INTRODUCTION)
        network = network_choice(studio)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                means = gr.HTML(label="Mean activations", elem_id="means")
            with gr.Column(scale=1, min_width=340):
                losses = gr.ScatterPlot(
                    x="layer",
                    y="style loss (log10)",
                    color="network",
                    label="Style loss of a photograph against a painting, layer by layer",
                    elem_id="style-losses",
                    buttons=[],
                )
                files = gr.File(label="Take it along", file_count="multiple", interactive=False, elem_id="files")
                with gr.Accordion("Where it comes from", open=False):
                    provenance = gr.JSON(label="Provenance", show_label=False)

        atlas_part(studio, network)

    @functools.cache
    def described(name: str) -> tuple[str, pd.DataFrame, list[str], dict[str, Any]]:
        chosen = studio.network(name)
        before = original(chosen)
        content = fit(opened(named(studio.photographs, "rocket"), "content"), SIZE)
        style = fit(opened(named(studio.drawings, "night_swirls"), "style"), SIZE)
        rows = [
            (layer.removeprefix("style "), math.log10(max(loss, 1e-12)), kind)
            for kind, network in (("before", before), ("after", chosen))
            for layer, loss in Objective(network, Recipe.preset("transfer"), content, [style])(content).losses.items()
            if layer.startswith("style")
        ]
        table = pd.DataFrame(rows, columns=["layer", "style loss (log10)", "network"])
        drawn = _means(before, chosen)
        return drawn, table, [str(path) for path in studio.files.get(name, [])], chosen.provenance

    def describe(network: str = "") -> tuple[str, pd.DataFrame, list[str], dict[str, Any]]:
        """Tells what normalisation did to a network, and gives its files.

        Args:
            network: which of the networks on offer.
        """
        return described(network or studio.default)

    outputs = [means, losses, files, provenance]
    tab.select(describe, network, outputs, api_visibility="private", show_progress="minimal")
    network.input(describe, network, outputs, api_name="network", show_progress="minimal")


def _means(before: Network, after: Network) -> str:
    sums = measure([before, after], example_stream()).sums
    return f"{STYLE}<div class=means>{KEY}{distributions(*(each.means() for each in sums))}</div>"
