"""What every test may ask for: small random networks, images, browsers, and the data beside the checkout if there."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path

# Threads that wait for one another crawl on a busy machine. NumPy and the processes started here heed this as well.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor, nn

from toolkit.network import CONVENTIONS, Architecture, ModuleBackbone, Network
from toolkit.process import cores

# How long a test takes says nothing on a busy machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

#: Processes for the whole suite, at most: each takes more than a gigabyte.
MOST_PROCESSES = 4


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process a core for whole folders; none beside this one for files and tests that are named one by one."""
    named = all(Path(argument.partition("::")[0]).is_file() for argument in config.args)
    return 0 if named else min(cores(), MOST_PROCESSES)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

#: Of Chromium, switched off: what each window would start processes of its own for, the popups of its address bar, and
#: what Playwright switches off, whose list this one replaces.
UNWANTED = (
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup"),
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay"),
    *("HttpsFirstBalancedModeAutoEnable", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "TcpPortRandomizationWin", "OptimizationHints"),
    *("NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch"),
)
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
CHROMIUM_FLAGS.append(f"--disable-features={','.join(UNWANTED)}")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def tiny_network() -> Callable[..., Network]:
    """Makes a seeded random VGG with three to seven filters a layer."""

    def make(
        name: str = "vgg19",
        *,
        pooling: str = "average",
        convention: str = "torchvision",
        widths: tuple[int, ...] = (3, 4, 5, 6, 7),
        seed: int = 0,
    ) -> Network:
        network = Network(Architecture(name, widths), CONVENTIONS[convention], pooling=pooling)
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            fan_in = parameter[0].numel() if parameter.ndim == 4 else 10.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (2 / fan_in) ** 0.5)
        return network

    return make


class Residual(nn.Module):
    """Adds a convolution's output to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner, self.relu = nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.inner(x) + x)


@pytest.fixture
def residual() -> ModuleBackbone:
    """A small network that is no VGG: layers ``stem``, ``first`` and ``second``, with strides 2."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {"stem": nn.Conv2d(3, 6, 3, stride=2, padding=1), "first": Residual(6), "second": Residual(6)}
        return ModuleBackbone(nn.Sequential(OrderedDict(parts)))


@pytest.fixture(scope="session")
def random_image() -> Callable[..., Tensor]:
    """Makes a seeded random image (1, 3, H, W)."""

    def make(height: int = 48, width: int = 64, seed: int = 0) -> Tensor:
        return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real weights and images; a test that asks for it is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real weights and images in ../shared/data")
    return SHARED


@pytest.fixture(scope="session")
def launch():
    """Starts Chromium with flags of one's own."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: install it with the system's package manager")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda *flags: playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *flags])


@pytest.fixture(scope="session")
def browser(launch):
    opened = launch("--disable-gpu")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def expect(browser):
    """Playwright's assertions, which wait: a page shows what it was told a moment later."""
    from playwright.sync_api import expect

    expect.set_options(timeout=120_000)
    return expect


@pytest.fixture(scope="session")
def drop():
    """Drops a file on an element of a page, and tells whether the page takes it, rather than the browser."""
    script = """([selector, name, data]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0))], name));
      const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
      return !document.querySelector(selector).dispatchEvent(event);
    }"""

    def dropped(page, selector: str, path: Path) -> bool:
        return page.evaluate(script, [selector, path.name, base64.b64encode(path.read_bytes()).decode()])

    return dropped


@pytest.fixture(scope="session")
def from_npm():
    """Fetches some files of an npm package once, and keeps them in a folder of the user's cache."""

    def fetch(name: str, version: str, wanted: Collection[str]) -> Path:
        folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "normalized-vgg" / f"{name}-{version}"
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            command = ["npm", "pack", f"{name}@{version}", "--silent"]
            try:
                subprocess.run(command, cwd=temporary, check=True, capture_output=True, timeout=120)
            except (OSError, subprocess.SubprocessError) as error:
                pytest.skip(f"needs {name}, which npm pack could not fetch: {error}")
            with tarfile.open(Path(temporary) / f"{name}-{version}.tgz") as archive:
                for member in archive:
                    if (file := Path(member.name).name) in wanted:
                        member.name = file
                        archive.extract(member, Path(temporary) / "files", filter="data")
            with contextlib.suppress(OSError):  # another process was faster
                (Path(temporary) / "files").rename(folder)
        return folder

    return fetch


@pytest.fixture(scope="session")
def runtime(from_npm) -> Path:
    """A folder with onnxruntime-web."""
    pinned = json.loads((ROOT / "demo/browser/runtime.json").read_text())
    wanted = {file["name"] for build in pinned["files"].values() for file in build}
    return from_npm("onnxruntime-web", pinned["version"], wanted)
