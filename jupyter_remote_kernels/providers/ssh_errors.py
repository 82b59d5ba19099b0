"""Why a connection could not be made, in words for the user: which it is, and what to do next."""

from __future__ import annotations

import asyncio
import os
import socket

import asyncssh

from jupyter_remote_kernels.errors import ProviderError, ProviderUnavailable


class HostKeyRefused(Exception):
    """The host's key is not the one that the user knows, or is not known at all."""

    def __init__(self, fingerprint: str, known: str) -> None:
        super().__init__(fingerprint)
        self.fingerprint = fingerprint
        self.known = known


def translate(error: BaseException, name: str) -> ProviderError:
    """Return what to tell the user about a connection that could not be made.

    Parameters
    ----------
    error : BaseException
        What asyncssh or the operating system has raised.
    name : str
        The host as the user knows it.
    """
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, HostKeyRefused):
        return _host_key(error, name)
    if isinstance(error, asyncssh.PermissionDenied):
        return ProviderError(
            f"the host {name} refuses to let us in: {error.reason or 'permission denied'}",
            reason="authentication_failed",
            hint=f"Check user and key: 'ssh {name} true' must work without asking for anything."
            " A key with a passphrase has to be in your ssh-agent.",
        )
    if isinstance(error, (asyncssh.KeyImportError, asyncssh.KeyEncryptionError)):
        return ProviderError(
            f"a key for the host {name} cannot be used: {error}",
            reason="key_unusable",
            hint="A key with a passphrase has to be in your ssh-agent: ssh-add.",
        )
    if isinstance(error, ValueError):  # asyncssh.ConfigParseError, or a name that is none
        return ProviderError(
            f"your SSH configuration cannot be read: {error}",
            reason="ssh_config_invalid",
            hint="Correct the line that is named.",
        )
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return ProviderError(
            f"the host {name} and we have no way of encryption in common: {error.reason}",
            reason="key_exchange_failed",
            hint="Its SSH server may be too old, or its host key may be of another kind than the"
            " one in your known_hosts file.",
        )
    return ProviderUnavailable(
        f"the host {name} cannot be reached: {_words(error)}",
        reason="host_unreachable",
        hint="Check that it is up, and its name and port. What runs there goes on.",
    )


def _host_key(error: HostKeyRefused, name: str) -> ProviderError:
    if error.known:
        return ProviderError(
            f"the key of the host {name} has changed: it is {error.fingerprint}, but your"
            f" known_hosts file has {error.known}. Somebody may be listening",
            reason="host_key_changed",
            hint=f"Ask the host's administrator. If it is right: ssh-keygen -R {name}, then"
            f" ssh {name}.",
        )
    return ProviderError(
        f"the key of the host {name} is not known: {error.fingerprint}",
        reason="host_key_unknown",
        hint=f"Connect once with 'ssh {name}' and compare the key, or add it to your known_hosts"
        " file.",
    )


def _words(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return f"its name is not known ({error.strerror})"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "it does not answer"
    if isinstance(error, asyncssh.DisconnectError):
        return error.reason or "the connection was lost"
    if isinstance(error, OSError):
        # asyncio puts words of its own into ``strerror``.
        return os.strerror(error.errno) if error.errno else str(error)
    return str(error) or type(error).__name__
