"""What to make: one checked object that holds everything a result depends on, and travels inside the picture."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..choices import Colour, OptimizerName, StatisticName
from ..errors import InputError, ToolkitError, in_plain_words
from .notation import STRENGTHS, STYLE_LAYERS, parse_layers, parse_numbers, parse_weight

SynthesisName = Literal["transfer", "reconstruction", "texture", "amalgamation"]
Formula = Literal["mean", "paper"]
Start = Literal["content", "style", "noise", "grey", "image"]
Precision = Literal["float32", "bfloat16", "mixed"]

#: Under which heading a field is shown.
Group = Literal["content", "style", "colours", "texture", "result", "optimisation"]


def _text(read: Callable[[str], Any]) -> BeforeValidator:
    """Values may be given as text."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


Weight = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
LayerWeights = Annotated[dict[str, Weight], _text(parse_layers)]
Weights = Annotated[tuple[Weight, ...], _text(parse_numbers)]

CONTENT_LAYERS = {"relu4_2": 1.0}

#: What a picture holds beside its recipe, in the same object.
BESIDE = ("made_from", "losses", "finished")

#: What distinguishes the four syntheses; they share one optimisation.
PRESETS: dict[SynthesisName, dict[str, Any]] = {
    # It starts from the content image, so that fewer iterations do than from noise.
    "transfer": {
        "content_layers": CONTENT_LAYERS,
        "style_layers": STYLE_LAYERS["balanced"],
        "style_statistic": "moments",  # it paints every part of a picture, and keeps the forms
        "finish": 1.0,
        "total_variation_weight": 40.0,  # it takes grain and no stroke
        "start": "content",
        "iterations": 76,
        "levels": 6,
        "coarsest": 96,
    },
    "reconstruction": {"content_layers": CONTENT_LAYERS, "start": "noise"},
    "texture": {"style_layers": STYLE_LAYERS["balanced"], "start": "noise"},
    # Nothing but the start holds the style image, and a coarse level would wash it away.
    "amalgamation": {"content_layers": CONTENT_LAYERS, "start": "style", "levels": 1},
}


def _field(default: Any, group: Group, help: str, **limits: Any) -> Any:
    return Field(default, description=help, json_schema_extra={"group": group}, **limits)


