"""How much of the content and of the style pictures have lost."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import InputError, ToolkitError
from ..fields import Photograph, field
from .job import NetworkJob, Outcome, written
from .normalize import Counted

if TYPE_CHECKING:
    from ..studies.judge import Judgement

#: Pixels of a picture's width on the sheet.
CELL = 384

#: Facts of a judgement by title; those of the last are printed together.
TITLES = {
    "content loss, as a share of the style image's": ("content",),
    "style loss, as a share of the content image's": ("style", "style_of_all"),
    "Fréchet distance, as a share of the content image's": ("frechet",),
    "structure that is lost, as a share of the style image's": ("structure",),
    "what is not in the style image, what is not in the picture, and grain over the style image's": (
        "invention",
        "coverage",
        "grain",
    ),
}


class Judge(NetworkJob):
    """Say how much of their content and style images pictures have lost.

    Compares pictures with the content and the style image that they were made from. Layer by layer, prints the content
    loss, the style loss and the Fréchet distance of the features. Then prints how much of the content's structure is
    lost, how much of a picture is not in the style image, and the reverse, by the nearest features, and how grainy it
    is. Less is better; of grain, one is the style image's.
    """

    as_json: ClassVar[bool] = True

    pictures: tuple[str, ...] = field(
        ..., "the pictures to judge", positional=True, metavar="picture", min_length=1, max_length=12
    )
    content: Photograph = field(..., "the content image that they were made from", metavar="FILE")
    style: str = field(..., "the style image that they were made from", metavar="FILE")
    sheet: Path | None = field(None, "also write a PNG of the pictures with their numbers", metavar="FILE")

    def run(self, progress: Callable[[Counted], object] = lambda step: None) -> Outcome:
        """Judges them.

        Args:
            progress: is called after each picture.

        Raises:
            ToolkitError: when a picture can't be read, or is of other proportions than the content image.
        """
        if self.sheet and self.sheet.suffix.lower() != ".png":
            raise InputError(f"{self.sheet} must end in .png.", "sheet")
        import torch

        from ..device import find_device
        from ..files import check_outputs, written_atomically
        from ..network import fingerprint
        from ..pictures.io import open_image, to_picture
        from ..pictures.sheet import Labels, captioned, grid
        from ..studies.judge import Judgement, judge

        pictures = [*dict.fromkeys(self.pictures)]  # one that is named twice is judged once
        named = [*pictures, self.content, self.style]
        check_outputs([self.sheet] if self.sheet else [], named)
        device, network = find_device(self.device), self.load()
        of_network = fingerprint(network)
        *images, content, style = map(open_image, named)
        network, judged = network.at(device, torch.float32), dict[str, Judgement]()
        for name, image in zip(pictures, images, strict=True):
            judged[name] = judge(network, image.to(device), content.to(device), style.to(device))
            progress(Counted(len(judged), len(images)))
        lines = list(_table(judged))
        if any(_painted_by(name) == of_network for name in pictures):
            lines.append("The network that judges has also painted: it is kind to what it painted. Judge by another.")
        if self.sheet:
            captions = [[], [], *map(_numbers, judged.values())]
            cells = [
                captioned(to_picture(image), lines, CELL)
                for image, lines in zip((content, style, *images), captions, strict=True)
            ]
            columns = Labels("", ["content image", "style image", *(Path(name).stem for name in pictures)])
            placed = {(0, column): cell for column, cell in enumerate(cells)}
            with written_atomically(self.sheet) as temporary:
                grid(placed, Labels("", [""]), columns, (CELL, max(cell.height for cell in cells))).save(temporary)
            lines.append(written(self.sheet))
        return Outcome("\n".join(lines), {name: found._asdict() for name, found in judged.items()})


def _table(judged: "Mapping[str, Judgement]") -> Iterator[str]:
    """A column for each picture."""
    if len(judged) > 1:
        yield from (f"{number}: {name}" for number, name in enumerate(judged, 1))
    for title, facts in TITLES.items():
        yield title
        columns = [_shares(found, facts) for found in judged.values()]
        yield from (f"  {name:<9}" + "".join(f"{own[name]:10.2%}" for own in columns) for name in columns[0])


def _shares(found: "Judgement", facts: tuple[str, ...]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for fact in facts:
        value = getattr(found, fact)
        shares |= value if isinstance(value, dict) else {"all" if fact == "style_of_all" else fact: value}
    return shares


def _numbers(found: "Judgement") -> list[str]:
    content = sum(found.content.values()) / len(found.content)
    return [
        f"content lost {content:.0%}, structure lost {found.structure:.0%}",
        f"style left {found.style_of_all:.1%}, grain {found.grain:.2f}",
        f"invention {found.invention:.3f}, coverage {found.coverage:.3f}",
    ]


def _painted_by(picture: str) -> str | None:
    """The fingerprint of the network that painted a picture, if the picture tells."""
    from ..synthesis import Result

    try:
        made_from = Result.read(picture).made_from
    except ToolkitError:
        return None
    return made_from.network if made_from else None
