"""The channel atlas: the image patches that excite a channel most (Zeiler & Fergus 2013)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from toolkit.atlas import LAYERS, Atlas, Step, example_images, measure
from toolkit.errors import ToolkitError

from ..context import Context
from .images import as_file
from .job_controls import QUICK, endpoint, session

INTRODUCTION = """\
### What a channel looks for
The nine image patches that excite one channel of a layer most, strongest first. Each comes from another image.
"""

#: Shown with an atlas that was made here.
FEW_IMAGES = (
    "From the example images only. `python -m toolkit atlas` makes an atlas from many images, which tells more; "
    "`--atlas` shows it here."
)

#: The layer that is chosen at first: its patches show recognisable shapes.
FIRST_LAYER = LAYERS[2]


class Atlases:
    """The atlases of the networks here: the host's, and those ``made`` from the example images, by network."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.made: dict[str, Atlas] = {} if context.atlas is None else {context.default: context.atlas}

    def make(self, network: str) -> Iterator[Step]:
        """Makes the atlas of a network, if there is none yet."""
        if network in self.made:
            return
        images = example_images([Path(path) for path in self._context.paintings])
        for step in measure(self._context.network(network), images):
            if step.atlas:
                self.made[network] = step.atlas
            yield step


def atlas_section(context: Context, atlases: Atlases, network: gr.Dropdown) -> None:
    """Adds the section to the current tab. It shows the chosen network's channels."""
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            layer = gr.Dropdown(LAYERS, value=FIRST_LAYER, label="Layer", elem_id="atlas-layer")
            channel = gr.Slider(
                0,
                _last_channel(context, FIRST_LAYER, context.default),
                value=0,
                step=1,
                precision=0,
                label="Channel",
                elem_id="atlas-channel",
            )
            # Scripts name the channel here, because the slider ends where the layer on the page does.
            any_channel = gr.Number(0, minimum=0, precision=0, label="Channel", info="Counted from 0", visible=False)
            show = gr.Button("Show", elem_id="atlas-show")
            status = gr.Markdown(label="Status", elem_id="atlas-status")
        with gr.Column(scale=2, min_width=340):
            gallery = gr.Gallery(
                label="Patches",
                columns=5,
                object_fit="contain",
                interactive=False,
                elem_id="atlas-patches",
            )

    def patches(request: gr.Request, layer: str, channel: int, network: str) -> Iterator[tuple[Any, Any]]:
        """Shows the image patches that excite a channel most."""
        try:
            if network not in atlases.made:
                with context.jobs.run(session(request), "atlas") as job:
                    yield gr.skip(), "Looking at the example images …"
                    for _ in atlases.make(network):
                        if job.should_end:
                            yield gr.skip(), f"{job.ending}."
                            return
            atlas = atlases.made[network]
            if channel >= atlas.channels(layer):
                raise ToolkitError(f"{layer} has the channels 0 to {atlas.channels(layer) - 1}: choose one of these.")
        except ToolkitError as error:
            raise gr.Error(str(error), print_exception=False) from error
        with tempfile.TemporaryDirectory() as folder:
            found = [
                (as_file(patch.picture, Path(folder) / f"{place}.png"), f"{patch.score:.2g}")
                for place, patch in enumerate(atlas.patches(layer, channel))
            ]
            yield found, f"From {len(atlas.names):,} images." if atlas is context.atlas else FEW_IMAGES

    def follow_layer(layer: str, network: str) -> Any:
        return gr.update(maximum=_last_channel(context, layer, network), value=0)

    def connect(event: Any, channel: Any, **options: Any) -> None:
        controls = {"layer": layer, "channel": channel, "network": network}
        event(
            endpoint(patches, controls),
            inputs_kwargs=controls,
            outputs=[gallery, status],
            concurrency_id="device",
            concurrency_limit=context.jobs.slots,
            show_progress="minimal",
            **options,
        )

    connect(show.click, channel, api_visibility="private")
    connect(channel.release, channel, api_visibility="private")
    connect(any_channel.submit, any_channel, api_name="atlas")
    gr.on([layer.change, network.change], follow_layer, [layer, network], channel, **QUICK)


def _last_channel(context: Context, layer: str, network: str) -> int:
    _, filters = context.network(network).architecture.convolutions[layer.replace("relu", "conv")]
    return filters - 1
