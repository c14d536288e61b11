"""Scales: a network's mean activations as a file of their own, for whoever has the weights but no images."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ToolkitError
from ..files import save_tensors
from ..network import Architecture, Network, Pooling, weights_fingerprint

FORMAT = "normalized-vgg-scales"

#: How such a file's name ends.
SUFFIX = ".scales"

#: Weights whose filters' norms differ by less are the same ones, stored less exactly. An 8-bit copy's differ by a
#: few thousandths, another training's by a factor.
NEARLY = 0.02


@dataclass(frozen=True)
class Scales:
    """Mean activations, and what tells the network on which they were measured.

    ``means``: from each convolution to its filters' mean activations behind the ReLU, float64 (O), under ``pooling``.
    ``norms``: likewise the Euclidean norms of the filters, float32 (O). ``weights``: the weights' fingerprint.
    """

    architecture: Architecture
    pooling: Pooling
    weights: str
    norms: Mapping[str, Tensor]
    means: Mapping[str, Tensor]
    provenance: Mapping[str, Any]

    @classmethod
    def of(cls, network: Network, means: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> "Scales":
        """Those of a network that is not normalised."""
        return cls(
            network.architecture,
            network.pooling,
            weights_fingerprint(network),
            _norms(network),
            {name: mean.double().cpu() for name, mean in means.items()},
            provenance,
        )

    def fits(self, network: Network) -> bool:
        """Whether they belong to a network's weights: bit by bit, or stored less exactly."""
        return network.architecture == self.architecture and all(
            torch.allclose(norm, self.norms[name], rtol=NEARLY, atol=0) for name, norm in _norms(network).items()
        )

    def save(self, path: Path) -> None:
        """Writes them, atomically.

        Raises:
            ToolkitError: when they can't be written.
        """
        tensors = {f"{name}.mean_activation": mean for name, mean in self.means.items()}
        tensors |= {f"{name}.norm": norm for name, norm in self.norms.items()}
        metadata = {
            "format": FORMAT,
            "architecture": json.dumps(asdict(self.architecture)),
            "pooling": self.pooling,
            "weights": self.weights,
            "provenance": json.dumps(self.provenance),
        }
        save_tensors(tensors, path, metadata)

    @classmethod
    def load(cls, path: Path) -> "Scales":
        """Those that ``save`` wrote.

        Raises:
            ToolkitError: when there is no such file, or it holds no scales.
        """
        try:
            with safetensors.safe_open(path, "pt") as opened:
                metadata = dict(opened.metadata() or {})
            tensors = load_file(path)
            if metadata["format"] != FORMAT:
                raise KeyError(FORMAT)
            described = json.loads(metadata["architecture"])
            architecture = Architecture(described["name"], tuple(described["widths"]))
            return cls(
                architecture,
                metadata["pooling"],
                metadata["weights"],
                {name: tensors[f"{name}.norm"] for name in architecture.convolutions},
                {name: tensors[f"{name}.mean_activation"] for name in architecture.convolutions},
                json.loads(metadata["provenance"]),
            )
        except FileNotFoundError as error:
            raise ToolkitError(f"There is no file of scales {path}.") from error
        except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
            raise ToolkitError(
                f"{path} holds no scales: make them with `python -m toolkit normalize … --scales-only`."
            ) from error


def _norms(network: Network) -> dict[str, Tensor]:
    return {
        name: network.convolution(name).weight.flatten(1).norm(dim=1).float().cpu()
        for name in network.architecture.convolutions
    }
