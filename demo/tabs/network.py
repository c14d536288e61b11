"""The network tab: what normalisation changes, and the network's files."""

import json
from collections.abc import Iterator

import gradio as gr
import pandas as pd
import torch

from toolkit.network import Network

from ..components.atlas import Atlases, atlas_section
from ..components.controls import network_choice
from ..components.tour import add_tour
from ..context import Context
from ..endpoints import Updates, listen, offer, session
from ..examples.measured import Measured, kept, measured
from ..tours import units

#: Colours of both plots.
COLOURS = {"before": "#ea580c", "after": "#4f46e5"}

STYLE = f"""<style>.means svg {{ width: 100%; height: auto; }}
.means text {{ font: 12px system-ui, sans-serif; fill: currentColor; }} .means line {{ stroke: #9ca3af55; }}
.means .before {{ fill: {COLOURS["before"]}; }} .means .after {{ fill: {COLOURS["after"]}; }}
.means b {{ display: inline-block; width: .8em; height: .8em; margin: 0 .4em 0 1em; }}</style>"""

KEY = (
    "<p>How many filters have which mean activation, in each layer, measured on four photographs: "
    f"<b style='background: {COLOURS['before']}'></b>before, "
    f"<b style='background: {COLOURS['after']}'></b>after normalisation</p>"
)

#: Columns of the plot of losses.
COLUMNS = ("layer", "style loss (log10)", "network")

INTRODUCTION = """\
In a VGG that was trained on ImageNet, some filters have a mean activation a thousand times that of others.
Normalisation divides the weights of each filter by its mean activation, and multiplies the next layer's weights to
match. The network computes the same function, and every layer counts equally in the losses. A network that was trained
with batch normalisation starts closer to a mean activation of one.
"""


def network_tab(context: Context, tab: gr.Tab) -> None:
    """Fills the tab, which is the current one."""
    atlases = Atlases(context)
    gr.Markdown(INTRODUCTION)
    add_tour(context, units(context, atlases))
    network = network_choice(context)
    with gr.Row():
        with gr.Column(scale=1, min_width=340):
            means = gr.HTML(label="Mean activations", elem_id="means")
        with gr.Column(scale=1, min_width=340):
            layer, loss, kind = COLUMNS
            losses = gr.ScatterPlot(
                x=layer,
                y=loss,
                color=kind,
                color_map=COLOURS,
                label="Style loss of a photograph against a painting, in each layer",
                elem_id="style-losses",
                buttons=[],
            )
            files = gr.File(label="Download", file_count="multiple", interactive=False, elem_id="files")
            with gr.Accordion("Where it comes from", open=False):
                provenance = gr.JSON(label="Provenance", show_label=False)
            words = gr.Textbox(label="Style losses and provenance", visible=False)
    atlas_section(context, atlases, network)

    known: dict[str, Updates] = {}

    def measure(request: gr.Request, network: Network) -> Measured:
        with context.jobs.run(session(request), "network") as job:
            return measured(network.at(torch.device(job.device), torch.float32))

    def describe(request: gr.Request, network: str) -> Iterator[Updates]:
        """Tells what normalisation changed in a network, and gives its files."""
        if network not in known:
            normalized = context.network(network)
            made = kept(normalized) or measure(request, normalized)
            plot = pd.DataFrame(made.losses, columns=list(COLUMNS))
            known[network] = {
                means: f"{STYLE}<div class=means>{KEY}{made.means}</div>",
                losses: plot,
                files: [str(path) for path in context.files.get(network, [])],
                provenance: normalized.provenance,
                words: f"{plot.to_string(index=False)}\n{json.dumps(normalized.provenance)}",
            }
        yield known[network]

    controls = {"network": network}
    offer(describe, controls, None, words, files, name="network")
    for event in (tab.select, network.input):
        listen(event, describe, controls, [means, losses, files, provenance, words], show_progress="minimal")
