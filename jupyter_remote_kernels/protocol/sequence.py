"""Both halves of an end of the resumable protocol: what was sent, and what was received.

The format on the wire is that of :mod:`jupyter_remote_kernels.protocol.resumable`.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.websocket_frames import LARGE_BYTES, coalesce

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

# A message's number is its frame's number and its place in there.
PLACE_BITS = 20

FRAME, PIECE = b"M", b"P"
_NUMBERED = struct.Struct("<cQ")
_LENGTH = struct.Struct("<Q")


class Queue(Protocol):
    """Messages that have not been given a number yet; one that spills to a file is one, too."""

    def __len__(self) -> int:
        """How many messages wait."""

    @property
    def next_bytes(self) -> int:
        """Size of the message that is taken next."""

    def append(self, parts: Sequence[Buffer]) -> None:
        """Take a message, whatever it raises."""

    def take(self) -> Sequence[Buffer]:
        """Return the oldest message and forget it."""


class MemoryQueue:
    """A queue in memory without a limit."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Sequence[Buffer], int]] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def next_bytes(self) -> int:
        """Size of the message that is taken next."""
        return self._messages[0][1]

    def append(self, parts: Sequence[Buffer]) -> None:
        """Take a message."""
        self._messages.append((parts, sum(memoryview(part).nbytes for part in parts)))

    def take(self) -> Sequence[Buffer]:
        """Return the oldest message and forget it."""
        return self._messages.popleft()[0]


class _Sent(NamedTuple):
    """A frame that the other end may ask for again."""

    frame: Sequence[Buffer]
    size: int
    messages: int


class Sender:
    """The sending half of an end: numbers, keeps, and sends again."""

    def __init__(self, queue: Queue, piece_bytes: int, window_bytes: int) -> None:
        self.sent = 0
        self._queue = queue
        self._piece_bytes = piece_bytes
        self._window_bytes = window_bytes
        self._kept: dict[int, _Sent] = {}
        self._forgotten = 0
        self._written = 0  # the last number that went out on this connection
        self._on_its_way: deque[tuple[int, int]] = deque()
        self._on_its_way_bytes = 0
        self._rest: deque[memoryview] = deque()  # of a large message that is being cut up

    @property
    def waiting(self) -> int:
        """How many messages are still to go out on this connection, or on the next one."""
        again = sum(item.messages for number, item in self._kept.items() if number > self._written)
        return len(self._queue) + again + bool(self._rest)

    def append(self, message: Sequence[Buffer], *, goes_now: bool = False) -> None:
        """Take a message; raises what its queue raises, but keeps it.

        Parameters
        ----------
        message : sequence of buffers
            Its parts.
        goes_now : bool, optional
            Whether there is a connection. A large message that is next then needs no queue, which
            may be a slow one for messages of its size.
        """
        size = sum(memoryview(part).nbytes for part in message)
        parts = [_LENGTH.pack(size), *message]
        if goes_now and size > self._piece_bytes and not self._rest and not len(self._queue):
            self._rest.extend(memoryview(part).cast("B") for part in parts)
        else:
            self._queue.append(parts)

    def resume(self, received: int) -> None:
        """Begin a connection whose other end has received so much.

        Raises
        ------
        InvalidInput
            When that cannot be.
        """
        if received > self.sent and not self.sent:
            # The other end remembers what we, a successor without a memory, do not.
            self.sent = self._forgotten = received
        if not self._forgotten <= received <= self.sent:
            raise InvalidInput(f"{received} of {self.sent} frames received", reason="bad_frame")
        self._written = received
        self._on_its_way.clear()
        self._on_its_way_bytes = 0

    def confirm(self, received: int, finished: int) -> None:
        """Open the window and let go of what will not be asked for again.

        Raises
        ------
        InvalidInput
            When more is acknowledged than was sent.
        """
        if not finished <= received <= self._written:
            raise InvalidInput("more is acknowledged than was sent", reason="bad_frame")
        while self._on_its_way and self._on_its_way[0][0] <= received:
            self._on_its_way_bytes -= self._on_its_way.popleft()[1]
        self.forget(finished)

    def forget(self, finished: int) -> None:
        """Let go of all frames up to a number."""
        for number in range(self._forgotten + 1, finished + 1):
            self._kept.pop(number, None)
        self._forgotten = max(self._forgotten, finished)

    def frames(self) -> Iterator[Sequence[Buffer]]:
        """Yield what may go out now, as the parts of websocket messages."""
        while self._on_its_way_bytes < self._window_bytes:
            if self._written == self.sent and not self._make_frame():
                return
            self._written += 1
            item = self._kept[self._written]
            self._on_its_way.append((self._written, item.size))
            self._on_its_way_bytes += item.size
            yield item.frame

    def _make_frame(self) -> bool:
        """Give the next number to what waits; False when nothing does."""
        queue = self._queue
        if not self._rest and not len(queue):
            return False
        kind, parts, messages, size = FRAME, list[Any](), 0, 0
        if self._rest or (len(queue) and queue.next_bytes > self._piece_bytes):
            if not self._rest:
                self._rest.extend(memoryview(part).cast("B") for part in queue.take())
            parts = self._cut()
            size = sum(part.nbytes for part in parts)
            kind, messages = (PIECE, 0) if self._rest else (FRAME, 1)
        else:
            while len(queue) and size + (following := queue.next_bytes) <= self._piece_bytes:
                size += following
                parts += queue.take()
                messages += 1
        self.sent += 1
        chunks = [_NUMBERED.pack(kind, self.sent), *parts]
        # What answers a cell is small: looking at each part would take longer than joining them.
        frame = [b"".join(chunks)] if size < LARGE_BYTES else coalesce(chunks)
        self._kept[self.sent] = _Sent(frame, size, messages)
        return True

    def _cut(self) -> list[memoryview]:
        parts: list[memoryview] = []
        left = self._piece_bytes
        while self._rest and left:
            part = self._rest.popleft()
            if part.nbytes > left:
                self._rest.appendleft(part[left:])
                part = part[:left]
            left -= part.nbytes
            parts.append(part)
        return parts


