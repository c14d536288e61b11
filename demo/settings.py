"""How the page is hosted. Each setting is an option and an environment variable: ``--max-size``, ``DEMO_MAX_SIZE``."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from toolkit.commands.options import add_options, told
from toolkit.errors import InputError
from toolkit.fields import Names, field
from toolkit.network import DEFAULT_NETWORK


def _not_empty(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("give at least one name")
    return names


def _file_size(text: str) -> str:
    if not re.fullmatch(r"\d+ *(b|kb|mb|gb)", text, re.IGNORECASE):
        raise ValueError(f"{text!r} is not a file size such as 20mb")
    return text


def _root_path(text: str | None) -> str | None:
    if text and not text.startswith(("/", "http://", "https://")):
        raise ValueError(f"{text!r} must begin with a slash, such as /{text}")
    return text


def _login(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    name, _, password = value.partition(":")
    if not (name and password):
        raise ValueError("use the form NAME:PASSWORD")
    return name, password


def _else(variable: str, usual: str) -> BeforeValidator:
    """Where nothing is said, Gradio's own variable counts, by which hosts such as Hugging Face Spaces start pages."""
    return BeforeValidator(lambda value: value or os.environ.get(variable, usual))


SomeNames = Annotated[Names, NoDecode, AfterValidator(_not_empty)]
FileSize = Annotated[str, AfterValidator(_file_size)]
RootPath = Annotated[str | None, AfterValidator(_root_path)]
Login = Annotated[tuple[str, str] | None, NoDecode, BeforeValidator(_login)]
Host = Annotated[str, _else("GRADIO_SERVER_NAME", "127.0.0.1")]
Port = Annotated[int, _else("GRADIO_SERVER_PORT", "7860")]


class Settings(BaseSettings):
    """Everything a host can choose. A value comes from the arguments, else from the environment, else from here.

    Raises:
        pydantic.ValidationError: when a value is of the wrong type or out of range.
    """

    model_config = SettingsConfigDict(env_prefix="DEMO_", env_ignore_empty=True, frozen=True)

    network: SomeNames = field(
        (DEFAULT_NETWORK, "vgg19-small"),
        "networks to offer; visitors get the first unless they choose",
        metavar="NAME,...",
    )
    device: SomeNames = field(("auto",), "devices to compute on; auto means all GPUs, or the CPU", metavar="NAME,...")
    jobs: int = field(1, "jobs at a time on each device; on a CPU they share its cores", metavar="N", ge=1)
    max_size: int = field(1024, "longest side that a visitor may ask for", metavar="PIXELS", ge=1)
    max_iterations: int = field(1000, "iterations that each picture may take", metavar="N", ge=1)
    max_frames: int = field(100, "frames of a clip that a job may paint", metavar="N", ge=1)
    max_seconds: int = field(600, "time that a job may take; its image so far is kept", metavar="SECONDS", ge=1)
    max_queue: int = field(40, "visitors who may wait in the queue", metavar="N", ge=1)
    max_upload: FileSize = field("20mb", "largest file that a visitor may send", metavar="SIZE")
    keep: int = field(3600, "time after which visitors' images are deleted", metavar="SECONDS", ge=1)
    on_device: Literal["default", "offered", "off"] = field(
        "offered", "page that paints on the visitor's own device: the one that visitors see first, a link, or none"
    )
    runtime: str | None = field(
        None,
        "onnxruntime-web for that page, unpacked; without it visitors' browsers ask a CDN for it",
        metavar="FOLDER",
    )
    atlas: str | None = field(None, "atlas of the first network, to show on the page", metavar="FILE")
    auth: Login = field(None, "name and password that visitors must enter", metavar="NAME:PASSWORD")
    host: Host = field(None, "address to listen on (default: GRADIO_SERVER_NAME, else 127.0.0.1)", metavar="ADDRESS")
    port: Port = field(None, "port to listen on (default: GRADIO_SERVER_PORT, else 7860)", metavar="N", ge=1, le=65535)
    root_path: RootPath = field(None, "path under which a proxy serves the page", metavar="PATH")
    share: bool = field(False, "create a public link through Gradio, valid for a week")
    monitoring: bool = field(
        False, "offer Gradio's figures of visits and queue at an address that is printed at the start"
    )
    mcp: bool = field(False, "offer the endpoints as tools over the Model Context Protocol; needs gradio[mcp]")
    open: bool = field(False, "open the page in the browser")

    def within(self, size: int, iterations: int) -> dict[str, int]:
        """A size and a number of iterations within the limits, by field."""
        return {"size": min(size, self.max_size), "iterations": min(iterations, self.max_iterations)}


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """The settings of a command line; exits with status 2 and one sentence when a value is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Serve the page. Every option can also be set by an environment variable: "
        "--max-size 512 is DEMO_MAX_SIZE=512. Lists are separated by commas.",
    )
    add_options(parser, Settings)
    try:
        return Settings(**vars(parser.parse_args(arguments)))
    except ValidationError as error:
        parser.exit(2, f"{told(InputError.of(error.errors()[0]), Settings)}\n")
