"""The user's own SSH files, read as OpenSSH reads them: what is missing or broken is left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import asyncssh

_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"


def read_known_hosts(named: object) -> asyncssh.SSHKnownHosts:
    """Read the known hosts.

    Nothing that a configuration can say turns the check off: without files nobody is known.

    Parameters
    ----------
    named : object
        The files that a configuration names; else it is the usual one.
    """
    paths = list(named) if isinstance(named, (list, tuple)) else []
    lines: list[str] = []
    for path in (*(paths or ["~/.ssh/known_hosts"]), _GLOBAL_KNOWN_HOSTS):
        text = _read(Path(os.fspath(path)).expanduser())
        lines += [line for line in text.splitlines() if _is_known_host(line)]
    return asyncssh.import_known_hosts("\n".join(lines))


def find_identities(options: asyncssh.SSHClientConnectionOptions) -> dict[str, Any]:
    """Return arguments of a connection for the keys that a configuration names.

    Parameters
    ----------
    options : SSHClientConnectionOptions
        With the configuration, and made without keys.

    Returns
    -------
    dict
        Empty when it names none: then there are the usual files and the agent.
    """
    named = [Path(path).expanduser() for path in _get(options, "IdentityFile")]
    if not named:
        return {}
    certificates = [Path(path).expanduser() for path in _get(options, "CertificateFile")]
    arguments: dict[str, Any] = {
        "client_keys": [str(path) for path in named if _is_private_key(path)],
        "client_certs": [str(path) for path in certificates if path.is_file()],
        "ignore_encrypted": True,  # the agent may have it
        "agent_identities": None,
    }
    if options.config.get("IdentitiesOnly"):
        # As OpenSSH does: the public part may lie beside the private one.
        beside = [path.with_name(f"{path.name}.pub") for path in named]
        public = [str(path) for path in (*named, *beside, *certificates) if _is_public_key(path)]
        arguments["agent_identities"] = public
        if not public and not arguments["client_keys"]:
            arguments["client_keys"] = None  # nothing else may be tried
    return arguments


def _get(options: asyncssh.SSHClientConnectionOptions, key: str) -> list[str]:
    found = options.config.get(key, [])
    return [str(item) for item in found] if isinstance(found, (list, tuple)) else []


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _is_known_host(line: str) -> bool:
    try:
        asyncssh.import_known_hosts(line)
    except ValueError:
        return False
    return True


def _is_private_key(path: Path) -> bool:
    try:
        asyncssh.load_keypairs([str(path)], ignore_encrypted=True)
    except (OSError, ValueError):
        return False
    return True


def _is_public_key(path: Path) -> bool:
    for read in (asyncssh.read_public_key, asyncssh.read_certificate):
        try:
            read(str(path))
        except (OSError, ValueError):
            continue
        return True
    return False