@dataclass
class Receiver:
    """The receiving half of an end: puts frames together, refuses gaps, ignores repetitions.

    Attributes
    ----------
    received : int
        The number up to which nothing is missing.
    finished : int
        The number up to which its user has dealt with everything.
    """

    received: int = 0
    finished: int = 0
    _complete: int = 0
    _pieces: list[Buffer] = field(default_factory=list)

    def take(self, kind: bytes, frame: Buffer) -> list[tuple[int, memoryview]]:
        """Return the messages that are complete with this frame, with their numbers.

        Raises
        ------
        InvalidInput
            When a frame is missing before it, or it cannot be understood.
        """
        number = read_form(_NUMBERED, frame)[1]
        if number <= self.received:
            return []  # sent again before our acknowledgement came
        if number > self.received + 1:
            raise InvalidInput(
                f"the frame {number} came after {self.received}", reason="frame_missing"
            )
        payload = memoryview(frame)[_NUMBERED.size :]
        if kind == PIECE:
            self._pieces.append(payload)
            self.received = number
            return []
        whole = memoryview(b"".join([*self._pieces, payload])) if self._pieces else payload
        messages = list(_split(number, whole))
        self._pieces = []
        self.received = self._complete = number
        return messages

    def drop_pieces(self) -> None:
        """Forget half a message."""
        self._pieces = []

    def finish(self) -> None:
        """Say that all messages that were returned are dealt with for good."""
        self.finished = max(self.finished, self._complete)


def read_form(form: struct.Struct, frame: Buffer, *, exact: bool = False) -> tuple[Any, ...]:
    """Read the fixed part of a frame.

    Raises
    ------
    InvalidInput
        When it is too short, or with ``exact`` too long.
    """
    if len(frame) < form.size or (exact and len(frame) != form.size):
        raise InvalidInput("a frame has another length", reason="bad_frame")
    return form.unpack_from(frame)


def _split(number: int, whole: memoryview) -> Iterator[tuple[int, memoryview]]:
    start, place = 0, 0
    while start < len(whole):
        end = start + _LENGTH.size
        end += _LENGTH.unpack_from(whole, start)[0] if end <= len(whole) else 0
        if not start + _LENGTH.size <= end <= len(whole):
            raise InvalidInput("a message has another length", reason="bad_frame")
        yield (number << PLACE_BITS) | place, whole[start + _LENGTH.size : end]
        start, place = end, place + 1
