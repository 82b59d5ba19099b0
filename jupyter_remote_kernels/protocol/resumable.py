"""The resumable protocol, without I/O: each message arrives once, over many connections.

Both ends keep what they have sent until the other one has acknowledged it. A connection begins
with a greeting in which each end says what it has received; what is missing is sent again. So a
connection may break at any moment, and nothing is lost or doubled.

On the wire are binary websocket messages, all numbers little-endian::

    greeting         G  session (16 bytes)  received (u64)
    message          M  number (u64)  payload            the whole message, or its last piece
    piece            P  number (u64)  payload            more of the same message follows
    acknowledgement  A  received (u64)

``number`` counts the frames ``M`` and ``P`` of one direction from 1 on, over all connections of a
session. ``received`` is the number up to which nothing is missing.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_remote_kernels.protocol.frames import Buffer

SESSION_BYTES = 16
PIECE_BYTES = 1024 * 1024
# How much may arrive before it is acknowledged although nothing is sent the other way.
ACKNOWLEDGE_BYTES = 256 * 1024

_GREETING, _MESSAGE, _PIECE, _ACKNOWLEDGEMENT = b"G", b"M", b"P", b"A"
_NUMBER = struct.Struct("<cQ")
_HELLO = struct.Struct("<c16sQ")


class Kept(Protocol):
    """What has been sent and not acknowledged, in order. A place to spill is one, too."""

    def append(self, number: int, frame: bytes) -> None:
        """Keep a frame; numbers come in order."""

    def forget(self, through: int) -> None:
        """Let go of all frames up to a number."""

    def after(self, number: int) -> Iterator[bytes]:
        """Yield all frames after a number, in order."""


class KeptInMemory:
    """Keeps everything in memory."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, bytes]] = deque()
        self.size_bytes = 0

    def append(self, number: int, frame: bytes) -> None:
        """Keep a frame; numbers come in order."""
        self._frames.append((number, frame))
        self.size_bytes += len(frame)

    def forget(self, through: int) -> None:
        """Let go of all frames up to a number."""
        while self._frames and self._frames[0][0] <= through:
            self.size_bytes -= len(self._frames.popleft()[1])

    def after(self, number: int) -> Iterator[bytes]:
        """Yield all frames after a number, in order."""
        for own, frame in list(self._frames):
            if own > number:
                yield frame


@dataclass(frozen=True)
class Received:
    """What a frame led to.

    Attributes
    ----------
    messages : list of bytes
        Messages that are complete now, each for the first time.
    replies : list of bytes
        Frames to be sent on this connection, in this order.
    """

    messages: list[bytes] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)


class Endpoint:
    """One end of a session, over all its connections.

    Parameters
    ----------
    session : bytes
        Names the session, 16 bytes; both ends have the same.
    kept : Kept, optional
        Keeps what is not acknowledged; in memory by default.
    piece_bytes : int, optional
        Longer messages are split into pieces of this size.
    """

    def __init__(
        self, session: bytes, kept: Kept | None = None, piece_bytes: int = PIECE_BYTES
    ) -> None:
        if len(session) != SESSION_BYTES:
            raise InvalidInput(f"a session has {SESSION_BYTES} bytes")
        self.session = session
        self.sent = 0
        self.received = 0
        self.acknowledged = 0
        self._kept = KeptInMemory() if kept is None else kept
        self._piece_bytes = piece_bytes
        self._pieces: list[bytes] = []
        self._unacknowledged_bytes = 0
        self._is_greeted = False

    @property
    def is_ready(self) -> bool:
        """Whether this connection has been greeted by the other end."""
        return self._is_greeted

    def connect(self) -> bytes:
        """Begin a connection; returns the greeting, which goes before everything else."""
        self._is_greeted = False
        self._unacknowledged_bytes = 0
        return _HELLO.pack(_GREETING, self.session, self.received)

    def disconnect(self) -> None:
        """End a connection; what is sent from now on waits for the next one."""
        self._is_greeted = False

    def send(self, message: Buffer) -> list[bytes]:
        """Take a message; returns the frames for the present connection, none without one."""
        view = memoryview(message).cast("B")
        frames = []
        for start in range(0, max(1, len(view)), self._piece_bytes):
            end = start + self._piece_bytes
            kind = _MESSAGE if end >= len(view) else _PIECE
            self.sent += 1
            frame = _NUMBER.pack(kind, self.sent) + view[start:end]
            self._kept.append(self.sent, frame)
            frames.append(frame)
        return frames if self._is_greeted else []

    def receive(self, frame: Buffer) -> Received:
        """Take a frame of the present connection.

        Raises
        ------
        InvalidInput
            When it cannot be understood, belongs to another session, or something before it is
            missing. The connection has to be ended then; the next one makes it good.
        """
        kind = bytes(memoryview(frame)[:1])
        if kind == _GREETING:
            return self._greet(frame)
        if not self._is_greeted:
            raise InvalidInput("a frame came before the greeting", reason="not_greeted")
        if kind == _ACKNOWLEDGEMENT:
            self._forget(_read_number(frame, exact=True))
            return Received()
        if kind in (_MESSAGE, _PIECE):
            return self._take(kind, frame)
        raise InvalidInput(f"{kind!r} is no kind of frame", reason="bad_frame")

    def acknowledge(self) -> list[bytes]:
        """Return an acknowledgement, if there is anything new to acknowledge."""
        if not self._is_greeted or not self._unacknowledged_bytes:
            return []
        self._unacknowledged_bytes = 0
        return [_NUMBER.pack(_ACKNOWLEDGEMENT, self.received)]

    def _greet(self, frame: Buffer) -> Received:
        if len(frame) != _HELLO.size:
            raise InvalidInput("a greeting has another length", reason="bad_frame")
        _, session, received = _HELLO.unpack(frame)
        if session != self.session:
            raise InvalidInput("the greeting is of another session", reason="other_session")
        self._forget(received)
        self._is_greeted = True
        return Received(replies=list(self._kept.after(received)))

    def _take(self, kind: bytes, frame: Buffer) -> Received:
        number = _read_number(frame)
        if number <= self.received:
            return Received()  # sent again before our acknowledgement came
        if number > self.received + 1:
            raise InvalidInput(
                f"the frame {number} came after {self.received}", reason="frame_missing"
            )
        self.received = number
        payload = bytes(memoryview(frame)[_NUMBER.size :])
        self._pieces.append(payload)
        # At least one, or a message without content would never be acknowledged.
        self._unacknowledged_bytes += max(1, len(payload))
        messages = []
        if kind == _MESSAGE:
            messages.append(b"".join(self._pieces) if len(self._pieces) > 1 else payload)
            self._pieces = []
        is_due = self._unacknowledged_bytes >= ACKNOWLEDGE_BYTES
        return Received(messages, self.acknowledge() if is_due else [])

    def _forget(self, through: int) -> None:
        if through > self.sent:
            raise InvalidInput("more is acknowledged than was sent", reason="bad_frame")
        self.acknowledged = max(self.acknowledged, through)
        self._kept.forget(self.acknowledged)


def _read_number(frame: Buffer, *, exact: bool = False) -> int:
    if len(frame) < _NUMBER.size or (exact and len(frame) != _NUMBER.size):
        raise InvalidInput("a frame has another length", reason="bad_frame")
    number: int = _NUMBER.unpack_from(frame)[1]
    return number
