"""Connections to hosts: one per host, shared by all runtimes there, made again when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import asyncssh

from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.providers.ssh_channels import Slots, Tunnel
from jupyter_remote_kernels.providers.ssh_errors import HostKeyRefused, translate
from jupyter_remote_kernels.providers.ssh_user_files import find_identities, read_known_hosts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from jupyter_remote_kernels.providers.ssh_addresses import HostAddress

_KEEPALIVE_S = 5.0
_KEEPALIVE_COUNT = 3
# A server that is there answers within this; one that is not must not cost much of ten seconds.
_OPEN_LIMIT_S = 4.0
_WHOLE_LIMIT_S = 8.5
# sshd allows ten sessions on a connection unless it is told otherwise.
_SESSIONS = 8
_IDLE_S = 60.0
_CLOSE_LIMIT_S = 1.0
_PIECE_BYTES = 1 << 20
_LOST = (asyncssh.DisconnectError, OSError, asyncio.TimeoutError)


class SshHost:
    """One host and the connection to it.

    Parameters
    ----------
    address : HostAddress
        Where it is.
    find : callable
        Gives the host for another address, to jump from it.
    """

    def __init__(self, address: HostAddress, find: Callable[[HostAddress], SshHost]) -> None:
        self.address = address
        self._find = find
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self._slots = Slots(_SESSIONS)
        self._tunnels: dict[str, Tunnel] = {}

    async def connect(self, limit_s: float | None = None) -> asyncssh.SSHClientConnection:
        """Return the connection, made now if there is none; all who wait share one attempt.

        Raises
        ------
        ProviderUnavailable
            When the host cannot be reached.
        ProviderError
            When it, or what we know of it, refuses us.
        """
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._connecting is None or self._connecting.done():
            limit_s = min(self.address.connect_s, limit_s or self.address.connect_s)
            self._connecting = asyncio.get_running_loop().create_task(self._open(limit_s))
            # All who wait may have been cancelled, and then nobody asks after its error.
            self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())
        # One who is cancelled must not take the connection from the others.
        return await asyncio.shield(self._connecting)

    async def run(
        self,
        command: str,
        data: bytes,
        limit_s: float,
        on_begin: Callable[[], None] = lambda: None,
    ) -> tuple[str, str]:
        """Run a command with this on its standard input; returns its output and its errors.

        Parameters
        ----------
        command : str
            The command line.
        data : bytes
            What it reads.
        limit_s : float
            How long it may take, in seconds.
        on_begin : callable
            Called just before the first of the data is sent.

        Raises
        ------
        ProviderError
            When the host cannot be asked, as in :meth:`connect`.
        """
        async with self._slots:
            process = await self._open_process(command)
            on_begin()
            try:
                result = await asyncio.wait_for(process.communicate(data), limit_s)
            except asyncio.TimeoutError:
                raise ProviderError(
                    f"the host {self.address.host} took longer than {limit_s:.0f} s",
                    reason="host_too_slow",
                    hint="See what the prelude does there.",
                ) from None
            except _LOST as error:
                raise translate(error, self.address.host) from error
            finally:
                process.close()
                # Until then the server counts it.
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(process.wait_closed(), _CLOSE_LIMIT_S)
        if process.exit_status is None and process.exit_signal is None and not result[0]:
            raise translate(asyncssh.ConnectionLost("the connection was lost"), self.address.host)
        return tuple(_decode(part) for part in result)  # type: ignore[return-value]

    async def read(self, command: str) -> AsyncGenerator[bytes, None]:
        """Run a command and yield its output as it comes, no faster than it is taken.

        Raises
        ------
        ProviderUnavailable
            When the host cannot be reached, or no longer.
        ProviderError
            When the command fails.
        """
        async with self._slots:
            process = await self._open_process(command)
            try:
                while piece := await process.stdout.read(_PIECE_BYTES):
                    yield piece
                await process.wait_closed()
            except _LOST as error:
                raise translate(error, self.address.host) from error
            finally:
                process.close()
        if process.exit_status is None:
            raise translate(asyncssh.ConnectionLost("the connection was lost"), self.address.host)
        if process.exit_status:
            raise ProviderError(
                f"there is nothing to be read on the host {self.address.host}",
                reason="nothing_left",
            )

    async def _open_process(self, command: str) -> asyncssh.SSHClientProcess[bytes]:
        """Start a command, as soon as the server allows one more."""
        refused_s = None
        while True:
            process, words = await self._try_to_open(command)
            if process is not None:
                return process
            if await self._slots.shrink():
                continue
            # The server may not have seen yet that our last one has ended.
            refused_s = refused_s or time.monotonic()
            if time.monotonic() - refused_s > _CLOSE_LIMIT_S:
                raise ProviderError(
                    f"the host {self.address.host} allows no command: {words}",
                    reason="commands_refused",
                    hint="Its administrator may allow file transfer or tunnels only.",
                )
            await asyncio.sleep(_CLOSE_LIMIT_S / 10)

    async def _try_to_open(
        self, command: str
    ) -> tuple[asyncssh.SSHClientProcess[bytes] | None, str]:
        """Start a command; returns None with the server's words when it refuses."""
        limit_s: float | None = None
        while True:
            connection = await self.connect(limit_s)
            opening = connection.create_process(
                command, encoding=None, request_pty=False, send_env=None, x11_forwarding=False
            )
            try:
                return await asyncio.wait_for(opening, _OPEN_LIMIT_S), ""
            except (asyncssh.ChannelOpenError, *_LOST) as error:
                if isinstance(error, asyncssh.ChannelOpenError) and not connection.is_closed():
                    return None, error.reason
                # It had been lost, or the host is gone without a word: a new one shows which.
                self._drop(connection)
                if limit_s is not None:
                    raise translate(error, self.address.host) from error
                limit_s = _WHOLE_LIMIT_S - _OPEN_LIMIT_S

    async def tunnel(self, label: str, port: int, *, is_fresh: bool = False) -> int:
        """Return a port of this host's loopback that leads to one of the far side's.

        It stays the same as long as this object lives.

        Parameters
        ----------
        label : str
            Whose tunnel.
        port : int
            On the loopback of the far side.
        is_fresh : bool
            Whether it is known that somebody listens there.

        Raises
        ------
        ProviderUnavailable
            When the host cannot be reached.
        ProviderError
            When nobody listens there.
        """
        tunnel = self._tunnels.setdefault(label, Tunnel())
        async with tunnel.lock:
            connection = await self.connect()
            if not is_fresh:
                connection = await self._probe(connection, port)
            return await tunnel.open(connection, port)

    async def _probe(
        self, connection: asyncssh.SSHClientConnection, port: int
    ) -> asyncssh.SSHClientConnection:
        """See that the agent can be reached; returns the connection that reaches it.

        A connection whose host has gone without a word looks like any other.
        """
        for attempt in (1, 2):
            try:
                _, writer = await asyncio.wait_for(
                    connection.open_connection("127.0.0.1", port), _OPEN_LIMIT_S
                )
            except (asyncssh.ChannelOpenError, *_LOST) as error:
                if isinstance(error, asyncssh.ChannelOpenError) and not connection.is_closed():
                    raise self._explain_refusal(error) from error
                self._drop(connection)
                if attempt == 2:
                    raise translate(error, self.address.host) from error
                connection = await self.connect(_WHOLE_LIMIT_S - _OPEN_LIMIT_S)
            else:
                writer.close()
                break
        return connection

    def _explain_refusal(self, error: asyncssh.ChannelOpenError) -> ProviderError:
        name = self.address.host
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return ProviderError(
                f"the host {name} allows no tunnels: {error.reason}",
                reason="tunnel_refused",
                hint="Ask its administrator for AllowTcpForwarding.",
            )
        return ProviderError(
            f"no agent listens on the host {name}: {error.reason}", reason="job_over"
        )

    def close_tunnel(self, label: str) -> None:
        """Give a tunnel up, and a while after the last one the connection."""
        tunnel = self._tunnels.pop(label, None)
        if tunnel is not None:
            tunnel.close()
            asyncio.get_running_loop().call_later(_IDLE_S, self._close_idle)

    def _close_idle(self) -> None:
        if self._connection is not None and not self._tunnels and not self._slots.is_used:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        """Close the connection with all tunnels."""
        for label in list(self._tunnels):
            self.close_tunnel(label)
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self._connection is not None:
            self._connection.close()
            with contextlib.suppress(*_LOST):
                await asyncio.wait_for(self._connection.wait_closed(), _OPEN_LIMIT_S)
            self._connection = None

    def _drop(self, connection: asyncssh.SSHClientConnection) -> None:
        connection.abort()
        if self._connection is connection:
            self._connection = None

    async def _open(self, limit_s: float) -> asyncssh.SSHClientConnection:
        client = _Client()
        try:
            self._connection = await asyncio.wait_for(self._log_in(client), limit_s)
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            raise translate(client.refused or error, self.address.host) from error
        except (asyncssh.Error, OSError, asyncio.TimeoutError, ValueError) as error:
            raise translate(error, self.address.host) from error
        return self._connection

    async def _log_in(self, client: _Client) -> asyncssh.SSHClientConnection:
        address = self.address
        chosen: dict[str, Any] = {"host": address.host}
        if address.user is not None:
            chosen["username"] = address.user
        if address.port is not None:
            chosen["port"] = address.port
        if address.config is not None:
            chosen["config"] = [address.config]
        if address.jump is not None:
            chosen["tunnel"] = address.jump
        # Without keys at first: one that is missing would fail it. Reads files, in a thread.
        options = await asyncssh.SSHClientConnectionOptions.construct(
            **chosen, client_keys=None, agent_identities=None
        )
        jump = options.tunnel
        tunnel = None
        if isinstance(jump, str) and jump:
            tunnel = await self._find(address.find_jump(jump)).connect()
        client.known = await asyncio.to_thread(read_known_hosts, options.known_hosts)
        identities = await asyncio.to_thread(find_identities, options)
        return await asyncssh.connect(
            **{**chosen, **identities, "tunnel": tunnel},
            client_factory=lambda: client,
            known_hosts=client.known,
            agent_forwarding=False,
            keepalive_interval=_KEEPALIVE_S,
            keepalive_count_max=_KEEPALIVE_COUNT,
            connect_timeout=None,
            login_timeout=None,
        )


class _Client(asyncssh.SSHClient):
    """Notes why a host key was refused."""

    def __init__(self) -> None:
        self.known: asyncssh.SSHKnownHosts | None = None
        self.refused: HostKeyRefused | None = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Called for a key that is not among the known ones; never trusts it."""
        known: list[str] = []
        if self.known is not None:
            for_port = None if port == asyncssh.DEFAULT_PORT else port
            matches = asyncssh.match_known_hosts(self.known, host, addr, for_port)
            known = [item.get_fingerprint() for item in matches[0]]
        self.refused = HostKeyRefused(key.get_fingerprint(), ", ".join(dict.fromkeys(known)))
        return False


def _decode(part: bytes | str | None) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else part or ""
