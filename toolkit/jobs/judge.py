"""How much of the content and of the style a picture has lost."""

from typing import Any, ClassVar

from .fields import field
from .job import NetworkJob, Outcome


class Judge(NetworkJob):
    """Say how much of its content and style images a picture has lost.

    Compares the features of a picture with those of the content and the style image that it was made from, layer by
    layer. Prints its content loss, as a share of the style image's, and its style loss, as a share of the content
    image's. Also prints how much of the picture is not in the style image, and the reverse, by the nearest features,
    and how grainy it is. Less is better.
    """

    as_json: ClassVar[bool] = True

    picture: str = field(..., "the picture to judge", positional=True)
    content: str = field(..., "the content image that it was made from", metavar="FILE")
    style: str = field(..., "the style image that it was made from", metavar="FILE")

    def run(self, progress: Any = lambda step: None) -> Outcome:
        """Judges it."""
        import torch

        from ..device import find_device
        from ..pictures.io import open_image
        from ..studies.judge import judge

        device = find_device(self.device)
        picture, content, style = (open_image(name).to(device) for name in (self.picture, self.content, self.style))
        judged = judge(self.load().at(device, torch.float32), picture, content, style)
        tables = {
            "content loss, as a share of the style image's": judged.content,
            "style loss, as a share of the content image's": judged.style | {"all": judged.style_of_all},
            "what is not in the style image, what is not in the picture, and grain over the style image's": {
                name: getattr(judged, name) for name in ("invention", "coverage", "grain")
            },
        }
        lines = [
            line
            for title, shares in tables.items()
            for line in (title, *(f"  {name:<9}{share:8.2%}" for name, share in shares.items()))
        ]
        return Outcome("\n".join(lines), judged._asdict())
