"""Mean activations as a file of their own, for whoever has the weights but no images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Json
from torch import Tensor

from ..choices import SCALES, Pooling
from ..errors import DamagedFileError, MissingFileError, ToolkitError
from ..files import Header, load_tensors, save_tensors
from ..network import Architecture, Network, weights_fingerprint

#: Two sets of weights are taken to be the same, stored with different precision, when the norms of their filters
#: differ by less than this share. Those of another training differ by a factor.
NEARLY = 0.02


class ScalesHeader(Header):
    """The metadata of a file of mean activations."""

    format: Literal["normalized-vgg-scales"] = "normalized-vgg-scales"
    architecture: Json[Architecture]
    pooling: Pooling
    weights: str
    provenance: Json[dict[str, Any]]


@dataclass(frozen=True)
class MeanActivations:
    """The mean activations of a network, and over which images they were taken.

    Attributes:
        architecture: of the network.
        pooling: under which they were taken.
        weights: the fingerprint of the weights.
        norms: by convolution, the Euclidean norms of the filters, float32 (O): they tell which weights these are.
        means: by convolution, the mean activations after the ReLU, float64 (O).
        provenance: over which images, prepared how.
    """

    architecture: Architecture
    pooling: Pooling
    weights: str
    norms: Mapping[str, Tensor]
    means: Mapping[str, Tensor]
    provenance: Mapping[str, Any]

    @classmethod
    def of(cls, network: Network, means: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> "MeanActivations":
        """Those of a network as it was trained."""
        return cls(
            network.architecture,
            network.pooling,
            weights_fingerprint(network),
            _norms(network),
            {name: mean.cpu().double() for name, mean in means.items()},
            provenance,
        )

    def fits(self, network: Network) -> bool:
        """Whether they belong to a network's weights, exactly or stored with less precision."""
        return network.architecture == self.architecture and all(
            torch.allclose(norm, self.norms[name], rtol=NEARLY, atol=0) for name, norm in _norms(network).items()
        )

    def save(self, path: Path) -> None:
        """Writes a ``.scales`` file, atomically.

        Raises:
            ToolkitError: when it cannot be written.
        """
        tensors = {f"{name}.mean_activation": mean for name, mean in self.means.items()}
        tensors |= {f"{name}.norm": norm for name, norm in self.norms.items()}
        header = ScalesHeader.model_construct(
            architecture=self.architecture, pooling=self.pooling, weights=self.weights, provenance=self.provenance
        )
        save_tensors(tensors, path, header.metadata())

    @classmethod
    def load(cls, path: Path) -> "MeanActivations":
        """Reads a ``.scales`` file.

        Raises:
            ToolkitError: when there is no such file, or it holds something else.
        """
        if not path.exists():
            raise MissingFileError(f"There is no file of mean activations {path}.")
        try:
            tensors, metadata = load_tensors(path)
            header = ScalesHeader.model_validate(metadata)
            norms, means = (
                {name: tensors[f"{name}.{kind}"] for name in header.architecture.convolutions}
                for kind in ("norm", "mean_activation")
            )
            return cls(header.architecture, header.pooling, header.weights, norms, means, header.provenance)
        except (ToolkitError, KeyError, ValueError) as error:
            raise DamagedFileError(
                f"{path} holds no mean activations of a VGG: name a {SCALES} file that the normalisation of one wrote."
            ) from error


def _norms(network: Network) -> dict[str, Tensor]:
    return {
        name: network.convolution(name).weight.flatten(1).norm(dim=1).float().cpu()
        for name in network.architecture.convolutions
    }
