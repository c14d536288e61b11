"""The transfer tab: a content image painted in up to four styles."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.synthesis import Synthesis
from toolkit.synthesis.notation import STRENGTHS

from ..components import settings_text
from ..components.choices import Choices
from ..components.controls import DEFAULTS, WORDS, network_choice, size_and_iterations
from ..components.finished import MADE_BEFORE, finished_strip, pair
from ..components.four_ways import SMALL, FourWays
from ..components.images import examples, image_input, named, opened, strip
from ..components.job_controls import start_and_stop
from ..components.live_image import LiveImage
from ..components.more_styles import MoreStyles
from ..components.sharing import RESTORED, Sharing
from ..components.transfers import recipe_of, small_study, synthesis_of
from ..context import Context
from ..endpoints import QUICK, Updates, listen, session
from ..examples.finished import FINISHED, SIZE
from ..jobs import Job

FINISHED_STATUS = MADE_BEFORE.format(SIZE, "Paint")


class TransferTab:
    """What is in the current ``gr.Tab``: layout, handlers, which return updates by component, and events.

    Args:
        context: what the host offers.
        tabs: the page's.
    """

    def __init__(self, context: Context, tabs: gr.Tabs) -> None:
        self.context, self.tabs = context, tabs
        self.finished = [pair(context.photographs, each) for each in FINISHED]
        with gr.Row(elem_classes="beside"):
            with gr.Column(scale=2, min_width=340):
                self._lay_out_choice()
            with gr.Column(scale=3, min_width=340):
                self._lay_out_result()
        with gr.Row():
            with gr.Column(scale=2, min_width=340):
                self._lay_out_settings()
            with gr.Column(scale=3, min_width=340):
                self.live.losses.render()
        self._connect()

    def _lay_out_choice(self) -> None:
        first, context = FINISHED[0], self.context
        photograph, painting = named(context.photographs, first.photograph), named(context.paintings, first.style)
        with gr.Row():
            content = image_input("Photograph", "The image to paint", photograph, "content")
            style = image_input("Style", "The image to take the style from", painting, "style")
        strength = gr.Radio(
            list(STRENGTHS), value=WORDS[DEFAULTS.style_weight], label="How much style", elem_id="strength"
        )
        self.choices = Choices(content, style, strength)
        self.run, self.stop = start_and_stop("Paint", "paint", "stop", size="lg")
        with gr.Column(elem_classes="secondary"):
            with gr.Row():
                self.further = gr.Button("Refine further", elem_id="continue", min_width=80)
                self.larger = gr.Button("Double the size", elem_id="larger", min_width=80)
            self.ways = FourWays()
        examples("Photographs", context.photographs, content)
        examples("Styles", context.paintings, style)

    def _lay_out_result(self) -> None:
        self.live = LiveImage(
            self.context,
            "transfer",
            self.run,
            self.stop,
            self.further,
            self.larger,
            self.ways.run,
            first=self.finished[0],
            status=FINISHED_STATUS,
        )
        with self.live.tabs, gr.Tab("Four ways", id="ways"):
            self.ways.gallery.render()
        with gr.Column(elem_classes="strips"):
            gr.Markdown("**Finished pictures** · click one to start from it", elem_classes="strip-title")
            self.gallery = finished_strip()
            with gr.Column(visible=False) as self.yours:
                with gr.Row(equal_height=True):
                    gr.Markdown("**Your pictures** · click one to go on from it", elem_classes="strip-title")
                    self.forget = gr.Button("Clear", size="sm", scale=0, min_width=80, elem_id="forget")
                self.own = strip([], len(FINISHED), elem_id="own")

    def _lay_out_settings(self) -> None:
        choices, fields = self.choices, self.choices.fields
        fields["size"], fields["iterations"] = size_and_iterations(self.context, 384, DEFAULTS.iterations)
        with gr.Row():
            choices.add("style_scale")
            choices.add("colour")
        self.more = MoreStyles(self.context, self.live, choices)
        with gr.Accordion("Advanced", open=False):
            choices.network = network_choice(self.context)
            for name in ("style_weight", "style_statistic", "finish", "content_layers", "style_layers"):
                choices.add(name)
            for pair in (("start", "optimizer"), ("total_variation_weight", "seed")):
                with gr.Row():
                    for name in pair:
                        choices.add(name)
        self.sharing = Sharing(self.context, self.live, choices)

    # Jobs

    def transfer(self, request: gr.Request, **values: Any) -> Iterator[Updates]:
        """Paints the content image in the style of other images."""
        yield from self.live.show(request, lambda device: synthesis_of(self.context, device, **values))

    def go_on(self, request: gr.Request, result: str | None, **values: Any) -> Iterator[Updates]:
        """Goes on from the result."""

        def make(device: str) -> tuple[Synthesis, Tensor]:
            # The coarse levels are behind it.
            again = {**values, "start": "image", "levels": 1}
            return synthesis_of(self.context, device, start_image=opened(result, "start"), **again)

        yield from self.live.show(request, make)

    def four_ways(self, request: gr.Request, by: str, **values: Any) -> Iterator[Updates]:
        """Makes four small pictures of the same images with different settings."""

        def work(job: Job) -> Iterator[Updates]:
            yield from self.ways.make(
                by, lambda axis: small_study(self.context, job, axis, **values), job, self.live.status
            )

        yield from self.live.run(request, work)

    # What takes no time

    def double(self, size: int) -> Updates:
        """Twice the size, within the host's limit."""
        return {self.choices.fields["size"]: min(2 * size, self.context.settings.max_size)}

    def start_from(self, event: gr.SelectData) -> Updates:
        """A finished example comes into view, with everything that it was made from."""
        example, (before, after) = FINISHED[event.index], self.finished[event.index]
        return {
            self.choices.content: named(self.context.photographs, example.photograph),
            self.choices.style: named(self.context.paintings, example.style),
            **self.live.shows(before, after, FINISHED_STATUS),
            **self.choices.shows(settings_text.shown(self.context, example.recipe)),
        }

    def pick(self, event: gr.SelectData, pictures: list[str]) -> Updates:
        """One of the four ways: its picture becomes the result, and its settings those of the controls."""
        return {self.live.result: pictures[event.index], **self.choices.shows(self.ways.fields(event.value["caption"]))}

    def from_elsewhere(self, content: str | None, style: str | None, picture: str) -> Updates:
        """A picture of another tab comes here, to be gone on from in the size and with the iterations chosen here.

        Args:
            content: the path of its content image.
            style: that of its style image.
            picture: its own; it holds its recipe.

        Raises:
            ToolkitError: when the picture is no transfer of a network that is here.
        """
        recipe, made_from = recipe_of(picture)
        shown = settings_text.shown(self.context, recipe, made_from)
        if made_from is None or self.context.name_of(made_from.network) is None:
            raise ToolkitError("The Transfer tab has normalised networks only: choose a picture that one of them made.")
        del shown["size"], shown["iterations"]
        return {
            self.tabs: gr.Tabs(selected="transfer"),
            self.choices.content: content,
            self.choices.style: style,
            self.more.more_styles: [],
            self.live.result: picture,
            **self.choices.shows(shown),
        }

    def made_by(self, request: gr.Request) -> list[tuple[str, str, str]]:
        """The visitor's finished pictures, newest first: files before and after, and the whole picture."""
        works = self.context.visits.works(session(request))
        whole, comparison = self.live.download.whole, self.live.comparison
        return [(*work.value(comparison), work.value(whole)) for work in works if work.value(whole)]

    def show_made(self, request: gr.Request) -> Updates:
        """The strip shows what the visitor has made by now."""
        made = [after for _, after, _ in self.made_by(request)]
        return {self.own: made, self.yours: gr.Column(visible=bool(made))}

    def show_own(self, event: gr.SelectData, request: gr.Request) -> Updates:
        """One of the visitor's own pictures comes into view, with its recipe."""
        made = self.made_by(request)
        if event.index >= len(made):
            raise ToolkitError("This picture is no longer on the server: make it again.")
        before, after, whole = made[event.index]
        recipe = settings_text.shown(self.context, *recipe_of(after))
        return {**self.live.shows(before, after, RESTORED, whole), **self.choices.shows(recipe)}

    def clear(self, request: gr.Request) -> Updates:
        """Forgets what the visitor has made in this tab, and deletes it."""
        self.context.visits.forget(session(request), self.live.status)
        return self.show_made(request)

    # Events

    def go_on_after(self, event: Callable[..., Any]) -> None:
        """Goes on from the result after an event, such as ``event.success``."""
        self._paint(event, self.go_on, {"result": self.live.result, **self.choices.inputs})

    @property
    def elsewhere(self) -> list[Any]:
        """What ``from_elsewhere`` updates."""
        choices = self.choices
        images = [choices.content, choices.style, self.more.more_styles]
        return [self.tabs, self.live.result, *images, *choices.settings]

    def _paint(self, event: Callable[..., Any], function: Callable[..., Any], controls: Mapping[str, Any]) -> None:
        ended = self.live.connect(event, function, controls, self.live.outputs)
        listen(ended.success, self.show_made, {}, [self.own, self.yours], **QUICK)

    def _connect(self) -> None:
        live, ways, choices = self.live, self.ways, self.choices
        size, controls = choices.fields["size"], choices.inputs
        small = {"by": ways.by, **{name: each for name, each in controls.items() if name not in SMALL}}
        live.offer_image(self.transfer, controls)
        live.offer(self.four_ways, small, ways.sheet, ways.gallery)

        doubled = listen(self.larger.click, self.double, {"size": size}, [size], **QUICK)
        result = [live.result, *choices.settings]
        picked = listen(ways.gallery.select, self.pick, {"pictures": ways.gallery}, result, **QUICK)
        self._paint(self.run.click, self.transfer, controls)
        for event in (self.further.click, doubled.then, picked.then):
            self.go_on_after(event)
        live.connect(ways.run.click, self.four_ways, small, [ways.gallery, live.status], view="ways")

        view = [*live.view, *choices.settings]
        begun = listen(self.gallery.select, self.start_from, {}, [choices.content, choices.style, *view], **QUICK)
        shown = listen(self.own.select, self.show_own, {}, view, **QUICK)
        for event in (begun.then, shown.then):
            live.download.offer(event)
        for event, function in ((self.forget.click, self.clear), (self.context.visits.came_back, self.show_made)):
            listen(event, function, {}, [self.own, self.yours], **QUICK)
        choices.connect()
        self.more.connect()
        self.sharing.connect()
