"""What a client has not acknowledged yet: in memory up to a limit, beyond it in a file.

Nothing is ever dropped. The file lies in the runtime's owner-only directory and has no name, so
it is gone with the process, whatever ends that. Standard library only.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY_BYTES = 8 * 1024 * 1024


class SpillingFrames:
    """Keeps frames in order; see :class:`~jupyter_remote_kernels.protocol.resumable.Kept`.

    The oldest are in memory: they are the first to be sent again and the first to go. What
    comes when memory is full goes to the file, and so does all that follows, until the file
    has been used up.

    Parameters
    ----------
    directory : str
        Where the file lies.
    memory_bytes : int, optional
        How much is kept in memory.
    """

    def __init__(self, directory: str, memory_bytes: int = MEMORY_BYTES) -> None:
        self._directory = directory
        self._limit_bytes = memory_bytes
        self._head: deque[tuple[int, bytes]] = deque()
        self._tail: deque[tuple[int, int, int]] = deque()  # number, position, length
        self._file: BinaryIO | None = None
        self._end = 0
        self.memory_bytes = 0

    @property
    def spilled_bytes(self) -> int:
        """How much is kept in the file."""
        return sum(length for _, _, length in self._tail)

    def append(self, number: int, frame: bytes) -> None:
        """Keep a frame; numbers come in order.

        Raises
        ------
        OSError
            When memory is full and the file cannot be written; the frame is kept in memory then.
        """
        if not self._tail and self.memory_bytes + len(frame) <= self._limit_bytes:
            self._keep_in_memory(number, frame)
            return
        try:
            self._spill(number, frame)
        except OSError:
            if self._tail:
                raise  # order would be lost
            self._keep_in_memory(number, frame)
            raise

    def forget(self, through: int) -> None:
        """Let go of all frames up to a number."""
        while self._head and self._head[0][0] <= through:
            self.memory_bytes -= len(self._head.popleft()[1])
        while self._tail and self._tail[0][0] <= through:
            self._tail.popleft()
        if not self._tail and self._file is not None:
            # Nothing in it is needed: the room on the disk is given back.
            self._file.truncate(0)
            self._end = 0

    def after(self, number: int) -> Iterator[bytes]:
        """Yield all frames after a number, in order; one at a time is read into memory."""
        for own, frame in list(self._head):
            if own > number:
                yield frame
        for own, position, length in list(self._tail):
            if own > number and self._file is not None:
                yield os.pread(self._file.fileno(), length, position)

    def close(self) -> None:
        """Forget everything and give the file back."""
        self._head.clear()
        self._tail.clear()
        self.memory_bytes = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _keep_in_memory(self, number: int, frame: bytes) -> None:
        self._head.append((number, frame))
        self.memory_bytes += len(frame)

    def _spill(self, number: int, frame: bytes) -> None:
        if self._file is None:
            # Unbuffered, so that a full disk is told to the call that meets it.
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
        written = 0
        while written < len(frame):
            written += os.pwrite(self._file.fileno(), frame[written:], self._end + written)
        self._tail.append((number, self._end, len(frame)))
        self._end += len(frame)
