"""Reads one snapshot as a state stream; what is not what was committed is never given out."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput, SnapshotDamaged
from jupyter_remote_kernels.protocol.state_stream import (
    ChunkRecord,
    FileRecord,
    KnownRecord,
    digest_of,
    encode_json,
)
from jupyter_remote_kernels.snapshots.manifest import check_group
from jupyter_remote_kernels.snapshots.pipeline import MAPPABLE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence

    from jupyter_remote_kernels.snapshots.manifest import Chunk, Group, Manifest
    from jupyter_remote_kernels.snapshots.store import SnapshotStore

BATCH_BYTES = 2 << 20
BATCHES_AHEAD = 3
BATCH_ITEMS = 4096
# Records smaller than this are joined: fewer, larger writes for whoever sends them.
JOIN_BYTES = 64 << 10

Output = bytes | memoryview


@dataclass(frozen=True)
class DamagedGroup:
    """A group that cannot be restored.

    Attributes
    ----------
    index : int
        Its place in the manifest.
    names : tuple of str
        Its variables; empty for the session.
    """

    index: int
    names: tuple[str, ...]


@dataclass
class _Batch:
    """Neighbours in one pack, with the ready records that come before, between and after them."""

    pack: int = -1
    offset: int = 0
    size: int = 0
    # A chunk with its group, or a record as it is sent.
    items: list[tuple[Group, Chunk] | bytes] = field(default_factory=list)

    def fits(self, chunk: Chunk) -> bool:
        """Whether a chunk continues what is read."""
        follows = chunk.pack == self.pack and chunk.offset == self.offset + self.size
        return self.pack < 0 or (follows and self.size + chunk.size <= BATCH_BYTES)

    def first_group(self) -> Group | None:
        """Return whose bytes come first."""
        return next((item[0] for item in self.items if not isinstance(item, bytes)), None)

    def add(self, group: Group, chunk: Chunk) -> None:
        """Take a chunk that fits."""
        if self.pack < 0:
            self.pack, self.offset = chunk.pack, chunk.offset
        self.size += chunk.size
        self.items.append((group, chunk))


class SnapshotReader:
    """A snapshot whose manifest has been checked; the catalogue opens it.

    Parameters
    ----------
    store : SnapshotStore
        Where the packs lie.
    manifest : Manifest
        Verified.
    """

    def __init__(self, store: SnapshotStore, manifest: Manifest) -> None:
        self._store = store
        self.manifest = manifest

    async def check(self, names: Collection[str] | None = None) -> list[DamagedGroup]:
        """Read and verify every chunk, and return the groups that are damaged.

        Parameters
        ----------
        names : collection of str, optional
            Only what :meth:`stream` would give for these variables.

        Raises
        ------
        StoreUnavailable
            When it cannot be known.
        """
        damaged = []
        wanted = None if names is None else set(names)
        async with self._store.hold():
            for index, group in enumerate(self.manifest.groups):
                if not _is_wanted(group, wanted):
                    continue
                try:
                    async with aclosing(self._read_ahead(_plan([group], {}))) as outputs:
                        async for _ in outputs:
                            pass
                except SnapshotDamaged:
                    damaged.append(DamagedGroup(index, group.names))
        return damaged

    async def stream(
        self,
        names: Collection[str] | None = None,
        *,
        may_map: bool = False,
        without: Collection[DamagedGroup] = (),
        once: bool = False,
    ) -> AsyncGenerator[Output, None]:
        """Give the snapshot, or some of its variables, as a state stream.

        Parameters
        ----------
        names : collection of str, optional
            All variables and the session by default; else the groups that these variables are
            in and all definitions, which they may need.
        may_map : bool
            Whether the receiver is a process of this user on this machine: large buffers are
            then named as parts of files. The receiver verifies what it maps.
        without : collection of DamagedGroup
            What :meth:`check` has found: left out, and named as refused in the report.
        once : bool
            Whether a chunk that comes again is only named: for another store, not for a kernel.

        Yields
        ------
        bytes or memoryview
            In order; every chunk has been verified before it comes out.

        Raises
        ------
        SnapshotDamaged
            At the first chunk that is not what was committed; names its group. What came out
            before is not to be used.
        StoreUnavailable
            When the store cannot be read now.
        InvalidInput
            When the snapshot has no such variables.
        """
        async with self._store.hold():
            groups = self._choose(names, {item.index for item in without})
            files = self._list_files(groups) if may_map else {}
            yield encode_json(
                {
                    **self.manifest.begin,
                    "total_bytes": sum(chunk.size for group in groups for chunk in group.chunks),
                    "files": list(files.values()),
                }
            )
            numbers = {pack: number for number, pack in enumerate(files)}
            batches = _plan(groups, numbers, once=once)
            async with aclosing(self._read_ahead(batches)) as outputs:
                async for output in outputs:
                    yield output
            lost = {name for item in without for name in item.names}
            yield encode_json(_report(self.manifest.end, names, lost))

    def _choose(self, names: Collection[str] | None, without: Collection[int]) -> list[Group]:
        groups = self.manifest.groups
        wanted = set(names or ())
        missing = wanted - {name for group in groups for name in group.names}
        if missing:
            raise InvalidInput(
                f"The snapshot has no variable {', '.join(sorted(missing))}.",
                reason="no_such_variable",
            )
        return [
            group
            for index, group in enumerate(groups)
            if index not in without and _is_wanted(group, None if names is None else wanted)
        ]

    def _list_files(self, groups: Sequence[Group]) -> dict[int, str]:
        """Return the paths of the packs that large buffers can be mapped from, by pack."""
        used = {
            chunk.pack
            for group in groups
            for chunk, is_mappable in _mark_mappable(group)
            if is_mappable
        }
        paths = {pack: self._store.pack_path(self.manifest.packs[pack]) for pack in sorted(used)}
        return {pack: str(path) for pack, path in paths.items() if path is not None}

    async def _read_ahead(self, batches: Iterable[_Batch]) -> AsyncGenerator[Output, None]:
        """Read and verify the next batches while one is taken; in order, in bounded memory."""
        ahead: deque[asyncio.Task[list[Output]]] = deque()
        try:
            for batch in batches:
                ahead.append(asyncio.create_task(self._load(batch)))
                if len(ahead) >= BATCHES_AHEAD:
                    for output in await ahead.popleft():
                        yield output
            while ahead:
                for output in await ahead.popleft():
                    yield output
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def _load(self, batch: _Batch) -> list[Output]:
        data = b""
        if batch.pack >= 0:
            pack_id = self.manifest.packs[batch.pack]
            try:
                data = await self._store.read(pack_id, batch.offset, batch.size)
            except SnapshotDamaged as error:
                raise _damaged(batch.first_group(), error.detail) from error
        return await asyncio.to_thread(_verify, batch, data)


def _is_wanted(group: Group, names: set[str] | None) -> bool:
    """Whether a group has one of these variables, or what they may need."""
    return names is None or group.is_definitions or bool(names.intersection(group.names))


def _mark_mappable(group: Group) -> Iterator[tuple[Chunk, bool]]:
    """Yield a group's chunks with whether each belongs to a large buffer."""
    chunks = iter(group.chunks)
    for part in check_group(group.record):
        missing = part.size
        while missing:
            chunk = next(chunks)
            missing -= chunk.size
            yield chunk, part.kind == "buffer" and part.size >= MAPPABLE_BYTES


