"""The transfer tab's further styles: their regions of the photograph, and the parts of the styles that count."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.pictures.io import fit, to_picture
from toolkit.synthesis import suggest_regions

from ..context import Context
from ..gradio_internals import as_paths
from ..jobs import Job
from .controls import control
from .images import as_file, opened
from .job_controls import QUICK, Updates
from .live_image import LiveImage
from .regions import COLOURS, NAMES, STYLES, painted, parts
from .transfers import opened_styles

#: Longest side in pixels of the content image that regions are painted on.
EDITOR = 640

REGIONS = """\
Paint on the content image where each style belongs: green for the second, blue for the third, yellow for the fourth.
The rest gets the first style. If you paint nothing, the styles are mixed everywhere.
"""

PARTS = "**Their parts of the styles** · each region takes its style from what is shown here"

SUGGESTED = (
    "Each region is painted in the colour of the style that looks most like it. Correct it with brush and eraser, and "
    "press **Paint**. It goes by texture, not by meaning."
)


class MoreStyles:
    """An accordion with up to three further styles. ``images`` are its inputs of a transfer by name.

    Args:
        photograph: the path of the image that regions are painted on at first.
    """

    def __init__(self, photograph: str) -> None:
        with gr.Accordion("More styles and regions", open=False):
            self.more_styles = as_paths(
                gr.Gallery(
                    label=f"Up to {STYLES - 1} more styles",
                    type="filepath",
                    interactive=True,
                    columns=3,
                    height=180,
                    sources=["upload", "clipboard"],
                    elem_id="more-styles",
                )
            )
            self.style_image_weights = control("style_image_weights", "Weights of the styles", placeholder="1, 1")
            gr.Markdown(REGIONS)
            self.suggest = gr.Button("Suggest regions", elem_id="suggest")
            self.regions = gr.ImageEditor(
                _editable(photograph),
                label="Regions",
                type="pil",
                sources=[],
                transforms=[],
                brush=gr.Brush(colors=list(COLOURS), color_mode="fixed", default_size=24),
                layers=False,
                canvas_size=(EDITOR, EDITOR),
                format="png",
                elem_id="regions",
            )
            with gr.Column(visible=False) as self.parts_shown:
                with gr.Row(equal_height=True):
                    gr.Markdown(PARTS, elem_classes="strip-title")
                    self.whole = gr.Button("Use all of them", size="sm", scale=0, min_width=120, elem_id="whole")
                self.style_parts = as_paths(
                    gr.Gallery(
                        label="Parts of the styles",
                        show_label=False,
                        columns=2,
                        height=190,
                        object_fit="contain",
                        allow_preview=False,
                        interactive=False,
                        buttons=[],
                        elem_id="parts",
                    )
                )
        self.images = {"more_styles": self.more_styles, "regions": self.regions, "style_parts": self.style_parts}

    def connect(
        self,
        context: Context,
        live: LiveImage,
        content: gr.Image,
        style: gr.Image,
        network: gr.Dropdown,
        seed: Any,
    ) -> None:
        """Has regions suggested on demand, and what was suggested for other images forgotten."""

        def suggest_them(
            request: gr.Request, content: str | None, style: str | None, more_styles: list[str], network: str, seed: int
        ) -> Iterator[Updates]:
            def work(job: Job) -> Iterator[Updates]:
                if not more_styles:
                    raise ToolkitError("Add a second style first: each region is painted in a style of its own.")
                photograph = opened(content, "content")
                chosen = opened_styles(style, more_styles)
                there = context.network(network).at(torch.device(job.device), torch.float32)
                found = suggest_regions(there, photograph, chosen, len(chosen), int(seed))
                with tempfile.TemporaryDirectory() as folder:
                    own = [
                        (as_file(part, Path(folder) / f"{name}.png"), name)
                        for name, part in zip(NAMES, parts(found, chosen), strict=False)
                    ]
                    yield {
                        self.regions: painted(found, to_picture(fit(photograph, EDITOR)), EDITOR),
                        live.status: SUGGESTED,
                        self.style_parts: own,
                        self.parts_shown: gr.update(visible=True),
                    }

            yield from live.run(request, work)

        looked_at = {
            "content": content,
            "style": style,
            "more_styles": self.more_styles,
            "network": network,
            "seed": seed,
        }
        suggested = [self.regions, live.status, self.style_parts, self.parts_shown]
        live.connect(self.suggest.click, suggest_them, looked_at, suggested, api_visibility="private")
        for event in (self.whole.click, content.change, style.change, self.more_styles.change):
            event(lambda: [[], gr.Column(visible=False)], None, [self.style_parts, self.parts_shown], **QUICK)
        content.change(_editable, content, self.regions, **QUICK)


def _editable(path: str | None) -> Image.Image | None:
    """The content image to paint regions on. None if it cannot be read: the job says why when it starts."""
    try:
        return to_picture(fit(opened(path, "content"), EDITOR))
    except ToolkitError:
        return None
