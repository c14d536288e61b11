"""A recipe's losses, bound to their targets: an image in, every loss and the gradient out."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import keep_freed_memory, return_freed_memory
from ..distributed import ALONE, Ranks, Share
from ..errors import ToolkitError
from ..network import Layer, Network
from .differences import DifferencePullback
from .losses import ContentLoss, GramMatrix, Loss, Region, StyleLoss, total_variation
from .pullback import AddGradient, Passed, Pullback, Show
from .recipe import Recipe
from .tiles import Tile, cut, pixels_within, strides


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: the weighted sum, each loss before its weight, and the sum's gradient in the image.

    Where several processes share it, each has no more of the gradient than its part (``Share``).
    """

    objective: float
    losses: dict[str, float]
    gradient: Tensor


class Objective:
    """What a recipe asks to be minimised.

    Several style images blend into one target, the weighted mean of their Gram matrices; its gradient is that
    of the weighted sum of their losses. Images that would need more memory than there is are worked on in tiles;
    losses and gradient are those of the whole image.

    Args:
        network: on the device and in the precision to compute in.
        recipe: which losses, and their weights.
        content: (1, 3, H, W), RGB in [0, 1]; needed for content losses.
        styles: (1, 3, h, w) each; needed for style losses.
        masks: where each style image is to show, (1, 1, H, W) in [0, 1] each (Gatys et al. 2017); everywhere, blended,
            when there are none.
        memory: bytes that features and targets may take; as much as they need when ``None``.
        ranks: processes that share the tiles of every evaluation; each gets all losses, and of the gradient its share.
        differences: whether to compute in bfloat16 what changed since the network, in float32, computed a reference:
            one of the images shown, every so often. For images near each other, and only where it ``has_room``.

    ``runs_on`` says what computes, and where; ``only_float32`` that it knows nothing else.

    Raises:
        ToolkitError: for a missing image, an unknown layer, or an image too small for the deepest layer.
    """

    only_float32 = False

    @staticmethod
    def has_room(
        network: Network, recipe: Recipe, size: tuple[int, int], memory: int | None, ranks: Ranks = ALONE
    ) -> bool:
        """Whether it can compute in differences: a process' part of an image (height, width) must be kept whole."""
        if network.pooling != "average":
            return False
        content, style = _weights(recipe)
        path = network.architecture.down_to({*content, *style})
        if memory is not None:  # content targets are kept as they are, and less the reference's features
            memory -= 2 * _nbytes(content, path, size, network.dtype)
        return len(cut(size, path, pixels_within(memory, path, DifferencePullback.ITEMSIZE), ranks.size)) <= ranks.size

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        masks: Sequence[Tensor] = (),
        memory: int | None = None,
        ranks: Ranks = ALONE,
        differences: bool = False,
    ) -> None:
        self.recipe = recipe
        self.ranks = ranks
        self._evaluated = False
        self._device = next(network.parameters()).device
        self._keep_freed(False)
        self.runs_on = f"PyTorch on {self._device}"
        self.content_weights, self.style_weights = _weights(recipe)
        if self.content_weights and content is None:
            raise ToolkitError(f"A {recipe.synthesis} needs a content image: name one.")
        if self.style_weights and not styles:
            raise ToolkitError(f"A {recipe.synthesis} needs a style image: name at least one.")
        shares = recipe.style_image_weights or (1.0,) * len(styles)
        if styles and len(shares) != len(styles):
            raise ToolkitError(f"There are {len(styles)} style images but {len(shares)} weights for them.")
        if masks and len(masks) != len(styles):
            raise ToolkitError(f"There are {len(styles)} style images but {len(masks)} masks: name one for each.")
        layers = {*self.content_weights, *self.style_weights}
        self.pullback = (
            DifferencePullback(network, layers, differing=self.content_weights)
            if differences
            else Pullback(network, layers)
        )
        self._reference: _Reference | None = None
        self.strides = strides(self.pullback.path)
        if memory is not None and content is not None:
            size = (content.shape[-2], content.shape[-1])
            targets = _nbytes(self.content_weights, self.pullback.path, size, network.dtype)
            memory = max(1, memory - (2 if differences else 1) * targets)
        self.pixels = pixels_within(memory, self.pullback.path, self.pullback.itemsize)
        self.content_targets: dict[str, Tensor] = {}
        if content is not None and self.content_weights:
            self.content_targets = self._features(content)
        self.style_targets: list[_StyleTarget] = []
        if self.style_weights:
            grams = [self._grams(style) for style in styles]
            shares = tuple(share / sum(shares) for share in shares)
            if masks:
                self.style_targets = [_StyleTarget(*each) for each in zip(grams, shares, masks, strict=True)]
            else:
                blend = {
                    name: sum((share * gram[name] for share, gram in zip(shares, grams, strict=True)), torch.zeros(()))
                    for name in self.style_weights
                }
                self.style_targets = [_StyleTarget(blend)]

    def __call__(self, image: Tensor) -> Evaluation:
        """Every loss of an image (1, 3, H, W), and the gradient of their weighted sum."""
        losses, gradient = self.network_losses(image)
        weights = {f"content {name}": weight for name, weight in self.content_weights.items()}
        weights |= {f"style {name}": weight for name, weight in self.style_weights.items()}
        if weight := self.recipe.total_variation_weight:
            weights["total variation"] = weight
            losses["total variation"], smoothing = total_variation(image, weight)
            gradient = gradient + smoothing
        values = torch.stack(list(losses.values())).tolist()  # one wait for the device
        named = dict(zip(losses, values, strict=True))
        return Evaluation(sum(weight * named[name] for name, weight in weights.items()), named, gradient)

    def network_losses(self, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Content and style losses of an image by name (``style relu1_1``), and the gradient of their weighted sum.

        Raises:
            ValueError: when it is to compute in differences without room for them.
        """
        tiles = self._tiles(image)[self.ranks.rank :: self.ranks.size]
        if tiles and isinstance(self.pullback, DifferencePullback):
            if len(tiles) > 1:
                raise ValueError("differences need room for the whole image: ask has_room before")
            self._refer(self.pullback, image, tiles[0])
        content, styles = self._losses(image)
        on_layer = {name: [loss for loss, _ in styles.get(name, [])] for name in self.strides}
        for name, loss in content.items():
            on_layer[name].append(loss)
        # There are several where memory is short. And the first evaluation makes what lasts: between large blocks that
        # come and go it would leave gaps in which no other of them fits.
        self._keep_freed(self._evaluated and len(tiles) <= 1)
        self._evaluated = True
        trails: list[list[Passed]] = []
        for tile in tiles:
            seen = _part(image, tile.window)
            if len(tiles) == 1:
                trails.append(self.pullback.forward(seen, self._shower(on_layer, tile, image)))
            else:  # there is no room for more than one: each is made again for the way back
                show = self._shower(on_layer, tile, image)
                for name, features in self.pullback.network.walk(seen, self.pullback.layers):
                    show(name, features, None)
        for parts in on_layer.values():
            for loss in parts:
                loss.sum_over(self.ranks)
        losses = {f"content {name}": loss.value() for name, loss in content.items()}
        losses |= {
            f"style {name}": torch.stack([loss.value() * share for loss, share in parts]).sum()
            for name, parts in styles.items()
        }
        if trails and self.ranks.size == 1:
            return losses, self.pullback.backward(trails.pop(), self._adder(on_layer, tiles[0], image))
        gradient = torch.zeros_like(image)
        for tile in tiles:
            rows, columns = tile.window
            trail = trails.pop() if trails else self.pullback.forward(image[..., rows, columns], lambda *_: None)
            gradient[..., rows, columns] += self.pullback.backward(trail, self._adder(on_layer, tile, image))
        Share(self.ranks, gradient.numel()).sum(gradient.view(-1))
        return losses, gradient

    def state(self) -> dict[str, Any]:
        """Everything beside its arguments that the next evaluation depends on, for ``restore``."""
        reference = self._reference
        return {"reference": reference and reference.image, "served": reference.served if reference else 0}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state, whatever number of processes it is of."""
        image = state["reference"]
        self._reference = None if image is None else _Reference(image.clone(), state["served"])

    def _refer(self, pullback: DifferencePullback, image: Tensor, tile: Tile) -> None:
        """Sees to it that differences have their reference: the image itself, once another has served its time."""
        if self._reference is None or self._reference.served == pullback.SERVES:
            self._reference = _Reference(image.clone())
        reference = self._reference
        if not reference.referred:
            pullback.refer(_part(reference.image, tile.window), self._learner(reference, tile))
            reference.referred = True
        reference.served += 1

    def _learner(self, reference: "_Reference", tile: Tile) -> Callable[[str, Tensor], None]:
        """Takes in, from the reference's features in a tile, all that losses need to know of them."""

        def learn(name: str, features: Tensor) -> None:
            inner, outer = self._core(tile, name, reference.image)
            features = _part(features, inner)
            if name in self.content_weights:
                reference.content[name] = self.content_targets[name].clone()
                _part(reference.content[name], outer).sub_(features)
            if name in self.style_weights:
                for number, target in enumerate(self.style_targets):
                    guide = target.guide(self._size(name, reference.image))
                    gram = GramMatrix(features.shape[1], features.device, _wide(features))
                    gram.add(features, None if guide is None else _part(guide, outer))
                    reference.grams[name, number] = gram

        return learn

    def _losses(self, image: Tensor) -> tuple[dict[str, Loss], dict[str, list[tuple[Loss, float]]]]:
        """This evaluation's losses by layer, those of style with the share that each has."""
        formula = self.recipe.formula
        known = self._reference or _Reference(image)
        content: dict[str, Loss] = {
            name: ContentLoss(known.content.get(name, self.content_targets[name]), weight, formula)
            for name, weight in self.content_weights.items()
        }
        styles: dict[str, list[tuple[Loss, float]]] = {
            name: [
                (
                    StyleLoss(
                        target.grams[name],
                        weight * target.share,
                        formula,
                        target.guide(self._size(name, image)),
                        known.grams.get((name, number)),
                    ),
                    target.share,
                )
                for number, target in enumerate(self.style_targets)
            ]
            for name, weight in self.style_weights.items()
        }
        return content, styles

    def _shower(self, on_layer: dict[str, list[Loss]], tile: Tile, image: Tensor) -> Show:
        def show(name: str, features: Tensor, difference: Tensor | None) -> None:
            inner, outer = self._core(tile, name, image)
            changed = None if difference is None else _part(difference, inner)
            for loss in on_layer[name]:
                loss.add(_part(features, inner), outer, changed)

        return show

    def _adder(self, on_layer: dict[str, list[Loss]], tile: Tile, image: Tensor) -> AddGradient:
        def add(name: str, gradient: Tensor, features: Tensor, difference: Tensor | None) -> None:
            inner, outer = self._core(tile, name, image)
            changed = None if difference is None else _part(difference, inner)
            for loss in on_layer[name]:
                loss.add_gradient(_part(gradient, inner), _part(features, inner), outer, changed)

        return add

    def _features(self, image: Tensor) -> dict[str, Tensor]:
        """The content layers' features of a whole image."""
        found: dict[str, Tensor] = {}
        for tile in self._tiles(image):
            rows, columns = tile.window
            for name, features in self.pullback.network.walk(image[..., rows, columns], self.content_weights):
                (inner_rows, inner_columns), (outer_rows, outer_columns) = self._core(tile, name, image)
                if name not in found:
                    found[name] = features.new_empty(1, features.shape[1], *self._size(name, image)).contiguous(
                        memory_format=torch.channels_last
                    )
                found[name][..., outer_rows, outer_columns] = features[..., inner_rows, inner_columns]
        return found

    def _grams(self, image: Tensor) -> dict[str, Tensor]:
        """The style layers' Gram matrices of a whole image."""
        found: dict[str, GramMatrix] = {}
        for tile in self._tiles(image):
            rows, columns = tile.window
            for name, features in self.pullback.network.walk(image[..., rows, columns], self.style_weights):
                (inner_rows, inner_columns), _ = self._core(tile, name, image)
                gram = found.setdefault(name, GramMatrix(features.shape[1], features.device, _wide(features)))
                gram.add(features[..., inner_rows, inner_columns])
        return {name: gram.mean() for name, gram in found.items()}

    def _tiles(self, image: Tensor) -> tuple[Tile, ...]:
        return cut((image.shape[-2], image.shape[-1]), self.pullback.path, self.pixels, self.ranks.size)

    def _keep_freed(self, keep: bool) -> None:
        if self._device.type == "cpu":
            (keep_freed_memory if keep else return_freed_memory)()

    def _core(self, tile: Tile, layer: str, image: Tensor) -> tuple[Region, Region]:
        return tile.core(self.strides[layer], self._size(layer, image))

    def _size(self, layer: str, image: Tensor) -> tuple[int, int]:
        stride = self.strides[layer]
        return image.shape[-2] // stride, image.shape[-1] // stride


@dataclass(frozen=True)
class _StyleTarget:
    """Gram matrices to reach, by layer; with what share, and where."""

    grams: dict[str, Tensor]
    share: float = 1.0
    mask: Tensor | None = None

    def guide(self, size: tuple[int, int]) -> Tensor | None:
        """The square of the mask at a layer's size, (1, 1, h, w)."""
        return None if self.mask is None else F.interpolate(self.mask, size, mode="area").square()


@dataclass
class _Reference:
    """An image that others differ from.

    ``served`` counts the evaluations that it was there for. Once ``referred`` to, ``content`` are the content targets
    less its features, by layer, and ``grams`` its Gram matrices, by layer and number of the style target.
    """

    image: Tensor
    served: int = 0
    referred: bool = False
    content: dict[str, Tensor] = field(default_factory=dict)
    grams: dict[tuple[str, int], GramMatrix] = field(default_factory=dict)


def _part(features: Tensor, region: Region) -> Tensor:
    return features[..., region[0], region[1]]


def _wide(features: Tensor) -> torch.dtype:
    return torch.promote_types(features.dtype, torch.float32)


def _weights(recipe: Recipe) -> tuple[dict[str, float], dict[str, float]]:
    """By layer, the weights of the content and of the style losses that count."""
    return (
        _scaled(recipe.content_layers, recipe.content_weight),
        _scaled(recipe.style_layers, recipe.style_weight),
    )


def _nbytes(layers: Iterable[str], path: tuple[Layer, ...], size: tuple[int, int], dtype: torch.dtype) -> int:
    """Bytes of those layers' features of an image (height, width)."""
    stride, channels = strides(path), {layer.name: layer.channels for layer in path}
    return sum(channels[name] * math.prod(side // stride[name] for side in size) for name in layers) * dtype.itemsize


def _scaled(layers: dict[str, float], weight: float) -> dict[str, float]:
    return {name: weight * share for name, share in layers.items() if weight * share > 0}
