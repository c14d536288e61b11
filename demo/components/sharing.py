"""The transfer tab's settings, passed on and taken back: by a link, a pasted recipe, or a picture."""

import json
from functools import cache
from typing import Any

import gradio as gr

from toolkit.errors import ToolkitError
from toolkit.pictures.formats import FORMATS
from toolkit.pictures.io import open_image
from toolkit.synthesis.inputs import pixels_fingerprint

from ..context import Context
from ..endpoints import QUICK, Updates, listen
from . import settings_text
from .choices import FIELDS, Choices
from .download import NOT_YET
from .job_controls import INTO_VIEW
from .live_image import LiveImage
from .transfers import recipe_of

RESTORED = (
    "The controls now show this image's recipe. Press **Refine further** to go on from the image. "
    "To make much the same again, choose the images that it was made from and press **Paint**: on another machine its "
    "strokes fall differently."
)

#: The same where the images that it was made from are not at hand.
RESTORED_ALONE = (
    "The controls now show this picture's recipe. Choose the photograph and the style that it was made from. "
    "Then Paint makes much the same picture: on another device its strokes fall differently. "
    "Refine further goes on from it."
)

LINK = "Paste a link to this page, or a recipe, and press **Use**. A link holds your settings, but no images of yours."

#: JavaScript: forgets what memory.py keeps of the tab's settings, and opens the page as for a new visitor.
RESET = """() => {
  window.remembers = false;
  try {
    sessionStorage.removeItem("settings");
  } catch {}
  location.assign(location.pathname);
}"""

#: Longest link or recipe in characters: a recipe names every image that it was made from.
LONGEST = 10_000


class Sharing:
    """An accordion for the settings of a transfer.

    Args:
        context: what the host offers.
        live: shows the picture that a recipe is taken from.
        choices: the settings.
    """

    def __init__(self, context: Context, live: LiveImage, choices: Choices) -> None:
        self.context, self.live, self.choices = context, live, choices
        with gr.Accordion("Share and restore", open=False):
            self.link = gr.Button("Get a link to these settings", elem_id="get-link")
            self.text = gr.Textbox(
                label="Link or recipe", lines=2, max_lines=6, max_length=LONGEST, buttons=["copy"], elem_id="link"
            )
            gr.Markdown(LINK)
            self.use = gr.Button("Use", elem_id="use-link")
            self.reset = gr.Button("Back to the usual settings", elem_id="reset")
            self.recipe = gr.File(
                label="Drop an image made here to use its recipe", file_types=[*FORMATS], height=170, elem_id="recipe"
            )
        # The script of the page puts here what is dropped beside all controls.
        self.dropped = gr.File(file_types=[*FORMATS], visible="hidden", elem_id="dropped")

    def restore(self, path: str | None, content: str | None, style: str | None) -> Updates:
        """The recipe in a picture goes to the controls, the picture into view.

        So do the examples that it was made from. Others go, as they would be painted into it.
        """
        if path is None:
            return {}
        try:
            recipe, made_from = recipe_of(path)
            shown = settings_text.shown(self.context, recipe, made_from)
        except ToolkitError as error:
            gr.Warning(str(error))
            return {}
        images: Updates = {}
        for image, now, examples, print_ in (
            (self.choices.content, content, self.context.photographs, made_from and made_from.content),
            (self.choices.style, style, self.context.paintings, made_from and ",".join(made_from.styles)),
        ):
            known = next((each for each in examples if _fingerprint(each) == print_), None)
            if known or settings_text.example(examples, now):
                images[image] = known
        live = self.live
        view = {
            live.result: path,
            live.comparison: None,
            live.tabs: gr.update(selected="image"),
            live.status: RESTORED_ALONE if None in images.values() else RESTORED,
            live.download.button: NOT_YET,
            live.download.whole: path,
        }
        return view | images | self.choices.shows(shown)

    def make_link(self, content: str | None, style: str | None, network: str, **fields: Any) -> Updates:
        """The settings become a link's part after ``?``."""
        return {self.text: settings_text.query(self.context, content, style, network, fields)}

    def use_link(self, text: str) -> Updates:
        """A link or a recipe goes to the controls."""
        try:
            images, shown = settings_text.read(self.context, text)
        except ToolkitError as error:
            gr.Warning(str(error))
            return {}
        by_role = {"content": self.choices.content, "style": self.choices.style}
        return {by_role[role]: path for role, path in images.items()} | self.choices.shows(shown)

    def open_link(self, text: str) -> Updates:
        """As ``use_link``, if the page's own address says anything of settings."""
        return self.use_link(text) if settings_text.is_link(text) else {}

    def connect(self) -> None:
        """Connects it, once all choices are laid out."""
        choices, live, text = self.choices, self.live, {"text": self.text}
        chosen = {name: choices.inputs[name] for name in ("content", "style", "network", *FIELDS)}
        into_view = INTO_VIEW % json.dumps([live.result.elem_id, live.status.elem_id])
        # Only events that pass through the queue can show a warning.
        for file in (self.recipe, self.dropped):
            given = {"path": file, "content": choices.content, "style": choices.style}
            restored = listen(file.upload, self.restore, given, [*live.view, *self.settings], show_progress="hidden")
            live.download.offer(restored.then)
            restored.then(None, None, None, js=into_view, api_visibility="private")
        restored.then(None, None, self.dropped, js="() => [null]", api_visibility="private")  # for the next one
        linked = listen(self.link.click, self.make_link, chosen, [self.text], **QUICK)
        js = "query => `${location.origin}${location.pathname}?${query}`"
        linked.then(None, self.text, self.text, js=js, api_visibility="private")
        self.reset.click(None, None, None, js=RESET, api_visibility="private")
        listen(self.use.click, self.use_link, text, self.settings, show_progress="hidden")

    @property
    def settings(self) -> list[Any]:
        """What a link updates."""
        return [self.choices.content, self.choices.style, *self.choices.settings]


@cache
def _fingerprint(path: str) -> str:
    return pixels_fingerprint(open_image(path))
