"""Controls made from the recipe's fields, and the choices that several tabs share."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from toolkit.fields import described
from toolkit.synthesis import Recipe
from toolkit.synthesis.notation import STRENGTHS, as_text

from ..context import Context

#: The recipe whose values the page shows at first.
DEFAULTS = Recipe.preset("transfer")
FIELDS = {field.name: field for field in described(Recipe, DEFAULTS)}

#: Least width of a slider in pixels: beside its label it shows its number, whatever the language.
SLIDER = 220

#: Words for the style weights that have one.
WORDS = {weight: word for word, weight in STRENGTHS.items()}


def control(name: str, label: str, **properties: Any) -> Any:
    """The control of a recipe's field: type, limits, default and help are the field's.

    Numbers get a slider when ``step`` is given, else a number box; choices a dropdown; layers and weights a text box.

    Args:
        name: of the field.
        label: shown on the page.
        properties: of the component, in place of the field's, such as ``value`` or ``maximum``.
    """
    field = FIELDS[name]
    value = as_text(field.default)
    common = {"value": value, "label": label, "info": field.help[0].upper() + field.help[1:]}
    if field.choices:
        return gr.Dropdown(**{"choices": list(field.choices), **common, **properties})
    if isinstance(value, str):
        return gr.Textbox(**common, **properties)
    least = field.limits.get("ge", field.limits.get("gt"))
    precision = 0 if field.kind == "integer" else None
    limits = {"minimum": least, "maximum": field.limits.get("le"), "precision": precision}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if "step" in properties:
        return gr.Slider(**{**given, **common, **properties}, min_width=SLIDER)
    return gr.Number(**{**given, **common, **properties})


def size_and_iterations(context: Context, size: int, iterations: int) -> tuple[gr.Slider, gr.Slider]:
    """Sliders within the host's limits; the tab chooses the values shown at first."""
    largest, most = context.settings.max_size, context.settings.max_iterations
    with gr.Row():
        return (
            # Deep layers see nothing in less than 64 pixels.
            control(
                "size",
                "Size",
                value=min(size, largest),
                minimum=min(64, largest),
                maximum=largest,
                step=1 if largest % 32 else 32,
            ),
            control("iterations", "Iterations", value=min(iterations, most), maximum=most, step=1),
        )


def network_choice(context: Context) -> gr.Dropdown:
    """The networks on offer; hidden when there is only one."""
    return gr.Dropdown(
        list(context.networks),
        value=context.default,
        label="Network",
        info="The normalised network that compares images",
        visible=len(context.networks) > 1,
    )


def relu_layers(context: Context) -> list[str]:
    """The ReLU layers of the default network, first to last."""
    network = context.networks[context.default]
    return [layer.name for layer in network.architecture.layers if layer.kind == "relu"]


def follow(
    choice: gr.Radio | gr.Dropdown, table: dict[str, list[Any]], controls: Sequence[gr.components.Component]
) -> None:
    """Sets controls to the table's values for a choice, in the browser."""
    choice.input(None, choice, list(controls), js=f"choice => ({json.dumps(table)})[choice]", api_visibility="private")
