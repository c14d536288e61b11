"""Loading networks that are no VGG, as ``backbone.ModuleBackbone``: by name, and their files of mean activations."""

import hashlib
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Json, ValidationError
from torch import Tensor, nn

from ..choices import SCALES, Pooling
from ..errors import ToolkitError, did_you_mean
from ..files import Header, load_tensors, save_tensors
from .backbone import Backbone, ModuleBackbone
from .files import load_vgg
from .find import in_model_folders, is_module, with_scales
from .vgg import CONVENTIONS, Preprocessing

#: Networks that a file may name.
LIBRARIES = re.compile(r"(torchvision|timm)/\w[\w.]*")


class ModuleHeader(Header):
    """The metadata of a file of mean activations of a network that is no VGG."""

    format: Literal["normalized-module-scales"] = "normalized-module-scales"
    source: str
    layers: Json[dict[str, str]]
    preprocessing: Json[Preprocessing]
    weights: str
    provenance: Json[dict[str, Any]]


def load_network(
    source: str | Path, *, convention: str | None = None, pooling: Pooling | None = None, normalized: bool = True
) -> Backbone:
    """Loads a network: a VGG as ``load_vgg`` does, any other as ``load_module`` does.

    Without mean activations in the file it stays as trained; ``normalize.load_normalized`` normalises such a VGG.

    >>> load_network("vgg19", pooling="max").measured["relu1_1"]
    'conv1_1'

    Args:
        source, convention, pooling, normalized: as they take them. Other networks than VGGs have the pooling that they
            have.

    Raises:
        ToolkitError: as they do.
    """
    if not is_module(source):
        return load_vgg(source, convention=convention, pooling=pooling, normalized=normalized)
    if pooling:
        raise ToolkitError(f"{source} is no VGG, so its pooling can't be chosen: leave it out.")
    return load_module(str(source), convention=convention, normalized=normalized)


def load_module(
    source: str, *, convention: str | None = None, layers: Mapping[str, str] | None = None, normalized: bool = True
) -> ModuleBackbone:
    """A network that is no VGG, by name; normalised at the layers of a file of mean activations, if one is named.

    Args:
        source: ``torchvision/NAME`` or ``timm/NAME``, trained weights and all; ``package.module:function``, which is
            called and returns a module; a ``.scales`` file of one of the former two; or ``SOURCE@FILE.scales``.
        convention: a key of ``CONVENTIONS``, for a network that does not say it (default: ``torchvision``).
        layers: its layers by names of one's own; a file of mean activations has names of its own.
        normalized: whether features are divided by their mean activations.

    Raises:
        ToolkitError: when there is no such network or file, or the file is of other weights.
    """
    name, file = with_scales(source) if source.endswith(SCALES) else (source, "")
    if not file:
        return ModuleBackbone(*made(name, convention), layers or {}, provenance={"source": name})
    path = in_model_folders(file)
    header, means = read_scales(path)
    if not (name or LIBRARIES.fullmatch(header.source)):  # a file must not choose what code is run
        raise ToolkitError(f"{path} belongs to {header.source}, which is code: name both, {header.source}@{file}.")
    module, _ = made(name or header.source, convention)
    if weights_of(module) != header.weights:
        raise ToolkitError(f"{path} belongs to other weights than {name or header.source} has: normalise it anew.")
    provenance = {"source": header.source, "normalization": header.provenance}
    return ModuleBackbone(module, header.preprocessing, header.layers, means if normalized else {}, provenance)


def read_scales(path: Path) -> tuple[ModuleHeader, dict[str, Tensor]]:
    """What a file of mean activations of a network that is no VGG holds: its metadata, and by layer the means (C).

    Raises:
        ToolkitError: when it can't be read, or belongs to a VGG.
    """
    try:
        tensors, metadata = load_tensors(path)
        header = ModuleHeader.model_validate(metadata)
        return header, {layer: tensors[f"{layer}.mean_activation"] for layer in header.layers}
    except (ValidationError, KeyError) as error:
        raise ToolkitError(
            f"{path} is a .scales file: it holds mean activations, not a network; normalise a VGG with it."
        ) from error


def save_scales(network: ModuleBackbone, path: Path) -> None:
    """Writes the mean activations of a normalised network, with what is needed to know it again, atomically.

    Raises:
        ToolkitError: when it can't be written.
    """
    header = ModuleHeader.model_construct(
        source=network.provenance["source"],
        layers=dict(network.layers),
        preprocessing=network.preprocessing,
        weights=weights_of(network.module),
        provenance=network.provenance["normalization"],
    )
    tensors = {f"{layer}.mean_activation": mean for layer, mean in network.mean_activations.items()}
    save_tensors(tensors, path, header.metadata())


def made(name: str, convention: str | None) -> tuple[nn.Module, Preprocessing]:
    """A module by name, and its preprocessing.

    Raises:
        ToolkitError: when there is none, or its weights can't be fetched.
    """
    library, _, own = name.partition("/")
    try:
        if library == "torchvision":
            from torchvision.models import get_model, get_model_weights, list_models

            if own not in list_models():
                raise ToolkitError(f"Unknown network {name!r}: {did_you_mean(own, list_models())}")
            weights = get_model_weights(own)["DEFAULT"]
            module, transforms = get_model(own, weights=weights), weights.transforms()
            values = {"mean": transforms.mean, "std": transforms.std}
        elif library == "timm":
            module = importlib.import_module("timm").create_model(own, pretrained=True)
            values = module.pretrained_cfg
        else:
            place, _, function = name.partition(":")
            module = getattr(importlib.import_module(place), function)()
            values = {}
    except (ImportError, AttributeError) as error:
        raise ToolkitError(f"Could not make {name} ({error}): install its package, or check its name.") from error
    except TypeError as error:
        raise ToolkitError(f"Could not make {name} ({error}): name a function that takes no arguments.") from error
    except (OSError, RuntimeError) as error:
        raise ToolkitError(f"Could not make {name} ({error}): its weights may have to be fetched by hand.") from error
    if not isinstance(module, nn.Module):
        raise ToolkitError(f"{name} gives no PyTorch module, but a {type(module).__name__}: name a function that does.")
    if convention is None and values:
        return module, Preprocessing("RGB", 1.0, tuple(values["mean"]), tuple(values["std"]))
    known = convention or "torchvision"
    if known not in CONVENTIONS:
        raise ToolkitError(f"Unknown convention {known!r}: {did_you_mean(known, CONVENTIONS)}")
    return module, CONVENTIONS[known]


def weights_of(module: nn.Module) -> str:
    """SHA-256 of a module's weights, by name."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
