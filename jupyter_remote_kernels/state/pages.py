"""Files mapped into memory: read from the disk ahead of their checks, both in threads."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.state.addresses import address_of
from jupyter_remote_kernels.state.digests import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Read and checked together: threads that work for long between two turns of the interpreter are
# not held up by what it does meanwhile.
RUN_BYTES = 8 << 20
# Runs that may be read and not checked: what the memory of a small machine can hold.
_AHEAD = 32
# Runs that the system is told of before they are read, where it does not look ahead itself.
_ANNOUNCED = 2
_FAR_KB = 1024
# Since Linux 5.14; Python has no name for it.
_POPULATE_READ = 22


class MappedFile:
    """A file in memory: what is changed later is this kernel's alone, the file stays as it is.

    Parameters
    ----------
    path : str
        Where it is.

    Attributes
    ----------
    view : memoryview
        Its content.
    """

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            device = os.fstat(file.fileno()).st_dev
        self.view = memoryview(self._mapped)
        self._address = address_of(self.view)
        self._needs_announcing = not _reads_far_ahead(device)

    def announce(self, start: int, size: int) -> None:
        """Let the system begin to read a part, where it would not do so by itself in time."""
        if self._needs_announcing:
            from_page = start - start % mmap.PAGESIZE
            self._mapped.madvise(mmap.MADV_WILLNEED, from_page, start + size - from_page)

    def read(self, start: int, size: int) -> None:
        """Read a part from the disk, all its pages at once, which is cheaper than one by one.

        Raises
        ------
        InvalidInput
            When it cannot be read: touching it would kill this kernel.
        """
        from_page = start - start % mmap.PAGESIZE
        error = _populate(self._address + from_page, start + size - from_page)
        if error == errno.EFAULT:
            raise InvalidInput("A chunk cannot be read.", reason="bad_chunk")


def _find_madvise() -> Any:
    """Return the system's function; Python's own holds up all other threads while it reads."""
    if not sys.platform.startswith("linux"):
        return None
    function = ctypes.CDLL(None, use_errno=True).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


_madvise = _find_madvise()


def _populate(address: int, size: int) -> int:
    """Return the number of the error, or zero; systems that cannot do it have an error too."""
    if _madvise is None or _madvise(address, size, _POPULATE_READ) == 0:
        return 0
    return ctypes.get_errno()


def _reads_far_ahead(device: int) -> bool:
    """Whether the system reads much of a file ahead by itself, in large pages then."""
    path = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read()) >= _FAR_KB
    except (OSError, ValueError):
        return False


class Run:
    """A piece of a file that is read at once, and how to check it.

    Parameters
    ----------
    file : MappedFile
        The file.
    start, size : int
        Which piece.
    check : callable
        Raises when the piece is not what it should be.
    """

    def __init__(
        self, file: MappedFile, start: int, size: int, check: Callable[[], None]
    ) -> None:  # fmt: skip
        self.file = file
        self.start = start
        self.size = size
        self.check = check
        # Ends with the other one when the piece is read.
        self.reading: Future[Future[None]] = Future()


class PageChecks:
    """Reads pieces of files in one thread, in order, and checks them in others.

    Whoever waits for a piece helps: so there are no more threads at work than processors.
    """

    def __init__(self) -> None:
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="jrk-read")
        self._checkers = ThreadPoolExecutor(max(THREADS - 1, 1), thread_name_prefix="jrk-check")
        self._lock = threading.Lock()
        self._waiting: deque[Run] = deque()
        self._announced: deque[Run] = deque()
        self._unchecked = 0

    def add(self, runs: Sequence[Run]) -> None:
        """Begin to read and check pieces."""
        with self._lock:
            self._waiting += runs
            self._go_on()

    def wait(self, run: Run) -> None:
        """Return when a piece is checked; raises what its check raises."""
        checking = run.reading.result()
        if checking.cancel():
            self._check(run)
        else:
            checking.result()

    def close(self) -> None:
        """Begin nothing more; what has not begun is never done."""
        with self._lock:
            self._waiting.clear()
            self._announced.clear()
        for pool in (self._reader, self._checkers):
            pool.shutdown(wait=False, cancel_futures=True)

    def _go_on(self) -> None:
        while self._waiting and self._unchecked < _AHEAD:
            self._unchecked += 1
            run = self._waiting.popleft()
            self._announced.append(run)
            self._reader.submit(run.file.announce, run.start, run.size)
            if len(self._announced) > _ANNOUNCED:
                self._reader.submit(self._read, self._announced.popleft())
        while self._announced and not self._waiting:
            self._reader.submit(self._read, self._announced.popleft())

    def _read(self, run: Run) -> None:
        try:
            run.file.read(run.start, run.size)
            run.reading.set_result(self._checkers.submit(self._check, run))
        except BaseException as error:  # noqa: BLE001 - raised for whoever waits for the piece
            run.reading.set_exception(error)

    def _check(self, run: Run) -> None:
        try:
            run.check()
        finally:
            with self._lock:
                self._unchecked -= 1
                self._go_on()
