"""One HTTP exchange whose bodies are as large as they like: nothing is read before it is asked for.

Tornado's own handlers take a body in small pieces and copy each of them. Here a handler takes the
connection over after the headers, and one piece of memory serves the whole exchange.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Callable

from tornado.iostream import IOStream, StreamClosedError

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.http_bodies import HEAD_BYTES, TAIL, chunk_head, last_chunk
from jupyter_remote_kernels.sockets import keep_alive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping

    from jupyter_remote_kernels.protocol.http_bodies import Body

_ROOM_BYTES = 1 << 20
# Whoever still sends when he is refused has to be heard out, or he would lose the answer.
_LINGER_S = 5.0


class Exchange:
    """A request whose body is read, and a response whose body is written, piece by piece.

    Parameters
    ----------
    stream : IOStream
        The connection, right after the request's headers. It ends with the exchange.
    body : SizedBody or ChunkedBody
        What the headers have announced.
    """

    def __init__(self, stream: IOStream, body: Body) -> None:
        self._stream = stream
        self._body = body
        self._memory = bytearray(HEAD_BYTES + _ROOM_BYTES + len(TAIL))
        self.room = memoryview(self._memory)[HEAD_BYTES : HEAD_BYTES + _ROOM_BYTES]
        self.has_begun = False
        self._reading: Awaitable[int] | None = None
        keep_alive(stream.socket)
        stream.set_nodelay(True)

    async def read(self) -> AsyncIterator[memoryview]:
        """Give out the request's body; each piece is of use until the next one is asked for.

        Raises
        ------
        InvalidInput
            When it is not coded as it says.
        StreamClosedError
            When its sender has gone.
        """
        while not self._body.is_complete:
            size = await self._read_room()
            for piece in self._body.feed(self.room[:size]):
                yield piece

    async def read_json(self) -> dict[str, Any]:
        """Return the request's body, which is a JSON object or empty.

        Raises
        ------
        InvalidInput
            When it is something else, or too large for that.
        """
        body = bytearray()
        async for piece in self.read():
            body += piece
            if len(body) > _ROOM_BYTES:
                raise InvalidInput("the body is too large")
        try:
            value = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            raise InvalidInput("the body is not JSON") from None
        if not isinstance(value, dict):
            raise InvalidInput("the body is no JSON object")
        return value

    async def begin(self) -> None:
        """Begin a response of which nobody knows how long it becomes."""
        self.has_begun = True
        head = _head(200, "application/octet-stream", "Transfer-Encoding: chunked")
        await self._write(head)

    async def send_room(self, size: int) -> None:
        """Send so many bytes of the room; returns when all of it can be written again."""
        end = HEAD_BYTES + size
        self._memory[:HEAD_BYTES] = chunk_head(size)
        self._memory[end : end + len(TAIL)] = TAIL
        await self._write(memoryview(self._memory)[: end + len(TAIL)])

    async def end(self) -> None:
        """End a response that has begun: it is whole."""
        await self._write(last_chunk())

    async def answer(self, status: int, body: Mapping[str, Any]) -> None:
        """Send a whole response."""
        self.has_begun = True
        content = json.dumps(dict(body)).encode()
        head = _head(status, "application/json", f"Content-Length: {len(content)}")
        await self._write(head + content)

    async def refuse(self, status: int, error: Mapping[str, Any]) -> None:
        """Say what went wrong, as the response or behind what there is of it."""
        if self.has_begun:
            await self._write(last_chunk(error))
        else:
            await self.answer(status, error)

    async def close(self) -> None:
        """End the connection, and hear the other end out before."""
        with contextlib.suppress(StreamClosedError, OSError):
            self._stream.socket.shutdown(socket.SHUT_WR)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._drain(), _LINGER_S)

    def abort(self) -> None:
        """End the connection now; may be called twice."""
        self._stream.close()

    def is_gone(self) -> bool:
        """Tell whether the other end has gone, which :meth:`watch` may not have heard of yet."""
        if self._stream.closed():
            return True
        poller = select.poll()
        poller.register(self._stream.fileno(), select.POLLRDHUP)
        return bool(poller.poll(0))

    @contextlib.contextmanager
    def watch(self, on_gone: Callable[[], object]) -> Iterator[None]:
        """Call this once when the other end goes, also while its body waits to be read."""
        loop = asyncio.get_running_loop()
        is_told = False

        def tell() -> None:
            nonlocal is_told
            if not is_told:
                is_told = True
                on_gone()

        # Tornado listens to a stream that nobody reads as well. When it is the first to see the
        # end, it closes the socket, and then there is nothing left to watch; else it sees it, too.
        self._stream.set_close_callback(tell)
        with select.epoll() as watcher:
            watcher.register(self._stream.fileno(), select.EPOLLRDHUP | select.EPOLLONESHOT)
            loop.add_reader(watcher.fileno(), _look, watcher, tell)
            try:
                yield
            finally:
                self._stream.set_close_callback(None)
                loop.remove_reader(watcher.fileno())

    async def _write(self, data: bytes | memoryview) -> None:
        # A write that is given up must not take the buffer along that it is from.
        await asyncio.shield(self._stream.write(data))

    async def _drain(self) -> None:
        while True:
            await self._read_room()

    async def _read_room(self) -> int:
        """Read what there is into the room; who is cancelled leaves his turn to the next."""
        if self._reading is None:
            self._reading = self._stream.read_into(self.room, partial=True)  # type: ignore[arg-type]
        size = await asyncio.shield(self._reading)
        self._reading = None
        return size


def _look(watcher: select.epoll, tell: Callable[[], object]) -> None:
    # One shot: asking takes the event away, and there is no other.
    if watcher.poll(0):
        tell()


def _head(status: int, content_type: str, length: str) -> bytes:
    lines = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {content_type}",
        length,
        "Connection: close",
    )
    return "\r\n".join([*lines, "", ""]).encode("ascii")
