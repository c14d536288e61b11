"""A network seen as named layers: what a synthesis needs of it, and any PyTorch module as one."""

import copy
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import ToolkitError, did_you_mean
from .architecture import Architecture
from .files import weights_fingerprint
from .geometry import receptive_field
from .pullback import AddGradient, Trail
from .rescale import original
from .vgg import CONVENTIONS, Network, Preprocessing

#: A position along an axis, and the image's length in pixels, if it has ends -> the pixels that it depends on.
Field = Callable[[int, int | None], range]

#: Of an image of which every network has features, in pixels.
SIDE = 512


class Backbone(Protocol):
    """A network whose layers have names. ``Network`` is one, a VGG in closed form; ``ModuleBackbone`` makes others.

    ``architecture``: of a VGG; any other network refuses to tell. ``mean_activations``: those that its features were
    divided by; empty for a network as it was trained. ``measured``: the layers whose mean activations normalise it, and
    the names that these go by. Methods raise ``ToolkitError`` for an unknown layer, or an image that is too small, or
    that should be seamless and can't.
    """

    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def architecture(self) -> Architecture: ...
    @property
    def mean_activations(self) -> Mapping[str, Tensor]: ...
    @property
    def measured(self) -> Mapping[str, str]: ...

    def __hash__(self) -> int: ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights."""

    def at(self, device: torch.device, dtype: torch.dtype) -> "Backbone":
        """The network on that device and in that type."""

    def shapes(self, layers: Iterable[str], size: Sequence[int], seamless: bool = False) -> dict[str, tuple[int, ...]]:
        """By layer, in the network's order, the (C, h, w) of its features for an image of (height, width)."""

    def bytes_of_a_pixel(self, layers: Iterable[str]) -> float:
        """The memory that a pixel takes on the way to these layers and back, in float32."""

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """The features (N, C, h, w) of images (N, 3, H, W), RGB in [0, 1], by layer, in the network's order."""

    def walk(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The same, one layer after the other."""

    def trail(self, image: Tensor, layers: Iterable[str], seamless: bool = False) -> Trail:
        """The features of an image, with the way back."""


class ModuleBackbone:
    """Any PyTorch module that takes an image, by autograd: whole images only, in float32 or bfloat16.

    It is normalised by a scale at its layers, which changes no loss that sees only these: see ``mean_activations``.

    >>> module = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
    >>> ModuleBackbone(module).shapes(["1"], (30, 40))
    {'1': (8, 15, 20)}

    Args:
        module: its submodules, by their dotted names, are the layers; each is to run once, and to give (N, C, h, w).
        preprocessing: what turns RGB in [0, 1] into its input.
        layers: layers by other names, such as those of a VGG, so that recipes that name these suit it.
        mean_activations: by layer, (C) in float64: the mean of |a| over images and positions, which is that of a
            behind a ReLU. Features are divided by them; a filter whose mean is 0 keeps scale 1.
        provenance: where the weights come from and over which images it was normalised, any JSON.

    Raises:
        ToolkitError: when the module has no weights.
    """

    def __init__(
        self,
        module: nn.Module,
        preprocessing: Preprocessing = CONVENTIONS["torchvision"],
        layers: Mapping[str, str] | None = None,
        mean_activations: Mapping[str, Tensor] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.module, self.preprocessing = module.eval().requires_grad_(False), preprocessing
        self.layers, self.mean_activations = dict(layers or {}), dict(mean_activations or {})
        self.measured = {name: name for name in self.layers}
        self.provenance = dict(provenance or {})
        self.parameters = module.parameters
        weight = next(module.parameters(), None)
        if weight is None:
            raise ToolkitError(f"{type(module).__name__} has no weights, so it is no network: name another.")
        self.dtype, self.device = weight.dtype, weight.device
        self._scales = {
            name: mean.where(mean > 0, 1.0).to(self.device, self.dtype).view(-1, 1, 1)
            for name, mean in self.mean_activations.items()
        }

    @property
    def architecture(self) -> Architecture:
        """Refused: what needs a VGG's chain of layers asks for it."""
        raise ToolkitError(
            "This network is no VGG, so it can't be cut into tiles, folded or exported: compute whole images."
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the network computes: preprocessing, modules, names, weights and scales."""
        digest = hashlib.sha256(f"{self.preprocessing} {self.module} {self.layers}".encode())
        for tensor in (*self.module.state_dict().values(), *self.mean_activations.values()):
            digest.update(tensor.double().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def at(self, device: torch.device, dtype: torch.dtype) -> "ModuleBackbone":
        """As ``Backbone``: itself when it is there, else a copy."""
        if (self.device, self.dtype) == (device, dtype):
            return self
        module = copy.deepcopy(self.module).to(device, dtype)
        return ModuleBackbone(module, self.preprocessing, self.layers, self.mean_activations, self.provenance)

    def normalized(self, mean_activations: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> "ModuleBackbone":
        """The network as it was trained, its features divided by these means. Without any: as it was trained."""
        known = {**self.provenance, "normalization": dict(provenance)}
        return ModuleBackbone(self.module, self.preprocessing, self.layers, mean_activations, known)

    def shapes(self, layers: Iterable[str], size: Sequence[int], seamless: bool = False) -> dict[str, tuple[int, ...]]:
        """As ``Backbone``; computed on PyTorch's meta device, which has sizes and no values."""
        if seamless:
            raise ToolkitError("Only a VGG makes seamless textures: other networks pad images in ways of their own.")
        meta = self.at(torch.device("meta"), self.dtype)
        try:
            features = meta._run(torch.empty(1, 3, *size[-2:], device="meta"), layers)
        except AssertionError as error:  # as of torchvision's transformers
            raise ToolkitError(f"This network takes images of one size only ({error}): name another.") from error
        except RuntimeError as error:
            raise ToolkitError(
                f"An image of {size[-1]} x {size[-2]} pixels is too small for this network: choose a larger size."
            ) from error
        return {layer: tuple(found.shape[1:]) for layer, found in features.items()}

    def bytes_of_a_pixel(self, layers: Iterable[str]) -> float:
        """As ``Backbone``: what autograd keeps of an image without values, and as much again at work."""
        kept: list[int] = []
        meta, side = self.at(torch.device("meta"), torch.float32), 256

        def pack(tensor: Tensor) -> Tensor:
            kept.append(tensor.nbytes if tensor.ndim == 4 and len(tensor) == 1 else 0)  # not the weights
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            meta.trail(torch.empty(1, 3, side, side, device="meta"), layers)
        return 2 * sum(kept) / side**2

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        with torch.no_grad():
            return self._run(image, layers)

    def walk(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """As ``Backbone``."""
        yield from self(image, layers).items()

    def trail(self, image: Tensor, layers: Iterable[str], seamless: bool = False) -> "ModuleTrail":
        with torch.enable_grad():
            start = image.detach().requires_grad_()
            return ModuleTrail(start, self._run(start, layers))

    def _run(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        modules, features = dict(self.module.named_modules()), dict[str, Tensor]()
        unscaled = {} if self.mean_activations else {name: name for name in modules if name}
        known = unscaled | {name: own for name, own in self.layers.items() if own in modules}

        def kept(name: str, module: nn.Module, _: object, output: Any) -> Tensor:
            if not isinstance(output, Tensor) or output.ndim != 4:
                raise ToolkitError(f"Layer {name!r} gives no features (N, C, h, w): name another.")
            scale = self._scales.get(name)
            features.setdefault(name, output if scale is None else output / scale)
            return output.clone()  # what follows may overwrite it

        with ExitStack() as hooks:
            for name in layers:
                if name not in known:
                    raise ToolkitError(f"Unknown layer {name!r}: {did_you_mean(name, known)}")
                hooks.enter_context(modules[known[name]].register_forward_hook(functools.partial(kept, name)))
            self.module(self.preprocessing(image).to(self.dtype))
        return features


def check_layers(
    network: Backbone, layers: Iterable[str], size: Sequence[int] = (SIDE, SIDE), seamless: bool = False
) -> None:
    """Raises ``ToolkitError`` for layers that a network has not, or not of an image of (height, width)."""
    network.shapes(layers, size, seamless)


def channels(network: Backbone, layers: Iterable[str]) -> dict[str, int]:
    """By layer, in the network's order, how many channels it has.

    Raises:
        ToolkitError: for an unknown layer.
    """
    return {layer: shape[0] for layer, shape in network.shapes(layers, (SIDE, SIDE)).items()}


def field_of(network: Backbone, layer: str) -> Field:
    """What positions of a layer see. Of a network that is no VGG it is what gradients show, in an image of noise."""
    if isinstance(network, Network):
        return functools.partial(receptive_field, network.architecture.down_to([layer]))
    noise = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(network.device)
    trail = network.trail(noise, [layer])
    rows = trail.features[layer].shape[-2]
    gradient = trail.backward(lambda _, gradient: gradient[..., rows // 2, rows // 2].fill_(1))
    (seen,) = gradient.abs().amax((0, 1, 3)).nonzero(as_tuple=True)
    stride, side = SIDE // rows, int(seen[-1] - seen[0]) + 1
    before = rows // 2 * stride - int(seen[0])

    def field(position: int, length: int | None = None) -> range:
        first = position * stride - before
        return range(first, first + side) if length is None else range(max(first, 0), min(first + side, length))

    return field


def as_trained(network: Backbone) -> Backbone:
    """The network that a normalised one was made from.

    Raises:
        ToolkitError: when it is a VGG that is not normalised.
    """
    if isinstance(network, ModuleBackbone):
        return network.normalized({}, {})
    assert isinstance(network, Network)
    return original(network)


def fingerprint(network: Backbone) -> str:
    """SHA-256 of what a network computes; of a VGG: pooling, preprocessing, weights and biases in order."""
    if isinstance(network, ModuleBackbone):
        return network.fingerprint
    assert isinstance(network, Network)
    told = f"{network.pooling} {network.preprocessing} {weights_fingerprint(network)}"
    return hashlib.sha256(told.encode()).hexdigest()


class ModuleTrail(Trail):
    """The trail of a ``ModuleBackbone``: PyTorch's graph from an image to its features."""

    def __init__(self, image: Tensor, features: dict[str, Tensor]) -> None:
        self._image, self._outputs = image, features
        self.features = {name: output.detach() for name, output in features.items()}

    def backward(self, add_gradient: AddGradient) -> Tensor:
        """As of any ``Trail``."""
        gradients = {name: torch.zeros_like(features) for name, features in reversed(self.features.items())}
        for name, gradient in gradients.items():
            add_gradient(name, gradient)
        outputs = [self._outputs[name] for name in gradients]
        return torch.autograd.grad(outputs, self._image, list(gradients.values()))[0]
