"""How people write layers, weights and strengths in a recipe: as short text."""

from typing import Any


def parse_layers(text: str) -> dict[str, float]:
    """``relu1_1, relu2_1=0.5`` as weights by layer; those not given are 1 over the number of layers.

    >>> parse_layers("relu1_1, relu2_1")
    {'relu1_1': 0.5, 'relu2_1': 0.5}
    >>> parse_layers("broad")["relu5_1"]
    0.4

    Args:
        text: layers, or a word of ``STYLE_LAYERS``.

    Raises:
        ValueError: when a weight is no number.
    """
    if text.strip() in STYLE_LAYERS:
        return STYLE_LAYERS[text.strip()]
    parts = [part.partition("=") for part in text.replace(" ", "").split(",") if part]
    try:
        return {name: float(weight) if weight else 1 / len(parts) for name, _, weight in parts}
    except ValueError:
        raise ValueError(f"{text!r} is no list of layers such as relu1_1,relu2_1=0.5") from None


def format_layers(layers: dict[str, float]) -> str:
    """The text that ``parse_layers`` reads as these weights."""
    even = all(weight == 1 / len(layers) for weight in layers.values())
    return ", ".join(name if even else f"{name}={weight!r}".removesuffix(".0") for name, weight in layers.items())


def as_text(value: Any) -> Any:
    """A field's value as a person writes it.

    >>> as_text({"relu1_1": 0.5, "relu2_1": 0.5}), as_text((1.0, 3.0)), as_text("noise")
    ('relu1_1, relu2_1', '1, 3', 'noise')
    """
    match value:
        case dict():
            return format_layers(value)
        case tuple():
            return ", ".join(f"{weight:g}" for weight in value)
        case _:
            return value


def parse_weight(text: str) -> float:
    """A number, or a word of ``STRENGTHS``.

    >>> parse_weight("strong")
    100.0

    Raises:
        ValueError: when it is neither.
    """
    try:
        return STRENGTHS[text] if text in STRENGTHS else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no weight: give a number, or one of {', '.join(STRENGTHS)}") from None


def parse_numbers(text: str) -> list[Any]:
    """The parts of a list such as ``1,3``."""
    return [part for part in text.split(",") if part.strip()]


#: Words for style weights, on the page and on the command line.
STRENGTHS = {"hint": 0.2, "gentle": 1.0, "balanced": 10.0, "strong": 100.0, "full": 1000.0}

#: Words for style layers: blocks 1 to 5 hold ever larger parts of a style, from strokes to forms.
STYLE_LAYERS = {
    word: {f"relu{block}_1": weight for block, weight in enumerate(weights, 1)}
    for word, weights in {
        "balanced": (0.2, 0.2, 0.2, 0.2, 0.2),
        "fine": (0.4, 0.3, 0.15, 0.1, 0.05),
        "broad": (0.05, 0.1, 0.15, 0.3, 0.4),
    }.items()
}
