"""A snapshot store for tests: in memory, and it fails or blocks at a named point.

It implements the interface itself and shares nothing with the store in files.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import SnapshotDamaged, SnapshotNotFound
from jupyter_remote_kernels.snapshots.store import PackWriter, SnapshotStore, check_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from jupyter_remote_kernels.errors import RemoteKernelsError
    from jupyter_remote_kernels.protocol.state_stream import Buffer


class MemoryStore(SnapshotStore):
    """Keeps everything in this process; no files, as with an object store.

    Points are the names of the methods, and ``append``, ``seal`` and ``discard``.

    Attributes
    ----------
    failing : dict
        The error that each point raises, before it has done anything.
    failing_after : dict
        The error that each point raises after it has done its work.
    blocked : dict of asyncio.Event
        What each point waits for.
    reached : asyncio.Event
        Set when a blocked point is reached; made anew for each loop by :meth:`block`.
    calls : list of str
        The points that were passed, in order.
    """

    def __init__(self) -> None:
        self.failing: dict[str, RemoteKernelsError] = {}
        self.failing_after: dict[str, RemoteKernelsError] = {}
        self.blocked: dict[str, asyncio.Event] = {}
        self.reached = asyncio.Event()
        self.calls: list[str] = []
        self.sealed: dict[str, bytes] = {}
        self.open: dict[str, bytearray] = {}
        self.stored: dict[str, tuple[int, bytes]] = {}
        self._version = 0
        self._users = 0
        self._alone: asyncio.Event | None = None

    def block(self, point: str) -> asyncio.Event:
        """Let a point wait for the event that is returned."""
        self.reached = asyncio.Event()
        return self.blocked.setdefault(point, asyncio.Event())

    @contextlib.asynccontextmanager
    async def at(self, point: str) -> AsyncIterator[None]:
        """Pass a named point: wait there, or fail before or after the work."""
        self.calls.append(point)
        if point in self.blocked:
            self.reached.set()
            await self.blocked[point].wait()
        if point in self.failing:
            raise self.failing[point]
        yield
        if point in self.failing_after:
            raise self.failing_after[point]

    async def write_pack(self, pack_id: str) -> PackWriter:
        check_name(pack_id)
        async with self.at("write_pack"):
            assert pack_id not in self.open
            assert pack_id not in self.sealed
            self.open[pack_id] = bytearray()
        return _MemoryPackWriter(self, pack_id)

    async def read(self, pack_id: str, offset: int, size: int) -> bytes:
        check_name(pack_id)
        async with self.at("read"):
            if pack_id not in self.sealed:
                raise SnapshotDamaged("There is no such pack.")
            return self.sealed[pack_id][offset : offset + size]

    def pack_path(self, pack_id: str) -> Path | None:
        check_name(pack_id)
        return None

    async def packs(self) -> dict[str, int]:
        async with self.at("packs"):
            return {name: len(content) for name, content in self.sealed.items()}

    async def delete_pack(self, pack_id: str) -> None:
        check_name(pack_id)
        async with self.at("delete_pack"):
            self.sealed.pop(pack_id, None)

    async def put_document(self, name: str, content: bytes) -> None:
        check_name(name)
        async with self.at("put_document"):
            self._version += 1
            self.stored[name] = (self._version, bytes(content))

    async def get_document(self, name: str) -> bytes:
        check_name(name)
        async with self.at("get_document"):
            if name not in self.stored:
                raise SnapshotNotFound("There is no such snapshot.")
            return self.stored[name][1]

    async def documents(self) -> dict[str, str]:
        async with self.at("documents"):
            return {name: str(version) for name, (version, _) in self.stored.items()}

    async def delete_document(self, name: str) -> None:
        check_name(name)
        async with self.at("delete_document"):
            self.stored.pop(name, None)

    @contextlib.asynccontextmanager
    async def hold(self, *, alone: bool = False) -> AsyncIterator[bool]:
        async with self.at("hold"):
            if alone and (self._users or self._alone):
                yield False
                return
            while self._alone is not None:
                await self._alone.wait()
            if alone:
                # Whoever is alone knows that nobody is writing.
                self.open.clear()
                self._alone = asyncio.Event()
            self._users += 1
            try:
                yield True
            finally:
                self._users -= 1
                if alone and self._alone is not None:
                    self._alone.set()
                    self._alone = None


class _MemoryPackWriter(PackWriter):
    def __init__(self, store: MemoryStore, pack_id: str) -> None:
        self._store = store
        self._id = pack_id

    async def append(self, buffers: Sequence[Buffer]) -> int:
        async with self._store.at("append"):
            content = self._store.open[self._id]
            offset = len(content)
            for buffer in buffers:
                content += buffer
            return offset

    async def seal(self) -> None:
        async with self._store.at("seal"):
            self._store.sealed[self._id] = bytes(self._store.open.pop(self._id))

    async def discard(self) -> None:
        async with self._store.at("discard"):
            self._store.open.pop(self._id, None)
