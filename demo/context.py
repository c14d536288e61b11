"""What every tab works with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.atlas import Atlas
from toolkit.errors import ToolkitError
from toolkit.network import Network, fingerprint

from .jobs import Jobs
from .settings import Limits


@dataclass(frozen=True)
class Studio:
    """The networks on offer, by name, the first the default; who computes; what a job may take; pictures at hand.

    ``photographs`` and ``drawings`` are paths of example contents and styles; ``files`` what can be taken along of each
    network; ``atlas`` the default network's, if the host has one.
    """

    networks: Mapping[str, Network]
    jobs: Jobs
    limits: Limits
    photographs: list[str]
    drawings: list[str]
    atlas: Atlas | None = None
    files: Mapping[str, list[Path]] = field(default_factory=dict)

    def network(self, name: str) -> Network:
        """The network of that name, or the default when there is no name.

        Raises:
            ToolkitError: when there is none.
        """
        if (name or self.default) not in self.networks:
            raise ToolkitError(f"There is no network {name!r} here: choose one of {', '.join(self.networks)}.")
        return self.networks[name or self.default]

    def named_by(self, mark: str) -> str:
        """The name of the network with that fingerprint; the default when it is none of them."""
        return next((name for name, each in self.networks.items() if fingerprint(each) == mark), self.default)

    @property
    def default(self) -> str:
        """The name of the network that is chosen at first."""
        return next(iter(self.networks))
