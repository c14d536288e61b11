"""The channel atlas: the image patches that excite a channel most (Zeiler & Fergus 2013)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import torch

from toolkit.atlas import LAYERS, Atlas, Step, example_images, measure
from toolkit.errors import ToolkitError

from ..context import Context
from ..endpoints import QUICK, Updates, handler, listen, offer, session
from ..examples.measured import LAYER, kept_patches
from ..jobs import Job
from .images import as_file

INTRODUCTION = """\
### What a channel looks for
The nine image patches that excite one channel of a layer most, strongest first. Each comes from another image.
"""

#: Shown with an atlas that was made here.
FEW_IMAGES = (
    "From the example images only. `python -m toolkit atlas` makes an atlas from many images, which tells more; "
    "`--atlas` shows it here."
)


class Atlases:
    """The atlases of the networks here: the host's, and those ``made`` from the example images, by network."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.made: dict[str, Atlas] = {} if context.atlas is None else {context.default: context.atlas}

    def make(self, network: str, job: Job) -> Iterator[Step]:
        """Makes the atlas of a network on a job's device, if there is none yet, until the job should end."""
        if network in self.made:
            return
        images = example_images([Path(path) for path in self._context.paintings])
        chosen = self._context.network(network).at(torch.device(job.device), torch.float32)
        for step in measure(chosen, images):
            if step.atlas:
                self.made[network] = step.atlas
            yield step
            if job.should_end:
                return

    def of(self, network: str, session: str) -> Atlas:
        """The atlas of a network; a session's job makes it when there is none yet.

        Raises:
            ToolkitError: when the job ended before.
        """
        if network not in self.made:
            with self._context.jobs.run(session, "atlas") as job:
                for _ in self.make(network, job):
                    pass
                if network not in self.made:
                    raise ToolkitError(f"{job.ending}.")
        return self.made[network]


def atlas_section(context: Context, atlases: Atlases, network: gr.Dropdown) -> None:
    """Adds the section to the current tab. It shows the chosen network's channels."""
    gr.Markdown(INTRODUCTION)
    opening = [] if context.atlas else kept_patches(context.network(context.default))
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            layer = gr.Dropdown(LAYERS, value=LAYER, label="Layer", elem_id="atlas-layer")
            channel = gr.Slider(
                0,
                _last_channel(context, LAYER, context.default),
                value=0,
                step=1,
                label="Channel",
                elem_id="atlas-channel",
            )
            show = gr.Button("Show", elem_id="atlas-show")
            status = gr.Markdown(FEW_IMAGES if opening else "", label="Status", elem_id="atlas-status")
        with gr.Column(scale=2, min_width=340):
            gallery = gr.Gallery(
                opening, label="Patches", columns=5, object_fit="contain", interactive=False, elem_id="atlas-patches"
            )
            sheet = gr.File(label="Patches on one sheet", visible=False)
    # The slider ends where the layer that is chosen does.
    any_channel = gr.Number(0, minimum=0, precision=0, label="Channel", info="Counted from 0", render=False)

    def patches(request: gr.Request, layer: str, channel: int, network: str) -> Iterator[Updates]:
        """Shows the image patches that excite a channel most."""
        if network not in atlases.made:
            yield {status: "Looking at the example images …"}
        atlas = atlases.of(network, session(request))
        if channel >= atlas.channels(layer):
            raise ToolkitError(f"{layer} has the channels 0 to {atlas.channels(layer) - 1}: choose one of these.")
        with tempfile.TemporaryDirectory() as folder:
            yield {
                gallery: [
                    (as_file(patch.picture, Path(folder) / f"{place}.png"), f"{patch.score:.2g}")
                    for place, patch in enumerate(atlas.patches(layer, channel))
                ],
                sheet: as_file(atlas.picture(layer, [channel]), Path(folder) / "patches.png"),
                status: f"From {len(atlas.names):,} images." if atlas is context.atlas else FEW_IMAGES,
            }

    def follow_layer(layer: str, network: str) -> Updates:
        known = opening if (layer, network) == (LAYER, context.default) else []
        told = FEW_IMAGES if known else ""
        last = _last_channel(context, layer, network)
        return {channel: gr.update(maximum=last, value=0), gallery: known, status: told}

    chosen = {"layer": layer, "channel": any_channel, "network": network}
    offer(patches, chosen, sheet, status, gallery, name="atlas", **context.computing)
    gr.on(
        [show.click, channel.release],
        handler(patches, chosen),
        [layer, channel, network],
        [gallery, status, sheet],
        preprocess=False,
        api_visibility="private",
        show_progress="minimal",
        **context.computing,
    )
    for changed in (layer.change, network.change):
        listen(changed, follow_layer, {"layer": layer, "network": network}, [channel, gallery, status], **QUICK)


def _last_channel(context: Context, layer: str, network: str) -> int:
    _, filters = context.network(network).architecture.convolutions[layer.replace("relu", "conv")]
    return filters - 1
