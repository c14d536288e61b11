"""The model card: what a person reads before using a published network, and what the hub reads on top of it."""

from pathlib import Path
from typing import Any

from ..templates import render
from .bundle import Bundle

TEMPLATE = Path(__file__).with_name("card.md.jinja")

#: What each file is for.
FILES = {
    "model.safetensors": "the network: weights as trained, and the mean activations that normalise them on reading",
    "features.onnx": "the layers of a transfer, from RGB in [0, 1], for any ONNX runtime",
    "step.onnx": "one evaluation of a transfer's losses and their gradient with respect to the image",
    "average.scales": "the mean activations alone, under average pooling",
    "max.scales": "the mean activations alone, under max pooling",
}

#: How the images were prepared, in words.
PREPARED = {"crop": "centre crops of 224 px", "stretch": "stretched to 256 x 256", "native": "as they are"}

#: The lines of the table: what each says, and the key in the provenance.
ROWS = {
    "images": "images",
    "from": "source",
    "preparation": "preparation",
    "filter": "filter",
    "pixels": "pixels",
    "arithmetic": "arithmetic",
    "made with PyTorch": "torch",
}


def card(bundle: Bundle, repository: str, license: str, base_model: str | None = None) -> str:
    """The text of a card, Markdown with YAML before it.

    Repositories are ``owner/name``; ``base_model`` is that of the network as it was trained, where there is one. The
    license is that of the weights, by the hub's names, such as ``cc-by-4.0``.
    """
    from huggingface_hub import ModelCardData  # slow to import

    network = bundle.network
    matter = ModelCardData(
        license=license,
        base_model=base_model,
        library_name="normalized-vgg",
        pipeline_tag="image-feature-extraction",
        tags=["vgg", network.architecture.name, "normalized", "style-transfer", "texture-synthesis", "onnx"],
    )
    rows = {label: [_cell(made.get(key)) for made in bundle.normalization.values()] for label, key in ROWS.items()}
    tabled = ("positions", "standard_errors", "skipped")  # or too long
    made = network.provenance.get("normalization", {})
    provenance = {**network.provenance, "normalization": {key: made[key] for key in made if key not in tabled}}
    return render(
        TEMPLATE,
        **vars(bundle),
        matter=matter.to_yaml(),
        title=network.architecture.name.upper().replace("VGG", "VGG-"),
        repository=repository,
        license=license,
        described=FILES,
        rows=rows,
        provenance=provenance,
    )


def _cell(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) else PREPARED.get(value, value or "not recorded")
    return text.replace("|", "\\|")
