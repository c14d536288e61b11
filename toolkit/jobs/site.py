"""A static site that paints in the visitor's own browser."""

from pathlib import Path
from typing import Any

from ..errors import InputError, ToolkitError
from ..fields import field
from ..network import DEFAULT_NETWORK
from .job import VGG_HELP, Job, Outcome

#: The page is the demo's. No module of it is needed, so it is found as a folder beside the toolkit, not imported.
DEMO = Path(__file__).resolve().parents[2] / "demo"

FOLDER: dict[str, Any] = {"metavar": "FOLDER"}


class Site(Job):
    """Write a static site that paints on the visitor's own device.

    Writes a page that paints in the visitor's browser, with its networks and examples. Any static host serves the
    folder: no server computes, and no picture leaves the visitor's device. Try it with
    python -m http.server --directory FOLDER.
    """

    folder: Path = field(..., "folder to write into", positional=True)
    network: tuple[str, ...] = field(
        ("vgg19-small", DEFAULT_NETWORK),
        f"networks to offer, the first as the default: {VGG_HELP}",
        metavar="NETWORK",
        min_length=1,
    )
    runtime: Path | None = field(
        None,
        "copy onnxruntime-web from this folder, where npm pack has put it, so that the page asks nothing from "
        "elsewhere (default: the page fetches it from a CDN and checks its hash)",
        **FOLDER,
    )

    def run(self, progress: Any = lambda step: None) -> Outcome:
        if not (DEMO / "browser").is_dir():
            raise ToolkitError("The page's files are not installed: install the project again.")
        if self.folder.is_file():
            raise InputError(f"{self.folder} is a file: name a folder.", "folder")
        if (self.folder / "index.html").exists() and not (self.folder / "preconditioner.js").exists():
            raise InputError(f"{self.folder} holds another page: name an empty folder.", "folder")
        named = {Path(source).stem: source for source in self.network}
        if len(named) < len(self.network):
            raise InputError(
                "Two of the networks have the same name, by which visitors choose: rename a file.", "network"
            )
        from ..export.site import write_site
        from ..normalize import load_normalized

        networks = {name: load_normalized(source) for name, source in named.items()}
        styles = sorted((DEMO / "examples").glob("*.jpg"))
        write_site(self.folder, DEMO / "browser", styles, networks, self.runtime)
        size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return Outcome(
            f"written to {self.folder}, {size / 1e6:.1f} MB\ntry it: python -m http.server --directory {self.folder}"
        )
