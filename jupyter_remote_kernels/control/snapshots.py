"""Snapshots as the control plane uses them: a kernel's state into one, and out of one again."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from jupyter_remote_kernels.control.restoring import Restoring
from jupyter_remote_kernels.control.snapshot_files import Upload
from jupyter_remote_kernels.errors import (
    Conflict,
    InvalidInput,
    RemoteKernelsError,
    SnapshotDamaged,
    SnapshotNotFound,
)
from jupyter_remote_kernels.link.window import open_window
from jupyter_remote_kernels.protocol.saving import USUAL_BYTES_PER_S
from jupyter_remote_kernels.protocol.sealing import Opener
from jupyter_remote_kernels.protocol.state_stream import encode_digests, encode_json
from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from jupyter_remote_kernels.snapshots.manifest import SnapshotFacts
from jupyter_remote_kernels.snapshots.store import check_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from jupyter_remote_kernels.control.endpoints import StateClient
    from jupyter_remote_kernels.control.registry import AsyncRegistry
    from jupyter_remote_kernels.control.restoring import Choice
    from jupyter_remote_kernels.link.agent_client import AgentClient
    from jupyter_remote_kernels.model.records import RuntimeRecord
    from jupyter_remote_kernels.protocol.state_stream import Buffer
    from jupyter_remote_kernels.snapshots.catalogue import Retention
    from jupyter_remote_kernels.snapshots.manifest import Manifest, SnapshotSummary

Progress: TypeAlias = "Callable[[int, int], None]"

# Smaller ones say nothing about the speed.
_LARGE_BYTES = 32 << 20


class Snapshots:
    """The snapshots of this user, and the ways between them and kernels.

    Parameters
    ----------
    state_directory : Path
        They lie below it, and the key that signs them beside them.
    registry : AsyncRegistry
        Says which snapshots paused runtimes are waiting for.
    retention : Retention
        Which automatic ones are kept.
    """

    def __init__(
        self, state_directory: Path, registry: AsyncRegistry, retention: Retention
    ) -> None:
        self._retention = retention
        self._directory = state_directory
        self._registry = registry
        self._catalogue: SnapshotCatalogue | None = None
        # How fast the last large one was saved, from the kernel to the disk.
        self.bytes_per_s = USUAL_BYTES_PER_S

    async def catalogue(self) -> SnapshotCatalogue:
        """Return the catalogue; its key is made at the first need of it.

        Raises
        ------
        StoreUnavailable
            When the key cannot be read or made.
        """
        if self._catalogue is None:
            key = await asyncio.to_thread(SnapshotKey.load, self._directory / "snapshots.key")
            self._catalogue = SnapshotCatalogue(FileStore(self._directory / "snapshots"), key)
        return self._catalogue

    async def save(
        self,
        client: AgentClient,
        record: RuntimeRecord,
        progress: Progress,
        label: tuple[str, str] | None = None,
        *,
        is_near: bool = False,
        ends: bool = False,
    ) -> Manifest:
        """Save a kernel's state. Whatever fails, nothing of it is left behind.

        Parameters
        ----------
        client : AgentClient
            The kernel's agent.
        record : RuntimeRecord
            Whose state it is; what its last snapshot holds is not written again.
        progress : callable
            Told the bytes that have come, and how many there will be.
        label : tuple of str, optional
            Name and description, which a person has given. Without them it was taken by a rule,
            and may be removed by one.
        is_near : bool
            Whether the kernel runs on this machine.
        ends : bool
            Whether the kernel is ended when its state is saved.

        Raises
        ------
        LinkError, StateError
            When the kernel's state cannot be had.
        StoreFull, StoreUnavailable
            When it cannot be written.
        """
        facts = SnapshotFacts(record.id, record.environment.name, getpass.getuser(), label is None)
        catalogue = await self.catalogue()
        began_s = time.monotonic()
        async with (
            open_window(is_near=is_near) as window,
            await catalogue.begin(facts, record.parent_snapshot_id) as writer,
        ):
            writer.window = window
            # Digests only help to leave out what is there already. Without any, the store
            # computes them, and the kernel is told them the next time. There is none for a
            # kernel that is paused.
            command = {
                "op": "capture",
                "names": None,
                "hash": "sha256" if writer.known else "none",
                "notes": not (writer.known or ends),
                "after": writer.known_capture,
                "window": window.name if window is not None else None,
            }
            body = b"".join([encode_json(command), *encode_digests(writer.known)])
            pieces = cast("AsyncGenerator[Buffer, None]", client.capture(body))
            async with aclosing(pieces) as stream:
                async for data in stream:
                    await writer.feed(data)
                    progress(*writer.progress)
            manifest = await writer.commit(*(label or ()))
        if manifest.new_bytes > _LARGE_BYTES:
            self.bytes_per_s = manifest.total_bytes / (time.monotonic() - began_s)
        return manifest

    async def take_left(
        self, pieces: AsyncGenerator[bytes, None], record: RuntimeRecord, progress: Progress
    ) -> Manifest:
        """Make a snapshot of what an agent has left; it was sealed with the runtime's own secret.

        Parameters
        ----------
        pieces : asynchronous generator of bytes
            The file.
        record : RuntimeRecord
            Whose it is.
        progress : callable
            Told the bytes that have come, and how many there will be.

        Raises
        ------
        SnapshotDamaged
            When it is not as it was written. Nothing of it is used then.
        ProviderError
            When it cannot be had.
        StoreFull, StoreUnavailable
            When it cannot be written.
        """
        facts = SnapshotFacts(record.id, record.environment.name, getpass.getuser(), True)
        catalogue = await self.catalogue()
        opener = Opener(record.token.encode())
        parent_id = record.parent_snapshot_id
        async with aclosing(pieces) as stream, await catalogue.begin(facts, parent_id) as writer:
            async for piece in stream:
                for data in await asyncio.to_thread(list, opener.feed(piece)):
                    await writer.feed(data)
                progress(*writer.progress)
            if not opener.is_complete:
                raise SnapshotDamaged("The state that was left is cut short.")
            return await writer.commit()

    async def restore(
        self, client: AgentClient, snapshot_id: str, progress: Progress, *, may_map: bool
    ) -> tuple[dict[str, Any], bool]:
        """Give a new kernel the state of a snapshot, without what is damaged in it.

        Parameters
        ----------
        client : AgentClient
            The kernel's agent.
        snapshot_id : str
            Which.
        progress : callable
            Told the bytes that have gone, and how many there are.
        may_map : bool
            Whether the kernel sees the files of this machine.

        Returns
        -------
        told : dict
            What the kernel says about it.
        is_damaged : bool
            Whether something of it was lost in the store: nothing may lean on it any more.

        Raises
        ------
        SnapshotNotFound, SnapshotDamaged, SnapshotUntrusted, StoreUnavailable
            When it cannot be read.
        LinkError, StateError
            When the kernel does not take it.
        """
        reader = await (await self.catalogue()).open(snapshot_id)
        restoring = Restoring(reader, client, progress, may_map=may_map)
        return await restoring.restore_all(), restoring.is_damaged

    async def restore_into(
        self,
        client: StateClient,
        snapshot_id: str,
        choice: Choice,
        progress: Progress,
        *,
        may_map: bool,
    ) -> dict[str, Any]:
        """Give a kernel that lives what was chosen of a snapshot; see :class:`Restoring`."""
        reader = await (await self.catalogue()).open(_check_id(snapshot_id))
        restoring = Restoring(reader, client, progress, may_map=may_map)
        return await restoring.restore_into(choice)

    async def export(self, snapshot_id: str) -> AsyncGenerator[Buffer, None]:
        """Give a snapshot as one file; see the catalogue."""
        pieces = (await self.catalogue()).export(_check_id(snapshot_id))
        async with aclosing(pieces) as stream:
            async for piece in stream:
                yield piece

    async def begin_upload(self, *, trust: bool) -> Upload:
        """Begin to take a snapshot's file.

        Parameters
        ----------
        trust : bool
            Whether a person has answered for a foreign signature.
        """
        catalogue = await self.catalogue()
        return Upload(
            lambda pieces: catalogue.import_(pieces, owner=getpass.getuser(), trust=trust)
        )

    async def find(self, snapshot_id: str) -> SnapshotSummary:
        """Return what is known about a snapshot that can be opened.

        Raises
        ------
        SnapshotNotFound, SnapshotDamaged, SnapshotUntrusted, StoreUnavailable
            When it cannot.
        """
        reader = await (await self.catalogue()).open(_check_id(snapshot_id))
        return reader.manifest.summary()

    async def list(self) -> Sequence[SnapshotSummary]:
        """Return all snapshots, newest first; those that cannot be opened with their problem."""
        return await (await self.catalogue()).list()

    async def rename(self, snapshot_id: str, name: str, description: str | None) -> SnapshotSummary:
        """Give a snapshot a name, and another description if one is given; see the catalogue."""
        return await (await self.catalogue()).rename(_check_id(snapshot_id), name, description)

    async def delete(self, snapshot_id: str) -> None:
        """Delete a snapshot, damaged or foreign ones too.

        Raises
        ------
        Conflict
            When a runtime is to begin with it.
        SnapshotNotFound, StoreUnavailable
            When it is not there, or cannot be reached.
        """
        for record in await self._registry.list_living():
            if record.snapshot_id == snapshot_id:
                raise Conflict(
                    f"the runtime {record.name!r} is to be resumed from this snapshot",
                    reason="snapshot_in_use",
                    hint="Resume or terminate the runtime first.",
                )
        await (await self.catalogue()).delete(_check_id(snapshot_id))

    async def prune(self) -> None:
        """Remove automatic snapshots that nobody needs any more; not now if they are in use."""
        # What could not be removed costs room and nothing else, and the next pause tries again.
        with contextlib.suppress(RemoteKernelsError):
            keep: set[str] = set()
            for record in await self._registry.list_living():
                keep |= {item for item in (record.snapshot_id, record.parent_snapshot_id) if item}
            await (await self.catalogue()).prune(self._retention, keep)


def _check_id(snapshot_id: str) -> str:
    """Return an id that came from outside; one that cannot be one is as unknown as any other."""
    try:
        return check_name(snapshot_id)
    except InvalidInput as error:
        raise SnapshotNotFound("There is no such snapshot.") from error
