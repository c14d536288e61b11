"""Where weights come from and where they go: names, conventions, and our own files with their provenance."""

import hashlib
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from torch import Tensor

from ..errors import ToolkitError, did_you_mean
from ..files import save_tensors, sha256
from .vgg import CONVENTIONS, DEPTHS, Architecture, Network, Pooling, Preprocessing

FORMAT = "normalized-vgg"
VERSION = "1"

#: The network that comes with the project, and is used when nobody names another.
BUNDLED = "vgg19-small"

#: Present in files whose first convolution is their preprocessing.
INPUT_CONVOLUTION = "0.weight"

#: Beside the package in a checkout, inside it once installed.
MODEL_FOLDERS = tuple(Path(__file__).resolve().parents[n] / "models" for n in (2, 1))

STATE_THE_CONVENTION = (
    "state how they want their input with --convention torchvision (RGB in [0, 1], mean and deviation removed) "
    "or --convention caffe (BGR in 0..255, mean removed)."
)


class WeightsFile(NamedTuple):
    """What a weights file holds, whatever its container."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def load_network(source: str | Path, *, convention: str | None = None, pooling: Pooling | None = None) -> Network:
    """Turns a source into a network.

    Args:
        source: the bundled network's name or that of a file in ``models/``; ``vgg11`` … ``vgg19`` for torchvision's
            ImageNet weights, downloaded once; or a path to one of our files, to a state dict with
            torchvision's keys (``features.0.weight``), or to one with layer names (``conv1_1.weight``).
        convention: a key of ``CONVENTIONS``, for files that don't say it themselves.
        pooling: for networks that are not normalised (default ``max``, as they were trained); a
            normalised network keeps the pooling that it was normalised under.

    Raises:
        ToolkitError: when the source is missing, damaged, not a VGG, or its convention unknown.
    """
    path = find_network(source)
    if str(source) in DEPTHS and path.parent == _hub():
        convention = "torchvision"
    file = read_weights(path)
    if file.metadata.get("format") == FORMAT:
        return _own_network(path, file, pooling)
    return _foreign_network(path, file, convention, pooling)


def find_network(source: str | Path) -> Path:
    """The file a source stands for, downloaded if it is one of torchvision's names.

    Raises:
        ToolkitError: when there is no such file, or it can't be had.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    bundled = {file.stem: file for folder in MODEL_FOLDERS for file in folder.glob("*.safetensors")}
    if str(source) in bundled:
        return bundled[str(source)]
    if str(source) in DEPTHS:
        return _downloaded(str(source))
    if str(source) == BUNDLED:
        raise ToolkitError(
            "The bundled network is not installed: name a normalised network with --network, "
            "made by `python -m toolkit normalize vgg19 IMAGES --output FILE`."
        )
    if path.is_dir():
        raise ToolkitError(f"{source} is a folder: name the weights file in it.")
    names = [*bundled, *DEPTHS]
    raise ToolkitError(f"There is no network file {source}; if a name was meant, {did_you_mean(str(source), names)}")


def read_weights(path: Path) -> WeightsFile:
    """Reads a safetensors file, or a PyTorch state dict without running any code in it.

    Raises:
        ToolkitError: when the file is neither, damaged, or can't be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if start[8:] == b"{":
            with safetensors.safe_open(path, "pt") as opened:
                tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
                return WeightsFile(tensors, dict(opened.metadata() or {}))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ToolkitError(f"Could not read {path}: {error.strerror or error}.") from error
    except safetensors.SafetensorError as error:
        raise ToolkitError(f"{path} is damaged or cut short: fetch or make it again.") from error
    except pickle.UnpicklingError as error:
        raise ToolkitError(
            f"{path} is not a plain file of weights, or holds code, which is never run: "
            "use safetensors, or a state dict saved with torch.save."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ToolkitError(f"{path} is damaged, cut short, or not a weights file: fetch it again.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ToolkitError(f"{path} holds no state dict: save the network's state_dict(), not the network.")
    return WeightsFile({str(key): value for key, value in state.items()}, {})


def save_network(network: Network, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Writes one of our files, atomically: weights, float64 mean activations, metadata as JSON strings.

    Args:
        network: what to write.
        path: where to; ends in ``.safetensors``.
        dtype: float32, or float16 for half the size.

    Raises:
        ToolkitError: when it can't be written.
    """
    tensors = {}
    for name in network.architecture.convolutions:
        convolution = network.convolution(name)
        assert convolution.bias is not None
        tensors[f"{name}.weight"] = convolution.weight.to("cpu", dtype).contiguous()
        tensors[f"{name}.bias"] = convolution.bias.to("cpu", dtype)
        if name in network.mean_activations:
            tensors[f"{name}.mean_activation"] = network.mean_activations[name].double().cpu()
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": json.dumps(asdict(network.architecture)),
        "pooling": network.pooling,
        "preprocessing": json.dumps(asdict(network.preprocessing)),
        "provenance": json.dumps(network.provenance),
    }
    save_tensors(tensors, path, metadata)


