"""The default store: files of the user, lasting before they are visible.

::

    <root>/packs/<id>.pack         sealed; never changes
    <root>/packs/<id>.part         being written, or left by a killed writer
    <root>/documents/<name>.json
    <root>/documents/.<name>.<random>.tmp
    <root>/lock                    held shared by users, exclusively by whoever removes packs
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jupyter_remote_kernels.errors import (
    RemoteKernelsError,
    SnapshotDamaged,
    SnapshotNotFound,
    StoreFull,
    StoreUnavailable,
)
from jupyter_remote_kernels.snapshots.pack_file import PackFile
from jupyter_remote_kernels.snapshots.store import PackWriter, SnapshotStore, check_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from jupyter_remote_kernels.protocol.state_stream import Buffer

Listed = TypeVar("Listed", int, str)

# A quota, a limit of the process, and a disk that is full are the same to whoever saves.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Linux takes no more buffers than this in one call.
_MOST_BUFFERS = 1024


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the operating system's errors into ours; the only place that does."""
    try:
        yield
    except OSError as error:
        raise translate(error) from error


def translate(error: OSError) -> RemoteKernelsError:
    """Return our error for one of the operating system's."""
    detail = str(error)
    if error.errno in _FULL:
        return StoreFull(
            "The disk with the snapshots is full.",
            hint="Delete snapshots or make room, then try again.",
            detail=detail,
        )
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return StoreUnavailable(
        f"The snapshots cannot be read or written now: {reason}.",
        hint="The server's log says more.",
        detail=detail,
    )


def write_all(descriptor: int, buffers: Sequence[Buffer]) -> int:
    """Write all of the buffers at the end of a file, without joining them; return the bytes."""
    views = [view for buffer in buffers if (view := memoryview(buffer).cast("B")).nbytes]
    total = sum(view.nbytes for view in views)
    start = 0
    while start < len(views):
        written = os.writev(descriptor, views[start : start + _MOST_BUFFERS])
        while start < len(views) and written >= views[start].nbytes:
            written -= views[start].nbytes
            start += 1
        if written:
            views[start] = views[start][written:]
    return total


