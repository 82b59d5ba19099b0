"""What the engines of the tests share: programs that may be missing, waiting, keys."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 20.0


def find_program(name):
    """Return a program's path; the system's own folders are not on every user's path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")


def require(**programs):
    """Skip the test when a program is missing, or fail where everything has to run.

    Parameters
    ----------
    **programs : str
        The Debian package of each program.
    """
    missing = sorted({package for name, package in programs.items() if not find_program(name)})
    if missing:
        give_up(f"missing: apt-get install {' '.join(missing)}")


def require_root():
    """Skip the test for a user who can make no namespaces."""
    if os.geteuid() != 0:
        give_up("it needs root")


def give_up(reason):
    """Skip the test, which is a failure where everything has to run."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def call(*command, **options):
    """Run a program to its end and return its output; a failure says what it printed."""
    result = subprocess.run(
        [find_program(command[0]) or command[0], *map(str, command[1:])],
        stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
        **options,
    )
    if result.returncode:
        raise RuntimeError(f"{command} ended with {result.returncode}: {result.stdout}")
    return result.stdout


def make_key(path: Path) -> Path:
    """Make a key pair and return the private part's path."""
    if not path.exists():
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path)
    return path


def public_key(path: Path) -> str:
    """Return the public part of a key pair, without its comment."""
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def wait_for_banner(address, port, is_alive):
    """Wait until a server says that it speaks SSH; it has no event for us."""
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        try:
            with socket.create_connection((address, port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > deadline_s or not is_alive():
            raise RuntimeError(f"no SSH server at {address}:{port}")
        time.sleep(0.02)


SSHD_OPTIONS = {
    "PermitRootLogin": "prohibit-password",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "UsePAM": "no",
    "StrictModes": "no",  # the test's folder may lie below one that everybody can write
    "UseDNS": "no",
    "PrintMotd": "no",
    "LogLevel": "VERBOSE",
    "ClientAliveInterval": "5",
    "ClientAliveCountMax": "3",
    "AllowTcpForwarding": "yes",
}


def write_sshd_config(path: Path, options) -> Path:
    """Write a configuration of sshd from a mapping."""
    path.write_text("".join(f"{key} {value}\n" for key, value in options.items()))
    return path
