"""A network seen as named layers: what a synthesis needs of it, and any PyTorch module as one."""

import copy
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Protocol

import torch
from torch import Tensor, nn

from ..errors import ToolkitError, did_you_mean
from .architecture import Architecture
from .files import fingerprint
from .pullback import AddGradient, Trail
from .vgg import CONVENTIONS, Network, Preprocessing


class Backbone(Protocol):
    """A network whose layers have names. ``Network`` is one, a VGG in closed form; ``ModuleBackbone`` makes others.

    ``architecture``: of a VGG; any other network refuses to tell. Methods raise ``ToolkitError`` for an unknown layer,
    or an image that is too small, or that should be seamless and can't.
    """

    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def architecture(self) -> Architecture: ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights."""

    def at(self, device: torch.device, dtype: torch.dtype) -> "Backbone":
        """The network on that device and in that type."""

    def shapes(self, layers: Iterable[str], size: Sequence[int], seamless: bool = False) -> dict[str, tuple[int, ...]]:
        """By layer, in the network's order, the (C, h, w) of its features for an image of (height, width)."""

    def bytes_of_a_pixel(self, layers: Iterable[str]) -> float:
        """The memory that a pixel takes on the way to these layers and back, in float32."""

    def walk(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The features (1, C, h, w) of an image (1, 3, H, W), RGB in [0, 1], one layer after the other."""

    def trail(self, image: Tensor, layers: Iterable[str], seamless: bool = False) -> Trail:
        """The features of an image, with the way back."""


class ModuleBackbone:
    """Any PyTorch module that takes an image, by autograd: whole images only, in float32 or bfloat16.

    >>> module = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
    >>> ModuleBackbone(module).shapes(["1"], (30, 40))
    {'1': (8, 15, 20)}

    Args:
        module: its submodules, by their dotted names, are the layers; each is to run once.
        preprocessing: what turns RGB in [0, 1] into its input.
    """

    def __init__(self, module: nn.Module, preprocessing: Preprocessing = CONVENTIONS["torchvision"]) -> None:
        self.module, self.preprocessing = module.eval().requires_grad_(False), preprocessing
        self.parameters = module.parameters
        self.dtype, self.device = next(module.parameters()).dtype, next(module.parameters()).device

    @property
    def architecture(self) -> Architecture:
        """Refused: what needs a VGG's chain of layers asks for it."""
        raise ToolkitError(
            "This network is no VGG, so it can't be cut into tiles, folded or exported: compute whole images."
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the network computes: preprocessing, modules and weights."""
        digest = hashlib.sha256(f"{self.preprocessing} {self.module}".encode())
        for tensor in self.module.state_dict().values():
            digest.update(tensor.double().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def at(self, device: torch.device, dtype: torch.dtype) -> "ModuleBackbone":
        """As ``Backbone``: itself when it is there, else a copy."""
        if (self.device, self.dtype) == (device, dtype):
            return self
        return ModuleBackbone(copy.deepcopy(self.module).to(device, dtype), self.preprocessing)

    def shapes(self, layers: Iterable[str], size: Sequence[int], seamless: bool = False) -> dict[str, tuple[int, ...]]:
        """As ``Backbone``; computed on PyTorch's meta device, which has sizes and no values."""
        if seamless:
            raise ToolkitError("Only a VGG makes seamless textures: other networks pad images in ways of their own.")
        meta = self.at(torch.device("meta"), self.dtype)
        try:
            features = meta._run(torch.empty(1, 3, *size[-2:], device="meta"), layers)
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

    def walk(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """As ``Backbone``."""
        with torch.no_grad():
            yield from self._run(image, layers).items()

    def trail(self, image: Tensor, layers: Iterable[str], seamless: bool = False) -> "ModuleTrail":
        """As ``Backbone``."""
        with torch.enable_grad():
            start = image.detach().requires_grad_()
            return ModuleTrail(start, self._run(start, layers))

    def _run(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        modules, features = dict(self.module.named_modules()), dict[str, Tensor]()

        def kept(name: str, module: nn.Module, _: object, output: Tensor) -> Tensor:
            return features.setdefault(name, output).clone()  # what follows may overwrite its copy

        with ExitStack() as hooks:
            for name in layers:
                if name not in modules:
                    raise ToolkitError(f"Unknown layer {name!r}: {did_you_mean(name, filter(None, modules))}")
                hooks.enter_context(modules[name].register_forward_hook(functools.partial(kept, name)))
            self.module(self.preprocessing(image).to(self.dtype))
        return features


def fingerprint_of(network: Backbone) -> str:
    """SHA-256 of what any network computes."""
    if isinstance(network, ModuleBackbone):
        return network.fingerprint
    assert isinstance(network, Network)
    return fingerprint(network)


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
