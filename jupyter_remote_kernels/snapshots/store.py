"""The store interface: immutable packs of bytes, and small documents that appear whole or not.

Small enough for an object store: a pack is one object written in parts, a document is one object.
:class:`~jupyter_remote_kernels.testing.store_contract.StoreContract` is what every store passes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from jupyter_remote_kernels.protocol.state_stream import Buffer

# Lower case, so that a store on a file system without case keeps them apart too.
_NAME = re.compile(r"[0-9a-z][0-9a-z_-]{0,63}")


def check_name(name: str) -> str:
    """Return the name of a pack or document, which may come from outside.

    Raises
    ------
    InvalidInput
        When it is not 1 to 64 lower-case letters, digits, inner hyphens and underscores.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput("This cannot be the name of a snapshot.", reason="bad_snapshot_id")
    return name


class PackWriter(ABC):
    """Writes one pack. Nobody sees the pack before :meth:`seal` has returned."""

    @abstractmethod
    async def append(self, buffers: Sequence[Buffer]) -> int:
        """Write buffers one after the other at the end, and return where the first one begins.

        Called again while earlier calls are under way, from one loop: each takes its place in the
        order in which they have begun. The buffers do not change until it returns.

        Raises
        ------
        StoreFull
            When there is no room; the writer can only be discarded then.
        StoreUnavailable
            When the store cannot be used; likewise.
        """

    @abstractmethod
    async def seal(self) -> None:
        """Make the pack lasting and visible, once all appends are over. It never changes again.

        Raises
        ------
        StoreFull, StoreUnavailable
            As for :meth:`append`.
        """

    @abstractmethod
    async def discard(self) -> None:
        """Forget what was written. Idempotent, also after a failure; never raises."""


class SnapshotStore(ABC):
    """Where snapshots lie. Every method may raise ``StoreUnavailable``: then nothing is known.

    Names are those that :func:`check_name` allows. Several processes may use one store at once.
    """

    @abstractmethod
    async def write_pack(self, pack_id: str) -> PackWriter:
        """Begin a pack whose id nobody has used before.

        Raises
        ------
        StoreFull
            When there is no room.
        """

    @abstractmethod
    async def read(self, pack_id: str, offset: int, size: int) -> bytes:
        """Return bytes of a pack; fewer where it ends.

        Raises
        ------
        SnapshotDamaged
            When there is no such pack.
        """

    @abstractmethod
    def pack_path(self, pack_id: str) -> Path | None:
        """Return the file of a pack, if a process of this user and machine can map it."""

    @abstractmethod
    async def packs(self) -> dict[str, int]:
        """Return the sealed packs and their sizes."""

    @abstractmethod
    async def delete_pack(self, pack_id: str) -> None:
        """Remove a pack; one that is not there is no error."""

    @abstractmethod
    async def put_document(self, name: str, content: bytes) -> None:
        """Write or replace a document: whoever reads gets all of the old one or of the new one.

        Raises
        ------
        StoreFull
            When there is no room; the old one is untouched.
        """

    @abstractmethod
    async def get_document(self, name: str) -> bytes:
        """Return a document.

        Raises
        ------
        SnapshotNotFound
            When there is no such document.
        """

    @abstractmethod
    async def documents(self) -> dict[str, str]:
        """Return the names of all documents, each with a tag that changes with its content."""

    @abstractmethod
    async def delete_document(self, name: str) -> None:
        """Remove a document; one that is not there is no error."""

    @abstractmethod
    def hold(self, *, alone: bool = False) -> AbstractAsyncContextManager[bool]:
        """Use the store, beside others or alone; yields whether it is held.

        Whoever reads or writes holds it beside others, and waits until nobody has it alone.
        Whoever removes packs holds it alone; when others hold it, nothing is waited for and the
        answer is false. What killed writers have left is removed by the next one who is alone.
        """
