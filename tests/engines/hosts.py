"""Hosts that are namespaces of this machine: a network, a name, processes, a sshd of their own.

They share this machine's files, but each has its own home, ``/run``, ``/dev/shm`` and
``/var/tmp``. All are on one bridge, which nothing ever leaves. Everything ends with the process
that made it: a host's init reads a pipe whose other end is ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.engines.tools import (
    LIMIT_S,
    SSHD_OPTIONS,
    call,
    find_program,
    make_key,
    public_key,
    require,
    require_root,
    wait_for_banner,
    write_sshd_config,
)

_INIT = """
set -e
folder=$1; shift
hostname "$1"; shift
mount --make-rprivate /
for private in "$@"; do mkdir -p "$private"; mount -t tmpfs -o mode=1777 tmpfs "$private"; done
mkdir -p /run/sshd; chmod 755 /run/sshd
"$SSHD" -f "$folder/sshd_config" -E "$folder/sshd.log"
while read -r line; do :; done   # bash reaps the orphans meanwhile
"""
_PRIVATE = ("/run", "/dev/shm", "/var/tmp")


class Host:
    """One host; made by :class:`Hosts`.

    Attributes
    ----------
    name : str
        Its name in ``ssh_config``, and its own idea of it.
    address : str
        Its address on the bridge.
    home : Path
        The home of whoever logs in.
    """

    def __init__(self, hosts, number):
        self._hosts = hosts
        self.name = f"h{number}"
        self.address = f"{hosts.subnet}.{10 + number}"
        self.folder = hosts.folder / self.name
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        self._namespace = f"{hosts.prefix}{self.name}"
        self._cable = f"{hosts.prefix}v{number}"
        self._unshare = None

    @property
    def options(self):
        """Options of an environment that runs here."""
        return {"host": self.name, "ssh_config": str(self._hosts.ssh_config)}

    @property
    def init_pid(self):
        """The host's first process, as this machine knows it; None when the host is down."""
        if self._unshare is None or self._unshare.poll() is not None:
            return None
        pid = self._unshare.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def connect(self):
        """Make its network; called once."""
        call("ip", "netns", "add", self._namespace)
        call(
            *("ip", "link", "add", self._cable, "type", "veth"),
            *("peer", "name", "eth0", "netns", self._namespace),
        )
        call("ip", "link", "set", self._cable, "master", self._hosts.bridge, "up")
        inside = ("ip", "-n", self._namespace)
        call(*inside, "link", "set", "lo", "up")
        call(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        call(*inside, "link", "set", "eth0", "up")

    def boot(self):
        """Start it: processes are new, files, keys and address are the same."""
        if self.init_pid is not None:
            return self
        write_sshd_config(
            self.folder / "sshd_config",
            {
                "ListenAddress": f"{self.address}:22",
                "HostKey": self._hosts.host_key,
                "AuthorizedKeysFile": self._hosts.authorized_keys,
                "PidFile": "none",
                "SetEnv": f"HOME={self.home}",
                **SSHD_OPTIONS,
            },
        )
        init = self.folder / "init.sh"
        init.write_text(_INIT)
        with (self.folder / "init.log").open("ab") as log:
            self._unshare = subprocess.Popen(
                [
                    *(find_program("ip"), "netns", "exec", self._namespace),
                    *("unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child"),
                    *("--mount-proc", "bash", str(init), str(self.folder), self.name, *_PRIVATE),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "SSHD": find_program("sshd")},
                start_new_session=True,
            )
        call("ip", "link", "set", self._cable, "up")
        wait_for_banner(self.address, 22, lambda: self._unshare.poll() is None)
        return self

    def crash(self):
        """Kill all its processes at once; whoever is connected sees the connections end."""
        pid, unshare = self.init_pid, self._unshare
        if unshare is None:
            return
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        unshare.stdin.close()
        unshare.wait(LIMIT_S)
        self._unshare = None

    def power_off(self):
        """End it at once without a word to anybody."""
        self.cut()
        self.crash()

    def cut(self):
        """Pull the cable: nothing comes or goes, and nobody is told."""
        call("ip", "link", "set", self._cable, "down")

    def heal(self):
        """Put the cable back."""
        call("ip", "link", "set", self._cable, "up")

    def drop(self, port=22):
        """Let its firewall swallow what comes to a port and what goes from it."""
        self._firewall(
            f"chain i {{ type filter hook input priority 0; tcp dport {port} drop; }}",
            f"chain o {{ type filter hook output priority 0; tcp sport {port} drop; }}",
        )

    def reject(self, port=22):
        """Let its firewall refuse what comes to a port, also on connections that are there."""
        self._firewall(
            f"chain i {{ type filter hook input priority 0;"
            f" tcp dport {port} reject with tcp reset; }}"
        )

    def open(self):
        """Take the firewall's rules away."""
        self._firewall()

    def freeze(self):
        """Stop all its processes where they are; the network still answers for them."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        """Let its processes go on."""
        self._signal(signal.SIGCONT)

    def exec(self, *command, **options):
        """Run a command on it, without SSH; returns its output."""
        return call(
            *("nsenter", "-t", self.init_pid, "--net", "--uts", "--pid", "--mount", "--"),
            *("env", f"HOME={self.home}", *command),
            **options,
        )

    def processes(self):
        """Return the process ids of all its processes, as this machine knows them."""
        init = self.init_pid
        namespace = _namespace_of(init) if init else None
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [pid for pid in pids if namespace and _namespace_of(pid) == namespace]

    def count_accepted(self):
        """Count the SSH connections that were ever let in."""
        text = (self.folder / "sshd.log").read_text()
        return sum(line.startswith("Accepted publickey") for line in text.splitlines())

    def disconnect(self):
        """End it and remove its network."""
        self.crash()
        for command in (
            ("ip", "link", "del", self._cable),
            ("ip", "netns", "del", self._namespace),
        ):
            with contextlib.suppress(RuntimeError):  # it was never made
                call(*command)

    def _firewall(self, *chains):
        text = " ".join(f"{chain};" for chain in chains)
        table = f"table inet cut\ndelete table inet cut\ntable inet cut {{ {text} }}\n"
        with tempfile.TemporaryFile("w+") as rules:
            rules.write(table)
            rules.seek(0)
            call("ip", "netns", "exec", self._namespace, "nft", "-f", "-", stdin=rules)

    def _signal(self, signum):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)


class Hosts:
    """Hosts on a bridge of their own, and the files with which a user reaches them.

    Parameters
    ----------
    folder : Path
        Where everything lies.

    Attributes
    ----------
    ssh_config : Path
        The user's configuration: names, key, known hosts.
    """

    def __init__(self, folder):
        require_root()
        require(
            sshd="openssh-server",
            ip="iproute2",
            nft="nftables",
            nsenter="util-linux",
            **{"ssh-keygen": "openssh-client"},
        )
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._number, self._lock = _take_number()
        self.prefix = f"jrk{self._number}"
        self.bridge = f"{self.prefix}br"
        self.subnet = f"10.213.{self._number}"
        self.host_key = make_key(folder / "host_ed25519")
        self.key = make_key(folder / "id_ed25519")
        self.authorized_keys = folder / "authorized_keys"
        self.known_hosts = folder / "known_hosts"
        self.ssh_config = folder / "ssh_config"
        self._hosts = []

    def __getitem__(self, index):
        """Return a host; the first is 0, and its name h1."""
        return self._hosts[index]

    def up(self, count):
        """Start this many hosts; returns them."""
        self._remove_leftovers()
        call("ip", "link", "add", self.bridge, "type", "bridge")
        call("ip", "addr", "add", f"{self.subnet}.1/24", "dev", self.bridge)
        call("ip", "link", "set", self.bridge, "up")
        # Where the bridge is gone, nothing for this net may leave the machine instead.
        call("ip", "route", "replace", "blackhole", f"{self.subnet}.0/24", "metric", "4294967295")
        self.authorized_keys.write_text(f"{public_key(self.key)}\n")
        self.authorized_keys.chmod(0o600)
        for number in range(1, count + 1):
            host = Host(self, number)
            self._hosts.append(host)
            host.connect()
            host.boot()
        self._write_client_files()
        return self._hosts

    def down(self):
        """End all hosts and remove everything that was made."""
        for host in self._hosts:
            host.disconnect()
        self._hosts.clear()
        self._remove_leftovers()
        os.close(self._lock)

    def _write_client_files(self):
        lines = [
            "Host *",
            "  User root",
            f"  IdentityFile {self.key}",
            "  IdentitiesOnly yes",
            f"  UserKnownHostsFile {self.known_hosts}",
            "  StrictHostKeyChecking yes",
        ]
        for host in self._hosts:
            lines += [f"Host {host.name}", f"  HostName {host.address}"]
        self.ssh_config.write_text("\n".join(lines) + "\n")
        key = public_key(self.host_key)
        self.known_hosts.write_text("".join(f"{host.address} {key}\n" for host in self._hosts))

    def _remove_leftovers(self):
        """Remove what lies under our number: ours, or of one that was killed."""
        folder = Path("/run/netns")
        names = sorted(path.name for path in folder.glob(f"{self.prefix}h*"))
        commands = [("ip", "netns", "del", name) for name in names]
        commands.append(("ip", "link", "del", self.bridge))
        commands.append(
            ("ip", "route", "del", "blackhole", f"{self.subnet}.0/24", "metric", "4294967295")
        )
        for command in commands:
            with contextlib.suppress(RuntimeError):  # it is not there
                call(*command)


def _take_number():
    """Take a number that no other process has, and with it a subnet and names."""
    for number in range(100, 256):
        path = Path(tempfile.gettempdir()) / f"jrk-test-hosts-{number}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return number, descriptor
    raise RuntimeError("all numbers for hosts are taken")


def _namespace_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None  # it has ended


def wait_until(predicate, limit_s=LIMIT_S):
    """Wait for something on a host, which has no event for us."""
    deadline_s = time.monotonic() + limit_s
    while not (answer := predicate()):
        if time.monotonic() > deadline_s:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)
    return answer
