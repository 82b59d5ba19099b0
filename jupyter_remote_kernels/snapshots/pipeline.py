"""Chunks on their way into packs: hashed and written in threads, a few megabytes at a time."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import InvalidInput, StoreError
from jupyter_remote_kernels.protocol.state_stream import CHUNK_BYTES, NO_DIGEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jupyter_remote_kernels.protocol.state_stream import Buffer
    from jupyter_remote_kernels.snapshots.store import PackWriter, SnapshotStore

# As many chunks as a kernel tells of together: smaller ones cost turns of the loop.
BATCH_BYTES = 4 << 20
BATCHES_IN_FLIGHT = 4
# So many that somebody waits for are never kept for more to come, however small they are.
BATCH_LENT = 4
# A pack is closed after this much, between two buffers, so that old packs can go one by one.
PACK_BYTES = 256 << 20
# Large buffers begin on a page, so that a reader can map them.
PAGE_BYTES = 4096
MAPPABLE_BYTES = CHUNK_BYTES


class PendingChunk:
    """A chunk of a capture; knows its digest at the latest when it is stored.

    Parameters
    ----------
    digest : bytes
        What the sender says; ``NO_DIGEST`` when it leaves that to us.
    size : int
        Its bytes.
    data : bytes-like, optional
        Dropped when it is stored; None for one that is stored already.
    is_mappable : bool
        Whether it belongs to a buffer that readers may want to map.
    begins_part : bool
        Whether it is the first of its part.

    Attributes
    ----------
    on_drop : callable or None
        Called when the data are not needed any more.
    """

    __slots__ = ("begins_part", "data", "digest", "is_mappable", "on_drop", "size")

    def __init__(
        self,
        digest: bytes,
        size: int,
        data: Buffer | None = None,
        *,
        is_mappable: bool = False,
        begins_part: bool = False,
    ) -> None:
        self.digest = digest
        self.size = size
        self.data = data
        self.is_mappable = is_mappable
        self.begins_part = begins_part
        self.on_drop: Callable[[], None] | None = None

    def drop(self) -> None:
        """Let go of the data, which are stored."""
        self.data = None
        told, self.on_drop = self.on_drop, None
        if told is not None:
            told()


# Where a chunk lies: pack id, offset, size.
Place = tuple[str, int, int]


class ChunkPipeline:
    """Stores each new chunk once. Used by one task; owns its threads' work until the end.

    Parameters
    ----------
    store : SnapshotStore
        Held by the caller.
    known : mapping
        Places of chunks that are in the store already, by digest.
    """

    def __init__(self, store: SnapshotStore, known: Mapping[bytes, Place]) -> None:
        self._store = store
        self._places: dict[bytes, Place] = dict(known)
        self._batch: list[PendingChunk] = []
        self._batch_bytes = self._batch_lent = 0
        self._in_flight: deque[asyncio.Task[None]] = deque()
        # Done when all of the batch before has its place; False when that has failed.
        self._placed: asyncio.Future[bool] | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._pack: PackWriter | None = None
        self._pack_id = ""
        self._pack_size = 0
        self._sealed: list[str] = []
        self.new_bytes = 0

    def place(self, digest: bytes) -> Place:
        """Return where a stored chunk lies."""
        return self._places[digest]

    async def add(self, chunk: PendingChunk) -> None:
        """Take a chunk with its data; waits while enough others are under way."""
        self._batch.append(chunk)
        self._batch_bytes += chunk.size
        self._batch_lent += chunk.on_drop is not None
        if self._batch_bytes >= BATCH_BYTES or self._batch_lent >= BATCH_LENT:
            await self._send()

    async def finish(self) -> None:
        """Wait until every chunk is stored and lasting."""
        if self._batch:
            await self._send()
        while self._in_flight:
            await self._await_oldest()
        await self._seal()

    async def discard(self, *, keep_sealed: bool = False) -> None:
        """Take back what was stored, or leave sealed packs to the next collection."""
        self._batch.clear()
        # Threads cannot be stopped; what they write to is closed only after they have ended.
        if self._in_flight:
            await asyncio.wait(self._in_flight)
        for task in self._in_flight:
            # Asked for, so that nobody is told of an error that was never looked at.
            task.cancelled() or task.exception()
        self._in_flight.clear()
        pack, self._pack = self._pack, None
        if pack is not None:
            await pack.discard()
        with contextlib.suppress(StoreError):
            while self._sealed and not keep_sealed:
                await self._store.delete_pack(self._sealed.pop())

    async def _send(self) -> None:
        batch, self._batch = self._batch, []
        self._batch_bytes = self._batch_lent = 0
        before, self._placed = self._placed, asyncio.get_running_loop().create_future()
        self._in_flight.append(asyncio.create_task(self._process(batch, before, self._placed)))
        while len(self._in_flight) >= BATCHES_IN_FLIGHT:
            await self._await_oldest()

    async def _await_oldest(self) -> None:
        # Not awaited itself: a caller that is cancelled must not take the work with it.
        await asyncio.wait(list(self._in_flight)[:1])
        # A failed one stays first, so that every later call fails as well.
        self._in_flight[0].result()
        self._in_flight.popleft()

    async def _process(
        self,
        batch: list[PendingChunk],
        before: asyncio.Future[bool] | None,
        placed: asyncio.Future[bool],
    ) -> None:
        """Hash beside others, take places in order, and write beside others again."""
        hashing = asyncio.create_task(asyncio.to_thread(check_digests, batch))
        writing: list[asyncio.Task[None]] = []
        try:
            may_go_on = before is None or await before
            await hashing
            if may_go_on:
                await self._place_batch(batch, writing)
                placed.set_result(True)
        finally:
            if not placed.done():
                placed.set_result(False)
            await asyncio.wait([hashing, *writing])
            errors = _list_errors(writing)
        if errors:
            raise errors[0]

    async def _place_batch(
        self, batch: list[PendingChunk], writing: list[asyncio.Task[None]]
    ) -> None:
        run: list[PendingChunk] = []
        run_bytes = 0
        for chunk in batch:
            if chunk.digest in self._places:
                chunk.drop()
                continue
            if chunk.begins_part and self._pack_size + run_bytes >= PACK_BYTES:
                await self._begin_write(run, writing)
                run, run_bytes = [], 0
                await self._seal()
            self._places[chunk.digest] = ("", 0, chunk.size)
            run.append(chunk)
            run_bytes += chunk.size
        await self._begin_write(run, writing)

    async def _begin_write(
        self, run: list[PendingChunk], writing: list[asyncio.Task[None]]
    ) -> None:
        """Append chunks to the pack in one piece, in a task that is added to others."""
        if not run:
            return
        if self._pack is None:
            self._pack_id = secrets.token_hex(16)
            self._pack = await self._store.write_pack(self._pack_id)
            self._pack_size = 0
        buffers: list[Buffer] = []
        at = self._pack_size
        for chunk in run:
            padding = -at % PAGE_BYTES if chunk.is_mappable else 0
            if padding:
                buffers.append(bytes(padding))
            self._places[chunk.digest] = (self._pack_id, at + padding, chunk.size)
            buffers.append(chunk.data or b"")
            at += padding + chunk.size
        self._pack_size = at
        task = asyncio.create_task(self._write(self._pack, buffers, run))
        writing.append(task)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(
        self, pack: PackWriter, buffers: list[Buffer], run: list[PendingChunk]
    ) -> None:
        await pack.append(buffers)
        for chunk in run:
            chunk.drop()
            self.new_bytes += chunk.size

    async def _seal(self) -> None:
        if self._pack is not None:
            if self._writing:
                writing = [*self._writing]
                await asyncio.wait(writing)
                if errors := _list_errors(writing):
                    raise errors[0]
            await self._pack.seal()
            self._sealed.append(self._pack_id)
            self._pack = None
            self._pack_size = 0


def _list_errors(tasks: Iterable[asyncio.Task[None]]) -> list[BaseException]:
    # All are asked, so that nobody is told of an error that was never looked at.
    return [error for task in tasks if (error := task.exception())]


def check_digests(batch: list[PendingChunk]) -> None:
    """Compute the digests of chunks, and compare them with those that came along.

    Raises
    ------
    InvalidInput
        When one is not what its digest says.
    """
    for chunk in batch:
        digest = digest_of(chunk.data or b"")
        if chunk.digest not in (NO_DIGEST, digest):
            raise InvalidInput(
                "A chunk of the state is not what its digest says.", reason="bad_chunk"
            )
        chunk.digest = digest
