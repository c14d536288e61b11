"""Other people's files of weights: their key layouts and input conventions, read and written.

Layouts say how keys are named. ``plain``: by layer, ``conv1_1.weight``. ``torchvision``: by position,
``features.0.weight``. ``adain``: by position in a Sequential that starts with a 1 x 1 preprocessing convolution and has
a padding layer before every convolution (Huang & Belongie 2017). ``gatys``: by layer, for BGR in 0..255 less the mean,
as in the authors' own ``vgg_conv.pth``.
"""

import copy
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..choices import Layout, Pooling
from ..errors import DamagedFileError, ToolkitError, did_you_mean
from ..files import IS_POINTER, POINTER, TensorFile, load_tensors, save_tensors, sha256, written_atomically
from .architecture import DEPTHS, Architecture
from .vgg import CONVENTIONS, Network, Preprocessing

#: Added to a variance by torchvision's batch normalisation.
EPSILON = 1e-5

#: Where others put a state dict inside a checkpoint that has several.
WRAPPERS = ("state_dict", "model_state_dict", "model")

STATE_THE_CONVENTION = (
    "state the convention, torchvision (RGB in [0, 1], less mean, over standard deviation) or caffe (BGR in 0..255, "
    "less mean), or have normalize write it into a file."
)


def stems(architecture: Architecture, layout: Layout, *, batch_norm: bool = False) -> dict[str, str]:
    """From each convolution's name to the stem of its keys: ``features.0`` for ``features.0.weight``.

    With ``batch_norm`` a batch normalisation follows every convolution, as another layer.
    """
    named, index = {}, 1 if layout == "adain" else 0
    for layer in architecture.layers:
        if layer.kind == "conv":
            index += layout == "adain"
            named[layer.name] = {"adain": f"{index}", "torchvision": f"features.{index}"}.get(layout, layer.name)
            index += batch_norm
        index += 1
    return named


def read_state(path: Path) -> TensorFile:
    """Reads a safetensors file, or a PyTorch state dict without running any code in it.

    Raises:
        ToolkitError: when the file is neither, damaged, or cannot be read.
    """
    try:
        with path.open("rb") as file:  # by name, PyTorch takes each .safetensors for one
            start = file.read(len(POINTER))
            if start == POINTER:
                raise DamagedFileError(f"{path} {IS_POINTER}")
            if start[8:9] == b"{":
                return load_tensors(path)
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ToolkitError(f"Could not read {path}: {error.strerror or error}.") from error
    except pickle.UnpicklingError as error:
        raise ToolkitError(
            f"{path} is not a plain file of weights, or holds code, which is never run: "
            "use safetensors, or a state dict saved with torch.save."
        ) from error
    except ToolkitError:
        raise
    except Exception as error:  # PyTorch's reader raises errors of every kind for what is no file of weights
        if "TorchScript" in str(error):
            raise ToolkitError(f"{path} is a TorchScript program: load it, and save its state_dict().") from error
        raise DamagedFileError(f"{path} is damaged, cut short, or not a file of weights: fetch it again.") from error
    states = dict(_state_dicts(state))
    if not states:
        raise ToolkitError(f"{path} holds no weights by name: save the network's state_dict() with torch.save.")
    usual = next((name for name in ("", *WRAPPERS) if name in states), None)
    if usual is None and len(states) > 1:
        raise ToolkitError(f"{path} holds several state dicts ({', '.join(states)}): save one of them alone.")
    chosen = states[usual] if usual is not None else next(iter(states.values()))
    return TensorFile({str(key): value for key, value in chosen.items() if isinstance(value, Tensor)}, {})


