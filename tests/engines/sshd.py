"""One real sshd on a free loopback port, with keys of its own.

Neither the machine's own sshd nor anybody's ``~/.ssh`` is read or changed. Whoever logs in has a
home below the server's folder.
"""

from __future__ import annotations

import getpass
import os
import re
import signal
import socket
import subprocess

from tests.engines.tools import (
    LIMIT_S,
    SSHD_OPTIONS,
    call,
    find_program,
    make_key,
    public_key,
    require,
    wait_for_banner,
    write_sshd_config,
)


class Sshd:
    """A server on 127.0.0.1 that accepts one key.

    Parameters
    ----------
    folder : Path
        Its own folder; everything it needs is made there.
    **options : str
        Lines of its configuration, in place of ours.

    Attributes
    ----------
    alias : str
        The name of the host in the user's configuration ``ssh_config``.
    home : Path
        The home of whoever logs in.
    """

    alias = "box"

    def __init__(self, folder, **options):
        require(sshd="openssh-server", **{"ssh-keygen": "openssh-client"})
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.host_key = make_key(folder / "host_ed25519")
        self.key = make_key(folder / "id_ed25519")
        self.log = folder / "sshd.log"
        self.known_hosts = folder / "known_hosts"
        self.ssh_config = folder / "ssh_config"
        self.port = _free_port()
        self._options = options
        self._process = None

    def start(self):
        """Start it; returns when it answers."""
        authorized = self.folder / "authorized_keys"
        authorized.write_text(f"{public_key(self.key)}\n")
        authorized.chmod(0o600)
        config = write_sshd_config(
            self.folder / "sshd_config",
            {
                "ListenAddress": f"127.0.0.1:{self.port}",
                "HostKey": self.host_key,
                "AuthorizedKeysFile": authorized,
                "PidFile": "none",
                "SetEnv": f"HOME={self.home}",
                **SSHD_OPTIONS,
                **self._options,
            },
        )
        self.trust(self.host_key)
        self.write_ssh_config()
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", 0o755, exist_ok=True)
        command = [find_program("sshd"), "-D", "-f", str(config), "-E", str(self.log)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_for_banner("127.0.0.1", self.port, lambda: self._process.poll() is None)
        return self

    def stop(self):
        """End it with all its connections; what was started over them goes on."""
        if self._process is None:
            return
        for pid in self.connections():
            _kill(pid)
        self._process.kill()
        self._process.wait(LIMIT_S)
        self._process = None

    def trust(self, key):
        """Write the user's list of known hosts, with this key for this server."""
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public_key(key)}\n")

    def write_ssh_config(self, **lines):
        """Write the user's configuration; ``IdentityFile=...`` and so on replace our lines."""
        ours = {
            "HostName": "127.0.0.1",
            "Port": self.port,
            "User": getpass.getuser(),
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "StrictHostKeyChecking": "yes",
            **lines,
        }
        text = "".join(f"  {key} {value}\n" for key, value in ours.items())
        self.ssh_config.write_text(f"Host {self.alias}\n{text}")

    @property
    def options(self):
        """Options of an environment that runs here, in this process's Python."""
        return {"host": self.alias, "ssh_config": str(self.ssh_config)}

    def connections(self):
        """Return the process ids of the server's side of all present connections."""
        if self._process is None:
            return []
        pid = self._process.pid
        return [int(word) for word in _read_children(pid)]

    def count_accepted(self):
        """Count the connections that were ever let in."""
        return len(re.findall(r"^Accepted publickey", self.log.read_text(), re.MULTILINE))

    def drop_connections(self):
        """Cut all present connections, as a server does that is started again."""
        for pid in self.connections():
            _kill(pid)

    def ssh(self, *command):
        """Run a command on the host with the ordinary client; returns its output."""
        return call("ssh", "-F", self.ssh_config, self.alias, *command)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _read_children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _kill(pid):
    # A connection of root is one process, of others two: the second ends with the first.
    for child in map(int, _read_children(pid)):
        with open(f"/proc/{child}/comm") as file:
            if file.read().startswith("sshd"):
                os.kill(child, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
