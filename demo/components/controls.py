"""Controls made from the recipe's fields, and the choices that several tabs share."""

import json
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from annotated_types import Ge, Gt, Le

from toolkit.synthesis import Recipe
from toolkit.synthesis.notation import format_layers

from ..context import Context

#: The recipe whose values the page shows at first.
DEFAULTS = Recipe.preset("transfer")


def control(name: str, label: str, **properties: Any) -> Any:
    """The control of a recipe's field: type, limits, default and help are the field's.

    Numbers get a slider when ``step`` is given, else a number box; choices a dropdown; layers and weights a text box.

    Args:
        name: of the field.
        label: shown on the page.
        properties: of the component, in place of the field's, such as ``value`` or ``maximum``.
    """
    field = Recipe.model_fields[name]
    default = getattr(DEFAULTS, name)
    description = str(field.description)
    common = {"value": default, "label": label, "info": description[0].upper() + description[1:]}
    if get_origin(field.annotation) is Literal:
        return gr.Dropdown(**{"choices": list(get_args(field.annotation)), **common, **properties})
    if isinstance(default, dict | tuple):
        return gr.Textbox(**{**common, "value": as_text(default), **properties})
    limits: dict[str, Any] = {}
    for rule in field.metadata:
        match rule:
            case Ge(ge=limit) | Gt(gt=limit):
                limits["minimum"] = limit
            case Le(le=limit):
                limits["maximum"] = limit
    whole = {"precision": 0} if isinstance(default, int) else {}
    make = gr.Slider if "step" in properties else gr.Number
    return make(**{**limits, **whole, **common, **properties})


def as_text(value: Any) -> Any:
    """A field's value as its control shows it."""
    match value:
        case dict():
            return format_layers(value)
        case tuple():
            return ", ".join(f"{weight:g}" for weight in value)
        case _:
            return value


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
