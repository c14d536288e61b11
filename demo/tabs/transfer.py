"""The transfer tab: a content image painted in up to four styles."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.images.io import fit, read_recipe, to_picture
from toolkit.synthesis import Recipe, Synthesis
from toolkit.synthesis.recipe import CONTENT_LAYERS, STYLE_LAYERS, format_layers, parse_layers

from ..components.inputs import examples, follow, named, network_choice, opened, picture, size_and_length
from ..components.job_controls import QUICK, Updates
from ..components.live_image import Easel
from ..components.regions import COLOURS, masks
from ..context import Studio

#: What a preset sets; strength is the decimal logarithm of the style weight.
PRESETS: dict[str, dict[str, Any]] = {
    "Balanced": {"strength": 2.0, "style_scale": 1.0, "colour": "style"},
    "Strong": {"strength": 3.0, "style_scale": 1.0, "colour": "style"},
    "Fine strokes": {"strength": 2.0, "style_scale": 0.5, "colour": "style"},
    "Broad strokes": {"strength": 2.0, "style_scale": 1.8, "colour": "style"},
    "My colours": {"strength": 2.0, "style_scale": 1.0, "colour": "covariance"},
}

#: Longest side of the content that regions are painted on.
EDITOR = 640

RESTORED = (
    "The recipe is in place. Press **Continue** to go on from this picture, "
    "or choose the pictures that it was made from and press **Paint**."
)

REGIONS = """\
Paint on the photograph where each style is to show: green for the second, blue for the third, yellow for the fourth.
What you leave bare is the first one's. Paint nothing, and the styles blend.
"""

#: Styles at most.
STYLES = 1 + len(COLOURS)


def transfer_tab(studio: Studio) -> None:
    """Lays out the tab inside the current ``gr.Blocks`` and wires it."""
    with gr.Tab("Transfer", id="transfer"):
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                with gr.Row():
                    content = picture("Content", "What to paint", named(studio.photographs, "chelsea"), "content")
                    style = picture("Style", "Whose style to take", named(studio.drawings, "stained_glass"), "style")
                with gr.Row():
                    run = gr.Button("Paint", variant="primary", elem_id="paint", min_width=80)
                    stop = gr.Button("Stop", interactive=False, elem_id="stop", min_width=80)
                    further = gr.Button("Continue", interactive=False, elem_id="continue", min_width=80)
                    larger = gr.Button("Go larger", interactive=False, elem_id="larger", min_width=80)
                examples("Photographs", studio.photographs, content)
                examples("Styles", studio.drawings, style)
            with gr.Column(scale=1, min_width=340):
                easel = Easel(studio, "transfer", run, stop, further, larger)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                preset = gr.Radio(list(PRESETS), value="Balanced", label="Preset", elem_id="preset")
                strength = gr.Slider(
                    0,
                    4,
                    value=2,
                    step=0.1,
                    label="Strength of the style",
                    info="0 a hint · 1 gentle · 2 balanced · 3 strong · 4 all style",
                )
                size, length = size_and_length(studio, 384, 150)
                with gr.Accordion("More styles, and where each shows", open=False):
                    more_styles = gr.Gallery(
                        label=f"Up to {STYLES - 1} more styles",
                        type="filepath",
                        interactive=True,
                        columns=3,
                        height=180,
                        sources=["upload", "clipboard"],
                        elem_id="more-styles",
                    )
                    more_styles.preprocess = _paths  # type: ignore
                    shares = gr.Textbox(
                        "",
                        label="Shares",
                        placeholder="1, 1",
                        info="How much of each style, the first one's first",
                    )
                    gr.Markdown(REGIONS)
                    regions = gr.ImageEditor(
                        _editable(named(studio.photographs, "chelsea")),
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
                    network = network_choice(studio)
                    with gr.Row():
                        colour = gr.Dropdown(
                            [
                                ("the style's", "style"),
                                ("mine: brightness is painted, colours stay", "luminance"),
                                ("mine: the style takes on their mean and spread", "covariance"),
                                ("mine: the style takes on their histogram", "histogram"),
                            ],
                            value="style",
                            label="Colours",
                        )
                        style_scale = gr.Slider(
                            0.25, 2, value=1, step=0.05, label="Stroke size", info="1 as in the style"
                        )
                    content_layers = gr.Textbox(format_layers(CONTENT_LAYERS), label="Content layers")
                    style_layers = gr.Textbox(
                        format_layers(STYLE_LAYERS),
                        label="Style layers",
                        info="relu3_1=2 weighs one",
                    )
                    with gr.Row():
                        start = gr.Dropdown(
                            ["content", "style", "noise", "grey"],
                            value="content",
                            label="Start",
                            info="The first image",
                        )
                        optimizer = gr.Dropdown(["lbfgs", "adam"], value="lbfgs", label="Optimizer")
                    with gr.Row():
                        smoothness = gr.Number(0, minimum=0, label="Smoothness", info="Weight of the total variation")
                        seed = gr.Number(0, minimum=0, precision=0, label="Seed", info="Of the noise")
            with gr.Column(scale=1, min_width=340):
                easel.curve.render()
                recipe = gr.File(
                    label="Drop a PNG made here for its recipe",
                    file_types=[".png"],
                    height=130,
                    elem_id="recipe",
                )

    controls = {
        "content": content,
        "style": style,
        "more_styles": more_styles,
        "shares": shares,
        "regions": regions,
        "strength": strength,
        "size": size,
        "length": length,
        "colour": colour,
        "style_scale": style_scale,
        "content_layers": content_layers,
        "style_layers": style_layers,
        "start": start,
        "optimizer": optimizer,
        "smoothness": smoothness,
        "seed": seed,
        "network": network,
    }

    def transfer(
        request: gr.Request,
        content: str | None = None,
        style: str | None = None,
        more_styles: list[str] | None = None,
        shares: str = "",
        regions: dict[str, Any] | None = None,
        strength: float = 2.0,
        size: int = 384,
        length: int = 150,
        colour: str = "style",
        style_scale: float = 1.0,
        content_layers: str = "",
        style_layers: str = "",
        start: str = "content",
        optimizer: str = "lbfgs",
        smoothness: float = 0.0,
        seed: int = 0,
        network: str = "",
        start_image: str | None = None,
    ) -> Iterator[Updates]:
        """Paints the content image in the style of others, showing it as it goes.

        Args:
            request: who asks.
            content: the picture to paint.
            style: the picture that lends its style.
            more_styles: up to three more of them.
            shares: how much of each style, the first one's first, such as "2, 1"; even when empty.
            regions: the content with the styles' regions painted on it: green for the second, then blue, yellow.
            strength: decimal logarithm of the style weight, 0 to 4.
            size: longest side of the result in pixels.
            length: number of evaluations.
            colour: whose colours; style, or a way to keep the content's: luminance, covariance, histogram.
            style_scale: size of the strokes, 1 as in the style.
            content_layers: such as "relu4_2".
            style_layers: such as "relu1_1, relu2_1=0.5".
            start: the first image: content, style, noise or grey.
            optimizer: lbfgs or adam.
            smoothness: weight of the total variation.
            seed: of the noise.
            network: which of the networks on offer.
            start_image: a picture to go on from.
        """

        def make(device: str) -> tuple[Synthesis, Tensor]:
            before = opened(content, "content")
            styles = [opened(path, "style") for path in [style, *(more_styles or [])[: STYLES - 1]]]
            recipe = Recipe.preset(
                "transfer",
                style_weight=10.0 ** float(strength),
                style_image_weights=_numbers(shares),
                **studio.limits.granted(size, length),
                colour=colour,
                style_scale=style_scale,
                content_layers=parse_layers(content_layers) or CONTENT_LAYERS,
                style_layers=parse_layers(style_layers) or STYLE_LAYERS,
                start="image" if start_image else start,
                # What goes on from a picture has been coarse already.
                levels=1 if start_image else 4,
                optimizer=optimizer,
                total_variation_weight=smoothness or 0,
                seed=int(seed or 0),
            )
            synthesis = Synthesis(
                studio.network(network),
                recipe,
                content=before,
                styles=styles,
                masks=masks(regions, len(styles)),
                start=opened(start_image, "start") if start_image else None,
                device=device,
            )
            return synthesis, before

        yield from easel.paint(request, make)

    def go_on(request: gr.Request, result: str | None = None, **wishes: Any) -> Iterator[Updates]:
        yield from transfer(request, start_image=result, **wishes)

    def double(size: float) -> float:
        return min(2 * size, studio.limits.size)

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
        again = gr.update(interactive=True)
        return [path, RESTORED, again, again, *_as_controls(recipe, studio).values()]

    easel.on(run.click, transfer, easel.outputs, inputs_kwargs=controls, api_name="transfer")
    going_on = {"result": easel.result, **controls}
    easel.on(further.click, go_on, easel.outputs, inputs_kwargs=going_on, api_visibility="private")
    doubled = larger.click(double, size, size, **QUICK)
    easel.on(doubled.then, go_on, easel.outputs, inputs_kwargs=going_on, api_visibility="private")
    names = _as_controls(Recipe.preset("transfer"), studio)
    restored = [easel.result, easel.status, further, larger, *(controls[name] for name in names)]
    recipe.upload(restore, recipe, restored, **QUICK)
    content.change(_editable, content, regions, **QUICK)
    follow(preset, {name: list(values.values()) for name, values in PRESETS.items()}, [strength, style_scale, colour])


def _as_controls(recipe: Recipe, studio: Studio) -> dict[str, Any]:
    """What the controls show for a recipe, by name."""
    return {
        "strength": round(math.log10(max(recipe.style_weight, 1.0)), 2),
        "shares": ", ".join(f"{share:g}" for share in recipe.style_image_weights),
        "size": min(recipe.size, studio.limits.size),
        "length": min(recipe.evaluations, studio.limits.evaluations),
        "colour": recipe.colour,
        "style_scale": recipe.style_scale,
        "content_layers": format_layers(recipe.content_layers),
        "style_layers": format_layers(recipe.style_layers),
        "start": "content" if recipe.start == "image" else recipe.start,
        "optimizer": recipe.optimizer,
        "smoothness": recipe.total_variation_weight,
        "seed": recipe.seed,
        "network": studio.named_by(recipe.made_from.network if recipe.made_from else ""),
    }


def _editable(path: str | None) -> Image.Image | None:
    """The content as something to paint regions on; nothing when it can't be read, of which painting tells."""
    try:
        return to_picture(fit(opened(path, "content"), EDITOR))
    except ToolkitError:
        return None


def _paths(payload: Any) -> list[str]:
    """The files of a gallery, left for the toolkit to open."""
    return [item.image.path for item in payload.root] if payload else []


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ToolkitError(f"{text!r} is no list of shares such as 2, 1.") from None