class Recipe(BaseModel):
    """Everything that determines a result. ``Recipe.preset`` fills in what belongs to each synthesis.

    The command line's options, the page's defaults and limits and the study's axes are made from these fields.

    >>> Recipe.preset("transfer", size=768, content_layers="relu4_2").size
    768
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    synthesis: SynthesisName
    content_layers: LayerWeights = _field({}, "content", "layers whose content is compared, such as relu3_1=2,relu4_1")
    content_weight: Weight = _field(1.0, "content", "weight of the content loss (alpha)")
    style_layers: LayerWeights = _field(
        {}, "style", f"layers whose style is compared, such as relu1_1,relu2_1, or a word: {', '.join(STYLE_LAYERS)}"
    )
    style_weight: Annotated[Weight, _text(parse_weight)] = _field(
        STRENGTHS["balanced"],
        "style",
        f"weight of the style loss (beta), or a word: {', '.join(f'{word} {w:g}' for word, w in STRENGTHS.items())}",
    )
    style_image_weights: Weights = _field((), "style", "weight of each style image, such as 1,3 (default: equal)")
    style_scale: float = _field(1.0, "style", "size of the style image over that of the result", gt=0, le=4)
    style_statistic: StatisticName = _field("gram", "style", "which statistic of the features defines style")
    finish: Weight = _field(
        0.0, "style", "weight of the nearest strokes of the style images, beside the statistic, in the last iterations"
    )
    colour: Colour = _field("style", "colours", "which image the colours come from, and how they are matched")
    seamless: bool = _field(
        False, "texture", "a texture whose opposite edges meet; its sides become multiples of 32 pixels"
    )
    size: int = _field(512, "result", "longest side of the result in pixels", ge=16, le=16384)
    start: Start = _field("content", "result", "the image that the optimisation starts from")
    seed: int = _field(0, "result", "seed of the noise that a synthesis may start from", ge=0, lt=2**63)
    iterations: int = _field(
        150, "optimisation", "steps of the optimiser, over all levels: more is finer", ge=1, le=100_000
    )
    early_stop: bool = _field(True, "optimisation", "end a level when more iterations hardly lower the loss")
    levels: int = _field(4, "optimisation", "sizes from coarse to fine, each twice the one before", ge=1, le=6)
    coarsest: int = _field(
        256, "optimisation", "longest side of the coarsest level in pixels, at least", ge=16, le=16384
    )
    optimizer: OptimizerName = _field("lbfgs", "optimisation", "L-BFGS, or Adam, which needs less memory")
    precision: Precision = _field(
        "mixed", "optimisation", "arithmetic: float32, bfloat16, or mixed (bfloat16 first, float32 last)"
    )
    formula: Formula = _field("mean", "optimisation", "losses as means of squares, or as the paper's sums")
    total_variation_weight: Weight = _field(0.0, "optimisation", "weight of the total variation, which smooths")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_a_result(cls, fields: Any) -> Any:
        """A result's recipe stands in its picture among other facts; version 0.1 says ``evaluations``."""
        if not isinstance(fields, dict):
            return fields
        named = {"iterations" if name == "evaluations" else name: value for name, value in fields.items()}
        return {name: value for name, value in named.items() if name not in BESIDE}

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        content = self.content_weight and any(self.content_layers.values())
        style = self.style_weight and any(self.style_layers.values())
        if not (content or style):
            raise ValueError("there is nothing to optimise: give a content or a style layer a weight above zero")
        if self.seamless and (self.synthesis != "texture" or content):
            raise ValueError("only a texture can be seamless: other syntheses keep the content image's edges")
        if self.style_image_weights and not any(self.style_image_weights):
            raise ValueError("at least one style image needs a weight above zero")
        return self

    @classmethod
    def preset(cls, synthesis: SynthesisName, **fields: Any) -> "Recipe":
        """The recipe of one of the four syntheses, with fields of one's own.

        Raises:
            ToolkitError: when a field is unknown or its value out of range.
        """
        return cls.checked({"synthesis": synthesis, **PRESETS.get(synthesis, {}), **fields})

    @classmethod
    def checked(cls, fields: Any) -> "Recipe":
        """A recipe from plain data, or from the JSON that ``to_json`` wrote.

        Raises:
            ToolkitError: when it is no JSON, or a field is missing, unknown or out of range.
        """
        validate = cls.model_validate_json if isinstance(fields, str | bytes) else cls.model_validate
        try:
            return validate(fields)
        except pydantic.ValidationError as error:
            mistake = error.errors()[0]
            if isinstance(fields, str | bytes):
                raise ToolkitError(f"The recipe is not valid: {in_plain_words(mistake, 'it')}.") from error
            raise InputError.of(mistake) from error

    def to_json(self) -> str:
        """All fields, as indented JSON."""
        return self.model_dump_json(indent=2)

    def with_(self, **fields: Any) -> "Recipe":
        """A copy with some fields changed, checked like any other.

        Raises:
            ToolkitError: when a field is unknown or its value out of range.
        """
        return self.checked({**self.model_dump(), **fields})

    @property
    def layer_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """The content losses' weights by layer, and the style losses': those above zero, times the overall weight."""
        return _weighted(self.content_layers, self.content_weight), _weighted(self.style_layers, self.style_weight)

    def shares(self, count: int) -> list[float]:
        """The share of each of ``count`` style images; together they are one."""
        weights = self.style_image_weights or (1.0,) * count
        return [weight / sum(weights) for weight in weights]


def _weighted(layers: dict[str, float], weight: float) -> dict[str, float]:
    return {layer: weight * share for layer, share in layers.items() if weight * share > 0}
