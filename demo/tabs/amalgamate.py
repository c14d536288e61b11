"""The amalgamation tab: one image takes on the content of another, as one layer sees it."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from torch import Tensor

from toolkit.synthesis import Recipe, Synthesis

from ..components.controls import network_choice, relu_layers, size_and_iterations
from ..components.finished import MADE_BEFORE, pair
from ..components.images import examples, image_input, named, opened, opened_with_alpha
from ..components.job_controls import start_and_stop
from ..components.live_image import LiveImage
from ..context import Context
from ..endpoints import Updates
from ..examples.finished import IMPRINTED

INTRODUCTION = """\
The second image is changed until one layer sees the content of the first image in it. There is no style loss. The
deeper the layer, the more of the second image stays.
"""


def amalgamate_tab(context: Context) -> None:
    """Fills the current ``gr.Tab``."""
    recipe = IMPRINTED.recipe
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        with gr.Column(scale=1, min_width=340):
            photograph = named(context.photographs, IMPRINTED.photograph)
            painting = named(context.paintings, IMPRINTED.style)
            with gr.Row():
                content = image_input("Content", "The image to imprint", photograph, "amalgamate-content")
                start = image_input("Start image", "The image to start from", painting, "amalgamate-style")
            run, stop = start_and_stop("Imprint", "imprint", "amalgamate-stop")
            examples("Contents", context.photographs, content)
            examples("Start images", context.paintings, start)
        with gr.Column(scale=1, min_width=340):
            finished, status = pair(context.photographs, IMPRINTED), MADE_BEFORE.format(IMPRINTED.size, "Imprint")
            live = LiveImage(context, "amalgamate", run, stop, first=finished, status=status)
    with gr.Row():
        with gr.Column(scale=1, min_width=340):
            layer = gr.Dropdown(
                relu_layers(context),
                value=next(iter(recipe.content_layers)),
                label="Layer",
                info="The layer whose content is compared",
                elem_id="layer",
            )
            size, iterations = size_and_iterations(context, recipe.size, recipe.iterations)
            network = network_choice(context)
        with gr.Column(scale=1, min_width=340):
            live.losses.render()

    def amalgamate(
        request: gr.Request, content: str | None, start: str | None, layer: str, network: str, **fields: Any
    ) -> Iterator[Updates]:
        """Imprints the content image on another image, as one layer sees it."""

        def make(device: str) -> tuple[Synthesis, Tensor]:
            before, begun = opened_with_alpha(content, "content"), opened(start, "start")
            recipe = Recipe.preset("amalgamation", content_layers={layer: 1.0}, **fields)
            chosen = context.network(network)
            return Synthesis(chosen, recipe, content=before[:, :3], styles=[begun], device=device), before

        yield from live.show(request, make)

    controls = {
        "content": content,
        "start": start,
        "layer": layer,
        "size": size,
        "iterations": iterations,
        "network": network,
    }
    live.offer_image(amalgamate, controls)
    live.connect(run.click, amalgamate, controls, live.outputs)
