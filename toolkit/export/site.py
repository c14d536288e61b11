"""A static site that paints in the visitor's own browser: the page, the networks and, if wanted, the runtime."""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx

from .. import __version__
from ..choices import Storage
from ..errors import ToolkitError
from ..fields import described
from ..network import Network, fingerprint
from ..network.geometry import strides
from ..optimize import LBFGS, EarlyStop
from ..optimize.lbfgs import CurvaturePairs
from ..pictures.io import example_photographs, open_picture, to_picture
from ..synthesis import pyramid
from ..synthesis.notation import STRENGTHS
from ..synthesis.preconditioner import Preconditioner
from ..synthesis.recipe import Recipe
from ..synthesis.style import STATISTICS
from ..templates import render
from .graphs import SUMMARIES, step_model, summary_shape
from .writing import export_step

#: What the page is made from; its losses are those of a transfer without a finish, computed in float32.
RECIPE = Recipe.preset("transfer", precision="float32", finish=0.0, total_variation_weight=0.0, size=384)

#: The most that the page offers: more pixels need more memory than browsers give, and JavaScript knows no larger seed.
MOST = {"size": 1024, "iterations": 1000, "seed": 2**53 - 1}

#: The page's words for pydantic's limits.
WORDS = {"ge": "least", "gt": "least", "le": "most", "lt": "most"}

#: Files beside the page's own that a site has no need of.
NOT_SERVED = ("runtime.json", "types.d.ts")

#: L-BFGS' pairs, at most: each takes 19 MB at 1024 pixels, and a browser gives a page little memory.
PAIRS = 12

#: With these headers a browser gives a page threads.
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

#: The examples that are chosen at first.
USUAL = {"content": "chelsea", "style": "oil_garden"}

#: Longest side of an example's small picture in pixels.
SMALL = 160

#: What is told a host that reads a README: Hugging Face's static Spaces.
README = Path(__file__).with_name("site.md.jinja")


def write_site(
    folder: Path,
    page: Path,
    styles: Iterable[Path],
    networks: Mapping[str, Network],
    runtime: Path | None = None,
    server: str | None = None,
    check: bool = True,
) -> None:
    """Writes everything that a static host serves.

    Args:
        folder: to write into; what is in it stays.
        page: the folder of the page's own files.
        styles: pictures to offer as styles.
        networks: normalised ones by name; the first is the default.
        runtime: a folder with onnxruntime-web's files to copy; the page fetches them from a CDN when there is none.
        server: address of a page that paints on a server, to link to.
        check: whether to make sure that the networks compute in ONNX what they do here, which takes seconds.

    Raises:
        ToolkitError: when the folder can't be written, the runtime's files are missing or others than those that the
            project was tested with, or a network computes something else in ONNX.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(page, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_SERVED))
        site: dict[str, Any] = {
            "toolkit": __version__,
            "recipe": RECIPE.model_dump(mode="json"),
            "limits": _limits(),
            "constants": _constants(),
            "isolation": ISOLATION,
            "strengths": STRENGTHS,
            "networks": [_network(folder, name, network, check) for name, network in networks.items()],
            "examples": _examples(folder, styles),
            "usual": USUAL,
            "runtime": _runtime(page, folder, runtime),
            "server": server,
        }
        site["page"] = _page(page, folder)
        site["version"] = hashlib.sha256(json.dumps(site).encode()).hexdigest()
        (folder / "site.json").write_text(json.dumps(site), encoding="utf-8")
        policy = _policy(site["runtime"]["address"])
        readme = render(README, version=__version__, headers=ISOLATION, policy=policy)
        (folder / "README.md").write_text(readme, encoding="utf-8")
    except OSError as error:
        raise ToolkitError(f"Could not write the site into {folder}: {error.strerror or error}.") from error


def integrity(path: Path) -> str:
    """A file's hash, as browsers check it."""
    return f"sha384-{base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()}"


def _limits() -> dict[str, Any]:
    """By field of the recipe: its choices, or its least and largest value."""
    limits: dict[str, Any] = {}
    for field in described(Recipe):
        own: dict[str, Any] = {WORDS[rule]: limit for rule, limit in field.limits.items() if rule in WORDS}
        own |= {"choices": field.choices} if field.choices else {}
        limits[field.name] = own | ({"whole": True} if field.kind == "integer" else {})
    for name, most in MOST.items():
        limits[name]["most"] = most
    return limits


