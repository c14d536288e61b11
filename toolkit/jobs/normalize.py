"""A VGG normalised over a set of images, checked, and written with its provenance: its fields; ``measure`` runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from ..choices import SCALES, Arithmetic, Pooling, Preparation, Storage
from ..errors import InputError
from ..fields import Names, field
from ..network import is_module
from .job import Count, Device, Job, OfConvention, Outcome, Output, Source


class Preset(NamedTuple):
    """Settings that go together."""

    pooling: Pooling
    preparation: Preparation


PRESETS = {"synthesis": Preset("average", "crop"), "gatys": Preset("max", "stretch")}


class Counted(NamedTuple):
    """How many images are done, of all; the first time this is told, those that an earlier run has done."""

    done: int
    total: int


class Normalize(Job):
    """Rescale a network so that every filter's mean activation is one.

    Measures the mean activation of every filter over images, rescales the network so that each becomes one, checks
    that it still computes the same, and writes it. If the command is interrupted, run it again and it continues where
    it was. Under torchrun, all processes share the images.

    Of a network that is no VGG the mean activations are written alone; its features are divided by them at the layers.
    """

    as_json: ClassVar[bool] = True

    source: Source
    images: tuple[str, ...] = field(
        (),
        "folders, .tar archives, .parquet files or .txt lists of images, such as ImageNet's validation set; here or at "
        "an address (https://, hf://, s3://); 'val-{00..63}.tar' and 'val-*.tar' name several, 'val.parquet#photo' a "
        "column. Or a "
        f"{SCALES} file of mean activations from an earlier run (default: four photographs, which give approximate "
        "mean activations)",
        positional=True,
    )
    output: Path = field(
        ...,
        f"the file to write: NAME.safetensors for the network, NAME{SCALES} for the mean activations alone",
        **Output,
    )
    preset: Literal["synthesis", "gatys"] = field(
        "synthesis",
        "synthesis: average pooling, centre crops (default); gatys: max pooling, images stretched to 256 x 256, which "
        "with Caffe's VGG-19 is how the paper's network was made",
    )
    pooling: Literal["average", "max", "both"] | None = field(
        None, "the pooling to measure under (default: the preset's); one file holds both"
    )
    prepare: Preparation | None = field(
        None,
        "crop: shorter side to 256, centre 224 x 224; stretch: the whole image to 256 x 256; native: the image as it "
        "is (default: the preset's); colour profiles and EXIF orientation are ignored, as they were in training",
    )
    layers: Names | None = field(
        None,
        "of a network that is no VGG: the layers to measure, by their names in PyTorch, such as layer1,layer2; or by "
        "names of your own, such as those that recipes have: relu1_1=layer1,relu2_1=layer2",
        metavar="LAYERS",
    )
    sample: Count | None = field(None, "use N of the images, chosen at random", metavar="N")
    seed: int = field(0, "random seed for --sample", metavar="N")
    strict: bool = field(False, "stop at the first image or archive that cannot be read")
    recheck: Annotated[int, Field(ge=0)] = field(
        1000, "measure the result again on N of the images, 0 for none", metavar="N"
    )
    report: Path | None = field(None, "write a report too, one .html page", metavar="FILE")
    batch_size: Count = field(8, "images at a time", metavar="N")
    workers: Annotated[int, Field(ge=0)] | None = field(
        None, "processes that decode images (default: chosen for the device)", metavar="N"
    )
    arithmetic: Arithmetic | None = field(
        None, "arithmetic of the measurement (default: tf32 on a GPU, float32 elsewhere); sums are always float64"
    )
    precision: Storage = field(
        "float32",
        "precision of the weights in the file: float16 halves its size, 8bit quarters it; they are rounded first, and "
        "normalised as they will be read",
    )
    convention: OfConvention = None
    device: Device = "auto"

    @property
    def of_means(self) -> bool:
        """Whether mean activations are given in place of images."""
        return any(source.endswith(SCALES) for source in self.images)

    @model_validator(mode="after")
    def _fitting(self) -> "Normalize":
        if self.output.suffix not in (SCALES, ".safetensors"):
            raise InputError(f"{self.output} must end in .safetensors or {SCALES}.", "output")
        means_only = self.output.suffix == SCALES
        if is_module(self.source) and (not means_only or self.of_means or self.pooling):
            sentence = (
                "Of a network that is no VGG only the mean activations are written, over images and under the pooling "
                f"that it has: name a {SCALES} file, and leave out pooling."
            )
            raise InputError(sentence, "output")
        if is_module(self.source) != bool(self.layers):
            raise InputError(
                "A VGG is measured at all its layers, any other network at those that are named.", "layers"
            )
        if means_only and (self.pooling == "both" or self.report):
            raise InputError(f"A {SCALES} file holds one pooling and has no report: leave them out.", "output")
        if not self.images and self.sample:
            raise InputError("There are no images to take a sample of: name a folder, archive or list.", "sample")
        surplus = self.pooling or self.prepare or self.sample or self.report
        if self.of_means and (surplus or len(self.images) > 1 or means_only):
            sentence = (
                f"A {SCALES} file takes the place of images, and gives a .safetensors file: name no images beside it, "
                "and leave out pooling, prepare, sample and report."
            )
            raise InputError(sentence, "images")
        return self

    def run(self, progress: Callable[[Counted], object] = lambda step: None) -> Outcome:
        from .measure import run

        return run(self, progress)
