"""How the page is hosted. Each setting is an option and an environment variable: ``--max-size``, ``DEMO_MAX_SIZE``."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from toolkit.errors import in_plain_words
from toolkit.network import DEFAULT_NETWORK


def _split(value: Any) -> Any:
    return tuple(name for part in value.split(",") if (name := part.strip())) if isinstance(value, str) else value


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


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_not_empty)]
FileSize = Annotated[str, AfterValidator(_file_size)]
RootPath = Annotated[str | None, AfterValidator(_root_path)]
Login = Annotated[tuple[str, str] | None, NoDecode, BeforeValidator(_login)]


def _setting(default: Any, metavar: str, help: str, **limits: Any) -> Any:
    """A field. A default that is a function is called when the settings are made."""
    how = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**how, description=help, json_schema_extra={"metavar": metavar}, **limits)


def _switch(help: str) -> Any:
    return Field(False, description=help)


class Settings(BaseSettings):
    """Everything a host can choose. A value comes from the arguments, else from the environment, else from here.

    Raises:
        pydantic.ValidationError: when a value is of the wrong type or out of range.
    """

    model_config = SettingsConfigDict(env_prefix="DEMO_", env_ignore_empty=True, frozen=True)

    network: Names = _setting(
        (DEFAULT_NETWORK, "vgg19-small"), "NAME,...", "networks to offer; the first is the default"
    )
    device: Names = _setting(("auto",), "NAME,...", "devices to compute on; auto means all GPUs, or the CPU")
    jobs: int = _setting(1, "N", "jobs at a time on each device; on a CPU they share its cores", ge=1)
    max_size: int = _setting(1024, "PIXELS", "longest side that a visitor may ask for", ge=1)
    max_iterations: int = _setting(1000, "N", "iterations that a job may take", ge=1)
    max_seconds: int = _setting(600, "SECONDS", "time that a job may take; its image so far is kept", ge=1)
    max_queue: int = _setting(40, "N", "visitors who may wait in the queue", ge=1)
    max_upload: FileSize = _setting("20mb", "SIZE", "largest file that a visitor may send")
    keep: int = _setting(3600, "SECONDS", "time after which visitors' images are deleted", ge=1)
    on_device: Literal["default", "offered", "off"] = _setting(
        "offered",
        "default|offered|off",
        "page that paints on the visitor's own device: the first that visitors see, a link, or none",
    )
    runtime: str | None = _setting(
        None, "FOLDER", "onnxruntime-web for that page, unpacked; without it visitors' browsers ask a CDN for it"
    )
    atlas: str | None = _setting(None, "FILE", "atlas of the first network, to show on the page")
    auth: Login = _setting(None, "NAME:PASSWORD", "name and password that visitors must enter")
    # Whoever starts the page for a host, such as Hugging Face Spaces, says where to listen by Gradio's own variables.
    host: str = _setting(
        lambda: os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        "ADDRESS",
        "address to listen on (default: GRADIO_SERVER_NAME, else 127.0.0.1)",
    )
    port: int = _setting(
        lambda: os.environ.get("GRADIO_SERVER_PORT", "7860"),
        "N",
        "port to listen on (default: GRADIO_SERVER_PORT, else 7860)",
        ge=1,
        le=65535,
    )
    root_path: RootPath = _setting(None, "PATH", "path under which a proxy serves the page")
    share: bool = _switch("create a public link through Gradio, valid for a week")
    monitoring: bool = _switch("offer Gradio's figures of visits and queue at an address that is printed at the start")
    mcp: bool = _switch("offer the endpoints as tools over the Model Context Protocol; needs gradio[mcp]")
    open: bool = _switch("open the page in the browser")


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """The settings of a command line; exits with status 2 and one sentence when a value is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Serve the page. Every option can also be set by an environment variable: "
        "--max-size 512 is DEMO_MAX_SIZE=512. Lists are separated by commas.",
        argument_default=argparse.SUPPRESS,
    )
    for name, field in Settings.model_fields.items():
        extra: Any = field.json_schema_extra
        how = {"metavar": extra["metavar"]} if extra else {"action": "store_true"}
        parser.add_argument(_option(name), help=f"{field.description}{_default(field.default)}", **how)
    try:
        return Settings(**vars(parser.parse_args(arguments)))
    except ValidationError as error:
        parser.exit(2, f"error: {_sentence(error)}\n")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _default(value: Any) -> str:
    """What the help says of a default, where there is something to say."""
    text = ",".join(value) if isinstance(value, tuple) else value
    return f" (default: {text})" if isinstance(text, str | int) and text is not False else ""


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{in_plain_words({**first, 'loc': (_option(str(first['loc'][0])),)})}."
