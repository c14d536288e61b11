"""What all jobs share: checked fields, a way to run, an outcome; and the choice of a network."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..choices import SCALES, Convention, Pooling
from ..errors import InputError
from ..fields import field as offered
from ..network import DEFAULT_NETWORK, model_folders
from ..process import uninterrupted

if TYPE_CHECKING:
    from ..network import Backbone

#: Tells what a job is doing; nobody hears it who doesn't listen.
LOG = logging.getLogger("toolkit")

VGG_HELP = (
    "vgg19 (the paper's network, which comes with the toolkit), vgg19-small, or a file of your own in "
    f"{model_folders()[0]} by its name; "
    "torchvision/vgg11 … torchvision/vgg19, torchvision/vgg16_bn …, or hf://OWNER/NAME on the Hugging Face Hub "
    "(downloaded once); or the path of a .safetensors or .pth file"
)

SOURCE_HELP = (
    f"{VGG_HELP}. A network that is no VGG: torchvision/resnet50 …, "
    f"timm/NAME, PACKAGE.MODULE:FUNCTION, a {SCALES} file of it, or PACKAGE.MODULE:FUNCTION@FILE{SCALES}"
)

CONVENTION_HELP = (
    "input of weights whose file does not say it: torchvision (RGB in [0, 1], mean and deviation removed) or caffe "
    "(BGR in 0..255, mean removed)"
)

#: Fields that several jobs have.
Source = Annotated[str, offered(..., SOURCE_HELP, positional=True)]
VGGSource = Annotated[str, offered(..., VGG_HELP, positional=True)]
OfConvention = Annotated[Convention | None, offered(None, CONVENTION_HELP, "network")]
Device = Annotated[str, offered("auto", "cpu, cuda, cuda:1, mps, xpu (default: a GPU if there is one)", "network")]
Output: dict[str, Any] = {"short": "o", "metavar": "FILE"}
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Outcome:
    """What a job has done: ``text`` for a person, ``facts`` for a program, and a sentence for each part that failed."""

    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


class Job(BaseModel):
    """Something to do, with all that it is done from.

    The command line is made from the fields of jobs. The first line of a job's description is its summary there, and
    the second paragraph tells more.

    Raises:
        InputError: when a field is missing, unknown or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether the facts of its outcome may be wanted as JSON.
    as_json: ClassVar[bool] = False

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise InputError.of(error.errors()[0]) from error

    def run(self, progress: Any = lambda step: None) -> Outcome:
        """Does it.

        Args:
            progress: is called with each step.

        Raises:
            ToolkitError: when something is wrong that a person can put right.
            KeyboardInterrupt: when it is interrupted; its notes say what was kept.
        """
        raise NotImplementedError


class NetworkJob(Job):
    """A job with a network."""

    network: str = offered(DEFAULT_NETWORK, SOURCE_HELP, "network")
    pooling: Pooling | None = offered(None, "average or max pooling (default: average)", "network")
    original: bool = offered(False, "use the weights as trained, not normalised", "network")
    convention: OfConvention = None
    device: Device = "auto"

    def load(self) -> "Backbone":
        import warnings

        from ..errors import ToolkitWarning
        from ..network import load_network
        from ..normalize import load_backbone

        if not self.original:
            return load_backbone(self.network, convention=self.convention, pooling=self.pooling)
        note = f"{self.network} is used as it was trained, so its losses will be badly scaled."
        warnings.warn(note, ToolkitWarning, stacklevel=2)
        return load_network(self.network, convention=self.convention, pooling=self.pooling, normalized=False)


@contextmanager
def keeping(keep: Callable[[BaseException], str], sentence: str) -> Iterator[None]:
    """Has what is done kept when what is within ends early, however it does.

    Args:
        keep: keeps it, and tells where in a note that goes with the error; nothing when there is nothing to keep.
        sentence: of an interruption.
    """
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        with uninterrupted():
            if not (note := keep(error)):
                raise
            ended = KeyboardInterrupt(sentence) if isinstance(error, KeyboardInterrupt) else error
            ended.add_note(note)
        raise ended from None


def written(*paths: Path) -> str:
    """The lines that say where a result is."""
    return "\n".join(f"written to {path}" for path in paths)
