"""What a study varies: axes of labelled variations, and how a person names them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ToolkitError, did_you_mean
from ..network import DEFAULT_NETWORK, Network
from ..normalize import load_normalized, original


@dataclass(frozen=True)
class Variation:
    """One value of an axis.

    Args:
        label: what to call it.
        wishes: the recipe's fields that it sets.
        network: used in place of the study's.
        treatment: makes the network to be used out of that one.
        note: a sentence to show to the person; empty when there is nothing to say.
    """

    label: str
    wishes: dict[str, Any] = field(default_factory=dict)
    network: Network | None = None
    treatment: Callable[[Network], Network] | None = None
    note: str = ""

    @property
    def sets(self) -> set[str]:
        """What it decides, which the other axis must leave alone."""
        own = {"network": self.network, "normalization": self.treatment}
        return {*self.wishes, *(name for name, value in own.items() if value is not None)}


@dataclass(frozen=True)
class Axis:
    """What varies from row to row, or from column to column.

    Raises:
        ToolkitError: when there are no variations, or two of one label.
    """

    title: str
    variations: tuple[Variation, ...]

    def __post_init__(self) -> None:
        labels = [variation.label for variation in self.variations]
        if not labels:
            raise ToolkitError(f"There are no values for {self.title}: name at least one.")
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise ToolkitError(f"The values for {self.title} hold {twice!r} twice: name each once.")


@dataclass(frozen=True)
class Kind:
    """A kind of axis. Called with a person's text, ``25,50,100``, it gives the axis; with none, its usual values.

    Args:
        title: of its axes.
        usual: the values when none are named.
        variations: those of some values; a ``ValueError`` says that they are of the wrong kind.
    """

    title: str
    usual: str
    variations: Callable[[Sequence[str]], Iterable[Variation]]

    def __call__(self, text: str = "") -> Axis:
        """The axis of the values in a text, between commas.

        Raises:
            ToolkitError: when they don't suit.
        """
        values = [value.strip() for value in (text.strip() or self.usual).split(",")]
        try:
            return Axis(self.title, tuple(self.variations(values)))
        except ValueError as error:
            raise ToolkitError(f"{text!r} is no list for {self.title}: write it like {self.usual}.") from error


def _each(make: Callable[[str], Variation]) -> Callable[[Sequence[str]], Iterable[Variation]]:
    return lambda values: map(make, values)


def _growing(layers: Sequence[str]) -> Iterable[Variation]:
    """Each layer together with all those before it, evenly weighted (Gatys, Ecker & Bethge 2016, figure 1)."""
    for count, name in enumerate(layers, 1):
        label = name if count == 1 else f"+ {name}"
        yield Variation(label, {"style_layers": dict.fromkeys(layers[:count], 1 / count)})


def _ratio(text: str) -> Variation:
    """Alpha over beta. Their common factor changes no minimum, so alpha is one."""
    if not (ratio := float(text)) > 0:
        raise ValueError(text)
    return Variation(text, {"content_weight": 1.0, "style_weight": 1 / ratio})


def _normalization(text: str) -> Variation:
    treatments = {"normalised": _as_it_is, "original": original}
    if text not in treatments:
        raise ValueError(text)
    return Variation(text, treatment=treatments[text])


def _network(name: str) -> Variation:
    network = load_normalized(name)
    return Variation(name, network=network, note=network.note)


def _as_it_is(network: Network) -> Network:
    return network


#: The kinds of axes, by the names that people use.
AXES: dict[str, Kind] = {
    "content-layers": Kind(
        "content layer",
        "relu1_2,relu2_2,relu3_2,relu4_2,relu5_2",
        _each(lambda name: Variation(name, {"content_layers": {name: 1.0}})),
    ),
    "style-layers": Kind("style layers", "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1", _growing),
    "style-layer": Kind(
        "style layer",
        "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1",
        _each(lambda name: Variation(name, {"style_layers": {name: 1.0}})),
    ),
    "ratio": Kind("content weight / style weight", "1e-3,1e-2,1e-1,1", _each(_ratio)),
    "iterations": Kind(
        "iterations",
        "25,50,100,300",
        _each(lambda text: Variation(text, {"evaluations": int(text)})),
    ),
    "size": Kind("pixels", "128,256,512", _each(lambda text: Variation(text, {"size": int(text)}))),
    "seed": Kind("seed", "0,1,2,3", _each(lambda text: Variation(text, {"seed": int(text)}))),
    "network": Kind("network", DEFAULT_NETWORK, _each(_network)),
    "normalization": Kind("network", "normalised,original", _each(_normalization)),
}


def parse_axis(text: str) -> Axis:
    """The axis that a text such as ``iterations=25,50,100`` names; ``iterations`` alone has its usual values.

    Raises:
        ToolkitError: for an unknown kind, or values that don't suit it.
    """
    name, _, values = text.partition("=")
    if name not in AXES:
        raise ToolkitError(f"Unknown axis {name!r}: {did_you_mean(name, AXES)}")
    return AXES[name](values)
