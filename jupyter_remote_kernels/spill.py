"""Messages that nobody takes yet: in memory up to a limit, beyond it in a file; nothing is dropped.

The files lie in an owner-only directory and have no name, so they are gone with the process,
whatever ends that. Shared by the agent, whose link may be away, and by the server, whose
browser may be. Standard library only.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, Union

if TYPE_CHECKING:
    from collections.abc import Sequence

Buffer = Union[bytes, bytearray, memoryview]

MEMORY_BYTES = 16 * 1024 * 1024
# What was taken out of a file gives its room back in steps of this size.
SEGMENT_BYTES = 64 * 1024 * 1024


class _Segment:
    """One nameless file, written at its end and read from its beginning."""

    def __init__(self, directory: str) -> None:
        # Unbuffered, so that a full disk is told to the call that meets it.
        self._file: BinaryIO = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115
        self.end = 0
        self.position = 0

    def write(self, parts: Sequence[Buffer], size: int) -> None:
        """Append; what was written of a failed attempt is overwritten by the next one."""
        offset = self.end
        for part in parts:
            view = memoryview(part).cast("B")
            while view:
                written = os.pwrite(self._file.fileno(), view, offset)
                offset += written
                view = view[written:]
        self.end += size

    def read(self, size: int) -> bytes:
        """Return what comes next."""
        chunks = []
        while size:
            chunk = os.pread(self._file.fileno(), size, self.position)
            if not chunk:
                raise OSError("a file of waiting messages was cut short")
            chunks.append(chunk)
            self.position += len(chunk)
            size -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        self._file.close()


class SpillingQueue:
    """A queue of messages: first in, first out.

    The oldest are in memory, because they are the first to be taken. What comes when memory is
    full goes to files, and so does all that follows until these have been used up.

    Parameters
    ----------
    directory : str
        Where the files lie.
    memory_bytes : int, optional
        How much is kept in memory; may be changed at any time.
    """

    def __init__(self, directory: str, memory_bytes: int = MEMORY_BYTES) -> None:
        self._directory = directory
        self.limit_bytes = memory_bytes
        self._memory: deque[tuple[Sequence[Buffer], int]] = deque()
        self._sizes: deque[tuple[_Segment, int]] = deque()
        # What came when the disk was full: after everything in the files.
        self._late: deque[tuple[Sequence[Buffer], int]] = deque()
        self._segments: deque[_Segment] = deque()
        self.memory_bytes = 0
        self.spilled_bytes = 0

    def __len__(self) -> int:
        return len(self._memory) + len(self._sizes) + len(self._late)

    @property
    def size_bytes(self) -> int:
        """How much waits, in memory and in files."""
        return self.memory_bytes + self.spilled_bytes

    @property
    def next_bytes(self) -> int:
        """Size of the message that is taken next."""
        return (self._memory or self._sizes or self._late)[0][1]

    def append(self, parts: Sequence[Buffer]) -> None:
        """Take a message.

        Parameters
        ----------
        parts : sequence of buffers
            They are kept as they are while there is room in memory.

        Raises
        ------
        OSError
            When memory is full and the file cannot be written. The message is not lost: it
            waits in memory beyond the limit, and goes to a file as soon as that can be written.
        """
        size = sum(memoryview(part).nbytes for part in parts)
        if not self._sizes and not self._late and self.memory_bytes + size <= self.limit_bytes:
            self._memory.append((parts, size))
            self.memory_bytes += size
            return
        self._late.append((parts, size))
        self.memory_bytes += size
        self.settle()

    def settle(self) -> None:
        """Write what a full disk has kept in memory.

        Raises
        ------
        OSError
            When the file still cannot be written.
        """
        while self._late:
            parts, size = self._late[0]
            segment = self._open_segment()
            segment.write(parts, size)
            self._late.popleft()
            self.memory_bytes -= size
            self._sizes.append((segment, size))
            self.spilled_bytes += size

    def take(self) -> Sequence[Buffer]:
        """Return the oldest message and forget it.

        Raises
        ------
        IndexError
            When there is none.
        """
        if self._memory or not self._sizes:
            parts, size = (self._memory or self._late).popleft()
            self.memory_bytes -= size
            return parts
        segment, size = self._sizes.popleft()
        data = segment.read(size)
        self.spilled_bytes -= size
        # A segment that is still written to is given back too, once nothing waits in it.
        if not self._sizes or self._sizes[0][0] is not segment:
            self._segments.remove(segment)
            segment.close()
        return (data,)

    def close(self) -> None:
        """Forget everything and give the files back."""
        for segment in self._segments:
            segment.close()
        self._segments.clear()
        self._sizes.clear()
        self._memory.clear()
        self._late.clear()
        self.memory_bytes = self.spilled_bytes = 0

    def _open_segment(self) -> _Segment:
        if not self._segments or self._segments[-1].end >= SEGMENT_BYTES:
            self._segments.append(_Segment(self._directory))
        return self._segments[-1]
