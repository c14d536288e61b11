"""The transfer tab's further styles: their regions of the photograph, and the parts of the styles that count."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import torch
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.pictures.io import fit, to_picture
from toolkit.synthesis import suggest_regions

from ..context import Context
from ..endpoints import QUICK, Updates, listen
from ..jobs import Job
from .choices import Choices
from .images import as_file, opened
from .live_image import LiveImage
from .regions import COLOURS, NAMES, STYLES, painted, parts
from .transfers import opened_styles

#: Longest side in pixels of the content image that regions are painted on.
EDITOR = 640

REGIONS = """\
Paint on the photograph where each style belongs: green for the second, blue for the third, yellow for the fourth.
The rest gets the first style. If you paint nothing, the styles are mixed everywhere.
"""

PARTS = "**Where each region takes its style** · only what is shown here counts"

SUGGESTED = (
    "Each region is painted in the colour of the style that looks most like it. Correct it with brush and eraser, and "
    "press **Paint**. It goes by texture, not by meaning."
)


class MoreStyles:
    """An accordion with up to three further styles. Its images join the choices.

    Args:
        context: what the host offers.
        live: runs the search for regions and tells how it went.
        choices: of the transfer; its photograph is what regions are painted on.
    """

    def __init__(self, context: Context, live: LiveImage, choices: Choices) -> None:
        self.context, self.live, self.choices = context, live, choices
        with gr.Accordion("More styles and regions", open=False):
            self.more_styles = gr.Gallery(
                label=f"Up to {STYLES - 1} more styles",
                type="filepath",
                file_types=["image"],
                interactive=True,
                columns=3,
                height=180,
                sources=["upload", "clipboard"],
                elem_id="more-styles",
            )
            choices.add("style_image_weights")
            gr.Markdown(REGIONS)
            self.suggest = gr.Button("Suggest regions", elem_id="suggest")
            self.regions = gr.ImageEditor(
                _editable(choices.content.value["path"]),
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
                    self.whole = gr.Button("Use whole styles", size="sm", scale=0, min_width=130, elem_id="whole")
                self.style_parts = gr.Gallery(
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
        choices.images |= {
            "more_styles": self.more_styles,
            "regions": self.regions,
            "style_parts": self.style_parts,
        }

    def suggest_them(
        self,
        request: gr.Request,
        content: str | None,
        style: str | None,
        more_styles: list[str],
        network: str,
        seed: int,
    ) -> Iterator[Updates]:
        """Paints for each style the region that looks most like it."""

        def work(job: Job) -> Iterator[Updates]:
            if not more_styles:
                raise ToolkitError("Add a second style first: each region is painted in a style of its own.")
            photograph = opened(content, "content")
            styles = opened_styles(style, more_styles)
            chosen = self.context.network(network).at(torch.device(job.device), torch.float32)
            suggested = suggest_regions(chosen, photograph, styles, len(styles), seed)
            with tempfile.TemporaryDirectory() as folder:
                yield {
                    self.regions: painted(suggested, to_picture(fit(photograph, EDITOR)), EDITOR),
                    self.live.status: SUGGESTED,
                    self.style_parts: [
                        (as_file(part, Path(folder) / f"{name}.png"), name)
                        for name, part in zip(NAMES, parts(suggested, styles), strict=False)
                    ],
                    self.parts_shown: gr.update(visible=True),
                }

        yield from self.live.run(request, work)

    def use_whole_styles(self) -> Updates:
        """Forgets the parts, which were found for other images or are not wanted."""
        return {self.style_parts: [], self.parts_shown: gr.Column(visible=False)}

    def show_photograph(self, content: str | None) -> Updates:
        """Regions are painted on the photograph that is chosen."""
        return {self.regions: _editable(content)}

    def connect(self) -> None:
        """Connects it, once all choices are laid out."""
        choices, outputs = self.choices, [self.style_parts, self.parts_shown]
        looked_at = {name: choices.inputs[name] for name in ("content", "style", "more_styles", "network", "seed")}
        self.live.connect(self.suggest.click, self.suggest_them, looked_at, [self.regions, self.live.status, *outputs])
        for changed in (self.whole.click, choices.content.change, choices.style.change, self.more_styles.change):
            listen(changed, self.use_whole_styles, {}, outputs, **QUICK)
        listen(choices.content.change, self.show_photograph, {"content": choices.content}, [self.regions], **QUICK)


def _editable(path: str | None) -> Image.Image | None:
    """The content image to paint regions on. None if it cannot be read: the job says why when it starts."""
    try:
        return to_picture(fit(opened(path, "content"), EDITOR))
    except ToolkitError:
        return None
