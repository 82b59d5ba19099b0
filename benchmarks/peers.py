"""The ways to a kernel on which a lost connection is measured, each with a proxy in its middle.

``ours, ssh``
    Our server and a host over SSH (a real sshd on loopback); the proxy is before the sshd.
``ours, agent``
    Our server and an agent of this machine; the proxy is before the agent.
``gateway``
    A plain server and a kernel gateway; the proxy is between them.
``sshpyk``
    A plain server with sshpyk and the same sshd; the proxy is before the sshd.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.proxied import PORT_VARIABLE, TARGET_VARIABLE
from benchmarks.proxy import Proxy
from benchmarks.servers import (
    LOCAL_KERNEL,
    ROOT,
    Variant,
    start_front,
    start_gateway,
    start_ours,
    start_sshpyk,
)
from jupyter_remote_kernels.testing.doubles import write_entry_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("ours, ssh", "ours, agent", "gateway", "sshpyk")
# What sshpyk's documentation wants or recommends.
_SSHPYK_LINES = """
  BatchMode yes
  ControlMaster auto
  ControlPersist 60
  ControlPath {}/c-%C
  ServerAliveInterval 5
  ServerAliveCountMax 120000
  ConnectTimeout 5
"""


@dataclass(frozen=True)
class Peer:
    """One way to a kernel, and what is in its middle."""

    variant: Variant
    proxy: Proxy

    @property
    def name(self) -> str:
        """The row in the tables."""
        return self.variant.name


@contextmanager
def start_peers(folder: Path, names: list[str]) -> Iterator[list[Peer]]:
    """Start servers and proxies.

    Parameters
    ----------
    folder : Path
        An empty directory with a short path, because sockets lie below it.
    names : list of str
        Which of :data:`NAMES`.
    """
    with ExitStack() as stack:
        # The tests' own server, which has no annotations.
        engine: Any = importlib.import_module("tests.engines.sshd")
        sshd = engine.Sshd(folder / "s")
        stack.callback(sshd.stop)
        sshd.start()
        peers = []
        if any(name.startswith("ours") for name in names):
            peers += stack.enter_context(_start_ours(folder, sshd))
        if "gateway" in names:
            backend = stack.enter_context(start_gateway(folder / "gateway"))
            proxy = stack.enter_context(Proxy(backend.port))
            front = stack.enter_context(start_front(folder / "front", backend, proxy.port))
            peers.append(Peer(Variant("gateway", front, LOCAL_KERNEL, subprotocol=False), proxy))
        if "sshpyk" in names:
            proxy = stack.enter_context(Proxy(sshd.port))
            config = _write_config(sshd, proxy.port, "sshpyk", _SSHPYK_LINES.format(folder))
            server = stack.enter_context(start_sshpyk(folder / "sshpyk", sshd.alias, config))
            peers.append(Peer(Variant("sshpyk", server, "far"), proxy))
        yield [peer for peer in peers if peer.name in names]


@contextmanager
def _start_ours(folder: Path, sshd: Any) -> Iterator[list[Peer]]:
    """Start our server; its environments lead through a proxy each."""
    target = folder / "target"
    points = write_entry_points(
        folder / "points", {"proxied": "benchmarks.proxied:ProxiedProvider"}
    )
    variables = {TARGET_VARIABLE: str(target), "PYTHONPATH": f"{points}{os.pathsep}{ROOT}"}
    with Proxy(lambda: int(target.read_text())) as near, Proxy(sshd.port) as far:
        os.environ.update({**variables, PORT_VARIABLE: str(near.port)})
        config = _write_config(sshd, far.port, "ours", "")
        options = {"host": sshd.alias, "ssh_config": str(config), "python": sys.executable}
        more = {
            "ssh": {"provider": "ssh", "options": options},
            "proxied": {"provider": "proxied"},
        }
        with start_ours(folder / "ours", more) as server:
            del os.environ["PYTHONPATH"]
            yield [
                Peer(Variant("ours, ssh", server, "remote-ssh"), far),
                Peer(Variant("ours, agent", server, "remote-proxied"), near),
            ]


def _write_config(sshd: Any, port: int, name: str, lines: str) -> Path:
    """Write a user's configuration in which the host is behind another port."""
    known_hosts, config = sshd.folder / f"{name}-known_hosts", sshd.folder / f"{name}-config"
    known = sshd.known_hosts.read_text().replace(f"]:{sshd.port} ", f"]:{port} ")
    known_hosts.write_text(known)
    text = sshd.ssh_config.read_text().replace(f"Port {sshd.port}\n", f"Port {port}\n")
    text = text.replace(str(sshd.known_hosts), str(known_hosts))
    path: Path = config
    path.write_text(text + lines)
    return path