def _plan(
    groups: Iterable[Group], files: Mapping[int, int], *, once: bool = False
) -> Iterator[_Batch]:
    """Cut the stream of these groups into batches.

    Parameters
    ----------
    groups : iterable of Group
        With their records, in order.
    files : mapping
        The number of the file, by pack, from which large buffers are mapped.
    once : bool
        Whether chunks that come again are only named.
    """
    seen: set[bytes] = set()
    batch = _Batch()
    for group in groups:
        batch.items.append(encode_json(group.record))
        for chunk, is_mappable in _mark_mappable(group):
            if is_mappable and chunk.pack in files:
                record = FileRecord(chunk.digest, chunk.offset, chunk.size, files[chunk.pack])
                batch.items += map(bytes, record.encode())
            elif chunk.digest in seen:
                batch.items += map(bytes, KnownRecord(chunk.digest, chunk.size).encode())
            elif batch.fits(chunk):
                batch.add(group, chunk)
            else:
                yield batch
                batch = _Batch()
                batch.add(group, chunk)
            if once:
                seen.add(chunk.digest)
            if len(batch.items) >= BATCH_ITEMS:
                yield batch
                batch = _Batch()
    yield batch


def _verify(batch: _Batch, data: bytes) -> list[Output]:
    """Compare each chunk of a batch with its digest, and return what is sent for it."""
    view = memoryview(data)
    outputs: list[Output] = []
    small = bytearray()
    at = 0
    for item in batch.items:
        if isinstance(item, bytes):
            small += item
            continue
        group, chunk = item
        piece = view[at : at + chunk.size]
        at += chunk.size
        if piece.nbytes != chunk.size or digest_of(piece) != chunk.digest:
            raise _damaged(group)
        head, body = ChunkRecord(chunk.digest, piece).encode()
        small += head
        if piece.nbytes < JOIN_BYTES:
            small += body
            continue
        outputs += (bytes(small), piece)
        small.clear()
    if small:
        outputs.append(bytes(small))
    return outputs


def _report(
    end: dict[str, Any], names: Collection[str] | None, lost: Collection[str]
) -> dict[str, Any]:
    """Return the last record for the chosen variables, the lost ones as refused."""
    variables = []
    for item in end.get("variables", []):
        if names is None or item["name"] in names:
            damage = {"status": "refused", "reason": "Damaged in the snapshot store."}
            variables.append({**item, **damage} if item["name"] in lost else item)
    return {**end, "variables": variables}


def _damaged(group: Group | None, detail: str = "") -> SnapshotDamaged:
    names = group.names if group else ()
    what = f"holding {', '.join(names[:5])}{', …' if names[5:] else ''}" if names else "of it"
    return SnapshotDamaged(
        f"The snapshot is damaged: a part {what} is not what was saved.",
        names=names,
        hint="Its other variables can be restored by name.",
        detail=detail,
    )
