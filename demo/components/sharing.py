"""The transfer tab's settings, passed on and taken back: by a link, a pasted recipe, or a picture."""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from toolkit.errors import ToolkitError
from toolkit.pictures.formats import FORMATS

from ..context import Context
from ..gradio_internals import on_load
from . import settings_text
from .download import NOT_YET
from .job_controls import QUICK
from .live_image import LiveImage
from .transfers import recipe_of

RESTORED = (
    "The controls now show this image's recipe. Press **Refine further** to go on from the image. "
    "To make it again, choose the images that it was made from and press **Paint**."
)

LINK = "Paste a link to this page, or a recipe, and press **Use**. A link holds your settings, but no images of yours."

#: Longest link or recipe in characters: a recipe names every image that it was made from.
LONGEST = 10_000


class Sharing:
    """An accordion for the settings of a transfer."""

    def __init__(self) -> None:
        with gr.Accordion("Share and restore", open=False):
            self.link = gr.Button("Get a link to these settings", elem_id="get-link")
            self.text = gr.Textbox(
                label="Link or recipe",
                lines=2,
                max_lines=6,
                max_length=LONGEST,
                buttons=["copy"],
                elem_id="link",
            )
            gr.Markdown(LINK)
            self.use = gr.Button("Use", elem_id="use-link")
            self.recipe = gr.File(
                label="Drop an image made here to use its recipe",
                file_types=[*FORMATS],
                height=170,
                elem_id="recipe",
            )

    def connect(
        self,
        context: Context,
        live: LiveImage,
        content: gr.Image,
        style: gr.Image,
        network: gr.Dropdown,
        fields: Mapping[str, Any],
        settings: list[Any],
        in_controls: Callable[[dict[str, Any]], list[Any]],
    ) -> None:
        """Connects it to the tab.

        Args:
            context: what the host offers.
            live: shows the picture that a recipe is taken from.
            content: the content image.
            style: the style image.
            network: the choice of the network.
            fields: the controls of a recipe's fields, by name.
            settings: all controls that a recipe sets.
            in_controls: makes updates of these from a recipe's fields.
        """
        private: dict[str, Any] = {"api_visibility": "private"}

        def restore(path: str | None) -> list[Any]:
            try:
                shown = settings_text.shown(context, *recipe_of(path)) if path else None
            except ToolkitError as error:
                gr.Warning(str(error))
                shown = None
            if not shown:
                return [gr.skip()] * (4 + len(settings))
            return [path, RESTORED, NOT_YET, path, *in_controls(shown)]

        def make_link(content: str | None, style: str | None, network: str, *values: Any) -> str:
            return settings_text.query(context, content, style, network, dict(zip(fields, values, strict=True)))

        def use_link(text: str) -> list[Any]:
            try:
                images, shown = settings_text.read(context, text)
            except ToolkitError as error:
                gr.Warning(str(error))
                return [gr.skip()] * (2 + len(settings))
            return [*(images.get(role, gr.skip()) for role in ("content", "style")), *in_controls(shown)]

        def open_link(text: str) -> list[Any]:
            return use_link(text) if settings_text.is_link(text) else [gr.skip()] * (2 + len(settings))

        # Only events that pass through the queue can show a warning.
        told: dict[str, Any] = {**private, "show_progress": "hidden"}
        view = [live.result, live.status, live.download.button, live.download.whole]
        restored = self.recipe.upload(restore, self.recipe, [*view, *settings], **told)
        live.download.offer(restored.then)
        linked = self.link.click(make_link, [content, style, network, *fields.values()], self.text, **QUICK)
        linked.then(
            None, self.text, self.text, js="query => `${location.origin}${location.pathname}?${query}`", **private
        )
        self.use.click(use_link, self.text, [content, style, *settings], **told)
        on_load(open_link, self.text, [content, style, *settings], js="() => [location.search]", **told)
