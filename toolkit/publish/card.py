"""The model card: what a person reads before using a published network, and what the hub reads on top of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..network import Pooling
from .bundle import Bundle

#: What each file is for; files of mean activations are told by their pooling.
FILES = {
    "model.safetensors": "the network: weights as trained, and the mean activations that normalise them on reading",
    "features.onnx": "the layers of a transfer, from RGB in [0, 1], for any ONNX runtime",
    "step.onnx": "one evaluation of a transfer's losses and their gradient in the image",
}

#: How the images were prepared, in words.
PREPARED = {
    "crop": "centre crops of 224 px",
    "stretch": "stretched to 256 x 256",
    "native": "as they are",
}

#: The lines of the table: what each says, and the key in the provenance.
ROWS = {
    "images": "images",
    "from": "source",
    "preparation": "preparation",
    "filter": "filter",
    "arithmetic": "arithmetic",
    "made with PyTorch": "torch",
}


def card(bundle: Bundle, repository: str, license: str, base_model: str | None = None) -> str:
    """The text of a card, Markdown with YAML before it.

    Args:
        bundle: what was written.
        repository: ``owner/name``.
        license: of the weights, by the hub's names, such as ``cc-by-4.0``.
        base_model: the repository of the network as it was trained, where there is one.
    """
    from huggingface_hub import ModelCardData  # slow to import

    network = next(iter(bundle.networks.values()))
    matter = ModelCardData(
        license=license,
        base_model=base_model,
        library_name="normalized-vgg",
        pipeline_tag="image-feature-extraction",
        tags=["vgg", network.architecture.name, "normalized", "style-transfer", "texture-synthesis", "onnx"],
    )
    poolings = list(bundle.networks)
    title = network.architecture.name.upper().replace("VGG", "VGG-")
    convolutions = len(network.architecture.convolutions)
    sections = [
        f"---\n{matter.to_yaml()}\n---",
        f"# {title}, normalised",
        f"The {convolutions} convolutions of a {title}, rescaled so that the mean activation of every filter is one, "
        "as [Gatys, Ecker & Bethge (2016)](https://doi.org/10.1109/CVPR.2016.265) did for their style transfer. The "
        "network still computes the same: ReLU and pooling commute with a scale. But losses over several layers now "
        "weigh alike, where before one layer decided.",
        "```python\nimport toolkit\n\n"
        + "".join(f'network = toolkit.load_network("hf://{repository}", pooling="{pooling}")\n' for pooling in poolings)
        + f'trained = toolkit.load_network("hf://{repository}", normalized=False)\n```',
        "`trained` is the network as it was. Both take RGB in [0, 1]; the preprocessing is done inside.",
        "## Files",
        _table(
            ["file", "MB", "what it is"], [_file(name, bundle.files[name]) for name in sorted(bundle.files, key=_order)]
        ),
        "## How it was made and checked",
        _table(
            ["", *(f"{pooling} pooling" for pooling in poolings)],
            [
                *(_row(label, key, bundle.normalization) for label, key in ROWS.items()),
                ["images skipped", *(str(len(of.get("skipped", {}))) for of in bundle.normalization.values())],
                ["filters that never fired", *(str(_silent(each)) for each in bundle.networks.values())],
                ["largest relative error of an output", *(f"{e:.1e}" for e in bundle.relative_errors.values())],
            ],
        ),
        f"The error is that of any filter of any layer on {bundle.photographs} photographs, against the network as it "
        "was trained. "
        + " ".join(f"`{name}` is within {error:.1e} of PyTorch." for name, error in bundle.onnx.items()),
        "## Mean activations before",
        *(_layers(pooling, bundle) for pooling in poolings),
        "## Provenance",
        "```json\n" + json.dumps(_short(network.provenance), indent=2) + "\n```",
        "## Licence",
        f"`{license}`, the licence of the weights that this network was made from. The images are not part of it.",
    ]
    return "\n\n".join(sections) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _order(name: str) -> tuple[int, str]:
    known = list(FILES)
    return known.index(name) if name in known else len(known), name


def _file(name: str, size: int) -> list[str]:
    told = FILES.get(name) or f"the mean activations alone, under {name.partition('.')[0]} pooling"
    return [f"`{name}`", f"{size / 1e6:.2f}", told]


def _row(label: str, key: str, normalization: Mapping[Pooling, Mapping[str, Any]]) -> list[str]:
    found = [of.get(key, "not recorded") for of in normalization.values()]
    return [label, *(f"{each:,}" if isinstance(each, int) else PREPARED.get(each, each) for each in found)]


def _silent(network: Any) -> int:
    return sum(int((mean == 0).sum()) for mean in network.mean_activations.values())


def _layers(pooling: Pooling, bundle: Bundle) -> str:
    """Quartiles by layer; the standard error where it was recorded."""
    errors = bundle.normalization[pooling].get("standard_errors", {})
    rows = []
    for name, mean in bundle.networks[pooling].mean_activations.items():
        least, median, largest = torch.quantile(mean, torch.tensor([0, 0.5, 1], dtype=mean.dtype)).tolist()
        error = [f"{errors[name]:.1%}"] if errors else []
        layer = name.replace("conv", "relu")
        rows.append([layer, str(len(mean)), *map(_number, (least, median, largest)), *error])
    head = [
        "layer",
        "filters",
        "least",
        "median",
        "largest",
        *(["standard error of the median filter"] if errors else []),
    ]
    return f"With {pooling} pooling:\n\n{_table(head, rows)}"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _short(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance without what the tables tell, and without long lists."""
    normalization = {
        key: value
        for key, value in provenance.get("normalization", {}).items()
        if key not in ("positions", "standard_errors", "skipped")
    }
    return {**provenance, "normalization": normalization}
