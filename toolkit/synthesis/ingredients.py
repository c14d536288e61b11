"""What a result is made from: which images a recipe needs, and the fingerprints that it records."""

import hashlib
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from .. import __version__
from ..network import Network, fingerprint
from ..pictures.io import to_floats


class Ingredients(BaseModel):
    """What a result was made from: the toolkit's version, and SHA-256 fingerprints of the network and the images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    toolkit: str
    network: str
    content: str | None = None
    styles: tuple[str, ...] = ()
    start: str | None = None
    masks: tuple[str, ...] = ()
    style_masks: tuple[str, ...] = ()


def ingredients(
    network: Network,
    content: Tensor | None = None,
    styles: Sequence[Tensor] = (),
    start: Tensor | None = None,
    masks: Sequence[Tensor] = (),
    style_masks: Sequence[Tensor] = (),
) -> Ingredients:
    """The fingerprints that a synthesis of this network and these images has in its recipe; arguments as there."""
    return Ingredients(
        toolkit=__version__,
        network=fingerprint(network),
        content=None if content is None else pixels_fingerprint(content),
        styles=tuple(map(pixels_fingerprint, styles)),
        start=None if start is None else pixels_fingerprint(start),
        masks=tuple(map(pixels_fingerprint, masks)),
        style_masks=tuple(map(pixels_fingerprint, style_masks)),
    )


def pixels_fingerprint(image: Tensor) -> str:
    """The SHA-256 of an image, (1, C, H, W), as float32."""
    digest = hashlib.sha256()
    for channel in image[0]:  # by channel, for little memory
        digest.update(to_floats(channel).cpu().contiguous().numpy().data)
    return digest.hexdigest()
