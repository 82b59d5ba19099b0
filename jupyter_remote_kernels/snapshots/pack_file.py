"""Writes one large file past the system's cache: what was just saved is not needed in memory.

A kernel that is paused may have most of the machine's memory. A cache of what it held would take as
much again, and filling it costs more than the disk does. Where a file system wants its cache, it
gets it.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from jupyter_remote_kernels.state.addresses import address_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from jupyter_remote_kernels.protocol.state_stream import Buffer

# Large enough for disks to be busy; one is filled while the others are written, more than one at a
# time, so that the disk need not wait for us in between.
ROOM_BYTES = 2 << 20
_ROOMS = 4
# What lies on whole pages, and is this large, is written from where it lies.
_LENT_BYTES = 256 << 10
# Not every system has it.
_DIRECT = getattr(os, "O_DIRECT", 0)


class PackFile:
    """A file that is written from its beginning to its end. Used by one thread at a time.

    Parameters
    ----------
    descriptor : int
        Of an empty file; closed by :meth:`finish` and by :meth:`close`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Memory of their own, because only whole pages go past the cache.
        self._free = [mmap.mmap(-1, ROOM_BYTES) for _ in range(_ROOMS)]
        self._room = self._free.pop()
        self._filled = 0
        self._offset = 0
        self._writing: deque[tuple[Future[None], mmap.mmap]] = deque()
        self._threads = ThreadPoolExecutor(_ROOMS - 1, thread_name_prefix="pack")

    def write(self, buffers: Sequence[Buffer]) -> tuple[int, list[Future[None]]]:
        """Take buffers. Most of them are written by threads.

        Returns
        -------
        size : int
            Their bytes.
        lent : list of Future
            Until all of them are done, the buffers must not change.

        Raises
        ------
        OSError
            When these cannot be written, or those before. Futures raise it, too.
        """
        total = 0
        lent: list[Future[None]] = []
        whole: list[memoryview] = []
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            total += view.nbytes
            if self._may_lend(view):
                whole.append(view)
            else:
                self._lend(whole, lent)
                self._copy(view)
        self._lend(whole, lent)
        return total, lent

    def finish(self) -> None:
        """Write the rest, make all of it lasting, and close the file.

        Raises
        ------
        OSError
            When it cannot be written.
        """
        while self._writing:
            self._wait()
        # The rest is no whole page.
        self._set_direct(False)
        self._write_at(self._offset, [memoryview(self._room)[: self._filled]])
        os.fsync(self._descriptor)
        self.close()

    def close(self) -> None:
        """Close the file as it is; may be called again."""
        self._threads.shutdown(cancel_futures=True)
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _may_lend(self, view: memoryview) -> bool:
        if not _DIRECT or view.nbytes < _LENT_BYTES:
            return False
        return not (view.nbytes | self._filled | address_of(view)) % mmap.PAGESIZE

    def _lend(self, whole: list[memoryview], lent: list[Future[None]]) -> None:
        if whole:
            if self._filled:
                self._swap()
            lent.append(self._write_later([*whole]))
            whole.clear()

    def _copy(self, view: memoryview) -> None:
        while view.nbytes:
            part = view[: ROOM_BYTES - self._filled]
            self._room[self._filled : self._filled + part.nbytes] = part
            self._filled += part.nbytes
            view = view[part.nbytes :]
            if self._filled == ROOM_BYTES:
                self._swap()

    def _write_later(self, views: list[memoryview]) -> Future[None]:
        """Have whole pages written at the end of the file."""
        if self._offset == 0:
            self._set_direct(True)
        offset = self._offset
        self._offset += sum(view.nbytes for view in views)
        return self._threads.submit(self._write_at, offset, views)

    def _swap(self) -> None:
        """Have what is in the room written, and fill another one."""
        room = self._room
        self._writing.append((self._write_later([memoryview(room)[: self._filled]]), room))
        self._filled = 0
        if not self._free:
            self._wait()
        self._room = self._free.pop()

    def _wait(self) -> None:
        """Wait for the oldest room; a failed one is told of, and its room is not filled again."""
        writing, room = self._writing.popleft()
        writing.result()
        self._free.append(room)

    def _write_at(self, offset: int, views: list[memoryview]) -> None:
        may_be_direct = True
        while views:
            try:
                written = os.pwritev(self._descriptor, views, offset)
            except OSError as error:
                if error.errno != errno.EINVAL or not may_be_direct:
                    raise
                # The file system wants its cache after all, or something else than whole pages.
                may_be_direct = False
                self._set_direct(False)
            else:
                offset += written
                views = _skip(views, written)

    def _set_direct(self, wanted: bool) -> None:
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        flags = flags | _DIRECT if wanted else flags & ~_DIRECT
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags)
        except OSError as error:
            # Some file systems refuse it here already.
            if error.errno != errno.EINVAL:
                raise


def _skip(views: list[memoryview], size: int) -> list[memoryview]:
    """Return what is left of buffers after their first bytes."""
    for number, view in enumerate(views):
        if size < view.nbytes:
            return [view[size:], *views[number + 1 :]]
        size -= view.nbytes
    return []
