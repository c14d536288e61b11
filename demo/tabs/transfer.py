"""The transfer tab: a content image painted in up to four styles."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.images.io import fit, read_recipe, to_picture
from toolkit.synthesis import Recipe, Synthesis
from toolkit.synthesis.notation import STRENGTHS

from ..components.controls import DEFAULTS, as_text, control, follow, network_choice, size_and_iterations
from ..components.images import examples, image_input, named, opened
from ..components.job_controls import QUICK, Updates
from ..components.live_image import LiveImage
from ..components.regions import COLOURS, masks
from ..context import Context
from ..gradio_internals import as_paths

#: Words for the style weights that have one.
WORDS = {weight: word for word, weight in STRENGTHS.items()}

COLOUR_CHOICES = [
    ("from the style", "style"),
    ("from the content: only its brightness is painted", "luminance"),
    ("from the content: the style is given their mean and covariance", "covariance"),
    ("from the content: the style is given their histogram", "histogram"),
]

STATISTIC_CHOICES = [
    ("Gram matrices, as in the paper", "gram"),
    ("means and covariances", "moments"),
    ("Wasserstein distance between them", "wasserstein"),
]

#: What the page can start from. A recipe's other choice, ``image``, is what Continue does.
STARTS = ["content", "style", "noise", "grey"]

#: Longest side in pixels of the content image that regions are painted on.
EDITOR = 640

RESTORED = (
    "The controls now show this image's recipe. Press **Continue** to go on from the image. "
    "To make it again, choose the images that it was made from and press **Paint**."
)

REGIONS = """\
Paint on the content image where each style belongs: green for the second, blue for the third, yellow for the fourth.
The rest gets the first style. If you paint nothing, the styles are mixed everywhere.
"""

#: Most style images.
STYLES = 1 + len(COLOURS)


def transfer_tab(context: Context) -> None:
    """Adds the tab to the current ``gr.Blocks``."""
    with gr.Tab("Transfer", id="transfer"):
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                with gr.Row():
                    content = image_input(
                        "Content", "The image to paint", named(context.photographs, "chelsea"), "content"
                    )
                    style = image_input(
                        "Style", "The image to take the style from", named(context.paintings, "stained_glass"), "style"
                    )
                with gr.Row():
                    run = gr.Button("Paint", variant="primary", elem_id="paint", min_width=80)
                    stop = gr.Button("Stop", interactive=False, elem_id="stop", min_width=80)
                    further = gr.Button("Continue", interactive=False, elem_id="continue", min_width=80)
                    larger = gr.Button("Go larger", interactive=False, elem_id="larger", min_width=80)
                examples("Photographs", context.photographs, content)
                examples("Styles", context.paintings, style)
            with gr.Column(scale=1, min_width=340):
                live = LiveImage(context, "transfer", run, stop, further, larger)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                strength = gr.Radio(
                    [(f"{word} · {weight:g}", word) for word, weight in STRENGTHS.items()],
                    value=WORDS[DEFAULTS.style_weight],
                    label="Strength",
                    info="How much of the style: the style weight under Advanced",
                    elem_id="strength",
                )
                size, iterations = size_and_iterations(context, 384, DEFAULTS.iterations)
                with gr.Row():
                    style_scale = control(
                        "style_scale", "Stroke size", step=0.05, minimum=0.25, info="1 is the size in the style image"
                    )
                    colour = control("colour", "Colours", choices=COLOUR_CHOICES, info="Where the colours come from")
                with gr.Accordion("More styles and regions", open=False):
                    more_styles = as_paths(
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
                    style_image_weights = control("style_image_weights", "Weights of the styles", placeholder="1, 1")
                    gr.Markdown(REGIONS)
                    regions = gr.ImageEditor(
                        _editable(named(context.photographs, "chelsea")),
                        label="Regions",
                        type="pil",
                        sources=[],
                        transforms=[],
                        brush=gr.Brush(colors=list(COLOURS), color_mode="fixed", default_size=24),
                        layers=False,
                        format="png",
                        elem_id="regions",
                    )
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
                        start = control("start", "Start", choices=STARTS)
                        optimizer = control("optimizer", "Optimizer", choices=[("L-BFGS", "lbfgs"), ("Adam", "adam")])
                    with gr.Row():
                        total_variation_weight = control("total_variation_weight", "Smoothness")
                        seed = control("seed", "Seed")
            with gr.Column(scale=1, min_width=340):
                live.losses.render()
                recipe = gr.File(
                    label="Drop a PNG made here to use its recipe",
                    file_types=[".png"],
                    height=130,
                    elem_id="recipe",
                )

    images = {"content": content, "style": style, "more_styles": more_styles, "regions": regions}
    fields = {
        "style_weight": style_weight,
        "style_image_weights": style_image_weights,
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

    def transfer(request: gr.Request, **values: Any) -> Iterator[Updates]:
        """Paints the content image in the style of other images."""
        yield from live.show(request, lambda device: _synthesis(context, device, **values))

    def go_on(request: gr.Request, result: str | None, **values: Any) -> Iterator[Updates]:
        def make(device: str) -> tuple[Synthesis, Tensor]:
            # The coarse levels are behind it.
            again = {**values, "start": "image", "levels": 1}
            return _synthesis(context, device, start_image=opened(result, "start"), **again)

        yield from live.show(request, make)

    def double(size: float) -> float:
        return min(2 * size, context.settings.max_size)

    def restore(path: str | None) -> list[Any]:
        if path is None:
            return [gr.skip()] * len(restored)
        try:
            with Path(path).open("rb") as file:
                recipe = Recipe.from_json(read_recipe(file))
            if recipe.synthesis != "transfer":
                raise ToolkitError(f"This is the recipe of a {recipe.synthesis}, not of a transfer.")
        except ToolkitError as error:
            raise gr.Error(str(error), print_exception=False) from error
        shown = {name: as_text(getattr(recipe, name)) for name in fields} | {
            "size": min(recipe.size, context.settings.max_size),
            "iterations": min(recipe.iterations, context.settings.max_iterations),
            "start": recipe.start if recipe.start in STARTS else DEFAULTS.start,
        }
        name = context.name_of(recipe.made_from.network if recipe.made_from else "")
        ready = gr.update(interactive=True)
        return [path, RESTORED, ready, ready, WORDS.get(recipe.style_weight), name, *shown.values()]

    live.connect(run.click, transfer, controls, live.outputs, api_name="transfer")
    with_result = {"result": live.result, **controls}
    live.connect(further.click, go_on, with_result, live.outputs, api_visibility="private")
    doubled = larger.click(double, size, size, **QUICK)
    live.connect(doubled.then, go_on, with_result, live.outputs, api_visibility="private")
    restored = [live.result, live.status, further, larger, strength, network, *fields.values()]
    recipe.upload(restore, recipe, restored, **QUICK)
    content.change(_editable, content, regions, **QUICK)
    follow(strength, {word: [weight] for word, weight in STRENGTHS.items()}, [style_weight])
    words = json.dumps({f"{weight:g}": word for weight, word in WORDS.items()})
    style_weight.input(
        None, style_weight, strength, js=f"weight => [({words})[weight] ?? null]", api_visibility="private"
    )


def _synthesis(
    context: Context,
    device: str,
    content: str | None,
    style: str | None,
    more_styles: list[str],
    regions: dict[str, Any] | None,
    network: str,
    start_image: Tensor | None = None,
    **fields: Any,
) -> tuple[Synthesis, Tensor]:
    """A transfer from the controls' values, and its content image. Empty texts stand for the usual values."""
    before = opened(content, "content")
    styles = [opened(path, "style") for path in [style, *more_styles[: STYLES - 1]]]
    recipe = Recipe.preset("transfer", **{name: value for name, value in fields.items() if value != ""})
    synthesis = Synthesis(
        context.network(network),
        recipe,
        content=before,
        styles=styles,
        masks=masks(regions, len(styles)),
        start=start_image,
        device=device,
    )
    return synthesis, before


def _editable(path: str | None) -> Image.Image | None:
    """The content image to paint regions on. None if it cannot be read: the job says why when it starts."""
    try:
        return to_picture(fit(opened(path, "content"), EDITOR))
    except ToolkitError:
        return None
