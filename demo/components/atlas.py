"""The channel atlas: what excites a channel most (Zeiler & Fergus 2013)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from toolkit.atlas import LAYERS, Atlas, images_at_hand, measure
from toolkit.errors import ToolkitError

from ..context import Studio
from .inputs import as_file, session
from .job_controls import QUICK

INTRODUCTION = """\
### What a channel looks for
The image patches that excite one channel of a layer most, each from another image, the strongest first.
"""

#: Shown with an atlas made here.
FEW = "From the few photographs and drawings at hand; an atlas of many images tells more (`python -m toolkit atlas`)."


def atlas_part(studio: Studio, network: gr.Dropdown) -> None:
    """Lays out the part inside the current tab and wires it; ``network`` says whose channels."""
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            layer = gr.Dropdown(LAYERS, value=LAYERS[2], label="Layer", elem_id="atlas-layer")
            channel = gr.Slider(0, 63, value=0, step=1, label="Channel", elem_id="atlas-channel")
            show = gr.Button("Show", elem_id="atlas-show")
            told = gr.Markdown(label="Status", elem_id="atlas-status")
        with gr.Column(scale=2, min_width=340):
            gallery = gr.Gallery(
                label="Patches",
                columns=5,
                object_fit="contain",
                interactive=False,
                elem_id="atlas-patches",
            )
    made: dict[str, Atlas] = {}

    def patches(
        request: gr.Request, layer: str = LAYERS[2], channel: int = 0, network: str = ""
    ) -> Iterator[tuple[Any, Any]]:
        """Shows the image patches that excite a channel most.

        Args:
            request: who asks.
            layer: relu1_1, relu2_1, relu3_1, relu4_1 or relu5_1.
            channel: its number, from 0.
            network: which of the networks on offer.
        """
        name = network or studio.default
        try:
            if name not in made:
                with studio.jobs.under_way(session(request), "atlas") as job:
                    yield gr.skip(), "Looking at the pictures at hand …"
                    for step in measure(
                        studio.network(name), images_at_hand([Path(drawing) for drawing in studio.drawings])
                    ):
                        if job.over:
                            yield gr.skip(), f"{job.ending}."
                            return
                        if step.atlas:
                            made[name] = step.atlas
            atlas = made[name]
            if not 0 <= int(channel) < atlas.channels(layer):
                raise ToolkitError(f"{layer} has the channels 0 to {atlas.channels(layer) - 1}.")
        except ToolkitError as error:
            raise gr.Error(str(error), print_exception=False) from error
        own = name == studio.default and studio.atlas is not None
        with tempfile.TemporaryDirectory() as folder:
            found = [
                (as_file(patch.picture, Path(folder) / f"{place}.png"), f"{patch.score:.2g}")
                for place, patch in enumerate(atlas.patches(layer, int(channel)))
            ]
            yield found, f"Of {len(atlas.names):,} images." if own else FEW

    def channels(layer: str, network: str) -> Any:
        _, filters = studio.network(network).architecture.convolutions[layer.replace("relu", "conv")]
        return gr.update(maximum=filters - 1, value=0)

    if studio.atlas is not None:
        made[studio.default] = studio.atlas
    event: dict[str, Any] = {
        "inputs_kwargs": {"layer": layer, "channel": channel, "network": network},
        "outputs": [gallery, told],
        "concurrency_id": "device",
        "concurrency_limit": studio.jobs.places,
        "show_progress": "minimal",
    }
    show.click(patches, api_name="atlas", **event)
    channel.release(patches, api_visibility="private", **event)
    gr.on([layer.input, network.input], channels, [layer, network], channel, **QUICK)
