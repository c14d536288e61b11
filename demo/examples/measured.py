"""What the page tells of a network, measured on the example images, and kept for the networks that come with it."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from toolkit.atlas import LAYERS, example_images
from toolkit.atlas import measure as measure_atlas
from toolkit.network import Network, fingerprint, original
from toolkit.normalize import example_stream
from toolkit.normalize.measure import measure
from toolkit.normalize.report import distributions
from toolkit.pictures.io import fit, open_image
from toolkit.synthesis import Inputs, Objective, Recipe

from . import content_files, style_files

FOLDER = Path(__file__).with_name("finished") / "networks"

#: The images whose losses are shown, and their longest side in pixels: they take seconds.
PHOTOGRAPH, STYLE, SIZE = "rocket", "night_swirls", 256

#: The layer whose channels are shown at first: their patches show recognisable shapes.
LAYER = LAYERS[2]

#: Whose style losses are compared: those of the paper.
RECIPE = Recipe.preset("transfer", style_statistic="gram")

#: Lowest loss in the plot, for its logarithm.
LOWEST_LOSS = 1e-12


@dataclass(frozen=True)
class Measured:
    """What normalisation changed in a network.

    Args:
        network: its fingerprint.
        means: an SVG of the mean activations before and after.
        losses: of each layer, its name, the common logarithm of its style loss, and ``before`` or ``after``.
    """

    network: str
    means: str
    losses: list[tuple[str, float, str]]


def measured(network: Network) -> Measured:
    """Measures a normalised network, on its device."""
    networks = {"before": original(network), "after": network}
    sums = measure([*networks.values()], example_stream()).sums
    means = ({name: mean.cpu() for name, mean in each.means().items()} for each in sums)
    device = next(network.parameters()).device
    files = {Path(path).stem: path for path in (*content_files(), *style_files())}
    content, style = (fit(open_image(files[name]), SIZE).to(device) for name in (PHOTOGRAPH, STYLE))
    inputs = Inputs(content, [style])
    rows = [
        (name.removeprefix("style "), math.log10(max(loss, LOWEST_LOSS)), kind)
        for kind, each in networks.items()
        for name, loss in Objective(each, RECIPE, inputs)(content).read().losses.items()
        if name.startswith("style")
    ]
    return Measured(fingerprint(network), distributions(*means), rows)


def kept(network: Network) -> Measured | None:
    """What was measured of a network, if it comes with the page."""
    name = _name(network)
    return Measured(**json.loads(_file(name).read_text(encoding="utf-8"))) if name else None


def kept_patches(network: Network) -> list[tuple[str, str]]:
    """What excites the first channel of ``LAYER`` most, as files with how much, if the network comes with the page."""
    name = _name(network)
    paths = sorted((FOLDER / name).glob("*.png")) if name else []
    return [(str(path), path.stem.split("-")[1]) for path in paths]


def keep(name: str, network: Network) -> None:
    """Measures a network that comes with the page, and keeps what it shows of it."""
    (FOLDER / name).mkdir(parents=True, exist_ok=True)
    _file(name).write_text(json.dumps(asdict(measured(network))) + "\n", encoding="utf-8")
    steps = measure_atlas(network, example_images([Path(path) for path in style_files()]))
    atlas = next(step.atlas for step in steps if step.atlas)
    for place, patch in enumerate(atlas.patches(LAYER, 0)):
        patch.picture.save(FOLDER / name / f"{place}-{patch.score:.2g}.png")


def _file(name: str) -> Path:
    return FOLDER / name / "measured.json"


def _name(network: Network) -> str | None:
    own = fingerprint(network)
    return next((each.parent.name for each in FOLDER.glob("*/measured.json") if own in each.read_text("utf-8")), None)
