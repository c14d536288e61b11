"""What to make: one validated object that holds everything a result depends on, and travels inside the picture."""

from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from ..errors import ToolkitError
from ..images.colour import Colour
from .losses import Formula

SynthesisName = Literal["transfer", "reconstruction", "texture", "amalgamation"]
Start = Literal["content", "style", "noise", "grey", "image"]
Precision = Literal["float32", "bfloat16", "mixed"]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LayerWeights = dict[str, Weight]

CONTENT_LAYERS: LayerWeights = {"relu4_2": 1.0}
STYLE_LAYERS: LayerWeights = {f"relu{block}_1": 0.2 for block in range(1, 6)}

#: What distinguishes the four syntheses; they share one engine.
PRESETS: dict[SynthesisName, dict[str, Any]] = {
    "transfer": {"content_layers": CONTENT_LAYERS, "style_layers": STYLE_LAYERS, "start": "content"},
    "reconstruction": {"content_layers": CONTENT_LAYERS, "start": "noise"},
    "texture": {"style_layers": STYLE_LAYERS, "start": "noise"},
    # Coarse levels would wash away what it starts from.
    "amalgamation": {"content_layers": CONTENT_LAYERS, "start": "style", "levels": 1},
}


class Ingredients(BaseModel):
    """What a result was made from: SHA-256 fingerprints of the network and of the pictures' pixels as opened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    toolkit: str
    network: str
    content: str | None = None
    styles: tuple[str, ...] = ()
    start: str | None = None
    masks: tuple[str, ...] = ()


class Recipe(BaseModel):
    """Everything that determines a result. ``Recipe.preset`` fills in what belongs to each synthesis."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    synthesis: SynthesisName
    content_layers: LayerWeights = Field({}, description="weight of each layer's content loss")
    style_layers: LayerWeights = Field({}, description="weight of each layer's style loss")
    content_weight: Weight = Field(1.0, description="alpha, the weight of the content losses")
    style_weight: Weight = Field(100.0, description="beta, the weight of the style losses")
    style_image_weights: tuple[Weight, ...] = Field((), description="share of each style image; empty: equal shares")
    total_variation_weight: Weight = Field(0.0, description="weight of the total variation")
    formula: Formula = Field("mean", description="means of squares, or the paper's sums")
    start: Start = Field("content", description="the image that the optimisation starts from")
    size: int = Field(512, ge=16, le=16384, description="longest side of the result in pixels")
    optimizer: Literal["lbfgs", "adam"] = Field("lbfgs", description="L-BFGS, or Adam with an averaged iterate")
    levels: int = Field(4, ge=1, le=4, description="sizes from coarse to fine, each twice the one before")
    style_scale: float = Field(1.0, gt=0, le=4, description="size of the style image over that of the result")
    colour: Colour = Field("style", description="the style's colours, or one of the ways to keep the content's")
    evaluations: int = Field(300, ge=1, le=100_000, description="evaluations of loss and gradient, over all levels")
    early_stop: bool = Field(True, description="end a size, or its bfloat16, when more evaluations no longer pay")
    precision: Precision = Field("mixed", description="of the network's arithmetic; mixed rounds only what changed")
    seed: int = Field(0, ge=0, lt=2**63, description="of the noise")
    made_from: Ingredients | None = Field(None, description="fingerprints, filled in by the engine")

    @pydantic.model_validator(mode="after")
    def _has_something_to_do(self) -> "Recipe":
        content = self.content_weight and any(self.content_layers.values())
        style = self.style_weight and any(self.style_layers.values())
        if not (content or style):
            raise ValueError("there is nothing to optimise: give a content or a style layer a weight above zero")
        if self.style_image_weights and not any(self.style_image_weights):
            raise ValueError("at least one style image needs a weight above zero")
        return self

    @classmethod
    def preset(cls, synthesis: SynthesisName, **wishes: Any) -> "Recipe":
        """The recipe of one of the four syntheses, with fields of one's own.

        Raises:
            ToolkitError: when a field is unknown or its value out of range.
        """
        return cls.checked({"synthesis": synthesis, **PRESETS.get(synthesis, {}), **wishes})

    @classmethod
    def checked(cls, fields: Any) -> "Recipe":
        """A recipe out of plain data, its faults put in one sentence.

        Raises:
            ToolkitError: when a field is missing, unknown or out of range.
        """
        try:
            return cls.model_validate(fields)
        except pydantic.ValidationError as error:
            raise ToolkitError(_sentence(error)) from error

    @classmethod
    def from_json(cls, text: str | bytes) -> "Recipe":
        """The recipe that ``to_json`` wrote.

        Raises:
            ToolkitError: when it is no JSON, or no recipe.
        """
        try:
            return cls.model_validate_json(text)
        except pydantic.ValidationError as error:
            raise ToolkitError(_sentence(error)) from error

    def to_json(self) -> str:
        """All fields, as indented JSON."""
        return self.model_dump_json(indent=2)

    def with_(self, **wishes: Any) -> "Recipe":
        """A copy with some fields changed, checked like any other.

        Raises:
            ToolkitError: when a field is unknown or its value out of range.
        """
        return self.checked({**self.model_dump(), **wishes})


def parse_layers(text: str) -> LayerWeights:
    """``relu1_1, relu2_1=0.5`` as weights by layer; layers without a weight share one evenly.

    Raises:
        ToolkitError: when a weight is no number.
    """
    parts = [part.partition("=") for part in text.replace(" ", "").split(",") if part]
    try:
        return {name: float(weight) if weight else 1 / len(parts) for name, _, weight in parts}
    except ValueError:
        raise ToolkitError(f"{text!r} is no list of layers such as relu1_1,relu2_1=0.5.") from None


def format_layers(layers: LayerWeights) -> str:
    """The text that ``parse_layers`` reads as these weights."""
    even = all(weight == 1 / len(layers) for weight in layers.values())
    return ", ".join(name if even else f"{name}={weight:g}" for name, weight in layers.items())


def _sentence(error: pydantic.ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"The recipe is not valid: {f'{where}: ' if where else ''}{message}."
