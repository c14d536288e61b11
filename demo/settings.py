"""How the page is hosted: each wish by option or by environment variable, ``--max-size`` or ``DEMO_MAX_SIZE``."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from toolkit.network import DEFAULT_NETWORK


class Limits(NamedTuple):
    """What one job may take: pixels on its longest side, evaluations, seconds."""

    size: int
    evaluations: int
    seconds: float

    def granted(self, size: float, length: float) -> dict[str, int]:
        """A recipe's size and evaluations: those wished for, as far as the limits go."""
        return {"size": min(int(size), self.size), "evaluations": min(int(length), self.evaluations)}


def settings(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, else the environment, else the defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Serve the page. Every option is also an environment variable: --max-size is DEMO_MAX_SIZE.",
    )

    def option(name: str, default: Any, help: str, **more: Any) -> None:
        variable = "DEMO_" + name.upper().replace("-", "_")
        parser.add_argument(f"--{name}", default=os.environ.get(variable, default), help=help, **more)

    def switch(name: str, help: str) -> None:
        variable = "DEMO_" + name.upper().replace("-", "_")
        on = os.environ.get(variable, "").lower() in ("1", "true", "yes", "on")
        parser.add_argument(f"--{name}", action="store_true", default=on, help=help)

    network_help = f"normalised networks to offer, with commas; the first is the default ({DEFAULT_NETWORK})"
    option("network", DEFAULT_NETWORK, network_help, type=_names, metavar="NAME,…")
    device_help = "where to compute, with commas: each runs --jobs jobs at a time (default: all GPUs, else cpu)"
    option("device", "auto", device_help, type=_names, metavar="NAME,…")
    option("jobs", 1, "jobs at a time on each device; on a CPU they share its cores (default: 1)", type=_count)
    option("max-size", 1024, "longest side that a visitor may ask for, in pixels (default: 1024)", type=_count)
    option("max-evaluations", 1000, "evaluations that a job may take (default: 1000)", type=_count)
    option("max-seconds", 600, "seconds that a job may take (default: 600)", type=_count)
    option("max-queue", 40, "visitors who may wait (default: 40)", type=_count)
    option("max-upload", "20mb", "largest file that may be sent (default: 20mb)", type=_bytes)
    option("keep", 3600, "seconds that visitors' pictures stay on the server (default: 3600)", type=_count)
    option("atlas", None, "an .atlas file of the first network, to show on the page", metavar="FILE")
    option("auth", None, "a name and a password, NAME:PASSWORD, that visitors are asked for", type=_login)
    # Where somebody else starts the page, as in Hugging Face's Spaces, Gradio's own variables tell it where to listen.
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    option("host", host, "address to listen on (default: GRADIO_SERVER_NAME, else 127.0.0.1)")
    option("port", port, "port to listen on (default: GRADIO_SERVER_PORT, else 7860)", type=_port)
    option("root-path", None, "path that a proxy serves the page under", metavar="PATH")
    switch("share", "also give it a public link for a week, through Gradio")
    switch("mcp", "also offer the endpoints as tools, over the Model Context Protocol; needs gradio[mcp]")
    switch("open", "open it in the browser")
    return parser.parse_args(arguments)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("name at least one")
    return names


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return count


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: choose a number from 1 to 65535")
    return int(text)


def _bytes(text: str) -> str:
    if not re.fullmatch(r"\d+ *(b|kb|mb|gb)", text, re.IGNORECASE):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 20mb")
    return text


def _login(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError("it must be NAME:PASSWORD")
    return name, password
