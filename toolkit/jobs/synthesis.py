"""The four syntheses: images in, one image out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from ..choices import CLIPS, FILMS, LONGEST_CLIP, PHOTOGRAPHS, TEMPORAL
from ..errors import InputError, MissingFileError, in_words
from ..fields import Bytes, ColourName, Photograph, field
from ..synthesis.recipe import Group, Recipe, SynthesisName
from .job import NetworkJob, Outcome, Output
from .recipes import recipe_field, with_recipe

if TYPE_CHECKING:
    from ..network import Backbone
    from ..synthesis import Progress, Result

COMMON: tuple[Group, ...] = ("result", "optimisation")

CONTENT = field(
    ..., f"content image, or a folder of them; or {', '.join(PHOTOGRAPHS)}, which are there", positional=True
)
ALPHA = field(False, "make the result transparent where the content image is")


def _styles(help: str, most: int | None = None) -> Any:
    return field(..., help, positional=True, metavar="style", min_length=1, max_length=most)


@dataclass(frozen=True)
class Made(Outcome):
    """A picture that was made: its file, and the film's if one was wanted; and all that is known of it."""

    path: Path = Path()
    film: Path | None = None
    result: "Result | None" = None


class SynthesisJob(NetworkJob):
    """A picture to make from images; or from every pair of images, where folders are named.

    The fields of a recipe are taken with the others. Nothing unfinished bears the picture's name: it is written at the
    end, however that comes, and elsewhere where its own place can't be written.
    """

    #: What the name of the picture ends with.
    ending: ClassVar[str] = ""

    content: str | None = None
    styles: tuple[str, ...] = ()
    output: Path | None = field(
        None,
        "the .png, .jpg, .webp or .tif to write, or the folder for many (default: a PNG named after the images)",
        **Output,
    )
    start_image: str | None = field(None, "start from this image (sets --levels 1 unless given)", metavar="FILE")
    masks: tuple[str, ...] = ()
    style_masks: tuple[str, ...] = ()
    regions: Literal[2, 3, 4] | None = None
    resume: bool = field(False, "keep a checkpoint beside the output, and resume from it")
    timelapse: Path | None = field(
        None, "also write a film: .mp4, .gif or .webp; a resumed run writes one of its own", metavar="FILE"
    )
    bits: Literal[8, 16] | None = field(None, "bits a channel (default: 8, of a TIFF 16)")
    dpi: float | None = field(None, "dots per inch, for printing", metavar="N", ge=1, le=100_000)
    background: ColourName = field(
        "white", "behind transparent parts of images, by name or as #rrggbb", metavar="COLOUR"
    )
    keep_alpha: bool = False
    engine: Literal["torch", "onnx"] = field("torch", "what computes")
    memory: Bytes | None = field(None, "memory limit, e.g. 4GB (default: all free memory)", metavar="SIZE")
    recipe: Recipe
    #: Where the recipe was read, if it was read.
    recipe_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Only what this synthesis takes, with a recipe of it."""
        for name, info in cls.model_fields.items():
            if name in fields and not info.description:
                raise InputError(f"{in_words(name)} is unknown.", name)
        if fields.get("start_image"):
            start = fields.get("start") or "image"
            if start != "image":
                raise InputError(
                    f"A start image and start {start} contradict each other: leave one out.", "start_image"
                )
            fields = {"levels": 1, **fields, "start": start}  # a coarse level would change its forms
        source = fields.get("recipe")
        fields = with_recipe(fields, cls.model_fields["recipe"].default.synthesis)
        if fields["recipe"].start == "image" and not fields.get("start_image"):
            raise InputError("The recipe starts from an image of its own: name it.", "start_image")
        return {**fields, "recipe_file": None if isinstance(source, Recipe) else source}

    @property
    def pictures(self) -> tuple[str, ...]:
        """All images that are read."""
        named = (self.content, *self.styles, self.start_image, *self.masks, *self.style_masks)
        return tuple(name for name in named if name)

    @property
    def many(self) -> bool:
        """Whether folders are named, so that one picture is made of every pair: see ``pairs.every_pair``."""
        return any(Path(name).is_dir() for name in (self.content, *self.styles) if name)

    def check_there(self) -> None:
        """Makes sure that all images are there.

        Raises:
            MissingFileError: when one isn't.
        """
        for name in self.pictures:
            if not Path(name).exists():
                raise MissingFileError(f"There is no picture {name}.")

    def run(
        self, progress: "Callable[[Progress], object]" = lambda step: None, network: "Backbone | None" = None
    ) -> Made:
        """Makes the picture. Under torchrun, all processes share it.

        Args:
            progress: is called after each iteration.
            network: is taken in place of the one that is named.

        Raises:
            ToolkitError: when something is wrong that a person can put right.
            KeyboardInterrupt: when it is interrupted; the best image so far is kept, and its notes say where.
        """
        self.check_there()
        from .paint import run

        return run(self, progress, network)


class Masked(SynthesisJob):
    """One that takes masks."""

    masks: tuple[str, ...] = field(
        (),
        "one mask per style image: the style shows where it is painted, in any colour on black or on nothing",
        metavar="FILE",
    )
    style_masks: tuple[str, ...] = field((), "one per style image: painted where it counts", metavar="FILE")


class Transfer(Masked):
    """Paint a content image in the style of one or more style images.

    Ctrl-C keeps the best image so far. The result holds its recipe.

    >>> job = Transfer(content="photo.jpg", styles=["painting.jpg"], size=768)
    >>> job.recipe.size, job.recipe.iterations
    (768, 76)
    """

    content: Photograph = field(
        ...,
        f"content image, folder of them, or clip; or {', '.join(PHOTOGRAPHS)}, which are there",
        positional=True,
    )
    styles: tuple[str, ...] = _styles("style images to blend, or folders of them")
    regions: Literal[2, 3, 4] | None = field(
        None,
        "divide the content image, each region in the part of a style image that it answers to; the masks are written "
        "beside the output",
    )
    keep_alpha: bool = ALPHA
    fps: float | None = field(
        None, "frames a second; a folder of numbered frames, a GIF or a WebP is then a clip", "clip", ge=0.01, le=240
    )
    from_: float | None = field(None, "paint from this second on", "clip", ge=0, le=LONGEST_CLIP)
    to: float | None = field(None, "paint up to this second", "clip", gt=0, le=LONGEST_CLIP)
    loop: bool = field(False, "let the end return to the beginning", "clip")
    temporal_weight: float = field(
        TEMPORAL,
        "weight of the temporal loss, against flicker; 0 paints each frame by itself",
        "clip",
        ge=0,
        allow_inf_nan=False,
    )
    recipe: Recipe = recipe_field("transfer", ("content", "style", "colours", *COMMON))

    @property
    def moving(self) -> bool:
        """Whether the content is a clip: a video, or what can be one where a rate or a film is named."""
        content, film = Path(self.content), self.output and self.output.suffix.lower() in (".mp4", ".gif")
        if content.suffix.lower() in CLIPS:
            return True
        return bool(self.fps or film) and (content.is_dir() or content.suffix.lower() in FILMS)

    @property
    def many(self) -> bool:
        """As ``SynthesisJob``."""
        return super().many and not self.moving

    def check_there(self) -> None:
        """As ``SynthesisJob``; a picture gets no options of a clip.

        Raises:
            InputError: when it does.
        """
        super().check_there()
        for name in () if self.moving else ("fps", "from_", "to", "loop"):
            if getattr(self, name):
                raise InputError(f"{self.content} is no clip: leave out what is for clips.", name)

    def run(
        self, progress: "Callable[[Progress], object]" = lambda step: None, network: "Backbone | None" = None
    ) -> Made:
        """As ``SynthesisJob``; of a clip, the film so far is kept."""
        if not self.moving:
            return super().run(progress, network)
        self.check_there()
        from .clip import run

        return run(self, progress, network)


class Reconstruction(SynthesisJob):
    """Start from noise and recover a content image from one layer's features.

    Ctrl-C keeps the best image so far. The result holds its recipe.
    """

    ending: ClassVar[str] = "-reconstruct"

    content: Photograph = CONTENT
    keep_alpha: bool = ALPHA
    recipe: Recipe = recipe_field("reconstruction", ("content", *COMMON))


class Texture(Masked):
    """Start from noise and make a texture in a style.

    Ctrl-C keeps the best image so far. The result holds its recipe.
    """

    ending: ClassVar[str] = "-texture"

    styles: tuple[str, ...] = _styles("style images to blend, or folders of them")
    recipe: Recipe = recipe_field("texture", ("style", "texture", *COMMON))


class Amalgamation(SynthesisJob):
    """Start from a style image and imprint a content image on it.

    Ctrl-C keeps the best image so far. The result holds its recipe.
    """

    ending: ClassVar[str] = "-amalgamate"

    content: Photograph = CONTENT
    styles: tuple[str, ...] = _styles("style image, or a folder of them", most=1)
    keep_alpha: bool = ALPHA
    recipe: Recipe = recipe_field("amalgamation", ("content", "colours", *COMMON))


SYNTHESES: dict[SynthesisName, type[SynthesisJob]] = {
    "transfer": Transfer,
    "reconstruction": Reconstruction,
    "texture": Texture,
    "amalgamation": Amalgamation,
}