def _state_dicts(value: Any, name: str = "") -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The outermost dictionaries that hold weights, by their keys."""
    if isinstance(value, Mapping):
        if any(str(key).endswith((".weight", ".mean_activation")) for key in value):
            yield name, value
        else:
            for key, part in value.items():
                yield from _state_dicts(part, f"{name}.{key}".lstrip("."))


def foreign_network(path: Path, file: TensorFile, convention: str | None, pooling: Pooling | None) -> Network:
    """The network in somebody else's file.

    Args:
        path: of the file, for sentences.
        file: what it holds.
        convention: a key of ``CONVENTIONS``, for a file that does not say it.
        pooling: of the network (default: ``max``, as VGGs are trained).

    Raises:
        ToolkitError: when the file holds no VGG, is damaged, or its convention is unknown.
    """
    architecture, tails, originals = _recognise(path, file.tensors)
    tensors = {tail: file.tensors[key] for tail, key in originals.items()}
    if _begins_with_preprocessing(tensors):
        convention, preprocessing = "its own", _from_convolution(path, tensors)
    else:
        convention = convention or file.metadata.get("convention")
        if convention is None:
            raise ToolkitError(f"{path} does not say which convention its weights follow: {STATE_THE_CONVENTION}")
        if convention not in CONVENTIONS:
            raise ToolkitError(f"Unknown convention {convention!r}: {did_you_mean(convention, CONVENTIONS)}")
        preprocessing = CONVENTIONS[convention]
    provenance = {"source": path.name, "sha256": sha256(path), "convention": convention}
    network = Network(architecture, preprocessing, pooling=pooling or "max", provenance=provenance)
    keys = {name: originals[f"{stem}.weight"].removesuffix(".weight") for name, stem in tails.items()}
    biases = {f"{key}.bias": torch.zeros(len(file.tensors[f"{key}.weight"])) for key in keys.values()}
    none = not any(bias in file.tensors for bias in biases)  # convolutions before a batch normalisation may have none
    fill(network, {**file.tensors, **biases} if none else file.tensors, keys, path)
    for name, stem in tails.items():
        if stem.isdecimal() and f"{int(stem) + 1}.running_mean" in tensors:
            parts = [f"{int(stem) + 1}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
            if missing := [part for part in parts if part not in tensors]:
                raise DamagedFileError(f"{path} is damaged: {missing[0]} of a batch normalisation is missing.")
            _fold(network, name, *(tensors[part] for part in parts))
    return network


def fill(network: Network, tensors: Mapping[str, Tensor], keys: Mapping[str, str], path: Path) -> None:
    """Copies weights and biases into a network, in place.

    Args:
        network: to fill.
        tensors: ``STEM.weight`` (O, I, 3, 3) and ``STEM.bias`` (O).
        keys: from each convolution's name to its stem.
        path: of the file, for sentences.

    Raises:
        ToolkitError: when one is missing, of another shape, or not finite.
    """
    for name, stem in keys.items():
        for part, parameter in network.convolution(name).named_parameters():
            given = tensors.get(f"{stem}.{part}")
            if given is None or given.shape != parameter.shape:
                fault = "missing" if given is None else f"of shape {tuple(given.shape)}"
                raise DamagedFileError(
                    f"{path} is not a whole {network.architecture.name}: {stem}.{part} is {fault}, "
                    f"{tuple(parameter.shape)} is needed."
                )
            if not torch.isfinite(given.float()).all():  # float8 has no such test
                raise DamagedFileError(f"{path} is damaged: {stem}.{part} holds numbers that are not finite.")
            parameter.copy_(given)


def write_foreign(network: Network, path: Path, layout: Layout) -> Preprocessing:
    """Writes a network's weights as they are, in somebody else's layout, reads the file back, and compares.

    A file in the layouts ``torchvision`` and ``plain`` says nothing about pooling, and nothing about preprocessing
    but for a name in the metadata of a ``.safetensors`` file.

    Args:
        network: normalised or not.
        path: a ``.safetensors`` file, or a ``.pth`` state dict.
        layout: how keys are named.

    Returns:
        What the network in the file expects.

    Raises:
        ToolkitError: when it cannot be written, or what is read back is not the network.
    """
    if path.suffix not in (".safetensors", ".pth"):
        raise ToolkitError(f"{path} must end in .safetensors or .pth.")
    network = _for_caffe(network) if layout == "gatys" else network
    preprocessing = network.preprocessing
    convention = next((name for name, known in CONVENTIONS.items() if known == preprocessing), None)
    state = _as_convolution(preprocessing) if layout == "adain" else {}
    for name, stem in stems(network.architecture, layout).items():
        for part, parameter in network.convolution(name).named_parameters():
            state[f"{stem}.{part}"] = parameter.detach().float().cpu().contiguous()
    with written_atomically(path) as temporary:
        if path.suffix == ".pth":
            torch.save(state, temporary)
        else:
            save_tensors(state, temporary, {"convention": convention} if convention and layout != "adain" else {})
        again = foreign_network(temporary, read_state(temporary), convention or "caffe", network.pooling)
        pairs = zip(again.parameters(), network.parameters(), strict=True)
        same = all(torch.equal(read, given.float().cpu()) for read, given in pairs)
        grey = torch.full((1, 3, 1, 1), 0.5)
        if layout == "adain":
            same &= torch.allclose(again.preprocessing(grey), preprocessing(grey), rtol=1e-4, atol=1e-4)
        if not same:
            raise ToolkitError(f"What was written does not read back as the same network: {path} was not kept.")
    return preprocessing


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> tuple[Architecture, dict[str, str], dict[str, str]]:
    """The largest VGG in a file: its architecture, by convolution the stem of its keys, and its keys by their tails.

    A tail is the last two parts of a key, such as ``0.weight`` or ``conv1_1.weight``. What training or a larger network
    puts before it is the same for all of a VGG's keys but for numbers, of the slices that it may be cut into.
    """
    groups: dict[str, dict[str, str]] = {}
    for key in tensors:
        *parents, stem, part = ["", *key.split(".")]
        groups.setdefault(re.sub(r"\d", "", ".".join(parents)), {})[f"{stem}.{part}"] = key
    networks = []
    for tails in groups.values():
        if known := _vgg({tail: tensors[key] for tail, key in tails.items()}):
            networks.append((*known, tails))
    if networks:
        largest = max(len(stems) for _, stems, _ in networks)
        chosen, *others = [network for network in networks if len(network[1]) == largest]
        if others:
            first, second = (next(iter(network[2].values())) for network in (chosen, others[0]))
            raise ToolkitError(f"{path} holds several VGGs, such as those of {first} and {second}: save one of them.")
        return chosen
    if any(key.endswith(".mean_activation") for key in tensors):
        raise ToolkitError(
            f"{path} is a .scales file: it holds mean activations, not a network; normalise a network with it."
        )
    raise ToolkitError(
        f"{path} does not hold a VGG's convolutions (features.0.weight … or conv1_1.weight …): "
        f"use the weights of {', '.join(DEPTHS)}, with or without batch normalisation."
    )


def _vgg(tensors: Mapping[str, Tensor]) -> tuple[Architecture, dict[str, str]] | None:
    """The architecture whose keys these tails are, and from each convolution's name to the stem of its keys."""
    present = {key.removesuffix(".weight") for key, t in tensors.items() if key.endswith(".weight") and t.ndim == 4}
    present = {stem for stem in present if stem.isdecimal() or stem.startswith("conv")}
    if _begins_with_preprocessing(tensors):
        present.remove("0")
        layouts: tuple[tuple[Layout, bool], ...] = (("adain", False),)
    elif any(key.endswith(".running_mean") for key in tensors):
        layouts = (("torchvision", True),)
    else:
        layouts = (("plain", False), ("torchvision", False))
    for whole in (True, False):
        for name in reversed(DEPTHS):
            for layout, batch_norm in layouts:
                all_stems = stems(Architecture(name), layout, batch_norm=batch_norm)
                names = {conv: stem.rpartition(".")[2] for conv, stem in [*all_stems.items()][: len(present)]}
                if present and set(names.values()) == present and (len(names) == len(all_stems)) == whole:
                    # By the bias, so that a wrong weight is the one that is named.
                    counted = (tensors.get(f"{stem}.bias", tensors[f"{stem}.weight"]) for stem in names.values())
                    widths = tuple(map(len, counted))
                    return Architecture(name, widths, "" if whole else [*names][-1]), names
    return None


