"""Which file a name stands for: a network that comes with the project, torchvision's, or a path."""

import os
import re
from pathlib import Path
from typing import Any

import platformdirs

from ..choices import SCALES
from ..errors import MissingFileError, ToolkitError, did_you_mean
from .architecture import DEPTHS
from .hub import downloaded, is_on_hub

#: The network that is used when nobody names another: the paper's.
DEFAULT_NETWORK = "vgg19"

#: Beside the package in a checkout, inside it once installed.
BUNDLED = tuple(Path(__file__).resolve().parents[n] / "models" for n in (2, 1))

#: Other networks than VGGs: torchvision's and timm's by name, and a function that makes one, by its dotted path.
MODULES = re.compile(r"(torchvision/(?!(?i:vgg))|timm/)\w[\w.]*|[A-Za-z_][\w.]*:[A-Za-z_]\w*")

#: The name of a network with its file of mean activations; a path may hold an @ too.
WITH_SCALES = re.compile(r"((?:torchvision/|timm/|[A-Za-z_][\w.]*:)\w[\w.]*)@(.+)")

#: Torchvision's VGGs, by the names under which they are found here.
TORCHVISION = tuple(f"torchvision/{name}{suffix}" for suffix in ("", "_bn") for name in DEPTHS)


def model_folders() -> tuple[Path, ...]:
    """Where files go by their names: a person's own folder, and those that come with the project."""
    return platformdirs.user_data_path("normalized-vgg", appauthor=False), *BUNDLED


def find_network(source: str | Path) -> Path:
    """The file that a source stands for; what is not here is downloaded once.

    Args:
        source: a path; the name of a file in one of ``model_folders``, such as ``vgg19``, with or without
            ``.safetensors``; one of torchvision's networks, such as ``torchvision/vgg16_bn``; upper and lower case are
            the same in names. Or one that is published on the Hugging Face Hub, ``hf://owner/name``.

    Raises:
        ToolkitError: when there is no such file, or it could not be downloaded.
    """
    if is_on_hub(source):
        return downloaded(str(source))
    path = Path(os.path.expanduser(source))  # noqa: PTH111 - a folder may be called ~old
    if path.is_file():
        return path
    name = str(source).lower().removeprefix("models/").removesuffix(".safetensors")
    # Of two files of one name that which comes with the project goes first.
    present = {file.stem.lower(): file for folder in model_folders() for file in folder.glob("*.safetensors")}
    if name in present:
        return present[name]
    if is_torchvision(source):
        return _downloaded(name.removeprefix("torchvision/"))
    if name == DEFAULT_NETWORK:
        raise ToolkitError("The file of VGG-19 is not installed: install the project again, or name another network.")
    if path.is_dir():
        raise ToolkitError(f"{source} is a folder: name the file of weights in it.")
    known = did_you_mean(name, [*present, *TORCHVISION])
    own, *_ = model_folders()
    raise MissingFileError(
        f"There is no network file {source}, and none of that name in {own}. If you meant a name: {known}"
    )


def is_torchvision(source: str | Path) -> bool:
    """Whether a source names one of torchvision's networks, and is not a file."""
    return str(source).lower() in TORCHVISION and not Path(source).is_file()


def is_module(source: str | Path) -> bool:
    """Whether a source names a network that is no VGG, as ``load_module`` takes it, and is no file of weights."""
    name = str(source)
    return name.endswith(SCALES) or (bool(MODULES.fullmatch(name)) and not Path(name).is_file())


def with_scales(source: str) -> tuple[str, str]:
    """The name of a network, if there is one, and the file in ``NAME@FILE.scales``."""
    match = WITH_SCALES.fullmatch(source)
    return (match[1], match[2]) if match else ("", source)


def in_model_folders(name: str) -> Path:
    """A file by its path, or by its name in one of ``model_folders``.

    Raises:
        MissingFileError: when there is none.
    """
    places = [Path(os.path.expanduser(name)), *(folder / name for folder in model_folders())]  # noqa: PTH111
    if found := [path for path in places if path.is_file()]:
        return found[0]
    raise MissingFileError(f"There is no file {name}, and none of that name in {model_folders()[0]}.")


def _downloaded(name: str) -> Path:
    """Torchvision's file, from PyTorch's cache or downloaded into it and checked against its hash."""
    import torch.hub  # slow to import, and other sources do not need it
    from torchvision.models import get_weight

    weights: Any = get_weight(f"{name.upper()}_Weights.IMAGENET1K_V1")
    url = str(weights.url)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    by_hand = f"download {url} yourself and save it as {path}."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[-1])
    except OSError as error:
        raise ToolkitError(f"Could not download {name} ({error}): {by_hand}") from error
    except RuntimeError as error:
        raise ToolkitError(f"The download of {name} does not match its hash and was deleted: {by_hand}") from error
    return path
