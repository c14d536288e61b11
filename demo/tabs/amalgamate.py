"""The amalgamation tab: a content image imprinted on a style image, as far as one layer sees it."""

from collections.abc import Iterator

import gradio as gr
from torch import Tensor

from toolkit.synthesis import Recipe, Synthesis

from ..components.inputs import examples, layers_of, named, network_choice, opened, picture, size_and_length
from ..components.job_controls import Updates
from ..components.live_image import Easel
from ..context import Studio

INTRODUCTION = """\
No style loss here: the optimisation starts from the second picture and is asked only for the content of the first, at
one layer. The deeper the layer, the more of the second picture it leaves standing.
"""


def amalgamate_tab(studio: Studio) -> None:
    """Lays out the tab inside the current ``gr.Blocks`` and wires it."""
    with gr.Tab("Amalgamate", id="amalgamate"):
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                with gr.Row():
                    content = picture(
                        "Content", "What to imprint", named(studio.photographs, "chelsea"), "amalgamate-content"
                    )
                    style = picture(
                        "Ground",
                        "What to imprint it on",
                        named(studio.drawings, "night_swirls"),
                        "amalgamate-style",
                    )
                with gr.Row():
                    run = gr.Button("Imprint", variant="primary", elem_id="imprint")
                    stop = gr.Button("Stop", interactive=False, elem_id="amalgamate-stop")
                examples("Contents", studio.photographs, content)
                examples("Grounds", studio.drawings, style)
            with gr.Column(scale=1, min_width=340):
                easel = Easel(studio, "amalgamate", run, stop)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                layer = gr.Dropdown(layers_of(studio), value="relu5_1", label="Layer", elem_id="layer")
                size, length = size_and_length(studio, 384, 50)
                network = network_choice(studio)
            with gr.Column(scale=1, min_width=340):
                easel.curve.render()

    def amalgamate(
        request: gr.Request,
        content: str | None = None,
        ground: str | None = None,
        layer: str = "relu5_1",
        size: int = 384,
        length: int = 50,
        network: str = "",
    ) -> Iterator[Updates]:
        """Imprints the content image on another, as far as a layer sees it.

        Args:
            request: who asks.
            content: the picture to imprint.
            ground: the picture that it starts from.
            layer: where the content is compared, relu1_1 to relu5_4.
            size: longest side of the result in pixels.
            length: number of evaluations.
            network: which of the networks on offer.
        """

        def make(device: str) -> tuple[Synthesis, Tensor]:
            before = opened(content, "content")
            recipe = Recipe.preset(
                "amalgamation",
                content_layers={layer: 1.0},
                **studio.limits.granted(size, length),
            )
            styles = [opened(ground, "ground")]
            return Synthesis(studio.network(network), recipe, content=before, styles=styles, device=device), before

        yield from easel.paint(request, make)

    controls = {"content": content, "ground": style, "layer": layer, "size": size, "length": length, "network": network}
    easel.on(run.click, amalgamate, easel.outputs, inputs_kwargs=controls, api_name="amalgamate")