def _constants() -> dict[str, Any]:
    """What the page computes with as the toolkit does: the constants of these classes and of the pyramid."""
    homes = {kind.__name__: kind for kind in (LBFGS, CurvaturePairs, EarlyStop, Preconditioner)}
    constants: dict[str, Any] = {
        name: {constant: value for constant, value in vars(home).items() if constant.isupper()}
        for name, home in {**homes, "pyramid": pyramid}.items()
    }
    return {**constants, "pairs": PAIRS}


def _network(folder: Path, name: str, network: Network, check: bool) -> dict[str, Any]:
    """Writes the network's step, and says what the page must know of it."""
    content, style = list(RECIPE.content_layers), list(RECIPE.style_layers)
    path = network.architecture.down_to([*content, *style])
    statistic = RECIPE.style_statistic
    address = f"networks/{name}.onnx"
    precision: Storage = "8bit" if network.codebooks else "float32"
    if check:
        export_step(network, content, style, folder / address, precision, statistic)
    else:
        (folder / "networks").mkdir(exist_ok=True)
        onnx.save_model(step_model(network, content, style, precision, statistic), folder / address)
    return {
        "name": name,
        "address": address,
        "bytes": (folder / address).stat().st_size,
        "integrity": integrity(folder / address),
        "fingerprint": fingerprint(network),
        "content_layers": content,
        "style_layers": style,
        "style_targets": [
            {"name": f"{what}_{layer.name}", "own": f"{layer.name}_{what}", "shape": summary_shape(layer, what)}
            for layer in path
            if layer.name in style
            for what in SUMMARIES[statistic]
        ],
        "style_factor": STATISTICS[statistic].scale,
        "channels": {layer.name: layer.channels for layer in path},
        "strides": strides(path),
    }


def _examples(folder: Path, styles: Iterable[Path]) -> dict[str, list[str]]:
    """Writes the examples, each with a small picture, and names them."""
    names: dict[str, list[str]] = {"content": [], "style": []}
    for role in names:
        (folder / "examples" / role / "small").mkdir(parents=True, exist_ok=True)
    for name, image in example_photographs().items():
        to_picture(image).save(folder / f"examples/content/{name}.jpg", quality=92)
        names["content"].append(name)
    for path in styles:
        shutil.copyfile(path, folder / f"examples/style/{path.stem}.jpg")
        names["style"].append(path.stem)
    for role, each in names.items():
        for name in each:
            picture = open_picture(folder / f"examples/{role}/{name}.jpg")
            picture.thumbnail((SMALL, SMALL))
            picture.save(folder / f"examples/{role}/small/{name}.jpg", quality=85)
    return names


def _page(page: Path, folder: Path) -> dict[str, str]:
    """What a browser keeps to show the page without a connection: addresses with their hashes."""
    own = [path.relative_to(page).as_posix() for path in page.rglob("*") if path.name not in NOT_SERVED]
    names = [
        *sorted(own),
        *(f"examples/{role}/{name}.jpg" for role, name in USUAL.items()),
        *(str(path.relative_to(folder).as_posix()) for path in sorted(folder.glob("examples/*/small/*.jpg"))),
    ]
    kept = {name: integrity(folder / name) for name in names if (folder / name).is_file()}
    return {"./": kept["index.html"], **kept}


def _policy(runtime: str) -> str:
    """The content security policy that the page works under, by the runtime's address."""
    elsewhere = "" if runtime == "runtime/" else f" {'/'.join(runtime.split('/')[:3])}"
    return (
        "default-src 'self'; script-src 'self' blob: 'wasm-unsafe-eval'; "
        f"connect-src 'self' blob:{elsewhere}; worker-src 'self' blob:; img-src 'self' blob: data:"
    )


def _runtime(page: Path, folder: Path, source: Path | None) -> dict[str, Any]:
    """Where the page gets onnxruntime-web from, and its files with their hashes; copies them when they are at hand."""
    runtime: dict[str, Any] = json.loads((page / "runtime.json").read_text(encoding="utf-8"))
    version = runtime["version"]
    if source is None:
        return runtime | {"address": runtime["address"].format(version=version)}
    for file in (each for build in runtime["files"].values() for each in build):
        found = next(source.rglob(file["name"]), None)
        if found is None:
            raise ToolkitError(
                f"There is no {file['name']} in {source}: fill it by npm pack onnxruntime-web@{version}, unpacked."
            )
        if integrity(found) != file["integrity"]:
            raise ToolkitError(f"{found} is not that of onnxruntime-web {version}: fetch this version.")
        target = folder / "runtime" / file["name"]
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(found, target)
    return runtime | {"address": "runtime/"}