def fingerprint(network: Network) -> str:
    """SHA-256 of what the network computes: pooling, preprocessing, weights and biases in order."""
    return hashlib.sha256(
        f"{network.pooling} {network.preprocessing} {weights_fingerprint(network)}".encode()
    ).hexdigest()


def weights_fingerprint(network: Network) -> str:
    """SHA-256 of the convolutions' weights and biases in order, whatever file they came in."""
    digest = hashlib.sha256()
    for name in network.architecture.convolutions:
        for parameter in network.convolution(name).parameters():
            digest.update(parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _own_network(path: Path, file: WeightsFile, pooling: Pooling | None) -> Network:
    try:
        if file.metadata["version"] != VERSION:
            raise ToolkitError(f"{path} was written by a newer toolkit: install that one to read it.")
        described = json.loads(file.metadata["architecture"])
        preprocessing = json.loads(file.metadata["preprocessing"])
        network = Network(
            Architecture(described["name"], tuple(described["widths"])),
            Preprocessing(
                preprocessing["channels"],
                preprocessing["range"],
                tuple(preprocessing["mean"]),
                tuple(preprocessing["std"]),
            ),
            pooling=file.metadata["pooling"],  # type: ignore[arg-type]  # the network refuses others
            provenance=json.loads(file.metadata["provenance"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ToolkitError(f"{path} does not describe its network as it should: fetch or make it again.") from error
    normalized = f"{next(iter(network.architecture.convolutions))}.mean_activation" in file.tensors
    if normalized and pooling not in (None, network.pooling):
        raise ToolkitError(
            f"{path} was made for {network.pooling} pooling: normalise the original weights again "
            f"with --pooling {pooling}."
        )
    network.pooling = pooling or network.pooling
    _fill(network, file.tensors, {name: name for name in network.architecture.convolutions}, path)
    for name, (_, filters) in network.architecture.convolutions.items():
        if (mean := file.tensors.get(f"{name}.mean_activation")) is not None:
            if mean.shape != (filters,):
                raise ToolkitError(f"{path} has {mean.numel()} mean activations for the {filters} filters of {name}.")
            network.mean_activations[name] = mean.double()
    return network


def _foreign_network(path: Path, file: WeightsFile, convention: str | None, pooling: Pooling | None) -> Network:
    architecture, keys = _recognise(path, file.tensors)
    if INPUT_CONVOLUTION in file.tensors:
        convention, preprocessing = "its own", _from_convolution(path, file.tensors)
    else:
        convention = convention or file.metadata.get("convention")
        if convention is None:
            raise ToolkitError(f"{path} does not say which convention its weights follow: {STATE_THE_CONVENTION}")
        if convention not in CONVENTIONS:
            raise ToolkitError(f"Unknown convention {convention!r}: {did_you_mean(convention, CONVENTIONS)}")
        preprocessing = CONVENTIONS[convention]
    network = Network(
        architecture,
        preprocessing,
        pooling=pooling or "max",
        provenance={"source": path.name, "sha256": sha256(path), "convention": convention},
    )
    _fill(network, file.tensors, keys, path)
    return network


def _key_styles(architecture: Architecture) -> Iterator[dict[str, str]]:
    """From each convolution's name to its key's stem, in every way that VGGs are stored."""
    yield {name: name for name in architecture.convolutions}
    indices = [index for index, layer in enumerate(architecture.layers) if layer.kind == "conv"]
    yield dict(zip(architecture.convolutions, (f"features.{index}" for index in indices), strict=True))
    # Behind a 1 x 1 convolution that prepares the input, each convolution has its own padding layer before it.
    padded = (f"{1 + index + number}" for number, index in enumerate(indices, 1))
    yield {"": "0"} | dict(zip(architecture.convolutions, padded, strict=True))


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> tuple[Architecture, dict[str, str]]:
    """The architecture whose keys the tensors have, and from each convolution's name to its key's stem."""
    present = {key.removesuffix(".weight") for key, t in tensors.items() if key.endswith(".weight") and t.ndim == 4}
    for name in DEPTHS:
        for keys in _key_styles(Architecture(name)):
            if present == set(keys.values()):
                keys.pop("", None)
                widths = tuple(tensors[f"{key}.weight"].shape[0] for key in keys.values())
                return Architecture(name, widths), keys
    raise ToolkitError(
        f"{path} does not hold a VGG's convolutions (features.0.weight … or conv1_1.weight …): "
        f"use the weights of {', '.join(DEPTHS)} without batch normalisation."
    )


def _from_convolution(path: Path, tensors: Mapping[str, Tensor]) -> Preprocessing:
    """The preprocessing that a 1 x 1 convolution does, as in the files of Huang & Belongie 2017 (AdaIN)."""
    weight, bias = tensors[INPUT_CONVOLUTION], tensors.get(INPUT_CONVOLUTION.replace("weight", "bias"))
    if weight.shape == (3, 3, 1, 1) and bias is not None and bias.shape == (3,):
        matrix = weight[:, :, 0, 0].double()
        for channels, factors in (("RGB", matrix.diagonal()), ("BGR", matrix.flip(1).diagonal())):
            if torch.count_nonzero(matrix) == 3 and (factors > 0).all():
                full = float(factors.max())
                std = full / factors
                mean = -bias.double() * std
                return Preprocessing(channels, full, tuple(mean.tolist()), tuple(std.tolist()))  # type: ignore[arg-type]
    raise ToolkitError(f"{path} begins with a convolution that is no preprocessing: use another file.")


def _fill(network: Network, tensors: Mapping[str, Tensor], keys: Mapping[str, str], path: Path) -> None:
    """Copies tensors into the network, refusing missing ones, other shapes, and numbers that are none."""
    for name, stem in keys.items():
        for part, parameter in network.convolution(name).named_parameters():
            given = tensors.get(f"{stem}.{part}")
            if given is None or given.shape != parameter.shape:
                found = "missing" if given is None else f"of shape {tuple(given.shape)}"
                raise ToolkitError(
                    f"{path} is not a whole {network.architecture.name}: {stem}.{part} is {found}, "
                    f"{tuple(parameter.shape)} is needed."
                )
            if not torch.isfinite(given).all():
                raise ToolkitError(f"{path} is damaged: {stem}.{part} holds numbers that are not finite.")
            parameter.copy_(given)


def _torchvision_url(name: str) -> str:
    from torchvision.models import get_weight  # a second of start-up that other sources needn't pay

    url: Any = get_weight(f"{name.upper()}_Weights.IMAGENET1K_V1").url
    return str(url)


def _hub() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _downloaded(name: str) -> Path:
    """Torchvision's file, from PyTorch's own cache or downloaded into it and checked against its hash."""
    url = _torchvision_url(name)
    path = _hub() / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    by_hand = f"fetch {url} by hand and put it at {path}."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[-1])
    except OSError as error:
        raise ToolkitError(f"Could not download {name} ({error}): {by_hand}") from error
    except RuntimeError as error:
        raise ToolkitError(f"The download of {name} does not match its hash and was discarded: {by_hand}") from error
    return path
