"""The transfer tab: a content image painted in up to four styles."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gradio as gr
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.synthesis import Synthesis
from toolkit.synthesis.notation import STRENGTHS

from ..components import settings_text
from ..components.controls import DEFAULTS, control, follow, network_choice, size_and_iterations
from ..components.download import NOT_YET
from ..components.finished import MOST, finished_strip, pairs, strip
from ..components.four_ways import SMALL, FourWays
from ..components.images import examples, image_input, named, opened
from ..components.job_controls import QUICK, Updates
from ..components.live_image import LiveImage
from ..components.more_styles import MoreStyles
from ..components.settings_text import STARTS
from ..components.sharing import RESTORED, Sharing
from ..components.transfers import recipe_of, small_study, synthesis_of
from ..context import Context
from ..examples.finished import FINISHED, SIZE
from ..jobs import Job

#: Words for the style weights that have one.
WORDS = {weight: word for word, weight in STRENGTHS.items()}

COLOUR_CHOICES = [
    ("from the style", "style"),
    ("from the content: only its brightness is painted", "luminance"),
    ("from the content: the style is given their mean and covariance", "covariance"),
    ("from the content: the style is given their histogram", "histogram"),
]

STATISTIC_CHOICES = [
    ("means and covariances", "moments"),
    ("Gram matrices, as in the paper", "gram"),
    ("Wasserstein distance between Gaussians", "wasserstein"),
    ("Wasserstein distance by projections: slower", "sliced"),
]

FINISHED_STATUS = f"Made at {SIZE} pixels with the settings shown. Press **Paint** to watch it happen."


class Further(NamedTuple):
    """What another tab needs to have a picture of its own gone on from here.

    ``values``: takes the paths of content, style and picture, which holds its recipe, and gives the new values of
    ``outputs``; raises ``ToolkitError`` when the picture is no transfer of a network that is here. ``after``: takes an
    event, such as ``event.success``, to go on after.
    """

    values: Callable[[str | None, str | None, str], list[Any]]
    outputs: list[Any]
    after: Callable[[Callable[..., Any]], Any]


def transfer_tab(context: Context, tabs: gr.Tabs) -> Further:
    """Adds the tab to the current ``gr.Tabs``."""
    finished = pairs(context.photographs)
    first = FINISHED[0]
    with gr.Tab("Transfer", id="transfer"):
        made = gr.State([])
        with gr.Row(elem_classes="beside"):
            with gr.Column(scale=2, min_width=340):
                with gr.Row():
                    content = image_input(
                        "Photograph", "The image to paint", named(context.photographs, first.photograph), "content"
                    )
                    style = image_input(
                        "Style", "The image to take the style from", named(context.paintings, first.style), "style"
                    )
                strength = gr.Radio(
                    list(STRENGTHS),
                    value=WORDS[DEFAULTS.style_weight],
                    label="How much style",
                    elem_id="strength",
                )
                with gr.Row():
                    run = gr.Button("Paint", variant="primary", size="lg", elem_id="paint", scale=2, min_width=120)
                    stop = gr.Button("Stop", interactive=False, size="lg", elem_id="stop", min_width=80)
                with gr.Row():
                    further = gr.Button("Refine further", elem_id="continue", min_width=80)
                    larger = gr.Button("Double the size", elem_id="larger", min_width=80)
                ways = FourWays()
                examples("Photographs", context.photographs, content)
                examples("Styles", context.paintings, style)
            with gr.Column(scale=3, min_width=340):
                live = LiveImage(context, "transfer", run, stop, further, larger, first=finished[0])
                live.status.value = FINISHED_STATUS
                with live.tabs, gr.Tab("Four ways", id="ways"):
                    ways.gallery.render()
                gr.Markdown("**Finished pictures** · click one to start from it", elem_classes="strip-title")
                gallery = finished_strip()
                with gr.Column(visible=False) as yours:
                    with gr.Row(equal_height=True):
                        gr.Markdown("**Your pictures** · click one to go on from it", elem_classes="strip-title")
                        forget = gr.Button("Clear", size="sm", scale=0, min_width=80, elem_id="forget")
                    own = strip("own", [], len(FINISHED))
        with gr.Row():
            with gr.Column(scale=2, min_width=340):
                size, iterations = size_and_iterations(context, 384, DEFAULTS.iterations)
                with gr.Row():
                    style_scale = control(
                        "style_scale", "Stroke size", step=0.05, minimum=0.25, info="1 is the size in the style image"
                    )
                    colour = control("colour", "Colours", choices=COLOUR_CHOICES, info="Where the colours come from")
                more = MoreStyles(named(context.photographs, first.photograph))
                with gr.Accordion("Advanced", open=False):
                    network = network_choice(context)
                    style_weight = control(
                        "style_weight", "Style weight", info="Weight of the style loss; that of the content loss is 1"
                    )
                    style_statistic = control(
                        "style_statistic",
                        "Style statistic",
                        choices=STATISTIC_CHOICES,
                        info="What is compared of the features of two styles",
                    )
                    content_layers = control("content_layers", "Content layers")
                    style_layers = control("style_layers", "Style layers")
                    with gr.Row():
                        start = control("start", "Start", choices=list(STARTS))
                        optimizer = control("optimizer", "Optimizer", choices=[("L-BFGS", "lbfgs"), ("Adam", "adam")])
                    with gr.Row():
                        total_variation_weight = control("total_variation_weight", "Smoothness")
                        seed = control("seed", "Seed")
                sharing = Sharing()
            with gr.Column(scale=3, min_width=340):
                live.losses.render()

    images = {
        "content": content,
        "style": style,
        **more.images,
    }
    fields = {
        "style_weight": style_weight,
        "style_image_weights": more.style_image_weights,
        "size": size,
        "iterations": iterations,
        "colour": colour,
        "style_scale": style_scale,
        "style_statistic": style_statistic,
        "content_layers": content_layers,
        "style_layers": style_layers,
        "start": start,
        "optimizer": optimizer,
        "total_variation_weight": total_variation_weight,
        "seed": seed,
    }
    controls = {**images, **fields, "network": network}
    settings = [strength, network, *fields.values()]

    def transfer(request: gr.Request, **values: Any) -> Iterator[Updates]:
        """Paints the content image in the style of other images."""
        yield from live.show(request, lambda device: synthesis_of(context, device, **values))

    def go_on(request: gr.Request, result: str | None, **values: Any) -> Iterator[Updates]:
        def make(device: str) -> tuple[Synthesis, Tensor]:
            # The coarse levels are behind it.
            again = {**values, "start": "image", "levels": 1}
            return synthesis_of(context, device, start_image=opened(result, "start"), **again)

        yield from live.show(request, make)

    def four_ways(request: gr.Request, by: str, **values: Any) -> Iterator[Updates]:
        """Makes four small pictures of the same images with different settings."""

        def work(job: Job) -> Iterator[Updates]:
            yield from ways.make(by, lambda axis: small_study(context, job, axis, **values), job, live.status)

        yield from live.run(request, work)

    def double(size: float) -> float:
        return min(2 * size, context.settings.max_size)

    def in_controls(shown: dict[str, Any]) -> list[Any]:
        """Updates of ``settings``."""
        return [WORDS.get(shown["style_weight"]), shown["network"], *(shown[name] for name in fields)]

    def start_from(event: gr.SelectData) -> list[Any]:
        """A finished example comes into view, with everything that it was made from."""
        each, (before, after) = FINISHED[event.index], finished[event.index]
        chosen = [named(context.photographs, each.photograph), named(context.paintings, each.style)]
        view = [after, (before, after), gr.Tabs(selected="comparison"), FINISHED_STATUS, NOT_YET, None]
        return [*chosen, *view, *in_controls(settings_text.shown(context, each.recipe))]

    def pick(event: gr.SelectData, pictures: list[tuple[str, str]]) -> list[Any]:
        """One of the four ways: its picture becomes the result, and its settings those of the controls."""
        picture, label = pictures[event.index]
        chosen = ways.fields(label)
        word = WORDS.get(chosen["style_weight"]) if "style_weight" in chosen else gr.skip()
        return [picture, word, gr.skip(), *(chosen.get(name, gr.skip()) for name in fields)]

    def from_elsewhere(content: str | None, style: str | None, picture: str) -> list[Any]:
        """A picture of another tab: as ``pick``, in the size and with the iterations that are chosen here."""
        recipe, made_from = recipe_of(picture)
        shown = settings_text.shown(context, recipe, made_from) | {"size": gr.skip(), "iterations": gr.skip()}
        if made_from is None or context.name_of(made_from.network) is None:
            raise ToolkitError("The Transfer tab has normalised networks only: choose a picture that one of them made.")
        return [gr.Tabs(selected="transfer"), content, style, [], picture, *in_controls(shown)]

    def keep(made: list[Any], comparison: tuple[str, str], whole: str) -> list[Any]:
        """The finished picture joins the visitor's own, newest first."""
        made = [(*comparison, whole), *made][:MOST]
        return [made, [after for _, after, _ in made], gr.Column(visible=True)]

    def show_own(event: gr.SelectData, made: list[Any]) -> list[Any]:
        before, after, whole = made[event.index]
        view = [after, (before, after), gr.Tabs(selected="comparison"), RESTORED, NOT_YET, whole]
        return [*view, *in_controls(settings_text.shown(context, *recipe_of(after)))]

    def clear() -> list[Any]:
        return [[], [], gr.Column(visible=False)]

    with_result = {"result": live.result, **controls}
    small = {"by": ways.by, **{name: each for name, each in controls.items() if name not in SMALL}}
    live.starts.append(ways.run)
    doubled = larger.click(double, size, size, **QUICK)
    picked = ways.gallery.select(pick, ways.gallery, [live.result, *settings], **QUICK)
    private: dict[str, Any] = {"api_visibility": "private"}

    def connect(
        event: Callable[..., Any], function: Callable[..., Any], inputs: dict[str, Any], **options: Any
    ) -> None:
        ended = live.connect(event, function, inputs, live.outputs, **options)
        ended.success(keep, [made, live.comparison, live.download.whole], [made, own, yours], **QUICK)

    def go_on_after(event: Callable[..., Any]) -> None:
        connect(event, go_on, with_result, **private)

    connect(run.click, transfer, controls, api_name="transfer")
    for event in (further.click, doubled.then, picked.then):
        go_on_after(event)
    more.connect(context, live, content, style, network, seed)
    outputs = [ways.gallery, live.status]
    live.connect(ways.run.click, four_ways, small, outputs, view="ways", api_name="four_ways")
    view = [live.result, live.comparison, live.tabs, live.status, live.download.button, live.download.whole]
    begun = gallery.select(start_from, None, [content, style, *view, *settings], **QUICK)
    for shown in (begun, own.select(show_own, made, [*view, *settings], **QUICK)):
        live.download.offer(shown.then)
    forget.click(clear, None, [made, own, yours], **QUICK)
    sharing.connect(context, live, content, style, network, fields, settings, in_controls)
    follow(strength, {word: [weight] for word, weight in STRENGTHS.items()}, [style_weight])
    words = json.dumps({f"{weight:g}": word for weight, word in WORDS.items()})
    style_weight.input(
        None, style_weight, strength, js=f"weight => [({words})[weight] ?? null]", api_visibility="private"
    )
    return Further(from_elsewhere, [tabs, content, style, more.more_styles, live.result, *settings], go_on_after)
