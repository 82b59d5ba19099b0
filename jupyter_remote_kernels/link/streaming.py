"""HTTP requests to an agent whose bodies are streams of any size, with back-pressure both ways.

Tornado's HTTP client calls back with whatever comes and waits for nobody; here the next piece is
read when the last one is done with.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient
from tornado.util import TimeoutError as ConnectTimeout

from jupyter_remote_kernels.errors import InvalidInput, LinkError, LinkUnavailable
from jupyter_remote_kernels.protocol.http_bodies import TAIL, chunk_head, find_body, last_chunk
from jupyter_remote_kernels.sockets import keep_alive, run_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from jupyter_remote_kernels.protocol.frames import Buffer

_CONNECT_LIMIT_S = 20.0
_HEAD_LIMIT_BYTES = 64 * 1024
_READ_BYTES = 1 << 20
# What is left of a buffer is read into as long as it is at least this.
_LEAST_BYTES = 256 * 1024
_SMALL_BYTES = 64 * 1024
_AT_ONCE = struct.pack("ii", 1, 0)


class StreamedRequest:
    """One request on a connection of its own. Use it as an asynchronous context.

    Parameters
    ----------
    method, url : str
        What is asked, and where.
    headers : mapping
        Sent along.
    """

    def __init__(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        self._method = method
        self._url = urlsplit(url)
        self._headers = headers
        self._stream: IOStream | None = None
        self._small: list[Buffer] = []
        self._small_bytes = 0
        self._after_last = b""
        self._is_sending = False
        self.status = 0
        self._response_headers: dict[str, str] = {}

    async def __aenter__(self) -> StreamedRequest:
        host = self._url.hostname or ""
        try:
            self._stream = await TCPClient().connect(
                host, self._url.port or 80, timeout=_CONNECT_LIMIT_S
            )
        except (OSError, StreamClosedError, ConnectTimeout) as error:
            raise LinkUnavailable(f"the agent cannot be reached: {error}") from error
        keep_alive(self._stream.socket)
        self._stream.set_nodelay(True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._stream is None:
            return
        if self._is_sending and not self._stream.closed():
            # What has not left yet would hold up the news that no more will come.
            self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._stream.close()

    async def ask(self, body: Buffer) -> None:
        """Send the request with a whole body and wait for the response's head.

        Raises
        ------
        LinkUnavailable
            When the connection is lost.
        """
        size = memoryview(body).nbytes
        self._is_sending = True
        async with _lost():
            await self._write(self._head(f"Content-Length: {size}") + bytes(body))
            await self._read_head()
        self._is_sending = False

    async def upload(self, body: AsyncIterator[Buffer]) -> None:
        """Send the request with a body as it comes, and wait for the response's head.

        The agent may answer before it has all: then the rest is not asked for.

        Raises
        ------
        LinkUnavailable
            When the connection is lost.
        """
        self._is_sending = True
        answering = asyncio.ensure_future(self._read_head())
        try:
            # When it answers early it may hang up as well; what it said counts.
            with contextlib.suppress(StreamClosedError):
                await self._write(self._head("Transfer-Encoding: chunked"))
                await run_until(self._send_body(body, answering), answering)
            async with _lost():
                await answering
            self._is_sending = False
        finally:
            answering.cancel()
            await asyncio.wait({answering})

    async def read(self) -> AsyncGenerator[memoryview, None]:
        """Give out the response's body as it comes; nobody changes the pieces afterwards.

        Raises
        ------
        LinkUnavailable
            When the connection is lost before its end.
        BrokenOff
            When the agent says why there is no more.
        """
        found = self._response_headers
        body = find_body(found.get("transfer-encoding"), found.get("content-length"))
        room = memoryview(b"")
        stream = self._connected()
        while not body.is_complete:
            if room.nbytes < _LEAST_BYTES:
                room = memoryview(bytearray(_READ_BYTES))
            async with _lost():
                size = await stream.read_into(room, partial=True)  # type: ignore[arg-type]
                pieces = body.feed(room[:size])
            for piece in pieces:
                yield piece.toreadonly()
            room = room[size:]
        if body.error is not None:
            raise BrokenOff(body.error)

    async def read_json(self) -> dict[str, Any]:
        """Return the response's body, a JSON object."""
        content = b"".join([piece async for piece in self.read()])
        try:
            value = json.loads(content or b"{}")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise LinkError("the agent answered something that is not understood")
        return value

    # -- inside ---------------------------------------------------------------

    def _connected(self) -> IOStream:
        if self._stream is None:
            raise LinkUnavailable("the connection to the agent is not open")
        return self._stream

    def _head(self, length: str) -> bytes:
        path = self._url.path + (f"?{self._url.query}" if self._url.query else "")
        lines = [f"{self._method} {path} HTTP/1.1", f"Host: {self._url.netloc}", length]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        return "\r\n".join([*lines, "Content-Type: application/octet-stream", "", ""]).encode()

    async def _write(self, data: bytes | memoryview) -> None:
        # A write that is given up must not take the buffer along that it is from.
        await asyncio.shield(self._connected().write(data))

    async def _send_body(
        self, body: AsyncIterator[Buffer], answering: asyncio.Future[None]
    ) -> None:
        async for piece in body:
            view = memoryview(piece).cast("B")
            # What is small waits for more, and its memory may be used again meanwhile.
            self._small.append(bytes(view) if view.nbytes < _SMALL_BYTES else view)
            self._small_bytes += view.nbytes
            if self._small_bytes >= _SMALL_BYTES:
                await self._send_chunk(answering)
            if answering.done():
                return
        await self._send_chunk(answering)
        await self._write(self._after_last + last_chunk())

    async def _send_chunk(self, answering: asyncio.Future[None]) -> None:
        """Send what has come as one chunk, without copying what is large."""
        parts, size = self._small, self._small_bytes
        self._small, self._small_bytes = [], 0
        if not size:
            return
        stream = self._connected()
        head = b"".join([self._after_last, chunk_head(size), *parts[:-1]])
        self._after_last = TAIL
        stream.write(head)
        written = asyncio.ensure_future(stream.write(memoryview(parts[-1])))
        # An agent that has answered may read no more.
        await asyncio.wait({written, answering}, return_when=asyncio.FIRST_COMPLETED)
        if written.done():
            written.result()

    async def _read_head(self) -> None:
        head = await self._connected().read_until(b"\r\n\r\n", max_bytes=_HEAD_LIMIT_BYTES)
        first, *lines = head.decode("latin-1").split("\r\n")
        try:
            self.status = int(first.split(" ")[1])
        except (IndexError, ValueError):
            raise LinkError("the agent answered something that is not understood") from None
        for line in lines:
            name, _, value = line.partition(":")
            self._response_headers[name.strip().lower()] = value.strip()


class BrokenOff(LinkError):
    """A response that the agent could not end, and why: ``body`` is what it said."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__("the agent broke its answer off")
        self.body = body


@contextlib.asynccontextmanager
async def _lost() -> AsyncIterator[None]:
    """Turn what a lost connection raises into ours."""
    try:
        yield
    except (OSError, StreamClosedError) as error:
        raise LinkUnavailable(f"the connection to the agent was lost: {error}") from error
    except InvalidInput as error:
        raise LinkError(f"the agent's answer cannot be read: {error.message}") from error
