"""The amalgamation tab: one image takes on the content of another, as one layer sees it."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from torch import Tensor

from toolkit.synthesis import Recipe, Synthesis

from ..components.controls import network_choice, relu_layers, size_and_iterations
from ..components.images import examples, image_input, named, opened, opened_with_alpha
from ..components.job_controls import Updates
from ..components.live_image import LiveImage
from ..context import Context

INTRODUCTION = """\
The second image is changed until one layer sees the content of the first image in it. There is no style loss. The
deeper the layer, the more of the second image stays.
"""


def amalgamate_tab(context: Context) -> None:
    """Adds the tab to the current ``gr.Blocks``."""
    with gr.Tab("Amalgamate", id="amalgamate"):
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                with gr.Row():
                    content = image_input(
                        "Content", "The image to imprint", named(context.photographs, "chelsea"), "amalgamate-content"
                    )
                    ground = image_input(
                        "Ground",
                        "The image to start from",
                        named(context.paintings, "night_swirls"),
                        "amalgamate-style",
                    )
                with gr.Row():
                    run = gr.Button("Imprint", variant="primary", elem_id="imprint")
                    stop = gr.Button("Stop", interactive=False, elem_id="amalgamate-stop")
                examples("Contents", context.photographs, content)
                examples("Grounds", context.paintings, ground)
            with gr.Column(scale=1, min_width=340):
                live = LiveImage(context, "amalgamate", run, stop)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                layer = gr.Dropdown(
                    relu_layers(context),
                    value="relu5_1",
                    label="Layer",
                    info="The layer whose content is compared",
                    elem_id="layer",
                )
                size, iterations = size_and_iterations(context, 384, 50)
                network = network_choice(context)
            with gr.Column(scale=1, min_width=340):
                live.losses.render()

    def amalgamate(
        request: gr.Request, content: str | None, ground: str | None, layer: str, network: str, **fields: Any
    ) -> Iterator[Updates]:
        """Imprints the content image on another image, as one layer sees it."""

        def make(device: str) -> tuple[Synthesis, Tensor]:
            before, start = opened_with_alpha(content, "content"), opened(ground, "ground")
            recipe = Recipe.preset("amalgamation", content_layers={layer: 1.0}, **fields)
            there = context.network(network)
            return Synthesis(there, recipe, content=before[:, :3], styles=[start], device=device), before

        yield from live.show(request, make)

    controls = {
        "content": content,
        "ground": ground,
        "layer": layer,
        "size": size,
        "iterations": iterations,
        "network": network,
    }
    live.connect(run.click, amalgamate, controls, live.outputs, api_name="amalgamate")
