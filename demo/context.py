"""What every tab works with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from toolkit.atlas import Atlas
from toolkit.errors import ToolkitError
from toolkit.network import Network, fingerprint

from .jobs import Jobs
from .on_device import PATH
from .settings import Settings
from .visits import Visits


@dataclass(frozen=True)
class Context:
    """What the host offers.

    Args:
        networks: normalised networks by name; the first is the default.
        jobs: runs what visitors ask for.
        settings: the host's settings.
        photographs: paths of the example content images.
        paintings: paths of the example style images.
        atlas: the default network's atlas, if the host has one.
        files: by network, the files to download.
    """

    networks: Mapping[str, Network]
    jobs: Jobs
    settings: Settings
    photographs: list[str]
    paintings: list[str]
    atlas: Atlas | None = None
    files: Mapping[str, list[Path]] = field(default_factory=dict)

    @cached_property
    def visits(self) -> Visits:
        """The visits to the page that this is the context of."""
        return Visits(self.settings.keep)

    @property
    def computing(self) -> dict[str, Any]:
        """Options of events that compute: they wait in one line for the slots."""
        return {"concurrency_id": "device", "concurrency_limit": self.jobs.slots}

    def network(self, name: str) -> Network:
        """The network of that name.

        Raises:
            ToolkitError: when there is none.
        """
        if name not in self.networks:
            raise ToolkitError(f"There is no network {name!r} here: choose one of {', '.join(self.networks)}.")
        return self.networks[name]

    def name_of(self, network: str) -> str | None:
        """The name of the network with that fingerprint, if it is here."""
        return next((name for name, each in self.networks.items() if fingerprint(each) == network), None)

    @property
    def device_page(self) -> str | None:
        """The address of the page that paints on the visitor's own device, when there is one."""
        return None if self.settings.on_device == "off" else f"{self.settings.root_path or ''}{PATH}/"

    @property
    def default(self) -> str:
        """The name of the first network."""
        return next(iter(self.networks))
