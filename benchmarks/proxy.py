"""A TCP proxy in a thread of its own, whose connections can be cut or stalled."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

_READ_BYTES = 256 * 1024
_LIMIT_S = 10.0
_Result = TypeVar("_Result")
# A linger time of zero makes the end of a connection an RST and not a FIN.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes connections on to one port of the loopback device. A context manager.

    ``open`` passes everything on. ``cut`` ends all connections with an RST and refuses new ones
    the same way. ``stalled`` passes no byte on and tells nobody, as an unplugged cable does; what
    comes meanwhile goes on its way when it is over.

    Parameters
    ----------
    target : int or callable
        The port that is behind it; asked for each connection.

    Attributes
    ----------
    port : int
        Where it listens.
    """

    def __init__(self, target: int | Callable[[], int]) -> None:
        self._target = target
        self._mode = "open"
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._passes = asyncio.Event()
        self._passes.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> Proxy:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all connections and the thread."""
        self._server.close()
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LIMIT_S)
        self._loop.close()

    def set_mode(self, mode: str) -> None:
        """Change what becomes of connections: ``open``, ``cut`` or ``stalled``."""
        self._call(self._set_mode(mode))

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_LIMIT_S)

    async def _set_mode(self, mode: str) -> None:
        self._mode = mode
        if mode == "stalled":
            self._passes.clear()
        else:
            self._passes.set()
        if mode == "cut":
            for writer in list(self._writers):
                _reset(writer)

    async def _end(self) -> None:
        await self._set_mode("cut")
        own = asyncio.current_task()
        tasks = {task for task in asyncio.all_tasks() if task is not own}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LIMIT_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "cut":
            _reset(writer)
            return
        self._writers.add(writer)
        far = None
        try:
            port = self._target if isinstance(self._target, int) else self._target()
            far_reader, far = await asyncio.open_connection("127.0.0.1", port)
            self._writers.add(far)
            for each in (writer, far):
                # Else this proxy would add the delays that are to be measured.
                connection = each.get_extra_info("socket")
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(self._copy(reader, far), self._copy(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # cut, which is what this is for
        finally:
            for end in (writer, far):
                if end is not None:
                    self._writers.discard(end)
                    end.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_BYTES):
            await self._passes.wait()
            writer.write(data)
            await writer.drain()
        await self._passes.wait()
        with suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