def sync_directory(path: Path) -> None:
    """Make the names in a directory lasting."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _FilePackWriter(PackWriter):
    def __init__(self, descriptor: int, part: Path, target: Path) -> None:
        self._file = PackFile(descriptor)
        self._part = part
        self._target = target
        self._size = 0
        self._turn = asyncio.Lock()

    async def append(self, buffers: Sequence[Buffer]) -> int:
        with _translated():
            async with self._turn:
                offset = self._size
                written, lent = await asyncio.to_thread(self._file.write, buffers)
                self._size += written
            if lent:
                # All of them end before the buffers may change, whether they fail or not.
                await asyncio.wait([asyncio.wrap_future(future) for future in lent])
                for future in lent:
                    future.result()
        return offset

    async def seal(self) -> None:
        with _translated():
            await asyncio.to_thread(self._seal)

    def _seal(self) -> None:
        self._file.finish()
        os.rename(self._part, self._target)
        sync_directory(self._target.parent)

    async def discard(self) -> None:
        await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        # What cannot be removed now is swept later.
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)


class FileStore(SnapshotStore):
    """Snapshots in a directory that only its owner can enter.

    Parameters
    ----------
    root : path
        Made when it is first used.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root)
        self._packs = self._root / "packs"
        self._documents = self._root / "documents"

    async def write_pack(self, pack_id: str) -> PackWriter:
        part = self._packs / f"{check_name(pack_id)}.part"
        with _translated():
            descriptor = await _own(asyncio.to_thread(self._create, part))
        return _FilePackWriter(descriptor, part, self._pack(pack_id))

    def _create(self, path: Path) -> int:
        self._make_directories()
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def _make_directories(self) -> None:
        self._root.parent.mkdir(parents=True, exist_ok=True)
        for path in (self._root, self._packs, self._documents):
            if not path.is_dir():
                path.mkdir(mode=0o700, exist_ok=True)
                sync_directory(path.parent)

    def _pack(self, pack_id: str) -> Path:
        return self._packs / f"{check_name(pack_id)}.pack"

    def _document(self, name: str) -> Path:
        return self._documents / f"{check_name(name)}.json"

    async def read(self, pack_id: str, offset: int, size: int) -> bytes:
        with _translated():
            return await asyncio.to_thread(self._read, self._pack(pack_id), offset, size)

    def _read(self, path: Path, offset: int, size: int) -> bytes:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            message = "A part of the snapshot is no longer in the store."
            raise SnapshotDamaged(message, detail=str(error)) from error
        try:
            data = os.pread(descriptor, size, offset)
            # Linux gives at most 2 GiB at once, and a network file system may give less.
            while len(data) < size and (more := os.pread(descriptor, size, offset + len(data))):
                data += more[: size - len(data)]
            return data
        finally:
            os.close(descriptor)

    def pack_path(self, pack_id: str) -> Path | None:
        path = self._pack(pack_id)
        return path if path.is_file() else None

    async def packs(self) -> dict[str, int]:
        return await self._listed(lambda: {k: v.st_size for k, v in _files(self._packs, ".pack")})

    async def delete_pack(self, pack_id: str) -> None:
        with _translated():
            await asyncio.to_thread(self._pack(pack_id).unlink, missing_ok=True)

    async def put_document(self, name: str, content: bytes) -> None:
        with _translated():
            await asyncio.to_thread(self._put, self._document(name), content)

    def _put(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp")
        descriptor = self._create(temporary)
        try:
            try:
                write_all(descriptor, [content])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)

    async def get_document(self, name: str) -> bytes:
        path = self._document(name)
        with _translated():
            try:
                return await asyncio.to_thread(path.read_bytes)
            except FileNotFoundError as error:
                message = "There is no such snapshot."
                raise SnapshotNotFound(message, detail=str(error)) from error

    async def documents(self) -> dict[str, str]:
        # A new document is a new file, so its number tells it from the old one of the same size.
        return await self._listed(
            lambda: {
                name: f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
                for name, status in _files(self._documents, ".json")
            }
        )

    async def _listed(self, list_all: Callable[[], dict[str, Listed]]) -> dict[str, Listed]:
        with _translated():
            return await asyncio.to_thread(list_all)

    async def delete_document(self, name: str) -> None:
        with _translated():
            await asyncio.to_thread(self._delete, self._document(name))

    def _delete(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            sync_directory(path.parent)

    @contextlib.asynccontextmanager
    async def hold(self, *, alone: bool = False) -> AsyncIterator[bool]:
        with _translated():
            kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
            descriptor = await _own(asyncio.to_thread(self._lock, kind | fcntl.LOCK_NB))
            if descriptor < 0 and not alone:
                # In a thread of its own: many who wait would otherwise take all the threads that
                # the one they wait for needs to come to its end.
                waiter = ThreadPoolExecutor(1)
                loop = asyncio.get_running_loop()
                waiting = loop.run_in_executor(waiter, self._lock, kind)
                waiter.shutdown(wait=False)
                descriptor = await _own(waiting)
        try:
            if descriptor >= 0 and alone:
                with _translated():
                    await asyncio.to_thread(self._sweep)
            yield descriptor >= 0
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _lock(self, kind: int) -> int:
        """Return the descriptor of the locked file, or -1 when others hold it."""
        self._make_directories()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._root / "lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, kind)
        except BlockingIOError:
            os.close(descriptor)
            return -1
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _sweep(self) -> None:
        """Remove what killed writers left. Living ones hold the store, so there are none."""
        for path in (*self._packs.glob("*.part"), *self._documents.glob(".*.tmp")):
            path.unlink(missing_ok=True)


def _files(folder: Path, suffix: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            name, is_ours = entry.name.removesuffix(suffix), entry.name.endswith(suffix)
            if is_ours and not name.startswith("."):
                # Removed by somebody else in this moment: then it is not there.
                with contextlib.suppress(FileNotFoundError):
                    yield name, entry.stat(follow_symlinks=False)


async def _own(opening: Awaitable[int]) -> int:
    """Wait for a file to be opened; who is cancelled meanwhile leaves no descriptor, no lock."""
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_release)
        raise


def _release(task: asyncio.Future[int]) -> None:
    if not task.cancelled() and task.exception() is None and task.result() >= 0:
        os.close(task.result())
