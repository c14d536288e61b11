"""What a synthesis makes: an image, with everything that is known of how it came about."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

import pydantic
from torch import Tensor

from ..errors import ToolkitError
from ..pictures.formats import read_recipe, save_image
from ..pictures.io import open_image
from .inputs import MadeFrom
from .recipe import Recipe


@dataclass(frozen=True, eq=False)
class Result:
    """A result of a synthesis.

    Args:
        image: (1, 3, H, W) in [0, 1].
        recipe: what was asked for.
        made_from: the fingerprints of the network and the images, where they are known.
        losses: by name, before their weights; of the iteration of least objective.
        finished: whether all iterations were made.
    """

    image: Tensor
    recipe: Recipe
    made_from: MadeFrom | None = None
    losses: dict[str, float] = field(default_factory=dict)
    finished: bool = True

    def to_json(self) -> str:
        """What a picture holds beside the image: the recipe's fields, with those of the result among them."""
        made_from = self.made_from and self.made_from.model_dump(mode="json")
        facts = {**self.recipe.model_dump(mode="json"), "made_from": made_from, "losses": self.losses}
        return json.dumps(facts if self.finished else {**facts, "finished": False}, indent=2)

    def save(self, path: str | Path, **options: Any) -> None:
        """Writes the picture, as ``save_image`` does with its options and errors."""
        save_image(self.image, path, self.to_json(), **options)

    @classmethod
    def read(cls, source: str | Path | BinaryIO) -> Self:
        """The result in a picture, by this version or an earlier one.

        Raises:
            ToolkitError: when it can't be read, or holds no recipe.
        """
        text = read_recipe(source)
        if not isinstance(source, str | Path):
            source.seek(0)
        recipe, made_from, facts = Recipe.checked(text), made_from_in(text), json.loads(text)
        return cls(open_image(source), recipe, made_from, facts.get("losses", {}), facts.get("finished", True))


def made_from_in(text: str) -> MadeFrom | None:
    """What a result was made from, out of the JSON in its picture or in a recipe's file; ``None`` where it is not told.

    Raises:
        ToolkitError: when it is damaged.
    """
    try:
        made_from = json.loads(text).get("made_from")
        return None if made_from is None else MadeFrom.model_validate(made_from)
    except (ValueError, AttributeError, pydantic.ValidationError) as error:
        raise ToolkitError("What the picture was made from can't be read: use the file as it was made.") from error
