"""Writes one snapshot from a state stream: chunks first, the signed manifest last."""

from __future__ import annotations

import asyncio
import functools
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_remote_kernels.errors import (
    Conflict,
    InvalidInput,
    SnapshotDamaged,
    StateError,
    StoreError,
)
from jupyter_remote_kernels.protocol.state_stream import (
    CHUNK_BYTES,
    NO_DIGEST,
    VERSION,
    ChunkRecord,
    JsonRecord,
    KnownRecord,
    StreamReader,
    WindowRecord,
)
from jupyter_remote_kernels.snapshots.bundle import is_same_state
from jupyter_remote_kernels.snapshots.manifest import (
    DESCRIPTION_CHARACTERS,
    NAME_CHARACTERS,
    Chunk,
    Group,
    Manifest,
    check_end,
    check_group,
    check_text,
)
from jupyter_remote_kernels.snapshots.pipeline import (
    MAPPABLE_BYTES,
    ChunkPipeline,
    PendingChunk,
    Place,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from jupyter_remote_kernels.protocol.state_stream import Buffer, Part, Record
    from jupyter_remote_kernels.snapshots.key import SnapshotKey
    from jupyter_remote_kernels.snapshots.manifest import SnapshotFacts
    from jupyter_remote_kernels.snapshots.store import SnapshotStore

# Records are kept in memory until the manifest is written; a stream of nothing else must end.
RECORDS_LIMIT_BYTES = 256 << 20


class ChunkWindow(Protocol):
    """Memory into which whoever sends the stream puts chunks."""

    def take(self, offset: int, size: int) -> memoryview:
        """Return the chunk at a place; raises ``InvalidInput`` when there is none."""

    def release(self, offset: int) -> None:
        """Say that the place may be used again."""


@dataclass
class _OpenGroup:
    """A group and what is still missing of it."""

    record: dict[str, Any]
    parts: list[Part]
    chunks: list[PendingChunk]
    missing: int = 0

    @property
    def is_complete(self) -> bool:
        return not self.missing and not any(part.size for part in self.parts)


class SnapshotWriter:
    """Takes a state stream; the catalogue makes it. Used by one task.

    Whoever has one ends it with :meth:`commit` or :meth:`abort`, whatever happened; as an
    asynchronous context manager it aborts unless it was committed.

    Parameters
    ----------
    store : SnapshotStore
        Held by ``holding`` until the end.
    key : SnapshotKey
        Signs the manifest.
    facts : SnapshotFacts
        What it is a snapshot of.
    known : mapping
        Chunks of the parent, by digest.
    parent : Manifest, optional
        The parent.
    holding : AsyncExitStack
        Closed at the end.

    Attributes
    ----------
    known : tuple of bytes
        Digests of the parent's chunks, in the order of its stream when nothing of it is missing.
    known_capture : str
        What the parent's stream says it was, when nothing of it is missing and it had no digests.
    window : ChunkWindow or None
        Where the stream's sender may put chunks. It has to stay until the writer has ended.
    """

    def __init__(
        self,
        store: SnapshotStore,
        key: SnapshotKey,
        facts: SnapshotFacts,
        known: Mapping[bytes, Place],
        parent: Manifest | None,
        holding: AsyncExitStack,
    ) -> None:
        self.id = secrets.token_hex(16)
        self._store = store
        self._key = key
        self._facts = facts
        self._parent_id = parent.id if parent is not None and known else ""
        self._holding = holding
        self._sizes = {digest: place[2] for digest, place in known.items()}
        self.known, self.known_capture = _list_known(known, parent)
        self._pipeline = ChunkPipeline(store, known)
        self._reader = StreamReader()
        self._begin: dict[str, Any] | None = None
        self._end: dict[str, Any] | None = None
        self._groups: list[_OpenGroup] = []
        self._records_bytes = 0
        self._taken = 0
        self._is_over = False
        self._is_uncertain = False
        self.window: ChunkWindow | None = None

    async def __aenter__(self) -> SnapshotWriter:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.abort()

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes of state that have come, and the kernel's estimate of all of them."""
        total = self._begin.get("total_bytes", 0) if self._begin else 0
        return self._taken, max(total, self._taken)

    @property
    def is_complete(self) -> bool:
        """Whether the stream has ended as it should: it can be committed."""
        return self._end is not None

    async def feed(self, data: Buffer) -> None:
        """Take the next bytes of the stream; they must not change afterwards.

        Waits while the disk is behind, so that memory stays within a few megabytes.

        Raises
        ------
        InvalidInput
            When it is no state stream, or a chunk is not what its digest says.
        StateError
            When the kernel says that the capture has failed.
        StoreFull, StoreUnavailable
            When chunks cannot be written.
        """
        if self._is_over:
            raise Conflict("The snapshot is over.", reason="snapshot_over")
        for record in self._reader.feed(data):
            await self._take(record)

    async def commit(
        self, name: str = "", description: str = "", *, expected: Manifest | None = None
    ) -> Manifest:
        """Make the snapshot: all of it is there afterwards, or nothing.

        Parameters
        ----------
        name, description : str
            For people; may be empty.
        expected : Manifest, optional
            What the stream must have held.

        Raises
        ------
        InvalidInput
            When the stream has not ended, or the name cannot be one.
        SnapshotDamaged
            When it is not what was expected.
        StoreFull, StoreUnavailable
            When it cannot be written; there is no snapshot then.
        """
        check_text("name", name, NAME_CHARACTERS)
        check_text("description", description, DESCRIPTION_CHARACTERS)
        if self._is_over:
            raise Conflict("The snapshot is over.", reason="snapshot_over")
        if self._end is None or not self._reader.is_between_records:
            raise _bad("no end")
        task = asyncio.create_task(self._commit(name, description, expected))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Half of a commit is none: it comes to its end, and then it is taken back.
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                await self._store.delete_document(self.id)
            raise

    async def abort(self) -> None:
        """Leave nothing behind. Idempotent; does nothing after a commit."""
        if not self._is_over:
            self._is_over = True
            async with self._holding:
                await self._pipeline.discard(keep_sealed=self._is_uncertain)

    async def _commit(self, name: str, description: str, expected: Manifest | None) -> Manifest:
        await self._pipeline.finish()
        # In a thread, because a manifest of a large state is large itself.
        manifest, document = await asyncio.to_thread(self._write_manifest, name, description)
        if expected is not None and not await asyncio.to_thread(is_same_state, manifest, expected):
            raise SnapshotDamaged("The state is not the one that the manifest was signed for.")
        try:
            await self._store.put_document(manifest.id, document)
        except StoreError:
            # It may have become visible before it failed. Only when it is surely gone may the
            # packs go; else they wait for the next collection.
            self._is_uncertain = True
            await self._store.delete_document(manifest.id)
            self._is_uncertain = False
            raise
        self._is_over = True
        await self._holding.aclose()
        return manifest

    def _write_manifest(self, name: str, description: str) -> tuple[Manifest, bytes]:
        manifest = self._make_manifest(name, description)
        return manifest, manifest.signed(self._key)

    def _make_manifest(self, name: str, description: str) -> Manifest:
        packs: dict[str, int] = {}

        def locate(chunk: PendingChunk) -> Chunk:
            pack_id, offset, size = self._pipeline.place(chunk.digest)
            return Chunk(chunk.digest, packs.setdefault(pack_id, len(packs)), offset, size)

        groups = tuple(
            Group(group.record, tuple(locate(chunk) for chunk in group.chunks))
            for group in self._groups
        )
        # Whatever came without digests has them now.
        begin = {**(self._begin or {}), "hash": "sha256"}
        return Manifest(
            id=self.id,
            name=name,
            description=description,
            created_at=datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            facts=self._facts,
            parent_id=self._parent_id,
            begin=begin,
            packs=tuple(packs),
            groups=groups,
            end=self._end or {},
            total_bytes=self._taken,
            new_bytes=self._pipeline.new_bytes,
        )

    async def _take(self, record: Record) -> None:
        if self._end is not None:
            raise _bad("something after its end")
        if isinstance(record, JsonRecord):
            self._take_json(record)
        elif isinstance(record, ChunkRecord):
            size = record.size
            chunk = self._open_chunk(record.digest, size, record.data)
            self._sizes.setdefault(record.digest, size)
            await self._pipeline.add(chunk)
        elif isinstance(record, WindowRecord) and self.window is not None:
            await self._take_shared(record, self.window)
        elif isinstance(record, KnownRecord):
            if record.digest == NO_DIGEST or self._sizes.get(record.digest) != record.size:
                raise _bad("a chunk that is not known here")
            self._open_chunk(record.digest, record.size, None)
        else:
            # A file of this machine, named by somebody else, is never read.
            raise _bad("a record that does not belong into a capture")

    async def _take_shared(self, record: WindowRecord, window: ChunkWindow) -> None:
        # It is hashed where it lies. Who changes it afterwards spoils his own snapshot: that its
        # chunks are not what they should be is found before any of them is used.
        data = window.take(record.offset, record.size)
        chunk = self._open_chunk(record.digest, record.size, data)
        chunk.on_drop = functools.partial(window.release, record.offset)
        self._sizes.setdefault(record.digest, record.size)
        await self._pipeline.add(chunk)

    def _take_json(self, record: JsonRecord) -> None:
        value = record.value
        kind = value.get("type")
        if kind == "error":
            raise StateError(
                str(value.get("message") or "The kernel could not capture its state."),
                reason=str(value.get("reason") or "capture_failed"),
                hint=str(value.get("hint") or ""),
            )
        if (self._begin is None) != (kind == "begin"):
            raise _bad("a beginning in a wrong place")
        if self._groups and not self._groups[-1].is_complete:
            raise _bad("a group that is not complete")
        self._records_bytes += sum(memoryview(item).nbytes for item in record.encode())
        if self._records_bytes > RECORDS_LIMIT_BYTES:
            raise _bad("too many records")
        if kind == "begin":
            self._begin = _check_begin(value)
        elif kind in ("group", "session"):
            self._groups.append(_OpenGroup(value, check_group(value)[::-1], []))
        elif kind == "end":
            self._end = check_end(value)
        else:
            raise _bad("a record of an unknown type")

    def _open_chunk(self, digest: bytes, size: int, data: Buffer | None) -> PendingChunk:
        """Put a chunk into its place in the group that is open."""
        group = self._groups[-1] if self._groups else None
        begins = group is not None and not group.missing
        if group is not None and begins:
            while group.parts and not group.parts[-1].size:
                group.parts.pop()
            group.missing = group.parts[-1].size if group.parts else 0
        if group is None or not 0 < size <= min(group.missing, CHUNK_BYTES):
            raise _bad("a chunk that belongs nowhere")
        part = group.parts[-1]
        group.missing -= size
        if not group.missing:
            group.parts.pop()
        chunk = PendingChunk(
            digest,
            size,
            data,
            is_mappable=part.kind == "buffer" and part.size >= MAPPABLE_BYTES,
            begins_part=begins,
        )
        group.chunks.append(chunk)
        self._taken += size
        return chunk


def _list_known(
    known: Mapping[bytes, Place], parent: Manifest | None
) -> tuple[tuple[bytes, ...], str]:
    every = tuple(chunk.digest for chunk in parent.chunks()) if parent is not None else ()
    if parent is None or not all(digest in known for digest in every):
        return tuple(known), ""
    return every, str(parent.begin.get("capture") or "")


def _check_begin(value: dict[str, Any]) -> dict[str, Any]:
    total = value.get("total_bytes", 0)
    if value.get("version") != VERSION:
        raise _bad("another version")
    if value.get("hash") not in ("sha256", "none") or value.get("files"):
        raise _bad("digests or files that a store cannot take")
    if isinstance(total, bool) or not isinstance(total, int) or total < 0:
        raise _bad("a size that is none")
    return value


def _bad(what: str) -> InvalidInput:
    return InvalidInput(f"The state stream has {what}.", reason="bad_state_stream")
