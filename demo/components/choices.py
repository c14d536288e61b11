"""What a visitor chooses for a transfer: images, the recipe's fields, and the network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from toolkit.synthesis.notation import STRENGTHS

from ..endpoints import Controls, Updates
from .controls import WORDS, control, follow

#: What the page can start from, in words. A recipe's other choice, ``image``, is what **Refine further** does.
STARTS = {"content": "The photograph", "style": "The style image", "noise": "Random noise", "grey": "Plain grey"}

#: The recipe's fields that have a control: what the control has in place of the field's own words and limits.
FIELDS: dict[str, dict[str, Any]] = {
    "style_weight": {"label": "Style weight", "info": "Weight of the style loss; that of the content loss is 1"},
    "style_image_weights": {"label": "Weights of the styles", "placeholder": "1, 1"},
    "size": {"label": "Size"},
    "iterations": {"label": "Iterations"},
    "colour": {
        "label": "Colours",
        "info": "Where the colours come from",
        "choices": [
            ("From the style", "style"),
            ("From the content: only its brightness is painted", "luminance"),
            ("From the content: the style takes on the mean and covariance of its colours", "covariance"),
            ("From the content: the style takes on the histogram of its colours", "histogram"),
        ],
    },
    "style_scale": {"label": "Stroke size", "step": 0.05, "minimum": 0.25, "info": "1 is the size in the style image"},
    "style_statistic": {
        "label": "Style statistic",
        "info": "Which statistic of the features defines style",
        "choices": [
            ("Means and covariances", "moments"),
            ("Gram matrices, as in the paper", "gram"),
            ("Wasserstein distance between Gaussians", "wasserstein"),
            ("Wasserstein distance by projections: slower", "sliced"),
        ],
    },
    "finish": {"label": "Finish", "info": "How much the last iterations lay strokes of the style image; 0: not at all"},
    "content_layers": {"label": "Content layers"},
    "style_layers": {"label": "Style layers"},
    "start": {"label": "Start", "choices": [(name, start) for start, name in STARTS.items()]},
    "optimizer": {"label": "Optimizer"},
    "total_variation_weight": {"label": "Smoothness"},
    "seed": {"label": "Seed"},
}


@dataclass
class Choices:
    """The controls of a transfer. The tab fills in ``fields`` as it is laid out.

    Args:
        content: the content image.
        style: the style image.
        strength: words for the style weight.
        images: further images by name.
        network: the choice of the network.
        fields: the controls of the recipe's fields by name.
    """

    content: gr.Image
    style: gr.Image
    strength: gr.Radio
    images: dict[str, Any] = field(default_factory=dict)
    network: Any = None
    fields: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str) -> None:
        """Adds the control of a field to what is being laid out."""
        self.fields[name] = control(name, **FIELDS[name])

    @property
    def inputs(self) -> Controls:
        """Everything that a transfer is made from, by name."""
        fields = {name: self.fields[name] for name in FIELDS}
        return {"content": self.content, "style": self.style, **self.images, **fields, "network": self.network}

    @property
    def settings(self) -> list[Any]:
        """The controls that ``shows`` updates."""
        return [self.strength, self.network, *self.fields.values()]

    def shows(self, values: Mapping[str, Any]) -> Updates:
        """Updates of the controls to values by field, and to the network of that name."""
        controls = self.fields | {"network": self.network}
        updates = {controls[name]: value for name, value in values.items() if name in controls}
        if "style_weight" in values:
            updates[self.strength] = WORDS.get(values["style_weight"])
        return updates

    def connect(self) -> None:
        """Has strength and style weight follow each other, in the browser."""
        weight = self.fields["style_weight"]
        follow(self.strength, {word: [number] for word, number in STRENGTHS.items()}, [weight])
        words = json.dumps({f"{number:g}": word for number, word in WORDS.items()})
        js = f"weight => [({words})[weight] ?? null]"
        weight.input(None, weight, self.strength, js=js, api_visibility="private")
