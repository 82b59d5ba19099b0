"""Which host, by which way. Does not need asyncssh."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONNECT_S = 8.0


@dataclass(frozen=True)
class HostAddress:
    """What distinguishes connections.

    Attributes
    ----------
    host : str
        A name or address, or an alias in the user's configuration.
    user : str or None
        Who to log in as; the configuration's by default.
    port : int or None
        The server's port; the configuration's by default.
    config : str or None
        The configuration; ``~/.ssh/config`` by default.
    jump : str or None
        Hosts to go through, as ``ProxyJump`` has them; the configuration's by default.
    connect_s : float
        How long a connection may take, in seconds.
    """

    host: str
    user: str | None = None
    port: int | None = None
    config: str | None = None
    jump: str | None = None
    connect_s: float = _CONNECT_S

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> HostAddress:
        """Read the options of an environment."""
        config = options.get("ssh_config")
        return cls(
            options["host"],
            options.get("user"),
            options.get("port"),
            str(Path(config).expanduser()) if config else None,
            options.get("proxy_jump"),
            float(options.get("connect_timeout_s") or _CONNECT_S),
        )

    def find_jump(self, jump: str) -> HostAddress:
        """Return the last of the hosts in ``ProxyJump``, which is reached through the others."""
        others, _, last = jump.rpartition(",")
        user, at, place = last.strip().rpartition("@")
        host, colon, port = place.rpartition(":")
        if not colon or not port.isdigit():
            host, port = place, ""
        return HostAddress(
            host.strip("[]"),
            user if at else None,
            int(port) if port else None,
            self.config,
            others or None,
            self.connect_s,
        )
