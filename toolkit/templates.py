"""Text made by filling in a Jinja template, which lies beside the module that uses it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined


def render(template: Path, **values: Any) -> str:
    """Fills in a template; in one of HTML, values are escaped. Adds the filters ``number``, ``duration``, ``json``."""
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, autoescape=".html" in template.suffixes
    )
    environment.filters |= {"number": number, "duration": duration, "json": partial(json.dumps, indent=2)}
    return environment.from_string(template.read_text(encoding="utf-8")).render(values) + "\n"


def number(value: float) -> str:
    """Three digits of a number, but all those before the point.

    >>> number(0.012345), number(12345.6)
    ('0.0123', '12,346')
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Seconds in minutes and seconds.

    >>> duration(75.2)
    '1 min 15 s'
    """
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