def _fold(network: Network, name: str, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor) -> None:
    """Makes a convolution do what its batch normalisation does after it, in evaluation."""
    convolution = network.convolution(name)
    assert convolution.bias is not None
    trained = (convolution.weight.double(), convolution.bias.double(), mean.double(), variance.double())
    weight, bias = fuse_conv_bn_weights(*trained, EPSILON, gamma.double(), beta.double())
    convolution.weight.copy_(weight)
    convolution.bias.copy_(bias)


def _begins_with_preprocessing(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the first convolution is 1 x 1."""
    return "0.weight" in tensors and tensors["0.weight"].shape[2:] == (1, 1)


def _for_caffe(network: Network) -> Network:
    """The network for Caffe's input, by other weights of its first convolution.

    Zeros around the input are then another colour, by half a step of 255 at most where the mean is ImageNet's too.
    """
    given, wanted = network.preprocessing, CONVENTIONS["caffe"]
    if given == wanted:
        return network
    result = copy.deepcopy(network)
    result.preprocessing, first = wanted, result.convolution("conv1_1")
    assert first.bias is not None
    order = slice(None) if given.channels == "BGR" else [2, 1, 0]
    deviation, mean, other = (torch.tensor(each).double() for each in (given.std, given.mean, wanted.mean))
    factor = given.range / (deviation * wanted.range)
    weight = first.weight.double() * factor.view(1, 3, 1, 1)
    first.bias.add_((weight.sum((2, 3)) * (other[order] - mean * wanted.range / given.range)).sum(1))
    first.weight.copy_(weight[:, order])
    return result


def _as_convolution(preprocessing: Preprocessing) -> dict[str, Tensor]:
    """A preprocessing as a 1 x 1 convolution, the first layer of AdaIN's Sequential."""
    std, mean = (torch.tensor(values, dtype=torch.float64) for values in (preprocessing.std, preprocessing.mean))
    matrix = (preprocessing.range / std).diag()
    matrix = matrix.flip(1) if preprocessing.channels == "BGR" else matrix
    return {"0.weight": matrix.view(3, 3, 1, 1).float().contiguous(), "0.bias": (-mean / std).float()}


def _from_convolution(path: Path, tensors: Mapping[str, Tensor]) -> Preprocessing:
    """The preprocessing that a 1 x 1 convolution does."""
    weight, bias = tensors["0.weight"], tensors.get("0.bias")
    if weight.shape == (3, 3, 1, 1) and bias is not None and bias.shape == (3,):
        matrix = weight[:, :, 0, 0].double()
        for channels, factors in (("RGB", matrix.diagonal()), ("BGR", matrix.flip(1).diagonal())):
            if torch.count_nonzero(matrix) == 3 and (factors > 0).all():
                full = float(factors.max())
                std = full / factors
                mean = -bias.double() * std
                return Preprocessing(channels, full, tuple(mean.tolist()), tuple(std.tolist()))  # type: ignore[arg-type]
    raise ToolkitError(f"{path} begins with a convolution that is no preprocessing: use another file.")
