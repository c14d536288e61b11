"""What is published of a network: its file, ONNX, mean activations, and a card filled from them."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..choices import SCALES, Pooling, Storage
from ..errors import ToolkitError
from ..export import export_features, export_step
from ..files import written_atomically
from ..network import POOLINGS, Network, find_network, load_vgg, normalized_for, original
from ..network.hub import WEIGHTS
from ..normalize import MeanActivations
from ..normalize.check import held_out, largest_relative_error
from ..normalize.facts import network_facts
from ..synthesis.notation import STYLE_LAYERS
from ..synthesis.recipe import CONTENT_LAYERS

#: The layers of a transfer, content's and style's.
LAYERS = (list(CONTENT_LAYERS), list(STYLE_LAYERS["balanced"]))


@dataclass(frozen=True)
class Bundle:
    """What a card tells of.

    Attributes:
        network: normalised, for the first pooling.
        normalization: by pooling, over which images the mean activations were taken.
        checks: by pooling, the facts of the network, checked anew.
        onnx: by file, the largest error against PyTorch.
        files: by name, their sizes in bytes.
        photographs: on how many the outputs were compared.
    """

    network: Network
    normalization: Mapping[Pooling, Mapping[str, Any]]
    checks: Mapping[Pooling, Mapping[str, Any]]
    onnx: Mapping[str, float]
    files: Mapping[str, int]
    photographs: int


def write_bundle(source: str | Path, folder: Path) -> Bundle:
    """Writes the files of a normalised network into a folder, and checks it anew.

    Args:
        source: as for ``load_vgg``; a file of ours with mean activations.
        folder: made where it is missing.

    Raises:
        ToolkitError: when the network is not normalised, a file can't be written, or a check fails.
    """
    path = find_network(source)
    networks = {pooling: load_vgg(path, pooling=pooling) for pooling in normalized_for(path)}
    if not networks:
        raise ToolkitError(f"{source} is not normalised: normalise it first.")
    photographs = held_out()
    checks, normalization = {}, {}
    for pooling, network in networks.items():
        trained = original(network)
        checks[pooling] = network_facts(network, largest_relative_error(trained, network, photographs))
        normalization[pooling] = network.provenance.get("normalization", {})
        known = MeanActivations.of(trained, network.mean_activations, normalization[pooling])
        known.save(folder / f"{pooling}{SCALES}")
    for pooling in set(POOLINGS) - set(networks):
        (folder / f"{pooling}{SCALES}").unlink(missing_ok=True)  # an earlier run's
    with written_atomically(folder / WEIGHTS) as temporary:
        shutil.copyfile(path, temporary)
    first = next(iter(networks.values()))
    content, style = LAYERS
    precision: Storage = "8bit" if first.codebooks else "float32"
    onnx = {
        "features.onnx": export_features(first, sorted({*content, *style}), folder / "features.onnx", precision),
        "step.onnx": export_step(first, content, style, folder / "step.onnx", precision),
    }
    files = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.suffix != ".md"}
    largest = {name: max(outputs.values()) for name, outputs in onnx.items()}
    return Bundle(first, normalization, checks, largest, files, len(photographs))
