"""Networks that somebody has published on the Hugging Face Hub."""

import re
from pathlib import Path

from ..errors import ToolkitError

#: The file of weights in a repository that ``publish`` filled.
WEIGHTS = "model.safetensors"

ADDRESS = re.compile(r"hf://(?P<repository>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?(/(?P<file>.+))?")


def is_on_hub(source: str | Path) -> bool:
    """Whether a source is an address of the hub, ``hf://owner/name``."""
    return str(source).startswith("hf://")


def downloaded(address: str) -> Path:
    """The file at an address, from the hub's cache or downloaded into it.

    Args:
        address: ``hf://owner/name``, ``hf://owner/name@revision``, or one of them with ``/file``.

    Raises:
        ToolkitError: when it is no such address, or could not be downloaded.
    """
    from huggingface_hub import hf_hub_download  # slow to import
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is its client's
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
    )

    match = ADDRESS.fullmatch(address)
    if match is None:
        raise ToolkitError(f"{address} is no address of a network: write hf://owner/name.")
    try:
        return Path(hf_hub_download(match["repository"], match["file"] or WEIGHTS, revision=match["revision"]))
    except HFValidationError as error:
        raise ToolkitError(f"{address} is no address of a network: write hf://owner/name.") from error
    except HfHubHTTPError as error:
        raise ToolkitError(
            f"{address} could not be downloaded (the hub answers {error.response.status_code}): check the name; a "
            "private network takes a token in HF_TOKEN."
        ) from error
    except (LocalEntryNotFoundError, HTTPError, RuntimeError) as error:  # the last is of its downloads in parts
        raise ToolkitError(f"{address} is not in the cache, and the hub can't be reached: try again later.") from error
    except OSError as error:
        raise ToolkitError(f"{address} could not be saved ({error.strerror or error}).") from error
