"""All snapshots of a store: begin, open, list, rename, delete, keep the store small, move files."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import (
    SnapshotDamaged,
    SnapshotError,
    SnapshotNotFound,
)
from jupyter_remote_kernels.snapshots import bundle
from jupyter_remote_kernels.snapshots.manifest import (
    SnapshotSummary,
    list_packs_unchecked,
    read_manifest,
)
from jupyter_remote_kernels.snapshots.reader import SnapshotReader
from jupyter_remote_kernels.snapshots.writer import SnapshotWriter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Collection

    from jupyter_remote_kernels.protocol.state_stream import Buffer
    from jupyter_remote_kernels.snapshots.key import SnapshotKey
    from jupyter_remote_kernels.snapshots.manifest import Manifest, SnapshotFacts
    from jupyter_remote_kernels.snapshots.pipeline import Place
    from jupyter_remote_kernels.snapshots.reader import Output
    from jupyter_remote_kernels.snapshots.store import SnapshotStore


@dataclass(frozen=True)
class Retention:
    """Which automatic snapshots are kept. What a person took or named is always kept.

    Attributes
    ----------
    keep_last : int, optional
        How many of each runtime; all by default.
    max_age_s : float, optional
        Older ones go; none by default.
    """

    keep_last: int | None = None
    max_age_s: float | None = None


@dataclass(frozen=True)
class Collected:
    """What a collection has done.

    Attributes
    ----------
    packs, freed_bytes : int
        What was removed.
    is_done : bool
        False when others used the store, or a document cannot be read at all: nothing was
        removed then.
    """

    packs: int = 0
    freed_bytes: int = 0
    is_done: bool = True


class SnapshotCatalogue:
    """The snapshots of one store, for one server's key.

    Parameters
    ----------
    store : SnapshotStore
        Where they lie; other processes may use it too.
    key : SnapshotKey
        Signs what this server commits. Nothing signed otherwise is opened.
    """

    def __init__(self, store: SnapshotStore, key: SnapshotKey) -> None:
        self._store = store
        self._key = key
        # Summaries by document, with the tag of the content that they were made of.
        self._summaries: dict[str, tuple[str, SnapshotSummary]] = {}

    async def begin(self, facts: SnapshotFacts, parent_id: str | None = None) -> SnapshotWriter:
        """Begin a snapshot; the caller commits or aborts it.

        Parameters
        ----------
        facts : SnapshotFacts
            What it is a snapshot of.
        parent_id : str, optional
            An earlier one whose chunks need not be written again. One that is gone, damaged
            or signed by others is no error: everything is written then.

        Raises
        ------
        StoreUnavailable
            When the store cannot be used.
        """
        async with AsyncExitStack() as stack:
            # From here on no pack of the parent can be removed.
            await stack.enter_async_context(self._store.hold())
            known: dict[bytes, Place] = {}
            parent: Manifest | None = None
            if parent_id:
                with contextlib.suppress(SnapshotError, SnapshotNotFound):
                    parent = await self._read(parent_id)
                    known = await self._list_known(parent)
            holding = stack.pop_all()
        return SnapshotWriter(self._store, self._key, facts, known, parent, holding)

    async def _list_known(self, manifest: Manifest) -> dict[bytes, Place]:
        sizes = await self._store.packs()
        known = {}
        for chunk in manifest.chunks():
            pack_id = manifest.packs[chunk.pack]
            # A pack that is gone or cut short must not be leant on.
            if chunk.offset + chunk.size <= sizes.get(pack_id, -1):
                known[chunk.digest] = (pack_id, chunk.offset, chunk.size)
        return known

    async def open(self, snapshot_id: str) -> SnapshotReader:
        """Open a snapshot whose manifest is whole and ours.

        Raises
        ------
        SnapshotNotFound
            When there is none of this id.
        SnapshotDamaged
            When its manifest is not what was committed.
        SnapshotUntrusted
            When it was signed with another key.
        StoreUnavailable
            When the store cannot be read.
        """
        return SnapshotReader(self._store, await self._read(snapshot_id))

    async def _read(self, snapshot_id: str) -> Manifest:
        document = await self._store.get_document(snapshot_id)
        manifest = await asyncio.to_thread(read_manifest, document, self._key)
        if manifest.id != snapshot_id:
            # Signed, but another one: somebody has moved files about.
            raise SnapshotDamaged("The snapshot's manifest is that of another snapshot.")
        return manifest

    async def list(self) -> list[SnapshotSummary]:
        """Return all snapshots, newest first; those that cannot be opened with their problem.

        Only documents that have changed since the last time are read.
        """
        tags = await self._store.documents()
        found = {}
        for name, tag in tags.items():
            cached = self._summaries.get(name)
            if cached is None or cached[0] != tag:
                # Deleted by somebody else in this moment: then it is not there.
                with contextlib.suppress(SnapshotNotFound):
                    found[name] = (tag, await self._summarise(name))
            else:
                found[name] = cached
        self._summaries = found
        summaries = [summary for _, summary in found.values()]
        return sorted(summaries, key=lambda item: (item.created_at, item.id), reverse=True)

    async def _summarise(self, name: str) -> SnapshotSummary:
        try:
            return (await self._read(name)).summary()
        except SnapshotError as error:
            return SnapshotSummary(id=name, problem=error.reason)

    async def rename(
        self, snapshot_id: str, name: str, description: str | None = None
    ) -> SnapshotSummary:
        """Give a snapshot a name, and another description if one is given.

        Raises
        ------
        InvalidInput
            When it cannot be one.
        SnapshotNotFound, SnapshotDamaged, SnapshotUntrusted, StoreUnavailable
            As for :meth:`open`.
        StoreFull
            When it cannot be written; the old name stays.
        """
        async with self._store.hold():
            manifest = (await self._read(snapshot_id)).renamed(name, description)
            document = await asyncio.to_thread(manifest.signed, self._key)
            await self._store.put_document(snapshot_id, document)
        return manifest.summary()

    async def delete(self, snapshot_id: str) -> Collected:
        """Delete a snapshot, damaged or foreign ones too, and free what nobody else needs.

        Raises
        ------
        SnapshotNotFound
            When there is none of this id.
        StoreUnavailable
            When the store cannot be used.
        """
        await self._store.get_document(snapshot_id)
        await self._store.delete_document(snapshot_id)
        return await self.collect_garbage()

    async def collect_garbage(self) -> Collected:
        """Remove the packs that no snapshot names, and what killed writers have left.

        Does nothing while others use the store: the next collection gets it.
        """
        async with self._store.hold(alone=True) as is_held:
            needed = await self._list_needed() if is_held else None
            if needed is None:
                return Collected(is_done=False)
            count = freed = 0
            for pack_id, size in (await self._store.packs()).items():
                if pack_id not in needed:
                    await self._store.delete_pack(pack_id)
                    count, freed = count + 1, freed + size
        return Collected(count, freed)

    async def _list_needed(self) -> set[str] | None:
        """Return the packs that any document names; None when one does not say.

        A document that is foreign or damaged still keeps its packs: a key that was replaced by
        mistake must not cost the snapshots.
        """
        needed: set[str] = set()
        for name in await self._store.documents():
            with contextlib.suppress(SnapshotNotFound):
                document = await self._store.get_document(name)
                packs = await asyncio.to_thread(list_packs_unchecked, document)
                if packs is None:
                    return None
                needed |= packs
        return needed

    async def prune(self, retention: Retention, keep: Collection[str] = ()) -> tuple[str, ...]:
        """Delete automatic snapshots that the rule does not keep, and return their ids.

        Parameters
        ----------
        retention : Retention
            The rule.
        keep : collection of str
            Never deleted: what paused runtimes will resume from.
        """
        oldest = datetime.now(timezone.utc) - timedelta(seconds=retention.max_age_s or 0)
        seen: dict[str, int] = {}
        gone = []
        for item in await self.list():
            if item.problem or not item.facts.automatic:
                continue
            rank = seen[item.facts.runtime_id] = seen.get(item.facts.runtime_id, 0) + 1
            too_many = retention.keep_last is not None and rank > retention.keep_last
            too_old = (
                retention.max_age_s is not None and datetime.fromisoformat(item.created_at) < oldest
            )
            if (too_many or too_old) and item.id not in keep:
                await self._store.delete_document(item.id)
                gone.append(item.id)
        if gone:
            await self.collect_garbage()
        return tuple(gone)

    async def export(self, snapshot_id: str) -> AsyncGenerator[Output, None]:
        """Give a snapshot as one file, verified while it is read; see :mod:`.bundle`.

        Raises
        ------
        SnapshotNotFound, SnapshotDamaged, SnapshotUntrusted, StoreUnavailable
            As for :meth:`open` and :meth:`SnapshotReader.stream`.
        """
        reader = await self.open(snapshot_id)
        yield await asyncio.to_thread(bundle.encode_head, reader.manifest, self._key)
        async with contextlib.aclosing(reader.stream(once=True)) as outputs:
            async for output in outputs:
                yield output

    async def import_(
        self, stream: AsyncIterable[Buffer], *, owner: str = "", trust: bool = False
    ) -> Manifest:
        """Take a file that :meth:`export` has made, under a new id and our signature.

        Parameters
        ----------
        stream : asynchronous iterable of bytes-like
            The file.
        owner : str
            Whose it is from now on.
        trust : bool
            Whether a person has answered for a foreign signature.

        Raises
        ------
        SnapshotUntrusted
            When it was signed elsewhere, before anything of it was taken.
        SnapshotDamaged
            When it is cut short, or not what was signed.
        InvalidInput
            When it is no such file.
        StoreFull, StoreUnavailable
            When it cannot be written.
        """
        pieces = aiter(stream)
        expected, rest = await bundle.read_head(pieces, self._key, trust=trust)
        facts = replace(expected.facts, owner=owner, automatic=False)
        async with await self.begin(facts) as writer:
            await writer.feed(rest)
            async for piece in pieces:
                await writer.feed(piece)
            if not writer.is_complete:
                raise SnapshotDamaged("The file is cut short.")
            return await writer.commit(expected.name, expected.description, expected=expected)
