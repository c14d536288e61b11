"""The axes of a study: what varies, by which values, and how a person writes it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from ..errors import ToolkitError, did_you_mean
from ..fields import described
from ..network import DEFAULT_NETWORK, Backbone, as_trained
from ..normalize import load_backbone
from ..synthesis import Recipe
from ..synthesis.notation import STYLE_LAYERS, parse_layers


@dataclass(frozen=True)
class Variation:
    """One value of an axis.

    Args:
        label: its name in the grid.
        fields: the recipe's fields that it sets.
        network: used instead of the study's network.
        treatment: makes the network that is used from the one in use.
    """

    label: str
    fields: dict[str, Any] = field(default_factory=dict)
    network: Backbone | None = None
    treatment: Callable[[Backbone], Backbone] | None = None

    @property
    def sets(self) -> set[str]:
        """Names of what it sets; the other axis must not set the same."""
        own = {"network": self.network, "normalization": self.treatment}
        return {*self.fields, *(name for name, value in own.items() if value is not None)}


@dataclass(frozen=True)
class Axis:
    """What varies from row to row, or from column to column.

    Raises:
        ToolkitError: when there are no variations, or two with the same label.
    """

    title: str
    variations: tuple[Variation, ...]

    def __post_init__(self) -> None:
        labels = [variation.label for variation in self.variations]
        if not labels:
            raise ToolkitError(f"There are no values for {self.title}: name at least one.")
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise ToolkitError(f"The values for {self.title} contain {twice!r} twice: name each once.")


@dataclass(frozen=True)
class Kind:
    """A kind of axis; called with values as text, it makes an axis.

    >>> [variation.fields for variation in AXES["iterations"]("25,50").variations]
    [{'iterations': 25}, {'iterations': 50}]

    Args:
        title: of its axes.
        usual: the values when none are named, as text.
        variations: makes variations from values; raises ``ValueError`` when it can't read one.
    """

    title: str
    usual: str
    variations: Callable[[Sequence[str]], Iterable[Variation]]

    def __call__(self, text: str = "") -> Axis:
        """The axis of these values, separated by commas; the usual ones when there are none.

        Raises:
            ToolkitError: when a value can't be read.
        """
        values = [value.strip() for value in (text.strip() or self.usual).split(",")]
        try:
            return Axis(self.title, tuple(self.variations(values)))
        except ValueError as error:
            raise ToolkitError(f"{text!r} are no values for {self.title}: write them like {self.usual}.") from error


def _each(make: Callable[[str], Variation]) -> Callable[[Sequence[str]], Iterable[Variation]]:
    return lambda values: map(make, values)


def _field(name: str, read: Callable[[str], Any]) -> Callable[[Sequence[str]], Iterable[Variation]]:
    return _each(lambda text: Variation(text, {name: read(text)}))


def _growing(layers: Sequence[str]) -> Iterable[Variation]:
    """Each layer together with those before it, evenly weighted (Gatys, Ecker & Bethge 2016, figure 1)."""
    for count, name in enumerate(layers, 1):
        label = name if count == 1 else f"+ {name}"
        yield Variation(label, {"style_layers": dict.fromkeys(layers[:count], 1 / count)})


def _ratio(text: str) -> Variation:
    """Alpha over beta; alpha is one, as a common factor changes no minimum."""
    if not (ratio := float(text)) > 0:
        raise ValueError(text)
    return Variation(text, {"content_weight": 1.0, "style_weight": 1 / ratio})


def _normalization(text: str) -> Variation:
    if text not in ("normalised", "original"):
        raise ValueError(text)
    return Variation(text, treatment=as_trained if text == "original" else _unchanged)


def _unchanged(network: Backbone) -> Backbone:
    return network


#: The values of a field's axis when none are named; for other fields all choices, or the default.
USUAL = {
    "iterations": "25,50,100,300",
    "levels": "1,2,3,4",
    "seed": "0,1,2,3",
    "size": "128,256,512",
    "start": "content,style,noise,grey",
    "style_scale": "0.5,1,2",
    "style_weight": "0.1,1,10,100",
}


def _of_fields() -> Iterable[tuple[str, Kind]]:
    """The axes of the recipe's fields that are a number, a choice or a switch."""
    for known in described(Recipe):
        if known.kind != "text" and not known.many:
            usual = "on,off" if known.kind == "switch" else ",".join(known.choices) or str(known.default)
            read: TypeAdapter[Any] = TypeAdapter(Recipe.model_fields[known.name].annotation)
            title, variations = known.name.replace("_", " "), _field(known.name, read.validate_python)
            yield known.name.replace("_", "-"), Kind(title, USUAL.get(known.name, usual), variations)


FIRST_LAYERS = ",".join(STYLE_LAYERS["balanced"])
SECOND_LAYERS = FIRST_LAYERS.replace("_1", "_2")

#: The kinds of axes, by the names that people write.
AXES: dict[str, Kind] = {
    "content-layers": Kind("content layer", SECOND_LAYERS, _field("content_layers", lambda layer: {layer: 1.0})),
    "style-layers": Kind("style layers", FIRST_LAYERS, _growing),
    "style-layer": Kind("style layer", FIRST_LAYERS, _field("style_layers", lambda layer: {layer: 1.0})),
    "style-blocks": Kind("style layers", ",".join(STYLE_LAYERS), _field("style_layers", parse_layers)),
    "ratio": Kind("content weight / style weight", "1e-3,1e-2,1e-1,1", _each(_ratio)),
    "network": Kind("network", DEFAULT_NETWORK, _each(lambda name: Variation(name, network=load_backbone(name)))),
    "normalization": Kind("network", "normalised,original", _each(_normalization)),
    **dict(_of_fields()),
}


def parse_axis(text: str) -> Axis:
    """The axis that a text such as ``iterations=25,50,100`` names; ``iterations`` alone has its usual values.

    >>> parse_axis("style-layers=relu1_1,relu2_1").title
    'style layers'

    Raises:
        ToolkitError: when the kind is unknown, or a value can't be read.
    """
    name, _, values = text.partition("=")
    if name not in AXES:
        raise ToolkitError(f"Unknown axis {name!r}: {did_you_mean(name, AXES)}")
    return AXES[name](values)
