"""A channel atlas: the image patches that excite each channel of a network most."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..choices import ATLAS
from ..errors import InputError
from ..fields import Names, field
from .job import LOG, Device, Job, OfConvention, Outcome, Output, Source, written

if TYPE_CHECKING:
    from ..atlas import Step


class AtlasJob(Job):
    """Find the image patches that excite each channel of a network most.

    Finds, in one pass over images, the nine image patches that excite each channel of some layers most, at most one
    from each image.
    """

    network: Source
    images: tuple[str, ...] = field(
        (),
        "folders, archives or lists of images, as for normalize (default: scikit-image's photographs)",
        positional=True,
    )
    layers: Names | None = field(None, "layers to show (default: the first of each block)", metavar="LAYERS")
    output: Path = field(..., f"the {ATLAS} to write", **Output)
    convention: OfConvention = None
    device: Device = "auto"

    def run(self, progress: "Callable[[Step], object]" = lambda step: None) -> Outcome:
        if self.output.suffix != ATLAS:
            raise InputError(f"{self.output} must end in {ATLAS}.", "output")
        import torch

        from ..atlas import LAYERS, example_images, measure
        from ..data.remote import named
        from ..data.sources import list_images
        from ..data.stream import decoders
        from ..device import find_device
        from ..files import check_outputs
        from ..normalize import load_backbone

        check_outputs([self.output])
        where = find_device(self.device)
        network = load_backbone(self.network, convention=self.convention).at(where, torch.float32)
        images = list_images(*self.images) if self.images else example_images()
        source = named(*self.images) if self.images else "scikit-image's photographs"
        layers, workers = self.layers or LAYERS, decoders(where)
        for step in measure(network, images, layers, provenance={"source": source}, workers=workers):
            progress(step)
        assert step.atlas is not None
        step.atlas.write(self.output)
        for reason in step.skipped.values():
            LOG.info("skipped: %s", reason)
        channels = sum(step.atlas.channels(layer) for layer in step.atlas.layers)
        text = f"{step.atlas.images} images read, {len(step.skipped)} skipped, {channels} channels"
        return Outcome(f"{text}\n{written(self.output)}")
